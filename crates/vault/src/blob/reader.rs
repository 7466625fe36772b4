//! Content on its way out: only the chunks that are wanted are read and opened.

use std::collections::VecDeque;
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

/// Chunks that are read at once.
const SPAN: u64 = 4;

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

    /// Reads a range of the content, a few chunks ahead at most. What lies beyond the end is left out.
    pub fn stream(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.layout.size);
        BlobStream { reader: self.clone(), range: range.start.min(end)..end, ready: VecDeque::new() }
    }

    /// Reads and opens everything, and returns nothing but whether that went well.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if anything was changed, moved or cut off; what the backend says.
    pub async fn check(&self) -> Result<()> {
        let mut at = 0;
        while at < self.layout.chunks() {
            let chunks = at..(at + SPAN).min(self.layout.chunks());
            at = chunks.end;
            self.chunks(chunks).await?;
        }
        Ok(())
    }

    async fn chunks(&self, chunks: Range<u64>) -> Result<Vec<Bytes>> {
        let place = self.layout.place(chunks.clone());
        let sealed = self.store.read(self.name, place).await?.ok_or(MISSING)?;
        let numbers = chunks.clone();
        let opened: Vec<Bytes> = Layout::split(&sealed)
            .zip(numbers)
            .map(|(sealed, number)| {
                let context = chunk::context(self.name, number, self.layout.is_last(number));
                Ok(Bytes::from(self.key.open(&context, sealed)?))
            })
            .collect::<Result<_>>()?;
        match opened.len() as u64 == chunks.end - chunks.start {
            true => Ok(opened),
            false => Err(VaultError::Corrupt { what: "a blob was cut off" }),
        }
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
    ready: VecDeque<Bytes>,
}

impl BlobStream {
    /// The next piece, never empty; `None` at the end.
    ///
    /// # Errors
    /// [`VaultError::Corrupt`] if the chunk was changed; what the backend says. Nothing of a chunk that does not open is given out.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ready.is_empty() && !self.range.is_empty() {
            let chunk = CHUNK as u64;
            let first = self.range.start / chunk;
            let last = (first + SPAN).min(self.range.end.div_ceil(chunk));
            for (number, plain) in (first..last).zip(self.reader.chunks(first..last).await?) {
                let begins = number * chunk;
                let from = self.range.start.saturating_sub(begins) as usize;
                let to = (self.range.end - begins).min(plain.len() as u64) as usize;
                self.ready.push_back(plain.slice(from.min(to)..to));
            }
            self.range.start = (last * chunk).min(self.range.end);
        }
        Ok(self.ready.pop_front())
    }
}
