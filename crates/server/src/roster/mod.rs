//! Rosters (RFC 6121 §2) with versions (§2.6).

pub mod subscription;

use std::collections::BTreeMap;

use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::BareJid;
use vault::{Record, Versioned};
use xmpp_parsers::ns;

use crate::xml::{With, el, text};
use subscription::State;

/// One contact of one account, as stored. Parent: the account's bare JID; key: the contact's.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// The name that the account gave.
    #[serde(default)]
    pub name: Option<String>,
    /// Groups, in the client's order.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Groups of the company that the contact shares with the account by rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub company: Vec<String>,
    /// Subscriptions.
    pub state: State,
    /// Whether the account sees it in the roster; a mere request from a stranger is not listed.
    pub listed: bool,
    /// The stranger's request, delivered again at each sign-in until it is answered (RFC 6121 §3.1.3).
    #[serde(default)]
    pub request: Option<String>,
    /// The roster version that this change made.
    pub changed: u64,
}

impl Record for Contact {
    const KIND: u16 = crate::kinds::CONTACT;
}

impl Contact {
    /// The `<item/>` of results and pushes.
    pub fn item(&self, jid: &BareJid) -> Element {
        if !self.listed {
            return el("item", ns::ROSTER).with("jid", jid.as_str()).with("subscription", "remove").build();
        }
        let own = self.groups.iter().filter(|group| !self.company.contains(group));
        el("item", ns::ROSTER)
            .with("jid", jid.as_str())
            .with("name", self.name.as_deref())
            .with("subscription", self.state.name())
            .with("ask", self.state.asked.then_some("subscribe"))
            .with("approved", self.state.approved.then_some("true"))
            .append_all(self.company.iter().chain(own).map(|group| text("group", ns::ROSTER, group)))
            .build()
    }
}

/// An account's roster in memory.
#[derive(Default)]
pub struct Roster {
    contacts: BTreeMap<BareJid, Versioned<Contact>>,
    version: u64,
}

impl Roster {
    /// From what is stored.
    pub fn new(stored: impl IntoIterator<Item = (BareJid, Versioned<Contact>)>) -> Self {
        let contacts: BTreeMap<_, _> = stored.into_iter().collect();
        let version = contacts.values().map(|contact| contact.value.changed).max().unwrap_or(0);
        Self { contacts, version }
    }

    /// The version that a client may name later.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A contact, listed or not.
    pub fn contact(&self, jid: &BareJid) -> Option<&Versioned<Contact>> {
        self.contacts.get(jid)
    }

    /// The state towards a JID; that of strangers is the default.
    pub fn state(&self, jid: &BareJid) -> State {
        self.contacts.get(jid).map(|contact| contact.value.state).unwrap_or_default()
    }

    /// All that is there, removed ones included.
    pub fn contacts(&self) -> impl Iterator<Item = (&BareJid, &Contact)> {
        self.contacts.iter().map(|(jid, contact)| (jid, &contact.value))
    }

    /// Listed contacts.
    pub fn listed(&self) -> impl Iterator<Item = (&BareJid, &Contact)> {
        self.contacts().filter(|(_, contact)| contact.listed)
    }

    /// Changes after `version`, oldest first; `None` when that version is not of this roster.
    pub fn since(&self, version: u64) -> Option<Vec<(&BareJid, &Contact)>> {
        if version > self.version {
            return None;
        }
        let mut changes: Vec<_> = self.contacts().filter(|(_, contact)| contact.changed > version).collect();
        changes.sort_by_key(|(_, contact)| contact.changed);
        Some(changes)
    }

    /// Reserves the next version.
    pub fn advance(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Takes in what has been stored.
    pub fn set(&mut self, jid: BareJid, contact: Versioned<Contact>) {
        self.version = self.version.max(contact.value.changed);
        // Of two changes at once, the one that was stored first may arrive here last.
        if self.contacts.get(&jid).is_none_or(|known| known.version < contact.version) {
            self.contacts.insert(jid, contact);
        }
    }
}
