//! The index. It proposes; the decrypted text decides.
//!
//! A thread of its own follows the log. Recent events are indexed in memory; every few thousand, they become a sealed
//! *segment* in the vault, and segments are merged into larger ones. What the index has not reached yet, search reads
//! from the log itself, so a slow index makes search slower and never wrong. Appending does not wait for it: when its
//! queue is full, the writer drops what does not fit, and the follower reads that from the log.

mod follower;
mod merge;
pub(crate) mod names;
mod plan;
mod recent;
mod sealed;
mod segment;
pub(crate) mod terms;
mod vocabulary;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use vault::{Sequence, Vault};

pub(crate) use self::plan::{Places, Plan};
pub(crate) use self::terms::Indexed;

use self::follower::{Follower, Work};
use self::recent::Recent;
use self::sealed::{Manifest, Reader, Segment, Segments};
use self::terms::Terms;
use crate::{ArchiveError, Result};

/// Batches that may wait for the follower.
const QUEUE: usize = 64;

/// The handle for the writer and for search.
pub(crate) struct Index {
    work: mpsc::Sender<Work>,
    shared: Arc<Shared>,
    terms: Terms,
}

struct Shared {
    state: RwLock<State>,
    reader: Reader,
    /// The newest event that is durable.
    head: AtomicU64,
}

/// What the index speaks for: segments without gaps, and then the memory.
struct State {
    recent: Recent,
    segments: Segments,
}

impl Index {
    /// Starts the follower, which first reads what came after the last segment. `segment` is how many events it seals
    /// together.
    pub(crate) async fn start(vault: Vault, segment: u32) -> Result<Self> {
        let (manifest, segments) = Manifest::load(&vault).await?;
        let head = vault.store().head().await?.map_or(0, |head| head.sequence.0);
        let recent = Recent::after(Sequence(manifest.through()));
        let shared = Arc::new(Shared {
            state: RwLock::new(State { recent, segments }),
            reader: Reader::new(vault.clone()),
            head: AtomicU64::new(head),
        });
        let terms = Terms::new(vault.blinder().clone(), Arc::default());
        let (work, queue) = mpsc::channel(QUEUE);
        let follower = Follower::new(vault, Arc::clone(&shared), terms.clone(), manifest, segment.into());
        let io = |error: std::io::Error| vault::StoreError::Io(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(io)?;
        std::thread::Builder::new()
            .name("archive-index".into())
            .spawn(move || runtime.block_on(follower.run(queue)))
            .map_err(io)?;
        Ok(Self { work, shared, terms })
    }

    /// What makes tokens of names and words.
    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Tells the index what has become durable. Never waits.
    pub(crate) fn offer(&self, batch: Vec<Indexed>) {
        if let Some(last) = batch.last() {
            self.shared.head.store(last.sequence.0, Ordering::Release);
            // What does not fit, the follower finds in the log.
            let _ = self.work.try_send(Work::Batch(batch));
        }
    }

    /// How far it is.
    pub(crate) fn indexing(&self) -> Indexing {
        let state = self.shared.state.read();
        let through = state.recent.through();
        let head = Sequence(self.shared.head.load(Ordering::Acquire)).max(through);
        Indexing {
            through,
            head,
            segments: state.segments.len(),
            merging: merge::due(&state.segments).is_some(),
        }
    }

    /// What the index knows now about a plan. `head` is the newest event that is durable: the index may hear of it later.
    pub(crate) fn propose(&self, plan: Plan, head: Sequence) -> Proposal {
        let state = self.shared.state.read();
        let (base, through) = (state.recent.base(), state.recent.through());
        let head = head.max(through);
        Proposal {
            recent: state.recent.places(&plan),
            segments: Arc::clone(&state.segments),
            shared: Arc::clone(&self.shared),
            plan,
            base,
            through,
            head,
        }
    }

    /// Takes from the index what events said. Returns when it is gone.
    pub(crate) async fn forget(&self, places: Vec<Sequence>) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.work.send(Work::Forget(places, reply)).await.map_err(|_| ArchiveError::Closed)?;
        done.await.map_err(|_| ArchiveError::Closed)?
    }

    /// Begins the index anew.
    pub(crate) async fn anew(&self) -> Result<()> {
        let (reply, done) = oneshot::channel();
        self.work.send(Work::Anew(reply)).await.map_err(|_| ArchiveError::Closed)?;
        done.await.map_err(|_| ArchiveError::Closed)?
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.work.send(Work::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }
}

/// How far the index is. Search does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexing {
    /// The newest event that it knows.
    pub through: Sequence,
    /// The newest event that there is.
    pub head: Sequence,
    /// In how many pieces its sealed part is.
    pub segments: usize,
    /// Some of them are being made one.
    pub merging: bool,
}

impl Indexing {
    /// Whether it has work left.
    pub fn is_behind(&self) -> bool {
        self.through < self.head || self.merging
    }
}

/// What the index knows about a plan, stretch by stretch of the log.
pub(crate) struct Proposal {
    shared: Arc<Shared>,
    segments: Segments,
    plan: Plan,
    recent: Places,
    base: Sequence,
    /// Nothing is known about events after this one.
    pub(crate) through: Sequence,
    /// The newest event.
    pub(crate) head: Sequence,
}

/// A stretch of the log: the events after `base`, up to `through`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) base: Sequence,
    pub(crate) through: Sequence,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Tail,
    Recent,
    Segment(usize),
}

impl Proposal {
    /// The stretches of the log, oldest first, without gaps.
    pub(crate) fn stretches(&self) -> Vec<Stretch> {
        let mut all: Vec<Stretch> = Vec::with_capacity(self.segments.len() + 2);
        for (at, segment) in self.segments.iter().enumerate() {
            let (base, through) = (Sequence(segment.base), Sequence(segment.through));
            all.push(Stretch { base, through, part: Part::Segment(at) });
        }
        all.push(Stretch { base: self.base, through: self.through, part: Part::Recent });
        all.push(Stretch { base: self.through, through: self.head, part: Part::Tail });
        all.retain(|stretch| stretch.base < stretch.through);
        all
    }

    /// The places of a stretch that meet the plan, as distances from its base.
    pub(crate) async fn places(&self, stretch: &Stretch) -> Result<Places> {
        match stretch.part {
            Part::Tail => Ok(Places::Every),
            Part::Recent => Ok(self.recent.clone()),
            Part::Segment(at) => {
                let segment: &Segment = &self.segments[at];
                self.shared.reader.places(segment, &self.plan).await
            }
        }
    }
}
