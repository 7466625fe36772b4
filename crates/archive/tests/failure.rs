//! Disks that fill up, writes that conflict, processes that are killed.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use archive::{AppendError, Archive, Entry, Options, Outcome, Query, Sequence, verify};
use common::{Trail, bare, draft, master};
use vault::{Expect, Record, Vault, Write, sqlite};

#[derive(serde::Serialize, serde::Deserialize)]
struct Note(u32);

impl Record for Note {
    const KIND: u16 = 77;
}

#[tokio::test]
async fn a_full_disk_fails_what_was_under_way_and_the_next_message_goes_through_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(sqlite::open(folder.path(), sqlite::Options::default()).await.unwrap());
    let blobs = Arc::new(vault::FolderBlobs::at(&folder.path().join("blobs")));
    let vault = Vault::with_store(Arc::clone(&store) as _, blobs, &master()).await.unwrap();
    let mut trail = Trail::with(vault, Options::default()).await;
    let (romeo, juliet) = ("romeo@a.example/x", "juliet@a.example");
    trail.say(romeo, juliet, "before").await;

    store.limit_pages(20).await.unwrap();
    let mut failed = 0;
    let long = "word ".repeat(4000);
    for n in 0..40 {
        trail.submit(n, Some(draft(romeo, juliet, &long))).await;
    }
    trail.submit(40, None).await;
    let mut stored = 1;
    for n in 0..40 {
        match trail.outcomes.recv().await.unwrap() {
            Outcome::Archived(archived) => {
                assert_eq!(*archived.item(), n);
                stored += 1;
            }
            Outcome::Failed(item, AppendError::Full) => {
                assert_eq!(item, n);
                failed += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(failed > 0, "the disk never filled up");
    assert!(matches!(trail.outcomes.recv().await, Some(Outcome::Exempt(40))));
    // Reading goes on meanwhile.
    let page = trail.archive.history(&bare(juliet), &Query::default()).await.unwrap();
    assert_eq!(page.items.len(), stored);

    store.limit_pages(1 << 20).await.unwrap();
    let after = trail.say(romeo, juliet, "after").await;
    assert_eq!(after.sequence, Sequence(stored as u64 + 1));
    let report = verify(&*store, &trail.archive.public_key(), None, |_| {}).await.unwrap();
    assert_eq!((report.events, report.faults), (stored as u64 + 1, vec![]));
    trail.close().await;
}

#[tokio::test]
async fn a_draft_whose_write_conflicts_fails_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let there = Write::put("", "there", &Note(1), Expect::Any).unwrap();
    trail.vault.apply(vec![there]).await.unwrap();
    for n in 0..20u64 {
        let mut draft = draft("romeo@a.example/x", "juliet@a.example", &format!("word {n}"));
        let key = if n % 5 == 3 { "there".to_owned() } else { n.to_string() };
        draft.writes = vec![Write::put("", &key, &Note(n as u32), Expect::Absent).unwrap()];
        trail.submit(n, (n % 5 != 4).then_some(draft)).await;
    }
    let mut places = Vec::new();
    for n in 0..20 {
        match (trail.outcomes.recv().await.unwrap(), n % 5) {
            (Outcome::Failed(item, AppendError::Conflict), 3) => assert_eq!(item, n),
            (Outcome::Exempt(item), 4) => assert_eq!(item, n),
            (Outcome::Archived(archived), 0..3) => {
                assert_eq!(*archived.item(), n);
                places.push(archived.receipt().sequence.0);
            }
            (other, _) => panic!("{n}: {other:?}"),
        }
    }
    assert_eq!(places, (1..=12).collect::<Vec<_>>());
    assert_eq!(trail.vault.list::<Note>("").await.unwrap().len(), 13);
    assert_eq!(trail.vault.get::<Note>("", "there").await.unwrap().unwrap().value.0, 1);
    trail.close().await;
}

#[tokio::test]
async fn try_submit_gives_the_entry_back_when_the_queue_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), master()).await.unwrap();
    let options = Options { queue: 3, ..Options::default() };
    // The sink waits for us, so the queue stays as full as we make it.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let archive = Archive::start(vault.clone(), options, move |_: Outcome<u32>| {
        let _ = wait.lock().unwrap().recv();
    })
    .await
    .unwrap();
    let entry = |item| Entry { item, event: Some(draft("romeo@a.example/x", "juliet@a.example", "word")) };
    for n in 0..3 {
        archive.try_submit(entry(n)).unwrap();
    }
    assert_eq!(archive.try_submit(entry(3)).unwrap_err().item, 3);
    // A message that is larger than the whole queue still goes through, alone.
    let huge = draft("romeo@a.example/x", "juliet@a.example", &"word ".repeat(10_000));
    let waiting = archive.submit(Entry { item: 4, event: Some(huge) });
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    waiting.await;
    drop(go);
    archive.shutdown().await;
    assert_eq!(vault.store().head().await.unwrap().unwrap().sequence, Sequence(4));
    vault.close().await;
}

/// The other process of the next test: writes until it is killed, and says what has been archived.
#[tokio::test]
#[ignore = "the other half of the test that kills it"]
async fn writes_until_it_is_killed() {
    let Ok(folder) = std::env::var("CHANCERY_TEST_FOLDER") else { return };
    let vault = Vault::open(folder.as_ref(), master()).await.unwrap();
    let options = Options { checkpoint_events: 50, ..Options::default() };
    let archive = Archive::start(vault, options, |outcome: Outcome<u64>| match outcome {
        Outcome::Archived(archived) => {
            let mut out = std::io::stdout().lock();
            writeln!(out, "archived {} {}", archived.receipt().sequence, archived.item()).unwrap();
        }
        other => panic!("{other:?}"),
    })
    .await
    .unwrap();
    for n in 0u64.. {
        let mut draft =
            draft("romeo@a.example/x", &format!("user{}@a.example", n % 40), &format!("item {n}"));
        draft.spool = n.is_multiple_of(7).then(|| bare("spooled@a.example"));
        archive.submit(Entry { item: n, event: Some(draft) }).await;
    }
}

#[tokio::test]
async fn after_a_kill_at_any_moment_all_that_was_archived_is_there_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut end = 0;
    for round in 0..8u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env("CHANCERY_TEST_FOLDER", &data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Each round ends somewhere else; what was still in the pipe when it ended counts as said.
        let deadly = 30 + round * 173;
        while let Some(Ok(line)) = lines.next() {
            if let Some(rest) = line.rsplit_once("archived ").map(|(_, rest)| rest) {
                let (sequence, item) = rest.split_once(' ').unwrap();
                said.push((Sequence(sequence.parse().unwrap()), item.to_owned()));
                if said.len() as u64 == deadly {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(said.len() as u64 >= deadly, "round {round} ended early after {} messages", said.len());

        let trail = Trail::open(&data).await;
        let report = verify(&**trail.vault.store(), &trail.archive.public_key(), None, |_| {}).await.unwrap();
        assert!(report.is_whole(), "round {round}: {:?}", report.faults);
        assert!(said[0].0.0 > end, "round {round} wrote over what was there");
        let romeo = bare("romeo@a.example");
        for portion in said.chunks(500) {
            let ids: Vec<Sequence> = portion.iter().map(|(sequence, _)| *sequence).collect();
            let query = Query { ids: Some(ids), limit: 500, ..Query::default() };
            let page = trail.archive.history(&romeo, &query).await.unwrap();
            assert_eq!(page.items.len(), portion.len());
            for (item, (sequence, said)) in page.items.iter().zip(portion) {
                let stanza = std::str::from_utf8(&item.stanza).unwrap();
                assert_eq!(item.sequence, *sequence);
                assert!(stanza.contains(&format!("<body>item {said}</body>")), "{stanza}");
            }
        }
        let (first, last) = (said[0].0.0, said[said.len() - 1].0.0);
        assert_eq!(last - first + 1, said.len() as u64, "round {round} said something twice or left a hole");
        end = report.head.unwrap().sequence.0;
        assert!(trail.vault.store().check().await.unwrap().faults.is_empty());
        trail.close().await;
    }
}
