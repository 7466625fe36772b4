//! The door: seals on the way in, opens on the way out.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use parking_lot::Mutex;
use tokio::sync::RwLock;
use zeroize::Zeroizing;

use crate::blind::BlindMap;
use crate::blob;
use crate::keyring::{self, Cache, Kek, ROOT};
use crate::seal::{self, Nonces};
use crate::{
    Batch, Blind, Blinder, BlobStore, Blobs, DataKey, FolderBlobs, KeyId, MasterKey, Record, Result,
    SealedRecord, SealedWrite, Store, StoreError, VaultError, Version, Versioned, Write, sqlite,
};

/// Everything at rest. Cheap to clone.
#[derive(Clone)]
pub struct Vault(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    blobs: Arc<dyn BlobStore>,
    /// Read while keys are created, written while the master key is replaced.
    pub(crate) kek: RwLock<Kek>,
    root: Zeroizing<[u8; 32]>,
    records: XChaCha20Poly1305,
    /// Seals the notes that stand for destroyed keys.
    pub(crate) notes: XChaCha20Poly1305,
    blinder: Blinder,
    pub(crate) nonces: Mutex<Nonces>,
    pub(crate) cache: Mutex<Cache>,
    /// Whoever destroys keys or brings their copies up to date takes a turn, so that none comes back.
    pub(crate) copying: tokio::sync::Mutex<()>,
}

/// Data keys held open, in each of two generations; about ten megabytes at most.
const CACHED_KEYS: usize = 65_536;

impl Vault {
    /// Opens the folder `data`, and creates it if it is absent or empty.
    ///
    /// # Errors
    /// [`VaultError::WrongKey`], [`VaultError::KeysMissing`], [`StoreError::Newer`], [`StoreError::InUse`],
    /// [`StoreError::Corrupt`], or what the medium says.
    pub async fn open(data: &Path, master: MasterKey) -> Result<Self> {
        let store = sqlite::open(data, sqlite::Options::default()).await?;
        // Under the lock that the store holds on the folder.
        let blobs = FolderBlobs::open(&data.join(blob::FOLDER)).await?;
        Self::with_store(Arc::new(store), Arc::new(blobs), &master).await
    }

    /// Opens other backends.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub async fn with_store(
        store: Arc<dyn Store>,
        blobs: Arc<dyn BlobStore>,
        master: &MasterKey,
    ) -> Result<Self> {
        let kek = Kek::new(master);
        let root = match store.keys(vec![ROOT]).await?.pop() {
            Some((_, wrapped)) => kek.unwrap(ROOT, &wrapped)?,
            None if !store.is_empty().await? => return Err(VaultError::KeysMissing),
            None => {
                let fresh = keyring::random()?;
                let wrapped = kek.wrap(ROOT, &mut Nonces::default(), &fresh)?;
                store.add_keys(vec![(ROOT, wrapped)]).await?;
                // Another node may have been first.
                let (_, stands) = store.keys(vec![ROOT]).await?.pop().ok_or(VaultError::KeysMissing)?;
                kek.unwrap(ROOT, &stands)?
            }
        };
        Ok(Self(Arc::new(Inner {
            store,
            blobs,
            kek: RwLock::new(kek),
            records: seal::cipher(&keyring::derive(&root, "chancery records 1")),
            notes: seal::cipher(&keyring::derive(&root, "chancery destroyed keys 1")),
            blinder: Blinder::new(&keyring::derive(&root, "chancery lookup 1")),
            root,
            nonces: Mutex::default(),
            cache: Mutex::new(Cache::new(CACHED_KEYS)),
            copying: tokio::sync::Mutex::default(),
        })))
    }

    /// The backend, for those who read sealed events.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// Content of any length.
    pub fn blobs(&self) -> Blobs {
        Blobs::of(self)
    }

    pub(crate) fn blob_store(&self) -> &Arc<dyn BlobStore> {
        &self.0.blobs
    }

    /// A keyed hash of `parts` under `label`.
    pub fn blind(&self, label: &str, parts: &[&str]) -> Blind {
        let parts: smallvec::SmallVec<[&[u8]; 4]> = parts.iter().map(|part| part.as_bytes()).collect();
        self.0.blinder.blind(label, &parts)
    }

    /// The maker of keyed hashes, for those who need many.
    pub fn blinder(&self) -> &Blinder {
        &self.0.blinder
    }

    /// A secret of this folder for a purpose that `label` names. The same for as long as the folder lives.
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; 32]> {
        keyring::derive(&self.0.root, &format!("chancery derived {label}"))
    }

    /// Reads a record.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if it does not open or parse; what the backend says.
    pub async fn get<R: Record>(&self, parent: &str, key: &str) -> Result<Option<Versioned<R>>> {
        let Some((bytes, version)) = self.get_bytes(R::KIND, parent, key).await? else { return Ok(None) };
        Ok(Some(Versioned { value: parse(&bytes)?, version }))
    }

    /// Reads all records of a kind under a parent, sorted by key.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn list<R: Record>(&self, parent: &str) -> Result<Vec<(String, Versioned<R>)>> {
        self.list_bytes(R::KIND, parent)
            .await?
            .into_iter()
            .map(|(key, bytes, version)| Ok((key, Versioned { value: parse(&bytes)?, version })))
            .collect()
    }

    /// Reads some records under a parent, in the order of their keys as given; `None` for those that are not there.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn get_many<R: Record>(
        &self,
        parent: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Versioned<R>>>> {
        let places: Vec<(Blind, Blind)> = keys.iter().map(|key| self.place(R::KIND, parent, key)).collect();
        let Some((parent, _)) = places.first().copied() else { return Ok(Vec::new()) };
        let ids = places.iter().map(|(_, id)| *id).collect();
        let records = self.0.store.records_of(R::KIND, parent, ids).await?;
        let mut found: HashMap<Blind, SealedRecord> =
            records.into_iter().map(|record| (record.key, record)).collect();
        let mut read = |(key, (_, id)): (&String, &(Blind, Blind))| {
            let Some(record) = found.remove(id) else { return Ok(None) };
            let (name, bytes) = self.open_record(R::KIND, parent, *id, &record.value)?;
            if name != *key {
                return Err(VaultError::Corrupt { what: "a record stands in another's place" });
            }
            Ok(Some(Versioned { value: parse(&bytes)?, version: record.version }))
        };
        keys.iter().zip(&places).map(&mut read).collect()
    }

    /// Reads what [`Write::put_bytes`] stored.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn get_bytes(
        &self,
        kind: u16,
        parent: &str,
        key: &str,
    ) -> Result<Option<(Zeroizing<Vec<u8>>, Version)>> {
        let (parent, id) = self.place(kind, parent, key);
        let Some(record) = self.0.store.record(kind, parent, id).await? else { return Ok(None) };
        let (found, bytes) = self.open_record(kind, parent, id, &record.value)?;
        if found != key {
            return Err(VaultError::Corrupt { what: "a record stands in another's place" });
        }
        Ok(Some((bytes, record.version)))
    }

    /// Lists what [`Write::put_bytes`] stored, sorted by key.
    ///
    /// # Errors
    /// As [`Vault::get`].
    pub async fn list_bytes(
        &self,
        kind: u16,
        parent: &str,
    ) -> Result<Vec<(String, Zeroizing<Vec<u8>>, Version)>> {
        let parent = self.parent(kind, parent);
        let mut all = Vec::new();
        for record in self.0.store.records(kind, parent).await? {
            let (key, bytes) = self.open_record(kind, parent, record.key, &record.value)?;
            all.push((key, bytes, record.version));
        }
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    /// Makes changes, all or none, and returns the version that the written records now bear.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if an expectation did not hold; what the backend says.
    pub async fn apply(&self, writes: Vec<Write>) -> Result<Version> {
        let writes = writes.iter().map(|write| self.seal_write(write)).collect::<Result<_>>()?;
        self.commit(Batch { writes, ..Batch::default() }).await
    }

    /// Commits a batch of what is already sealed.
    ///
    /// # Errors
    /// [`VaultError::Conflict`], or what the backend says.
    pub async fn commit(&self, batch: Batch) -> Result<Version> {
        self.0.store.commit(batch).await.map_err(|error| match error {
            StoreError::Conflict => VaultError::Conflict,
            other => other.into(),
        })
    }

    /// Seals a change, for a batch.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn seal_write(&self, write: &Write) -> Result<SealedWrite> {
        let (parent, key) = self.place(write.kind, &write.parent, &write.key);
        let value = match &write.value {
            None => None,
            Some(value) => {
                let nonce = self.0.nonces.lock().next()?;
                let capacity = 4 + write.key.len() + value.len();
                let sealed = seal::seal_with(
                    &self.0.records,
                    nonce,
                    &record_context(write.kind, parent, key),
                    capacity,
                    |out| {
                        out.extend_from_slice(&(write.key.len() as u32).to_le_bytes());
                        out.extend_from_slice(write.key.as_bytes());
                        out.extend_from_slice(value);
                    },
                )?;
                Some(Bytes::from(sealed))
            }
        };
        Ok(SealedWrite { kind: write.kind, parent, key, expect: write.expect, value })
    }

    /// The data keys with these names, in the same order. Those that do not exist yet are made and durable before
    /// this returns, so that no event can outlive its key.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn data_keys(&self, ids: &[KeyId]) -> Result<Vec<Arc<DataKey>>> {
        let mut found = self.cached(ids);
        if found.iter().any(Option::is_none) {
            let kek = self.0.kek.read().await;
            self.load(&kek, ids, &mut found).await?;
            let mut fresh: BlindMap<Bytes> = BlindMap::default();
            for (id, _) in ids.iter().zip(&found).filter(|(_, key)| key.is_none()) {
                if !fresh.contains_key(id) {
                    fresh.insert(*id, kek.wrap(*id, &mut self.0.nonces.lock(), &*keyring::random()?)?);
                }
            }
            if !fresh.is_empty() {
                self.0.store.add_keys(fresh.into_iter().collect()).await?;
                // Read back, because another node may have been first.
                self.load(&kek, ids, &mut found).await?;
            }
        }
        found.into_iter().collect::<Option<_>>().ok_or(VaultError::Corrupt { what: "a new key has vanished" })
    }

    /// The data keys with these names, in the same order; `None` for one that was never made or has been destroyed.
    ///
    /// # Errors
    /// What the backend says. A damaged key is reported and left out.
    pub async fn existing_keys(&self, ids: &[KeyId]) -> Result<Vec<Option<Arc<DataKey>>>> {
        let mut found = self.cached(ids);
        if found.iter().any(Option::is_none) {
            let kek = self.0.kek.read().await;
            self.load(&kek, ids, &mut found).await?;
        }
        Ok(found)
    }

    /// Wraps all keys under another master key and forgets the one before. No event or record is rewritten.
    /// The caller stores the new key where the old one was, and must have it safe before this is called.
    ///
    /// # Errors
    /// What the backend says; then the old key stays in force.
    pub async fn rotate(&self, master: &MasterKey) -> Result<usize> {
        let mut kek = self.0.kek.write().await;
        let next = Kek::new(master);
        let mut nonces = Nonces::default();
        let mut wrapped = Vec::new();
        for (id, bytes) in self.0.store.all_keys().await? {
            wrapped.push((id, next.wrap(id, &mut nonces, &*kek.unwrap(id, &bytes)?)?));
        }
        let count = wrapped.len();
        self.0.store.replace_keys(wrapped).await?;
        *kek = next;
        drop(kek);
        // A copy that cannot be reached just now is under the old master key until it can.
        self.update_key_copies().await?;
        Ok(count)
    }

    /// Finishes what is under way and lets go of the folder.
    pub async fn close(&self) {
        self.0.store.close().await;
    }

    fn cached(&self, ids: &[KeyId]) -> Vec<Option<Arc<DataKey>>> {
        let mut cache = self.0.cache.lock();
        ids.iter().map(|id| cache.get(id)).collect()
    }

    /// Fills the gaps with what the backend has.
    async fn load(&self, kek: &Kek, ids: &[KeyId], found: &mut [Option<Arc<DataKey>>]) -> Result<()> {
        let missing = ids.iter().zip(found.iter()).filter(|(_, key)| key.is_none());
        let mut missing: Vec<KeyId> = missing.map(|(id, _)| *id).collect();
        missing.sort_unstable();
        missing.dedup();
        let mut loaded: BlindMap<Arc<DataKey>> = BlindMap::default();
        for (id, wrapped) in self.0.store.keys(missing).await? {
            match kek.unwrap(id, &wrapped) {
                Ok(key) => _ = loaded.insert(id, self.0.cache.lock().put(id, &key)),
                // What it sealed is lost, but not what the other keys did.
                Err(error) => tracing::error!(key = ?id, %error, "a data key does not open"),
            }
        }
        for (id, slot) in ids.iter().zip(found).filter(|(_, key)| key.is_none()) {
            *slot = loaded.get(id).cloned();
        }
        Ok(())
    }

    fn parent(&self, kind: u16, parent: &str) -> Blind {
        self.0.blinder.blind("record parent", &[&kind.to_le_bytes(), parent.as_bytes()])
    }

    fn place(&self, kind: u16, parent: &str, key: &str) -> (Blind, Blind) {
        let id =
            self.0.blinder.blind("record key", &[&kind.to_le_bytes(), parent.as_bytes(), key.as_bytes()]);
        (self.parent(kind, parent), id)
    }

    fn open_record(
        &self,
        kind: u16,
        parent: Blind,
        id: Blind,
        sealed: &[u8],
    ) -> Result<(String, Zeroizing<Vec<u8>>)> {
        const DAMAGED: VaultError = VaultError::Corrupt { what: "a record" };
        let plain = Zeroizing::new(seal::open(&self.0.records, &record_context(kind, parent, id), sealed)?);
        let (len, rest) = plain.split_first_chunk::<4>().ok_or(DAMAGED)?;
        let (key, value) = rest.split_at_checked(u32::from_le_bytes(*len) as usize).ok_or(DAMAGED)?;
        let key = std::str::from_utf8(key).map_err(|_| DAMAGED)?;
        Ok((key.to_owned(), Zeroizing::new(value.to_vec())))
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

fn record_context(kind: u16, parent: Blind, key: Blind) -> Vec<u8> {
    [b"chancery record 1".as_slice(), &kind.to_le_bytes(), parent.as_bytes(), key.as_bytes()].concat()
}

fn parse<R: Record>(json: &[u8]) -> Result<R> {
    serde_json::from_slice(json).map_err(|_| VaultError::Corrupt { what: "a record does not parse" })
}
