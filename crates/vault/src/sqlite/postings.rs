//! Which events bear a tag.
//!
//! A row per tag and event would dirty a random page for each, many times the size of the event. So recent events are
//! found in memory (every event names its tags, so a restart reads them again), and once there are enough of them they
//! are *folded*, tag by tag in key order, into rows that each hold hundreds of sequences.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use crate::blind::BlindMap;
use crate::{Blind, Head, SealedEvent, Sequence, Window};

/// Events in memory before they are folded.
pub(super) const FOLD_AT: usize = 65_536;
/// Tags that one transaction folds, so that no commit waits long behind them.
const SLICE: usize = 256;
/// Sequences in one row.
const ROW: usize = 512;

type TagMap = BlindMap<Vec<u64>>;

/// The end of the log, in memory.
#[derive(Default)]
pub(super) struct Tail {
    pub(super) head: Option<Head>,
    /// Rows speak for events up to here, and the maps for those after it.
    folded: u64,
    frozen: Arc<TagMap>,
    live: TagMap,
    live_events: usize,
}

impl Tail {
    /// Reads the events that are not folded yet.
    pub(super) fn load(db: &Connection) -> rusqlite::Result<Self> {
        let folded: u64 =
            db.query_row("SELECT value FROM counters WHERE name = 'folded'", [], |row| row.get(0))?;
        let mut tail = Self { folded, ..Self::default() };
        let mut statement =
            db.prepare("SELECT sequence, tags FROM events WHERE sequence > ?1 ORDER BY sequence")?;
        let mut rows = statement.query([folded])?;
        while let Some(row) = rows.next()? {
            let tags = row.get_ref(1)?.as_blob()?;
            tail.add(row.get(0)?, tags.chunks_exact(Blind::LEN).filter_map(|tag| tag.try_into().ok()));
        }
        tail.head = super::reads::head(db)?;
        Ok(tail)
    }

    pub(super) fn push(&mut self, events: &[SealedEvent]) {
        for event in events {
            self.add(event.sequence.0, event.tags.iter().copied());
        }
        if let Some(last) = events.last() {
            self.head = Some(Head { sequence: last.sequence, time: last.time, hash: last.hash });
        }
    }

    fn add(&mut self, sequence: u64, tags: impl Iterator<Item = Blind>) {
        for tag in tags {
            self.live.entry(tag).or_default().push(sequence);
        }
        self.live_events += 1;
    }

    /// What memory knows about a tag within a window, and up to where rows must be asked.
    pub(super) fn find(&self, tag: &Blind, window: &Window) -> (Vec<u64>, u64) {
        let lists = [self.frozen.get(tag), self.live.get(tag)];
        let before = window.before.map_or(u64::MAX, |before| before.0);
        let within = |list: &Vec<u64>| {
            let from = list.partition_point(|at| *at <= window.after.0);
            let to = list.partition_point(|at| *at < before);
            from..to.max(from)
        };
        let mut found = Vec::new();
        if window.backwards {
            for list in lists.into_iter().rev().flatten() {
                let room = window.limit - found.len();
                found.extend(list[within(list)].iter().rev().take(room));
            }
        } else {
            for list in lists.into_iter().flatten() {
                let room = window.limit - found.len();
                found.extend(list[within(list)].iter().take(room));
            }
        }
        (found, self.folded)
    }

    /// How many events in memory bear a tag, and up to where rows must be asked.
    pub(super) fn count(&self, tag: &Blind, after: u64, before: u64) -> (u64, u64) {
        let count = [self.frozen.get(tag), self.live.get(tag)]
            .into_iter()
            .flatten()
            .map(|list| {
                let from = list.partition_point(|at| *at <= after);
                let to = list.partition_point(|at| *at < before);
                to.saturating_sub(from) as u64
            })
            .sum();
        (count, self.folded)
    }
}

/// Work in progress: the frozen part of the tail on its way into rows.
pub(super) struct Fold {
    frozen: Arc<TagMap>,
    tags: Vec<Blind>,
    done: usize,
    folded: u64,
    upto: u64,
}

impl Fold {
    /// Freezes what is in memory, if it is enough.
    pub(super) fn start(tail: &mut Tail, at: usize) -> Option<Self> {
        if tail.live_events < at {
            return None;
        }
        let upto = tail.head?.sequence.0;
        tail.frozen = Arc::new(std::mem::take(&mut tail.live));
        tail.live_events = 0;
        let mut tags: Vec<Blind> = tail.frozen.keys().copied().collect();
        tags.sort_unstable();
        Some(Self { frozen: Arc::clone(&tail.frozen), tags, done: 0, folded: tail.folded, upto })
    }

    /// Writes the next tags, inside the caller's transaction. Returns how far the fold is once that commits.
    pub(super) fn slice(&self, db: &Connection) -> rusqlite::Result<usize> {
        let upto = (self.done + SLICE).min(self.tags.len());
        for tag in &self.tags[self.done..upto] {
            if let Some(sequences) = self.frozen.get(tag) {
                append(db, tag, self.folded, sequences)?;
            }
        }
        if upto == self.tags.len() {
            db.prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'folded'")?
                .execute([self.upto])?;
        }
        Ok(upto)
    }

    /// Takes note that a slice is durable. True when nothing is left to fold.
    pub(super) fn advance(&mut self, tail: &mut Tail, done: usize) -> bool {
        self.done = done;
        if done < self.tags.len() {
            return false;
        }
        tail.frozen = Arc::default();
        tail.folded = self.upto;
        true
    }
}

/// Adds sequences to a tag's rows. A fold that was cut short has left sequences after `folded`: they come again now.
fn append(db: &Connection, tag: &Blind, folded: u64, sequences: &[u64]) -> rusqlite::Result<()> {
    let last = db
        .prepare_cached("SELECT first, steps FROM postings WHERE tag = ?1 ORDER BY first DESC LIMIT 1")?
        .query_row([tag.as_bytes()], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, Vec<u8>>(1)?)))
        .optional()?;
    let mut all = Vec::with_capacity(sequences.len());
    match last {
        Some((first, steps)) if first <= folded => {
            decode(first, &steps, &mut all);
            all.retain(|at| *at <= folded);
            if all.len() >= ROW {
                all.clear();
            }
        }
        Some(_) => {
            db.prepare_cached("DELETE FROM postings WHERE tag = ?1 AND first > ?2")?
                .execute(params![tag.as_bytes(), folded])?;
            return append(db, tag, folded, sequences);
        }
        None => {}
    }
    all.extend_from_slice(sequences);
    let mut insert = db.prepare_cached("INSERT OR REPLACE INTO postings VALUES(?1, ?2, ?3, ?4, ?5)")?;
    for row in all.chunks(ROW) {
        let (first, last) = (row[0], row[row.len() - 1]);
        insert.execute(params![tag.as_bytes(), first, last, row.len(), encode(row)])?;
    }
    Ok(())
}

/// Finds a tag's sequences among the rows, up to and including `folded`.
pub(super) fn find(
    db: &Connection,
    tag: &Blind,
    window: &Window,
    folded: u64,
    found: &mut Vec<u64>,
) -> rusqlite::Result<()> {
    let before = window.before.map_or(folded + 1, |before| before.0.min(folded + 1));
    let mut keep = |first: u64, steps: &[u8]| {
        let mut row = Vec::with_capacity(ROW);
        decode(first, steps, &mut row);
        let within = |at: &u64| *at > window.after.0 && *at < before;
        let room = window.limit - found.len();
        if window.backwards {
            found.extend(row.into_iter().rev().filter(within).take(room));
        } else {
            found.extend(row.into_iter().filter(within).take(room));
        }
        found.len() < window.limit
    };
    if window.backwards {
        let mut statement = db.prepare_cached(
            "SELECT first, last, steps FROM postings WHERE tag = ?1 AND first < ?2 ORDER BY first DESC",
        )?;
        let mut rows = statement.query(params![tag.as_bytes(), before])?;
        while let Some(row) = rows.next()? {
            let more = keep(row.get(0)?, row.get_ref(2)?.as_blob()?);
            if !more || row.get::<_, u64>(1)? <= window.after.0 {
                break;
            }
        }
        return Ok(());
    }
    // The row in whose middle the window begins, if there is one.
    let start = db
        .prepare_cached(
            "SELECT first, last FROM postings WHERE tag = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
        )?
        .query_row(params![tag.as_bytes(), window.after.0], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
        })
        .optional()?
        .filter(|(_, last)| *last > window.after.0)
        .map_or(window.after.0 + 1, |(first, _)| first);
    let mut statement = db.prepare_cached(
        "SELECT first, steps FROM postings WHERE tag = ?1 AND first >= ?2 AND first < ?3 ORDER BY first",
    )?;
    let mut rows = statement.query(params![tag.as_bytes(), start, before])?;
    while let Some(row) = rows.next()? {
        if !keep(row.get(0)?, row.get_ref(1)?.as_blob()?) {
            break;
        }
    }
    Ok(())
}

/// Counts a tag's sequences among the rows, strictly between the bounds, up to and including `folded`.
pub(super) fn count(
    db: &Connection,
    tag: &Blind,
    after: u64,
    before: u64,
    folded: u64,
) -> rusqlite::Result<u64> {
    let before = before.min(folded + 1);
    let mut statement = db.prepare_cached(
        "SELECT first, last, count, steps FROM postings WHERE tag = ?1 AND first < ?2 ORDER BY first DESC",
    )?;
    let mut rows = statement.query(params![tag.as_bytes(), before])?;
    let mut total = 0;
    while let Some(row) = rows.next()? {
        let (first, last): (u64, u64) = (row.get(0)?, row.get(1)?);
        if first > after && last < before {
            total += row.get::<_, u64>(2)?;
            continue;
        }
        let mut all = Vec::new();
        decode(first, row.get_ref(3)?.as_blob()?, &mut all);
        total += all.iter().filter(|at| **at > after && **at < before).count() as u64;
        if first <= after {
            break;
        }
    }
    Ok(total)
}

/// Distances between neighbours as LEB128, without the first.
fn encode(sequences: &[u64]) -> Vec<u8> {
    let mut out = Vec::with_capacity(sequences.len() * 2);
    for pair in sequences.windows(2) {
        let mut step = pair[1] - pair[0];
        while step >= 0x80 {
            out.push(step as u8 | 0x80);
            step >>= 7;
        }
        out.push(step as u8);
    }
    out
}

pub(super) fn decode(first: u64, steps: &[u8], out: &mut Vec<u64>) {
    out.push(first);
    let (mut at, mut step, mut shift) = (first, 0u64, 0u32);
    for byte in steps {
        step |= u64::from(byte & 0x7f).wrapping_shl(shift);
        shift += 7;
        if byte & 0x80 == 0 {
            at = at.wrapping_add(step);
            out.push(at);
            (step, shift) = (0, 0);
        }
    }
}

/// Sequences as the rest of the crate names them.
pub(super) fn sequences(found: Vec<u64>) -> Vec<Sequence> {
    found.into_iter().map(Sequence).collect()
}
