//! From the bytes of a connection to stream headers, stanzas and nonzas.

use std::collections::VecDeque;
use std::fmt;

use minidom::Element;
use rxml::error::EndOrError;
use rxml::{Parse, RawEvent, RawParser, WithOptions};

use crate::frame_error::FrameError;
use crate::limits::{Flavour, Framing, Limits};
use crate::ns::Symbol;
use crate::scope::Scope;
use crate::stanza::Stanza;

mod elements;
mod parsers;

use elements::Reading;

/// Input buffers above this are given back once they are empty.
const SPARE_BYTES: usize = 16_384;

const BETWEEN: FrameError = FrameError::BadFormat("text outside of any stanza");

/// Reads one connection: feed it bytes, take items.
///
/// The bytes are validated as they come. The payload of a stanza is kept as it arrived; where it would mean something
/// else elsewhere, it is written anew. After an error nothing more comes out but that error.
///
/// ```
/// use stanza::{Flavour, Framer, Framing, Item, Limits};
///
/// let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
/// framer.feed(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='a.example'>");
/// framer.feed(b"<message to='romeo@a.example'><body>Wherefore art");
/// assert!(matches!(framer.next()?, Some(Item::Open(header)) if header.to.as_deref() == Some("a.example")));
/// assert_eq!(framer.next()?, None);
///
/// framer.feed(b" thou?</body></message>");
/// let Some(Item::Stanza(message)) = framer.next()? else { unreachable!() };
/// assert_eq!(message.text("body").as_deref(), Some("Wherefore art thou?"));
/// assert_eq!(&message.tail()[..], b"<body>Wherefore art thou?</body></message>");
/// # Ok::<(), stanza::FrameError>(())
/// ```
pub struct Framer {
    flavour: Flavour,
    framing: Framing,
    limits: Limits,
    /// `None` while nothing is being read, see [`parsers`].
    parser: Option<Box<RawParser>>,
    /// The parser was made under other limits.
    outdated: bool,
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

/// One thing that a peer sent. `Debug` leaves out what it says, since that may be a password.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all items are stanzas, so a box would only add an allocation"
)]
#[derive(Clone, PartialEq)]
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

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Open(header) => f.debug_tuple("Open").field(header).finish(),
            Item::Stanza(stanza) => f.debug_tuple("Stanza").field(stanza).finish(),
            Item::Nonza(element) => {
                f.debug_tuple("Nonza").field(&element.name()).field(&element.ns()).finish()
            }
            Item::Close => f.write_str("Close"),
        }
    }
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

impl Framer {
    /// A framer at the start of a connection. It takes no memory beyond itself until bytes come.
    pub fn new(flavour: Flavour, framing: Framing, limits: Limits) -> Framer {
        Framer {
            flavour,
            framing,
            limits: limits.clamped(),
            parser: None,
            outdated: false,
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
            None => self.buffer.len() - self.seen - blanks(&self.buffer[self.seen..]),
        }
    }

    /// Changes the limits, from the next element on as far as single names and attributes go.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits.clamped();
        self.outdated = true;
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
        if keep > 0 {
            self.buffer.drain(..keep);
            self.seen -= keep;
            self.messages.iter_mut().for_each(|end| *end -= keep);
            if let Some(reading) = &mut self.reading {
                reading.start = 0;
            }
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
        self.seen += blanks(&self.buffer[self.seen..]);
        while self.messages.front().is_some_and(|end| *end <= self.seen) {
            self.messages.pop_front();
        }
        match self.buffer.get(self.seen) {
            None => {
                self.discard_seen();
                self.lay_down_parser();
                return Ok(false);
            }
            Some(b'<') => {}
            Some(0xFE | 0xFF | 0) => return Err(FrameError::Encoding),
            Some(_) => return Err(BETWEEN),
        }
        if std::mem::take(&mut self.outdated) {
            self.parser = None;
        }
        self.reading = Some(Reading::new(self.seen));
        Ok(true)
    }

    /// The parser's next event.
    fn event(&mut self) -> Result<Option<RawEvent>, FrameError> {
        let start = self.reading.as_ref().map_or(self.seen, |reading| reading.start);
        let message_end = self.messages.front().copied();
        let most = start + self.limits.stanza_bytes;
        let end = message_end.unwrap_or(self.buffer.len()).min(most);
        if self.parser.is_none() {
            self.parser = Some(self.pick_up_parser()?);
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

    /// Lets other connections of this thread have the parser.
    fn lay_down_parser(&mut self) {
        let Some(parser) = self.parser.take() else { return };
        if let (Framing::Tcp, Stage::Stream { root }, false) = (self.framing, &self.stage, self.outdated) {
            parsers::give(root.clone(), self.limits.token_bytes, parser);
        }
    }

    fn pick_up_parser(&self) -> Result<Box<RawParser>, FrameError> {
        if let (Framing::Tcp, Stage::Stream { root }) = (self.framing, &self.stage)
            && let Some(parser) = parsers::take(root, self.limits.token_bytes)
        {
            return Ok(parser);
        }
        self.make_parser()
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
}

/// Bytes of white space at the start (XML 1.0 §2.3).
fn blanks(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count()
}

fn is_blank(bytes: &[u8]) -> bool {
    blanks(bytes) == bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

    fn open() -> Framer {
        let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
        framer.feed(HEADER);
        assert!(matches!(framer.next(), Ok(Some(Item::Open(_)))));
        framer
    }

    #[test]
    fn an_idle_framer_keeps_neither_parser_nor_buffer() {
        let mut framer = open();
        framer.feed(b"<presence/>\n");
        assert!(matches!(framer.next(), Ok(Some(Item::Stanza(_)))));
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.parser.is_none());
        framer.release();
        assert_eq!(framer.buffer.capacity(), 0);
        assert!(size_of::<Framer>() <= 512, "a framer is {} bytes", size_of::<Framer>());
    }

    #[test]
    fn a_long_stanza_leaves_no_long_buffer_behind() {
        let mut framer = open();
        framer.feed(format!("<message><body>{}</body></message>", "x".repeat(200_000)).as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Item::Stanza(_)))));
        assert_eq!(framer.next(), Ok(None));
        assert!(framer.buffer.capacity() <= SPARE_BYTES);
    }

    #[test]
    fn new_limits_hold_from_the_next_element_on() {
        let mut framer = open();
        let long = format!("<presence id='{}'/>", "x".repeat(1_000));
        framer.feed(long.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Item::Stanza(_)))));
        framer.set_limits(Limits { token_bytes: 500, ..Limits::default() });
        framer.feed(long.as_bytes());
        assert!(matches!(framer.next(), Err(FrameError::Limit(_))));
    }
}
