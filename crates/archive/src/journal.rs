//! Every event as a mail message to another archive: in order, at least once, and never in anybody's way.
//!
//! A journal reads behind the writer and keeps a durable position, which it moves only after what is before it has been taken
//! over. A crash makes it repeat a few messages, which bear the same Message-ID.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, gauge};
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use vault::{Sequence, Vault};

use crate::anchor::Position;
use crate::export::mail::{self, Base64Lines, Letter};
use crate::export::{Attachments, ExportError, Record, entry};
use crate::id::Ids;
use crate::{Item, Result, Selection, Walk};

/// An event on its way to another archive.
pub struct Journalled {
    /// Its place.
    pub sequence: Sequence,
    /// The day that it was said on, as `2026-11-22`.
    pub day: String,
    /// The mail message (RFC 5322), with its attachments.
    pub message: Vec<u8>,
}

/// Takes messages over.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Takes one over. It may come again with the same Message-ID.
    ///
    /// # Errors
    /// In words for the operator, without secrets. It is tried again.
    async fn carry(&self, event: &Journalled) -> Result<(), String>;

    /// Waits until all that was taken over would survive the loss of power.
    ///
    /// # Errors
    /// In words for the operator. All since the last time is carried again.
    async fn settle(&self) -> Result<(), String>;
}

/// How a journal runs.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Names the journal for ever: its position is found by it.
    pub name: String,
    /// What comes after the @ of Message-IDs.
    pub domain: String,
    /// How long it rests when there is nothing new.
    pub rest: Duration,
    /// How long it waits after a failure; twice as long after each further one, up to [`Journal::MOST_PATIENCE`].
    pub patience: Duration,
}

/// See the module.
pub struct Journal {
    vault: Vault,
    ids: Arc<Ids>,
    options: JournalOptions,
}

/// Bytes of attachments that a message carries at most. Larger files are named with their SHA-256.
const MOST_ATTACHED: u64 = 10 << 20;
/// The parent of positions.
const POSITIONS: &str = "journal";

impl Journal {
    /// The longest wait between tries.
    pub const MOST_PATIENCE: Duration = Duration::from_secs(5 * 60);

    pub(crate) fn new(vault: Vault, ids: Arc<Ids>, options: JournalOptions) -> Self {
        Self { vault, ids, options }
    }

    /// How far it has come.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn position(&self) -> Result<Sequence> {
        Ok(Position::load(&self.vault, POSITIONS, &self.options.name).await?)
    }

    /// Carries until `stop` becomes true. Failures are logged and counted, and tried again for ever.
    pub async fn run(&self, carrier: &dyn Carrier, files: &dyn Attachments, mut stop: watch::Receiver<bool>) {
        let mut patience = self.options.patience;
        while !*stop.borrow_and_update() {
            let step = tokio::select! {
                step = self.step(carrier, files) => step,
                _ = stop.changed() => continue,
            };
            let wait = match step {
                Ok(0) => {
                    patience = self.options.patience;
                    self.options.rest
                }
                Ok(_) => {
                    patience = self.options.patience;
                    continue;
                }
                Err(error) => {
                    counter!("chancery_journal_failures_total").increment(1);
                    tracing::error!(journal = %self.options.name, %error, "the journal could not be delivered; it is tried again");
                    let wait = patience;
                    patience = (patience * 2).min(Self::MOST_PATIENCE);
                    wait
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Carries the next few hundred events, and returns how far that went beyond the position; 0 at the end.
    ///
    /// # Errors
    /// In words for the operator. What was carried since the last position is carried again.
    pub async fn step(&self, carrier: &dyn Carrier, files: &dyn Attachments) -> Result<u64, String> {
        let in_words = |error: crate::ArchiveError| error.to_string();
        let position = self.position().await.map_err(in_words)?;
        let head = self.vault.store().head().await.map_err(|error| error.to_string())?;
        let head = head.map_or(Sequence::ZERO, |head| head.sequence);
        gauge!("chancery_journal_behind_events").set((head.0 - position.0.min(head.0)) as f64);
        if head <= position {
            return Ok(0);
        }
        let selection = Selection {
            happenings: true,
            after: Some(position),
            through: Some(head),
            ..Selection::default()
        };
        let Some(portion) = Walk::new(self.vault.clone(), selection).next().await.map_err(in_words)? else {
            return Ok(0);
        };
        let mut carried = 0;
        for item in portion.items {
            let event = self.message(&item, files).await.map_err(|error| error.to_string())?;
            carrier.carry(&event).await?;
            carried += 1;
        }
        carrier.settle().await?;
        let stored = Position::store(&self.vault, POSITIONS, &self.options.name, portion.through).await;
        stored.map_err(|error| error.to_string())?;
        counter!("chancery_journal_events_total").increment(carried);
        Ok(portion.through.0 - position.0)
    }

    async fn message(&self, item: &Item, files: &dyn Attachments) -> Result<Journalled, ExportError> {
        let name = self.ids.name(item.sequence).to_string();
        let record = Record::of(item, Some(name.clone()), files.of(item).await?);
        let about =
            if record.room { record.conversation.clone() } else { record.conversation.replace(' ', " and ") };
        let letter = Letter {
            from: record.from.clone(),
            to: vec![record.to.clone()],
            subject: format!("Chat of {about}: {}", record.kind.name()),
            message_id: format!("{name}@{}", self.options.domain),
            references: None,
            date: item.time.seconds(),
            headers: vec![
                ("X-Chancery-Sequence", record.sequence.to_string()),
                ("X-Chancery-Time", record.time.clone()),
                ("X-Chancery-Kind", record.kind.name().to_owned()),
                ("X-Chancery-Conversation", record.conversation.clone()),
                ("X-Chancery-Sender", record.from.clone()),
                ("X-Chancery-Id", record.id.clone().unwrap_or_default()),
                ("X-Chancery-Changes", record.changes.as_ref().map(|to| to.id.clone()).unwrap_or_default()),
            ],
            text: entry(&record),
        };
        let (mut message, boundary) = letter.open();
        message.extend(mail::attachment(&boundary, "application/xml", "stanza.xml"));
        let mut lines = Base64Lines::default();
        message.extend(lines.push(record.stanza.as_bytes()));
        message.extend(lines.finish());
        let mut room = MOST_ATTACHED;
        for file in record.attachments.iter().filter(|file| !file.erased) {
            let Some(left) = room.checked_sub(file.size) else { continue };
            // It may have been erased just now; then it is named and not carried.
            let Some(mut content) = files.open(file).await? else { continue };
            room = left;
            let kind = file.media_type.as_deref().unwrap_or_default();
            message.extend(mail::attachment(&boundary, kind, &file.name));
            let mut lines = Base64Lines::default();
            while let Some(piece) = content.next().await? {
                message.extend(lines.push(&piece));
            }
            message.extend(lines.finish());
        }
        message.extend(mail::close(&boundary));
        Ok(Journalled { sequence: item.sequence, day: record.day().to_owned(), message })
    }
}

/// A folder with a folder for each day and a file for each event, named after its place.
pub struct JournalFolder {
    root: PathBuf,
    /// Written, but perhaps not on the medium yet.
    written: tokio::sync::Mutex<Vec<PathBuf>>,
}

impl JournalFolder {
    /// At this path; made when the first event comes.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), written: Default::default() }
    }

    async fn write(&self, event: &Journalled) -> std::io::Result<()> {
        let folder = self.root.join(&event.day);
        tokio::fs::create_dir_all(&folder).await?;
        let path = folder.join(format!("{:012}.eml", event.sequence.0));
        let partial = path.with_extension("part");
        let mut file = tokio::fs::File::create(&partial).await?;
        file.write_all(&event.message).await?;
        file.sync_data().await?;
        // Whoever collects the files sees whole ones only.
        tokio::fs::rename(&partial, &path).await?;
        self.written.lock().await.push(folder);
        Ok(())
    }

    async fn sync(&self) -> std::io::Result<()> {
        let mut folders = std::mem::take(&mut *self.written.lock().await);
        folders.sort_unstable();
        folders.dedup();
        for folder in folders.iter().map(PathBuf::as_path).chain([Path::new(&self.root)]) {
            if folder.is_dir() {
                tokio::fs::File::open(folder).await?.sync_all().await?;
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Carrier for JournalFolder {
    async fn carry(&self, event: &Journalled) -> Result<(), String> {
        self.write(event).await.map_err(|error| format!("{}: {error}", self.root.display()))
    }

    async fn settle(&self) -> Result<(), String> {
        self.sync().await.map_err(|error| format!("{}: {error}", self.root.display()))
    }
}
