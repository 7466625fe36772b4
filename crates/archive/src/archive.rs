//! The handle that everybody else holds.

use std::sync::Arc;

use jid::BareJid;
use tokio::sync::{Semaphore, mpsc, oneshot};
use vault::{Checkpoint, Sequence, Vault};

use crate::chain::Notary;
use crate::erase::Shred;
use crate::export::{Destination, ExportError, Exporter, Manifest, Order};
use crate::id::{Ids, StanzaId};
use crate::index::{Index, Indexing};
use crate::search::{Findings, Inquiry, Marks};
use crate::writer::{Command, Writer};
use crate::{
    Act, AppendError, ArchiveError, Audited, Draft, Entry, Holds, Item, Journal, JournalOptions, Matters,
    Outcome, Page, Policies, Query, Receipt, Result, Selection, Walk, audit, body, history, search,
};

/// How an archive runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Room in the queue before [`Archive::submit`] waits. An entry takes one, and one more for each 4 KiB.
    pub queue: u32,
    /// Events after which a checkpoint is signed.
    pub checkpoint_events: u64,
    /// Time after which a checkpoint is signed, if anything has been stored since the last.
    pub checkpoint_after: std::time::Duration,
    /// Events in the index's smallest segments. Fewer are for tests.
    pub segment: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4096,
            checkpoint_events: 1000,
            checkpoint_after: std::time::Duration::from_secs(60),
            segment: 8192,
        }
    }
}

pub(crate) type Sink<T> = Arc<dyn Fn(Outcome<T>) + Send + Sync>;

/// The data trail. Cheap to clone.
pub struct Archive<T>(Arc<Inner<T>>);

struct Inner<T> {
    vault: Vault,
    ids: Arc<Ids>,
    marks: Marks,
    public_key: [u8; 32],
    queue: mpsc::UnboundedSender<Command<T>>,
    /// Bounds the queue by number and bytes.
    room: Arc<Semaphore>,
    capacity: u32,
    sink: Sink<T>,
    index: Arc<Index>,
    /// One erasure at a time.
    erasing: Semaphore,
}

impl<T> Clone for Archive<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> Archive<T> {
    /// Starts the writer, on a thread of its own. `sink` is called there: in the order of submission, once for each
    /// entry, after the commit of its batch or with what went wrong. It must not wait.
    ///
    /// # Errors
    /// What the vault says, or that no thread could be had.
    pub async fn start(
        vault: Vault,
        options: Options,
        sink: impl Fn(Outcome<T>) + Send + Sync + 'static,
    ) -> Result<Self> {
        let sink: Sink<T> = Arc::new(sink);
        let notary = Notary::of(&vault);
        let ids = Arc::new(Ids::new(&vault.derive("stanza id")));
        let marks = Marks::new(&vault.derive("search cursor"));
        let public_key = notary.public_key();
        let room = Arc::new(Semaphore::new(options.queue as usize));
        let capacity = options.queue;
        let (queue, commands) = mpsc::unbounded_channel();
        let index = Arc::new(Index::start(vault.clone(), options.segment).await?);
        let writer = Writer::new(
            vault.clone(),
            notary,
            options,
            Arc::clone(&sink),
            Arc::clone(&room),
            Arc::clone(&index),
        )
        .await?;
        writer.spawn(commands).map_err(|error| vault::StoreError::Io(error.to_string()))?;
        Ok(Self(Arc::new(Inner {
            vault,
            ids,
            marks,
            public_key,
            queue,
            room,
            capacity,
            sink,
            index,
            erasing: Semaphore::new(1),
        })))
    }

    /// Queues an entry. Waits for room in the queue only, never for the commit. Entries of one task keep their
    /// order. After a shutdown the sink gets it at once, as [`Outcome::Failed`].
    pub async fn submit(&self, entry: Entry<T>) {
        let inner = &self.0;
        let weight = weight(&entry).min(inner.capacity);
        // The writer gives the room back once the entry has left the queue.
        match inner.room.acquire_many(weight).await {
            Ok(permit) => permit.forget(),
            Err(_) => return (inner.sink)(Outcome::Failed(entry.item, AppendError::Closed)),
        }
        if let Err(refused) = inner.queue.send(Command::Append(entry, weight))
            && let Command::Append(entry, _) = refused.0
        {
            (inner.sink)(Outcome::Failed(entry.item, AppendError::Closed));
        }
    }

    /// Queues an entry if there is room.
    ///
    /// # Errors
    /// The entry, if the queue is full or the archive has been shut down.
    pub fn try_submit(&self, entry: Entry<T>) -> Result<(), Box<Entry<T>>> {
        let inner = &self.0;
        let weight = weight(&entry).min(inner.capacity);
        match inner.room.try_acquire_many(weight) {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(Box::new(entry)),
        }
        match inner.queue.send(Command::Append(entry, weight)) {
            Err(mpsc::error::SendError(Command::Append(entry, _))) => Err(Box::new(entry)),
            _ => Ok(()),
        }
    }

    /// Puts something on record that is sent to nobody, and waits until it is durable. Ordered with what was submitted
    /// before.
    ///
    /// # Errors
    /// Why it could not be stored. None of its writes has happened then.
    pub async fn record(&self, draft: Draft) -> Result<Receipt, AppendError> {
        let (reply, settled) = oneshot::channel();
        self.command(Command::Record(Box::new(draft), reply)).map_err(|_| AppendError::Closed)?;
        settled.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Adds an entry to the audit chain, and waits until it is durable. Whoever is about to show other people's words
    /// calls this first, and shows nothing if it fails.
    ///
    /// # Errors
    /// Why it could not be stored.
    pub async fn audit(&self, act: Act) -> Result<Receipt, AppendError> {
        let (reply, settled) = oneshot::channel();
        self.command(Command::Audit(Box::new(act), reply)).map_err(|_| AppendError::Closed)?;
        settled.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Entries of the audit chain, newest first, from before the one of number `before`; at most `limit`.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn audited(&self, before: Option<u64>, limit: usize) -> Result<Vec<Audited>> {
        audit::read(&self.0.vault, before, limit).await
    }

    /// Walks over the events of a selection, oldest first, a portion at a time.
    pub fn walk(&self, selection: Selection) -> Walk {
        Walk::new(self.0.vault.clone(), selection)
    }

    /// All matters: the reasons for which other people's words may be read.
    pub fn matters(&self) -> Matters {
        Matters::new(self.0.vault.clone())
    }

    /// All holds: what must not vanish.
    pub fn holds(&self) -> Holds {
        Holds::new(self.0.vault.clone())
    }

    /// Signs where the chain stands, unless the last checkpoint says so, and returns it; `None` while nothing is stored.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Sign(reply))?;
        answer.await.map_err(|_| ArchiveError::Closed)?
    }

    /// A journal of all events, from the first on or from where it stood.
    pub fn journal(&self, options: JournalOptions) -> Journal {
        Journal::new(self.0.vault.clone(), Arc::clone(&self.0.ids), options)
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// Writes an export, and returns what it says of itself. Memory does not grow with the number of events. Whoever calls this has
    /// put on record who exports what, and why.
    ///
    /// # Errors
    /// Why there is none; what has been written until then is of no use.
    pub async fn export(&self, order: Order<'_>, into: Destination<'_>) -> Result<Manifest, ExportError> {
        let checkpoint = self.checkpoint().await?;
        Exporter { vault: &self.0.vault, ids: &self.0.ids, checkpoint }.run(order, into).await
    }

    /// How long what was said must be kept, and may be.
    pub fn policies(&self) -> Policies {
        Policies::new(self.0.vault.clone())
    }

    /// Whose turn it is to erase.
    pub(crate) fn erasing(&self) -> &Semaphore {
        &self.0.erasing
    }

    /// Has keys destroyed where nobody seals with them.
    pub(crate) async fn shred(&self, keys: Shred) -> Result<u64> {
        let (reply, done) = oneshot::channel();
        self.command(Command::Shred(Box::new(keys), reply))?;
        done.await.map_err(|_| ArchiveError::Closed)?
    }

    /// Reads a page of someone's history (XEP-0313).
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] if a message that the query names is not in this archive.
    pub async fn history(&self, owner: &BareJid, query: &Query) -> Result<Page> {
        history::history(&self.0.vault, Some(&self.0.index), owner, query).await
    }

    /// The first and the last message of someone's history (XEP-0313 §7, metadata); `None` if there is none.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn span(&self, owner: &BareJid) -> Result<Option<(Item, Item)>> {
        history::span(&self.0.vault, owner).await
    }

    /// Searches. What the question cannot decide over a message alone, `context` of the inquiry does.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] if the cursor is none of ours; what the vault says.
    pub async fn find(&self, inquiry: &Inquiry<'_>) -> Result<Findings> {
        search::find(&self.0.vault, &self.0.index, &self.0.marks, inquiry).await
    }

    /// Takes from the index what events said whose keys have been destroyed, and from its vocabulary the words that no
    /// other event of the same stretch of the log has. Returns when nothing of it is found any more. That an event was
    /// there, when, and in whose books, stays: the log says it, too. Freed parts of the storage keep sealed remains
    /// until they are written over.
    ///
    /// # Errors
    /// What the vault says; call it again then.
    pub async fn forget(&self, events: Vec<Sequence>) -> Result<()> {
        self.0.index.forget(events).await
    }

    /// Drops the index and makes it again from the log, in the background. Meanwhile search reads the log.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn reindex(&self) -> Result<()> {
        self.0.index.anew().await
    }

    /// How far the index is, for operators and measurements.
    pub fn indexing(&self) -> Indexing {
        self.0.index.indexing()
    }

    /// The newest message in someone's history that `sender` sent under the id `id`.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn named(&self, owner: &BareJid, sender: &BareJid, id: &str) -> Result<Option<Item>> {
        search::names::named(&self.0.vault, &self.0.index, owner, sender, id).await
    }

    /// The newest messages in someone's history that change the one of this id (corrections, reactions, a retraction),
    /// whoever sent it; newest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn about(&self, owner: &BareJid, id: &str, limit: usize) -> Result<Vec<Item>> {
        search::names::about(&self.0.vault, &self.0.index, owner, id, limit).await
    }

    /// Takes someone's undelivered messages, oldest first: they count as delivered from now on. Ordered with what
    /// was submitted before.
    ///
    /// # Errors
    /// What the vault says; then they are still there.
    pub async fn take_spool(&self, owner: &BareJid) -> Result<Vec<Item>> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Take(owner.clone(), reply))?;
        let sequences = answer.await.map_err(|_| ArchiveError::Closed)??;
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let read = async {
            let events = self.0.vault.store().events(sequences.clone()).await?;
            body::open_all(&self.0.vault, &events).await
        };
        match read.await {
            Ok(items) => Ok(items),
            Err(error) => {
                self.spool(owner, sequences).await?;
                Err(error)
            }
        }
    }

    /// Notes messages as undelivered (again).
    ///
    /// # Errors
    /// What the vault says.
    pub async fn spool(&self, owner: &BareJid, sequences: Vec<Sequence>) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.command(Command::Spool(owner.clone(), sequences, reply))?;
        answer.await.map_err(|_| ArchiveError::Closed)?
    }

    /// The name of a message for the outside (XEP-0359, XEP-0313).
    pub fn id(&self, sequence: Sequence) -> StanzaId {
        self.0.ids.name(sequence)
    }

    /// The message of that name; `None` if this server never gave it out.
    pub fn sequence(&self, id: &str) -> Option<Sequence> {
        self.0.ids.place(id)
    }

    /// The Ed25519 key that checkpoints are checked with.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.public_key
    }

    /// Stores what has been submitted, signs a checkpoint, and stops. What is submitted later fails.
    pub async fn shutdown(&self) {
        self.0.room.close();
        let (reply, done) = oneshot::channel();
        if self.command(Command::Stop(reply)).is_ok() {
            let _ = done.await;
        }
        self.0.index.stop().await;
    }

    fn command(&self, command: Command<T>) -> Result<()> {
        self.0.queue.send(command).map_err(|_| ArchiveError::Closed)
    }
}

impl<T> std::fmt::Debug for Archive<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Archive(…)")
    }
}

fn weight<T>(entry: &Entry<T>) -> u32 {
    let bytes = entry.event.as_ref().map_or(0, |draft| draft.stanza.len());
    u32::try_from(1 + bytes / 4096).unwrap_or(u32::MAX)
}
