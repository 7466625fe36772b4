//! Giving out slots: is there room, and how long does the room wait.

use stanza::{BareJid, StanzaCondition, StanzaError};
use vault::{Expect, Micros, VaultError, Write};

use super::request::{self, Wish};
use super::{File, Files, Share, Slot, State, key, new_id};
use crate::clock;
use crate::post::disk_error;

/// How long an upload may take to begin. Once begun, it may take as long as it moves on.
const LIFETIME: i64 = 15 * 60 * 1_000_000;
/// Slots of one owner that nothing has come for yet.
const WAITING: usize = 100;

/// A slot as it is given out.
pub struct Given {
    /// Where the content goes to.
    pub put: String,
    /// Where it can be fetched afterwards.
    pub get: String,
    /// What goes with the upload.
    pub token: String,
}

impl Files {
    /// Gives `owner` a slot. Not to be called twice at the same time for one owner, or two could take the same room.
    ///
    /// # Errors
    /// `resource-constraint` if there is no room; what the vault says.
    pub(super) async fn reserve(
        &self,
        owner: BareJid,
        service: BareJid,
        domain: &str,
        wish: Wish,
    ) -> Result<Given, StanzaError> {
        let now = Micros::now();
        self.make_sure_of_room(&owner, wish.size, now).await?;
        let id = new_id().map_err(|error| disk_error(&error))?;
        let url = self.url(domain, &id, &wish.name).ok_or_else(|| {
            StanzaError::new(
                StanzaCondition::ServiceUnavailable,
                "The server has no web side that files could go to.",
            )
        })?;
        let expires = Micros(now.0 + LIFETIME);
        let file = File {
            owner,
            service,
            name: wish.name,
            size: wish.size,
            type_: wish.type_,
            purpose: wish.purpose,
            asked: now,
            state: State::Slot { expires },
        };
        self.keep_slot(&key(self.name(&id)), file, expires).await.map_err(|error| disk_error(&error))?;
        Ok(Given { put: url.clone(), get: url, token: self.token(&id) })
    }

    async fn keep_slot(&self, key: &str, file: File, expires: Micros) -> Result<(), VaultError> {
        let share = Share { size: file.size, expires: Some(expires) };
        let slot = Slot { owner: file.owner.clone(), expires };
        let writes = vec![
            Write::put("", key, &file, Expect::Absent)?,
            Write::put(file.owner.as_str(), key, &share, Expect::Absent)?,
            Write::put("", key, &slot, Expect::Absent)?,
        ];
        self.0.vault.apply(writes).await.map(drop)
    }

    async fn make_sure_of_room(&self, owner: &BareJid, size: u64, now: Micros) -> Result<(), StanzaError> {
        let shares = self.0.vault.list::<Share>(owner.as_str()).await.map_err(|error| disk_error(&error))?;
        let shares = || shares.iter().map(|(_, share)| &share.value);
        let used: u64 = shares().map(|share| share.size).fold(size, u64::saturating_add);
        let waiting = || shares().filter_map(|share| Some((share.size, share.expires?)));
        // What is past its time goes with the next sweep.
        let next = waiting().map(|(_, expires)| expires.max(now)).min().map(|at| clock::stamp(at.0));
        if waiting().count() >= WAITING {
            return Err(request::no_room("You have many slots that nothing has come for yet.", next));
        }
        let Some(quota) = self.0.limits.quota_bytes.map(std::num::NonZeroU64::get) else { return Ok(()) };
        if used <= quota {
            return Ok(());
        }
        let held: u64 = waiting().map(|(size, _)| size).sum();
        let retry = next.filter(|_| used.saturating_sub(held) <= quota);
        let words = format!("Your files may take {quota} bytes together. Ask an administrator for room.");
        Err(request::no_room(&words, retry))
    }
}
