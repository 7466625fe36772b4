//! Why a command did not do what it was asked to.

use std::process::ExitCode;

use server::admin::{Fault, FaultKind};
use server::config::ConfigError;

/// Either the command makes no sense, or it was refused.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command makes no sense as it was given: exit code 2.
    Usage(String),
    /// It could not be done: exit code 1.
    Refused(Fault),
}

impl Failure {
    /// It could not be done for this reason.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::Refused(Fault::new(FaultKind::Failed, message))
    }

    /// Something that the file system refused.
    pub(crate) fn from_io(what: &str) -> impl Fn(std::io::Error) -> Self + use<> {
        let what = what.to_owned();
        move |error| Self::refused(format!("{what}: {error}"))
    }

    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Usage(message) => message,
            Self::Refused(fault) => &fault.message,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Refused(_) => 1,
        })
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::refused(format!("the configuration cannot be used:\n{error}"))
    }
}
