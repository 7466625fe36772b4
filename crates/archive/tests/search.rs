//! Finding messages by words: in memory, in segments, and in what the index has not reached.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::search::{Bare, Findings, Inquiry, Language, Order, Question, Scope};
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

/// Small segments, so that a few messages make many and merges happen.
async fn small(folder: &std::path::Path) -> Trail {
    let vault = vault::Vault::open(folder, common::master()).await.unwrap();
    Trail::with(vault, archive::Options { segment: 16, ..archive::Options::default() }).await
}

async fn indexed(trail: &Trail) {
    while trail.archive.indexing().is_behind() {
        tokio::task::yield_now().await;
    }
}

async fn ask(trail: &Trail, scope: &Scope, question: &str, change: impl Fn(&mut Inquiry<'_>)) -> Findings {
    let question = Question::parse(question, &Language { patterns: true, ..Language::default() }).unwrap();
    let mut inquiry = Inquiry::new(scope, &question, &Bare);
    change(&mut inquiry);
    trail.archive.find(&inquiry).await.unwrap()
}

fn places(findings: &Findings) -> Vec<u64> {
    findings.hits.iter().map(|hit| hit.item.sequence.0).collect()
}

#[tokio::test]
async fn merged_segments_answer_as_the_log_does_for_everybody_and_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = small(folder.path()).await;
    for n in 1..=1500u64 {
        let from = format!("p{}@a.example/x", n % 7);
        let to = format!("p{}@a.example", n % 5 + 7);
        let words = format!(
            "number {n} {} {}",
            if n % 3 == 0 { "fizz" } else { "x" },
            if n % 50 == 0 { "rarity" } else { "y" }
        );
        trail.say(&from, &to, &words).await;
    }
    indexed(&trail).await;
    assert!(trail.archive.indexing().segments < 30, "{:?}", trail.archive.indexing());
    let everybody = Scope::everybody();
    let one = Scope::of([bare("p3@a.example")]);
    for round in 0..2 {
        for (question, holds) in [
            ("fizz", (|n| n % 3 == 0) as fn(u64) -> bool),
            ("rarity", |n| n % 50 == 0),
            ("rarity fizz", |n| n % 150 == 0),
            ("-fizz", |n| n % 3 != 0),
            ("rari* OR \"number 7\"", |n| n % 50 == 0 || n == 7),
            ("from:p2 rarity", |n| n % 7 == 2 && n % 50 == 0),
            ("with:p8@a.example", |n| n % 5 == 1),
            ("~number 14.0~", |n| n / 100 == 14 && n % 10 == 0),
            ("", |_| true),
        ] {
            for (scope, mine) in [(&everybody, (|_| true) as fn(u64) -> bool), (&one, |n| n % 7 == 3)] {
                let expected: Vec<u64> = (1..=1500).rev().filter(|n| holds(*n) && mine(*n)).collect();
                let mut found = Vec::new();
                let mut cursor: Option<String> = None;
                loop {
                    let page = ask(&trail, scope, question, |inquiry| {
                        inquiry.limit = 33;
                        inquiry.cursor = cursor.clone();
                    });
                    let page = page.await;
                    found.extend(places(&page));
                    match page.cursor {
                        Some(next) => cursor = Some(next),
                        None => break,
                    }
                }
                assert_eq!(found, expected, "{question} in round {round}");
            }
        }
        let oldest = ask(&trail, &everybody, "rarity", |inquiry| {
            inquiry.order = Order::Oldest;
            inquiry.limit = 2;
        });
        assert_eq!(places(&oldest.await), [50, 100]);
        match round {
            0 => trail.archive.reindex().await.unwrap(),
            _ => break,
        }
        indexed(&trail).await;
    }
    trail.close().await;
}

#[tokio::test]
async fn pages_stay_where_they_are_while_messages_arrive_and_effort_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = small(folder.path()).await;
    for n in 1..=40 {
        trail.say("a@a.example/x", "b@a.example", &format!("tea {n}")).await;
    }
    let scope = Scope::of([bare("b@a.example")]);
    let first = ask(&trail, &scope, "tea", |inquiry| inquiry.limit = 10).await;
    assert_eq!(places(&first), (31..=40).rev().collect::<Vec<u64>>());
    assert!(!first.searched.complete);
    trail.say("a@a.example/x", "b@a.example", "more tea").await;
    let cursor = first.cursor.unwrap();
    let second =
        ask(&trail, &scope, "tea", |inquiry| (inquiry.limit, inquiry.cursor) = (10, Some(cursor.clone())))
            .await;
    assert_eq!(places(&second), (21..=30).rev().collect::<Vec<u64>>());
    let little = ask(&trail, &scope, "~no such thing~", |inquiry| inquiry.effort = 5).await;
    assert!(little.hits.is_empty() && !little.searched.complete && little.cursor.is_some());
    let forged = Question::everything();
    let inquiry = Inquiry { cursor: Some("forged".into()), ..Inquiry::new(&scope, &forged, &Bare) };
    assert!(trail.archive.find(&inquiry).await.is_err());
    let best = ask(&trail, &scope, "tea more", |inquiry| inquiry.order = Order::Best).await;
    assert_eq!(places(&best), [41]);
    trail.close().await;
}

#[tokio::test]
async fn hits_show_their_words_and_what_was_said_around_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = small(folder.path()).await;
    for (from, to, body) in [
        ("a", "b", "one"),
        ("a", "c", "elsewhere"),
        ("b", "a", "two"),
        ("a", "b", "the Größe matters"),
        ("c", "a", "elsewhere too"),
        ("b", "a", "four"),
        ("a", "b", "five"),
    ] {
        trail.say(&format!("{from}@a.example/x"), &format!("{to}@a.example"), body).await;
    }
    let scope = Scope::of([bare("a@a.example")]);
    let found = ask(&trail, &scope, "grosse", |inquiry| inquiry.lines = 2).await;
    let [hit] = found.hits.as_slice() else { panic!("{found:?}") };
    assert_eq!(hit.highlights.iter().map(|range| &hit.text[range.clone()]).collect::<Vec<_>>(), ["Größe"]);
    let texts =
        |lines: &[archive::search::Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    assert_eq!(
        (texts(&hit.before), texts(&hit.after)),
        (vec!["one".into(), "two".into()], vec!["four".into(), "five".into()])
    );
    trail.close().await;
}

#[tokio::test]
async fn a_misspelt_word_is_guessed_only_from_what_who_asks_may_see() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = small(folder.path()).await;
    trail.say("a@a.example/x", "b@a.example", "the merger is secret").await;
    for n in 0..40 {
        trail.say("b@a.example/x", "c@a.example", &format!("the meeting {n}")).await;
    }
    indexed(&trail).await;
    let asked_by = |owner: &str, question: &'static str| {
        let scope = Scope::of([bare(owner)]);
        let trail = &trail;
        async move { ask(trail, &scope, question, |_| {}).await.suggestion }
    };
    assert_eq!(asked_by("c@a.example", "meetnig from:b").await.as_deref(), Some("meeting from:b"));
    assert_eq!(asked_by("a@a.example", "mergre").await.as_deref(), Some("merger"));
    assert_eq!(asked_by("c@a.example", "mergre").await, None, "nobody said so to c");
    assert_eq!(asked_by("c@a.example", "meeting").await, None);
    trail.close().await;
}

#[tokio::test]
async fn what_is_forgotten_leaves_the_index_and_its_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = small(folder.path()).await;
    let mut erased = Vec::new();
    for n in 0..60 {
        let body = if n % 20 == 5 { "xylophone and tea" } else { "tea" };
        let receipt = trail.say("a@a.example/x", "b@a.example", body).await;
        if n % 20 == 5 {
            erased.push(receipt.sequence);
        }
    }
    indexed(&trail).await;
    let scope = Scope::of([bare("b@a.example")]);
    assert_eq!(ask(&trail, &scope, "xylophone", |_| {}).await.hits.len(), 3);
    trail.archive.forget(erased.clone()).await.unwrap();
    // The keys are still there in this test, so what is found by a scan shows that the index is what forgot.
    for _ in 0..2 {
        let gone = ask(&trail, &scope, "xylophone", |_| {}).await;
        assert!(gone.hits.is_empty());
        assert_eq!(gone.searched.erased, 3);
        assert_eq!(ask(&trail, &scope, "tea", |inquiry| inquiry.limit = 100).await.hits.len(), 57);
        assert_eq!(
            ask(&trail, &scope, "xylophnoe", |_| {}).await.suggestion,
            None,
            "the word is forgotten, too"
        );
        trail.close().await;
        trail = small(folder.path()).await;
        indexed(&trail).await;
    }
    trail.close().await;
}
