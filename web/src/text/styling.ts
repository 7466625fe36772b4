/** From a message's text to parts that are shown: styling (XEP-0393), links and mentions. Makes a tree, never markup. */

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'strong' | 'emphasis' | 'strike'; parts: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'link'; url: string; text: string };

export type Block =
  { kind: 'line'; parts: Inline[] } | { kind: 'quote'; blocks: Block[] } | { kind: 'pre'; text: string };

/** Quotes inside quotes, at most; what is deeper is plain. */
const DEEPEST = 4;

export function blocks(text: string, depth = 0): Block[] {
  const lines = text.split('\n');
  const found: Block[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at] ?? '';
    if (line.startsWith('```')) {
      const end = lines.findIndex((each, index) => index > at && each.trimEnd() === '```');
      const stop = end < 0 ? lines.length : end;
      found.push({ kind: 'pre', text: lines.slice(at + 1, stop).join('\n') });
      at = stop + 1;
    } else if (line.startsWith('>') && depth < DEEPEST) {
      let stop = at;
      while (stop < lines.length && lines[stop]?.startsWith('>')) stop++;
      const inner = lines.slice(at, stop).map((each) => each.slice(1).replace(/^ /, ''));
      found.push({ kind: 'quote', blocks: blocks(inner.join('\n'), depth + 1) });
      at = stop;
    } else {
      found.push({ kind: 'line', parts: inline(line) });
      at++;
    }
  }
  return found;
}

const SPANS = { '*': 'strong', _: 'emphasis', '~': 'strike', '`': 'code' } as const;
const URL_START = /\b(?:https?:\/\/|xmpp:|mailto:)/i;

/** A line's parts. Spans open after a space or another mark, and close before one (XEP-0393 §6.2). */
export function inline(line: string): Inline[] {
  const parts: Inline[] = [];
  let plain = 0;
  const flush = (end: number) => {
    if (end > plain) parts.push({ kind: 'text', text: line.slice(plain, end) });
  };
  for (let at = 0; at < line.length;) {
    const rest = line.slice(at, at + 8);
    const boundary = at === 0 || !/[\p{L}\p{N}]/u.test(line[at - 1] ?? '');
    if (boundary && URL_START.test(rest) && rest.search(URL_START) === 0) {
      const url = address(line.slice(at));
      if (url) {
        flush(at);
        parts.push({ kind: 'link', url, text: url });
        plain = at += url.length;
        continue;
      }
    }
    const kind = SPANS[line[at] as keyof typeof SPANS];
    const end = kind && opens(line, at) ? closes(line, at) : -1;
    if (kind && end > 0) {
      flush(at);
      const inner = line.slice(at + 1, end);
      parts.push(kind === 'code' ? { kind, text: inner } : { kind, parts: inline(inner) });
      plain = at = end + 1;
    } else at++;
  }
  flush(line.length);
  return parts;
}

function opens(line: string, at: number): boolean {
  const before = line[at - 1];
  const after = line[at + 1];
  return (before === undefined || /[\s*_~`("']/.test(before)) && after !== undefined && !/\s/.test(after);
}

function closes(line: string, start: number): number {
  const mark = line[start] ?? '';
  for (let at = line.indexOf(mark, start + 1); at > 0; at = line.indexOf(mark, at + 1)) {
    if (at > start + 1 && !/\s/.test(line[at - 1] ?? '')) return at;
  }
  return -1;
}

/** The address at the start of a text, without the punctuation that ends a sentence. */
function address(text: string): string | undefined {
  const run = /^[^\s<>"'`]+/.exec(text)?.[0] ?? '';
  let url = run.replace(/[.,;:!?*_~]+$/, '');
  while (url.endsWith(')') && count(url, ')') > count(url, '(')) url = url.slice(0, -1);
  return safe(url) ? url : undefined;
}

function count(text: string, letter: string): number {
  return text.split(letter).length - 1;
}

/** Whether a link may be followed: only these schemes, never one that runs something. */
export function safe(url: string): boolean {
  try {
    return ['http:', 'https:', 'mailto:', 'xmpp:'].includes(new URL(url).protocol);
  } catch {
    return false;
  }
}
