//! Invitations: a link that lets a newcomer make an account (XEP-0401, XEP-0445) or become somebody's contact without
//! being asked (XEP-0379).
//!
//! A link holds a token that cannot be guessed. It is good once and for a while; what it is good for is a sealed record.

mod door;

use serde::{Deserialize, Serialize};
use vault::{Expect, Record, Vault, VaultError, Version, Versioned, Write};

use crate::clock;
use crate::sessions::new_id;

pub use door::{Invitations, Refusal, is_expected};

/// The protocol's elements that carry a token (XEP-0379 §5, XEP-0445 §4).
pub const PREAUTH: &str = "urn:xmpp:pars:0";

/// How long a link is good if nobody says otherwise.
pub const DAYS: u32 = 7;

/// Links that one person, or the operator, may have open.
const MOST: usize = 500;

/// What a token is good for, as stored. Parent: none; key: the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// What it opens.
    pub to: Purpose,
    /// Whose contact the newcomer becomes, as a bare JID; the operator's links have nobody.
    #[serde(default)]
    pub by: Option<String>,
    /// The domain of the account.
    pub domain: String,
    /// The name of the account, if it is not free to choose.
    #[serde(default)]
    pub name: Option<String>,
    /// How the person is called.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Groups that the newcomer will be in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Seconds since 1970.
    pub expires: u64,
}

/// What an invitation opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// A new account.
    Account,
    /// A place in somebody's roster.
    Contact,
}

impl Record for Invitation {
    const KIND: u16 = crate::kinds::INVITATION;
}

/// Why no link is made.
#[derive(Debug, thiserror::Error)]
pub enum NotIssued {
    /// There are too many.
    #[error("there are {MOST} open invitations already; wait until some are used or expire")]
    TooMany,
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Invitation {
    /// Good for so many days from now.
    pub fn new(to: Purpose, domain: &str, days: u32) -> Self {
        let expires = clock::seconds() + u64::from(days.max(1)) * 86_400;
        Self {
            to,
            by: None,
            domain: domain.to_owned(),
            name: None,
            display_name: None,
            groups: Vec::new(),
            expires,
        }
    }

    /// Stores it and returns its token. What has expired is cleared away with it.
    ///
    /// # Errors
    /// When the inviter has too many open; when the vault refuses.
    pub async fn issue(&self, vault: &Vault) -> Result<String, NotIssued> {
        let mut writes = Vec::new();
        let mut open = 0;
        for (token, stored) in vault.list::<Self>("").await? {
            if stored.value.is_over() {
                writes.push(Write::delete::<Self>("", &token, Expect::Any));
            } else if stored.value.by == self.by {
                open += 1;
            }
        }
        if open >= MOST {
            return Err(NotIssued::TooMany);
        }
        let token = new_id().into_string();
        writes.push(Write::put("", &token, self, Expect::Absent)?);
        vault.apply(writes).await?;
        Ok(token)
    }

    /// What a token is good for, if it is good.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn find(vault: &Vault, token: &str) -> Result<Option<Versioned<Self>>, VaultError> {
        let found = vault.get::<Self>("", token).await?;
        Ok(found.filter(|found| !found.value.is_over()))
    }

    /// Uses a token up. False when somebody else was quicker.
    async fn use_up(vault: &Vault, token: &str, version: Version) -> Result<bool, VaultError> {
        match vault.apply(vec![Write::delete::<Self>("", token, Expect::Version(version))]).await {
            Ok(_) => Ok(true),
            Err(VaultError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a token back that did not lead to anything.
    async fn restore(&self, vault: &Vault, token: &str) -> Result<(), VaultError> {
        vault.apply(vec![Write::put("", token, self, Expect::Absent)?]).await.map(|_| ())
    }

    /// The link for clients (RFC 5122, XEP-0379 §3, XEP-0401 §3).
    pub fn uri(&self, token: &str) -> String {
        match (&self.by, self.to) {
            (Some(by), Purpose::Contact) => format!("xmpp:{by}?roster;preauth={token}"),
            _ => match &self.name {
                Some(name) => format!("xmpp:{name}@{}?register;preauth={token}", self.domain),
                None => format!("xmpp:{}?register;preauth={token}", self.domain),
            },
        }
    }

    fn is_over(&self) -> bool {
        self.expires <= clock::seconds()
    }
}

/// The path of a link's page on the web side.
pub fn path(token: &str) -> String {
    format!("/invite/{token}")
}
