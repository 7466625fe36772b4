//! An anchor that is kept elsewhere tells when the end was cut off together with its checkpoints.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use archive::{Anchor, AnchorFile, Fault, Report, Sequence, verify_against};
use common::Trail;
use vault::sqlite;

async fn examine(data: &Path, key: &[u8; 32], anchors: &Path) -> Report {
    let store = sqlite::open(data, sqlite::Options { create: false, ..Default::default() }).await.unwrap();
    let anchors = Anchor::read(std::io::BufReader::new(std::fs::File::open(anchors).unwrap())).unwrap();
    let report = verify_against(&store, key, &anchors, |_| {}).await.unwrap();
    vault::Store::close(&store).await;
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn cutting_off_the_end_with_its_checkpoints_is_found_by_what_was_anchored() {
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("anchors"));
    let mut trail = Trail::open(&data).await;
    let keeper = AnchorFile(file.clone());
    assert_eq!(trail.archive.anchor("file", &keeper).await, Ok(None));
    for n in 1..=3 {
        trail.say("romeo@corp.example/a", "juliet@corp.example", &format!("word {n}")).await;
        assert_eq!(trail.archive.anchor("file", &keeper).await, Ok(Some(Sequence(n))));
        // What is there is not written twice.
        assert_eq!(trail.archive.anchor("file", &keeper).await, Ok(Some(Sequence(n))));
    }
    let key = trail.archive.public_key();
    trail.close().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
    assert!(examine(&data, &key, &file).await.is_whole());

    let db = rusqlite::Connection::open(data.join("vault.db")).unwrap();
    db.execute_batch("DELETE FROM events WHERE sequence > 2; DELETE FROM checkpoints WHERE sequence > 2")
        .unwrap();
    drop(db);
    assert_eq!(examine(&data, &key, &file).await.faults, [Fault::AnchorMissing { sequence: Sequence(3) }]);

    // An anchor that this key has not signed is none.
    let forged = std::fs::read_to_string(&file).unwrap().replace("\"time\":1", "\"time\":2");
    std::fs::write(&file, format!("Kept for the auditor:\n{forged}")).unwrap();
    let faults = examine(&data, &key, &file).await.faults;
    assert!(faults.contains(&Fault::Forged { sequence: Sequence(1) }), "{faults:?}");
    assert!(Anchor::read("{nonsense".as_bytes()).is_err());
}
