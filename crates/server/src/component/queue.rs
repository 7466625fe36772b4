//! What waits for a component: bounded, and given back when nobody takes it.
//!
//! Stanzas wait whole, not as bytes, so that what was not written can be answered with an error.

use std::collections::VecDeque;
use std::task::{Poll, Waker};

use stanza::{Stanza, StreamCondition};

use crate::outbox::Bounds;

/// A connection's right to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease(u32);

/// See the module. Pure: whoever changes it wakes the [waker](Queue::take_waker).
pub(super) struct Queue {
    bounds: Bounds,
    waiting: VecDeque<Stanza>,
    bytes: usize,
    lease: u32,
    connected: bool,
    /// Why the connection ends.
    closed: Option<StreamCondition>,
    /// Nobody may connect any more.
    shut: bool,
    waker: Option<Waker>,
}

/// A stanza that was not taken.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Box<Stanza>);

impl Queue {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waiting: VecDeque::new(),
            bytes: 0,
            lease: 0,
            connected: false,
            closed: None,
            shut: false,
            waker: None,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.connected && self.closed.is_none()
    }

    pub(super) fn take_waker(&mut self) -> Option<Waker> {
        self.waker.take()
    }

    pub(super) fn offer(&mut self, stanza: Stanza) -> Result<(), Refused> {
        if !self.is_open() {
            return Err(Refused(Box::new(stanza)));
        }
        if self.waiting.len() >= self.bounds.parcels || self.bytes + size(&stanza) > self.bounds.bytes {
            self.closed = Some(StreamCondition::ResourceConstraint);
            return Err(Refused(Box::new(stanza)));
        }
        self.bytes += size(&stanza);
        self.waiting.push_back(stanza);
        Ok(())
    }

    /// Also returns what an overflow left behind: a connection that began with a full queue would end at once.
    pub(super) fn connect(&mut self) -> (Lease, Vec<Stanza>) {
        self.lease = self.lease.wrapping_add(1);
        self.connected = true;
        let left = if self.closed.is_some() { self.empty() } else { Vec::new() };
        self.closed = self.shut.then_some(StreamCondition::SystemShutdown);
        (Lease(self.lease), left)
    }

    fn empty(&mut self) -> Vec<Stanza> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into()
    }

    pub(super) fn poll_take(
        &mut self,
        lease: Lease,
        most: usize,
        waker: &Waker,
        mut take: impl FnMut(Stanza),
    ) -> Poll<Result<(), StreamCondition>> {
        if self.lease != lease.0 {
            return Poll::Ready(Err(StreamCondition::Conflict));
        }
        if let Some(why) = self.closed {
            return Poll::Ready(Err(why));
        }
        // Kept even when there is something: a writer whose socket is stuck hears of the end too.
        if !self.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
        if self.waiting.is_empty() || most == 0 {
            return Poll::Pending;
        }
        let count = most.min(self.waiting.len());
        for stanza in self.waiting.drain(..count) {
            self.bytes -= size(&stanza);
            take(stanza);
        }
        if self.waiting.is_empty() && self.waiting.capacity() > 1_024 {
            self.waiting = VecDeque::new();
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn disconnect(&mut self, lease: Lease) -> Vec<Stanza> {
        if self.lease != lease.0 {
            return Vec::new();
        }
        self.connected = false;
        self.waker = None;
        self.empty()
    }

    pub(super) fn close(&mut self, why: StreamCondition) {
        self.shut = true;
        self.closed.get_or_insert(why);
    }
}

/// What a stanza costs: its payload and about as much for the rest.
fn size(stanza: &Stanza) -> usize {
    stanza.tail().len() + 256
}

#[cfg(test)]
mod tests {
    use stanza::Kind;

    use super::*;

    fn stanza(id: &str) -> Stanza {
        Stanza::new(Kind::Message).with_id(id)
    }

    fn queue(parcels: usize) -> Queue {
        Queue::new(Bounds { parcels, bytes: 1 << 20 })
    }

    fn taken(queue: &mut Queue, lease: Lease) -> (Vec<String>, Poll<Result<(), StreamCondition>>) {
        let mut ids = Vec::new();
        let poll = queue.poll_take(lease, 10, Waker::noop(), |stanza| {
            ids.push(stanza.id.map(String::from).unwrap_or_default());
        });
        (ids, poll)
    }

    #[test]
    fn who_is_not_connected_takes_nothing() {
        let mut queue = queue(10);
        assert!(queue.offer(stanza("1")).is_err());
        let (lease, _) = queue.connect();
        queue.offer(stanza("2")).unwrap();
        assert_eq!(queue.disconnect(lease).len(), 1, "what waited comes back");
        assert!(queue.offer(stanza("3")).is_err());
    }

    #[test]
    fn a_full_queue_ends_the_connection_and_gives_everything_back() {
        let mut queue = queue(2);
        let (lease, _) = queue.connect();
        queue.offer(stanza("1")).unwrap();
        queue.offer(stanza("2")).unwrap();
        let Refused(third) = queue.offer(stanza("3")).unwrap_err();
        assert_eq!(third.id.as_deref(), Some("3"));
        let (ids, poll) = taken(&mut queue, lease);
        assert_eq!((ids.len(), poll), (0, Poll::Ready(Err(StreamCondition::ResourceConstraint))));
        assert_eq!(queue.disconnect(lease).len(), 2);
    }

    #[test]
    fn a_second_connection_takes_over_what_waits_and_ends_the_first() {
        let mut queue = queue(10);
        let (first, _) = queue.connect();
        queue.offer(stanza("1")).unwrap();
        let (second, left) = queue.connect();
        assert!(left.is_empty());
        assert_eq!(taken(&mut queue, first).1, Poll::Ready(Err(StreamCondition::Conflict)));
        assert!(queue.disconnect(first).is_empty());
        assert_eq!(taken(&mut queue, second).0, ["1"]);
        assert!(queue.is_open());
    }

    #[test]
    fn who_comes_back_after_an_overflow_begins_with_nothing() {
        let mut queue = queue(1);
        queue.connect();
        queue.offer(stanza("1")).unwrap();
        queue.offer(stanza("2")).unwrap_err();
        let (_, left) = queue.connect();
        assert_eq!(left.len(), 1);
        queue.offer(stanza("3")).unwrap();
    }

    #[test]
    fn bytes_are_bounded_as_well_and_are_free_again_once_taken() {
        let mut queue = Queue::new(Bounds { parcels: 100, bytes: 600 });
        let (lease, _) = queue.connect();
        queue.offer(stanza("1")).unwrap();
        queue.offer(stanza("2")).unwrap();
        assert_eq!(taken(&mut queue, lease).0.len(), 2);
        queue.offer(stanza("3")).unwrap();
        queue.offer(stanza("4")).unwrap();
        assert!(queue.offer(stanza("5")).is_err());
    }
}
