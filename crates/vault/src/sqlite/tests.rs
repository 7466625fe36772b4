use std::path::Path;

use bytes::Bytes;

use super::*;
use crate::contract::{self, Bench, Opening, blind, event};
use crate::{Expect, SealedWrite};

struct Folders {
    root: tempfile::TempDir,
    next: std::sync::atomic::AtomicU32,
    options: Options,
}

impl Folders {
    fn new(options: Options) -> Self {
        Self { root: tempfile::tempdir().unwrap(), next: 0.into(), options }
    }

    fn folder(&self) -> PathBuf {
        let n = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.root.path().join(n.to_string())
    }

    async fn open(&self, folder: &Path) -> Arc<dyn Store> {
        Arc::new(open(folder, self.options.clone()).await.unwrap())
    }
}

impl Bench for Folders {
    fn fresh(&self) -> Opening<'_> {
        Box::pin(async { self.open(&self.folder()).await })
    }

    fn reopen(&self, store: Arc<dyn Store>) -> Opening<'_> {
        Box::pin(async move {
            store.close().await;
            // The newest folder that is not a backup is the one in use.
            let n = self.next.load(std::sync::atomic::Ordering::Relaxed) - 1;
            self.open(&self.root.path().join(n.to_string())).await
        })
    }

    fn open_backup(&self, folder: &Path) -> Opening<'_> {
        let folder = folder.to_owned();
        Box::pin(async move {
            let restored = self.folder();
            // Its keys are kept apart; here, there are none.
            let keys = folder.with_extension("keys");
            KeyFile::open(&keys, blind(5), true).unwrap();
            restore_apart(&folder, &keys, &restored).unwrap();
            assert!(restore_apart(&folder, &keys, &restored).is_err(), "restoring must not overwrite");
            self.open(&restored).await
        })
    }

    fn backup_folder(&self) -> PathBuf {
        self.folder()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract_with_all_tags_in_memory() {
    contract::run(&Folders::new(Options::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_the_contract_while_tags_are_folded_all_the_time() {
    contract::run(&Folders::new(Options { fold_at: Some(64), ..Options::default() })).await;
}

fn batch(first: u64, count: u64) -> Batch {
    Batch {
        events: (first..first + count).map(|at| event(at, &[1, 2 + at % 3])).collect(),
        ..Batch::default()
    }
}

fn large_record(bytes: usize) -> Batch {
    let value = Some(Bytes::from(vec![7; bytes]));
    let write = SealedWrite { kind: 3, parent: blind(0), key: blind(1), expect: Expect::Any, value };
    Batch { writes: vec![write], ..Batch::default() }
}

#[tokio::test]
async fn a_full_disk_fails_only_what_does_not_fit_and_recovery_needs_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Options::default()).await.unwrap();
    store.commit(batch(1, 10)).await.unwrap();
    store.limit_pages(40).await.unwrap();
    let (small, large) = (batch(11, 10), large_record(1 << 20));
    // Sent together, so that they share a transaction.
    let (large, small) = tokio::join!(store.commit(large), store.commit(small));
    assert_eq!(large, Err(StoreError::Full));
    small.unwrap();
    assert_eq!(store.head().await.unwrap().unwrap().sequence, Sequence(20));
    assert_eq!(store.commit(batch(21, 2000)).await, Err(StoreError::Full));
    assert_eq!(store.head().await.unwrap().unwrap().sequence, Sequence(20));
    assert_eq!(store.count(blind(1), Sequence::ZERO, None).await.unwrap(), 20);
    store.limit_pages(100_000).await.unwrap();
    store.commit(batch(21, 2000)).await.unwrap();
    assert_eq!(store.count(blind(1), Sequence::ZERO, None).await.unwrap(), 2020);
    assert!(store.check().await.unwrap().faults.is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_fold_that_was_cut_short_leaves_no_double_and_no_hole() {
    let folder = tempfile::tempdir().unwrap();
    let expected: Vec<Sequence> = (1..=3000).map(Sequence).collect();
    // More tags than one slice takes; every store but the last goes away in the middle of folding.
    for round in 0..6 {
        let options = Options { fold_at: Some(if round % 2 == 0 { 200 } else { 450 }), ..Options::default() };
        let store = open(folder.path(), options).await.unwrap();
        let events =
            (round * 500 + 1..=round * 500 + 500).map(|at| event(at, &[1, 10_000 + at, 20_000 + at % 700]));
        store.commit(Batch { events: events.collect(), ..Batch::default() }).await.unwrap();
        let window = Window { limit: 5000, ..Window::first(0) };
        let through = (round as usize + 1) * 500;
        assert_eq!(store.tagged(blind(1), window).await.unwrap(), expected[..through], "round {round}");
        store.close().await;
    }
    let store = open(folder.path(), Options { fold_at: Some(1), ..Options::default() }).await.unwrap();
    store.commit(batch(3001, 1)).await.unwrap();
    for at in [1, 499, 500, 501, 1800, 3000] {
        assert_eq!(store.tagged(blind(10_000 + at), Window::first(9)).await.unwrap(), [Sequence(at)]);
        let bearing: Vec<Sequence> =
            (1..=3000).filter(|other| other % 700 == at % 700).map(Sequence).collect();
        assert_eq!(store.tagged(blind(20_000 + at % 700), Window::first(99)).await.unwrap(), bearing);
    }
    assert!(store.check().await.unwrap().faults.is_empty());
    store.close().await;
}

#[tokio::test]
async fn a_folder_has_one_process_and_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), Options::default()).await.unwrap();
    assert_eq!(open(folder.path(), Options::default()).await.err(), Some(StoreError::InUse));
    store.close().await;
    let db = Connection::open(folder.path().join(MAIN)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let newer = StoreError::Newer { found: 99, known: schema::MAIN.len() as u32 };
    assert_eq!(open(folder.path(), Options::default()).await.err(), Some(newer));
}

#[tokio::test]
async fn a_folder_that_is_absent_is_made_only_on_request() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a/b");
    assert!(open(&folder, Options { create: false, ..Options::default() }).await.is_err());
    assert!(!folder.exists());
    open(&folder, Options::default()).await.unwrap().close().await;
    open(&folder, Options { create: false, ..Options::default() }).await.unwrap().close().await;
}

#[tokio::test]
async fn each_step_of_the_format_runs_once_and_a_failed_one_leaves_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let one: schema::Migration = |tx| tx.execute_batch("CREATE TABLE one(x); INSERT INTO one VALUES(1)");
    let two: schema::Migration = |tx| tx.execute_batch("INSERT INTO one VALUES(2)");
    let broken: schema::Migration =
        |tx| tx.execute_batch("INSERT INTO one VALUES(3); INSERT INTO nowhere VALUES(1)");
    let migrate = |steps: &[schema::Migration]| {
        let mut db = schema::connect(&path, 64).unwrap();
        let result = schema::prepare(&mut db, 4096, steps);
        let rows: i64 = db.query_row("SELECT count(*) FROM one", [], |row| row.get(0)).unwrap();
        (result, rows)
    };
    assert_eq!(migrate(&[one]), (Ok(()), 1));
    assert!(matches!(migrate(&[one, broken]), (Err(_), 1)));
    assert_eq!(migrate(&[one, two]), (Ok(()), 2));
    assert_eq!(migrate(&[one, two]), (Ok(()), 2));
    assert_eq!(migrate(&[one]), (Err(StoreError::Newer { found: 2, known: 1 }), 2));
}

#[tokio::test]
async fn a_hidden_or_invented_posting_is_found_by_the_check() {
    for tamper in [
        "DELETE FROM postings WHERE first = 1",
        "UPDATE postings SET steps = CAST(x'02' || substr(steps, 2) AS BLOB) WHERE first = 1 AND count > 3",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path(), Options { fold_at: Some(50), ..Options::default() }).await.unwrap();
        store.commit(batch(1, 50)).await.unwrap();
        store.commit(batch(51, 10)).await.unwrap();
        assert!(store.check().await.unwrap().faults.is_empty());
        store.close().await;
        let db = Connection::open(folder.path().join(MAIN)).unwrap();
        assert!(db.execute(tamper, []).unwrap() > 0, "{tamper}");
        drop(db);
        let store = open(folder.path(), Options::default()).await.unwrap();
        assert_eq!(store.check().await.unwrap().faults.len(), 1, "{tamper}");
        store.close().await;
    }
}

/// A browser that goes away in the middle of a request takes the future of its read with it, not the reader.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_asker_has_gone_keeps_no_reader_from_others() {
    let folders = Folders::new(Options::default());
    let store = folders.open(&folders.folder()).await;
    for _ in 0..300 {
        let ask = || {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.scan(Sequence::ZERO, 10).await })
        };
        let gone = [ask(), ask(), ask(), ask()];
        tokio::task::yield_now().await;
        gone.iter().for_each(tokio::task::JoinHandle::abort);
        let (one, other) = tokio::join!(store.scan(Sequence::ZERO, 10), store.scan(Sequence::ZERO, 10));
        assert_eq!((one.map(drop), other.map(drop)), (Ok(()), Ok(())));
    }
}
