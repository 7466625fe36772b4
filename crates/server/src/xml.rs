//! Small helps for building trees.

use minidom::{Element, ElementBuilder, IntoAttributeValue};
use rxml::NcName;
use stanza::Outgoing;

/// Attributes by plain names.
pub trait With: Sized {
    /// Sets an attribute; `None` leaves it out. A name that is no NCName (never a literal of ours) is left out too.
    fn with(self, name: &str, value: impl IntoAttributeValue) -> Self;
}

impl With for ElementBuilder {
    fn with(self, name: &str, value: impl IntoAttributeValue) -> Self {
        match NcName::try_from(name) {
            Ok(name) => self.attr(name, value),
            Err(_) => self,
        }
    }
}

/// An element builder.
pub fn el(name: &str, ns: &str) -> ElementBuilder {
    Element::builder(name, ns)
}

/// An element with text only.
pub fn text(name: &str, ns: &str, content: impl Into<String>) -> Element {
    Element::builder(name, ns).append(minidom::Node::Text(content.into())).build()
}

/// A stream-level element, ready to be written.
pub fn nonza(element: &Element) -> Outgoing {
    let mut bytes = Vec::with_capacity(256);
    // Writing to memory does not fail, and an element of ours has nothing that XML cannot say.
    let _ = element.write_to(&mut bytes);
    Outgoing { head: bytes.into(), tail: bytes::Bytes::new() }
}
