//! A validated stanza: its routing attributes in hand, its payload as bytes.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use jid::Jid;
use minidom::Element;
use rxml::{Namespace, NcName};
use smallvec::SmallVec;

use crate::framer::{Framer, Item};
use crate::head::{Head, Outgoing};
use crate::limits::{Flavour, Framing, Limits};
use crate::ns::{self, Symbol};
use crate::scope::Scope;
use crate::tree;
use crate::{FrameError, text};

/// Which of the three stanzas it is (RFC 6120 §8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `<message/>`: pushed, possibly kept for later.
    Message,
    /// `<presence/>`: broadcast to those who subscribed.
    Presence,
    /// `<iq/>`: a question, which gets one answer.
    Iq,
}

impl Kind {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Presence => "presence",
            Kind::Iq => "iq",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        match name {
            "message" => Some(Kind::Message),
            "presence" => Some(Kind::Presence),
            "iq" => Some(Kind::Iq),
            _ => None,
        }
    }

    pub(crate) fn end_tag(self) -> &'static [u8] {
        match self {
            Kind::Message => b"</message>",
            Kind::Presence => b"</presence>",
            Kind::Iq => b"</iq>",
        }
    }
}

/// An attribute of a stanza that names an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// The recipient.
    To,
    /// The sender.
    From,
}

/// A message, presence or IQ that has been validated and is safe to send on.
///
/// Whatever the stream it came from, a stanza is in `jabber:client` here. Its payload is self-contained: it means the
/// same under any start tag whose default namespace is a content namespace. Attributes other than the six below are
/// dropped, as RFC 6120 §8.1 knows no others. Cloning shares the payload. `Debug` leaves out what people wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Message, presence or IQ.
    pub kind: Kind,
    /// The recipient. `None` also when malformed.
    pub to: Option<Jid>,
    /// The sender as the peer gave it; a session puts the true one here. `None` also when malformed.
    pub from: Option<Jid>,
    /// The sender's id of the stanza (RFC 6120 §8.1.3).
    pub id: Option<Box<str>>,
    /// `chat`, `get`, `unavailable`, …, not checked.
    pub type_: Option<Box<str>>,
    /// `xml:lang` on the stanza itself; the stream's default is not applied.
    pub lang: Option<Box<str>>,
    /// The first of `to` and `from` that is no address; answer with `jid-malformed` (RFC 6120 §8.3.3.8).
    pub malformed: Option<Attribute>,
    pub(crate) children: SmallVec<[Child; 4]>,
    /// Payload and end tag.
    pub(crate) tail: Bytes,
}

/// An element directly in a stanza.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub(crate) name: Symbol,
    pub(crate) ns: Symbol,
    /// In the tail.
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Child {
    /// Its local name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace: `jabber:client` for what the stanza's own vocabulary has, such as a body.
    pub fn ns(&self) -> &str {
        &self.ns
    }

    /// Whether it has this name and namespace.
    pub fn is(&self, name: &str, ns: &str) -> bool {
        self.name == name && self.ns == ns
    }

    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// An element that is no stanza, or bytes that are not exactly one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStanza {
    /// Neither message nor presence nor IQ in a content namespace.
    #[error("neither message nor presence nor iq")]
    NotAStanza,
    /// An element has a name or namespace that XML does not allow.
    #[error("a name that XML does not allow")]
    Name,
    /// Not the XML of one stanza.
    #[error(transparent)]
    Xml(#[from] FrameError),
}

impl Stanza {
    /// A stanza without attributes and payload.
    pub fn new(kind: Kind) -> Stanza {
        Stanza {
            kind,
            to: None,
            from: None,
            id: None,
            type_: None,
            lang: None,
            malformed: None,
            children: SmallVec::new(),
            tail: Bytes::from_static(kind.end_tag()),
        }
    }

    /// With this type.
    pub fn typed(mut self, type_: &str) -> Stanza {
        self.type_ = Some(type_.into());
        self
    }

    /// With this id.
    pub fn with_id(mut self, id: impl Into<Box<str>>) -> Stanza {
        self.id = Some(id.into());
        self
    }

    /// From this address.
    pub fn sent_by(mut self, from: impl Into<Jid>) -> Stanza {
        self.from = Some(from.into());
        self
    }

    /// To this address.
    pub fn addressed(mut self, to: impl Into<Jid>) -> Stanza {
        self.to = Some(to.into());
        self
    }

    /// The result of an IQ, without payload (RFC 6120 §8.2.3).
    pub fn result_of(request: &Stanza) -> Stanza {
        let mut reply = Stanza::new(Kind::Iq).typed("result");
        (reply.to, reply.from, reply.id) = (request.from.clone(), request.to.clone(), request.id.clone());
        reply
    }

    /// This stanza with `children` as its payload, written anew.
    ///
    /// # Errors
    /// [`InvalidStanza::Name`] where an element's name is not one.
    pub fn with_payload<'a>(
        self,
        children: impl IntoIterator<Item = &'a Element>,
    ) -> Result<Stanza, InvalidStanza> {
        let mut payload = Payload::default();
        for child in children {
            payload.element(child)?;
        }
        Ok(payload.finish(self))
    }

    /// This stanza with more children behind its own, which stay the bytes that they are.
    ///
    /// # Errors
    /// [`InvalidStanza::Name`] where an element's name is not one.
    pub fn with_more<'a>(
        self,
        children: impl IntoIterator<Item = &'a Element>,
    ) -> Result<Stanza, InvalidStanza> {
        // The end tag is last, and nothing in it looks like its beginning.
        let end = self.tail.windows(2).rposition(|pair| pair == b"</").unwrap_or(self.tail.len());
        let mut payload =
            Payload { tail: Vec::with_capacity(self.tail.len() + 256), children: self.children.clone() };
        payload.tail.extend_from_slice(&self.tail[..end]);
        for child in children {
            payload.element(child)?;
        }
        Ok(payload.finish(self))
    }

    /// A stanza that the server made.
    ///
    /// # Errors
    /// When the element is no stanza in a content namespace, or has a name that XML does not allow.
    pub fn from_element(element: &Element) -> Result<Stanza, InvalidStanza> {
        let kind = Kind::from_name(element.name()).ok_or(InvalidStanza::NotAStanza)?;
        if !ns::is_content(&element.ns()) {
            return Err(InvalidStanza::NotAStanza);
        }
        let mut stanza = Stanza::new(kind);
        stanza.set_addresses(element.attr("to"), element.attr("from"));
        stanza.id = element.attr("id").map(Box::from);
        stanza.type_ = element.attr("type").map(Box::from);
        stanza.lang = element.attr_ns(ns::XML, "lang").map(Box::from);

        let mut payload = Payload::default();
        for node in element.nodes() {
            match node.as_element() {
                Some(child) => payload.element(child)?,
                None => tree::write_node(node, ns::CLIENT, &mut payload.tail),
            }
        }
        Ok(payload.finish(stanza))
    }

    /// Reads back a stanza that was stored: one complete element that declares its own content namespace.
    ///
    /// # Errors
    /// [`InvalidStanza::Xml`] when the bytes are not exactly that.
    pub fn parse(bytes: &[u8]) -> Result<Stanza, InvalidStanza> {
        Stanza::parse_as(Flavour::Client, bytes)
    }

    fn parse_as(flavour: Flavour, bytes: &[u8]) -> Result<Stanza, InvalidStanza> {
        let limits = Limits { token_bytes: bytes.len() + 8, ..Limits::TRUSTED };
        let mut framer = Framer::for_one_element(flavour, Framing::WebSocket, limits);
        framer.feed(bytes);
        match framer.next() {
            Ok(Some(Item::Stanza(stanza))) if framer.unread() == 0 => Ok(stanza),
            Ok(_) => Err(InvalidStanza::NotAStanza),
            Err(error) => Err(InvalidStanza::Xml(error)),
        }
    }

    /// The elements directly in the stanza, in order.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Whether such an element is directly in the stanza.
    pub fn has(&self, name: &str, ns: &str) -> bool {
        self.child(name, ns).is_some()
    }

    /// The first such element directly in the stanza.
    pub fn child(&self, name: &str, ns: &str) -> Option<&Child> {
        self.children.iter().find(|child| child.is(name, ns))
    }

    /// One child as a tree.
    pub fn payload_element(&self, child: &Child) -> Element {
        // The bytes were validated when they became a stanza, so reading them again cannot fail; were there such a
        // fault, an empty element of the right name is better than a panic.
        tree::read(&self.tail[child.range()], &Scope::with_default(Symbol::Borrowed(ns::CLIENT)))
            .unwrap_or_else(|_| Element::bare(child.name(), child.ns()))
    }

    /// The first child of that name and namespace as a tree.
    pub fn payload(&self, name: &str, ns: &str) -> Option<Element> {
        self.child(name, ns).map(|child| self.payload_element(child))
    }

    /// The whole stanza as a tree in `jabber:client`.
    pub fn element(&self) -> Element {
        let mut out = Vec::with_capacity(256 + self.tail.len());
        self.write(&mut out, Some(ns::CLIENT));
        tree::read(&out, &Scope::default()).unwrap_or_else(|_| Element::bare(self.kind.name(), ns::CLIENT))
    }

    /// The text of the first child of that name in the stanza's own vocabulary, such as `body`.
    pub fn text(&self, name: &str) -> Option<String> {
        self.child(name, ns::CLIENT).map(|child| text::of_element(&self.tail[child.range()]))
    }

    /// The stanza without the children that `cut` picks. Shares the payload when there are none.
    pub fn without(&self, mut cut: impl FnMut(&Child) -> bool) -> Stanza {
        let doomed: SmallVec<[bool; 8]> = self.children.iter().map(&mut cut).collect();
        if !doomed.contains(&true) {
            return self.clone();
        }
        let mut tail = Vec::with_capacity(self.tail.len());
        let mut children = SmallVec::with_capacity(self.children.len());
        let mut copied = 0;
        for (child, doomed) in self.children.iter().zip(&doomed) {
            if *doomed {
                tail.extend_from_slice(&self.tail[copied..child.start as usize]);
                copied = child.end as usize;
            } else {
                let shift = (copied - tail.len()) as u32;
                children.push(Child { start: child.start - shift, end: child.end - shift, ..child.clone() });
            }
        }
        tail.extend_from_slice(&self.tail[copied..]);
        Stanza { children, tail: tail.into(), ..self.clone() }
    }

    /// Payload and end tag: what all recipients share.
    pub fn tail(&self) -> &Bytes {
        &self.tail
    }

    /// The start tag with the stanza's own attributes. Change what differs for the recipient.
    pub fn head(&self) -> Head<'_> {
        Head {
            kind: self.kind,
            from: self.from.as_ref().map(Jid::as_str),
            to: self.to.as_ref().map(Jid::as_str),
            id: self.id.as_deref(),
            type_: self.type_.as_deref(),
            lang: self.lang.as_deref(),
        }
    }

    /// Appends the whole stanza; `namespace` as in [`Head::write`].
    pub fn write(&self, out: &mut Vec<u8>, namespace: Option<&str>) {
        self.head().write(out, namespace);
        out.extend_from_slice(&self.tail);
    }

    /// The whole stanza for one recipient, under its own head.
    pub fn outgoing(&self, namespace: Option<&str>) -> Outgoing {
        Outgoing { head: self.head().to_bytes(namespace), tail: self.tail.clone() }
    }

    /// Whether its type is this.
    pub fn is_type(&self, type_: &str) -> bool {
        self.type_.as_deref() == Some(type_)
    }

    pub(crate) fn set_addresses(&mut self, to: Option<&str>, from: Option<&str>) {
        let mut malformed = None;
        let mut address = |value: Option<&str>, which| match value.map(Jid::new) {
            Some(Ok(jid)) => Some(jid),
            Some(Err(_)) => {
                malformed = malformed.or(Some(which));
                None
            }
            None => None,
        };
        self.to = address(to, Attribute::To);
        self.from = address(from, Attribute::From);
        self.malformed = malformed;
    }
}

impl fmt::Debug for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: SmallVec<[&str; 8]> = self.children.iter().map(Child::name).collect();
        f.debug_struct("Stanza")
            .field("kind", &self.kind)
            .field("to", &self.to)
            .field("from", &self.from)
            .field("id", &self.id)
            .field("type_", &self.type_)
            .field("children", &names)
            .field("bytes", &self.tail.len())
            .finish_non_exhaustive()
    }
}

/// A payload being written, with the places of its elements.
#[derive(Default)]
struct Payload {
    tail: Vec<u8>,
    children: SmallVec<[Child; 4]>,
}

impl Payload {
    fn element(&mut self, element: &Element) -> Result<(), InvalidStanza> {
        check_names(element)?;
        let start = self.tail.len() as u32;
        let ns = match element.ns() {
            // Whichever content namespace the tree was made in, the child takes on that of the stream it goes to.
            content if ns::is_content(&content) => {
                tree::write_element(element, &content, &mut self.tail);
                Symbol::Borrowed(ns::CLIENT)
            }
            foreign => {
                tree::write_element(element, ns::CLIENT, &mut self.tail);
                ns::symbol(&foreign)
            }
        };
        let end = self.tail.len() as u32;
        self.children.push(Child { name: ns::symbol(element.name()), ns, start, end });
        Ok(())
    }

    fn finish(mut self, stanza: Stanza) -> Stanza {
        self.tail.extend_from_slice(stanza.kind.end_tag());
        Stanza { children: self.children, tail: self.tail.into(), ..stanza }
    }
}

fn check_names(element: &Element) -> Result<(), InvalidStanza> {
    NcName::try_from(element.name()).map_err(|_| InvalidStanza::Name)?;
    // These two can be bound to `xml` and `xmlns` only, and elements have no place there.
    let ns = element.ns();
    if Namespace::try_share_static(&ns).is_some_and(|ns| !ns.is_none()) {
        return Err(InvalidStanza::Name);
    }
    element.children().try_for_each(check_names)
}
