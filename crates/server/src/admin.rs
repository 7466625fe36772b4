//! The operator's door: a Unix socket over which commands talk to the running server.
//!
//! Requests and replies are JSON, one a line ([`protocol`]). Only the account that runs the server, and root, may
//! speak: the socket has mode 0600 and the kernel says who connected. The same requests can be carried out without a
//! server on an open data folder, so every command has one implementation.

mod ask;
mod client;
mod doctor;
mod keep;
mod operations;
mod protocol;
mod review;
mod socket;
mod trail;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

pub use archive::erase::check_certificate;
pub use ask::{Ask, Caller};
pub use client::Client;
pub use doctor::{Finding, State};
pub use keep::Keep;
pub use operations::{Operations, Running};
pub use protocol::{Fault, FaultKind, NewPerson, Order, Reply, Request};
pub use review::ReviewAsk;
pub use socket::{AdminSocket, SocketError};
pub use trail::{parse_key, verify_store};

/// Carries out requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers with what the request's documentation says. Long work tells how far it is.
    fn handle(&self, order: Order, progress: Progress) -> BoxFuture<'_, Result<Value, Fault>>;
}

/// How far something is: `(done, total)`. Cheap to call often; whoever listens thins it out.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// For those who do not want to know.
pub fn no_progress() -> Progress {
    Arc::new(|_, _| {})
}
