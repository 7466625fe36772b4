//! Opening events, and seeing to it that some can never be opened again.
//!
//! A data key seals what one sender says in one conversation and month. To erase all of that is to destroy the key. To erase
//! a part of it, the rest is *set apart* first: each event that stays gets the one key that fits its body alone (see
//! [`crate::Disclosure`]), and then the data key is destroyed all the same. So what is erased cannot be read in any copy of
//! the log, however old, without anything being written anew.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::blind::BlindMap;
use crate::seal;
use crate::{Disclosure, KeyId, Result, SealedEvent, Sequence, Vault, VaultError};

/// What is left of an event's content.
#[derive(Debug)]
pub enum Opened {
    /// All of it.
    Plain(Vec<u8>),
    /// A digest: its body has been dropped. Whether rightly, a record of the erasure tells.
    Dropped,
    /// What only a destroyed key would open; the vault knows that it was destroyed.
    Erased,
    /// What only a key would open that is not there, and that the vault did not destroy.
    Lost,
    /// It does not open under its key: it was changed, moved, or not written by this vault.
    Foreign,
}

impl Vault {
    /// Opens events, each for itself.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn open_events(&self, events: &[SealedEvent]) -> Result<Vec<Opened>> {
        let ids: Vec<KeyId> = events.iter().map(|event| event.key).collect();
        let keys = self.existing_keys(&ids).await?;
        let mut opened = Vec::with_capacity(events.len());
        let mut closed = Vec::new();
        for (at, (event, key)) in events.iter().zip(keys).enumerate() {
            let outcome = match key {
                _ if event.is_dropped() => Opened::Dropped,
                None => Opened::Lost,
                Some(key) => match key.open(&context(event), &event.sealed) {
                    Ok(plain) => Opened::Plain(plain),
                    Err(_) => Opened::Foreign,
                },
            };
            if matches!(outcome, Opened::Lost | Opened::Foreign) {
                closed.push(at);
            }
            opened.push(outcome);
        }
        if closed.is_empty() {
            return Ok(opened);
        }
        // Rare: what was set apart, and what is erased.
        let singles: Vec<KeyId> = closed.iter().map(|at| self.single(events[*at].sequence)).collect();
        let singles = self.raw_keys(singles).await?;
        let notes = self.destroyed(&closed.iter().map(|at| events[*at].key).collect::<Vec<_>>()).await?;
        for at in closed {
            let event = &events[at];
            let own = singles.get(&self.single(event.sequence)).cloned();
            let own = own.and_then(|key| Disclosure::of(key, &event.sealed).ok());
            if let Some(plain) = own.and_then(|own| own.open(&context(event), &event.sealed).ok()) {
                opened[at] = Opened::Plain(plain);
            } else if notes.get(&event.key).is_some_and(|through| event.sequence <= *through) {
                opened[at] = Opened::Erased;
            }
        }
        Ok(opened)
    }

    /// What opens this one event and nothing else; `None` if nothing does.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn disclose(&self, event: &SealedEvent) -> Result<Option<Disclosure>> {
        if event.is_dropped() {
            return Ok(None);
        }
        let fits = |own: &Disclosure| own.open(&context(event), &event.sealed).is_ok();
        let key = self.existing_keys(&[event.key]).await?.pop().flatten();
        if let Some(own) = key.and_then(|key| key.disclose(&event.sealed).ok()).filter(fits) {
            return Ok(Some(own));
        }
        let own = self.raw_keys(vec![self.single(event.sequence)]).await?.into_values().next();
        Ok(own.and_then(|key| Disclosure::of(key, &event.sealed).ok()).filter(fits))
    }

    /// Gives events keys of their own, durably, so that they survive their data key. Those that do not open any more are
    /// left out. Done again, it changes nothing.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn set_apart(&self, events: &[SealedEvent]) -> Result<()> {
        let ids: Vec<KeyId> = events.iter().map(|event| event.key).collect();
        let keys = self.existing_keys(&ids).await?;
        let kek = self.0.kek.read().await;
        let mut singles = Vec::new();
        for (event, key) in events.iter().zip(keys).filter(|(event, _)| !event.is_dropped()) {
            let Some(own) = key.and_then(|key| key.disclose(&event.sealed).ok()) else { continue };
            // Another key of the same name may be in use by now.
            if own.open(&context(event), &event.sealed).is_err() {
                continue;
            }
            let id = self.single(event.sequence);
            singles.push((id, kek.wrap(id, &mut self.0.nonces.lock(), own.key())?));
        }
        if !singles.is_empty() {
            self.0.store.add_keys(singles).await?;
        }
        Ok(())
    }

    /// Which of these have keys of their own.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn are_apart(&self, sequences: &[Sequence]) -> Result<Vec<Sequence>> {
        let singles: BlindMap<Sequence> = sequences.iter().map(|at| (self.single(*at), *at)).collect();
        let found = self.0.store.keys(singles.keys().copied().collect()).await?;
        Ok(found.iter().filter_map(|(id, _)| singles.get(id).copied()).collect())
    }

    /// Destroys the data keys of events up to `through`, and the keys of single events among those. What was set apart from
    /// them before (`apart`) goes with that to the copies of the keys, which open it in older backups. Call it where nobody
    /// seals with these keys: in the writer.
    ///
    /// # Errors
    /// What the backend says; then they are all still there.
    pub async fn destroy_event_keys(
        &self,
        ids: &[KeyId],
        singles: &[Sequence],
        apart: &[Sequence],
        through: Sequence,
    ) -> Result<()> {
        let single = |at: &Sequence| self.single(*at);
        let ids: Vec<KeyId> = ids.iter().copied().chain(singles.iter().map(single)).collect();
        let apart = self.0.store.keys(apart.iter().map(single).collect()).await?;
        self.destroy(&ids, &apart, through).await
    }

    /// Destroys data keys: what they sealed can never be opened again, and is not changed. Copies of the keys that are kept
    /// apart lose them too; one that cannot be reached is remembered, see [`Vault::key_copies`].
    ///
    /// # Errors
    /// What the backend says; then they are all still there.
    pub async fn destroy_keys(&self, ids: &[KeyId]) -> Result<()> {
        self.destroy(ids, &[], Sequence(u64::MAX)).await
    }

    async fn destroy(&self, ids: &[KeyId], apart: &[(KeyId, Bytes)], through: Sequence) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        // Not while all keys are wrapped anew or copied, which would bring them back.
        let _turn = self.0.copying.lock().await;
        let _kek = self.0.kek.read().await;
        let mut notes = Vec::with_capacity(ids.len());
        for id in ids {
            let nonce = self.0.nonces.lock().next()?;
            let note = seal::seal(&self.0.notes, nonce, id.as_bytes(), &through.0.to_le_bytes())?;
            notes.push((*id, Bytes::from(note)));
        }
        let missed = self.expect_copies_behind().await?;
        self.0.store.destroy_keys(notes.clone()).await?;
        {
            let mut cache = self.0.cache.lock();
            ids.iter().for_each(|id| cache.forget(id));
        }
        self.destroy_in_copies(apart, &notes, missed).await
    }

    /// Up to which place what these keys sealed was destroyed with them.
    ///
    /// # Errors
    /// What the backend says. A note that this vault did not write is left out.
    pub(crate) async fn destroyed(&self, ids: &[KeyId]) -> Result<BlindMap<Sequence>> {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        let mut through = BlindMap::default();
        for (id, note) in self.0.store.notes(ids).await? {
            let place = seal::open(&self.0.notes, id.as_bytes(), &note).ok();
            if let Some(place) = place.and_then(|place| <[u8; 8]>::try_from(place).ok()) {
                through.insert(id, Sequence(u64::from_le_bytes(place)));
            }
        }
        Ok(through)
    }

    /// The name of the key that fits one event.
    fn single(&self, sequence: Sequence) -> KeyId {
        self.blinder().blind("key of one event", &[&sequence.0.to_le_bytes()])
    }

    async fn raw_keys(&self, ids: Vec<KeyId>) -> Result<BlindMap<Zeroizing<[u8; 32]>>> {
        let kek = self.0.kek.read().await;
        let wrapped = self.0.store.keys(ids).await?;
        wrapped
            .into_iter()
            .map(|(id, wrapped)| Ok::<_, VaultError>((id, kek.unwrap(id, &wrapped)?)))
            .collect()
    }
}

fn context(event: &SealedEvent) -> smallvec::SmallVec<[u8; 128]> {
    SealedEvent::context(event.sequence, event.writer, event.time, event.key, &event.tags)
}
