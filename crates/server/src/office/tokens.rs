//! Tokens for programs: a part of their maker's rights, for a while.

use archive::Deed;
use jid::BareJid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use vault::{Expect, Record, Vault, VaultError, Write};
use zeroize::Zeroizing;

use super::access::{Right, Rights};
use super::actor::{Actor, Door};
use super::refusal::Refusal;
use super::sessions::{key_of, new_secret};
use super::warrant::Entry;
use super::{Office, awake};
use crate::clock;

/// What every token begins with, so that whoever finds one lying about knows what it is.
const PREFIX: &str = "chancery_";
/// Tokens of one person.
const MOST: usize = 50;
/// The longest life, in days.
const LONGEST_DAYS: u32 = 366;
/// The longest label, in characters.
const LABEL: usize = 100;
/// How old what is known of a token's last use may be, in seconds.
const TOUCH: u64 = 60;

/// A token, by the hash of its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Whose.
    pub user: BareJid,
    /// What it is for, in its maker's words.
    pub label: String,
    /// What it may be used for at most: names of rights.
    pub scopes: Vec<String>,
    /// Of which generation of the account; of another, it is void.
    generation: u64,
    /// Whether its maker had shown a second factor.
    factor: bool,
    /// When it was made: seconds since 1970.
    pub created: u64,
    /// When it ends: seconds since 1970.
    pub expires: u64,
    /// When it was used last, to the minute: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}

impl Record for Token {
    const KIND: u16 = crate::kinds::TOKEN;
}

/// What a new token is to be.
pub struct NewToken {
    /// What it is for.
    pub label: String,
    /// What it may be used for.
    pub scopes: Rights,
    /// How long it is good.
    pub days: u32,
}

impl Office {
    /// Makes a token for the actor. Its secret is shown once.
    ///
    /// # Errors
    /// The actor is not there in person; what is wrong with the wish; it cannot be put on record or stored.
    pub async fn make_token(
        &self,
        actor: &Actor,
        new: NewToken,
    ) -> Result<(String, Token, Zeroizing<String>), Refusal> {
        actor.must_be_present()?;
        let NewToken { label, scopes, days } = new;
        let label = label.trim().to_owned();
        if label.is_empty() || label.chars().count() > LABEL || label.chars().any(char::is_control) {
            return Err(Refusal::invalid("/label", "say in a few words what the token is for"));
        }
        if !(1..=LONGEST_DAYS).contains(&days) {
            return Err(Refusal::invalid("/days", format!("from 1 to {LONGEST_DAYS} days")));
        }
        let lacks = scopes.iter().find(|right| !actor.may(*right));
        if let Some(right) = lacks {
            return Err(Refusal::invalid("/scopes", format!("you do not have {right} yourself")));
        }
        if scopes.iter().next().is_none() {
            return Err(Refusal::invalid("/scopes", "a token without a scope is good for nothing"));
        }
        let account = self.0.users.find(actor.who()).await?.ok_or(Refusal::SignedOut)?;
        if self.tokens_of(actor.who()).await?.len() >= MOST {
            return Err(Refusal::Conflict(format!("there are {MOST} tokens already; revoke one first")));
        }
        let secret = Zeroizing::new(format!("{PREFIX}{}", *new_secret()?));
        let key = key_of(&secret);
        let now = clock::seconds();
        let token = Token {
            user: actor.who().clone(),
            label,
            scopes: scopes.names(),
            generation: account.generation(),
            factor: actor.asleep().is_empty(),
            created: now,
            expires: now + u64::from(days) * 86_400,
            used: None,
        };
        let details = json!({ "made": key, "label": token.label, "scopes": token.scopes, "days": days });
        let entry = Entry { deed: Deed::Token, details };
        self.licence(actor, Right::OwnAccount, None, entry).await?;
        self.0.vault.apply(vec![Write::put("", &key, &token, Expect::Absent)?]).await?;
        Ok((key, token, secret))
    }

    /// Makes one of the actor's tokens worthless.
    ///
    /// # Errors
    /// [`Refusal::Missing`]; it cannot be put on record or stored.
    pub async fn revoke_token(&self, actor: &Actor, id: &str) -> Result<(), Refusal> {
        let found = self.0.vault.get::<Token>("", id).await?.filter(|found| found.value.user == *actor.who());
        found.ok_or_else(|| Refusal::Missing("there is no such token".to_owned()))?;
        let entry = Entry { deed: Deed::Token, details: json!({ "revoked": id }) };
        self.licence(actor, Right::OwnAccount, None, entry).await?;
        Ok(self.0.vault.apply(vec![Write::delete::<Token>("", id, Expect::Any)]).await.map(drop)?)
    }

    /// The tokens of a person, with their names.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn tokens_of(&self, user: &BareJid) -> Result<Vec<(String, Token)>, Refusal> {
        let all = self.0.vault.list::<Token>("").await?;
        let own = all.into_iter().filter(|(_, token)| token.value.user == *user);
        Ok(own.map(|(key, token)| (key, token.value)).collect())
    }

    /// Who holds this token.
    ///
    /// # Errors
    /// [`Refusal::SignedOut`] when it is not good, or not any more.
    pub async fn redeem_token(&self, secret: &str) -> Result<Actor, Refusal> {
        if !secret.starts_with(PREFIX) {
            return Err(Refusal::SignedOut);
        }
        let (vault, key) = (&self.0.vault, key_of(secret));
        let found = vault.get::<Token>("", &key).await?.ok_or(Refusal::SignedOut)?;
        let (mut token, now) = (found.value, clock::seconds());
        let account = self.0.users.find(&token.user).await?.filter(|account| {
            !account.disabled && account.generation() == token.generation && now < token.expires
        });
        let account = account.ok_or(Refusal::SignedOut)?;
        if token.used.is_none_or(|used| now >= used + TOUCH) {
            token.used = Some(now);
            let put = Write::put("", &key, &token, Expect::Version(found.version))?;
            if let Err(error) = vault.apply(vec![put]).await
                && !matches!(error, VaultError::Conflict)
            {
                tracing::warn!(%error, "the use of a token could not be noted");
            }
        }
        let scopes = token.scopes.iter().filter_map(|name| name.parse().ok()).collect();
        let (roles, asleep) = awake(&self.settings(), account.roles, token.factor);
        Ok(Actor::person(token.user, roles, asleep, Door::Token { id: key, scopes }))
    }
}

/// Removes what has expired.
pub(super) async fn sweep(vault: &Vault) -> Result<(), VaultError> {
    let now = clock::seconds();
    let all = vault.list::<Token>("").await?;
    let over = all.iter().filter(|(_, token)| now >= token.value.expires);
    let writes: Vec<Write> = over.map(|(key, _)| Write::delete::<Token>("", key, Expect::Any)).collect();
    match writes.is_empty() {
        true => Ok(()),
        false => vault.apply(writes).await.map(drop),
    }
}
