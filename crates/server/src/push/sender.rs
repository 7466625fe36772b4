//! Sends what is due, and learns from the answers.

use std::sync::Arc;
use std::time::Duration;

use stanza::{ErrorType, StanzaCondition, StanzaError};
use tokio::sync::mpsc;
use vault::{Expect, Vault, Write};

use super::{Registration, Ticket};
use crate::people::User;
use crate::post::Post;
use crate::router::Router;

/// How long a service may take to answer before it may be sent the next push.
const PATIENCE: Duration = Duration::from_secs(30);

/// Accounts with something due that wait at once. What finds no room is told with the account's next message.
pub const ROOM: usize = 4_096;

/// What sending needs.
#[derive(Clone)]
pub struct Pusher {
    /// Takes the pushes.
    pub post: Post,
    /// Brings the answers.
    pub router: Router,
    /// Keeps the registrations.
    pub vault: Vault,
}

/// Serves accounts that have something due, until the other end is gone.
pub async fn run(pusher: Pusher, mut due: mpsc::Receiver<Arc<User>>) {
    while let Some(user) = due.recv().await {
        for ticket in user.push.take_due() {
            // There is one at a time for each registration, so these are bounded.
            tokio::spawn(pusher.clone().send(user.clone(), ticket));
        }
    }
}

impl Pusher {
    async fn send(self, user: Arc<User>, mut ticket: Ticket) {
        let key = ticket.registration.key();
        loop {
            if let Some(error) = self.publish(&user, &ticket).await
                && is_final(&error)
            {
                return self.forget(&user, &ticket.registration).await;
            }
            if !user.push.sent(&key) {
                return;
            }
            let next = user.push.take_due().into_iter().find(|next| next.registration.key() == key);
            match next {
                Some(next) => ticket = next,
                None => return,
            }
        }
    }

    /// Returns the service's error, if it sent one in time.
    async fn publish(&self, user: &User, ticket: &Ticket) -> Option<StanzaError> {
        let stanza = ticket.registration.stanza(&user.jid, ticket.waiting)?;
        let answer = self.router.await_answer(&stanza)?;
        self.post.originate(stanza).await;
        let answer = tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()?;
        answer.is_type("error").then(|| StanzaError::read(&answer)).flatten()
    }

    /// The service does not want it any more (XEP-0357 §8).
    async fn forget(&self, user: &User, registration: &Registration) {
        let key = registration.key();
        user.push.remove(&key);
        let delete = Write::delete::<Registration>(user.jid.as_str(), &key, Expect::Any);
        if let Err(error) = self.vault.apply(vec![delete]).await {
            tracing::warn!(%error, "a push registration could not be removed");
        }
    }
}

/// Whether the service will never take a push for this device. One that is only away will.
fn is_final(error: &StanzaError) -> bool {
    error.type_ != ErrorType::Wait
        && !matches!(
            error.condition,
            StanzaCondition::RemoteServerNotFound
                | StanzaCondition::RemoteServerTimeout
                | StanzaCondition::InternalServerError
                | StanzaCondition::ResourceConstraint
        )
}
