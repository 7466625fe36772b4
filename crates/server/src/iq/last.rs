//! Last activity (XEP-0012): the server's uptime, and when an account was last here.

use std::time::Instant;

use async_trait::async_trait;
use stanza::{StanzaCondition, StanzaError};
use vault::Vault;

use super::{Answer, Foreign, Handler, Place, Request, bad_request};
use crate::clock;
use crate::people::{LastSeen, User};
use crate::post::disk_error;
use crate::xml::{With, el};

/// The namespace.
const LAST: &str = "jabber:iq:last";

/// Serves `jabber:iq:last`.
pub struct Last {
    /// Knows when people left.
    pub vault: Vault,
    /// When the server began to serve.
    pub started: Instant,
}

#[async_trait]
impl Handler for Last {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", LAST, &[Place::Host, Place::Own, Place::Other])]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if request.set {
            return Err(bad_request("The last activity can only be read."));
        }
        let user = request.user;
        if request.place == Place::Host {
            return self.uptime();
        }
        // XEP-0012 §6: when somebody was here is as private as whether they are.
        if request.place == Place::Other
            && !user.roster(|roster| roster.state(&request.session.user.jid).from)
        {
            return Err(StanzaCondition::Forbidden.into());
        }
        self.seen(user).await
    }

    async fn handle_foreign(&self, request: Foreign<'_>) -> Answer {
        match request.user {
            _ if request.set => Err(bad_request("The last activity can only be read.")),
            None => self.uptime(),
            Some(user) if request.may_see() => self.seen(user).await,
            Some(_) => Err(StanzaCondition::Forbidden.into()),
        }
    }
}

impl Last {
    fn uptime(&self) -> Answer {
        Ok(Some(el("query", LAST).with("seconds", self.started.elapsed().as_secs()).build()))
    }

    async fn seen(&self, user: &User) -> Answer {
        if user.sessions().iter().any(|session| session.priority().is_some()) {
            return Ok(Some(el("query", LAST).with("seconds", "0").build()));
        }
        let seen = self.vault.get::<LastSeen>("", user.jid.as_str()).await;
        let Some(seen) = seen.map_err(|error| disk_error(&error))? else {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, "This account was never here."));
        };
        let ago = clock::seconds().saturating_sub(seen.value.at);
        let mut query = el("query", LAST).with("seconds", ago);
        if let Some(status) = seen.value.status {
            query = query.append(minidom::Node::Text(status));
        }
        Ok(Some(query.build()))
    }
}
