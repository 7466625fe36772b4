//! How the server is, in numbers.

use serde::Serialize;
use utoipa::ToSchema;

use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::{Office, emergency};
use crate::clock;

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Status {
    /// The version that runs.
    pub version: String,
    /// The domains that it serves; the first is the main one.
    pub domains: Vec<String>,
    /// Accounts.
    pub accounts: usize,
    /// Accounts that may sign in.
    pub enabled: usize,
    /// People who are online now.
    pub online: usize,
    /// Sessions that they have.
    pub sessions: usize,
    /// Events in the archive.
    pub events: u64,
    /// Data keys.
    pub keys: u64,
    /// Bytes in use.
    pub bytes: u64,
    /// Bytes that the disk still has, if the system says.
    pub free_bytes: Option<u64>,
    /// How often somebody read without a matter in the last thirty days.
    pub emergencies: usize,
    /// When somebody did last.
    #[schema(format = DateTime)]
    pub last_emergency: Option<String>,
}

impl Office {
    /// How the server is.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn status(&self, actor: &Actor) -> Result<Status, Refusal> {
        actor.must(Right::SeeStatus)?;
        let statistics = self.0.vault.store().statistics().await.map_err(vault::VaultError::from)?;
        let (mut accounts, mut enabled) = (0, 0);
        for domain in &self.0.domains {
            let all = self.0.users.list(domain).await?;
            accounts += all.len();
            enabled += all.iter().filter(|account| !account.disabled).count();
        }
        let (mut online, mut sessions) = (0, 0);
        for user in self.0.house.iter().flat_map(|house| house.accounts.people.everyone()) {
            let here = user.sessions().len();
            online += usize::from(here > 0);
            sessions += here;
        }
        let emergencies = emergency::all(&self.0.vault).await?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            domains: self.0.domains.iter().map(ToString::to_string).collect(),
            accounts,
            enabled,
            online,
            sessions,
            events: statistics.events,
            keys: statistics.keys,
            bytes: statistics.bytes,
            free_bytes: statistics.free_bytes,
            emergencies: emergencies.iter().filter(|emergency| emergency.is_recent()).count(),
            last_emergency: emergencies.last().map(|emergency| clock::stamp(emergency.at)),
        })
    }
}
