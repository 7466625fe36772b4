/** Whether a text speaks to somebody by name, as a word of its own. */
export function mentions(body: string, nick: string): boolean {
  if (nick === '') return false;
  const text = body.toLocaleLowerCase();
  const name = nick.toLocaleLowerCase();
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const before = text[at - 1] ?? ' ';
    const after = text[at + name.length] ?? ' ';
    if (!/[\p{L}\p{N}]/u.test(before) && !/[\p{L}\p{N}]/u.test(after)) return true;
  }
  return false;
}
