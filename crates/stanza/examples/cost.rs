//! What a stanza costs on its way through: `cargo run --release -p stanza --example cost`.

use std::hint::black_box;
use std::time::Instant;

use stanza::{Flavour, Framer, Framing, Head, Item, Limits, Stanza, ns};

const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// 367 bytes, as a common client sends them.
const CHAT: &str = "<message xmlns='jabber:client' to='juliet@corp.example/balcony-4f2a9c' \
    id='0f5b2c1e-7d5a-4a39-9b61-3f0d8a2e6c47' type='chat'><body>See you at the old gate at nine, please bring the keys.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>\
    <origin-id xmlns='urn:xmpp:sid:0' id='0f5b2c1e-7d5a-4a39-9b61-3f0d8a2e'/></message>";

const FORWARDING: &str = "<message to='juliet@corp.example'><forwarded xmlns='urn:xmpp:forward:0'>\
    <message xmlns='jabber:client' from='a@b'><body>hello</body></message></forwarded></message>";

fn main() {
    println!("a chat message of {} bytes", CHAT.len());
    let chat = read(CHAT);
    measure("read", || read_again(CHAT));
    measure("read and write a head", {
        let mut framer = open();
        let mut out = Vec::new();
        move || {
            framer.feed(CHAT.as_bytes());
            let Ok(Some(Item::Stanza(stanza))) = framer.next() else { return };
            out.clear();
            Head { from: Some("romeo@corp.example/orchard"), ..stanza.head() }.write(&mut out, None);
            black_box(&out);
        }
    });
    measure("read after each release", {
        let mut framer = open();
        move || {
            framer.feed(CHAT.as_bytes());
            black_box(framer.next().is_ok());
            framer.release();
        }
    });
    measure("head for one more recipient", || chat.outgoing(None));
    measure("body", || chat.text("body"));
    measure("one child as a tree", || chat.payload("origin-id", "urn:xmpp:sid:0"));
    measure("whole stanza as a tree", || chat.element());
    measure("from a tree", {
        let element = chat.element();
        move || Stanza::from_element(&element)
    });
    measure("from storage", {
        let mut stored = Vec::new();
        chat.write(&mut stored, Some(ns::CLIENT));
        move || Stanza::parse(&stored)
    });
    measure("read a forward, written anew", || read_again(FORWARDING));
}

fn open() -> Framer {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    framer.feed(HEADER.as_bytes());
    black_box(framer.next().is_ok());
    framer
}

fn read(xml: &str) -> Stanza {
    let mut framer = open();
    framer.feed(xml.as_bytes());
    match framer.next() {
        Ok(Some(Item::Stanza(stanza))) => stanza,
        _ => Stanza::new(stanza::Kind::Message),
    }
}

fn read_again(xml: &str) {
    thread_local!(static FRAMER: std::cell::RefCell<Framer> = std::cell::RefCell::new(open()));
    FRAMER.with_borrow_mut(|framer| {
        framer.feed(xml.as_bytes());
        black_box(framer.next().is_ok());
    });
}

/// Prints the best of many short runs: short enough that some of them pass between two turns of other programs.
fn measure<R>(what: &str, mut work: impl FnMut() -> R) {
    const RUN: u32 = 100;
    let best = (0..1_000)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..RUN {
                black_box(work());
            }
            start.elapsed() / RUN
        })
        .min();
    println!("{what:>32}: {:>8.2?}", best.unwrap_or_default());
}
