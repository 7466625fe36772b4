//! From what was written to what can be trusted.

mod doors;
mod limits;
mod outgoing;

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use jid::DomainPart;

use super::raw::{self, Raw};
use super::{
    Compliance, Config, ConfigError, Contact, Development, EncryptedMessages, Files, Log, LogFormat,
    MASTER_KEY_VARIABLE, Metrics, Policy, Problem, Registration, RoomMakers, Rooms, Secret, Sources, keys,
};
use crate::users::{Role, Roles};

const DEFAULT_DOMAIN: &str = "localhost";
const DEFAULT_DATA: &str = "./data";
const DEFAULT_LOG_LEVEL: &str = "info";

/// What a domain has below it.
const SERVICES: [&str; 4] = ["conference", "upload", "pubsub", "directory"];

/// RFC 6120 §13.12: a server must not refuse stanzas below this size.
const SMALLEST_STANZA_LIMIT: u64 = 10_000;
/// A sign-in with every mechanism fits in this; less would lock everybody out.
const SMALLEST_PREAUTH_BYTES: u64 = 4_096;
/// An hour and a day: beyond these the limits protect nothing.
const LONGEST_PREAUTH_SECONDS: u64 = 3_600;
const LONGEST_RESUME_SECONDS: u64 = 86_400;
/// Shorter tokens can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// Reads `text` (the file's, if there is one) and lays environment and flags over it.
pub(super) fn config(text: Option<&str>, file: &Path, sources: &Sources) -> Result<Config, ConfigError> {
    let mut table = match text {
        Some(text) => parse(text, file)?,
        None => toml::Table::new(),
    };
    let environment = keys::read_environment(&sources.environment);
    let mut check = Check { problems: environment.problems, ..Check::default() };
    for (key, value) in environment.values {
        insert(&mut table, key.path, value);
        check.from_environment.push(key);
    }
    if let Some(data) = &sources.data {
        insert(&mut table, "data", data.to_string_lossy().into_owned().into());
        check.from_flags.push("data");
    }
    check.folder = file.parent().map(Path::to_path_buf).unwrap_or_default();
    check.master_key_in_environment = sources.environment.iter().any(|(name, _)| name == MASTER_KEY_VARIABLE);

    let raw: Raw = table.try_into().map_err(|error: toml::de::Error| {
        // `keys` has checked names and kinds, so this is out of reach; say what there is to say all the same.
        ConfigError {
            problems: vec![Problem { place: file.display().to_string(), what: error.message().to_owned() }],
        }
    })?;
    let mut config = check.config(raw);
    config.warnings = environment.warnings;
    match check.problems.is_empty() {
        true => Ok(config),
        false => Err(ConfigError { problems: check.problems }),
    }
}

/// What an empty file means.
pub(super) fn defaults() -> Config {
    Check::default().config(Raw::default())
}

/// The domain of a server that nobody has configured.
pub(super) fn localhost() -> DomainPart {
    #[expect(clippy::expect_used, reason = "a constant that a test reads")]
    DomainPart::new(DEFAULT_DOMAIN).map(Cow::into_owned).expect("a valid domain")
}

fn parse(text: &str, file: &Path) -> Result<toml::Table, ConfigError> {
    let place = file.display().to_string();
    let syntax = |error: toml::de::Error| {
        let line =
            error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        ConfigError {
            problems: vec![Problem { place: format!("{place}:{line}"), what: error.message().to_owned() }],
        }
    };
    let document = toml::de::DeTable::parse(text).map_err(syntax)?;
    let problems = keys::check_names(text, &place, document.get_ref());
    if !problems.is_empty() {
        return Err(ConfigError { problems });
    }
    toml::from_str(text).map_err(syntax)
}

fn insert(table: &mut toml::Table, path: &str, value: toml::Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((section, name)) => {
            let section = table.entry(section).or_insert_with(|| toml::Table::new().into());
            if let toml::Value::Table(section) = section {
                section.insert(name.to_owned(), value);
            }
        }
    }
}

/// The state of one reading: where values came from and what was wrong with them.
#[derive(Default)]
struct Check {
    folder: PathBuf,
    from_environment: Vec<&'static keys::Key>,
    from_flags: Vec<&'static str>,
    master_key_in_environment: bool,
    problems: Vec<Problem>,
}

impl Check {
    fn config(&mut self, raw: Raw) -> Config {
        let domains = self.domains(raw.domain, raw.domains);
        let data = self.path("data", raw.data.as_deref().unwrap_or(DEFAULT_DATA));
        let key = self.key(raw.key, &data);
        let admin_socket = match &raw.admin.socket {
            Some(socket) => self.path("admin.socket", socket),
            None => beside(&data, "sock"),
        };
        if admin_socket.starts_with(&data) {
            self.refuse("admin.socket", "must lie outside the data folder");
        }
        let listen = self.listen(raw.listen, &domains);
        let development = Development { insecure_login: raw.development.insecure_login };
        if development.insecure_login
            && let Some((other, address)) = listen.first_reachable_from_outside()
        {
            self.refuse(
                "development.insecure_login",
                &format!(
                    "is only accepted while every listener is a loopback address, but {other} has {address}; \
                     take one of the two back"
                ),
            );
        }
        let components = self.components(raw.components, &domains);
        Config {
            shared_groups: raw.directory.shared_groups,
            components,
            company_rooms: self.company_rooms(raw.company_rooms),
            external_services: self.external_services(raw.external_services),
            domains,
            data,
            key,
            admin_socket,
            listen,
            tls: self.tls(raw.tls),
            http: self.http(raw.http),
            files: self.files(&raw.files),
            registration: Registration { open: raw.registration.open },
            rooms: self.rooms(&raw.rooms),
            limits: self.limits(&raw.limits),
            policy: self.policy(&raw.policy),
            compliance: self.compliance(&raw.compliance),
            archive: self.archive(&raw.archive, raw.mail.server.is_some()),
            mail: self.mail(raw.mail),
            metrics: self.metrics(raw.metrics),
            contact: self.contact(raw.contact),
            log: self.log(raw.log),
            development,
            warnings: Vec::new(),
        }
    }

    /// Notes that a key's value cannot stand.
    fn refuse(&mut self, path: &str, what: &str) {
        let place = match self.from_environment.iter().find(|key| key.path == path) {
            Some(key) => format!("{path} (from {})", key.variable()),
            None if self.from_flags.contains(&path) => format!("--{path}"),
            None => path.to_owned(),
        };
        self.problems.push(Problem { place, what: what.to_owned() });
    }

    /// A path of the file is relative to the file; others are relative to the working directory.
    fn path(&self, key: &str, text: &str) -> PathBuf {
        let elsewhere =
            self.from_flags.contains(&key) || self.from_environment.iter().any(|other| other.path == key);
        if elsewhere { PathBuf::from(text) } else { self.folder.join(text) }
    }

    fn domains(&mut self, first: Option<String>, all: Option<Vec<String>>) -> Vec<DomainPart> {
        let key = if first.is_some() { "domain" } else { "domains" };
        let mut domains: Vec<DomainPart> = Vec::new();
        for name in first.into_iter().chain(all.into_iter().flatten()) {
            match DomainPart::new(&name).map(Cow::into_owned) {
                Ok(domain) if domains.contains(&domain) => {}
                Ok(domain) => domains.push(domain),
                Err(error) => self.refuse(key, &format!("{name:?} is not a domain: {error}")),
            }
        }
        if domains.is_empty() {
            domains.push(localhost());
        }
        for domain in &domains {
            for service in SERVICES {
                let name = format!("{service}.{domain}");
                if domains.iter().any(|other| other.as_str() == name) {
                    self.refuse(
                        "domains",
                        &format!("{name} cannot be a domain: it is a service of {domain}"),
                    );
                }
            }
        }
        domains
    }

    fn rooms(&mut self, raw: &raw::Rooms) -> Rooms {
        let create = match raw.create.as_deref() {
            None | Some("everyone") => RoomMakers::Everyone,
            Some("admins") => RoomMakers::Admins,
            Some(_) => {
                self.refuse("rooms.create", "wants \"everyone\" or \"admins\"");
                RoomMakers::Everyone
            }
        };
        Rooms {
            create,
            members_only_by_default: raw.members_only_by_default,
            persistent_by_default: raw.persistent_by_default,
        }
    }

    fn files(&mut self, raw: &raw::Files) -> Files {
        let max_bytes = NonZeroU64::new(raw.max_bytes.unwrap_or(256 << 20)).unwrap_or_else(|| {
            self.refuse(
                "files.max_bytes",
                "lets nothing through; to turn uploads off, turn the web side off",
            );
            NonZeroU64::MIN
        });
        let quota_bytes = NonZeroU64::new(raw.quota_bytes.unwrap_or(10 << 30));
        if quota_bytes.is_some_and(|quota| quota < max_bytes) {
            self.refuse("files.quota_bytes", "has no room for one file of files.max_bytes");
        }
        let idle = self.seconds("files.idle_seconds", raw.idle_seconds, 60, 1..=3_600);
        Files { max_bytes, quota_bytes, idle }
    }

    fn policy(&mut self, raw: &raw::Policy) -> Policy {
        let encrypted_messages = match raw.encrypted_messages.as_deref() {
            None | Some("refuse") => EncryptedMessages::Refuse,
            Some("allow") => EncryptedMessages::Allow,
            Some(_) => {
                self.refuse("policy.encrypted_messages", "wants \"refuse\" or \"allow\"");
                EncryptedMessages::Refuse
            }
        };
        Policy { encrypted_messages }
    }

    fn compliance(&mut self, raw: &raw::Compliance) -> Compliance {
        let mut break_glass = Roles::USER;
        for name in &raw.break_glass {
            match name.parse::<Role>() {
                Ok(role) => break_glass = break_glass.iter().chain([role]).collect(),
                Err(error) => self.refuse("compliance.break_glass", &format!("{name:?}: {error}")),
            }
        }
        let raw::Compliance { second_approval, second_factor, .. } = *raw;
        Compliance { second_approval, second_factor, break_glass }
    }

    fn metrics(&mut self, raw: raw::Metrics) -> Metrics {
        // The value stays out of the message: it is a secret.
        if raw.token.as_ref().is_some_and(|token| token.len() < SHORTEST_TOKEN) {
            self.refuse(
                "metrics.token",
                &format!("is too short to keep a secret: at least {SHORTEST_TOKEN} characters"),
            );
        }
        Metrics { token: raw.token.map(Secret::new) }
    }

    fn contact(&mut self, raw: raw::Contact) -> Contact {
        Contact {
            abuse: self.uris("contact.abuse", raw.abuse),
            admin: self.uris("contact.admin", raw.admin),
            feedback: self.uris("contact.feedback", raw.feedback),
            outage: self.uris("contact.outage", raw.outage),
            sales: self.uris("contact.sales", raw.sales),
            security: self.uris("contact.security", raw.security),
            status: self.uris("contact.status", raw.status),
            support: self.uris("contact.support", raw.support),
        }
    }

    /// XEP-0157 §2.1 wants URIs. A plain mail address becomes one.
    fn uris(&mut self, key: &str, values: Vec<String>) -> Vec<String> {
        let uri = |value: String| match value.split_once(':') {
            Some((scheme, rest))
                if !rest.is_empty() && ["mailto", "xmpp", "https", "http"].contains(&scheme) =>
            {
                Ok(value)
            }
            None if value.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty()) => {
                Ok(format!("mailto:{value}"))
            }
            _ => Err(value),
        };
        let mut uris = Vec::new();
        for value in values {
            match uri(value) {
                Ok(uri) => uris.push(uri),
                Err(value) => self.refuse(
                    key,
                    &format!("{value:?} wants to be a mail address, or a URI that starts with mailto:, xmpp: or https:"),
                ),
            }
        }
        uris
    }

    fn log(&mut self, raw: raw::Log) -> Log {
        let format = match raw.format.as_deref() {
            None | Some("auto") => LogFormat::Auto,
            Some("human") => LogFormat::Human,
            Some("json") => LogFormat::Json,
            Some(_) => {
                self.refuse("log.format", "wants \"auto\", \"human\" or \"json\"");
                LogFormat::Auto
            }
        };
        Log { format, level: raw.level.unwrap_or_else(|| DEFAULT_LOG_LEVEL.to_owned()) }
    }
}

/// `./data` → `./data.key`: beside the folder, so that copying the folder does not copy the file.
fn beside(data: &Path, extension: &str) -> PathBuf {
    let mut name = data.file_name().map_or_else(|| "chancery".into(), |name| name.to_os_string());
    name.push(".");
    name.push(extension);
    data.with_file_name(name)
}
