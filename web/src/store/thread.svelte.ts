/** The part of a conversation that is on the screen: a window over what the browser and the archive hold. */

import type { Database, Message } from './db';

/** Messages on the screen at most; scrolling one way lets go of the other end. */
const MOST = 300;
const STEP = 50;

/** Fetches older messages from the archive into the database; true if there was anything. */
export type FetchOlder = (conversation: string) => Promise<boolean>;

export class Thread {
  readonly jid: string;
  messages = $state.raw<Message[]>([]);
  /** Nothing is older. */
  atStart = $state(false);
  /** The newest message is shown, and what comes is added. */
  atEnd = $state(true);
  loading = $state(false);
  /** Who is writing just now. */
  typing = $state.raw<string[]>([]);
  /** The message to come back to, after a jump. */
  found = $state<string | undefined>();

  readonly #db: Database;
  readonly #fetch: FetchOlder;

  constructor(jid: string, db: Database, fetch: FetchOlder) {
    this.jid = jid;
    this.#db = db;
    this.#fetch = fetch;
  }

  /** Shows the newest messages. */
  async newest(): Promise<void> {
    const slice = await this.#db.slice(this.jid, { limit: STEP });
    this.messages = slice;
    this.atEnd = true;
    this.atStart = false;
    if (slice.length < STEP) await this.older();
  }

  /** Adds what is before. */
  async older(): Promise<void> {
    if (this.loading || this.atStart) return;
    this.loading = true;
    try {
      const read = () => {
        const before = this.messages[0];
        return this.#db.slice(this.jid, { ...(before ? { before } : {}), limit: STEP });
      };
      let more = await read();
      if (more.length < STEP && (await this.#fetch(this.jid))) more = await read();
      if (more.length === 0) this.atStart = true;
      else {
        const all = [...more, ...this.messages];
        if (all.length > MOST) this.atEnd = false;
        this.messages = all.slice(0, MOST);
      }
    } catch {
      // Without a link there is nothing more to show for now.
    } finally {
      this.loading = false;
    }
  }

  /** Adds what is after, while that is not the end. */
  async newer(): Promise<void> {
    const after = this.messages.at(-1);
    if (this.loading || this.atEnd || !after) return;
    this.loading = true;
    const more = await this.#db.slice(this.jid, { after, limit: STEP });
    if (more.length < STEP) this.atEnd = true;
    const all = [...this.messages, ...more];
    if (all.length > MOST) this.atStart = false;
    this.messages = all.slice(-MOST);
    this.loading = false;
  }

  /** Shows the surroundings of a message. */
  async around(message: Message): Promise<void> {
    const [before, after] = await Promise.all([
      this.#db.slice(this.jid, { before: message, limit: STEP }),
      this.#db.slice(this.jid, { after: message, limit: STEP }),
    ]);
    this.messages = [...before, message, ...after];
    this.atStart = false;
    this.atEnd = after.length < STEP;
    this.found = message.key;
  }

  /** Takes messages that are new or have changed. `replaced`: keys that they had before. */
  take(changed: Message[], replaced: string[] = []): void {
    if (changed.length === 0 && replaced.length === 0) return;
    const now = new Map(changed.map((message) => [message.key, message]));
    const gone = new Set(replaced);
    const kept = this.messages
      .filter((message) => !gone.has(message.key) || now.has(message.key))
      .map((message) => {
        const better = now.get(message.key);
        now.delete(message.key);
        return better ?? message;
      });
    const first = kept[0];
    const last = kept.at(-1);
    for (const message of now.values()) {
      const within =
        (!first || order(message, first) > 0) && (this.atEnd || (last && order(message, last) < 0));
      if (within || (!first && this.atEnd)) kept.push(message);
    }
    kept.sort(order);
    this.messages = this.atEnd ? kept.slice(-MOST) : kept.slice(0, MOST);
  }
}

export function order(one: Message, other: Message): number {
  return one.time - other.time || (one.key < other.key ? -1 : one.key > other.key ? 1 : 0);
}
