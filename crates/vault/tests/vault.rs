//! The vault as its users see it.
#![allow(missing_docs)]

use serde::{Deserialize, Serialize};
use vault::{Expect, MasterKey, Record, StoreError, Vault, VaultError, Write};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    #[serde(default)]
    age: u32,
}

impl Record for Person {
    const KIND: u16 = 1;
}

fn person(name: &str, age: u32) -> Person {
    Person { name: name.into(), age }
}

fn key(n: u8) -> MasterKey {
    MasterKey::from_bytes([n; 32])
}

#[tokio::test]
async fn a_record_is_written_read_listed_and_guarded_by_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    assert!(vault.get::<Person>("verona", "juliet").await.unwrap().is_none());
    let first = vault
        .apply(vec![
            Write::put("verona", "romeo", &person("Romeo", 16), Expect::Absent).unwrap(),
            Write::put("verona", "juliet", &person("Juliet", 13), Expect::Absent).unwrap(),
            Write::put("mantua", "romeo", &person("Exile", 16), Expect::Absent).unwrap(),
        ])
        .await
        .unwrap();
    let juliet = vault.get::<Person>("verona", "juliet").await.unwrap().unwrap();
    assert_eq!((juliet.value, juliet.version), (person("Juliet", 13), first));
    let names: Vec<String> =
        vault.list::<Person>("verona").await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(names, ["juliet", "romeo"]);

    let older = |expect| vec![Write::put("verona", "juliet", &person("Juliet", 14), expect).unwrap()];
    vault.apply(older(Expect::Version(first))).await.unwrap();
    let refused = vault.apply(older(Expect::Version(first))).await;
    assert!(matches!(refused, Err(VaultError::Conflict)));
    vault.apply(vec![Write::delete::<Person>("verona", "juliet", Expect::Any)]).await.unwrap();
    assert!(vault.get::<Person>("verona", "juliet").await.unwrap().is_none());
    vault.close().await;
}

#[tokio::test]
async fn the_wrong_master_key_is_refused_and_the_right_one_is_not_hurt_by_that() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    let write = Write::put("", "juliet", &person("Juliet", 13), Expect::Any).unwrap();
    vault.apply(vec![write]).await.unwrap();
    vault.close().await;
    assert!(matches!(Vault::open(folder.path(), key(2)).await, Err(VaultError::WrongKey)));
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    assert!(vault.get::<Person>("", "juliet").await.unwrap().is_some());
    vault.close().await;
}

#[tokio::test]
async fn data_without_its_keys_is_not_taken_for_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    let write = Write::put("", "juliet", &person("Juliet", 13), Expect::Any).unwrap();
    vault.apply(vec![write]).await.unwrap();
    vault.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("keys.db") {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(matches!(Vault::open(folder.path(), key(1)).await, Err(VaultError::KeysMissing)));
}

#[tokio::test]
async fn rotation_changes_the_master_key_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    let write = Write::put("", "juliet", &person("Juliet", 13), Expect::Any).unwrap();
    vault.apply(vec![write]).await.unwrap();
    let id = vault.blind("key", &["conversation"]);
    let data_key = vault.data_keys(&[id]).await.unwrap().remove(0);
    let sealed = data_key.seal(&mut vault::Nonces::default(), b"", 4, |out| out.extend(b"word")).unwrap();
    assert_eq!(vault.rotate(&key(2)).await.unwrap(), 2);
    // A key that is made after the rotation is wrapped under the new master key.
    let later = vault.blind("key", &["later"]);
    vault.data_keys(&[later]).await.unwrap();
    let before = vault.derive("purpose");
    vault.close().await;

    assert!(matches!(Vault::open(folder.path(), key(1)).await, Err(VaultError::WrongKey)));
    let vault = Vault::open(folder.path(), key(2)).await.unwrap();
    assert_eq!(vault.derive("purpose"), before);
    assert_eq!(vault.blind("key", &["conversation"]), id);
    let data_key = vault.existing_keys(&[id]).await.unwrap().remove(0).unwrap();
    assert_eq!(data_key.open(b"", &sealed).unwrap(), b"word");
    assert!(vault.existing_keys(&[later]).await.unwrap()[0].is_some());
    assert!(vault.get::<Person>("", "juliet").await.unwrap().is_some());
    vault.close().await;
}

#[tokio::test]
async fn a_backup_opens_with_the_same_key_only() {
    let root = tempfile::tempdir().unwrap();
    let (data, copy, again) = (root.path().join("data"), root.path().join("copy"), root.path().join("again"));
    let vault = Vault::open(&data, key(1)).await.unwrap();
    let put = |name: &str| vec![Write::put("", name, &person(name, 1), Expect::Any).unwrap()];
    vault.apply(put("juliet")).await.unwrap();
    vault.backup(&copy, None, &[]).await.unwrap();
    vault.apply(put("romeo")).await.unwrap();
    vault.close().await;

    vault::restore(&copy, None, &again).await.unwrap();
    assert!(matches!(Vault::open(&again, key(2)).await, Err(VaultError::WrongKey)));
    let vault = Vault::open(&again, key(1)).await.unwrap();
    assert!(vault.get::<Person>("", "juliet").await.unwrap().is_some());
    assert!(vault.get::<Person>("", "romeo").await.unwrap().is_none());
    vault.close().await;
}

#[tokio::test]
async fn a_record_in_anothers_place_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    let put = |name: &str| Write::put("", name, &person(name, 1), Expect::Any).unwrap();
    vault.apply(vec![put("user"), put("admin")]).await.unwrap();
    vault.close().await;
    let db = rusqlite::Connection::open(folder.path().join("vault.db")).unwrap();
    db.execute("UPDATE records SET sealed = (SELECT sealed FROM records ORDER BY key LIMIT 1)", []).unwrap();
    drop(db);
    let vault = Vault::open(folder.path(), key(1)).await.unwrap();
    let (user, admin) = (vault.get::<Person>("", "user").await, vault.get::<Person>("", "admin").await);
    let damaged = [&user, &admin].map(|found| matches!(found, Err(VaultError::Corrupt { .. })));
    assert_ne!(damaged[0], damaged[1], "{user:?}, {admin:?}");
    vault.close().await;
}

/// A file system of a few megabytes, if this machine lets us mount one.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(folder: &std::path::Path, bytes: &str) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder)
            .output();
        matches!(mounted, Ok(output) if output.status.success()).then(|| Self(folder.to_owned()))
    }

    fn remount(&self, option: &str) {
        let done = std::process::Command::new("mount").args(["-o", option]).arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "mount -o {option}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

fn large(n: u32) -> Vec<Write> {
    let value = (0..200_000u32).map(|at| (at.wrapping_mul(n + 1) >> 3) as u8).collect();
    vec![Write::put_bytes(9, "", &n.to_string(), value, Expect::Any)]
}

#[tokio::test]
async fn a_really_full_disk_refuses_writes_serves_reads_and_recovers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_disk) = SmallDisk::mount(folder.path(), "6m") else {
        eprintln!("not run: no right to mount a small disk here");
        return;
    };
    let vault = Vault::open(&folder.path().join("data"), key(1)).await.unwrap();
    let write = Write::put("", "juliet", &person("Juliet", 13), Expect::Any).unwrap();
    vault.apply(vec![write]).await.unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 4 << 20]).unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        match vault.apply(large(stored.len() as u32)).await {
            Ok(_) => stored.push(stored.len() as u32),
            Err(error) => break error,
        }
        assert!(stored.len() < 100, "the disk never filled up");
    };
    assert!(matches!(refused, VaultError::Store(StoreError::Full)), "{refused:?}");
    assert!(vault.get::<Person>("", "juliet").await.unwrap().is_some());
    std::fs::remove_file(&ballast).unwrap();
    vault.apply(large(77)).await.unwrap();
    stored.push(77);
    for n in &stored {
        assert!(vault.get_bytes(9, "", &n.to_string()).await.unwrap().is_some(), "record {n}");
    }
    assert!(vault.store().check().await.unwrap().faults.is_empty());
    vault.close().await;
}

#[tokio::test]
async fn a_read_only_folder_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path(), "16m") else {
        eprintln!("not run: no right to mount a small disk here");
        return;
    };
    let data = folder.path().join("data");
    Vault::open(&data, key(1)).await.unwrap().close().await;
    disk.remount("remount,ro");
    let refused = Vault::open(&data, key(1)).await;
    assert!(matches!(refused, Err(VaultError::Store(StoreError::ReadOnly))), "{refused:?}");
    disk.remount("remount,rw");
    Vault::open(&data, key(1)).await.unwrap().close().await;
}
