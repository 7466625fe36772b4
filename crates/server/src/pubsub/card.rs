//! vCards on a node (XEP-0292 §4), the same as those that are fetched by IQ.

use minidom::Element;
use stanza::StanzaError;
use vault::Write;
use xmpp_parsers::ns;

use super::config::Config;
use super::store::{Item, items_of};
use super::words::Access;
use super::worker::{Change, Desk};
use crate::iq::vcard::VCard;
use crate::iq::vcard_forms::VCARD4;
use crate::post::disk_error;
use crate::xml::{With, el};

/// The node.
const NODE: &str = "urn:xmpp:vcard4";
/// The id of its one item.
const CURRENT: &str = "current";

impl Desk<'_> {
    /// What follows for the vCard when the owner publishes it: a write for the same transaction.
    pub async fn card_published(&self, name: &str, item: &Element) -> Result<Option<Write>, StanzaError> {
        let closed = self.shelf.nodes.get(name).is_some_and(|it| it.node.config.access == Access::Whitelist);
        let own = self.is_personal() && self.from.to_bare() == self.shelf.owner;
        let card = item.get_child("vcard", VCARD4).filter(|_| name == NODE && own && !closed);
        let Some(card) = card else { return Ok(None) };
        let write = VCard::replaced(&self.core.vault, &self.shelf.owner, card).await;
        write.map(Some).map_err(|error| disk_error(&error))
    }

    /// Publishes a vCard that has been stored, and its picture.
    pub async fn card_changed(mut self) {
        if let Err(error) = self.publish_card().await {
            tracing::warn!(condition = %error.condition, "a vCard was not published");
        }
        self.picture_changed().await;
    }

    /// Without the picture, which has nodes of its own.
    async fn publish_card(&mut self) -> Result<(), StanzaError> {
        let (owner, vault) = (self.shelf.owner.clone(), self.core.vault.clone());
        let card = VCard::without_photo(&vault, &owner).await.map_err(|error| disk_error(&error))?;
        let known =
            vault.get::<Item>(&items_of(&owner, NODE), CURRENT).await.map_err(|error| disk_error(&error))?;
        if known.and_then(|item| item.value.payload()).as_ref() == Some(&card) {
            return Ok(());
        }
        // Colleagues read it by IQ as well.
        let open = Config { access: Access::Open, ..Config::default() };
        let item = el("item", ns::PUBSUB).with("id", CURRENT).append(card).build();
        self.put(NODE, &item, &[], open, Change::default()).await
    }
}
