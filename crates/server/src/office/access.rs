//! Who may what: the one place where rights follow from roles.

use std::fmt;
use std::str::FromStr;

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::users::{Role, Roles};

/// Something that one may or may not do. Its name is also a scope of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Search and read one's own conversations.
    OwnWords,
    /// See one's own account, and change what is one's own to change.
    OwnAccount,
    /// See how the server is, and its numbers.
    SeeStatus,
    /// See accounts and groups.
    SeePeople,
    /// Make, change, disable and remove accounts, and put people into groups.
    ManagePeople,
    /// Say who is an auditor, an officer or a key custodian, and set such a person's password.
    GrantOversight,
    /// Read the audit chain.
    ReadAudit,
    /// Check that nothing was changed in the archive.
    Verify,
    /// Open and change matters, and see them.
    OpenMatter,
    /// Give the second approval.
    Approve,
    /// Search and read other people's words under a matter.
    ReadWords,
    /// Take other people's words out of the archive under a matter.
    Export,
    /// Place holds.
    Hold,
    /// Release holds.
    ReleaseHold,
    /// Set how long things are kept, and carry it out.
    Retain,
    /// Erase what somebody wrote.
    Erase,
    /// Decide about items of the review queue.
    Review,
    /// Set the rules by which items come into the review queue.
    Supervise,
    /// Have everything copied to another archive as it comes in.
    Journal,
    /// Rotate keys.
    Keys,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::OwnWords,
        Self::OwnAccount,
        Self::SeeStatus,
        Self::SeePeople,
        Self::ManagePeople,
        Self::GrantOversight,
        Self::ReadAudit,
        Self::Verify,
        Self::OpenMatter,
        Self::Approve,
        Self::ReadWords,
        Self::Export,
        Self::Hold,
        Self::ReleaseHold,
        Self::Retain,
        Self::Erase,
        Self::Review,
        Self::Supervise,
        Self::Journal,
        Self::Keys,
    ];

    /// Its name, as tokens and the API spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OwnWords => "own-words",
            Self::OwnAccount => "own-account",
            Self::SeeStatus => "see-status",
            Self::SeePeople => "see-people",
            Self::ManagePeople => "manage-people",
            Self::GrantOversight => "grant-oversight",
            Self::ReadAudit => "read-audit",
            Self::Verify => "verify",
            Self::OpenMatter => "open-matter",
            Self::Approve => "approve",
            Self::ReadWords => "read-words",
            Self::Export => "export",
            Self::Hold => "hold",
            Self::ReleaseHold => "release-hold",
            Self::Retain => "retain",
            Self::Erase => "erase",
            Self::Review => "review",
            Self::Supervise => "supervise",
            Self::Journal => "journal",
            Self::Keys => "keys",
        }
    }

    /// The roles that have it. Empty: everybody does.
    fn holders(self) -> &'static [Role] {
        use Role::{Admin, Auditor, KeyCustodian, Officer};

        match self {
            Self::OwnWords | Self::OwnAccount => &[],
            Self::SeeStatus => &[Admin],
            Self::SeePeople => &[Admin, Auditor, Officer],
            Self::ManagePeople => &[Admin],
            Self::GrantOversight | Self::Approve | Self::ReleaseHold => &[Officer],
            Self::Retain | Self::Erase | Self::Supervise | Self::Journal => &[Officer],
            Self::ReadAudit | Self::OpenMatter | Self::Hold | Self::Review => &[Auditor, Officer],
            Self::Verify => &[Admin, Auditor, Officer, KeyCustodian],
            Self::ReadWords | Self::Export => &[Auditor],
            Self::Keys => &[KeyCustodian],
        }
    }

    /// The roles that have it, in words.
    pub fn holders_in_words(self) -> String {
        match self.holders() {
            [] => "everybody".to_owned(),
            [role] => format!("the role {role}"),
            roles => {
                let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
                format!("one of the roles {}", names.join(", "))
            }
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no [`Right`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no right of this name")]
pub struct UnknownRight;

impl FromStr for Right {
    type Err = UnknownRight;

    fn from_str(name: &str) -> Result<Self, UnknownRight> {
        Self::ALL.into_iter().find(|right| right.name() == name).ok_or(UnknownRight)
    }
}

/// In the description of the API: a string of [`Right::ALL`]'s names.
impl PartialSchema for Right {
    fn schema() -> RefOr<Schema> {
        let names = Self::ALL.map(Self::name);
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build().into()
    }
}

impl ToSchema for Right {}

/// A set of rights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u32);

impl Rights {
    /// Whether this is one of them.
    pub fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// Those that are in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Their names.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|right| right.name().to_owned()).collect()
    }
}

impl FromIterator<Right> for Rights {
    fn from_iter<I: IntoIterator<Item = Right>>(rights: I) -> Self {
        Self(rights.into_iter().fold(0, |set, right| set | right.bit()))
    }
}

impl Roles {
    /// Whether somebody with these roles has a right.
    pub fn may(self, right: Right) -> bool {
        let holders = right.holders();
        holders.is_empty() || holders.iter().any(|role| self.has(*role))
    }

    /// All rights of somebody with these roles.
    pub fn rights(self) -> Rights {
        Right::ALL.into_iter().filter(|right| self.may(*right)).collect()
    }

    /// Whether somebody with these roles may set the password or the second factor of somebody with the roles `of`, or
    /// take them over otherwise: who could, would have their rights.
    pub fn may_take_over(self, of: Self) -> bool {
        self.may(Right::ManagePeople) && !of.iter().any(Role::is_oversight) || self.may(Right::GrantOversight)
    }

    /// Whether somebody with these roles may change somebody else's from `before` to `after`.
    pub fn may_change(self, before: Self, after: Self) -> bool {
        before.difference(after).iter().all(|role| match role.is_oversight() {
            true => self.may(Right::GrantOversight),
            false => self.may(Right::ManagePeople),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_right_reads_back_as_it_was_written() {
        for right in Right::ALL {
            assert_eq!(right.name().parse(), Ok(right));
        }
        assert!("".parse::<Right>().is_err());
        assert_eq!(Right::ALL.into_iter().collect::<Rights>().iter().count(), Right::ALL.len());
    }

    #[test]
    fn an_administrator_has_no_right_to_words_and_cannot_hand_one_out() {
        let admin = Roles::from(Role::Admin);
        for right in [Right::ReadWords, Right::Export, Right::Review, Right::OpenMatter, Right::ReadAudit] {
            assert!(!admin.may(right), "{right}");
        }
        for role in [Role::Auditor, Role::Officer, Role::KeyCustodian] {
            assert!(!admin.may_change(Roles::USER, role.into()), "{role}");
            assert!(!admin.may_change(role.into(), Roles::USER), "{role}");
            assert!(!admin.may_take_over(role.into()), "{role}");
        }
        assert!(admin.may_change(Roles::USER, admin) && admin.may_take_over(admin));
    }

    #[test]
    fn an_officer_hands_out_oversight_but_not_the_server() {
        let officer = Roles::from(Role::Officer);
        assert!(officer.may_change(Roles::USER, Role::Auditor.into()));
        assert!(!officer.may_change(Roles::USER, Role::Admin.into()));
        assert!(!officer.may(Right::ReadWords) && !officer.may(Right::Export));
    }

    #[test]
    fn an_employee_has_what_is_their_own() {
        let rights: Vec<Right> = Roles::USER.rights().iter().collect();
        assert_eq!(rights, [Right::OwnWords, Right::OwnAccount]);
    }
}
