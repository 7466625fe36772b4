//! Questions to the database, each on one connection.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{Blind, Checkpoint, Head, KeyId, KeyUse, Micros, SealedEvent, SealedRecord, Sequence, Tags};

fn event(row: &Row<'_>) -> rusqlite::Result<SealedEvent> {
    let tags = row.get_ref(5)?.as_blob()?;
    Ok(SealedEvent {
        sequence: Sequence(row.get(0)?),
        time: Micros(row.get(1)?),
        writer: row.get(2)?,
        key: Blind::from_bytes(row.get(3)?),
        hash: row.get(4)?,
        tags: tags.chunks_exact(Blind::LEN).filter_map(|tag| tag.try_into().ok()).collect::<Tags>(),
        sealed: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
    })
}

pub(super) fn events(db: &Connection, sequences: &[Sequence]) -> rusqlite::Result<Vec<SealedEvent>> {
    let mut statement = db.prepare_cached(
        "SELECT sequence, time, writer, key, hash, tags, sealed FROM events WHERE sequence = ?1",
    )?;
    let mut all = Vec::with_capacity(sequences.len());
    for sequence in sequences {
        all.extend(statement.query_row([sequence.0], event).optional()?);
    }
    Ok(all)
}

pub(super) fn scan(db: &Connection, after: Sequence, limit: usize) -> rusqlite::Result<Vec<SealedEvent>> {
    db.prepare_cached(
        "SELECT sequence, time, writer, key, hash, tags, sealed FROM events
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?
    .query_map(params![after.0, limit], event)?
    .collect()
}

pub(super) fn head(db: &Connection) -> rusqlite::Result<Option<Head>> {
    db.query_row("SELECT sequence, time, hash FROM events ORDER BY sequence DESC LIMIT 1", [], |row| {
        Ok(Head { sequence: Sequence(row.get(0)?), time: Micros(row.get(1)?), hash: row.get(2)? })
    })
    .optional()
}

/// Halves the log until the moment is found: times never decrease along the sequence.
pub(super) fn sequence_at(db: &Connection, time: Micros) -> rusqlite::Result<Sequence> {
    let mut probe = db
        .prepare_cached("SELECT sequence, time FROM events WHERE sequence >= ?1 ORDER BY sequence LIMIT 1")?;
    let mut low = 1;
    let mut high = head(db)?.map_or(1, |head| head.sequence.0 + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let found =
            probe.query_row([middle], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, i64>(1)?))).optional()?;
        match found {
            Some((at, moment)) if moment < time.0 => low = at + 1,
            _ => high = middle,
        }
    }
    Ok(Sequence(low))
}

pub(super) fn record(
    db: &Connection,
    kind: u16,
    parent: Blind,
    key: Blind,
) -> rusqlite::Result<Option<SealedRecord>> {
    db.prepare_cached("SELECT version, sealed FROM records WHERE kind = ?1 AND parent = ?2 AND key = ?3")?
        .query_row(params![kind, parent.as_bytes(), key.as_bytes()], |row| {
            Ok(SealedRecord { key, version: row.get(0)?, value: row.get::<_, Vec<u8>>(1)?.into() })
        })
        .optional()
}

pub(super) fn records(db: &Connection, kind: u16, parent: Blind) -> rusqlite::Result<Vec<SealedRecord>> {
    db.prepare_cached("SELECT key, version, sealed FROM records WHERE kind = ?1 AND parent = ?2")?
        .query_map(params![kind, parent.as_bytes()], |row| {
            Ok(SealedRecord {
                key: Blind::from_bytes(row.get(0)?),
                version: row.get(1)?,
                value: row.get::<_, Vec<u8>>(2)?.into(),
            })
        })?
        .collect()
}

/// Two columns: a key's name, and something about it.
pub(super) fn pairs(db: &Connection, question: &str) -> rusqlite::Result<Vec<(KeyId, Bytes)>> {
    db.prepare_cached(question)?
        .query_map([], |row| Ok((Blind::from_bytes(row.get(0)?), row.get::<_, Vec<u8>>(1)?.into())))?
        .collect()
}

pub(super) fn notes(db: &Connection, ids: &[KeyId]) -> rusqlite::Result<Vec<(KeyId, Bytes)>> {
    let mut statement = db.prepare_cached("SELECT note FROM notes WHERE id = ?1")?;
    let mut found = Vec::new();
    for id in ids {
        let note = statement.query_row([id.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).optional()?;
        found.extend(note.map(|note| (*id, Bytes::from(note))));
    }
    Ok(found)
}

pub(super) fn key_uses(db: &Connection, after: Sequence, limit: usize) -> rusqlite::Result<Vec<KeyUse>> {
    // The length of a body is known without reading it.
    db.prepare_cached(
        "SELECT sequence, key, length(sealed) FROM events WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?
    .query_map(params![after.0, limit], |row| {
        Ok(KeyUse {
            sequence: Sequence(row.get(0)?),
            key: Blind::from_bytes(row.get(1)?),
            dropped: row.get::<_, usize>(2)? == SealedEvent::DROPPED,
        })
    })?
    .collect()
}

fn checkpoint(row: &Row<'_>) -> rusqlite::Result<Checkpoint> {
    Ok(Checkpoint {
        sequence: Sequence(row.get(0)?),
        time: Micros(row.get(1)?),
        hash: row.get(2)?,
        previous: Sequence(row.get(3)?),
        signature: row.get(4)?,
    })
}

pub(super) fn checkpoints(
    db: &Connection,
    after: Sequence,
    limit: usize,
) -> rusqlite::Result<Vec<Checkpoint>> {
    db.prepare_cached(
        "SELECT sequence, time, hash, previous, signature FROM checkpoints
         WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?
    .query_map(params![after.0, limit], checkpoint)?
    .collect()
}

pub(super) fn last_checkpoint(db: &Connection) -> rusqlite::Result<Option<Checkpoint>> {
    db.prepare_cached(
        "SELECT sequence, time, hash, previous, signature FROM checkpoints ORDER BY sequence DESC LIMIT 1",
    )?
    .query_row([], checkpoint)
    .optional()
}
