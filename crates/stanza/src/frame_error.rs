//! Why the bytes of a peer cannot go on.

use crate::condition::{StreamCondition, StreamError};

/// Why the framer gave up on a stream. Each one is a stream error of RFC 6120 §4.9.3, see [`FrameError::condition`].
///
/// The words never repeat what the peer sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not well-formed or not namespace-well-formed; the words say what.
    #[error("not well-formed: {0}")]
    NotWellFormed(String),
    /// Comments, processing instructions, DTDs, entities.
    #[error("comments, processing instructions, DTDs and entities are not allowed")]
    Restricted,
    /// Not UTF-8.
    #[error("only UTF-8 is supported")]
    Encoding,
    /// Well-formed, but not what a stream is made of.
    #[error("{0}")]
    BadFormat(&'static str),
    /// The stream header's namespace, or the content namespace that it declares, is not the one served here.
    #[error("the namespace is not served here")]
    InvalidNamespace,
    /// An element with the prefix `xml` or `xmlns`.
    #[error("the prefix is reserved")]
    BadNamespacePrefix,
    /// An element at stream level that is in the content namespace but is no stanza.
    #[error("neither message nor presence nor iq")]
    UnsupportedStanzaType,
    /// One of the [`Limits`](crate::Limits) was passed; the word says which.
    #[error("too many or too long: {0}")]
    Limit(&'static str),
}

impl FrameError {
    /// The stream error to answer with.
    pub fn condition(&self) -> StreamCondition {
        match self {
            FrameError::NotWellFormed(_) => StreamCondition::NotWellFormed,
            FrameError::Restricted => StreamCondition::RestrictedXml,
            FrameError::Encoding => StreamCondition::UnsupportedEncoding,
            FrameError::BadFormat(_) => StreamCondition::BadFormat,
            FrameError::InvalidNamespace => StreamCondition::InvalidNamespace,
            FrameError::BadNamespacePrefix => StreamCondition::BadNamespacePrefix,
            FrameError::UnsupportedStanzaType => StreamCondition::UnsupportedStanzaType,
            FrameError::Limit(_) => StreamCondition::PolicyViolation,
        }
    }
}

impl From<FrameError> for StreamError {
    fn from(error: FrameError) -> StreamError {
        StreamError::new(error.condition(), error.to_string())
    }
}

impl From<rxml::Error> for FrameError {
    /// rxml tells some causes apart by words only. The framer's tests pin each of these words.
    fn from(error: rxml::Error) -> FrameError {
        use rxml::Error;
        match error {
            Error::InvalidUtf8Byte(_) | Error::RestrictedXml("only utf-8 encoding is allowed") => FrameError::Encoding,
            Error::RestrictedXml("long name or reference") => FrameError::Limit("bytes of a name or attribute"),
            Error::RestrictedXml(_)
            | Error::UndeclaredEntity
            // A DTD; rxml knows no other `<!` than CDATA sections and comments.
            | Error::InvalidSyntax("malformed cdata or comment section start") => FrameError::Restricted,
            other => FrameError::NotWellFormed(other.to_string()),
        }
    }
}
