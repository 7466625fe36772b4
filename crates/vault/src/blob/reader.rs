//! Content on its way out: only the chunks that are wanted are read and opened.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::chunk::{self, CHUNK, HEADER, Layout};
use super::{BlobName, BlobStore};
use crate::{DataKey, Result, VaultError};

/// An open blob. Cheap to clone.
#[derive(Clone)]
pub struct BlobReader {
    store: Arc<dyn BlobStore>,
    name: BlobName,
    key: Arc<DataKey>,
    layout: Layout,
}

impl BlobReader {
    pub(super) async fn open(
        store: Arc<dyn BlobStore>,
        name: BlobName,
        key: Arc<DataKey>,
        size: u64,
    ) -> Result<Self> {
        let layout = Layout::new(size);
        match store.size(name).await? {
            Some(found) if found == layout.sealed_size() => {}
            Some(_) => return Err(VaultError::Corrupt { what: "a blob has another size" }),
            None => return Err(MISSING),
        }
        if store.read(name, 0..HEADER.len() as u64).await?.as_deref() != Some(HEADER) {
            return Err(VaultError::Corrupt { what: "a blob's header" });
        }
        Ok(Self { store, name, key, layout })
    }

    /// Bytes of content.
    pub fn size(&self) -> u64 {
        self.layout.size
    }

    /// Reads a range of the content, chunk by chunk. What lies beyond the end is left out.
    pub fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.layout.size);
        BlobStream { reader: self.clone(), range: range.start.min(end)..end }
    }

    /// Reads and opens everything, and returns nothing but whether that went well.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if anything was changed, moved or cut off; what the backend says.
    pub async fn check(&self) -> Result<()> {
        for chunk in 0..self.layout.chunks() {
            self.chunk(chunk).await?;
        }
        Ok(())
    }

    /// One at a time: more would be no faster, and large buffers that go from thread to thread are what allocators keep.
    async fn chunk(&self, number: u64) -> Result<Bytes> {
        let place = self.layout.place(number);
        let sealed = self.store.read(self.name, place).await?.ok_or(MISSING)?;
        let context = chunk::context(self.name, number, self.layout.is_last(number));
        Ok(self.key.open(&context, &sealed)?.into())
    }
}

const MISSING: VaultError = VaultError::Corrupt { what: "a blob is missing" };

impl std::fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobReader").field("size", &self.layout.size).finish_non_exhaustive()
    }
}

/// Content as it is read: up to 64 KiB at a time.
pub struct BlobStream {
    reader: BlobReader,
    /// What has not been read yet.
    range: Range<u64>,
}

impl BlobStream {
    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if the chunk was changed; what the backend says. Nothing of a chunk that does not open is given out.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let number = self.range.start / CHUNK as u64;
        let begins = number * CHUNK as u64;
        let plain = self.reader.chunk(number).await?;
        let end = self.range.end.min(begins + plain.len() as u64);
        if end <= self.range.start {
            return Err(VaultError::Corrupt { what: "a blob was cut off" });
        }
        let piece = plain.slice((self.range.start - begins) as usize..(end - begins) as usize);
        self.range.start = end;
        Ok(Some(piece))
    }
}
