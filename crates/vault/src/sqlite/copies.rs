//! Copies of the wrapped keys that are kept apart from the data: one file for all backups of a folder.
//!
//! Keys are only ever added or destroyed, so the newest copy of them opens every older copy of the data, except for what has
//! been erased since. The file has no journal beside it when nobody writes to it, so it can be moved and copied as it is.

use std::path::Path;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::schema::{self, error};
use super::{io, writer};
use crate::{Blind, KeyId, StoreError};

/// A copy of wrapped keys, open for a change.
pub struct KeyFile(Connection);

impl KeyFile {
    /// Opens the copy that belongs to the folder of this identity. With `create`, makes it if it is absent.
    ///
    /// # Errors
    /// [`StoreError::Io`] if it is not there or belongs to another folder; what the medium says.
    pub fn open(path: &Path, identity: Blind, create: bool) -> Result<Self, StoreError> {
        let fresh = !path.is_file();
        if fresh && !create {
            return Err(StoreError::Io(format!("{} is not there", path.display())));
        }
        if fresh {
            let mut options = std::fs::File::options();
            options.write(true).create_new(true);
            #[cfg(unix)]
            {
                use std::os::unix::fs::OpenOptionsExt;
                options.mode(0o600);
            }
            drop(options.open(path).map_err(io)?);
        }
        let mut db = schema::connect(path, 1024).map_err(error)?;
        // No journal may outlive a change: it would keep what was destroyed.
        db.pragma_update(None, "secure_delete", "ON").map_err(error)?;
        schema::prepare(&mut db, 4096, schema::KEYS)?;
        db.pragma_update(None, "journal_mode", "DELETE").map_err(error)?;
        let found = found_identity(&db).map_err(error)?;
        match found {
            Some(found) if found == identity => {}
            None if fresh => {
                db.execute("INSERT INTO origin VALUES(?1)", [identity.as_bytes()]).map_err(error)?;
                crate::master::sync_parent(path).map_err(io)?;
            }
            _ => {
                return Err(StoreError::Io(format!("{} holds the keys of another folder", path.display())));
            }
        }
        Ok(Self(db))
    }

    /// Brings it up to date: takes out what was destroyed, and puts in or replaces what is there now.
    ///
    /// # Errors
    /// What the medium says; then it is as it was.
    pub fn update(&mut self, keys: &[(KeyId, Bytes)], notes: &[(KeyId, Bytes)]) -> Result<(), StoreError> {
        let mut change = || {
            let tx = self.0.transaction()?;
            writer::note_destroyed(&tx, notes)?;
            for (id, wrapped) in keys {
                tx.prepare_cached(
                    "INSERT INTO keys VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET wrapped = excluded.wrapped
                     WHERE wrapped IS NOT excluded.wrapped",
                )?
                .execute(params![id.as_bytes(), &wrapped[..]])?;
            }
            tx.commit()
        };
        change().map_err(error)
    }
}

/// Whose keys a file holds, if it is a copy that is kept apart.
pub(crate) fn identity(path: &Path) -> Option<Blind> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).ok()?;
    found_identity(&db).ok().flatten()
}

fn found_identity(db: &Connection) -> rusqlite::Result<Option<Blind>> {
    db.query_row("SELECT identity FROM origin", [], |row| row.get(0).map(Blind::from_bytes)).optional()
}

impl std::fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyFile(…)")
    }
}
