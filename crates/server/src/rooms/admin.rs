//! Roles and affiliations: who has which, and who changes them (XEP-0045 §8 and §9).

use archive::Ledger;
use minidom::Element;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, event};
use super::iq::{ADMIN, result};
use super::occupants::{Note, Occupant};
use super::room::{Entry, Room, Visitor};
use super::standing::{Affiliation, Role};
use crate::service::Sheet;
use crate::xml::{With, el, text};

/// Taken out because of a ban.
pub const BANNED: u16 = 301;
/// Taken out by a moderator.
pub const KICKED: u16 = 307;
/// Taken out because of a change of affiliation.
pub const LOST_MEMBERSHIP: u16 = 321;
/// Taken out because the room lets in only members from now on.
pub const MEMBERS_ONLY: u16 = 322;

/// One thing that an admin or a moderator wants.
enum Change {
    Role { nick: Box<str>, role: Role, reason: Option<String> },
    Affiliation { jid: BareJid, affiliation: Affiliation, nick: Option<String>, reason: Option<String> },
}

/// Who acts: somebody inside, or an account with a tie to the room.
#[derive(Clone, Copy)]
struct Power {
    affiliation: Affiliation,
    role: Role,
}

impl Room {
    fn power(&self, who: &Visitor) -> Power {
        let affiliation = self.affiliation(&who.jid.to_bare());
        Power { affiliation, role: self.occupants.of(&who.jid).map_or(Role::None, |one| one.role) }
    }

    /// XEP-0045 §9.5, §9.8, §10.5, §10.8 for affiliations; §8.6, §9.6 for roles.
    pub(super) fn list(&self, who: &Visitor, query: &Element) -> Result<Element, StanzaError> {
        let power = self.power(who);
        let mut answer = el("query", ADMIN);
        for item in query.children().filter(|child| child.is("item", ADMIN)) {
            match (item.attr("affiliation"), item.attr("role")) {
                (Some(name), _) => {
                    let wanted = Affiliation::of(name).filter(|one| *one != Affiliation::None);
                    let wanted = wanted.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
                    let is_for = wanted >= Affiliation::Member
                        && power.affiliation >= Affiliation::None
                        && self.durable.settings.lists_for.contains(&power.role);
                    if power.affiliation < Affiliation::Admin && !is_for {
                        return Err(StanzaError::new(
                            StanzaCondition::Forbidden,
                            "This list is not for you.",
                        ));
                    }
                    let entries = self.durable.entries.iter();
                    for (jid, entry) in entries.filter(|(_, entry)| entry.affiliation == wanted) {
                        answer = answer.append(listed(jid, entry));
                    }
                }
                (None, Some(name)) => {
                    let wanted = Role::of(name).filter(|role| *role != Role::None);
                    let wanted = wanted.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
                    if power.role < Role::Moderator && power.affiliation < Affiliation::Admin {
                        return Err(StanzaError::new(
                            StanzaCondition::Forbidden,
                            "This list is for moderators.",
                        ));
                    }
                    for one in self.occupants.iter().filter(|one| one.role == wanted) {
                        let item = el("item", ADMIN)
                            .with("affiliation", one.affiliation.name())
                            .with("role", one.role.name())
                            .with("nick", &*one.nick)
                            .with("jid", one.seats.first().map(|seat| seat.jid.as_str()));
                        answer = answer.append(item.build());
                    }
                }
                (None, None) => return Err(StanzaCondition::BadRequest.into()),
            }
        }
        Ok(answer.build())
    }

    /// All that is asked for in one event, or nothing of it.
    pub(super) fn administer(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        query: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let items = query.children().filter(|child| child.is("item", ADMIN));
        let changes = items.map(|item| self.change(item)).collect::<Result<Vec<_>, _>>()?;
        if changes.is_empty() {
            return Err(StanzaCondition::BadRequest.into());
        }
        let power = self.power(who);
        changes.iter().try_for_each(|change| self.permit(who, power, change))?;

        let before = self.before();
        let mut record = Vec::new();
        let mut affected: Vec<(Occupant, Option<u16>, Option<String>)> = Vec::new();
        for change in changes {
            record.push(recorded(&change));
            match change {
                Change::Role { nick, role, reason } => {
                    let Some(was) = self.occupants.named(&nick).cloned() else { continue };
                    if role == Role::None {
                        self.occupants.remove(&nick);
                        affected.push((was, Some(KICKED), reason));
                    } else if was.role != role {
                        self.occupants.change(&nick, |one| one.role = role);
                        affected.push((was, None, reason));
                    }
                }
                Change::Affiliation { jid, affiliation, nick, reason } => {
                    self.set_affiliation(&jid, affiliation, nick, reason.clone());
                    let moved = self.apply_affiliation(&jid);
                    affected.extend(moved.into_iter().map(|(was, code)| (was, code, reason.clone())));
                }
            }
        }
        if !self.durable.entries.values().any(|entry| entry.affiliation == Affiliation::Owner) {
            self.restore(&before);
            self.put_back(&affected);
            let words = "A room needs an owner; name another one first.";
            return Err(StanzaError::new(StanzaCondition::Conflict, words));
        }
        let writes = self.writes(&before)?;
        let actor = self.occupants.of(&who.jid).map(|one| one.nick.clone());
        let mut sheets = Vec::new();
        for (was, code, reason) in &affected {
            sheets.extend(self.tell_change(was, *code, actor.as_deref(), reason.as_deref()));
        }
        sheets.push(Sheet::new(result(stanza, None)?, [who.reader.clone()]));
        let x = el("x", ns::MUC_USER).append_all(record).build();
        let message = Stanza::new(Kind::Message).sent_by(self.jid.clone()).with_payload([&x]);
        let message = message.map_err(|_| StanzaCondition::InternalServerError)?;
        let event = event(&self.jid, who.jid.clone(), &message, Ledger::Happenings, writes);
        let occupants = affected.into_iter().map(|(was, ..)| was).collect();
        let failure = Failure { before: Some(before), occupants, ..Failure::told(stanza, &who.reader) };
        out.happen(sheets, event, failure);
        self.end_if_empty();
        Ok(())
    }

    /// An account is gone, and its tie with it: another of its name is somebody else.
    pub(super) fn forget_account(&mut self, account: &BareJid, out: &mut Out) -> Result<(), StanzaError> {
        if !self.durable.entries.contains_key(account) {
            return Ok(());
        }
        let before = self.before();
        self.set_affiliation(account, Affiliation::None, None, None);
        let writes = self.writes(&before)?;
        let item =
            el("item", ADMIN).with("affiliation", Affiliation::None.name()).with("jid", account.as_str());
        let x = el("x", ns::MUC_USER).append(item.build()).build();
        let message = Stanza::new(Kind::Message).sent_by(self.jid.clone()).with_payload([&x]);
        let message = message.map_err(|_| StanzaCondition::InternalServerError)?;
        let event = event(&self.jid, account.clone(), &message, Ledger::Happenings, writes);
        out.happen(Vec::new(), event, Failure { before: Some(before), ..Failure::default() });
        Ok(())
    }

    fn put_back(&mut self, affected: &[(Occupant, Option<u16>, Option<String>)]) {
        affected.iter().rev().for_each(|(was, ..)| self.occupants.put(was.clone()));
    }

    /// Reads one `<item/>`.
    fn change(&self, item: &Element) -> Result<Change, StanzaError> {
        let reason = item.get_child("reason", ADMIN).map(Element::text).filter(|reason| !reason.is_empty());
        let nick = item.attr("nick");
        match (item.attr("role"), item.attr("affiliation")) {
            (Some(role), None) => {
                let role = Role::of(role).ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
                let nick = nick.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
                self.named(nick)?;
                Ok(Change::Role { nick: nick.into(), role, reason })
            }
            (_, Some(name)) => {
                let affiliation = Affiliation::of(name);
                let affiliation =
                    affiliation.ok_or_else(|| StanzaError::from(StanzaCondition::BadRequest))?;
                let jid = match (item.attr("jid"), nick) {
                    (Some(jid), _) => Jid::new(jid)
                        .map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?
                        .into_bare(),
                    (None, Some(nick)) => self.named(nick)?.bare.clone(),
                    (None, None) => return Err(StanzaCondition::BadRequest.into()),
                };
                let nick = nick.filter(|_| item.attr("jid").is_some()).map(str::to_owned);
                Ok(Change::Affiliation { jid, affiliation, nick, reason })
            }
            (None, None) => Err(StanzaCondition::BadRequest.into()),
        }
    }

    /// The occupant of that nick.
    pub(super) fn named(&self, nick: &str) -> Result<&Occupant, StanzaError> {
        self.occupants.named(nick).ok_or_else(|| {
            StanzaError::new(StanzaCondition::ItemNotFound, "There is nobody of this nick in the room.")
        })
    }

    /// Whether somebody may do that.
    fn permit(&self, who: &Visitor, power: Power, change: &Change) -> Result<(), StanzaError> {
        let forbidden = || StanzaError::new(StanzaCondition::Forbidden, "You may not do that in this room.");
        let not_allowed =
            || StanzaError::new(StanzaCondition::NotAllowed, "That cannot be done to this person.");
        match change {
            Change::Role { nick, role, .. } => {
                let target = self.named(nick)?;
                if power.role < Role::Moderator && power.affiliation < Affiliation::Admin {
                    return Err(forbidden());
                }
                // Who moderates is for admins to say (XEP-0045 §9.6, §9.7).
                let moderates =
                    *role == Role::Moderator || target.role == Role::Moderator && *role != Role::None;
                if moderates && *role != target.role && power.affiliation < Affiliation::Admin {
                    return Err(forbidden());
                }
                let higher = target.affiliation > power.affiliation;
                let keeps_voice = target.affiliation >= Affiliation::Admin && *role != Role::None;
                if *role < target.role && (higher || keeps_voice) {
                    return Err(not_allowed());
                }
                Ok(())
            }
            Change::Affiliation { jid, affiliation, nick, .. } => {
                let (own, present) = (who.jid.to_bare(), self.affiliation(jid));
                if power.affiliation < Affiliation::Admin {
                    return Err(forbidden());
                }
                if power.affiliation < Affiliation::Owner
                    && present.max(*affiliation) >= Affiliation::Admin
                    && present != *affiliation
                {
                    return Err(if present > power.affiliation { not_allowed() } else { forbidden() });
                }
                if *jid == own && *affiliation == Affiliation::Outcast {
                    return Err(StanzaError::new(StanzaCondition::Conflict, "You cannot ban yourself."));
                }
                match nick {
                    Some(nick) => self.may_use(jid, nick),
                    None => Ok(()),
                }
            }
        }
    }

    /// Sets an account's tie. A nick that is given is theirs from now on; one that they have stays with the tie.
    pub(super) fn set_affiliation(
        &mut self,
        jid: &BareJid,
        affiliation: Affiliation,
        nick: Option<String>,
        reason: Option<String>,
    ) {
        if affiliation == Affiliation::None {
            self.durable.entries.remove(jid);
            return;
        }
        let entry = self.durable.entries.entry(jid.clone()).or_default();
        let nick = nick.or_else(|| entry.nick.take()).filter(|_| affiliation != Affiliation::Outcast);
        *entry = Entry { affiliation, nick, reason };
    }

    /// Carries an account's tie over to those of it who are in. Returns them as they were, with a code for those who had
    /// to go.
    pub(super) fn apply_affiliation(&mut self, jid: &BareJid) -> Vec<(Occupant, Option<u16>)> {
        let affiliation = self.affiliation(jid);
        let settings = &self.durable.settings;
        let code = match affiliation {
            Affiliation::Outcast => Some(BANNED),
            Affiliation::None if settings.members_only => Some(LOST_MEMBERSHIP),
            _ => None,
        };
        let first = affiliation.first_role(settings.voice());
        let mut moved = Vec::new();
        for nick in self.occupants.of_account(jid) {
            let Some(was) = self.occupants.named(&nick).cloned() else { continue };
            if was.affiliation == affiliation {
                continue;
            }
            if code.is_some() {
                self.occupants.remove(&nick);
            } else {
                self.occupants.change(&nick, |one| {
                    one.affiliation = affiliation;
                    // A role that was given for the visit stays, unless it came from the tie.
                    let came_with_it = was.affiliation >= Affiliation::Admin;
                    one.role = if came_with_it { first } else { one.role.max(first) };
                    if affiliation == Affiliation::None && was.role < Role::Moderator {
                        one.role = first;
                    }
                });
            }
            moved.push((was, code));
        }
        moved
    }

    /// What everybody sees when an occupant's role or affiliation has changed. `was` is the occupant before; `code` says
    /// why somebody had to go.
    pub(super) fn tell_change(
        &self,
        was: &Occupant,
        code: Option<u16>,
        actor: Option<&str>,
        reason: Option<&str>,
    ) -> Vec<Sheet> {
        let codes = code.into_iter().collect();
        let note = Note { codes, actor, reason, ..Note::default() };
        match self.occupants.named(&was.nick).filter(|_| code.is_none()) {
            Some(one) => {
                let (seen, sees) = (self.is_shown(was.role), self.is_shown(one.role));
                let mut sheets = self.announce(one, &one.said, &note, sees, None);
                if seen && !sees {
                    let gone = Occupant { seats: Vec::new(), role: Role::None, ..one.clone() };
                    let said = Stanza::new(Kind::Presence).typed("unavailable");
                    sheets.extend(self.announce(&gone, &said, &Note::default(), true, None));
                }
                sheets
            }
            None => {
                let affiliation = self.affiliation(&was.bare);
                let gone = Occupant { role: Role::None, affiliation, ..was.clone() };
                let said = Stanza::new(Kind::Presence).typed("unavailable");
                self.announce(&gone, &said, &note, self.is_shown(was.role), None)
            }
        }
    }
}

fn listed(jid: &BareJid, entry: &Entry) -> Element {
    el("item", ADMIN)
        .with("affiliation", entry.affiliation.name())
        .with("jid", jid.as_str())
        .with("nick", entry.nick.as_deref())
        .append_all(entry.reason.as_deref().map(|reason| text("reason", ADMIN, reason)))
        .build()
}

/// How the trail shows a change.
fn recorded(change: &Change) -> Element {
    let reason =
        |reason: &Option<String>| reason.as_deref().map(|reason| text("reason", ns::MUC_USER, reason));
    match change {
        Change::Role { nick, role, reason: why } => el("item", ns::MUC_USER)
            .with("nick", &**nick)
            .with("role", role.name())
            .append_all(reason(why))
            .build(),
        Change::Affiliation { jid, affiliation, nick, reason: why } => el("item", ns::MUC_USER)
            .with("jid", jid.as_str())
            .with("affiliation", affiliation.name())
            .with("nick", nick.as_deref())
            .append_all(reason(why))
            .build(),
    }
}
