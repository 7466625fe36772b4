/** How what is said becomes what is shown: a message is new, or changes an earlier one. Pure but for the database. */

import type { Said } from '../xmpp/message';
import type { Database, Message } from './db';

/** Messages to store and show, and the keys that some of them had before. */
export interface Outcome {
  changed: Message[];
  replaced: string[];
  /** The message that is new to this browser, if one is. */
  fresh?: Message | undefined;
}

const NOTHING: Outcome = { changed: [], replaced: [] };

/** Takes in one thing that was said. `mine` decides for rooms, which do not say it by address. */
export async function fold(db: Database, said: Said, mine: boolean): Promise<Outcome> {
  const { change } = said;
  if (said.error !== undefined) return refuse(db, said);
  if (change && change.kind !== 'gone') return alter(db, said, mine);
  if (said.body === undefined && said.link === undefined && change?.kind !== 'gone') return NOTHING;
  const fresh: Message = {
    key: said.archive ?? `${said.with} ${said.id ?? crypto.randomUUID()}`,
    conversation: said.with,
    time: said.time,
    from: said.from,
    mine,
    occupant: said.occupant,
    id: said.id,
    archive: said.archive,
    body: said.body ?? said.link ?? '',
    link: said.link,
    reply: said.reply,
    edited: said.edited,
    gone: change?.kind === 'gone' ? { by: change.by, reason: change.reason } : undefined,
    reactions: said.reactions,
    state: 'sent',
  };
  const known = (await db.message(fresh.key)) ?? (said.id ? await twin(db, fresh) : undefined);
  if (!known) return { changed: [fresh], replaced: [], fresh };
  // The browser may know more by now than this copy does, but the archive's name and time are the true ones.
  const better: Message = {
    ...known,
    key: fresh.key,
    archive: fresh.archive ?? known.archive,
    time: fresh.archive ? fresh.time : known.time,
    state: known.state === 'queued' || known.state === 'failed' ? 'sent' : known.state,
    error: undefined,
    gone: known.gone ?? fresh.gone,
    reactions: fresh.reactions ?? known.reactions,
  };
  if (fresh.edited) Object.assign(better, { body: fresh.body, edited: true });
  return { changed: [better], replaced: known.key === better.key ? [] : [known.key] };
}

/** The same message, known by its sender's id only. */
async function twin(db: Database, message: Message): Promise<Message | undefined> {
  const other = await db.named(message.conversation, message.id ?? '');
  if (!other || other.mine !== message.mine) return undefined;
  const same =
    other.archive === undefined || message.archive === undefined || other.archive === message.archive;
  return same && (message.mine || other.from === message.from) ? other : undefined;
}

async function alter(db: Database, said: Said, mine: boolean): Promise<Outcome> {
  const { change } = said;
  if (!change || change.kind === 'gone') return NOTHING;
  const target = await db.named(said.with, change.id);
  if (!target) return NOTHING;
  const author =
    said.kind === 'room' && said.occupant && target.occupant
      ? said.occupant === target.occupant
      : said.from === target.from || (mine && target.mine);
  const altered: Message = { ...target };
  switch (change.kind) {
    case 'replace':
      if (!author || said.body === undefined) return NOTHING;
      Object.assign(altered, { body: said.body, edited: true });
      break;
    case 'react':
      altered.reactions = react(target.reactions, mine ? 'me' : said.from, change.emojis);
      break;
    case 'retract':
      if (!author && change.by === undefined) return NOTHING;
      altered.gone = { by: change.by, reason: change.reason };
      break;
  }
  return { changed: [altered], replaced: [] };
}

/** A message came back. */
async function refuse(db: Database, said: Said): Promise<Outcome> {
  const target = said.id ? await db.named(said.with, said.id) : undefined;
  if (!target?.mine) return NOTHING;
  return { changed: [{ ...target, state: 'failed', error: said.error }], replaced: [] };
}

/** Each person's newest reactions stand instead of their earlier ones (XEP-0444 §4). */
export function react(
  before: Record<string, string[]> | undefined,
  who: string,
  emojis: string[],
): Record<string, string[]> {
  const after: Record<string, string[]> = {};
  for (const [emoji, people] of Object.entries(before ?? {})) {
    const rest = people.filter((each) => each !== who);
    if (rest.length > 0) after[emoji] = rest;
  }
  for (const emoji of new Set(emojis)) (after[emoji] ??= []).push(who);
  return after;
}
