//! What the owner decides about a room (XEP-0045 §10 and §15.5).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::standing::{Role, Voice};

/// A room's configuration. Part of a record, so fields may be added with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// For people. Empty: the address speaks for itself.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The language that is spoken, as RFC 5646 names it; or empty.
    pub language: String,
    /// It stays when the last one leaves.
    pub persistent: bool,
    /// It is in the list of rooms.
    pub public: bool,
    /// What one must know to come in.
    pub password: Option<String>,
    /// Only members come in.
    pub members_only: bool,
    /// Only who has a voice speaks.
    pub moderated: bool,
    /// Only admins and owners speak, and whom they give a voice.
    pub announcements: bool,
    /// Everybody sees real addresses, not only moderators.
    pub open_names: bool,
    /// Every participant may change the subject.
    pub everyone_names_subject: bool,
    /// Every member may invite, not only admins.
    pub everyone_invites: bool,
    /// Who may send private messages: the least role.
    pub private_messages: Private,
    /// How many sessions fit. Owners and admins always do.
    pub most: Option<u32>,
    /// Whose coming and going is shown to the others.
    pub shown: BTreeSet<Role>,
    /// Who may read the lists of affiliations.
    pub lists_for: BTreeSet<Role>,
    /// Messages of the past that somebody who comes in gets, when they ask for no number.
    pub history: u32,
    /// A node that belongs to it (XEP-0060), as `xmpp:` URI; or empty.
    pub pubsub: String,
    /// Whoever has no voice may ask for one.
    pub voice_requests: bool,
    /// Whom to ask about it: addresses.
    pub contacts: Vec<String>,
}

/// Who may send private messages within a room (`muc#roomconfig_allowpm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Private {
    /// Every occupant.
    #[default]
    Anyone,
    /// Who has a voice.
    Participants,
    /// Moderators only.
    Moderators,
    /// Nobody.
    None,
}

/// Messages of the past that are at hand for who comes in; the archive has all.
pub const MOST_HISTORY: u32 = 100;

impl Default for Settings {
    fn default() -> Self {
        let everyone = || BTreeSet::from([Role::Moderator, Role::Participant, Role::Visitor]);
        Self {
            name: String::new(),
            description: String::new(),
            language: String::new(),
            persistent: false,
            public: true,
            password: None,
            members_only: false,
            moderated: false,
            announcements: false,
            open_names: false,
            everyone_names_subject: false,
            everyone_invites: true,
            private_messages: Private::Anyone,
            most: None,
            shown: everyone(),
            lists_for: everyone(),
            history: 20,
            pubsub: String::new(),
            voice_requests: true,
            contacts: Vec::new(),
        }
    }
}

impl Settings {
    /// Who comes in with a voice.
    pub fn voice(&self) -> Voice {
        match (self.announcements, self.moderated) {
            (true, _) => Voice::Admins,
            (false, true) => Voice::Members,
            (false, false) => Voice::Everyone,
        }
    }
}

impl Private {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Anyone, Self::Participants, Self::Moderators, Self::None];

    /// As the form writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Participants => "participants",
            Self::Moderators => "moderators",
            Self::None => "none",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Whether somebody in this role may send one.
    pub fn permits(self, role: Role) -> bool {
        match self {
            Self::Anyone => role > Role::None,
            Self::Participants => role >= Role::Participant,
            Self::Moderators => role >= Role::Moderator,
            Self::None => false,
        }
    }
}
