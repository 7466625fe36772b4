//! What is kept of a room beside its events: sealed records, written in the transaction of the event that changes them.

use serde::{Deserialize, Serialize};
use stanza::BareJid;
use vault::{Expect, Record, Vault, VaultError, Write};

use super::room::{Durable, Entry, Subject};
use super::settings::Settings;
use super::standing::Affiliation;

/// A room that stays. Parent: the service's domain; key: the room's address.
#[derive(Serialize, Deserialize)]
pub struct RoomRecord {
    /// Grows when what these fields mean changes.
    version: u32,
    /// Microseconds since 1970. What an earlier room of the name has said is not this room's history.
    created: i64,
    settings: Settings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Subject>,
    /// The hash of its picture (XEP-0486).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
}

const VERSION: u32 = 1;

impl Record for RoomRecord {
    const KIND: u16 = crate::kinds::ROOM;
}

/// One address's tie to a room. Parent: the room's address; key: the bare JID.
#[derive(Serialize, Deserialize)]
pub struct Standing {
    affiliation: Affiliation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nick: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Record for Standing {
    const KIND: u16 = crate::kinds::ROOM_STANDING;
}

/// A room's vCard, with its picture (XEP-0486). Parent: the room's address; key: empty.
#[derive(Serialize, Deserialize)]
pub struct RoomCard {
    /// The element `vCard`.
    pub xml: String,
}

impl Record for RoomCard {
    const KIND: u16 = crate::kinds::ROOM_CARD;
}

/// Reads a room; `None` when there is none that stays.
///
/// # Errors
/// What the vault says.
pub async fn load(vault: &Vault, room: &BareJid) -> Result<Option<Durable>, VaultError> {
    let Some(record) = vault.get::<RoomRecord>(room.domain().as_str(), room.as_str()).await? else {
        return Ok(None);
    };
    let RoomRecord { created, settings, subject, avatar, .. } = record.value;
    let entries = vault.list::<Standing>(room.as_str()).await?.into_iter().filter_map(|(key, standing)| {
        let Standing { affiliation, nick, reason } = standing.value;
        Some((BareJid::new(&key).ok()?, Entry { affiliation, nick, reason }))
    });
    Ok(Some(Durable { created, settings, subject, avatar, entries: entries.collect() }))
}

/// Reads the settings of every room that stays.
///
/// # Errors
/// What the vault says.
pub async fn all(vault: &Vault, domain: &str) -> Result<Vec<(BareJid, Settings)>, VaultError> {
    let rooms = vault.list::<RoomRecord>(domain).await?;
    let read = |(key, record): (String, vault::Versioned<RoomRecord>)| {
        Some((BareJid::new(&key).ok()?, record.value.settings))
    };
    Ok(rooms.into_iter().filter_map(read).collect())
}

/// The rooms that stay to which an account has a tie.
///
/// # Errors
/// What the vault says.
pub async fn ties(vault: &Vault, domain: &str, account: &BareJid) -> Result<Vec<BareJid>, VaultError> {
    let mut tied = Vec::new();
    for (room, _) in all(vault, domain).await? {
        if vault.get::<Standing>(room.as_str(), account.as_str()).await?.is_some() {
            tied.push(room);
        }
    }
    Ok(tied)
}

/// Writes that end an account's ties while no server runs.
///
/// # Errors
/// What the vault says.
pub async fn strip_all(vault: &Vault, account: &BareJid) -> Result<Vec<Write>, VaultError> {
    let domain = format!("conference.{}", account.domain());
    let tied = ties(vault, &domain, account).await?;
    let strip = |room: &BareJid| Write::delete::<Standing>(room.as_str(), account.as_str(), Expect::Any);
    Ok(tied.iter().map(strip).collect())
}

/// The writes that turn what is stored of a room from `before` into `after`; `None` is a room that does not stay.
///
/// # Errors
/// When something cannot be encoded.
pub fn writes(
    room: &BareJid,
    before: Option<&Durable>,
    after: Option<&Durable>,
) -> Result<Vec<Write>, VaultError> {
    let (domain, key) = (room.domain().as_str(), room.as_str());
    let mut writes = Vec::new();
    match (before, after) {
        (None, None) => {}
        (Some(_), None) => {
            writes.push(Write::delete::<RoomRecord>(domain, key, Expect::Any));
            writes.push(Write::delete::<RoomCard>(key, "", Expect::Any));
        }
        (Some(before), Some(after)) if before.same_record(after) => {}
        (_, Some(after)) => {
            let record = RoomRecord {
                version: VERSION,
                created: after.created,
                settings: after.settings.clone(),
                subject: after.subject.clone(),
                avatar: after.avatar.clone(),
            };
            writes.push(Write::put(domain, key, &record, Expect::Any)?);
        }
    }
    let none = Default::default();
    let old = before.map_or(&none, |before| &before.entries);
    let new = after.map_or(&none, |after| &after.entries);
    for (jid, entry) in new {
        if old.get(jid) != Some(entry) {
            let Entry { affiliation, nick, reason } = entry.clone();
            let standing = Standing { affiliation, nick, reason };
            writes.push(Write::put(key, jid.as_str(), &standing, Expect::Any)?);
        }
    }
    for jid in old.keys().filter(|jid| !new.contains_key(*jid)) {
        writes.push(Write::delete::<Standing>(key, jid.as_str(), Expect::Any));
    }
    Ok(writes)
}
