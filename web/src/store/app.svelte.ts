/** Everything of one signed-in person, wired together. */

import { caps, info } from '../xmpp/caps';
import { bare, domain, local } from '../xmpp/jid';
import { NS } from '../xmpp/ns';
import { items, privately, retract } from '../xmpp/pep';
import { Stream, type Link } from '../xmpp/stream';
import { attr, child, children, el, submit, text } from '../xmpp/xml';
import { Database, type Conversation, type Message } from './db';
import { Layout } from './layout.svelte';
import { Notices } from './notices.svelte';
import { People } from './people.svelte';
import { Rooms, type Room } from './rooms.svelte';
import { Talk } from './talk.svelte';
import { Uploads } from './uploads.svelte';

export interface Account {
  jid: string;
  /** How the person is called. */
  name?: string | undefined;
  password?: string | undefined;
}

/** Where XMPP over WebSocket is, beside this page. */
function door(): string {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return `${scheme}://${location.host}/xmpp-websocket`;
}

export class App {
  readonly me: string;
  readonly #myName: string;
  link = $state<Link>('offline');
  /** Whether this page has been up to date since it was opened. */
  ready = $state(false);
  readonly people: People;
  readonly rooms: Rooms;
  readonly talk: Talk;
  readonly uploads: Uploads;
  readonly notices: Notices;
  readonly layout: Layout;
  readonly #stream: Stream;
  readonly #db: Database;
  readonly #refused: (reason: string) => void;

  private constructor(account: Account, db: Database, refused: (reason: string) => void) {
    this.me = account.jid;
    this.#myName = account.name ?? local(account.jid);
    this.#db = db;
    this.#refused = refused;
    this.#stream = new Stream(door(), {
      onLink: (link, resumed) => void this.#linked(link, resumed),
      onRefused: (reason) => this.#refused(reason),
      onMessage: (stanza) => this.#message(stanza),
      onPresence: (stanza) => {
        if (!this.rooms.take(stanza)) this.people.take(stanza);
      },
      onRequest: (stanza) => this.#request(stanza),
      onStored: (ids) => this.talk.stored(ids),
    });
    this.people = new People(this.#stream, db, this.me);
    this.rooms = new Rooms(this.#stream, (room) => void this.#entered(room));
    this.notices = new Notices();
    this.layout = new Layout();
    this.talk = new Talk({
      stream: this.#stream,
      db,
      rooms: this.rooms,
      me: this.me,
      announce: (conversation, message) => this.#announce(conversation, message),
    });
    this.uploads = new Uploads(this.#stream, domain(this.me));
  }

  /** Shows what was kept of an account, and connects. */
  static async start(account: Account, refused: (reason: string) => void): Promise<App> {
    const app = new App(account, await Database.open(account.jid), refused);
    await Promise.all([app.people.load(), app.talk.load()]);
    app.#stream.open({ account: account.jid, password: account.password });
    return app;
  }

  /** Ends the session; `forget` also removes what the browser keeps. */
  async leave(forget: boolean): Promise<void> {
    this.#stream.close();
    this.#db.close();
    if (forget) await Database.forget(this.me);
  }

  /** How an address is called: a contact's name, a room's name, or an occupant's nickname. */
  name(jid: string): string {
    const conversation = this.talk.conversations.get(jid);
    if (conversation?.kind === 'private') return jid.slice(jid.indexOf('/') + 1);
    return conversation?.name ?? (jid === this.me ? this.#myName : this.people.name(jid));
  }

  /** Who said a message. */
  author(message: Message): string {
    const kind = this.talk.conversations.get(message.conversation)?.kind;
    if (kind === 'chat' || kind === undefined) return this.people.name(message.from);
    const nick = message.from.slice(message.from.indexOf('/') + 1);
    const true_ = this.rooms.all.get(message.conversation)?.occupants.get(nick)?.jid;
    return true_ ? (this.people.contacts.get(bare(true_))?.name ?? nick) : nick;
  }

  /** What the colour of a message's author follows from: the person where they are known, else the nickname. */
  seed(message: Message): string {
    if (message.mine) return this.me;
    const nick = message.from.slice(message.from.indexOf('/') + 1);
    const known = this.rooms.all.get(message.conversation)?.occupants.get(nick)?.jid;
    return known ? bare(known) : message.from.includes('/') ? `${nick}@${domain(this.me)}` : message.from;
  }

  /** Whether an address is outside the company. */
  outside(jid: string): boolean {
    const own = domain(this.me);
    const other = domain(jid);
    return other !== own && !other.endsWith(`.${own}`);
  }

  async #linked(link: Link, resumed: boolean): Promise<void> {
    this.link = link;
    if (link !== 'online') return;
    if (resumed) return await this.talk.resumed();
    try {
      this.rooms.reset();
      const [card] = await Promise.all([caps(), this.#stream.ask('set', el('enable', NS.carbons))]);
      await this.people.arrive(card);
      await this.talk.catchUp();
      await this.#bookmarks();
      this.ready = true;
      await Promise.all([this.uploads.find(), this.#marks()]);
    } catch {
      // The link went away again; the next one starts anew.
    }
  }

  /** Rooms that the account wants to be in (XEP-0402). */
  async #bookmarks(): Promise<void> {
    for (const item of await items(this.#stream, NS.bookmarks)) await this.#bookmark(item);
  }

  async #bookmark(item: Element): Promise<void> {
    const jid = attr(item, 'id');
    const conference = child(item, 'conference', NS.bookmarks);
    if (!jid || !conference) return;
    const nick = text(conference, 'nick', NS.bookmarks) ?? local(this.me);
    const name = attr(conference, 'name') ?? local(jid);
    const wanted = ['true', '1'].includes(attr(conference, 'autojoin') ?? '');
    if (!wanted) {
      if (this.talk.conversations.get(jid)?.joined) await this.talk.change(jid, { joined: false });
      return;
    }
    const known = this.talk.conversations.get(jid);
    await this.talk.open(jid, 'room', { name, nick, joined: true, ...(known ? {} : { time: 0 }) });
    if (!this.rooms.all.get(jid)?.inside)
      this.rooms.enter(jid, nick, text(conference, 'password', NS.bookmarks));
  }

  /** How far other devices have read. */
  async #marks(): Promise<void> {
    for (const item of await items(this.#stream, NS.displayed)) await this.#marked(item);
  }

  async #marked(item: Element): Promise<void> {
    const archive = attr(child(child(item, 'displayed', NS.displayed), 'stanza-id', NS.sid), 'id');
    const jid = attr(item, 'id');
    if (jid && archive) await this.talk.takeRead(jid, archive);
  }

  async #entered(room: Room): Promise<void> {
    try {
      await this.talk.catchUpRoom(room.jid);
      await this.talk.flush(room.jid);
    } catch {
      // A room that keeps no archive has no history to show.
    }
  }

  /** Goes into a room and stays there over sign-outs, on all devices. */
  async join(jid: string, known?: string): Promise<void> {
    const nick = local(this.me);
    const name = known ?? (await this.#roomName(jid));
    await this.talk.open(jid, 'room', { name, nick, joined: true });
    this.talk.invitations.delete(jid);
    this.rooms.enter(jid, nick);
    await this.#keepRoom(jid, name, nick);
    this.layout.show(jid);
  }

  /** What a room calls itself. */
  async #roomName(jid: string): Promise<string> {
    const answer = await this.#stream.ask('get', el('query', NS.discoInfo), jid).catch(() => undefined);
    const identity = child(child(answer, 'query', NS.discoInfo), 'identity', NS.discoInfo);
    return attr(identity, 'name') || local(jid);
  }

  async createRoom(name: string, open: boolean, people: string[]): Promise<void> {
    const plain = name
      .normalize('NFKD')
      .replace(/[^\p{L}\p{N}]+/gu, '-')
      .replace(/^-+|-+$/g, '')
      .toLowerCase();
    const jid = `${plain || crypto.randomUUID().slice(0, 8)}@conference.${domain(this.me)}`;
    const nick = local(this.me);
    await this.rooms.create(jid, nick, { name, open });
    await this.talk.open(jid, 'room', { name, nick, joined: true, time: Date.now() });
    await this.#keepRoom(jid, name, nick);
    for (const person of people) await this.rooms.invite(jid, person);
    this.layout.show(jid);
  }

  async #keepRoom(jid: string, name: string, nick: string): Promise<void> {
    const conference = el(
      'conference',
      NS.bookmarks,
      { name, autojoin: 'true' },
      el('nick', NS.bookmarks, {}, nick),
    );
    await privately(this.#stream, NS.bookmarks, jid, conference);
  }

  async leaveRoom(jid: string): Promise<void> {
    this.rooms.leave(jid);
    this.layout.close(jid);
    await this.talk.hide(jid);
    await retract(this.#stream, NS.bookmarks, jid).catch(() => undefined);
  }

  /** Rooms of the company that one may find. */
  async findRooms(): Promise<{ jid: string; name: string }[]> {
    const answer = await this.#stream.ask('get', el('query', NS.discoItems), `conference.${domain(this.me)}`);
    return children(child(answer, 'query', NS.discoItems), 'item', NS.discoItems).map((item) => ({
      jid: attr(item, 'jid') ?? '',
      name: attr(item, 'name') ?? local(attr(item, 'jid') ?? ''),
    }));
  }

  /** People of the company whose name or address contains some words. */
  async findPeople(words: string): Promise<{ jid: string; name: string }[]> {
    const form = submit(NS.search, { search: words, name: words });
    const answer = await this.#stream.ask(
      'set',
      el('query', NS.search, {}, form),
      `directory.${domain(this.me)}`,
    );
    const found = child(child(answer, 'query', NS.search), 'x', NS.data);
    return children(found, 'item', NS.data).map((item) => {
      const field = (name: string) =>
        text(
          children(item, 'field', NS.data).find((each) => attr(each, 'var') === name),
          'value',
          NS.data,
        );
      const jid = field('jid') ?? '';
      return { jid, name: field('fn') ?? field('name') ?? local(jid) };
    });
  }

  #message(stanza: Element): void {
    const event = child(stanza, 'event', NS.pubsubEvent);
    if (!event) return this.talk.take(stanza);
    const list = child(event, 'items', NS.pubsubEvent);
    const node = attr(list, 'node');
    const from = bare(attr(stanza, 'from') ?? this.me);
    const entries = children(list, 'item', NS.pubsubEvent);
    if (node === NS.activity) this.people.takeActivity(from, entries[0]);
    if (from !== this.me) return;
    for (const item of entries) {
      if (node === NS.displayed) void this.#marked(item);
      if (node === NS.bookmarks) void this.#bookmark(item);
    }
  }

  #request(stanza: Element): Element | undefined | 'unknown' {
    const type = attr(stanza, 'type');
    if (type === 'set' && child(stanza, 'query', NS.roster)) {
      void this.people.push(stanza);
      return undefined;
    }
    if (type === 'get' && child(stanza, 'ping', NS.ping)) return undefined;
    if (type === 'get' && child(stanza, 'query', NS.discoInfo)) return info(stanza);
    return 'unknown';
  }

  #announce(conversation: Conversation, message: Message): void {
    if (conversation.muted || this.people.status.availability === 'dnd') return;
    const isRoom = conversation.kind === 'room';
    if (isRoom && conversation.mentions === 0) return;
    this.notices.announce({
      title: isRoom
        ? `${this.author(message)} · ${this.name(conversation.jid)}`
        : this.name(conversation.jid),
      body: message.body,
      tag: conversation.jid,
      open: () => this.layout.show(conversation.jid),
    });
  }
}
