//! What operators can ask for, carried out on an open vault, with or without a running server.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use jid::BareJid;
use parking_lot::RwLock;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vault::{MasterKey, Vault};

use super::{Fault, FaultKind, Handler, NewPerson, Order, Progress, Request, ask, doctor, trail};
use crate::accounts::remove_at_rest;
use crate::config::{Config, KeySource};
use crate::directory::Profile;
use crate::files::EraseError;
use crate::http::Origin;
use crate::invitations::{self, Invitation, Purpose};
use crate::office::Office;
use crate::server::Addresses;
use crate::users::{Account, NewAccount, Roles, UserError, Users};

/// What only a running server can do.
pub trait Running: Send + Sync + 'static {
    /// How it is, as a JSON object.
    fn status(&self) -> Value;

    /// Reads configuration and certificate again; the keys whose change needs a restart.
    fn reload(&self) -> BoxFuture<'_, Result<Vec<String>, Fault>>;

    /// Ends the sessions of an account that is disabled, removed or has another password.
    fn sign_out<'a>(&'a self, user: &'a BareJid) -> BoxFuture<'a, ()>;

    /// Removes an account with all that is kept for it, and tells its contacts.
    fn remove<'a>(&'a self, user: &'a BareJid) -> BoxFuture<'a, Result<(), UserError>>;

    /// Erases the file that a link leads to, after an event that says so.
    fn erase<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<(), EraseError>>;
}

/// Carries out [`Request`]s.
pub struct Operations {
    config: Arc<RwLock<Arc<Config>>>,
    vault: Vault,
    users: Users,
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
        let users = office.users().clone();
        Self { config, vault, users, office, running }
    }

    fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    async fn carry_out(&self, order: Order, progress: Progress) -> Result<Value, Fault> {
        let Order { account, request } = order;
        match request {
            Request::Status => Ok(self.status()),
            Request::Reload => match &self.running {
                Some(running) => Ok(json!({ "restart_needed": running.reload().await? })),
                None => Err(Fault::new(FaultKind::Missing, "no server is running")),
            },
            Request::UserAdd { user, password, role, profile } => {
                self.add(&NewPerson { user, password, profile }, role).await
            }
            Request::UserImport { people, dry_run } => self.import(people, dry_run, &progress).await,
            Request::UserInvite { user, display_name, groups, days } => {
                self.invite(user, display_name, groups, days).await
            }
            Request::UserList => self.list().await,
            Request::UserPassword { user, password } => {
                let user = self.address(&user)?;
                let account = self.users.set_password(&user, &password).await.map_err(of_user(&user))?;
                self.sign_out(&user).await;
                self.show(&user, &account).await
            }
            Request::UserRole { user, role } => {
                let user = self.address(&user)?;
                let operator = self.office.operator(&account);
                let account = self.office.set_roles(&operator, &user, role).await?;
                self.show(&user, &account).await
            }
            Request::UserEnable { user, enabled } => {
                let user = self.address(&user)?;
                if !enabled {
                    self.office.keep_an_admin(&user).await?;
                }
                let account = self.users.set_disabled(&user, !enabled).await.map_err(of_user(&user))?;
                if !enabled {
                    self.sign_out(&user).await;
                }
                self.show(&user, &account).await
            }
            Request::UserRemove { user } => self.remove(&user).await,
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
            Request::ArchiveVerify { public_key } => trail::verify(&self.vault, public_key, progress).await,
            Request::ArchiveKey => Ok(json!({ "public_key": trail::public_key(&self.vault) })),
            Request::KeysShow => self.show_keys().await,
            Request::KeysRotate { phrase } => {
                let master = MasterKey::parse(&phrase)
                    .map_err(|error| Fault::new(FaultKind::Invalid, error.to_string()))?;
                let rewrapped = self.vault.rotate(&master).await.map_err(Fault::failed)?;
                Ok(json!({ "rewrapped": rewrapped }))
            }
            Request::Backup { to } => self.backup(&to).await,
            Request::Office { by, ask } => {
                let actor = ask::authenticate(&self.office, by, &account).await?;
                Ok(ask::carry_out(&self.office, &actor, ask, progress).await?)
            }
            Request::Doctor => doctor::inside(&self.config(), &self.vault, &self.users).await,
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

    /// `name` is somebody of the main domain.
    fn address(&self, user: &str) -> Result<BareJid, Fault> {
        let config = self.config();
        let invalid = |what: String| Fault::new(FaultKind::Invalid, what);
        let address = if user.contains('@') {
            BareJid::new(user).map_err(|error| invalid(format!("{user} is not an address: {error}")))?
        } else {
            Users::address(user, config.domain()).map_err(|error| invalid(format!("{user}: {error}")))?
        };
        match config.serves(address.domain()) {
            true => Ok(address),
            false => Err(invalid(format!("{} is not a domain of this server", address.domain()))),
        }
    }

    async fn add(&self, person: &NewPerson, roles: Roles) -> Result<Value, Fault> {
        let user = self.address(&person.user)?;
        let account = self.users.create(&user, new_account(person, roles)).await.map_err(of_user(&user))?;
        if !person.profile.is_empty() {
            let write = person.profile.put(&user).map_err(Fault::failed)?;
            self.vault.apply(vec![write]).await.map_err(Fault::failed)?;
        }
        Ok(describe(&user, &account, &person.profile))
    }

    async fn invite(
        &self,
        user: Option<String>,
        display_name: Option<String>,
        groups: Vec<String>,
        days: u32,
    ) -> Result<Value, Fault> {
        let config = self.config();
        let user = user.map(|user| self.address(&user)).transpose()?;
        if let Some(user) = &user
            && self.users.find(user).await.map_err(of_user(user))?.is_some()
        {
            return Err(exists(user));
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
        people: Vec<NewPerson>,
        dry_run: bool,
        progress: &Progress,
    ) -> Result<Value, Fault> {
        let total = people.len() as u64;
        let mut outcomes: Vec<Option<Fault>> = vec![None; people.len()];
        let mut places: HashMap<BareJid, usize> = HashMap::new();
        for (index, person) in people.iter().enumerate() {
            let fault = match self.address(&person.user) {
                Err(fault) => Some(fault),
                Ok(user) if places.contains_key(&user) => Some(exists(&user)),
                Ok(user) if self.users.find(&user).await.map_err(of_user(&user))?.is_some() => {
                    Some(exists(&user))
                }
                Ok(_) if person.password.is_empty() => {
                    Some(Fault::new(FaultKind::Invalid, "the password is empty"))
                }
                Ok(user) => {
                    places.insert(user, index);
                    None
                }
            };
            outcomes[index] = fault;
        }
        if !dry_run {
            let mut order: Vec<(BareJid, usize)> =
                places.iter().map(|(user, at)| (user.clone(), *at)).collect();
            order.sort_by_key(|(_, at)| *at);
            let accounts = order
                .iter()
                .map(|(user, at)| (user.clone(), new_account(&people[*at], Roles::USER)))
                .collect::<Vec<_>>();
            let mut writes = Vec::new();
            let mut done = total - accounts.len() as u64;
            self.users
                .create_many(accounts, |user, made| {
                    done += 1;
                    progress(done, total);
                    let Some(at) = places.get(user) else { return };
                    let profile = &people[*at].profile;
                    outcomes[*at] = match made {
                        Err(error) => Some(of_user(user)(error)),
                        Ok(_) if profile.is_empty() => None,
                        Ok(_) => match profile.put(user) {
                            Ok(write) => {
                                writes.push(write);
                                None
                            }
                            Err(error) => Some(Fault::failed(error)),
                        },
                    };
                })
                .await;
            if !writes.is_empty() {
                self.vault.apply(writes).await.map_err(Fault::failed)?;
            }
        }
        let lines = people.iter().zip(outcomes).map(|(person, fault)| match fault {
            None => json!({ "user": person.user, "outcome": "made" }),
            Some(fault) => json!({ "user": person.user, "outcome": "refused", "fault": fault }),
        });
        Ok(lines.collect())
    }

    async fn list(&self) -> Result<Value, Fault> {
        let mut people = Vec::new();
        for domain in &self.config().domains {
            let profiles: HashMap<String, Profile> = self
                .vault
                .list::<Profile>(domain.as_str())
                .await
                .map_err(Fault::failed)?
                .into_iter()
                .map(|(user, profile)| (user, profile.value))
                .collect();
            for account in self.users.list(domain).await.map_err(Fault::failed)? {
                let user = Users::address(&account.localpart, domain).map_err(Fault::failed)?;
                let nothing = Profile::default();
                people.push(describe(&user, &account, profiles.get(user.as_str()).unwrap_or(&nothing)));
            }
        }
        Ok(people.into())
    }

    async fn remove(&self, user: &str) -> Result<Value, Fault> {
        let user = self.address(user)?;
        self.office.keep_an_admin(&user).await?;
        let removed = match &self.running {
            Some(running) => running.remove(&user).await,
            None => remove_at_rest(&self.users, &self.vault, &user).await,
        };
        removed.map_err(of_user(&user))?;
        Ok(json!({ "removed": user.as_str() }))
    }

    async fn show(&self, user: &BareJid, account: &Account) -> Result<Value, Fault> {
        let profile = Profile::find(&self.vault, user).await.map_err(Fault::failed)?;
        Ok(describe(user, account, &profile))
    }

    async fn sign_out(&self, user: &BareJid) {
        if let Some(running) = &self.running {
            running.sign_out(user).await;
        }
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

    async fn backup(&self, to: &Path) -> Result<Value, Fault> {
        if !to.is_absolute() {
            return Err(Fault::new(FaultKind::Invalid, "the backup's folder must be an absolute path"));
        }
        let wrap = |error: vault::VaultError| Fault::failed(format!("{}: {error}", to.display()));
        self.vault.backup(to).await.map_err(wrap)?;
        let bytes = bytes_in(to).map_err(Fault::failed)?;
        Ok(json!({ "to": to, "bytes": bytes }))
    }
}

impl Handler for Operations {
    fn handle(&self, order: Order, progress: Progress) -> BoxFuture<'_, Result<Value, Fault>> {
        self.carry_out(order, progress).boxed()
    }
}

fn new_account(person: &NewPerson, roles: Roles) -> NewAccount {
    NewAccount { roles, name: person.profile.name.clone(), ..NewAccount::new(&person.password) }
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

fn exists(user: &BareJid) -> Fault {
    Fault::new(FaultKind::Exists, format!("{user} exists already"))
}

/// The faults of accounts, with the address, which the operator knows and no log shows.
fn of_user(user: &BareJid) -> impl Fn(UserError) -> Fault + use<> {
    let user = user.clone();
    move |error| match error {
        UserError::Exists => exists(&user),
        UserError::Unknown => Fault::new(FaultKind::Missing, format!("there is no account {user}")),
        UserError::BadName | UserError::BadDisplayName | UserError::Password(_) => {
            Fault::new(FaultKind::Invalid, format!("{user}: {error}"))
        }
        other => Fault::failed(other),
    }
}

/// An account as commands show it.
fn describe(user: &BareJid, account: &Account, profile: &Profile) -> Value {
    let created =
        OffsetDateTime::from_unix_timestamp(account.created).ok().and_then(|at| at.format(&Rfc3339).ok());
    json!({
        "address": user.as_str(),
        "name": account.name.as_ref().or(profile.name.as_ref()),
        "role": account.roles,
        "enabled": !account.disabled,
        "created": created,
        "groups": profile.groups,
        "email": profile.email,
        "phone": profile.phone,
        "title": profile.title,
    })
}
