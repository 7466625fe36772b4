//! Reading items (XEP-0060 §6.5).

use minidom::Element;
use stanza::StanzaError;
use xmpp_parsers::ns;

use super::error::{node_required, not_found};
use super::store::{Item, items_of};
use super::worker::Desk;
use crate::iq::bad_request;
use crate::page::{Page, Wanted};
use crate::post::disk_error;
use crate::xml::{With, el};

/// The most items of one answer.
const MOST: usize = 250;
/// The payload of one answer in bytes, beyond the first item.
const MOST_BYTES: usize = 512 << 10;

impl Desk<'_> {
    /// All items, some by their ids, the newest few, or a page (XEP-0059). The oldest come first. An answer that would
    /// be too large says by its `<set/>` that there is more.
    pub async fn items(mut self, payload: &Element, wanted: &Element) -> Result<(), StanzaError> {
        let name = wanted.attr("node").filter(|node| !node.is_empty()).ok_or_else(node_required)?;
        let (owner, vault) = (self.shelf.owner.clone(), self.core.vault.clone());
        let node = &self.shelf.nodes.get(name).ok_or_else(not_found)?.node;
        node.may_read(&self.standing(node))?;
        let index = self.node(name)?.index(&vault, &owner, name).await.map_err(|error| disk_error(&error))?;
        let all: Vec<&str> = index.values().map(String::as_str).collect();
        let named =
            wanted.children().filter(|child| child.is("item", ns::PUBSUB)).filter_map(|item| item.attr("id"));
        let named: Vec<&str> = named.take(MOST).collect();

        let mut page = None;
        let ids: Vec<&str> = if !named.is_empty() {
            named.into_iter().filter(|id| all.contains(id)).collect()
        } else if let Some(set) = payload.get_child("set", ns::RSM) {
            let cut = Wanted::read(set)?.cut(&all, MOST).ok_or_else(not_found)?;
            let ids = all.get(cut.places.clone()).unwrap_or_default().to_vec();
            page = Some(cut);
            ids
        } else {
            let most = match wanted.attr("max_items") {
                None => all.len(),
                Some(number) => number.parse().map_err(|_| bad_request("max_items is a whole number."))?,
            };
            // The newest, which are the last.
            all[all.len() - most.min(all.len())..].to_vec()
        };

        let parent = items_of(&owner, name);
        let (mut items, mut bytes) = (Vec::new(), 0);
        for id in ids.iter().take(MOST) {
            let item = vault.get::<Item>(&parent, id).await.map_err(|error| disk_error(&error))?;
            let Some(item) = item else { continue };
            bytes += item.value.xml.len();
            if bytes > MOST_BYTES && !items.is_empty() {
                break;
            }
            items.push(item.value.element(id, ns::PUBSUB, true));
        }
        if items.len() < ids.len() || page.is_some() {
            let start = match &page {
                Some(page) => page.places.start,
                None => ids.first().and_then(|id| all.iter().position(|other| other == id)).unwrap_or(0),
            };
            page = Some(Page { places: start..start + items.len(), count: all.len() });
        }
        let set = page.map(|page| page.element(&all));
        let items = el("items", ns::PUBSUB).with("node", name).append_all(items).build();
        let answer = el("pubsub", ns::PUBSUB).append(items).append_all(set).build();
        self.answer(Some(answer)).await
    }
}
