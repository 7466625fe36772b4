//! Questions whose answers are read from the disk: a room's archive (XEP-0313) and its card with the picture (XEP-0486).
//!
//! A room does not wait for a disk, so each is answered by a task of its own, behind all that was submitted before it.

use std::sync::Arc;

use archive::Micros;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use tokio::sync::oneshot;
use xmpp_parsers::ns;

use super::Office;
use super::effect::Out;
use super::iq::result;
use super::record::RoomCard;
use super::room::{Room, Visitor};
use super::standing::Affiliation;
use super::task::Task;
use crate::history::Book;
use crate::iq::vcard_forms::{TEMP, VCARD4};
use crate::outbox::Parcel;
use crate::post::disk_error;
use crate::router::outgoing;
use crate::service::{Circular, Reader};
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
        let since = Micros(room.durable.created);
        let admitted = room.question(who, &stanza).and_then(|question| {
            let Reader::Session(session) = &who.reader else {
                let words = "This is answered to people of this server only.";
                return Err(StanzaError::new(StanzaCondition::FeatureNotImplemented, words));
            };
            let place = Arc::clone(&self.office.waiting).try_acquire_owned();
            let place = place.map_err(|_| StanzaError::from(StanzaCondition::ResourceConstraint))?;
            Ok((question, Arc::clone(session), place))
        });
        let (question, session, place) = match admitted {
            Ok(found) => found,
            Err(error) => {
                let mut out = Out::default();
                out.refuse(&stanza, error, &who.reader);
                return self.finish(out, errand).await;
            }
        };
        let before = self.office.fence().await;
        let (office, room) = (Arc::clone(&self.office), self.jid.clone());
        tokio::spawn(async move {
            let _ = before.await;
            let Ok(_turn) = office.answering.acquire().await else { return };
            let answer = match question {
                Question::Archive => {
                    let book = Book { owner: &room, room_since: Some(since), session: &session };
                    office.read(&book, &stanza).await
                }
                Question::Room => office.card(room.as_str()).await,
                Question::Occupant(account) => {
                    let card = office.means.cards.read(&account, stanza.has("vCard", TEMP)).await;
                    card.and_then(|card| card.ok_or(StanzaCondition::ItemNotFound.into())).map(Some)
                }
            };
            let answer = answer.and_then(|payload| result(&stanza, payload.as_ref()));
            let reply = answer.map_or_else(|error| error.reply_to(&stanza), Some);
            if let Some(reply) = reply {
                session.outbox.push(Parcel::stanza(outgoing(&reply, &session.jid.clone().into())));
            }
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

    async fn read(&self, book: &Book<'_>, stanza: &Stanza) -> crate::iq::Answer {
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        self.means.history.answer(book, stanza.is_type("set"), &stanza.payload_element(child)).await
    }

    async fn card(&self, room: &str) -> crate::iq::Answer {
        let card = self.means.vault.get::<RoomCard>(room, "").await.map_err(|error| disk_error(&error))?;
        let card = card.and_then(|card| card.value.xml.parse().ok());
        Ok(Some(card.unwrap_or_else(|| el("vCard", TEMP).build())))
    }
}

impl Room {
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
