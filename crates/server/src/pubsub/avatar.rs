//! Pictures: on the nodes of XEP-0084, in vCards and in presence (XEP-0153), always the same one (XEP-0398).

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hashlink::LruCache;
use minidom::Element;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use stanza::{BareJid, Stanza, StanzaError};
use vault::{Expect, Record, Vault, Write};
use xmpp_parsers::ns;

use super::config::Config;
use super::store::{Item, items_of};
use super::words::Access;
use super::worker::{Change, Desk};
use crate::iq::vcard::VCard;
use crate::post::disk_error;
use crate::xml::{With, el, text};

/// The node that says which picture there is.
const METADATA: &str = "urn:xmpp:avatar:metadata";
/// The node that has it.
const DATA: &str = "urn:xmpp:avatar:data";
/// What presence says.
const UPDATE: &str = "vcard-temp:x:update";
/// Accounts whose picture is known without asking the vault.
const KNOWN: usize = 20_000;

/// The picture that an account's presence announces. Parent: none; key: the bare JID.
#[derive(Serialize, Deserialize)]
pub struct Photo {
    /// SHA-1 of its bytes in lower-case hexadecimal.
    hash: String,
}

impl Record for Photo {
    const KIND: u16 = crate::kinds::PHOTO;
}

/// Which pictures there are, from the vault or from memory.
#[derive(Clone)]
pub struct Photos {
    vault: Vault,
    known: Arc<Mutex<LruCache<BareJid, Option<Box<str>>>>>,
}

impl Photos {
    /// None is in memory.
    pub fn new(vault: Vault) -> Self {
        Self { vault, known: Arc::new(Mutex::new(LruCache::new(KNOWN))) }
    }

    /// The hash of an account's picture.
    pub async fn of(&self, owner: &BareJid) -> Option<Box<str>> {
        if let Some(known) = self.known.lock().get(owner) {
            return known.clone();
        }
        let stored = match self.vault.get::<Photo>("", owner.as_str()).await {
            Ok(stored) => stored.map(|photo| photo.value.hash.into_boxed_str()),
            Err(error) => {
                disk_error(&error);
                return None;
            }
        };
        // A worker may have learnt better meanwhile.
        self.known.lock().entry(owner.clone()).or_insert(stored).clone()
    }

    /// Takes in what has been stored.
    fn note(&self, owner: &BareJid, hash: Option<&str>) {
        self.known.lock().insert(owner.clone(), hash.map(Box::from));
    }

    /// The account is gone.
    pub fn forget(&self, owner: &BareJid) {
        self.known.lock().remove(owner);
    }
}

/// Whether presence says which picture there is.
pub fn announces(presence: &Stanza) -> bool {
    let update = presence.payload("x", UPDATE);
    update.is_some_and(|x| x.get_child("photo", UPDATE).is_some_and(|photo| !photo.text().trim().is_empty()))
}

/// Presence with another picture's hash; an empty one says that there is none.
pub fn announcing(presence: &Stanza, hash: &str) -> Stanza {
    let update = el("x", UPDATE).append(text("photo", UPDATE, hash)).build();
    if presence.payload("x", UPDATE).as_ref() == Some(&update) {
        return presence.clone();
    }
    let others = presence.children().iter().filter(|child| !child.is("x", UPDATE));
    let others: Vec<Element> = others.map(|child| presence.payload_element(child)).collect();
    let shown = presence.clone().with_payload(others.iter().chain([&update]));
    shown.unwrap_or_else(|_| presence.clone())
}

impl Desk<'_> {
    /// What follows for the vCard when the owner says which picture it is: writes for the same transaction, and the
    /// hash that presence announces from then on. The picture itself has been published before.
    pub async fn photo_published(
        &self,
        name: &str,
        item: &Element,
    ) -> Result<(Change, Option<Option<String>>), StanzaError> {
        let nothing = Ok((Change::default(), None));
        let closed = self.shelf.nodes.get(name).is_some_and(|it| it.node.config.access == Access::Whitelist);
        let metadata = item.get_child("metadata", METADATA).filter(|_| name == METADATA && !closed);
        let (Some(metadata), true) =
            (metadata, self.is_personal() && self.from.to_bare() == self.shelf.owner)
        else {
            return nothing;
        };
        let owner = &self.shelf.owner;
        let mut infos = metadata.children().filter(|child| child.is("info", METADATA));
        let Some(info) = infos.find(|info| info.attr("url").is_none()) else {
            return match metadata.children().next() {
                None => self.photo_change(None).await.map(|change| (change, Some(None))),
                Some(_) => nothing,
            };
        };
        let id = info.attr("id").unwrap_or_default();
        let stored = self.core.vault.get::<Item>(&items_of(owner, DATA), id).await;
        let data = stored.map_err(|error| disk_error(&error))?.and_then(|item| item.value.payload());
        let data: String = data.map(|data| data.text().split_whitespace().collect()).unwrap_or_default();
        let Ok(bytes) = STANDARD.decode(&data) else { return nothing };
        if bytes.is_empty() {
            return nothing;
        }
        let hash = hash_of(&bytes);
        let change =
            self.photo_change(Some((info.attr("type").unwrap_or("image/png"), &data, &hash))).await?;
        Ok((change, Some(Some(hash))))
    }

    async fn photo_change(&self, photo: Option<(&str, &str, &str)>) -> Result<Change, StanzaError> {
        let owner = &self.shelf.owner;
        let vault = &self.core.vault;
        let card = VCard::with_photo(vault, owner, photo.map(|(type_, data, _)| (type_, data))).await;
        let noted = note(owner, photo.map(|(.., hash)| hash));
        let writes =
            [card, noted].into_iter().collect::<Result<_, _>>().map_err(|error| disk_error(&error))?;
        Ok(Change { writes, ..Change::default() })
    }

    /// Presence announces another picture from now on.
    pub async fn show_photo(&self, hash: Option<String>) {
        self.core.photos.note(&self.shelf.owner, hash.as_deref());
        // The other end is there for as long as the server is.
        let _ = self.core.changed.send(self.shelf.owner.clone()).await;
    }

    /// Publishes the picture of a vCard that has changed, if it is another one.
    pub async fn picture_changed(&mut self) {
        let owner = self.shelf.owner.clone();
        let photo = match VCard::photo(&self.core.vault, &owner).await {
            Ok(photo) => photo,
            Err(error) => return drop(disk_error(&error)),
        };
        let photo = photo.and_then(|(type_, data)| Some((type_, STANDARD.decode(&data).ok()?, data)));
        let hash = photo.as_ref().map(|(_, bytes, _)| hash_of(bytes));
        if self.core.photos.of(&owner).await.as_deref() == hash.as_deref() {
            return;
        }
        let info = photo.as_ref().zip(hash.as_deref()).map(|((type_, bytes, _), hash)| {
            el("info", METADATA)
                .with("bytes", bytes.len().to_string())
                .with("id", hash)
                .with("type", type_.as_str())
                .build()
        });
        let metadata = el("metadata", METADATA).append_all(info).build();
        let item =
            |payload: Element| el("item", ns::PUBSUB).with("id", hash.as_deref()).append(payload).build();
        // Whoever puts a picture into a vCard shows it to all colleagues.
        let open = || Config { access: Access::Open, ..Config::default() };
        let published = async {
            if let Some((.., data)) = &photo {
                let data = item(text("data", DATA, data.as_str()));
                self.put(DATA, &data, &[], open(), Change::default()).await?;
            }
            let noted = note(&owner, hash.as_deref()).map_err(|error| disk_error(&error))?;
            let change = Change { writes: vec![noted], ..Change::default() };
            self.put(METADATA, &item(metadata), &[], open(), change).await
        };
        match published.await {
            Ok(()) => self.show_photo(hash).await,
            Err(error) => {
                tracing::warn!(condition = %error.condition, "the picture of a vCard was not published")
            }
        }
    }
}

fn note(owner: &BareJid, hash: Option<&str>) -> Result<Write, vault::VaultError> {
    match hash {
        Some(hash) => Write::put("", owner.as_str(), &Photo { hash: hash.to_owned() }, Expect::Any),
        None => Ok(Write::delete::<Photo>("", owner.as_str(), Expect::Any)),
    }
}

fn hash_of(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
