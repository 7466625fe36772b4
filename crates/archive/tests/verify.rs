//! Every way of tampering with the log is found, with the public key alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use archive::{Fault, Options, Query, Report, Sequence, verify, verify_sealed};
use common::{Trail, draft, master};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use vault::{Batch, Checkpoint, Head, SealedEvent, Store, Vault, sqlite};

const EVENTS: u64 = 45;

/// A log of 45 events with a checkpoint for about every ten, shut down properly. Returns the public key.
async fn log(data: &Path) -> [u8; 32] {
    let options = Options { checkpoint_events: 10, ..Options::default() };
    let mut trail = Trail::with(Vault::open(data, master()).await.unwrap(), options).await;
    for n in 0..EVENTS {
        trail.store(draft("romeo@a.example/x", "juliet@a.example", &format!("word {n}"))).await;
    }
    let key = trail.archive.public_key();
    trail.close().await;
    key
}

async fn checkpoints(data: &Path) -> Vec<Checkpoint> {
    let store = sqlite::open(data, sqlite::Options::default()).await.unwrap();
    let all = store.checkpoints(Sequence::ZERO, 100).await.unwrap();
    store.close().await;
    all
}

async fn examine(data: &Path, key: &[u8; 32], anchor: Option<&Checkpoint>) -> Report {
    let store = sqlite::open(data, sqlite::Options { create: false, ..Default::default() }).await.unwrap();
    let report = verify(&store, key, anchor, |_| {}).await.unwrap();
    store.close().await;
    report
}

/// What is found after `sql` has been run on a copy of the raw database.
async fn tampered(original: &Path, key: &[u8; 32], sql: &str, anchor: Option<&Checkpoint>) -> Report {
    let copy = tempfile::tempdir().unwrap();
    let data = copy.path().join("data");
    sqlite::restore(original, &data).unwrap();
    let db = Connection::open(data.join("vault.db")).unwrap();
    db.execute_batch(sql).unwrap();
    assert!(db.changes() > 0, "{sql} changed nothing");
    drop(db);
    examine(&data, key, anchor).await
}

fn broken(sequences: &[u64]) -> Vec<Fault> {
    sequences.iter().map(|at| Fault::Broken { sequence: Sequence(*at) }).collect()
}

#[tokio::test]
async fn an_untouched_log_is_whole_and_signed_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    let report = examine(folder.path(), &key, None).await;
    assert_eq!((report.events, report.unsigned, report.checkpoints), (EVENTS, 0, 5));
    assert!(report.is_whole(), "{:?}", report.faults);
    assert_eq!(report.head.unwrap().sequence, Sequence(EVENTS));
    // With another key, nothing is signed.
    let other = examine(folder.path(), &archive_of_someone_else(), None).await;
    assert_eq!(other.faults.len(), 5);
    assert!(other.faults.iter().all(|fault| matches!(fault, Fault::Forged { .. })));
}

fn archive_of_someone_else() -> [u8; 32] {
    // A point of the curve with no known secret: its base point.
    let mut key = [0x66; 32];
    key[0] = 0x58;
    key
}

#[tokio::test]
async fn every_change_of_an_event_is_found_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    for change in [
        "sealed = CAST(x'00' || substr(sealed, 2) AS BLOB)",
        "sealed = CAST(substr(sealed, 1, length(sealed) - 1) AS BLOB)",
        "sealed = (SELECT sealed FROM events WHERE sequence = 8)",
        "time = time + 1",
        "writer = 5",
        "key = randomblob(16)",
        "tags = CAST(tags || randomblob(16) AS BLOB)",
        "tags = CAST(substr(tags, 17) AS BLOB)",
    ] {
        let sql = format!("UPDATE events SET {change} WHERE sequence = 7");
        let report = tampered(folder.path(), &key, &sql, None).await;
        let mut faults = report.faults;
        // A moment that was moved may also be out of order.
        faults.retain(|fault| !matches!(fault, Fault::Older { .. }));
        assert_eq!(faults, broken(&[7]), "{change}");
    }
    // A changed hash breaks the link to it and the link from it.
    let sql = "UPDATE events SET hash = randomblob(32) WHERE sequence = 7";
    assert_eq!(tampered(folder.path(), &key, sql, None).await.faults, broken(&[7, 8]));
}

#[tokio::test]
async fn removed_events_are_found_in_the_middle_at_the_start_and_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    for (range, from, to) in
        [("= 7", 7, 7), ("BETWEEN 1 AND 3", 1, 3), ("> 40", 41, EVENTS), ("= 45", 45, 45)]
    {
        let sql = format!("DELETE FROM events WHERE sequence {range}");
        let report = tampered(folder.path(), &key, &sql, None).await;
        assert!(
            report.faults.contains(&Fault::Missing { from: Sequence(from), to: Sequence(to) }),
            "{range}: {:?}",
            report.faults
        );
    }
}

#[tokio::test]
async fn reordered_and_inserted_events_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    let swap = "UPDATE events SET sequence = -7 WHERE sequence = 7;
                UPDATE events SET sequence = 7 WHERE sequence = 8;
                UPDATE events SET sequence = 8 WHERE sequence = -7;";
    let faults = tampered(folder.path(), &key, swap, None).await.faults;
    assert!(faults.starts_with(&broken(&[7, 8])), "{faults:?}");

    let insert = "UPDATE events SET sequence = -sequence - 1 WHERE sequence > 20;
                  UPDATE events SET sequence = -sequence WHERE sequence < 0;
                  INSERT INTO events SELECT 21, time, writer, key, hash, tags, sealed FROM events WHERE sequence = 20;";
    let faults = tampered(folder.path(), &key, insert, None).await.faults;
    assert!(faults.contains(&Fault::Broken { sequence: Sequence(21) }), "{faults:?}");

    let append =
        "INSERT INTO events SELECT 46, time, writer, key, hash, tags, sealed FROM events WHERE sequence = 45";
    assert_eq!(tampered(folder.path(), &key, append, None).await.faults, broken(&[46]));
}

#[tokio::test]
async fn a_chain_that_was_computed_anew_is_not_the_one_that_was_signed() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    // Whoever writes another chain needs no secret for its hashes: here, one of the same server on another day.
    let other = tempfile::tempdir().unwrap();
    log(other.path()).await;
    let sql = format!(
        "ATTACH '{}' AS other; DELETE FROM events; INSERT INTO events SELECT * FROM other.events;",
        other.path().join("vault.db").display()
    );
    let report = tampered(folder.path(), &key, &sql, None).await;
    assert_eq!(report.faults.len(), 5);
    assert!(
        report.faults.iter().all(|fault| matches!(fault, Fault::Rewritten { .. })),
        "{:?}",
        report.faults
    );
}

#[tokio::test]
async fn checkpoints_can_be_neither_forged_nor_left_out_nor_cut_off_with_what_they_cover() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    let all = checkpoints(folder.path()).await;
    let second = all[1].sequence;

    let forge = format!("UPDATE checkpoints SET time = time + 1 WHERE sequence = {second}");
    assert_eq!(
        tampered(folder.path(), &key, &forge, None).await.faults,
        [Fault::Forged { sequence: second }]
    );

    let leave_out = format!("DELETE FROM checkpoints WHERE sequence = {second}");
    let faults = tampered(folder.path(), &key, &leave_out, None).await.faults;
    assert_eq!(faults, [Fault::CheckpointMissing { sequence: all[2].sequence }]);

    // The end together with its checkpoint is a shorter chain that is whole in itself, but for what was kept elsewhere.
    let cut = format!(
        "DELETE FROM events WHERE sequence > {second}; DELETE FROM checkpoints WHERE sequence > {second};"
    );
    assert!(tampered(folder.path(), &key, &cut, None).await.is_whole());
    let faults = tampered(folder.path(), &key, &cut, all.last()).await.faults;
    assert_eq!(faults, [Fault::AnchorMissing { sequence: Sequence(EVENTS) }]);
    assert!(examine(folder.path(), &key, all.last()).await.is_whole());
}

fn describe(hash: &mut Sha256, event: &SealedEvent) {
    hash.update(event.sequence.0.to_le_bytes());
    hash.update(event.writer.to_le_bytes());
    hash.update(event.time.0.to_le_bytes());
    hash.update(event.key.as_bytes());
    hash.update((event.tags.len() as u32).to_le_bytes());
    event.tags.iter().for_each(|tag| hash.update(tag.as_bytes()));
    hash.update(Sha256::digest(&event.sealed));
}

/// What somebody without the keys can append so that the chain holds.
fn forged(after: &Head, like: &SealedEvent) -> SealedEvent {
    let mut event = SealedEvent { sequence: after.sequence.next(), ..like.clone() };
    let mut leaf = Sha256::new();
    leaf.update(b"chancery event 2");
    describe(&mut leaf, &event);
    let mut hash = Sha256::new();
    hash.update(b"chancery chain 2");
    hash.update(after.hash);
    hash.update(leaf.finalize());
    event.hash = hash.finalize().into();
    event
}

#[tokio::test]
async fn an_event_that_was_appended_without_the_keys_is_unsigned_and_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    let store = sqlite::open(folder.path(), sqlite::Options::default()).await.unwrap();
    let (head, last) =
        (store.head().await.unwrap().unwrap(), store.scan(Sequence(EVENTS - 1), 1).await.unwrap());
    let events = vec![forged(&head, &last[0])];
    store.commit(Batch { events, ..Batch::default() }).await.unwrap();
    let report = verify(&store, &key, None, |_| {}).await.unwrap();
    assert_eq!((report.unsigned, report.faults), (1, vec![]));
    store.close().await;

    let vault = Vault::open(folder.path(), master()).await.unwrap();
    let report = verify_sealed(&vault, None, |_| {}).await.unwrap();
    assert_eq!(report.faults, [Fault::Foreign { sequence: Sequence(EVENTS + 1) }]);
    vault.close().await;
}

#[tokio::test]
async fn a_log_whose_beginning_has_the_first_form_of_the_chain_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let key = log(folder.path()).await;
    let other = tempfile::tempdir().unwrap();
    let store = sqlite::open(folder.path(), sqlite::Options::default()).await.unwrap();
    let older = sqlite::open(other.path(), sqlite::Options::default()).await.unwrap();
    let mut events = store.scan(Sequence::ZERO, EVENTS as usize).await.unwrap();
    let mut previous = [0; 32];
    for event in &mut events {
        let mut hash = Sha256::new();
        hash.update(b"chancery chain 1");
        hash.update(previous);
        describe(&mut hash, event);
        event.hash = hash.finalize().into();
        previous = event.hash;
    }
    older.commit(Batch { events, ..Batch::default() }).await.unwrap();
    assert!(verify(&older, &key, None, |_| {}).await.unwrap().is_whole());
    store.close().await;
    older.close().await;
}

#[tokio::test]
async fn a_busy_log_is_whole_while_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_events: 7, ..Options::default() };
    let mut trail = Trail::with(Vault::open(folder.path(), master()).await.unwrap(), options).await;
    for n in 0..2_000 {
        trail.submit(n, Some(draft("romeo@a.example/x", "juliet@a.example", "word"))).await;
        if n % 100 == 0 {
            let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
            assert!(report.is_whole(), "after {n}: {:?}", report.faults);
        }
    }
    for _ in 0..2_000 {
        trail.outcomes.recv().await.unwrap();
    }
    trail.close().await;
}

#[tokio::test]
async fn erasing_a_conversation_by_its_key_keeps_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let kept = trail.say("romeo@a.example/x", "juliet@a.example", "kept").await;
    let erased = trail.say("tybalt@a.example/x", "juliet@a.example", "erased").await;
    let id = trail.vault.store().events(vec![erased.sequence]).await.unwrap()[0].key;
    trail.vault.destroy_keys(&[id]).await.unwrap();
    trail.close().await;

    let trail = Trail::open(folder.path()).await;
    let page = trail.archive.history(&common::bare("juliet@a.example"), &Query::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.sequence).collect::<Vec<_>>(), [kept.sequence]);
    let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
    trail.close().await;
}

#[tokio::test]
async fn what_somebody_else_took_is_not_taken_for_erased() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let said = trail.say("romeo@a.example/x", "juliet@a.example", "kept").await;
    let robbed = trail.say("tybalt@a.example/x", "juliet@a.example", "robbed of its key").await;
    let gutted = trail.say("nurse@a.example/x", "juliet@a.example", "robbed of its body").await;
    let event = trail.vault.store().events(vec![robbed.sequence]).await.unwrap().remove(0);
    // The chain holds all the same: it covers no more than a digest.
    trail.vault.store().drop_bodies(vec![gutted.sequence]).await.unwrap();
    trail.close().await;
    let db = Connection::open(folder.path().join("keys.db")).unwrap();
    assert_eq!(db.execute("DELETE FROM keys WHERE id = ?1", [event.key.as_bytes()]).unwrap(), 1);
    drop(db);

    let trail = Trail::open(folder.path()).await;
    let report = verify(&**trail.vault.store(), &trail.archive.public_key(), None, |_| {}).await.unwrap();
    assert_eq!((report.dropped, report.faults), (1, vec![]));
    let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
    let dropped = Fault::Dropped { from: gutted.sequence, to: gutted.sequence };
    assert_eq!(report.faults, [Fault::KeyMissing { sequence: robbed.sequence }, dropped]);
    let page = trail.archive.history(&common::bare("juliet@a.example"), &Query::default()).await.unwrap();
    assert_eq!(page.items.iter().map(|item| item.sequence).collect::<Vec<_>>(), [said.sequence]);
    trail.close().await;
}

#[tokio::test]
async fn a_message_that_was_tampered_with_does_not_hide_the_others() {
    let folder = tempfile::tempdir().unwrap();
    log(folder.path()).await;
    let db = Connection::open(folder.path().join("vault.db")).unwrap();
    db.execute("UPDATE events SET time = time + 1 WHERE sequence = 7", []).unwrap();
    drop(db);
    let trail = Trail::open(folder.path()).await;
    let page = trail.archive.history(&common::bare("juliet@a.example"), &Query::default()).await.unwrap();
    let places: Vec<u64> = page.items.iter().map(|item| item.sequence.0).collect();
    assert_eq!(places, (1..=EVENTS).filter(|at| *at != 7).collect::<Vec<_>>());
    trail.close().await;
}

#[tokio::test]
async fn a_quiet_server_signs_after_a_while_without_being_asked() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_after: std::time::Duration::from_millis(20), ..Options::default() };
    let mut trail = Trail::with(Vault::open(folder.path(), master()).await.unwrap(), options).await;
    let said = trail.say("romeo@a.example/x", "juliet@a.example", "soft").await;
    let signed = async {
        while trail.vault.store().last_checkpoint().await.unwrap().is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), signed).await.expect("no checkpoint");
    assert_eq!(trail.vault.store().last_checkpoint().await.unwrap().unwrap().sequence, said.sequence);
    trail.close().await;
}
