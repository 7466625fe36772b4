//! The blocking command (XEP-0191).

use std::collections::BTreeSet;

use async_trait::async_trait;
use minidom::Element;
use stanza::{Jid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request, bad_request};
use crate::outbox::Parcel;
use crate::people::{People, User};
use crate::post::disk_error;
use crate::presence::Presence;
use crate::router::outgoing;
use crate::session::Mark;
use crate::sessions::new_id;
use crate::xml::{With, el};

/// The most addresses that an account blocks.
const MOST: usize = 5_000;

/// Serves `urn:xmpp:blocking`.
pub struct BlockingDesk {
    /// The accounts.
    pub people: People,
    /// Told what is blocked and what no longer is.
    pub presence: Presence,
}

#[async_trait]
impl Handler for BlockingDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[
            ("blocklist", ns::BLOCKING, &[Place::Own]),
            ("block", ns::BLOCKING, &[Place::Own]),
            ("unblock", ns::BLOCKING, &[Place::Own]),
        ]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        // Clients look for it at the domain (XEP-0191 §3.1), although each account has its own.
        if place == Place::Other { Vec::new() } else { vec![ns::BLOCKING] }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        let (session, user) = (request.session, request.user);
        match (request.payload.name(), request.set) {
            ("blocklist", false) => {
                session.mark(Mark::BlockList, true);
                Ok(Some(list("blocklist", user.blocked())))
            }
            ("block", true) => self.block(user, &items(&request.payload)?).await,
            ("unblock", true) => self.unblock(user, items(&request.payload)?).await,
            _ => Err(bad_request("The block list is fetched with a get and changed with a set.")),
        }
    }
}

impl BlockingDesk {
    /// XEP-0191 §3.3.
    async fn block(&self, user: &User, wanted: &[Jid]) -> Answer {
        if wanted.is_empty() {
            return Err(bad_request("Say whom to block."));
        }
        let before = user.blocked();
        let new: Vec<&Jid> = wanted.iter().filter(|jid| !before.contains(jid.as_str())).collect();
        if before.len() + new.len() > MOST {
            let text = format!("A block list has {MOST} addresses at most.");
            return Err(StanzaError::new(StanzaCondition::ResourceConstraint, text));
        }
        let add = |jids: &mut BTreeSet<String>| jids.extend(wanted.iter().map(ToString::to_string));
        self.people.change_blocked(user, add).await.map_err(|error| disk_error(&error))?;
        new.into_iter().for_each(|jid| self.presence.block(user, jid));
        push(user, &list("block", wanted));
        Ok(None)
    }

    /// XEP-0191 §3.4 and, without items, §3.5.
    async fn unblock(&self, user: &User, wanted: Vec<Jid>) -> Answer {
        let gone = match wanted.is_empty() {
            true => user.blocked().iter().filter_map(|jid| Jid::new(jid).ok()).collect(),
            false => wanted.clone(),
        };
        let remove = |jids: &mut BTreeSet<String>| match wanted.is_empty() {
            true => jids.clear(),
            false => jids.retain(|blocked| wanted.iter().all(|jid| jid.as_str() != blocked)),
        };
        let before = user.blocked();
        self.people.change_blocked(user, remove).await.map_err(|error| disk_error(&error))?;
        gone.iter()
            .filter(|jid| before.contains(jid.as_str()))
            .for_each(|jid| self.presence.unblock(user, jid));
        push(user, &list("unblock", &wanted));
        Ok(None)
    }
}

fn items(payload: &Element) -> Result<Vec<Jid>, StanzaError> {
    payload
        .children()
        .filter(|child| child.is("item", ns::BLOCKING))
        .map(|item| {
            let jid = item.attr("jid").ok_or_else(|| bad_request("An item needs a JID."))?;
            Jid::new(jid).map_err(|_| StanzaCondition::JidMalformed.into())
        })
        .collect()
}

fn list<T: ToString>(name: &str, jids: impl IntoIterator<Item = T>) -> Element {
    let item = |jid: T| el("item", ns::BLOCKING).with("jid", jid.to_string()).build();
    el(name, ns::BLOCKING).append_all(jids.into_iter().map(item)).build()
}

/// Tells the resources that have fetched the list (XEP-0191 §3.2).
fn push(user: &User, change: &Element) {
    let push = Stanza::new(Kind::Iq).typed("set").with_id(new_id()).sent_by(user.jid.clone());
    let Ok(push) = push.with_payload([change]) else { return };
    user.each_session(|session| {
        if session.is(Mark::BlockList) {
            session.outbox.push(Parcel::stanza(outgoing(&push, &session.jid.clone().into())));
        }
    });
}
