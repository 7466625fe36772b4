import { beforeEach, describe, expect, it } from 'vitest';

import type { Said } from '../xmpp/message';
import { Database } from './db';
import { fold, react } from './fold';
import { mentions } from './mention';
import { Thread } from './thread.svelte';

let db: Database;
let count = 0;

beforeEach(async () => {
  db = await Database.open(`test${count++}@corp.example`);
});

const ben = 'ben@corp.example';

function said(more: Partial<Said>): Said {
  return { kind: 'chat', with: ben, from: ben, mine: false, time: 1000, wantsReceipt: false, ...more };
}

async function take(what: Said, mine = what.mine) {
  const outcome = await fold(db, what, mine);
  await db.put(outcome.changed, outcome.replaced);
  return outcome;
}

describe('fold', () => {
  it('keeps a message once, however often it comes', async () => {
    expect((await take(said({ id: 'm1', archive: 'a1', body: 'hi' }))).fresh).toBeDefined();
    expect((await take(said({ id: 'm1', archive: 'a1', body: 'hi' }))).fresh).toBeUndefined();
    expect(await db.slice(ben, { limit: 9 })).toHaveLength(1);
  });

  it('recognises its own message when the archive names it', async () => {
    await take(said({ id: 'm1', from: 'anna@corp.example', mine: true, body: 'hi', time: 5 }));
    const again = await take(
      said({ id: 'm1', archive: 'a7', from: 'anna@corp.example', mine: true, body: 'hi', time: 9 }),
    );
    expect(again.fresh).toBeUndefined();
    const all = await db.slice(ben, { limit: 9 });
    expect(all.map(({ key, archive, time }) => ({ key, archive, time }))).toEqual([
      { key: 'a7', archive: 'a7', time: 9 },
    ]);
  });

  it('lets nobody change what others said', async () => {
    await take(said({ id: 'm1', archive: 'a1', body: 'hi' }));
    await take(
      said({
        id: 'm2',
        from: 'anna@corp.example',
        mine: true,
        body: 'forged',
        change: { kind: 'replace', id: 'm1' },
      }),
    );
    await take(
      said({ id: 'm3', from: 'anna@corp.example', mine: true, change: { kind: 'retract', id: 'm1' } }),
    );
    expect((await db.slice(ben, { limit: 9 }))[0]).toMatchObject({ body: 'hi' });
    await take(said({ id: 'm4', body: 'hello', change: { kind: 'replace', id: 'm1' } }));
    expect((await db.slice(ben, { limit: 9 }))[0]).toMatchObject({ body: 'hello', edited: true });
  });

  it('shows a refused message as failed', async () => {
    await take(said({ id: 'm1', from: 'anna@corp.example', mine: true, body: 'card' }));
    await take(said({ id: 'm1', body: 'card', error: 'No cards here.' }));
    expect((await db.slice(ben, { limit: 9 }))[0]).toMatchObject({
      state: 'failed',
      error: 'No cards here.',
    });
  });
});

describe('react', () => {
  it('replaces what the same person gave before', () => {
    const one = react({ '👍': ['x', 'y'], '🎉': ['x'] }, 'x', ['👀', '👀']);
    expect(one).toEqual({ '👍': ['y'], '👀': ['x'] });
  });
});

describe('mentions', () => {
  it('wants the whole name', () => {
    expect(mentions('anna: look', 'Anna')).toBe(true);
    expect(mentions('(anna)', 'anna')).toBe(true);
    expect(mentions('annabel and hannah', 'anna')).toBe(false);
    expect(mentions('hannah told anna', 'anna')).toBe(true);
    expect(mentions('x', '')).toBe(false);
  });
});

describe('Thread', () => {
  it('shows a bounded window that moves over a long conversation', async () => {
    const all = Array.from({ length: 700 }, (_, at) =>
      said({ id: `m${at}`, archive: `a${String(at).padStart(4, '0')}`, body: String(at), time: at }),
    );
    for (const each of all) await take(each);
    const thread = new Thread(ben, db, async () => false);
    await thread.newest();
    expect(thread.messages.at(-1)?.body).toBe('699');
    while (!thread.atStart) await thread.older();
    expect(thread.messages[0]?.body).toBe('0');
    expect(thread.messages.length).toBeLessThanOrEqual(300);
    expect(thread.atEnd).toBe(false);
    while (!thread.atEnd) await thread.newer();
    expect(thread.messages.at(-1)?.body).toBe('699');
    expect(thread.messages.length).toBeLessThanOrEqual(300);
    const bodies = thread.messages.map((message) => Number(message.body));
    expect(bodies).toEqual([...bodies].sort((a, b) => a - b));
  });
});
