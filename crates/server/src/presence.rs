//! Presence and subscriptions (RFC 6121 §3 and §4): who sees whom.

mod invited;
mod outside;
mod photos;
mod subscriptions;

use std::sync::Arc;

use stanza::{BareJid, FullJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use vault::{Expect, Vault, Write};

use crate::caps::Caps;
use crate::history::Spooled;
use crate::outbox::Parcel;
use crate::people::{LastSeen, People, User};
use crate::post::{Post, disk_error};
use crate::pubsub::PubSub;
use crate::rooms::company::Company;
use crate::roster::subscription::{self, Kind as Change};
use crate::router::{Router, Target, presence_parcel};
use crate::session::Session;

/// See the module.
#[derive(Clone)]
pub struct Presence {
    /// Where addresses live.
    pub router: Router,
    /// Who is here.
    pub people: People,
    /// The door for what goes to others.
    pub post: Post,
    /// When somebody was last seen.
    pub vault: Vault,
    /// What waited for who comes.
    pub spool: Spooled,
    /// What clients can do.
    pub caps: Caps,
    /// What goes on with people.
    pub pubsub: PubSub,
    /// The rooms that the company has for them.
    pub company: Company,
}

impl Presence {
    /// Takes in a presence stanza from a client.
    pub async fn receive(&self, session: &Arc<Session>, mut stanza: Stanza) {
        stanza.from = Some(session.jid.clone().into());
        let type_ = stanza.type_.clone();
        match (stanza.to.clone(), type_.as_deref()) {
            (None, None) => self.available(session, stanza).await,
            (None, Some("unavailable")) => self.unavailable(session, Some(stanza)).await,
            (Some(to), None) => self.directed(session, to, stanza, true).await,
            (Some(to), Some("unavailable")) => self.directed(session, to, stanza, false).await,
            (Some(to), Some("probe")) => self.probe(session, &to).await,
            (Some(_), Some("error")) => self.post.send(session, stanza).await,
            (Some(to), Some(word)) if Change::of(word).is_some() => {
                let Some(change) = Change::of(word) else { return };
                if let Err(error) = self.change(session, to.into_bare(), change, stanza.clone()).await {
                    self.router.bounce(&stanza, disk_error(&error));
                }
            }
            (None, Some("error" | "probe")) => {}
            _ => self.router.bounce(&stanza, StanzaCondition::BadRequest.into()),
        }
    }

    /// RFC 6121 §4.2 and §4.4: initial presence and updates.
    async fn available(&self, session: &Arc<Session>, stanza: Stanza) {
        let priority = match stanza.text("priority").map(|text| text.trim().parse::<i8>()) {
            None => 0,
            Some(Ok(priority)) => priority,
            Some(Err(_)) => {
                let error = StanzaError::new(
                    StanzaCondition::BadRequest,
                    "A priority is a whole number from -128 to 127.",
                );
                return self.router.bounce(&stanza, error);
            }
        };
        let took_messages = session.takes_messages();
        let stanza = Arc::new(self.with_photo(session, stanza).await);
        let initial = session.set_available(stanza.clone(), priority).is_none();
        self.broadcast(session, &stanza);
        if initial {
            session.user.push.seen(session.jid.resource().as_str());
            self.welcome(session);
            self.company.introduce(&session.user.jid).await;
        }
        if let Some((session, before)) = self.caps.learn(session, &stanza) {
            self.pubsub.greet(&session, before).await;
        }
        if !took_messages && priority >= 0 {
            self.spool.flush(session).await;
        }
    }

    /// What a resource that has just become available needs to know.
    fn welcome(&self, session: &Arc<Session>) {
        let user = &session.user;
        let me: Jid = session.jid.clone().into();
        let mut parcels = Vec::new();
        user.each_session(|other| {
            if !Arc::ptr_eq(other, session) {
                parcels.extend(current(other, &me));
            }
        });
        let (subscribed, requests) = user.roster(|roster| {
            let subscribed: Vec<BareJid> =
                roster.contacts().filter(|(_, c)| c.state.to).map(|(jid, _)| jid.clone()).collect();
            let requests: Vec<String> = roster
                .contacts()
                .filter(|(_, c)| c.state.pending)
                .filter_map(|(_, c)| c.request.clone())
                .collect();
            (subscribed, requests)
        });
        for contact in subscribed {
            match self.people.loaded(&contact) {
                Some(contact) => parcels.extend(self.visible(&contact, &user.jid, &me)),
                None => self.probe_outside(session, &contact),
            }
        }
        for request in requests {
            if let Ok(request) = Stanza::parse(request.as_bytes()) {
                parcels.push(presence_parcel(&request, &user.jid.clone().into(), "".into()));
            }
        }
        session.outbox.push_all(parcels);
    }

    /// The present presence of `contact`'s resources, as far as `watcher` may see it.
    fn visible(&self, contact: &User, watcher: &BareJid, to: &Jid) -> Vec<Parcel> {
        let allowed = contact.roster(|roster| roster.state(watcher).from);
        let watcher: Jid = watcher.clone().into();
        if !allowed || contact.blocks(&watcher) {
            return Vec::new();
        }
        let mut parcels = Vec::new();
        contact.each_session(|session| parcels.extend(current(session, to)));
        parcels
    }

    /// Sends a resource's presence to whoever may see it: subscribers and the account's own resources.
    fn broadcast(&self, session: &Session, stanza: &Stanza) {
        let user = &session.user;
        user.each_session(|other| {
            if other.priority().is_some() {
                other.outbox.push(presence_parcel(
                    stanza,
                    &user.jid.clone().into(),
                    session.jid.as_str().into(),
                ));
            }
        });
        let subscribers: Vec<BareJid> = user.roster(|roster| {
            roster.contacts().filter(|(_, c)| c.state.from).map(|(jid, _)| jid.clone()).collect()
        });
        for subscriber in subscribers {
            self.show(session, stanza, &subscriber);
        }
    }

    /// Shows one presence stanza to one subscriber's available resources.
    fn show(&self, session: &Session, stanza: &Stanza, subscriber: &BareJid) {
        if !session.user.blocks(&subscriber.clone().into()) {
            self.tell(session, stanza, subscriber, |other| !session.user.blocks(&other.clone().into()));
        }
    }

    /// As [`show`](Self::show), to the resources that `wanted` picks whether or not they are blocked.
    fn tell(&self, session: &Session, stanza: &Stanza, to: &BareJid, wanted: impl Fn(&FullJid) -> bool) {
        let Some(contact) = self.people.loaded(to) else {
            if let Some(component) = self.router.component(to.domain().as_str()) {
                let _ = component.offer(stanza.clone().addressed(to.clone()));
            }
            return;
        };
        let (me, them): (Jid, Jid) = (session.jid.clone().into(), to.clone().into());
        if contact.blocks(&me) {
            return;
        }
        contact.each_session(|other| {
            if other.priority().is_some() && wanted(&other.jid) {
                other.outbox.push(presence_parcel(stanza, &them, me.as_str().into()));
            }
        });
    }

    /// RFC 6121 §4.5: a resource goes. `stanza` is `None` when its stream was lost.
    pub async fn unavailable(&self, session: &Arc<Session>, stanza: Option<Stanza>) {
        let Some(directed) = session.set_unavailable() else { return };
        let stanza = stanza.unwrap_or_else(|| unavailable_from(session.jid.clone().into()));
        self.broadcast(session, &stanza);
        session.outbox.push(presence_parcel(&stanza, &session.user.jid.clone().into(), "".into()));
        for to in directed {
            let mut copy = stanza.clone();
            copy.to = Some(to);
            self.post.send(session, copy).await;
        }
        let seen = LastSeen { at: crate::clock::seconds(), status: stanza.text("status") };
        let stored = match Write::put("", session.user.jid.as_str(), &seen, Expect::Any) {
            Ok(write) => self.vault.apply(vec![write]).await,
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(%error, "the time of a sign-out could not be stored");
        }
    }

    /// RFC 6121 §4.6: presence for one address.
    async fn directed(&self, session: &Arc<Session>, to: Jid, stanza: Stanza, available: bool) {
        let sees_anyway = session.user.roster(|roster| roster.state(&to.to_bare()).from);
        if (!sees_anyway || !available) && !session.set_directed(&to, available) {
            let words = "You show yourself to too many; leave some rooms first.";
            return self.router.bounce(&stanza, StanzaError::new(StanzaCondition::ResourceConstraint, words));
        }
        self.post.send(session, stanza).await;
    }

    /// RFC 6121 §4.3.2. Who may not see, or asks after nobody, learns the same: that they are not subscribed.
    async fn probe(&self, session: &Arc<Session>, to: &Jid) {
        let (asker, asked) = (&session.user.jid, to.to_bare());
        let contact = match self.router.resolve(&asked.clone().into()).await {
            Ok(Target::User(contact)) => Some(contact),
            Ok(Target::Nobody) => None,
            Ok(Target::Component(_)) => return self.probe_outside(session, &asked),
            _ => return,
        };
        let may_see =
            |contact: &Arc<User>| contact.jid == *asker || contact.roster(|roster| roster.state(asker).from);
        match contact.filter(may_see) {
            Some(contact) => {
                session.outbox.push_all(self.visible(&contact, asker, &session.jid.clone().into()));
            }
            None => {
                let refusal = plain(Change::Unsubscribed, &asked, asker);
                session.outbox.push(presence_parcel(&refusal, &asker.clone().into(), "".into()));
            }
        }
    }

    /// An account has blocked an address (XEP-0191 §3.3): who saw it sees it go. The block is in force already.
    pub fn block(&self, user: &User, other: &Jid) {
        let subscribers = matching(user, other, |state| state.from);
        for session in user.sessions() {
            let gone = unavailable_from(session.jid.clone().into());
            if session.priority().is_some() {
                for contact in &subscribers {
                    self.tell(&session, &gone, contact, |watcher| covers(other, watcher));
                }
            }
            for to in session.take_directed(|to| is_about(other, to)) {
                let wanted = |watcher: &FullJid| covers(other, watcher) && covers(&to, watcher);
                self.tell(&session, &gone, &to.to_bare(), wanted);
            }
        }
    }

    /// An account no longer blocks an address (XEP-0191 §3.4): both see each other again.
    pub fn unblock(&self, user: &User, other: &Jid) {
        for contact in matching(user, other, |state| state.from) {
            self.show_all(user, &contact);
        }
        for contact in matching(user, other, |state| state.to) {
            let loaded = self.people.loaded(&contact);
            for session in user.sessions().iter().filter(|session| session.priority().is_some()) {
                match &loaded {
                    Some(contact) => {
                        let visible = self.visible(contact, &user.jid, &session.jid.clone().into());
                        session.outbox.push_all(visible);
                    }
                    None => self.probe_outside(session, &contact),
                }
            }
        }
    }
}

/// Contacts that an entry of a block list is about.
fn matching(user: &User, other: &Jid, wanted: impl Fn(subscription::State) -> bool) -> Vec<BareJid> {
    user.roster(|roster| {
        let contacts = roster
            .contacts()
            .filter(|(jid, c)| wanted(c.state) && is_about(other, &Jid::from((*jid).clone())));
        contacts.map(|(jid, _)| jid.clone()).collect()
    })
}

/// Whether an entry of a block list is about an account, or a resource of it.
fn is_about(entry: &Jid, other: &Jid) -> bool {
    match entry.node() {
        None => other.domain() == entry.domain(),
        Some(_) => other.to_bare() == entry.to_bare(),
    }
}

/// Whether an entry of a block list covers a resource.
fn covers(entry: &Jid, resource: &FullJid) -> bool {
    match entry.try_as_full() {
        Ok(full) => full == resource,
        Err(_) => true,
    }
}

fn current(session: &Session, to: &Jid) -> Option<Parcel> {
    let presence = session.presence()?;
    Some(presence_parcel(&presence, to, session.jid.as_str().into()))
}

fn unavailable_from(from: Jid) -> Stanza {
    Stanza::new(Kind::Presence).typed("unavailable").sent_by(from)
}

fn plain(change: Change, from: &BareJid, to: &BareJid) -> Stanza {
    Stanza::new(Kind::Presence).typed(change.name()).sent_by(from.clone()).addressed(to.clone())
}
