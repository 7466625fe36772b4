//! The group commit: one task that seals, chains and stores what has gathered, and hands it on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jid::BareJid;
use metrics::{counter, histogram};
use smallvec::SmallVec;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use vault::{
    Batch, Blind, Checkpoint, Head, KeyId, Micros, Nonces, SealedEvent, Sequence, Tags, Vault, VaultError,
};

use crate::archive::{Options, Sink};
use crate::audit::{Act, AuditHead};
use crate::chain::{self, GENESIS, Notary};
use crate::erase::{self, Shred};
use crate::index::names::Names;
use crate::index::{Index, Indexed};
use crate::{
    AppendError, Archived, Conversation, Draft, Entry, Item, Ledger, Outcome, Receipt, Result, body, history,
    spool,
};

#[expect(clippy::large_enum_variant, reason = "nearly all are entries, and a box for each would cost more")]
pub(crate) enum Command<T> {
    /// An entry and the room that it takes in the queue.
    Append(Entry<T>, u32),
    Take(BareJid, oneshot::Sender<Result<Vec<Sequence>>>),
    Spool(BareJid, Vec<Sequence>, oneshot::Sender<Result<()>>),
    Record(Box<Draft>, Reply),
    Audit(Box<Act>, Reply),
    /// Signs where the chain stands.
    Sign(oneshot::Sender<Result<Option<Checkpoint>>>),
    Shred(Box<Shred>, oneshot::Sender<Result<u64>>),
    Stop(oneshot::Sender<()>),
}

/// Who waits for an event to be durable.
pub(crate) type Reply = oneshot::Sender<Result<Receipt, AppendError>>;

/// An entry on its way through a commit, and who hears what became of it.
struct Job<T> {
    bearer: Bearer<T>,
    event: Option<Draft>,
}

enum Bearer<T> {
    /// The sink.
    Sink(T),
    /// Somebody who waits.
    Reply(Reply),
}

/// What a commit gave to the events of its batch.
struct Stored {
    /// The place of the first that has not been handed on; the others follow without a gap.
    next: Sequence,
    time: Micros,
    tags: std::vec::IntoIter<Tags>,
}

/// Entries that share a commit at most.
const BATCH: usize = 1024;
/// Stanza bytes that share a commit at most.
const BATCH_BYTES: usize = 4 << 20;
/// This process's chain. Others will write beside it when there are several nodes.
const WRITER: u32 = 0;

pub(crate) struct Writer<T> {
    vault: Vault,
    notary: Notary,
    options: Options,
    sink: Sink<T>,
    room: Arc<Semaphore>,
    index: Arc<Index>,
    nonces: Nonces,
    /// Unknown after a commit whose end is uncertain.
    head: Option<Option<Head>>,
    /// The end of the audit chain; unknown until it is asked for, and after a failure.
    audit: Option<AuditHead>,
    signed: Sequence,
    sign_by: Option<Instant>,
}

impl<T: Send + 'static> Writer<T> {
    pub(crate) async fn new(
        vault: Vault,
        notary: Notary,
        options: Options,
        sink: Sink<T>,
        room: Arc<Semaphore>,
        index: Arc<Index>,
    ) -> Result<Self> {
        let signed = vault.store().last_checkpoint().await?.map_or(Sequence::ZERO, |last| last.sequence);
        let head = vault.store().head().await?;
        if let Some(sequence) = crate::verify::foreign_in_the_tail(&vault).await? {
            tracing::error!(%sequence, "the log was tampered with while the server was down; verify the archive");
        }
        let mut writer = Self {
            vault,
            notary,
            options,
            sink,
            room,
            index,
            nonces: Nonces::default(),
            head: Some(head),
            audit: None,
            signed,
            sign_by: None,
        };
        writer.schedule();
        Ok(writer)
    }

    /// Runs on a thread of its own: sealing is work for the processor, and the tasks of a server should not wait for
    /// it.
    pub(crate) fn spawn(self, commands: mpsc::UnboundedReceiver<Command<T>>) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new()
            .name("archive-writer".into())
            .spawn(move || runtime.block_on(self.run(commands)))
            .map(drop)
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command<T>>) {
        let mut gathered = Vec::with_capacity(BATCH);
        let mut entries = Vec::with_capacity(BATCH);
        let mut stopping = Vec::new();
        loop {
            let received = commands.recv_many(&mut gathered, BATCH);
            let received = match self.sign_by {
                None => received.await,
                Some(moment) => match tokio::time::timeout_at(moment, received).await {
                    Ok(received) => received,
                    Err(_) => {
                        self.sign().await;
                        continue;
                    }
                },
            };
            if received == 0 {
                break;
            }
            let (mut bytes, mut room) = (0, 0);
            for command in gathered.drain(..) {
                match command {
                    Command::Append(entry, weight) => {
                        bytes += entry.event.as_ref().map_or(0, |draft| draft.stanza.len());
                        room += weight as usize;
                        entries.push(Job { bearer: Bearer::Sink(entry.item), event: entry.event });
                        if bytes >= BATCH_BYTES {
                            self.append(&mut entries).await;
                            bytes = 0;
                        }
                    }
                    Command::Take(owner, reply) => {
                        self.append(&mut entries).await;
                        let _ = reply.send(self.take(&owner).await);
                    }
                    Command::Spool(owner, sequences, reply) => {
                        self.append(&mut entries).await;
                        let writes = sequences.into_iter().map(|at| spool::note(&owner, at)).collect();
                        let _ = reply.send(self.vault.apply(writes).await.map(drop).map_err(Into::into));
                    }
                    Command::Record(draft, reply) => {
                        entries.push(Job { bearer: Bearer::Reply(reply), event: Some(*draft) });
                    }
                    Command::Audit(act, reply) => {
                        self.append(&mut entries).await;
                        let _ = reply.send(self.audit(*act).await);
                    }
                    Command::Sign(reply) => {
                        self.append(&mut entries).await;
                        self.sign().await;
                        let _ = reply.send(self.vault.store().last_checkpoint().await.map_err(Into::into));
                    }
                    Command::Shred(keys, reply) => {
                        self.append(&mut entries).await;
                        let _ = reply.send(self.shred(*keys).await);
                    }
                    Command::Stop(reply) => {
                        // Nothing is added from now on; what has been is still stored.
                        commands.close();
                        stopping.push(reply);
                    }
                }
            }
            self.append(&mut entries).await;
            self.room.add_permits(room);
        }
        self.sign().await;
        for reply in stopping {
            let _ = reply.send(());
        }
    }

    /// Stores an entry of the audit chain, in a commit of its own: what was not stored is no link of that chain.
    async fn audit(&mut self, act: Act) -> Result<Receipt, AppendError> {
        let head = match self.audit.take() {
            Some(head) => head,
            None => AuditHead::load(&self.vault).await.map_err(|error| AppendError::from(&error))?,
        };
        let (draft, next) = head.link(&act).map_err(|error| AppendError::from(&error))?;
        let (reply, mut answer) = oneshot::channel();
        let alone = [Job { bearer: Bearer::Reply(reply), event: Some(draft) }];
        let result = self.store(&alone).await;
        self.settle(alone, result);
        let receipt = answer.try_recv().unwrap_or(Err(AppendError::Closed))?;
        self.audit = Some(next);
        Ok(receipt)
    }

    /// Destroys keys here, where nothing is sealed meanwhile.
    async fn shred(&mut self, keys: Shred) -> Result<u64> {
        let head = self.head().await?.map_or(Sequence::ZERO, |head| head.sequence);
        Ok(erase::shred(&self.vault, keys, head).await?)
    }

    /// Stores entries and hands them on. Leaves the list empty.
    async fn append(&mut self, entries: &mut Vec<Job<T>>) {
        // What stands before the first event waits for nothing.
        let exempt = entries.iter().position(|entry| entry.event.is_some()).unwrap_or(entries.len());
        for entry in entries.drain(..exempt) {
            if let Bearer::Sink(item) = entry.bearer {
                (self.sink)(Outcome::Exempt(item));
            }
        }
        if entries.is_empty() {
            return;
        }
        match self.store(entries).await {
            Err(VaultError::Conflict) if entries.len() > 1 => {
                // One draft's expectation failed; the others have done nothing wrong.
                for entry in entries.drain(..) {
                    let alone = [entry];
                    let result = self.store(&alone).await;
                    self.settle(alone, result);
                }
            }
            result => self.settle(entries.drain(..), result),
        }
    }

    /// Hands entries on with what became of them, and then tells the index.
    fn settle(&self, entries: impl IntoIterator<Item = Job<T>>, result: Result<Stored, VaultError>) {
        let mut result = result.map_err(|error| {
            tracing::error!(%error, "events could not be stored");
            AppendError::from(&error)
        });
        let mut indexed = Vec::with_capacity(result.as_ref().map_or(0, |stored| stored.tags.len()));
        for Job { bearer, event } in entries {
            let stored = match (event, &mut result) {
                (None, _) => None,
                (Some(mut draft), Ok(stored)) => {
                    let receipt = Receipt { sequence: stored.next, time: stored.time };
                    let tags = stored.tags.next().unwrap_or_default();
                    let names = Names::of_draft(&mut draft);
                    let Draft { ledger, from, to, stanza, text, .. } = draft;
                    let Receipt { sequence, time } = receipt;
                    let item = Some(Item { sequence, time, ledger, from, to, stanza });
                    indexed.push(Indexed { sequence, tags, item, text, names });
                    stored.next = stored.next.next();
                    Some(Ok(receipt))
                }
                (Some(_), Err(error)) => {
                    counter!("chancery_archive_failures_total").increment(1);
                    Some(Err(error.clone()))
                }
            };
            match (bearer, stored) {
                (Bearer::Sink(item), None) => (self.sink)(Outcome::Exempt(item)),
                (Bearer::Sink(item), Some(Ok(receipt))) => {
                    (self.sink)(Outcome::Archived(Archived::new(item, receipt)));
                }
                (Bearer::Sink(item), Some(Err(error))) => (self.sink)(Outcome::Failed(item, error)),
                (Bearer::Reply(reply), stored) => {
                    let _ = reply.send(stored.unwrap_or(Err(AppendError::Closed)));
                }
            }
        }
        self.index.offer(indexed);
    }

    /// Stores the events of a batch.
    async fn store(&mut self, entries: &[Job<T>]) -> Result<Stored, VaultError> {
        let head = self.head().await?;
        // An event is never older than the one before, even if the clock is set back.
        let time = Micros::now().max(head.map_or(Micros(i64::MIN), |head| head.time));
        let drafts: Vec<&Draft> = entries.iter().filter_map(|entry| entry.event.as_ref()).collect();
        let period = period(time);
        let ids: Vec<KeyId> = drafts.iter().map(|draft| self.key_id(draft, &period)).collect();
        let keys = self.vault.data_keys(&ids).await?;

        let mut sequence = head.map_or(Sequence(1), |head| head.sequence.next());
        let first = sequence;
        let mut all_tags = Vec::with_capacity(drafts.len());
        let mut previous = head.map_or(GENESIS, |head| head.hash);
        let mut batch = Batch { events: Vec::with_capacity(drafts.len()), ..Batch::default() };
        for ((draft, id), key) in drafts.iter().zip(ids).zip(keys) {
            let tags = self.tags(draft);
            all_tags.push(tags.clone());
            let context = SealedEvent::context(sequence, WRITER, time, id, &tags);
            let sealed =
                key.seal(&mut self.nonces, &context, body::size(draft), |out| body::write(draft, out))?;
            let sealed = Bytes::from(sealed);
            let mut event =
                SealedEvent { sequence, writer: WRITER, time, key: id, tags, sealed, hash: GENESIS };
            event.hash = chain::link(&previous, &event);
            previous = event.hash;
            batch.events.push(event);
            for write in &draft.writes {
                batch.writes.push(self.vault.seal_write(write)?);
            }
            if let Some(owner) = &draft.spool {
                batch.writes.push(self.vault.seal_write(&spool::note(owner, sequence))?);
            }
            sequence = sequence.next();
        }
        let stored = Stored { next: first, time, tags: all_tags.into_iter() };
        let Some(last) = batch.events.last() else { return Ok(stored) };
        let head = Head { sequence: last.sequence, time, hash: last.hash };
        if head.sequence.0 - self.signed.0 >= self.options.checkpoint_events {
            batch.checkpoint = Some(self.notary.sign(&head, time, self.signed));
        }
        let signed = batch.checkpoint.is_some();

        // Until the outcome is known, so is not the head: a failure leaves it to be read again.
        let before = self.head.take();
        let (events, began) = (batch.events.len() as u64, Instant::now());
        match self.vault.commit(batch).await {
            Ok(_) => {
                histogram!("chancery_archive_commit_seconds").record(began.elapsed());
                counter!("chancery_archive_commits_total").increment(1);
                counter!("chancery_archive_events_total").increment(events);
            }
            Err(VaultError::Conflict) => {
                self.head = before;
                return Err(VaultError::Conflict);
            }
            Err(error) => return Err(error),
        }
        self.head = Some(Some(head));
        if signed {
            self.signed = head.sequence;
            self.sign_by = None;
        }
        self.schedule();
        Ok(stored)
    }

    async fn head(&mut self) -> Result<Option<Head>, VaultError> {
        if let Some(head) = self.head {
            return Ok(head);
        }
        let head = self.vault.store().head().await?;
        self.head = Some(head);
        Ok(head)
    }

    /// Signs where the chain stands, unless the last checkpoint says so already.
    async fn sign(&mut self) {
        self.sign_by = None;
        let result = async {
            let Some(head) = self.head().await? else { return Ok(()) };
            if head.sequence > self.signed {
                let checkpoint = self.notary.sign(&head, Micros::now().max(head.time), self.signed);
                self.vault.commit(Batch { checkpoint: Some(checkpoint), ..Batch::default() }).await?;
                self.signed = head.sequence;
            }
            Ok::<_, VaultError>(())
        };
        if let Err(error) = result.await {
            tracing::error!(%error, "a checkpoint could not be stored");
            self.schedule();
        }
    }

    /// Sees to it that a checkpoint is signed in time.
    fn schedule(&mut self) {
        let unsigned = self.head.flatten().is_some_and(|head| head.sequence > self.signed);
        if unsigned && self.sign_by.is_none() {
            self.sign_by = Some(Instant::now() + self.options.checkpoint_after.max(Duration::from_millis(1)));
        }
    }

    async fn take(&self, owner: &BareJid) -> Result<Vec<Sequence>> {
        let sequences = spool::list(&self.vault, owner).await?;
        if !sequences.is_empty() {
            self.vault.apply(sequences.iter().map(|at| spool::strike(owner, *at)).collect()).await?;
        }
        Ok(sequences)
    }

    /// One key for what one sender says in one conversation in one period, so that erasing it takes nothing from others.
    fn key_id(&self, draft: &Draft, period: &[u8; 4]) -> KeyId {
        let blinder = self.vault.blinder();
        let sender = draft.from.to_bare();
        let sender = sender.as_str().as_bytes();
        match &draft.conversation {
            Conversation::Pair(one, other) => {
                let parts = [one.as_str().as_bytes(), other.as_str().as_bytes(), sender, period];
                blinder.blind("key pair", &parts)
            }
            Conversation::Room(room) => {
                blinder.blind("key room", &[room.as_str().as_bytes(), sender, period])
            }
            Conversation::Audit => blinder.blind("key audit", &[period]),
        }
    }

    /// The owners' archives, and the two who speak.
    fn tags(&self, draft: &Draft) -> Tags {
        let mut tags: SmallVec<[Blind; 3]> =
            draft.owners.iter().map(|owner| history::owner_tag(&self.vault, owner, draft.ledger)).collect();
        let (from, to) = (draft.from.to_bare(), draft.to.to_bare());
        if from != to {
            tags.push(history::pair_tag(&self.vault, from.as_str(), to.as_str()));
        }
        if draft.ledger == Ledger::Audit {
            tags.push(crate::audit::tag(&self.vault));
        }
        for (room, owner) in
            draft.through.iter().flat_map(|room| draft.owners.iter().map(move |owner| (room, owner)))
        {
            tags.push(history::pair_tag(&self.vault, owner.as_str(), room.as_str()));
        }
        tags
    }
}

/// The first moment of the calendar month (UTC) that a moment lies in.
pub(crate) fn month_start(time: Micros) -> Micros {
    let date = time::OffsetDateTime::from_unix_timestamp(time.seconds())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        .date();
    let first = date.replace_day(1).unwrap_or(date).midnight().assume_utc();
    Micros(first.unix_timestamp().saturating_mul(1_000_000))
}

/// The calendar month (UTC) that a moment lies in, as months since the year 0.
fn period(time: Micros) -> [u8; 4] {
    let date = time::OffsetDateTime::from_unix_timestamp(time.seconds())
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        .date();
    (date.year() * 12 + i32::from(u8::from(date.month())) - 1).to_le_bytes()
}
