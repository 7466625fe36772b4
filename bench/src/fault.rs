//! The one error type of the tool.

use std::io;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The network, a file or a process failed while `what` was going on.
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    /// The server answered something that the step cannot go on from.
    #[error("the server refused {step}: {answer}")]
    Refused { step: &'static str, answer: String },
    /// Nothing came in the time that the step allows.
    #[error("{0} took too long")]
    TimedOut(&'static str),
    /// The server closed the connection.
    #[error("the server closed the connection during {0}")]
    Closed(&'static str),
    /// A server could not be set up, started or stopped.
    #[error("{server}: {trouble}")]
    Peer { server: String, trouble: String },
    /// The flags do not fit each other.
    #[error("{0}")]
    Usage(String),
}

pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// Says what was going on when an I/O error came up.
pub(crate) trait Context<T> {
    fn during(self, what: impl Into<String>) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn during(self, what: impl Into<String>) -> Result<T> {
        self.map_err(|source| Fault::Io { what: what.into(), source })
    }
}
