//! Carrying out: keys, bodies, undelivered copies. Each step may be done again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jid::BareJid;
use vault::{KeyId, Sequence, Vault, VaultError};

use super::{EraseError, Progress};
use crate::{Archive, Places, spool, writer};

/// Events read or changed at a time.
const CHUNK: usize = 512;
/// Places read at a time where only keys are looked at.
const SCAN: usize = 10_000;
/// Keys destroyed at a time.
const KEYS: usize = 256;
/// Events taken out of the index at a time.
const FORGOTTEN: usize = 100_000;
/// How often it is tried to empty the journal while somebody reads, and the pause between.
const TRIES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Carrier<'a, T> {
    pub(super) archive: &'a Archive<T>,
    pub(super) goes: Arc<Places>,
    pub(super) progress: &'a Progress<'a>,
}

/// Keys that the writer is asked to destroy, because only it knows that nobody seals with them.
pub(crate) struct Shred {
    keys: Vec<KeyId>,
    goes: Arc<Places>,
    /// What is to keep its content, of what these keys sealed up to `after`.
    stays: Vec<Sequence>,
    /// How far that is known.
    after: Sequence,
    /// Whether what stays is set apart; otherwise its key stays with it.
    apart: bool,
}

impl<T: Send + 'static> Carrier<'_, T> {
    /// Destroys the keys of what goes, and returns how many.
    pub(super) async fn destroy_keys(&self, apart: bool) -> Result<u64, EraseError> {
        let Some((first, last)) = self.goes.span() else { return Ok(0) };
        let vault = self.archive.vault();
        let mut keys: HashMap<KeyId, Places> = HashMap::new();
        let mut after = Sequence(first.0 - 1);
        while after < last {
            let uses = vault.store().key_uses(after, SCAN).await.map_err(VaultError::from)?;
            let Some(end) = uses.last().map(|used| used.sequence) else { break };
            for used in uses.iter().filter(|used| self.goes.contains(used.sequence)) {
                keys.entry(used.key).or_default();
            }
            after = end;
            (self.progress)(after.0.min(last.0), last.0);
        }
        // A key is for one calendar month, so what it seals begins in the first month of what goes.
        let event = vault.store().events(vec![first]).await.map_err(VaultError::from)?;
        let month = event.first().map_or(vault::Micros(0), |event| writer::month_start(event.time));
        let from = vault.store().sequence_at(month).await.map_err(VaultError::from)?;
        let mut after = Sequence(from.0.saturating_sub(1));
        loop {
            let uses = vault.store().key_uses(after, SCAN).await.map_err(VaultError::from)?;
            let Some(end) = uses.last().map(|used| used.sequence) else { break };
            for used in uses.iter().filter(|used| !used.dropped && !self.goes.contains(used.sequence)) {
                if let Some(stays) = keys.get_mut(&used.key) {
                    stays.add(used.sequence);
                }
            }
            after = end;
        }
        let mut keys: Vec<(KeyId, Places)> =
            keys.into_iter().filter(|(_, stays)| apart || stays.is_empty()).collect();
        keys.sort_unstable_by_key(|(id, _)| *id);
        let (mut destroyed, total) = (0, keys.len() as u64);
        for batch in keys.chunks(KEYS) {
            let stays: Vec<Sequence> = batch.iter().flat_map(|(_, stays)| stays.iter()).collect();
            for some in stays.chunks(CHUNK) {
                set_apart(vault, some).await?;
            }
            let shred = Shred {
                keys: batch.iter().map(|(id, _)| *id).collect(),
                goes: Arc::clone(&self.goes),
                stays,
                after,
                apart,
            };
            destroyed += self.archive.shred(shred).await?;
            (self.progress)(destroyed, total);
        }
        Ok(destroyed)
    }

    /// Replaces bodies by their digests, destroys what keys of their own they had, and leaves no trace of either.
    pub(super) async fn drop_bodies(&self) -> Result<(), EraseError> {
        let vault = self.archive.vault();
        let (mut done, total) = (0, self.goes.count());
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut places = self.goes.iter().peekable();
        while let Some(place) = places.next() {
            chunk.push(place);
            if chunk.len() < CHUNK && places.peek().is_some() {
                continue;
            }
            let own = vault.are_apart(&chunk).await?;
            vault.destroy_event_keys(&[], &own, &[], Sequence(u64::MAX)).await?;
            done += chunk.len() as u64;
            vault.store().drop_bodies(std::mem::take(&mut chunk)).await.map_err(VaultError::from)?;
            (self.progress)(done, total);
        }
        for _ in 0..TRIES {
            if vault.store().forget().await.map_err(VaultError::from)? {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        // A backup of hours, say. The journal starts over when it is done.
        tracing::warn!("somebody reads an older state for long; the journal is emptied later");
        Ok(())
    }

    /// Takes what goes out of the index of words.
    pub(super) async fn clear_index(&self) -> Result<(), EraseError> {
        let mut places = self.goes.iter().peekable();
        while places.peek().is_some() {
            // Each call writes anew what parts of the index it touches.
            self.archive.forget(places.by_ref().take(FORGOTTEN).collect()).await?;
        }
        Ok(())
    }

    /// Takes what goes off the lists of what people have not been given yet.
    pub(super) async fn clear_spool(&self, touched: &[BareJid]) -> Result<(), EraseError> {
        let vault = self.archive.vault();
        for person in touched {
            let listed = spool::list(vault, person).await?;
            let gone = listed.iter().filter(|place| self.goes.contains(**place));
            let writes: Vec<_> = gone.map(|place| spool::strike(person, *place)).collect();
            if !writes.is_empty() {
                vault.apply(writes).await?;
            }
        }
        Ok(())
    }
}

/// In the writer, between two commits. `head` is the end of the log. Returns how many keys were destroyed.
pub(crate) async fn shred(vault: &Vault, mut shred: Shred, head: Sequence) -> Result<u64, VaultError> {
    let mut keys: HashSet<KeyId> = shred.keys.into_iter().collect();
    let mut after = shred.after;
    while after < head {
        let uses = vault.store().key_uses(after, SCAN).await?;
        let Some(end) = uses.last().map(|used| used.sequence) else { break };
        let mut late = Vec::new();
        for used in uses {
            if keys.contains(&used.key) && !used.dropped && !shred.goes.contains(used.sequence) {
                match shred.apart {
                    true => late.push(used.sequence),
                    false => _ = keys.remove(&used.key),
                }
            }
        }
        for some in late.chunks(CHUNK) {
            set_apart(vault, some).await?;
        }
        shred.stays.extend(late);
        after = end;
    }
    let keys: Vec<KeyId> = keys.into_iter().collect();
    // What was destroyed before the crash that this may be the second time after is not counted again.
    let there = vault.existing_keys(&keys).await?.into_iter().flatten().count() as u64;
    vault.destroy_event_keys(&keys, &[], &shred.stays, head).await?;
    Ok(there)
}

async fn set_apart(vault: &Vault, places: &[Sequence]) -> Result<(), VaultError> {
    let events = vault.store().events(places.to_vec()).await?;
    vault.set_apart(&events).await
}
