//! The contract with a backend that keeps large content. It sees sealed bytes and keyed hashes only.

mod chunk;
mod folder;
mod reader;
mod writer;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::folder::FolderBlobs;
pub use self::reader::{BlobReader, BlobStream};
pub use self::writer::BlobWriter;
use crate::{Blind, KeyId, Result, StoreError, Vault, VaultError};

/// Names a blob. A keyed hash, so that it tells nothing about what the blob is.
pub type BlobName = Blind;

/// Where blobs stand inside a data folder and inside a backup.
pub(crate) const FOLDER: &str = "blobs";

/// A place for blobs: a local folder, or an object store.
///
/// Implementations promise:
/// - An upload is invisible until [`BlobUpload::finish`] returns, and would survive the loss of power from then on. What is not
///   finished leaves nothing behind: at the latest, the next opening of the place removes it.
/// - What has been deleted stays deleted.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// Begins to write a blob. Finished, it replaces one of the same name.
    async fn begin(&self, name: BlobName) -> Result<Box<dyn BlobUpload>, StoreError>;

    /// A part of a blob; `None` if there is no such blob. A range beyond the end is cut off there.
    async fn read(&self, name: BlobName, range: Range<u64>) -> Result<Option<Bytes>, StoreError>;

    /// Bytes of a blob; `None` if there is no such blob.
    async fn size(&self, name: BlobName) -> Result<Option<u64>, StoreError>;

    /// Removes a blob. No error if there is none.
    async fn delete(&self, name: BlobName) -> Result<(), StoreError>;

    /// The names that begin with this byte, in any order. There are 256 such shelves of about the same length.
    async fn list(&self, shelf: u8) -> Result<Vec<BlobName>, StoreError>;
}

/// A blob on its way into a [`BlobStore`]. Dropped, it is abandoned.
#[async_trait]
pub trait BlobUpload: Send + Sync {
    /// Appends a header or a chunk, of 64 KiB and a little at most. A backend that wants larger parts gathers them.
    async fn put(&mut self, part: Bytes) -> Result<(), StoreError>;

    /// Makes it durable and visible.
    async fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

/// The vault's blobs: content of any length, sealed in chunks under a data key of its own. [`Vault::blobs`] gives it.
#[derive(Clone, Debug)]
pub struct Blobs(Vault);

impl Blobs {
    pub(crate) fn of(vault: &Vault) -> Self {
        Self(vault.clone())
    }

    /// The name for what its owner calls `id`.
    pub fn name(&self, id: &str) -> BlobName {
        self.0.blind("blob", &[id])
    }

    /// Begins to write a blob. Its key is durable before the first byte is.
    ///
    /// # Errors
    /// What the backends say.
    pub async fn write(&self, name: BlobName) -> Result<BlobWriter> {
        let key = self.0.data_keys(&[self.key(name)]).await?.pop();
        let key = key.ok_or(VaultError::Corrupt { what: "a new key has vanished" })?;
        Ok(BlobWriter::new(name, key, self.store().begin(name).await?))
    }

    /// Opens a blob of `size` bytes of content; `None` if it has been erased.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if it is missing or has another size; what the backends say.
    pub async fn open(&self, name: BlobName, size: u64) -> Result<Option<BlobReader>> {
        let Some(key) = self.0.existing_keys(&[self.key(name)]).await?.pop().flatten() else {
            return Ok(None);
        };
        BlobReader::open(self.store().clone(), name, key, size).await.map(Some)
    }

    /// Destroys a blob's key and then removes what it sealed. No error if there is none.
    ///
    /// # Errors
    /// What the backends say. If the content could not be removed, nobody can read it all the same.
    pub async fn erase(&self, name: BlobName) -> Result<()> {
        self.0.destroy_keys(&[self.key(name)]).await?;
        Ok(self.store().delete(name).await?)
    }

    /// Whether a blob of `size` bytes of content is where it should be, without a look inside.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn is_whole(&self, name: BlobName, size: u64) -> Result<bool> {
        Ok(self.store().size(name).await? == Some(chunk::Layout::new(size).sealed_size()))
    }

    /// The names that begin with this byte.
    ///
    /// # Errors
    /// What the backend says.
    pub async fn list(&self, shelf: u8) -> Result<Vec<BlobName>> {
        Ok(self.store().list(shelf).await?)
    }

    fn key(&self, name: BlobName) -> KeyId {
        self.0.blinder().blind("key blob", &[name.as_bytes()])
    }

    fn store(&self) -> &Arc<dyn BlobStore> {
        self.0.blob_store()
    }
}

/// Bytes copied at a time.
const COPIED: u64 = 256 * 1024;

/// Copies every blob, as sealed as it is.
pub(crate) async fn copy(from: &dyn BlobStore, to: &dyn BlobStore) -> Result<(), StoreError> {
    for shelf in 0..=u8::MAX {
        for name in from.list(shelf).await? {
            // What is erased meanwhile is not missed.
            let Some(size) = from.size(name).await? else { continue };
            let mut upload = to.begin(name).await?;
            let mut at = 0;
            while at < size {
                let part = from.read(name, at..size.min(at + COPIED)).await?.filter(|part| !part.is_empty());
                let Some(part) = part else { break };
                at += part.len() as u64;
                upload.put(part).await?;
            }
            if at == size {
                upload.finish().await?;
            }
        }
    }
    Ok(())
}
