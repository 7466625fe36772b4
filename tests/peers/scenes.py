"""What colleagues do all day, played with slixmpp against the server. Each scene fails by an exception."""

import asyncio

from slixmpp import JID
from slixmpp.exceptions import IqError

from person import PATIENCE, Person, address, play


async def meet(*plugins):
    """alice over STARTTLS and bob over direct TLS, both present."""
    alice = await Person("alice", plugins=plugins).sign_in()
    bob = await Person("bob", plugins=plugins).sign_in(direct_tls=True)
    return alice, bob


async def befriend(alice, bob):
    """A subscription both ways."""
    for one, other in ((alice, bob), (bob, alice)):
        one.send_presence_subscription(pto=other.boundjid.bare)
        assert (await other.notice("subscribe"))["from"] == one.boundjid.bare
        other.send_presence_subscription(pto=one.boundjid.bare, ptype="subscribed")
        assert (await one.notice("subscribed"))["from"] == other.boundjid.bare


async def chat():
    alice, bob = await meet()
    for number in range(20):
        text = f"{number}: Grüße & <Küsse> 'quoted' 🦦"
        alice.say(address("bob"), text)
        heard = await bob.hear(text)
        assert heard["from"] == alice.boundjid, heard
        bob.say(heard["from"], text[::-1])
        answer = await alice.hear(text[::-1])
        assert answer["from"] == bob.boundjid, answer
    await alice.leave()
    await bob.leave()


async def roster():
    alice, bob = await meet()
    await befriend(alice, bob)
    for one, other in ((alice, bob), (bob, alice)):
        items = await one.contacts()
        assert items[JID(other.boundjid.bare)]["subscription"] == "both", items

    # Presence follows the subscription, both ways.
    alice.send_presence(pshow="away", pstatus="at lunch")
    await bob.see(alice.boundjid.full, status="at lunch")
    await bob.leave()
    await alice.see(bob.boundjid.full, "unavailable")

    # A new device learns who is there without asking.
    bob = await Person("bob", "phone").sign_in()
    await bob.see(alice.boundjid.full, status="at lunch")
    await alice.see(bob.boundjid.full)

    await alice.update_roster(bob.boundjid.bare, name="Bob the Builder", groups=["Works"])
    item = (await alice.contacts())[JID(bob.boundjid.bare)]
    assert item["name"] == "Bob the Builder" and item["groups"] == ["Works"], item
    alice.send_presence_subscription(pto=bob.boundjid.bare, ptype="unsubscribed")
    await bob.notice("unsubscribed")
    items = await bob.contacts()
    assert items[JID(alice.boundjid.bare)]["subscription"] == "from", items
    await alice.del_roster_item(bob.boundjid.bare)
    await bob.notice("unsubscribe")
    assert not await alice.contacts()


async def blocking():
    alice, bob = await meet("xep_0191")
    await bob["xep_0191"].block([JID(address("alice"))])
    alice.say(address("bob"), "do you hear me?")
    refusal = await alice.hear()
    assert refusal["type"] == "error" and refusal["error"]["condition"] == "service-unavailable", refusal
    await bob["xep_0191"].unblock([JID(address("alice"))])
    alice.say(address("bob"), "and now?")
    # The blocked one is not kept for later either.
    await bob.hear("and now?")


async def history():
    alice, bob = await meet("xep_0313", "xep_0359")
    said = []
    for number in range(25):
        one, other = (alice, bob) if number % 3 else (bob, alice)
        said.append(f"word {number} Ünïcode")
        one.say(other.boundjid.bare, said[-1])
        await other.hear(said[-1])

    async def read(person, **query):
        found = []
        async for result in person["xep_0313"].iterate(**query):
            found.append((result["mam_result"]["id"], result["mam_result"]["forwarded"]["stanza"]["body"]))
        return found

    for person, other in ((alice, bob), (bob, alice)):
        with_jid = JID(other.boundjid.bare)
        whole = await read(person, with_jid=with_jid, rsm={"max": 10})
        assert [body for _, body in whole] == said, whole
        backwards = await read(person, with_jid=with_jid, rsm={"max": 7}, reverse=True)
        assert [body for _, body in backwards] == said[::-1], backwards
        assert await read(person, with_jid=JID("nobody@corp.example")) == []

    # A client that was away closes its gap exactly: everything after the last message that it knows.
    known, _ = (await read(bob, rsm={"max": 50}))[-3]
    await bob.leave()
    for number in range(3):
        said.append(f"while you were out {number}")
        alice.say(address("bob"), said[-1])
    bob = await Person("bob", "phone", ["xep_0313"]).sign_in()
    for body in said[-3:]:
        await bob.hear(body)
    missed = await read(bob, rsm={"max": 2, "after": known})
    assert [body for _, body in missed] == said[-5:], missed

    # Nobody opts out, and nobody reads what others keep.
    for jid in (address("alice"),):
        try:
            await bob["xep_0313"].retrieve(jid=JID(jid))
        except IqError as refusal:
            assert refusal.condition in ("forbidden", "service-unavailable", "not-allowed"), refusal
        else:
            raise AssertionError("bob could read the history of alice")


async def offline():
    alice = await Person("alice").sign_in()
    said = [f"for later {number} ✉" for number in range(10)]
    for body in said:
        alice.say(address("bob"), body)
    # By the answer to this the server has taken all of them.
    await alice.get_roster()
    bob = await Person("bob", plugins=["xep_0203"]).sign_in(direct_tls=True)
    for body in said:
        message = await bob.hear(body)
        assert message["delay"]["stamp"], message
    await bob.leave()
    # They came once: the next device gets only what is new.
    bob = await Person("bob", "phone").sign_in()
    alice.say(address("bob"), "fresh")
    await bob.hear("fresh")


async def carbons():
    alice, desk = await meet("xep_0280")
    phone = await Person("bob", "phone", ["xep_0280"]).sign_in()
    sent, received = asyncio.Queue(), asyncio.Queue()
    phone.add_event_handler("carbon_sent", sent.put_nowait)
    phone.add_event_handler("carbon_received", received.put_nowait)
    await phone["xep_0280"].enable()

    alice.say(address("bob", "desk"), "to the desk")
    await desk.hear("to the desk")
    copy = await asyncio.wait_for(received.get(), PATIENCE)
    assert copy["carbon_received"]["body"] == "to the desk", copy
    assert copy["from"] == address("bob"), copy

    desk.say(address("alice"), "from the desk")
    await alice.hear("from the desk")
    copy = await asyncio.wait_for(sent.get(), PATIENCE)
    assert copy["carbon_sent"]["body"] == "from the desk", copy
    assert sent.empty() and received.empty()


async def resume():
    alice, bob = await meet("xep_0198")
    assert bob["xep_0198"].sm_id, "stream management was not enabled"
    session = bob["xep_0198"].sm_id
    alice.say(address("bob"), "before")
    await bob.hear("before")
    resumed = asyncio.ensure_future(bob.wait_until("session_resumed", timeout=PATIENCE))
    lost = asyncio.ensure_future(bob.wait_until("disconnected", timeout=PATIENCE))
    await asyncio.sleep(0)
    bob.lose_connection()
    await lost
    said = [f"while the network was away {number}" for number in range(5)]
    for body in said:
        alice.say(address("bob"), body)
    # slixmpp reconnects by itself only when it is told to; the session is the same one.
    bob.connect(*bob.custom_address)
    await resumed
    assert bob["xep_0198"].sm_id == session
    for body in said:
        await bob.hear(body)
    bob.say(address("alice"), "back again")
    await alice.hear("back again")
    assert bob.inbox.empty()


async def echo():
    """bob answers whatever he is told with the same words backwards, until somebody says goodbye."""
    bob = await Person("bob", plugins=["xep_0198"]).sign_in()
    while (message := await bob.hear())["body"] != "goodbye":
        bob.say(message["from"], message["body"][::-1])
    await bob.leave()


play({scene.__name__: scene for scene in (chat, roster, blocking, history, offline, carbons, resume, echo)})
