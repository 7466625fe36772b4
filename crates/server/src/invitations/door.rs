//! Letting people in who bring a token.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use stanza::BareJid;
use vault::{Vault, VaultError, Versioned};

use super::{Invitation, Purpose};
use crate::accounts::Accounts;
use crate::directory::Profile;
use crate::http::Origin;
use crate::users::{NewAccount, SignInLimit, UserError, Users};

/// What takes tokens.
#[derive(Clone)]
pub struct Invitations {
    /// Makes accounts.
    pub accounts: Accounts,
    /// Registrations per address and minute.
    pub limit: Arc<SignInLimit>,
    /// Where links begin.
    pub origin: Arc<Origin>,
}

/// Why nobody is let in.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such token any more.
    #[error("this invitation was used already, or it has expired")]
    Gone,
    /// The invitation is for another name.
    #[error("this invitation is for another name")]
    OtherName,
    /// One at a time.
    #[error("too many registrations from this address; try again in a minute")]
    TooMany,
    /// The account cannot be made.
    #[error(transparent)]
    User(#[from] UserError),
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        Self::User(error.into())
    }
}

impl Invitations {
    /// What a token is good for.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn find(&self, token: &str) -> Result<Option<Invitation>, VaultError> {
        Ok(Invitation::find(self.vault(), token).await?.map(|found| found.value))
    }

    /// The link's page, if there is a web side.
    pub fn page(&self, domain: &str, token: &str) -> Option<String> {
        self.origin.url(domain).map(|origin| origin + &super::path(token))
    }

    /// Makes the account that a token is good for, with its groups and its first contact. The token is used up unless
    /// the account cannot be made.
    ///
    /// # Errors
    /// [`Refusal`], in words for the newcomer.
    pub async fn redeem(
        &self,
        token: &str,
        name: &str,
        password: &str,
        peer: IpAddr,
    ) -> Result<BareJid, Refusal> {
        if !self.limit.admit(peer, Instant::now()) {
            return Err(Refusal::TooMany);
        }
        let found = Invitation::find(self.vault(), token).await?;
        let Some(Versioned { value: invitation, version }) = found else { return Err(Refusal::Gone) };
        if invitation.to != Purpose::Account {
            return Err(Refusal::Gone);
        }
        let domain = jid::DomainPart::new(&invitation.domain).map_err(|_| UserError::BadName)?;
        let user = Users::address(name, &domain)?;
        if let Some(reserved) = &invitation.name
            && Users::address(reserved, &domain)? != user
        {
            return Err(Refusal::OtherName);
        }
        if !Invitation::use_up(self.vault(), token, version).await? {
            return Err(Refusal::Gone);
        }
        let new = NewAccount { name: invitation.display_name.clone(), ..NewAccount::new(password) };
        if let Err(error) = self.accounts.users.create(&user, new).await {
            invitation.restore(self.vault(), token).await?;
            return Err(error.into());
        }
        let (groups, name) = (invitation.groups, invitation.display_name);
        let profile = Profile { name, groups, ..Profile::default() };
        if !profile.is_empty() {
            self.vault().apply(vec![profile.put(&user)?]).await?;
        }
        if let Some(by) = invitation.by.as_deref().and_then(|by| BareJid::new(by).ok()) {
            self.introduce(&user, &by).await?;
        }
        Ok(user)
    }

    /// Both see each other from now on.
    async fn introduce(&self, one: &BareJid, other: &BareJid) -> Result<(), VaultError> {
        let people = &self.accounts.people;
        if let (Some(one), Some(other)) = (people.load(one).await?, people.load(other).await?) {
            self.accounts.presence.befriend(&one, &other).await?;
        }
        Ok(())
    }

    fn vault(&self) -> &Vault {
        &self.accounts.vault
    }
}

/// Whether a request for a subscription brings a token of the account that it is for (XEP-0379 §5). The token is used up.
///
/// # Errors
/// When the vault cannot be read.
pub async fn is_expected(vault: &Vault, token: &str, account: &BareJid) -> Result<bool, VaultError> {
    let Some(found) = Invitation::find(vault, token).await? else { return Ok(false) };
    let fits = found.value.to == Purpose::Contact && found.value.by.as_deref() == Some(account.as_str());
    Ok(fits && Invitation::use_up(vault, token, found.version).await?)
}
