//! Content on its way out, and the event that somebody fetched it.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use archive::AppendError;
use vault::{BlobName, BlobReader, VaultError};

use super::{File, Files, State, trail};

/// For how long the parts that one address fetches of one file are one fetch: a player that reads on.
const SAME_FETCH: Duration = Duration::from_secs(10 * 60);

/// What is at an address.
pub enum Found {
    /// Nothing, or nothing yet.
    Nothing,
    /// There was a file.
    Gone,
    /// A file.
    File {
        /// Its blob.
        name: BlobName,
        /// Its record.
        file: Box<File>,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
    },
}

impl Files {
    /// What is at the address with this id.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn find(&self, id: &str) -> Result<Found, VaultError> {
        let name = self.name(id);
        Ok(match self.file(name).await?.map(|found| found.value) {
            None => Found::Nothing,
            Some(file) => match &file.state {
                State::Slot { .. } => Found::Nothing,
                State::Erased { .. } => Found::Gone,
                State::Kept { sha256, .. } => {
                    let sha256 = sha256.clone();
                    Found::File { name, file: Box::new(file), sha256 }
                }
            },
        })
    }

    /// Opens a file's content; `None` if it has been erased meanwhile.
    ///
    /// # Errors
    /// What the vault says, also that it is damaged.
    pub async fn open(&self, name: BlobName, file: &File) -> Result<Option<BlobReader>, VaultError> {
        self.0.blobs.open(name, file.size).await
    }

    /// Puts on record that somebody fetches a file, or a part of it, and waits until that is durable. Parts that the same address
    /// fetches within ten minutes are the same fetch.
    ///
    /// # Errors
    /// Why it could not be stored; then nothing may go out.
    pub async fn record_fetch(
        &self,
        name: BlobName,
        file: &File,
        address: IpAddr,
        part: Option<&Range<u64>>,
    ) -> Result<(), AppendError> {
        let who = (name, address);
        let is_recent = |at: &Instant| at.elapsed() < SAME_FETCH;
        if part.is_some() && self.0.fetched.lock().get(&who).is_some_and(is_recent) {
            return Ok(());
        }
        self.0.post.record(trail::fetch(file, name, address, part)).await?;
        self.0.fetched.lock().insert(who, Instant::now());
        Ok(())
    }
}
