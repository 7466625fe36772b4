//! What operators can ask for, carried out on an open vault, with or without a running server.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::RwLock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vault::{MasterKey, Vault};
use zeroize::Zeroizing;

use super::{Fault, FaultKind, Handler, NewPerson, Order, Progress, Request, ask, doctor, trail};
use crate::config::{Config, KeySource};
use crate::files::EraseError;
use crate::http::Origin;
use crate::invitations::{self, Invitation, Purpose};
use crate::office::{Actor, Newcomer, Office, Person, Refusal};
use crate::server::Addresses;

/// What only a running server can do.
pub trait Running: Send + Sync + 'static {
    /// How it is, as a JSON object.
    fn status(&self) -> Value;

    /// Reads configuration and certificate again; the keys whose change needs a restart.
    fn reload(&self) -> BoxFuture<'_, Result<Vec<String>, Fault>>;

    /// Erases the file that a link leads to, after an event that says so.
    fn erase<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<(), EraseError>>;
}

/// Carries out [`Request`]s.
pub struct Operations {
    config: Arc<RwLock<Arc<Config>>>,
    vault: Vault,
    office: Office,
    running: Option<Arc<dyn Running>>,
}

impl Operations {
    /// On an open vault. `config` is shared with whoever reloads it.
    pub fn new(
        config: Arc<RwLock<Arc<Config>>>,
        vault: Vault,
        office: Office,
        running: Option<Arc<dyn Running>>,
    ) -> Self {
        Self { config, vault, office, running }
    }

    fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    async fn carry_out(&self, order: Order, progress: Progress) -> Result<Value, Fault> {
        let Order { account, request } = order;
        let operator = self.office.operator(&account);
        match request {
            Request::Status => {
                let mut status = self.status();
                let all = crate::office::emergencies(&self.vault).await.map_err(Fault::failed)?;
                status["emergencies"] = all.iter().filter(|emergency| emergency.is_recent()).count().into();
                Ok(status)
            }
            Request::Reload => match &self.running {
                Some(running) => Ok(json!({ "restart_needed": running.reload().await? })),
                None => Err(Fault::new(FaultKind::Missing, "no server is running")),
            },
            Request::UserAdd { user, password, role, profile } => {
                let new = self.newcomer(NewPerson { user, password, profile })?;
                Ok(console_view(&self.office.add_person(&operator, new, role).await?))
            }
            Request::UserImport { people, dry_run } => {
                self.import(&operator, people, dry_run, &progress).await
            }
            Request::UserInvite { user, display_name, groups, days } => {
                self.invite(user, display_name, groups, days).await
            }
            Request::UserList => Ok(self.office.people(&operator).await?.iter().map(console_view).collect()),
            Request::UserPassword { user, password } => {
                let user = self.office.address(&user)?;
                Ok(console_view(&self.office.set_password(&operator, &user, &password).await?))
            }
            Request::UserRole { user, role } => {
                let user = self.office.address(&user)?;
                Ok(console_view(&self.office.set_roles(&operator, &user, role).await?))
            }
            Request::UserEnable { user, enabled } => {
                let user = self.office.address(&user)?;
                Ok(console_view(&self.office.enable(&operator, &user, enabled).await?))
            }
            Request::UserRemove { user } => {
                let user = self.office.address(&user)?;
                self.office.remove_person(&operator, &user).await?;
                Ok(json!({ "removed": user.as_str() }))
            }
            Request::UserFactorReset { user } => {
                let user = self.office.address(&user)?;
                self.office.reset_factor(&operator, &user).await?;
                Ok(json!({ "address": user.as_str() }))
            }
            Request::FileErase { url } => match &self.running {
                Some(running) => match running.erase(&url).await {
                    Ok(()) => Ok(json!({ "erased": url })),
                    Err(error @ EraseError::Unknown) => {
                        Err(Fault::new(FaultKind::Missing, error.to_string()))
                    }
                    Err(error) => Err(Fault::failed(error)),
                },
                None => Err(Fault::new(FaultKind::Missing, "no server is running; start it first")),
            },
            Request::ArchiveVerify { public_key, anchors } => {
                trail::verify(&self.vault, public_key, anchors.as_deref(), progress).await
            }
            Request::ArchiveAnchor => {
                let operator = self.office.operator(&account);
                Ok(self.office.anchor(&operator, &self.config()).await?)
            }
            Request::ArchiveKey => Ok(json!({ "public_key": trail::public_key(&self.vault) })),
            Request::KeysShow => self.show_keys().await,
            Request::KeysRotate { phrase } => {
                let master = MasterKey::parse(&phrase)
                    .map_err(|error| Fault::new(FaultKind::Invalid, error.to_string()))?;
                let rewrapped = self.vault.rotate(&master).await.map_err(Fault::failed)?;
                Ok(json!({ "rewrapped": rewrapped }))
            }
            Request::Backup { to, keys } => self.backup(&to, keys.as_deref()).await,
            Request::Office { by, ask } => {
                let actor = ask::authenticate(&self.office, by, &account).await?;
                Ok(ask::carry_out(&self.office, &actor, ask, progress).await?)
            }
            Request::Doctor => doctor::inside(&self.config(), &self.vault, self.office.users()).await,
        }
    }

    fn status(&self) -> Value {
        let config = self.config();
        let domains: Vec<&str> = config.domains.iter().map(|domain| domain.as_str()).collect();
        let mut status = json!({
            "running": self.running.is_some(),
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "domains": domains,
        });
        if let (Some(Value::Object(more)), Value::Object(status)) =
            (self.running.as_ref().map(|running| running.status()), &mut status)
        {
            status.extend(more);
        }
        status
    }

    fn newcomer(&self, person: NewPerson) -> Result<Newcomer, Refusal> {
        let NewPerson { user, password, profile } = person;
        Ok(Newcomer { user: self.office.address(&user)?, password: Zeroizing::new(password), profile })
    }

    async fn invite(
        &self,
        user: Option<String>,
        display_name: Option<String>,
        groups: Vec<String>,
        days: u32,
    ) -> Result<Value, Fault> {
        let config = self.config();
        let user = user.map(|user| self.office.address(&user)).transpose()?;
        if let Some(user) = &user
            && self.office.users().find(user).await.map_err(Fault::failed)?.is_some()
        {
            return Err(Fault::new(FaultKind::Exists, format!("{user} exists already")));
        }
        let domain = user.as_ref().map_or(config.domain(), |user| user.domain());
        let mut invitation = Invitation::new(Purpose::Account, domain.as_str(), days);
        invitation.name = user.as_ref().and_then(|user| user.node()).map(|node| node.as_str().to_owned());
        (invitation.display_name, invitation.groups) = (display_name, groups);
        let token = invitation.issue(&self.vault).await.map_err(Fault::failed)?;
        let origin = Origin::new(&config);
        let listen = &config.listen;
        let (http, https) = (listen.http.clone(), listen.https.clone());
        origin.found(&Addresses { http, https, ..Addresses::default() });
        let page = origin.url(domain.as_str()).map(|origin| origin + &invitations::path(&token));
        let expires = OffsetDateTime::from_unix_timestamp(invitation.expires.try_into().unwrap_or(i64::MAX));
        Ok(json!({
            "uri": invitation.uri(&token),
            "page": page,
            "expires": expires.ok().and_then(|expires| expires.format(&Rfc3339).ok()),
        }))
    }

    async fn import(
        &self,
        operator: &Actor,
        people: Vec<NewPerson>,
        dry_run: bool,
        progress: &Progress,
    ) -> Result<Value, Fault> {
        let names: Vec<String> = people.iter().map(|person| person.user.clone()).collect();
        let people = people.into_iter().map(|person| self.newcomer(person)).collect();
        let outcomes = self.office.import(operator, people, dry_run, progress).await?;
        let lines = names.iter().zip(outcomes).map(|(user, outcome)| match outcome {
            Ok(()) => json!({ "user": user, "outcome": "made" }),
            Err(refusal) => json!({ "user": user, "outcome": "refused", "fault": Fault::from(refusal) }),
        });
        Ok(lines.collect())
    }

    async fn show_keys(&self) -> Result<Value, Fault> {
        let statistics = self.vault.store().statistics().await.map_err(Fault::failed)?;
        let (source, place) = match &self.config().key {
            KeySource::File(file) => ("file", Some(file.display().to_string())),
            KeySource::Command(_) => ("command", None),
            KeySource::Environment => ("environment", None),
        };
        Ok(json!({
            "master_key": { "source": source, "file": place },
            "data_keys": statistics.keys,
            "archive_public_key": trail::public_key(&self.vault),
        }))
    }

    async fn backup(&self, to: &Path, keys: Option<&Path>) -> Result<Value, Fault> {
        if !to.is_absolute() || keys.is_some_and(|keys| !keys.is_absolute()) {
            return Err(Fault::new(FaultKind::Invalid, "the backup's place must be an absolute path"));
        }
        let wrap = |error: vault::VaultError| Fault::failed(format!("{}: {error}", to.display()));
        let keys = self.vault.backup(to, keys, &not_backed_up()).await.map_err(wrap)?;
        let bytes = bytes_in(to).map_err(Fault::failed)?;
        Ok(json!({ "to": to, "bytes": bytes, "keys": keys }))
    }
}

impl Handler for Operations {
    fn handle(&self, order: Order, progress: Progress) -> BoxFuture<'_, Result<Value, Fault>> {
        self.carry_out(order, progress).boxed()
    }
}

/// Kinds of records that stay out of a backup. The index is made anew after a restore, and a session that was suspended is
/// over by then. Both hold words, under a key that no erasure destroys.
fn not_backed_up() -> Vec<u16> {
    archive::INDEX_KINDS.into_iter().flatten().chain([crate::kinds::SUSPENDED]).collect()
}

fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => bytes_in(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

/// A person as commands show them: the roles also as the text that `user role` takes.
fn console_view(person: &Person) -> Value {
    let mut view = json!(person);
    view["role"] = if person.roles.is_empty() { "user".into() } else { person.roles.join(",").into() };
    view
}
