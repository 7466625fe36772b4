//! A stanza means the same after it was sent on, whatever tricks its namespaces play: kept payload, payload written
//! anew, and another XML reader must agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stanza::{Flavour, Framer, Framing, Item, Limits, Stanza};

#[path = "../../crates/stanza/tests/support/oracle.rs"]
mod oracle;

const HEADER: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
    xmlns:p='u' xmlns:q='urn:xmpp:sid:0'>";

fuzz_target!(|input: &str| {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    framer.feed(HEADER.as_bytes());
    framer.feed(input.as_bytes());
    let mut stanzas = Vec::new();
    loop {
        match framer.next() {
            Ok(Some(Item::Stanza(stanza))) => stanzas.push(stanza),
            Ok(Some(Item::Open(_) | Item::Nonza(_))) => {}
            Ok(None) if framer.unread() == 0 => break,
            Ok(Some(Item::Close) | None) | Err(_) => return,
        }
    }
    oracle::judge(&format!("{HEADER}{input}"), &stanzas);
    for stanza in &stanzas {
        let anew = Stanza::from_element(&stanza.element()).unwrap();
        assert_eq!(anew.element(), stanza.element());
    }
});
