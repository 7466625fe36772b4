//! What the operator asked for, checked once.
//!
//! Three sources meet here: `chancery.toml`, the environment (every key has a twin `CHANCERY_…`), and the command
//! line. They are read as they come ([`raw`]), laid over one another, and become one [`Config`] that the rest of the
//! program can trust without looking again. Whatever is wrong is reported together, in words that say what to write
//! instead.

mod check;
mod keys;
mod raw;
mod values;

use std::fmt;
use std::path::{Path, PathBuf};

use jid::{DomainPart, DomainRef};

pub use keys::{KEYS, Key, Kind};
pub use values::{
    Access, ArchiveSettings, CompanyRoom, Compliance, ComponentSecret, Contact, Development,
    EncryptedMessages, ExternalService, Files, Goal, Http, KeySource, Limits, Listen, Log, LogFormat, Mail,
    MailSecurity, Metrics, Policy, Registration, RoomMakers, Rooms, Secret, TlsFiles, is_loopback,
};

/// The name of the file that is read when `--config` names none.
pub const FILE_NAME: &str = "chancery.toml";

/// The environment variable that may hold the master key itself.
pub const MASTER_KEY_VARIABLE: &str = "CHANCERY_MASTER_KEY";

/// A configuration in which every value has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The domains whose people this server serves. Never empty, no duplicates; the first is the main one.
    pub domains: Vec<DomainPart>,
    /// The data folder.
    pub data: PathBuf,
    /// Where the master key comes from.
    pub key: KeySource,
    /// The Unix socket over which commands talk to the running server.
    pub admin_socket: PathBuf,
    /// The addresses to listen on.
    pub listen: Listen,
    /// The certificate files. `None`: the self-signed certificate that the first run made.
    pub tls: Option<TlsFiles>,
    /// The web side.
    pub http: Http,
    /// Uploads (XEP-0363).
    pub files: Files,
    /// In-band registration (XEP-0077).
    pub registration: Registration,
    /// Conferences.
    pub rooms: Rooms,
    /// What one peer may cost.
    pub limits: Limits,
    /// What may be said.
    pub policy: Policy,
    /// Who may read other people's words, and under what conditions.
    pub compliance: Compliance,
    /// What leaves the archive by itself.
    pub archive: ArchiveSettings,
    /// The company's mail server. `None`: no mail is sent.
    pub mail: Option<Mail>,
    /// Who reads the numbers.
    pub metrics: Metrics,
    /// Whom to write to about this server (XEP-0157).
    pub contact: Contact,
    /// The log.
    pub log: Log,
    /// Switches that only a developer wants.
    pub development: Development,
    /// The groups whose members are in each other's rosters by rule; `*` stands for all.
    pub shared_groups: Vec<String>,
    /// The external components (XEP-0114). No domain twice, none that is served otherwise.
    pub components: Vec<ComponentSecret>,
    /// Rooms that the company has, whoever is in them.
    pub company_rooms: Vec<CompanyRoom>,
    /// What clients need for calls (XEP-0215).
    pub external_services: Vec<ExternalService>,
    /// What is odd but no reason to refuse, such as an environment variable that no key reads.
    pub warnings: Vec<String>,
}

/// What to read a configuration from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`: this file, which must exist. `None`: [`FILE_NAME`] in the working directory, if it is there.
    pub file: Option<PathBuf>,
    /// `--data`: wins over file and environment.
    pub data: Option<PathBuf>,
    /// The environment, or what a test puts in its place.
    pub environment: Vec<(String, String)>,
}

impl Sources {
    /// The command line's flags and the process's environment.
    pub fn from_process(file: Option<PathBuf>, data: Option<PathBuf>) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(keys::PREFIX))
            .collect();
        Self { file, data, environment }
    }
}

impl Config {
    /// Reads, lays over one another and checks: file, then environment, then flags.
    ///
    /// Paths in the file are relative to the file's folder; paths from the environment and the command line are
    /// relative to the working directory.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let (text, file) = match &sources.file {
            Some(file) => (Some(read(file)?), file.clone()),
            None => {
                let file = PathBuf::from(FILE_NAME);
                let text = if file.exists() { Some(read(&file)?) } else { None };
                (text, file)
            }
        };
        check::config(text.as_deref(), &file, sources)
    }

    /// The main domain: the first of [`Config::domains`].
    pub fn domain(&self) -> &DomainRef {
        // `check` never lets an empty list through; the fallback only keeps this total.
        self.domains.first().map_or(localhost_ref(), |domain| domain)
    }

    /// Whether the domain itself (not a service below it) is one of ours.
    pub fn serves(&self, domain: &DomainRef) -> bool {
        self.domains.iter().any(|ours| ours.as_str() == domain.as_str())
    }

    /// The keys whose change needs a restart, of those that differ between this running configuration and `new`.
    /// What is not listed can be taken over while running ([`Config::with_reloaded`]).
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut note = |differs: bool, key| {
            if differs {
                keys.push(key);
            }
        };
        note(self.domains != new.domains, "domains");
        note(self.data != new.data, "data");
        note(self.key != new.key, "key");
        note(self.admin_socket != new.admin_socket, "admin.socket");
        note(self.listen != new.listen, "listen");
        note(self.files != new.files, "files");
        note(self.registration != new.registration, "registration.open");
        note(self.rooms != new.rooms, "rooms");
        note(self.limits_reloaded(new) != new.limits, "limits");
        note(self.policy != new.policy, "policy.encrypted_messages");
        note(self.archive != new.archive, "archive");
        note(self.mail != new.mail, "mail");
        note(self.contact != new.contact, "contact");
        note(self.shared_groups != new.shared_groups, "directory.shared_groups");
        note(self.components != new.components, "components");
        note(self.company_rooms != new.company_rooms, "company_rooms");
        note(self.external_services != new.external_services, "external_services");
        note(self.log.format != new.log.format, "log.format");
        note(self.development != new.development, "development.insecure_login");
        keys
    }

    /// This configuration with everything from `new` that can change while running.
    pub fn with_reloaded(&self, new: &Self) -> Self {
        Self {
            tls: new.tls.clone(),
            http: new.http.clone(),
            compliance: new.compliance,
            metrics: new.metrics.clone(),
            limits: self.limits_reloaded(new),
            log: Log { format: self.log.format, level: new.log.level.clone() },
            warnings: new.warnings.clone(),
            ..self.clone()
        }
    }

    fn limits_reloaded(&self, new: &Self) -> Limits {
        Limits {
            logins_per_minute: new.limits.logins_per_minute,
            requests_per_minute: new.limits.requests_per_minute,
            ..self.limits
        }
    }
}

impl Default for Config {
    /// What an empty file means.
    fn default() -> Self {
        check::defaults()
    }
}

pub(crate) fn localhost_ref() -> &'static DomainRef {
    use std::sync::LazyLock;
    static LOCALHOST: LazyLock<DomainPart> = LazyLock::new(check::localhost);
    &LOCALHOST
}

fn read(file: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(file).map_err(|source| ConfigError {
        problems: vec![Problem { place: file.display().to_string(), what: source.to_string() }],
    })
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: a file and line, a key, or an environment variable.
    pub place: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}: {}", problem.place, problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;
