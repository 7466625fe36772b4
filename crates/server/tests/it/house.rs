//! A whole server in this process, on ports of the system's choice and a folder of its own.

use std::net::SocketAddr;

use server::Server;
use server::config::{Config, Sources};
use server::metrics::Exporter;
use server::tls::{Pem, Tls};
use server::users::{NewAccount, Role, Users};
use stanza::BareJid;
use vault::{MasterKey, Vault};

use crate::client::{Client, Raw};

/// The domain that is served.
pub const DOMAIN: &str = "corp.example";
/// Everybody's password.
pub const PASSWORD: &str = "wherefore";

/// A running server. Dropping it leaves the tasks to end with the test's runtime.
pub struct House {
    pub server: Server,
    vault: Vault,
    config: Config,
    folder: tempfile::TempDir,
}

impl House {
    /// With the accounts `romeo`, `juliet` and `nurse`.
    pub async fn open() -> Self {
        Self::with(&[]).await
    }

    /// As [`House::open`], with configuration by environment variables less their prefix.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment: Vec<(String, String)> = [
            ("CHANCERY_DOMAIN", DOMAIN),
            ("CHANCERY_LISTEN_XMPP", "127.0.0.1:0"),
            ("CHANCERY_LISTEN_XMPP_TLS", ""),
            ("CHANCERY_LISTEN_S2S", ""),
            ("CHANCERY_LISTEN_HTTP", ""),
            ("CHANCERY_LISTEN_HTTPS", ""),
            ("CHANCERY_LISTEN_COMPONENT", ""),
            ("CHANCERY_DEVELOPMENT_INSECURE_LOGIN", "true"),
            ("CHANCERY_LIMITS_LOGINS_PER_MINUTE", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in settings {
            let name = format!("CHANCERY_{name}");
            environment.retain(|(known, _)| *known != name);
            environment.push((name, (*value).to_owned()));
        }
        let data = folder.path().join("data");
        let sources = Sources { file: None, data: Some(data.clone()), environment };
        let config = Config::load(&sources).unwrap();
        let (server, vault) = start(&config).await;
        let house = Self { server, vault, config, folder };
        let people = ["romeo", "juliet", "nurse"].map(|name| (jid(name), NewAccount::new(PASSWORD)));
        house.server.users().create_many(people, |_, made| drop(made.unwrap())).await;
        house
    }

    /// Stops in good order and starts again on the same folder.
    pub async fn restart(self) -> Self {
        let Self { server, vault, config, folder } = self;
        server.shutdown().await;
        vault.close().await;
        drop(vault);
        let (server, vault) = start(&config).await;
        Self { server, vault, config, folder }
    }

    /// From now on nothing can be stored any more.
    pub async fn break_disk(&self) {
        self.vault.close().await;
    }

    /// Makes somebody an administrator.
    pub async fn promote(&self, name: &str) {
        self.server.users().set_roles(&jid(name), Role::Admin).await.unwrap();
    }

    /// Gives somebody a role.
    pub async fn appoint(&self, name: &str, role: Role) {
        self.server.users().set_roles(&jid(name), role).await.unwrap();
    }

    /// From now on nothing can be added to the archive, while records can be read and written.
    pub async fn break_audit(&self) {
        self.server.trail().shutdown().await;
    }

    /// What it was asked for.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What everything is kept in.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The files that hold the content of uploads.
    pub fn blobs(&self) -> Vec<std::path::PathBuf> {
        let shelves = self.config.data.join("blobs").read_dir().unwrap();
        let files = shelves.flat_map(|shelf| shelf.unwrap().path().read_dir().unwrap());
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.server.addresses().xmpp[0]
    }

    /// A connection on which nothing has been said.
    pub async fn raw(&self) -> Raw {
        Raw::connect(self.address()).await
    }

    /// A bound session that has not sent presence.
    pub async fn bind(&self, name: &str, resource: &str) -> Client {
        Client::bind(self.raw().await, name, resource).await
    }

    /// A session that is available and has read its own presence and what waited for it.
    pub async fn online(&self, name: &str, resource: &str) -> Client {
        let mut client = self.bind(name, resource).await;
        client.send("<presence/>").await;
        client.settle().await;
        client
    }

    /// Two accounts' sessions that see each other's presence.
    pub async fn friends(&self, one: &str, other: &str) -> (Client, Client) {
        let mut first = self.online(one, "a").await;
        let mut second = self.online(other, "b").await;
        befriend(&mut first, &mut second).await;
        (first, second)
    }
}

async fn start(config: &Config) -> (Server, Vault) {
    let vault = Vault::open(&config.data, MasterKey::from_bytes([7; 32])).await.unwrap();
    let tls = Tls::new(&Pem::self_signed(&config.domains).unwrap()).unwrap();
    let server = Server::start(config, vault.clone(), tls, Exporter::install()).await.unwrap();
    (server, vault)
}

/// Makes two online sessions' accounts see each other.
pub async fn befriend(first: &mut Client, second: &mut Client) {
    let (one, other) = (first.bare(), second.bare());
    first.send(&format!("<presence type='subscribe' to='{other}'/>")).await;
    first.settle().await;
    second
        .send(&format!("<presence type='subscribed' to='{one}'/><presence type='subscribe' to='{one}'/>"))
        .await;
    second.settle().await;
    first.send(&format!("<presence type='subscribed' to='{other}'/>")).await;
    first.settle().await;
    second.settle().await;
}

/// The address of an account here.
pub fn jid(name: &str) -> BareJid {
    Users::address(name, &stanza::DomainPart::new(DOMAIN).unwrap()).unwrap()
}
