/** What a `<message/>` says, taken out of its XML once. Pure: no connection, no store. */

import { bare, resource } from './jid';
import { NS } from './ns';
import { attr, child, children, text } from './xml';

/** A message that came by itself, as a carbon copy or out of an archive. */
export interface Said {
  kind: 'chat' | 'room' | 'private';
  /** The conversation: the other person, the room, or the occupant in the room. */
  with: string;
  /** The bare address of a person, or the full address of an occupant. */
  from: string;
  /** Whether this account said it. In rooms only the room knows, see `occupant`. */
  mine: boolean;
  /** In rooms: the stable id of who speaks (XEP-0421). */
  occupant?: string | undefined;
  /** The id that its sender gave it. */
  id?: string | undefined;
  /** Its name in the archive (XEP-0359). */
  archive?: string | undefined;
  time: number;
  body?: string | undefined;
  subject?: string | undefined;
  change?: Change | undefined;
  reply?: { id: string; to?: string | undefined } | undefined;
  /** A file's address (XEP-0066). */
  link?: string | undefined;
  state?: ChatState | undefined;
  /** A receipt (XEP-0184) or marker (XEP-0333) for an earlier message. */
  mark?: { kind: 'received' | 'displayed'; id: string } | undefined;
  /** Reactions that a history in its present state carries along: who, and with what. */
  reactions?: Record<string, string[]> | undefined;
  edited?: boolean | undefined;
  /** An invitation to a room (XEP-0249, XEP-0045 §7.8). */
  invitation?: { room: string; by?: string | undefined; reason?: string | undefined } | undefined;
  wantsReceipt: boolean;
  error?: string | undefined;
}

export type ChatState = 'active' | 'composing' | 'paused' | 'inactive' | 'gone';

/** What a message does to an earlier one. */
export type Change =
  | { kind: 'replace'; id: string }
  | { kind: 'react'; id: string; emojis: string[] }
  | { kind: 'retract'; id: string; by?: string | undefined; reason?: string | undefined }
  /** The tombstone that stands where a message was. */
  | { kind: 'gone'; by?: string | undefined; reason?: string | undefined };

/** What stands around a message. */
interface Around {
  /** The own bare address. */
  me: string;
  /** When it was delivered, if not now. */
  time?: number;
  /** The archive's name for it. */
  archive?: string;
  /** The archive that it comes out of, if that is a room's. */
  room?: string;
}

/** Reads a message; `undefined` if it says nothing to people. */
export function read(stanza: Element, around: Around): Said | undefined {
  const { me } = around;
  const from = attr(stanza, 'from') ?? me;
  const to = attr(stanza, 'to') ?? me;
  const type = attr(stanza, 'type') ?? 'normal';
  const mine = bare(from) === me;
  const inRoom = type === 'groupchat';
  const other = mine ? to : from;
  const isPrivate = !inRoom && child(stanza, 'x', NS.mucUser) !== undefined && resource(other) !== '';
  const kind = inRoom ? 'room' : isPrivate ? 'private' : 'chat';
  const partner = kind === 'private' ? other : bare(inRoom ? from : other);
  const ids = children(stanza, 'stanza-id', NS.sid);
  const archiver = inRoom ? bare(from) : me;
  const named = ids.find((id) => attr(id, 'by') === archiver);
  const delay = attr(child(stanza, 'delay', NS.delay), 'stamp');
  const said: Said = {
    kind,
    with: partner,
    from: inRoom || kind === 'private' ? from : bare(from),
    mine: !inRoom && mine,
    occupant: attr(child(stanza, 'occupant-id', NS.occupantId), 'id'),
    id: attr(stanza, 'id'),
    archive: around.archive ?? attr(named, 'id'),
    time: around.time ?? (delay ? Date.parse(delay) : NaN),
    body: text(stanza, 'body', NS.client),
    subject: text(stanza, 'subject', NS.client),
    change: change(stanza),
    reply: reply(stanza),
    link: text(child(stanza, 'x', NS.oob), 'url', NS.oob),
    state: state(stanza),
    mark: mark(stanza),
    reactions: reactions(stanza),
    edited: child(stanza, 'edited', NS.present) !== undefined,
    invitation: invitation(stanza),
    wantsReceipt: child(stanza, 'request', NS.receipts) !== undefined,
  };
  if (Number.isNaN(said.time)) said.time = Date.now();
  if (type === 'error') said.error = errorText(stanza);
  if (said.body !== undefined && said.reply) said.body = withoutFallback(stanza, said.body, NS.reply);
  return said;
}

function change(stanza: Element): Change | undefined {
  const gone = child(stanza, 'retracted', NS.retract);
  if (gone) {
    const moderated = child(gone, 'moderated', NS.moderate);
    return { kind: 'gone', by: attr(moderated, 'by'), reason: text(gone, 'reason', NS.retract) };
  }
  const retract = child(stanza, 'retract', NS.retract);
  const retracts = attr(retract, 'id');
  if (retract && retracts) {
    const moderated = child(retract, 'moderated', NS.moderate);
    const reason = text(retract, 'reason', NS.retract) ?? text(retract, 'reason', NS.moderate);
    return {
      kind: 'retract',
      id: retracts,
      by: moderated ? (attr(moderated, 'by') ?? '') : undefined,
      reason,
    };
  }
  const reacts = child(stanza, 'reactions', NS.reactions);
  const about = attr(reacts, 'id');
  if (reacts && about) {
    const emojis = children(reacts, 'reaction', NS.reactions).map((each) => each.textContent ?? '');
    return { kind: 'react', id: about, emojis: emojis.filter((emoji) => emoji !== '') };
  }
  const replaces = attr(child(stanza, 'replace', NS.correct), 'id');
  return replaces ? { kind: 'replace', id: replaces } : undefined;
}

/** In a history in its present state, reactions stand beside each other, each with who gave it. */
function reactions(stanza: Element): Record<string, string[]> | undefined {
  const all = children(stanza, 'reactions', NS.present);
  if (all.length === 0) return undefined;
  const given: Record<string, string[]> = {};
  for (const each of all) {
    for (const reaction of children(each, 'reaction', NS.present)) {
      const emoji = reaction.textContent ?? '';
      (given[emoji] ??= []).push(attr(each, 'from') ?? '');
    }
  }
  return given;
}

function reply(stanza: Element): Said['reply'] {
  const element = child(stanza, 'reply', NS.reply);
  const id = attr(element, 'id');
  return id ? { id, to: attr(element, 'to') } : undefined;
}

function state(stanza: Element): ChatState | undefined {
  const names: ChatState[] = ['active', 'composing', 'paused', 'inactive', 'gone'];
  return names.find((name) => child(stanza, name, NS.states));
}

function mark(stanza: Element): Said['mark'] {
  const received =
    attr(child(stanza, 'received', NS.receipts), 'id') ?? attr(child(stanza, 'received', NS.markers), 'id');
  if (received) return { kind: 'received', id: received };
  const displayed = attr(child(stanza, 'displayed', NS.markers), 'id');
  return displayed ? { kind: 'displayed', id: displayed } : undefined;
}

function invitation(stanza: Element): Said['invitation'] {
  const direct = child(stanza, 'x', NS.conference);
  const room = attr(direct, 'jid');
  if (room) return { room, by: attr(stanza, 'from'), reason: attr(direct, 'reason') };
  const invite = child(child(stanza, 'x', NS.mucUser), 'invite', NS.mucUser);
  if (!invite) return undefined;
  const reason = text(invite, 'reason', NS.mucUser);
  return { room: bare(attr(stanza, 'from') ?? ''), by: attr(invite, 'from'), reason };
}

/** Takes out of a body what stands there for clients that know less (XEP-0428). Positions count code points. */
function withoutFallback(stanza: Element, body: string, ns: string): string {
  const fallback = children(stanza, 'fallback', NS.fallback).find((each) => attr(each, 'for') === ns);
  if (!fallback) return body;
  const range = child(fallback, 'body', NS.fallback);
  const points = Array.from(body);
  const start = Number(attr(range, 'start') ?? 0);
  const end = Number(attr(range, 'end') ?? points.length);
  return [...points.slice(0, start), ...points.slice(end)].join('');
}

/** What an error stanza says to people, or the name of its condition. */
export function errorText(stanza: Element): string {
  const error = child(stanza, 'error', NS.client);
  const condition = Array.from(error?.children ?? []).find(
    (each) => each.namespaceURI === NS.stanzas && each.localName !== 'text',
  );
  return text(error, 'text', NS.stanzas) ?? condition?.localName ?? 'error';
}
