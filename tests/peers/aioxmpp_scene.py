"""Two people with aioxmpp: one over STARTTLS, one with TLS from the first byte. Fails by an exception."""

import asyncio
import os
import socket

import aioxmpp
import aioxmpp.connector
import aioxmpp.dispatcher

DOMAIN = os.environ["DOMAIN"]
PATIENCE = 30
STARTTLS = ("127.0.0.1", int(os.environ["XMPP_PORT"]), aioxmpp.connector.STARTTLSConnector())
DIRECT = ("127.0.0.1", int(os.environ["XMPP_TLS_PORT"]), aioxmpp.connector.XMPPOverTLSConnector())


def person(name, peer):
    client = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(f"{name}@{DOMAIN}/desk"),
        # Certificates are verified against SSL_CERT_FILE.
        aioxmpp.make_security_layer("secret words"),
        override_peer=[peer],
    )
    client.inbox = asyncio.Queue()
    messages = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
    messages.register_callback(aioxmpp.MessageType.CHAT, None, client.inbox.put_nowait)
    client.summon(aioxmpp.RosterClient)
    client.summon(aioxmpp.BlockingClient)
    return client


async def say(client, to, text):
    message = aioxmpp.Message(to=to, type_=aioxmpp.MessageType.CHAT)
    message.body[None] = text
    await client.send(message)


async def hear(client, text):
    message = await asyncio.wait_for(client.inbox.get(), PATIENCE)
    assert message.body.any() == text, f"expected {text!r}, not {message}"
    return message


async def happens(signal, wanted):
    """Waits until the signal comes with the arguments that are wanted."""
    future = asyncio.get_running_loop().create_future()

    def check(*arguments, **_):
        if wanted(*arguments) and not future.done():
            future.set_result(arguments)
        return future.done()

    signal.connect(check)
    return await asyncio.wait_for(future, PATIENCE)


async def main():
    alice, bob = person("alice", STARTTLS), person("bob", DIRECT)
    async with alice.connected() as _, bob.connected() as stream:
        assert stream.sm_enabled, "stream management was not enabled"
        await say(alice, bob.local_jid.bare(), "hello from aioxmpp ✆")
        heard = await hear(bob, "hello from aioxmpp ✆")
        assert heard.from_ == alice.local_jid
        await say(bob, heard.from_, "hello back")
        await hear(alice, "hello back")

        # A subscription, asked for and granted.
        rosters = [client.summon(aioxmpp.RosterClient) for client in (alice, bob)]
        asked = asyncio.ensure_future(happens(rosters[1].on_subscribe, lambda stanza: True))
        granted = asyncio.ensure_future(happens(rosters[0].on_subscribed, lambda stanza: True))
        await asyncio.sleep(0)
        rosters[0].subscribe(bob.local_jid.bare())
        await asked
        rosters[1].approve(alice.local_jid.bare())
        await granted
        await rosters[0].set_entry(bob.local_jid.bare(), name="Bob the Builder", add_to_groups={"Works"})
        assert rosters[0].items[bob.local_jid.bare()].subscription == "to"

        # The network goes away under bob; the same session goes on, with what was said meanwhile.
        resumed = asyncio.ensure_future(happens(bob.on_stream_resumed, lambda: True))
        suspended = asyncio.ensure_future(happens(bob.on_stream_suspended, lambda reason: True))
        await asyncio.sleep(0)
        bob.stream._xmlstream.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        await suspended
        await say(alice, bob.local_jid, "are you still there?")
        await resumed
        await hear(bob, "are you still there?")

        await aioxmpp.ping.ping(alice, aioxmpp.JID.fromstr(DOMAIN))
        version = await aioxmpp.version.query_version(alice.stream, aioxmpp.JID.fromstr(DOMAIN))
        assert version.name, version

        blocker = bob.summon(aioxmpp.BlockingClient)
        await blocker.block_jids([alice.local_jid.bare()])
        assert blocker.blocklist == {alice.local_jid.bare()}
        await blocker.unblock_all()


asyncio.run(asyncio.wait_for(main(), 3 * PATIENCE))
print("done")
