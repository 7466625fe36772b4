//! The format on disk: tables, their versions, and how SQLite's errors read in the vault's words.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, ffi};

use crate::StoreError;

/// Marks the files as Chancery's (`file(1)` shows it).
const APPLICATION: i32 = 0x43_48_4e_43;

/// How long a connection waits for another to let go of a lock.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// One step from a format version to the next.
pub(super) type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The log and the records. The format's version is the number of steps; steps are only ever added.
pub(super) const MAIN: &[Migration] = &[|tx| {
    tx.execute_batch(
        "CREATE TABLE events(
             sequence INTEGER PRIMARY KEY,
             time INTEGER NOT NULL,
             writer INTEGER NOT NULL,
             key BLOB NOT NULL,
             hash BLOB NOT NULL,
             tags BLOB NOT NULL,
             sealed BLOB NOT NULL
         ) STRICT;
         CREATE TABLE postings(
             tag BLOB NOT NULL,
             first INTEGER NOT NULL,
             last INTEGER NOT NULL,
             count INTEGER NOT NULL,
             steps BLOB NOT NULL,
             PRIMARY KEY(tag, first)
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE records(
             kind INTEGER NOT NULL,
             parent BLOB NOT NULL,
             key BLOB NOT NULL,
             version INTEGER NOT NULL,
             sealed BLOB NOT NULL,
             PRIMARY KEY(kind, parent, key)
         ) STRICT, WITHOUT ROWID;
         CREATE TABLE checkpoints(
             sequence INTEGER PRIMARY KEY,
             time INTEGER NOT NULL,
             hash BLOB NOT NULL,
             previous INTEGER NOT NULL,
             signature BLOB NOT NULL
         ) STRICT;
         CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO counters VALUES('folded', 0), ('version', 0);",
    )
}];

/// The wrapped keys, in a file of their own so that backups may part them from the data.
pub(super) const KEYS: &[Migration] = &[
    |tx| {
        tx.execute_batch(
            "CREATE TABLE keys(id BLOB PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;",
        )
    },
    // What was destroyed, and in a copy that is kept apart: whose keys these are.
    |tx| {
        tx.execute_batch(
            "CREATE TABLE notes(id BLOB PRIMARY KEY, note BLOB NOT NULL) STRICT, WITHOUT ROWID;
             CREATE TABLE origin(identity BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;",
        )
    },
];

/// Opens a connection with what all connections share.
pub(super) fn connect(path: &Path, cache_kib: u32) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    db.set_prepared_statement_cache_capacity(64);
    // Plans do not depend on the values that are bound, so statements are not prepared anew for each.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    Ok(db)
}

/// Sets up a connection that writes, and brings the file to the newest format.
pub(super) fn prepare(db: &mut Connection, page_size: u32, steps: &[Migration]) -> Result<(), StoreError> {
    let known = steps.len() as u32;
    let found: u32 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(error)?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    db.pragma_update(None, "page_size", page_size).map_err(error)?;
    db.pragma_update(None, "journal_mode", "WAL").map_err(error)?;
    db.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    for (at, step) in steps.iter().enumerate().skip(found as usize) {
        let tx = db.transaction().map_err(error)?;
        step(&tx).map_err(error)?;
        tx.pragma_update(None, "application_id", APPLICATION).map_err(error)?;
        tx.pragma_update(None, "user_version", at as u32 + 1).map_err(error)?;
        tx.commit().map_err(error)?;
    }
    Ok(())
}

/// SQLite's error in the vault's words. Messages of SQLite name tables and files, never contents.
pub(super) fn error(error: rusqlite::Error) -> StoreError {
    let Some(code) = error.sqlite_error() else { return StoreError::Corrupt(error.to_string()) };
    match code.code {
        ErrorCode::DiskFull => StoreError::Full,
        // Growing the journal's index fails in its own way where a file system has no room.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full,
        ErrorCode::ReadOnly => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Io(error.to_string()),
    }
}
