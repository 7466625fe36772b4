//! What happens to an account as a whole: it is signed out, switched off, removed.
//!
//! The console's commands (XEP-0133), the command line and in-band cancellation (XEP-0077) all come here, so that none
//! of them leaves something behind that another would have cleared away.

use std::sync::Arc;

use stanza::{BareJid, StreamCondition};
use tokio::sync::{mpsc, oneshot};
use vault::{Expect, Record, Vault, VaultError, Write};

use crate::directory::Profile;
use crate::iq::private::PrivateXml;
use crate::iq::vcard::VCard;
use crate::office::Factor;
use crate::outbox::Closed;
use crate::people::{Blocked, LastSeen, People};
use crate::post::Trail;
use crate::presence::Presence;
use crate::pubsub::avatar::Photo;
use crate::pubsub::{self, PubSub};
use crate::push::Registration;
use crate::rooms::company::Offered;
use crate::rooms::{self, Rooms};
use crate::roster::Contact;
use crate::roster::subscription::{self, Kind as Change};
use crate::router::Spool;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::users::{Account, UserError, Users};

/// See the module.
#[derive(Clone)]
pub struct Accounts {
    /// Who can sign in.
    pub users: Users,
    /// Who is loaded.
    pub people: People,
    /// Tells contacts.
    pub presence: Presence,
    /// Ends sessions.
    pub sessions: Sessions,
    /// What is stored for accounts.
    pub vault: Vault,
    /// The offline spool.
    pub trail: Trail,
    /// Work on the spool that is under way.
    pub spool: mpsc::UnboundedSender<Spool>,
    /// Who looks after its nodes.
    pub pubsub: PubSub,
    /// Whose lists it is on.
    pub rooms: Option<Rooms>,
}

impl Accounts {
    /// Ends every session of an account; returns how many there were. The account can sign in again unless it was
    /// disabled before.
    pub async fn sign_out(&self, jid: &BareJid) -> usize {
        let sessions = self.people.remove(jid);
        for session in &sessions {
            self.end(session).await;
        }
        sessions.len()
    }

    /// Ends one session.
    pub async fn end(&self, session: &Arc<Session>) {
        self.sessions.end(session, Closed::Error(StreamCondition::NotAuthorized)).await;
    }

    /// Disables or enables an account. A disabled one is signed out and cannot sign in.
    ///
    /// # Errors
    /// [`UserError::Unknown`]; what the vault says.
    pub async fn set_disabled(&self, jid: &BareJid, disabled: bool) -> Result<Arc<Account>, UserError> {
        let account = self.users.set_disabled(jid, disabled).await?;
        if disabled {
            self.sign_out(jid).await;
        }
        Ok(account)
    }

    /// Removes an account with its roster, block list, vCard, private XML and undelivered messages, and tells its
    /// contacts. What it wrote stays in the archive.
    ///
    /// The account itself goes last: were the server to stop half-way, a disabled account would be left that can be
    /// removed again, never a new account of this name that inherits a roster.
    ///
    /// # Errors
    /// [`UserError::Unknown`]; what the vault says.
    pub async fn remove(&self, jid: &BareJid) -> Result<(), UserError> {
        self.set_disabled(jid, true).await?;
        if let Some(user) = self.people.load(jid).await? {
            let contacts: Vec<_> =
                user.roster(|roster| roster.contacts().map(|(jid, c)| (jid.clone(), c.state)).collect());
            for (contact, state) in contacts {
                self.presence.part(&user, &contact, state).await?;
            }
        }
        // What the account asked for last is done before its records go, and nobody holds them afterwards.
        if let Some(rooms) = &self.rooms {
            rooms.forget(jid).await?;
        }
        self.pubsub.forget(jid).await;
        self.pubsub.strip(&self.vault, jid).await?;
        clear(&self.vault, jid).await?;
        self.pubsub.forget(jid).await;
        self.users.remove(jid).await?;
        self.people.remove(jid);
        // What the ended sessions left over is put into the spool behind their backs; wait for that, then empty it.
        let (done, finished) = oneshot::channel();
        if self.spool.send(Spool::Done(done)).is_ok() {
            let _ = finished.await;
        }
        if let Err(error) = self.trail.take_spool(jid).await {
            tracing::warn!(%error, "the undelivered messages of a removed account are still noted");
        }
        Ok(())
    }
}

/// Removes an account while no server runs, as [`Accounts::remove`] does otherwise: its contacts find out when they
/// fetch their rosters.
///
/// # Errors
/// [`UserError::Unknown`]; what the vault says.
pub async fn remove_at_rest(users: &Users, vault: &Vault, jid: &BareJid) -> Result<(), UserError> {
    users.set_disabled(jid, true).await?;
    for (contact, _) in vault.list::<Contact>(jid.as_str()).await? {
        let rosters = vault.list::<Contact>(&contact).await?;
        let version = rosters.iter().map(|(_, known)| known.value.changed).max().unwrap_or(0);
        let Some((_, known)) = rosters.into_iter().find(|(key, _)| key == jid.as_str()) else { continue };
        let mut left = known.value.clone();
        for change in [Change::Unsubscribed, Change::Unsubscribe] {
            left.state = subscription::receive(left.state, change).state;
        }
        left.request = None;
        if left != known.value {
            left.changed = version + 1;
            let expect = Expect::Version(known.version);
            vault.apply(vec![Write::put(&contact, jid.as_str(), &left, expect)?]).await?;
        }
    }
    vault.apply(pubsub::store::strip_all(vault, jid).await?).await?;
    vault.apply(rooms::record::strip_all(vault, jid).await?).await?;
    clear(vault, jid).await?;
    users.remove(jid).await
}

/// Deletes the records that are kept for an account.
async fn clear(vault: &Vault, jid: &BareJid) -> Result<(), VaultError> {
    let name = jid.as_str();
    let mut writes = vec![
        Write::delete::<Blocked>("", name, Expect::Any),
        Write::delete::<LastSeen>("", name, Expect::Any),
        Write::delete::<VCard>("", name, Expect::Any),
        Write::delete::<Photo>("", name, Expect::Any),
        Profile::delete(jid),
        Factor::delete(jid),
    ];
    delete_under::<Contact>(vault, name, &mut writes).await?;
    delete_under::<PrivateXml>(vault, name, &mut writes).await?;
    delete_under::<Offered>(vault, name, &mut writes).await?;
    writes.extend(pubsub::store::delete_all(vault, jid).await?);
    delete_under::<Registration>(vault, name, &mut writes).await?;
    vault.apply(writes).await.map(|_| ())
}

async fn delete_under<R: Record>(
    vault: &Vault,
    parent: &str,
    writes: &mut Vec<Write>,
) -> Result<(), VaultError> {
    let records = vault.list::<R>(parent).await?;
    writes.extend(records.iter().map(|(key, _)| Write::delete::<R>(parent, key, Expect::Any)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::subscription::State;
    use crate::users::{NewAccount, Options};
    use vault::MasterKey;

    #[tokio::test]
    async fn who_is_removed_at_rest_is_gone_from_the_rosters_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path(), MasterKey::from_bytes([7; 32])).await.unwrap();
        let users = Users::new(vault.clone(), Options { iterations: 1, ..Options::default() });
        let [romeo, juliet] =
            ["romeo@corp.example", "juliet@corp.example"].map(|jid| BareJid::new(jid).unwrap());
        users.create(&romeo, NewAccount::new("secret")).await.unwrap();
        let both = Contact {
            state: State { to: true, from: true, ..State::default() },
            listed: true,
            changed: 5,
            ..Contact::default()
        };
        let pair = [(&romeo, &juliet), (&juliet, &romeo)];
        let writes = pair.map(|(owner, contact)| {
            Write::put(owner.as_str(), contact.as_str(), &both, Expect::Absent).unwrap()
        });
        vault.apply(writes.into()).await.unwrap();

        remove_at_rest(&users, &vault, &romeo).await.unwrap();
        assert!(users.find(&romeo).await.unwrap().is_none());
        assert!(vault.list::<Contact>(romeo.as_str()).await.unwrap().is_empty());
        let left = vault.get::<Contact>(juliet.as_str(), romeo.as_str()).await.unwrap().unwrap().value;
        assert_eq!((left.state, left.listed, left.changed), (State::default(), true, 6));
        assert!(matches!(remove_at_rest(&users, &vault, &romeo).await, Err(UserError::Unknown)));
    }
}
