//! What every [`Store`] must do, as one test-suite.
//!
//! A backend's tests give it a [`Bench`] and call [`run`]; a broken promise panics with the name of the case. The
//! suite says nothing about keys or contents: a store knows neither.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test-suite that backends' tests call"
)]

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    Batch, Blind, Checkpoint, Expect, KeyUse, Micros, SealedEvent, SealedWrite, Sequence, Store, StoreError,
    Window,
};

/// A future that a [`Bench`] returns.
pub type Opening<'a> = Pin<Box<dyn Future<Output = Arc<dyn Store>> + 'a>>;

/// Where stores come from.
pub trait Bench {
    /// A new, empty store.
    fn fresh(&self) -> Opening<'_>;
    /// Closes a store that [`Bench::fresh`] made, and opens what it left behind.
    fn reopen(&self, store: Arc<dyn Store>) -> Opening<'_>;
    /// Opens a copy that [`Store::backup`] wrote, without its keys.
    fn open_backup(&self, folder: &Path) -> Opening<'_>;
    /// An empty folder for a backup.
    fn backup_folder(&self) -> std::path::PathBuf;
}

/// Runs every case.
///
/// # Panics
/// When the store breaks a promise.
pub async fn run(bench: &dyn Bench) {
    records_follow_their_expectations(bench).await;
    records_are_listed_by_kind_and_parent(bench).await;
    a_refused_batch_leaves_nothing(bench).await;
    the_log_takes_no_gap(bench).await;
    concurrent_batches_succeed_or_fail_alone(bench).await;
    events_are_found_by_place_and_tag(bench).await;
    moments_are_found(bench).await;
    checkpoints_are_kept(bench).await;
    keys_are_kept(bench).await;
    bodies_are_dropped(bench).await;
    a_backup_is_one_moment(bench).await;
    a_closed_store_says_so(bench).await;
}

/// A blind for a test.
pub fn blind(n: u64) -> Blind {
    let mut bytes = [0; 16];
    // Spread over all bytes, as keyed hashes are.
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    Blind::from_bytes(bytes)
}

/// An event for a test.
pub fn event(sequence: u64, tags: &[u64]) -> SealedEvent {
    SealedEvent {
        sequence: Sequence(sequence),
        writer: 7,
        time: Micros(sequence as i64 * 1000),
        key: blind(sequence % 5),
        tags: tags.iter().map(|tag| blind(*tag)).collect(),
        sealed: Bytes::from(sequence.to_string().repeat(50)),
        hash: [sequence as u8; 32],
    }
}

fn events(events: impl IntoIterator<Item = SealedEvent>) -> Batch {
    Batch { events: events.into_iter().collect(), ..Batch::default() }
}

fn put(key: u64, expect: Expect, value: &'static str) -> SealedWrite {
    SealedWrite { kind: 1, parent: blind(0), key: blind(key), expect, value: Some(Bytes::from(value)) }
}

fn delete(key: u64, expect: Expect) -> SealedWrite {
    SealedWrite { value: None, ..put(key, expect, "") }
}

fn writes(writes: impl IntoIterator<Item = SealedWrite>) -> Batch {
    Batch { writes: writes.into_iter().collect(), ..Batch::default() }
}

async fn value(store: &dyn Store, key: u64) -> Option<Bytes> {
    store.record(1, blind(0), blind(key)).await.unwrap().map(|record| record.value)
}

async fn records_follow_their_expectations(bench: &dyn Bench) {
    let store = bench.fresh().await;
    let conflict = Err(StoreError::Conflict);
    assert_eq!(value(&*store, 1).await, None);
    assert!(store.is_empty().await.unwrap());
    let one = store.commit(writes([put(1, Expect::Absent, "one")])).await.unwrap();
    assert_eq!(store.commit(writes([put(1, Expect::Absent, "again")])).await, conflict);
    assert_eq!(store.commit(writes([put(1, Expect::Version(one + 1), "x")])).await, conflict);
    assert_eq!(store.commit(writes([delete(1, Expect::Version(one + 1))])).await, conflict);
    assert_eq!(store.commit(writes([delete(1, Expect::Absent)])).await, conflict);
    assert_eq!(value(&*store, 1).await.unwrap(), "one");
    assert!(!store.is_empty().await.unwrap());

    let two = store.commit(writes([put(1, Expect::Version(one), "two")])).await.unwrap();
    assert!(two > one);
    assert_eq!(store.record(1, blind(0), blind(1)).await.unwrap().unwrap().version, two);
    let three = store.commit(writes([put(1, Expect::Any, "three")])).await.unwrap();
    store.commit(writes([delete(1, Expect::Version(three))])).await.unwrap();
    assert_eq!(value(&*store, 1).await, None);
    store.commit(writes([delete(1, Expect::Any)])).await.unwrap();
    store.commit(writes([delete(1, Expect::Absent)])).await.unwrap();
    assert_eq!(store.commit(writes([put(1, Expect::Version(three), "ghost")])).await, conflict);

    // A version is never given twice, not even over a deletion and a restart.
    let store = bench.reopen(store).await;
    let four = store.commit(writes([put(1, Expect::Absent, "four")])).await.unwrap();
    assert!(four > three);
    assert_eq!(value(&*store, 1).await.unwrap(), "four");
    // The order within a batch counts.
    store.commit(writes([delete(1, Expect::Version(four)), put(1, Expect::Absent, "five")])).await.unwrap();
    assert_eq!(value(&*store, 1).await.unwrap(), "five");
    store.close().await;
}

async fn records_are_listed_by_kind_and_parent(bench: &dyn Bench) {
    let store = bench.fresh().await;
    let mut batch = writes((1..=20).map(|key| put(key, Expect::Any, "mine")));
    batch.writes.push(SealedWrite { parent: blind(9), ..put(1, Expect::Any, "another parent's") });
    batch.writes.push(SealedWrite { kind: 2, ..put(1, Expect::Any, "another kind's") });
    store.commit(batch).await.unwrap();
    let mut keys: Vec<Blind> =
        store.records(1, blind(0)).await.unwrap().into_iter().map(|record| record.key).collect();
    keys.sort_unstable();
    let mut expected: Vec<Blind> = (1..=20).map(blind).collect();
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let some = store.records_of(1, blind(0), vec![keys[0], blind(99)]).await.unwrap();
    assert_eq!(some.iter().map(|record| record.key).collect::<Vec<_>>(), [keys[0]]);
    assert_eq!(store.records_of(2, blind(5), keys.clone()).await.unwrap().len(), 0);
    assert_eq!(store.records(2, blind(0)).await.unwrap().len(), 1);
    assert_eq!(store.records(1, blind(5)).await.unwrap().len(), 0);
    store.close().await;
}

async fn a_refused_batch_leaves_nothing(bench: &dyn Bench) {
    let store = bench.fresh().await;
    store.commit(writes([put(1, Expect::Any, "there")])).await.unwrap();
    let mut batch = events([event(1, &[1])]);
    batch.writes = vec![put(2, Expect::Any, "new"), put(1, Expect::Absent, "conflict")];
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict));
    let mut store = store;
    for _ in 0..2 {
        assert_eq!(store.head().await.unwrap(), None);
        assert_eq!(value(&*store, 2).await, None);
        assert_eq!(store.tagged(blind(1), Window::first(10)).await.unwrap(), []);
        store = bench.reopen(store).await;
    }
    store.close().await;
}

async fn the_log_takes_no_gap(bench: &dyn Bench) {
    let store = bench.fresh().await;
    let gap = Err(StoreError::Gap);
    assert_eq!(store.commit(events([event(2, &[1])])).await, gap);
    assert_eq!(store.commit(events([event(1, &[1]), event(3, &[1])])).await, gap);
    assert_eq!(store.head().await.unwrap(), None);
    store.commit(events([event(1, &[1]), event(2, &[1])])).await.unwrap();
    assert_eq!(store.commit(events([event(2, &[1])])).await, gap);
    let store = bench.reopen(store).await;
    assert_eq!(store.commit(events([event(4, &[1])])).await, gap);
    store.commit(events([event(3, &[1])])).await.unwrap();
    let head = store.head().await.unwrap().unwrap();
    assert_eq!((head.sequence, head.time, head.hash), (Sequence(3), Micros(3000), [3; 32]));
    store.close().await;
}

async fn concurrent_batches_succeed_or_fail_alone(bench: &dyn Bench) {
    let store = bench.fresh().await;
    store.commit(writes([put(0, Expect::Any, "there")])).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for key in 1..=60 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let mut batch = writes([put(key, Expect::Absent, "new")]);
            if key % 3 == 0 {
                batch.writes.push(put(0, Expect::Absent, "conflict"));
            }
            (key, store.commit(batch).await)
        });
    }
    let mut versions = std::collections::HashSet::new();
    while let Some(done) = tasks.join_next().await {
        let (key, result) = done.unwrap();
        if key % 3 == 0 {
            assert_eq!(result, Err(StoreError::Conflict));
        } else {
            assert!(versions.insert(result.unwrap()), "a version was given twice");
        }
    }
    let store = bench.reopen(store).await;
    for key in 1..=60 {
        assert_eq!(value(&*store, key).await.is_some(), key % 3 != 0, "record {key}");
    }
    store.close().await;
}

/// Which tags the events of the next case bear.
fn tags(sequence: u64) -> Vec<u64> {
    let mut tags = vec![100];
    tags.extend((2..7).filter(|n| sequence.is_multiple_of(*n)));
    if sequence == 500 {
        tags.push(999);
    }
    tags
}

async fn events_are_found_by_place_and_tag(bench: &dyn Bench) {
    const ALL: u64 = 3000;
    let mut store = bench.fresh().await;
    for first in (1..=ALL).step_by(100) {
        store.commit(events((first..first + 100).map(|at| event(at, &tags(at))))).await.unwrap();
    }
    for round in 0..2 {
        let some = [3, 1, 2999, 5000, 3].map(Sequence).to_vec();
        let found = store.events(some).await.unwrap();
        assert_eq!(found, [3, 1, 2999, 3].map(|at| event(at, &tags(at))), "round {round}");
        let found = store.scan(Sequence(2990), 100).await.unwrap();
        assert_eq!(found, (2991..=ALL).map(|at| event(at, &tags(at))).collect::<Vec<_>>());
        assert_eq!(store.scan(Sequence(0), 7).await.unwrap().len(), 7);

        for tag in [2, 3, 4, 5, 6, 100, 999, 12345] {
            let bearing: Vec<Sequence> =
                (1..=ALL).filter(|at| tags(*at).contains(&tag)).map(Sequence).collect();
            for (after, before) in [
                (0, None),
                (0, Some(1)),
                (0, Some(2)),
                (1, None),
                (499, Some(501)),
                (500, Some(500)),
                (700, Some(300)),
                (511, Some(1025)),
                (1234, Some(2345)),
                (2999, None),
                (ALL, None),
                (ALL + 5, Some(ALL + 9)),
            ] {
                let (after, before) = (Sequence(after), before.map(Sequence));
                let within: Vec<Sequence> = bearing
                    .iter()
                    .copied()
                    .filter(|at| *at > after && before.is_none_or(|before| *at < before))
                    .collect();
                assert_eq!(store.count(blind(tag), after, before).await.unwrap(), within.len() as u64);
                for limit in [0, 1, 10, 600, 5000] {
                    for backwards in [false, true] {
                        let window = Window { after, before, limit, backwards };
                        let mut expected = within.clone();
                        if backwards {
                            expected.reverse();
                        }
                        expected.truncate(limit);
                        let found = store.tagged(blind(tag), window).await.unwrap();
                        assert_eq!(found, expected, "round {round}, tag {tag}, {window:?}");
                        if limit == 10 {
                            let found = store.tagged_events(blind(tag), window).await.unwrap();
                            let found: Vec<Sequence> =
                                found.into_iter().map(|event| event.sequence).collect();
                            assert_eq!(found, expected, "events of tag {tag}, {window:?}");
                        }
                    }
                }
            }
        }
        assert_eq!(store.statistics().await.unwrap().events, ALL);
        assert_eq!(store.check().await.unwrap().faults, Vec::<String>::new());
        store = bench.reopen(store).await;
    }
    store.close().await;
}

async fn moments_are_found(bench: &dyn Bench) {
    let store = bench.fresh().await;
    assert_eq!(store.sequence_at(Micros(5)).await.unwrap(), Sequence(1));
    let times = [10, 10, 20, 30, 30, 30, 40];
    store
        .commit(events(
            (1u64..).zip(times).map(|(at, time)| SealedEvent { time: Micros(time), ..event(at, &[1]) }),
        ))
        .await
        .unwrap();
    for (time, first) in
        [(i64::MIN, 1), (0, 1), (10, 1), (11, 3), (30, 4), (31, 7), (40, 7), (41, 8), (i64::MAX, 8)]
    {
        assert_eq!(store.sequence_at(Micros(time)).await.unwrap(), Sequence(first), "time {time}");
    }
    store.close().await;
}

async fn checkpoints_are_kept(bench: &dyn Bench) {
    let store = bench.fresh().await;
    assert_eq!(store.last_checkpoint().await.unwrap(), None);
    let mut all = Vec::new();
    for at in 1..=5 {
        let checkpoint = Checkpoint {
            sequence: Sequence(at),
            time: Micros(at as i64),
            hash: [at as u8; 32],
            previous: Sequence(at - 1),
            signature: [at as u8; 64],
        };
        let mut batch = events([event(at, &[1])]);
        batch.checkpoint = Some(checkpoint.clone());
        store.commit(batch).await.unwrap();
        all.push(checkpoint);
    }
    let store = bench.reopen(store).await;
    assert_eq!(store.checkpoints(Sequence::ZERO, 100).await.unwrap(), all);
    assert_eq!(store.checkpoints(Sequence(2), 2).await.unwrap(), all[2..4]);
    assert_eq!(store.last_checkpoint().await.unwrap(), all.pop());
    store.close().await;
}

async fn key_of(store: &dyn Store, n: u64) -> Option<Bytes> {
    store
        .keys(vec![blind(n), blind(77)])
        .await
        .unwrap()
        .into_iter()
        .map(|(id, key)| {
            assert_eq!(id, blind(n));
            key
        })
        .next()
}

async fn keys_are_kept(bench: &dyn Bench) {
    let store = bench.fresh().await;
    let key = |n: u64, text: &'static str| (blind(n), Bytes::from(text));
    assert_eq!(key_of(&*store, 1).await, None);
    store.add_keys(vec![key(1, "one"), key(2, "two")]).await.unwrap();
    store.add_keys(vec![key(2, "other"), key(3, "three")]).await.unwrap();
    assert_eq!(key_of(&*store, 2).await.unwrap(), "two");
    let store = bench.reopen(store).await;
    assert_eq!(key_of(&*store, 3).await.unwrap(), "three");
    assert_eq!(store.statistics().await.unwrap().keys, 3);
    let mut all = store.all_keys().await.unwrap();
    all.sort();
    let mut expected = vec![key(1, "one"), key(2, "two"), key(3, "three")];
    expected.sort();
    assert_eq!(all, expected);
    store.replace_keys(vec![key(1, "new one"), key(2, "new two"), key(3, "new three")]).await.unwrap();
    let store = bench.reopen(store).await;
    assert_eq!(key_of(&*store, 2).await.unwrap(), "new two");
    let note = |n: u64| (blind(n), Bytes::from(format!("{n} is gone")));
    store.destroy_keys(vec![note(2), note(9)]).await.unwrap();
    store.destroy_keys(vec![note(9)]).await.unwrap();
    let store = bench.reopen(store).await;
    assert_eq!(key_of(&*store, 2).await, None);
    assert_eq!(key_of(&*store, 3).await.unwrap(), "new three");
    assert_eq!(store.notes(vec![blind(1), blind(2)]).await.unwrap(), [note(2)]);
    let mut notes = store.all_notes().await.unwrap();
    notes.sort();
    let mut expected = vec![note(2), note(9)];
    expected.sort();
    assert_eq!(notes, expected);
    // A key of the same name may be made anew; what was destroyed before stays on record.
    store.add_keys(vec![key(2, "another two")]).await.unwrap();
    assert_eq!(key_of(&*store, 2).await.unwrap(), "another two");
    assert_eq!(store.notes(vec![blind(2)]).await.unwrap(), [note(2)]);
    store.close().await;
}

async fn bodies_are_dropped(bench: &dyn Bench) {
    let store = bench.fresh().await;
    let all: Vec<SealedEvent> = (1..=30).map(|at| event(at, &[1, 2 + at % 2])).collect();
    store.commit(events(all.clone())).await.unwrap();
    store.drop_bodies(vec![Sequence(3), Sequence(30), Sequence(99)]).await.unwrap();
    store.drop_bodies(vec![Sequence(3)]).await.unwrap();
    assert!(store.forget().await.unwrap());
    let store = bench.reopen(store).await;
    let found = store.scan(Sequence::ZERO, 100).await.unwrap();
    for (before, after) in all.iter().zip(&found) {
        assert_eq!(after.is_dropped(), [3, 30].contains(&after.sequence.0));
        // All but the body is as it was, and the digest is the body's.
        assert_eq!(after.digest(), before.digest());
        assert_eq!(SealedEvent { sealed: before.sealed.clone(), ..after.clone() }, *before);
        assert!(after.is_dropped() || after == before);
    }
    let uses = found.iter().map(|event| KeyUse {
        sequence: event.sequence,
        key: event.key,
        dropped: event.is_dropped(),
    });
    let uses: Vec<KeyUse> = uses.collect();
    assert_eq!(store.key_uses(Sequence::ZERO, 100).await.unwrap(), uses);
    assert_eq!(store.key_uses(Sequence(7), 2).await.unwrap(), uses[7..9]);
    let odd = store.tagged_events(blind(3), Window::first(2)).await.unwrap();
    assert_eq!(odd, [found[0].clone(), found[2].clone()]);
    store.close().await;
}

async fn a_backup_is_one_moment(bench: &dyn Bench) {
    let store = bench.fresh().await;
    store.add_keys(vec![(blind(1), Bytes::from("key"))]).await.unwrap();
    let (started, mut running) = tokio::sync::mpsc::channel(1);
    let busy = Arc::clone(&store);
    // Each batch brings as many events as records: a copy that shows anything else was torn.
    let work = tokio::spawn(async move {
        for at in 1..=200 {
            let mut batch = events([event(at, &[1])]);
            batch.writes.push(put(at, Expect::Absent, "a record for each event"));
            busy.commit(batch).await.unwrap();
            let _ = started.try_send(());
        }
    });
    running.recv().await.unwrap();
    let folder = bench.backup_folder();
    store.commit(writes([SealedWrite { kind: 2, ..put(1, Expect::Any, "can be made anew") }])).await.unwrap();
    store.backup(&folder, &[2]).await.unwrap();
    work.await.unwrap();
    assert!(store.backup(&folder, &[]).await.is_err(), "a backup must not overwrite another");

    let copy = bench.open_backup(&folder).await;
    let end = copy.head().await.unwrap().unwrap().sequence.0;
    assert_eq!(copy.records(1, blind(0)).await.unwrap().len() as u64, end);
    assert_eq!(copy.count(blind(1), Sequence::ZERO, None).await.unwrap(), end);
    assert_eq!(copy.records(2, blind(0)).await.unwrap(), []);
    assert_eq!(key_of(&*copy, 1).await, None, "keys are kept apart");
    copy.commit(events([event(end + 1, &[1])])).await.unwrap();
    copy.close().await;
    assert_eq!(store.head().await.unwrap().unwrap().sequence, Sequence(200));
    store.close().await;
}

async fn a_closed_store_says_so(bench: &dyn Bench) {
    let store = bench.fresh().await;
    store.commit(events([event(1, &[1])])).await.unwrap();
    store.close().await;
    store.close().await;
    assert_eq!(store.commit(events([event(2, &[1])])).await, Err(StoreError::Closed));
    assert_eq!(store.record(1, blind(0), blind(1)).await, Err(StoreError::Closed));
    assert_eq!(store.add_keys(Vec::new()).await, Err(StoreError::Closed));
}
