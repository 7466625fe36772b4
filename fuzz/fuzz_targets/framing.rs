//! Whatever comes, the framer neither panics nor hoards, and where the bytes were cut changes nothing.
//!
//! The first byte chooses flavour, framing and whether the stream is open already, the second the size of the pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stanza::{Flavour, FrameError, Framer, Framing, Item, Limits, Stanza, ns};

const LIMITS: Limits = Limits {
    stanza_bytes: 2_048,
    depth: 16,
    attributes: 16,
    elements: 64,
    token_bytes: 512,
    declarations: 16,
};

fuzz_target!(|data: &[u8]| {
    let [choice, size, input @ ..] = data else { return };
    let flavour = [Flavour::Client, Flavour::Server, Flavour::Component][usize::from(choice % 3)];
    if choice & 0x40 == 0 {
        on_tcp(flavour, choice & 0x80 == 0, usize::from(*size % 32) + 1, input);
    } else {
        on_websocket(flavour, input);
    }
});

fn on_tcp(flavour: Flavour, opened: bool, size: usize, input: &[u8]) {
    let start = || {
        let mut framer = Framer::new(flavour, Framing::Tcp, LIMITS);
        if opened {
            let content = flavour.content_namespace();
            framer
                .feed(format!("<stream:stream xmlns='{content}' xmlns:stream='{}'>", ns::STREAM).as_bytes());
            assert!(matches!(framer.next(), Ok(Some(Item::Open(_)))));
        }
        framer
    };
    let mut whole = start();
    whole.feed(input);
    let expected = drain(&mut whole);

    let mut framer = start();
    let mut got = (Vec::new(), None);
    for piece in input.chunks(size) {
        framer.feed(piece);
        let (items, error) = drain(&mut framer);
        assert!(framer.unread() <= LIMITS.stanza_bytes, "{} bytes kept", framer.unread());
        got.0.extend(items);
        got.1 = got.1.or(error);
        framer.release();
    }
    assert_eq!(got, expected);
    got.0.iter().for_each(inspect);
}

/// Messages are what zero bytes separate.
fn on_websocket(flavour: Flavour, input: &[u8]) {
    let mut framer = Framer::new(flavour, Framing::WebSocket, LIMITS);
    for message in input.split(|byte| *byte == 0) {
        framer.feed(message);
        let (items, error) = drain(&mut framer);
        assert!(items.len() <= 1);
        items.iter().for_each(inspect);
        assert!(error.is_some() || framer.unread() == 0);
    }
}

fn drain(framer: &mut Framer) -> (Vec<Item>, Option<FrameError>) {
    let mut items = Vec::new();
    loop {
        match framer.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(error) => return (items, Some(error)),
        }
    }
}

fn inspect(item: &Item) {
    let Item::Stanza(stanza) = item else { return };
    let mut stored = Vec::new();
    stanza.write(&mut stored, Some(ns::CLIENT));
    let mut back = Stanza::parse(&stored).unwrap();
    back.malformed = stanza.malformed;
    assert_eq!(&back, stanza);
    for child in stanza.children() {
        assert!(stanza.payload_element(child).is(child.name(), child.ns()));
    }
    assert!(stanza.without(|_| true).children().is_empty());
}
