//! Rooms that the company has: made by its configuration, and open to people by who they are.
//!
//! Members are a rule, not a list: everybody, or a group of the directory. So whoever joins the company or changes their
//! department needs no owner to let them in. Each member finds the room among their bookmarks, once; who takes it off
//! again is not told a second time.

use std::sync::Arc;

use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, DomainPart};
use vault::{Expect, Record, Vault, VaultError, Write};

use super::record;
use super::room::Durable;
use super::settings::Settings;
use super::standing::Affiliation;
use crate::clock;
use crate::config::CompanyRoom;
use crate::directory::Profile;
use crate::pubsub::{Offer, PubSub};
use crate::users::{Role, UserError, Users};
use crate::xml::{With, el};

/// The namespace of hats (XEP-0317).
pub const HATS: &str = "urn:xmpp:hats:0";

/// See the module.
#[derive(Clone)]
pub struct Company {
    rooms: Arc<[Declared]>,
    vault: Vault,
    users: Users,
    pubsub: PubSub,
}

struct Declared {
    jid: BareJid,
    room: CompanyRoom,
}

/// A room has been put among somebody's bookmarks. Parent: the account; key: the room.
#[derive(Serialize, Deserialize)]
pub struct Offered {}

impl Record for Offered {
    const KIND: u16 = crate::kinds::ROOM_OFFERED;
}

impl Company {
    /// Makes those of `rooms` that are not there yet, at `domain`.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn found(
        rooms: &[CompanyRoom],
        domain: Option<&DomainPart>,
        vault: Vault,
        users: Users,
        pubsub: PubSub,
    ) -> Result<Self, VaultError> {
        let declared = rooms.iter().zip(domain.into_iter().cycle());
        let declared = declared.map(|(room, domain)| Declared { jid: at(room, domain), room: room.clone() });
        let company = Self { rooms: declared.collect(), vault, users, pubsub };
        for Declared { jid, room } in company.rooms.iter() {
            if record::load(&company.vault, jid).await?.is_none() {
                let durable = Durable {
                    created: clock::micros(),
                    settings: settings(room),
                    subject: None,
                    avatar: None,
                    entries: Default::default(),
                };
                company.vault.apply(record::writes(jid, None, Some(&durable))?).await?;
            }
        }
        Ok(company)
    }

    fn room(&self, jid: &BareJid) -> Option<&CompanyRoom> {
        self.rooms.iter().find(|declared| declared.jid == *jid).map(|declared| &declared.room)
    }

    /// What the directory says that somebody is: their title and their groups (XEP-0317).
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn hats(&self, account: &BareJid) -> Result<Option<Element>, VaultError> {
        let profile = Profile::find(&self.vault, account).await?;
        let hat = |kind: &str, title: &str| {
            el("hat", HATS).with("uri", format!("urn:chancery:{kind}")).with("title", title).build()
        };
        let title = profile.title.iter().map(|title| hat("title", title));
        let hats: Vec<Element> =
            title.chain(profile.groups.iter().map(|group| hat("group", group))).collect();
        Ok((!hats.is_empty()).then(|| el("hats", HATS).append_all(hats).build()))
    }

    /// Whether the company has a room of this address.
    pub fn has(&self, jid: &BareJid) -> bool {
        self.room(jid).is_some()
    }

    /// What an account is in a room by being who it is.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn affiliation(&self, room: &BareJid, account: &BareJid) -> Result<Affiliation, VaultError> {
        match self.room(room) {
            Some(room) => self.tie(room, account).await,
            None => Ok(Affiliation::None),
        }
    }

    async fn tie(&self, room: &CompanyRoom, account: &BareJid) -> Result<Affiliation, VaultError> {
        let known = self.users.find(account).await.map_err(|error| match error {
            UserError::Vault(error) => error,
            _ => VaultError::Store(vault::StoreError::Closed),
        })?;
        let Some(known) = known else { return Ok(Affiliation::None) };
        if known.roles.has(Role::Admin) {
            return Ok(Affiliation::Owner);
        }
        let is_in = match &room.group {
            None => true,
            Some(group) => Profile::find(&self.vault, account).await?.groups.contains(group),
        };
        Ok(if is_in { Affiliation::Member } else { Affiliation::None })
    }

    /// Puts the rooms that an account is a member of among its bookmarks (XEP-0402), each once.
    pub async fn introduce(&self, account: &BareJid) {
        if self.rooms.is_empty() {
            return;
        }
        match self.offers(account).await {
            Ok(offers) if offers.is_empty() => {}
            Ok(offers) => self.pubsub.offer(account, offers).await,
            Err(error) => tracing::warn!(%error, "company rooms could not be put among bookmarks"),
        }
    }

    async fn offers(&self, account: &BareJid) -> Result<Vec<Offer>, VaultError> {
        let known = self.vault.list::<Offered>(account.as_str()).await?;
        let mut offers = Vec::new();
        for Declared { jid, room } in self.rooms.iter() {
            let is_new = !known.iter().any(|(key, _)| key == jid.as_str());
            if is_new && self.tie(room, account).await? >= Affiliation::Member {
                let once = Write::put(account.as_str(), jid.as_str(), &Offered {}, Expect::Any)?;
                offers.push(Offer { room: jid.clone(), title: room.title.clone(), once });
            }
        }
        Ok(offers)
    }
}

fn at(room: &CompanyRoom, domain: &DomainPart) -> BareJid {
    BareJid::from_parts(Some(&room.name), domain)
}

/// People of one company see who is who.
fn settings(room: &CompanyRoom) -> Settings {
    Settings {
        name: room.title.clone(),
        persistent: true,
        public: room.group.is_none(),
        members_only: true,
        announcements: room.announcements,
        open_names: true,
        ..Settings::default()
    }
}
