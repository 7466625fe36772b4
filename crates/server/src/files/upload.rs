//! Content on its way in: from a slot to a file that can be fetched.

use std::collections::HashSet;
use std::sync::Arc;

use archive::{AppendError, Draft};
use hashlink::LruCache;
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
    /// It does not go on where it was broken off.
    #[error("The upload goes on at byte {0}.")]
    Offset(u64),
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
    work: Work,
}

/// What there is of an upload.
struct Work {
    file: File,
    version: Version,
    writer: BlobWriter,
    hash: Sha256,
    taken: u64,
    claim: Claim,
}

/// Uploads that were broken off and may go on: for as long as their slot is good and the server runs. When there are too
/// many, the oldest begins anew.
pub(super) struct Parked(Mutex<LruCache<BlobName, Work>>);

/// Each keeps a file open.
const MOST_PARKED: usize = 100;

impl Default for Parked {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST_PARKED)))
    }
}

impl Parked {
    /// Drops those whose slot has expired by `now`.
    pub(super) fn clear(&self, now: Micros) {
        let mut parked = self.0.lock();
        let is_over = |work: &Work| matches!(work.file.state, State::Slot { expires } if expires < now);
        let over: Vec<BlobName> =
            parked.iter().filter(|(_, work)| is_over(work)).map(|(name, _)| *name).collect();
        over.iter().for_each(|name| drop(parked.remove(name)));
    }
}

/// What a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// How large the whole is, in bytes.
    pub size: u64,
    /// Where this part begins, if the upload goes on; `None` begins anew.
    pub from: Option<u64>,
}

impl Files {
    /// Begins an upload with the media type `type_`, if the request names one, or goes on with it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn begin(
        &self,
        id: &str,
        token: &str,
        part: Part,
        type_: Option<&str>,
    ) -> Result<Upload, Refused> {
        let name = self.name(id);
        // Before anything is read, so that what is read stays true.
        let parked = self.0.parked.0.lock().remove(&name);
        let claim = if parked.is_none() { self.0.claims.claim(name) } else { None };
        let checked = self.check(name, id, token, part.size, type_).await;
        if let Some(work) = parked {
            let upload = Upload { files: self.clone(), name, work };
            match (checked, part.from) {
                (Ok(_), Some(from)) if from == upload.work.taken => return Ok(upload),
                (Ok(_), Some(_)) => {
                    let taken = upload.work.taken;
                    upload.park();
                    return Err(Refused::Offset(taken));
                }
                // Nobody but the slot's owner ends what has been taken.
                (Err(refused), _) => {
                    upload.park();
                    return Err(refused);
                }
                (Ok((version, file)), None) => {
                    let claim = upload.discard();
                    return self.anew(name, version, file, claim).await;
                }
            }
        }
        let (version, file) = checked?;
        let claim = claim.ok_or(Refused::Busy)?;
        match part.from {
            None | Some(0) => self.anew(name, version, file, claim).await,
            Some(_) => Err(Refused::Offset(0)),
        }
    }

    /// How many bytes of an upload are there, and how many it has in all.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn progress(&self, id: &str, token: &str) -> Result<(u64, u64), Refused> {
        let name = self.name(id);
        let file = self.slot(name, id, token).await?.1;
        let taken = self.0.parked.0.lock().peek(&name).map(|work| work.taken);
        match taken {
            None if self.0.claims.claim(name).is_none() => Err(Refused::Busy),
            taken => Ok((taken.unwrap_or(0), file.size)),
        }
    }

    async fn anew(
        &self,
        name: BlobName,
        version: Version,
        file: File,
        claim: Claim,
    ) -> Result<Upload, Refused> {
        let writer = self.0.blobs.write(name).await?;
        let work = Work { file, version, writer, hash: Sha256::new(), taken: 0, claim };
        Ok(Upload { files: self.clone(), name, work })
    }

    /// The slot that a token is for.
    async fn slot(&self, name: BlobName, id: &str, token: &str) -> Result<(Version, File), Refused> {
        let found = self.file(name).await?.ok_or(Refused::Unknown)?;
        if !bool::from(self.token(id).as_bytes().ct_eq(token.as_bytes())) {
            return Err(Refused::Token);
        }
        match found.value.state {
            State::Kept { .. } => Err(Refused::Taken),
            State::Erased { .. } => Err(Refused::Gone),
            State::Slot { expires } if expires < Micros::now() => Err(Refused::Expired),
            State::Slot { .. } => Ok((found.version, found.value)),
        }
    }

    /// Whether a slot is for such a file.
    async fn check(
        &self,
        name: BlobName,
        id: &str,
        token: &str,
        size: u64,
        type_: Option<&str>,
    ) -> Result<(Version, File), Refused> {
        let (version, mut file) = self.slot(name, id, token).await?;
        if size != file.size {
            return Err(Refused::Size(file.size));
        }
        match (&file.type_, type_) {
            (Some(asked), Some(given)) if !same_type(asked, given) => return Err(Refused::Type),
            (None, Some(given)) => file.type_ = Some(given.to_owned()),
            _ => {}
        }
        Ok((version, file))
    }
}

/// Whether two media types are the same but for parameters.
fn same_type(one: &str, other: &str) -> bool {
    let essence = |type_: &str| type_.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence(one) == essence(other)
}

impl Upload {
    /// Bytes that have been taken so far.
    pub fn taken(&self) -> u64 {
        self.work.taken
    }

    /// Whether all bytes are there.
    pub fn is_whole(&self) -> bool {
        self.work.taken == self.work.file.size
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        let work = &mut self.work;
        work.taken += bytes.len() as u64;
        if work.taken > work.file.size {
            return Err(Refused::Size(work.file.size));
        }
        work.hash.update(bytes);
        Ok(work.writer.write(bytes).await?)
    }

    /// Keeps what there is, so that the upload may go on.
    pub fn park(self) {
        let Self { files, name, work } = self;
        if work.taken > 0 {
            files.0.parked.0.lock().insert(name, work);
        }
    }

    /// Drops what there is, so that another may begin.
    fn discard(self) -> Claim {
        self.work.claim
    }

    /// Makes the file durable and visible: content first, then its record together with the event of the upload.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn finish(self) -> Result<(), Refused> {
        if !self.is_whole() {
            return Err(Refused::Size(self.work.file.size));
        }
        // A client that hangs up now must not stop it halfway: another upload could begin while this one is being put on record.
        tokio::spawn(self.keep()).await.map_err(|_| Refused::Failed)?
    }

    async fn keep(self) -> Result<(), Refused> {
        let Self { files, name, work } = self;
        let Work { file, version, writer, hash, claim, .. } = work;
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
