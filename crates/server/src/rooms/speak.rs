//! What occupants say: to all, about what the subject is, to one another (XEP-0045 §7.4, §7.5, §8.1).

use std::sync::Arc;

use archive::{Conversation, Draft, Ledger, Micros};
use minidom::Element;
use smallvec::smallvec;
use stanza::{Child, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, Step, event};
use super::occupants::Occupant;
use super::retract::Target;
use super::room::{Room, Subject, Visitor};
use super::standing::Role;
use crate::clock;
use crate::post::{has_content, stored};
use crate::present;
use crate::service::{Place, Sheet};
use crate::xml::{With, el};

/// Archive ids (XEP-0359).
const SID: &str = "urn:xmpp:sid:0";
/// Delays (XEP-0203).
const DELAY: &str = "urn:xmpp:delay";

impl Room {
    /// XEP-0045 §7.4: the event is archived once, and all share its bytes.
    pub(super) fn speak(
        &mut self,
        now: Micros,
        who: &Visitor,
        stanza: &Stanza,
        target: Option<&Target>,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        if one.role < Role::Participant {
            let words = "You have no voice in this room; ask its moderators for one.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        }
        let said = self.attributed(stanza, one)?;
        let event = has_content(stanza).then(|| self.words(who, one, &said, Vec::new()));
        let taken_back = self.taken_back(who, stanza, target)?;
        let mut sheet = Sheet::new(said.clone(), self.occupants.everyone());
        let Some(mut event) = event else {
            out.send(vec![sheet]);
            return Ok(());
        };
        event.writes = taken_back;
        sheet.archived_by = Some(self.jid.as_str().into());
        let place = Place::default();
        if let Some(past) = &mut self.past {
            past.add(said, Arc::clone(&place), now);
        }
        out.steps.push(Step {
            sheets: vec![sheet],
            event: Some(event),
            place: Some(place),
            failure: Some(Arc::new(Failure::told(stanza, &who.reader))),
        });
        Ok(())
    }

    /// XEP-0045 §8.1.
    pub(super) fn name_subject(
        &mut self,
        now: Micros,
        who: &Visitor,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        let everyone = self.durable.settings.everyone_names_subject;
        let needed = if everyone { Role::Participant } else { Role::Moderator };
        if one.role < needed {
            let words = "You may not change the subject of this room.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        }
        let said = self.attributed(stanza, one)?;
        let before = self.before();
        let mut xml = Vec::new();
        said.write(&mut xml, Some(stanza::ns::CLIENT));
        let xml = String::from_utf8(xml).map_err(|_| StanzaCondition::InternalServerError)?;
        self.durable.subject = Some(Subject { xml, at: now.0 });
        let writes = self.writes(&before)?;
        let one = self.occupant(who)?;
        let mut event = self.words(who, one, &said, writes);
        event.text = said.text("subject");
        let sheet = Sheet {
            archived_by: Some(self.jid.as_str().into()),
            ..Sheet::new(said, self.occupants.everyone())
        };
        out.happen(
            vec![sheet],
            event,
            Failure { before: Some(before), ..Failure::told(stanza, &who.reader) },
        );
        Ok(())
    }

    /// The subject for somebody who comes in: always there, even if it is empty (XEP-0045 §7.2.15).
    pub(super) fn subject(&self) -> Stanza {
        let stored = self.durable.subject.as_ref().and_then(|subject| {
            let delay = el("delay", DELAY)
                .with("from", self.jid.as_str())
                .with("stamp", clock::stamp(subject.at))
                .build();
            Stanza::parse(subject.xml.as_bytes()).ok()?.with_more([&delay]).ok()
        });
        stored.unwrap_or_else(|| {
            let empty = Element::bare("subject", stanza::ns::CLIENT);
            let bare = || Stanza::new(stanza::Kind::Message).typed("groupchat").sent_by(self.jid.clone());
            bare().with_payload([&empty]).unwrap_or_else(|_| bare())
        })
    }

    /// A private message (XEP-0045 §7.5): an event of both people, who are named by their real addresses.
    pub(super) fn whisper(
        &mut self,
        who: &Visitor,
        nick: &str,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        if !self.durable.settings.private_messages.permits(one.role) {
            let words = "Private messages are not allowed in this room.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        }
        let other = self.occupants.named(nick).ok_or_else(|| {
            StanzaError::new(StanzaCondition::ItemNotFound, "There is nobody of this nick in the room.")
        })?;
        let mut said = self.attributed(stanza, one)?;
        said = said.with_more([&el("x", ns::MUC_USER).build()]).map_err(|_| StanzaCondition::BadRequest)?;
        let sheets = vec![Sheet::new(said.clone(), other.readers())];
        if !has_content(stanza) {
            out.send(sheets);
            return Ok(());
        }
        // Who reads it back sees nicks; only the trail knows more.
        said.to = Some(other.address.clone());
        let (sender, recipient) = (who.jid.to_bare(), other.bare.clone());
        let to = other.seats.first().map_or_else(|| recipient.clone().into(), |seat| seat.jid.clone().into());
        let mut owners = smallvec![recipient.clone()];
        if sender != recipient {
            owners.push(sender.clone());
        }
        let event = Draft {
            owners,
            conversation: Conversation::between(&sender, &recipient),
            from: who.jid.clone().into(),
            to,
            stanza: stored(&said),
            text: stanza.text("body"),
            id: stanza.id.clone(),
            about: present::target(stanza),
            spool: None,
            through: Some(self.jid.clone()),
            writes: Vec::new(),
            ledger: Ledger::Messages,
        };
        out.happen(sheets, event, Failure::told(stanza, &who.reader));
        Ok(())
    }

    /// A message as the others get it: from the occupant, without what only a room may say.
    fn attributed(&self, stanza: &Stanza, one: &Occupant) -> Result<Stanza, StanzaError> {
        let mut said = stanza.without(|child| self.is_forged(stanza, child));
        (said.from, said.to) = (Some(one.address.clone()), None);
        let id = el("occupant-id", ns::OID).with("id", &*one.id).build();
        said.with_more([&id]).map_err(|_| StanzaCondition::BadRequest.into())
    }

    fn is_forged(&self, stanza: &Stanza, child: &Child) -> bool {
        let ours = |name| {
            let element = stanza.payload_element(child);
            element.attr(name).is_none_or(|by| by == self.jid.as_str())
        };
        match child.ns() {
            ns::OID | ns::MUC_USER => true,
            SID if child.name() == "stanza-id" => ours("by"),
            DELAY => ours("from"),
            _ => false,
        }
    }

    /// The event of something that was said to all. Where everybody sees who speaks, so does who reads it back
    /// (XEP-0313 §5.2.2).
    fn words(&self, who: &Visitor, one: &Occupant, said: &Stanza, writes: Vec<vault::Write>) -> Draft {
        let mut kept = said.clone();
        if self.durable.settings.open_names {
            let item = el("item", ns::MUC_USER)
                .with("affiliation", one.affiliation.name())
                .with("role", one.role.name())
                .with("jid", who.jid.as_str());
            let x = el("x", ns::MUC_USER).append(item.build()).build();
            kept = kept.with_more([&x]).unwrap_or_else(|_| said.clone());
        }
        event(&self.jid, who.jid.clone(), &kept, Ledger::Messages, writes)
    }
}
