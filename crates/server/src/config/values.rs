//! What each part of a configuration says, once it has been checked.

use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::Uri;
use jid::{DomainPart, NodePart};

use crate::users::Roles;

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

/// What leaves the archive by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// Where checkpoints are kept, so that nobody can cut off the end of the archive unnoticed.
    pub anchor: Vec<Goal>,
    /// How often.
    pub anchor_every: Duration,
    /// Where every event goes as a mail message: folders and addresses.
    pub journal: Vec<Goal>,
}

/// Where something goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    /// A file, or a folder.
    File(PathBuf),
    /// An address that takes HTTP POST.
    Web(Uri),
    /// A mail address.
    Mail(String),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Web(uri) => uri.fmt(f),
            Self::Mail(to) => write!(f, "mailto:{to}"),
        }
    }
}

/// The company's mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub security: MailSecurity,
    /// The sender's address.
    pub from: String,
    /// The name and the password to sign in with.
    pub credentials: Option<(String, Secret)>,
}

/// How a connection to a mail server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS after STARTTLS (RFC 3207).
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all; only to this very machine.
    None,
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
