"""One of many in a room, or of two who pass a file, with slixmpp. Fails by an exception."""

import asyncio
import re
from pathlib import Path

import aiohttp
from slixmpp import JID

from person import PATIENCE, Person, address, play

ROOM = JID("den@conference.corp.example")
WORDS = 20


async def talk(name, people):
    """Enters, waits until so many are there, and says twenty words while the others do; prints all that it hears."""
    person = Person(name, plugins=["xep_0045", "xep_0004"])
    arrivals, words = asyncio.Queue(), asyncio.Queue()
    person.add_event_handler(f"muc::{ROOM}::got_online", arrivals.put_nowait)
    person.add_event_handler("groupchat_message", words.put_nowait)
    await person.sign_in()
    await person["xep_0045"].join_muc_wait(ROOM, name, maxstanzas=0, timeout=PATIENCE)
    if name == "alice":
        await person["xep_0045"].set_room_config(ROOM, person["xep_0004"].make_form(ftype="submit"))
    print("open", flush=True)
    for _ in range(int(people)):
        await asyncio.wait_for(arrivals.get(), PATIENCE)
    for number in range(WORDS):
        person.send_message(mto=ROOM, mbody=f"{name} {number}", mtype="groupchat")
    for _ in range(int(people) * WORDS):
        message = await asyncio.wait_for(words.get(), PATIENCE)
        print(f"{message['from'].resource}: {message['body']}", flush=True)
    await person.leave()


async def fetched(url):
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200, response
        return await response.read()


async def upload(name, file):
    """Sends a file and fetches it again."""
    person = await Person(name, plugins=["xep_0363"]).sign_in()
    url = await person["xep_0363"].upload_file(file, timeout=PATIENCE)
    assert await fetched(url) == Path(file).read_bytes()
    await person.leave()


async def fetch(name, file):
    """Waits for a link and fetches what must be this file."""
    person = await Person(name).sign_in()
    print("listening", flush=True)
    message = await person.hear()
    assert message["from"].bare == address("alice"), message
    assert await fetched(re.search(r"https?://\S+", message["body"])[0]) == Path(file).read_bytes()
    await person.leave()


play({scene.__name__: scene for scene in (talk, upload, fetch)})
