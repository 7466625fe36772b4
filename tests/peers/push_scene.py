"""A push service (XEP-0357) as a component, and a phone that it wakes."""

import asyncio
import os
from xml.etree import ElementTree

from slixmpp import ComponentXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from person import DOMAIN, PATIENCE, Person, address, play

SERVICE = f"push.{DOMAIN}.example"
PUBSUB = "{http://jabber.org/protocol/pubsub}"
FORMS = "{jabber:x:data}"


class PushService(ComponentXMPP):
    """Takes what servers publish and would tell a phone."""

    def __init__(self):
        super().__init__(SERVICE, "shared secret", "127.0.0.1", int(os.environ["COMPONENT_PORT"]))
        self.pushes = asyncio.Queue()
        path = MatchXPath(f"{{jabber:component:accept}}iq/{PUBSUB}pubsub")
        self.register_handler(Callback("a push", path, self.take))

    def take(self, iq):
        if iq["type"] != "set":
            return
        publish = iq.xml.find(f"{PUBSUB}pubsub/{PUBSUB}publish")
        fields = {
            field.get("var"): field.findtext(f"{FORMS}value") for field in publish.iter(f"{FORMS}field")
        }
        self.pushes.put_nowait((iq["from"].bare, publish.get("node"), fields, str(iq)))
        iq.reply().send()

    async def start(self):
        started = asyncio.ensure_future(self.wait_until("session_start", timeout=PATIENCE))
        await asyncio.sleep(0)
        self.connect()
        await started
        return self


async def wake():
    service = await PushService().start()
    alice = await Person("alice").sign_in()
    phone = await Person("bob", "phone").sign_in()
    enable = phone.make_iq_set(ito=phone.boundjid.bare)
    element = f"<enable xmlns='urn:xmpp:push:0' jid='{SERVICE}' node='of the phone'/>"
    enable.append(ElementTree.fromstring(element))
    await enable.send()
    await phone.leave()

    alice.say(address("bob"), "a word for him alone")
    account, node, fields, whole = await asyncio.wait_for(service.pushes.get(), PATIENCE)
    assert (account, node) == (address("bob"), "of the phone"), (account, node)
    assert fields["message-count"] == "1", fields
    assert "him alone" not in whole and "alice" not in whole, whole

    # The phone wakes, reads, and is not woken for what it hears anyway.
    phone = await Person("bob", "phone").sign_in()
    await phone.hear("a word for him alone")
    alice.say(address("bob"), "good that you are there")
    await phone.hear("good that you are there")
    assert service.pushes.empty()
    await phone.leave()
    await alice.leave()
    await service.disconnect()


play({"wake": wake})
