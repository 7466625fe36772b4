//! What somebody is to a room for good, and what they may do while they are in (XEP-0045 §5).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A lasting tie to a room, weakest first (XEP-0045 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// None.
    #[default]
    None,
    /// Comes into members-only rooms and has a voice in moderated ones.
    Member,
    /// Moderates, and looks after members and bans.
    Admin,
    /// Configures and destroys.
    Owner,
}

/// A place in the conversation for the length of a visit, weakest first (XEP-0045 §5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Not in the room.
    #[default]
    None,
    /// Listens.
    Visitor,
    /// Speaks.
    Participant,
    /// Gives and takes voice, and sends people out.
    Moderator,
}

impl Affiliation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Outcast, Self::None, Self::Member, Self::Admin, Self::Owner];

    /// As protocols write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// The role that somebody comes in with (XEP-0045 §5.1.2).
    pub fn first_role(self, voice: Voice) -> Role {
        match (self, voice) {
            (Self::Outcast, _) => Role::None,
            (Self::None, Voice::Members) | (Self::None | Self::Member, Voice::Admins) => Role::Visitor,
            (Self::None | Self::Member, _) => Role::Participant,
            (Self::Admin | Self::Owner, _) => Role::Moderator,
        }
    }
}

/// Who comes in with a voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Whoever may come in.
    Everyone,
    /// Members: the room is moderated.
    Members,
    /// Admins and owners: the room is for announcements.
    Admins,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Visitor, Self::Participant, Self::Moderator];

    /// As protocols write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// The one of that name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl fmt::Display for Affiliation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
