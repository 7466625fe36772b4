//! What several of the test files need.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

use stanza::{Flavour, FrameError, Framer, Framing, Item, Limits, Stanza};

pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' to='corp.example' version='1.0' xml:lang='en'>";

/// A client's stream that is open.
pub(crate) fn open() -> Framer {
    open_with(Limits::default())
}

pub(crate) fn open_with(limits: Limits) -> Framer {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, limits);
    framer.feed(HEADER.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Item::Open(_)))));
    framer
}

/// The one stanza that `xml` is, within a client's stream.
pub(crate) fn stanza(xml: &str) -> Stanza {
    match one(xml.as_bytes()) {
        Ok(Some(Item::Stanza(stanza))) => stanza,
        other => panic!("no stanza: {other:?}"),
    }
}

/// The first item that `bytes` give within a client's stream.
pub(crate) fn one(bytes: &[u8]) -> Result<Option<Item>, FrameError> {
    let mut framer = open();
    framer.feed(bytes);
    framer.next()
}

/// All items that `bytes` give, up to the first error.
pub(crate) fn all(framer: &mut Framer, bytes: &[u8]) -> (Vec<Item>, Option<FrameError>) {
    framer.feed(bytes);
    drain(framer)
}

pub(crate) fn drain(framer: &mut Framer) -> (Vec<Item>, Option<FrameError>) {
    let mut items = Vec::new();
    loop {
        match framer.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(error) => return (items, Some(error)),
        }
    }
}

/// Tail as text.
pub(crate) fn tail(stanza: &Stanza) -> &str {
    std::str::from_utf8(stanza.tail()).unwrap()
}
