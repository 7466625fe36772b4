//! External components (XEP-0114): programs with a domain of their own, such as gateways to other networks.
//!
//! A [`Component`] is there from the start to the end of the server, whether or not its program is connected. What goes
//! to it has passed the archive; what it says enters by the [`Border`](crate::border::Border), where everything from
//! outside this server's accounts does.

mod handshake;
mod port;
mod queue;

use parking_lot::Mutex;
use stanza::{DomainPart, Stanza, StreamCondition};
use std::task::{Poll, Waker};

pub use port::{Port, accept};
pub use queue::Lease;

use crate::config::Secret;
use crate::outbox::Bounds;
use queue::{Queue, Refused};

/// See the module.
pub struct Component {
    /// Its domain. All its addresses are in it.
    pub domain: DomainPart,
    secret: Secret,
    queue: Mutex<Queue>,
}

impl Component {
    /// Nobody is connected.
    pub fn new(domain: DomainPart, secret: Secret, bounds: Bounds) -> Self {
        Self { domain, secret, queue: Mutex::new(Queue::new(bounds)) }
    }

    /// Whether its program is there.
    pub fn is_connected(&self) -> bool {
        self.queue.lock().is_open()
    }

    /// Queues a stanza, whose `to` is set. It comes back when the program is not there, or is too slow to take it;
    /// then its connection ends as well.
    pub fn offer(&self, stanza: Stanza) -> Result<(), Box<Stanza>> {
        let mut queue = self.queue.lock();
        let offered = queue.offer(stanza);
        let waker = queue.take_waker();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        offered.map_err(|Refused(stanza)| stanza)
    }

    /// Whether this answers the challenge that the stream's id is (XEP-0114 §3).
    fn knows(&self, id: &str, answer: &str) -> bool {
        handshake::is_answer(id, self.secret.expose(), answer)
    }

    /// The program has proved who it is. A connection that it may still have ends with `conflict`; what waits there goes
    /// over the new one, unless it was too much for the old one: that is returned.
    fn connect(&self) -> (Lease, Vec<Stanza>) {
        let mut queue = self.queue.lock();
        let connected = queue.connect();
        let waker = queue.take_waker();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
        connected
    }

    /// Takes up to `most` stanzas for the connection with this lease. An error ends it.
    fn poll_take(
        &self,
        lease: Lease,
        most: usize,
        waker: &Waker,
        take: impl FnMut(Stanza),
    ) -> Poll<Result<(), StreamCondition>> {
        self.queue.lock().poll_take(lease, most, waker, take)
    }

    /// The connection is gone. What waited for it is returned, if no other has taken over.
    fn disconnect(&self, lease: Lease) -> Vec<Stanza> {
        self.queue.lock().disconnect(lease)
    }

    /// Ends the connection, if there is one. Nothing more is taken.
    pub fn close(&self, why: StreamCondition) {
        let mut queue = self.queue.lock();
        queue.close(why);
        let waker = queue.take_waker();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
    }
}
