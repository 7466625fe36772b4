//! How often somebody may try to sign in.
//!
//! Two limits with two aims. The one per address bounds what a stranger can cost the server. The one per
//! account bounds how many passwords can be tried on it, from however many addresses; it treats accounts
//! that do not exist like those that do. A stranger must not be able to lock an account's owner out, so an
//! address from which the account was signed in to before has a count of its own.
//!
//! Memory is bounded: what was not seen for longest is forgotten first. No clock inside; time is passed in.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use hashlink::LruCache;
use jid::BareJid;
use parking_lot::Mutex;

/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 32_768;

/// Accounts with failures, and pairs of account and familiar address, that are remembered.
const MAX_ACCOUNTS: usize = 65_536;

/// Wrong passwords in a row that cost no waiting.
const FREE_FAILURES: u32 = 5;

/// The longest wait after a wrong password.
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);

/// After this time without a failure, an account starts anew.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// Counts sign-ins. One serves all listeners of a server.
pub struct SignInLimit {
    state: Mutex<State>,
    /// Names are hashed with a random key, so entries are small and nobody can choose them.
    names: RandomState,
}

struct State {
    per_minute: Option<NonZeroU32>,
    addresses: LruCache<u64, Bucket>,
    failures: LruCache<u64, Failures>,
    familiar: LruCache<u64, ()>,
}

/// Attempts that an address has left.
#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    counted: Instant,
}

/// Wrong passwords in a row.
#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Failures {
    fn wait(self) -> Duration {
        let exponent = self.count.saturating_sub(FREE_FAILURES);
        match exponent {
            0 => Duration::ZERO,
            1..=10 => Duration::from_secs(1 << (exponent - 1)).min(LONGEST_WAIT),
            _ => LONGEST_WAIT,
        }
    }
}

impl SignInLimit {
    /// Allows so many attempts a minute from each address; None for any number.
    pub fn new(per_minute: Option<NonZeroU32>) -> Self {
        let state = State {
            per_minute,
            addresses: LruCache::new(MAX_ADDRESSES),
            failures: LruCache::new(MAX_ACCOUNTS),
            familiar: LruCache::new(MAX_ACCOUNTS),
        };
        Self { state: Mutex::new(state), names: RandomState::new() }
    }

    /// Changes the number of attempts a minute, when the configuration was read again.
    pub fn set_per_minute(&self, per_minute: Option<NonZeroU32>) {
        self.state.lock().per_minute = per_minute;
    }

    /// Counts an attempt from an address; false when it had too many. An IPv6 address stands for its /64,
    /// which one customer has at least.
    pub fn admit(&self, peer: IpAddr, now: Instant) -> bool {
        let mut state = self.state.lock();
        let Some(per_minute) = state.per_minute else { return true };
        let full = f64::from(per_minute.get());
        let key = self.names.hash_one(prefix(peer));
        let mut bucket = state.addresses.get(&key).copied().unwrap_or(Bucket { left: full, counted: now });
        let minutes = now.saturating_duration_since(bucket.counted).as_secs_f64() / 60.0;
        bucket.left = (bucket.left + minutes * full).min(full);
        bucket.counted = now;
        let admitted = bucket.left >= 1.0;
        if admitted {
            bucket.left -= 1.0;
        }
        state.addresses.insert(key, bucket);
        admitted
    }

    /// Whether a password may be tried on an account now.
    ///
    /// When not, the exchange must still go on to its end and then fail as with a wrong password.
    pub fn may_guess(&self, user: &BareJid, peer: IpAddr, now: Instant) -> bool {
        let mut state = self.state.lock();
        let key = self.key(&mut state, user, peer);
        state.failures.get(&key).is_none_or(|failures| now >= failures.last + failures.wait())
    }

    /// Notes a wrong password. Not for attempts that were not allowed: those would lock the account for
    /// as long as somebody keeps trying.
    pub fn failed(&self, user: &BareJid, peer: IpAddr, now: Instant) {
        let mut state = self.state.lock();
        let key = self.key(&mut state, user, peer);
        let before = match state.failures.get(&key) {
            Some(failures) if now.saturating_duration_since(failures.last) < FORGIVEN_AFTER => failures.count,
            _ => 0,
        };
        state.failures.insert(key, Failures { count: before.saturating_add(1), last: now });
    }

    /// Notes a sign-in. The address becomes familiar to the account.
    pub fn succeeded(&self, user: &BareJid, peer: IpAddr) {
        let mut state = self.state.lock();
        let key = self.key(&mut state, user, peer);
        state.failures.remove(&key);
        let pair = self.names.hash_one((user.as_str(), prefix(peer)));
        state.failures.remove(&pair);
        state.familiar.insert(pair, ());
    }

    /// Which failures count for this attempt: those of the account, or for a familiar address its own.
    fn key(&self, state: &mut State, user: &BareJid, peer: IpAddr) -> u64 {
        let pair = self.names.hash_one((user.as_str(), prefix(peer)));
        match state.familiar.get(&pair) {
            Some(()) => pair,
            None => self.names.hash_one(user.as_str()),
        }
    }
}

/// What of an address names its holder.
fn prefix(peer: IpAddr) -> [u8; 8] {
    match peer.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            // No IPv6 /64 that is in use begins with zeros.
            [0, 0, 0, 4, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn limit(per_minute: u32) -> SignInLimit {
        SignInLimit::new(NonZeroU32::new(per_minute))
    }

    fn romeo() -> BareJid {
        BareJid::new("romeo@corp.example").unwrap()
    }

    #[test]
    fn an_address_gets_its_attempts_a_minute_and_no_more() {
        let (limit, start) = (limit(30), Instant::now());
        assert_eq!((0..40).filter(|_| limit.admit(HOME, start)).count(), 30);
        assert!(limit.admit(AWAY, start));
        assert!(!limit.admit(HOME, start + Duration::from_secs(1)));
        assert!(limit.admit(HOME, start + Duration::from_secs(2)));
        assert!(!limit.admit(HOME, start + Duration::from_secs(2)));
        let later = start + Duration::from_secs(3600);
        assert_eq!((0..40).filter(|_| limit.admit(HOME, later)).count(), 30);
    }

    #[test]
    fn loopback_is_not_special_and_zero_is_no_limit() {
        let start = Instant::now();
        let loopback = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
        let tight = limit(1);
        assert!(tight.admit(loopback, start) && !tight.admit(loopback, start));
        tight.set_per_minute(None);
        assert!((0..1000).all(|_| tight.admit(loopback, start)));
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address_and_a_mapped_one_as_ipv4() {
        let (limit, start) = (limit(1), Instant::now());
        assert!(limit.admit("2001:db8::1".parse().unwrap(), start));
        assert!(!limit.admit("2001:db8::ffff:2".parse().unwrap(), start));
        assert!(limit.admit("2001:db8:0:1::1".parse().unwrap(), start));
        assert!(limit.admit(HOME, start));
        assert!(!limit.admit("::ffff:192.0.2.1".parse().unwrap(), start));
    }

    #[test]
    fn wrong_passwords_make_the_next_one_wait_ever_longer() {
        let (limit, mut now) = (limit(0), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..20 {
            let asked = now;
            while !limit.may_guess(&romeo(), HOME, now) {
                now += Duration::from_secs(1);
            }
            waits.push((now - asked).as_secs());
            limit.failed(&romeo(), HOME, now);
        }
        assert_eq!(waits[..9], [0, 0, 0, 0, 0, 0, 1, 2, 4]);
        assert_eq!(waits[16..], [900, 900, 900, 900]);
        let other = BareJid::new("juliet@corp.example").unwrap();
        assert!(limit.may_guess(&other, HOME, now));
        limit.failed(&romeo(), HOME, now + FORGIVEN_AFTER);
        assert!(limit.may_guess(&romeo(), HOME, now + FORGIVEN_AFTER), "old failures are forgiven");
    }

    #[test]
    fn a_stranger_cannot_lock_the_owner_out() {
        let (limit, now) = (limit(0), Instant::now());
        limit.succeeded(&romeo(), HOME);
        (0..10).for_each(|_| limit.failed(&romeo(), AWAY, now));
        assert!(!limit.may_guess(&romeo(), AWAY, now));
        assert!(limit.may_guess(&romeo(), HOME, now));
        // But guessing from the owner's own network has its limit too.
        (0..10).for_each(|_| limit.failed(&romeo(), HOME, now));
        assert!(!limit.may_guess(&romeo(), HOME, now));
    }

    #[test]
    fn success_clears_the_failures() {
        let (limit, now) = (limit(0), Instant::now());
        (0..10).for_each(|_| limit.failed(&romeo(), HOME, now));
        limit.succeeded(&romeo(), HOME);
        assert!(limit.may_guess(&romeo(), HOME, now));
        assert!(limit.may_guess(&romeo(), AWAY, now));
    }

    #[test]
    fn memory_is_bounded() {
        let (limit, now) = (limit(30), Instant::now());
        for number in 0..(MAX_ACCOUNTS as u32 + 100) {
            limit.admit(IpAddr::V4(number.into()), now);
            let name = BareJid::new(&format!("u{number}@corp.example")).unwrap();
            limit.failed(&name, HOME, now);
        }
        let state = limit.state.lock();
        assert_eq!((state.addresses.len(), state.failures.len()), (MAX_ADDRESSES, MAX_ACCOUNTS));
    }
}
