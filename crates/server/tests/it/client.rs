//! A tiny XMPP client: strings out, elements in. It knows nothing that it does not need, so that it can misbehave.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{DOMAIN, PASSWORD};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub const CLIENT: &str = "jabber:client";
pub const STREAM: &str = "http://etherx.jabber.org/streams";
const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
const STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// A connection.
pub struct Raw {
    stream: TcpStream,
    buffer: String,
}

impl Raw {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: String::new() }
    }

    pub async fn send(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).await.unwrap();
    }

    /// Sends a stream header to the served domain and takes in the answer and the features.
    pub async fn open(&mut self) -> Element {
        self.send(&header(DOMAIN)).await;
        self.next().await
    }

    /// Signs in and restarts the stream.
    pub async fn sign_in(&mut self, name: &str) {
        self.open().await;
        let plain = STANDARD.encode(format!("\0{name}\0{PASSWORD}"));
        self.send(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"
        ))
        .await;
        let answer = self.next().await;
        assert_eq!(answer.name(), "success", "{}", String::from(&answer));
        self.open().await;
    }

    /// Takes in the stream header and returns its id.
    pub async fn header(&mut self) -> String {
        loop {
            let begin = self.buffer.find("<stream:stream");
            let end = begin.and_then(|begin| tag_end(&self.buffer, begin));
            if let (Some(begin), Some(end)) = (begin, end) {
                let header: String = self.buffer.drain(..end).skip(begin).collect();
                let id = header.split(" id='").nth(1).and_then(|rest| rest.split('\'').next());
                return id.expect("a header with an id").to_owned();
            }
            assert!(self.more().await, "the stream ended before its header");
        }
    }

    /// The next element at stream level. Headers are passed over; the end of the stream is a failure.
    pub async fn next(&mut self) -> Element {
        let next = self.try_next().await;
        next.unwrap_or_else(|| panic!("the stream ended; last read: {:?}", self.buffer))
    }

    /// The next element, or `None` at the end of the stream.
    pub async fn try_next(&mut self) -> Option<Element> {
        loop {
            match cut(&mut self.buffer) {
                Piece::Element(xml) => return Some(parse(&xml)),
                Piece::End => return None,
                Piece::More => {}
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Reads once; false at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = [0; 16_384];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut bytes));
        let read = read.await.unwrap_or_else(|_| panic!("nothing came; unread: {:?}", self.buffer));
        match read {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.buffer.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
                true
            }
        }
    }

    /// Reads to the end of the stream and returns the stream error's condition.
    pub async fn stream_error(&mut self) -> String {
        let mut condition = None;
        while let Some(element) = self.try_next().await {
            if element.is("error", STREAM) {
                condition = element.children().find(|child| child.has_ns(STREAMS)).cloned();
            }
        }
        condition.expect("the stream ended without an error").name().to_owned()
    }
}

/// A stream header.
pub fn header(to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='{STREAM}' to='{to}' version='1.0'>"
    )
}

/// A bound session.
pub struct Client {
    raw: Raw,
    jid: String,
}

impl Client {
    pub async fn bind(mut raw: Raw, name: &str, resource: &str) -> Self {
        raw.sign_in(name).await;
        raw.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource>\
             </bind></iq>"
        ))
        .await;
        let bound = raw.next().await;
        assert_eq!(bound.attr("type"), Some("result"), "{}", String::from(&bound));
        Self { raw, jid: format!("{name}@{DOMAIN}/{resource}") }
    }

    /// Of a session that was bound or resumed by hand.
    pub fn of(raw: Raw, jid: &str) -> Self {
        Self { raw, jid: jid.to_owned() }
    }

    pub fn jid(&self) -> &str {
        &self.jid
    }

    pub fn bare(&self) -> String {
        self.jid.split('/').next().unwrap().to_owned()
    }

    pub fn raw(&mut self) -> &mut Raw {
        &mut self.raw
    }

    pub async fn send(&mut self, xml: &str) {
        self.raw.send(xml).await;
    }

    pub async fn next(&mut self) -> Element {
        self.raw.next().await
    }

    /// Everything up to and with the first element that is wanted.
    pub async fn until(&mut self, mut wanted: impl FnMut(&Element) -> bool) -> Vec<Element> {
        let mut got = Vec::new();
        loop {
            let next = self.next().await;
            let found = wanted(&next);
            got.push(next);
            if found {
                return got;
            }
        }
    }

    /// The first element that is wanted; what comes before it is dropped.
    pub async fn find(&mut self, wanted: impl FnMut(&Element) -> bool) -> Element {
        self.until(wanted).await.pop().unwrap()
    }

    /// Asks, and returns the answer with that id; what comes before it is dropped.
    pub async fn ask(&mut self, type_: &str, to: &str, payload: &str) -> Element {
        let id = unique("ask");
        let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
        self.send(&format!("<iq type='{type_}' id='{id}'{to}>{payload}</iq>")).await;
        self.find(|element| element.attr("id") == Some(&id) && is_answer(element)).await
    }

    /// Waits until the server has taken in all that this client sent, and returns what it has got until then.
    pub async fn settle(&mut self) -> Vec<Element> {
        let id = unique("settle");
        self.send(&format!("<iq type='get' id='{id}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .await;
        let mut got = self.until(|element| element.attr("id") == Some(&id)).await;
        got.pop();
        got
    }

    /// What the other has got of what this client sent up to now: a note that is neither kept nor copied runs behind
    /// it to the other's full address.
    pub async fn flush_to(&mut self, other: &mut Client) -> Vec<Element> {
        let id = unique("fence");
        let to = other.jid().to_owned();
        self.send(&format!(
            "<message type='headline' id='{id}' to='{to}'><active xmlns='http://jabber.org/protocol/chatstates'/>\
             </message>"
        ))
        .await;
        let mut got = other.until(|element| element.attr("id") == Some(&id)).await;
        got.pop();
        got
    }

    /// Ends the stream in good order and waits for the other end's goodbye.
    pub async fn close(mut self) {
        self.send("</stream:stream>").await;
        while self.raw.try_next().await.is_some() {}
    }

    /// Breaks the connection off.
    pub fn lose(self) {}
}

fn is_answer(element: &Element) -> bool {
    matches!(element.attr("type"), Some("result" | "error"))
}

/// An id that no other call gives.
pub fn unique(word: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{word}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The condition of a stanza error.
pub fn condition(element: &Element) -> &str {
    assert_eq!(element.attr("type"), Some("error"), "no error: {}", String::from(element));
    let error = element.get_child("error", CLIENT).expect("an error has an error");
    let condition = error.children().find(|child| child.has_ns(STANZAS) && child.name() != "text");
    condition.expect("an error has a condition").name()
}

/// The text of a message's body.
pub fn body(element: &Element) -> Option<String> {
    element.get_child("body", CLIENT).map(Element::text)
}

/// The bodies of the messages among these.
pub fn bodies(elements: &[Element]) -> Vec<String> {
    elements.iter().filter(|element| element.name() == "message").filter_map(body).collect()
}

/// Each presence as `from type`, sorted.
pub fn presences(elements: &[Element]) -> Vec<String> {
    let mut found: Vec<String> = elements
        .iter()
        .filter(|element| element.name() == "presence")
        .map(|presence| {
            let from = presence.attr("from").unwrap_or_default();
            format!("{from} {}", presence.attr("type").unwrap_or("available"))
        })
        .collect();
    found.sort();
    found
}

/// A child by name and namespace, which must be there.
pub fn child<'a>(element: &'a Element, name: &str, ns: &str) -> &'a Element {
    element.get_child(name, ns).unwrap_or_else(|| panic!("no {name} in {}", String::from(element)))
}

/// One piece of a stream.
enum Piece {
    Element(String),
    End,
    More,
}

/// Cuts the first complete element off the buffer, passing over declarations, whitespace and stream headers.
fn cut(buffer: &mut String) -> Piece {
    loop {
        let start = buffer.len() - buffer.trim_start().len();
        buffer.drain(..start);
        let Some(end) = tag_end(buffer, 0) else { return Piece::More };
        if buffer.starts_with("</stream:stream") {
            return Piece::End;
        }
        if !buffer.starts_with("<?") && !buffer.starts_with("<stream:stream") {
            break;
        }
        buffer.drain(..end);
    }
    let (mut depth, mut at) = (0, 0);
    while let Some(open) = buffer[at..].find('<').map(|found| at + found) {
        let Some(end) = tag_end(buffer, open) else { return Piece::More };
        let tag = &buffer[open..end];
        if tag.starts_with("</") {
            depth -= 1;
        } else if !tag.ends_with("/>") {
            depth += 1;
        }
        if depth == 0 {
            return Piece::Element(buffer.drain(..end).collect());
        }
        at = end;
    }
    Piece::More
}

/// Where the tag that begins at `open` ends; a `>` in a quoted value is none.
fn tag_end(text: &str, open: usize) -> Option<usize> {
    let mut quote = None;
    for (at, character) in text[open..].char_indices() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (None, '>') => return Some(open + at + 1),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

fn parse(xml: &str) -> Element {
    let prefixes = [(None, CLIENT.to_owned()), (Some("stream".to_owned()), STREAM.to_owned())];
    let prefixes: std::collections::BTreeMap<_, _> = prefixes.into();
    Element::from_reader_with_prefixes(xml.as_bytes(), prefixes)
        .unwrap_or_else(|error| panic!("{error}: {xml}"))
}
