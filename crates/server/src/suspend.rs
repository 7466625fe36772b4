//! Sessions that outlive a restart: an orderly shutdown writes what is resumable (XEP-0198 §5) into the vault, sealed,
//! and the next start takes it up as if the connection had just been lost.

use std::sync::Arc;

use archive::Sequence;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stanza::{FullJid, Outgoing, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};

use crate::outbox::{Bounds, Class, Outbox, Parcel};
use crate::people::User;
use crate::session::{Resumption, Session};

/// A session at rest. Parent: none; key: the id of `<enabled/>`.
#[derive(Serialize, Deserialize)]
pub struct Suspended {
    /// The full JID.
    pub jid: String,
    received: u32,
    sent: u32,
    marks: u8,
    presence: Option<(i8, String)>,
    parcels: Vec<Saved>,
}

impl Record for Suspended {
    const KIND: u16 = crate::kinds::SUSPENDED;
}

#[derive(Serialize, Deserialize)]
struct Saved {
    xml: String,
    /// Whether an inactive client must get it at once.
    urgent: bool,
    sequence: Option<u64>,
}

impl Saved {
    fn of(parcel: &Parcel) -> Option<Self> {
        let mut xml = parcel.out.head.to_vec();
        xml.extend_from_slice(&parcel.out.tail);
        let urgent = match parcel.class {
            // Answers to what the old stream asked mean nothing to the next.
            Class::Nonza => return None,
            Class::Urgent => true,
            Class::CanWait | Class::Latest(_) => false,
        };
        let sequence = parcel.sequence.map(|sequence| sequence.0);
        Some(Self { xml: String::from_utf8(xml).ok()?, urgent, sequence })
    }

    fn parcel(self) -> Parcel {
        let out = Outgoing { head: self.xml.into(), tail: Bytes::new() };
        let class = if self.urgent { Class::Urgent } else { Class::CanWait };
        Parcel { out, class, sequence: self.sequence.map(Sequence), copies: None }
    }
}

/// Writes sessions down. Their connections have ended.
///
/// # Errors
/// When the vault refuses; the sessions are lost then, but no message is: see [`crate::sessions`].
pub async fn store(vault: &Vault, sessions: &[Arc<Session>]) -> Result<(), VaultError> {
    let mut writes = Vec::new();
    for session in sessions {
        let Some(Resumption { id }) = session.resumption() else { continue };
        let (sent, parcels) = session.outbox.contents();
        let presence = session.presence().zip(session.priority()).and_then(|(presence, priority)| {
            let mut xml = Vec::new();
            presence.write(&mut xml, Some(stanza::ns::CLIENT));
            Some((priority, String::from_utf8(xml).ok()?))
        });
        let suspended = Suspended {
            jid: session.jid.to_string(),
            received: session.handled(),
            sent,
            marks: session.marks(),
            presence,
            parcels: parcels.iter().filter_map(Saved::of).collect(),
        };
        writes.push(Write::put("", &id, &suspended, Expect::Any)?);
    }
    if !writes.is_empty() {
        vault.apply(writes).await?;
    }
    Ok(())
}

/// Takes all suspended sessions out of the vault.
///
/// # Errors
/// When the vault cannot be read or written.
pub async fn take(vault: &Vault) -> Result<Vec<(String, Suspended)>, VaultError> {
    let stored = vault.list::<Suspended>("").await?;
    if !stored.is_empty() {
        vault
            .apply(stored.iter().map(|(id, _)| Write::delete::<Suspended>("", id, Expect::Any)).collect())
            .await?;
    }
    Ok(stored.into_iter().map(|(id, suspended)| (id, suspended.value)).collect())
}

impl Suspended {
    /// The session again, waiting for its client.
    pub fn wake(self, id: &str, jid: FullJid, user: Arc<User>, bounds: Bounds) -> Arc<Session> {
        let parcels = self.parcels.into_iter().map(Saved::parcel);
        let outbox = Outbox::waiting(bounds, self.sent, parcels);
        let resumption = Resumption { id: id.into() };
        let session = Session::restore(jid, user, outbox, self.received, self.marks, resumption);
        if let Some((priority, xml)) = self.presence
            && let Ok(presence) = Stanza::parse(xml.as_bytes())
        {
            session.set_available(Arc::new(presence), priority);
        }
        session
    }
}
