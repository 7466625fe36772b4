//! What occupants ask the room to do for them: invite, decline, give a voice (XEP-0045 §7.8, §7.13, §8.6).

use archive::Ledger;
use minidom::Element;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, event};
use super::form::{Filled, Form};
use super::room::{Room, Visitor};
use super::standing::{Affiliation, Role};
use crate::service::Sheet;
use crate::xml::{With, el, text};

/// `FORM_TYPE` of a request for a voice.
const REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// The most that one message may invite.
const MOST_INVITED: usize = 100;

impl Room {
    pub(super) fn mediate(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        if let Some(x) = stanza.payload("x", ns::MUC_USER) {
            if let Some(decline) = x.get_child("decline", ns::MUC_USER) {
                return self.decline(who, stanza, decline, out);
            }
            return self.invite(who, stanza, &x, out);
        }
        if let Some(form) = stanza.payload("x", ns::DATA_FORMS) {
            let filled = Filled::read(&form, REQUEST)?;
            return match filled.switch("muc#request_allow")? {
                Some(true) => self.give_voice(who, stanza, &filled, out),
                Some(false) => Ok(()),
                None if filled.one("muc#roomnick").is_some() => Ok(()),
                None => self.ask_for_voice(who, stanza, out),
            };
        }
        Err(StanzaError::new(StanzaCondition::BadRequest, "A room takes messages of type groupchat."))
    }

    /// XEP-0045 §7.8.2. Whoever is invited into a members-only room becomes a member by that (§7.8.2, note).
    fn invite(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        x: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        let is_admin = one.affiliation >= Affiliation::Admin;
        if !is_admin && (!self.durable.settings.everyone_invites || one.role < Role::Participant) {
            return Err(StanzaError::new(StanzaCondition::Forbidden, "You may not invite into this room."));
        }
        let shown_as = one.address.clone();
        let by: Jid = if self.durable.settings.open_names { who.jid.to_bare().into() } else { shown_as };
        let mut invited: Vec<(BareJid, Stanza)> = Vec::new();
        for invite in x.children().filter(|child| child.is("invite", ns::MUC_USER)) {
            let to = invite.attr("to").ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
            let to = Jid::new(to).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?;
            invited.push((to.to_bare(), self.invitation(&by, to, invite)?));
        }
        if invited.is_empty() || invited.len() > MOST_INVITED {
            return Err(StanzaCondition::BadRequest.into());
        }
        let before = self.before();
        if self.durable.settings.members_only {
            for (jid, _) in &invited {
                match self.affiliation(jid) {
                    Affiliation::None => self.set_affiliation(jid, Affiliation::Member, None, None),
                    Affiliation::Outcast => {
                        self.restore(&before);
                        let words = "This person is banned from the room.";
                        return Err(StanzaError::new(StanzaCondition::NotAllowed, words));
                    }
                    _ => {}
                }
            }
        }
        let writes = self.writes(&before)?;
        let event = event(&self.jid, who.jid.clone(), stanza, Ledger::Happenings, writes);
        out.happen(Vec::new(), event, Failure { before: Some(before), ..Failure::told(stanza, &who.reader) });
        out.letters.extend(invited.into_iter().map(|(_, letter)| letter));
        Ok(())
    }

    fn invitation(&self, by: &Jid, to: Jid, invite: &Element) -> Result<Stanza, StanzaError> {
        let part = |name| invite.get_child(name, ns::MUC_USER).cloned();
        let told = el("invite", ns::MUC_USER).with("from", by.as_str());
        let told = told.append_all(part("reason")).append_all(part("continue")).build();
        let password = self.durable.settings.password.as_deref();
        let x = el("x", ns::MUC_USER)
            .append(told)
            .append_all(password.map(|password| text("password", ns::MUC_USER, password)))
            .build();
        // For clients that know only this form of it (XEP-0249 §3).
        let direct = el("x", "jabber:x:conference")
            .with("jid", self.jid.as_str())
            .with("password", password)
            .with("reason", part("reason").map(|reason| reason.text()))
            .build();
        let letter = Stanza::new(Kind::Message).typed("normal").sent_by(self.jid.clone()).addressed(to);
        letter.with_payload([&x, &direct]).map_err(|_| StanzaCondition::InternalServerError.into())
    }

    /// XEP-0045 §7.8.2: goes to whoever invited, if they are here.
    fn decline(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        decline: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let to = decline.attr("to").ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
        let to = Jid::new(to).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?;
        let is_wanted = |one: &super::occupants::Occupant| one.bare == to.to_bare() || one.address == to;
        let readers = self.occupants.readers(is_wanted);
        if readers.is_empty() {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, "Who invited you has left."));
        }
        let told = el("decline", ns::MUC_USER)
            .with("from", who.jid.to_bare().as_str())
            .append_all(decline.get_child("reason", ns::MUC_USER).cloned())
            .build();
        let x = el("x", ns::MUC_USER).append(told).build();
        let letter = Stanza::new(Kind::Message).sent_by(self.jid.clone()).with_payload([&x]);
        let letter = letter.map_err(|_| StanzaCondition::InternalServerError)?;
        let event = event(&self.jid, who.jid.clone(), &letter, Ledger::Happenings, Vec::new());
        out.happen(vec![Sheet::new(letter, readers)], event, Failure::told(stanza, &who.reader));
        Ok(())
    }

    /// XEP-0045 §7.13.
    fn ask_for_voice(&mut self, who: &Visitor, stanza: &Stanza, out: &mut Out) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        if !self.durable.settings.voice_requests {
            return Err(StanzaError::new(
                StanzaCondition::Forbidden,
                "This room takes no requests for a voice.",
            ));
        }
        if one.role >= Role::Participant {
            return Ok(());
        }
        let form = Form::new("form", REQUEST)
            .titled("Somebody asks for a voice")
            .choice("list-single", "muc#role", "Role", ["participant"], &[("participant", "Participant")])
            .field("jid-single", "muc#jid", "Address", [who.jid.as_str()])
            .field("text-single", "muc#roomnick", "Nick", [&*one.nick])
            .switch("muc#request_allow", "Give this person a voice?", false)
            .build();
        let letter = Stanza::new(Kind::Message).sent_by(self.jid.clone()).with_payload([&form]);
        let letter = letter.map_err(|_| StanzaCondition::InternalServerError)?;
        let moderators = self.occupants.readers(|one| one.role == Role::Moderator);
        let event = event(&self.jid, who.jid.clone(), &letter, Ledger::Happenings, Vec::new());
        out.happen(vec![Sheet::new(letter, moderators)], event, Failure::told(stanza, &who.reader));
        Ok(())
    }

    /// XEP-0045 §8.6.
    fn give_voice(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        filled: &Filled,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let moderator = self.occupant(who)?;
        if moderator.role < Role::Moderator {
            return Err(StanzaError::new(StanzaCondition::Forbidden, "Moderators give voices."));
        }
        let actor = moderator.nick.clone();
        let nick = filled.one("muc#roomnick").unwrap_or_default();
        let was = self.occupants.named(nick).filter(|one| one.role == Role::Visitor).cloned();
        // Somebody else has been quicker, or the visitor has left.
        let Some(was) = was else { return Ok(()) };
        let before = self.before();
        self.occupants.change(nick, |one| one.role = Role::Participant);
        let sheets = self.tell_change(&was, None, Some(&actor), None);
        let event = event(&self.jid, who.jid.clone(), stanza, Ledger::Happenings, Vec::new());
        let failure =
            Failure { before: Some(before), occupants: vec![was], ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        Ok(())
    }
}
