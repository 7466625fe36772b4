//! Content on its way in: from a slot to a file that can be fetched.

use std::collections::HashSet;
use std::sync::Arc;

use archive::{AppendError, Draft};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use vault::{BlobName, BlobWriter, Expect, Micros, StoreError, VaultError, Version, Write};

use super::{File, Files, Share, Slot, State, key, trail};

/// Why content is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such slot, or no longer.
    #[error("There is no slot at this address.")]
    Unknown,
    /// The token is missing or not the slot's.
    #[error("The upload does not carry the Authorization header that came with its slot.")]
    Token,
    /// Nothing came in time.
    #[error("The slot has expired; ask for another one.")]
    Expired,
    /// There is a file already.
    #[error("The file has been uploaded already.")]
    Taken,
    /// Somebody is just uploading it.
    #[error("The file is just being uploaded.")]
    Busy,
    /// It has been erased.
    #[error("The file has been erased.")]
    Gone,
    /// Not as many bytes as the slot is for.
    #[error("The slot is for {0} bytes exactly.")]
    Size(u64),
    /// Not the media type that the slot is for.
    #[error("The slot is for another media type.")]
    Type,
    /// The disk takes nothing.
    #[error("The server has no room for files just now. Try again later.")]
    Full,
    /// Anything else that is not the client's fault.
    #[error("The file could not be stored. Try again later.")]
    Failed,
}

impl From<VaultError> for Refused {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Store(StoreError::Full | StoreError::ReadOnly) => Self::Full,
            VaultError::Conflict => Self::Gone,
            other => {
                tracing::error!(error = %other, "an upload could not be stored");
                Self::Failed
            }
        }
    }
}

impl From<AppendError> for Refused {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Full | AppendError::ReadOnly => Self::Full,
            AppendError::Conflict => Self::Gone,
            other => {
                tracing::error!(error = %other, "the event of an upload could not be stored");
                Self::Failed
            }
        }
    }
}

/// The files that somebody works on. One at a time may.
#[derive(Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashSet<BlobName>>>);

/// Nobody else works on this file for as long as it lives.
pub(super) struct Claim {
    claims: Claims,
    name: BlobName,
}

impl Claims {
    /// `None` if somebody else does.
    pub(super) fn claim(&self, name: BlobName) -> Option<Claim> {
        self.0.lock().insert(name).then(|| Claim { claims: self.clone(), name })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.0.lock().remove(&self.name);
    }
}

/// Content on its way in. Dropped, it leaves nothing behind, and the slot may be tried again.
pub struct Upload {
    files: Files,
    name: BlobName,
    file: File,
    version: Version,
    writer: BlobWriter,
    hash: Sha256,
    taken: u64,
    claim: Claim,
}

impl Files {
    /// Begins an upload of `size` bytes with the media type `type_`, if the request names one.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn begin(
        &self,
        id: &str,
        token: &str,
        size: u64,
        type_: Option<&str>,
    ) -> Result<Upload, Refused> {
        let name = self.name(id);
        // Before anything is read, so that what is read stays true.
        let claim = self.0.claims.claim(name);
        let found = self.file(name).await?.ok_or(Refused::Unknown)?;
        if !bool::from(self.token(id).as_bytes().ct_eq(token.as_bytes())) {
            return Err(Refused::Token);
        }
        let mut file = found.value;
        match file.state {
            State::Kept { .. } => return Err(Refused::Taken),
            State::Erased { .. } => return Err(Refused::Gone),
            State::Slot { expires } if expires < Micros::now() => return Err(Refused::Expired),
            State::Slot { .. } => {}
        }
        let claim = claim.ok_or(Refused::Busy)?;
        if size != file.size {
            return Err(Refused::Size(file.size));
        }
        match (&file.type_, type_) {
            (Some(asked), Some(given)) if !same_type(asked, given) => return Err(Refused::Type),
            (None, Some(given)) => file.type_ = Some(given.to_owned()),
            _ => {}
        }
        let writer = self.0.blobs.write(name).await?;
        let (files, version, hash) = (self.clone(), found.version, Sha256::new());
        Ok(Upload { files, name, file, version, writer, hash, taken: 0, claim })
    }
}

/// Whether two media types are the same but for parameters.
fn same_type(one: &str, other: &str) -> bool {
    let essence = |type_: &str| type_.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(one) == essence(other)
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.taken += bytes.len() as u64;
        if self.taken > self.file.size {
            return Err(Refused::Size(self.file.size));
        }
        self.hash.update(bytes);
        Ok(self.writer.write(bytes).await?)
    }

    /// Makes the file durable and visible: content first, then its record together with the event of the upload.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn finish(self) -> Result<(), Refused> {
        if self.taken != self.file.size {
            return Err(Refused::Size(self.file.size));
        }
        // A client that hangs up now must not stop it halfway: another upload could begin while this one is being put on record.
        tokio::spawn(self.keep()).await.map_err(|_| Refused::Failed)?
    }

    async fn keep(self) -> Result<(), Refused> {
        let Self { files, name, file, version, writer, hash, claim, .. } = self;
        writer.finish().await?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let event = trail::upload(&file, name, &sha256);
        let (owner, key) = (file.owner.clone(), key(name));
        let share = Share { size: file.size, expires: None };
        let kept = File { state: State::Kept { at: Micros::now(), sha256 }, ..file };
        let writes = vec![
            Write::put("", &key, &kept, Expect::Version(version))?,
            Write::put(owner.as_str(), &key, &share, Expect::Any)?,
            Write::delete::<Slot>("", &key, Expect::Any),
        ];
        files.0.post.record(Draft { writes, ..event }).await?;
        drop(claim);
        Ok(())
    }
}
