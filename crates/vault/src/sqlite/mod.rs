//! The embedded backend: SQLite, in two files of one folder.
//!
//! `vault.db` holds the log and the records, `keys.db` the wrapped keys, `lock` keeps a second process out. One thread
//! writes ([`writer`]); reads run on connections of their own and never wait for it.

mod backup;
mod copies;
mod postings;
mod reads;
mod schema;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension, Transaction};
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::postings::Tail;
use self::schema::error;
use self::writer::{Copier, Job, Writer};
use crate::{
    Batch, Blind, Check, Checkpoint, Head, KeyId, KeyUse, Micros, SealedEvent, SealedRecord, Sequence,
    Statistics, Store, StoreError, Version, Window,
};

pub(crate) use self::backup::{has_keys, must_be_empty};
pub use self::backup::{restore, restore_apart};
pub use self::copies::KeyFile;
pub(crate) use self::copies::identity;

const MAIN: &str = "vault.db";
pub(crate) const KEYS: &str = "keys.db";
const LOCK: &str = "lock";

/// Jobs that wait for the writer; whoever comes later waits before it may queue.
const QUEUE: usize = 256;
const READERS: usize = 2;

/// How to open a folder.
#[derive(Debug, Clone)]
pub struct Options {
    /// Make the folder if it is absent or empty.
    pub create: bool,
    /// Events held in memory before their tags are folded into rows. `None`: 65,536.
    pub fold_at: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self { create: true, fold_at: None }
    }
}

/// A [`Store`] in a folder.
pub struct SqliteStore {
    folder: PathBuf,
    jobs: mpsc::Sender<Job>,
    tail: Arc<RwLock<Tail>>,
    permits: Arc<Semaphore>,
    readers: Arc<Mutex<Vec<Reader>>>,
    /// Released when the store goes away.
    lock: Mutex<Option<File>>,
}

struct Reader {
    main: Connection,
    keys: Connection,
}

impl Reader {
    /// One state of the database for several questions, and one lock for all of them.
    fn moment(&self) -> rusqlite::Result<Transaction<'_>> {
        self.main.unchecked_transaction()
    }
}

/// Opens a folder, bringing it to this release's format if it is older.
///
/// # Errors
/// [`StoreError::Newer`] and [`StoreError::InUse`] name what to do; [`StoreError::Io`] if it is absent and not to be
/// made.
pub async fn open(folder: &Path, options: Options) -> Result<SqliteStore, StoreError> {
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || open_blocking(folder, &options)).await.map_err(lost)?
}

fn open_blocking(folder: PathBuf, options: &Options) -> Result<SqliteStore, StoreError> {
    if options.create {
        make_folder(&folder)?;
    } else if !folder.join(MAIN).is_file() {
        return Err(StoreError::Io(format!("no data in {}", folder.display())));
    }
    let lock =
        File::options().create(true).truncate(false).write(true).open(folder.join(LOCK)).map_err(io)?;
    lock.try_lock().map_err(|refused| match refused {
        TryLockError::WouldBlock => StoreError::InUse,
        TryLockError::Error(failure) => io(failure),
    })?;

    let mut main = schema::connect(&folder.join(MAIN), 32 * 1024).map_err(error)?;
    // What is erased or replaced must not linger in unused parts of the file.
    main.pragma_update(None, "secure_delete", "ON").map_err(error)?;
    schema::prepare(&mut main, 8192, schema::MAIN)?;
    let mut keys = schema::connect(&folder.join(KEYS), 4 * 1024).map_err(error)?;
    keys.pragma_update(None, "secure_delete", "ON").map_err(error)?;
    schema::prepare(&mut keys, 4096, schema::KEYS)?;
    // The files' names must be as durable as what will be in them.
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(io)?;

    let tail = Arc::new(RwLock::new(Tail::load(&main).map_err(error)?));
    let mut readers = Vec::with_capacity(READERS);
    for _ in 0..READERS {
        let main = schema::connect(&folder.join(MAIN), 64 * 1024).map_err(error)?;
        let keys = schema::connect(&folder.join(KEYS), 4 * 1024).map_err(error)?;
        for db in [&main, &keys] {
            db.pragma_update(None, "query_only", "ON").map_err(error)?;
        }
        readers.push(Reader { main, keys });
    }

    let copier = schema::connect(&folder.join(MAIN), 64).map_err(error)?;
    let copier = Copier::start(copier).map_err(io)?;
    let (jobs, queue) = mpsc::channel(QUEUE);
    let writer = Writer::new(main, keys, Arc::clone(&tail), copier, options.fold_at)?;
    std::thread::Builder::new().name("vault-writer".into()).spawn(move || writer.run(queue)).map_err(io)?;

    Ok(SqliteStore {
        folder,
        jobs,
        tail,
        permits: Arc::new(Semaphore::new(READERS)),
        readers: Arc::new(Mutex::new(readers)),
        lock: Mutex::new(Some(lock)),
    })
}

impl SqliteStore {
    /// Caps the database at so many pages of 8 KiB, as a full disk would. For tests.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    #[doc(hidden)]
    pub async fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.ask(|reply| Job::Limit(pages, reply)).await
    }

    async fn ask<T>(&self, job: impl FnOnce(writer::Reply<T>) -> Job) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(job(reply)).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Reader) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let answer = tokio::task::spawn_blocking(move || {
            let reader = readers.lock().pop().ok_or(StoreError::Closed)?;
            let answer = question(&reader).map_err(error);
            readers.lock().push(reader);
            // Whoever asked may have gone; the reader was in use all the same.
            drop(permit);
            answer
        });
        answer.await.map_err(lost)?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn commit(&self, batch: Batch) -> Result<Version, StoreError> {
        self.ask(|reply| Job::Commit(batch, reply)).await
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        self.read(|db| {
            let question = "SELECT NOT EXISTS(SELECT 1 FROM events) AND NOT EXISTS(SELECT 1 FROM records)";
            db.main.query_row(question, [], |row| row.get(0))
        })
        .await
    }

    async fn record(&self, kind: u16, parent: Blind, key: Blind) -> Result<Option<SealedRecord>, StoreError> {
        self.read(move |db| reads::record(&db.main, kind, parent, key)).await
    }

    async fn records(&self, kind: u16, parent: Blind) -> Result<Vec<SealedRecord>, StoreError> {
        self.read(move |db| reads::records(&db.main, kind, parent)).await
    }

    async fn records_of(
        &self,
        kind: u16,
        parent: Blind,
        keys: Vec<Blind>,
    ) -> Result<Vec<SealedRecord>, StoreError> {
        self.read(move |db| {
            let _moment = db.moment()?;
            let found = keys.into_iter().map(|key| reads::record(&db.main, kind, parent, key));
            found.filter_map(Result::transpose).collect()
        })
        .await
    }

    async fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(self.tail.read().head)
    }

    async fn events(&self, sequences: Vec<Sequence>) -> Result<Vec<SealedEvent>, StoreError> {
        self.read(move |db| {
            let _moment = db.moment()?;
            reads::events(&db.main, &sequences)
        })
        .await
    }

    async fn scan(&self, after: Sequence, limit: usize) -> Result<Vec<SealedEvent>, StoreError> {
        self.read(move |db| reads::scan(&db.main, after, limit)).await
    }

    async fn tagged(&self, tag: Blind, window: Window) -> Result<Vec<Sequence>, StoreError> {
        let tail = Arc::clone(&self.tail);
        self.read(move |db| tagged(db, &tail, tag, window)).await
    }

    async fn tagged_events(&self, tag: Blind, window: Window) -> Result<Vec<SealedEvent>, StoreError> {
        let tail = Arc::clone(&self.tail);
        self.read(move |db| {
            let _moment = db.moment()?;
            reads::events(&db.main, &tagged(db, &tail, tag, window)?)
        })
        .await
    }

    async fn count(&self, tag: Blind, after: Sequence, before: Option<Sequence>) -> Result<u64, StoreError> {
        let before = before.map_or(u64::MAX, |before| before.0);
        let (recent, folded) = self.tail.read().count(&tag, after.0, before);
        Ok(recent + self.read(move |db| postings::count(&db.main, &tag, after.0, before, folded)).await?)
    }

    async fn sequence_at(&self, time: Micros) -> Result<Sequence, StoreError> {
        self.read(move |db| reads::sequence_at(&db.main, time)).await
    }

    async fn checkpoints(&self, after: Sequence, limit: usize) -> Result<Vec<Checkpoint>, StoreError> {
        self.read(move |db| reads::checkpoints(&db.main, after, limit)).await
    }

    async fn last_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.read(|db| reads::last_checkpoint(&db.main)).await
    }

    async fn keys(&self, ids: Vec<KeyId>) -> Result<Vec<(KeyId, Bytes)>, StoreError> {
        self.read(move |db| {
            let mut statement = db.keys.prepare_cached("SELECT wrapped FROM keys WHERE id = ?1")?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let wrapped =
                    statement.query_row([id.as_bytes()], |row| row.get::<_, Vec<u8>>(0)).optional()?;
                found.extend(wrapped.map(|wrapped| (id, Bytes::from(wrapped))));
            }
            Ok(found)
        })
        .await
    }

    async fn add_keys(&self, keys: Vec<(KeyId, Bytes)>) -> Result<(), StoreError> {
        self.ask(|reply| Job::AddKeys(keys, reply)).await
    }

    async fn all_keys(&self) -> Result<Vec<(KeyId, Bytes)>, StoreError> {
        self.read(|db| reads::pairs(&db.keys, "SELECT id, wrapped FROM keys")).await
    }

    async fn replace_keys(&self, keys: Vec<(KeyId, Bytes)>) -> Result<(), StoreError> {
        self.ask(|reply| Job::ReplaceKeys(keys, reply)).await
    }

    async fn destroy_keys(&self, ids: Vec<(KeyId, Bytes)>) -> Result<(), StoreError> {
        self.ask(|reply| Job::DestroyKeys(ids, reply)).await
    }

    async fn notes(&self, ids: Vec<KeyId>) -> Result<Vec<(KeyId, Bytes)>, StoreError> {
        self.read(move |db| reads::notes(&db.keys, &ids)).await
    }

    async fn all_notes(&self) -> Result<Vec<(KeyId, Bytes)>, StoreError> {
        self.read(|db| reads::pairs(&db.keys, "SELECT id, note FROM notes")).await
    }

    async fn drop_bodies(&self, sequences: Vec<Sequence>) -> Result<(), StoreError> {
        self.ask(|reply| Job::DropBodies(sequences, reply)).await
    }

    async fn forget(&self) -> Result<bool, StoreError> {
        self.ask(Job::Forget).await
    }

    async fn key_uses(&self, after: Sequence, limit: usize) -> Result<Vec<KeyUse>, StoreError> {
        self.read(move |db| reads::key_uses(&db.main, after, limit)).await
    }

    async fn backup(&self, to: &Path, without: &[u16]) -> Result<(), StoreError> {
        let (from, to, without) = (self.folder.clone(), to.to_owned(), without.to_owned());
        tokio::task::spawn_blocking(move || backup::backup(&from, &to, &without)).await.map_err(lost)?
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        let events = self.tail.read().head.map_or(0, |head| head.sequence.0);
        let keys =
            self.read(|db| db.keys.query_row("SELECT count(*) FROM keys", [], |row| row.get(0))).await?;
        let bytes = backup::size(&self.folder).map_err(io)?;
        Ok(Statistics { events, keys, bytes, free_bytes: backup::free(&self.folder) })
    }

    async fn check(&self) -> Result<Check, StoreError> {
        self.read(|db| backup::check(&db.main, &db.keys)).await
    }

    async fn close(&self) {
        self.permits.close();
        let readers = std::mem::take(&mut *self.readers.lock());
        let (done, closed) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            let _ = closed.await;
        }
        drop(readers);
        self.lock.lock().take();
    }
}

fn tagged(db: &Reader, tail: &RwLock<Tail>, tag: Blind, window: Window) -> rusqlite::Result<Vec<Sequence>> {
    let (recent, folded) = tail.read().find(&tag, &window);
    let mut found = Vec::new();
    // Rows are older than what is in memory, so who reads backwards may have enough already.
    if window.backwards {
        found = recent;
        if found.len() < window.limit {
            postings::find(&db.main, &tag, &window, folded, &mut found)?;
        }
    } else {
        postings::find(&db.main, &tag, &window, folded, &mut found)?;
        let room = window.limit - found.len();
        found.extend(recent.into_iter().take(room));
    }
    Ok(postings::sequences(found))
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    private(&mut builder);
    builder.create(folder).map_err(io)?;
    crate::master::sync_parent(folder).map_err(io)
}

/// Only its owner can look into the folder.
pub(crate) fn private(builder: &mut std::fs::DirBuilder) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
}

pub(crate) fn io(failure: std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    match failure.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full,
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Io(failure.to_string()),
    }
}

fn lost(_: tokio::task::JoinError) -> StoreError {
    StoreError::Closed
}
