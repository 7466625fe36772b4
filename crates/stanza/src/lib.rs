//! XMPP on the wire: bytes in, stanzas out, and back to bytes.
//!
//! This crate is pure. It does no I/O and reads no clock, so every corner of it can be tested without a socket.
//!
//! [`Framer`] turns the bytes of one connection into [`Item`]s. Every byte passes a strict XML reader first, so what
//! leaves the framer is well-formed, within [`Limits`], and free of what RFC 6120 §11.1 forbids.
//!
//! A [`Stanza`] keeps its payload as the bytes that arrived. Sending it on is a [`Head`] (the start tag, made anew for
//! each recipient) followed by that shared tail, so a message to a thousand people is encoded once. A payload that
//! would mean something else under another start tag is written anew at the door, so that everything behind it may
//! splice without a second thought.

mod condition;
mod error;
mod escape;
mod frame_error;
mod framer;
mod head;
mod limits;
pub mod ns;
mod reader;
mod rewrite;
mod scope;
mod stanza;
mod text;
mod tree;

pub use jid::{BareJid, DomainPart, DomainRef, FullJid, Jid, NodePart, NodeRef, ResourcePart, ResourceRef};
pub use minidom::Element;

pub use condition::{StreamCondition, StreamError};
pub use error::{ErrorType, StanzaCondition, StanzaError};
pub use escape::{escape_attribute, escape_text};
pub use frame_error::FrameError;
pub use framer::{Framer, Item, StreamHeader};
pub use head::{Head, Outgoing};
pub use limits::{Flavour, Framing, Limits};
pub use stanza::{Attribute, Child, InvalidStanza, Kind, Stanza};
pub use tree::write_element;
