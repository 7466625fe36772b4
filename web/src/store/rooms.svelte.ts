/** The rooms that this account is in (XEP-0045): who is there, and what one may do. */

import { SvelteMap } from 'svelte/reactivity';

import { bare, resource } from '../xmpp/jid';
import { NS } from '../xmpp/ns';
import { errorText } from '../xmpp/message';
import type { Stream } from '../xmpp/stream';
import { attr, child, children, el, submit, text } from '../xmpp/xml';

export interface Occupant {
  nick: string;
  /** The true address, where the room shows it. */
  jid?: string | undefined;
  id?: string | undefined;
  role: string;
  affiliation: string;
  show: string;
  hats: string[];
}

export class Room {
  readonly jid: string;
  nick = $state('');
  /** Whether the own presence has come back. */
  inside = $state(false);
  /** Why one is not inside, in words. */
  trouble = $state<string | undefined>();
  readonly occupants = new SvelteMap<string, Occupant>();

  constructor(jid: string, nick: string) {
    this.jid = jid;
    this.nick = nick;
  }

  get me(): Occupant | undefined {
    return this.occupants.get(this.nick);
  }
}

export class Rooms {
  readonly all = new SvelteMap<string, Room>();
  readonly #stream: Stream;
  readonly #entered: (room: Room) => void;

  constructor(stream: Stream, entered: (room: Room) => void) {
    this.#stream = stream;
    this.#entered = entered;
  }

  /** Goes in. History comes from the archive, so the room need not send any. */
  enter(jid: string, nick: string, password?: string): Room {
    const room = this.all.get(jid) ?? new Room(jid, nick);
    room.nick = nick;
    room.trouble = undefined;
    this.all.set(jid, room);
    const secret = password !== undefined && el('password', NS.muc, {}, password);
    const x = el('x', NS.muc, {}, el('history', NS.muc, { maxchars: 0 }), secret);
    this.#stream.send(el('presence', NS.client, { to: `${jid}/${nick}` }, x));
    return room;
  }

  leave(jid: string): void {
    const room = this.all.get(jid);
    if (!room) return;
    this.#stream.send(el('presence', NS.client, { to: `${jid}/${room.nick}`, type: 'unavailable' }));
    this.all.delete(jid);
  }

  /** The connection began anew, so one is nowhere. */
  reset(): void {
    for (const room of this.all.values()) {
      room.inside = false;
      room.occupants.clear();
    }
  }

  /** Takes a presence if it is a room's. */
  take(stanza: Element): boolean {
    const from = attr(stanza, 'from') ?? '';
    const room = this.all.get(bare(from));
    if (!room) return false;
    const nick = resource(from);
    const type = attr(stanza, 'type') ?? '';
    if (type === 'error') {
      if (!room.inside) room.trouble = errorText(stanza);
      return true;
    }
    const x = child(stanza, 'x', NS.mucUser);
    const codes = children(x, 'status', NS.mucUser).map((status) => attr(status, 'code'));
    const item = child(x, 'item', NS.mucUser);
    const mine = codes.includes('110');
    if (type === 'unavailable') {
      room.occupants.delete(nick);
      if (mine && codes.includes('303')) room.nick = attr(item, 'nick') ?? room.nick;
      else if (mine) {
        room.inside = false;
        room.occupants.clear();
        room.trouble = text(item, 'reason', NS.mucUser) ?? departure(codes, x);
      }
      return true;
    }
    room.occupants.set(nick, {
      nick,
      jid: attr(item, 'jid'),
      id: attr(child(stanza, 'occupant-id', NS.occupantId), 'id'),
      role: attr(item, 'role') ?? 'none',
      affiliation: attr(item, 'affiliation') ?? 'none',
      show: text(stanza, 'show', NS.client) ?? '',
      hats: children(child(stanza, 'hats', NS.hats), 'hat', NS.hats).map((hat) => attr(hat, 'title') ?? ''),
    });
    if (mine) {
      room.nick = nick;
      const first = !room.inside;
      room.inside = true;
      room.trouble = undefined;
      if (first) this.#entered(room);
    }
    return true;
  }

  /** Makes a room and goes in. It keeps its members-only default; `name` is what people see. */
  async create(jid: string, nick: string, settings: { name: string; open: boolean }): Promise<void> {
    const room = this.enter(jid, nick);
    await until(() => room.inside || room.trouble !== undefined);
    if (room.trouble) throw new Error(room.trouble);
    const form = submit('http://jabber.org/protocol/muc#roomconfig', {
      'muc#roomconfig_roomname': settings.name,
      'muc#roomconfig_persistentroom': '1',
      'muc#roomconfig_membersonly': settings.open ? '0' : '1',
      'muc#roomconfig_publicroom': settings.open ? '1' : '0',
    });
    await this.#stream.ask('set', el('query', NS.mucOwner, {}, form), jid);
  }

  /** Makes somebody a member and tells them (XEP-0045 §9.3, XEP-0249). */
  async invite(jid: string, person: string, reason?: string): Promise<void> {
    const me = this.all.get(jid)?.me;
    if (me && (me.affiliation === 'owner' || me.affiliation === 'admin')) {
      const item = el('item', NS.mucAdmin, { affiliation: 'member', jid: person });
      await this.#stream.ask('set', el('query', NS.mucAdmin, {}, item), jid);
    }
    const invite = el(
      'invite',
      NS.mucUser,
      { to: person },
      reason ? el('reason', NS.mucUser, {}, reason) : undefined,
    );
    this.#stream.send(el('message', NS.client, { to: jid }, el('x', NS.mucUser, {}, invite)));
  }

  /** Changes somebody's role or affiliation (XEP-0045 §8, §9). */
  async set(
    jid: string,
    change: { nick?: string; jid?: string; role?: string; affiliation?: string; reason?: string },
  ) {
    const { reason, ...attributes } = change;
    const item = el(
      'item',
      NS.mucAdmin,
      attributes,
      reason ? el('reason', NS.mucAdmin, {}, reason) : undefined,
    );
    await this.#stream.ask('set', el('query', NS.mucAdmin, {}, item), jid);
  }

  setSubject(jid: string, subject: string): void {
    const content = el('subject', NS.client, {}, subject);
    this.#stream.send(el('message', NS.client, { to: jid, type: 'groupchat' }, content));
  }
}

function departure(codes: (string | undefined)[], x: Element | undefined): string | undefined {
  if (child(x, 'destroy', NS.mucUser)) return 'destroyed';
  if (codes.includes('301')) return 'banned';
  if (codes.includes('307')) return 'kicked';
  if (codes.includes('321') || codes.includes('322')) return 'not a member any more';
  if (codes.includes('332')) return 'restarting';
  return undefined;
}

async function until(holds: () => boolean, seconds = 15): Promise<void> {
  for (let tries = 0; tries < seconds * 20 && !holds(); tries++) {
    await new Promise((next) => setTimeout(next, 50));
  }
}
