//! Sessions of the web side: who signed in, and for how long that is good.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jid::BareJid;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use vault::{Expect, Record, Vault, VaultError, Write};
use zeroize::Zeroizing;

use super::actor::{Actor, Door};
use super::refusal::Refusal;
use super::sign_in::Proven;
use super::{Office, awake};
use crate::clock;

/// How long a session may stand unused, and how long it lasts at most, in seconds.
struct Lifetime {
    idle: u64,
    whole: u64,
}

/// Of somebody who only chats.
const PLAIN: Lifetime = Lifetime { idle: 7 * 86_400, whole: 30 * 86_400 };
/// Of somebody with a role: what their screen can do is worth more than signing in twice a day.
const OF_ROLES: Lifetime = Lifetime { idle: 30 * 60, whole: 12 * 3_600 };
/// How old what is known of a session's last use may be, in seconds.
const TOUCH: u64 = 60;
/// Sessions of one person. The one that was idle for longest makes room.
const MOST: usize = 50;
/// What is kept of what a browser says it is, in bytes.
const AGENT_BYTES: usize = 200;

/// A session, by the hash of its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub user: BareJid,
    /// Of which generation of the account; of another, it is over.
    generation: u64,
    /// Whether a second factor was shown.
    factor: bool,
    /// When it began: seconds since 1970.
    pub created: u64,
    /// When it was used last, to the minute: seconds since 1970.
    pub seen: u64,
    /// What the browser said it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

impl Record for Session {
    const KIND: u16 = crate::kinds::WEB_SESSION;
}

impl Session {
    fn is_over(&self, roles: bool, now: u64) -> bool {
        let Lifetime { idle, whole } = if roles { OF_ROLES } else { PLAIN };
        now >= self.seen.saturating_add(idle) || now >= self.created.saturating_add(whole)
    }
}

/// What a new session gives to the browser.
pub struct NewSession {
    /// For the cookie. Shown once.
    pub secret: Zeroizing<String>,
    /// Who signed in.
    pub actor: Actor,
}

/// A secret of 256 bits in letters that fit everywhere.
pub(super) fn new_secret() -> Result<Zeroizing<String>, Refusal> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).map_err(|_| Refusal::Failed)?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(random.as_slice())))
}

/// What a secret is found by. The secret itself is kept nowhere.
pub(super) fn key_of(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret))
}

/// What a page must send along with changes, which no other site's page can read: it follows from the cookie's secret.
pub fn csrf_token(secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"chancery csrf 1");
    hash.update(secret);
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Whether a page sent the right one.
pub fn is_csrf_token(secret: &str, given: &str) -> bool {
    csrf_token(secret).as_bytes().ct_eq(given.as_bytes()).into()
}

impl Office {
    /// Begins a session.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn begin_session(&self, proven: &Proven, agent: Option<&str>) -> Result<NewSession, Refusal> {
        let vault = &self.0.vault;
        let secret = new_secret()?;
        let now = clock::seconds();
        let agent = agent.map(|agent| {
            let end = (0..=AGENT_BYTES.min(agent.len())).rev().find(|end| agent.is_char_boundary(*end));
            agent[..end.unwrap_or(0)].to_owned()
        });
        let session = Session {
            user: proven.user.clone(),
            generation: proven.account.generation(),
            factor: proven.factor,
            created: now,
            seen: now,
            agent,
        };
        let mut writes = vec![Write::put("", &key_of(&secret), &session, Expect::Absent)?];
        let mut own = self.sessions_of(&proven.user).await?;
        own.sort_by_key(|(_, session)| session.seen);
        let excess = (own.len() + 1).saturating_sub(MOST);
        writes.extend(own.iter().take(excess).map(|(key, _)| Write::delete::<Session>("", key, Expect::Any)));
        vault.apply(writes).await?;
        let actor = self.actor_of(&session, proven.account.roles, key_of(&secret));
        Ok(NewSession { secret, actor })
    }

    /// Who has this secret in their cookie.
    ///
    /// # Errors
    /// [`Refusal::SignedOut`] when the session is over or never was.
    pub async fn resume_session(&self, secret: &str) -> Result<Actor, Refusal> {
        let (vault, key) = (&self.0.vault, key_of(secret));
        let found = vault.get::<Session>("", &key).await?.ok_or(Refusal::SignedOut)?;
        let (mut session, now) = (found.value, clock::seconds());
        let account = self.0.users.find(&session.user).await?;
        let account = account.filter(|account| {
            !account.disabled
                && account.generation() == session.generation
                && !session.is_over(!account.roles.is_empty(), now)
        });
        let Some(account) = account else {
            vault.apply(vec![Write::delete::<Session>("", &key, Expect::Any)]).await?;
            return Err(Refusal::SignedOut);
        };
        if now >= session.seen + TOUCH {
            session.seen = now;
            // Another request of the same page may have been quicker, or the disk may be full: neither signs out.
            let put = Write::put("", &key, &session, Expect::Version(found.version))?;
            if let Err(error) = vault.apply(vec![put]).await
                && !matches!(error, VaultError::Conflict)
            {
                tracing::warn!(%error, "the use of a session could not be noted");
            }
        }
        Ok(self.actor_of(&session, account.roles, key))
    }

    /// Ends a session by its name, if it is the actor's own.
    ///
    /// # Errors
    /// [`Refusal::Missing`]; what the storage says.
    pub async fn end_session(&self, actor: &Actor, name: &str) -> Result<(), Refusal> {
        let vault = &self.0.vault;
        let own = vault.get::<Session>("", name).await?.filter(|found| found.value.user == *actor.who());
        own.ok_or_else(|| Refusal::Missing("there is no such session".to_owned()))?;
        Ok(vault.apply(vec![Write::delete::<Session>("", name, Expect::Any)]).await.map(drop)?)
    }

    /// The sessions of a person with their names.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn sessions_of(&self, user: &BareJid) -> Result<Vec<(String, Session)>, Refusal> {
        let all = self.0.vault.list::<Session>("").await?;
        let own = all.into_iter().filter(|(_, session)| session.value.user == *user);
        Ok(own.map(|(key, session)| (key, session.value)).collect())
    }

    /// Notes that the second factor was shown in a session.
    pub(super) async fn raise_session(&self, name: &str) -> Result<(), Refusal> {
        let vault = &self.0.vault;
        let Some(found) = vault.get::<Session>("", name).await? else { return Ok(()) };
        let session = Session { factor: true, ..found.value };
        let put = Write::put("", name, &session, Expect::Version(found.version))?;
        Ok(vault.apply(vec![put]).await.map(drop)?)
    }

    fn actor_of(&self, session: &Session, roles: crate::users::Roles, key: String) -> Actor {
        let (roles, asleep) = awake(&self.settings(), roles, session.factor);
        Actor::person(session.user.clone(), roles, asleep, Door::Session(key))
    }
}

/// Removes what is over.
///
/// # Errors
/// What the vault says.
pub(super) async fn sweep(vault: &Vault) -> Result<(), VaultError> {
    let now = clock::seconds();
    let all = vault.list::<Session>("").await?;
    let over = all.iter().filter(|(_, session)| session.value.is_over(false, now));
    let writes: Vec<Write> = over.map(|(key, _)| Write::delete::<Session>("", key, Expect::Any)).collect();
    match writes.is_empty() {
        true => Ok(()),
        false => vault.apply(writes).await.map(drop),
    }
}
