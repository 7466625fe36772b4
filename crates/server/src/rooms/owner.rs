//! What owners do: configure and destroy (XEP-0045 §10).

use std::collections::BTreeSet;

use archive::Ledger;
use minidom::Element;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::admin::MEMBERS_ONLY;
use super::effect::{Failure, Out, event};
use super::form::Filled;
use super::iq::{OWNER, result};
use super::occupants::{Note, Occupant, status};
use super::owner_form::{self, CONFIG, Decision};
use super::room::{Room, Visitor};
use super::settings::Settings;
use super::standing::{Affiliation, Role};
use crate::service::Sheet;
use crate::xml::{With, el};

/// The configuration has changed.
pub const CHANGED: u16 = 104;
/// Everybody sees real addresses from now on.
const OPEN_NAMES: u16 = 172;
/// Only moderators see real addresses from now on.
const HIDDEN_NAMES: u16 = 173;

impl Room {
    pub(super) fn must_own(&self, who: &Visitor) -> Result<(), StanzaError> {
        match self.affiliation(&who.jid.to_bare()) {
            Affiliation::Owner => Ok(()),
            _ => Err(StanzaError::new(StanzaCondition::Forbidden, "This is for the room's owners.")),
        }
    }

    /// The form.
    pub(super) fn configuration(&self, who: &Visitor) -> Result<Element, StanzaError> {
        self.must_own(who)?;
        Ok(el("query", OWNER).append(owner_form::form(&self.durable)).build())
    }

    pub(super) fn own(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        query: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        self.must_own(who)?;
        if let Some(destroy) = query.get_child("destroy", OWNER) {
            return self.destroy(who, stanza, destroy, out);
        }
        let form = query.get_child("x", ns::DATA_FORMS);
        let form = form.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
        match form.attr("type") {
            Some("cancel") if self.locked => {
                // Whoever does not want to configure it does not want it (XEP-0045 §10.1.3).
                self.destroy(who, stanza, &Element::bare("destroy", OWNER), out)
            }
            Some("cancel") => {
                out.answer(result(stanza, None)?, &who.reader);
                Ok(())
            }
            Some("submit") => self.configure(who, stanza, &Filled::read(form, CONFIG)?, out),
            _ => Err(StanzaCondition::BadRequest.into()),
        }
    }

    /// XEP-0045 §10.1 and §10.2: one event, whatever it changes.
    fn configure(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        filled: &Filled,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let Decision { settings, admins, owners } = owner_form::read(filled, &self.durable.settings)?;
        let before = self.before();
        let was = std::mem::replace(&mut self.durable.settings, settings);
        self.name_all(Affiliation::Admin, admins);
        self.name_all(Affiliation::Owner, owners);
        if !self.durable.entries.values().any(|entry| entry.affiliation == Affiliation::Owner) {
            self.restore(&before);
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, "A room needs an owner."));
        }
        self.locked = false;
        if !self.durable.settings.persistent {
            // What does not stay has no place for a picture.
            self.durable.avatar = None;
        }
        let writes = self.writes(&before)?;

        let affected = self.reorder(&was);
        let mut sheets = Vec::new();
        for (was, code) in &affected {
            sheets.extend(self.tell_change(was, *code, None, None));
        }
        let now = &self.durable.settings;
        let (was_open, now_open) = (was.open_names, now.open_names);
        let mut codes = Vec::new();
        if was_open != now_open {
            codes.push(if now_open { OPEN_NAMES } else { HIDDEN_NAMES });
        }
        let quiet = Settings { open_names: now_open, ..was };
        if quiet != *now || codes.is_empty() {
            codes.push(CHANGED);
        }
        sheets.push(Sheet::new(self.notice(&codes)?, self.occupants.everyone()));
        if was_open != now_open {
            sheets.extend(self.show_everybody());
        }
        sheets.push(Sheet::new(result(stanza, None)?, [who.reader.clone()]));
        // The trail has the form as it was filled in, but no password.
        let event =
            event(&self.jid, who.jid.clone(), &without_secret(stanza, filled), Ledger::Happenings, writes);
        let occupants = affected.into_iter().map(|(was, _)| was).collect();
        out.happen(
            sheets,
            event,
            Failure { before: Some(before), occupants, ..Failure::told(stanza, &who.reader) },
        );
        self.end_if_empty();
        Ok(())
    }

    /// Who everybody is, for those to whom another way of showing it is new: moderators see real addresses anyway.
    fn show_everybody(&self) -> Vec<Sheet> {
        let open = usize::from(self.durable.settings.open_names);
        let shown = self.occupants.iter().filter(|one| self.is_shown(one.role));
        let sheets = shown.map(|one| {
            let to_whom = |other: &Occupant| other.role != Role::Moderator && other.nick != one.nick;
            Sheet::new(one.shown[open].clone(), self.occupants.readers(to_whom))
        });
        sheets.filter(|sheet| !sheet.readers.is_empty()).collect()
    }

    /// What occupants are told about the room itself.
    pub(super) fn notice(&self, codes: &[u16]) -> Result<Stanza, StanzaError> {
        let x = el("x", ns::MUC_USER).append_all(codes.iter().map(|code| status(*code))).build();
        let notice = Stanza::new(Kind::Message).typed("groupchat").sent_by(self.jid.clone());
        notice.with_payload([&x]).map_err(|_| StanzaCondition::InternalServerError.into())
    }

    /// Makes a list the whole list of those with that tie.
    fn name_all(&mut self, affiliation: Affiliation, wanted: Option<Vec<BareJid>>) {
        let Some(wanted) = wanted else { return };
        let entries = self.durable.entries.iter().filter(|(_, entry)| entry.affiliation == affiliation);
        let gone: Vec<BareJid> =
            entries.map(|(jid, _)| jid.clone()).filter(|jid| !wanted.contains(jid)).collect();
        for jid in gone {
            self.set_affiliation(&jid, Affiliation::None, None, None);
        }
        for jid in wanted {
            if self.durable.affiliation(&jid) != affiliation {
                self.set_affiliation(&jid, affiliation, None, None);
            }
        }
    }

    /// Carries new settings over to those who are in. Returns them as they were, with a code for those who had to go.
    fn reorder(&mut self, was: &Settings) -> Vec<(Occupant, Option<u16>)> {
        let accounts: BTreeSet<BareJid> = self.occupants.iter().map(|one| one.bare.clone()).collect();
        let mut affected = Vec::new();
        for account in accounts {
            affected.extend(self.apply_affiliation(&account));
        }
        let (members_only, voice) = (self.durable.settings.members_only, self.durable.settings.voice());
        let strangers = self.occupants.iter().filter(|one| one.affiliation == Affiliation::None);
        for one in strangers.cloned().collect::<Vec<_>>() {
            if members_only {
                self.occupants.remove(&one.nick);
                affected.push((one, Some(MEMBERS_ONLY)));
            } else if voice != was.voice() && one.role < Role::Moderator {
                self.occupants.change(&one.nick, |now| now.role = now.affiliation.first_role(voice));
                affected.push((one, None));
            }
        }
        affected
    }

    /// XEP-0045 §10.9. The archive keeps what was said.
    fn destroy(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        destroy: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let alternate = match destroy.attr("jid").map(Jid::new) {
            None => None,
            Some(Ok(jid)) => Some(jid.into_bare()),
            Some(Err(_)) => return Err(StanzaCondition::JidMalformed.into()),
        };
        let before = self.before();
        self.over = true;
        let writes = self.writes(&before)?;
        let part = |name| destroy.get_child(name, OWNER).map(Element::text).filter(|text| !text.is_empty());
        let told = el("destroy", ns::MUC_USER)
            .with("jid", alternate.as_ref().map(|jid| jid.as_str()))
            .append_all(
                ["reason", "password"]
                    .into_iter()
                    .filter_map(|name| part(name).map(|words| crate::xml::text(name, ns::MUC_USER, words))),
            )
            .build();
        let note = Note { destroy: Some(told), ..Note::default() };
        let everyone: Vec<Occupant> = self.occupants.iter().cloned().collect();
        let mut sheets = self.send_out(&note);
        sheets.push(Sheet::new(result(stanza, None)?, [who.reader.clone()]));
        let event = event(&self.jid, who.jid.clone(), stanza, Ledger::Happenings, writes);
        let failure =
            Failure { before: Some(before), occupants: everyone, ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        Ok(())
    }

    /// Everybody goes, and hears only of themselves.
    fn send_out(&mut self, note: &Note<'_>) -> Vec<Sheet> {
        let nicks: Vec<Box<str>> = self.occupants.iter().map(|one| one.nick.clone()).collect();
        let said = Stanza::new(Kind::Presence).typed("unavailable");
        let mut sheets = Vec::with_capacity(nicks.len());
        for nick in nicks {
            let Some(one) = self.occupants.remove(&nick) else { continue };
            let gone = Occupant { role: Role::None, affiliation: Affiliation::None, ..one };
            sheets.extend(self.announce(&gone, &said, note, false, None));
        }
        sheets
    }
}

/// A submitted form for the trail.
fn without_secret(stanza: &Stanza, filled: &Filled) -> Stanza {
    let fields = filled.iter().filter(|(var, _)| *var != "muc#roomconfig_roomsecret");
    let mut form = super::form::Form::bare("submit");
    for (var, values) in fields {
        form = form.field("text-multi", var, "", values.iter().map(String::as_str));
    }
    let query = el("query", OWNER).append(form.build()).build();
    stanza.clone().with_payload([&query]).unwrap_or_else(|_| stanza.clone())
}
