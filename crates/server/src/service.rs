//! What has a domain of its own on this server and is no person: rooms, uploads, nodes.
//!
//! A [`Service`] gets stanzas that are stamped and judged, decides, and sends what follows by
//! [`Post::circulate`](crate::post::Post::circulate): its [`Circular`]s go through the archive's queue like every other
//! message, in the order of submission, and reach nobody before their event is durable. So a service never delivers.
//!
//! Decisions of one room or node are made one after the other; a service that has many runs each as a task of its own
//! with a bounded mailbox, so that order needs no lock.

use std::sync::{Arc, OnceLock};

use archive::{Micros, Receipt};
use async_trait::async_trait;
use bytes::BytesMut;
use stanza::{Head, Jid, Kind, Outgoing, Stanza, StanzaCondition, StanzaError};

use crate::clock;
use xmpp_parsers::ns;

use crate::outbox::{Class, Parcel};
use crate::router::{Router, StanzaId};
use crate::session::{Errand, Session};

/// A stanza for a service. Its `from` is true and its `to` is set.
pub struct Incoming {
    /// The stanza, of any kind and type.
    pub stanza: Stanza,
    /// The local session that it comes from.
    pub sender: Option<Arc<Session>>,
    /// Keep it until all that follows from the stanza is submitted; put it into the last [`Circular`].
    pub errand: Option<Errand>,
}

/// See the module.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// `<identity/>` of the domain (XEP-0030): category, type and name.
    fn identity(&self) -> (&'static str, &'static str, &'static str);

    /// Takes in a stanza. May wait for room in a queue, never for a socket or for a commit of its own.
    async fn receive(&self, incoming: Incoming);
}

/// What a service sends at once: some sheets, in this order, after one event or none.
pub struct Circular {
    /// Each a stanza and its readers.
    pub sheets: Vec<Sheet>,
    /// The stanza that all this follows from.
    pub errand: Option<Errand>,
    /// What to do when the event could not be archived, so that nobody got anything. It must not wait.
    pub on_failure: Option<OnFailure>,
    /// Learns where the event stands, before anybody gets anything.
    pub place: Option<Place>,
}

/// Where an event came to stand; empty until it is durable, and for good if it never is.
pub type Place = Arc<OnceLock<Receipt>>;

/// See [`Circular::on_failure`].
pub type OnFailure = Box<dyn FnOnce(StanzaError) + Send + Sync>;

impl Circular {
    /// One stanza for some readers.
    pub fn new(stanza: Stanza, readers: impl Into<Readers>) -> Self {
        Self::of(vec![Sheet::new(stanza, readers)])
    }

    /// Several sheets.
    pub fn of(sheets: Vec<Sheet>) -> Self {
        Self { sheets, errand: None, on_failure: None, place: None }
    }

    /// Calls the failure in.
    pub(crate) fn fail(self, error: StanzaError) {
        if let Some(on_failure) = self.on_failure {
            on_failure(error);
        }
    }
}

/// A stanza with those who get it.
pub struct Sheet {
    /// Its `to` is replaced by each reader's address.
    pub stanza: Stanza,
    /// In no order.
    pub readers: Readers,
    /// Whose archive it is in: it gets a `<stanza-id/>` by this address (XEP-0359).
    pub archived_by: Option<Box<str>>,
    /// Set for a message of the past that is sent again: it gets the id and the time of its own event (XEP-0203). If that
    /// could not be archived nobody got it then, and nobody gets it now.
    pub again: Option<Place>,
}

/// Shared, so that a room that does not change makes no list for each message.
pub type Readers = Arc<[Reader]>;

/// Where a copy goes.
#[derive(Clone)]
pub enum Reader {
    /// A client of this server.
    Session(Arc<Session>),
    /// An address outside this server's accounts. What cannot be handed over comes back to the sheet's sender as an
    /// error.
    Outside(Jid),
}

impl Sheet {
    /// Without an archive's id.
    pub fn new(stanza: Stanza, readers: impl Into<Readers>) -> Self {
        Self { stanza, readers: readers.into(), archived_by: None, again: None }
    }

    /// One buffer for the heads of all readers, one tail. `time` is when a message of the past was sent.
    pub(crate) fn deliver(&self, id: Option<&StanzaId>, time: Option<Micros>, router: &Router) {
        let stanza = &self.stanza;
        let mut extra = Vec::new();
        if let (Some(id), Some(by)) = (id, &self.archived_by) {
            id.write(by, &mut extra);
            if let Some(time) = time {
                write_delay(by, time, &mut extra);
            }
        }
        let each = 160 + extra.len() + stanza.from.as_ref().map_or(0, |from| from.as_str().len());
        let mut buffer = BytesMut::with_capacity(self.readers.len() * each);
        let mut head = Vec::with_capacity(each + 64);
        let mut identified = None;
        for reader in self.readers.iter() {
            let session = match reader {
                Reader::Session(session) => session,
                Reader::Outside(to) => {
                    let stanza = identified.get_or_insert_with(|| self.identified(&extra)).clone();
                    hand_over(stanza.addressed(to.clone()), router);
                    continue;
                }
            };
            head.clear();
            Head { to: Some(session.jid.as_str()), ..stanza.head() }.write(&mut head, None);
            buffer.extend_from_slice(&head);
            buffer.extend_from_slice(&extra);
            let out = Outgoing { head: buffer.split().freeze(), tail: stanza.tail().clone() };
            if id.is_some() && stanza.kind == Kind::Message && !session.outbox.is_attached() {
                router.wake(&session.user);
            }
            session.outbox.push(Parcel { out, class: self.class(id), sequence: None, copies: None });
        }
    }

    /// The stanza with what goes before its payload.
    fn identified(&self, extra: &[u8]) -> Stanza {
        if extra.is_empty() {
            return self.stanza.clone();
        }
        let mut bytes = Vec::with_capacity(extra.len() + self.stanza.tail().len() + 192);
        self.stanza.head().write(&mut bytes, Some(stanza::ns::CLIENT));
        bytes.extend_from_slice(extra);
        bytes.extend_from_slice(self.stanza.tail());
        // Both halves are stanzas' own, so there is nothing in them that could not be read.
        Stanza::parse(&bytes).unwrap_or_else(|_| self.stanza.clone())
    }

    /// What a client that nobody looks at can do without for now (XEP-0352).
    fn class(&self, id: Option<&StanzaId>) -> Class {
        let stanza = &self.stanza;
        match (stanza.kind, stanza.type_.as_deref()) {
            (Kind::Presence, None | Some("unavailable")) => {
                Class::Latest(stanza.from.as_ref().map(|from| from.as_str()).unwrap_or_default().into())
            }
            // What goes on with somebody (XEP-0163) is worth no wake-up.
            (Kind::Message, Some("headline")) if stanza.has("event", ns::PUBSUB_EVENT) => Class::CanWait,
            (Kind::Message, _) if id.is_none() && !crate::post::has_content(stanza) => Class::CanWait,
            _ => Class::Urgent,
        }
    }
}

/// To an address outside this server's accounts.
fn hand_over(stanza: Stanza, router: &Router) {
    let Some(domain) = stanza.to.as_ref().map(|to| to.domain().as_str()) else { return };
    match router.component(domain) {
        Some(component) => {
            if let Err(stanza) = component.offer(stanza) {
                router.bounce_undelivered(&stanza);
            }
        }
        None => router.bounce(&stanza, StanzaCondition::RemoteServerNotFound.into()),
    }
}

/// Writes `<delay/>` (XEP-0203).
fn write_delay(from: &str, time: Micros, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<delay xmlns='urn:xmpp:delay' from='");
    stanza::escape_attribute(from, out);
    out.extend_from_slice(b"' stamp='");
    out.extend_from_slice(clock::stamp(time.0).as_bytes());
    out.extend_from_slice(b"'/>");
}
