//! The index of words. It proposes; the decrypted text decides.
//!
//! A thread of its own follows the log. Recent events are indexed in memory; every few thousand, they become a sealed
//! *segment* in the vault. What the index has not reached yet, search reads from the log itself, so a slow index
//! makes search slower and never wrong. Appending does not wait for it: when its queue is full, the writer drops what
//! does not fit, and the follower reads that from the log.

pub(crate) mod names;
mod recent;
mod segment;
pub(crate) mod words;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use vault::{Expect, Record, Sequence, Tags, Vault, Write};

use self::names::Names;
use self::recent::Recent;
use self::words::Vocabulary;
use crate::{Result, body};

/// Events in one segment.
const SEGMENT: u64 = 8192;
/// Batches that may wait for the follower.
const QUEUE: usize = 64;
/// Events read from the log at a time.
const CHUNK: usize = 256;

/// One event's words, on their way into the index.
pub(crate) struct Indexed {
    pub(crate) sequence: Sequence,
    pub(crate) tags: Tags,
    pub(crate) text: Option<String>,
    pub(crate) names: Names,
}

enum Work {
    Batch(Vec<Indexed>),
    Stop(oneshot::Sender<()>),
}

/// How far the segments reach.
#[derive(serde::Serialize, serde::Deserialize)]
struct Progress {
    through: Sequence,
}

impl Record for Progress {
    const KIND: u16 = 0x4102;
}

/// The handle for the writer and for search.
pub(crate) struct Index {
    work: mpsc::Sender<Work>,
    shared: Arc<Shared>,
}

struct Shared {
    recent: RwLock<Recent>,
    /// The newest event that is durable.
    head: AtomicU64,
}

/// What the index knows about some tokens.
pub(crate) struct Proposal {
    /// Events that bear all of them, newest first.
    pub(crate) candidates: Vec<Sequence>,
    /// Nothing is known about events after this one.
    pub(crate) through: Sequence,
}

impl Index {
    /// Starts the follower, which first reads what came after the last segment.
    pub(crate) async fn start(vault: Vault) -> Result<Self> {
        let progress = vault.get::<Progress>("", "words").await?;
        let through = progress.map_or(Sequence::ZERO, |progress| progress.value.through);
        let head = vault.store().head().await?.map_or(0, |head| head.sequence.0);
        let shared =
            Arc::new(Shared { recent: RwLock::new(Recent::after(through)), head: AtomicU64::new(head) });
        let (work, queue) = mpsc::channel(QUEUE);
        let follower = Follower {
            vocabulary: Vocabulary::new(vault.blinder().clone()),
            vault,
            shared: Arc::clone(&shared),
        };
        let io = |error: std::io::Error| vault::StoreError::Io(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(io)?;
        std::thread::Builder::new()
            .name("archive-index".into())
            .spawn(move || runtime.block_on(follower.run(queue)))
            .map_err(io)?;
        Ok(Self { work, shared })
    }

    /// Tells the index what has become durable. Never waits.
    pub(crate) fn offer(&self, batch: Vec<Indexed>) {
        if let Some(last) = batch.last() {
            self.shared.head.store(last.sequence.0, Ordering::Release);
            // What does not fit, the follower finds in the log.
            let _ = self.work.try_send(Work::Batch(batch));
        }
    }

    /// Events that bear all of `tokens`.
    pub(crate) async fn propose(&self, vault: &Vault, tokens: &[u64]) -> Result<Proposal> {
        // The memory first. Should it become a segment meanwhile, that one begins where these end, and is passed over.
        let (mut candidates, through, segments_end) = {
            let recent = self.shared.recent.read();
            (recent.find(tokens), recent.through(), recent.base())
        };
        candidates.extend(segment::find(vault, tokens, segments_end).await?);
        Ok(Proposal { candidates, through })
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.work.send(Work::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

struct Follower {
    vault: Vault,
    shared: Arc<Shared>,
    vocabulary: Vocabulary,
}

impl Follower {
    async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        loop {
            // Whenever nothing waits, what was missed is read from the log.
            let work = match queue.try_recv() {
                Ok(work) => Some(work),
                Err(_) => {
                    if let Err(error) = self.catch_up(Sequence(u64::MAX)).await {
                        tracing::warn!(%error, "the index of words could not follow the log");
                    }
                    queue.recv().await
                }
            };
            match work {
                Some(Work::Batch(batch)) => {
                    if let Err(error) = self.take(batch).await {
                        tracing::warn!(%error, "the index of words could not follow the log");
                    }
                }
                Some(Work::Stop(done)) => {
                    let _ = done.send(());
                    return;
                }
                None => return,
            }
        }
    }

    async fn take(&mut self, batch: Vec<Indexed>) -> Result<()> {
        let through = self.shared.recent.read().through();
        let Some(first) = batch.first().map(|event| event.sequence) else { return Ok(()) };
        if first > through.next() {
            self.catch_up(Sequence(first.0 - 1)).await?;
        }
        self.add(batch);
        self.seal().await
    }

    /// Reads from the log what the index has not seen, up to `end` or what is durable.
    async fn catch_up(&mut self, end: Sequence) -> Result<()> {
        loop {
            let through = self.shared.recent.read().through();
            let end = end.0.min(self.shared.head.load(Ordering::Acquire));
            if through.0 >= end {
                return Ok(());
            }
            let wanted = CHUNK.min((end - through.0) as usize);
            let events = self.vault.store().scan(through, wanted).await?;
            if events.is_empty() {
                return Ok(());
            }
            let ids: Vec<_> = events.iter().map(|event| event.key).collect();
            let keys = self.vault.existing_keys(&ids).await?;
            let batch = events.into_iter().zip(keys).map(|(event, key)| {
                // An event whose key is gone has been erased, and one that does not open is for `verify` to report.
                let item = key.and_then(|key| body::open(&event, &key).ok());
                let text = item.as_ref().map(|item| words::readable(&item.stanza));
                let names = item.as_ref().map(Names::of).unwrap_or_default();
                Indexed { sequence: event.sequence, tags: event.tags, text, names }
            });
            let batch = batch.collect();
            self.add(batch);
            self.seal().await?;
        }
    }

    fn add(&mut self, batch: Vec<Indexed>) {
        let mut tokens = Vec::with_capacity(64);
        let mut recent = self.shared.recent.write();
        for event in batch {
            tokens.clear();
            tokens.extend(event.tags.iter().map(words::tag_token));
            if let Some(text) = &event.text {
                self.vocabulary.tokens(text, &mut tokens);
            }
            event.names.tokens(self.vault.blinder(), &mut tokens);
            recent.add(event.sequence, &tokens);
        }
    }

    /// Moves a full memory into a segment.
    async fn seal(&mut self) -> Result<()> {
        let (mut writes, through) = {
            let recent = self.shared.recent.read();
            if recent.len() < SEGMENT {
                return Ok(());
            }
            (segment::writes(&recent), recent.through())
        };
        writes.push(Write::put("", "words", &Progress { through }, Expect::Any)?);
        self.vault.apply(writes).await?;
        *self.shared.recent.write() = Recent::after(through);
        Ok(())
    }
}
