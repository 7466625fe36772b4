//! Copies of the folder, its size, and a thorough look at it.

use std::fs::File;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::schema::{self, error};
use super::{KEYS, MAIN, io, make_folder, postings};
use crate::{Blind, Check, StoreError};

/// Pages copied at a time.
const STEP: i32 = 1024;

/// Copies the log and the records, but for kinds that are to stay out.
pub(super) fn backup(from: &Path, to: &Path, without: &[u16]) -> Result<(), StoreError> {
    make_folder(to)?;
    must_be_empty(to)?;
    copy(&from.join(MAIN), &to.join(MAIN))?;
    leave_out(&to.join(MAIN), without).map_err(error)?;
    File::open(to).and_then(|folder| folder.sync_all()).map_err(io)
}

fn leave_out(copy: &Path, kinds: &[u16]) -> rusqlite::Result<()> {
    let db = schema::connect(copy, 4096)?;
    db.pragma_update(None, "secure_delete", "ON")?;
    for kind in kinds {
        db.execute("DELETE FROM records WHERE kind = ?1", [kind])?;
    }
    // Whoever reads the copy finds one file.
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
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

/// Puts a copy of a folder, with the keys inside it, in place as the new folder `to`, which must be absent or empty.
///
/// # Errors
/// [`StoreError::Io`] if there is no such copy or the folder is not empty.
pub fn restore(from: &Path, to: &Path) -> Result<(), StoreError> {
    restore_apart(from, &from.join(KEYS), to)
}

/// As [`restore`], with the keys from a file that is kept apart.
///
/// # Errors
/// As [`restore`].
pub fn restore_apart(from: &Path, keys: &Path, to: &Path) -> Result<(), StoreError> {
    if !from.join(MAIN).is_file() {
        return Err(StoreError::Io(format!("{} is no backup: it has no {MAIN}", from.display())));
    }
    if !keys.is_file() {
        return Err(StoreError::Io(format!(
            "the keys that open {} are not in {}; name the file that has them with --keys",
            from.display(),
            keys.display()
        )));
    }
    make_folder(to)?;
    must_be_empty(to)?;
    // Through SQLite rather than byte by byte, so that a journal beside the backup counts too.
    copy(&from.join(MAIN), &to.join(MAIN))?;
    copy(keys, &to.join(KEYS))?;
    File::open(to).and_then(|folder| folder.sync_all()).map_err(io)
}

/// Whether keys are inside this folder, as in backups of the first releases.
pub(crate) fn has_keys(folder: &Path) -> bool {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let count = |db: Connection| db.query_row("SELECT count(*) FROM keys", [], |row| row.get::<_, u64>(0));
    Connection::open_with_flags(folder.join(KEYS), flags).and_then(count).is_ok_and(|count| count > 0)
}

/// Or not there.
pub(crate) fn must_be_empty(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() && folder.read_dir().map_err(io)?.next().is_some() {
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
