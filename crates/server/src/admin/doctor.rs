//! Looks for trouble from inside: what only whoever has the vault open can see.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use vault::Vault;

use super::Fault;
use crate::config::Config;
use crate::tls::{Certificate, Pem};
use crate::users::{Role, Users};

/// Less than this free, and the disk will be full soon.
const LITTLE_ROOM: u64 = 1 << 30;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    /// What.
    pub check: String,
    /// How it is.
    pub state: State,
    /// In words, with what to do if it is not well.
    pub message: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Well.
    Ok,
    /// Well enough, but look at it.
    Warning,
    /// Broken.
    Fault,
}

impl Finding {
    /// It is well.
    pub fn ok(check: &str, message: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, message: message.into() }
    }

    /// Look at it.
    pub fn warning(check: &str, message: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Warning, message: message.into() }
    }

    /// It is broken.
    pub fn fault(check: &str, message: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Fault, message: message.into() }
    }
}

/// Every finding, in a fixed order.
pub(super) async fn inside(config: &Config, vault: &Vault, users: &Users) -> Result<Value, Fault> {
    let findings = [
        storage(vault).await,
        files(vault).await,
        room(vault).await,
        administrator(config, users).await,
        emergencies(vault).await,
        certificate(config, vault).await,
    ];
    Ok(json!(findings))
}

async fn storage(vault: &Vault) -> Finding {
    const CHECK: &str = "storage";
    match vault.store().check().await {
        Ok(check) if check.faults.is_empty() => Finding::ok(CHECK, "the data folder is sound"),
        Ok(check) => Finding::fault(CHECK, format!("damaged: {}; restore a backup", check.faults.join("; "))),
        Err(error) => Finding::fault(CHECK, error.to_string()),
    }
}

async fn files(vault: &Vault) -> Finding {
    const CHECK: &str = "files";
    match crate::files::check(vault).await {
        Err(error) => Finding::fault(CHECK, error.to_string()),
        Ok(check) if check.broken > 0 => Finding::fault(
            CHECK,
            format!(
                "the content of {} of {} files is missing or damaged; bring data/blobs back from a backup",
                check.broken, check.files
            ),
        ),
        Ok(check) => Finding::ok(CHECK, format!("{} files, none is missing", check.files)),
    }
}

async fn room(vault: &Vault) -> Finding {
    const CHECK: &str = "room on disk";
    match vault.store().statistics().await {
        Err(error) => Finding::fault(CHECK, error.to_string()),
        Ok(statistics) => match statistics.free_bytes {
            Some(free) if free < LITTLE_ROOM => Finding::warning(
                CHECK,
                format!("{} MiB left; when it is full, messages are refused", free >> 20),
            ),
            Some(free) => Finding::ok(CHECK, format!("{} GiB left", free >> 30)),
            None => Finding::ok(CHECK, "the system does not say"),
        },
    }
}

async fn administrator(config: &Config, users: &Users) -> Finding {
    const CHECK: &str = "administrator";
    for domain in &config.domains {
        match users.list(domain).await {
            Err(error) => return Finding::fault(CHECK, error.to_string()),
            Ok(accounts) => {
                if accounts.iter().any(|account| account.roles.has(Role::Admin) && !account.disabled) {
                    return Finding::ok(CHECK, "there is one");
                }
            }
        }
    }
    Finding::warning(
        CHECK,
        "nobody can run the server from a client; `chancery user role NAME admin` makes one",
    )
}

async fn emergencies(vault: &Vault) -> Finding {
    const CHECK: &str = "break-glass";
    match crate::office::emergencies(vault).await {
        Err(error) => Finding::fault(CHECK, error.to_string()),
        Ok(all) => match all.iter().filter(|emergency| emergency.is_recent()).count() {
            0 => Finding::ok(CHECK, "nobody read without a matter in the last thirty days"),
            count => Finding::warning(
                CHECK,
                format!(
                    "other people's words were read without a matter {count} times in the last thirty days; \
                     `chancery archive audit` says by whom and why"
                ),
            ),
        },
    }
}

async fn certificate(config: &Config, vault: &Vault) -> Finding {
    const CHECK: &str = "certificate";
    let pem = match &config.tls {
        Some(files) => Pem::read(&files.certificate, &files.key),
        None => match Certificate::find(vault).await {
            Ok(Some(pem)) => Ok(pem),
            Ok(None) => return Finding::ok(CHECK, "the first start makes one"),
            Err(error) => return Finding::fault(CHECK, error.to_string()),
        },
    };
    let description = match pem.and_then(|pem| pem.check().and_then(|()| pem.describe())) {
        Ok(description) => description,
        Err(error) => return Finding::fault(CHECK, error.to_string()),
    };
    let left = description.not_after - OffsetDateTime::now_utc();
    let uncovered: Vec<&str> = config
        .domains
        .iter()
        .map(|domain| domain.as_str())
        .filter(|domain| !description.covers(domain))
        .collect();
    if left.is_negative() {
        Finding::fault(CHECK, "has expired")
    } else if !uncovered.is_empty() {
        Finding::fault(CHECK, format!("does not name {}", uncovered.join(", ")))
    } else if left < Duration::days(14) {
        Finding::warning(CHECK, format!("expires in {} days", left.whole_days()))
    } else if description.self_signed && config.listen.first_reachable_from_outside().is_some() {
        Finding::warning(CHECK, "is self-signed, so clients will warn; set tls.certificate and tls.key")
    } else {
        Finding::ok(CHECK, format!("good for {} days", left.whole_days()))
    }
}
