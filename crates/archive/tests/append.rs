//! Appending: order, durability, the chain, the spool.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::{Outcome, Query, Sequence, verify};
use common::{Trail, bare, draft};

#[tokio::test]
async fn entries_come_back_in_the_order_of_submission_and_events_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for n in 0..100 {
        let event =
            (n % 3 != 0).then(|| draft("romeo@a.example/x", "juliet@a.example", &format!("word {n}")));
        trail.submit(n, event).await;
    }
    let mut last = Sequence::ZERO;
    for n in 0..100 {
        match trail.outcomes.recv().await.unwrap() {
            Outcome::Exempt(item) => assert_eq!((item, item % 3), (n, 0)),
            Outcome::Archived(archived) => {
                assert_eq!(*archived.item(), n);
                assert_eq!(archived.receipt().sequence, last.next());
                last = archived.receipt().sequence;
            }
            Outcome::Failed(item, error) => panic!("{item}: {error}"),
        }
    }
    let key = trail.archive.public_key();
    trail.close().await;

    let mut trail = Trail::open(folder.path()).await;
    let page = trail.archive.history(&bare("juliet@a.example"), &Query::default()).await.unwrap();
    assert_eq!(page.items.len(), 66);
    assert!(page.complete);
    let next = trail.say("juliet@a.example/y", "romeo@a.example", "goodnight").await;
    assert_eq!(next.sequence, last.next());
    assert!(next.time >= page.items[65].time);
    let report = verify(&**trail.vault.store(), &key, None, |_| {}).await.unwrap();
    assert_eq!((report.events, report.unsigned, report.faults), (67, 1, vec![]));
    trail.close().await;
}

#[tokio::test]
async fn an_offline_message_is_taken_once_and_can_be_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let juliet = bare("juliet@a.example");
    for n in 0..12 {
        let mut draft = draft("romeo@a.example/x", "juliet@a.example", &format!("word {n}"));
        draft.spool = Some(juliet.clone());
        trail.submit(n, Some(draft)).await;
    }
    // Taking is ordered behind what was submitted.
    let taken = trail.archive.take_spool(&juliet).await.unwrap();
    let places: Vec<Sequence> = taken.iter().map(|item| item.sequence).collect();
    assert_eq!(places, (1..=12).map(Sequence).collect::<Vec<_>>());
    assert!(trail.archive.take_spool(&juliet).await.unwrap().is_empty());
    trail.archive.spool(&juliet, places[3..5].to_vec()).await.unwrap();
    trail.say("romeo@a.example/x", "juliet@a.example", "not spooled").await;
    trail.close().await;

    let trail = Trail::open(folder.path()).await;
    let again = trail.archive.take_spool(&juliet).await.unwrap();
    assert_eq!(again, taken[3..5]);
    trail.close().await;
}

#[tokio::test]
async fn what_was_submitted_before_a_shutdown_is_stored_and_what_comes_after_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for n in 0..50 {
        trail.submit(n, Some(draft("romeo@a.example/x", "juliet@a.example", "word"))).await;
    }
    trail.archive.shutdown().await;
    trail.submit(50, Some(draft("romeo@a.example/x", "juliet@a.example", "late"))).await;
    for n in 0..50 {
        assert!(matches!(trail.outcomes.recv().await, Some(Outcome::Archived(a)) if *a.item() == n));
    }
    assert!(matches!(trail.outcomes.recv().await, Some(Outcome::Failed(50, archive::AppendError::Closed))));
    trail.vault.close().await;
}
