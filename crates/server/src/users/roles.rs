//! What people are to the server beside colleagues. What that lets them do is [`crate::office::access`]'s to say.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Something that somebody may be beside an employee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Runs the server and its accounts. Has no right to words.
    Admin,
    /// Reads other people's words under a matter, on the record.
    Auditor,
    /// Compliance: opens matters, approves, holds, erases, sets retention and supervision.
    Officer,
    /// Looks after the keys that everything is sealed with.
    KeyCustodian,
}

impl Role {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::Officer, Self::KeyCustodian];

    /// Its name, as the command line and the records spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Officer => "officer",
            Self::KeyCustodian => "key-custodian",
        }
    }

    /// Whether it gives power over other people's words or over who has it, which an administrator must not be able to
    /// hand out.
    pub fn is_oversight(self) -> bool {
        self != Self::Admin
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What somebody is: any number of [`Role`]s. None of them is `user`.
///
/// As text, names with commas between them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Roles(u8);

impl Roles {
    /// An employee and nothing else.
    pub const USER: Self = Self(0);

    /// Whether this is one of them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }

    /// Those that are in one of the two and not in the other.
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// Those that are in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl From<Role> for Roles {
    fn from(role: Role) -> Self {
        Self(role.bit())
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Self(roles.into_iter().fold(0, |set, role| set | role.bit()))
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("user");
        }
        for (at, role) in self.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{role}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roles({self})")
    }
}

/// The text names no [`Role`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such role; there are user, admin, auditor, officer and key-custodian, with commas between several"
)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

impl FromStr for Roles {
    type Err = UnknownRole;

    fn from_str(names: &str) -> Result<Self, UnknownRole> {
        let mut set = Self::USER;
        for name in names.split(',').map(str::trim) {
            if name != "user" {
                set.0 |= name.parse::<Role>()?.bit();
            }
        }
        Ok(set)
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Roles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_reads_back_as_it_was_written() {
        for bits in 0..16 {
            let set = Roles(bits);
            assert_eq!(set.to_string().parse(), Ok(set));
            assert_eq!(serde_json::from_str::<Roles>(&serde_json::to_string(&set).unwrap()).unwrap(), set);
        }
    }

    #[test]
    fn the_single_names_of_old_records_still_read() {
        for (name, set) in
            [("user", Roles::USER), ("auditor", Role::Auditor.into()), ("admin", Role::Admin.into())]
        {
            assert_eq!(serde_json::from_str::<Roles>(&format!("\"{name}\"")).unwrap(), set);
        }
        assert_eq!("officer, admin".parse::<Roles>().unwrap().to_string(), "admin,officer");
        for wrong in ["", "king", "admin,", "Admin"] {
            assert_eq!(wrong.parse::<Roles>(), Err(UnknownRole), "{wrong}");
        }
    }
}
