//! What an export says of itself, and who signs that.

use std::collections::BTreeMap;

use ed25519_dalek::{Signature, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vault::Checkpoint;

use super::form::Form;
use crate::Selection;
use crate::hex::{hex, unhex};

/// The file that says what is in an export.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Its signature: Ed25519, in hexadecimal.
pub(crate) const SIGNATURE: &str = "manifest.sig";
/// The SHA-256 of every other file, as `sha256sum -c` reads it.
pub(crate) const LIST: &str = "SHA256SUMS";
/// The form of an export, and of how events are written in it.
pub(crate) const FORMAT: &str = "chancery export 1";

/// What an export is and what is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format's name and version.
    pub format: String,
    /// What was asked for, by whom.
    pub header: Header,
    /// What there is.
    pub counts: Counts,
    /// The first event's place.
    pub first: Option<u64>,
    /// The last event's place.
    pub last: Option<u64>,
    /// Where the signed chain stood when the export was made.
    pub checkpoint: Option<Signed>,
    /// SHA-256 of `SHA256SUMS`, which names all other files.
    pub list_sha256: String,
    /// How many files that names.
    pub files: u64,
    /// The key that signs, in hexadecimal. Whoever verifies has it from elsewhere.
    pub public_key: String,
}

/// What was asked for, by whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What it is called.
    pub title: String,
    /// How events are written.
    pub form: Form,
    /// When it was made, in UTC (RFC 3339).
    pub made: String,
    /// By whom.
    pub by: String,
    /// The matter that it is for, as its keeper describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<serde_json::Value>,
    /// In whose books, and when.
    pub selection: Selection,
    /// The question that events had to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// What there is in an export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Files that the events link to and that are in the export.
    pub attachments: u64,
    /// Their bytes.
    pub attachment_bytes: u64,
    /// Events and files of the selection that are not in it, by the reason why: `erased`, or what the maker withheld them for.
    pub left_out: BTreeMap<String, u64>,
}

/// A checkpoint in an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// The last event that it covers.
    pub sequence: u64,
    /// When it was signed: microseconds since 1970.
    pub time: i64,
    /// That event's hash.
    pub hash: String,
    /// The event that the checkpoint before covers.
    pub previous: u64,
    /// Ed25519 over the rest.
    pub signature: String,
}

impl From<&Checkpoint> for Signed {
    fn from(checkpoint: &Checkpoint) -> Self {
        Self {
            sequence: checkpoint.sequence.0,
            time: checkpoint.time.0,
            hash: hex(&checkpoint.hash),
            previous: checkpoint.previous.0,
            signature: hex(&checkpoint.signature),
        }
    }
}

impl Signed {
    /// Reads it back; `None` if it is none.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            sequence: vault::Sequence(self.sequence),
            time: vault::Micros(self.time),
            hash: unhex(&self.hash)?,
            previous: vault::Sequence(self.previous),
            signature: unhex(&self.signature)?,
        })
    }
}

/// What is signed: a name of its own, so that no checkpoint can be taken for it, and the manifest's digest.
pub(crate) fn statement(manifest: &[u8]) -> Vec<u8> {
    [FORMAT.as_bytes(), &Sha256::digest(manifest)].concat()
}

/// Whether the manifest bears this key's signature.
pub(crate) fn is_signed(manifest: &[u8], signature: &str, key: &VerifyingKey) -> bool {
    let Some(signature) = unhex::<64>(signature.trim()) else { return false };
    key.verify_strict(&statement(manifest), &Signature::from_bytes(&signature)).is_ok()
}
