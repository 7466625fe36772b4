//! What can go wrong at rest.

use crate::{KeyError, SealError, StoreError};

/// Why the vault refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The backend refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A compare-and-set found another version. Read again and decide anew.
    #[error("the record has been written by somebody else since it was read")]
    Conflict,
    /// The master key is not the one that this folder was sealed with.
    #[error("wrong master key: this data folder was sealed with another one")]
    WrongKey,
    /// There is data, but the keys that open it are gone.
    #[error("the key store is empty although there is data: restore keys.db from a backup")]
    KeysMissing,
    /// The master key could not be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Stored bytes do not open or do not parse.
    #[error("stored data is damaged: {what}")]
    Corrupt {
        /// Which data.
        what: &'static str,
    },
    /// A value did not serialise.
    #[error("a record of kind {kind} cannot be encoded")]
    Encoding {
        /// The record's kind.
        kind: u16,
    },
    /// The operating system gave no random bytes.
    #[error("the system's random source failed")]
    Random,
}

impl VaultError {
    /// Whether the same request may succeed later without anything but the disk changing.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Store(StoreError::Full | StoreError::ReadOnly | StoreError::Io(_)))
    }
}

impl From<SealError> for VaultError {
    fn from(_: SealError) -> Self {
        Self::Corrupt { what: "sealed bytes do not open" }
    }
}

impl From<getrandom::Error> for VaultError {
    fn from(_: getrandom::Error) -> Self {
        Self::Random
    }
}
