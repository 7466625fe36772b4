//! Taking back what was said in a room: one's own words (XEP-0424), and others' by a moderator (XEP-0425).
//!
//! The event stays in the trail. People's history shows a tombstone, and who comes in is not told the words any more.

use archive::{Ledger, Sequence};
use minidom::Element;
use stanza::{BareJid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, Step, event};
use super::iq::result;
use super::room::{Room, Visitor};
use super::standing::Role;
use crate::fates::{Fate, MODERATE, RETRACT};
use crate::post::disk_error;
use crate::present;
use crate::service::Sheet;
use crate::xml::{With, el, text};

/// A message in this room's archive that a stanza wants gone.
pub struct Target {
    /// Where it stands.
    pub sequence: Sequence,
    /// Who really said it.
    pub author: BareJid,
}

/// The archive's id of the message that a stanza wants gone, if it is such a stanza.
pub fn wanted(stanza: &Stanza) -> Option<Box<str>> {
    match stanza.kind {
        Kind::Message if stanza.has("retract", RETRACT) => present::target(stanza),
        Kind::Iq if stanza.is_type("set") => {
            let child = stanza.child("moderate", MODERATE)?;
            stanza.payload_element(child).attr("id").map(Into::into)
        }
        _ => None,
    }
}

impl Room {
    /// XEP-0425 §4: a moderator takes a message out of people's sight.
    pub(super) fn moderate(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        target: Option<&Target>,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        if one.role < Role::Moderator {
            let words = "Only moderators take away what others said.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        }
        let Some(child) = stanza.child("moderate", MODERATE) else {
            return Err(StanzaCondition::BadRequest.into());
        };
        let request = stanza.payload_element(child);
        if !request.has_child("retract", RETRACT) {
            let words = "A moderator can only retract a message.";
            return Err(StanzaError::new(StanzaCondition::FeatureNotImplemented, words));
        }
        let target = target.ok_or_else(|| {
            StanzaError::new(StanzaCondition::ItemNotFound, "There is no such message in this room.")
        })?;
        let reason = request.get_child("reason", MODERATE).map(|reason| reason.text());
        let moderated = el("moderated", MODERATE)
            .with("by", one.address.as_str())
            .append(el("occupant-id", ns::OID).with("id", &*one.id).build());
        let retract = el("retract", RETRACT)
            .with("id", request.attr("id"))
            .append(moderated.build())
            .append_all(reason.as_deref().map(|reason| text("reason", RETRACT, reason)));
        let before = as_before(request.attr("id"), one.address.as_str(), reason.as_deref());
        let notice = Stanza::new(Kind::Message)
            .typed("groupchat")
            .with_id(crate::sessions::new_id())
            .sent_by(self.jid.clone())
            .with_payload([&retract.build(), &before])
            .map_err(|_| StanzaCondition::BadRequest)?;
        let mut fate = Fate::now(notice.id.as_deref());
        fate.moderator = Some(one.address.to_string());
        fate.reason = reason;
        let write = fate.write(&self.jid, target.sequence).map_err(|error| disk_error(&error))?;
        let event = event(&self.jid, who.jid.clone(), &notice, Ledger::Messages, vec![write]);
        let answer = result(stanza, None)?;
        let sheet = Sheet {
            archived_by: Some(self.jid.as_str().into()),
            ..Sheet::new(notice, self.occupants.everyone())
        };
        out.steps.push(Step {
            sheets: vec![sheet, Sheet::new(answer, [who.reader.clone()])],
            event: Some(event),
            place: None,
            failure: Some(std::sync::Arc::new(Failure::told(stanza, &who.reader))),
        });
        self.forget(target.sequence);
        Ok(())
    }

    /// What goes with the event of somebody's own retraction: only who said something takes it back so.
    pub(super) fn taken_back(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        target: Option<&Target>,
    ) -> Result<Vec<vault::Write>, StanzaError> {
        let Some(target) = target.filter(|target| target.author == who.jid.to_bare()) else {
            return Ok(Vec::new());
        };
        let write = Fate::now(stanza.id.as_deref()).write(&self.jid, target.sequence);
        self.forget(target.sequence);
        Ok(vec![write.map_err(|error| disk_error(&error))?])
    }

    fn forget(&mut self, message: Sequence) {
        if let Some(past) = &mut self.past {
            past.remove(message);
        }
    }
}

/// The same in the words of the XEP's version 0.2, which many clients still listen to.
fn as_before(id: Option<&str>, by: &str, reason: Option<&str>) -> Element {
    const FASTEN: &str = "urn:xmpp:fasten:0";
    const MODERATE: &str = "urn:xmpp:message-moderate:0";
    let moderated = el("moderated", MODERATE)
        .with("by", by)
        .append(el("retract", "urn:xmpp:message-retract:0").build())
        .append_all(reason.map(|reason| text("reason", MODERATE, reason)));
    el("apply-to", FASTEN).with("id", id).append(moderated.build()).build()
}
