//! The one thread that writes. What gathers while a commit is on its way to the disk shares the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::RwLock;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::postings::{FOLD_AT, Fold, Tail};
use super::schema::{self, error};
use crate::{Batch, Blind, Expect, KeyId, SealedEvent, SealedWrite, Sequence, StoreError, Version};

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the thread is asked to do.
pub(super) enum Job {
    Commit(Batch, Reply<Version>),
    AddKeys(Vec<(KeyId, Bytes)>, Reply<()>),
    ReplaceKeys(Vec<(KeyId, Bytes)>, Reply<()>),
    DestroyKeys(Vec<(KeyId, Bytes)>, Reply<()>),
    DropBodies(Vec<Sequence>, Reply<()>),
    Forget(Reply<bool>),
    /// Caps the database at so many pages, as a full disk would. For tests.
    Limit(u32, Reply<()>),
    Close(oneshot::Sender<()>),
}

/// Batches that share one commit at most.
const MERGED: usize = 64;
/// Journal pages after which the background copies them into the database (32 MiB). Seldom and much, because the
/// copy's fsync makes the commits beside it wait.
const COPY_AT: i32 = 4_096;
/// Journal pages after which the writer itself completes the copy, so that the journal starts over (64 MiB).
const RESTART_AT: i32 = 8_192;
/// Versions set aside on opening; what is left of them is skipped next time.
const VERSIONS: i64 = 1 << 32;

pub(super) struct Writer {
    main: Connection,
    keys: Connection,
    tail: Arc<RwLock<Tail>>,
    fold: Option<Fold>,
    fold_at: usize,
    version: Version,
    journal: Arc<AtomicI32>,
    /// The journal's length when the background was last told to copy.
    told: i32,
    copier: Copier,
}

impl Writer {
    pub(super) fn new(
        mut main: Connection,
        keys: Connection,
        tail: Arc<RwLock<Tail>>,
        copier: Copier,
        fold_at: Option<usize>,
    ) -> Result<Self, StoreError> {
        let journal = Arc::new(AtomicI32::new(0));
        let seen = Arc::clone(&journal);
        // In place of SQLite's own checkpoints, which would make the commit that hits the limit wait.
        main.wal_hook(Some(move |_: &mut _, pages| {
            seen.store(pages, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(error)?;
        let version = main
            .query_row(
                "UPDATE counters SET value = value + ?1 WHERE name = 'version' RETURNING value - ?1",
                [VERSIONS],
                |row| row.get(0),
            )
            .map_err(error)?;
        let fold_at = fold_at.unwrap_or(FOLD_AT);
        Ok(Self { main, keys, tail, fold: None, fold_at, version, journal, told: 0, copier })
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut closing = None;
        while closing.is_none() {
            let first = if self.fold.is_some() {
                match jobs.try_recv() {
                    Ok(job) => Some(job),
                    Err(mpsc::error::TryRecvError::Empty) => {
                        // Idle: go on folding. Should that fail, it is tried again with the next commit.
                        self.commit(Vec::new());
                        if self.fold.is_some() { jobs.blocking_recv() } else { continue }
                    }
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            } else {
                jobs.blocking_recv()
            };
            let Some(first) = first else { break };
            let mut next = Some(first);
            let mut merged = Vec::new();
            while let Some(job) = next.take() {
                match job {
                    Job::Commit(batch, reply) => merged.push((batch, reply)),
                    other => {
                        self.commit(std::mem::take(&mut merged));
                        closing = self.other(other);
                    }
                }
                if merged.len() < MERGED && closing.is_none() {
                    next = jobs.try_recv().ok();
                }
            }
            self.commit(merged);
        }
        let Self { main, keys, copier, .. } = self;
        copier.stop();
        drop((main, keys));
        if let Some(done) = closing {
            let _ = done.send(());
        }
    }

    fn other(&mut self, job: Job) -> Option<oneshot::Sender<()>> {
        match job {
            Job::Commit(batch, reply) => self.commit(vec![(batch, reply)]),
            Job::AddKeys(keys, reply) => {
                let _ = reply.send(add_keys(&mut self.keys, &keys).map_err(error));
            }
            Job::ReplaceKeys(keys, reply) => {
                let _ = reply.send(replace_keys(&mut self.keys, &keys).map_err(error));
            }
            Job::DestroyKeys(ids, reply) => {
                let _ = reply.send(destroy_keys(&mut self.keys, &ids).map_err(error));
            }
            Job::DropBodies(sequences, reply) => {
                let _ = reply.send(drop_bodies(&mut self.main, &sequences).map_err(error));
                self.tend_journal();
            }
            Job::Forget(reply) => {
                let _ = reply.send(forget(&self.main).map_err(error));
            }
            Job::Limit(pages, reply) => {
                let result = self.main.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
                let _ = reply.send(result.map_err(error));
            }
            Job::Close(done) => return Some(done),
        }
        None
    }

    /// Commits batches together. If the medium refuses that, each is tried alone, so that one that is too large for
    /// what room is left does not take others down.
    fn commit(&mut self, jobs: Vec<(Batch, Reply<Version>)>) {
        if self.fold.is_none() {
            self.fold = Fold::start(&mut self.tail.write(), self.fold_at);
        }
        if jobs.is_empty() && self.fold.is_none() {
            return;
        }
        match self.transaction(&jobs, true) {
            Ok(results) => {
                for ((_, reply), result) in jobs.into_iter().zip(results) {
                    let _ = reply.send(result);
                }
            }
            Err(_) => {
                for job in jobs {
                    let result = self.transaction(std::slice::from_ref(&job), false);
                    let result =
                        result.and_then(|mut results| results.pop().unwrap_or(Err(StoreError::Closed)));
                    let _ = job.1.send(result);
                }
            }
        }
        self.tend_journal();
    }

    /// One transaction. The outer error is the medium's and leaves nothing behind; the inner ones are each batch's own.
    fn transaction(
        &mut self,
        jobs: &[(Batch, Reply<Version>)],
        fold: bool,
    ) -> Result<Vec<Result<Version, StoreError>>, StoreError> {
        let mut head = self.tail.read().head.map_or(Sequence::ZERO, |head| head.sequence);
        let mut version = self.version;
        let mut results = Vec::with_capacity(jobs.len());
        let tx = self.main.transaction().map_err(error)?;
        for (batch, _) in jobs {
            version += 1;
            let alone = jobs.len() == 1;
            if !alone {
                tx.execute_batch("SAVEPOINT batch").map_err(error)?;
            }
            match insert(&tx, batch, head, version) {
                Ok(()) => {
                    head = batch.events.last().map_or(head, |event| event.sequence);
                    results.push(Ok(version));
                    if !alone {
                        tx.execute_batch("RELEASE batch").map_err(error)?;
                    }
                }
                Err(refused @ (StoreError::Conflict | StoreError::Gap)) => {
                    if alone {
                        return Ok(vec![Err(refused)]);
                    }
                    tx.execute_batch("ROLLBACK TO batch; RELEASE batch").map_err(error)?;
                    results.push(Err(refused));
                }
                Err(medium) => return Err(medium),
            }
        }
        let folded = match &self.fold {
            Some(work) if fold => Some(work.slice(&tx).map_err(error)?),
            _ => None,
        };
        tx.commit().map_err(error)?;

        self.version = version;
        let mut tail = self.tail.write();
        for ((batch, _), result) in jobs.iter().zip(&results) {
            if result.is_ok() {
                tail.push(&batch.events);
            }
        }
        if let (Some(done), Some(work)) = (folded, &mut self.fold)
            && work.advance(&mut tail, done)
        {
            self.fold = None;
        }
        Ok(results)
    }

    /// Keeps the journal short: the background copies most of it, and when it is long regardless, the writer copies
    /// the rest, after which SQLite starts it over.
    fn tend_journal(&mut self) {
        let pages = self.journal.load(Ordering::Relaxed);
        if pages < self.told {
            self.told = 0;
        }
        if pages >= RESTART_AT {
            copy_journal(&self.main);
        } else if pages - self.told >= COPY_AT {
            self.told = pages;
            self.copier.wake();
        }
    }
}

/// The thread that copies the journal into the database while the writer goes on.
pub(super) struct Copier {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Copier {
    pub(super) fn start(db: Connection) -> std::io::Result<Self> {
        let (wake, calls) = sync_channel(1);
        let thread = std::thread::Builder::new().name("vault-copier".into()).spawn(move || {
            while calls.recv().is_ok() {
                copy_journal(&db);
            }
        })?;
        Ok(Self { wake, thread })
    }

    fn wake(&self) {
        // If there is no room, a call is waiting already.
        let _ = self.wake.try_send(());
    }

    fn stop(self) {
        drop(self.wake);
        let _ = self.thread.join();
    }
}

fn copy_journal(db: &Connection) {
    if let Err(error) = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the journal could not be copied into the database");
    }
}

fn insert(db: &Connection, batch: &Batch, head: Sequence, version: Version) -> Result<(), StoreError> {
    let mut expected = head.next();
    if !batch.events.is_empty() {
        let mut statement =
            db.prepare_cached("INSERT INTO events VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)").map_err(error)?;
        let mut tags: Vec<u8> = Vec::with_capacity(4 * Blind::LEN);
        for event in &batch.events {
            if event.sequence != expected {
                return Err(StoreError::Gap);
            }
            expected = expected.next();
            tags.clear();
            for tag in &event.tags {
                tags.extend_from_slice(tag.as_bytes());
            }
            statement
                .execute(params![
                    event.sequence.0,
                    event.time.0,
                    event.writer,
                    event.key.as_bytes(),
                    event.hash,
                    tags,
                    &event.sealed[..],
                ])
                .map_err(error)?;
        }
    }
    for write in &batch.writes {
        if !apply(db, write, version).map_err(error)? {
            return Err(StoreError::Conflict);
        }
    }
    if let Some(checkpoint) = &batch.checkpoint {
        db.prepare_cached("INSERT INTO checkpoints VALUES(?1, ?2, ?3, ?4, ?5)")
            .and_then(|mut statement| {
                statement.execute(params![
                    checkpoint.sequence.0,
                    checkpoint.time.0,
                    checkpoint.hash,
                    checkpoint.previous.0,
                    checkpoint.signature,
                ])
            })
            .map_err(error)?;
    }
    Ok(())
}

/// True if the expectation held.
fn apply(db: &Connection, write: &SealedWrite, version: Version) -> rusqlite::Result<bool> {
    let (kind, parent, key) = (write.kind, write.parent.as_bytes(), write.key.as_bytes());
    let changed = match (&write.value, write.expect) {
        (Some(value), Expect::Any) => db
            .prepare_cached("INSERT OR REPLACE INTO records VALUES(?1, ?2, ?3, ?4, ?5)")?
            .execute(params![kind, parent, key, version, &value[..]])?,
        (Some(value), Expect::Absent) => db
            .prepare_cached("INSERT OR IGNORE INTO records VALUES(?1, ?2, ?3, ?4, ?5)")?
            .execute(params![kind, parent, key, version, &value[..]])?,
        (Some(value), Expect::Version(old)) => db
            .prepare_cached(
                "UPDATE records SET version = ?4, sealed = ?5
                 WHERE kind = ?1 AND parent = ?2 AND key = ?3 AND version = ?6",
            )?
            .execute(params![kind, parent, key, version, &value[..], old])?,
        (None, Expect::Any) => {
            db.prepare_cached("DELETE FROM records WHERE kind = ?1 AND parent = ?2 AND key = ?3")?
                .execute(params![kind, parent, key])?;
            1
        }
        (None, Expect::Absent) => {
            let there = db
                .prepare_cached("SELECT 1 FROM records WHERE kind = ?1 AND parent = ?2 AND key = ?3")?
                .exists(params![kind, parent, key])?;
            usize::from(!there)
        }
        (None, Expect::Version(old)) => db
            .prepare_cached(
                "DELETE FROM records WHERE kind = ?1 AND parent = ?2 AND key = ?3 AND version = ?4",
            )?
            .execute(params![kind, parent, key, old])?,
    };
    Ok(changed > 0)
}

fn add_keys(db: &mut Connection, keys: &[(KeyId, Bytes)]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    for (id, wrapped) in keys {
        tx.prepare_cached("INSERT OR IGNORE INTO keys VALUES(?1, ?2)")?
            .execute(params![id.as_bytes(), &wrapped[..]])?;
    }
    tx.commit()
}

fn replace_keys(db: &mut Connection, keys: &[(KeyId, Bytes)]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    for (id, wrapped) in keys {
        tx.prepare_cached("INSERT OR REPLACE INTO keys VALUES(?1, ?2)")?
            .execute(params![id.as_bytes(), &wrapped[..]])?;
    }
    tx.commit()?;
    forget_journal(db)
}

fn destroy_keys(db: &mut Connection, ids: &[(KeyId, Bytes)]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    note_destroyed(&tx, ids)?;
    tx.commit()?;
    forget_journal(db)
}

/// Inside the caller's transaction.
pub(super) fn note_destroyed(db: &Connection, ids: &[(KeyId, Bytes)]) -> rusqlite::Result<()> {
    for (id, note) in ids {
        db.prepare_cached("DELETE FROM keys WHERE id = ?1")?.execute([id.as_bytes()])?;
        db.prepare_cached("INSERT OR REPLACE INTO notes VALUES(?1, ?2)")?
            .execute(params![id.as_bytes(), &note[..]])?;
    }
    Ok(())
}

/// The chain covers a body's digest, so that is what stays.
fn drop_bodies(db: &mut Connection, sequences: &[Sequence]) -> rusqlite::Result<()> {
    let tx = db.transaction()?;
    {
        let mut read = tx.prepare_cached("SELECT sealed FROM events WHERE sequence = ?1")?;
        let mut write = tx.prepare_cached("UPDATE events SET sealed = ?2 WHERE sequence = ?1")?;
        for sequence in sequences {
            let body = read.query_row([sequence.0], |row| {
                let body = row.get_ref(0)?.as_blob()?;
                Ok((body.len() != SealedEvent::DROPPED).then(|| <[u8; 32]>::from(Sha256::digest(body))))
            });
            if let Some(digest) = body.optional()?.flatten() {
                write.execute(params![sequence.0, digest])?;
            }
        }
    }
    tx.commit()
}

/// Empties the journal, unless somebody reads a state that is only there. Does not wait for them: messages would, too.
fn forget(db: &Connection) -> rusqlite::Result<bool> {
    db.busy_timeout(std::time::Duration::ZERO)?;
    let busy: rusqlite::Result<i32> = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    db.busy_timeout(schema::PATIENCE)?;
    match busy {
        Ok(busy) => Ok(busy == 0),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The journal still holds the pages of before.
fn forget_journal(db: &Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
