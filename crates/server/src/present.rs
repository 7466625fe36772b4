//! A conversation as it stands: each message in its last version with the reactions to it.
//!
//! The archive keeps corrections (XEP-0308) and reactions (XEP-0444) as events of their own, and a client that reads a
//! history gets them like that and puts them together itself. One that asks with `<present xmlns='urn:chancery:history:0'/>`
//! gets it done: the changes stand in the messages that they change, wherever in the archive they are.

use std::collections::HashMap;

use archive::{ArchiveError, CHANGES, Item};
use bytes::Bytes;
use minidom::Element;
use stanza::{BareJid, Stanza};

use crate::clock;
use crate::fates::RETRACT;
use crate::post::Trail;
use crate::xml::{With, el, text};

/// The namespace.
pub const PRESENT: &str = "urn:chancery:history:0";

const CORRECT: &str = "urn:xmpp:message-correct:0";
const REACTIONS: &str = "urn:xmpp:reactions:0";

/// Changes of one message that are looked at, newest first. A hundred people may have reacted and changed their minds.
const MOST: usize = 500;

/// The id of the message that a stanza changes.
pub fn target(stanza: &Stanza) -> Option<Box<str>> {
    let (child, _) = CHANGES.iter().find_map(|(name, ns)| Some((stanza.child(name, ns)?, ns)))?;
    stanza.payload_element(child).attr("id").map(Into::into)
}

/// Puts the changes into the messages that they change, and takes them out of the list.
///
/// # Errors
/// When the archive cannot be read.
pub async fn collate(trail: &Trail, owner: &BareJid, items: &mut Vec<Item>) -> Result<(), ArchiveError> {
    let mut shown = Vec::with_capacity(items.len());
    for mut item in items.drain(..) {
        let Ok(stanza) = Stanza::parse(&item.stanza) else {
            shown.push(item);
            continue;
        };
        if target(&stanza).is_some() {
            continue;
        }
        if !stanza.has("retracted", RETRACT) {
            let mut changes = Vec::new();
            for id in names(trail, &item, &stanza) {
                changes.extend(trail.about(owner, &id, MOST).await?);
            }
            changes.sort_unstable_by_key(|change| std::cmp::Reverse(change.sequence));
            if let Some(present) = merge(&item, stanza, &changes) {
                item.stanza = present;
            }
        }
        shown.push(item);
    }
    *items = shown;
    Ok(())
}

/// The ids that changes name a message by: its sender's, and in a room also the one that the room gave it
/// (XEP-0308 §5, XEP-0444 §4.2).
fn names(trail: &Trail, item: &Item, stanza: &Stanza) -> Vec<String> {
    let own = stanza.id.as_deref().map(str::to_owned);
    let rooms = stanza.is_type("groupchat").then(|| trail.id(item.sequence).as_str().to_owned());
    own.into_iter().chain(rooms).collect()
}

/// The message with what `changes`, newest first, made of it; `None` when they made nothing.
fn merge(item: &Item, original: Stanza, changes: &[Item]) -> Option<Bytes> {
    let author = item.from.to_bare();
    let mut correction: Option<(&Item, Stanza)> = None;
    // Each person's newest reactions stand (XEP-0444 §4).
    let mut reactions: HashMap<BareJid, Vec<String>> = HashMap::new();
    let mut order = Vec::new();
    for change in changes.iter().filter(|change| change.sequence > item.sequence) {
        let Ok(stanza) = Stanza::parse(&change.stanza) else { continue };
        let by = change.from.to_bare();
        if let Some(child) = stanza.child("reactions", REACTIONS)
            && !reactions.contains_key(&by)
        {
            let element = stanza.payload_element(child);
            let emoji = element.children().filter(|child| child.is("reaction", REACTIONS)).map(Element::text);
            reactions.insert(by.clone(), emoji.collect());
            order.push((by, stanza.from.clone().unwrap_or_else(|| change.from.clone())));
        } else if correction.is_none() && by == author && stanza.has("replace", CORRECT) {
            correction = Some((change, stanza));
        }
    }
    let mut notes = Vec::new();
    if let Some((change, stanza)) = &correction {
        let edited =
            el("edited", PRESENT).with("stamp", clock::stamp(change.time.0)).with("id", stanza.id.as_deref());
        notes.push(edited.build());
    }
    for (by, from) in order.iter().rev() {
        let emoji = reactions.remove(by).unwrap_or_default();
        if !emoji.is_empty() {
            let each = emoji.iter().map(|emoji| text("reaction", PRESENT, emoji.as_str()));
            notes.push(el("reactions", PRESENT).with("from", from.as_str()).append_all(each).build());
        }
    }
    if notes.is_empty() {
        return None;
    }
    // What the reader knows the message by stays the original's.
    let head = original.head();
    let mut out = Vec::with_capacity(item.stanza.len() + 256);
    let payload = match &correction {
        Some((_, stanza)) => stanza.without(|child| child.is("replace", CORRECT)),
        None => original.clone(),
    };
    head.write(&mut out, Some(stanza::ns::CLIENT));
    for note in &notes {
        out.extend_from_slice(String::from(note).as_bytes());
    }
    out.extend_from_slice(payload.tail());
    Some(out.into())
}
