//! What is erased cannot be opened in the vault, in its files, or in any backup of it; the rest can.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

use bytes::Bytes;
use vault::{Batch, Blind, MasterKey, Micros, Nonces, Opened, SealedEvent, Sequence, Vault, VaultError};

fn master(n: u8) -> MasterKey {
    MasterKey::from_bytes([n; 32])
}

async fn open(folder: &Path) -> Vault {
    Vault::open(folder, master(1)).await.unwrap()
}

fn text(at: u64) -> Vec<u8> {
    format!("the words of event {at}, ").repeat(20).into_bytes()
}

/// Adds an event of each group: places with the same group share a key.
async fn say(vault: &Vault, groups: &[&str]) -> Vec<SealedEvent> {
    let head = vault.store().head().await.unwrap().map_or(0, |head| head.sequence.0);
    let mut nonces = Nonces::default();
    let mut events = Vec::new();
    for (at, group) in (head + 1..).zip(groups) {
        let id = vault.blind("group", &[group]);
        let key = vault.data_keys(&[id]).await.unwrap().remove(0);
        let (sequence, time, tags) = (Sequence(at), Micros(at as i64), [vault.blind("tag", &["x"])]);
        let context = SealedEvent::context(sequence, 0, time, id, &tags);
        let sealed = key.seal(&mut nonces, &context, 0, |out| out.extend(text(at))).unwrap();
        let sealed = Bytes::from(sealed);
        events.push(SealedEvent {
            sequence,
            writer: 0,
            time,
            key: id,
            tags: tags.into_iter().collect(),
            sealed,
            hash: [0; 32],
        });
    }
    vault.commit(Batch { events: events.clone(), ..Batch::default() }).await.unwrap();
    events
}

/// One letter for each event: (p)lain, (d)ropped, (e)rased, (l)ost, (f)oreign.
async fn state(vault: &Vault) -> String {
    let events = vault.store().scan(Sequence::ZERO, 1000).await.unwrap();
    let opened = vault.open_events(&events).await.unwrap();
    let letter = |(event, opened): (&SealedEvent, &Opened)| match opened {
        Opened::Plain(plain) => {
            assert_eq!(*plain, text(event.sequence.0));
            'p'
        }
        Opened::Dropped => 'd',
        Opened::Erased => 'e',
        Opened::Lost => 'l',
        Opened::Foreign => 'f',
    };
    events.iter().zip(&opened).map(letter).collect()
}

fn group(vault: &Vault, name: &str) -> Blind {
    vault.blind("group", &[name])
}

/// All bytes of all files of the folder.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(bytes_of(&path)),
            false => all.extend(std::fs::read(&path).unwrap()),
        }
    }
    all
}

fn holds(files: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(files, needle).is_some()
}

#[tokio::test]
async fn a_part_of_what_a_key_sealed_goes_and_the_rest_stays_whatever_is_said_later() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let events = say(&vault, &["a", "a", "a", "b"]).await;
    vault.set_apart(&events[1..2]).await.unwrap();
    for _ in 0..2 {
        // Twice, as after a crash.
        vault.set_apart(&events[1..2]).await.unwrap();
        vault.destroy_event_keys(&[group(&vault, "a")], &[], &[Sequence(2)], Sequence(4)).await.unwrap();
        assert_eq!(state(&vault).await, "epep");
    }
    // The next words of the same group have a key of the same name.
    say(&vault, &["a", "b"]).await;
    assert_eq!(state(&vault).await, "epeppp");
    // What the new key cannot open is not set apart under it.
    vault.set_apart(&events[..3]).await.unwrap();
    assert_eq!(state(&vault).await, "epeppp");
    vault.close().await;
    let vault = open(folder.path()).await;
    assert_eq!(state(&vault).await, "epeppp");
    assert!(vault.disclose(&events[0]).await.unwrap().is_none());
    let own = vault.disclose(&events[1]).await.unwrap().unwrap();
    let context = SealedEvent::context(Sequence(2), 0, Micros(2), events[1].key, &events[1].tags);
    assert_eq!(own.open(&context, &events[1].sealed).unwrap(), text(2));
    // And then what was set apart goes, too.
    vault.destroy_event_keys(&[], &[Sequence(2)], &[], Sequence(6)).await.unwrap();
    assert_eq!(state(&vault).await, "eeeppp");
    vault.close().await;
}

#[tokio::test]
async fn a_key_that_somebody_removed_is_not_taken_for_a_destroyed_one() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    say(&vault, &["a", "b"]).await;
    let (a, b) = (group(&vault, "a"), group(&vault, "b"));
    vault.close().await;
    let db = rusqlite::Connection::open(folder.path().join("keys.db")).unwrap();
    db.execute("DELETE FROM keys WHERE id IN (?1, ?2)", [a.as_bytes(), b.as_bytes()]).unwrap();
    // Without the master key, nobody can write a note that the vault believes.
    db.execute("INSERT INTO notes VALUES(?1, randomblob(48))", [a.as_bytes()]).unwrap();
    drop(db);
    let vault = open(folder.path()).await;
    assert_eq!(state(&vault).await, "ll");
    vault.close().await;
}

#[tokio::test]
async fn a_dropped_body_leaves_no_trace_in_the_files_and_neither_does_a_destroyed_key() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let groups: Vec<&str> = (0..600).map(|at| ["a", "b", "c"][at % 3]).collect();
    let events = say(&vault, &groups).await;
    let keys = vault.store().keys(vec![group(&vault, "a")]).await.unwrap();
    // Round after round, so that pages are filled, emptied and joined on the way.
    for round in 0..4 {
        let gone = events.iter().filter(|event| event.sequence.0 % 4 == round).map(|event| event.sequence);
        vault.store().drop_bodies(gone.collect()).await.unwrap();
        assert!(vault.store().forget().await.unwrap());
        let files = bytes_of(folder.path());
        for event in &events {
            let gone = event.sequence.0 % 4 <= round;
            assert_ne!(holds(&files, &event.sealed[24..56]), gone, "event {}", event.sequence);
        }
    }
    assert!(holds(&bytes_of(folder.path()), &keys[0].1[..32]));
    vault.destroy_event_keys(&[group(&vault, "a")], &[], &[], Sequence(600)).await.unwrap();
    assert!(!holds(&bytes_of(folder.path()), &keys[0].1[..32]));
    vault.close().await;
}

#[tokio::test]
async fn the_journal_is_not_emptied_under_somebody_who_reads_and_nobody_waits_for_them() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let events = say(&vault, &["a", "a"]).await;
    let reader = rusqlite::Connection::open(folder.path().join("vault.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM events;").unwrap();
    vault.store().drop_bodies(vec![Sequence(1)]).await.unwrap();
    let began = std::time::Instant::now();
    assert!(!vault.store().forget().await.unwrap());
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "a writer waited for a reader");
    reader.execute_batch("COMMIT").unwrap();
    assert!(vault.store().forget().await.unwrap());
    assert!(!holds(&bytes_of(folder.path()), &events[0].sealed[24..56]));
    vault.close().await;
}

#[tokio::test]
async fn a_backup_made_before_an_erasure_cannot_read_what_was_erased() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let vault = open(&at("data")).await;
    let blob = vault.blobs().name("letter");
    let mut writer = vault.blobs().write(blob).await.unwrap();
    writer.write(b"a letter").await.unwrap();
    writer.finish().await.unwrap();
    let events = say(&vault, &["a", "a", "b"]).await;
    let keys = vault.backup(&at("monday"), None, &[]).await.unwrap();
    assert_eq!(keys.parent(), Some(root.path()));
    say(&vault, &["c"]).await;
    assert_eq!(vault.backup(&at("tuesday"), None, &[]).await.unwrap(), keys, "one file for both");
    assert!(!at("monday").join("keys.db").exists(), "no key lies beside the data");

    vault.set_apart(&events[1..2]).await.unwrap();
    vault.destroy_event_keys(&[group(&vault, "a")], &[], &[Sequence(2)], Sequence(4)).await.unwrap();
    vault.blobs().erase(blob).await.unwrap();
    assert!(vault.key_copies().await.unwrap().iter().all(|copy| copy.behind.is_none()));
    vault.close().await;

    for (backup, expected) in [("monday", "epp"), ("tuesday", "eppp")] {
        let again = at(&format!("{backup} again"));
        vault::restore(&at(backup), None, &again).await.unwrap();
        let vault = open(&again).await;
        assert_eq!(
            state(&vault).await,
            if backup == "monday" { "ep".to_owned() + "p" } else { expected.into() }
        );
        assert!(vault.blobs().open(blob, 8).await.unwrap().is_none());
        vault.close().await;
    }
    // The file of keys holds no key of what is gone.
    let db = rusqlite::Connection::open(&keys).unwrap();
    let left: u64 = db
        .query_row("SELECT count(*) FROM keys WHERE id = ?1", [events[0].key.as_bytes()], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_copy_of_the_keys_that_cannot_be_reached_is_named_and_caught_up_with_later() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let vault = open(&at("data")).await;
    say(&vault, &["a", "b"]).await;
    let (near, far) = (at("near.db"), at("far.db"));
    vault.backup(&at("one"), Some(&near), &[]).await.unwrap();
    vault.backup(&at("two"), Some(&far), &[]).await.unwrap();
    let away = at("away.db");
    std::fs::rename(&far, &away).unwrap();
    vault.destroy_event_keys(&[group(&vault, "a")], &[], &[], Sequence(2)).await.unwrap();
    vault.destroy_event_keys(&[group(&vault, "c")], &[], &[], Sequence(2)).await.unwrap();
    let behind = |copies: Vec<vault::KeyCopy>| -> Vec<PathBuf> {
        copies.into_iter().filter(|copy| copy.behind.is_some()).map(|copy| copy.path).collect()
    };
    assert_eq!(behind(vault.key_copies().await.unwrap()), std::slice::from_ref(&far));
    assert!(!far.exists(), "an absent copy must not be made anew: it is elsewhere");
    vault.close().await;

    // It comes back, and the next destruction brings it up to date with all that it missed.
    let vault = open(&at("data")).await;
    assert_eq!(behind(vault.key_copies().await.unwrap()), std::slice::from_ref(&far));
    std::fs::rename(&away, &far).unwrap();
    vault.destroy_event_keys(&[group(&vault, "d")], &[], &[], Sequence(2)).await.unwrap();
    assert_eq!(behind(vault.key_copies().await.unwrap()), Vec::<PathBuf>::new());
    vault::restore(&at("one"), Some(&far), &at("again")).await.unwrap();
    let restored = open(&at("again")).await;
    assert_eq!(state(&restored).await, "ep");
    restored.close().await;

    // A backup that comes without its keys says what is missing, and another folder's keys are no help.
    let other = Vault::open(&at("other"), master(1)).await.unwrap();
    other.backup(&at("three"), Some(&at("others.db")), &[]).await.unwrap();
    assert!(other.backup(&at("four"), Some(&near), &[]).await.is_err());
    other.close().await;
    let refused = vault::restore(&at("one"), Some(&at("others.db")), &at("never")).await.unwrap_err();
    assert!(refused.to_string().contains("another folder"), "{refused}");
    std::fs::rename(&near, &away).unwrap();
    let refused = vault::restore(&at("one"), None, &at("never")).await.unwrap_err();
    assert!(refused.to_string().contains("--keys"), "{refused}");
    assert!(vault.forget_key_copy(&near).await.unwrap());
    assert!(!vault.forget_key_copy(&near).await.unwrap());
    vault.close().await;
}

#[tokio::test]
async fn a_rotation_reaches_the_copies_of_keys_so_that_old_backups_open_with_the_new_master_key() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let vault = open(&at("data")).await;
    say(&vault, &["a"]).await;
    vault.backup(&at("copy"), None, &[]).await.unwrap();
    vault.rotate(&master(2)).await.unwrap();
    vault.close().await;
    vault::restore(&at("copy"), None, &at("again")).await.unwrap();
    assert!(matches!(Vault::open(&at("again"), master(1)).await, Err(VaultError::WrongKey)));
    let vault = Vault::open(&at("again"), master(2)).await.unwrap();
    assert_eq!(state(&vault).await, "p");
    vault.close().await;
}
