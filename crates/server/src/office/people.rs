//! What the office does with accounts.

use std::sync::Arc;

use archive::Deed;
use jid::BareJid;
use serde_json::json;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::Entry;
use crate::users::{Account, Role, Roles};

impl Office {
    /// Says what somebody is beside an employee. On the audit chain first.
    ///
    /// # Errors
    /// The actor may not change these roles, or not their own; nobody would be left to run the server; it cannot be put on
    /// record or stored.
    pub async fn set_roles(
        &self,
        actor: &Actor,
        user: &BareJid,
        roles: Roles,
    ) -> Result<Arc<Account>, Refusal> {
        let account = self.account(user).await?;
        let before = account.roles;
        if before == roles {
            return Ok(account);
        }
        if actor.who() == user {
            return Err(Refusal::Oneself);
        }
        // Somebody must make the first officer: whoever holds the machine, and it is on record that they did.
        if actor.is_person() {
            let changed = before.difference(roles);
            if changed.has(Role::Admin) {
                actor.must(Right::ManagePeople)?;
            }
            if changed.iter().any(Role::is_oversight) {
                actor.must(Right::GrantOversight)?;
            }
        }
        if before.has(Role::Admin) && !roles.has(Role::Admin) {
            self.keep_an_admin(user).await?;
        }
        let details = json!({ "of": user.as_str(), "before": before, "after": roles });
        self.note(actor, Entry { deed: Deed::Role, details }).await?;
        Ok(self.0.users.set_roles(user, roles).await?)
    }

    /// Refuses when this is the only one who can run the server.
    ///
    /// # Errors
    /// [`Refusal::Conflict`]; what the storage says.
    pub async fn keep_an_admin(&self, user: &BareJid) -> Result<(), Refusal> {
        let is_admin = |account: &Account| account.roles.has(Role::Admin) && !account.disabled;
        if !self.0.users.find(user).await?.is_some_and(|account| is_admin(&account)) {
            return Ok(());
        }
        for domain in &self.0.domains {
            for account in self.0.users.list(domain).await? {
                let same = domain.as_str() == user.domain().as_str()
                    && user.node().is_some_and(|node| node.as_str() == account.localpart);
                if is_admin(&account) && !same {
                    return Ok(());
                }
            }
        }
        let words = format!("{user} is the last administrator; give somebody else the role first");
        Err(Refusal::Conflict(words))
    }

    /// An account that exists.
    pub(super) async fn account(&self, user: &BareJid) -> Result<Arc<Account>, Refusal> {
        let found = self.0.users.find(user).await?;
        found.ok_or_else(|| Refusal::Missing(format!("there is no account {user}")))
    }
}
