// alice with xmpp.js over a WebSocket; bob (scenes.py echo) answers everything backwards. Fails by an exception.
import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";

const { DOMAIN, HTTP_PORT, NODE_PEERS } = process.env;
const load = (name) => import(pathToFileURL(`${NODE_PEERS}/node_modules/${name}`));
const { client, xml } = await load("@xmpp/client/index.js");
// Node gains a WebSocket of its own only in version 22.
globalThis.WebSocket = (await load("ws/wrapper.mjs")).default;

const PATIENCE = 30_000;
const within = (what, promise) =>
  Promise.race([
    promise,
    new Promise((_, reject) => setTimeout(reject, PATIENCE, new Error(`${what} did not happen`)).unref()),
  ]);
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

const alice = client({
  service: `ws://127.0.0.1:${HTTP_PORT}/xmpp-websocket`,
  domain: DOMAIN,
  username: "alice",
  password: "secret words",
  resource: "browser",
});
alice.on("error", (error) => console.error("error", error.message));

// How it signs in, by what it sends.
const mechanisms = [];
alice.on("send", (element) => {
  if (element.is("authenticate", "urn:xmpp:sasl:2")) mechanisms.push(element.attrs.mechanism);
});

const inbox = [];
let wake = () => {};
alice.on("stanza", (stanza) => {
  if (stanza.is("message") && stanza.getChild("body")) {
    inbox.push(stanza.getChildText("body"));
    wake();
  }
});
async function hear(text) {
  while (inbox.length === 0) await within(`"${text}"`, new Promise((resolve) => (wake = resolve)));
  assert.equal(inbox.shift(), text);
}
const say = (text) =>
  alice.send(xml("message", { type: "chat", to: `bob@${DOMAIN}` }, xml("body", {}, text)));

await within("sign-in", alice.start());
assert.equal(alice.jid.bare().toString(), `alice@${DOMAIN}`);
// xmpp.js tells nobody when stream management starts, and miscounts what arrives in the same moment.
const enabled = async () => {
  while (!alice.streamManagement.enabled) await new Promise((resolve) => setTimeout(resolve, 10));
};
await within("stream management", enabled());
await alice.send(xml("presence"));
await say("over the web ✆");
await hear("✆ bew eht revo");

// The network goes away without a word. xmpp.js comes back by itself, into the same session.
const session = alice.streamManagement.id;
const resumed = once(alice.streamManagement, "resumed");
const lost = once(alice, "disconnect");
alice.socket.socket.terminate();
await within("the loss", lost);
await within("resumption", resumed);
assert.equal(alice.streamManagement.id, session);
await say("again");
await hear("niaga");

// What was said is in the history, in order.
const said = [];
const collect = (stanza) => {
  const result = stanza.getChild("result", "urn:xmpp:mam:2");
  if (result) said.push(result.getChild("forwarded", "urn:xmpp:forward:0").getChild("message").getChildText("body"));
};
alice.on("stanza", collect);
const query = xml("query", { xmlns: "urn:xmpp:mam:2", queryid: "all" });
const end = await alice.iqCaller.request(xml("iq", { type: "set" }, query), PATIENCE);
assert.equal(end.getChild("fin", "urn:xmpp:mam:2").attrs.complete, "true");
assert.deepEqual(said, ["over the web ✆", "✆ bew eht revo", "again", "niaga"]);

await say("goodbye");
await within("the end", alice.stop());
assert.deepEqual(mechanisms, ["SCRAM-SHA-1", "HT-SHA-256-NONE"], "SASL2 at first, FAST when coming back");
console.log("done");
