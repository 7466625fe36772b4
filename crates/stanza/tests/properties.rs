//! What holds for every stream.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support {
    pub(crate) mod generate;
    pub(crate) mod oracle;
}

use proptest::collection::vec;
use proptest::prelude::*;
use stanza::{Element, Flavour, FrameError, Framer, Framing, Item, Kind, Limits, Stanza, ns};
use support::generate::{Conversation, conversation};
use support::oracle;

type Outcome = (Vec<Item>, Option<FrameError>);

fn framer() -> Framer {
    Framer::new(Flavour::Client, Framing::Tcp, Limits::default())
}

fn drain(framer: &mut Framer, (items, failure): &mut Outcome) {
    loop {
        match framer.next() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return,
            Err(error) => {
                *failure = Some(error);
                return;
            }
        }
    }
}

fn at_once(bytes: &[u8]) -> Outcome {
    let (mut framer, mut outcome) = (framer(), Outcome::default());
    framer.feed(bytes);
    drain(&mut framer, &mut outcome);
    outcome
}

fn in_pieces(bytes: &[u8], sizes: &[usize]) -> Outcome {
    let (mut framer, mut outcome) = (framer(), Outcome::default());
    let mut rest = bytes;
    for (turn, size) in sizes.iter().cycle().enumerate() {
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        framer.feed(piece);
        drain(&mut framer, &mut outcome);
        if turn % 3 == 0 {
            framer.release();
        }
        rest = later;
        if rest.is_empty() {
            return outcome;
        }
    }
    outcome
}

fn stanzas(conversation: &Conversation) -> Vec<Stanza> {
    let (items, _) = at_once(conversation.text().as_bytes());
    items
        .into_iter()
        .filter_map(|item| if let Item::Stanza(stanza) = item { Some(stanza) } else { None })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn where_the_bytes_are_cut_changes_nothing(conversation in conversation(), sizes in vec(1usize..40, 1..12)) {
        let text = conversation.text();
        prop_assert_eq!(in_pieces(text.as_bytes(), &sizes), at_once(text.as_bytes()));
    }

    #[test]
    fn where_broken_bytes_are_cut_changes_nothing_either(
        conversation in conversation(),
        at in any::<prop::sample::Index>(),
        insert in prop_oneof![
            any::<u8>().prop_map(|byte| vec![byte]),
            prop::sample::select(vec!["<", ">", "&", "]]>", "'", "<!--", "<?", "</", "xmlns='u'", "\u{FFFE}"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ],
        sizes in vec(1usize..40, 1..12),
    ) {
        let mut bytes = conversation.text().into_bytes();
        let at = at.index(bytes.len());
        bytes.splice(at..at, insert);
        prop_assert_eq!(in_pieces(&bytes, &sizes), at_once(&bytes));
    }

    #[test]
    fn a_stanza_means_what_another_reader_makes_of_it(conversation in conversation()) {
        let (_, error) = at_once(conversation.text().as_bytes());
        prop_assume!(error.is_none());
        oracle::judge(&conversation.text(), &stanzas(&conversation));
    }

    #[test]
    fn keeping_the_payload_and_writing_it_anew_come_to_the_same(conversation in conversation()) {
        for stanza in stanzas(&conversation) {
            let tree = stanza.element();
            let anew = Stanza::from_element(&tree).unwrap();
            prop_assert_eq!(anew.element(), tree);
        }
    }

    #[test]
    fn what_is_stored_reads_back_the_same(conversation in conversation()) {
        for stanza in stanzas(&conversation) {
            let stored = |stanza: &Stanza| {
                let mut out = Vec::new();
                stanza.write(&mut out, Some(ns::CLIENT));
                out
            };
            let mut back = Stanza::parse(&stored(&stanza)).unwrap();
            back.malformed = stanza.malformed;
            prop_assert_eq!(&back.tail(), &stanza.tail());
            prop_assert_eq!(back, stanza);
        }
    }

    #[test]
    fn cutting_children_from_the_bytes_cuts_them_from_the_tree(conversation in conversation(), choice in any::<u8>()) {
        for stanza in stanzas(&conversation) {
            let mut turn = 0;
            let mut picks = move || {
                turn += 1;
                choice >> (turn % 8) & 1 == 1
            };
            let mut picks_again = picks;
            let cut = stanza.without(|_| picks());
            let mut tree = Element::bare(stanza.kind.name(), ns::CLIENT);
            *tree.attrs_mut() = stanza.element().attrs().clone();
            for node in stanza.element().nodes() {
                match node.as_text() {
                    Some(text) => tree.append_text(text),
                    None if picks_again() => {}
                    None => tree.append_node(node.clone()),
                }
            }
            prop_assert_eq!(cut.element(), tree);
            for child in cut.children() {
                prop_assert!(cut.payload_element(child).is(child.name(), child.ns()));
            }
        }
    }

    #[test]
    fn any_text_arrives_as_it_was_sent(id in any::<String>(), body in any::<String>()) {
        let mut element = Element::bare("body", ns::CLIENT);
        element.append_text(body.as_str());
        let mut sent = Stanza::new(Kind::Message).with_payload([&element]).unwrap();
        sent.id = Some(id.as_str().into());
        let mut out = Vec::new();
        sent.write(&mut out, Some(ns::CLIENT));
        let read = Stanza::parse(&out).unwrap();
        let allowed = |text: &str| -> String {
            let excluded = |c: char| matches!(c, '\0'..'\t' | '\x0B' | '\x0C' | '\x0E'..' ' | '\u{FFFE}' | '\u{FFFF}');
            text.chars().map(|c| if excluded(c) { '\u{FFFD}' } else { c }).collect()
        };
        prop_assert_eq!(read.id.as_deref(), Some(&*allowed(&id)));
        prop_assert_eq!(read.text("body"), Some(allowed(&body)));
    }
}

#[test]
fn the_fuzzers_inputs_still_mean_what_another_reader_makes_of_them() {
    let header = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
        xmlns:p='u' xmlns:q='urn:xmpp:sid:0'>";
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/splice");
    let mut judged = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let Ok(input) = String::from_utf8(std::fs::read(file.unwrap().path()).unwrap()) else { continue };
        let conversation = Conversation { header: header.to_owned(), elements: vec![input] };
        if at_once(conversation.text().as_bytes()).1.is_none() {
            oracle::judge(&conversation.text(), &stanzas(&conversation));
            judged += 1;
        }
    }
    assert!(judged >= 10, "only {judged} inputs were fit to be judged");
}
