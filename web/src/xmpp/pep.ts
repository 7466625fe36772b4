/** Publishing at one's own account (XEP-0163). */

import { NS } from './ns';
import type { Stream } from './stream';
import { child, children, el, submit } from './xml';

/** Publishes an item that nobody but the own devices can read, and that is kept (XEP-0223). */
export async function privately(stream: Stream, node: string, id: string, payload: Element): Promise<void> {
  const options = submit(NS.publishOptions, {
    'pubsub#persist_items': 'true',
    'pubsub#max_items': 'max',
    'pubsub#send_last_published_item': 'never',
    'pubsub#access_model': 'whitelist',
  });
  const publish = el('publish', NS.pubsub, { node }, el('item', NS.pubsub, { id }, payload));
  const request = el('pubsub', NS.pubsub, {}, publish, el('publish-options', NS.pubsub, {}, options));
  await stream.ask('set', request);
}

/** All items of a node of one's own; none if there is no such node. */
export async function items(stream: Stream, node: string): Promise<Element[]> {
  const request = el('pubsub', NS.pubsub, {}, el('items', NS.pubsub, { node }));
  try {
    const answer = await stream.ask('get', request);
    const list = child(child(answer, 'pubsub', NS.pubsub), 'items', NS.pubsub);
    return children(list, 'item', NS.pubsub);
  } catch {
    return [];
  }
}

/** Takes an item off a node of one's own. */
export async function retract(stream: Stream, node: string, id: string): Promise<void> {
  const item = el('item', NS.pubsub, { id });
  await stream.ask(
    'set',
    el('pubsub', NS.pubsub, {}, el('retract', NS.pubsub, { node, notify: 'true' }, item)),
  );
}
