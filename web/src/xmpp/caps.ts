/** What this client can do (XEP-0030), and the hash that says so in presence (XEP-0115). */

import { NS } from './ns';
import { attr, child, el } from './xml';

const NODE = 'https://chancery.example/web';
const IDENTITY = { category: 'client', type: 'web', name: 'Chancery' };
const FEATURES = [
  NS.caps,
  NS.discoInfo,
  NS.muc,
  NS.states,
  NS.receipts,
  NS.markers,
  NS.correct,
  NS.reactions,
  NS.retract,
  NS.reply,
  NS.oob,
  NS.ping,
  NS.conference,
  `${NS.activity}+notify`,
  `${NS.bookmarks}+notify`,
  `${NS.displayed}+notify`,
].sort();

/** The element for presence. */
export async function caps(): Promise<Element> {
  const { category, type, name } = IDENTITY;
  const said = [`${category}/${type}//${name}`, ...FEATURES].map((each) => `${each}<`).join('');
  const hash = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(said));
  const ver = btoa(String.fromCharCode(...new Uint8Array(hash)));
  return el('c', NS.caps, { hash: 'sha-1', node: NODE, ver });
}

/** Answers a question for it. */
export function info(request: Element): Element {
  const node = attr(child(request, 'query', NS.discoInfo), 'node');
  const features = FEATURES.map((feature) => el('feature', NS.discoInfo, { var: feature }));
  return el('query', NS.discoInfo, { node }, el('identity', NS.discoInfo, IDENTITY), ...features);
}
