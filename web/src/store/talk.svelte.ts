/** Conversations: what was said, what is unread, and saying something. */

import { SvelteMap } from 'svelte/reactivity';

import { page, take as takePage, type Archived, type Query } from '../xmpp/history';
import { bare, local, resource } from '../xmpp/jid';
import { read, type Said } from '../xmpp/message';
import { NS } from '../xmpp/ns';
import { privately } from '../xmpp/pep';
import type { Stream } from '../xmpp/stream';
import { attr, child, el } from '../xmpp/xml';
import type { Conversation, Database, Message } from './db';
import { fold, react } from './fold';
import { mentions } from './mention';
import type { Rooms } from './rooms.svelte';
import { Thread } from './thread.svelte';

/** Messages read at sign-in to an empty browser, and the most that catching up reads before starting afresh. */
const FIRST = 100;
const MOST_TO_CATCH_UP = 2000;
const PAGE = 100;

export interface Means {
  stream: Stream;
  db: Database;
  rooms: Rooms;
  me: string;
  /** Something arrived that its reader might want to hear of. */
  announce(conversation: Conversation, message: Message): void;
}

export class Talk {
  readonly conversations = new SvelteMap<string, Conversation>();
  /** Conversations in the order of the list. */
  readonly list = $derived([...this.conversations.values()].sort((a, b) => b.time - a.time));
  readonly #threads = new Map<string, Thread>();
  /** Conversations that are on the screen and looked at. */
  readonly #watched = new Map<string, number>();
  readonly #typing = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #means: Means;
  /** Ids that went into the stream: it delivers them itself, also when it resumes. */
  readonly #transmitted = new Set<string>();
  #cursor: string | undefined;
  #caughtUp = false;
  /** Stanzas are taken one after the other, in the order that they came in. */
  #queue: Promise<unknown> = Promise.resolve();

  constructor(means: Means) {
    this.#means = means;
  }

  async load(): Promise<void> {
    const { db } = this.#means;
    for (const each of await db.conversations()) this.conversations.set(each.jid, each);
    this.#cursor = await db.note<string>('cursor');
  }

  /** The window over a conversation, made when it is first wanted. */
  thread(jid: string): Thread {
    let thread = this.#threads.get(jid);
    if (!thread) {
      thread = new Thread(jid, this.#means.db, (conversation) => this.#fetchOlder(conversation));
      this.#threads.set(jid, thread);
      void thread.newest();
    }
    return thread;
  }

  /** The conversation of an address, begun if there was none. */
  async open(
    jid: string,
    kind: Conversation['kind'] = 'chat',
    more: Partial<Conversation> = {},
  ): Promise<Conversation> {
    const known = this.conversations.get(jid);
    if (known) {
      // Who is known as a room does not become a person by being spoken to.
      const better = kind === 'chat' ? more : { kind, ...more };
      const changes = Object.entries(better).some(
        ([name, value]) => known[name as keyof Conversation] !== value,
      );
      return changes ? await this.#keep({ ...known, ...better }) : known;
    }
    const blank = { time: Date.now(), excerpt: '', unread: 0, mentions: 0, draft: '', read: 0 };
    return await this.#keep({ jid, kind, ...blank, ...more });
  }

  /** Changes what is kept of a conversation. */
  async change(jid: string, change: Partial<Conversation>): Promise<Conversation> {
    const known = this.conversations.get(jid);
    return known ? await this.#keep({ ...known, ...change }) : await this.open(jid, 'chat', change);
  }

  async #keep(conversation: Conversation): Promise<Conversation> {
    this.conversations.set(conversation.jid, conversation);
    await this.#means.db.putConversation(conversation);
    return conversation;
  }

  /** Takes a conversation off the list; its messages stay in the archive. */
  async hide(jid: string): Promise<void> {
    this.conversations.delete(jid);
    this.#threads.delete(jid);
    await this.#means.db.removeConversation(jid);
  }

  // What comes in

  /** Takes a message stanza of any kind. */
  take(stanza: Element): void {
    if (takePage(stanza)) return;
    const { me } = this.#means;
    const carbon = child(stanza, 'received', NS.carbons) ?? child(stanza, 'sent', NS.carbons);
    if (carbon) {
      // Only the own server sends copies (XEP-0280 §11).
      if (bare(attr(stanza, 'from') ?? me) !== me) return;
      const inner = child(child(carbon, 'forwarded', NS.forward), 'message', NS.client);
      if (inner) this.#later(() => this.#receive(inner, true));
    } else this.#later(() => this.#receive(stanza, true));
  }

  #later(work: () => Promise<unknown>): void {
    this.#queue = this.#queue.then(work, work);
  }

  async #receive(stanza: Element, live: boolean, archived?: Archived): Promise<void> {
    const { me } = this.#means;
    const said = read(stanza, archived ? { me, archive: archived.archive, time: archived.time } : { me });
    if (!said || said.with === me.slice(me.indexOf('@') + 1)) return;
    if (said.invitation && !said.mine) await this.#invited(said);
    if (said.kind === 'room' && said.subject !== undefined && said.body === undefined) {
      await this.open(said.with, 'room', { subject: said.subject || undefined });
      return;
    }
    if (said.mark) await this.#mark(said);
    if (live && said.state) this.#setTyping(said);
    const mine = said.mine || this.#isMine(said);
    const { changed, replaced, fresh } = await fold(this.#means.db, said, mine);
    if (changed.length > 0) {
      await this.#means.db.put(changed, replaced);
      this.#threads.get(said.with)?.take(changed, replaced);
    }
    if (fresh) await this.#count(said, fresh, live);
    if (live && this.#caughtUp && said.archive && said.kind !== 'room') await this.#move(said.archive);
    if (live && fresh && said.wantsReceipt && said.kind === 'chat' && !mine && said.id) {
      const receipt = el('received', NS.receipts, { id: said.id });
      this.#means.stream.send(el('message', NS.client, { to: said.from, type: 'chat' }, receipt));
    }
  }

  #isMine(said: Said): boolean {
    if (said.kind !== 'room') return false;
    const room = this.#means.rooms.all.get(said.with);
    const own = room?.me?.id;
    return own !== undefined && said.occupant !== undefined
      ? said.occupant === own
      : resource(said.from) === room?.nick;
  }

  async #count(said: Said, message: Message, live: boolean): Promise<void> {
    const kind = said.kind === 'room' ? 'room' : said.kind === 'private' ? 'private' : 'chat';
    const conversation = await this.open(said.with, kind);
    const newest = message.time >= conversation.time || conversation.excerpt === '';
    const change: Partial<Conversation> = newest ? { time: message.time, excerpt: excerpt(message) } : {};
    const watched = (this.#watched.get(said.with) ?? 0) > 0 && document.hasFocus();
    if (message.mine)
      Object.assign(change, { read: Math.max(conversation.read, message.time), unread: 0, mentions: 0 });
    else if (watched && live) void this.see(said.with, message);
    else if (message.time > conversation.read) {
      change.unread = conversation.unread + 1;
      const nick = this.#means.rooms.all.get(said.with)?.nick ?? local(this.#means.me);
      if (kind !== 'room' || mentions(message.body, nick)) change.mentions = conversation.mentions + 1;
    }
    const kept = await this.change(said.with, change);
    if (live && !message.mine && !watched) this.#means.announce(kept, message);
  }

  async #invited(said: Said): Promise<void> {
    const { room, by, reason } = said.invitation ?? { room: '' };
    if (!room || this.conversations.get(room)?.joined) return;
    await this.open(room, 'room', { joined: false, excerpt: reason ?? '', time: said.time, unread: 1 });
    this.invitations.set(room, { by: by ? bare(by) : '', reason });
  }

  /** Rooms that this account is invited to. */
  readonly invitations = new SvelteMap<string, { by: string; reason?: string | undefined }>();

  async #mark(said: Said): Promise<void> {
    const { mark } = said;
    if (!mark || said.kind === 'room') return;
    const target = await this.#means.db.named(said.with, mark.id);
    if (!target) return;
    if (said.mine) {
      if (!target.mine && mark.kind === 'displayed') await this.#readUpTo(said.with, target.time);
      return;
    }
    if (!target.mine || target.state === 'displayed') return;
    const earlier = await this.#means.db.slice(said.with, { before: target, limit: 20 });
    const states: Message['state'][] = ['received', 'displayed'];
    const behind = (message: Message) =>
      message.mine && states.indexOf(message.state) < states.indexOf(mark.kind);
    const changed = [...earlier, target]
      .filter((message) => behind(message) && message.state !== 'failed' && message.state !== 'queued')
      .map((message) => ({ ...message, state: mark.kind }));
    await this.#means.db.put(changed);
    this.#threads.get(said.with)?.take(changed);
  }

  #setTyping(said: Said): void {
    const thread = this.#threads.get(said.with);
    if (!thread || said.mine) return;
    const who = said.kind === 'chat' ? said.from : resource(said.from);
    const key = `${said.with} ${who}`;
    clearTimeout(this.#typing.get(key));
    const rest = thread.typing.filter((each) => each !== who);
    const writes = said.state === 'composing' && said.body === undefined;
    thread.typing = writes ? [...rest, who] : rest;
    if (!writes) return;
    const stop = () => (thread.typing = thread.typing.filter((each) => each !== who));
    this.#typing.set(key, setTimeout(stop, 30_000));
  }

  // Reading

  /** A conversation came onto the screen, or left it. */
  watch(jid: string, watched: boolean): void {
    this.#watched.set(jid, Math.max(0, (this.#watched.get(jid) ?? 0) + (watched ? 1 : -1)));
  }

  /** Its reader has seen a conversation up to a message. */
  async see(jid: string, message: Message): Promise<void> {
    const conversation = this.conversations.get(jid);
    if (!conversation || (conversation.read >= message.time && conversation.unread === 0)) return;
    await this.change(jid, { read: Math.max(conversation.read, message.time), unread: 0, mentions: 0 });
    const { stream } = this.#means;
    if (stream.link !== 'online') return;
    if (conversation.kind === 'chat' && message.id && !message.mine) {
      const marker = el('displayed', NS.markers, { id: message.id });
      stream.send(el('message', NS.client, { to: jid, type: 'chat' }, marker));
    }
    if (message.archive)
      await this.#publishRead(jid, conversation.kind, message.archive).catch(() => undefined);
  }

  /** Tells one's other devices (XEP-0490). */
  async #publishRead(jid: string, kind: Conversation['kind'], archive: string): Promise<void> {
    const by = kind === 'room' ? jid : this.#means.me;
    const displayed = el('displayed', NS.displayed, {}, el('stanza-id', NS.sid, { id: archive, by }));
    await privately(this.#means.stream, NS.displayed, jid, displayed);
  }

  /** Another device has read up to a message. */
  async takeRead(jid: string, archive: string): Promise<void> {
    const target = await this.#means.db.named(jid, archive);
    if (target) await this.#readUpTo(jid, target.time);
  }

  async #readUpTo(jid: string, time: number): Promise<void> {
    const conversation = this.conversations.get(jid);
    if (!conversation || conversation.read >= time) return;
    const rest = await this.#means.db.slice(jid, { limit: 100 });
    const unread = rest.filter((message) => !message.mine && message.time > time).length;
    await this.change(jid, { read: time, unread, mentions: Math.min(conversation.mentions, unread) });
  }

  // History

  /** The stream goes on where it was; what was said meanwhile goes out. */
  async resumed(): Promise<void> {
    for (const message of await this.#means.db.queued()) this.#transmit(message);
  }

  /** Reads what was said while this browser was away. */
  async catchUp(): Promise<void> {
    const { stream, db } = this.#means;
    this.#transmitted.clear();
    if (this.#cursor !== undefined) {
      let read = 0;
      for (let complete = false; !complete;) {
        const next: { complete: boolean; items: Archived[] } | undefined = await page(stream, {
          after: this.#cursor,
          limit: PAGE,
        }).catch(() => undefined);
        if (!next) return;
        await this.#takeAll(next.items);
        const last = next.items.at(-1);
        if (last) await this.#move(last.archive);
        complete = next.complete || next.items.length === 0;
        read += next.items.length;
        if (!complete && read >= MOST_TO_CATCH_UP) {
          await this.#startAfresh();
          break;
        }
      }
    } else await this.#startAfresh();
    this.#caughtUp = true;
    for (const message of await db.queued()) this.#transmit(message);
  }

  async #startAfresh(): Promise<void> {
    const { stream, db } = this.#means;
    const queued = await db.queued();
    await db.forgetMessages();
    await db.put(queued);
    for (const conversation of this.conversations.values()) {
      await this.change(conversation.jid, { oldest: undefined, complete: false });
    }
    const first = await page(stream, { before: '', limit: FIRST, present: true });
    await this.#takeAll(first.items);
    const last = first.items.at(-1);
    await db.setNote('start', first.items[0]?.archive);
    if (last) await this.#move(last.archive);
  }

  async #move(archive: string): Promise<void> {
    this.#cursor = archive;
    await this.#means.db.setNote('cursor', archive);
  }

  async #takeAll(items: Archived[]): Promise<void> {
    const work = this.#queue.then(async () => {
      for (const item of items) await this.#receive(item.stanza, false, item);
    });
    this.#queue = work;
    await work;
  }

  /** Reads what was said in a room while one was not in it. */
  async catchUpRoom(jid: string): Promise<void> {
    const { stream, db } = this.#means;
    const newest = (await db.slice(jid, { limit: PAGE })).findLast((message) => message.archive);
    let after = newest?.archive;
    if (after === undefined) {
      const first = await page(stream, { archive: jid, before: '', limit: 50, present: true });
      await this.#takeAll(first.items);
      return;
    }
    for (let complete = false; !complete;) {
      const next: { complete: boolean; items: Archived[] } = await page(stream, {
        archive: jid,
        after,
        limit: PAGE,
      });
      await this.#takeAll(next.items);
      after = next.items.at(-1)?.archive ?? after;
      complete = next.complete || next.items.length === 0;
    }
  }

  /** Reads a page before the oldest message that is here. */
  async #fetchOlder(jid: string): Promise<boolean> {
    const { stream, db } = this.#means;
    const conversation = this.conversations.get(jid);
    if (!conversation || conversation.complete || stream.link !== 'online') return false;
    const oldest =
      conversation.oldest ??
      (conversation.kind === 'room'
        ? (await db.slice(jid, { limit: 10_000 })).find((message) => message.archive)?.archive
        : await db.note<string>('start'));
    const query: Query = { before: oldest ?? '', limit: 50, present: true };
    if (conversation.kind === 'room') query.archive = jid;
    else query.with = jid;
    const older = await page(stream, query);
    await this.#takeAll(older.items);
    await this.change(jid, { oldest: older.items[0]?.archive ?? oldest, complete: older.complete });
    return older.items.length > 0;
  }

  /** The message that a reply names, as far as this browser has it. */
  async find(conversation: string, id: string): Promise<Message | undefined> {
    return await this.#means.db.named(conversation, id);
  }

  /** The newest messages of one's own archive that answer a search. */
  async search(words: string): Promise<Message[]> {
    const { stream, me } = this.#means;
    const rooms = [...this.#means.rooms.all.values()].filter((room) => room.inside).map((room) => room.jid);
    const ask = async (archive?: string) => {
      const query: Query = { words, before: '', limit: 50 };
      if (archive) query.archive = archive;
      return (await page(stream, query)).items;
    };
    const [own, ...others] = await Promise.all([ask(), ...rooms.map((room) => ask(room).catch(() => []))]);
    const found = [...own, ...others.flat()].map((item): Message | undefined => {
      const said = read(item.stanza, { me, archive: item.archive, time: item.time });
      if (said?.body === undefined) return undefined;
      const { with: conversation, time, from, occupant, id, body, link } = said;
      const mine = said.mine || this.#isMine(said);
      return {
        key: item.archive,
        archive: item.archive,
        conversation,
        time,
        from,
        mine,
        occupant,
        id,
        body,
        link,
        state: 'sent',
      };
    });
    return found.filter((message) => message !== undefined).sort((a, b) => b.time - a.time);
  }

  /** Brings a found message with its surroundings onto the screen. */
  async reveal(message: Message): Promise<void> {
    const { stream, db } = this.#means;
    const conversation = await this.open(
      message.conversation,
      message.from.includes('/') && message.conversation !== message.from ? 'room' : 'chat',
    );
    if (!(await db.message(message.key)) && message.archive) {
      const scope: Partial<Query> =
        conversation.kind === 'room' ? { archive: message.conversation } : { with: message.conversation };
      const before = await page(stream, { ...scope, before: message.archive, limit: 20, present: true });
      const after = await page(stream, { ...scope, after: message.archive, limit: 20, present: true });
      await this.#takeAll(before.items);
      await db.put([message]);
      await this.#takeAll(after.items);
    }
    await this.thread(message.conversation).around((await db.message(message.key)) ?? message);
  }

  // Saying something

  /** Says something. It is kept until the server's archive has it, over reloads and lost links. */
  async say(jid: string, body: string, more: { reply?: Message; link?: string } = {}): Promise<void> {
    const { db, me } = this.#means;
    const conversation = await this.open(jid);
    const id = crypto.randomUUID();
    const last = (await db.slice(jid, { limit: 1 }))[0];
    const message: Message = {
      key: `${jid} ${id}`,
      conversation: jid,
      // The server's clock may be ahead; what is said now is not before what was read.
      time: Math.max(Date.now(), (last?.time ?? 0) + 1),
      from:
        conversation.kind === 'chat'
          ? me
          : `${bare(jid)}/${this.#means.rooms.all.get(bare(jid))?.nick ?? local(me)}`,
      mine: true,
      id,
      body,
      link: more.link,
      reply: more.reply && nameOf(more.reply, conversation.kind),
      state: 'queued',
    };
    await db.put([message]);
    await db.setNote('queue', [...((await db.note<string[]>('queue')) ?? []), message.key]);
    this.#threads.get(jid)?.take([message]);
    await this.change(jid, {
      time: message.time,
      excerpt: excerpt(message),
      draft: '',
      unread: 0,
      mentions: 0,
    });
    if (this.#caughtUp) this.#transmit(message);
  }

  #transmit(message: Message): void {
    const { stream } = this.#means;
    const conversation = this.conversations.get(message.conversation);
    const kind = conversation?.kind ?? 'chat';
    if (stream.link !== 'online' || this.#transmitted.has(message.id ?? '')) return;
    if (kind === 'room' && !this.#means.rooms.all.get(message.conversation)?.inside) return;
    this.#transmitted.add(message.id ?? '');
    const type = kind === 'room' ? 'groupchat' : 'chat';
    const reply = message.reply && el('reply', NS.reply, { id: message.reply.id, to: message.reply.to });
    stream.send(
      el(
        'message',
        NS.client,
        { to: message.conversation, type, id: message.id },
        el('body', NS.client, {}, message.body),
        message.link !== undefined && el('x', NS.oob, {}, el('url', NS.oob, {}, message.link)),
        reply,
        kind === 'chat' && el('request', NS.receipts),
        kind === 'chat' && el('markable', NS.markers),
        el('active', NS.states),
        el('origin-id', NS.sid, { id: message.id }),
      ),
    );
  }

  /** The server has these for good. */
  stored(ids: string[]): void {
    this.#later(async () => {
      const { db } = this.#means;
      const queue = (await db.note<string[]>('queue')) ?? [];
      for (const key of queue) {
        const message = await db.message(key);
        if (message?.id === undefined || !ids.includes(message.id) || message.state !== 'queued') continue;
        const sent: Message = { ...message, state: 'sent' };
        await db.put([sent]);
        this.#threads.get(message.conversation)?.take([sent]);
      }
      const rest: string[] = [];
      for (const key of (await db.note<string[]>('queue')) ?? []) {
        if ((await db.message(key))?.state === 'queued') rest.push(key);
      }
      await db.setNote('queue', rest);
    });
  }

  /** What waits for a room goes out once one is inside. */
  async flush(jid: string): Promise<void> {
    for (const message of await this.#means.db.queued()) {
      if (message.conversation === jid) this.#transmit(message);
    }
  }

  /** Sends a failed message again. */
  async retry(message: Message): Promise<void> {
    const { db } = this.#means;
    await db.put([{ ...message, state: 'queued', error: undefined }]);
    await db.setNote('queue', [...((await db.note<string[]>('queue')) ?? []), message.key]);
    this.#threads.get(message.conversation)?.take([{ ...message, state: 'queued', error: undefined }]);
    this.#transmitted.delete(message.id ?? '');
    this.#transmit(message);
  }

  /** Says a message differently (XEP-0308). */
  correct(message: Message, body: string): void {
    const replace = el('replace', NS.correct, { id: message.id });
    this.#alter(message, [el('body', NS.client, {}, body), replace], { body, edited: true });
  }

  /** Takes a message back (XEP-0424). */
  retract(message: Message): void {
    const room = this.conversations.get(message.conversation)?.kind === 'room';
    const id = room ? message.archive : message.id;
    const words = el('body', NS.client, {}, 'This person has taken back an earlier message.');
    const fallback = el('fallback', NS.fallback, { for: NS.retract });
    this.#alter(message, [el('retract', NS.retract, { id }), fallback, words], { gone: {} });
  }

  /** Reacts with an emoji, or takes that back (XEP-0444). */
  toggleReaction(message: Message, emoji: string): void {
    const mine = Object.entries(message.reactions ?? {}).filter(([, people]) =>
      people.some((who) => this.#isMe(who, message)),
    );
    const now = mine.map(([each]) => each);
    const next = now.includes(emoji) ? now.filter((each) => each !== emoji) : [...now, emoji];
    const room = this.conversations.get(message.conversation)?.kind === 'room';
    const id = room ? message.archive : message.id;
    const given = next.map((each) => el('reaction', NS.reactions, {}, each));
    let reactions = message.reactions;
    for (const name of this.#names(message)) reactions = react(reactions, name, []);
    this.#alter(message, [el('reactions', NS.reactions, { id }, ...given)], {
      reactions: react(reactions, 'me', next),
    });
  }

  /** Whether a reaction's giver is oneself: live ones say `me`, those from the archive an address. */
  #isMe(who: string, message: Message): boolean {
    return this.#names(message).includes(who);
  }

  #names(message: Message): string[] {
    const room = this.#means.rooms.all.get(message.conversation);
    return [
      'me',
      this.#means.me,
      ...(room ? [`${room.jid}/${room.nick}`] : []),
      ...(this.#means.stream.address ? [this.#means.stream.address] : []),
    ];
  }

  reacted(who: string, message: Message): boolean {
    return this.#isMe(who, message);
  }

  #alter(message: Message, content: Element[], change: Partial<Message>): void {
    const room = this.conversations.get(message.conversation)?.kind === 'room';
    const id = crypto.randomUUID();
    const to = { to: message.conversation, type: room ? 'groupchat' : 'chat', id };
    this.#means.stream.send(el('message', NS.client, to, ...content));
    this.#later(async () => {
      const altered = { ...message, ...change };
      await this.#means.db.put([altered]);
      this.#threads.get(message.conversation)?.take([altered]);
    });
  }

  /** Tells the other side whether one is writing (XEP-0085). */
  composing(jid: string, state: 'composing' | 'paused' | 'active'): void {
    const { stream } = this.#means;
    const kind = this.conversations.get(jid)?.kind;
    if (stream.link !== 'online') return;
    const type = kind === 'room' ? 'groupchat' : 'chat';
    stream.send(el('message', NS.client, { to: jid, type }, el(state, NS.states)));
  }
}

/** What a reply names a message by (XEP-0461 §3.1). */
function nameOf(message: Message, kind: Conversation['kind']): Message['reply'] {
  const id = kind === 'room' ? message.archive : (message.id ?? message.archive);
  return id === undefined ? undefined : { id, to: message.from };
}

function excerpt(message: Message): string {
  return (message.gone ? '' : message.body).slice(0, 120);
}
