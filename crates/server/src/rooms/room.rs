//! One room as a state machine: stanzas in, [`Out`] out. No I/O and no clock.

use std::collections::{BTreeMap, HashMap};

use archive::Micros;
use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, FullJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use vault::Write;

use super::asks::Asks;
use super::effect::{Failure, Out};
use super::enter::LOST;
use super::occupants::{Occupant, Occupants};
use super::past::{Past, is_subject};
use super::record;
use super::retract::Target;
use super::settings::Settings;
use super::standing::{Affiliation, Role};
use crate::post::disk_error;
use crate::router::message_type;
use crate::service::Reader;

/// See the module.
pub struct Room {
    pub(super) jid: BareJid,
    /// `jid`, as an address.
    pub(super) address: Jid,
    pub(super) durable: Durable,
    /// Its owner has not said yet how it shall be (XEP-0045 §10.1): nobody else comes in.
    pub(super) locked: bool,
    /// There is no such room any more.
    pub(super) over: bool,
    pub(super) occupants: Occupants,
    /// `None` until somebody comes in and it is read.
    pub(super) past: Option<Past>,
    pub(super) asks: Asks,
    /// What accounts are here by being who they are, see [`super::company`].
    by_rule: HashMap<BareJid, Affiliation>,
    /// What accounts that came in are in the company.
    pub(super) hats: HashMap<BareJid, Element>,
    ids: Ids,
}

/// Makes the id of an account in a room (XEP-0421).
pub type Ids = Box<dyn Fn(&BareJid) -> Box<str> + Send + Sync>;

/// What of a room outlives its occupants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable {
    /// When it was made, in microseconds since 1970.
    pub created: i64,
    /// What the owner decided.
    pub settings: Settings,
    /// What is talked about.
    pub subject: Option<Subject>,
    /// The hash of its picture.
    pub avatar: Option<String>,
    /// Who has a tie to it.
    pub entries: BTreeMap<BareJid, Entry>,
}

/// An account's tie to a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Which.
    pub affiliation: Affiliation,
    /// A nick that is theirs alone (XEP-0045 §7.10).
    pub nick: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The subject (XEP-0045 §8.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The message that named it, as the occupants got it.
    pub xml: String,
    /// When, in microseconds since 1970.
    pub at: i64,
}

/// A room's records before a change.
#[derive(Clone)]
pub struct Before {
    durable: Durable,
    locked: bool,
    over: bool,
}

/// Who sent a stanza.
pub struct Visitor {
    /// The real address.
    pub jid: FullJid,
    /// Where they read.
    pub reader: Reader,
}

impl Durable {
    /// Whether all but the entries is the same.
    pub fn same_record(&self, other: &Self) -> bool {
        (self.created, &self.settings, &self.subject, &self.avatar)
            == (other.created, &other.settings, &other.subject, &other.avatar)
    }

    /// An account's tie.
    pub fn affiliation(&self, bare: &BareJid) -> Affiliation {
        self.entries.get(bare).map_or(Affiliation::None, |entry| entry.affiliation)
    }
}

impl Room {
    /// A room that was read from the vault.
    pub fn stored(jid: BareJid, durable: Durable, ids: Ids) -> Self {
        Self {
            address: jid.clone().into(),
            jid,
            durable,
            locked: false,
            over: false,
            occupants: Occupants::default(),
            past: None,
            asks: Asks::default(),
            by_rule: HashMap::new(),
            hats: HashMap::new(),
            ids,
        }
    }

    /// A new one, locked until its owner configures it.
    pub fn new(jid: BareJid, owner: BareJid, settings: Settings, now: Micros, ids: Ids) -> Self {
        let entry = Entry { affiliation: Affiliation::Owner, ..Entry::default() };
        let entries = BTreeMap::from([(owner, entry)]);
        let durable = Durable { created: now.0, settings, subject: None, avatar: None, entries };
        let past = Some(Past::default());
        Self { locked: true, past, ..Self::stored(jid, durable, ids) }
    }

    /// An account's tie: what was decided about it, or more by who it is. Who is banned stays so.
    pub(super) fn affiliation(&self, bare: &BareJid) -> Affiliation {
        match (self.durable.affiliation(bare), self.by_rule.get(bare)) {
            (Affiliation::Outcast, _) | (_, None) => self.durable.affiliation(bare),
            (own, Some(rule)) => own.max(*rule),
        }
    }

    /// Whether the rule about an account is known.
    pub fn knows(&self, account: &BareJid) -> bool {
        self.by_rule.contains_key(account)
    }

    /// Learns what an account is in the company (XEP-0317).
    pub fn dress(&mut self, account: BareJid, hats: Option<Element>) {
        match hats {
            Some(hats) => _ = self.hats.insert(account, hats),
            None => _ = self.hats.remove(&account),
        }
    }

    /// Learns what an account is by being who it is.
    pub fn learn(&mut self, account: BareJid, affiliation: Affiliation) {
        // Of those who are nothing here there is no end.
        match affiliation {
            Affiliation::None => _ = self.by_rule.remove(&account),
            _ => _ = self.by_rule.insert(account, affiliation),
        }
    }

    /// Takes in a stanza, and the message that it wants [gone](super::retract::wanted).
    pub fn receive(
        &mut self,
        now: Micros,
        who: &Visitor,
        stanza: Stanza,
        target: Option<&Target>,
        out: &mut Out,
    ) {
        let result = match stanza.kind {
            Kind::Presence => self.presence(now, who, &stanza, out),
            Kind::Message => self.message(now, who, &stanza, target, out),
            Kind::Iq => self.iq(who, &stanza, target, out),
        };
        if let Err(error) = result {
            out.refuse(&stanza, error, &who.reader);
        }
    }

    fn presence(
        &mut self,
        now: Micros,
        who: &Visitor,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let nick = stanza.to.as_ref().and_then(Jid::resource).map(|nick| nick.as_str());
        match (stanza.type_.as_deref(), nick) {
            (None, Some(nick)) => self.available(now, who, nick, stanza, out),
            (None, None) => {
                Err(StanzaError::new(StanzaCondition::JidMalformed, "Say under which nick you come in."))
            }
            (Some("unavailable"), _) => {
                self.leave(&who.jid, stanza, None, out);
                Ok(())
            }
            (Some("error"), _) => {
                self.leave(&who.jid, stanza, Some(LOST), out);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn message(
        &mut self,
        now: Micros,
        who: &Visitor,
        stanza: &Stanza,
        target: Option<&Target>,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let nick = stanza.to.as_ref().and_then(Jid::resource).map(|nick| nick.as_str());
        match (message_type(stanza), nick) {
            ("error", _) => {
                self.unreachable(who, out);
                Ok(())
            }
            ("groupchat", None) if is_subject(stanza) => self.name_subject(now, who, stanza, out),
            ("groupchat", None) => self.speak(now, who, stanza, target, out),
            ("groupchat", Some(_)) => {
                Err(StanzaError::new(StanzaCondition::BadRequest, "One person is no group."))
            }
            (_, Some(nick)) => self.whisper(who, nick, stanza, out),
            (_, None) => self.mediate(who, stanza, out),
        }
    }

    /// Whether a stanza can change what is stored, or who may do what. Such changes wait for one another, so that one
    /// that fails can be taken back.
    pub fn may_change(&self, stanza: &Stanza) -> bool {
        let bare = stanza.to.as_ref().is_none_or(Jid::is_bare);
        self.over
            || bare
                && match stanza.kind {
                    Kind::Iq => stanza.is_type("set"),
                    Kind::Message => !stanza.is_type("groupchat") || is_subject(stanza),
                    Kind::Presence => false,
                }
    }

    /// The occupant that a stanza is from.
    pub(super) fn occupant(&self, who: &Visitor) -> Result<&Occupant, StanzaError> {
        self.occupants
            .of(&who.jid)
            .ok_or_else(|| StanzaError::new(StanzaCondition::NotAcceptable, "You are not in this room."))
    }

    /// Whether an occupant sees real addresses.
    pub(super) fn sees_addresses(&self, one: &Occupant) -> bool {
        self.durable.settings.open_names || one.role == Role::Moderator
    }

    /// The id of an account.
    pub(super) fn occupant_id(&self, bare: &BareJid) -> Box<str> {
        (self.ids)(bare)
    }

    /// Whether its records are in the vault.
    pub(super) fn is_stored(&self) -> bool {
        self.durable.settings.persistent && !self.locked && !self.over
    }

    /// Remembers what is about to be changed.
    pub(super) fn before(&self) -> Before {
        Before { durable: self.durable.clone(), locked: self.locked, over: self.over }
    }

    /// What must be written after a change.
    ///
    /// # Errors
    /// When something cannot be written down; the change is taken back then.
    pub(super) fn writes(&mut self, before: &Before) -> Result<Vec<Write>, StanzaError> {
        let was_stored = before.durable.settings.persistent && !before.locked && !before.over;
        let old = was_stored.then_some(&before.durable);
        let new = self.is_stored().then_some(&self.durable);
        record::writes(&self.jid, old, new).map_err(|error| {
            self.restore(before);
            disk_error(&error)
        })
    }

    /// Takes back what a change did.
    pub(super) fn restore(&mut self, before: &Before) {
        let Before { durable, locked, over } = before.clone();
        (self.durable, self.locked, self.over) = (durable, locked, over);
    }

    /// An event could not be archived, so nobody got anything of it.
    pub fn fail(&mut self, failure: &Failure, error: StanzaError, out: &mut Out) {
        if let Some(before) = &failure.before {
            self.restore(before);
        }
        for one in &failure.occupants {
            let mut one = one.clone();
            // Who has hung up meanwhile does not come back.
            one.seats.retain(|seat| match &seat.reader {
                Reader::Session(session) => !session.outbox.is_closed(),
                Reader::Outside(_) => true,
            });
            for seat in &one.seats {
                self.occupants.stand(&seat.jid);
            }
            if !one.seats.is_empty() {
                self.occupants.put(one);
            }
        }
        if let Some(jid) = &failure.joined {
            self.turn_away(jid, out);
        }
        out.send(failure.tell.iter().map(again).collect());
        if let Some((stanza, reader)) = &failure.complaint {
            out.refuse(stanza, error, reader);
        }
    }
}

fn again(sheet: &crate::service::Sheet) -> crate::service::Sheet {
    crate::service::Sheet::new(sheet.stanza.clone(), sheet.readers.clone())
}
