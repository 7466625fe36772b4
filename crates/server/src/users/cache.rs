//! Accounts in memory, so that a sign-in needs no disk.

use std::collections::hash_map::RandomState;
use std::sync::Arc;

use hashlink::LruCache;
use jid::BareJid;
use parking_lot::Mutex;

use super::Account;

/// Names without an account that are remembered as such.
const MAX_ABSENT: usize = 4096;

/// What was read of the vault lately, and bounded.
///
/// Names that have no account are kept apart from those that have, so that a flood of made up names
/// cannot push the accounts out.
pub(super) struct Cache(Mutex<Entries>);

struct Entries {
    present: LruCache<BareJid, Arc<Account>, RandomState>,
    absent: LruCache<BareJid, (), RandomState>,
    /// Grows with every write, so that a read that began before it leaves no stale entry behind.
    writes: u64,
}

/// What the cache knows of a name.
pub(super) enum Known {
    /// There is an account.
    Present(Arc<Account>),
    /// There is none.
    Absent,
    /// Ask the vault, and hand this to [`Cache::fill`].
    Unknown(Ticket),
}

/// When a read began.
pub(super) struct Ticket(u64);

impl Cache {
    /// Keeps so many accounts, of about 1 KiB each.
    pub(super) fn new(accounts: usize) -> Self {
        Self(Mutex::new(Entries {
            present: LruCache::with_hasher(accounts.max(1), RandomState::new()),
            absent: LruCache::with_hasher(MAX_ABSENT, RandomState::new()),
            writes: 0,
        }))
    }

    pub(super) fn look_up(&self, user: &BareJid) -> Known {
        let mut entries = self.0.lock();
        if let Some(account) = entries.present.get(user) {
            return Known::Present(account.clone());
        }
        match entries.absent.get(user) {
            Some(()) => Known::Absent,
            None => Known::Unknown(Ticket(entries.writes)),
        }
    }

    /// Remembers what was read, unless something was written meanwhile.
    pub(super) fn fill(&self, ticket: Ticket, user: &BareJid, account: Option<&Arc<Account>>) {
        let mut entries = self.0.lock();
        if entries.writes == ticket.0 {
            entries.put(user, account);
        }
    }

    /// Remembers what was written.
    pub(super) fn written(&self, user: &BareJid, account: Option<&Arc<Account>>) {
        let mut entries = self.0.lock();
        entries.writes += 1;
        entries.put(user, account);
    }
}

impl Entries {
    fn put(&mut self, user: &BareJid, account: Option<&Arc<Account>>) {
        match account {
            Some(account) => {
                self.absent.remove(user);
                self.present.insert(user.clone(), account.clone());
            }
            None => {
                self.present.remove(user);
                self.absent.insert(user.clone(), ());
            }
        }
    }
}
