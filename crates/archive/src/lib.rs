//! The data trail: who said what to whom, sealed, chained and found again.
//!
//! A message is worth delivering once it is here. [`Archive::submit`] takes an [`Entry`] and returns at once; the
//! writer seals what has gathered, links it to the chain, commits it in one transaction, and hands each entry back to
//! the *sink* in the order of submission, as [`Archived`]. Only this crate makes an `Archived`, so what has not been
//! stored cannot be delivered by mistake.
//!
//! - `writer` is the group commit; there is no timer in it: what gathers during one commit shares the next.
//! - [`Archive::history`] serves XEP-0313; [`Archive::take_spool`] serves offline messages (XEP-0160).
//! - [`Matters`] say why somebody may read other people's words, [`Holds`] what must not vanish meanwhile.
//! - `chain` says how events hang together and what a checkpoint signs; [`verify`] checks all of it with the public
//!   key alone.

mod anchor;
mod archive;
mod audit;
mod body;
mod chain;
mod entry;
pub mod erase;
pub mod export;
mod hex;
mod history;
mod hold;
mod id;
mod index;
mod journal;
mod matter;
mod places;
mod retain;
pub mod review;
pub mod search;
mod selection;
mod spool;
mod text;
mod verify;
mod writer;

pub use anchor::{Anchor, AnchorError, AnchorFile, Keeper};
pub use archive::{Archive, Options};
pub use audit::{Act, Audited, Deed};
pub use chain::public_key;
pub use entry::{AppendError, Archived, Conversation, Draft, Entry, Ledger, Outcome, Receipt};
pub use history::{Item, Page, Query, Words};
pub use hold::{Filter, Held, Hold, HoldError, Holds, Questions, Release};
pub use id::StanzaId;
pub use index::Indexing;
pub use index::names::CHANGES;
pub use journal::{Carrier, Journal, JournalFolder, JournalOptions, Journalled};
pub use matter::{Approval, Barred, Brief, Change, Matter, MatterError, Matters, Scope, Step};
pub use places::Places;
pub use retain::{Facts, Policies, Policy, PolicyError, Rules, Subject, Term, Verdict, Why, judge};
pub use selection::{Portion, Selection, Walk};
pub use vault::{Checkpoint, Micros, Sequence};
pub use verify::{Fault, Report, verify, verify_against, verify_sealed};

/// The kinds of records that the index is in. It can be made anew from the log.
pub const INDEX_KINDS: [std::ops::RangeInclusive<u16>; 2] = [0x4101..=0x4102, 0x4110..=0x411f];

/// Why the archive could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// A named event is not in this archive (XEP-0313 §4.1.3 and §4.3: answer `item-not-found`).
    #[error("no such message in this archive")]
    NotFound,
    /// The storage refused.
    #[error(transparent)]
    Vault(#[from] vault::VaultError),
    /// The bytes are no Ed25519 public key.
    #[error("this is not a public key of an archive")]
    PublicKey,
    /// The archive has been shut down.
    #[error("the archive is closed")]
    Closed,
}

impl From<vault::StoreError> for ArchiveError {
    fn from(error: vault::StoreError) -> Self {
        Self::Vault(error.into())
    }
}

/// What went right, or an [`ArchiveError`].
pub type Result<T, E = ArchiveError> = std::result::Result<T, E>;
