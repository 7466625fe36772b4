//! The people who can sign in: accounts, their credentials, their tokens, and how often they may try.
//!
//! An account is named by its bare JID, so several domains on one server need nothing special. The password
//! is not kept, only keys that check it (see [`crate::sasl::ScramKeys`]), inside sealed records.

mod account;
mod cache;
mod limit;
mod roles;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;
use jid::{BareJid, DomainRef, NodePart};
use tokio::sync::Semaphore;
use vault::{Expect, Vault, VaultError, Versioned, Write};
use zeroize::Zeroizing;

pub use account::Account;
pub use limit::SignInLimit;
pub use roles::{Role, Roles, UnknownRole};
pub use sign_in::{Answer, Attempt, Fast, Request, SignIn, SignedIn};
pub use tokens::{IssuedToken, MAX_CLIENTS};

use self::account::{Now, PasswordKeys};
use self::cache::{Cache, Known};
use self::tokens::{Devices, Turns};
use crate::sasl::{DEFAULT_ITERATIONS, Decoy, Hash, PasswordError, ScramKeys, prepare_password};

/// The longest display name, in bytes.
pub const MAX_NAME_BYTES: usize = 256;

/// How often a write is tried again that others were quicker with.
const RETRIES: usize = 8;

/// Accounts that [`Users::create_many`] works on at a time.
const CREATED_AT_ONCE: usize = 64;

/// Why something could not be done with an account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// Not a localpart (RFC 7622 §3.3).
    #[error("this is not a user name: letters, digits, dots, dashes and underscores are safe")]
    BadName,
    /// A display name over [`MAX_NAME_BYTES`], or with control characters.
    #[error("the display name is too long or has control characters")]
    BadDisplayName,
    /// The password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// There is such an account already.
    #[error("there is already an account of this name")]
    Exists,
    /// There is no such account.
    #[error("there is no account of this name")]
    Unknown,
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// How accounts are kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often a new password is hashed.
    pub iterations: u32,
    /// How many accounts stay in memory, at about 1 KiB each.
    pub cached: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { iterations: DEFAULT_ITERATIONS, cached: 20_000 }
    }
}

/// What a new account begins with.
#[derive(Clone)]
pub struct NewAccount {
    /// The password, as it was typed.
    pub password: Zeroizing<String>,
    /// How the person is called.
    pub name: Option<String>,
    /// What the person is beside an employee.
    pub roles: Roles,
}

impl NewAccount {
    /// A plain user without a display name.
    pub fn new(password: &str) -> Self {
        Self { password: Zeroizing::new(password.to_owned()), name: None, roles: Roles::USER }
    }
}

/// The accounts. Cheap to clone.
///
/// One server must have one of these: it answers from memory and would not see another's writes.
#[derive(Clone)]
pub struct Users(Arc<Inner>);

struct Inner {
    vault: Vault,
    options: Options,
    cache: Cache,
    /// Bounds how many passwords are hashed at a time, so that hashing never takes all processors' time
    /// slices from chatting by sheer number of threads.
    hashing: Arc<Semaphore>,
    decoy: Decoy,
    token_key: Zeroizing<[u8; 32]>,
    turns: Turns,
}

impl Users {
    /// The accounts in a vault.
    pub fn new(vault: Vault, options: Options) -> Self {
        let decoy = Decoy::new(*vault.derive("sign-in: made up keys"), options.iterations);
        let token_key = vault.derive("sign-in: tokens");
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Inner {
            vault,
            options,
            cache: Cache::new(options.cached),
            hashing: Arc::new(Semaphore::new(processors)),
            decoy,
            token_key,
            turns: Turns::default(),
        }))
    }

    /// The address of an account by this name, normalised (RFC 7622 §3.3).
    ///
    /// # Errors
    /// [`UserError::BadName`] when it cannot be one.
    pub fn address(localpart: &str, domain: &DomainRef) -> Result<BareJid, UserError> {
        let localpart = NodePart::new(localpart).map_err(|_| UserError::BadName)?;
        Ok(BareJid::from_parts(Some(&localpart), domain))
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`UserError::Exists`] when there is one; errors of name and password.
    pub async fn create(&self, user: &BareJid, new: NewAccount) -> Result<Arc<Account>, UserError> {
        let local = local(user)?.to_owned();
        let name = check_name(new.name)?;
        // Look before hashing a password for nothing; the vault decides all the same.
        if self.find(user).await?.is_some() {
            return Err(UserError::Exists);
        }
        let keys = self.hash(&new.password).await?;
        let account = Arc::new(Account::new(&local, name, new.roles, Now::read(), keys));
        let put = Write::put(user.domain().as_str(), &local, account.as_ref(), Expect::Absent)?;
        let (users, user) = (self.clone(), user.clone());
        finish(async move {
            users.0.vault.apply(vec![put]).await.map_err(|error| match error {
                VaultError::Conflict => UserError::Exists,
                other => other.into(),
            })?;
            users.0.cache.written(&user, Some(&account));
            Ok(account)
        })
        .await
    }

    /// Makes many accounts, hashing on all processors and sharing commits; `report` is told of each in the
    /// order in which they came. One that fails does not stop the others.
    pub async fn create_many(
        &self,
        people: impl IntoIterator<Item = (BareJid, NewAccount)>,
        mut report: impl FnMut(&BareJid, Result<Arc<Account>, UserError>),
    ) {
        let mut people = people.into_iter();
        loop {
            let some: Vec<_> = people.by_ref().take(CREATED_AT_ONCE).collect();
            if some.is_empty() {
                return;
            }
            let done = join_all(some.into_iter().map(|(user, new)| async move {
                let made = self.create(&user, new).await;
                (user, made)
            }))
            .await;
            done.into_iter().for_each(|(user, made)| report(&user, made));
        }
    }

    /// The account of this name, if there is one. From memory where possible.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn find(&self, user: &BareJid) -> Result<Option<Arc<Account>>, UserError> {
        let Ok(local) = local(user) else { return Ok(None) };
        let ticket = match self.0.cache.look_up(user) {
            Known::Present(account) => return Ok(Some(account)),
            Known::Absent => return Ok(None),
            Known::Unknown(ticket) => ticket,
        };
        let read = self.0.vault.get::<Account>(user.domain().as_str(), local).await?;
        let account = read.map(|read| Arc::new(read.value));
        self.0.cache.fill(ticket, user, account.as_ref());
        Ok(account)
    }

    /// The accounts of a domain, by name.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn list(&self, domain: &DomainRef) -> Result<Vec<Account>, UserError> {
        let read = self.0.vault.list::<Account>(domain.as_str()).await?;
        let mut accounts: Vec<_> = read.into_iter().map(|(_, read)| read.value).collect();
        accounts.sort_by(|a, b| a.localpart.cmp(&b.localpart));
        Ok(accounts)
    }

    /// Sets another password. Tokens end; sessions that are up go on.
    ///
    /// # Errors
    /// [`UserError::Unknown`]; errors of the password.
    pub async fn set_password(&self, user: &BareJid, password: &str) -> Result<Arc<Account>, UserError> {
        if self.find(user).await?.is_none() {
            return Err(UserError::Unknown);
        }
        let PasswordKeys { sha1, sha256 } = self.hash(password).await?;
        self.change(user, move |account, now| {
            account.set_keys(PasswordKeys { sha1: sha1.clone(), sha256: sha256.clone() });
            account.revoke(now);
        })
        .await
    }

    /// Sets what the person is beside an employee. Whoever asks for it puts it on record first.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn set_roles(
        &self,
        user: &BareJid,
        roles: impl Into<Roles>,
    ) -> Result<Arc<Account>, UserError> {
        let roles = roles.into();
        self.change(user, move |account, _| account.roles = roles).await
    }

    /// Sets how the person is called.
    ///
    /// # Errors
    /// [`UserError::Unknown`], [`UserError::BadDisplayName`].
    pub async fn set_name(&self, user: &BareJid, name: Option<String>) -> Result<Arc<Account>, UserError> {
        let name = check_name(name)?;
        self.change(user, move |account, _| account.name.clone_from(&name)).await
    }

    /// Disables or enables an account. Disabling ends its tokens; the caller closes its sessions.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn set_disabled(&self, user: &BareJid, disabled: bool) -> Result<Arc<Account>, UserError> {
        self.change(user, move |account, now| {
            if disabled && !account.disabled {
                account.revoke(now);
            }
            account.disabled = disabled;
        })
        .await
    }

    /// Removes an account and its tokens. What others stored for it is theirs to remove; what it wrote
    /// stays in the archive.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn remove(&self, user: &BareJid) -> Result<(), UserError> {
        let (users, user) = (self.clone(), user.clone());
        finish(async move {
            let (domain, local) = (user.domain().as_str(), local(&user)?);
            for _ in 0..RETRIES {
                let read = users.0.vault.get::<Account>(domain, local).await?;
                let Versioned { version, .. } = read.ok_or(UserError::Unknown)?;
                let writes = vec![
                    Write::delete::<Account>(domain, local, Expect::Version(version)),
                    Write::delete::<Devices>(domain, local, Expect::Any),
                ];
                match users.0.vault.apply(writes).await {
                    Ok(_) => {
                        users.0.cache.written(&user, None);
                        return Ok(());
                    }
                    Err(VaultError::Conflict) => {}
                    Err(other) => return Err(other.into()),
                }
            }
            Err(VaultError::Conflict.into())
        })
        .await
    }

    /// Ends all tokens of an account. Its password stays good.
    ///
    /// # Errors
    /// [`UserError::Unknown`].
    pub async fn revoke_tokens(&self, user: &BareJid) -> Result<(), UserError> {
        self.change(user, |account, now| account.revoke(now)).await.map(|_| ())
    }

    /// Keys for accounts that do not exist.
    pub fn decoy(&self) -> &Decoy {
        &self.0.decoy
    }

    /// Reads, changes and writes an account, again when somebody else was quicker.
    async fn change(
        &self,
        user: &BareJid,
        change: impl Fn(&mut Account, Now) + Send + Sync + 'static,
    ) -> Result<Arc<Account>, UserError> {
        let (users, user) = (self.clone(), user.clone());
        finish(async move {
            let (domain, local) = (user.domain().as_str(), local(&user).map_err(|_| UserError::Unknown)?);
            for _ in 0..RETRIES {
                let read = users.0.vault.get::<Account>(domain, local).await?;
                let Versioned { value: mut account, version } = read.ok_or(UserError::Unknown)?;
                change(&mut account, Now::read());
                let put = Write::put(domain, local, &account, Expect::Version(version))?;
                match users.0.vault.apply(vec![put]).await {
                    Ok(_) => {
                        let account = Arc::new(account);
                        users.0.cache.written(&user, Some(&account));
                        return Ok(account);
                    }
                    Err(VaultError::Conflict) => {}
                    Err(other) => return Err(other.into()),
                }
            }
            Err(VaultError::Conflict.into())
        })
        .await
    }

    /// Hashes a password on a blocking thread.
    async fn hash(&self, password: &str) -> Result<PasswordKeys, UserError> {
        let password = prepare_password(password)?;
        let iterations = self.0.options.iterations;
        let mut salts = [[0; 16]; 2];
        for salt in &mut salts {
            getrandom::fill(salt).map_err(|_| VaultError::Random)?;
        }
        self.compute(move || PasswordKeys {
            sha1: ScramKeys::derive(Hash::Sha1, &password, &salts[0], iterations),
            sha256: ScramKeys::derive(Hash::Sha256, &password, &salts[1], iterations),
        })
        .await
    }

    /// Runs what costs milliseconds where it holds nothing up.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, UserError> {
        let hashing = self.0.hashing.clone();
        let permit = hashing.acquire_owned().await.map_err(|_| UserError::ShuttingDown)?;
        let work = move || {
            // Held until the work is done, whether or not somebody still waits for it.
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| UserError::ShuttingDown)
    }
}

/// Runs a write to its end even when nobody waits for it any more: what the vault has taken must reach the
/// cache.
async fn finish<T: Send + 'static>(
    write: impl Future<Output = Result<T, UserError>> + Send + 'static,
) -> Result<T, UserError> {
    tokio::spawn(write).await.map_err(|_| UserError::ShuttingDown)?
}

fn local(user: &BareJid) -> Result<&str, UserError> {
    user.node().map(|node| node.as_str()).ok_or(UserError::BadName)
}

fn check_name(name: Option<String>) -> Result<Option<String>, UserError> {
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    match &name {
        Some(name) if name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) => {
            Err(UserError::BadDisplayName)
        }
        _ => Ok(name),
    }
}
