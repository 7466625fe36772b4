/** Who there is: the roster, who is present and how, and oneself. */

import { SvelteMap } from 'svelte/reactivity';

import { bare, local, resource } from '../xmpp/jid';
import { NS } from '../xmpp/ns';
import type { Stream } from '../xmpp/stream';
import { attr, child, children, el, text } from '../xmpp/xml';
import type { Contact, Database } from './db';

/** How somebody is, as people see it at a glance. */
export type Availability = 'available' | 'busy' | 'phone' | 'meeting' | 'away' | 'dnd' | 'offline';

export interface Status {
  availability: Availability;
  note?: string | undefined;
  /** When it ends by itself. */
  until?: number | undefined;
}

interface Presence {
  show: string;
  note?: string | undefined;
  priority: number;
}

/** Availabilities that are an activity besides (XEP-0108): the general and the specific one. */
const ACTIVITIES: Partial<Record<Availability, [string, string?]>> = {
  phone: ['talking', 'on_the_phone'],
  meeting: ['working', 'in_a_meeting'],
  busy: ['working'],
};

const SHOWS: Record<Availability, string> = {
  available: '',
  busy: 'dnd',
  phone: 'dnd',
  meeting: 'dnd',
  dnd: 'dnd',
  away: 'away',
  offline: '',
};

export class People {
  readonly contacts = new SvelteMap<string, Contact>();
  /** Requests to see this account's presence that nobody has answered. */
  readonly requests = new SvelteMap<string, string>();
  /** One's own status, as it was chosen. */
  status = $state<Status>({ availability: 'available' });

  readonly #presences = new SvelteMap<string, SvelteMap<string, Presence>>();
  readonly #activities = new SvelteMap<string, Availability>();
  readonly #stream: Stream;
  readonly #db: Database;
  readonly #me: string;
  #idle = false;
  #ending: ReturnType<typeof setTimeout> | undefined;

  constructor(stream: Stream, db: Database, me: string) {
    this.#stream = stream;
    this.#db = db;
    this.#me = me;
  }

  /** Shows what was kept. */
  async load(): Promise<void> {
    for (const contact of await this.#db.contacts()) this.contacts.set(contact.jid, contact);
    const status = await this.#db.note<Status>('status');
    if (status && !(status.until && status.until < Date.now())) this.status = status;
  }

  /** What an address is called. */
  name(jid: string): string {
    return this.contacts.get(bare(jid))?.name ?? local(jid);
  }

  /** How a person is: the best of their devices. */
  of(jid: string): Status {
    const devices = this.#presences.get(jid);
    if (!devices || devices.size === 0) return { availability: 'offline' };
    // Whoever is busy at one device is busy; away from one, they may be at another.
    const order = ['dnd', 'chat', '', 'away', 'xa'];
    const best = [...devices.values()].sort(
      (a, b) => b.priority - a.priority || order.indexOf(a.show) - order.indexOf(b.show),
    )[0];
    const note = best?.note;
    const activity = this.#activities.get(jid);
    if (activity && best?.show === 'dnd') return { availability: activity, note };
    if (best?.show === 'dnd') return { availability: 'dnd', note };
    if (best?.show === 'away' || best?.show === 'xa') return { availability: 'away', note };
    return { availability: 'available', note };
  }

  /** After sign-in: asks for the roster and shows up. */
  async arrive(caps: Element): Promise<void> {
    this.#caps = caps;
    this.#presences.clear();
    const answer = await this.#stream.ask('get', el('query', NS.roster));
    const query = child(answer, 'query', NS.roster);
    const contacts = children(query, 'item', NS.roster).map(contact);
    this.contacts.clear();
    for (const each of contacts) this.contacts.set(each.jid, each);
    await this.#db.setContacts(contacts);
    this.show();
  }

  #caps: Element | undefined;

  /** Tells everybody how one is. */
  show(): void {
    const { availability, note } = this.status;
    const shown = this.#idle && availability === 'available' ? 'away' : SHOWS[availability];
    this.#stream.send(
      el(
        'presence',
        NS.client,
        {},
        shown !== '' && el('show', NS.client, {}, shown),
        note !== undefined && note !== '' && el('status', NS.client, {}, note),
        this.#caps?.cloneNode(true) as Element | undefined,
      ),
    );
  }

  /** Chooses how to be seen. */
  async choose(status: Status): Promise<void> {
    this.status = status;
    await this.#db.setNote('status', $state.snapshot(status));
    this.#schedule();
    if (this.#stream.link !== 'online') return;
    this.show();
    const [general, specific] = ACTIVITIES[status.availability] ?? [];
    const doing = general && el(general, NS.activity, {}, specific ? el(specific, NS.activity) : undefined);
    const item = el(
      'item',
      NS.pubsub,
      { id: 'current' },
      el('activity', NS.activity, {}, doing || undefined),
    );
    const publish = el('publish', NS.pubsub, { node: NS.activity }, item);
    await this.#stream.ask('set', el('pubsub', NS.pubsub, {}, publish));
  }

  /** Nobody has touched the page for a while, or somebody has again. */
  idle(idle: boolean): void {
    if (this.#idle === idle) return;
    this.#idle = idle;
    if (this.#stream.link === 'online' && this.status.availability === 'available') this.show();
  }

  #schedule(): void {
    clearTimeout(this.#ending);
    const { until } = this.status;
    if (!until) return;
    const end = () => void this.choose({ availability: 'available' });
    this.#ending = setTimeout(end, Math.min(Math.max(0, until - Date.now()), 2 ** 31 - 1));
  }

  /** Takes a presence that is not a room's. */
  take(stanza: Element): void {
    const from = attr(stanza, 'from') ?? '';
    const who = bare(from);
    const type = attr(stanza, 'type') ?? '';
    if (type === 'subscribe') {
      this.requests.set(who, text(stanza, 'nick', NS.nick) ?? text(stanza, 'status', NS.client) ?? '');
    } else if (type === '') {
      const devices = this.#presences.get(who) ?? new SvelteMap<string, Presence>();
      devices.set(resource(from), {
        show: text(stanza, 'show', NS.client) ?? '',
        note: text(stanza, 'status', NS.client),
        priority: Number(text(stanza, 'priority', NS.client) ?? 0),
      });
      this.#presences.set(who, devices);
    } else if (type === 'unavailable') {
      const devices = this.#presences.get(who);
      devices?.delete(resource(from));
      if (resource(from) === '') devices?.clear();
    }
  }

  /** Takes a published activity. */
  takeActivity(from: string, item: Element | undefined): void {
    const activity = child(item, 'activity', NS.activity);
    const general = activity?.firstElementChild;
    const specific = general?.firstElementChild?.localName;
    const found = (Object.entries(ACTIVITIES) as [Availability, [string, string?]][]).find(
      ([, [one, other]]) => general?.localName === one && specific === other,
    );
    if (found) this.#activities.set(bare(from), found[0]);
    else this.#activities.delete(bare(from));
  }

  /** Takes a roster push (RFC 6121 §2.1.6); false if it is not the own server's. */
  async push(stanza: Element): Promise<boolean> {
    const from = attr(stanza, 'from');
    if (from !== undefined && from !== this.#me) return false;
    const item = child(child(stanza, 'query', NS.roster), 'item', NS.roster);
    if (!item) return false;
    const changed = contact(item);
    if (changed.subscription === 'remove') {
      this.contacts.delete(changed.jid);
      await this.#db.removeContact(changed.jid);
    } else {
      this.contacts.set(changed.jid, changed);
      await this.#db.putContact(changed);
    }
    return true;
  }

  /** Adds somebody, and asks to see how they are. */
  async add(jid: string, name?: string): Promise<void> {
    const item = el('item', NS.roster, { jid, name });
    await this.#stream.ask('set', el('query', NS.roster, {}, item));
    this.#stream.send(el('presence', NS.client, { to: jid, type: 'subscribe' }));
    this.#stream.send(el('presence', NS.client, { to: jid, type: 'subscribed' }));
  }

  /** Answers a request. */
  answer(jid: string, yes: boolean): void {
    this.requests.delete(jid);
    this.#stream.send(el('presence', NS.client, { to: jid, type: yes ? 'subscribed' : 'unsubscribed' }));
    if (yes && !this.contacts.has(jid)) void this.add(jid);
  }
}

function contact(item: Element): Contact {
  return {
    jid: attr(item, 'jid') ?? '',
    name: attr(item, 'name'),
    groups: children(item, 'group', NS.roster).map((group) => group.textContent ?? ''),
    subscription: attr(item, 'subscription') ?? 'none',
    ask: attr(item, 'ask'),
  };
}
