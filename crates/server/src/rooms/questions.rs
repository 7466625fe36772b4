//! Questions whose answers are read from the disk: a room's archive (XEP-0313) and its card with the picture (XEP-0486).
//!
//! A room does not wait for a disk, so each is answered by a task of its own, behind all that was submitted before it.

use std::sync::Arc;

use archive::Micros;
use stanza::{BareJid, Jid, Kind, Outgoing, Stanza, StanzaCondition, StanzaError};
use tokio::sync::oneshot;
use xmpp_parsers::ns;

use super::Office;
use super::effect::Out;
use super::iq::result;
use super::record::RoomCard;
use super::room::{Room, Visitor};
use super::standing::Affiliation;
use super::task::Task;
use crate::history::{Book, Reading, RoomBook};
use crate::iq::vcard_forms::{TEMP, VCARD4};
use crate::outbox::{Bounds, Parcel};
use crate::post::disk_error;
use crate::router::outgoing;
use crate::service::{Circular, Reader, Sheet};
use crate::session::Errand;
use crate::xml::el;

/// What is asked.
enum Question {
    /// The room's archive.
    Archive,
    /// The room's card.
    Room,
    /// The card of an occupant (XEP-0045 §17.4: it is their account that has one).
    Occupant(BareJid),
}

/// Whether a stanza is such a question.
pub(super) fn is_one(stanza: &Stanza) -> bool {
    let is_card = stanza.is_type("get") && (stanza.has("vCard", TEMP) || stanza.has("vcard", VCARD4));
    let is_room = stanza.to.as_ref().is_some_and(Jid::is_bare);
    let is_archive = is_room && (stanza.has("query", ns::MAM) || stanza.has("metadata", ns::MAM));
    let is_request = stanza.is_type("get") || stanza.is_type("set");
    stanza.kind == Kind::Iq && is_request && stanza.children().len() == 1 && (is_archive || is_card)
}

impl Task {
    pub(super) async fn question(&mut self, who: &Visitor, stanza: Stanza, errand: Option<Errand>) {
        let Some(room) = &self.room else { return };
        let book = RoomBook { since: Micros(room.durable.created), open_names: room.knows_addresses(who) };
        let admitted = room.question(who, &stanza).and_then(|question| {
            let place = Arc::clone(&self.office.waiting).try_acquire_owned();
            let place = place.map_err(|_| StanzaError::from(StanzaCondition::ResourceConstraint))?;
            Ok((question, place))
        });
        let (question, place) = match admitted {
            Ok(found) => found,
            Err(error) => {
                let mut out = Out::default();
                out.refuse(&stanza, error, &who.reader);
                return self.finish(out, errand).await;
            }
        };
        let before = self.office.fence().await;
        let (office, room, reader) = (Arc::clone(&self.office), self.jid.clone(), who.reader.clone());
        let jid = Jid::from(who.jid.clone());
        tokio::spawn(async move {
            let _ = before.await;
            let Ok(_turn) = office.answering.acquire().await else { return };
            let mut results = Vec::new();
            let answer = match question {
                Question::Archive => {
                    let bounds = match &reader {
                        Reader::Session(session) => session.outbox.bounds(),
                        Reader::Outside(_) => Bounds::default(),
                    };
                    let book = Book { owner: &room, room: Some(book), reader: &jid, bounds };
                    let reading = office.read(&book, &stanza).await;
                    reading.map(|reading| {
                        results = reading.results;
                        Some(reading.end)
                    })
                }
                Question::Room => office.card(room.as_str()).await,
                Question::Occupant(account) => {
                    let card = office.means.cards.read(&account, stanza.has("vCard", TEMP)).await;
                    card.and_then(|card| card.ok_or(StanzaCondition::ItemNotFound.into())).map(Some)
                }
            };
            let answer = answer.and_then(|payload| result(&stanza, payload.as_ref()));
            let reply = answer.map_or_else(|error| error.reply_to(&stanza), Some);
            office.hand_out(&reader, results, reply).await;
            drop((errand, place));
        });
    }
}

impl Office {
    /// Waits behind all that was submitted before: the receiver hears when that is settled.
    pub(super) async fn fence(&self) -> oneshot::Receiver<()> {
        let (behind, before) = oneshot::channel();
        let mut fence = Circular::of(Vec::new());
        fence.on_failure = Some(Box::new(move |_| drop(behind)));
        self.answer(fence).await;
        before
    }

    /// Sends what was found, and the answer behind it.
    async fn hand_out(&self, reader: &Reader, results: Vec<Outgoing>, reply: Option<Stanza>) {
        match reader {
            Reader::Session(session) => {
                let to = session.jid.clone().into();
                let reply = reply.map(|reply| outgoing(&reply, &to));
                session.outbox.push_all(results.into_iter().chain(reply).map(Parcel::stanza));
            }
            Reader::Outside(_) => {
                // What the archive holds was a stanza when it came, and is one again.
                let results = results.iter().filter_map(restored);
                let sheets = results.chain(reply).map(|stanza| Sheet::new(stanza, [reader.clone()]));
                self.answer(Circular::of(sheets.collect())).await;
            }
        }
    }

    async fn read(&self, book: &Book<'_>, stanza: &Stanza) -> Result<Reading, StanzaError> {
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        self.means.history.answer(book, stanza.is_type("set"), &stanza.payload_element(child)).await
    }

    async fn card(&self, room: &str) -> crate::iq::Answer {
        let card = self.means.vault.get::<RoomCard>(room, "").await.map_err(|error| disk_error(&error))?;
        let card = card.and_then(|card| card.value.xml.parse().ok());
        Ok(Some(card.unwrap_or_else(|| el("vCard", TEMP).build())))
    }
}

/// Bytes for the wire as a stanza again.
fn restored(result: &Outgoing) -> Option<Stanza> {
    let mut xml = format!("<message xmlns='{}'", stanza::ns::CLIENT).into_bytes();
    xml.extend_from_slice(result.head.strip_prefix(b"<message")?);
    Stanza::parse(&xml).ok()
}

impl Room {
    /// Whether what a question is about is here. The card of somebody from outside is where they are.
    pub(super) fn has_here(&self, stanza: &Stanza) -> bool {
        let asked =
            stanza.to.as_ref().and_then(Jid::resource).and_then(|nick| self.occupants.named(nick.as_str()));
        let seat = asked.and_then(|one| one.seats.first());
        seat.is_none_or(|seat| matches!(seat.reader, Reader::Session(_)))
    }

    fn question(&self, who: &Visitor, stanza: &Stanza) -> Result<Question, StanzaError> {
        let nick = stanza.to.as_ref().and_then(Jid::resource);
        match nick {
            Some(nick) => {
                self.occupant(who)?;
                Ok(Question::Occupant(self.named(nick.as_str())?.bare.clone()))
            }
            None if stanza.has("vCard", TEMP) && self.durable.settings.public => Ok(Question::Room),
            None if stanza.has("vcard", VCARD4) => Err(StanzaCondition::ServiceUnavailable.into()),
            None => {
                self.may_be_read(who)?;
                Ok(if stanza.has("vCard", TEMP) { Question::Room } else { Question::Archive })
            }
        }
    }

    /// Whether somebody may know who is behind a nick, in the room or not.
    fn knows_addresses(&self, who: &Visitor) -> bool {
        let is_admin = self.affiliation(&who.jid.to_bare()) >= Affiliation::Admin;
        is_admin
            || self.durable.settings.open_names
            || self.occupants.of(&who.jid).is_some_and(|one| self.sees_addresses(one))
    }

    /// Whoever may come in may read what was said, and whoever is in (XEP-0313 §5.2.1).
    fn may_be_read(&self, who: &Visitor) -> Result<(), StanzaError> {
        let affiliation = self.affiliation(&who.jid.to_bare());
        let settings = &self.durable.settings;
        let is_closed = self.locked || settings.members_only || settings.password.is_some();
        let may = affiliation >= Affiliation::Member
            || self.occupants.of(&who.jid).is_some()
            || (affiliation != Affiliation::Outcast && !is_closed);
        if may {
            Ok(())
        } else {
            Err(StanzaError::new(StanzaCondition::Forbidden, "This archive is not for you."))
        }
    }
}
