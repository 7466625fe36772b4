//! One connection while its stream is being negotiated (RFC 6120 §4.3): items in, elements out, one at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use jid::BareJid;
use minidom::Element;
use stanza::{
    Flavour, FrameError, Framer, Framing, Item, Limits, StreamCondition, StreamError, escape_attribute,
};
use tokio_rustls::TlsAcceptor;

use crate::sasl::{Channel as Security, ChannelBindings};
use crate::tls::{Handshake, Identity};
use crate::wire::{Io, Wire};
use crate::xml;

/// See the module.
pub struct Channel {
    pub(crate) wire: Wire,
    pub(crate) framer: Framer,
    /// The other end.
    pub peer: SocketAddr,
    /// What TLS gives the sign-in.
    pub security: Security,
    /// What the sign-in can be bound to.
    pub bindings: ChannelBindings,
    /// Whose the connection is, where that is known below the stream: by a web session's cookie.
    pub owner: Option<BareJid>,
    /// Bytes that may still come before sign-in.
    allowance: usize,
    /// Whether our stream header is out.
    opened: bool,
    framing: Framing,
}

/// Why a stream ends.
#[derive(Debug)]
pub enum End {
    /// In good order, by the client.
    Closed,
    /// The connection is gone.
    Lost,
    /// With an error.
    Error(StreamError),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        Self::Error(error.condition().into())
    }
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        Self::Error(error)
    }
}

impl From<StreamCondition> for End {
    fn from(condition: StreamCondition) -> Self {
        Self::Error(condition.into())
    }
}

impl Channel {
    /// A fresh connection. `allowance` bounds the bytes before sign-in.
    pub fn new(
        io: Io,
        peer: SocketAddr,
        security: Security,
        bindings: ChannelBindings,
        allowance: usize,
    ) -> Self {
        let framing = if matches!(io, Io::WebSocket(_)) { Framing::WebSocket } else { Framing::Tcp };
        Self {
            wire: Wire::new(io),
            framer: Framer::new(Flavour::Client, framing, Limits::BEFORE_SIGN_IN),
            peer,
            security,
            bindings,
            owner: None,
            allowance,
            opened: false,
            framing,
        }
    }

    /// The next item.
    pub async fn item(&mut self) -> Result<Item, End> {
        loop {
            if let Some(item) = self.framer.next()? {
                return Ok(item);
            }
            // A stranger may never answer, so nothing is kept for the next step.
            self.framer.release();
            self.wire.release();
            let read = self.wire.read(&mut self.framer).await?;
            if read == 0 {
                return Err(End::Lost);
            }
            self.allowance = self.allowance.checked_sub(read).ok_or_else(|| {
                StreamError::new(StreamCondition::PolicyViolation, "Too many bytes before sign-in.")
            })?;
        }
    }

    /// Sends a stream-level element.
    pub async fn send(&mut self, element: &Element) -> Result<(), End> {
        Ok(self.wire.send(xml::nonza(element).head).await?)
    }

    /// Sends bytes.
    pub async fn send_bytes(&mut self, bytes: impl Into<Bytes>) -> Result<(), End> {
        Ok(self.wire.send(bytes).await?)
    }

    /// Sends the stream header (RFC 6120 §4.2, RFC 7395 §3.4) and features.
    pub async fn open(
        &mut self,
        from: Option<&str>,
        id: &str,
        features: Option<&[Element]>,
    ) -> Result<(), End> {
        let mut out = Vec::with_capacity(1024);
        self.write_header(from, id, &mut out);
        if self.framing == Framing::WebSocket {
            // One element a message.
            self.wire.send(std::mem::take(&mut out)).await?;
        }
        if let Some(features) = features {
            super::features::write(features, &mut out);
        }
        self.wire.send(out).await?;
        Ok(())
    }

    fn write_header(&mut self, from: Option<&str>, id: &str, out: &mut Vec<u8>) {
        self.opened = true;
        out.extend_from_slice(match self.framing {
            Framing::Tcp => b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'",
            Framing::WebSocket => b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing'",
        });
        for (name, value) in [("from", from), ("id", Some(id))] {
            if let Some(value) = value {
                out.extend_from_slice(format!(" {name}='").as_bytes());
                escape_attribute(value, out);
                out.push(b'\'');
            }
        }
        out.extend_from_slice(b" version='1.0' xml:lang='en'");
        out.extend_from_slice(if self.framing == Framing::Tcp { b">" } else { b"/>" });
    }

    /// Goes on in TLS (RFC 6120 §5.4.3). Whatever was sent before `<proceed/>` would have come from somebody else.
    pub async fn start_tls(&mut self, identity: &Arc<Identity>) -> Result<(), End> {
        if self.framer.unread() > 0 {
            return Err(StreamError::new(
                StreamCondition::PolicyViolation,
                "Wait for <proceed/> before TLS.",
            )
            .into());
        }
        self.wire.send(Bytes::from_static(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")).await?;
        let Io::Plain(stream) = self.wire.take_io() else { return Err(End::Lost) };
        let stream = TlsAcceptor::from(identity.xmpp.clone()).accept(stream).await?;
        self.bindings = Handshake::of(stream.get_ref().1, identity).bindings;
        self.security = Security::Encrypted;
        self.wire = Wire::new(Io::Tls(Box::new(stream)));
        self.framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::BEFORE_SIGN_IN);
        self.opened = false;
        Ok(())
    }

    /// Ends the stream (RFC 6120 §4.4, §4.9), whatever state it is in.
    pub async fn end(&mut self, end: End) {
        let error = match end {
            End::Lost => return,
            End::Closed => None,
            End::Error(error) => Some(error),
        };
        let mut out = Vec::new();
        if !self.opened {
            self.write_header(None, "", &mut out);
            if self.framing == Framing::WebSocket && self.wire.send(std::mem::take(&mut out)).await.is_err() {
                return;
            }
        }
        finish(&mut self.wire, self.framing, error, out).await;
    }
}

/// Writes a stream error, if any, and the end of the stream; then ends the transport. Takes ten seconds at most.
pub async fn finish(wire: &mut Wire, framing: Framing, error: Option<StreamError>, mut out: Vec<u8>) {
    let work = async {
        if let Some(error) = error {
            tracing::debug!(condition = error.condition.name(), "a stream ends with an error");
            metrics::counter!(crate::metrics::STREAM_ERRORS, "condition" => error.condition.name())
                .increment(1);
            error.write(&mut out);
            if framing == Framing::WebSocket {
                wire.send(std::mem::take(&mut out)).await?;
            }
        }
        out.extend_from_slice(match framing {
            Framing::Tcp => b"</stream:stream>".as_slice(),
            Framing::WebSocket => b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
        });
        wire.send(out).await?;
        wire.shut().await
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(10), work).await;
}
