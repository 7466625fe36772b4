"""A person with slixmpp on a desk. Where the server is stands in the environment (tests/system/harness.rs)."""

import asyncio
import os
import sys

from slixmpp import JID, ClientXMPP

DOMAIN = os.environ["DOMAIN"]
PATIENCE = 30


class Person(ClientXMPP):
    """One device of one person. What arrives waits in `inbox`, `requests` and `sights`, in order."""

    def __init__(self, name, resource="desk", plugins=()):
        super().__init__(JID(f"{name}@{DOMAIN}/{resource}"), os.environ.get("PASSWORD", "secret words"))
        self.inbox = asyncio.Queue()
        self.requests = asyncio.Queue()
        self.sights = asyncio.Queue()
        # Every subscription is decided by the scene.
        self.auto_authorize = None
        self.auto_subscribe = False
        for plugin in plugins:
            self.register_plugin(plugin)
        self.add_event_handler("message", self.inbox.put_nowait)
        self.add_event_handler("message_error", self.inbox.put_nowait)
        for event in ("presence_subscribe", "presence_subscribed", "presence_unsubscribe", "presence_unsubscribed"):
            self.add_event_handler(event, self.requests.put_nowait)
        self.add_event_handler("presence", self.sights.put_nowait)

    async def sign_in(self, direct_tls=False, present=True):
        """Signs in over STARTTLS, or with TLS from the first byte."""
        self.enable_direct_tls = direct_tls
        self.enable_starttls = not direct_tls
        started = asyncio.ensure_future(self.wait_until("session_start", timeout=PATIENCE))
        await asyncio.sleep(0)
        self.connect("127.0.0.1", int(os.environ["XMPP_TLS_PORT" if direct_tls else "XMPP_PORT"]))
        await started
        assert self.socket.version() in ("TLSv1.2", "TLSv1.3"), self.socket
        await self.get_roster()
        if present:
            await self.appear()
        return self

    async def appear(self, **presence):
        """Sends presence and waits until the server has made it known, to this device too."""
        self.send_presence(**presence)
        await self.see(self.boundjid.full)

    async def see(self, jid, kind="available", status=""):
        """Waits for the presence of this address, past that of others."""
        while True:
            presence = await asyncio.wait_for(self.sights.get(), PATIENCE)
            # slixmpp shows what `<show/>` says in place of the type "available".
            known = "available" if presence["type"] in ("away", "chat", "dnd", "xa") else presence["type"]
            if jid == presence["from"] and known == kind and presence["status"] == status:
                return presence

    async def contacts(self):
        """The whole roster as the server has it, whatever version slixmpp knows already."""
        query = self.Iq(stype="get")
        query.enable("roster")
        return (await query.send())["roster"]["items"]

    def say(self, to, body, **more):
        message = self.make_message(mto=JID(to), mbody=body, mtype="chat", **more)
        message.send()
        return message

    async def hear(self, body=None):
        """The next message. With `body`, it must be that."""
        message = await asyncio.wait_for(self.inbox.get(), PATIENCE)
        assert body is None or message["body"] == body, f"expected {body!r}, not {message}"
        return message

    async def notice(self, kind):
        """The next change of a subscription, which must be of this kind."""
        presence = await asyncio.wait_for(self.requests.get(), PATIENCE)
        assert presence["type"] == kind, f"expected {kind}, not {presence}"
        return presence

    async def leave(self):
        await self.disconnect()

    def lose_connection(self):
        """As when the network goes away: nothing is said, the socket just ends."""
        self.transport.abort()


def address(name, resource=None):
    return f"{name}@{DOMAIN}" + (f"/{resource}" if resource else "")


def play(scenes):
    """Runs the scene that the command line names, within its time."""
    name, *arguments = sys.argv[1:]
    asyncio.run(asyncio.wait_for(scenes[name](*arguments), 3 * PATIENCE))
    print("done")
