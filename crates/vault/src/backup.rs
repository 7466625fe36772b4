//! Backups: the data in one place, the keys that open it in another.
//!
//! A backup of the data has no key in it. The wrapped keys go to a *key copy*, one file for all backups of a vault, which the
//! vault remembers: whenever keys are destroyed, they are destroyed there, too. So a backup that was made before an erasure
//! cannot be read any more than the vault itself.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::sqlite::{self, KeyFile};
use crate::{
    Blind, Expect, FolderBlobs, KeyId, Micros, Record, Result, StoreError, Vault, VaultError, Write, blob,
};

/// Says in a backup which keys open it.
const LABEL: &str = "backup.json";

/// A copy of the wrapped keys that is kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyCopy {
    /// Where it is.
    pub path: PathBuf,
    /// When it was last brought up to date.
    pub updated: Micros,
    /// Since when it may hold keys that have been destroyed, if it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Micros>,
}

/// All that are known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct KeyCopies {
    copies: Vec<KeyCopy>,
}

impl Record for KeyCopies {
    const KIND: u16 = 0x412e;
}

/// What [`LABEL`] holds.
#[derive(Serialize, Deserialize)]
struct Label {
    format: u32,
    identity: String,
    keys: String,
}

impl Vault {
    /// Writes a consistent copy of the data into the empty or absent folder `to`, while the vault stays in use, and brings
    /// the key copy up to date: `keys`, or else a file in the folder that `to` is in. Records of the kinds in `without`,
    /// which can be made anew, stay out. Returns where the keys are. Both open with the same master key.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn backup(&self, to: &Path, keys: Option<&Path>, without: &[u16]) -> Result<PathBuf> {
        let to = absolute(to)?;
        let identity = self.identity();
        let apart = match keys {
            Some(keys) => absolute(keys)?,
            None => to.with_file_name(format!("chancery-keys-{}.db", &format!("{identity:?}")[..8])),
        };
        sqlite::must_be_empty(&to)?;
        {
            let _turn = self.0.copying.lock().await;
            let path = apart.clone();
            let made = tokio::task::spawn_blocking(move || KeyFile::open(&path, identity, true).map(drop));
            made.await.map_err(|_| StoreError::Closed)??;
            let mut copies = self.known_copies().await?;
            // First of all: who restores this backup must know where else its keys are.
            if !copies.iter().any(|copy| copy.path == apart) {
                copies.push(KeyCopy { path: apart.clone(), updated: Micros(0), behind: Some(Micros::now()) });
                self.remember_copies(&copies).await?;
            }
        }
        self.0.store.backup(&to, without).await?;
        // After the log, so that all content that it knows of is in the copy.
        let blobs = FolderBlobs::open(&to.join(blob::FOLDER)).await?;
        blob::copy(self.blob_store().as_ref(), &blobs).await?;
        // And the keys last, for the same reason.
        let _turn = self.0.copying.lock().await;
        self.update_all_copies().await?;
        let failed =
            self.known_copies().await?.iter().any(|copy| copy.path == apart && copy.behind.is_some());
        if failed {
            return Err(StoreError::Io(format!("{}: the keys could not be written", apart.display())).into());
        }
        let name = apart.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let label = Label { format: 1, identity: format!("{identity:?}"), keys: name };
        let label = serde_json::to_vec(&label).map_err(|_| VaultError::Encoding { kind: 0 })?;
        let path = to.join(LABEL);
        let written = tokio::task::spawn_blocking(move || {
            std::fs::write(&path, label)?;
            std::fs::File::open(&path)?.sync_all()?;
            crate::master::sync_parent(&path)
        });
        written.await.map_err(|_| StoreError::Closed)?.map_err(sqlite::io)?;
        Ok(apart)
    }

    /// The key copies that are known, and which of them may still hold destroyed keys.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn key_copies(&self) -> Result<Vec<KeyCopy>> {
        self.known_copies().await
    }

    /// Brings all key copies up to date. Those that cannot be reached stay behind, and are tried again by the next call: on
    /// start, with every backup, and whenever keys are destroyed.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn update_key_copies(&self) -> Result<Vec<KeyCopy>> {
        let _turn = self.0.copying.lock().await;
        self.update_all_copies().await?;
        self.known_copies().await
    }

    /// Strikes a key copy off the list, because it was destroyed for good or never was this machine's.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn forget_key_copy(&self, path: &Path) -> Result<bool> {
        let _turn = self.0.copying.lock().await;
        let mut copies = self.known_copies().await?;
        let before = copies.len();
        copies.retain(|copy| copy.path != path);
        let found = copies.len() < before;
        if found {
            self.remember_copies(&copies).await?;
        }
        Ok(found)
    }

    /// Tells this vault from every other, and tells nothing else.
    fn identity(&self) -> Blind {
        self.blind("identity", &[])
    }

    /// The caller has the turn.
    async fn update_all_copies(&self) -> Result<()> {
        if self.known_copies().await?.is_empty() {
            return Ok(());
        }
        self.expect_copies_behind().await?;
        let (keys, notes) = (self.0.store.all_keys().await?, self.0.store.all_notes().await?);
        self.change_copies(&keys, &notes).await
    }

    /// Notes that the copies hold what they should not, before that is so: a crash on the way must not hide it. True if one
    /// of them had missed something already.
    pub(crate) async fn expect_copies_behind(&self) -> Result<bool> {
        let mut copies = self.known_copies().await?;
        let missed = copies.iter().any(|copy| copy.behind.is_some());
        if copies.iter().any(|copy| copy.behind.is_none()) {
            copies.iter_mut().for_each(|copy| _ = copy.behind.get_or_insert_with(Micros::now));
            self.remember_copies(&copies).await?;
        }
        Ok(missed)
    }

    /// Carries the destruction of keys to the copies, or all that there is if one of them has missed something before.
    pub(crate) async fn destroy_in_copies(
        &self,
        apart: &[(KeyId, Bytes)],
        notes: &[(KeyId, Bytes)],
        missed: bool,
    ) -> Result<()> {
        match missed {
            true => self.update_all_copies().await,
            false => self.change_copies(apart, notes).await,
        }
    }

    async fn change_copies(&self, keys: &[(KeyId, Bytes)], notes: &[(KeyId, Bytes)]) -> Result<()> {
        let mut copies = self.known_copies().await?;
        if copies.is_empty() {
            return Ok(());
        }
        let identity = self.identity();
        for copy in &mut copies {
            let (path, keys, notes) = (copy.path.clone(), keys.to_vec(), notes.to_vec());
            let changed = tokio::task::spawn_blocking(move || {
                KeyFile::open(&path, identity, false)?.update(&keys, &notes)
            });
            match changed.await.map_err(|_| StoreError::Closed)? {
                Ok(()) => (copy.updated, copy.behind) = (Micros::now(), None),
                Err(error) => tracing::warn!(%error, "a copy of the keys could not be brought up to date"),
            }
        }
        self.remember_copies(&copies).await
    }

    async fn known_copies(&self) -> Result<Vec<KeyCopy>> {
        Ok(self.get::<KeyCopies>("", "keys").await?.map(|found| found.value.copies).unwrap_or_default())
    }

    async fn remember_copies(&self, copies: &[KeyCopy]) -> Result<()> {
        let copies = KeyCopies { copies: copies.to_vec() };
        self.apply(vec![Write::put("", "keys", &copies, Expect::Any)?]).await.map(drop)
    }
}

/// Puts a backup in place as the new data folder `to`, which must be absent or empty. Its keys are in the file `keys`, or
/// else where [`Vault::backup`] put them.
///
/// # Errors
/// [`StoreError::Io`] if there is no backup, its keys are not found, or the folder is not empty.
pub async fn restore(from: &Path, keys: Option<&Path>, to: &Path) -> Result<(), StoreError> {
    let (source, keys, target) = (absolute(from)?, keys.map(Path::to_owned), to.to_owned());
    tokio::task::spawn_blocking(move || {
        let keys = find_keys(&source, keys)?;
        sqlite::restore_apart(&source, &keys, &target)
    })
    .await
    .map_err(|_| StoreError::Closed)??;
    let blobs = FolderBlobs::open(&to.join(blob::FOLDER)).await?;
    blob::copy(&FolderBlobs::at(&from.join(blob::FOLDER)), &blobs).await
}

fn find_keys(from: &Path, named: Option<PathBuf>) -> Result<PathBuf, StoreError> {
    let label: Option<Label> =
        std::fs::read(from.join(LABEL)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let path = match (named, &label) {
        (Some(named), _) => named,
        // Backups of the first releases have their keys inside.
        (None, _) if sqlite::has_keys(from) => return Ok(from.join(sqlite::KEYS)),
        // A bare name: whoever wrote another into the label leads nowhere.
        (None, Some(label)) => from.with_file_name(Path::new(&label.keys).file_name().unwrap_or_default()),
        (None, None) => return Ok(from.join(sqlite::KEYS)),
    };
    let found = sqlite::identity(&path);
    if let (Some(label), Some(found)) = (label, found)
        && label.identity != format!("{found:?}")
    {
        return Err(StoreError::Io(format!("{} holds the keys of another folder", path.display())));
    }
    Ok(path)
}

fn absolute(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(sqlite::io)
}
