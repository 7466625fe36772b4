//! Everything at rest, sealed.
//!
//! The vault knows three shapes and nothing about XMPP: *records*, documents found by kind and key, *events*, the
//! append-only log, and *blobs*, content of any length. All are encrypted before a [`Store`] or [`BlobStore`] sees them, so
//! a backend handles only ciphertext and keyed hashes, and every backend is encrypted by construction.
//!
//! - [`Vault`] is the door: open a folder with a [`MasterKey`], read and write records, take part in the event log.
//! - [`Store`] is the contract with a backend; [`sqlite`] implements it, and `contract` is the test-suite that each
//!   implementation must pass (feature `contract`). [`BlobStore`] is the one for blobs; [`FolderBlobs`] implements it.
//!
//! The layering of keys: the master key wraps a random *root secret* (from which lookup keys, the record key and the
//! secrets of upper rooms derive) and one random *data key* per conversation and period. Changing the master key
//! re-wraps those few bytes and rewrites no event.

mod backup;
mod blind;
mod blob;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod disclose;
mod erase;
mod error;
mod event;
mod keyring;
mod master;
mod record;
mod seal;
pub mod sqlite;
mod store;
mod vault;

pub use backup::{KeyCopy, restore};
pub use blind::{Blind, Blinder};
pub use blob::{BlobName, BlobReader, BlobStore, BlobStream, BlobUpload, BlobWriter, Blobs, FolderBlobs};
pub use disclose::Disclosure;
pub use erase::Opened;
pub use error::VaultError;
pub use event::{Checkpoint, EventHash, Head, Micros, SealedEvent, Sequence, Tags};
pub use keyring::{DataKey, KeyId};
pub use master::{KeyError, MasterKey};
pub use record::{Expect, Record, Version, Versioned, Write};
pub use seal::{Nonces, SealError};
pub use store::{Batch, Check, KeyUse, SealedRecord, SealedWrite, Statistics, Store, StoreError, Window};
pub use vault::Vault;

/// What went right, or a [`VaultError`].
pub type Result<T, E = VaultError> = std::result::Result<T, E>;
