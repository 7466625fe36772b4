//! Checkpoints that are kept elsewhere, so that whoever cuts off the end of the archive together with its checkpoints is found.
//!
//! An anchor is a line of JSON: a checkpoint with the key that signed it. It tells how many events there are and when it was
//! signed, and nothing of what was said.

use std::io::{BufRead, Read};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use vault::{Checkpoint, Expect, Record, Sequence, Vault, VaultError, Write};

use crate::export::Signed;
use crate::hex::hex;

/// An anchor as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The checkpoint.
    #[serde(flatten)]
    pub signed: Signed,
    /// The key that signed it, in hexadecimal. Whoever verifies has it from elsewhere.
    pub public_key: String,
}

/// A line of a file of anchors that is none.
#[derive(Debug, thiserror::Error)]
pub enum AnchorError {
    /// It is no anchor.
    #[error("line {0} is no anchor")]
    Line(u64),
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Bytes of the longest line that is read.
const LONGEST: u64 = 64 * 1024;

impl Anchor {
    /// Of a checkpoint that this key signed.
    pub fn new(checkpoint: &Checkpoint, public_key: &[u8; 32]) -> Self {
        Self { signed: checkpoint.into(), public_key: hex(public_key) }
    }

    /// As a line, with its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads a file of anchors. Lines that do not begin with a brace are left out, so that a mail or a ticket that one was
    /// copied into will do.
    ///
    /// # Errors
    /// [`AnchorError`].
    pub fn read(mut text: impl BufRead) -> Result<Vec<Checkpoint>, AnchorError> {
        let mut anchors = Vec::new();
        for number in 1.. {
            let mut line = Vec::new();
            if (&mut text).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let line = line.trim_ascii();
            if line.starts_with(b"{") {
                let anchor: Option<Self> = serde_json::from_slice(line).ok();
                let checkpoint = anchor.and_then(|anchor| anchor.signed.checkpoint());
                anchors.push(checkpoint.ok_or(AnchorError::Line(number))?);
            }
        }
        Ok(anchors)
    }
}

/// How far something has come that goes through the archive in its order. Parent: what it does; key: where to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) through: u64,
}

impl Record for Position {
    const KIND: u16 = 0x4130;
}

impl Position {
    pub(crate) async fn load(vault: &Vault, what: &str, to: &str) -> Result<Sequence, VaultError> {
        let position = vault.get::<Self>(what, to).await?.map(|position| position.value);
        Ok(Sequence(position.unwrap_or_default().through))
    }

    pub(crate) async fn store(
        vault: &Vault,
        what: &str,
        to: &str,
        through: Sequence,
    ) -> Result<(), VaultError> {
        let write = Write::put(what, to, &Self { through: through.0 }, Expect::Any)?;
        vault.apply(vec![write]).await.map(drop)
    }
}

/// Takes anchors to where they are kept.
#[async_trait]
pub trait Keeper: Send + Sync {
    /// Takes one there. It may come twice.
    ///
    /// # Errors
    /// In words for the operator, without secrets.
    async fn keep(&self, anchor: &Anchor) -> Result<(), String>;
}

/// A file that anchors are appended to; it belongs on another machine, or on a medium that takes no changes.
pub struct AnchorFile(pub std::path::PathBuf);

#[async_trait]
impl Keeper for AnchorFile {
    async fn keep(&self, anchor: &Anchor) -> Result<(), String> {
        use tokio::io::AsyncWriteExt;
        let append = async {
            let mut file = tokio::fs::OpenOptions::new().create(true).append(true).open(&self.0).await?;
            file.write_all(anchor.line().as_bytes()).await?;
            file.sync_all().await
        };
        append.await.map_err(|error: std::io::Error| format!("{}: {error}", self.0.display()))
    }
}

impl<T: Send + 'static> crate::Archive<T> {
    /// Signs where the chain stands and takes that to a keeper, unless it is there already. `to` names the keeper for ever.
    /// Returns the place that is anchored now.
    ///
    /// # Errors
    /// What the keeper or the archive says.
    pub async fn anchor(&self, to: &str, keeper: &dyn Keeper) -> Result<Option<Sequence>, String> {
        let in_words = |error: crate::ArchiveError| error.to_string();
        let Some(checkpoint) = self.checkpoint().await.map_err(in_words)? else { return Ok(None) };
        let last = Position::load(self.vault(), ANCHORS, to).await.map_err(|error| error.to_string())?;
        if checkpoint.sequence > last {
            keeper.keep(&Anchor::new(&checkpoint, &self.public_key())).await?;
            let stored = Position::store(self.vault(), ANCHORS, to, checkpoint.sequence).await;
            stored.map_err(|error| error.to_string())?;
        }
        Ok(Some(checkpoint.sequence))
    }
}

const ANCHORS: &str = "anchor";
