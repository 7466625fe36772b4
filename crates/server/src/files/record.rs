//! What the vault keeps of a file beside its content.

use serde::{Deserialize, Serialize};
use stanza::BareJid;
use vault::{Micros, Record};

use crate::kinds;

/// A file. Found by the keyed hash of its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Who asked for the slot.
    #[serde(with = "address")]
    pub owner: BareJid,
    /// The service that was asked.
    #[serde(with = "address")]
    pub service: BareJid,
    /// What it is called; empty once it has been erased.
    pub name: String,
    /// Bytes of content.
    pub size: u64,
    /// Its media type, if the owner named one.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// What the owner says that it is for (XEP-0363 §5).
    #[serde(default)]
    pub purpose: Option<String>,
    /// When the slot was given.
    pub asked: Micros,
    /// How far it is.
    pub state: State,
}

/// How far a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Its content may be uploaded.
    Slot {
        /// Until then.
        expires: Micros,
    },
    /// It can be fetched.
    Kept {
        /// Since when.
        at: Micros,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
    },
    /// Its content has been destroyed.
    Erased {
        /// When.
        at: Micros,
    },
}

impl Record for File {
    const KIND: u16 = kinds::FILE;
}

/// What a file takes of its owner's quota. Listed under the owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Bytes.
    pub size: u64,
    /// While nothing is uploaded: when the slot expires.
    #[serde(default)]
    pub expires: Option<Micros>,
}

impl Record for Share {
    const KIND: u16 = kinds::FILE_SHARE;
}

/// Something that must not stay: a slot that nothing may come for, or content on its way out. All are listed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// Whose [`Share`] goes with it.
    #[serde(with = "address")]
    pub owner: BareJid,
    /// When it may go.
    pub expires: Micros,
}

impl Record for Slot {
    const KIND: u16 = kinds::FILE_SLOT;
}

/// An address as its text.
mod address {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use stanza::BareJid;

    pub(super) fn serialize<S: Serializer>(jid: &BareJid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(jid.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BareJid, D::Error> {
        BareJid::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
