//! What the operator asked for, checked once.
//!
//! Three sources meet here: `chancery.toml`, the environment (every key has a twin `CHANCERY_…`), and the command
//! line. They are read as they come ([`raw`]), laid over one another, and become one [`Config`] that the rest of the
//! program can trust without looking again. Whatever is wrong is reported together, in words that say what to write
//! instead.

mod check;
mod keys;
mod raw;

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jid::{DomainPart, DomainRef, NodePart};

use crate::users::Roles;

pub use keys::{KEYS, Key, Kind};

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

/// Where the master key comes from. The key itself is never part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A file with mode 0600, outside the data folder. The first run makes it.
    File(PathBuf),
    /// What this shell command prints, so that a key management service fits.
    Command(String),
    /// The environment variable [`MASTER_KEY_VARIABLE`].
    Environment,
}

/// The addresses to listen on, by service. An empty list turns the service off. Port 0 lets the system choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// Clients, with STARTTLS (RFC 6120 §5).
    pub xmpp: Vec<SocketAddr>,
    /// Clients, with TLS from the first byte (XEP-0368).
    pub xmpp_tls: Vec<SocketAddr>,
    /// Other servers.
    pub s2s: Vec<SocketAddr>,
    /// The web side without TLS.
    pub http: Vec<SocketAddr>,
    /// The web side with TLS.
    pub https: Vec<SocketAddr>,
    /// External components (XEP-0114).
    pub component: Vec<SocketAddr>,
}

impl Listen {
    /// Every address with the key that names its service.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        [
            ("listen.xmpp", &self.xmpp),
            ("listen.xmpp_tls", &self.xmpp_tls),
            ("listen.s2s", &self.s2s),
            ("listen.http", &self.http),
            ("listen.https", &self.https),
            ("listen.component", &self.component),
        ]
        .into_iter()
        .flat_map(|(key, addresses)| addresses.iter().map(move |address| (key, *address)))
    }

    /// The first address that can be reached from another machine, with its key.
    pub fn first_reachable_from_outside(&self) -> Option<(&'static str, SocketAddr)> {
        self.all().find(|(_, address)| !is_loopback(address))
    }
}

/// Whether only this machine can reach the address. Knows IPv4 addresses in IPv6 clothes.
pub fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// A certificate chain and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The web side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// How people reach the web side, such as `https://chat.corp.example`, without a slash at the end. `None`: as
    /// each request says.
    pub public_url: Option<String>,
}

/// Uploads (XEP-0363).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// The largest file in bytes.
    pub max_bytes: NonZeroU64,
    /// What the files of one account may take together, in bytes. `None`: no limit.
    pub quota_bytes: Option<NonZeroU64>,
    /// How long an upload may send nothing and a download take nothing until it is dropped.
    pub idle: Duration,
}

/// In-band registration (XEP-0077).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Whether strangers may make accounts. Changing one's password is always possible.
    pub open: bool,
}

/// Conferences (XEP-0045).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rooms {
    /// Who may make a room.
    pub create: RoomMakers,
    /// Whether a new room lets in only its members, until its owner says otherwise.
    pub members_only_by_default: bool,
    /// Whether a new room stays when the last one leaves, until its owner says otherwise.
    pub persistent_by_default: bool,
}

/// Who may make a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomMakers {
    /// Every account of this server.
    #[default]
    Everyone,
    /// Its administrators.
    Admins,
}

/// What one peer may cost the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a connection may live before it has signed in.
    pub preauth: Duration,
    /// How many bytes a connection may send before it has signed in.
    pub preauth_bytes: usize,
    /// The largest stanza in bytes. At least 10,000 (RFC 6120 §13.12).
    pub stanza_bytes: usize,
    /// Stanzas a second and connection. `None`: no limit.
    pub stanzas_per_second: Option<NonZeroU32>,
    /// Sign-in attempts a minute and address. `None`: no limit.
    pub logins_per_minute: Option<NonZeroU32>,
    /// Requests to the API a minute and person. `None`: no limit.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Registrations a minute and address. `None`: no limit.
    pub registrations_per_minute: Option<NonZeroU32>,
    /// How long a lost session waits to be resumed (XEP-0198 §5). Zero: resumption is not offered.
    pub resume: Duration,
    /// Stanzas that may wait for one slow session.
    pub outbox_stanzas: NonZeroUsize,
    /// Bytes that may wait for one slow session.
    pub outbox_bytes: NonZeroUsize,
    /// Connections of all kinds at once. `None`: as many as the system gives.
    pub connections: Option<NonZeroUsize>,
}

/// What may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Messages that the server cannot read.
    pub encrypted_messages: EncryptedMessages,
}

/// What happens to messages that are encrypted from person to person (OMEMO, OpenPGP), so that the archive would hold
/// only noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptedMessages {
    /// They go back to the sender with an error.
    #[default]
    Refuse,
    /// They pass and are archived as they are.
    Allow,
}

/// Conditions on reading other people's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compliance {
    /// Whether a matter needs the approval of a second person before anybody reads under it.
    pub second_approval: bool,
    /// Whether roles sleep until their holder signs in with a second factor.
    pub second_factor: bool,
    /// Who may read without a matter in an emergency, for a reason, while all officers are told.
    pub break_glass: Roles,
}

/// Who reads the numbers at `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// What a reader from another machine must present. `None`: only loopback may read.
    pub token: Option<Secret>,
}

/// Whom to write to about this server (XEP-0157). Every value is a URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// About abuse.
    pub abuse: Vec<String>,
    /// The people who run it.
    pub admin: Vec<String>,
    /// What could be better.
    pub feedback: Vec<String>,
    /// Where another machine says what is wrong while this one is down: addresses of JSON documents (XEP-0455).
    pub outage: Vec<String>,
    /// About buying.
    pub sales: Vec<String>,
    /// About weaknesses.
    pub security: Vec<String>,
    /// Where the state of the service can be seen.
    pub status: Vec<String>,
    /// Help.
    pub support: Vec<String>,
}

impl Contact {
    /// The data form's fields (XEP-0157 §2) that have values: `(variable, URIs)`.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        [
            ("abuse-addresses", &self.abuse),
            ("admin-addresses", &self.admin),
            ("feedback-addresses", &self.feedback),
            ("sales-addresses", &self.sales),
            ("security-addresses", &self.security),
            ("status-addresses", &self.status),
            ("support-addresses", &self.support),
        ]
        .into_iter()
        .filter(|(_, uris)| !uris.is_empty())
        .map(|(variable, uris)| (variable, uris.as_slice()))
    }
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `info`, or directives such as `info,server::stream=debug`.
    pub level: String,
}

/// How the lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Switches that only a developer wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Development {
    /// Sign-in and registration without TLS. Only accepted while every listener is loopback.
    pub insecure_login: bool,
}

/// A room that the company has: everybody, or everybody in a group of the directory, is a member and finds it among
/// their bookmarks. Administrators own it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompanyRoom {
    /// The first part of its address.
    pub name: NodePart,
    /// For people.
    pub title: String,
    /// Whose it is. `None`: everybody's.
    pub group: Option<String>,
    /// Only its owners speak, and who has got a voice from them.
    pub announcements: bool,
}

/// A server that clients use beside this one, such as STUN or TURN for their calls (XEP-0215).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalService {
    /// `stun`, `turn`, `stuns`, `turns`, …
    pub type_: String,
    /// A host name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `udp` or `tcp`.
    pub transport: String,
    /// How clients are let in.
    pub access: Access,
}

/// How an [`ExternalService`] lets clients in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody may come.
    Open,
    /// One name and password for all.
    Fixed {
        /// The name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// Credentials for a while, made with a secret that the service knows too.
    Shared {
        /// The secret.
        secret: Secret,
        /// How long credentials last.
        valid: Duration,
    },
}

/// An external component: what it serves, and how it proves who it is (XEP-0114).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentSecret {
    /// Its domain.
    pub domain: DomainPart,
    /// Known to the component and to this server alone.
    pub secret: Secret,
}

/// A value that must not show in logs or errors.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself. The caller keeps it out of logs and errors.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
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
