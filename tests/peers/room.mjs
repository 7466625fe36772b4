// One of many in a room with xmpp.js over a WebSocket, as room.py is with slixmpp. Fails by an exception.
import { pathToFileURL } from "node:url";

const { DOMAIN, HTTP_PORT, NODE_PEERS } = process.env;
const [name, people] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${NODE_PEERS}/node_modules/${name}`));
const { client, xml } = await load("@xmpp/client/index.js");
// Node gains a WebSocket of its own only in version 22.
globalThis.WebSocket = (await load("ws/wrapper.mjs")).default;

const ROOM = `den@conference.${DOMAIN}`;
const WORDS = 20;
const person = client({
  service: `ws://127.0.0.1:${HTTP_PORT}/xmpp-websocket`,
  domain: DOMAIN,
  username: name,
  password: "secret words",
  resource: "browser",
});
person.on("error", (error) => console.error("error", error.message));
setTimeout(() => process.exit(1), 60_000).unref();

const present = new Set();
let heard = 0;
person.on("stanza", async (stanza) => {
  const [room, nick] = (stanza.attrs.from ?? "").split("/");
  if (room !== ROOM) return;
  if (stanza.is("presence") && !stanza.attrs.type && !present.has(nick)) {
    present.add(nick);
    if (present.size !== Number(people)) return;
    for (let number = 0; number < WORDS; number++) {
      await person.send(xml("message", { type: "groupchat", to: ROOM }, xml("body", {}, `${name} ${number}`)));
    }
  } else if (stanza.is("message") && stanza.getChild("body")) {
    console.log(`${nick}: ${stanza.getChildText("body")}`);
    if (++heard === Number(people) * WORDS) await person.stop();
  }
});
await person.start();
const history = xml("history", { maxstanzas: "0" });
await person.send(xml("presence", { to: `${ROOM}/${name}` }, xml("x", "http://jabber.org/protocol/muc", history)));
