//! Questions whose answers are read from the disk: a room's archive (XEP-0313) and its card with the picture (XEP-0486).
//!
//! A room does not wait for a disk, so each is answered by a task of its own, behind all that was submitted before it.

use std::sync::Arc;

use archive::Micros;
use stanza::{Jid, Kind, Stanza, StanzaCondition, StanzaError};
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
use crate::outbox::Parcel;
use crate::post::disk_error;
use crate::router::outgoing;
use crate::service::{Circular, Reader};
use crate::session::Errand;
use crate::xml::el;

/// Whether a stanza is such a question.
pub(super) fn is_one(stanza: &Stanza) -> bool {
    let is_request = stanza.is_type("get") || stanza.is_type("set");
    stanza.kind == Kind::Iq
        && is_request
        && stanza.to.as_ref().is_some_and(Jid::is_bare)
        && stanza.children().len() == 1
        && (stanza.has("query", ns::MAM)
            || stanza.has("metadata", ns::MAM)
            || (stanza.has("vCard", ns::VCARD) && stanza.is_type("get")))
}

impl Task {
    pub(super) async fn question(&mut self, who: &Visitor, stanza: Stanza, errand: Option<Errand>) {
        let Some(room) = &self.room else { return };
        let is_card = stanza.has("vCard", ns::VCARD);
        let permitted = if is_card { room.may_be_seen(who) } else { room.may_be_read(who) };
        let permitted = permitted.and_then(|()| match &who.reader {
            Reader::Session(session) => Ok(Arc::clone(session)),
            Reader::Outside(_) => Err(StanzaError::new(
                StanzaCondition::FeatureNotImplemented,
                "A room's archive is read by people of this server.",
            )),
        });
        let place = permitted.and_then(|session| {
            let place = Arc::clone(&self.office.waiting).try_acquire_owned();
            let place = place.map_err(|_| StanzaError::from(StanzaCondition::ResourceConstraint))?;
            Ok((session, place))
        });
        let (session, place) = match place {
            Ok(found) => found,
            Err(error) => {
                let mut out = Out::default();
                out.refuse(&stanza, error, &who.reader);
                return self.finish(out, errand).await;
            }
        };
        let since = Micros(room.durable.created);
        // It is dropped when all that was said before is settled.
        let (behind, before) = oneshot::channel::<()>();
        let mut fence = Circular::of(Vec::new());
        fence.on_failure = Some(Box::new(move |_| drop(behind)));
        let _: Result<(), StanzaError> = self.office.post.circulate(fence, None).await;
        let (office, room) = (Arc::clone(&self.office), self.jid.clone());
        tokio::spawn(async move {
            let _ = before.await;
            let Ok(_turn) = office.answering.acquire().await else { return };
            let answer = if is_card {
                office.card(room.as_str()).await
            } else {
                let book = Book { owner: &room, room_since: Some(since), session: &session };
                office.read(&book, &stanza).await
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
    async fn read(&self, book: &Book<'_>, stanza: &Stanza) -> crate::iq::Answer {
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        self.history.answer(book, stanza.is_type("set"), &stanza.payload_element(child)).await
    }

    async fn card(&self, room: &str) -> crate::iq::Answer {
        let card = self.vault.get::<RoomCard>(room, "").await.map_err(|error| disk_error(&error))?;
        let card = card.and_then(|card| card.value.xml.parse().ok());
        Ok(Some(card.unwrap_or_else(|| el("vCard", ns::VCARD).build())))
    }
}

impl Room {
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

    /// The picture is for all who can find the room.
    fn may_be_seen(&self, who: &Visitor) -> Result<(), StanzaError> {
        if self.durable.settings.public { Ok(()) } else { self.may_be_read(who) }
    }
}
