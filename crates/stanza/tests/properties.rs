//! What holds for every stream.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support {
    pub(crate) mod generate;
}

use proptest::collection::vec;
use proptest::prelude::*;
use stanza::{Element, Flavour, FrameError, Framer, Framing, Item, Kind, Limits, Stanza, ns};
use support::generate::{Conversation, conversation};

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

/// What another reader makes of the same stream, brought into the form that stanzas have behind the framer.
fn oracle(stream: &str) -> Vec<Element> {
    let stream: Element = format!("{stream}</stream:stream>").parse().unwrap();
    stream
        .children()
        .filter(|element| Kind::from_name(element.name()).is_some() && element.ns().starts_with("jabber:"))
        .map(|element| {
            let mut out = content_unified(element);
            let to = element.attr("to").and_then(|to| stanza::Jid::new(to).ok());
            out.attrs_mut().retain(|ns, name, value| {
                if *name == *"to" {
                    *value = to.as_ref().map(|to| to.as_str().to_owned()).unwrap_or_default();
                }
                ns.is_none() && (*name == *"id" || (*name == *"to" && to.is_some()))
            });
            out
        })
        .collect()
}

fn content_unified(element: &Element) -> Element {
    let mut out = Element::bare(element.name(), ns::CLIENT);
    *out.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        match node.as_element() {
            Some(child) if is_content(&child.ns()) => {
                out.append_child(content_unified(child));
            }
            _ => out.append_node(node.clone()),
        }
    }
    out
}

/// The same with content unified at every depth, for readers that cannot tell inherited from declared.
fn all_unified(element: &Element) -> Element {
    let ns = element.ns();
    let mut out = Element::bare(element.name(), if is_content(&ns) { ns::CLIENT.to_owned() } else { ns });
    *out.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        match node.as_element() {
            Some(child) => {
                out.append_child(all_unified(child));
            }
            None => out.append_node(node.clone()),
        }
    }
    out
}

fn is_content(ns: &str) -> bool {
    matches!(ns, "jabber:client" | "jabber:server" | "jabber:component:accept")
}

/// Sends the stanza on, into a stream where every prefix means something else.
fn sent_on(stanza: &Stanza, content: &str) -> Element {
    let mut out = format!(
        "<s:stream xmlns:s='{}' xmlns='{content}' xmlns:p='trap' xmlns:q='trap' xmlns:stream='trap'>",
        ns::STREAM
    )
    .into_bytes();
    stanza.write(&mut out, None);
    out.extend_from_slice(b"</s:stream>");
    let stream: Element = String::from_utf8(out).unwrap().parse().unwrap();
    stream.children().next().unwrap().clone()
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
        let (items, error) = at_once(conversation.text().as_bytes());
        prop_assume!(error.is_none());
        let expected = oracle(&conversation.text());
        let stanzas: Vec<_> =
            items.into_iter().filter_map(|item| if let Item::Stanza(stanza) = item { Some(stanza) } else { None }).collect();
        prop_assert_eq!(stanzas.len(), expected.len());
        for (stanza, expected) in stanzas.iter().zip(&expected) {
            prop_assert_eq!(&stanza.element(), expected);
            prop_assert_eq!(&sent_on(stanza, ns::CLIENT), expected);
            prop_assert_eq!(all_unified(&sent_on(stanza, ns::SERVER)), all_unified(expected));
            let children: Vec<_> = expected.children().map(|child| (child.name().to_owned(), child.ns())).collect();
            let found: Vec<_> =
                stanza.children().iter().map(|child| (child.name().to_owned(), child.ns().to_owned())).collect();
            prop_assert_eq!(found, children);
        }
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
    fn the_text_of_a_child_is_what_its_tree_says(conversation in conversation()) {
        for stanza in stanzas(&conversation) {
            if let Some(child) = stanza.child("body", ns::CLIENT) {
                prop_assert_eq!(stanza.text("body"), Some(stanza.payload_element(child).text()));
            }
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
