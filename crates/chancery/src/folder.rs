//! Opens the data folder with its master key, and makes both on the first run.

use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use server::admin::{Fault, FaultKind};
use server::config::{Config, KeySource, MASTER_KEY_VARIABLE};
use vault::{KeyError, MasterKey, StoreError, Vault, VaultError};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// How long to wait for another process to let go of the folder. A command that runs beside a start takes that long.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// Whether a folder that is not there may be made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// The first run makes it.
    Make,
    /// The command is about what is there.
    Refuse,
}

/// An open data folder.
pub(crate) struct Folder {
    pub(crate) vault: Vault,
    /// The recovery phrase, if a master key file was made just now. To be shown once.
    pub(crate) new_phrase: Option<Zeroizing<String>>,
}

/// Opens the folder.
pub(crate) async fn open(config: &Config, absent: Absent) -> Result<Folder, Failure> {
    let fresh = is_absent_or_empty(&config.data)?;
    if fresh && absent == Absent::Refuse {
        return Err(Failure::Refused(Fault::new(
            FaultKind::Missing,
            format!(
                "there is no data in {}; `chancery serve` makes it, --data names another folder",
                config.data.display()
            ),
        )));
    }
    make_folder(&config.data)?;
    let (master, new_phrase) = match master_key(&config.key).await? {
        Some(master) => (master, None),
        None if fresh => {
            let KeySource::File(file) = &config.key else { return Err(no_key(config)) };
            let master = MasterKey::generate().map_err(key_failure(&config.key))?;
            if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                make_folder(parent)?;
            }
            master.create_file(file).map_err(key_failure(&config.key))?;
            let phrase = master.phrase();
            (master, Some(phrase))
        }
        None => return Err(no_key(config)),
    };
    let vault = match unlock(config, master).await {
        // A rotation that was cut off after the keys were wrapped anew and before the file took its place.
        Err(VaultError::WrongKey) => match rotated_key(&config.key) {
            Some((master, next, file)) => {
                let vault = unlock(config, master).await.map_err(|error| failure(config, error))?;
                std::fs::rename(next, file).map_err(Failure::from_io("the rotated master key"))?;
                vault
            }
            None => return Err(failure(config, VaultError::WrongKey)),
        },
        other => other.map_err(|error| failure(config, error))?,
    };
    Ok(Folder { vault, new_phrase })
}

/// Whether the folder holds nothing yet.
pub(crate) fn is_absent_or_empty(folder: &Path) -> Result<bool, Failure> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::refused(format!("{}: {error}", folder.display()))),
    }
}

/// Where a rotation puts the new key until it is in force.
pub(crate) fn next_key_file(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    file.with_file_name(name)
}

/// The master key. `None`: its file is not there.
pub(crate) async fn master_key(source: &KeySource) -> Result<Option<MasterKey>, Failure> {
    let wrap = key_failure(source);
    match source.clone() {
        KeySource::File(file) => match MasterKey::from_file(&file) {
            Err(KeyError::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map_err(wrap),
        },
        KeySource::Command(command) => {
            let run = tokio::task::spawn_blocking(move || MasterKey::from_command(&command)).await;
            run.map_err(|_| Failure::refused("the key command was interrupted"))?.map(Some).map_err(wrap)
        }
        KeySource::Environment => {
            let phrase = Zeroizing::new(std::env::var(MASTER_KEY_VARIABLE).unwrap_or_default());
            MasterKey::parse(&phrase).map(Some).map_err(wrap)
        }
    }
}

fn rotated_key(source: &KeySource) -> Option<(MasterKey, PathBuf, PathBuf)> {
    let KeySource::File(file) = source else { return None };
    let next = next_key_file(file);
    let master = MasterKey::from_file(&next).ok()?;
    Some((master, next, file.clone()))
}

async fn unlock(config: &Config, master: MasterKey) -> Result<Vault, VaultError> {
    let start = Instant::now();
    loop {
        match Vault::open(&config.data, master.clone()).await {
            Err(VaultError::Store(StoreError::InUse)) if start.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await
            }
            other => return other,
        }
    }
}

/// Makes a folder that only its owner can look into, and what leads there.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::refused(format!("{}: {error}", folder.display())))
}

fn no_key(config: &Config) -> Failure {
    let place = match &config.key {
        KeySource::File(file) => file.display().to_string(),
        KeySource::Command(_) => "the key command".into(),
        KeySource::Environment => MASTER_KEY_VARIABLE.into(),
    };
    Failure::Refused(Fault::new(
        FaultKind::Missing,
        format!(
            "there is data in {}, but no master key in {place}; put the file back, or write it anew from the \
             recovery phrase with `chancery keys restore`",
            config.data.display()
        ),
    ))
}

fn key_failure(source: &KeySource) -> impl Fn(KeyError) -> Failure + use<> {
    let place = match source {
        KeySource::File(file) => file.display().to_string(),
        KeySource::Command(_) => "key.command".into(),
        KeySource::Environment => MASTER_KEY_VARIABLE.into(),
    };
    move |error| Failure::refused(format!("{place}: {error}"))
}

fn failure(config: &Config, error: VaultError) -> Failure {
    let kind = match &error {
        VaultError::Corrupt { .. } | VaultError::KeysMissing => FaultKind::Damaged,
        _ => FaultKind::Failed,
    };
    Failure::Refused(Fault::new(kind, format!("{}: {error}", config.data.display())))
}
