//! A walk sees each event of a selection once, oldest first.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::{Ledger, Selection, Sequence};
use common::{Trail, bare, draft};

async fn walk(trail: &Trail, selection: Selection) -> Vec<u64> {
    let mut walk = trail.archive.walk(selection);
    let mut seen = Vec::new();
    while let Some(portion) = walk.next().await.unwrap() {
        seen.extend(portion.items.iter().map(|item| item.sequence.0));
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_dates_and_books_narrow_a_walk() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", "1").await;
    let second = trail.say("juliet@corp.example/a", "nurse@corp.example", "2").await;
    trail.say("romeo@corp.example/a", "nurse@corp.example", "3").await;
    let mut joined = draft("romeo@corp.example/a", "nurse@corp.example", "4");
    joined.ledger = Ledger::Happenings;
    trail.store(joined).await;

    let all = Selection::default();
    assert_eq!(walk(&trail, all.clone()).await, [1, 2, 3]);
    assert_eq!(walk(&trail, Selection { happenings: true, ..all.clone() }).await, [1, 2, 3, 4]);
    let lovers =
        Selection { owners: vec![bare("romeo@corp.example"), bare("juliet@corp.example")], ..all.clone() };
    assert_eq!(walk(&trail, lovers.clone()).await, [1, 2, 3]);
    assert_eq!(walk(&trail, Selection { happenings: true, ..lovers.clone() }).await, [1, 2, 3, 4]);
    assert_eq!(
        walk(&trail, Selection { owners: vec![bare("romeo@corp.example")], ..all.clone() }).await,
        [1, 3]
    );
    assert_eq!(walk(&trail, Selection { after: Some(Sequence(1)), ..lovers.clone() }).await, [2, 3]);
    assert_eq!(walk(&trail, Selection { through: Some(Sequence(2)), ..lovers }).await, [1, 2]);
    assert_eq!(walk(&trail, Selection { start: Some(second.time), ..all.clone() }).await, [2, 3]);
    assert_eq!(walk(&trail, Selection { end: Some(second.time), ..all }).await, [1, 2]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_walk_over_many_books_is_in_order_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for at in 0..1500 {
        let (from, to) = (at % 3, (at + 1) % 5);
        trail
            .submit(at, Some(draft(&format!("p{from}@corp.example/a"), &format!("p{to}@corp.example"), "x")))
            .await;
    }
    for _ in 0..1500 {
        trail.outcomes.recv().await.unwrap();
    }
    let owners = (0..5).map(|at| bare(&format!("p{at}@corp.example"))).collect();
    let all: Vec<u64> = (1..=1500).collect();
    assert_eq!(walk(&trail, Selection { owners, ..Selection::default() }).await, all);
    assert_eq!(walk(&trail, Selection::default()).await, all);
    trail.close().await;
}
