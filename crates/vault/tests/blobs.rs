//! Content of any length: sealed in chunks, readable in part, found out when it was tampered with, erased with its key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use vault::{BlobName, BlobReader, MasterKey, Vault, VaultError};

const CHUNK: usize = 64 * 1024;

async fn open(data: &Path) -> Vault {
    Vault::open(data, MasterKey::from_bytes([1; 32])).await.unwrap()
}

/// Content in which no two chunks are alike.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8 ^ (at / CHUNK) as u8).collect()
}

async fn write(vault: &Vault, id: &str, content: &[u8]) -> BlobName {
    let name = vault.blobs().name(id);
    let mut writer = vault.blobs().write(name).await.unwrap();
    for part in content.chunks(10_007) {
        writer.write(part).await.unwrap();
    }
    assert_eq!(writer.finish().await.unwrap(), content.len() as u64);
    name
}

async fn read(reader: &BlobReader, range: std::ops::Range<u64>) -> Result<Vec<u8>, VaultError> {
    let mut stream = reader.stream(range);
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await? {
        assert!(!piece.is_empty() && piece.len() <= CHUNK);
        all.extend_from_slice(&piece);
    }
    Ok(all)
}

/// Every file below the folder of blobs.
fn files(data: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&data.join("blobs"), &mut found);
    found
}

#[tokio::test]
async fn content_of_every_length_comes_back_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = open(folder.path()).await;
    let lengths = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK, 9 * CHUNK + 12_345];
    for restart in [false, true] {
        if restart {
            vault.close().await;
            vault = open(folder.path()).await;
        }
        for length in lengths {
            let id = length.to_string();
            let name = match restart {
                false => write(&vault, &id, &content(length)).await,
                true => vault.blobs().name(&id),
            };
            let reader = vault.blobs().open(name, length as u64).await.unwrap().unwrap();
            assert_eq!(reader.size(), length as u64);
            assert!(read(&reader, 0..u64::MAX).await.unwrap() == content(length), "{length}");
            reader.check().await.unwrap();
            assert!(vault.blobs().is_whole(name, length as u64).await.unwrap());
            assert!(vault.blobs().list(name.as_bytes()[0]).await.unwrap().contains(&name));
        }
    }
    vault.close().await;
}

#[tokio::test]
async fn nothing_of_the_content_or_its_name_can_be_read_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let secret = b"the plans of the new machine ".repeat(10_000);
    write(&vault, "a-name-to-guess", &secret).await;
    for file in files(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"the plans"), "{}", file.display());
        assert!(!file.to_string_lossy().contains("a-name-to-guess"));
    }
    vault.close().await;
}

#[tokio::test]
async fn what_is_not_finished_is_not_there_and_takes_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let name = vault.blobs().name("half");
    let mut writer = vault.blobs().write(name).await.unwrap();
    writer.write(&content(40 * CHUNK)).await.unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    assert!(vault.blobs().open(name, 40 * CHUNK as u64).await.is_err());
    drop(writer);
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());

    // As after a crash: nobody was there to drop it.
    std::fs::write(folder.path().join("blobs/unfinished/0123"), content(1000)).unwrap();
    vault.close().await;
    let vault = open(folder.path()).await;
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
    vault.close().await;
}

#[tokio::test]
async fn whatever_is_changed_moved_or_cut_off_is_an_error_and_no_wrong_byte() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let sealed = CHUNK + 40;
    let size = 5 * CHUNK + 100;
    let name = write(&vault, "one", &content(size)).await;
    let file = files(folder.path()).pop().unwrap();
    let whole = std::fs::read(&file).unwrap();
    let other = write(&vault, "other", &content(size)).await;
    let others = files(folder.path()).into_iter().find(|path| *path != file).unwrap();
    let others = std::fs::read(others).unwrap();

    let chunk = |number: usize| 16 + number * sealed..16 + (number + 1) * sealed;
    let mut flipped = whole.clone();
    flipped[16 + 2 * sealed + 1_000] ^= 1;
    let mut swapped = whole.clone();
    swapped[chunk(1)].copy_from_slice(&whole[chunk(3)]);
    swapped[chunk(3)].copy_from_slice(&whole[chunk(1)]);
    let mut doubled = whole.clone();
    doubled[chunk(2)].copy_from_slice(&whole[chunk(1)]);
    let mut foreign = whole.clone();
    foreign[chunk(0)].copy_from_slice(&others[chunk(0)]);
    let mut header = whole.clone();
    header[15] = b'2';
    let cut = whole[..16 + 3 * sealed].to_vec();
    let shorter = whole[..whole.len() - 1].to_vec();
    let longer = [&whole[..], b"x"].concat();
    for (what, bytes) in [
        ("flipped", flipped),
        ("swapped", swapped),
        ("doubled", doubled),
        ("of another blob", foreign),
        ("another header", header),
        ("cut at a chunk", cut),
        ("shorter", shorter),
        ("longer", longer),
        ("empty", Vec::new()),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let outcome = async {
            let reader = vault.blobs().open(name, size as u64).await?.unwrap();
            assert!(reader.check().await.is_err(), "{what}");
            read(&reader, 0..u64::MAX).await
        };
        assert!(matches!(outcome.await, Err(VaultError::Corrupt { .. })), "{what}");
    }
    // Even to somebody who believes in the shorter size, the last chunk is not the last.
    std::fs::write(&file, &whole[..16 + 3 * sealed]).unwrap();
    let reader = vault.blobs().open(name, 3 * CHUNK as u64).await.unwrap().unwrap();
    assert!(read(&reader, 0..u64::MAX).await.is_err());
    std::fs::write(&file, whole).unwrap();
    let reader = vault.blobs().open(name, size as u64).await.unwrap().unwrap();
    reader.check().await.unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(reader.check().await.is_err());
    assert!(!vault.blobs().is_whole(name, size as u64).await.unwrap());
    assert!(vault.blobs().is_whole(other, size as u64).await.unwrap());
    vault.close().await;
}

#[tokio::test]
async fn erased_content_is_gone_from_the_folder_and_from_copies_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let name = write(&vault, "letter", &content(3 * CHUNK)).await;
    let kept = write(&vault, "other letter", &content(10)).await;
    let file = files(folder.path()).into_iter().max_by_key(|file| file.metadata().unwrap().len()).unwrap();
    let copy = std::fs::read(&file).unwrap();
    let reader = vault.blobs().open(name, 3 * CHUNK as u64).await.unwrap().unwrap();
    let mut under_way = reader.stream(0..u64::MAX);
    under_way.next().await.unwrap().unwrap();

    vault.blobs().erase(name).await.unwrap();
    vault.blobs().erase(name).await.unwrap();
    assert!(vault.blobs().open(name, 3 * CHUNK as u64).await.unwrap().is_none());
    assert!(!file.exists());
    std::fs::write(&file, copy).unwrap();
    for restart in [false, true] {
        let vault = match restart {
            false => vault.clone(),
            true => {
                vault.close().await;
                open(folder.path()).await
            }
        };
        assert!(vault.blobs().open(name, 3 * CHUNK as u64).await.unwrap().is_none());
        let kept = vault.blobs().open(kept, 10).await.unwrap().unwrap();
        assert_eq!(read(&kept, 0..10).await.unwrap(), content(10));
        if restart {
            vault.close().await;
        }
    }
}

#[tokio::test]
async fn a_backup_has_the_content_and_a_restore_brings_it_back() {
    let root = tempfile::tempdir().unwrap();
    let (data, copy, again) = (root.path().join("data"), root.path().join("copy"), root.path().join("again"));
    let vault = open(&data).await;
    let name = write(&vault, "letter", &content(7 * CHUNK + 3)).await;
    let mut unfinished = vault.blobs().write(vault.blobs().name("half")).await.unwrap();
    unfinished.write(&content(10 * CHUNK)).await.unwrap();
    vault.backup(&copy, None, &[]).await.unwrap();
    drop(unfinished);
    vault.close().await;

    vault::restore(&copy, None, &again).await.unwrap();
    assert_eq!(files(&again).len(), 1);
    let vault = open(&again).await;
    let reader = vault.blobs().open(name, (7 * CHUNK + 3) as u64).await.unwrap().unwrap();
    assert!(read(&reader, 0..u64::MAX).await.unwrap() == content(7 * CHUNK + 3));
    vault.close().await;
    assert!(vault::restore(&copy, None, &again).await.is_err(), "a restore must not write over anything");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn every_range_is_what_stands_there(
        size in 0..600_000usize,
        ranges in proptest::collection::vec((0..700_000u64, 0..700_000u64), 8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let vault = open(folder.path()).await;
            let all = content(size);
            let name = write(&vault, "x", &all).await;
            let reader = vault.blobs().open(name, size as u64).await.unwrap().unwrap();
            for (from, to) in ranges {
                let wanted = all.get((from as usize).min(size)..(to as usize).min(size)).unwrap_or_default();
                assert_eq!(read(&reader, from..to).await.unwrap(), wanted, "{from}..{to} of {size}");
            }
            vault.close().await;
        });
    }
}
