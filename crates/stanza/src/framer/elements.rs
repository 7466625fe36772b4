//! What the parser's events make of an element: a header, a stanza, a nonza.

use bytes::Bytes;
use rxml::{RawEvent, RawQName};

use super::{BETWEEN, Framer, Item, Stage, StreamHeader, is_blank};
use crate::frame_error::FrameError;
use crate::limits::{Flavour, Framing, MOST_BYTES};
use crate::ns::{self, Symbol};
use crate::reader::Reader;
use crate::rewrite::Rewriter;
use crate::scope::{Attributes, StartTag};
use crate::stanza::{Child, Kind, Stanza};
use crate::tree;

/// Elements in a nonza. Those that negotiate a stream hold a few dozen, and they become trees.
const NONZA_ELEMENTS: usize = 512;

/// An element at stream level, or the stream header, that has begun.
pub(super) struct Reading {
    /// Where it begins in the buffer.
    pub(super) start: usize,
    elements: usize,
    body: Body,
}

enum Body {
    /// Nothing but the `<` is known yet.
    Unknown,
    /// A stream header, whose name as written is known.
    Header {
        root: String,
    },
    Stanza(Box<Draft>),
    /// Any other element. Its tree is built once it is complete: until then its bytes take far less memory.
    Nonza,
    Open(StreamHeader),
    Close,
}

impl Reading {
    pub(super) fn new(start: usize) -> Reading {
        Reading { start, elements: 0, body: Body::Unknown }
    }
}

/// A stanza whose payload is being read. Places are counted from the start of the stanza.
struct Draft {
    stanza: Stanza,
    payload: usize,
    /// Where the child begins that is open.
    child: usize,
    /// Declarations in force around the payload.
    around: usize,
    /// Whether the payload can be kept as it is.
    portable: bool,
}

impl Framer {
    /// How many elements around the one being read are open: 1 for the stream on TCP.
    fn base(&self) -> usize {
        match (self.framing, &self.stage) {
            (Framing::Tcp, Stage::Stream { .. }) => 1,
            _ => 0,
        }
    }

    pub(super) fn handle(&mut self, event: RawEvent) -> Result<Option<Item>, FrameError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, name) => self.head_opens(name).map(|()| None),
            RawEvent::Attribute(_, name, value) => {
                self.scope.attribute(name, value, &self.limits).map(|()| None)
            }
            RawEvent::ElementHeadClose(_) => self.head_closes(),
            RawEvent::Text(_, text) => self.text(&text).map(|()| None),
            RawEvent::ElementFoot(_) => self.foot(),
        }
    }

    fn head_opens(&mut self, name: RawQName) -> Result<(), FrameError> {
        let level = self.scope.depth() + 1 - self.base();
        if level > self.limits.depth {
            return Err(FrameError::Limit("depth of elements"));
        }
        // The parser has read `<`, the name, and the one byte that showed where the name ends.
        let written = name.0.as_ref().map_or(0, |prefix| prefix.len() + 1) + name.1.len() + 2;
        let Some(reading) = &mut self.reading else { return Ok(()) };
        reading.elements += 1;
        let most = match reading.body {
            Body::Nonza => self.limits.elements.min(NONZA_ELEMENTS),
            _ => self.limits.elements,
        };
        if reading.elements > most {
            return Err(FrameError::Limit("elements of a stanza"));
        }
        let start = self.seen - written;
        match (&self.stage, level, &mut reading.body) {
            (Stage::Header, 1, Body::Unknown) if self.framing == Framing::Tcp => {
                let root = String::from_utf8_lossy(&self.buffer[start + 1..self.seen - 1]).into_owned();
                reading.body = Body::Header { root };
            }
            // An empty CDATA section shows up as no event at all.
            (Stage::Stream { .. }, 1, _) if start != reading.start => return Err(BETWEEN),
            (_, 2, Body::Stanza(draft)) => draft.child = start - reading.start,
            _ => {}
        }
        self.scope.begin(name);
        Ok(())
    }

    fn head_closes(&mut self) -> Result<Option<Item>, FrameError> {
        let level = self.scope.depth() + 1 - self.base();
        let wanted = if level == 1 { Attributes::Resolve } else { Attributes::Check };
        let tag = self.scope.open(&self.limits, wanted)?;
        let Some(reading) = &mut self.reading else { return Ok(None) };
        match &mut reading.body {
            Body::Header { root } => {
                let root = ns::symbol(root);
                return self.stream_opens(tag, root).map(Some);
            }
            Body::Unknown => {
                let body = self.first_tag(tag)?;
                if let Some(reading) = &mut self.reading {
                    reading.body = body;
                }
            }
            Body::Stanza(draft) => draft.opens(tag, level),
            Body::Nonza => {}
            Body::Open(_) | Body::Close => return Err(FrameError::BadFormat("a frame that should be empty")),
        }
        Ok(None)
    }

    /// The stream header on TCP (RFC 6120 §4.2).
    fn stream_opens(&mut self, mut tag: StartTag, root: Symbol) -> Result<Item, FrameError> {
        let content_ns = self.flavour.content_namespace();
        let supported = match self.scope.default_namespace() {
            // RFC 6120 §4.8.2: the default namespace is the stream's, and the content has a prefix.
            "" | ns::STREAM => self.scope.declares(content_ns),
            default => default == content_ns,
        };
        if tag.ns != ns::STREAM || !supported {
            return Err(FrameError::InvalidNamespace);
        }
        if tag.name != *"stream" {
            return Err(FrameError::BadFormat("no stream header"));
        }
        self.reading = None;
        let empty = self.seen >= 2 && self.buffer[self.seen - 2] == b'/';
        self.stage = if empty { Stage::Ending } else { Stage::Stream { root } };
        Ok(Item::Open(StreamHeader::from_tag(&mut tag, content_ns)))
    }

    /// What an element at stream level turns out to be.
    fn first_tag(&self, mut tag: StartTag) -> Result<Body, FrameError> {
        let content_ns = self.flavour.content_namespace();
        let name = tag.name.as_str();
        if self.framing == Framing::WebSocket {
            match (&*tag.ns, name, &self.stage) {
                (ns::FRAMING, "close", _) => return Ok(Body::Close),
                (ns::FRAMING, "open", Stage::Header) => {
                    return Ok(Body::Open(StreamHeader::from_tag(&mut tag, content_ns)));
                }
                (ns::FRAMING, ..) => return Err(FrameError::BadFormat("neither the time nor the element")),
                (_, _, Stage::Header) => return Err(FrameError::InvalidNamespace),
                _ => {}
            }
        }
        if tag.ns == content_ns {
            return match Kind::from_name(name) {
                Some(kind) => Ok(Body::Stanza(Box::new(self.draft(kind, tag)))),
                // XEP-0114 §3 puts its sign-in into the stanzas' own namespace.
                None if self.flavour == Flavour::Component && name == "handshake" => Ok(Body::Nonza),
                None => Err(FrameError::UnsupportedStanzaType),
            };
        }
        match &*tag.ns {
            "" => Err(FrameError::InvalidNamespace),
            other if ns::is_content(other) => Err(FrameError::UnsupportedStanzaType),
            ns::STREAM if name == "stream" => Err(FrameError::BadFormat("a stream within the stream")),
            _ => Ok(Body::Nonza),
        }
    }

    fn draft(&self, kind: Kind, mut tag: StartTag) -> Draft {
        let mut stanza = Stanza::new(kind);
        stanza.set_addresses(tag.take("to").as_deref(), tag.take("from").as_deref());
        stanza.id = tag.take("id").map(Box::from);
        stanza.type_ = tag.take("type").map(Box::from);
        stanza.lang = tag.take_ns(ns::XML, "lang").map(Box::from);
        let start = self.reading.as_ref().map_or(0, |reading| reading.start);
        Draft {
            stanza,
            payload: self.seen - start,
            child: 0,
            around: self.scope.declarations(),
            portable: !tag.prefixed,
        }
    }

    fn text(&self, text: &str) -> Result<(), FrameError> {
        match self.reading.as_ref().map(|reading| &reading.body) {
            Some(Body::Stanza(_) | Body::Nonza) => Ok(()),
            Some(Body::Open(_) | Body::Close) if is_blank(text.as_bytes()) => Ok(()),
            _ => Err(BETWEEN),
        }
    }

    fn foot(&mut self) -> Result<Option<Item>, FrameError> {
        let level = self.scope.depth() - self.base();
        self.scope.close();
        let Some(reading) = &mut self.reading else { return Ok(None) };
        if level == 0 {
            return Ok(Some(Item::Close));
        }
        match (level, &mut reading.body) {
            (1, _) => {}
            (2, Body::Stanza(draft)) => {
                let end = (self.seen - reading.start) as u32;
                if let Some(child) = draft.stanza.children.last_mut() {
                    child.end = end;
                }
                return Ok(None);
            }
            _ => return Ok(None),
        }
        let Some(Reading { start, body, .. }) = self.reading.take() else { return Ok(None) };
        let item = match body {
            Body::Stanza(draft) => Item::Stanza(self.finish(*draft, start)?),
            Body::Nonza => {
                Item::Nonza(tree::read(&self.buffer[start..self.seen], &self.scope.surroundings())?)
            }
            Body::Open(header) => {
                self.stage = Stage::Stream { root: Symbol::Borrowed("") };
                Item::Open(header)
            }
            Body::Close => Item::Close,
            Body::Header { .. } | Body::Unknown => return Ok(None),
        };
        self.element_ends()?;
        Ok(Some(item))
    }

    /// The element at stream level is complete.
    fn element_ends(&mut self) -> Result<(), FrameError> {
        if self.framing == Framing::WebSocket {
            self.parser = None;
            let end = self.messages.front().copied().unwrap_or(self.seen);
            if !is_blank(&self.buffer[self.seen..end]) {
                return Err(FrameError::BadFormat("more than one element in a message"));
            }
        }
        Ok(())
    }

    fn finish(&self, mut draft: Draft, start: usize) -> Result<Stanza, FrameError> {
        if !draft.portable {
            return self.rewrite(draft.stanza, start);
        }
        let payload = &self.buffer[start + draft.payload..self.seen];
        // No `<` is in an end tag but its first byte; there is none at all after an empty-element tag.
        let length = payload.iter().rposition(|byte| *byte == b'<').unwrap_or(0);
        let end_tag = draft.stanza.kind.end_tag();
        let mut tail = Vec::with_capacity(length + end_tag.len());
        tail.extend_from_slice(&payload[..length]);
        tail.extend_from_slice(end_tag);
        draft.stanza.tail = Bytes::from(tail);
        for child in &mut draft.stanza.children {
            child.start -= draft.payload as u32;
            child.end -= draft.payload as u32;
        }
        Ok(draft.stanza)
    }

    /// Writes the payload anew that has just ended.
    fn rewrite(&self, stanza: Stanza, start: usize) -> Result<Stanza, FrameError> {
        // Namespaces repeat where prefixes stood, so it may grow, but only within reason.
        let mut rewriter = Rewriter::new(self.limits.stanza_bytes.saturating_mul(2).min(MOST_BYTES));
        let reader = Reader {
            scope: self.scope.surroundings(),
            longest: self.limits.token_bytes,
            unify: Some(self.flavour.content_namespace()),
        };
        reader.read(&self.buffer[start..self.seen], &mut rewriter)?;
        let Rewriter { mut payload, children, .. } = rewriter;
        payload.extend_from_slice(stanza.kind.end_tag());
        Ok(Stanza { children, tail: payload.into(), ..stanza })
    }
}

impl Draft {
    /// An element of the payload begins.
    fn opens(&mut self, tag: StartTag, level: usize) {
        // A prefix from around the payload would be lost. A content namespace by name would turn into a foreign
        // one, or a foreign one into content, where the stanza goes on into a stream of another flavour.
        self.portable &= tag.reach >= self.around && !tag.names_content;
        if level == 2 {
            let ns = if ns::is_content(&tag.ns) { Symbol::Borrowed(ns::CLIENT) } else { tag.ns };
            let start = self.child as u32;
            self.stanza.children.push(Child { name: ns::symbol(&tag.name), ns, start, end: start });
        }
    }
}

impl StreamHeader {
    fn from_tag(tag: &mut StartTag, content_ns: &'static str) -> StreamHeader {
        StreamHeader {
            to: tag.take("to"),
            from: tag.take("from"),
            id: tag.take("id"),
            version: tag.take("version"),
            lang: tag.take_ns(ns::XML, "lang"),
            content_ns,
        }
    }
}
