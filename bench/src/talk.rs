//! The chat stanza that every message scenario sends: what a person's client writes, always equally long.

use std::sync::Arc;

use crate::fault::{Fault, Result};
use crate::words::Bodies;

/// Bytes of one stanza: body, chat state and origin id, as clients send them on average.
pub(crate) const STANZA_BYTES: usize = 367;

/// Whom a stanza is for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// One person.
    Chat,
    /// A room.
    Groupchat,
}

/// Writes the stanzas of one sender to one recipient.
#[derive(Clone)]
pub(crate) struct Talk {
    head: Vec<u8>,
    bodies: Arc<Bodies>,
    cursor: u64,
}

const AFTER_ID: &[u8] = b"'><body>";
const AFTER_BODY: &[u8] =
    b"</body><active xmlns='http://jabber.org/protocol/chatstates'/><origin-id xmlns='urn:xmpp:sid:0' id='";
const END: &[u8] = b"'/></message>";
const ID: usize = 16;

impl Talk {
    /// One talk for each recipient; they share the bodies.
    pub(crate) fn among(kind: Kind, recipients: &[String]) -> Result<Vec<Talk>> {
        let longest = recipients.iter().map(String::len).max().unwrap_or(0);
        let fixed = head(kind, "").len() + longest + AFTER_ID.len() + AFTER_BODY.len() + END.len() + 2 * ID;
        let body = STANZA_BYTES
            .checked_sub(fixed)
            .ok_or_else(|| Fault::Usage("the addresses leave no room for a body".to_owned()))?;
        let bodies = Arc::new(Bodies::of_length(body, 0x0c4a_ce17));
        let talks = recipients.iter().zip(0..).map(|(recipient, number): (_, u64)| Talk {
            head: head(kind, recipient).into_bytes(),
            bodies: Arc::clone(&bodies),
            // Senders start in different places, so that no two say the same thing at once.
            cursor: number * 41,
        });
        Ok(talks.collect())
    }

    /// Appends one stanza with this id.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, id: u64) {
        let id = hex(id);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&id);
        out.extend_from_slice(AFTER_ID);
        out.extend_from_slice(self.bodies.nth(self.cursor));
        out.extend_from_slice(AFTER_BODY);
        out.extend_from_slice(&id);
        out.extend_from_slice(END);
        self.cursor += 1;
    }
}

fn head(kind: Kind, recipient: &str) -> String {
    let type_ = match kind {
        Kind::Chat => "chat",
        Kind::Groupchat => "groupchat",
    };
    format!("<message type='{type_}' to='{recipient}' id='")
}

fn hex(value: u64) -> [u8; ID] {
    let mut text = [0; ID];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(value >> (4 * place)) as usize & 15];
    }
    text
}

/// The number in an id that [`Talk::push`] wrote.
pub(crate) fn id(attribute: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(attribute).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan;

    #[test]
    fn stanzas_are_367_bytes_and_carry_their_id() {
        let mut talks =
            Talk::among(Kind::Chat, &["bench00001@localhost".to_owned(), "bench00002@localhost".to_owned()])
                .unwrap();
        for talk in &mut talks {
            let mut out = Vec::new();
            talk.push(&mut out, 0xfeed);
            assert_eq!(out.len(), STANZA_BYTES);
            assert_eq!(scan::attribute(&out, "id").and_then(id), Some(0xfeed));
            assert!(scan::attribute(&out, "to").is_some_and(|to| to.ends_with(b"@localhost")));
        }
    }
}
