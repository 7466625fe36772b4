//! Copies of the folder, its size, and a thorough look at it.

use std::fs::File;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::schema::{self, error};
use super::{KEYS, MAIN, io, make_folder, postings};
use crate::{Blind, Check, StoreError};

/// Pages copied at a time.
const STEP: i32 = 1024;

/// Copies both databases. The log first: a key that is made meanwhile does no harm, one that is missing would.
pub(super) fn backup(from: &Path, to: &Path) -> Result<(), StoreError> {
    make_folder(to)?;
    must_be_empty(to)?;
    for name in [MAIN, KEYS] {
        copy(&from.join(name), &to.join(name))?;
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(io)
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = schema::connect(from, 64).map_err(error)?;
    // A transaction holds one state still for as long as the copy takes.
    source.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema;").map_err(error)?;
    let mut target = schema::connect(to, 64).map_err(error)?;
    target.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    {
        let copying = Backup::new(&source, &mut target).map_err(error)?;
        while copying.step(STEP).map_err(error)? != StepResult::Done {}
    }
    drop(target);
    File::open(to).and_then(|file| file.sync_all()).map_err(io)
}

/// Puts a backup in place as the new folder `to`, which must be absent or empty.
///
/// # Errors
/// [`StoreError::Io`] if there is no backup or the folder is not empty.
pub fn restore(from: &Path, to: &Path) -> Result<(), StoreError> {
    for name in [MAIN, KEYS] {
        if !from.join(name).is_file() {
            return Err(StoreError::Io(format!("{} is no backup: it has no {name}", from.display())));
        }
    }
    make_folder(to)?;
    must_be_empty(to)?;
    for name in [MAIN, KEYS] {
        // Through SQLite rather than byte by byte, so that a journal beside the backup counts too.
        copy(&from.join(name), &to.join(name))?;
    }
    File::open(to).and_then(|folder| folder.sync_all()).map_err(io)
}

fn must_be_empty(folder: &Path) -> Result<(), StoreError> {
    if folder.read_dir().map_err(io)?.next().is_some() {
        return Err(StoreError::Io(format!("{} is not empty", folder.display())));
    }
    Ok(())
}

/// Bytes of all files of the folder.
pub(super) fn size(folder: &Path) -> std::io::Result<u64> {
    let mut total = 0;
    for entry in folder.read_dir()? {
        // A journal may vanish between the two questions.
        total += entry?.metadata().map_or(0, |data| data.len());
    }
    Ok(total)
}

/// Bytes that the file system still offers to us.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let medium = rustix::fs::statvfs(folder).ok()?;
    Some(medium.f_bavail.saturating_mul(medium.f_frsize))
}

pub(super) fn check(main: &Connection, keys: &Connection) -> rusqlite::Result<Check> {
    let mut faults = Vec::new();
    for (name, db) in [(MAIN, main), (KEYS, keys)] {
        let mut statement = db.prepare("PRAGMA integrity_check(10)")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let line: String = row.get(0)?;
            if line != "ok" {
                faults.push(format!("{name}: {line}"));
            }
        }
    }
    if faults.is_empty() {
        check_postings(main, &mut faults)?;
    }
    Ok(Check { faults })
}

/// The rows by which history is found are not part of the chain, so they are compared with what the events say:
/// a sum over all pairs of tag and sequence, which no pair can leave or enter unnoticed by accident.
fn check_postings(db: &Connection, faults: &mut Vec<String>) -> rusqlite::Result<()> {
    let tx = db.unchecked_transaction()?;
    let folded: u64 =
        tx.query_row("SELECT value FROM counters WHERE name = 'folded'", [], |row| row.get(0))?;
    let (mut said, mut found) = (0u64, 0u64);
    let mut statement = tx.prepare("SELECT sequence, tags FROM events WHERE sequence <= ?1")?;
    let mut rows = statement.query([folded])?;
    while let Some(row) = rows.next()? {
        let sequence: u64 = row.get(0)?;
        for tag in row.get_ref(1)?.as_blob()?.chunks_exact(Blind::LEN) {
            said = said.wrapping_add(mix(tag, sequence));
        }
    }
    let mut statement = tx.prepare("SELECT tag, first, steps FROM postings")?;
    let mut rows = statement.query([])?;
    let mut sequences = Vec::new();
    while let Some(row) = rows.next()? {
        sequences.clear();
        postings::decode(row.get(1)?, row.get_ref(2)?.as_blob()?, &mut sequences);
        let tag = row.get_ref(0)?.as_blob()?;
        for sequence in sequences.iter().filter(|at| **at <= folded) {
            found = found.wrapping_add(mix(tag, *sequence));
        }
    }
    if said != found {
        faults.push(format!("{MAIN}: the lists by which history is found do not match the events"));
    }
    Ok(())
}

fn mix(tag: &[u8], sequence: u64) -> u64 {
    let mut state = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for part in tag.chunks_exact(8) {
        let part = part.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        state = (state ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        state ^= state >> 32;
    }
    state
}
