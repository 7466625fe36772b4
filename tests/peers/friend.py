"""Somebody with slixmpp who says what standard input tells and prints what is heard, a line each. Keeps a room too."""

import asyncio
import os
import sys

from slixmpp import JID

from person import PATIENCE, Person, address, play

ROOM = JID("den@conference.corp.example")


async def main(name):
    friend = Person(name, plugins=["xep_0045", "xep_0004"])
    conference = friend.plugin["xep_0045"]

    def hear(message):
        kind = "room" if message["type"] == "groupchat" else message["type"]
        who = message["from"].resource if kind == "room" else message["from"].user
        # What has no body is a sign, such as that somebody types.
        if message["body"]:
            print(f"{kind} {who}: {message['body']}", flush=True)

    def see(presence):
        print(f"{presence['from'].resource} is in the room", flush=True)

    for event in ("message", "message_error"):
        friend.add_event_handler(event, hear)
    friend.add_event_handler(f"muc::{ROOM}::got_online", see)
    await friend.sign_in()
    await conference.join_muc_wait(ROOM, name, maxstanzas=0, timeout=PATIENCE)
    await conference.set_room_config(ROOM, friend.plugin["xep_0004"].make_form(ftype="submit"))

    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    # `chat alice hello` says it to her, `room hello` to all in the room; the end of input is the end.
    while line := (await lines.readline()).decode().strip():
        kind, text = line.split(" ", 1)
        if kind == "room":
            friend.send_message(mto=ROOM, mbody=text, mtype="groupchat")
        else:
            to, text = text.split(" ", 1)
            friend.say(address(to), text)
    await friend.leave()


play({"main": main})
