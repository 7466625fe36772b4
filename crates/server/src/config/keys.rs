//! The keys that exist. One table serves the unknown-key check, the environment twins and the documentation's test.

use toml::de::{DeTable, DeValue};

use super::Problem;

/// What every environment twin starts with.
pub(super) const PREFIX: &str = "CHANCERY_";

/// Variables with the prefix that are no twin of a key.
const OTHER_VARIABLES: &[&str] = &["CHANCERY_CONFIG", "CHANCERY_TOKEN", super::MASTER_KEY_VARIABLE];

/// One key of `chancery.toml`.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its place, sections separated by dots.
    pub path: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
}

/// Kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A list of strings; in the environment separated by commas.
    Texts,
    /// True or false.
    Switch,
    /// A whole number from zero up.
    Count,
    /// Any number of tables (`[[name]]`) with these fields; in the environment a TOML list of inline tables.
    Tables(&'static [Field]),
}

/// A field of a [`Kind::Tables`] and its kind of value.
pub type Field = (&'static str, Kind);

/// Fields of `[[external_services]]`.
const EXTERNAL_SERVICE: &[Field] = &[
    ("type", Kind::Text),
    ("host", Kind::Text),
    ("port", Kind::Count),
    ("transport", Kind::Text),
    ("secret", Kind::Text),
    ("username", Kind::Text),
    ("password", Kind::Text),
    ("valid_seconds", Kind::Count),
];

/// Fields of `[[company_rooms]]`.
const COMPANY_ROOM: &[Field] =
    &[("name", Kind::Text), ("title", Kind::Text), ("group", Kind::Text), ("announcements", Kind::Switch)];

/// Fields of `[[components]]`.
const COMPONENT: &[Field] = &[("domain", Kind::Text), ("secret", Kind::Text)];

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("domain", Kind::Text),
    key("domains", Kind::Texts),
    key("data", Kind::Text),
    key("key.file", Kind::Text),
    key("key.command", Kind::Text),
    key("admin.socket", Kind::Text),
    key("listen.xmpp", Kind::Texts),
    key("listen.xmpp_tls", Kind::Texts),
    key("listen.s2s", Kind::Texts),
    key("listen.http", Kind::Texts),
    key("listen.https", Kind::Texts),
    key("listen.component", Kind::Texts),
    key("tls.certificate", Kind::Text),
    key("tls.key", Kind::Text),
    key("http.public_url", Kind::Text),
    key("files.max_bytes", Kind::Count),
    key("files.quota_bytes", Kind::Count),
    key("files.idle_seconds", Kind::Count),
    key("registration.open", Kind::Switch),
    key("rooms.create", Kind::Text),
    key("rooms.members_only_by_default", Kind::Switch),
    key("rooms.persistent_by_default", Kind::Switch),
    key("limits.preauth_seconds", Kind::Count),
    key("limits.preauth_bytes", Kind::Count),
    key("limits.stanza_bytes", Kind::Count),
    key("limits.stanzas_per_second", Kind::Count),
    key("limits.logins_per_minute", Kind::Count),
    key("limits.requests_per_minute", Kind::Count),
    key("limits.registrations_per_minute", Kind::Count),
    key("limits.resume_seconds", Kind::Count),
    key("limits.outbox_stanzas", Kind::Count),
    key("limits.outbox_bytes", Kind::Count),
    key("limits.connections", Kind::Count),
    key("policy.encrypted_messages", Kind::Text),
    key("compliance.second_approval", Kind::Switch),
    key("compliance.second_factor", Kind::Switch),
    key("compliance.break_glass", Kind::Texts),
    key("archive.anchor", Kind::Texts),
    key("archive.anchor_minutes", Kind::Count),
    key("archive.journal", Kind::Texts),
    key("mail.server", Kind::Text),
    key("mail.security", Kind::Text),
    key("mail.from", Kind::Text),
    key("mail.user", Kind::Text),
    key("mail.password", Kind::Text),
    key("metrics.token", Kind::Text),
    key("contact.abuse", Kind::Texts),
    key("contact.admin", Kind::Texts),
    key("contact.feedback", Kind::Texts),
    key("contact.outage", Kind::Texts),
    key("contact.sales", Kind::Texts),
    key("contact.security", Kind::Texts),
    key("contact.status", Kind::Texts),
    key("contact.support", Kind::Texts),
    key("log.format", Kind::Text),
    key("log.level", Kind::Text),
    key("development.insecure_login", Kind::Switch),
    key("directory.shared_groups", Kind::Texts),
    key("components", Kind::Tables(COMPONENT)),
    key("company_rooms", Kind::Tables(COMPANY_ROOM)),
    key("external_services", Kind::Tables(EXTERNAL_SERVICE)),
];

impl Key {
    /// The name of the environment twin: `listen.xmpp_tls` → `CHANCERY_LISTEN_XMPP_TLS`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "_").to_ascii_uppercase())
    }
}

impl Kind {
    fn wants(self) -> &'static str {
        match self {
            Self::Text => "a string in quotes",
            Self::Texts => "a list of strings, such as [\"one\", \"two\"]",
            Self::Switch => "true or false",
            Self::Count => "a whole number, zero or more",
            Self::Tables(_) => "tables, each under its name in double brackets",
        }
    }

    fn accepts(self, value: &DeValue<'_>) -> bool {
        match (self, value) {
            (Self::Text, DeValue::String(_)) | (Self::Switch, DeValue::Boolean(_)) => true,
            (Self::Texts, DeValue::Array(items)) => {
                items.iter().all(|item| matches!(item.get_ref(), DeValue::String(_)))
            }
            (Self::Count, DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix()).is_ok_and(|number| number >= 0)
            }
            (Self::Tables(_), DeValue::Array(items)) => {
                items.iter().all(|item| matches!(item.get_ref(), DeValue::Table(_)))
            }
            _ => false,
        }
    }

    /// A value as it stands in the environment.
    fn read(self, text: &str) -> Option<toml::Value> {
        let text = text.trim();
        match self {
            Self::Text => Some(text.into()),
            Self::Texts => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(toml::Value::from).collect::<Vec<_>>().into())
            }
            Self::Switch => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true.into()),
                "false" | "no" | "off" | "0" => Some(false.into()),
                _ => None,
            },
            Self::Count => text.parse::<i64>().ok().filter(|number| *number >= 0).map(Into::into),
            Self::Tables(fields) => read_tables(text, fields),
        }
    }

    fn wants_in_environment(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "values separated by commas",
            Self::Switch => "true or false",
            Self::Count => "a whole number, zero or more",
            Self::Tables(_) => "a list such as [{name = \"value\"}] with the fields of the documentation",
        }
    }
}

/// A list of inline tables, in which every field is known and of its kind.
fn read_tables(text: &str, fields: &[Field]) -> Option<toml::Value> {
    let document = format!("list = {}", if text.is_empty() { "[]" } else { text });
    let table = DeTable::parse(&document).ok()?;
    let (_, list) = table.get_ref().iter().next().filter(|_| table.get_ref().len() == 1)?;
    let DeValue::Array(items) = list.get_ref() else { return None };
    let known = |table: &DeTable<'_>| {
        table.iter().all(|(name, value)| {
            fields.iter().any(|(field, kind)| field == name.get_ref() && kind.accepts(value.get_ref()))
        })
    };
    let all = items.iter().all(|item| matches!(item.get_ref(), DeValue::Table(table) if known(table)));
    let mut parsed: toml::Table = all.then(|| toml::from_str(&document).ok()).flatten()?;
    parsed.remove("list")
}

/// Checks that a file names only keys that exist, each with its kind of value.
pub(super) fn check_names(text: &str, file: &str, table: &DeTable<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_table(text, file, "", table, &mut problems);
    problems
}

fn check_table(text: &str, file: &str, section: &str, table: &DeTable<'_>, problems: &mut Vec<Problem>) {
    for (name, value) in table {
        let path = match section {
            "" => name.get_ref().to_string(),
            _ => format!("{section}.{}", name.get_ref()),
        };
        let what = match (KEYS.iter().find(|key| key.path == path), value.get_ref()) {
            (Some(Key { kind: Kind::Tables(fields), .. }), DeValue::Array(items)) => {
                for item in items {
                    match item.get_ref() {
                        DeValue::Table(inner) => check_fields(text, file, &path, fields, inner, problems),
                        _ => problems.push(Problem {
                            place: format!("{file}:{}", line(text, item.span().start)),
                            what: format!("{path} wants tables; write [[{path}]] above each"),
                        }),
                    }
                }
                continue;
            }
            (Some(key), value) if key.kind.accepts(value) => continue,
            (Some(key), _) => format!("{path} wants {}", key.kind.wants()),
            (None, DeValue::Table(inner)) if is_section(&path) => {
                check_table(text, file, &path, inner, problems);
                continue;
            }
            (None, _) if is_section(&path) => format!("{path} is a section; write [{path}] above its keys"),
            (None, _) => unknown(&path),
        };
        problems.push(Problem { place: format!("{file}:{}", line(text, name.span().start)), what });
    }
}

fn check_fields(
    text: &str,
    file: &str,
    path: &str,
    fields: &[Field],
    table: &DeTable<'_>,
    problems: &mut Vec<Problem>,
) {
    for (name, value) in table {
        let what = match fields.iter().find(|(field, _)| field == name.get_ref()) {
            Some((_, kind)) if kind.accepts(value.get_ref()) => continue,
            Some((field, kind)) => format!("{path}: {field} wants {}", kind.wants()),
            None => {
                let known: Vec<&str> = fields.iter().map(|(field, _)| *field).collect();
                format!("{path} has no {}; it has {}", name.get_ref(), known.join(", "))
            }
        };
        problems.push(Problem { place: format!("{file}:{}", line(text, name.span().start)), what });
    }
}

fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(path: &str) -> String {
    let names = KEYS.iter().map(|key| key.path);
    match closest(path, names) {
        Some(name) => format!("there is no key {path}; did you mean {name}?"),
        None => format!("there is no key {path}; docs/configuration.md lists them all"),
    }
}

/// The candidate that a slip of the finger could have meant. A key in the wrong section counts as such a slip.
fn closest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |path: &str| path.rsplit('.').next().map(str::to_owned);
    candidates
        .map(|candidate| {
            let moved = last(candidate) == last(name);
            (if moved { 0.95 } else { strsim::jaro_winkler(name, candidate) }, candidate)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.85)
        .map(|(_, candidate)| candidate)
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// What the environment says, beside what it got wrong.
#[derive(Default)]
pub(super) struct Environment {
    /// Values by key.
    pub(super) values: Vec<(&'static Key, toml::Value)>,
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

/// Reads the twins. A variable that no key reads is a warning only: something else may use the prefix.
pub(super) fn read_environment(variables: &[(String, String)]) -> Environment {
    let mut read = Environment::default();
    for (name, text) in variables {
        if !name.starts_with(PREFIX) || OTHER_VARIABLES.contains(&name.as_str()) {
            continue;
        }
        match KEYS.iter().find(|key| key.variable() == *name) {
            Some(key) => match key.kind.read(text) {
                Some(value) => read.values.push((key, value)),
                None => read.problems.push(Problem {
                    place: name.clone(),
                    what: format!("{} wants {}", key.path, key.kind.wants_in_environment()),
                }),
            },
            None => {
                let twins: Vec<String> = KEYS.iter().map(Key::variable).collect();
                read.warnings.push(match closest(name, twins.iter().map(String::as_str)) {
                    Some(twin) => {
                        format!("the environment variable {name} is not read; did you mean {twin}?")
                    }
                    None => format!("the environment variable {name} is not read by any key"),
                });
            }
        }
    }
    read
}
