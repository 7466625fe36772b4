//! Groups of the company that are in everybody's roster by rule: members of a shared group see each other, with presence
//! and without a request.
//!
//! A client asks for its roster first thing, and that is when the rule is carried out: what is missing is added on both
//! sides, and who no longer shares a group goes. The contacts are ordinary ones otherwise, so presence needs no rule of
//! its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use stanza::BareJid;
use vault::{Vault, VaultError};

use super::Profile;
use crate::people::{People, User};
use crate::presence::Presence;

/// A larger group is not shared: everybody in it would have a contact for everybody else.
const MOST: usize = 500;

/// How long what is known of a domain is not read again.
const FRESH: Duration = Duration::from_secs(10);

/// Carries the rule out.
pub struct Groups {
    vault: Vault,
    people: People,
    presence: Presence,
    /// The groups that are shared; `*` stands for all.
    shared: Vec<String>,
    known: Mutex<HashMap<String, Known>>,
}

/// Everybody of a domain.
type Everybody = Arc<Vec<(BareJid, Profile)>>;

struct Known {
    at: Instant,
    everybody: Everybody,
}

/// Who shares a group with somebody, and how they appear.
type Colleagues = BTreeMap<BareJid, (Option<String>, Vec<String>)>;

impl Groups {
    /// With these groups shared.
    pub fn new(vault: Vault, people: People, presence: Presence, shared: Vec<String>) -> Self {
        Self { vault, people, presence, shared, known: Mutex::default() }
    }

    /// Makes an account's roster what the rule says.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn settle(&self, user: &Arc<User>) -> Result<(), VaultError> {
        if self.shared.is_empty() {
            return Ok(());
        }
        let own = Profile::find(&self.vault, &user.jid).await?;
        let everybody = self.everybody(user, &own).await?;
        let wanted = colleagues(&self.shared, &user.jid, &own, &everybody);
        let stale: Vec<BareJid> = user.roster(|roster| {
            let given = roster
                .contacts()
                .filter(|(jid, contact)| !contact.company.is_empty() && !wanted.contains_key(*jid));
            given.map(|(jid, _)| jid.clone()).collect()
        });
        for (jid, (name, groups)) in &wanted {
            let done = user.roster(|roster| {
                let contact = roster.contact(jid).map(|contact| &contact.value);
                contact.is_some_and(|contact| {
                    contact.listed && contact.state.to && contact.state.from && contact.company == *groups
                })
            });
            if !done && let Some(other) = self.people.load(jid).await? {
                self.presence.befriend(user, &other).await?;
                self.describe(user, jid, name.as_deref(), groups).await?;
                self.describe(&other, &user.jid, own.name.as_deref(), groups).await?;
            }
        }
        for jid in stale {
            self.end(user, &jid).await?;
            if let Some(other) = self.people.load(&jid).await? {
                self.end(&other, &user.jid).await?;
            }
        }
        Ok(())
    }

    /// Puts a contact into the company's groups, with the name that it has there unless the account gave one.
    async fn describe(
        &self,
        user: &User,
        jid: &BareJid,
        name: Option<&str>,
        groups: &[String],
    ) -> Result<(), VaultError> {
        let (_, changed) = self
            .people
            .change_contact(user, jid, |contact| {
                contact.company = groups.to_vec();
                if contact.name.is_none() {
                    contact.name = name.map(str::to_owned);
                }
            })
            .await?;
        if changed {
            user.push_contact(jid);
        }
        Ok(())
    }

    /// Two people share no group any more.
    async fn end(&self, user: &Arc<User>, jid: &BareJid) -> Result<(), VaultError> {
        let ((), changed) = self
            .people
            .change_contact(user, jid, |contact| {
                if !contact.company.is_empty() {
                    *contact = Default::default();
                }
            })
            .await?;
        if changed {
            user.push_contact(jid);
            self.presence.conceal(user, jid);
        }
        Ok(())
    }

    /// Everybody of the account's domain, read again when that is old or does not know the account as it is.
    async fn everybody(&self, user: &User, own: &Profile) -> Result<Everybody, VaultError> {
        let domain = user.jid.domain().as_str();
        let knows = |known: &Known| {
            let mut found = known.everybody.iter().filter(|(jid, _)| *jid == user.jid);
            known.at.elapsed() < FRESH && found.next().map_or(own.is_empty(), |(_, profile)| profile == own)
        };
        if let Some(known) = self.known.lock().get(domain).filter(|known| knows(known)) {
            return Ok(known.everybody.clone());
        }
        let read = self.vault.list::<Profile>(domain).await?;
        let profiles =
            read.into_iter().filter_map(|(jid, profile)| Some((BareJid::new(&jid).ok()?, profile.value)));
        let everybody: Everybody = Arc::new(profiles.collect());
        let known = Known { at: Instant::now(), everybody: everybody.clone() };
        self.known.lock().insert(domain.to_owned(), known);
        Ok(everybody)
    }
}

/// Who shares a group with `me`.
fn colleagues(
    shared: &[String],
    me: &BareJid,
    own: &Profile,
    everybody: &[(BareJid, Profile)],
) -> Colleagues {
    let is_shared = |group: &String| shared.iter().any(|shared| shared == "*" || shared == group);
    let mut colleagues = Colleagues::new();
    for group in own.groups.iter().filter(|group| is_shared(group)) {
        let members =
            || everybody.iter().filter(|(jid, profile)| jid != me && profile.groups.contains(group));
        if members().count() >= MOST {
            continue;
        }
        for (jid, profile) in members() {
            let (_, groups) =
                colleagues.entry(jid.clone()).or_insert_with(|| (profile.name.clone(), Vec::new()));
            if !groups.contains(group) {
                groups.push(group.clone());
                groups.sort();
            }
        }
    }
    colleagues
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, groups: &[&str]) -> (BareJid, Profile) {
        let profile = Profile {
            name: Some(name.to_uppercase()),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..Profile::default()
        };
        (BareJid::new(&format!("{name}@corp.example")).unwrap(), profile)
    }

    #[test]
    fn colleagues_are_who_shares_a_group_that_is_shared() {
        let all = [
            person("romeo", &["Verona", "Sales"]),
            person("juliet", &["Sales", "Verona"]),
            person("nurse", &["Board", "Verona"]),
            person("friar", &["Board"]),
        ];
        let of = |shared: &[&str], at: usize| {
            let shared: Vec<String> = shared.iter().map(|group| (*group).to_owned()).collect();
            let found = colleagues(&shared, &all[at].0, &all[at].1, &all);
            found
                .into_iter()
                .map(|(jid, (_, groups))| format!("{jid} {}", groups.join("+")))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&["Verona"], 0), ["juliet@corp.example Verona", "nurse@corp.example Verona"]);
        assert_eq!(of(&["*"], 0), ["juliet@corp.example Sales+Verona", "nurse@corp.example Verona"]);
        assert!(of(&["Verona"], 3).is_empty());
    }

    #[test]
    fn a_group_that_is_too_large_is_not_shared() {
        let all: Vec<_> = (0..=MOST).map(|number| person(&format!("p{number}"), &["All"])).collect();
        let shared = ["All".to_owned()];
        assert!(colleagues(&shared, &all[0].0, &all[0].1, &all).is_empty());
        assert_eq!(colleagues(&shared, &all[0].0, &all[0].1, &all[1..MOST]).len(), MOST - 1);
    }
}
