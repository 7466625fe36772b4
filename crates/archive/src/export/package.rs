//! What an export is packed into: a ZIP that streams, or a folder.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

use super::ExportError;
use crate::hex::hex;

/// Takes bytes in their order.
#[async_trait]
pub trait Output: Send {
    /// Takes the next bytes. May wait until there is room.
    ///
    /// # Errors
    /// What the medium says, or that nobody reads any more.
    async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()>;
}

#[async_trait]
impl Output for tokio::fs::File {
    async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        self.write_all(&bytes).await
    }
}

/// To somebody who reads what comes, and hears when it breaks off.
#[async_trait]
impl Output for mpsc::Sender<std::io::Result<Bytes>> {
    async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        self.send(Ok(bytes.into())).await.map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }
}

/// Where an export goes.
pub enum Destination<'a> {
    /// A ZIP, written from its start to its end.
    Zip(&'a mut dyn Output),
    /// A folder, which must be absent or empty.
    Folder(PathBuf),
}

/// An export on its way out. Its files come one after the other, and what has been written is not held.
pub(crate) struct Package<'a> {
    target: Target<'a>,
    open: Option<Open>,
    /// All that is in it so far: about 100 bytes a file.
    listed: Vec<Listed>,
    /// Files that were attached to messages, and their bytes.
    attached: (u64, u64),
}

enum Target<'a> {
    Zip { zip: Packer, out: &'a mut dyn Output },
    Folder { root: PathBuf, file: Option<tokio::fs::File> },
}

struct Open {
    name: String,
    size: u64,
    sha256: Sha256,
}

struct Listed {
    name: String,
    sha256: [u8; 32],
}

/// A ZIP whose bytes are taken out as they come.
pub(crate) struct Packer {
    zip: Box<ZipWriter<StreamWriter<Pipe>>>,
    pipe: Pipe,
}

impl Packer {
    pub(crate) fn new() -> Self {
        let pipe = Pipe::default();
        Self { zip: Box::new(ZipWriter::new_stream(pipe.clone())), pipe }
    }

    /// Begins a file.
    pub(crate) fn begin(&mut self, name: &str, packed: bool) -> Result<(), ExportError> {
        let method = if packed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
        let level = packed.then_some(3);
        // Its size is not known yet, and may be above 4 GiB.
        let options = SimpleFileOptions::default().compression_method(method).large_file(true);
        Ok(self.zip.start_file(name, options.compression_level(level))?)
    }

    /// Writes into the file that was begun last, and returns what has come out so far.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        self.zip.write_all(bytes)?;
        Ok(self.pipe.take())
    }

    /// The end of the ZIP.
    pub(crate) fn finish(self) -> Result<Vec<u8>, ExportError> {
        self.zip.finish()?;
        Ok(self.pipe.take())
    }
}

/// Where a packer, which cannot wait, leaves its bytes.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<Vec<u8>>>);

impl Pipe {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Bytes handed to the packer at once.
const PIECE: usize = 64 * 1024;

impl<'a> Package<'a> {
    pub(crate) async fn new(destination: Destination<'a>) -> Result<Self, ExportError> {
        let target = match destination {
            Destination::Zip(out) => Target::Zip { zip: Packer::new(), out },
            Destination::Folder(root) => {
                tokio::fs::create_dir_all(&root).await?;
                if tokio::fs::read_dir(&root).await?.next_entry().await?.is_some() {
                    return Err(ExportError::NotEmpty);
                }
                Target::Folder { root, file: None }
            }
        };
        Ok(Self { target, open: None, listed: Vec::new(), attached: (0, 0) })
    }

    /// How many files are in it.
    pub(crate) fn files(&self) -> u64 {
        self.listed.len() as u64
    }

    /// Files that were attached to messages and are in it, and their bytes.
    pub(crate) fn attachments(&self) -> (u64, u64) {
        self.attached
    }

    /// Notes that such a file has been written.
    pub(crate) fn attached(&mut self, bytes: u64) {
        self.attached.0 += 1;
        self.attached.1 += bytes;
    }

    /// Begins a file. `name` is ours: it has slashes between its parts, and nothing in it comes from a message.
    pub(crate) async fn begin(&mut self, name: &str, packed: bool) -> Result<(), ExportError> {
        self.end().await?;
        match &mut self.target {
            Target::Zip { zip, .. } => zip.begin(name, packed)?,
            Target::Folder { root, file } => {
                let path = root.join(name);
                if let Some(parent) = path.parent() {
                    tokio::fs::create_dir_all(parent).await?;
                }
                *file = Some(tokio::fs::File::create_new(path).await?);
            }
        }
        self.open = Some(Open { name: name.to_owned(), size: 0, sha256: Sha256::new() });
        Ok(())
    }

    /// Writes into the file that was begun last.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.size += bytes.len() as u64;
        open.sha256.update(bytes);
        match &mut self.target {
            Target::Zip { zip, out } => {
                for piece in bytes.chunks(PIECE) {
                    let packed = zip.write(piece)?;
                    if !packed.is_empty() {
                        out.write(packed).await?;
                    }
                }
            }
            Target::Folder { file, .. } => {
                if let Some(file) = file {
                    file.write_all(bytes).await?;
                }
            }
        }
        Ok(())
    }

    /// Ends it, and returns its size in bytes.
    pub(crate) async fn end(&mut self) -> Result<u64, ExportError> {
        let Some(Open { name, size, sha256 }) = self.open.take() else { return Ok(0) };
        if let Target::Folder { file, .. } = &mut self.target
            && let Some(mut file) = file.take()
        {
            file.flush().await?;
            file.sync_all().await?;
        }
        self.listed.push(Listed { name, sha256: sha256.finalize().into() });
        Ok(size)
    }

    /// A whole file.
    pub(crate) async fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), ExportError> {
        self.begin(name, true).await?;
        self.write(bytes).await?;
        self.end().await?;
        Ok(())
    }

    /// The list of all files so far as `sha256sum` writes it, which goes into the package as a file.
    pub(crate) async fn list(&mut self, name: &str) -> Result<[u8; 32], ExportError> {
        self.end().await?;
        let listed = std::mem::take(&mut self.listed);
        self.begin(name, true).await?;
        for lines in listed.chunks(1024) {
            let line = |file: &Listed| format!("{}  {}\n", hex(&file.sha256), file.name);
            self.write(lines.iter().map(line).collect::<String>().as_bytes()).await?;
        }
        self.end().await?;
        Ok(self.listed.pop().map(|list| list.sha256).unwrap_or_default())
    }

    /// Writes what is left.
    pub(crate) async fn close(mut self) -> Result<(), ExportError> {
        self.end().await?;
        if let Target::Zip { zip, out } = self.target {
            out.write(zip.finish()?).await?;
        }
        Ok(())
    }
}
