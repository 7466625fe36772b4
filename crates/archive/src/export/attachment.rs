//! Files that messages link to, as an export sees them.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Item, Result};

/// A file that a message links to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What its uploader called it.
    pub name: String,
    /// Its media type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content in hexadecimal; empty if the file was erased.
    pub sha256: String,
    /// Where the message says that it is.
    pub url: String,
    /// Its content was erased, so it is not in the export.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub erased: bool,
    /// Where it is in the export, if it is a file of its own there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How the keeper of the files finds it again. Not in the export.
    #[serde(skip)]
    pub key: String,
}

impl Attachment {
    /// The end of its name, if it is a plain one: a name that somebody chose is no path.
    pub(crate) fn extension(&self) -> String {
        let extension = self.name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        let plain = |extension: &String| {
            (1..=8).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        extension.filter(plain).unwrap_or_else(|| "bin".to_owned())
    }
}

/// The keeper of the files.
#[async_trait]
pub trait Attachments: Send + Sync {
    /// The files of ours that an event links to, in the order in which it names them.
    ///
    /// # Errors
    /// What the storage says.
    async fn of(&self, item: &Item) -> Result<Vec<Attachment>>;

    /// A file's content; `None` if it was erased meanwhile.
    ///
    /// # Errors
    /// What the storage says.
    async fn open(&self, attachment: &Attachment) -> Result<Option<Box<dyn Content>>>;
}

/// A file's content, a piece at a time.
#[async_trait]
pub trait Content: Send {
    /// The next piece, of any size; `None` at the end.
    ///
    /// # Errors
    /// What the storage says, also that it is damaged.
    async fn next(&mut self) -> Result<Option<Bytes>>;
}

/// For archives without files.
pub struct NoAttachments;

#[async_trait]
impl Attachments for NoAttachments {
    async fn of(&self, _: &Item) -> Result<Vec<Attachment>> {
        Ok(Vec::new())
    }

    async fn open(&self, _: &Attachment) -> Result<Option<Box<dyn Content>>> {
        Ok(None)
    }
}
