//! The thread that follows the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use vault::{Sequence, Vault};

use super::Shared;
use super::merge::{self, Forget, Merge};
use super::names::Names;
use super::recent::Recent;
use super::sealed::{Manifest, Segment, block_write};
use super::segment::{Blocks, short};
use super::terms::{Indexed, Terms, Tokenizer, tag_token};
use super::vocabulary::Vocabulary;
use crate::{Result, body, text};

/// Events read from the log at a time.
const CHUNK: usize = 256;
/// Events read from the log before the queue is looked at again.
const PORTION: usize = 4096;
/// Segments that wait to be merged, of one level, before merging comes before following.
const BACKLOG: usize = 3 * merge::FAN;

pub(super) enum Work {
    Batch(Vec<Indexed>),
    /// These events are erased.
    Forget(Vec<Sequence>, oneshot::Sender<Result<()>>),
    /// Everything is to be made anew.
    Anew(oneshot::Sender<Result<()>>),
    Stop(oneshot::Sender<()>),
}

pub(super) struct Follower {
    vault: Vault,
    shared: Arc<Shared>,
    terms: Terms,
    tokenizer: Tokenizer,
    vocabulary: Arc<RwLock<Vocabulary>>,
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
            vocabulary: terms.vocabulary(),
            tokenizer: Tokenizer::new(terms.clone()),
            terms,
            manifest,
            segment: segment.max(1),
            merge: None,
            retired: Vec::new(),
        }
    }

    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Work>) {
        if let Err(error) = self.load_words().await {
            report(&error);
        }
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
                Some(Work::Forget(places, reply)) => {
                    let _ = reply.send(self.forget(places).await);
                    Ok(())
                }
                Some(Work::Anew(reply)) => {
                    let _ = reply.send(self.anew().await);
                    Ok(())
                }
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

    async fn load_words(&mut self) -> Result<()> {
        let ids: Vec<u64> = self.manifest.segments().iter().map(|segment| segment.id).collect();
        for id in ids {
            let list = Manifest::words(&self.vault, id).await?;
            self.vocabulary.write().load(&list);
        }
        self.vocabulary.write().is_loaded();
        Ok(())
    }

    /// Work that nobody waits for. False when there is none left.
    async fn idle(&mut self) -> Result<bool> {
        if !self.catch_up(Sequence(u64::MAX), PORTION).await? || self.merge_step().await? {
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
        if first > through.next() && !self.catch_up(Sequence(first.0 - 1), PORTION).await? {
            // Far behind: it will be read from the log.
            return Ok(());
        }
        self.add(batch);
        self.seal().await
    }

    /// Reads from the log what the index has not seen, up to `end` or what is durable, but no more than some events.
    /// False when there is more.
    async fn catch_up(&mut self, end: Sequence, most: usize) -> Result<bool> {
        let mut read = 0;
        loop {
            let through = self.shared.state.read().recent.through();
            let end = end.0.min(self.shared.head.load(Ordering::Acquire));
            if through.0 >= end {
                return Ok(true);
            }
            if read >= most {
                return Ok(false);
            }
            let wanted = CHUNK.min((end - through.0) as usize);
            let events = self.vault.store().scan(through, wanted).await?;
            if events.is_empty() {
                return Ok(true);
            }
            read += events.len();
            let sights = body::sight(&self.vault, &events).await?;
            let batch = events.into_iter().zip(sights).map(|(event, sight)| {
                // What is erased has no words, and what does not open is for `verify` to report.
                let item = if let body::Sight::Whole(item) = sight { Some(item) } else { None };
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
        let mut vocabulary = self.vocabulary.write();
        for event in &batch {
            self.tokenizer.tokens(event, &mut tokens, |word| vocabulary.note(word));
            ends.push((event.sequence, tokens.len()));
        }
        drop(vocabulary);
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
        let words = self.vocabulary.read().recent();
        self.manifest.replace(&self.vault, &segment, words).await?;
        self.put(segment, Some(Recent::after(through)));
        self.vocabulary.write().seal();
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
                let words = merge.words(&self.vault).await?;
                self.manifest.replace(&self.vault, &segment, words).await?;
                self.put(segment, None);
            }
        }
        Ok(true)
    }

    /// Takes all tokens from events but those of their tags, which stand in the log in the clear.
    async fn forget(&mut self, mut places: Vec<Sequence>) -> Result<()> {
        places.sort_unstable();
        places.dedup();
        self.catch_up(Sequence(u64::MAX), usize::MAX).await?;
        // What was merged so far has their words.
        self.merge = None;
        let mut kept: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for chunk in places.chunks(CHUNK) {
            for event in self.vault.store().events(chunk.to_vec()).await? {
                let tokens = event.tags.iter().map(|tag| short(tag_token(tag)));
                kept.insert(event.sequence.0, tokens.collect());
            }
        }
        let mark = short(self.terms.is("erased"));
        let of = |base: u64, through: u64| {
            let within = kept.range(base + 1..=through);
            let places = within.map(|(place, tokens)| ((place - base) as u32, tokens.clone()));
            Forget::new(places.collect(), mark)
        };
        let (terms, stemmer) = (self.terms.clone(), text::stemmer());
        let token = |word: &str| short(terms.word(&text::stem(&stemmer, word)));
        let segments = Arc::clone(&self.shared.state.read().segments);
        for segment in segments.iter() {
            let forget = of(segment.base, segment.through);
            if forget.places.is_empty() {
                continue;
            }
            let rewrite =
                Merge::rewrite(&self.vault, &mut self.manifest, Arc::clone(segment), forget).await?;
            let Some(mut rewrite) = rewrite else { continue };
            let segment = loop {
                if let Some(segment) = rewrite.step(&self.vault, &self.shared.reader).await? {
                    break segment;
                }
            };
            let words = rewrite.words_left(&self.vault, token).await?;
            self.manifest.replace(&self.vault, &segment, words).await?;
            self.put(segment, None);
        }
        drop(segments);
        {
            let mut state = self.shared.state.write();
            let mut forget = of(state.recent.base().0, state.recent.through().0);
            if !forget.places.is_empty() {
                state.recent.forget(&mut forget);
                self.vocabulary.write().retain_recent(|word| !forget.emptied.contains(&token(word)));
            }
        }
        self.tokenizer.forget();
        self.shared.reader.forget();
        self.vocabulary.write().unload();
        self.load_words().await
    }

    /// Drops what there is; following the log makes it again.
    async fn anew(&mut self) -> Result<()> {
        self.merge = None;
        self.manifest.clear(&self.vault).await?;
        {
            let mut state = self.shared.state.write();
            self.retired.extend(state.segments.iter().cloned());
            state.segments = Arc::default();
            state.recent = Recent::after(Sequence::ZERO);
        }
        self.shared.reader.forget();
        let mut vocabulary = self.vocabulary.write();
        vocabulary.unload();
        vocabulary.retain_recent(|_| false);
        vocabulary.is_loaded();
        Ok(())
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
