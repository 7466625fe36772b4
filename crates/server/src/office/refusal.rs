//! Why not. One list for the API, the command line and people.

use archive::{AppendError, ArchiveError, Barred};
use vault::{StoreError, VaultError};

use super::access::Right;
use crate::admin::{Fault, FaultKind};
use crate::users::UserError;

/// Why something was not done. The text says what to do about it, and holds no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody signed in, or the session or token is not good any more.
    #[error("sign in first")]
    SignedOut,
    /// Name and password do not belong together.
    #[error("the name or the password is wrong")]
    Credentials,
    /// Said only after the right password.
    #[error("this account is disabled; ask an administrator")]
    Disabled,
    /// The password was right, and the account has a second factor.
    #[error("enter the code that your authenticator app shows now, or a recovery code")]
    SecondFactor,
    /// The second factor was wrong or used before.
    #[error("this code is wrong or was used before; wait for the next one")]
    WrongCode,
    /// The roles need a second factor, and the account has none.
    #[error("your roles need a second factor; set one up for your account, then sign in again")]
    SecondFactorWanted,
    /// Too many tries.
    #[error("too many tries; wait a while and try again")]
    TooMany {
        /// How long to wait.
        seconds: u32,
    },
    /// The roles do not have this right.
    #[error("this needs {}", .0.holders_in_words())]
    Right(Right),
    /// The token may not be used for this.
    #[error("this token lacks the scope {0}")]
    Scope(Right),
    /// The console alone is not enough.
    #[error(
        "the console alone may not do this: it needs {}; name a person who has it with --as NAME",
        .0.holders_in_words()
    )]
    Operator(Right),
    /// A token cannot stand for the person here.
    #[error("this needs you to sign in with your password; a token is not enough")]
    InPerson,
    /// Somebody with other roles would be taken over.
    #[error("this account oversees others, so only an officer may do that to it")]
    Oversight,
    /// One cannot do this to oneself.
    #[error("somebody else must do this: nobody decides about themselves")]
    Oneself,
    /// There is no such matter, or the actor is not one of its members; which of the two is not said.
    #[error("there is no open matter {0} that you are a member of")]
    Matter(String),
    /// A matter is needed.
    #[error("reading other people's words needs an open matter that you are a member of; name it")]
    MatterWanted,
    /// The matter does not allow reading now.
    #[error("{matter}: {barred}")]
    Barred {
        /// The matter's id.
        matter: String,
        /// What is in the way.
        barred: Barred,
    },
    /// Nobody may break the glass, by setting.
    #[error("compliance.break_glass does not let you read without a matter")]
    BreakGlass,
    /// It does not exist, or not for the actor.
    #[error("{0}")]
    Missing(String),
    /// It exists already, or stands in the way.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else changed it meanwhile.
    #[error("somebody changed this meanwhile; read it again")]
    Changed,
    /// The request makes no sense.
    #[error("{message}")]
    Invalid {
        /// Which field, as a JSON pointer, if it is one.
        field: Option<String>,
        /// What is wrong with it.
        message: String,
    },
    /// It could not be put on record, so it was not done.
    #[error("this cannot be put on record just now, so it was not done; look at the disk, then try again")]
    Unrecorded,
    /// The storage failed.
    #[error("this did not work just now; the server's log says why")]
    Failed,
    /// The server stops.
    #[error("the server is stopping")]
    Stopping,
}

impl Refusal {
    /// A field that cannot stand.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: Some(field.to_owned()), message: message.into() }
    }

    /// What programs know it by.
    pub fn code(&self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::Credentials => "credentials",
            Self::Disabled => "disabled",
            Self::SecondFactor => "second-factor",
            Self::WrongCode => "wrong-code",
            Self::SecondFactorWanted => "second-factor-wanted",
            Self::TooMany { .. } => "too-many",
            Self::Right(_) | Self::Operator(_) => "right",
            Self::Scope(_) => "scope",
            Self::InPerson => "in-person",
            Self::Oversight => "oversight",
            Self::Oneself => "oneself",
            Self::Matter(_) => "matter",
            Self::MatterWanted => "matter-wanted",
            Self::Barred { barred: Barred::Unapproved { .. }, .. } => "unapproved",
            Self::Barred { .. } => "barred",
            Self::BreakGlass => "break-glass",
            Self::Missing(_) => "missing",
            Self::Conflict(_) => "conflict",
            Self::Changed => "changed",
            Self::Invalid { .. } => "invalid",
            Self::Unrecorded => "unrecorded",
            Self::Failed => "failed",
            Self::Stopping => "stopping",
        }
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Conflict => Self::Changed,
            VaultError::Store(StoreError::Closed) => Self::Stopping,
            error => {
                tracing::error!(%error, "the storage failed");
                Self::Failed
            }
        }
    }
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotFound => Self::Missing("there is no such message".to_owned()),
            ArchiveError::Vault(error) => error.into(),
            ArchiveError::Closed => Self::Stopping,
            error => Self::Invalid { field: None, message: error.to_string() },
        }
    }
}

/// What goes on record before it is done.
impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict => Self::Changed,
            error => {
                tracing::error!(%error, "an act could not be put on record");
                Self::Unrecorded
            }
        }
    }
}

impl From<UserError> for Refusal {
    fn from(error: UserError) -> Self {
        match error {
            UserError::Unknown => Self::Missing(error.to_string()),
            UserError::Exists => Self::Conflict(error.to_string()),
            UserError::Vault(error) => error.into(),
            UserError::ShuttingDown => Self::Stopping,
            UserError::BadName => Self::invalid("/address", error.to_string()),
            UserError::BadDisplayName => Self::invalid("/name", error.to_string()),
            UserError::Password(_) => Self::invalid("/password", error.to_string()),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let kind = match &refusal {
            Refusal::Missing(_) | Refusal::Matter(_) => FaultKind::Missing,
            Refusal::Conflict(_) => FaultKind::Exists,
            Refusal::Invalid { .. } => FaultKind::Invalid,
            Refusal::Unrecorded | Refusal::Failed | Refusal::Stopping | Refusal::Changed => FaultKind::Failed,
            _ => FaultKind::Refused,
        };
        Self::new(kind, refusal.to_string())
    }
}
