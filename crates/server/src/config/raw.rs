//! The shape of `chancery.toml`, as written: everything may be missing, nothing is checked.

use serde::Deserialize;

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) domain: Option<String>,
    pub(super) domains: Option<Vec<String>>,
    pub(super) data: Option<String>,
    pub(super) key: Key,
    pub(super) admin: Admin,
    pub(super) listen: Listen,
    pub(super) tls: Tls,
    pub(super) http: Http,
    pub(super) files: Files,
    pub(super) registration: Registration,
    pub(super) rooms: Rooms,
    pub(super) limits: Limits,
    pub(super) policy: Policy,
    pub(super) compliance: Compliance,
    pub(super) archive: Archive,
    pub(super) mail: Mail,
    pub(super) metrics: Metrics,
    pub(super) contact: Contact,
    pub(super) log: Log,
    pub(super) development: Development,
    pub(super) directory: Directory,
    pub(super) components: Vec<Component>,
    pub(super) company_rooms: Vec<CompanyRoom>,
    pub(super) external_services: Vec<ExternalService>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CompanyRoom {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) group: Option<String>,
    pub(super) announcements: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ExternalService {
    #[serde(rename = "type")]
    pub(super) type_: String,
    pub(super) host: String,
    pub(super) port: Option<u64>,
    pub(super) transport: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) valid_seconds: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Directory {
    pub(super) shared_groups: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Component {
    pub(super) domain: String,
    pub(super) secret: String,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Key {
    pub(super) file: Option<String>,
    pub(super) command: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    pub(super) socket: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    pub(super) xmpp: Option<Vec<String>>,
    pub(super) xmpp_tls: Option<Vec<String>>,
    pub(super) s2s: Option<Vec<String>>,
    pub(super) http: Option<Vec<String>>,
    pub(super) https: Option<Vec<String>>,
    pub(super) component: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    pub(super) public_url: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Files {
    pub(super) max_bytes: Option<u64>,
    pub(super) quota_bytes: Option<u64>,
    pub(super) idle_seconds: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Registration {
    pub(super) open: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rooms {
    pub(super) create: Option<String>,
    pub(super) members_only_by_default: bool,
    pub(super) persistent_by_default: bool,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) preauth_seconds: Option<u64>,
    pub(super) preauth_bytes: Option<u64>,
    pub(super) stanza_bytes: Option<u64>,
    pub(super) stanzas_per_second: Option<u64>,
    pub(super) logins_per_minute: Option<u64>,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) registrations_per_minute: Option<u64>,
    pub(super) resume_seconds: Option<u64>,
    pub(super) outbox_stanzas: Option<u64>,
    pub(super) outbox_bytes: Option<u64>,
    pub(super) connections: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Policy {
    pub(super) encrypted_messages: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Compliance {
    pub(super) second_approval: bool,
    pub(super) second_factor: bool,
    pub(super) break_glass: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Archive {
    pub(super) anchor: Vec<String>,
    pub(super) anchor_minutes: Option<u64>,
    pub(super) journal: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mail {
    pub(super) server: Option<String>,
    pub(super) security: Option<String>,
    pub(super) from: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Metrics {
    pub(super) token: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Contact {
    pub(super) abuse: Vec<String>,
    pub(super) admin: Vec<String>,
    pub(super) feedback: Vec<String>,
    pub(super) outage: Vec<String>,
    pub(super) sales: Vec<String>,
    pub(super) security: Vec<String>,
    pub(super) status: Vec<String>,
    pub(super) support: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    pub(super) format: Option<String>,
    pub(super) level: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Development {
    pub(super) insecure_login: bool,
}
