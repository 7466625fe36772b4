//! How far the stanzas of one client have come: received, on their way through the archive, handled.
//!
//! Stream management answers for a prefix of what the client sent (XEP-0198 §4), so it matters which stanzas are still
//! on their way, not only how many.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// See the module.
#[derive(Default)]
pub struct Pending {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Stanzas received since counting began, modulo 2^32.
    received: u32,
    /// The number of the stanza that is being dealt with right now.
    current: Option<u32>,
    /// Those on their way through the archive or a service, oldest first, with their numbers. `None`: sent before
    /// counting began.
    away: VecDeque<(Ticket, Option<u32>)>,
    /// The last that was given out.
    ticket: Ticket,
}

/// Names one stanza that is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ticket(u64);

impl Pending {
    /// Goes on counting after `received` stanzas.
    pub fn after(received: u32) -> Self {
        Self { state: Mutex::new(State { received, ..State::default() }), changed: Notify::new() }
    }

    /// Counts from zero.
    pub fn start_counting(&self) {
        let mut state = self.state.lock();
        state.received = 0;
        state.current = None;
        state.away.iter_mut().for_each(|(_, number)| *number = None);
    }

    /// A stanza has been received and is dealt with, until [`finish`](Self::finish).
    pub fn begin(&self) {
        let mut state = self.state.lock();
        state.received = state.received.wrapping_add(1);
        state.current = Some(state.received);
    }

    /// The stanza has been dealt with, or is on its way.
    pub fn finish(&self) {
        self.state.lock().current = None;
        self.changed.notify_waiters();
    }

    /// The stanza will not be dealt with after all, and was never received.
    pub fn take_back(&self) {
        let mut state = self.state.lock();
        state.received = state.received.wrapping_sub(1);
        state.current = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The stanza is on its way, until it is [settled](Self::settle).
    pub fn add(&self) -> Ticket {
        let mut state = self.state.lock();
        let (ticket, current) = (Ticket(state.ticket.0 + 1), state.current);
        state.ticket = ticket;
        state.away.push_back((ticket, current));
        ticket
    }

    /// One that was on its way is handled; mostly the oldest.
    pub fn settle(&self, ticket: Ticket) {
        let mut state = self.state.lock();
        if let Some(place) = state.away.iter().position(|(one, _)| *one == ticket) {
            state.away.remove(place);
        }
        let none = state.away.is_empty();
        drop(state);
        if none {
            self.changed.notify_waiters();
        }
    }

    /// How many are on their way.
    pub fn count(&self) -> usize {
        self.state.lock().away.len()
    }

    /// Stanzas received since counting began, modulo 2^32.
    pub fn received(&self) -> u32 {
        self.state.lock().received
    }

    /// The number up to which everything has been handled, modulo 2^32.
    pub fn handled(&self) -> u32 {
        let state = self.state.lock();
        let oldest = state.away.iter().find_map(|(_, number)| *number).or(state.current);
        oldest.map_or(state.received, |number| number.wrapping_sub(1))
    }

    /// Waits until none is on its way.
    pub async fn settled(&self) {
        self.until(|state| state.away.is_empty()).await;
    }

    /// Waits until none is on its way or being dealt with.
    pub async fn still(&self) {
        self.until(|state| state.away.is_empty() && state.current.is_none()).await;
    }

    async fn until(&self, done: impl Fn(&State) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on no change is missed.
            changed.as_mut().enable();
            if done(&self.state.lock()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handled_is_a_prefix_of_what_was_received() {
        let pending = Pending::default();
        pending.begin();
        let first = pending.add();
        assert_eq!(pending.handled(), 0, "the first is being dealt with");
        pending.finish();
        for _ in 0..3 {
            pending.begin();
            pending.finish();
        }
        assert_eq!(
            (pending.received(), pending.handled()),
            (4, 0),
            "later ones do not stand in for the first"
        );
        pending.begin();
        pending.settle(first);
        assert_eq!(pending.handled(), 4, "the fifth is being dealt with");
        pending.take_back();
        assert_eq!((pending.received(), pending.handled()), (4, 4));
    }

    #[test]
    fn what_was_sent_before_counting_began_is_not_counted() {
        let pending = Pending::default();
        let before = pending.add();
        pending.start_counting();
        pending.begin();
        pending.finish();
        assert_eq!(pending.handled(), 1);
        pending.settle(before);
        assert_eq!((pending.handled(), pending.count()), (1, 0));
    }

    #[test]
    fn one_that_overtakes_another_is_not_counted_before_it() {
        let pending = Pending::default();
        pending.begin();
        let slow = pending.add();
        pending.finish();
        pending.begin();
        let quick = pending.add();
        pending.finish();
        pending.settle(quick);
        assert_eq!(pending.handled(), 0);
        pending.settle(slow);
        assert_eq!(pending.handled(), 2);
    }
}
