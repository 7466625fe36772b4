//! Blobs in a local folder: 256 folders by the first byte of the name, and one for what is unfinished.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{BlobName, BlobStore, BlobUpload};
use crate::sqlite::{io, make_folder, private};
use crate::{Blind, StoreError};

/// What is being written stands here until it is whole.
const UNFINISHED: &str = "unfinished";

/// Written bytes after which the disk is made to take them. Seldom enough to cost nothing, often enough that no commit of the log
/// waits behind a gigabyte.
const FLUSHED: usize = 8 << 20;

/// A [`BlobStore`] in a folder. Each blob is a file.
#[derive(Debug, Clone)]
pub struct FolderBlobs {
    root: PathBuf,
}

impl FolderBlobs {
    /// Opens the folder, making it if it is not there, and removes what was never finished.
    ///
    /// # Errors
    /// What the medium says.
    pub async fn open(root: &Path) -> Result<Self, StoreError> {
        let blobs = Self::at(root);
        let root = blobs.root.clone();
        blocking(move || {
            make_folder(&root)?;
            let unfinished = root.join(UNFINISHED);
            make_folder(&unfinished)?;
            // All shelves at once: a blob that is finished must not wait for its shelf to be durable.
            let mut builder = std::fs::DirBuilder::new();
            private(&mut builder);
            for shelf in 0..=u8::MAX {
                match builder.create(root.join(format!("{shelf:02x}"))) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(error)),
                    _ => {}
                }
            }
            File::open(&root).and_then(|root| root.sync_all()).map_err(io)?;
            for entry in unfinished.read_dir().map_err(io)? {
                std::fs::remove_file(entry.map_err(io)?.path()).map_err(io)?;
            }
            Ok(())
        })
        .await?;
        Ok(blobs)
    }

    /// The blobs of a folder that nothing is written to, such as a backup. It may be absent.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn shelf(&self, first: u8) -> PathBuf {
        self.root.join(format!("{first:02x}"))
    }

    fn path(&self, name: BlobName) -> PathBuf {
        self.shelf(name.as_bytes()[0]).join(format!("{name:?}"))
    }
}

#[async_trait]
impl BlobStore for FolderBlobs {
    async fn begin(&self, name: BlobName) -> Result<Box<dyn BlobUpload>, StoreError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| StoreError::Io("no random bytes".into()))?;
        let own = format!("{name:?}-{:016x}", u64::from_le_bytes(random));
        let unfinished = self.root.join(UNFINISHED).join(own);
        let target = self.path(name);
        let path = unfinished.clone();
        let file = blocking(move || {
            let mut options = File::options();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt;
                options.mode(0o600);
            }
            options.open(path).map_err(io)
        })
        .await?;
        Ok(Box::new(FolderUpload { file: Some(file), unfinished, target, unflushed: 0 }))
    }

    async fn read(&self, name: BlobName, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let path = self.path(name);
        blocking(move || {
            let Some(mut file) = there(File::open(path))? else { return Ok(None) };
            let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
            file.seek(SeekFrom::Start(range.start)).map_err(io)?;
            file.take(range.end - range.start).read_to_end(&mut bytes).map_err(io)?;
            Ok(Some(bytes.into()))
        })
        .await
    }

    async fn size(&self, name: BlobName) -> Result<Option<u64>, StoreError> {
        let path = self.path(name);
        blocking(move || Ok(there(path.metadata())?.map(|metadata| metadata.len()))).await
    }

    async fn delete(&self, name: BlobName) -> Result<(), StoreError> {
        let path = self.path(name);
        blocking(move || match there(std::fs::remove_file(&path))? {
            Some(()) => crate::master::sync_parent(&path).map_err(io),
            None => Ok(()),
        })
        .await
    }

    async fn list(&self, shelf: u8) -> Result<Vec<BlobName>, StoreError> {
        let shelf = self.shelf(shelf);
        blocking(move || {
            let Some(entries) = there(shelf.read_dir())? else { return Ok(Vec::new()) };
            let mut names = Vec::new();
            for entry in entries {
                // What else lies there is not ours.
                names.extend(entry.map_err(io)?.file_name().to_str().and_then(Blind::from_hex));
            }
            Ok(names)
        })
        .await
    }
}

struct FolderUpload {
    /// Here between two steps.
    file: Option<File>,
    unfinished: PathBuf,
    target: PathBuf,
    unflushed: usize,
}

#[async_trait]
impl BlobUpload for FolderUpload {
    async fn put(&mut self, part: Bytes) -> Result<(), StoreError> {
        let mut file = self.file.take().ok_or(StoreError::Closed)?;
        self.unflushed += part.len();
        let flush = self.unflushed >= FLUSHED;
        if flush {
            self.unflushed = 0;
        }
        let file = blocking(move || {
            file.write_all(&part).map_err(io)?;
            if flush {
                file.sync_data().map_err(io)?;
            }
            Ok(file)
        })
        .await?;
        self.file = Some(file);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let file = self.file.take().ok_or(StoreError::Closed)?;
        let (unfinished, target) = (self.unfinished.clone(), self.target.clone());
        blocking(move || {
            file.sync_all().map_err(io)?;
            std::fs::rename(&unfinished, &target).map_err(io)?;
            // The name must be as durable as what it names.
            crate::master::sync_parent(&target).map_err(io)
        })
        .await
    }
}

impl Drop for FolderUpload {
    fn drop(&mut self) {
        // Gone already if it was finished.
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// `None` for what is not there.
fn there<T>(result: std::io::Result<T>) -> Result<Option<T>, StoreError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io(error)),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StoreError::Closed)?
}
