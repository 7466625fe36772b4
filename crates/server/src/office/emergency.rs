//! Breaking the glass: reading without a matter, loudly.

use archive::{Act, Deed};
use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stanza::ns::CLIENT;
use stanza::{Kind, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use crate::clock;
use crate::users::{Role, UserError};
use crate::xml::text;

/// The shortest reason that says anything, in characters.
const SHORTEST_REASON: usize = 10;
/// The longest, in bytes.
const LONGEST_REASON: usize = 2_000;

/// That somebody broke the glass. A record by its number on the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Who.
    pub by: Jid,
    /// When: microseconds since 1970.
    pub at: i64,
    /// Why, in their words.
    pub reason: String,
    /// Whether the officers have been told. They could not be while no server ran.
    pub told: bool,
}

/// How far back an emergency still counts as recent, in microseconds: thirty days.
const RECENT: i64 = 30 * 86_400 * 1_000_000;

impl Emergency {
    /// Whether it was in the last thirty days.
    pub fn is_recent(&self) -> bool {
        self.at >= clock::micros() - RECENT
    }
}

impl Record for Emergency {
    const KIND: u16 = crate::kinds::EMERGENCY;
}

/// Whether the actor may read without a matter; their reason, trimmed.
pub(super) fn admit(office: &Office, actor: &Actor, right: Right, reason: &str) -> Result<String, Refusal> {
    let allowed = office.settings().break_glass;
    if actor.roles().and(allowed).is_empty() {
        // Who may read under a matter is told that one is needed.
        return Err(if actor.may(right) { Refusal::MatterWanted } else { Refusal::BreakGlass });
    }
    if let super::actor::Door::Token { .. } = actor.door() {
        return Err(Refusal::InPerson);
    }
    let reason = reason.trim();
    let words = reason.chars().filter(|c| !c.is_control()).count();
    if words < SHORTEST_REASON || reason.len() > LONGEST_REASON || words < reason.chars().count() {
        return Err(Refusal::invalid("/break_glass", "give a reason that another person can judge"));
    }
    Ok(reason.to_owned())
}

/// Puts it on record that the glass is broken, and tells the officers.
pub(super) async fn declare(office: &Office, actor: &Actor, reason: &str, act: &Act) -> Result<(), Refusal> {
    let details = json!({ "reason": reason, "for": act.deed });
    office.0.shelves.record(Act::new(actor.jid(), Deed::BreakGlass, details)).await?;
    let mut emergency =
        Emergency { by: actor.jid(), at: clock::micros(), reason: reason.to_owned(), told: false };
    keep(&office.0.vault, &emergency).await?;
    if tell(office, &emergency).await? {
        emergency.told = true;
        keep(&office.0.vault, &emergency).await?;
    }
    Ok(())
}

async fn keep(vault: &Vault, emergency: &Emergency) -> Result<(), VaultError> {
    let put = Write::put("", &format!("{:020}", emergency.at), emergency, Expect::Any)?;
    vault.apply(vec![put]).await.map(drop)
}

/// Writes to every officer, from the server's domain. False: no server runs that could.
async fn tell(office: &Office, emergency: &Emergency) -> Result<bool, Refusal> {
    let Some(house) = &office.0.house else { return Ok(false) };
    let (by, at, reason) = (&emergency.by, clock::stamp(emergency.at), &emergency.reason);
    let words = format!(
        "Break-glass: {by} reads other people's messages without a matter, since {at}.\nTheir reason: {reason}\n\
         The audit chain has all that they do: chancery archive audit --by {by}"
    );
    for officer in officers(office).await? {
        let host = BareJid::from_parts(None, officer.domain());
        let payload = [text("subject", CLIENT, "Break-glass"), text("body", CLIENT, words.as_str())];
        let message =
            Stanza::new(Kind::Message).typed("normal").with_id(crate::sessions::new_id()).sent_by(host);
        let message = message.with_payload(&payload).map_err(|_| Refusal::Failed)?;
        house.post.originate(message.addressed(officer)).await;
    }
    Ok(true)
}

/// Everybody whose office it is to know.
async fn officers(office: &Office) -> Result<Vec<BareJid>, UserError> {
    let mut officers = Vec::new();
    for domain in &office.0.domains {
        for account in office.0.users.list(domain).await? {
            if account.roles.has(Role::Officer) && !account.disabled {
                officers.push(crate::users::Users::address(&account.localpart, domain)?);
            }
        }
    }
    Ok(officers)
}

/// All that happened, oldest first.
///
/// # Errors
/// When the vault cannot be read.
pub async fn all(vault: &Vault) -> Result<Vec<Emergency>, VaultError> {
    Ok(vault.list::<Emergency>("").await?.into_iter().map(|(_, found)| found.value).collect())
}

impl Office {
    /// Tells the officers what happened while no server ran. Called once at the start.
    pub async fn tell_of_emergencies(&self) -> Result<(), Refusal> {
        for mut emergency in all(&self.0.vault).await?.into_iter().filter(|emergency| !emergency.told) {
            if tell(self, &emergency).await? {
                emergency.told = true;
                keep(&self.0.vault, &emergency).await?;
            }
        }
        Ok(())
    }
}
