//! Coming in, changing nick or presence, and leaving (XEP-0045 §7.2 to §7.7, §7.14).

use archive::{Ledger, Micros};
use stanza::{BareJid, FullJid, Jid, Kind, ResourcePart, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::company::HATS;
use super::effect::{Failure, Out, event};
use super::occupants::{Note, Occupant, Seat};
use super::past::Wanted;
use super::room::{Room, Visitor};
use super::standing::{Affiliation, Role};
use crate::service::{Reader, Sheet};

/// The presence says: of the occupant itself.
const SELF: u16 = 110;
/// The occupant's side answers with errors (XEP-0045 §15.6).
pub(super) const LOST: u16 = 333;

impl Room {
    pub(super) fn available(
        &mut self,
        now: Micros,
        who: &Visitor,
        nick: &str,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let x = stanza.payload("x", ns::MUC);
        match (self.occupants.of(&who.jid), x) {
            // The client has lost its view of the room and begins anew.
            (Some(one), Some(x)) if &*one.nick == nick => self.enter(now, who, nick, stanza, &x, out),
            (Some(one), _) if &*one.nick == nick => {
                self.update(who, stanza, out);
                Ok(())
            }
            (Some(_), _) => self.rename(who, nick, stanza, out),
            (None, Some(x)) => self.enter(now, who, nick, stanza, &x, out),
            (None, None) => {
                let words = "You are not in this room; come in first.";
                Err(StanzaError::new(StanzaCondition::NotAcceptable, words))
            }
        }
    }

    /// XEP-0045 §7.2.
    fn enter(
        &mut self,
        now: Micros,
        who: &Visitor,
        nick: &str,
        stanza: &Stanza,
        x: &minidom::Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let bare = who.jid.to_bare();
        let password = x.get_child("password", ns::MUC).map(minidom::Element::text);
        let is_in = self.occupants.of(&who.jid).is_some();
        if !is_in {
            self.may_enter(&bare, password.as_deref())?;
            self.may_use(&bare, nick)?;
        }
        let is_new = self.locked && self.occupants.is_empty();

        let seat = Seat { jid: who.jid.clone(), reader: who.reader.clone() };
        if self.occupants.named(nick).is_some() {
            if !is_in {
                self.occupants.sit(nick, seat);
            }
            self.occupants.change(nick, |one| one.said = said(stanza));
        } else {
            let affiliation = self.affiliation(&bare);
            let said = said(stanza);
            self.occupants.put(Occupant {
                nick: nick.into(),
                address: self.at(nick)?,
                affiliation,
                role: affiliation.first_role(self.durable.settings.voice()),
                seats: vec![seat],
                id: self.occupant_id(&bare),
                hats: self.hats.get(&bare).cloned(),
                bare,
                shown: [said.clone(), said.clone()],
                said,
            });
        }
        let Some(one) = self.occupants.named(nick) else { return Ok(()) };

        let mut sheets = self.present(who, nick);
        sheets.extend(self.show(one, Some(&who.jid)));
        let mut codes = vec![SELF];
        codes.extend(self.durable.settings.open_names.then_some(100));
        // Every room is archived, which clients show as logging.
        codes.push(170);
        codes.extend(is_new.then_some(201));
        let note = Note { codes, ..Note::default() };
        let own = one.presence(&one.said, self.sees_addresses(one), &note).with_id_of(stanza);
        sheets.push(Sheet::new(own, [who.reader.clone()]));
        if self.durable.avatar.is_some() {
            sheets.push(Sheet::new(self.face(), [who.reader.clone()]));
        }
        if let Some(past) = &self.past {
            let wanted = Wanted::read(x, now);
            sheets.extend(past.sheets(
                &self.address,
                &who.reader,
                &wanted,
                self.durable.settings.history as usize,
            ));
        }
        sheets.push(Sheet::new(self.subject(), [who.reader.clone()]));
        let event = event(&self.jid, who.jid.clone(), &one.shown[1], Ledger::Happenings, Vec::new());
        let failure =
            Failure { joined: (!is_in).then(|| who.jid.clone()), ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        Ok(())
    }

    /// Whether an account may come in (XEP-0045 §7.2.5 to §7.2.11). Somebody who is in is let in again.
    pub(super) fn may_enter(&self, bare: &BareJid, password: Option<&str>) -> Result<(), StanzaError> {
        let affiliation = self.affiliation(bare);
        let settings = &self.durable.settings;
        if affiliation == Affiliation::Outcast {
            return Err(StanzaError::new(StanzaCondition::Forbidden, "You are banned from this room."));
        }
        if self.locked && affiliation != Affiliation::Owner {
            let words = "This room is not open yet: its owner has not configured it.";
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, words));
        }
        if settings.members_only && affiliation < Affiliation::Member {
            let words = "Only members come into this room.";
            return Err(StanzaError::new(StanzaCondition::RegistrationRequired, words));
        }
        if let Some(wanted) = &settings.password
            && !password.is_some_and(|given| is_same(given, wanted))
        {
            return Err(StanzaError::new(StanzaCondition::NotAuthorized, "This room wants its password."));
        }
        let is_full = settings.most.is_some_and(|most| self.occupants.seats() >= most as usize);
        if is_full && affiliation < Affiliation::Admin {
            let mut error = StanzaError::new(StanzaCondition::ServiceUnavailable, "This room is full.");
            error.type_ = stanza::ErrorType::Wait;
            return Err(error);
        }
        Ok(())
    }

    /// Whether an account may have a nick (XEP-0045 §7.2.8).
    pub(super) fn may_use(&self, bare: &BareJid, nick: &str) -> Result<(), StanzaError> {
        let taken = self.occupants.named(nick).is_some_and(|one| one.bare != *bare);
        let reserved = || {
            let of_others = self.durable.entries.iter().filter(|(jid, _)| *jid != bare);
            of_others.into_iter().any(|(_, entry)| entry.nick.as_deref() == Some(nick))
        };
        if taken || reserved() {
            return Err(StanzaError::new(StanzaCondition::Conflict, "Somebody else has this nick."));
        }
        Ok(())
    }

    /// The others' presence for somebody who comes in, and for no other of their resources.
    fn present(&self, who: &Visitor, nick: &str) -> Vec<Sheet> {
        let addresses = self.occupants.named(nick).is_some_and(|one| self.sees_addresses(one));
        let others = self.occupants.iter().filter(|one| &*one.nick != nick && self.is_shown(one.role));
        let shown = others.map(|one| &one.shown[usize::from(addresses)]);
        shown.map(|stanza| Sheet::new(stanza.clone(), [who.reader.clone()])).collect()
    }

    pub(super) fn is_shown(&self, role: Role) -> bool {
        self.durable.settings.shown.contains(&role)
    }

    /// An occupant's presence for all; `but` is a resource that gets its own.
    fn show(&self, one: &Occupant, but: Option<&FullJid>) -> Vec<Sheet> {
        let note = Note::default();
        self.announce(one, &one.said, &note, self.is_shown(one.role), but)
    }

    /// A presence of one occupant for all who may see it, and with the code that says so for the occupant. `one` need not
    /// be in any more.
    pub(super) fn announce(
        &self,
        one: &Occupant,
        said: &Stanza,
        note: &Note<'_>,
        to_others: bool,
        but: Option<&FullJid>,
    ) -> Vec<Sheet> {
        let mut sheets = Vec::with_capacity(3);
        if to_others {
            let (mut with, mut without) = (Vec::new(), Vec::new());
            for other in self.occupants.iter().filter(|other| other.nick != one.nick) {
                let list = if self.sees_addresses(other) { &mut with } else { &mut without };
                list.extend(other.seats.iter().map(|seat| seat.reader.clone()));
            }
            for (readers, addresses) in [(with, true), (without, false)] {
                if !readers.is_empty() {
                    sheets.push(Sheet::new(one.presence(said, addresses, note), readers));
                }
            }
        }
        let own: Vec<Reader> =
            one.seats.iter().filter(|seat| but != Some(&seat.jid)).map(|seat| seat.reader.clone()).collect();
        if !own.is_empty() {
            let mut note = note.clone();
            note.codes.push(SELF);
            let addresses = self.durable.settings.open_names || one.role == Role::Moderator;
            sheets.push(Sheet::new(one.presence(said, addresses, &note), own));
        }
        sheets
    }

    /// XEP-0045 §7.7.
    fn update(&mut self, who: &Visitor, stanza: &Stanza, out: &mut Out) {
        let Some(nick) = self.occupants.of(&who.jid).map(|one| one.nick.clone()) else { return };
        self.occupants.change(&nick, |one| one.said = said(stanza));
        if let Some(one) = self.occupants.named(&nick) {
            out.send(self.show(one, None));
        }
    }

    /// XEP-0045 §7.6. A resource that shares its nick with others goes alone.
    fn rename(
        &mut self,
        who: &Visitor,
        nick: &str,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let before = self.occupant(who)?.clone();
        self.may_use(&before.bare, nick)?;
        let mut after = before.clone();
        after.nick = nick.into();
        after.address = self.at(nick)?;
        after.said = said(stanza);
        after.seats.retain(|seat| seat.jid == who.jid);
        after.show();

        let mut gone = before.clone();
        gone.seats.clone_from(&after.seats);
        gone.role = if before.seats.len() > 1 { Role::None } else { before.role };
        let note = Note { codes: vec![303], new_nick: Some(nick), ..Note::default() };
        let unavailable = Stanza::new(Kind::Presence).typed("unavailable");
        let alone = before.seats.len() == 1;
        let mut undo = vec![before.clone()];
        undo.extend(self.occupants.named(nick).cloned());

        let to_others = alone && self.is_shown(before.role);
        let mut sheets = self.announce(&gone, &unavailable, &note, to_others, None);
        let record = gone.presence(&unavailable, true, &note);
        self.occupants.stand(&who.jid);
        match self.occupants.named(nick) {
            Some(_) => {
                let seat = Seat { jid: who.jid.clone(), reader: who.reader.clone() };
                self.occupants.sit(nick, seat);
                self.occupants.change(nick, |one| one.said = after.said.clone());
            }
            None => self.occupants.put(after),
        }
        if let Some(one) = self.occupants.named(nick) {
            sheets.extend(self.show(one, None));
        }
        let event = event(&self.jid, who.jid.clone(), &record, Ledger::Happenings, Vec::new());
        let failure = Failure { occupants: undo, ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        Ok(())
    }

    /// XEP-0045 §7.14. The code says why where they did not want it. Who is not in has nothing to leave.
    pub(super) fn leave(&mut self, jid: &FullJid, stanza: &Stanza, code: Option<u16>, out: &mut Out) {
        let Some(one) = self.occupants.of(jid).cloned() else { return };
        let mut said = said(stanza);
        said.type_ = Some("unavailable".into());
        let mut gone = one.clone();
        gone.role = Role::None;
        gone.seats.retain(|seat| seat.jid == *jid);
        let is_last = one.seats.len() == 1;
        let note = Note { codes: code.into_iter().collect(), ..Note::default() };
        self.occupants.stand(jid);
        let mut sheets = self.announce(&gone, &said, &note, is_last && self.is_shown(one.role), None);
        if let Some(rest) = self.occupants.named(&one.nick)
            && one.seats.first().is_some_and(|seat| seat.jid == *jid)
        {
            // Whoever sees real addresses sees another one now.
            sheets.extend(self.show(rest, None));
        }
        let record = gone.presence(&said, true, &note);
        let event = event(&self.jid, jid.clone(), &record, Ledger::Happenings, Vec::new());
        let tell =
            sheets.iter().map(|sheet| Sheet::new(sheet.stanza.clone(), sheet.readers.clone())).collect();
        out.happen(sheets, event, Failure { tell, ..Failure::default() });
        self.end_if_empty();
    }

    /// What comes back from outside says that nobody is there any more (XEP-0045 §18.1.2).
    pub(super) fn unreachable(&mut self, who: &Visitor, out: &mut Out) {
        if matches!(who.reader, Reader::Outside(_)) {
            self.leave(&who.jid, &Stanza::new(Kind::Presence).typed("unavailable"), Some(LOST), out);
        }
    }

    /// Somebody's coming could not be archived.
    pub(super) fn turn_away(&mut self, jid: &FullJid, out: &mut Out) {
        let Some(one) = self.occupants.of(jid).cloned() else { return };
        self.occupants.stand(jid);
        if one.seats.len() == 1 {
            // Who came in after them was told that they are here.
            let gone = Occupant { role: Role::None, seats: Vec::new(), ..one };
            let said = Stanza::new(Kind::Presence).typed("unavailable");
            out.send(self.announce(&gone, &said, &Note::default(), true, None));
        }
        self.end_if_empty();
    }

    /// A room that does not stay goes with the last occupant.
    pub(super) fn end_if_empty(&mut self) {
        if self.occupants.is_empty() && (self.locked || !self.durable.settings.persistent) {
            self.over = true;
        }
    }

    /// The room's address with a nick.
    pub(super) fn at(&self, nick: &str) -> Result<Jid, StanzaError> {
        let nick = ResourcePart::new(nick).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?;
        Ok(self.jid.with_resource(&nick).into())
    }
}

/// What a presence says of its own: what only the room may say is left out.
fn said(stanza: &Stanza) -> Stanza {
    let mut said = stanza.without(|child| {
        matches!(child.ns(), ns::MUC | ns::MUC_USER | HATS) || child.is("occupant-id", ns::OID)
    });
    (said.to, said.from, said.id) = (None, None, None);
    said
}

trait WithIdOf {
    fn with_id_of(self, other: &Stanza) -> Self;
}

impl WithIdOf for Stanza {
    /// Clients tell by it that their own presence has come back.
    fn with_id_of(mut self, other: &Stanza) -> Self {
        self.id.clone_from(&other.id);
        self
    }
}

/// Compares without telling how much was right.
fn is_same(given: &str, wanted: &str) -> bool {
    use subtle::ConstantTimeEq;
    given.as_bytes().ct_eq(wanted.as_bytes()).into()
}
