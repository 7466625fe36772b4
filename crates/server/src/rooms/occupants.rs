//! Who is in a room now.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use minidom::Element;
use stanza::{BareJid, FullJid, Jid, Stanza};
use xmpp_parsers::ns;

use super::standing::{Affiliation, Role};
use crate::service::{Reader, Readers};
use crate::xml::{With, el};

/// Somebody in the room under one nick, with one resource or several of the same account.
#[derive(Clone)]
pub struct Occupant {
    /// The name in the room.
    pub nick: Box<str>,
    /// The room's address with the nick.
    pub address: Jid,
    /// The real account.
    pub bare: BareJid,
    /// The tie to the room.
    pub affiliation: Affiliation,
    /// What they may do.
    pub role: Role,
    /// Their resources, in the order in which they came. Never empty.
    pub seats: Vec<Seat>,
    /// What they are in the company (XEP-0317), for those who see who they are.
    pub hats: Option<Element>,
    /// What the last presence said, without addresses and without what a room adds.
    pub said: Stanza,
    /// The same for all visits of an account (XEP-0421).
    pub id: Box<str>,
    /// `said` as others see it: without and with the real address.
    pub shown: [Stanza; 2],
}

/// One resource that is in the room.
#[derive(Clone)]
pub struct Seat {
    /// Its real address.
    pub jid: FullJid,
    /// Where it reads.
    pub reader: Reader,
}

/// What a presence adds to who somebody is.
#[derive(Default, Clone)]
pub struct Note<'a> {
    /// Codes (XEP-0045 §15.6).
    pub codes: Vec<u16>,
    /// The nick that somebody takes now.
    pub new_nick: Option<&'a str>,
    /// Who did it, by nick.
    pub actor: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
    /// The room is gone.
    pub destroy: Option<Element>,
}

impl Occupant {
    /// Their presence: with or without the real address. `said` is what it carries of their own.
    pub fn presence(&self, said: &Stanza, with_address: bool, note: &Note<'_>) -> Stanza {
        let item = el("item", ns::MUC_USER)
            .with("affiliation", self.affiliation.name())
            .with("role", self.role.name())
            .with("jid", self.seats.first().filter(|_| with_address).map(|seat| seat.jid.as_str()))
            .with("nick", note.new_nick);
        let item = item
            .append_all(note.actor.map(|actor| el("actor", ns::MUC_USER).with("nick", actor).build()))
            .append_all(note.reason.map(|reason| crate::xml::text("reason", ns::MUC_USER, reason)));
        let x = el("x", ns::MUC_USER)
            .append(item.build())
            .append_all(note.destroy.clone())
            .append_all(note.codes.iter().map(|code| status(*code)));
        let id = el("occupant-id", ns::OID).with("id", &*self.id).build();
        let mut stanza = said.clone();
        stanza.from = Some(self.address.clone());
        stanza.to = None;
        // Names of ours are names.
        let x = x.build();
        let hats = self.hats.iter().filter(|_| with_address);
        stanza.clone().with_more([&id, &x].into_iter().chain(hats)).unwrap_or(stanza)
    }

    /// Makes `shown` anew, after a change.
    pub fn show(&mut self) {
        let note = Note::default();
        self.shown = [self.presence(&self.said, false, &note), self.presence(&self.said, true, &note)];
    }

    /// Where their resources read.
    pub fn readers(&self) -> Vec<Reader> {
        self.seats.iter().map(|seat| seat.reader.clone()).collect()
    }
}

/// `<status/>` (XEP-0045 §15.6).
pub fn status(code: u16) -> Element {
    el("status", ns::MUC_USER).with("code", code).build()
}

/// See the module.
#[derive(Default)]
pub struct Occupants {
    by_nick: BTreeMap<Box<str>, Occupant>,
    nicks: HashMap<FullJid, Box<str>>,
    everyone: Option<Readers>,
}

impl Occupants {
    /// How many nicks there are.
    pub fn len(&self) -> usize {
        self.by_nick.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.by_nick.is_empty()
    }

    /// How many resources there are.
    pub fn seats(&self) -> usize {
        self.nicks.len()
    }

    /// All, by nick.
    pub fn iter(&self) -> impl Iterator<Item = &Occupant> {
        self.by_nick.values()
    }

    /// The one of that nick.
    pub fn named(&self, nick: &str) -> Option<&Occupant> {
        self.by_nick.get(nick)
    }

    /// The one that a resource belongs to.
    pub fn of(&self, jid: &FullJid) -> Option<&Occupant> {
        self.by_nick.get(self.nicks.get(jid)?)
    }

    /// All of an account.
    pub fn of_account(&self, bare: &BareJid) -> Vec<Box<str>> {
        self.iter().filter(|one| one.bare == *bare).map(|one| one.nick.clone()).collect()
    }

    /// Changes one, and what is shown of them.
    pub fn change<T>(&mut self, nick: &str, change: impl FnOnce(&mut Occupant) -> T) -> Option<T> {
        let one = self.by_nick.get_mut(nick)?;
        let result = change(one);
        one.show();
        Some(result)
    }

    /// Puts somebody in, in the place of whoever has the nick or the resources.
    pub fn put(&mut self, mut one: Occupant) {
        self.everyone = None;
        one.show();
        for seat in &one.seats {
            self.stand(&seat.jid);
        }
        if let Some(other) = self.by_nick.remove(&one.nick) {
            other.seats.iter().for_each(|seat| drop(self.nicks.remove(&seat.jid)));
        }
        for seat in &one.seats {
            self.nicks.insert(seat.jid.clone(), one.nick.clone());
        }
        self.by_nick.insert(one.nick.clone(), one);
    }

    /// Adds a resource to somebody who is here.
    pub fn sit(&mut self, nick: &str, seat: Seat) {
        self.everyone = None;
        self.stand(&seat.jid);
        self.nicks.insert(seat.jid.clone(), nick.into());
        self.change(nick, |one| one.seats.push(seat));
    }

    /// Takes a resource out, and its occupant with the last.
    pub fn stand(&mut self, jid: &FullJid) {
        let Some(nick) = self.nicks.remove(jid) else { return };
        self.everyone = None;
        let left = self.change(&nick, |one| {
            one.seats.retain(|seat| seat.jid != *jid);
            one.seats.is_empty()
        });
        if left == Some(true) {
            self.by_nick.remove(&nick);
        }
    }

    /// Takes somebody out with all resources.
    pub fn remove(&mut self, nick: &str) -> Option<Occupant> {
        let one = self.by_nick.remove(nick)?;
        self.everyone = None;
        one.seats.iter().for_each(|seat| drop(self.nicks.remove(&seat.jid)));
        Some(one)
    }

    /// All resources: the same list until somebody comes or goes.
    pub fn everyone(&mut self) -> Readers {
        let list = || self.by_nick.values().flat_map(Occupant::readers).collect::<Vec<_>>().into();
        Arc::clone(self.everyone.get_or_insert_with(list))
    }

    /// The resources of those who are wanted.
    pub fn readers(&self, wanted: impl Fn(&Occupant) -> bool) -> Vec<Reader> {
        self.iter().filter(|one| wanted(one)).flat_map(Occupant::readers).collect()
    }
}
