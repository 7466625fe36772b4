//! Content on its way in.

use std::sync::Arc;

use super::chunk::{self, CHUNK, HEADER};
use super::{BlobName, BlobUpload};
use crate::{DataKey, Nonces, Result};

/// Takes content, seals it chunk by chunk and hands it on. Holds a few chunks at any time. Dropped, it leaves
/// nothing behind.
pub struct BlobWriter {
    name: BlobName,
    key: Arc<DataKey>,
    nonces: Nonces,
    upload: Box<dyn BlobUpload>,
    /// Content that is not sealed yet. A full chunk stays here until it is known whether it is the last.
    plain: Vec<u8>,
    chunks: u64,
    size: u64,
}

impl BlobWriter {
    pub(super) fn new(name: BlobName, key: Arc<DataKey>, upload: Box<dyn BlobUpload>) -> Self {
        let plain = Vec::with_capacity(CHUNK);
        Self { name, key, nonces: Nonces::default(), upload, plain, chunks: 0, size: 0 }
    }

    /// Appends.
    ///
    /// # Errors
    /// What the backend says; then drop it.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.plain.len() == CHUNK {
                self.seal(false).await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.plain.len()));
            self.plain.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    /// Makes it durable and visible, and returns the size of the content.
    ///
    /// # Errors
    /// What the backend says; then nothing is left of it.
    pub async fn finish(mut self) -> Result<u64> {
        self.seal(true).await?;
        self.upload.finish().await?;
        Ok(self.size)
    }

    async fn seal(&mut self, last: bool) -> Result<()> {
        if self.chunks == 0 {
            self.upload.put(HEADER.as_slice().into()).await?;
        }
        let context = chunk::context(self.name, self.chunks, last);
        let plain = &self.plain;
        let sealed = self.key.seal(&mut self.nonces, &context, plain.len(), |out| {
            out.extend_from_slice(plain);
        })?;
        self.chunks += 1;
        self.plain.clear();
        Ok(self.upload.put(sealed.into()).await?)
    }
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("size", &self.size).finish_non_exhaustive()
    }
}
