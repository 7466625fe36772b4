//! How sessions begin, are lost, are found again (XEP-0198 §5) and end.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dashmap::DashMap;
use stanza::{FullJid, ResourcePart, StreamCondition};
use tokio::sync::mpsc;
use vault::{Vault, VaultError};

use crate::outbox::{Bounds, Closed, Lease};
use crate::people::{People, User};
use crate::presence::Presence;
use crate::router::Router;
use crate::session::{Resumption, Session};
use crate::suspend;

/// See the module.
#[derive(Clone)]
pub struct Sessions {
    resumable: Arc<DashMap<Box<str>, Arc<Session>>>,
    presence: Presence,
    router: Router,
    bounds: Bounds,
    wait: Duration,
    /// Held by every connection and every waiting session; shutting down waits until all are dropped.
    alive: mpsc::WeakSender<()>,
}

/// A request to resume that cannot be granted (XEP-0198 §5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotResumed {
    /// Nobody knows the session, or it is somebody else's.
    Unknown,
    /// The client claims to have handled more than was sent.
    TooHigh(crate::outbox::TooHigh),
}

/// The most sessions of one account; one more ends the oldest.
const MOST: usize = 50;

impl Sessions {
    /// `wait` is how long a lost session can be resumed; zero switches that off.
    pub fn new(
        presence: Presence,
        router: Router,
        bounds: Bounds,
        wait: Duration,
        alive: mpsc::WeakSender<()>,
    ) -> Self {
        Self { resumable: Arc::default(), presence, router, bounds, wait, alive }
    }

    /// A guard that keeps the shutdown waiting.
    pub fn guard(&self) -> Option<mpsc::Sender<()>> {
        self.alive.upgrade()
    }

    /// How long a lost session can be resumed.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Binds a resource. Another session of that resource ends with `conflict` (RFC 6120 §7.7.2.2).
    pub async fn bind(&self, user: &Arc<User>, resource: &ResourcePart) -> (Arc<Session>, Lease) {
        let (session, lease) = Session::new(user.jid.with_resource(resource), user.clone(), self.bounds);
        if let Some(other) = user.bind(session.clone()) {
            self.conclude(&other, Closed::Error(StreamCondition::Conflict)).await;
        }
        let sessions = user.sessions();
        if sessions.len() > MOST
            && let Some(oldest) = sessions.first()
        {
            self.end(oldest, Closed::Error(StreamCondition::ResourceConstraint)).await;
        }
        metrics::gauge!(crate::metrics::SESSIONS).increment(1.0);
        if user.is_closed() {
            self.end(&session, Closed::Error(StreamCondition::NotAuthorized)).await;
        }
        (session, lease)
    }

    /// Starts counting stanzas (XEP-0198 §3); with `resume`, returns the id to come back with.
    pub fn manage(&self, session: &Arc<Session>, resume: bool) -> Option<Box<str>> {
        let id = (resume && !self.wait.is_zero()).then(new_id);
        session.start_counting(id.clone().map(|id| Resumption { id }));
        if let Some(id) = &id {
            self.resumable.insert(id.clone(), session.clone());
        }
        id
    }

    /// Takes over a session whose connection was lost, or is about to be.
    pub fn resume(
        &self,
        user: &Arc<User>,
        id: &str,
        handled: u32,
    ) -> Result<(Arc<Session>, Lease), NotResumed> {
        let session = self.resumable.get(id).map(|session| session.clone()).ok_or(NotResumed::Unknown)?;
        if !Arc::ptr_eq(&session.user, user) {
            return Err(NotResumed::Unknown);
        }
        session.outbox.acknowledge(handled).map_err(NotResumed::TooHigh)?;
        let attached = session.outbox.is_attached();
        let lease = session.outbox.attach().ok_or(NotResumed::Unknown)?;
        if !attached {
            metrics::gauge!(crate::metrics::SESSIONS_DETACHED).decrement(1.0);
        }
        user.push.seen(session.jid.resource().as_str());
        Ok((session, lease))
    }

    /// A connection broke off. A session that can be resumed waits; any other ends.
    pub async fn lose(&self, session: &Arc<Session>, lease: Lease) {
        if session.resumption().is_none() || session.outbox.is_closed() {
            return self.end(session, Closed::Finished).await;
        }
        if !session.outbox.detach(lease) {
            return;
        }
        if session.outbox.owes_message() {
            // It was sent to somebody who is not there: a phone that sleeps does not hang up first.
            self.router.wake(&session.user);
        }
        self.expire(session);
    }

    /// Ends a detached session when nobody has come for it in time.
    fn expire(&self, session: &Arc<Session>) {
        metrics::gauge!(crate::metrics::SESSIONS_DETACHED).increment(1.0);
        let lease = session.outbox.last_lease();
        let (sessions, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            tokio::time::sleep(sessions.wait).await;
            // A detached outbox keeps its lease number; only a newer connection changes it.
            if !session.outbox.is_attached() && session.outbox.last_lease() == lease {
                metrics::gauge!(crate::metrics::SESSIONS_DETACHED).decrement(1.0);
                sessions.end(&session, Closed::Finished).await;
            }
        });
    }

    /// Ends every session for a shutdown. What can be resumed after it is returned, out of its account's list and with
    /// its stream on the way to its end; give it to [`suspend::store`] once the connections are gone.
    pub async fn shut(&self, people: &People) -> Vec<Arc<Session>> {
        let why = Closed::Error(StreamCondition::SystemShutdown);
        let mut resumable = Vec::new();
        for session in people.everyone().iter().flat_map(|user| user.sessions()) {
            if session.resumption().is_some() && session.user.unbind(&session) {
                session.outbox.close(why);
                resumable.push(session);
            } else {
                self.end(&session, why).await;
            }
        }
        resumable
    }

    /// Puts undelivered messages of sessions that could not be suspended into the spool.
    pub fn abandon(&self, sessions: &[Arc<Session>]) {
        for session in sessions {
            self.router.keep(&session.user.jid, session.outbox.drain());
        }
    }

    /// Takes up the sessions that the last shutdown suspended.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn wake(&self, vault: &Vault, people: &People) -> Result<(), VaultError> {
        for (id, suspended) in suspend::take(vault).await? {
            let Ok(jid) = FullJid::new(&suspended.jid) else { continue };
            let Some(user) = people.load(&jid.to_bare()).await? else { continue };
            let session = suspended.wake(&id, jid, user.clone(), self.bounds);
            user.bind(session.clone());
            if let Some(presence) = session.presence() {
                // So that it goes on hearing of the nodes that it wants to hear of.
                self.presence.caps.learn(&session, &presence);
            }
            self.resumable.insert(id.into(), session.clone());
            metrics::gauge!(crate::metrics::SESSIONS).increment(1.0);
            self.expire(&session);
            // What came after the stop's beginning waits in the spool.
            self.router.flush(&user);
        }
        Ok(())
    }

    /// Ends a session: its stream, if any, its presence, and its claim on the resource. What it has not acknowledged
    /// waits for the next one.
    pub async fn end(&self, session: &Arc<Session>, why: Closed) {
        if session.user.unbind(session) {
            self.conclude(session, why).await;
        }
    }

    /// The rest of ending, once the session is out of its account's list.
    async fn conclude(&self, session: &Arc<Session>, why: Closed) {
        session.outbox.close(why);
        if let Some(resumption) = session.forget_resumption() {
            self.resumable.remove(&resumption.id);
        }
        self.presence.unavailable(session, None).await;
        session.pending.settled().await;
        self.router.keep(&session.user.jid, session.outbox.drain());
        metrics::gauge!(crate::metrics::SESSIONS).decrement(1.0);
    }
}

/// 144 random bits.
pub fn new_id() -> Box<str> {
    let mut random = [0; 18];
    // Without randomness the process cannot go on safely; an id that cannot be guessed is the point of it.
    if getrandom::fill(&mut random).is_err() {
        std::process::abort();
    }
    URL_SAFE_NO_PAD.encode(random).into()
}
