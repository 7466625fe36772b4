//! What goes into the archive, and what comes out of the writer.

use bytes::Bytes;
use jid::{BareJid, Jid};
use smallvec::SmallVec;
use vault::{Micros, Sequence, VaultError, Write};

/// Something on its way: `item` travels through the archive in order, with or without an event to store.
#[derive(Debug)]
pub struct Entry<T> {
    /// What the sink gets back.
    pub item: T,
    /// What to store. `None` stores nothing and only keeps its place behind what was submitted before.
    pub event: Option<Draft>,
}

/// An event that is not stored yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Whose history shows it, in the book that `ledger` names.
    pub owners: SmallVec<[BareJid; 2]>,
    /// What it belongs to; decides its data key.
    pub conversation: Conversation,
    /// The true sender.
    pub from: Jid,
    /// The recipient.
    pub to: Jid,
    /// The room that it goes through from one occupant to another: its owners find it with that room.
    pub through: Option<BareJid>,
    /// The whole stanza as XML, with `xmlns='jabber:client'` on it.
    pub stanza: Bytes,
    /// What search should find it by; usually the body.
    pub text: Option<String>,
    /// The id that its sender gave it, so that a later event can name it ([`Archive::named`](crate::Archive::named)).
    pub id: Option<Box<str>>,
    /// The id of an earlier message that it changes ([`Archive::about`](crate::Archive::about)).
    pub about: Option<Box<str>>,
    /// Changes of records that happen with it or not at all.
    pub writes: Vec<Write>,
    /// For whom it is also kept as an offline message (XEP-0160).
    pub spool: Option<BareJid>,
    /// Which of the owners' books it is written in.
    pub ledger: Ledger,
}

/// The books that each address has in the archive. All events are in one chain; the books are ways to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Ledger {
    /// What people said: the history that they see (XEP-0313).
    #[default]
    Messages,
    /// What happened around it: who came and went, what was changed, uploaded or fetched. Auditors read it.
    Happenings,
    /// Who read other people's words, and who has power over them; see [`crate::Act`].
    Audit,
}

impl Ledger {
    /// How the seal names it.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Messages => 0,
            Self::Happenings => 1,
            Self::Audit => 2,
        }
    }

    pub(crate) fn of_code(code: u8) -> Option<Self> {
        [Self::Messages, Self::Happenings, Self::Audit].into_iter().find(|ledger| ledger.code() == code)
    }
}

/// What an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Conversation {
    /// Two people, in no order. Make it with [`Conversation::between`].
    Pair(BareJid, BareJid),
    /// A room.
    Room(BareJid),
    /// The audit chain.
    Audit,
}

impl Conversation {
    /// The conversation of two people, the same whoever speaks.
    pub fn between(one: &BareJid, other: &BareJid) -> Self {
        if one.as_str() <= other.as_str() {
            Self::Pair(one.clone(), other.clone())
        } else {
            Self::Pair(other.clone(), one.clone())
        }
    }
}

/// Where an event stands. The archive gives these out only for what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the one order of all events.
    pub sequence: Sequence,
    /// When it was accepted.
    pub time: Micros,
}

/// A `T` whose event would survive the loss of power. Only this crate makes one.
#[derive(Debug)]
pub struct Archived<T> {
    item: T,
    receipt: Receipt,
}

impl<T> Archived<T> {
    pub(crate) fn new(item: T, receipt: Receipt) -> Self {
        Self { item, receipt }
    }

    /// What was archived.
    pub fn item(&self) -> &T {
        &self.item
    }

    /// Where it stands.
    pub fn receipt(&self) -> Receipt {
        self.receipt
    }

    /// Takes it apart.
    pub fn into_parts(self) -> (T, Receipt) {
        (self.item, self.receipt)
    }
}

/// What became of an entry.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Its event is durable.
    Archived(Archived<T>),
    /// It had no event, and all that was submitted before it is settled.
    Exempt(T),
    /// Its event is not stored and must not be delivered.
    Failed(T, AppendError),
}

/// Why an event was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There is no room on the disk.
    #[error("the disk is full")]
    Full,
    /// The disk takes no writes.
    #[error("the storage is read-only")]
    ReadOnly,
    /// One of the draft's writes found another version than it expected.
    #[error("a record of the same transaction was written by somebody else")]
    Conflict,
    /// The archive has been shut down.
    #[error("the archive is closed")]
    Closed,
    /// Anything else; the text is for the log.
    #[error("the event could not be stored: {0}")]
    Failed(String),
}

impl From<&VaultError> for AppendError {
    fn from(error: &VaultError) -> Self {
        use vault::StoreError;
        match error {
            VaultError::Store(StoreError::Full) => Self::Full,
            VaultError::Store(StoreError::ReadOnly) => Self::ReadOnly,
            VaultError::Store(StoreError::Closed) => Self::Closed,
            VaultError::Conflict => Self::Conflict,
            other => Self::Failed(other.to_string()),
        }
    }
}
