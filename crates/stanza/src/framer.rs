//! From the bytes of a connection to stream headers, stanzas and nonzas.

use std::collections::VecDeque;

use bytes::Bytes;
use minidom::Element;
use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser, RawQName, WithOptions};

use crate::frame_error::FrameError;
use crate::limits::{Flavour, Framing, Limits};
use crate::ns::{self, Symbol};
use crate::scope::{Scope, StartTag};
use crate::stanza::{Child, Kind, Stanza};
use crate::tree::{self, Content, TreeBuilder};

/// Input buffers above this are given back once they are empty.
const SPARE_BYTES: usize = 16_384;

/// Reads one connection: feed it bytes, take items.
///
/// The bytes are validated as they come. The payload of a stanza is kept as it arrived; where it would mean something
/// else elsewhere, it is written anew. After an error nothing more comes out but that error.
pub struct Framer {
    flavour: Flavour,
    framing: Framing,
    limits: Limits,
    /// None while idle: between elements it is made anew for less than keeping it costs.
    parser: Option<Box<RawParser>>,
    buffer: Vec<u8>,
    /// Bytes at the start of the buffer that the parser has seen.
    seen: usize,
    /// Ends of the WebSocket messages in the buffer, counted as `seen` is.
    messages: VecDeque<usize>,
    scope: Scope,
    stage: Stage,
    /// The element being read; `None` between elements.
    reading: Option<Reading>,
    error: Option<FrameError>,
}

/// One thing that a peer sent.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all items are stanzas, so a box would only add an allocation"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The stream begins, or begins anew.
    Open(StreamHeader),
    /// A message, presence or IQ.
    Stanza(Stanza),
    /// Any other element at stream level: `<auth/>`, `<starttls/>`, stream management, a stream error. What is not
    /// expected is the session's to refuse.
    Nonza(Element),
    /// The stream ends (RFC 6120 §4.4). Whatever follows is ignored.
    Close,
}

/// The attributes of a stream header (RFC 6120 §4.7), not checked beyond being text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHeader {
    /// The host that the peer wants.
    pub to: Option<String>,
    /// Who the peer says it is.
    pub from: Option<String>,
    /// The stream id; only the accepting side gives one.
    pub id: Option<String>,
    /// `1.0`; absent before XMPP 1.0.
    pub version: Option<String>,
    /// `xml:lang`: the language of stanzas that name none.
    pub lang: Option<String>,
    /// The content namespace: the one of the framer's flavour, on which it insists.
    pub content_ns: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// A stream header must come.
    Header,
    /// Inside the stream, whose root element (on TCP) has this name as written.
    Stream { root: Symbol },
    /// The root element was empty: it ends right where it begins.
    Ending,
    /// The stream has ended.
    Closed,
}

/// An element at stream level, or the stream header, that has begun.
struct Reading {
    /// Where it begins in the buffer.
    start: usize,
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
    Nonza(TreeBuilder),
    Open(StreamHeader),
    Close,
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
    /// A framer at the start of a connection. It takes no memory beyond itself until bytes come.
    pub fn new(flavour: Flavour, framing: Framing, limits: Limits) -> Framer {
        Framer {
            flavour,
            framing,
            limits,
            parser: None,
            buffer: Vec::new(),
            seen: 0,
            messages: VecDeque::new(),
            scope: Scope::default(),
            stage: Stage::Header,
            reading: None,
            error: None,
        }
    }

    /// A framer for elements without a stream around them.
    pub(crate) fn for_one_element(flavour: Flavour, framing: Framing, limits: Limits) -> Framer {
        Framer {
            stage: Stage::Stream { root: Symbol::Borrowed("") },
            ..Framer::new(flavour, framing, limits)
        }
    }

    /// Takes bytes from the peer: any piece of the stream on TCP, one whole message on a WebSocket.
    ///
    /// Take all items with [`Framer::next`] before feeding more, so that the buffer stays within the limits.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.error.is_some() || self.stage == Stage::Closed {
            return;
        }
        self.discard_seen();
        self.buffer.extend_from_slice(bytes);
        if self.framing == Framing::WebSocket {
            self.messages.push_back(self.buffer.len());
        }
    }

    /// The next item, or `None` when it takes more bytes.
    ///
    /// # Errors
    /// When the bytes are not what a stream is made of or pass a limit. The stream must end with that error's
    /// [condition](FrameError::condition); every further call gives it again.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator ends, this goes on once more bytes are fed"
    )]
    pub fn next(&mut self) -> Result<Option<Item>, FrameError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let result = self.advance();
        if let Err(error) = &result {
            self.error = Some(error.clone());
            self.drop_everything();
        }
        if matches!(result, Ok(Some(Item::Close))) {
            self.stage = Stage::Closed;
            self.drop_everything();
        }
        result
    }

    /// Expects a new stream header (RFC 6120 §4.3.3). Bytes not yet taken are kept.
    pub fn restart(&mut self) {
        if self.error.is_some() || self.stage == Stage::Closed {
            return;
        }
        self.parser = None;
        self.reading = None;
        self.scope.clear();
        self.stage = Stage::Header;
    }

    /// Bytes fed that belong to no item taken yet, white space between elements aside.
    ///
    /// Anything but 0 when TLS is about to start means that someone slipped data in before it (RFC 6120 §5.4.3.3).
    pub fn unread(&self) -> usize {
        match &self.reading {
            Some(reading) => self.buffer.len() - reading.start,
            None => self.buffer[self.seen..].trim_ascii_start().len(),
        }
    }

    /// Changes the limits, from the next element on as far as single names and attributes go.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        if self.reading.is_none() {
            self.parser = None;
        }
    }

    /// Gives back all memory that an idle connection does not need.
    pub fn release(&mut self) {
        self.discard_seen();
        self.buffer.shrink_to_fit();
        self.messages.shrink_to_fit();
        self.scope.release();
        if self.reading.is_none() {
            self.parser = None;
        } else if let Some(parser) = &mut self.parser {
            parser.release_temporaries();
        }
    }

    fn drop_everything(&mut self) {
        self.parser = None;
        self.buffer = Vec::new();
        self.seen = 0;
        self.messages = VecDeque::new();
        self.scope = Scope::default();
        self.reading = None;
    }

    /// Moves what is still needed to the start of the buffer.
    fn discard_seen(&mut self) {
        let keep = self.reading.as_ref().map_or(self.seen, |reading| reading.start);
        if keep == 0 {
            return;
        }
        self.buffer.drain(..keep);
        self.seen -= keep;
        self.messages.iter_mut().for_each(|end| *end -= keep);
        if let Some(reading) = &mut self.reading {
            reading.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > SPARE_BYTES {
            self.buffer = Vec::new();
        }
    }

    fn advance(&mut self) -> Result<Option<Item>, FrameError> {
        loop {
            match self.stage {
                Stage::Closed => return Ok(None),
                Stage::Ending => return Ok(Some(Item::Close)),
                Stage::Header | Stage::Stream { .. } => {}
            }
            if self.reading.is_none() && !self.begin()? {
                return Ok(None);
            }
            let Some(event) = self.event()? else { return Ok(None) };
            if let Some(item) = self.handle(event)? {
                return Ok(Some(item));
            }
        }
    }

    /// Finds the start of the next element. Returns whether there is one.
    fn begin(&mut self) -> Result<bool, FrameError> {
        let gap = self.buffer[self.seen..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.seen += gap;
        while self.messages.front().is_some_and(|end| *end <= self.seen) {
            self.messages.pop_front();
        }
        match self.buffer.get(self.seen) {
            None => return Ok(false),
            Some(b'<') => {}
            Some(0xFE | 0xFF | 0) => return Err(FrameError::Encoding),
            Some(_) => return Err(BETWEEN),
        }
        self.reading = Some(Reading { start: self.seen, elements: 0, body: Body::Unknown });
        Ok(true)
    }

    /// The parser's next event.
    fn event(&mut self) -> Result<Option<RawEvent>, FrameError> {
        let start = self.reading.as_ref().map_or(self.seen, |reading| reading.start);
        let message_end = self.messages.front().copied();
        let most = start + self.limits.stanza_bytes;
        let end = message_end.unwrap_or(self.buffer.len()).min(most);
        if self.parser.is_none() {
            self.parser = Some(self.make_parser()?);
        }
        let Some(parser) = &mut self.parser else { return Ok(None) };
        let mut rest = &self.buffer[self.seen..end.max(self.seen)];
        let result = parser.parse(&mut rest, false);
        self.seen = end.max(self.seen) - rest.len();
        match result {
            Ok(Some(event)) => Ok(Some(event)),
            Ok(None) => Err(FrameError::BadFormat("data after the end")),
            Err(EndOrError::Error(error)) => Err(error.into()),
            Err(EndOrError::NeedMoreData) if self.seen >= most => Err(FrameError::Limit("bytes of a stanza")),
            Err(EndOrError::NeedMoreData) if message_end == Some(self.seen) => {
                Err(FrameError::NotWellFormed("the message ends within an element".to_owned()))
            }
            Err(EndOrError::NeedMoreData) => Ok(None),
        }
    }

    fn make_parser(&self) -> Result<Box<RawParser>, FrameError> {
        let mut parser = Box::new(RawParser::with_options(rxml::Options {
            max_token_length: self.limits.token_bytes,
            ..rxml::Options::default()
        }));
        if let (Framing::Tcp, Stage::Stream { root }) = (self.framing, &self.stage) {
            // The parser before this one has read the header; this one needs to know what end tag to expect.
            let header = format!("<{root}>");
            let mut rest = header.as_bytes();
            for _ in 0..2 {
                match parser.parse(&mut rest, false) {
                    Ok(_) => {}
                    Err(EndOrError::Error(error)) => return Err(error.into()),
                    Err(EndOrError::NeedMoreData) => return Err(FrameError::BadFormat("no stream header")),
                }
            }
        }
        Ok(parser)
    }

    /// How many elements around the one being read are open: 1 for the stream on TCP.
    fn base(&self) -> usize {
        match (self.framing, &self.stage) {
            (Framing::Tcp, Stage::Stream { .. }) => 1,
            _ => 0,
        }
    }

    fn handle(&mut self, event: RawEvent) -> Result<Option<Item>, FrameError> {
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, name) => self.head_opens(name).map(|()| None),
            RawEvent::Attribute(_, name, value) => {
                self.scope.attribute(name, value, self.limits.attributes).map(|()| None)
            }
            RawEvent::ElementHeadClose(_) => self.head_closes(),
            RawEvent::Text(_, text) => self.text(text).map(|()| None),
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
        if reading.elements > self.limits.elements {
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
        let tag = self.scope.open()?;
        let level = self.scope.depth() - self.base();
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
            Body::Nonza(tree) => tree.open(tag),
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
            let kind = Kind::from_name(name).ok_or(FrameError::UnsupportedStanzaType)?;
            return Ok(Body::Stanza(Box::new(self.draft(kind, tag))));
        }
        match &*tag.ns {
            "" => Err(FrameError::InvalidNamespace),
            other if ns::is_content(other) => Err(FrameError::UnsupportedStanzaType),
            ns::STREAM if name == "stream" => Err(FrameError::BadFormat("a stream within the stream")),
            _ => {
                let mut tree = TreeBuilder::default();
                tree.open(tag);
                Ok(Body::Nonza(tree))
            }
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

    fn text(&mut self, text: String) -> Result<(), FrameError> {
        match self.reading.as_mut().map(|reading| &mut reading.body) {
            Some(Body::Stanza(_)) => Ok(()),
            Some(Body::Nonza(tree)) => {
                tree.text(text);
                Ok(())
            }
            Some(Body::Open(_) | Body::Close) if text.trim_ascii().is_empty() => Ok(()),
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
        match &mut reading.body {
            Body::Stanza(draft) => match level {
                1 => {}
                2 => {
                    let end = (self.seen - reading.start) as u32;
                    if let Some(child) = draft.stanza.children.last_mut() {
                        child.end = end;
                    }
                    return Ok(None);
                }
                _ => return Ok(None),
            },
            Body::Nonza(tree) => match tree.close() {
                Some(element) => {
                    self.element_ends()?;
                    return Ok(Some(Item::Nonza(element)));
                }
                None => return Ok(None),
            },
            Body::Open(_) | Body::Close | Body::Header { .. } | Body::Unknown => {}
        }
        let Some(Reading { start, body, .. }) = self.reading.take() else { return Ok(None) };
        let item = match body {
            Body::Stanza(draft) => Item::Stanza(self.finish(*draft, start)?),
            Body::Open(header) => {
                self.stage = Stage::Stream { root: Symbol::Borrowed("") };
                Item::Open(header)
            }
            Body::Close => Item::Close,
            Body::Header { .. } | Body::Unknown | Body::Nonza(_) => return Ok(None),
        };
        self.element_ends()?;
        Ok(Some(item))
    }

    /// The element at stream level is complete.
    fn element_ends(&mut self) -> Result<(), FrameError> {
        self.reading = None;
        if self.framing == Framing::WebSocket {
            self.parser = None;
            let end = self.messages.front().copied().unwrap_or(self.seen);
            if !self.buffer[self.seen..end].trim_ascii().is_empty() {
                return Err(FrameError::BadFormat("more than one element in a message"));
            }
        }
        Ok(())
    }

    fn finish(&self, mut draft: Draft, start: usize) -> Result<Stanza, FrameError> {
        if !draft.portable {
            let bytes = &self.buffer[start..self.seen];
            let unify = Content::Unify(self.flavour.content_namespace());
            let element = tree::read(bytes, self.scope.surroundings(), unify)?;
            return Stanza::from_element(&element).map_err(|_| FrameError::BadFormat("a name of no use"));
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
}

const BETWEEN: FrameError = FrameError::BadFormat("text outside of any stanza");

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
