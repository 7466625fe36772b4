/** What the browser keeps, so that opening the page shows the last state at once. One database for each account. */

import { deleteDB, openDB, type DBSchema, type IDBPDatabase } from 'idb';

/** A message as people see it: changes that came later are already in it. */
export interface Message {
  /** Unique in this browser: the archive's name where it is known, else the sender's id. */
  key: string;
  conversation: string;
  time: number;
  /** Who, as an address: a person's bare one, or `room/nick`. */
  from: string;
  mine: boolean;
  occupant?: string | undefined;
  id?: string | undefined;
  archive?: string | undefined;
  body: string;
  link?: string | undefined;
  reply?: { id: string; to?: string | undefined } | undefined;
  edited?: boolean | undefined;
  gone?: { by?: string | undefined; reason?: string | undefined } | undefined;
  /** Emoji, and who gave it. */
  reactions?: Record<string, string[]> | undefined;
  state: 'queued' | 'sent' | 'received' | 'displayed' | 'failed';
  error?: string | undefined;
}

/** A conversation with a person, a room, or an occupant in private. */
export interface Conversation {
  jid: string;
  kind: 'chat' | 'room' | 'private';
  name?: string | undefined;
  /** When something was last said; decides the order of the list. */
  time: number;
  /** The start of what was said last. */
  excerpt: string;
  unread: number;
  mentions: number;
  draft: string;
  muted?: boolean | undefined;
  /** The archive's name of the oldest message from which on everything is here. */
  oldest?: string | undefined;
  /** Nothing is older in the archive. */
  complete?: boolean | undefined;
  /** The time up to which somebody with this account has read. */
  read: number;
  /** Rooms only: whether to be in it, and under what name. */
  joined?: boolean | undefined;
  nick?: string | undefined;
  subject?: string | undefined;
}

/** Somebody on the roster. */
export interface Contact {
  jid: string;
  name?: string | undefined;
  groups: string[];
  subscription: string;
  ask?: string | undefined;
}

interface Schema extends DBSchema {
  messages: {
    key: string;
    value: Message;
    indexes: { time: [string, number, string]; id: [string, string]; archive: string };
  };
  conversations: { key: string; value: Conversation };
  contacts: { key: string; value: Contact };
  notes: { key: string; value: unknown };
}

export type Slice = { before?: Message; after?: Message; limit: number };

export class Database {
  readonly #db: IDBPDatabase<Schema>;

  private constructor(db: IDBPDatabase<Schema>) {
    this.#db = db;
  }

  static async open(account: string): Promise<Database> {
    const db = await openDB<Schema>(`chancery:${account}`, 1, {
      upgrade(db) {
        const messages = db.createObjectStore('messages', { keyPath: 'key' });
        messages.createIndex('time', ['conversation', 'time', 'key']);
        messages.createIndex('id', ['conversation', 'id']);
        messages.createIndex('archive', 'archive');
        db.createObjectStore('conversations', { keyPath: 'jid' });
        db.createObjectStore('contacts', { keyPath: 'jid' });
        db.createObjectStore('notes');
      },
    });
    return new Database(db);
  }

  /** Forgets everything, for somebody who signs out. */
  static async forget(account: string): Promise<void> {
    await deleteDB(`chancery:${account}`);
  }

  close(): void {
    this.#db.close();
  }

  async conversations(): Promise<Conversation[]> {
    return this.#db.getAll('conversations');
  }

  async putConversation(conversation: Conversation): Promise<void> {
    await this.#db.put('conversations', conversation);
  }

  async removeConversation(jid: string): Promise<void> {
    await this.#db.delete('conversations', jid);
  }

  async contacts(): Promise<Contact[]> {
    return this.#db.getAll('contacts');
  }

  async setContacts(contacts: Contact[]): Promise<void> {
    const tx = this.#db.transaction('contacts', 'readwrite');
    await tx.store.clear();
    await Promise.all([...contacts.map((contact) => tx.store.put(contact)), tx.done]);
  }

  async putContact(contact: Contact): Promise<void> {
    await this.#db.put('contacts', contact);
  }

  async removeContact(jid: string): Promise<void> {
    await this.#db.delete('contacts', jid);
  }

  async note<T>(name: string): Promise<T | undefined> {
    return (await this.#db.get('notes', name)) as T | undefined;
  }

  async setNote(name: string, value: unknown): Promise<void> {
    await this.#db.put('notes', value, name);
  }

  /** Messages of a conversation in order: the newest before one, the oldest after one, or the newest of all. */
  async slice(conversation: string, { before, after, limit }: Slice): Promise<Message[]> {
    const from = after ? [conversation, after.time, after.key] : [conversation, -Infinity];
    const to = before ? [conversation, before.time, before.key] : [conversation, Infinity, []];
    const range = IDBKeyRange.bound(from, to, after !== undefined, before !== undefined);
    const found: Message[] = [];
    const index = this.#db.transaction('messages').store.index('time');
    let cursor = await index.openCursor(range, after ? 'next' : 'prev');
    while (cursor && found.length < limit) {
      found.push(cursor.value);
      cursor = await cursor.continue();
    }
    return after ? found : found.reverse();
  }

  async message(key: string): Promise<Message | undefined> {
    return this.#db.get('messages', key);
  }

  /** The message that a change or a mark names, by its sender's id or by the archive's. */
  async named(conversation: string, id: string): Promise<Message | undefined> {
    const own = await this.#db.getAllFromIndex('messages', 'id', [conversation, id]);
    return own.at(-1) ?? (await this.#db.getFromIndex('messages', 'archive', id));
  }

  async put(messages: Message[], replaced: string[] = []): Promise<void> {
    const tx = this.#db.transaction('messages', 'readwrite');
    const work: Promise<unknown>[] = replaced.map((key) => tx.store.delete(key));
    work.push(...messages.map((message) => tx.store.put(message)), tx.done);
    await Promise.all(work);
  }

  /** What has not been sent yet, oldest first. */
  async queued(): Promise<Message[]> {
    const all = (await this.note<string[]>('queue')) ?? [];
    const messages = await Promise.all(all.map((key) => this.message(key)));
    return messages.filter((message): message is Message => message?.state === 'queued');
  }

  /** Forgets all messages, where catching up would take longer than starting afresh. */
  async forgetMessages(): Promise<void> {
    await this.#db.clear('messages');
  }
}
