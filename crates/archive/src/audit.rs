//! The audit chain: who read other people's words, and who used the power to.
//!
//! Its entries are events like all others, so the public key alone proves that none was changed or removed. Beside that
//! they are a chain of their own: each has a number without gaps and the hash of the one before, inside the seal.

use bytes::Bytes;
use jid::Jid;
use minidom::Element;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use smallvec::smallvec;
use vault::{Blind, Expect, Micros, Record, Sequence, Vault, VaultError, Window, Write};

use crate::hex::{hex, unhex};
use crate::{Conversation, Draft, Ledger, Result, body};

/// Something that somebody does with other people's words, or with the power over them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Who. An operator at the machine's own console is the server's domain with their system account as the resource.
    pub by: Jid,
    /// What.
    pub deed: Deed,
    /// The id of the matter that allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matter: Option<String>,
    /// What else is to know, as an object: the question asked, whose words, how many. Never the words themselves.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

/// Kinds of [`Act`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Deed {
    /// A matter was opened, changed or closed.
    Matter,
    /// Somebody gave or refused the second approval.
    Approve,
    /// Other people's words were searched.
    Search,
    /// Other people's words were read: a message, its context or a file.
    View,
    /// A hold was placed, changed or released.
    Hold,
    /// Words left the archive.
    Export,
    /// Words were erased.
    Erase,
    /// A retention policy was changed, or carried out.
    Retain,
    /// A supervision rule was changed.
    Supervise,
    /// An item of the review queue was shown or decided.
    Review,
    /// The audit chain itself was read.
    Audit,
    /// Somebody without the right took it in an emergency.
    BreakGlass,
    /// Somebody's roles were changed.
    Role,
    /// Somebody's password or second factor was set, by them or by another.
    Account,
    /// A token for the API was made or revoked.
    Token,
    /// Keys were shown, rotated or destroyed.
    Keys,
}

impl Act {
    /// An act without a matter.
    pub fn new(by: impl Into<Jid>, deed: Deed, details: Value) -> Self {
        Self { by: by.into(), deed, matter: None, details }
    }

    /// Under the matter of this id.
    pub fn under(self, matter: impl Into<String>) -> Self {
        Self { matter: Some(matter.into()), ..self }
    }
}

/// An [`Act`] on record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Audited {
    /// Its place in the audit chain, from 1 without gaps.
    pub number: u64,
    /// Its place in the one order of all events.
    pub sequence: Sequence,
    /// When it was accepted.
    pub time: Micros,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
    /// Whether it follows from the entry before it; `None` when that one was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<bool>,
}

const NS: &str = "urn:chancery:audit:0";

/// The end of the audit chain.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AuditHead {
    number: u64,
    hash: [u8; 32],
}

impl Record for AuditHead {
    const KIND: u16 = 0x4103;
}

impl AuditHead {
    pub(crate) async fn load(vault: &Vault) -> Result<Self, VaultError> {
        Ok(vault.get::<Self>("", "audit").await?.map(|head| head.value).unwrap_or_default())
    }

    /// The event of the next link, and the chain's end after it.
    pub(crate) fn link(&self, act: &Act) -> Result<(Draft, Self), VaultError> {
        let json = serde_json::to_string(act).map_err(|_| VaultError::Encoding { kind: Self::KIND })?;
        let next = Self { number: self.number + 1, hash: link(self, &json) };
        let (number, previous, text) = (next.number, hex(&self.hash), escape(&json));
        let element = format!("<audit xmlns='{NS}' number='{number}' previous='{previous}'>{text}</audit>");
        let writer = act.by.to_bare();
        let draft = Draft {
            owners: smallvec![writer],
            conversation: Conversation::Audit,
            from: act.by.clone(),
            to: act.by.to_bare().into(),
            stanza: Bytes::from(element),
            text: None,
            id: None,
            about: None,
            writes: vec![Write::put("", "audit", &next, Expect::Any)?],
            spool: None,
            through: None,
            ledger: Ledger::Audit,
        };
        Ok((draft, next))
    }
}

fn link(previous: &AuditHead, json: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"chancery audit 1");
    hash.update(previous.hash);
    hash.update((previous.number + 1).to_le_bytes());
    hash.update(json.as_bytes());
    hash.finalize().into()
}

/// The tag of all entries.
pub(crate) fn tag(vault: &Vault) -> Blind {
    vault.blind("audit chain", &[])
}

/// Entries, newest first, from before the one of number `before`.
pub(crate) async fn read(vault: &Vault, before: Option<u64>, limit: usize) -> Result<Vec<Audited>> {
    let mut window = Window::last(limit.clamp(1, 256) + 1);
    let mut entries: Vec<(Audited, [u8; 32], [u8; 32])> = Vec::new();
    while entries.len() <= limit {
        let events = vault.store().tagged_events(tag(vault), window).await?;
        window.before = events.last().map(|event| event.sequence);
        let exhausted = events.len() < window.limit;
        for item in body::open_all(vault, &events).await? {
            let Some(entry) = parse(&item) else { continue };
            if before.is_none_or(|before| entry.0.number < before) {
                entries.push(entry);
            }
        }
        if exhausted {
            break;
        }
    }
    for at in 0..entries.len() {
        let before = entries.get(at + 1).map(|(entry, _, hash)| (entry.number, *hash));
        let (entry, previous, _) = &mut entries[at];
        entry.follows = match before {
            Some((number, hash)) => Some(number + 1 == entry.number && hash == *previous),
            None if entry.number == 1 => Some(*previous == [0; 32]),
            None => None,
        };
    }
    entries.truncate(limit);
    Ok(entries.into_iter().map(|(entry, ..)| entry).collect())
}

/// An entry, the hash of the one before, and its own.
fn parse(item: &crate::Item) -> Option<(Audited, [u8; 32], [u8; 32])> {
    let element: Element = std::str::from_utf8(&item.stanza).ok()?.parse().ok()?;
    if !element.is("audit", NS) {
        return None;
    }
    let number: u64 = element.attr("number")?.parse().ok()?;
    let previous = unhex(element.attr("previous")?)?;
    let json = element.text();
    let act = serde_json::from_str(&json).ok()?;
    let hash = link(&AuditHead { number: number.checked_sub(1)?, hash: previous }, &json);
    let entry = Audited { number, sequence: item.sequence, time: item.time, act, follows: None };
    Some((entry, previous, hash))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
