//! What became of a message after it was sent: retraction (XEP-0424) and moderation (XEP-0425).
//!
//! The retraction is an event like any other, and the trail keeps both. Beside it, in the same transaction, stands a
//! *fate* for each owner of the message, so that people's history shows that something was taken back and not what
//! (XEP-0424 §5). Auditors read the events, which have no fates.

use archive::{ArchiveError, Draft, Item, Sequence};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, Kind, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};

use crate::clock;
use crate::post::Trail;
use crate::xml::{With, el, text};

/// The namespace of XEP-0425.
pub const MODERATE: &str = "urn:xmpp:message-moderate:1";
/// The namespace of XEP-0424.
pub const RETRACT: &str = "urn:xmpp:message-retract:1";

/// Why people no longer see a message. Parent: the owner of the history; key: the message's place in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The id of the message that took it back, as its sender wrote it.
    pub by: Option<String>,
    /// When, in microseconds since 1970.
    pub at: i64,
    /// The occupant who took it away from its author (XEP-0425).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moderator: Option<String>,
    /// Why they did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Fate {
    /// Taken back now, by the message of this id.
    pub fn now(by: Option<&str>) -> Self {
        Self { by: by.map(str::to_owned), at: clock::micros(), moderator: None, reason: None }
    }

    /// The record for a message in one history.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn write(&self, owner: &BareJid, message: Sequence) -> Result<Write, VaultError> {
        Write::put(owner.as_str(), &message.to_string(), self, Expect::Any)
    }
}

impl Record for Fate {
    const KIND: u16 = crate::kinds::FATE;
}

/// See the module.
#[derive(Clone)]
pub struct Fates {
    vault: Vault,
    trail: Trail,
}

impl Fates {
    /// Reads and writes fates.
    pub fn new(vault: Vault, trail: Trail) -> Self {
        Self { vault, trail }
    }

    /// Puts the fate of the message that `stanza` takes back, if it does, into its event. Only who sent a message takes
    /// it back; a retraction of anything else is an event without consequence.
    ///
    /// # Errors
    /// When the archive cannot be read.
    pub async fn follow(&self, draft: &mut Draft, stanza: &Stanza) -> Result<(), ArchiveError> {
        let Some(retract) = stanza.child("retract", RETRACT) else { return Ok(()) };
        let retract = stanza.payload_element(retract);
        let Some(id) = retract.attr("id").filter(|id| !id.is_empty()) else { return Ok(()) };
        let sender = draft.from.to_bare();
        let Some(owner) = draft.owners.first() else { return Ok(()) };
        let Some(target) = self.trail.named(owner, &sender, id).await? else { return Ok(()) };
        let fate = Fate::now(stanza.id.as_deref());
        for owner in &draft.owners {
            draft.writes.push(fate.write(owner, target.sequence)?);
        }
        Ok(())
    }

    /// Puts tombstones in the place of what has been taken back.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn veil(&self, owner: &BareJid, items: &mut [Item]) -> Result<(), VaultError> {
        let places: Vec<String> = items.iter().map(|item| item.sequence.to_string()).collect();
        let fates = self.vault.get_many::<Fate>(owner.as_str(), &places).await?;
        for (item, fate) in items.iter_mut().zip(fates) {
            if let Some(fate) = fate {
                item.stanza = tombstone(item, &fate.value);
            }
        }
        Ok(())
    }

    /// Leaves out what has been taken back.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn omit(&self, owner: &BareJid, items: &mut Vec<Item>) -> Result<(), VaultError> {
        let places: Vec<String> = items.iter().map(|item| item.sequence.to_string()).collect();
        let mut fates = self.vault.get_many::<Fate>(owner.as_str(), &places).await?.into_iter();
        items.retain(|_| fates.next().flatten().is_none());
        Ok(())
    }
}

/// What is left to see (XEP-0424 §5.1).
fn tombstone(item: &Item, fate: &Fate) -> Bytes {
    let moderated = fate.moderator.as_deref().map(|by| el("moderated", MODERATE).with("by", by).build());
    let mark = el("retracted", RETRACT)
        .with("stamp", clock::stamp(fate.at))
        .with("id", fate.by.as_deref())
        .append_all(moderated)
        .append_all(fate.reason.as_deref().map(|reason| text("reason", RETRACT, reason)))
        .build();
    let stanza = match Stanza::parse(&item.stanza) {
        Ok(stanza) => stanza.without(|_| true),
        Err(_) => Stanza::new(Kind::Message).sent_by(item.from.clone()).addressed(item.to.clone()),
    };
    let mut out = Vec::with_capacity(256);
    stanza.head().write(&mut out, Some(stanza::ns::CLIENT));
    out.extend_from_slice(String::from(&mark).as_bytes());
    out.extend_from_slice(b"</message>");
    out.into()
}
