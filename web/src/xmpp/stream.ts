/** The connection: sign-in, resumption, requests and their answers. Knows nothing of what people see. */

import { MemoryStorageBackend, Strophe } from 'strophe.js';

import { NS } from './ns';
import { attr, child, el } from './xml';
import { errorText } from './message';

/** How the connection is. */
export type Link = 'offline' | 'connecting' | 'online';

/** How somebody proves who they are: by the session cookie of the page, or by a password. */
export type Credentials = { account: string; password?: string | undefined };

export interface Listener {
  /** The link changed. `resumed`: nothing was missed, what was sent is being delivered. */
  onLink(link: Link, resumed: boolean): void;
  /** The server does not let this account in any more. */
  onRefused(reason: string): void;
  onMessage(stanza: Element): void;
  /** The server has these messages for good: its acknowledgement is the archive's receipt. */
  onStored(ids: string[]): void;
  onPresence(stanza: Element): void;
  /** A request from the server or another client; what is returned is the answer's payload. */
  onRequest(stanza: Element): Element | undefined | 'unknown';
}

/** An `<iq type='error'/>`. */
export class StanzaError extends Error {
  readonly condition: string;
  constructor(stanza: Element) {
    super(errorText(stanza));
    const error = child(stanza, 'error', NS.client);
    this.condition =
      Array.from(error?.children ?? []).find((each) => each.namespaceURI === NS.stanzas)?.localName ?? '';
  }
}

/** The link went away before the answer came. */
export class LinkLost extends Error {}

// Its own errors reach people as the state of the link.
Strophe.setLogLevel(Strophe.LogLevel.FATAL);

/** Seconds between attempts: they double up to the last, with a random part so that not everybody comes at once. */
const WAITS = [0.5, 1, 2, 4, 8, 15, 30];

export class Stream {
  readonly #listener: Listener;
  readonly #url: string;
  #connection: InstanceType<typeof Strophe.Connection> | undefined;
  #credentials: Credentials | undefined;
  #link: Link = 'offline';
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Ids of messages that the server has not acknowledged (XEP-0198). */
  #unstored = new Set<string>();
  #requests = new Map<string, { done: (stanza: Element) => void; fail: (error: Error) => void }>();

  constructor(url: string, listener: Listener) {
    this.#url = url;
    this.#listener = listener;
    addEventListener('online', () => this.#hurry());
    // A page that goes cannot come back to its stream, so it says goodbye.
    addEventListener('pagehide', () => {
      if (this.#link === 'online') this.#connection?.disconnect('');
    });
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.#hurry();
      this.#say(document.visibilityState === 'visible' ? 'active' : 'inactive');
    });
  }

  get link(): Link {
    return this.#link;
  }

  /** The full address that the server gave. */
  get address(): string {
    return this.#connection?.jid ?? '';
  }

  /** Signs in, and keeps the link up until `close`. */
  open(credentials: Credentials): void {
    this.#credentials = credentials;
    this.#connect();
  }

  /** Says goodbye. */
  close(): void {
    this.#credentials = undefined;
    clearTimeout(this.#timer);
    this.#connection?.disconnect('');
  }

  /** Sends a stanza. What is sent while the link is away is lost, unless the stream resumes. */
  send(stanza: Element): void {
    const id = attr(stanza, 'id');
    if (id && stanza.localName === 'message') this.#unstored.add(id);
    this.#connection?.send(stanza);
  }

  /** Sends a request and waits for its answer. */
  async ask(type: 'get' | 'set', payload: Element, to?: string): Promise<Element> {
    if (this.#link !== 'online') throw new LinkLost();
    const id = crypto.randomUUID();
    return await new Promise((resolve, reject) => {
      this.#requests.set(id, {
        done: (stanza) =>
          attr(stanza, 'type') === 'error' ? reject(new StanzaError(stanza)) : resolve(stanza),
        fail: reject,
      });
      this.send(el('iq', NS.client, { type, id, to }, payload));
    });
  }

  #connect(): void {
    const credentials = this.#credentials;
    if (!credentials) return;
    clearTimeout(this.#timer);
    this.#change('connecting');
    if (!this.#connection) {
      this.#connection = new Strophe.Connection(this.#url, {
        mechanisms:
          credentials.password === undefined
            ? [Strophe.SASLExternal]
            : [Strophe.SASLSHA256, Strophe.SASLSHA1],
        enableStreamManagement: true,
        // What a page knows of its stream ends with the page.
        streamManagement: { maxUnacked: 1, storage: new MemoryStorageBackend() },
      });
    }
    this.#connection.connect(credentials.account, credentials.password ?? '', (status, condition) => {
      this.#follow(status, condition);
      return true;
    });
  }

  #follow(status: number, condition: string | null): void {
    const { Status } = Strophe;
    switch (status) {
      case Status.CONNECTED:
      case Status.ATTACHED:
        this.#attempt = 0;
        // What a fresh session has not acknowledged never will be.
        if (!this.#connection?.hasResumed()) this.#unstored.clear();
        this.#listen();
        this.#change('online', this.#connection?.hasResumed() ?? false);
        break;
      case Status.AUTHFAIL:
        this.#credentials = undefined;
        this.#connection?.disconnect('');
        this.#listener.onRefused(condition ?? '');
        break;
      case Status.DISCONNECTED:
      case Status.CONNFAIL:
      case Status.CONNTIMEOUT:
        if (status !== Status.DISCONNECTED && this.#connection?.connected) break;
        this.#lost();
        break;
    }
  }

  #lost(): void {
    this.#change('offline');
    for (const { fail } of this.#requests.values()) fail(new LinkLost());
    this.#requests.clear();
    if (!this.#credentials) return;
    clearTimeout(this.#timer);
    const wait = WAITS[Math.min(this.#attempt++, WAITS.length - 1)] ?? 30;
    this.#timer = setTimeout(() => this.#connect(), wait * 1000 * (0.7 + 0.6 * Math.random()));
  }

  /** Tries again at once, because something gives hope. */
  #hurry(): void {
    if (this.#link === 'offline' && this.#credentials) {
      this.#attempt = 0;
      this.#connect();
    }
  }

  /** Client state (XEP-0352): a hidden page needs no presence. */
  #say(state: 'active' | 'inactive'): void {
    if (this.#link === 'online') this.send(el(state, NS.csi));
  }

  #listen(): void {
    const connection = this.#connection;
    if (!connection) return;
    const on = (name: string, handle: (stanza: Element) => void) => {
      connection.addHandler(
        (stanza: Element) => {
          handle(stanza);
          return true;
        },
        '',
        name,
        '',
      );
    };
    on('message', (stanza) => this.#listener.onMessage(stanza));
    on('presence', (stanza) => this.#listener.onPresence(stanza));
    on('iq', (stanza) => this.#iq(stanza));
    // The library takes note of the acknowledgement first.
    on('a', () => queueMicrotask(() => this.#stored()));
    queueMicrotask(() => this.#stored());
  }

  #stored(): void {
    const waiting = this.#connection?.sm?.state.unacked.map((each: { stanza: string }) => each.stanza) ?? [];
    const stored = [...this.#unstored].filter((id) => !waiting.some((stanza: string) => stanza.includes(id)));
    for (const id of stored) this.#unstored.delete(id);
    if (stored.length > 0) this.#listener.onStored(stored);
  }

  #iq(stanza: Element): void {
    const type = attr(stanza, 'type');
    const id = attr(stanza, 'id') ?? '';
    if (type === 'result' || type === 'error') {
      this.#requests.get(id)?.done(stanza);
      this.#requests.delete(id);
      return;
    }
    const to = attr(stanza, 'from');
    const answer = this.#listener.onRequest(stanza);
    if (answer !== 'unknown') return this.send(el('iq', NS.client, { type: 'result', id, to }, answer));
    const condition = el('service-unavailable', NS.stanzas);
    const error = el('error', NS.client, { type: 'cancel' }, condition);
    this.send(el('iq', NS.client, { type: 'error', id, to }, error));
  }

  #change(link: Link, resumed = false): void {
    if (link === this.#link && link !== 'online') return;
    this.#link = link;
    this.#listener.onLink(link, resumed);
  }
}
