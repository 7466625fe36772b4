//! The append-only log as a backend sees it: what is in the clear, and one sealed body.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::{Blind, KeyId};

/// The place of an event in the log. The first event is 1, and there are no gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    /// Before the first event.
    pub const ZERO: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in UTC: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micros(pub i64);

impl Micros {
    /// The system clock's moment.
    pub fn now() -> Self {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)),
            Err(before) => Self(-i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX)),
        }
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
}

/// SHA-256 over an event and the hash before it.
pub type EventHash = [u8; 32];

/// Keyed hashes under which an event is found.
pub type Tags = SmallVec<[Blind; 3]>;

/// One event at rest.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedEvent {
    /// Place in the log.
    pub sequence: Sequence,
    /// Which writer's chain it belongs to.
    pub writer: u32,
    /// When it was accepted. Never decreases along the sequence.
    pub time: Micros,
    /// The data key that sealed the body.
    pub key: KeyId,
    /// Whose history shows it, and which conversation.
    pub tags: Tags,
    /// Nonce ‖ ciphertext ‖ tag, at least 40 bytes. Once the body has been dropped ([`crate::Store::drop_bodies`]), the 32
    /// bytes of its SHA-256: all that the chain needs of it.
    pub sealed: Bytes,
    /// The chain up to and including this event.
    pub hash: EventHash,
}

impl SealedEvent {
    /// Bytes that are left of a dropped body.
    pub const DROPPED: usize = 32;

    /// Whether nothing is left of its body but a digest.
    pub fn is_dropped(&self) -> bool {
        self.sealed.len() == Self::DROPPED
    }

    /// SHA-256 of the sealed body, as the chain covers it.
    pub fn digest(&self) -> [u8; 32] {
        match <[u8; Self::DROPPED]>::try_from(&self.sealed[..]) {
            Ok(digest) => digest,
            Err(_) => Sha256::digest(&self.sealed).into(),
        }
    }

    /// What the seal of an event's body also authenticates: everything in the clear but the hash, so that a body
    /// cannot be moved to another place, time, owner or key.
    pub fn context(
        sequence: Sequence,
        writer: u32,
        time: Micros,
        key: KeyId,
        tags: &[Blind],
    ) -> SmallVec<[u8; 128]> {
        let mut out = SmallVec::new();
        out.extend_from_slice(b"chancery event 1");
        out.extend_from_slice(&sequence.0.to_le_bytes());
        out.extend_from_slice(&writer.to_le_bytes());
        out.extend_from_slice(&time.0.to_le_bytes());
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(&(tags.len() as u32).to_le_bytes());
        for tag in tags {
            out.extend_from_slice(tag.as_bytes());
        }
        out
    }
}

impl fmt::Debug for SealedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedEvent")
            .field("sequence", &self.sequence)
            .field("writer", &self.writer)
            .field("time", &self.time)
            .field("bytes", &self.sealed.len())
            .finish_non_exhaustive()
    }
}

/// The end of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The last event.
    pub sequence: Sequence,
    /// When it was accepted.
    pub time: Micros,
    /// Its hash.
    pub hash: EventHash,
}

/// A signed statement about where the chain stood. In the clear, so that it can be checked without any secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last event that it covers.
    pub sequence: Sequence,
    /// When it was signed.
    pub time: Micros,
    /// That event's hash.
    pub hash: EventHash,
    /// The event that the checkpoint before covers; zero for the first.
    pub previous: Sequence,
    /// Ed25519 over the rest.
    pub signature: [u8; 64],
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("sequence", &self.sequence)
            .field("time", &self.time)
            .field("previous", &self.previous)
            .finish_non_exhaustive()
    }
}
