//! A client's socket, whatever its transport: bytes in to a framer, parcels out.
//!
//! Reading goes through a buffer that the thread shares, so an idle connection owns none. Writing is vectored: each
//! recipient's own head and the tail that all recipients share are never copied together.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use futures_util::{Sink, Stream};
use stanza::{Framer, Outgoing};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// The transport.
pub enum Io {
    /// TCP without TLS.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A WebSocket (RFC 7395).
    WebSocket(Box<WebSocket>),
    /// Taken away, to be upgraded.
    Gone,
}

/// See the module.
pub struct Wire {
    io: Io,
    unsent: VecDeque<Outgoing>,
    /// Bytes of the first unsent parcel that are written.
    written: usize,
    unflushed: bool,
}

/// Parcels that one system call writes at most.
const SLICES: usize = 64;

const SCRATCH: usize = 16 << 10;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into());
}

impl Wire {
    /// Nothing written yet.
    pub fn new(io: Io) -> Self {
        Self { io, unsent: VecDeque::new(), written: 0, unflushed: false }
    }

    /// Takes the transport out for an upgrade.
    pub fn take_io(&mut self) -> Io {
        std::mem::replace(&mut self.io, Io::Gone)
    }

    /// Whether this is a WebSocket.
    pub fn is_websocket(&self) -> bool {
        matches!(self.io, Io::WebSocket(_))
    }

    /// The queue for [`poll_flush`](Self::poll_flush).
    pub fn unsent(&mut self) -> &mut VecDeque<Outgoing> {
        &mut self.unsent
    }

    /// Gives spare memory back.
    pub fn release(&mut self) {
        if self.unsent.is_empty() {
            self.unsent = VecDeque::new();
        }
    }

    /// Reads once into the framer. `Ok(0)` is the end.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, framer: &mut Framer) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => poll_read_with(Pin::new(stream), cx, framer),
            Io::Tls(stream) => poll_read_with(Pin::new(stream.as_mut()), cx, framer),
            Io::WebSocket(socket) => loop {
                return Poll::Ready(match ready!(Pin::new(socket.as_mut()).poll_next(cx)) {
                    Some(Ok(Message::Text(text))) => {
                        framer.feed(text.as_bytes());
                        Ok(text.len())
                    }
                    // RFC 7395 §3.2: only text carries XMPP.
                    Some(Ok(Message::Binary(_))) => Err(io::ErrorKind::InvalidData.into()),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => Ok(0),
                    Some(Err(error)) => Err(io::Error::other(error)),
                });
            },
            Io::Gone => Poll::Ready(Ok(0)),
        }
    }

    /// Writes what is queued; ready when it is with the system.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let written = match &mut self.io {
                Io::Plain(stream) => ready!(poll_write(Pin::new(stream), cx, &self.unsent, self.written))?,
                Io::Tls(stream) => {
                    ready!(poll_write(Pin::new(stream.as_mut()), cx, &self.unsent, self.written))?
                }
                Io::WebSocket(socket) => {
                    ready!(Pin::new(socket.as_mut()).poll_ready(cx)).map_err(io::Error::other)?;
                    let Some(next) = self.unsent.pop_front() else { break };
                    if !next.is_empty() {
                        Pin::new(socket.as_mut()).start_send(frame(&next)).map_err(io::Error::other)?;
                    }
                    self.unflushed = true;
                    continue;
                }
                Io::Gone => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(written);
        }
        if self.unflushed {
            match &mut self.io {
                Io::Plain(_) | Io::Gone => {}
                Io::Tls(stream) => ready!(Pin::new(stream.as_mut()).poll_flush(cx))?,
                Io::WebSocket(socket) => {
                    ready!(Pin::new(socket.as_mut()).poll_flush(cx)).map_err(io::Error::other)?;
                }
            }
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        self.written += written;
        while let Some(first) = self.unsent.front() {
            let length = first.head.len() + first.tail.len();
            if self.written < length {
                break;
            }
            self.written -= length;
            self.unsent.pop_front();
        }
    }

    /// Writes bytes and waits until they are with the system.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> io::Result<()> {
        self.unsent.push_back(Outgoing { head: bytes.into(), tail: Bytes::new() });
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Reads once into the framer.
    pub async fn read(&mut self, framer: &mut Framer) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, framer)).await
    }

    /// Ends the transport in good order: `close_notify`, a WebSocket close frame.
    pub async fn shut(&mut self) -> io::Result<()> {
        poll_fn(|cx| match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Io::WebSocket(socket) => Pin::new(socket.as_mut()).poll_close(cx).map_err(io::Error::other),
            Io::Gone => Poll::Ready(Ok(())),
        })
        .await
    }
}

fn poll_read_with(
    stream: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    framer: &mut Framer,
) -> Poll<io::Result<usize>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut read = ReadBuf::new(buffer);
        ready!(stream.poll_read(cx, &mut read))?;
        framer.feed(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    })
}

fn poll_write(
    stream: Pin<&mut impl AsyncWrite>,
    cx: &mut Context<'_>,
    unsent: &VecDeque<Outgoing>,
    written: usize,
) -> Poll<io::Result<usize>> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let mut count = 0;
    let mut skip = written;
    for part in unsent.iter().flat_map(|out| [&out.head, &out.tail]) {
        let part: &[u8] = part;
        if skip >= part.len() {
            skip -= part.len();
            continue;
        }
        slices[count] = IoSlice::new(&part[skip..]);
        skip = 0;
        count += 1;
        if count == SLICES {
            break;
        }
    }
    stream.poll_write_vectored(cx, &slices[..count])
}

/// One WebSocket message an element; a stanza names its namespace itself (RFC 7395 §3.3.3).
fn frame(out: &Outgoing) -> Message {
    let mut text = Vec::with_capacity(out.head.len() + out.tail.len() + 24);
    let name = out.head.iter().position(|byte| matches!(byte, b' ' | b'>' | b'/')).unwrap_or(0);
    let (start, rest) = out.head.split_at(name);
    text.extend_from_slice(start);
    if matches!(start, b"<message" | b"<presence" | b"<iq") {
        text.extend_from_slice(b" xmlns='jabber:client'");
    }
    text.extend_from_slice(rest);
    text.extend_from_slice(&out.tail);
    Message::Text(String::from_utf8_lossy(&text).into_owned().into())
}
