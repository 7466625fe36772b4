//! Retention: how long what was said must be kept, and how long it may be.
//!
//! The rules, in this order:
//! 1. What a hold binds stays.
//! 2. What a *minimum* protects stays: a duty to keep goes before a person's wish to be forgotten (GDPR 17(3)(b)). Of all
//!    policies that apply, the longest minimum counts.
//! 3. What somebody asked to have erased goes.
//! 4. What is older than its *maximum* goes. The maximum is the one of the most specific policies: a room's before a
//!    person's, a person's before a group's, a group's before a network's, and the company's default last; of several that
//!    are equally specific, the shortest.
//!
//! All of this is pure; [`Policies`] keeps the policies.

use std::collections::BTreeMap;

use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};
use vault::{Expect, Micros, Record, Vault, VaultError, Version, Versioned, Write};

use crate::Item;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What a policy is about. In this order, the later is the more specific.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Subject {
    /// Everything that nothing more specific is about.
    Everything,
    /// What comes from or goes to a domain: a gateway's, say, or another company's.
    Network(String),
    /// What somebody of a group of the company says or is told.
    Group(String),
    /// What a person says or is told.
    Person(BareJid),
    /// What is said in a room.
    Room(BareJid),
}

impl Subject {
    fn rank(&self) -> u8 {
        match self {
            Self::Everything => 0,
            Self::Network(_) => 1,
            Self::Group(_) => 2,
            Self::Person(_) => 3,
            Self::Room(_) => 4,
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Network(domain) => write!(f, "network:{domain}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Person(person) => write!(f, "person:{person}"),
            Self::Room(room) => write!(f, "room:{room}"),
        }
    }
}

impl std::str::FromStr for Subject {
    type Err = String;

    /// Reads what it is displayed as.
    fn from_str(text: &str) -> Result<Self, String> {
        let address =
            |text: &str| BareJid::new(text).map_err(|error| format!("{text} is no address: {error}"));
        match text.split_once(':') {
            None if text == "everything" => Ok(Self::Everything),
            Some(("network", domain)) if !domain.is_empty() => Ok(Self::Network(domain.to_lowercase())),
            Some(("group", name)) if !name.is_empty() => Ok(Self::Group(name.into())),
            Some(("person", person)) => Ok(Self::Person(address(person)?)),
            Some(("room", room)) => Ok(Self::Room(address(room)?)),
            _ => Err(format!(
                "{text}: say everything, network:DOMAIN, group:NAME, person:ADDRESS or room:ADDRESS"
            )),
        }
    }
}

/// How long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// About what.
    pub subject: Subject,
    /// Days for which it must be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<u32>,
    /// Days after which it must go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u32>,
    /// Which law or rule says so.
    #[serde(default)]
    pub reason: String,
    /// Who set it last.
    pub by: Jid,
    /// When.
    pub at: Micros,
}

/// What retention needs to know of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Who said it.
    pub from: BareJid,
    /// To whom, or in which room.
    pub to: BareJid,
    /// When.
    pub time: Micros,
}

impl From<&Item> for Facts {
    fn from(item: &Item) -> Self {
        Self { from: item.from.to_bare(), to: item.to.to_bare(), time: item.time }
    }
}

/// The policies of one moment, ready to decide.
pub struct Rules<'a> {
    policies: Vec<Policy>,
    /// The groups that somebody is in.
    groups: &'a (dyn Fn(&BareJid) -> Vec<String> + Send + Sync),
    now: Micros,
}

/// What retention says of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Term {
    /// It must stay: this policy's minimum is not over.
    pub protected: Option<Subject>,
    /// It is older than this policy lets it be.
    pub over: Option<Subject>,
}

/// Why something stays that would go otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A hold for the matter of this id.
    Hold(String),
    /// A policy's minimum.
    Minimum(Subject),
}

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody wants it to go.
    Stays,
    /// It would have to go, and something is in the way.
    Kept(Why),
    /// It goes.
    Goes,
}

/// Decides by the rules above. `holds` are the matters that bind the event, `asked` whether somebody wants it erased.
pub fn judge(holds: &[&str], term: &Term, asked: bool) -> Verdict {
    if !asked && term.over.is_none() {
        return Verdict::Stays;
    }
    match (holds.first(), &term.protected) {
        (Some(matter), _) => Verdict::Kept(Why::Hold((*matter).to_owned())),
        (None, Some(subject)) => Verdict::Kept(Why::Minimum(subject.clone())),
        (None, None) => Verdict::Goes,
    }
}

impl<'a> Rules<'a> {
    /// With these policies at this moment.
    pub fn new(
        policies: Vec<Policy>,
        groups: &'a (dyn Fn(&BareJid) -> Vec<String> + Send + Sync),
        now: Micros,
    ) -> Self {
        Self { policies, groups, now }
    }

    /// What they say of an event.
    pub fn term(&self, facts: &Facts) -> Term {
        let applying: Vec<&Policy> =
            self.policies.iter().filter(|policy| self.applies(&policy.subject, facts)).collect();
        let age = self.now.0.saturating_sub(facts.time.0);
        let days = |days: u32| i64::from(days).saturating_mul(DAY);
        let longest = applying.iter().filter_map(|policy| Some((policy.minimum?, &policy.subject))).max();
        let limits = applying.iter().filter_map(|policy| Some((policy.maximum?, &policy.subject)));
        // The most specific one that has something to say; then the shortest.
        let limit = limits.max_by_key(|(maximum, subject)| (subject.rank(), std::cmp::Reverse(*maximum)));
        Term {
            protected: longest
                .filter(|(minimum, _)| age < days(*minimum))
                .map(|(_, subject)| subject.clone()),
            over: limit.filter(|(maximum, _)| age >= days(*maximum)).map(|(_, subject)| subject.clone()),
        }
    }

    /// Nothing younger than this can be over. `None`: nothing can.
    pub fn horizon(&self) -> Option<Micros> {
        let shortest = self.policies.iter().filter_map(|policy| policy.maximum).min()?;
        Some(Micros(self.now.0.saturating_sub(i64::from(shortest).saturating_mul(DAY))))
    }

    fn applies(&self, subject: &Subject, facts: &Facts) -> bool {
        let either = [&facts.from, &facts.to];
        match subject {
            Subject::Everything => true,
            Subject::Network(domain) => either.iter().any(|who| who.domain().as_str() == domain),
            Subject::Group(name) => either.iter().any(|who| (self.groups)(who).contains(name)),
            Subject::Person(person) => either.contains(&person),
            Subject::Room(room) => either.contains(&room),
        }
    }
}

/// All policies, with how they were before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    policies: BTreeMap<String, Policy>,
    /// Oldest first.
    before: Vec<Policy>,
}

impl Record for Book {
    const KIND: u16 = 0x4123;
}

/// Why a policy was not set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// It contradicts itself; says how.
    #[error("{0}")]
    Contradiction(&'static str),
    /// The vault refused; with [`VaultError::Conflict`], somebody else changed the policies first.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// The company's policies, sealed and versioned. Who may change them, and the audit chain, are the caller's.
#[derive(Clone)]
pub struct Policies {
    vault: Vault,
}

impl Policies {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    /// All of them, and the version for the next change.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn all(&self) -> Result<Versioned<Vec<Policy>>, VaultError> {
        let Versioned { value, version } = self.book().await?;
        Ok(Versioned { value: value.policies.into_values().collect(), version })
    }

    /// Policies that were replaced or removed, oldest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn former(&self) -> Result<Vec<Policy>, VaultError> {
        Ok(self.book().await?.value.before)
    }

    /// Sets the policy about a subject. With neither minimum nor maximum, there is none any more.
    ///
    /// # Errors
    /// [`PolicyError::Contradiction`]; [`VaultError::Conflict`] if they were changed since `version`.
    pub async fn set(&self, policy: Policy, version: Version) -> Result<Version, PolicyError> {
        if let (Some(minimum), Some(maximum)) = (policy.minimum, policy.maximum)
            && minimum > maximum
        {
            return Err(PolicyError::Contradiction(
                "what must be kept longer than it may be kept is a contradiction",
            ));
        }
        if policy.maximum == Some(0) {
            return Err(PolicyError::Contradiction("a maximum of no day would erase everything at once"));
        }
        let Versioned { value: mut book, version: found } = self.book().await?;
        if found != version {
            return Err(VaultError::Conflict.into());
        }
        let key = policy.subject.to_string();
        book.before.extend(book.policies.remove(&key));
        if policy.minimum.is_some() || policy.maximum.is_some() {
            book.policies.insert(key, policy);
        }
        let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
        Ok(self.vault.apply(vec![Write::put("", "policies", &book, expect)?]).await?)
    }

    async fn book(&self) -> Result<Versioned<Book>, VaultError> {
        let found = self.vault.get::<Book>("", "policies").await?;
        Ok(found.unwrap_or(Versioned { value: Book::default(), version: 0 }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Micros = Micros(1_000 * DAY);

    fn policy(subject: &str, minimum: Option<u32>, maximum: Option<u32>) -> Policy {
        let by = Jid::new("officer@corp.example").unwrap();
        Policy { subject: subject.parse().unwrap(), minimum, maximum, reason: String::new(), by, at: NOW }
    }

    fn groups(who: &BareJid) -> Vec<String> {
        if who.as_str().starts_with("trader") { vec!["traders".into()] } else { Vec::new() }
    }

    fn facts(from: &str, to: &str, days: i64) -> Facts {
        let bare = |text| BareJid::new(text).unwrap();
        Facts { from: bare(from), to: bare(to), time: Micros(NOW.0 - days * DAY) }
    }

    fn term(policies: &[Policy], facts: &Facts) -> String {
        let term = Rules::new(policies.to_vec(), &groups, NOW).term(facts);
        match (term.protected, term.over) {
            (None, None) => "free".into(),
            (Some(subject), _) => format!("kept by {subject}"),
            (None, Some(subject)) => format!("over by {subject}"),
        }
    }

    const SUBJECTS: [&str; 6] = [
        "everything",
        "network:sms.example",
        "group:traders",
        "person:trader@corp.example",
        "person:ann@corp.example",
        "room:desk@rooms.corp.example",
    ];

    #[test]
    fn a_maximum_beyond_all_time_takes_nothing_and_such_a_minimum_keeps_all() {
        let old = facts("ann@corp.example", "ben@corp.example", 900);
        assert_eq!(term(&[policy("everything", None, Some(u32::MAX))], &old), "free");
        assert_eq!(term(&[policy("everything", Some(u32::MAX), Some(1))], &old), "kept by everything");
        let rules = [policy("everything", None, Some(u32::MAX))];
        assert!(Rules::new(rules.to_vec(), &groups, NOW).horizon().is_some_and(|horizon| horizon.0 < 0));
    }

    #[test]
    fn the_most_specific_maximum_counts_and_of_equals_the_shortest() {
        let all = [
            policy("everything", None, Some(10)),
            policy("network:sms.example", None, Some(20)),
            policy("group:traders", None, Some(30)),
            policy("person:trader@corp.example", None, Some(50)),
            policy("person:ann@corp.example", None, Some(40)),
            policy("room:desk@rooms.corp.example", None, Some(60)),
        ];
        for (from, to, limit, by) in [
            ("ann2@corp.example", "ben@corp.example", 10, "everything"),
            ("ben@corp.example", "1234@sms.example", 20, "network:sms.example"),
            ("trader2@corp.example", "1234@sms.example", 30, "group:traders"),
            ("trader@corp.example", "ben@corp.example", 50, "person:trader@corp.example"),
            ("trader@corp.example", "ann@corp.example", 40, "person:ann@corp.example"),
            ("ann@corp.example", "desk@rooms.corp.example", 60, "room:desk@rooms.corp.example"),
        ] {
            assert_eq!(term(&all, &facts(from, to, limit - 1)), "free", "{from} {to}");
            assert_eq!(term(&all, &facts(from, to, limit)), format!("over by {by}"), "{from} {to}");
        }
    }

    #[test]
    fn the_longest_minimum_binds_whoever_set_it_and_whatever_maximum_there_is() {
        let all = [
            policy("everything", Some(100), Some(200)),
            policy("person:ann@corp.example", None, Some(5)),
            policy("group:traders", Some(300), None),
        ];
        let to_ann = |days| facts("ben@corp.example", "ann@corp.example", days);
        assert_eq!(term(&all, &to_ann(99)), "kept by everything");
        assert_eq!(term(&all, &to_ann(100)), "over by person:ann@corp.example");
        let to_trader = |days| facts("ben@corp.example", "trader@corp.example", days);
        assert_eq!(term(&all, &to_trader(299)), "kept by group:traders");
        assert_eq!(term(&all, &to_trader(300)), "over by everything");
        assert_eq!(term(&[], &to_ann(100_000)), "free");
    }

    #[test]
    fn subjects_are_read_as_they_are_shown_and_nonsense_is_refused() {
        for text in SUBJECTS {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
        for text in ["", "all", "room:", "person:@", "group:", "network:", "x:y"] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_rules_hold_for_any_policies(
            set in proptest::collection::vec(
                (0..SUBJECTS.len(), proptest::option::of(0..50u32), proptest::option::of(1..50u32)), 0..8),
            from in prop::sample::select(vec!["trader@corp.example", "ann@corp.example", "ben@corp.example"]),
            to in prop::sample::select(vec!["ann@corp.example", "desk@rooms.corp.example", "1@sms.example"]),
            age in 0..60i64,
        ) {
            let policies: Vec<Policy> =
                set.iter().map(|(at, minimum, maximum)| policy(SUBJECTS[*at], *minimum, *maximum)).collect();
            let facts = facts(from, to, age);
            let rules = Rules::new(policies.clone(), &groups, NOW);
            let applying: Vec<&Policy> =
                policies.iter().filter(|policy| rules.applies(&policy.subject, &facts)).collect();
            let protected = applying.iter().any(|policy| policy.minimum.is_some_and(|days| age < i64::from(days)));
            let best = applying.iter().filter(|policy| policy.maximum.is_some()).map(|policy| policy.subject.rank()).max();
            let over = applying.iter().any(|policy| {
                Some(policy.subject.rank()) == best && policy.maximum.is_some_and(|days| age >= i64::from(days))
            });
            let term = rules.term(&facts);
            prop_assert_eq!(term.protected.is_some(), protected);
            prop_assert_eq!(term.over.is_some(), over);
            // So a walk up to the horizon misses nothing.
            prop_assert!(!over || rules.horizon().is_some_and(|horizon| facts.time <= horizon));
        }
    }

    /// All there is to know of an event, in all combinations.
    #[test]
    fn a_hold_beats_a_minimum_which_beats_an_erasure_which_beats_a_maximum() {
        let subject = || Some(Subject::Everything);
        for (held, protected, asked, over) in
            (0..16).map(|bits| (bits & 8 != 0, bits & 4 != 0, bits & 2 != 0, bits & 1 != 0))
        {
            let term = Term { protected: subject().filter(|_| protected), over: subject().filter(|_| over) };
            let holds: &[&str] = if held { &["m-1"] } else { &[] };
            let expected = match (held, protected, asked, over) {
                // Nobody wants it gone.
                (_, _, false, false) => Verdict::Stays,
                (true, _, _, _) => Verdict::Kept(Why::Hold("m-1".into())),
                (false, true, _, _) => Verdict::Kept(Why::Minimum(Subject::Everything)),
                (false, false, true, _) | (false, false, _, true) => Verdict::Goes,
            };
            assert_eq!(judge(holds, &term, asked), expected, "{held} {protected} {asked} {over}");
        }
    }
}
