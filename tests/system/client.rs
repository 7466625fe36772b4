//! A tiny XMPP client over plain TCP: strings in, strings out.
//!
//! It knows nothing of what it says, so that a test can say anything, and it trusts nothing of what it hears.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{DOMAIN, PATIENCE, Server};

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    /// What arrived and was not taken yet.
    heard: Vec<u8>,
}

/// A stream header of a client.
pub(crate) fn header() -> String {
    format!(
        "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// SASL PLAIN with an initial response.
pub(crate) fn plain(user: &str, password: &str) -> String {
    let response = STANDARD.encode(format!("\0{user}\0{password}"));
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{response}</auth>")
}

impl Client {
    /// A connection on which nothing was said yet.
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::connect_to(server.ports().xmpp).await.unwrap()
    }

    pub(crate) async fn connect_to(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, heard: Vec::new() })
    }

    /// A connection for which the system holds hardly anything that was not read.
    pub(crate) async fn connect_small(server: &Server) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1024).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], server.ports().xmpp).into()).await.unwrap();
        Self { stream, heard: Vec::new() }
    }

    /// A connection whose stream is open: the features were read.
    pub(crate) async fn open(server: &Server) -> Self {
        let mut client = Self::connect(server).await;
        client.start().await;
        client
    }

    /// Signed in and bound to `resource`, but not present.
    pub(crate) async fn bind(server: &Server, user: &str, password: &str, resource: &str) -> Self {
        let mut client = Self::connect(server).await;
        client.bound(user, password, resource).await;
        client
    }

    /// Signed in, bound and present.
    pub(crate) async fn sign_in(server: &Server, user: &str, password: &str, resource: &str) -> Self {
        let mut client = Self::connect(server).await;
        client.present(user, password, resource).await;
        client
    }

    /// Signs in on a fresh connection, so that a stream is to be bound or resumed.
    pub(crate) async fn authenticate(&mut self, user: &str, password: &str) {
        self.start().await;
        self.send(&plain(user, password)).await;
        self.until("<success").await;
        self.until(">").await;
        self.start().await;
    }

    /// Signs in and binds on a fresh connection, and sends presence.
    pub(crate) async fn present(&mut self, user: &str, password: &str, resource: &str) {
        self.bound(user, password, resource).await;
        self.send("<presence/>").await;
        // The server tells a resource of its own presence too, so by then it is available.
        self.until(&format!("/{resource}")).await;
        self.until(">").await;
    }

    async fn bound(&mut self, user: &str, password: &str, resource: &str) {
        self.authenticate(user, password).await;
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{resource}</resource></bind></iq>"
        ))
        .await;
        self.until("</iq>").await;
    }

    async fn start(&mut self) {
        self.send(&header()).await;
        self.until("</stream:features>").await;
    }

    /// Says something. That the server hung up meanwhile shows when reading.
    pub(crate) async fn send(&mut self, xml: &str) {
        let _ = self.try_send(xml.as_bytes()).await;
    }

    /// Says something, within [`PATIENCE`].
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("the server stopped reading")
    }

    /// Waits until `needle` arrives and takes everything up to its end.
    pub(crate) async fn until(&mut self, needle: &str) -> String {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut from = 0;
        loop {
            if let Some(at) = find(&self.heard[from..], needle.as_bytes()) {
                let rest = self.heard.split_off(from + at + needle.len());
                return text(std::mem::replace(&mut self.heard, rest));
            }
            from = self.heard.len().saturating_sub(needle.len());
            let more = tokio::time::timeout_at(deadline, self.stream.read_buf(&mut self.heard)).await;
            let heard = String::from_utf8_lossy(&self.heard);
            match more {
                Err(_) => panic!("{needle:?} did not arrive, only {heard:?}"),
                Ok(Ok(0)) => panic!("the stream ended before {needle:?} arrived, after {heard:?}"),
                Ok(Err(error)) => panic!("{error} before {needle:?} arrived, after {heard:?}"),
                Ok(Ok(_)) => {}
            }
        }
    }

    /// The next whole element at stream level, or None when the stream ended.
    pub(crate) async fn element(&mut self) -> std::io::Result<Option<String>> {
        loop {
            if let Some(end) = element_end(&self.heard) {
                let rest = self.heard.split_off(end);
                return Ok(Some(text(std::mem::replace(&mut self.heard, rest)).trim_start().to_owned()));
            }
            if self.stream.read_buf(&mut self.heard).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Everything until the server hangs up, which it must do. After a handshake has begun this is not only text.
    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        let end = timeout(PATIENCE, async {
            // A reset counts as hanging up: it is what a peer with unread bytes gets.
            while let Ok(1..) = self.stream.read_buf(&mut self.heard).await {}
        });
        let ended = end.await.is_ok();
        let heard = std::mem::take(&mut self.heard);
        assert!(ended, "the server did not hang up, but said {:?}", String::from_utf8_lossy(&heard));
        heard
    }

    /// Everything until the server hangs up, which it must do.
    pub(crate) async fn rest(&mut self) -> String {
        text(self.rest_bytes().await)
    }

    /// Asks the server and waits for its answer, so all that it sent before has arrived.
    pub(crate) async fn ping(&mut self) -> String {
        self.send(&format!("<iq type='get' id='ping-pong' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"))
            .await;
        let mut heard = self.until("ping-pong").await;
        heard.push_str(&self.until(">").await);
        heard
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the server sent UTF-8")
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Where the first complete element ends. The server sends no comments, CDATA or declarations inside of a stream.
fn element_end(bytes: &[u8]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    loop {
        let open = at + bytes[at..].iter().position(|byte| *byte == b'<')?;
        let mut quote = None;
        let close = open
            + bytes[open..].iter().position(|byte| match (quote, *byte) {
                (None, b'>') => true,
                (None, b'\'' | b'"') => {
                    quote = Some(*byte);
                    false
                }
                (Some(mark), byte) if mark == byte => {
                    quote = None;
                    false
                }
                _ => false,
            })?;
        if bytes[open + 1] == b'/' {
            // An end tag at depth 0 closes the stream; it is its own item.
            depth = depth.saturating_sub(1);
        } else if bytes[close - 1] != b'/' {
            depth += 1;
        }
        at = close + 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

/// The value of an attribute in a piece of XML that the server wrote, wherever it comes first.
pub(crate) fn attribute(xml: &str, name: &str) -> Option<String> {
    let at = xml.find(&format!(" {name}="))? + name.len() + 2;
    let mark = xml[at..].chars().next()?;
    let value = &xml[at + 1..];
    Some(value[..value.find(mark)?].to_owned())
}
