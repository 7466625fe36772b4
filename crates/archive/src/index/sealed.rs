//! Segments in the vault: which there are, and how their blocks are read and written.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use vault::{Expect, Record, Vault, VaultError, Write};
use zeroize::Zeroizing;

use super::plan::{Places, Plan};
use super::segment::{self, short};
use crate::Result;

/// The record kind of a block: the parent is the segment's id, the key the block's number.
const BLOCK: u16 = 0x4111;
/// The record kind of a segment's directory: the key is its id, the value the first tokens of its blocks.
const DIRECTORY: u16 = 0x4112;

/// The record kind of a segment's list of words: the key is its id.
const WORDS: u16 = 0x4113;

/// The version of all that the index stores. Another one is dropped and made anew from the log.
const VERSION: u32 = 1;

/// A stretch of the log whose index is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Segment {
    /// Names its records; never used twice.
    pub(super) id: u64,
    /// It speaks for the events after this one,
    pub(super) base: u64,
    /// up to this one.
    pub(super) through: u64,
    /// How often it was merged.
    pub(super) level: u8,
    /// The first token of each block.
    #[serde(skip)]
    pub(super) directory: Vec<u64>,
}

impl Segment {
    /// Whether it speaks for all that the other speaks for.
    pub(super) fn covers(&self, other: &Self) -> bool {
        other.base >= self.base && other.through <= self.through
    }
}

/// Which segments there are.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Manifest {
    version: u32,
    /// The next segment's id.
    next: u64,
    /// Oldest first, without gaps.
    segments: Vec<Segment>,
    /// Ids of which blocks may be left.
    garbage: Vec<u64>,
}

impl Record for Manifest {
    const KIND: u16 = 0x4110;
}

pub(super) type Segments = Arc<Vec<Arc<Segment>>>;

impl Manifest {
    /// Reads what there is. Without it, or in another version, the index begins anew.
    pub(super) async fn load(vault: &Vault) -> Result<(Self, Segments)> {
        let found = vault.get::<Self>("", "index").await?.map(|found| found.value);
        let mut manifest = match found {
            Some(found) if found.version == VERSION => found,
            Some(old) => {
                let garbage = old.garbage.into_iter().chain(old.segments.iter().map(|one| one.id)).collect();
                Self { version: VERSION, next: old.next, segments: Vec::new(), garbage }
            }
            None => Self { version: VERSION, next: 1, ..Self::default() },
        };
        for at in 0..manifest.segments.len() {
            let segment = &mut manifest.segments[at];
            let directory = vault.get_bytes(DIRECTORY, "", &segment.id.to_string()).await?;
            let Some((bytes, _)) = directory else {
                // What is missing is made anew.
                let lost = manifest.segments.split_off(at);
                manifest.garbage.extend(lost.iter().map(|one| one.id));
                break;
            };
            segment.directory =
                bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        }
        let segments = Arc::new(manifest.segments.iter().cloned().map(Arc::new).collect());
        Ok((manifest, segments))
    }

    /// Reserves an id. Its blocks are garbage until [`Manifest::replace`] says otherwise.
    pub(super) async fn reserve(&mut self, vault: &Vault) -> Result<u64> {
        let id = self.next;
        self.next += 1;
        self.garbage.push(id);
        vault.apply(vec![self.write()?]).await?;
        Ok(id)
    }

    /// Puts a segment, whose blocks are stored, in the place of those that it covers.
    pub(super) async fn replace(&mut self, vault: &Vault, segment: &Segment, words: Vec<u8>) -> Result<()> {
        let (gone, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.segments).into_iter().partition(|one| segment.covers(one));
        self.garbage.retain(|id| *id != segment.id);
        self.garbage.extend(gone.iter().map(|one| one.id));
        self.segments = kept;
        let directory = segment.directory.iter().flat_map(|token| token.to_le_bytes()).collect();
        let directory = Write::put_bytes(DIRECTORY, "", &segment.id.to_string(), directory, Expect::Any);
        let before = self.segments.partition_point(|one| one.through <= segment.base);
        self.segments.insert(before, segment.clone());
        let words = Write::put_bytes(WORDS, "", &segment.id.to_string(), words, Expect::Any);
        vault.apply(vec![directory, words, self.write()?]).await?;
        Ok(())
    }

    /// Forgets all segments.
    pub(super) async fn clear(&mut self, vault: &Vault) -> Result<()> {
        self.garbage.extend(std::mem::take(&mut self.segments).iter().map(|one| one.id));
        vault.apply(vec![self.write()?]).await?;
        Ok(())
    }

    /// Deletes the blocks of segments that nobody reads any more.
    pub(super) async fn sweep(&mut self, vault: &Vault) -> Result<()> {
        while let Some(id) = self.garbage.pop() {
            let parent = id.to_string();
            // Blocks are stored in order, so the first gap is the end.
            for batch in (0u32..).step_by(SWEEP as usize) {
                if vault.get_bytes(BLOCK, &parent, &batch.to_string()).await?.is_none() {
                    break;
                }
                let numbers = batch..batch + SWEEP;
                let deletes = numbers
                    .map(|number| Write::delete_bytes(BLOCK, &parent, &number.to_string(), Expect::Any));
                vault.apply(deletes.collect()).await?;
            }
            vault
                .apply(vec![Write::delete_bytes(DIRECTORY, "", &parent, Expect::Any), self.write()?])
                .await?;
        }
        Ok(())
    }

    /// The words of a segment.
    pub(super) async fn words(vault: &Vault, id: u64) -> Result<Zeroizing<Vec<u8>>> {
        let found = vault.get_bytes(WORDS, "", &id.to_string()).await?;
        Ok(found.ok_or(super::vocabulary::DAMAGED)?.0)
    }

    pub(super) fn has_garbage(&self) -> bool {
        !self.garbage.is_empty()
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn through(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.through)
    }

    fn write(&self) -> Result<Write> {
        Ok(Write::put("", "index", self, Expect::Any)?)
    }
}

/// Blocks deleted in one transaction.
const SWEEP: u32 = 128;

/// The change that stores a block.
pub(super) fn block_write(segment: u64, number: usize, block: Vec<u8>) -> Write {
    Write::put_bytes(BLOCK, &segment.to_string(), &number.to_string(), block, Expect::Any)
}

pub(super) type Block = Arc<Zeroizing<Vec<u8>>>;

/// Reads blocks, and remembers some.
pub(super) struct Reader {
    vault: Vault,
    cache: Mutex<Cache>,
}

/// Bytes of opened blocks that are remembered, in each of two generations.
const CACHE: usize = 8 << 20;

#[derive(Default)]
struct Cache {
    young: HashMap<(u64, usize), Block>,
    old: HashMap<(u64, usize), Block>,
    bytes: usize,
}

impl Cache {
    fn get(&mut self, key: (u64, usize)) -> Option<Block> {
        if let Some(block) = self.young.get(&key) {
            return Some(Arc::clone(block));
        }
        let block = self.old.remove(&key)?;
        self.put(key, Arc::clone(&block));
        Some(block)
    }

    fn put(&mut self, key: (u64, usize), block: Block) {
        self.bytes += block.len();
        self.young.insert(key, block);
        if self.bytes > CACHE {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Reader {
    pub(super) fn new(vault: Vault) -> Self {
        Self { vault, cache: Mutex::default() }
    }

    /// A block as it is stored, past the cache.
    pub(super) async fn read(&self, segment: &Segment, number: usize) -> Result<Block> {
        let found = self.vault.get_bytes(BLOCK, &segment.id.to_string(), &number.to_string()).await?;
        let (bytes, _) = found.ok_or(VaultError::Corrupt { what: "a block of the index is missing" })?;
        Ok(Arc::new(bytes))
    }

    async fn block(&self, segment: &Segment, number: usize) -> Result<Block> {
        let key = (segment.id, number);
        if let Some(block) = self.cache.lock().get(key) {
            return Ok(block);
        }
        let block = self.read(segment, number).await?;
        self.cache.lock().put(key, Arc::clone(&block));
        Ok(block)
    }

    /// Forgets what was opened.
    pub(super) fn forget(&self) {
        *self.cache.lock() = Cache::default();
    }

    /// The places of a segment that meet a plan, as distances from its base.
    pub(super) async fn places(&self, segment: &Segment, plan: &Plan) -> Result<Places> {
        let conditions = match plan {
            Plan::All(plans) => plans.as_slice(),
            plan => std::slice::from_ref(plan),
        };
        let mut places = Places::Every;
        for condition in conditions {
            places = places.and(self.condition(segment, condition).await?);
            if places.is_empty() {
                break;
            }
        }
        Ok(places)
    }

    async fn condition(&self, segment: &Segment, plan: &Plan) -> Result<Places> {
        let mut tokens = Vec::new();
        plan.tokens(&mut tokens);
        let mut wanted: Vec<(usize, u64)> = Vec::with_capacity(tokens.len());
        for token in tokens {
            let token = short(token);
            let after = segment.directory.partition_point(|first| *first <= token);
            if let Some(number) = after.checked_sub(1) {
                wanted.push((number, token));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut lists: HashMap<u64, Vec<u32>> = HashMap::with_capacity(wanted.len());
        let mut open: Option<(usize, Block)> = None;
        for (number, token) in wanted {
            let block = match open.take() {
                Some((there, block)) if there == number => block,
                _ => self.block(segment, number).await?,
            };
            lists.insert(token, segment::find(&block, token));
            open = Some((number, block));
        }
        Ok(plan.places(&|token| lists.get(&short(token)).map_or(&[][..], Vec::as_slice)))
    }
}
