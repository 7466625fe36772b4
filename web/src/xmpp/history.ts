/** Reading archives (XEP-0313) a page at a time. */

import { bare } from './jid';
import { NS } from './ns';
import type { Stream } from './stream';
import { attr, child, el, submit } from './xml';

/** A message out of an archive. */
export interface Archived {
  /** The archive's name for it. */
  archive: string;
  time: number;
  stanza: Element;
}

export interface Page {
  items: Archived[];
  /** Nothing lies beyond in the direction of reading. */
  complete: boolean;
}

export interface Query {
  /** Whose archive: a room; one's own if absent. */
  archive?: string;
  with?: string;
  /** Words to search for (XEP-0431). */
  words?: string;
  start?: number;
  /** `''` is the end of the archive. */
  before?: string;
  after?: string;
  limit: number;
  /** Messages in their last version, with reactions in place. */
  present?: boolean;
}

/** Pages that are on their way, by the id of their query. Their messages come before the answer. */
const underWay = new Map<string, { archive: string; items: Archived[] }>();

/** Asks for a page. */
export async function page(stream: Stream, query: Query): Promise<Page> {
  const id = crypto.randomUUID();
  const fields: Record<string, string> = {};
  if (query.with) fields.with = query.with;
  if (query.words) fields[`{${NS.fulltext}}fulltext`] = query.words;
  if (query.start) fields.start = new Date(query.start).toISOString();
  const rsm = el(
    'set',
    NS.rsm,
    {},
    el('max', NS.rsm, {}, String(query.limit)),
    query.before !== undefined && el('before', NS.rsm, {}, query.before),
    query.after !== undefined && el('after', NS.rsm, {}, query.after),
  );
  const present = query.present && el('present', NS.present);
  const ask = el('query', NS.mam, { queryid: id }, submit(NS.mam, fields), rsm, present);
  const items: Archived[] = [];
  underWay.set(id, { archive: query.archive ?? bare(stream.address), items });
  try {
    const answer = await stream.ask('set', ask, query.archive);
    return { items, complete: attr(child(answer, 'fin', NS.mam), 'complete') === 'true' };
  } finally {
    underWay.delete(id);
  }
}

/** Takes a message that belongs to a page; false if it is none. */
export function take(stanza: Element): boolean {
  const result = child(stanza, 'result', NS.mam);
  if (!result) return false;
  const query = underWay.get(attr(result, 'queryid') ?? '');
  const forwarded = child(result, 'forwarded', NS.forward);
  const inner = child(forwarded, 'message', NS.client);
  const archive = attr(result, 'id');
  // Only the archive that was asked may answer.
  const from = bare(attr(stanza, 'from') ?? query?.archive ?? '');
  if (query && inner && archive && from === query.archive) {
    const stamp = attr(child(forwarded, 'delay', NS.delay), 'stamp') ?? '';
    query.items.push({ archive, time: Date.parse(stamp), stanza: inner });
  }
  return true;
}
