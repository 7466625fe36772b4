//! Sign-in: what a client and the server say to each other until it is known who the client is.
//!
//! Everything here is a state machine without I/O and without a clock: bytes in, bytes out. The same
//! [`Exchange`] serves the SASL profile of RFC 6120 §6 and the extensible one of XEP-0388; looking up
//! credentials happens outside, between [`Step::Lookup`] and [`Exchange::resume`], because it may wait
//! for a disk or cost milliseconds.
//!
//! | mechanism | standard | file |
//! | --- | --- | --- |
//! | `SCRAM-SHA-256(-PLUS)`, `SCRAM-SHA-1(-PLUS)` | RFC 5802, RFC 7677 | `scram` |
//! | `PLAIN` | RFC 4616 | `plain` |
//! | `HT-SHA-256-EXPR`, `-ENDP`, `-NONE` | XEP-0484 with draft-schmaus-kitten-sasl-ht-09 | `fast` |
//!
//! SCRAM is written here although crates for it exist: XEP-0474 puts an attribute into the server's
//! first message that both sides sign, accounts that do not exist must walk the very same path as
//! those that do, and the keys must come from a cache without a password in sight. The crates at hand
//! let a caller do none of these.

mod binding;
mod exchange;
mod failure;
pub mod fast;
pub(crate) mod keys;
mod mechanism;
mod plain;
mod prep;
mod scram;
#[cfg(test)]
mod tests;

pub use binding::{BindingType, ChannelBindings, EXPORTER_LABEL, EXPORTER_LENGTH};
pub use exchange::{
    Context, Credentials, Exchange, FastRequest, Lookup, MAX_MESSAGE_BYTES, Step, Success, Wants,
};
pub use failure::{SaslFailure, decode};
pub use keys::{DEFAULT_ITERATIONS, Decoy, Hash, ScramKeys};
pub use mechanism::{Channel, Mechanism, Offer};
pub use prep::{MAX_PASSWORD_BYTES, PasswordError, prepare_password};
