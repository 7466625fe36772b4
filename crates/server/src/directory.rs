//! What the company says about its people, beside what they say about themselves in their vCards.

mod groups;
mod search;

use jid::BareJid;
use serde::{Deserialize, Serialize};
use vault::{Expect, Record, Vault, VaultError, Write};

pub(crate) use groups::Groups;
pub(crate) use search::Search;

/// What is known about a person besides address and role. A record by bare JID under its domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The name that others see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Groups: departments, teams.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Telephone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// What the person does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl Record for Profile {
    const KIND: u16 = crate::kinds::PROFILE;
}

impl Profile {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is known about this person.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn find(vault: &Vault, user: &BareJid) -> Result<Self, VaultError> {
        let found = vault.get::<Self>(user.domain().as_str(), user.as_str()).await?;
        Ok(found.map(|found| found.value).unwrap_or_default())
    }

    /// The write that remembers it.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn put(&self, user: &BareJid) -> Result<Write, VaultError> {
        Write::put(user.domain().as_str(), user.as_str(), self, Expect::Any)
    }

    /// The write that forgets it.
    pub fn delete(user: &BareJid) -> Write {
        Write::delete::<Self>(user.domain().as_str(), user.as_str(), Expect::Any)
    }
}
