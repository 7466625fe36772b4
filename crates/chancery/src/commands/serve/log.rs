//! The log: lines for people on a terminal, JSON elsewhere, on standard error. Never content.

use std::io::IsTerminal;

use server::admin::{Fault, FaultKind};
use server::config::{self, LogFormat};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::failure::Failure;

/// The running log.
pub(super) struct Log {
    filter: Handle<EnvFilter, Registry>,
}

impl Log {
    /// Begins to log.
    pub(super) fn start(config: &config::Log) -> Result<Self, Failure> {
        let (filter, handle) = reload::Layer::new(filter(&config.level)?);
        let terminal = std::io::stderr().is_terminal();
        let json = match config.format {
            LogFormat::Auto => !terminal,
            LogFormat::Human => false,
            LogFormat::Json => true,
        };
        let lines = if json {
            fmt::layer().json().flatten_event(true).with_writer(std::io::stderr).boxed()
        } else {
            fmt::layer().with_ansi(terminal).with_target(false).with_writer(std::io::stderr).boxed()
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()
            .map_err(|error| Failure::refused(format!("cannot log: {error}")))?;
        Ok(Self { filter: handle })
    }

    /// Logs more or less from now on.
    pub(super) fn set_level(&self, level: &str) -> Result<(), Fault> {
        self.filter.reload(filter(level)?).map_err(Fault::failed)
    }
}

fn filter(level: &str) -> Result<EnvFilter, Fault> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|error| Fault::new(FaultKind::Invalid, format!("log.level: {error}")))
}
