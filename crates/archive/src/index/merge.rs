//! Making one segment of several, a few blocks at a time, so that whoever does it can do other things in between.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use vault::{Vault, Write};

use super::sealed::{Block, Manifest, Reader, Segment, block_write};
use super::segment::{Blocks, Lists};
use super::vocabulary;
use crate::Result;

/// Segments of one level that become one of the next.
pub(super) const FAN: usize = 8;
/// Segments of this level are merged no further. With 8,192 events at level 0, it holds four million.
const HIGHEST: u8 = 3;
/// Bytes of blocks that are stored in one transaction.
const BATCH: usize = 1 << 20;

/// A merge under way.
pub(super) struct Merge {
    sources: Vec<Source>,
    target: Segment,
    blocks: Blocks,
    written: usize,
    pending: Vec<Write>,
    pending_bytes: usize,
    places: Vec<u32>,
    forget: Option<Forget>,
}

/// Events that lose all tokens but a few.
#[derive(Default)]
pub(super) struct Forget {
    /// Their places, as distances from the target's base, each with the tokens that stay.
    pub(super) places: BTreeMap<u32, Vec<u64>>,
    /// A token that they get.
    pub(super) mark: u64,
    /// It has been written.
    marked: bool,
    /// Tokens that no event has any more.
    pub(super) emptied: HashSet<u64>,
}

impl Forget {
    pub(super) fn new(places: BTreeMap<u32, Vec<u64>>, mark: u64) -> Self {
        Self { places, mark, marked: false, emptied: HashSet::new() }
    }

    /// What is left of a token's list.
    pub(super) fn thin(&mut self, token: u64, list: &mut Vec<u32>) {
        if token == self.mark {
            self.marked = true;
            list.extend(self.places.keys());
            list.sort_unstable();
            list.dedup();
            return;
        }
        list.retain(|place| self.places.get(place).is_none_or(|kept| kept.contains(&token)));
        if list.is_empty() {
            self.emptied.insert(token);
        }
    }
}

/// One of the segments, read block by block.
struct Source {
    segment: Arc<Segment>,
    /// How much farther its base is than the target's.
    shift: u32,
    number: usize,
    block: Option<Block>,
    /// Bytes of the block that are left after the list that is ahead.
    rest: usize,
    /// The token of the last list that was read from it.
    last: u64,
    ahead: Option<u64>,
    list: Vec<u32>,
}

/// Which segments should become one; the newest that are enough.
pub(super) fn due(segments: &[Arc<Segment>]) -> Option<Vec<Arc<Segment>>> {
    // Levels fall towards the newest, so those of one level stand together.
    for level in 0..HIGHEST {
        let same = segments.iter().filter(|segment| segment.level == level);
        if same.clone().count() >= FAN {
            return Some(same.take(FAN).cloned().collect());
        }
    }
    None
}

impl Merge {
    pub(super) async fn start(
        vault: &Vault,
        manifest: &mut Manifest,
        segments: Vec<Arc<Segment>>,
    ) -> Result<Option<Self>> {
        let (Some(first), Some(last)) = (segments.first(), segments.last()) else { return Ok(None) };
        let (base, through, level) = (first.base, last.through, first.level + 1);
        let id = manifest.reserve(vault).await?;
        let source = |segment: Arc<Segment>| Source {
            shift: (segment.base - base) as u32,
            segment,
            number: 0,
            block: None,
            rest: 0,
            last: 0,
            ahead: None,
            list: Vec::new(),
        };
        Ok(Some(Self {
            sources: segments.into_iter().map(source).collect(),
            target: Segment { id, base, through, level, directory: Vec::new() },
            blocks: Blocks::default(),
            written: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            places: Vec::new(),
            forget: None,
        }))
    }

    /// Writes one segment anew, without what is to be forgotten.
    pub(super) async fn rewrite(
        vault: &Vault,
        manifest: &mut Manifest,
        segment: Arc<Segment>,
        forget: Forget,
    ) -> Result<Option<Self>> {
        let level = segment.level;
        let merge = Self::start(vault, manifest, vec![segment]).await?;
        Ok(merge.map(|mut merge| {
            merge.target.level = level;
            merge.forget = Some(forget);
            merge
        }))
    }

    /// Does some of the work. The finished segment is what the last step returns.
    pub(super) async fn step(&mut self, vault: &Vault, reader: &Reader) -> Result<Option<Segment>> {
        let goal = self.written + self.pending.len() + 32;
        loop {
            for source in &mut self.sources {
                source.fill(reader).await?;
            }
            let mark = self.forget.as_ref().filter(|forget| !forget.marked).map(|forget| forget.mark);
            let ahead = self.sources.iter().filter_map(|source| source.ahead);
            let Some(token) = ahead.chain(mark).min() else {
                let last = self.blocks.finish();
                self.keep(last);
                self.store(vault).await?;
                self.target.directory = std::mem::take(&mut self.blocks.directory);
                return Ok(Some(self.target.clone()));
            };
            self.places.clear();
            for source in self.sources.iter_mut().filter(|source| source.ahead == Some(token)) {
                self.places.append(&mut source.list);
                source.ahead = None;
            }
            if let Some(forget) = &mut self.forget {
                forget.thin(token, &mut self.places);
            }
            let full = self.blocks.push(token, &self.places);
            self.keep(full);
            if self.pending_bytes >= BATCH {
                self.store(vault).await?;
            }
            if self.written + self.pending.len() >= goal {
                return Ok(None);
            }
        }
    }

    /// The words of all that was merged.
    pub(super) async fn words(&self, vault: &Vault) -> Result<Vec<u8>> {
        let mut lists = Vec::with_capacity(self.sources.len());
        for source in &self.sources {
            lists.push(Manifest::words(vault, source.segment.id).await?);
        }
        let lists: Vec<&[u8]> = lists.iter().map(|list| list.as_slice()).collect();
        Ok(vocabulary::join(&lists))
    }

    /// The words of what was written anew, when `token` says which token a word has.
    pub(super) async fn words_left(&self, vault: &Vault, token: impl Fn(&str) -> u64) -> Result<Vec<u8>> {
        let words = self.words(vault).await?;
        let Some(forget) = &self.forget else { return Ok(words) };
        Ok(vocabulary::retain(&words, |word| !forget.emptied.contains(&token(word))))
    }

    fn keep(&mut self, block: Option<Vec<u8>>) {
        let Some(block) = block else { return };
        self.pending_bytes += block.len();
        self.pending.push(block_write(self.target.id, self.written + self.pending.len(), block));
    }

    async fn store(&mut self, vault: &Vault) -> Result<()> {
        self.written += self.pending.len();
        self.pending_bytes = 0;
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            vault.apply(pending).await?;
        }
        Ok(())
    }
}

impl Source {
    /// Sees to it that the next list is ahead, unless there is none.
    async fn fill(&mut self, reader: &Reader) -> Result<()> {
        while self.ahead.is_none() {
            if self.block.is_none() {
                if self.number == self.segment.directory.len() {
                    return Ok(());
                }
                let block = reader.read(&self.segment, self.number).await?;
                self.rest = block.len();
                self.block = Some(block);
                self.number += 1;
                self.last = 0;
            }
            self.advance();
        }
        Ok(())
    }

    fn advance(&mut self) {
        let Some(block) = &self.block else { return };
        let mut lists = Lists::resume(block, self.rest, self.last);
        match lists.next() {
            Some((token, packed)) => {
                packed.unpack(self.shift, &mut self.list);
                (self.ahead, self.last, self.rest) = (Some(token), token, lists.rest());
            }
            None => self.block = None,
        }
    }
}
