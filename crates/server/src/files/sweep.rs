//! Clearing away: slots that nothing came for, uploads that a crash cut off, content whose erasure was cut off.

use std::time::Duration;

use tokio::sync::watch;
use vault::{BlobName, Expect, Micros, VaultError, Write};

use super::{File, Files, Share, Slot, State};

/// How often.
const INTERVAL: Duration = Duration::from_secs(60);

/// Clears away now and then what has expired, until `stop` turns true.
pub async fn sweep(files: Files, mut stop: watch::Receiver<bool>) {
    if let Err(error) = files.collect().await {
        tracing::warn!(%error, "content that belongs to no file could not be cleared away; the next start tries again");
    }
    let mut ticks = tokio::time::interval(INTERVAL);
    loop {
        let stopped = tokio::select! {
            _ = ticks.tick() => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        if stopped {
            return;
        }
        if let Err(error) = files.clear(Micros::now()).await {
            tracing::warn!(%error, "expired slots could not be cleared away; it is tried again");
        }
    }
}

impl Files {
    /// Removes content that a crash cut off from its record, before anybody is served. The slots stay, so the same upload can be
    /// tried again.
    pub(super) async fn recover(&self) -> Result<(), VaultError> {
        for (key, _) in self.0.vault.list::<Slot>("").await? {
            let Some(name) = BlobName::from_hex(&key) else { continue };
            if let Some(file) = self.file(name).await?
                && !matches!(file.value.state, State::Kept { .. })
            {
                self.0.blobs.erase(name).await?;
            }
        }
        Ok(())
    }

    /// Removes content that belongs to no file: a backup's content is copied after its records, so what was uploaded in
    /// between comes back without any.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn collect(&self) -> Result<u64, VaultError> {
        let mut collected = 0;
        for shelf in 0..=u8::MAX {
            for name in self.0.blobs.list(shelf).await? {
                // Whoever uploads just now ends in one way or the other.
                let Some(_claim) = self.0.claims.claim(name) else { continue };
                let file = self.file(name).await?;
                if !file.is_some_and(|file| matches!(file.value.state, State::Kept { .. })) {
                    self.0.blobs.erase(name).await?;
                    collected += 1;
                }
            }
        }
        if collected > 0 {
            tracing::info!(collected, "content that belonged to no file has been removed");
        }
        Ok(collected)
    }

    /// Clears away what had to be gone by `now`.
    ///
    /// # Errors
    /// What the vault says; what is left is tried again.
    pub async fn clear(&self, now: Micros) -> Result<(), VaultError> {
        self.0.parked.clear(now);
        for (key, slot) in self.0.vault.list::<Slot>("").await? {
            let Some(name) = BlobName::from_hex(&key).filter(|_| slot.value.expires < now) else { continue };
            // Whoever uploads just now ends in one way or the other.
            let Some(_claim) = self.0.claims.claim(name) else { continue };
            let file = self.file(name).await?;
            let mut writes = vec![Write::delete::<Slot>("", &key, Expect::Any)];
            if !file.as_ref().is_some_and(|file| matches!(file.value.state, State::Kept { .. })) {
                // An upload may have been cut off between its content and its record, an erasure after its record.
                self.0.blobs.erase(name).await?;
            }
            if let Some(file) = file.filter(|file| matches!(file.value.state, State::Slot { .. })) {
                writes.push(Write::delete::<File>("", &key, Expect::Version(file.version)));
                writes.push(Write::delete::<Share>(slot.value.owner.as_str(), &key, Expect::Any));
            }
            self.0.vault.apply(writes).await?;
        }
        Ok(())
    }
}
