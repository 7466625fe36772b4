//! The thread that follows the log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{mpsc, oneshot};
use vault::{Sequence, Vault};

use super::Shared;
use super::merge::{self, Merge};
use super::names::Names;
use super::recent::Recent;
use super::sealed::{Manifest, Segment, block_write};
use super::segment::Blocks;
use super::terms::{Indexed, Terms, Tokenizer};
use crate::{Result, body};

/// Events read from the log at a time.
const CHUNK: usize = 256;
/// Segments that wait to be merged, of one level, before merging comes before following.
const BACKLOG: usize = 3 * merge::FAN;

pub(super) enum Work {
    Batch(Vec<Indexed>),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Follower {
    vault: Vault,
    shared: Arc<Shared>,
    tokenizer: Tokenizer,
    manifest: Manifest,
    /// Events in a segment that is sealed from memory.
    segment: u64,
    merge: Option<Merge>,
    /// Segments that searches may still read.
    retired: Vec<Arc<Segment>>,
}

impl Follower {
    pub(super) fn new(
        vault: Vault,
        shared: Arc<Shared>,
        terms: Terms,
        manifest: Manifest,
        segment: u64,
    ) -> Self {
        Self {
            vault,
            shared,
            tokenizer: Tokenizer::new(terms),
            manifest,
            segment: segment.max(1),
            merge: None,
            retired: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        loop {
            // Whenever nothing waits, what was missed is read from the log, and segments are merged.
            let work = match queue.try_recv() {
                Ok(work) => Some(work),
                Err(_) => match self.idle().await {
                    Ok(true) => continue,
                    Ok(false) => queue.recv().await,
                    Err(error) => {
                        report(&error);
                        queue.recv().await
                    }
                },
            };
            let done = match work {
                Some(Work::Batch(batch)) => self.take(batch).await,
                Some(Work::Stop(done)) => {
                    let _ = done.send(());
                    return;
                }
                None => return,
            };
            if let Err(error) = done {
                report(&error);
            }
        }
    }

    /// Work that nobody waits for. False when there is none left.
    async fn idle(&mut self) -> Result<bool> {
        self.catch_up(Sequence(u64::MAX)).await?;
        if self.merge_step().await? {
            return Ok(true);
        }
        self.retired.retain(|segment| Arc::strong_count(segment) > 1);
        if self.manifest.has_garbage() && self.retired.is_empty() && self.merge.is_none() {
            self.manifest.sweep(&self.vault).await?;
        }
        Ok(false)
    }

    async fn take(&mut self, batch: Vec<Indexed>) -> Result<()> {
        let through = self.shared.state.read().recent.through();
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
            let through = self.shared.state.read().recent.through();
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
                let names = item.as_ref().map(Names::of).unwrap_or_default();
                Indexed { sequence: event.sequence, tags: event.tags, item, text: None, names }
            });
            let batch = batch.collect();
            self.add(batch);
            self.seal().await?;
        }
    }

    fn add(&mut self, batch: Vec<Indexed>) {
        let mut tokens = Vec::with_capacity(64 * batch.len());
        let mut ends = Vec::with_capacity(batch.len());
        for event in &batch {
            self.tokenizer.tokens(event, &mut tokens, |_| {});
            ends.push((event.sequence, tokens.len()));
        }
        let mut state = self.shared.state.write();
        let mut start = 0;
        for (sequence, end) in ends {
            state.recent.add(sequence, &tokens[start..end]);
            start = end;
        }
    }

    /// Moves a full memory into a segment.
    async fn seal(&mut self) -> Result<()> {
        let (base, through, blocks, directory) = {
            let state = self.shared.state.read();
            if state.recent.len() < self.segment {
                return Ok(());
            }
            let mut writer = Blocks::default();
            let lists = state.recent.lists();
            let mut blocks: Vec<Vec<u8>> =
                lists.into_iter().filter_map(|(token, places)| writer.push(token, places)).collect();
            blocks.extend(writer.finish());
            (state.recent.base(), state.recent.through(), blocks, writer.directory)
        };
        let id = self.manifest.reserve(&self.vault).await?;
        let writes = blocks.into_iter().enumerate().map(|(number, block)| block_write(id, number, block));
        self.vault.apply(writes.collect()).await?;
        let segment = Segment { id, base: base.0, through: through.0, level: 0, directory };
        self.manifest.replace(&self.vault, &segment).await?;
        self.put(segment, Some(Recent::after(through)));
        let waiting = self.manifest.segments().iter().rev().take_while(|segment| segment.level == 0).count();
        while waiting >= BACKLOG && self.merge_step().await? {}
        Ok(())
    }

    /// Goes on with a merge, or begins one that is due. False when there is none.
    async fn merge_step(&mut self) -> Result<bool> {
        let mut merge = match self.merge.take() {
            Some(merge) => merge,
            None => {
                let due = merge::due(&self.shared.state.read().segments);
                let Some(due) = due else { return Ok(false) };
                match Merge::start(&self.vault, &mut self.manifest, due).await? {
                    Some(merge) => merge,
                    None => return Ok(false),
                }
            }
        };
        // After a failure, what was written is garbage, and the merge begins anew.
        match merge.step(&self.vault, &self.shared.reader).await? {
            None => self.merge = Some(merge),
            Some(segment) => {
                self.manifest.replace(&self.vault, &segment).await?;
                self.put(segment, None);
            }
        }
        Ok(true)
    }

    /// Lets searches see a segment in the place of those that it covers, and with it a fresh memory.
    fn put(&mut self, segment: Segment, recent: Option<Recent>) {
        let mut state = self.shared.state.write();
        let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(state.segments.len() + 1);
        for one in state.segments.iter() {
            match segment.covers(one) {
                true => self.retired.push(Arc::clone(one)),
                false => segments.push(Arc::clone(one)),
            }
        }
        let before = segments.partition_point(|one| one.through <= segment.base);
        segments.insert(before, Arc::new(segment));
        state.segments = Arc::new(segments);
        if let Some(recent) = recent {
            state.recent = recent;
        }
    }
}

fn report(error: &crate::ArchiveError) {
    tracing::warn!(%error, "the index of words could not follow the log");
}
