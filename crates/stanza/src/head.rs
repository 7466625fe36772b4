//! The start of an outgoing stanza, and the pair of bytes that goes to a socket.

use std::fmt;

use bytes::Bytes;

use crate::escape::escape_attribute;
use crate::stanza::Kind;

/// The start tag of a stanza for one recipient. Attributes that are `None` are left out.
///
/// What the server adds of its own (a stanza id, a delay) goes right behind the start tag, before the tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// Message, presence or IQ.
    pub kind: Kind,
    /// The sender, as the recipient shall see it.
    pub from: Option<&'a str>,
    /// The recipient.
    pub to: Option<&'a str>,
    /// The sender's id of the stanza (RFC 6120 §8.1.3).
    pub id: Option<&'a str>,
    /// `chat`, `get`, `unavailable`, …
    pub type_: Option<&'a str>,
    /// `xml:lang` (RFC 6120 §8.1.5).
    pub lang: Option<&'a str>,
}

impl<'a> Head<'a> {
    /// A head without any attribute.
    pub fn new(kind: Kind) -> Head<'static> {
        Head { kind, from: None, to: None, id: None, type_: None, lang: None }
    }

    /// Appends the start tag.
    ///
    /// `namespace` is declared on the tag where the surroundings do not: on a WebSocket (RFC 7395 §3.3.3) and at rest.
    pub fn write(&self, out: &mut Vec<u8>, namespace: Option<&str>) {
        out.push(b'<');
        out.extend_from_slice(self.kind.name().as_bytes());
        let attributes = [
            (&b" xmlns='"[..], namespace),
            (b" from='", self.from),
            (b" to='", self.to),
            (b" id='", self.id),
            (b" type='", self.type_),
            (b" xml:lang='", self.lang),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                out.extend_from_slice(name);
                escape_attribute(value, out);
                out.push(b'\'');
            }
        }
        out.push(b'>');
    }

    /// The start tag alone, as bytes for [`Outgoing::head`].
    pub fn to_bytes(&self, namespace: Option<&str>) -> Bytes {
        let mut out = Vec::with_capacity(192);
        self.write(&mut out, namespace);
        out.into()
    }
}

/// What goes to a socket: a head for this recipient, then a tail that all recipients share. Cloning copies no text,
/// and `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Start tag and whatever the server put behind it.
    pub head: Bytes,
    /// Payload and end tag.
    pub tail: Bytes,
}

impl Outgoing {
    /// Bytes of both parts.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} + {} bytes)", self.head.len(), self.tail.len())
    }
}

impl From<Bytes> for Outgoing {
    /// Anything that is complete in itself: a stream header, a nonza, an end tag.
    fn from(head: Bytes) -> Outgoing {
        Outgoing { head, tail: Bytes::new() }
    }
}
