//! Who read other people's words is on a chain of its own.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::{Act, Deed};
use common::{Trail, bare};
use jid::Jid;
use serde_json::json;

fn act(question: &str) -> Act {
    let by = Jid::new("auditor@corp.example").unwrap();
    Act::new(by, Deed::Search, json!({ "question": question })).under("m1")
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_are_numbered_without_gaps_and_hang_together_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    trail.archive.audit(act("one <&> more")).await.unwrap();
    trail.say("romeo@corp.example/a", "juliet@corp.example", "in between").await;
    trail.archive.audit(act("two")).await.unwrap();
    trail.close().await;

    let trail = Trail::open(folder.path()).await;
    trail.archive.audit(act("three")).await.unwrap();
    let entries = trail.archive.audited(None, 10).await.unwrap();
    let numbers: Vec<_> = entries.iter().map(|entry| (entry.number, entry.follows)).collect();
    assert_eq!(numbers, [(3, Some(true)), (2, Some(true)), (1, Some(true))]);
    assert_eq!(entries[2].act, act("one <&> more"));

    let page = trail.archive.audited(Some(3), 1).await.unwrap();
    assert_eq!(page.iter().map(|entry| (entry.number, entry.follows)).collect::<Vec<_>>(), [(2, Some(true))]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_auditors_do_is_in_nobodys_history() {
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail::open(folder.path()).await;
    trail.archive.audit(act("secret plan")).await.unwrap();
    let page = trail.archive.history(&bare("auditor@corp.example"), &Default::default()).await.unwrap();
    assert_eq!(page.items, []);
    assert!(trail.found(&bare("auditor@corp.example"), "secret", 5).await.is_empty());
    trail.close().await;
}
