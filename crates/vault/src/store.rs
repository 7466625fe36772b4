//! The contract with a backend. It sees sealed bytes and keyed hashes only.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Blind, Checkpoint, Expect, Head, KeyId, Micros, SealedEvent, Sequence, Version};

/// Why a backend refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room. Nothing of the batch was stored; later batches may succeed.
    #[error("the disk is full")]
    Full,
    /// The medium does not take writes.
    #[error("the storage is read-only")]
    ReadOnly,
    /// An expectation of the batch did not hold. Nothing of the batch was stored.
    #[error("a record is not as the write expected it")]
    Conflict,
    /// The events of the batch do not continue the log. Nothing of the batch was stored.
    #[error("the events do not continue the log")]
    Gap,
    /// What is stored makes no sense.
    #[error("the storage is damaged: {0}")]
    Corrupt(String),
    /// A newer release wrote this folder.
    #[error(
        "the data was written by a newer release (format {found}, this release knows {known}): upgrade first"
    )]
    Newer {
        /// Version in the folder.
        found: u32,
        /// Newest version that this release reads.
        known: u32,
    },
    /// Another process has the folder open.
    #[error("another process is using this data folder")]
    InUse,
    /// The store has been closed.
    #[error("the storage is closed")]
    Closed,
    /// The medium failed.
    #[error("input or output failed: {0}")]
    Io(String),
}

/// What is stored together or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Events that continue the log without a gap, oldest first.
    pub events: Vec<SealedEvent>,
    /// Changes of records, in order.
    pub writes: Vec<SealedWrite>,
    /// A signed statement about the log, to be stored beside it.
    pub checkpoint: Option<Checkpoint>,
}

/// One change of one record.
#[derive(Debug, Clone)]
pub struct SealedWrite {
    /// The record's kind.
    pub kind: u16,
    /// Under what it is listed.
    pub parent: Blind,
    /// Which record, unique within kind and parent.
    pub key: Blind,
    /// What must hold.
    pub expect: Expect,
    /// The sealed document; `None` deletes.
    pub value: Option<Bytes>,
}

/// A record as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// Which record.
    pub key: Blind,
    /// Its version.
    pub version: Version,
    /// The sealed document.
    pub value: Bytes,
}

/// A range of the log and how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Only events after this one. [`Sequence::ZERO`] is no bound.
    pub after: Sequence,
    /// Only events before this one.
    pub before: Option<Sequence>,
    /// At most so many.
    pub limit: usize,
    /// Newest first. The order of the answer follows.
    pub backwards: bool,
}

impl Window {
    /// Everything, oldest first, at most `limit`.
    pub const fn first(limit: usize) -> Self {
        Self { after: Sequence::ZERO, before: None, limit, backwards: false }
    }

    /// Everything, newest first, at most `limit`.
    pub const fn last(limit: usize) -> Self {
        Self { backwards: true, ..Self::first(limit) }
    }
}

/// Sizes, for operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events in the log.
    pub events: u64,
    /// Data keys.
    pub keys: u64,
    /// Bytes of storage in use, including journals.
    pub bytes: u64,
    /// Bytes that the medium still offers, if that is known.
    pub free_bytes: Option<u64>,
}

/// What a thorough look at the storage found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Faults, each in a sentence; empty if all is well.
    pub faults: Vec<String>,
}

/// What needs a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The place of an event.
    pub sequence: Sequence,
    /// The data key that sealed it.
    pub key: KeyId,
    /// Whether its body has been dropped, so that it needs no key any more.
    pub dropped: bool,
}

/// A backend.
///
/// Implementations promise:
/// - `commit` is atomic and durable: it returns `Ok` after the batch would survive the loss of power, and after an
///   error nothing of the batch is visible, now or later. A failed batch fails alone: others that were in flight
///   succeed or fail on their own, and the next one is tried afresh.
/// - What `commit` acknowledged is seen by every read that starts afterwards.
/// - Reads do not wait for commits.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores a batch. All records that it writes bear the returned version, which is greater than every version
    /// before.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] and [`StoreError::Gap`] are the caller's; the rest is the medium's.
    async fn commit(&self, batch: Batch) -> Result<Version, StoreError>;

    /// Whether there is neither a record nor an event.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// One record.
    async fn record(&self, kind: u16, parent: Blind, key: Blind) -> Result<Option<SealedRecord>, StoreError>;

    /// All records of a kind under a parent, in no particular order.
    async fn records(&self, kind: u16, parent: Blind) -> Result<Vec<SealedRecord>, StoreError>;

    /// Those of the records under a parent that have one of these keys, in no order.
    async fn records_of(
        &self,
        kind: u16,
        parent: Blind,
        keys: Vec<Blind>,
    ) -> Result<Vec<SealedRecord>, StoreError>;

    /// The end of the log, `None` while it is empty.
    async fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Events by place, in the order asked for. Places that hold none are left out.
    async fn events(&self, sequences: Vec<Sequence>) -> Result<Vec<SealedEvent>, StoreError>;

    /// At most `limit` events after a place, oldest first, whoever owns them.
    async fn scan(&self, after: Sequence, limit: usize) -> Result<Vec<SealedEvent>, StoreError>;

    /// Places of the events that bear a tag.
    async fn tagged(&self, tag: Blind, window: Window) -> Result<Vec<Sequence>, StoreError>;

    /// The events that bear a tag.
    async fn tagged_events(&self, tag: Blind, window: Window) -> Result<Vec<SealedEvent>, StoreError>;

    /// How many events between two places (both exclusive) bear a tag.
    async fn count(&self, tag: Blind, after: Sequence, before: Option<Sequence>) -> Result<u64, StoreError>;

    /// The first event that is not older than `time`; the place after the last event if there is none.
    async fn sequence_at(&self, time: Micros) -> Result<Sequence, StoreError>;

    /// At most `limit` checkpoints that cover more than `after`, oldest first.
    async fn checkpoints(&self, after: Sequence, limit: usize) -> Result<Vec<Checkpoint>, StoreError>;

    /// The newest checkpoint.
    async fn last_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError>;

    /// Those of the named wrapped keys that exist, in any order.
    async fn keys(&self, ids: Vec<KeyId>) -> Result<Vec<(KeyId, Bytes)>, StoreError>;

    /// Stores wrapped keys durably, leaving those alone that exist.
    async fn add_keys(&self, keys: Vec<(KeyId, Bytes)>) -> Result<(), StoreError>;

    /// All wrapped keys.
    async fn all_keys(&self) -> Result<Vec<(KeyId, Bytes)>, StoreError>;

    /// Replaces wrapped keys, all or none, and leaves no trace of the old bytes behind.
    async fn replace_keys(&self, keys: Vec<(KeyId, Bytes)>) -> Result<(), StoreError>;

    /// Removes wrapped keys, all or none, and leaves no trace of them behind. No error if there are none. What stands
    /// beside each id is kept in its place ([`Store::notes`]), so that a destroyed key is told from a lost one.
    async fn destroy_keys(&self, ids: Vec<(KeyId, Bytes)>) -> Result<(), StoreError>;

    /// The notes about those of these keys that were destroyed, in any order. A key may have been made anew since.
    async fn notes(&self, ids: Vec<KeyId>) -> Result<Vec<(KeyId, Bytes)>, StoreError>;

    /// All notes about destroyed keys.
    async fn all_notes(&self) -> Result<Vec<(KeyId, Bytes)>, StoreError>;

    /// Replaces the bodies of events by their SHA-256, durably; those that are dropped already stay as they are. The bytes
    /// may still be in a journal until [`Store::forget`].
    async fn drop_bodies(&self, sequences: Vec<Sequence>) -> Result<(), StoreError>;

    /// Leaves no trace behind of what has been replaced or removed. False if somebody reads an older state just now:
    /// ask again later.
    async fn forget(&self) -> Result<bool, StoreError>;

    /// Place and key of at most `limit` events after a place, oldest first: quicker than [`Store::scan`].
    async fn key_uses(&self, after: Sequence, limit: usize) -> Result<Vec<KeyUse>, StoreError>;

    /// Writes a consistent copy of the log and the records into the empty or absent folder `to` while the store stays in
    /// use. Records of the kinds in `without` stay out of it, and so do all keys.
    async fn backup(&self, to: &Path, without: &[u16]) -> Result<(), StoreError>;

    /// Sizes.
    async fn statistics(&self) -> Result<Statistics, StoreError>;

    /// Looks at every stored byte that the backend can judge without keys.
    async fn check(&self) -> Result<Check, StoreError>;

    /// Finishes what is under way and lets go of the medium. Later calls fail with [`StoreError::Closed`].
    async fn close(&self);
}
