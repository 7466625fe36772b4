//! Accounts in memory: who has sessions, rosters and block lists.
//!
//! [`People`] loads an account from the vault when somebody first needs it and forgets it when it has been idle.
//! Changes are stored first and shown afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use stanza::{BareJid, Jid};
use vault::{Expect, Record, Vault, VaultError, Versioned, Write};

use crate::outbox::Parcel;
use crate::push::{Registration, Registrations};
use crate::roster::{Contact, Roster};
use crate::session::{Mark, Session};
use crate::users::{UserError, Users};

/// One account of this server, loaded.
pub struct User {
    /// Its address.
    pub jid: BareJid,
    /// Who wants to be woken.
    pub push: Registrations,
    sessions: RwLock<Vec<Arc<Session>>>,
    roster: Mutex<Roster>,
    blocked: RwLock<Option<Versioned<Blocked>>>,
    used: Mutex<Instant>,
    closed: AtomicBool,
}

/// The addresses that an account blocks (XEP-0191). Parent: none; key: the bare JID.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Blocked {
    /// Domains, bare and full JIDs, normalised.
    pub jids: BTreeSet<String>,
}

impl Record for Blocked {
    const KIND: u16 = crate::kinds::BLOCKED;
}

/// When an account was last seen, and what it said when it left (XEP-0012). Parent: none; key: the bare JID.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct LastSeen {
    /// Seconds since 1970.
    pub at: u64,
    /// The status text of the last unavailable presence.
    pub status: Option<String>,
}

impl Record for LastSeen {
    const KIND: u16 = crate::kinds::LAST_SEEN;
}

impl User {
    /// All sessions, connected or resumable.
    pub fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.read().clone()
    }

    /// Calls `f` on each session without copying the list. `f` must not come back to this user's list.
    pub fn each_session(&self, f: impl FnMut(&Arc<Session>)) {
        self.sessions.read().iter().for_each(f);
    }

    /// The session of a resource.
    pub fn session(&self, resource: &str) -> Option<Arc<Session>> {
        self.sessions.read().iter().find(|session| session.jid.resource().as_str() == resource).cloned()
    }

    /// Whether a client is connected under a resource.
    pub fn is_here(&self, resource: &str) -> bool {
        self.session(resource).is_some_and(|session| session.outbox.is_attached())
    }

    /// Whether any session takes messages to the bare address.
    pub fn is_reachable(&self) -> bool {
        self.sessions.read().iter().any(|session| session.takes_messages())
    }

    /// Puts a session in the place of another of the same resource, which is returned.
    pub fn bind(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut sessions = self.sessions.write();
        let before = sessions.iter().position(|other| other.jid == session.jid).map(|at| sessions.remove(at));
        sessions.push(session);
        before
    }

    /// Takes a session out; false when it was not there (any more).
    pub fn unbind(&self, session: &Arc<Session>) -> bool {
        let mut sessions = self.sessions.write();
        let Some(at) = sessions.iter().position(|other| Arc::ptr_eq(other, session)) else { return false };
        sessions.remove(at);
        *self.used.lock() = Instant::now();
        true
    }

    /// Whether the account was signed out meanwhile: a session that is bound nevertheless must end.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Reads the roster.
    pub fn roster<T>(&self, read: impl FnOnce(&Roster) -> T) -> T {
        read(&self.roster.lock())
    }

    /// Whether this account blocks an address: its full or bare form, or its domain (XEP-0191 §2).
    pub fn blocks(&self, other: &Jid) -> bool {
        let blocked = self.blocked.read();
        let Some(Versioned { value: Blocked { jids }, .. }) = &*blocked else { return false };
        let bare = other.to_bare();
        // Whoever blocks their own domain still talks to their own devices.
        if jids.is_empty() || bare == self.jid {
            return false;
        }
        [other.as_str(), bare.as_str(), other.domain().as_str()].iter().any(|form| jids.contains(*form))
    }

    /// The block list.
    pub fn blocked(&self) -> BTreeSet<String> {
        self.blocked.read().as_ref().map(|blocked| blocked.value.jids.clone()).unwrap_or_default()
    }

    /// Sends a roster push for one contact to interested resources (RFC 6121 §2.1.6).
    pub fn push_contact(&self, contact: &BareJid) {
        let Some((item, version)) = self.roster(|roster| {
            roster.contact(contact).map(|found| (found.value.item(contact), found.value.changed))
        }) else {
            return;
        };
        self.each_session(|session| {
            if session.is(Mark::Interested) {
                session.outbox.push(Parcel::stanza(crate::iq::roster::push(session, &item, version)));
            }
        });
    }
}

/// See the module.
#[derive(Clone)]
pub struct People {
    loaded: Arc<DashMap<BareJid, Arc<User>>>,
    users: Users,
    vault: Vault,
}

/// An account without sessions is forgotten after this long.
const IDLE: Duration = Duration::from_secs(600);

impl People {
    /// Nobody is loaded yet.
    pub fn new(users: Users, vault: Vault) -> Self {
        Self { loaded: Arc::default(), users, vault }
    }

    /// An account that is in memory; what is not loaded has no sessions.
    pub fn loaded(&self, jid: &BareJid) -> Option<Arc<User>> {
        self.loaded.get(jid).map(|user| user.clone())
    }

    /// An account, loaded if need be. `None` when there is no such account.
    pub async fn load(&self, jid: &BareJid) -> Result<Option<Arc<User>>, VaultError> {
        if let Some(user) = self.loaded(jid) {
            *user.used.lock() = Instant::now();
            return Ok(Some(user));
        }
        let account = self.users.find(jid).await.map_err(|error| match error {
            UserError::Vault(error) => error,
            _ => VaultError::Store(vault::StoreError::Closed),
        })?;
        if account.is_none() {
            return Ok(None);
        }
        let contacts = self.vault.list::<Contact>(jid.as_str()).await?;
        let contacts =
            contacts.into_iter().filter_map(|(key, contact)| Some((BareJid::new(&key).ok()?, contact)));
        let blocked = self.vault.get::<Blocked>("", jid.as_str()).await?;
        let push = self.vault.list::<Registration>(jid.as_str()).await?;
        let user = Arc::new(User {
            jid: jid.clone(),
            push: Registrations::new(push.into_iter().map(|(_, registration)| registration.value)),
            sessions: RwLock::default(),
            roster: Mutex::new(Roster::new(contacts)),
            blocked: RwLock::new(blocked),
            used: Mutex::new(Instant::now()),
            closed: AtomicBool::new(false),
        });
        // Another task may have been quicker; there is only ever one of a name.
        Ok(Some(self.loaded.entry(jid.clone()).or_insert(user).clone()))
    }

    /// Every loaded account.
    pub fn everyone(&self) -> Vec<Arc<User>> {
        self.loaded.iter().map(|user| user.clone()).collect()
    }

    /// Forgets accounts that nobody uses. Whoever holds one got it from the map, so one with a single owner is the
    /// map's alone and cannot gain a session meanwhile.
    pub fn sweep(&self) {
        self.loaded.retain(|_, user| Arc::strong_count(user) > 1 || user.used.lock().elapsed() < IDLE);
    }

    /// Forgets an account; returns the sessions, which the caller ends. Who is just signing in and holds the account
    /// finds it [closed](User::is_closed).
    pub fn remove(&self, jid: &BareJid) -> Vec<Arc<Session>> {
        let Some((_, user)) = self.loaded.remove(jid) else { return Vec::new() };
        user.closed.store(true, Ordering::SeqCst);
        user.sessions()
    }

    /// Changes one contact of a roster: stored first, then in memory. `change` may run again when somebody else
    /// changed the same contact meanwhile. Returns what `change` returned, and whether anything changed.
    pub async fn change_contact<T>(
        &self,
        user: &User,
        jid: &BareJid,
        change: impl Fn(&mut Contact) -> T,
    ) -> Result<(T, bool), VaultError> {
        loop {
            let (before, version) = user.roster(|roster| match roster.contact(jid) {
                Some(contact) => (contact.value.clone(), Some(contact.version)),
                None => (Contact::default(), None),
            });
            let mut after = before.clone();
            let result = change(&mut after);
            if after == before {
                return Ok((result, false));
            }
            after.changed = user.roster.lock().advance();
            let expect = version.map_or(Expect::Absent, Expect::Version);
            let write = Write::put(user.jid.as_str(), jid.as_str(), &after, expect)?;
            match self.vault.apply(vec![write]).await {
                Ok(version) => {
                    user.roster.lock().set(jid.clone(), Versioned { value: after, version });
                    return Ok((result, true));
                }
                Err(VaultError::Conflict) => self.reload_contact(user, jid).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn reload_contact(&self, user: &User, jid: &BareJid) -> Result<(), VaultError> {
        if let Some(stored) = self.vault.get::<Contact>(user.jid.as_str(), jid.as_str()).await? {
            user.roster.lock().set(jid.clone(), stored);
        }
        Ok(())
    }

    /// Changes the block list; returns whether anything changed.
    pub async fn change_blocked(
        &self,
        user: &User,
        change: impl Fn(&mut BTreeSet<String>),
    ) -> Result<bool, VaultError> {
        loop {
            let before = user.blocked.read().clone();
            let mut after = before.as_ref().map(|blocked| blocked.value.clone()).unwrap_or_default();
            change(&mut after.jids);
            if after.jids == user.blocked() {
                return Ok(false);
            }
            let expect = before.map_or(Expect::Absent, |before| Expect::Version(before.version));
            let write = Write::put("", user.jid.as_str(), &after, expect)?;
            match self.vault.apply(vec![write]).await {
                Ok(version) => {
                    let mut blocked = user.blocked.write();
                    // Somebody else's later change may have been shown already.
                    if blocked.as_ref().is_none_or(|known| known.version < version) {
                        *blocked = Some(Versioned { value: after, version });
                    }
                    return Ok(true);
                }
                Err(VaultError::Conflict) => {
                    *user.blocked.write() = self.vault.get::<Blocked>("", user.jid.as_str()).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}
