/** Addresses (RFC 7622), as far as a client takes them apart. */

/** The address without its resource. */
export function bare(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? jid : jid.slice(0, slash);
}

/** The resource, or an occupant's nickname; empty if there is none. */
export function resource(jid: string): string {
  const slash = jid.indexOf('/');
  return slash < 0 ? '' : jid.slice(slash + 1);
}

/** What is before the `@`; the domain itself if there is no `@`. */
export function local(jid: string): string {
  const whole = bare(jid);
  const at = whole.indexOf('@');
  const name = at < 0 ? whole : whole.slice(0, at);
  return name.replace(/\\([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

/** What is behind the `@`. */
export function domain(jid: string): string {
  const whole = bare(jid);
  return whole.slice(whole.indexOf('@') + 1);
}
