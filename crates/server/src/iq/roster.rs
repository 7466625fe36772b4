//! Roster management (RFC 6121 §2).

use std::collections::BTreeSet;

use async_trait::async_trait;
use minidom::Element;
use stanza::{BareJid, Jid, Kind, Outgoing, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request, bad_request};
use crate::directory::Groups;
use crate::outbox::Parcel;
use crate::people::People;
use crate::post::disk_error;
use crate::presence::Presence;
use crate::router::outgoing;
use crate::session::{Mark, Session};
use crate::sessions::new_id;
use crate::xml::{With, el};

/// Serves `jabber:iq:roster`.
pub struct RosterDesk {
    /// The accounts.
    pub people: People,
    /// Told when a contact is removed.
    pub presence: Presence,
    /// Who is in everybody's roster by rule.
    pub groups: Groups,
}

/// The longest name of a contact or group, in bytes.
const MAX_NAME: usize = 1_023;
/// The most groups of a contact.
const MAX_GROUPS: usize = 100;
/// The most contacts of an account.
const MAX_CONTACTS: usize = 10_000;

#[async_trait]
impl Handler for RosterDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", ns::ROSTER, &[Place::Own])]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if request.set {
            return self.set(&request).await;
        }
        self.groups.settle(request.user).await.map_err(|error| disk_error(&error))?;
        get(&request)
    }
}

/// RFC 6121 §2.1.3, §2.2 and §2.6.
fn get(request: &Request<'_>) -> Answer {
    let session = request.session;
    session.mark(Mark::Interested, true);
    let known = request.payload.attr("ver");
    session.user.roster(|roster| {
        let changes = known.and_then(|ver| ver.parse().ok()).and_then(|ver| roster.since(ver));
        match changes {
            // Fewer changes than contacts: an empty result, then pushes that bring the client up to date.
            Some(changes) if changes.len() <= roster.listed().count() => {
                let parcels: Vec<_> = changes
                    .into_iter()
                    .map(|(jid, contact)| Parcel::stanza(push(session, &contact.item(jid), contact.changed)))
                    .collect();
                let session = session.clone();
                request.after.then(move || {
                    session.outbox.push_all(parcels);
                });
                Ok(None)
            }
            _ => {
                let query = el("query", ns::ROSTER)
                    .with("ver", known.map(|_| roster.version().to_string()))
                    .append_all(roster.listed().map(|(jid, contact)| contact.item(jid)));
                Ok(Some(query.build()))
            }
        }
    })
}

/// A roster push (RFC 6121 §2.1.6).
pub fn push(session: &Session, item: &Element, version: u64) -> Outgoing {
    let query = el("query", ns::ROSTER).with("ver", version.to_string()).append(item.clone()).build();
    let push = Stanza::new(Kind::Iq).typed("set").with_id(new_id());
    let push = push.clone().with_payload([&query]).unwrap_or(push);
    outgoing(&push, &session.jid.clone().into())
}

/// What a client wants an item to be.
struct Wanted {
    jid: BareJid,
    remove: bool,
    name: Option<String>,
    groups: Vec<String>,
}

/// RFC 6121 §2.3.3: one item, a JID, groups without duplicates.
fn parse(query: &Element) -> Result<Wanted, StanzaError> {
    let mut items = query.children().filter(|child| child.is("item", ns::ROSTER));
    let (Some(item), None) = (items.next(), items.next()) else {
        return Err(bad_request("A roster set has exactly one item."));
    };
    let jid = item.attr("jid").ok_or_else(|| bad_request("A roster item needs a JID."))?;
    let jid = Jid::new(jid).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?.into_bare();
    let name = item.attr("name").filter(|name| !name.is_empty()).map(str::to_owned);
    let groups: Vec<String> =
        item.children().filter(|child| child.is("group", ns::ROSTER)).map(Element::text).collect();
    let distinct: BTreeSet<_> = groups.iter().collect();
    if distinct.len() != groups.len() {
        return Err(bad_request("A contact is in a group at most once."));
    }
    if groups.len() > MAX_GROUPS
        || groups.iter().any(|group| group.is_empty() || group.len() > MAX_NAME)
        || name.as_ref().is_some_and(|name| name.len() > MAX_NAME)
    {
        return Err(StanzaError::new(
            StanzaCondition::NotAcceptable,
            format!(
                "Names and groups have 1 to {MAX_NAME} bytes, and a contact has {MAX_GROUPS} groups at most."
            ),
        ));
    }
    let remove = item.attr("subscription") == Some("remove");
    Ok(Wanted { jid, remove, name, groups })
}

impl RosterDesk {
    async fn set(&self, request: &Request<'_>) -> Answer {
        let wanted = parse(&request.payload)?;
        let user = &request.session.user;
        if wanted.remove {
            let removed = self.people.change_contact(user, &wanted.jid, |contact| {
                let before = contact.clone();
                contact.listed = false;
                contact.name = None;
                contact.groups.clear();
                contact.company.clear();
                contact.request = None;
                contact.state = Default::default();
                before.listed.then_some(before.state)
            });
            let (before, _) = removed.await.map_err(|error| disk_error(&error))?;
            let before = before.ok_or_else(|| {
                StanzaError::new(StanzaCondition::ItemNotFound, "This contact is not in your roster.")
            })?;
            user.push_contact(&wanted.jid);
            self.presence.part(user, &wanted.jid, before).await.map_err(|error| disk_error(&error))?;
            return Ok(None);
        }
        if wanted.jid == user.jid {
            return Err(StanzaError::new(StanzaCondition::NotAllowed, "You cannot be your own contact."));
        }
        let full = user.roster(|roster| {
            roster.contact(&wanted.jid).is_none_or(|contact| !contact.value.listed)
                && roster.listed().count() >= MAX_CONTACTS
        });
        if full {
            let text = format!("A roster has {MAX_CONTACTS} contacts at most.");
            return Err(StanzaError::new(StanzaCondition::ResourceConstraint, text));
        }
        let changed = self.people.change_contact(user, &wanted.jid, |contact| {
            contact.listed = true;
            contact.name.clone_from(&wanted.name);
            contact.groups.clone_from(&wanted.groups);
        });
        changed.await.map_err(|error| disk_error(&error))?;
        // Also when nothing changed: the client waits for the push.
        user.push_contact(&wanted.jid);
        Ok(None)
    }
}
