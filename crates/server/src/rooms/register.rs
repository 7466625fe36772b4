//! Registering with a room: becoming a member with a nick of one's own (XEP-0045 §7.10).

use archive::Ledger;
use minidom::Element;
use stanza::{ResourcePart, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, event};
use super::form::{Filled, Form, wrong};
use super::iq::result;
use super::room::{Room, Visitor};
use super::standing::Affiliation;
use crate::service::Sheet;
use crate::xml::{el, text};

/// `FORM_TYPE`.
const REGISTER: &str = "http://jabber.org/protocol/muc#register";
/// The one field.
const NICK: &str = "muc#register_roomnick";

impl Room {
    /// What there is to fill in, or under which nick somebody is known already.
    pub(super) fn registration(&self, who: &Visitor) -> Result<Element, StanzaError> {
        let query = el("query", ns::REGISTER);
        let entry = self.durable.entries.get(&who.jid.to_bare());
        let nick = entry.and_then(|entry| entry.nick.as_deref());
        if let Some(nick) = nick {
            let registered = Element::bare("registered", ns::REGISTER);
            return Ok(query.append(registered).append(text("username", ns::REGISTER, nick)).build());
        }
        self.may_register(who)?;
        let form = Form::new("form", REGISTER).titled("Your nick in this room");
        let form = form.field("text-single", NICK, "Nick", None::<String>).build();
        Ok(query.append(form).build())
    }

    /// Where only members come in, a member is made by somebody inside.
    fn may_register(&self, who: &Visitor) -> Result<(), StanzaError> {
        let affiliation = self.affiliation(&who.jid.to_bare());
        let is_open = !self.durable.settings.members_only && affiliation == Affiliation::None;
        if affiliation >= Affiliation::Member || is_open {
            return Ok(());
        }
        let words = "Ask the room's admins to make you a member.";
        Err(StanzaError::new(StanzaCondition::NotAllowed, words))
    }

    pub(super) fn register(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        query: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let bare = who.jid.to_bare();
        let affiliation = self.affiliation(&bare);
        let before = self.before();
        if query.has_child("remove", ns::REGISTER) {
            // A tie that somebody else gave stays without the nick.
            match self.durable.entries.get_mut(&bare) {
                Some(entry) if affiliation > Affiliation::Member => entry.nick = None,
                Some(entry) if entry.nick.is_some() && !self.durable.settings.members_only => {
                    self.durable.entries.remove(&bare);
                }
                Some(entry) => entry.nick = None,
                None => {
                    let words = "You are not registered with this room.";
                    return Err(StanzaError::new(StanzaCondition::RegistrationRequired, words));
                }
            }
        } else {
            self.may_register(who)?;
            let form = query.get_child("x", ns::DATA_FORMS);
            let form = form.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
            let nick = Filled::read(form, REGISTER)?.one(NICK).unwrap_or_default().to_owned();
            let nick = ResourcePart::new(&nick).map_err(|_| wrong(NICK))?.into_owned();
            self.may_use(&bare, nick.as_str())?;
            let tie = affiliation.max(Affiliation::Member);
            let reason = self.durable.entries.get(&bare).and_then(|entry| entry.reason.clone());
            self.set_affiliation(&bare, tie, Some(nick.as_str().to_owned()), reason);
        }
        let writes = self.writes(&before)?;
        let affected = self.apply_affiliation(&bare);
        let mut sheets = Vec::new();
        for (was, code) in &affected {
            sheets.extend(self.tell_change(was, *code, None, None));
        }
        sheets.push(Sheet::new(result(stanza, None)?, [who.reader.clone()]));
        let event = event(&self.jid, who.jid.clone(), stanza, Ledger::Happenings, writes);
        let occupants = affected.into_iter().map(|(was, _)| was).collect();
        let failure = Failure { before: Some(before), occupants, ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        Ok(())
    }
}
