//! A journal carries every event in order, and a crash repeats some and loses none.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use archive::export::NoAttachments;
use archive::{Carrier, Journal, JournalFolder, JournalOptions, Journalled};
use async_trait::async_trait;
use common::Trail;
use parking_lot::Mutex;
use tokio::sync::watch;

/// Remembers what it was given, and fails at the times that it is told to.
#[derive(Default)]
struct Post {
    taken: Mutex<Vec<(u64, String)>>,
    tries: AtomicUsize,
    fails_at: Vec<usize>,
}

fn message_id(message: &[u8]) -> String {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let line = text.lines().find(|line| line.starts_with("Message-ID:")).unwrap();
    line.to_owned()
}

#[async_trait]
impl Carrier for Post {
    async fn carry(&self, event: &Journalled) -> Result<(), String> {
        if self.fails_at.contains(&self.tries.fetch_add(1, Ordering::Relaxed)) {
            return Err("not now".into());
        }
        self.taken.lock().push((event.sequence.0, message_id(&event.message)));
        Ok(())
    }

    async fn settle(&self) -> Result<(), String> {
        Ok(())
    }
}

fn options() -> JournalOptions {
    JournalOptions {
        name: "test".into(),
        domain: "corp.example".into(),
        rest: Duration::from_millis(5),
        patience: Duration::from_millis(1),
    }
}

fn journal(trail: &Trail) -> Journal {
    trail.archive.journal(options())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_carried_once_in_order_and_failures_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for n in 0..20 {
        trail.say("romeo@corp.example/a", "juliet@corp.example", &format!("word {n}")).await;
    }
    let post = Post { fails_at: vec![0, 3, 9, 10], ..Post::default() };
    let (stop, stopped) = watch::channel(false);
    let journal = journal(&trail);
    let run = journal.run(&post, &NoAttachments, stopped);
    let follow = async {
        while journal.position().await.unwrap().0 < 20 {
            tokio::task::yield_now().await;
        }
        // What comes later is carried without a word.
        trail.say("juliet@corp.example/a", "romeo@corp.example", "later").await;
        while journal.position().await.unwrap().0 < 21 {
            tokio::task::yield_now().await;
        }
        stop.send(true).unwrap();
    };
    tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(run, follow) }).await.unwrap();
    let mut taken = post.taken.into_inner();
    assert!(taken.len() > 21, "what was carried before a failure is carried again");
    taken.sort();
    taken.dedup();
    // The same event has the same Message-ID each time.
    assert_eq!(taken.iter().map(|(at, _)| *at).collect::<Vec<_>>(), (1..=21).collect::<Vec<_>>());
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_goes_on_after_a_restart_where_it_stood() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for n in 0..3 {
        trail.say("romeo@corp.example/a", "juliet@corp.example", &format!("word {n}")).await;
    }
    let post = Post::default();
    assert_eq!(journal(&trail).step(&post, &NoAttachments).await, Ok(3));
    trail.close().await;

    let mut trail = Trail::open(folder.path()).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", "more").await;
    assert_eq!(journal(&trail).step(&post, &NoAttachments).await, Ok(1));
    assert_eq!(journal(&trail).step(&post, &NoAttachments).await, Ok(0));
    assert_eq!(post.taken.lock().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [1, 2, 3, 4]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_a_whole_message_for_each_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(&folder.path().join("data")).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", "soft, what light").await;
    let out = folder.path().join("journal");
    let carrier = JournalFolder::new(&out);
    assert_eq!(journal(&trail).step(&carrier, &NoAttachments).await, Ok(1));
    let day = std::fs::read_dir(&out).unwrap().next().unwrap().unwrap().path();
    let message = std::fs::read_to_string(day.join("000000000001.eml")).unwrap();
    assert!(
        message.contains("soft, what light") && message.contains("X-Chancery-Sequence: 1\r\n"),
        "{message}"
    );
    assert!(message.contains("stanza.xml"), "{message}");
    trail.close().await;
}
