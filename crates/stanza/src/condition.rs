//! Stream errors (RFC 6120 §4.9).

use std::fmt;

use crate::escape::escape_text;
use crate::ns;

macro_rules! conditions {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident => $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $type {
            $($(#[$doc])* $variant,)*
        }

        impl $type {
            /// All of them, in the standard's order.
            pub const ALL: &'static [$type] = &[$($type::$variant,)*];

            /// The name of its element.
            pub fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)*
                }
            }

            /// The condition of that name.
            pub fn from_name(name: &str) -> Option<$type> {
                match name {
                    $($name => Some($type::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use conditions;

conditions! {
    /// Why a stream ends (RFC 6120 §4.9.3).
    StreamCondition {
        /// XML that cannot be processed, for want of a more specific condition.
        BadFormat => "bad-format",
        /// A prefix that is not supported, or none where one is needed.
        BadNamespacePrefix => "bad-namespace-prefix",
        /// Another stream took over this one's place, such as the same resource bound again.
        Conflict => "conflict",
        /// The peer does not answer.
        ConnectionTimeout => "connection-timeout",
        /// The host named in `to` is no longer served here.
        HostGone => "host-gone",
        /// The host named in `to` is not served here.
        HostUnknown => "host-unknown",
        /// A stanza between servers without `to` or `from`, or with an address outside what the stream may speak for.
        ImproperAddressing => "improper-addressing",
        /// Our own fault.
        InternalServerError => "internal-server-error",
        /// A `from` that the stream may not speak for.
        InvalidFrom => "invalid-from",
        /// The stream's or the content namespace is not the right one.
        InvalidNamespace => "invalid-namespace",
        /// XML that does not validate against a schema, where one is used.
        InvalidXml => "invalid-xml",
        /// Data before the stream was negotiated far enough for it.
        NotAuthorized => "not-authorized",
        /// Not well-formed XML, or not namespace-well-formed.
        NotWellFormed => "not-well-formed",
        /// A local rule was broken, such as a stanza above the size limit.
        PolicyViolation => "policy-violation",
        /// A remote server that is needed cannot be reached.
        RemoteConnectionFailed => "remote-connection-failed",
        /// The stream ends so that the peer negotiates anew.
        Reset => "reset",
        /// Too busy.
        ResourceConstraint => "resource-constraint",
        /// Comments, processing instructions, DTDs or entities (RFC 6120 §11.1).
        RestrictedXml => "restricted-xml",
        /// The host to connect to instead is in [`StreamError::host`].
        SeeOtherHost => "see-other-host",
        /// The server is going down.
        SystemShutdown => "system-shutdown",
        /// None of the others; an application's own condition says more.
        UndefinedCondition => "undefined-condition",
        /// Not UTF-8, or not valid UTF-8 (RFC 6120 §11.6).
        UnsupportedEncoding => "unsupported-encoding",
        /// A stream feature that is mandatory is not supported.
        UnsupportedFeature => "unsupported-feature",
        /// A stream-level element that is not known.
        UnsupportedStanzaType => "unsupported-stanza-type",
        /// Another major version of XMPP.
        UnsupportedVersion => "unsupported-version",
    }
}

/// A stream error, which ends the stream (RFC 6120 §4.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What went wrong.
    pub condition: StreamCondition,
    /// Words for a person, in English.
    pub text: Option<String>,
    /// Where to connect instead; only for [`StreamCondition::SeeOtherHost`].
    pub host: Option<String>,
}

impl StreamError {
    /// An error with words that explain it.
    pub fn new(condition: StreamCondition, text: impl Into<String>) -> StreamError {
        StreamError { condition, text: Some(text.into()), host: None }
    }

    /// Appends `<stream:error>…</stream:error>`, which is complete in itself and so fits both framings.
    ///
    /// The end of the stream (`</stream:stream>` or `<close/>`) is the caller's to add.
    pub fn write(&self, out: &mut Vec<u8>) {
        let name = self.condition.name().as_bytes();
        out.extend_from_slice(b"<stream:error xmlns:stream='");
        out.extend_from_slice(ns::STREAM.as_bytes());
        out.extend_from_slice(b"'><");
        out.extend_from_slice(name);
        out.extend_from_slice(b" xmlns='");
        out.extend_from_slice(ns::STREAM_ERRORS.as_bytes());
        match &self.host {
            Some(host) => {
                out.extend_from_slice(b"'>");
                escape_text(host, out);
                out.extend_from_slice(b"</");
                out.extend_from_slice(name);
                out.push(b'>');
            }
            None => out.extend_from_slice(b"'/>"),
        }
        if let Some(text) = &self.text {
            out.extend_from_slice(b"<text xmlns='");
            out.extend_from_slice(ns::STREAM_ERRORS.as_bytes());
            out.extend_from_slice(b"' xml:lang='en'>");
            escape_text(text, out);
            out.extend_from_slice(b"</text>");
        }
        out.extend_from_slice(b"</stream:error>");
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> StreamError {
        StreamError { condition, text: None, host: None }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.condition),
            None => write!(f, "{}", self.condition),
        }
    }
}

impl std::error::Error for StreamError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Element;

    #[test]
    fn every_condition_is_found_by_its_name() {
        assert_eq!(StreamCondition::ALL.len(), 25);
        for condition in StreamCondition::ALL {
            assert_eq!(StreamCondition::from_name(condition.name()), Some(*condition));
        }
    }

    #[test]
    fn a_stream_error_is_one_complete_element() {
        let mut out = Vec::new();
        let error = StreamError {
            condition: StreamCondition::SeeOtherHost,
            text: Some("over <there>".into()),
            host: Some("[2001:db8::1]:5222".into()),
        };
        error.write(&mut out);
        let element: Element = String::from_utf8(out).unwrap().parse().unwrap();
        assert!(element.is("error", ns::STREAM));
        let host = element.get_child("see-other-host", ns::STREAM_ERRORS).unwrap();
        assert_eq!(host.text(), "[2001:db8::1]:5222");
        assert_eq!(element.get_child("text", ns::STREAM_ERRORS).unwrap().text(), "over <there>");
    }
}
