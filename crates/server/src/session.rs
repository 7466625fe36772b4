//! One signed-in resource of an account: what the rest of the server knows of a client.
//!
//! A session may outlive its connection (XEP-0198 resumption); the connection is in [`crate::connection`].

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI16, AtomicU8, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use stanza::{FullJid, Jid, Outgoing, Stanza};

use crate::caps::Features;
use crate::outbox::{Bounds, Lease, Outbox, Parcel};
use crate::pending::{Pending, Ticket};
use crate::people::User;

/// See the module.
pub struct Session {
    /// The address that everything from this client is stamped with.
    pub jid: FullJid,
    /// The account.
    pub user: Arc<User>,
    /// What waits for the client.
    pub outbox: Outbox,
    /// How far what the client sent has come.
    pub pending: Pending,
    priority: AtomicI16,
    marks: AtomicU8,
    presence: Mutex<Option<Arc<Stanza>>>,
    directed: Mutex<HashSet<Jid>>,
    resumption: Mutex<Option<Resumption>>,
    /// What it says that it can do.
    capabilities: Mutex<Capable>,
    /// The counts at which the client asked first and last (`<r/>`) and has no answer yet.
    asked: Mutex<Option<(u32, u32)>>,
}

/// How the session can be found again after its connection is lost.
#[derive(Clone)]
pub struct Resumption {
    /// The `id` of `<enabled/>`: not guessable.
    pub id: Box<str>,
}

/// A stanza from a client on its way through a service or the archive. When it is dropped the stanza is handled, and the
/// client may be told so (XEP-0198).
pub struct Errand {
    session: Arc<Session>,
    ticket: Ticket,
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.session.pending.settle(self.ticket);
        self.session.answer_if_handled();
    }
}

/// What a client has asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mark {
    /// It has fetched the roster and gets pushes (RFC 6121 §2.2).
    Interested = 1,
    /// It gets carbons (XEP-0280).
    Carbons = 2,
    /// It has fetched the block list and gets pushes (XEP-0191 §3.2).
    BlockList = 4,
    /// Its stream counts stanzas (XEP-0198).
    Managed = 8,
}

/// What a client can do: the hash by which it names that, and what that means once it is known ([`crate::caps`]).
#[derive(Default)]
struct Capable {
    claim: Option<Box<str>>,
    features: Option<Arc<Features>>,
}

/// Priority of a resource that has sent no available presence.
const UNAVAILABLE: i16 = i16::MIN;

impl Session {
    /// A session of a resource that has just been bound.
    pub fn new(jid: FullJid, user: Arc<User>, bounds: Bounds) -> (Arc<Self>, Lease) {
        let (outbox, lease) = Outbox::new(bounds);
        let session = Self {
            jid,
            user,
            outbox,
            pending: Pending::default(),
            priority: AtomicI16::new(UNAVAILABLE),
            marks: AtomicU8::new(0),
            presence: Mutex::new(None),
            directed: Mutex::default(),
            resumption: Mutex::default(),
            capabilities: Mutex::default(),
            asked: Mutex::default(),
        };
        (Arc::new(session), lease)
    }

    /// A session that was suspended; nobody is connected to it.
    pub fn restore(
        jid: FullJid,
        user: Arc<User>,
        outbox: Outbox,
        received: u32,
        marks: u8,
        resumption: Resumption,
    ) -> Arc<Self> {
        Arc::new(Self {
            jid,
            user,
            outbox,
            pending: Pending::after(received),
            priority: AtomicI16::new(UNAVAILABLE),
            marks: AtomicU8::new(marks),
            presence: Mutex::new(None),
            directed: Mutex::default(),
            resumption: Mutex::new(Some(resumption)),
            capabilities: Mutex::default(),
            asked: Mutex::default(),
        })
    }

    /// The priority of its available presence; `None` while unavailable.
    pub fn priority(&self) -> Option<i8> {
        match self.priority.load(Ordering::Acquire) {
            UNAVAILABLE => None,
            priority => Some(priority as i8),
        }
    }

    /// Whether messages to the bare address come here (RFC 6121 §8.5.2.1).
    pub fn takes_messages(&self) -> bool {
        self.priority().is_some_and(|priority| priority >= 0)
    }

    /// Its latest available presence.
    pub fn presence(&self) -> Option<Arc<Stanza>> {
        self.presence.lock().clone()
    }

    /// Takes in available presence; returns what was there before.
    pub fn set_available(&self, presence: Arc<Stanza>, priority: i8) -> Option<Arc<Stanza>> {
        let before = self.presence.lock().replace(presence);
        self.priority.store(i16::from(priority), Ordering::Release);
        before
    }

    /// Becomes unavailable. Returns the addresses that had directed presence, or `None` when it was not available
    /// and nobody had.
    pub fn set_unavailable(&self) -> Option<HashSet<Jid>> {
        self.priority.store(UNAVAILABLE, Ordering::Release);
        *self.capabilities.lock() = Capable::default();
        let before = self.presence.lock().take();
        let directed = std::mem::take(&mut *self.directed.lock());
        (before.is_some() || !directed.is_empty()).then_some(directed)
    }

    /// Remembers, or forgets, that an address outside the roster saw this resource. At most 1,000 are remembered; `false`
    /// says that this one is not, and would never learn that the resource has gone.
    pub fn set_directed(&self, to: &Jid, available: bool) -> bool {
        let mut directed = self.directed.lock();
        if !available {
            directed.remove(to);
        } else if directed.len() < 1_000 {
            directed.insert(to.clone());
        } else {
            return directed.contains(to);
        }
        true
    }

    /// Forgets the addresses outside the roster that an entry of a block list is about, and returns them.
    pub fn take_directed(&self, is_about: impl Fn(&Jid) -> bool) -> Vec<Jid> {
        let mut directed = self.directed.lock();
        let found: Vec<Jid> = directed.iter().filter(|to| is_about(to)).cloned().collect();
        found.iter().for_each(|to| {
            directed.remove(to);
        });
        found
    }

    /// Names what it can do; false when it had named that before. What is known of it stands until more is known.
    pub fn claim(&self, key: Option<&str>) -> bool {
        let mut capable = self.capabilities.lock();
        let changed = capable.claim.as_deref() != key;
        if changed {
            capable.claim = key.map(Box::from);
        }
        if key.is_none() {
            capable.features = None;
        }
        changed
    }

    /// Whether it names what it can do by this.
    pub fn claims(&self, key: &str) -> bool {
        self.capabilities.lock().claim.as_deref() == Some(key)
    }

    /// What it can do is known, if it still claims that. Returns what it could before.
    pub fn adopt(&self, key: &str, features: Arc<Features>) -> Option<Option<Arc<Features>>> {
        let mut capable = self.capabilities.lock();
        (capable.claim.as_deref() == Some(key)).then(|| capable.features.replace(features))
    }

    /// Whether it is available and wants notifications of a node (XEP-0163 §4).
    pub fn wants(&self, node: &str) -> bool {
        self.priority().is_some()
            && self.capabilities.lock().features.as_ref().is_some_and(|features| features.wants(node))
    }

    /// Whether a mark is set.
    pub fn is(&self, mark: Mark) -> bool {
        self.marks.load(Ordering::Acquire) & mark as u8 != 0
    }

    /// All marks, to be restored.
    pub fn marks(&self) -> u8 {
        self.marks.load(Ordering::Acquire)
    }

    /// Sets or clears a mark.
    pub fn mark(&self, mark: Mark, on: bool) {
        if on {
            self.marks.fetch_or(mark as u8, Ordering::AcqRel);
        } else {
            self.marks.fetch_and(!(mark as u8), Ordering::AcqRel);
        }
    }

    /// Counts a stanza from the client (XEP-0198 §4), if the connection with this lease may still speak for it.
    /// After `true`, [`Pending::finish`] is due.
    pub fn begin(&self, lease: Lease) -> bool {
        self.pending.begin();
        // In this order, whoever resumes the session either waits for this stanza or is not told of it.
        let holds = self.outbox.holds(lease);
        if !holds {
            self.pending.take_back();
        }
        holds
    }

    /// Starts counting from zero.
    pub fn start_counting(&self, resumption: Option<Resumption>) {
        self.pending.start_counting();
        *self.asked.lock() = None;
        *self.resumption.lock() = resumption;
        self.outbox.manage();
        self.mark(Mark::Managed, true);
    }

    /// Stanzas that the server answers for: received, and durable where they must be (XEP-0198 `h`).
    pub fn handled(&self) -> u32 {
        self.pending.handled()
    }

    /// Answers `<r/>` (XEP-0198 §4) as soon as all that came before it is handled.
    pub fn acknowledge_received(&self) {
        let received = self.pending.received();
        let mut asked = self.asked.lock();
        let first = asked.map_or(received, |(first, _)| first);
        *asked = Some((first, received));
        drop(asked);
        // What was on its way may be settled by now.
        self.answer_if_handled();
    }

    /// What this client has just sent is on its way, for as long as the errand lives.
    pub fn errand(self: &Arc<Self>) -> Errand {
        Errand { ticket: self.pending.add(), session: self.clone() }
    }

    fn answer_if_handled(&self) {
        if !self.is(Mark::Managed) {
            return;
        }
        let mut asked = self.asked.lock();
        let Some((first, last)) = *asked else { return };
        let handled = self.handled();
        let reached = |count: u32| handled.wrapping_sub(count) < u32::MAX / 2;
        if reached(first) {
            *asked = (!reached(last)).then_some((last, last));
            drop(asked);
            self.push_acknowledgement();
        }
    }

    fn push_acknowledgement(&self) {
        if self.is(Mark::Managed) {
            let a = format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", self.handled());
            self.outbox.push(Parcel::nonza(Outgoing { head: a.into(), tail: Bytes::new() }));
        }
    }

    /// How to resume it, if it asked for that.
    pub fn resumption(&self) -> Option<Resumption> {
        self.resumption.lock().clone()
    }

    /// It can no longer be resumed.
    pub fn forget_resumption(&self) -> Option<Resumption> {
        self.resumption.lock().take()
    }
}
