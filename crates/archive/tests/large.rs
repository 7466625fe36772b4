//! Exports take memory for what is under way, not for what there is.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::Selection;
use archive::export::{Choice, Destination, Form, NoAttachments, Order, Output};
use common::{Trail, draft};

/// Counts what it is given.
struct Nowhere(u64);

#[async_trait::async_trait]
impl Output for Nowhere {
    async fn write(&mut self, bytes: Vec<u8>) -> std::io::Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ']).trim_end_matches(" kB").trim().parse().unwrap()
}

const EVENTS: u64 = 2_000;
const BODY: usize = 16_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes in a build that is not optimised: cargo test --release -p archive --test large -- --ignored"]
async fn an_export_does_not_grow_in_memory_with_what_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let words = "word ".repeat(BODY / 5);
    for n in 0..EVENTS {
        let to = format!("person{}@corp.example", n % 50);
        let mut said = draft("romeo@corp.example/a", &to, &words);
        said.text = None;
        trail.submit(n, Some(said)).await;
    }
    for _ in 0..EVENTS {
        trail.outcomes.recv().await.unwrap();
    }
    let order = |form| Order {
        title: "large".into(),
        form,
        selection: Selection::default(),
        question: None,
        by: "auditor@corp.example".into(),
        matter: None,
        choose: &|_| Choice::Take,
        attachments: &NoAttachments,
        progress: &|_, _| {},
    };
    // The database's own cache fills once.
    trail.archive.export(order(Form::Csv), Destination::Zip(&mut Nowhere(0))).await.unwrap();
    // One form that is a sheet, and one that gathers days.
    for form in [Form::Csv, Form::Eml] {
        // From here on, the peak counts anew.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = status("VmRSS");
        let mut out = Nowhere(0);
        let manifest = trail.archive.export(order(form), Destination::Zip(&mut out)).await.unwrap();
        assert_eq!(manifest.counts.events, EVENTS);
        let grown = status("VmHWM").saturating_sub(before) / 1024;
        // All of it would be 32 MB of words, more than three times over.
        assert!(grown < 72, "{form:?}: {grown} MiB for {} MiB of words", (EVENTS as usize * BODY) >> 20);
    }
    trail.close().await;
}
