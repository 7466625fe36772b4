//! What the office does with accounts. The command line, the API and the console's own commands share it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use archive::Deed;
use jid::BareJid;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::ToSchema;
use vault::Write;
use zeroize::Zeroizing;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::Entry;
use crate::accounts::remove_at_rest;
use crate::admin::Progress;
use crate::directory::Profile;
use crate::users::{Account, NewAccount, Role, Roles, UserError, Users};

/// The longest part of a profile, in characters, and the most groups.
const FIELD: usize = 256;
const GROUPS: usize = 100;

/// Somebody with an account.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Person {
    /// Their address.
    #[schema(example = "anna@corp.example")]
    pub address: String,
    /// How they are called.
    pub name: Option<String>,
    /// What they are beside an employee: `admin`, `auditor`, `officer`, `key-custodian`.
    pub roles: Vec<String>,
    /// Whether they may sign in.
    pub enabled: bool,
    /// When the account was made.
    #[schema(format = DateTime)]
    pub created: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<String>,
    /// Their mail address.
    pub email: Option<String>,
    /// Their telephone number.
    pub phone: Option<String>,
    /// What they do.
    pub title: Option<String>,
}

impl Person {
    fn of(user: &BareJid, account: &Account, profile: &Profile) -> Self {
        let created = OffsetDateTime::from_unix_timestamp(account.created).ok();
        Self {
            address: user.to_string(),
            name: account.name.clone().or_else(|| profile.name.clone()),
            roles: account.roles.iter().map(|role| role.name().to_owned()).collect(),
            enabled: !account.disabled,
            created: created.and_then(|at| at.format(&Rfc3339).ok()),
            groups: profile.groups.clone(),
            email: profile.email.clone(),
            phone: profile.phone.clone(),
            title: profile.title.clone(),
        }
    }
}

/// Somebody to make an account for.
pub struct Newcomer {
    /// Their address.
    pub user: BareJid,
    /// Their password.
    pub password: Zeroizing<String>,
    /// What is known of them.
    pub profile: Profile,
}

impl Office {
    /// The address of a name: somebody of the main domain, or `name@domain`.
    ///
    /// # Errors
    /// It cannot be one, or is elsewhere.
    pub fn address(&self, user: &str) -> Result<BareJid, Refusal> {
        let invalid = |message: String| Refusal::Invalid { field: Some("/user".to_owned()), message };
        let address = match user.contains('@') {
            true => {
                BareJid::new(user).map_err(|error| invalid(format!("{user} is not an address: {error}")))?
            }
            false => Users::address(user, self.main_domain())
                .map_err(|error| invalid(format!("{user}: {error}")))?,
        };
        match self.serves(address.domain()) && address.node().is_some() {
            true => Ok(address),
            false => Err(invalid(format!("{} is not a domain of this server", address.domain()))),
        }
    }

    /// Everybody, by address.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn people(&self, actor: &Actor) -> Result<Vec<Person>, Refusal> {
        actor.must(Right::SeePeople)?;
        let mut people = Vec::new();
        for domain in &self.0.domains {
            let profiles = self.0.vault.list::<Profile>(domain.as_str()).await?;
            let profiles: HashMap<String, Profile> =
                profiles.into_iter().map(|(user, profile)| (user, profile.value)).collect();
            for account in self.0.users.list(domain).await? {
                let user = Users::address(&account.localpart, domain)?;
                let nothing = Profile::default();
                people.push(Person::of(&user, &account, profiles.get(user.as_str()).unwrap_or(&nothing)));
            }
        }
        Ok(people)
    }

    /// One of them.
    ///
    /// # Errors
    /// The right is missing; there is no such account; the storage failed.
    pub async fn person(&self, actor: &Actor, user: &BareJid) -> Result<Person, Refusal> {
        actor.must(Right::SeePeople)?;
        self.show(user, &*self.account(user).await?).await
    }

    /// Makes an account.
    ///
    /// # Errors
    /// The actor may not, or may not give these roles; there is one; what is wrong with it.
    pub async fn add_person(&self, actor: &Actor, new: Newcomer, roles: Roles) -> Result<Person, Refusal> {
        actor.must(Right::ManagePeople)?;
        self.must_change(actor, Roles::USER, roles)?;
        check(&new.profile)?;
        let Newcomer { user, password, profile } = new;
        if !roles.is_empty() {
            let details = json!({ "of": user.as_str(), "before": Roles::USER, "after": roles });
            self.note(actor, Entry { deed: Deed::Role, details }).await?;
        }
        let account = NewAccount { password, name: profile.name.clone(), roles };
        let account = self.0.users.create(&user, account).await.map_err(of_user(&user))?;
        if !profile.is_empty() {
            self.0.vault.apply(vec![profile.put(&user)?]).await?;
        }
        Ok(Person::of(&user, &account, &profile))
    }

    /// Makes many accounts; one that fails does not stop the others. What became of each, in the same order. With
    /// `dry_run` nothing is made, and all that is told is what could be.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn import(
        &self,
        actor: &Actor,
        people: Vec<Result<Newcomer, Refusal>>,
        dry_run: bool,
        progress: &Progress,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        actor.must(Right::ManagePeople)?;
        let total = people.len() as u64;
        let mut outcomes = Vec::new();
        let mut places: HashMap<BareJid, usize> = HashMap::new();
        let (mut accounts, mut profiles) = (Vec::new(), HashMap::new());
        for (at, person) in people.into_iter().enumerate() {
            outcomes.push(Ok(()));
            let outcome = match person {
                Err(refusal) => Err(refusal),
                Ok(Newcomer { user, .. }) if places.contains_key(&user) => Err(exists(&user)),
                Ok(Newcomer { user, .. }) if self.0.users.find(&user).await?.is_some() => Err(exists(&user)),
                Ok(Newcomer { password, .. }) if password.is_empty() => {
                    Err(Refusal::invalid("/password", "the password is empty"))
                }
                Ok(Newcomer { user, password, profile }) => check(&profile).map(|()| {
                    places.insert(user.clone(), at);
                    let name = profile.name.clone();
                    profiles.insert(user.clone(), profile);
                    accounts.push((user, NewAccount { password, name, roles: Roles::USER }));
                }),
            };
            outcomes[at] = outcome;
        }
        if dry_run {
            return Ok(outcomes);
        }
        let mut writes: Vec<Write> = Vec::new();
        let mut done = total - accounts.len() as u64;
        let report = |user: &BareJid, made: Result<Arc<Account>, UserError>| {
            done += 1;
            progress(done, total);
            let Some(at) = places.get(user) else { return };
            outcomes[*at] = made.map_err(of_user(user)).and_then(|_| {
                if let Some(profile) = profiles.get(user).filter(|profile| !profile.is_empty()) {
                    writes.push(profile.put(user)?);
                }
                Ok(())
            });
        };
        self.0.users.create_many(accounts, report).await;
        if !writes.is_empty() {
            self.0.vault.apply(writes).await?;
        }
        Ok(outcomes)
    }

    /// Changes what is known of somebody. `expected` is how they must be, if that matters.
    ///
    /// # Errors
    /// The right is missing; they are not as expected; what is wrong with the change.
    pub async fn change_person(
        &self,
        actor: &Actor,
        user: &BareJid,
        expected: impl Fn(&Person) -> bool + Send,
        change: impl FnOnce(&mut Profile) + Send,
    ) -> Result<Person, Refusal> {
        actor.must(Right::ManagePeople)?;
        // One change at a time, so that what was expected still is when it is written.
        let _turn = self.0.changes.lock().await;
        let account = self.account(user).await?;
        let mut profile = Profile::find(&self.0.vault, user).await?;
        if !expected(&Person::of(user, &account, &profile)) {
            return Err(Refusal::Changed);
        }
        profile.name = account.name.clone().or(profile.name);
        change(&mut profile);
        check(&profile)?;
        let account = self.0.users.set_name(user, profile.name.clone()).await?;
        self.0.vault.apply(vec![profile.put(user)?]).await?;
        Ok(Person::of(user, &account, &profile))
    }

    /// Sets somebody's password and ends all that the old one began. On the audit chain first.
    ///
    /// # Errors
    /// The actor may not take the account over; what is wrong with the password; it cannot be put on record or stored.
    pub async fn set_password(
        &self,
        actor: &Actor,
        user: &BareJid,
        password: &str,
    ) -> Result<Person, Refusal> {
        let account = self.account(user).await?;
        self.must_take_over(actor, user, &account)?;
        let details = json!({ "of": user.as_str(), "password": "set" });
        self.note(actor, Entry { deed: Deed::Account, details }).await?;
        let account = self.0.users.set_password(user, password).await.map_err(of_user(user))?;
        self.sign_out(user).await;
        self.show(user, &account).await
    }

    /// Sets the actor's own password. Their XMPP clients go on; sessions of the web side and tokens end.
    ///
    /// # Errors
    /// What is wrong with the new one; it cannot be stored.
    pub async fn set_own_password(&self, proven: &super::Proven, password: &str) -> Result<(), Refusal> {
        self.0.users.set_password(&proven.user, password).await?;
        Ok(())
    }

    /// Lets somebody in or keeps them out.
    ///
    /// # Errors
    /// The right is missing; nobody would be left to run the server; the storage failed.
    pub async fn enable(&self, actor: &Actor, user: &BareJid, enabled: bool) -> Result<Person, Refusal> {
        actor.must(Right::ManagePeople)?;
        if !enabled {
            not_oneself(actor, user)?;
            self.keep_an_admin(user).await?;
        }
        let account = self.0.users.set_disabled(user, !enabled).await.map_err(of_user(user))?;
        if !enabled {
            self.sign_out(user).await;
        }
        self.show(user, &account).await
    }

    /// Removes an account. What it wrote stays in the archive.
    ///
    /// # Errors
    /// The right is missing; nobody would be left to run the server; the storage failed.
    pub async fn remove_person(&self, actor: &Actor, user: &BareJid) -> Result<(), Refusal> {
        actor.must(Right::ManagePeople)?;
        not_oneself(actor, user)?;
        self.keep_an_admin(user).await?;
        let removed = match &self.0.house {
            Some(house) => house.accounts.remove(user).await,
            None => remove_at_rest(&self.0.users, &self.0.vault, user).await,
        };
        removed.map_err(of_user(user))
    }

    /// Says what somebody is beside an employee. On the audit chain first.
    ///
    /// # Errors
    /// The actor may not change these roles, or not their own; nobody would be left to run the server; it cannot be put on
    /// record or stored.
    pub async fn set_roles(&self, actor: &Actor, user: &BareJid, roles: Roles) -> Result<Person, Refusal> {
        let account = self.account(user).await?;
        let before = account.roles;
        self.must_change(actor, before, roles)?;
        if before == roles {
            return self.show(user, &account).await;
        }
        not_oneself(actor, user)?;
        if before.has(Role::Admin) && !roles.has(Role::Admin) {
            self.keep_an_admin(user).await?;
        }
        let details = json!({ "of": user.as_str(), "before": before, "after": roles });
        self.note(actor, Entry { deed: Deed::Role, details }).await?;
        let account = self.0.users.set_roles(user, roles).await?;
        self.show(user, &account).await
    }

    /// The company's groups, with who is in each.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn groups(&self, actor: &Actor) -> Result<BTreeMap<String, Vec<String>>, Refusal> {
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for person in self.people(actor).await? {
            for group in person.groups {
                groups.entry(group).or_default().push(person.address.clone());
            }
        }
        Ok(groups)
    }

    /// Refuses what would give the actor somebody else's rights.
    pub(super) fn must_take_over(
        &self,
        actor: &Actor,
        user: &BareJid,
        account: &Account,
    ) -> Result<(), Refusal> {
        not_oneself(actor, user)?;
        // Whoever holds the machine could do so anyhow; it is on record that they did.
        if !actor.is_person() {
            return Ok(());
        }
        match account.roles.iter().any(Role::is_oversight) {
            true => {
                actor.must(Right::GrantOversight).map_err(|refusal| match actor.may(Right::ManagePeople) {
                    true => Refusal::Oversight,
                    false => refusal,
                })
            }
            false => actor.must(Right::ManagePeople),
        }
    }

    /// Refuses roles that are not the actor's to give or take.
    fn must_change(&self, actor: &Actor, before: Roles, after: Roles) -> Result<(), Refusal> {
        // Somebody must make the first officer: whoever holds the machine, and it is on record that they did.
        if !actor.is_person() {
            return Ok(());
        }
        let changed = before.difference(after);
        if changed.has(Role::Admin) || changed.is_empty() {
            actor.must(Right::ManagePeople)?;
        }
        if changed.iter().any(Role::is_oversight) {
            actor.must(Right::GrantOversight)?;
        }
        Ok(())
    }

    /// Refuses when this is the only one who can run the server.
    async fn keep_an_admin(&self, user: &BareJid) -> Result<(), Refusal> {
        let is_admin = |account: &Account| account.roles.has(Role::Admin) && !account.disabled;
        if !self.0.users.find(user).await?.is_some_and(|account| is_admin(&account)) {
            return Ok(());
        }
        for domain in &self.0.domains {
            for account in self.0.users.list(domain).await? {
                let same = domain.as_str() == user.domain().as_str()
                    && user.node().is_some_and(|node| node.as_str() == account.localpart);
                if is_admin(&account) && !same {
                    return Ok(());
                }
            }
        }
        let words = format!("{user} is the last administrator; give somebody else the role first");
        Err(Refusal::Conflict(words))
    }

    /// An account that exists.
    pub(super) async fn account(&self, user: &BareJid) -> Result<Arc<Account>, Refusal> {
        self.0.users.find(user).await?.ok_or_else(|| missing(user))
    }

    async fn show(&self, user: &BareJid, account: &Account) -> Result<Person, Refusal> {
        Ok(Person::of(user, account, &Profile::find(&self.0.vault, user).await?))
    }

    /// Ends what an account has open over XMPP.
    async fn sign_out(&self, user: &BareJid) {
        if let Some(house) = &self.0.house {
            house.accounts.sign_out(user).await;
        }
    }
}

/// Nobody is in the way of themselves at the console: it has no account.
fn not_oneself(actor: &Actor, user: &BareJid) -> Result<(), Refusal> {
    match actor.who() == user {
        true => Err(Refusal::Oneself),
        false => Ok(()),
    }
}

/// What a profile may hold.
fn check(profile: &Profile) -> Result<(), Refusal> {
    let Profile { name, groups, email, phone, title } = profile;
    let fits = |text: &String| {
        !text.trim().is_empty() && text.chars().count() <= FIELD && !text.contains(char::is_control)
    };
    for (field, value) in [("/name", name), ("/email", email), ("/phone", phone), ("/title", title)] {
        if value.as_ref().is_some_and(|value| !fits(value)) {
            return Err(Refusal::invalid(field, "this is empty, too long or has control characters"));
        }
    }
    if groups.len() > GROUPS || !groups.iter().all(fits) {
        return Err(Refusal::invalid("/groups", "too many groups, or a name that cannot be one"));
    }
    Ok(())
}

fn exists(user: &BareJid) -> Refusal {
    Refusal::Conflict(format!("{user} exists already"))
}

fn missing(user: &BareJid) -> Refusal {
    Refusal::Missing(format!("there is no account {user}"))
}

/// The errors of accounts, with the address, which whoever asks knows and no log shows.
fn of_user(user: &BareJid) -> impl Fn(UserError) -> Refusal + use<> {
    let user = user.clone();
    move |error| match error {
        UserError::Exists => exists(&user),
        UserError::Unknown => missing(&user),
        other => other.into(),
    }
}
