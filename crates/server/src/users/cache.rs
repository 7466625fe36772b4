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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Hash, ScramKeys};
    use crate::users::Roles;
    use crate::users::account::{Now, PasswordKeys};

    fn account(number: usize) -> (BareJid, Arc<Account>) {
        let name = format!("u{number}");
        let keys = |hash| ScramKeys::derive(hash, "x", b"salt", 1);
        let keys = PasswordKeys { sha1: keys(Hash::Sha1), sha256: keys(Hash::Sha256) };
        let account = Account::new(&name, None, Roles::USER, Now::read(), keys);
        (BareJid::new(&format!("{name}@corp.example")).unwrap(), Arc::new(account))
    }

    fn ticket(cache: &Cache, user: &BareJid) -> Ticket {
        match cache.look_up(user) {
            Known::Unknown(ticket) => ticket,
            _ => panic!("already known"),
        }
    }

    #[test]
    fn what_was_read_before_a_write_does_not_replace_it() {
        let cache = Cache::new(10);
        let (user, old) = account(1);
        let began = ticket(&cache, &user);
        cache.written(&user, None);
        cache.fill(began, &user, Some(&old));
        assert!(matches!(cache.look_up(&user), Known::Absent));
    }

    #[test]
    fn a_flood_of_made_up_names_pushes_no_account_out_and_memory_is_bounded() {
        let cache = Cache::new(10);
        let (user, real) = account(0);
        cache.fill(ticket(&cache, &user), &user, Some(&real));
        for number in 1..MAX_ABSENT + 10 {
            let name = BareJid::new(&format!("x{number}@corp.example")).unwrap();
            cache.fill(ticket(&cache, &name), &name, None);
        }
        assert!(matches!(cache.look_up(&user), Known::Present(_)));
        for number in 1..30 {
            let (user, real) = account(number);
            cache.written(&user, Some(&real));
        }
        let entries = cache.0.lock();
        assert_eq!((entries.present.len(), entries.absent.len()), (10, MAX_ABSENT));
    }
}
