//! What is said at the operator's door.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Ask, Caller};
use crate::directory::Profile;
use crate::users::Roles;

/// One line to the server.
///
/// No `Debug`: some requests carry passwords or keys.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// How the server is: `{version, pid, uptime_seconds, domains, listen, …}`.
    Status,
    /// Read the configuration and the certificate again: `{restart_needed: [key]}`.
    Reload,
    /// Make an account: the account.
    UserAdd {
        /// `name` (in the main domain) or `name@domain`.
        user: String,
        /// The password.
        password: String,
        /// What it may do.
        #[serde(default)]
        role: Roles,
        /// What is known about the person.
        #[serde(default)]
        profile: Profile,
    },
    /// Make many accounts; one that fails does not stop the others: `[{user, outcome, fault?}]` in the same order,
    /// `outcome` being `made` or `refused`.
    UserImport {
        /// Whom.
        people: Vec<NewPerson>,
        /// Only say what would happen; then `made` means that it could be.
        dry_run: bool,
    },
    /// Make a link with which somebody makes an account: `{uri, page?, expires}`.
    UserInvite {
        /// The name of the account; absent, the newcomer chooses. `name` (in the main domain) or `name@domain`.
        #[serde(default)]
        user: Option<String>,
        /// How the person is called.
        #[serde(default)]
        display_name: Option<String>,
        /// Groups that the newcomer will be in.
        #[serde(default)]
        groups: Vec<String>,
        /// How long it is good.
        days: u32,
    },
    /// Every account, sorted: `[account]`.
    UserList,
    /// Set a password: the account.
    UserPassword {
        /// Whose.
        user: String,
        /// The new password.
        password: String,
    },
    /// Set roles: the account.
    UserRole {
        /// Whose.
        user: String,
        /// What the person is beside an employee.
        role: Roles,
    },
    /// Let somebody in or keep them out: the account.
    UserEnable {
        /// Whom.
        user: String,
        /// In or out.
        enabled: bool,
    },
    /// Remove an account. Its messages stay in the archive: `{removed: address}`.
    UserRemove {
        /// Whose.
        user: String,
    },
    /// Erase an uploaded file, on record: `{erased: url}`.
    FileErase {
        /// The link to it.
        url: String,
    },
    /// Take the second factor off an account whose owner lost it: `{address}`.
    UserFactorReset {
        /// Whose.
        user: String,
    },
    /// Check the whole archive: `{intact, events, checkpoints, unsigned, head, faults, public_key}`.
    ArchiveVerify {
        /// Whose signature the checkpoints must bear, in hexadecimal. Absent: this server's.
        #[serde(default)]
        public_key: Option<String>,
        /// A file of anchors, an absolute path: checkpoints that must all be there.
        #[serde(default)]
        anchors: Option<PathBuf>,
    },
    /// Sign where the archive stands and take that to where checkpoints are kept: `{anchor, kept: [{to, fault}]}`.
    ArchiveAnchor,
    /// What verifies the archive's signatures: `{public_key}`.
    ArchiveKey,
    /// About the keys, never the keys themselves.
    KeysShow,
    /// Wrap everything anew with this master key: `{rewrapped}`.
    KeysRotate {
        /// The recovery phrase of the new key. Secret.
        phrase: String,
    },
    /// Copy everything to a new folder, while people go on talking, and the keys to a file apart from it:
    /// `{to, bytes, keys}`.
    Backup {
        /// An absolute path.
        to: PathBuf,
        /// The file for the keys, an absolute path. Absent: one beside the folder, for all backups that are there.
        #[serde(default)]
        keys: Option<PathBuf>,
    },
    /// Look for trouble: `[{check, state, message}]`.
    Doctor,
    /// Something that needs a person's right.
    Office {
        /// Who asks.
        #[serde(default)]
        by: Caller,
        /// What.
        ask: Ask,
    },
}

/// A request with who sits at the console, as the operating system says.
#[derive(Clone, Serialize, Deserialize)]
pub struct Order {
    /// The name of the system's account.
    #[serde(default)]
    pub account: String,
    /// What is asked.
    #[serde(flatten)]
    pub request: Request,
}

impl Order {
    /// From this process's own console.
    pub fn here(request: Request) -> Self {
        let named = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
        let account = named.filter(|name| !name.is_empty()).unwrap_or_else(|| "console".to_owned());
        Self { account, request }
    }
}

impl Request {
    /// The request's name, which is fit for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Reload => "reload",
            Self::UserAdd { .. } => "user-add",
            Self::UserImport { .. } => "user-import",
            Self::UserInvite { .. } => "user-invite",
            Self::UserList => "user-list",
            Self::UserPassword { .. } => "user-password",
            Self::UserRole { .. } => "user-role",
            Self::UserEnable { .. } => "user-enable",
            Self::UserRemove { .. } => "user-remove",
            Self::FileErase { .. } => "file-erase",
            Self::UserFactorReset { .. } => "user-factor-reset",
            Self::ArchiveVerify { .. } => "archive-verify",
            Self::ArchiveAnchor => "archive-anchor",
            Self::ArchiveKey => "archive-key",
            Self::KeysShow => "keys-show",
            Self::KeysRotate { .. } => "keys-rotate",
            Self::Backup { .. } => "backup",
            Self::Doctor => "doctor",
            Self::Office { ask, .. } => ask.name(),
        }
    }
}

/// Somebody to make an account for.
///
/// No `Debug`: it holds a password.
#[derive(Clone, Serialize, Deserialize)]
pub struct NewPerson {
    /// `name` (in the main domain) or `name@domain`.
    pub user: String,
    /// The password.
    pub password: String,
    /// What is known about the person.
    #[serde(default)]
    pub profile: Profile,
}

/// One line from the server. A request is answered by any number of `Progress` and then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// How far it is.
    Progress {
        /// Steps done.
        done: u64,
        /// Steps in all.
        total: u64,
    },
    /// It is done.
    Done {
        /// What the request's documentation says.
        value: Value,
    },
    /// It cannot be done.
    Fault(Fault),
}

/// Why something cannot be done, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of reason.
    pub kind: FaultKind,
    /// In words, and what to do about it. Without secrets.
    pub message: String,
}

/// Kinds of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The request makes no sense, such as a name that cannot be one.
    Invalid,
    /// What it speaks of does not exist.
    Missing,
    /// It is there already.
    Exists,
    /// Whoever asks may not.
    Refused,
    /// Something was checked and found wrong.
    Damaged,
    /// It did not work this time.
    Failed,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Something did not work.
    pub fn failed(error: impl fmt::Display) -> Self {
        Self::new(FaultKind::Failed, error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
