//! What became of a message after it was sent: retraction (XEP-0424).
//!
//! The retraction is an event like any other, and the trail keeps both. Beside it, in the same transaction, stands a
//! *fate* for each owner of the message, so that people's history shows that something was taken back and not what
//! (XEP-0424 §5). Auditors read the events, which have no fates.

use std::collections::HashMap;

use archive::{ArchiveError, Draft, Item, Sequence};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, Kind, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};

use crate::clock;
use crate::post::Trail;
use crate::xml::{With, el};

/// The namespace.
pub const RETRACT: &str = "urn:xmpp:message-retract:1";

/// Why people no longer see a message. Parent: the owner of the history; key: the message's place in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// The id of the message that took it back, as its sender wrote it.
    pub by: Option<String>,
    /// When, in microseconds since 1970.
    pub at: i64,
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
        for owner in &draft.owners {
            draft.writes.push(self.write(owner, target.sequence, stanza.id.as_deref())?);
        }
        Ok(())
    }

    /// Seals the fate of one message in one history.
    ///
    /// # Errors
    /// When it cannot be written as a record.
    pub fn write(&self, owner: &BareJid, message: Sequence, by: Option<&str>) -> Result<Write, VaultError> {
        let fate = Fate { by: by.map(str::to_owned), at: archive::Micros::now().0 };
        Write::put(owner.as_str(), &message.to_string(), &fate, Expect::Any)
    }

    /// Puts tombstones in the place of what has been taken back.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn veil(&self, owner: &BareJid, items: &mut [Item]) -> Result<(), VaultError> {
        let fates = self.vault.list::<Fate>(owner.as_str()).await?;
        if fates.is_empty() {
            return Ok(());
        }
        let fates: HashMap<String, Fate> = fates.into_iter().map(|(key, fate)| (key, fate.value)).collect();
        for item in items {
            if let Some(fate) = fates.get(&item.sequence.to_string()) {
                item.stanza = tombstone(item, fate);
            }
        }
        Ok(())
    }
}

/// What is left to see (XEP-0424 §5.1).
fn tombstone(item: &Item, fate: &Fate) -> Bytes {
    let mark =
        el("retracted", RETRACT).with("stamp", clock::stamp(fate.at)).with("id", fate.by.as_deref()).build();
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
