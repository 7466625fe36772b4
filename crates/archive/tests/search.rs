//! Finding messages by words: in memory, in segments, and in what the index has not reached.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Trail, bare, draft};

#[tokio::test]
async fn words_are_found_in_the_owners_messages_only_newest_first_and_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    trail.say("romeo@a.example/x", "juliet@a.example", "The meeting is tomorrow").await;
    trail.say("juliet@a.example/x", "romeo@a.example", "Which meeting?").await;
    trail.say("romeo@a.example/x", "tybalt@a.example", "No meetings for you").await;
    let juliet = bare("juliet@a.example");
    for _ in 0..2 {
        assert_eq!(trail.found(&juliet, "MEETINGS", 10).await, [2, 1]);
        assert_eq!(trail.found(&juliet, "tomorrow meeting", 10).await, [1]);
        assert_eq!(trail.found(&juliet, "meeting", 1).await, [2]);
        assert!(trail.found(&juliet, "meeting yesterday", 10).await.is_empty());
        trail.close().await;
        trail = Trail::open(folder.path()).await;
    }
    trail.close().await;
}

#[tokio::test]
async fn a_message_is_found_by_its_sender_and_the_id_that_they_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    // The house's drafts all have the id x.
    trail.say("romeo@a.example/x", "juliet@a.example", "first").await;
    trail.say("romeo@a.example/y", "juliet@a.example", "second").await;
    trail.say("juliet@a.example/x", "romeo@a.example", "third").await;
    trail.say("romeo@a.example/x", "tybalt@a.example", "fourth").await;
    let (romeo, juliet) = (bare("romeo@a.example"), bare("juliet@a.example"));
    for _ in 0..2 {
        let found = |owner: &jid::BareJid, sender: &jid::BareJid, id: &str| {
            let (archive, owner, sender, id) =
                (trail.archive.clone(), owner.clone(), sender.clone(), id.to_owned());
            async move { archive.named(&owner, &sender, &id).await.unwrap().map(|item| item.sequence.0) }
        };
        assert_eq!(found(&juliet, &romeo, "x").await, Some(2), "the newest in her archive");
        assert_eq!(found(&romeo, &romeo, "x").await, Some(4));
        assert_eq!(found(&juliet, &juliet, "x").await, Some(3));
        assert_eq!(found(&juliet, &romeo, "z").await, None);
        trail.close().await;
        trail = Trail::open(folder.path()).await;
    }
    trail.close().await;
}

#[tokio::test]
async fn segments_and_memory_answer_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let marked = [1, 4_000, 8_192, 8_193, 12_000, 17_000];
    for n in 1..=17_000 {
        let word = if marked.contains(&n) { "heron" } else { "sparrow" };
        trail.submit(n, Some(draft("romeo@a.example/x", "juliet@a.example", &format!("a {word} {n}")))).await;
    }
    for _ in 0..17_000 {
        trail.outcomes.recv().await.unwrap();
    }
    let juliet = bare("juliet@a.example");
    let expected: Vec<u64> = marked.into_iter().rev().collect();
    for _ in 0..2 {
        // Stopping waits until the index has taken what was offered, so the second round reads segments.
        assert_eq!(trail.found(&juliet, "herons", 10).await, expected);
        assert_eq!(trail.found(&juliet, "heron 8193", 10).await, [8193]);
        trail.close().await;
        trail = Trail::open(folder.path()).await;
    }
    trail.close().await;
}
