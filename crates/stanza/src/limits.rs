//! How much one peer may send, and which dialect it speaks.

/// No stanza is longer, whatever the limits: places within it are kept in 32 bits.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// Limits on what one peer may send.
///
/// Passing one of them is a `policy-violation` (RFC 6120 §4.9.3.14). The framer never buffers more than
/// `stanza_bytes` of an unfinished element, plus what one call of [`Framer::feed`](crate::Framer::feed) brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stream-level element or stream header, tags included. RFC 6120 §13.12 asks for 10,000 at least.
    pub stanza_bytes: usize,
    /// How deep elements nest; the stanza itself is at depth 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Elements in one stanza. A parsed tree takes far more memory than its bytes, so bytes alone do not bound it.
    pub elements: usize,
    /// Bytes of one name or one attribute value. (Text is bounded by `stanza_bytes` alone.)
    pub token_bytes: usize,
    /// Namespace declarations in force at once. Each use of a prefix searches them.
    pub declarations: usize,
}

impl Limits {
    /// What is enough to negotiate a stream and sign in.
    pub const BEFORE_SIGN_IN: Limits = Limits {
        stanza_bytes: 16_384,
        depth: 16,
        attributes: 32,
        elements: 128,
        token_bytes: 4_096,
        declarations: 32,
    };

    /// For stanzas that this server made or stored itself, and has bounded already.
    pub(crate) const TRUSTED: Limits = Limits {
        stanza_bytes: MOST_BYTES,
        depth: 256,
        attributes: 4_096,
        elements: 1 << 20,
        token_bytes: 1 << 20,
        declarations: 1 << 16,
    };

    pub(crate) fn clamped(self) -> Limits {
        Limits { stanza_bytes: self.stanza_bytes.min(MOST_BYTES), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            stanza_bytes: 262_144,
            depth: 64,
            attributes: 64,
            elements: 4_096,
            token_bytes: 16_384,
            declarations: 128,
        }
    }
}

/// Who is at the other end, and so which content namespace its stanzas are in (RFC 6120 §4.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// A client: `jabber:client`.
    Client,
    /// A federated server: `jabber:server`.
    Server,
    /// An external component (XEP-0114): `jabber:component:accept`.
    Component,
}

impl Flavour {
    /// The content namespace on the wire. Behind the framer every stanza is in `jabber:client`.
    pub fn content_namespace(self) -> &'static str {
        match self {
            Flavour::Client => crate::ns::CLIENT,
            Flavour::Server => crate::ns::SERVER,
            Flavour::Component => crate::ns::COMPONENT,
        }
    }
}

/// How elements follow one another on the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Children of one long `<stream:stream>` (RFC 6120 §4).
    Tcp,
    /// One element in each WebSocket message; `<open/>` and `<close/>` begin and end the stream (RFC 7395).
    WebSocket,
}
