//! The bounded queue between whoever delivers and the one connection that writes.
//!
//! An outbox outlives its connection: with stream management (XEP-0198) what was written stays in it until the
//! client acknowledges, and a later connection takes over where the lost one stopped. A connection holds a
//! [`Lease`]; taking a new lease ends the old one, so two connections never write one session's stanzas.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use archive::Sequence;
use bytes::Bytes;
use parking_lot::Mutex;
use stanza::{Outgoing, StreamCondition};
use tokio::sync::Notify;

/// Something for a client, and what its queue must know about it.
#[derive(Clone)]
pub struct Parcel {
    /// The bytes.
    pub out: Outgoing,
    /// How it counts and whether it can wait.
    pub class: Class,
    /// The archived event it carries; an undelivered one goes to the offline spool when the session ends.
    pub sequence: Option<Sequence>,
    /// What became of the same event at the account's other resources.
    pub copies: Option<Arc<Copies>>,
}

/// One event on its way to several resources of an account: how many have not lost it. It waits for a later session
/// (XEP-0160) only when none has taken it, which is when all have lost it.
pub struct Copies(AtomicUsize);

impl Copies {
    /// So many.
    pub fn new(count: usize) -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(count)))
    }
}

/// How a parcel counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Class {
    /// Not a stanza: not counted by stream management.
    Nonza,
    /// A stanza that an inactive client (XEP-0352) must get at once.
    Urgent,
    /// A stanza that can wait while the client is inactive.
    CanWait,
    /// As `CanWait`, and a newer one of the same source makes it worthless (presence).
    Latest(Box<str>),
}

impl Parcel {
    /// A stanza to be delivered at once.
    pub fn stanza(out: Outgoing) -> Self {
        Self { out, class: Class::Urgent, sequence: None, copies: None }
    }

    /// A stream-level element.
    pub fn nonza(out: Outgoing) -> Self {
        Self { out, class: Class::Nonza, sequence: None, copies: None }
    }

    /// The client will not get it; returns the event that must wait for another session because of that. To be called
    /// once for each parcel.
    pub fn lost(&self) -> Option<Sequence> {
        let waits = self.copies.as_ref().is_none_or(|copies| copies.0.fetch_sub(1, Ordering::AcqRel) == 1);
        self.sequence.filter(|_| waits)
    }

    fn size(&self) -> usize {
        self.out.head.len() + self.out.tail.len()
    }
}

/// Why an outbox takes no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Closed {
    /// The stream ends with this error (RFC 6120 §4.9.3).
    Error(StreamCondition),
    /// The stream ends in good order.
    Finished,
}

/// A connection's right to write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease(u32);

/// Limits of one outbox.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Parcels queued, held or unacknowledged.
    pub parcels: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { parcels: 5_000, bytes: 8 << 20 }
    }
}

/// After so many unacknowledged stanzas the client is asked (`<r/>`) even while more wait to be written.
const ASK_EVERY: u32 = 100;

#[derive(Default)]
struct Queue {
    ready: VecDeque<Parcel>,
    held: Vec<Parcel>,
    inactive: bool,
    managed: Option<Managed>,
    bytes: usize,
    closed: Option<Closed>,
    lease: u32,
    leased: bool,
    /// Somebody waits in [`Outbox::drained`].
    awaited: bool,
    waker: Option<Waker>,
}

/// The sending half of XEP-0198.
#[derive(Default)]
struct Managed {
    unacked: VecDeque<Parcel>,
    /// Stanzas written, modulo 2^32.
    sent: u32,
    /// Stanzas written since the client was last asked.
    unasked: u32,
}

/// See the module.
pub struct Outbox {
    queue: Mutex<Queue>,
    bounds: Bounds,
    taken: Notify,
}

/// An acknowledgement that cannot be true: more stanzas than were sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooHigh {
    /// What the client claims.
    pub handled: u32,
    /// What was sent.
    pub sent: u32,
}

impl Outbox {
    /// An empty outbox with the first lease.
    pub fn new(bounds: Bounds) -> (Self, Lease) {
        let queue = Queue { leased: true, ..Queue::default() };
        (Self { queue: Mutex::new(queue), bounds, taken: Notify::new() }, Lease(0))
    }

    /// An outbox as a lost connection leaves it: nobody holds it, and `parcels` were written but not acknowledged;
    /// `sent` counts them.
    pub fn waiting(bounds: Bounds, sent: u32, parcels: impl IntoIterator<Item = Parcel>) -> Self {
        let unacked: VecDeque<Parcel> = parcels.into_iter().collect();
        let bytes = unacked.iter().map(Parcel::size).sum();
        let managed = Some(Managed { unacked, sent, unasked: 0 });
        Self { queue: Mutex::new(Queue { managed, bytes, ..Queue::default() }), bounds, taken: Notify::new() }
    }

    /// What the client has not acknowledged, with the count of what would then be sent. Nonzas are left out.
    pub fn contents(&self) -> (u32, Vec<Parcel>) {
        let mut queue = self.queue.lock();
        queue.release_held();
        let managed = queue.managed.as_ref();
        let unacked = managed.into_iter().flat_map(|managed| managed.unacked.iter());
        let ready = || queue.ready.iter().filter(|parcel| parcel.class != Class::Nonza);
        let sent = managed.map_or(0, |managed| managed.sent).wrapping_add(ready().count() as u32);
        (sent, unacked.chain(ready()).cloned().collect())
    }

    /// Whether a message of the archive is among what the client has not acknowledged.
    pub fn owes_message(&self) -> bool {
        let queue = self.queue.lock();
        let unacked = queue.managed.iter().flat_map(|managed| managed.unacked.iter());
        unacked.chain(&queue.ready).any(|parcel| parcel.sequence.is_some())
    }

    /// Whether the connection with this lease is the one that serves the session.
    pub fn holds(&self, lease: Lease) -> bool {
        let queue = self.queue.lock();
        queue.leased && queue.lease == lease.0
    }

    /// What may wait here.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Queues a parcel. A full queue closes the outbox: the connection ends it with `resource-constraint`, and what was
    /// archived goes to the spool. Returns false when the outbox is closed; the parcel is dropped then.
    pub fn push(&self, parcel: Parcel) -> bool {
        self.offer(parcel).is_ok()
    }

    /// As [`push`](Self::push), but a closed outbox gives the parcel back.
    pub fn offer(&self, parcel: Parcel) -> Result<(), Parcel> {
        let mut queue = self.queue.lock();
        queue.accept(parcel, self.bounds)?;
        let waker = queue.due();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Queues several parcels, side by side and with one wake-up.
    pub fn push_all(&self, parcels: impl IntoIterator<Item = Parcel>) -> bool {
        let mut queue = self.queue.lock();
        let all = parcels.into_iter().all(|parcel| queue.accept(parcel, self.bounds).is_ok());
        let waker = queue.due();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        all
    }

    /// Takes up to `most` parcels for writing. `Pending` means nothing to write, or no room for it; the waker is kept, so
    /// that a writer whose socket is stuck hears of the end too.
    /// `Ready(Err)` ends the connection: [`None`] when another connection has the lease.
    pub fn poll_take(
        &self,
        lease: Lease,
        most: usize,
        into: &mut VecDeque<Outgoing>,
        waker: &Waker,
    ) -> Poll<Result<(), Option<Closed>>> {
        let mut queue = self.queue.lock();
        if queue.lease != lease.0 || !queue.leased {
            return Poll::Ready(Err(None));
        }
        // Who is too slow for what waits is not made to take it first.
        let overflow = Closed::Error(StreamCondition::ResourceConstraint);
        match queue.closed {
            Some(closed) if queue.ready.is_empty() || closed == overflow => {
                return Poll::Ready(Err(Some(closed)));
            }
            _ => {}
        }
        if !queue.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            queue.waker = Some(waker.clone());
        }
        if queue.ready.is_empty() || most == 0 {
            return Poll::Pending;
        }
        queue.take(most, into);
        if queue.awaited {
            queue.awaited = false;
            self.taken.notify_waiters();
        }
        Poll::Ready(Ok(()))
    }

    /// Closes; what is queued is still written.
    pub fn close(&self, why: Closed) {
        let mut queue = self.queue.lock();
        queue.closed.get_or_insert(why);
        self.taken.notify_waiters();
        let waker = queue.waker.take();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether nothing more is taken.
    pub fn is_closed(&self) -> bool {
        self.queue.lock().closed.is_some()
    }

    /// Sets the client's activity (XEP-0352): an inactive one is spared what can wait.
    pub fn set_inactive(&self, inactive: bool) {
        let mut queue = self.queue.lock();
        queue.inactive = inactive;
        if !inactive
            && queue.release_held()
            && let Some(waker) = queue.waker.take()
        {
            drop(queue);
            waker.wake();
        }
    }

    /// Gives spare memory back.
    pub fn release(&self) {
        let mut queue = self.queue.lock();
        queue.ready.shrink_to_fit();
        queue.held.shrink_to_fit();
        if let Some(managed) = &mut queue.managed {
            managed.unacked.shrink_to_fit();
        }
    }

    /// Whether the client has said that nobody looks at it (XEP-0352).
    pub fn is_inactive(&self) -> bool {
        self.queue.lock().inactive
    }

    /// Starts counting (XEP-0198 `<enable/>`).
    pub fn manage(&self) {
        self.queue.lock().managed = Some(Managed::default());
    }

    /// Drops what the client has handled. Returns false when stream management is off.
    pub fn acknowledge(&self, handled: u32) -> Result<bool, TooHigh> {
        let mut queue = self.queue.lock();
        let Some(managed) = &mut queue.managed else { return Ok(false) };
        let outstanding = managed.unacked.len() as u32;
        let left = managed.sent.wrapping_sub(handled);
        if left > outstanding {
            // Either above what was sent or below an earlier acknowledgement; the latter is stale and harmless.
            let above = handled.wrapping_sub(managed.sent);
            return if above < u32::MAX / 2 && above > 0 {
                Err(TooHigh { handled, sent: managed.sent })
            } else {
                Ok(true)
            };
        }
        let mut freed = 0;
        for parcel in managed.unacked.drain(..(outstanding - left) as usize) {
            freed += parcel.size();
        }
        queue.bytes -= freed;
        if queue.awaited {
            queue.awaited = false;
            self.taken.notify_waiters();
        }
        Ok(true)
    }

    /// The connection is gone and nobody holds the lease; parcels gather.
    pub fn detach(&self, lease: Lease) -> bool {
        let mut queue = self.queue.lock();
        if queue.lease != lease.0 {
            return false;
        }
        queue.leased = false;
        queue.waker = None;
        queue.release_held();
        true
    }

    /// A new connection takes over. Whatever was not acknowledged comes first again (after [`acknowledge`]).
    /// `None` when the outbox is closed.
    ///
    /// [`acknowledge`]: Self::acknowledge
    pub fn attach(&self) -> Option<Lease> {
        let mut queue = self.queue.lock();
        if queue.closed.is_some() {
            return None;
        }
        queue.lease = queue.lease.wrapping_add(1);
        queue.leased = true;
        queue.inactive = false;
        queue.release_held();
        if let Some(managed) = &mut queue.managed {
            let again = std::mem::take(&mut managed.unacked);
            managed.sent = managed.sent.wrapping_sub(again.len() as u32);
            managed.unasked = 0;
            // The bytes stay accounted for: these parcels only change their queue.
            for parcel in again.into_iter().rev() {
                queue.ready.push_front(parcel);
            }
        }
        let lease = Lease(queue.lease);
        if let Some(waker) = queue.waker.take() {
            drop(queue);
            waker.wake();
        }
        Some(lease)
    }

    /// How much may be added at once after [`Outbox::drained`] without crowding out what comes live.
    pub fn portion(&self) -> Bounds {
        Bounds { parcels: self.bounds.parcels.div_ceil(4), bytes: self.bounds.bytes / 4 }
    }

    /// Waits until there is room for a [`portion`](Self::portion) and more, or the outbox is closed.
    pub async fn drained(&self) {
        loop {
            let taken = self.taken.notified();
            {
                let mut queue = self.queue.lock();
                let half = queue.count() <= self.bounds.parcels / 2 && queue.bytes <= self.bounds.bytes / 2;
                if half || queue.closed.is_some() {
                    return;
                }
                queue.awaited = true;
            }
            taken.await;
        }
    }

    /// The lease that was given last, whether or not a connection still holds it.
    pub fn last_lease(&self) -> Lease {
        Lease(self.queue.lock().lease)
    }

    /// Whether a connection is attached.
    pub fn is_attached(&self) -> bool {
        self.queue.lock().leased
    }

    /// Empties and closes: the archived events that the client has not acknowledged, in order.
    pub fn drain(&self) -> Vec<Sequence> {
        let mut queue = self.queue.lock();
        queue.closed.get_or_insert(Closed::Finished);
        queue.release_held();
        let unacked = queue.managed.take().map(|managed| managed.unacked).unwrap_or_default();
        let ready = std::mem::take(&mut queue.ready);
        queue.bytes = 0;
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        unacked.into_iter().chain(ready).filter_map(|parcel| parcel.lost()).collect()
    }
}

impl Queue {
    fn accept(&mut self, parcel: Parcel, bounds: Bounds) -> Result<(), Parcel> {
        if self.closed.is_some() {
            return Err(parcel);
        }
        self.add(parcel);
        if self.count() > bounds.parcels || self.bytes > bounds.bytes {
            self.closed = Some(Closed::Error(StreamCondition::ResourceConstraint));
        }
        Ok(())
    }

    /// Who is to be woken, if there is something to do. Held parcels (XEP-0352) wake nobody.
    fn due(&mut self) -> Option<Waker> {
        if self.ready.is_empty() && self.closed.is_none() { None } else { self.waker.take() }
    }

    fn count(&self) -> usize {
        self.ready.len() + self.held.len() + self.managed.as_ref().map_or(0, |managed| managed.unacked.len())
    }

    fn add(&mut self, parcel: Parcel) {
        self.bytes += parcel.size();
        if self.inactive && self.leased {
            match &parcel.class {
                Class::CanWait => return self.held.push(parcel),
                Class::Latest(source) => {
                    let older = self
                        .held
                        .iter()
                        .position(|held| matches!(&held.class, Class::Latest(s) if s == source));
                    if let Some(older) = older {
                        let older = self.held.remove(older);
                        self.bytes -= older.size();
                    }
                    return self.held.push(parcel);
                }
                Class::Urgent => {
                    self.release_held();
                }
                Class::Nonza => {}
            }
        }
        self.ready.push_back(parcel);
    }

    fn release_held(&mut self) -> bool {
        let any = !self.held.is_empty();
        self.ready.extend(self.held.drain(..));
        any
    }

    fn take(&mut self, most: usize, into: &mut VecDeque<Outgoing>) {
        let count = most.min(self.ready.len());
        let last = count == self.ready.len();
        let Some(managed) = &mut self.managed else {
            for parcel in self.ready.drain(..count) {
                self.bytes -= parcel.size();
                into.push_back(parcel.out);
            }
            if self.ready.is_empty() && self.ready.capacity() > 64 {
                self.ready.shrink_to(16);
            }
            return;
        };
        for parcel in self.ready.drain(..count) {
            if parcel.class == Class::Nonza {
                self.bytes -= parcel.size();
                into.push_back(parcel.out);
            } else {
                into.push_back(parcel.out.clone());
                managed.sent = managed.sent.wrapping_add(1);
                managed.unasked += 1;
                managed.unacked.push_back(parcel);
            }
        }
        if managed.unasked >= ASK_EVERY || (last && managed.unasked > 0) {
            managed.unasked = 0;
            into.push_back(Outgoing {
                head: Bytes::from_static(b"<r xmlns='urn:xmpp:sm:3'/>"),
                tail: Bytes::new(),
            });
        }
    }
}
