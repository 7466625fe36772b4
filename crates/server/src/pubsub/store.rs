//! Nodes and items at rest: sealed records, and what of them a worker holds in memory.
//!
//! Only one worker looks after an owner, so what it holds is what is stored. A change is stored first and shown here
//! afterwards; a worker whose change failed forgets the shelf and reads it anew.

use std::collections::BTreeMap;

use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};
use xmpp_parsers::ns;

use super::node::Node;
use crate::xml::{With, el};

/// The most bytes of text that the search is given of an item.
const MOST_WORDS: usize = 16 << 10;
/// The most bytes of one word.
const MOST_WORD: usize = 256;

/// One item. Parent: [`items_of`]; key: its id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// The payload, if there is any, as a document.
    pub xml: String,
    /// Who published it.
    pub publisher: String,
    /// When: microseconds since 1970, and larger than that of any earlier item of the node.
    pub at: i64,
}

/// The item that was published last. Parent: the owner; key: the node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Latest {
    /// Its id.
    pub id: String,
    /// Its [`Item::at`].
    pub at: i64,
}

/// A note that somebody is, or was, on the lists of a node. Parent: the bare JID; key: as [`items_of`].
#[derive(Serialize, Deserialize)]
pub struct Listed {}

impl Record for Listed {
    const KIND: u16 = crate::kinds::NODE_LISTED;
}

impl Record for Node {
    const KIND: u16 = crate::kinds::NODE;
}

impl Record for Item {
    const KIND: u16 = crate::kinds::NODE_ITEM;
}

impl Record for Latest {
    const KIND: u16 = crate::kinds::NODE_LATEST;
}

/// The parent of a node's items. Addresses have no spaces.
pub fn items_of(owner: &BareJid, node: &str) -> String {
    format!("{owner} {node}")
}

impl Item {
    /// The payload as a tree.
    pub fn payload(&self) -> Option<Element> {
        // It was a tree when it was stored.
        self.xml.parse().ok()
    }

    /// The words of the payload, for the search. What is long is an image or the like and has none.
    pub fn words(&self) -> Option<String> {
        let mut words = String::new();
        if let Some(payload) = self.payload() {
            collect(&payload, &mut words);
        }
        let is_text =
            words.len() <= MOST_WORDS && words.split_whitespace().all(|word| word.len() <= MOST_WORD);
        Some(words).filter(|words| is_text && !words.is_empty())
    }

    /// `<item/>` in one of the namespaces of XEP-0060.
    pub fn element(&self, id: &str, ns: &str, with_payload: bool) -> Element {
        let payload = with_payload.then(|| self.payload()).flatten();
        el("item", ns).with("id", id).with("publisher", self.publisher.as_str()).append_all(payload).build()
    }
}

fn collect(element: &Element, words: &mut String) {
    for node in element.nodes() {
        match (node.as_element(), node.as_text()) {
            (Some(child), _) => collect(child, words),
            (None, Some(text)) if !text.trim().is_empty() => {
                if !words.is_empty() {
                    words.push(' ');
                }
                words.push_str(text.trim());
            }
            _ => {}
        }
    }
}

/// All nodes of one owner.
pub struct Shelf {
    /// Whose.
    pub owner: BareJid,
    /// By name.
    pub nodes: BTreeMap<String, Shelved>,
}

/// A node on its shelf.
pub struct Shelved {
    /// As stored.
    pub node: Node,
    /// As stored.
    pub latest: Option<Latest>,
    /// The notification of the latest item, once it has been made.
    pub notice: Option<Stanza>,
    /// When each item was published, and its id; read when it is first needed.
    index: Option<BTreeMap<i64, String>>,
}

impl Shelved {
    /// A node that has no items yet.
    pub fn new(node: Node) -> Self {
        Self { node, latest: None, notice: None, index: Some(BTreeMap::new()) }
    }

    /// The items in the order of publication: when, and the id.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn index(
        &mut self,
        vault: &Vault,
        owner: &BareJid,
        name: &str,
    ) -> Result<&mut BTreeMap<i64, String>, VaultError> {
        if self.index.is_none() {
            let items = match &self.latest {
                None => BTreeMap::new(),
                // No need to read what is known.
                Some(latest) if self.node.config.max_items <= 1 => {
                    BTreeMap::from([(latest.at, latest.id.clone())])
                }
                Some(_) => {
                    let items = vault.list::<Item>(&items_of(owner, name)).await?;
                    items.into_iter().map(|(id, item)| (item.value.at, id)).collect()
                }
            };
            self.index = Some(items);
        }
        Ok(self.index.get_or_insert_default())
    }

    /// Takes in what has been stored.
    pub fn set_index(&mut self, index: BTreeMap<i64, String>) {
        self.index = Some(index);
    }
}

impl Shelf {
    /// Reads the nodes of an owner.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn load(vault: &Vault, owner: &BareJid) -> Result<Self, VaultError> {
        let mut latest: BTreeMap<String, Latest> = BTreeMap::new();
        let nodes = vault.list::<Node>(owner.as_str()).await?;
        if !nodes.is_empty() {
            let known = vault.list::<Latest>(owner.as_str()).await?;
            latest.extend(known.into_iter().map(|(name, latest)| (name, latest.value)));
        }
        let shelve = |(name, node): (String, vault::Versioned<Node>)| {
            let latest = latest.remove(&name);
            (name, Shelved { node: node.value, latest, notice: None, index: None })
        };
        Ok(Self { owner: owner.clone(), nodes: nodes.into_iter().map(shelve).collect() })
    }

    /// Removes the items of a node that have outlived what its configuration says (`pubsub#item_expire`), by `now` in
    /// microseconds since 1970. Nobody is told; the archive keeps what was published to others. It is done whenever
    /// somebody comes near the node, so nobody sees them.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn expire(&mut self, vault: &Vault, name: &str, now: i64) -> Result<(), VaultError> {
        let Some(shelved) = self.nodes.get_mut(name).filter(|shelved| shelved.latest.is_some()) else {
            return Ok(());
        };
        let Some(seconds) = shelved.node.config.expire else { return Ok(()) };
        let limit = now.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000));
        let index = shelved.index(vault, &self.owner, name).await?;
        let kept = index.split_off(&limit);
        let old = std::mem::replace(index, kept);
        if old.is_empty() {
            return Ok(());
        }
        let latest = index.last_key_value().map(|(at, id)| Latest { id: id.clone(), at: *at });
        (shelved.latest, shelved.notice) = (latest.clone(), None);
        let mut writes: Vec<Write> = old.values().map(|id| self.delete_item(name, id)).collect();
        writes.push(self.put_latest(name, latest.as_ref())?);
        vault.apply(writes).await.map(drop)
    }

    /// Stores a node's configuration and lists.
    ///
    /// # Errors
    /// As [`Write::put`].
    pub fn put_node(&self, name: &str, node: &Node) -> Result<Write, VaultError> {
        Write::put(self.owner.as_str(), name, node, Expect::Any)
    }

    /// Stores a node's lists, and notes who is on them that was not `before`.
    ///
    /// # Errors
    /// As [`Write::put`].
    pub fn put_lists(
        &self,
        name: &str,
        before: Option<&Node>,
        node: &Node,
    ) -> Result<Vec<Write>, VaultError> {
        let known = before.map(Node::people).unwrap_or_default();
        let place = items_of(&self.owner, name);
        let note = |who: &&str| Write::put(who, &place, &Listed {}, Expect::Any);
        let new = node.people();
        let notes = new.difference(&known).map(note);
        std::iter::once(self.put_node(name, node)).chain(notes).collect()
    }

    /// Stores an item.
    ///
    /// # Errors
    /// As [`Write::put`].
    pub fn put_item(&self, name: &str, id: &str, item: &Item) -> Result<Write, VaultError> {
        Write::put(&items_of(&self.owner, name), id, item, Expect::Any)
    }

    /// Deletes an item.
    pub fn delete_item(&self, name: &str, id: &str) -> Write {
        Write::delete::<Item>(&items_of(&self.owner, name), id, Expect::Any)
    }

    /// Stores which item is the latest.
    ///
    /// # Errors
    /// As [`Write::put`].
    pub fn put_latest(&self, name: &str, latest: Option<&Latest>) -> Result<Write, VaultError> {
        match latest {
            Some(latest) => Write::put(self.owner.as_str(), name, latest, Expect::Any),
            None => Ok(Write::delete::<Latest>(self.owner.as_str(), name, Expect::Any)),
        }
    }

    /// Deletes a node without its items.
    pub fn delete_node(&self, name: &str) -> [Write; 2] {
        let owner = self.owner.as_str();
        [Write::delete::<Node>(owner, name, Expect::Any), Write::delete::<Latest>(owner, name, Expect::Any)]
    }
}

/// The nodes on whose lists somebody is or was.
///
/// # Errors
/// What the vault says.
pub async fn places_of(vault: &Vault, who: &BareJid) -> Result<Vec<(BareJid, String)>, VaultError> {
    let listed = vault.list::<Listed>(who.as_str()).await?;
    let place = |(place, _): (String, _)| {
        let (owner, node) = place.split_once(' ')?;
        Some((BareJid::new(owner).ok()?, node.to_owned()))
    };
    Ok(listed.into_iter().filter_map(place).collect())
}

/// Writes that take somebody off the lists of all nodes, for who does that while no server runs.
///
/// # Errors
/// What the vault says.
pub async fn strip_all(vault: &Vault, who: &BareJid) -> Result<Vec<Write>, VaultError> {
    let mut writes = Vec::new();
    for (owner, name) in places_of(vault, who).await? {
        if let Some(mut node) = vault.get::<Node>(owner.as_str(), &name).await? {
            node.value.strip(who);
            writes.push(Write::put(owner.as_str(), &name, &node.value, Expect::Version(node.version))?);
        }
    }
    Ok(writes)
}

/// Writes that delete everything of an owner.
///
/// # Errors
/// What the vault says.
pub async fn delete_all(vault: &Vault, owner: &BareJid) -> Result<Vec<Write>, VaultError> {
    let shelf = Shelf::load(vault, owner).await?;
    let mut writes = Vec::new();
    for (place, _) in vault.list::<Listed>(owner.as_str()).await? {
        writes.push(Write::delete::<Listed>(owner.as_str(), &place, Expect::Any));
    }
    for name in shelf.nodes.keys() {
        let items = vault.list::<Item>(&items_of(owner, name)).await?;
        writes.extend(items.iter().map(|(id, _)| shelf.delete_item(name, id)));
        writes.extend(shelf.delete_node(name));
    }
    Ok(writes)
}

/// The elements of XEP-0060 that say what happened to a node.
pub mod told {
    use super::*;
    use crate::pubsub::config::Config;

    /// Items were published.
    pub fn items(node: &str, items: impl IntoIterator<Item = Element>) -> Element {
        event(el("items", ns::PUBSUB_EVENT).with("node", node).append_all(items).build())
    }

    /// Items were retracted.
    pub fn retracted<'a>(node: &str, ids: impl IntoIterator<Item = &'a str>) -> Element {
        let retract = |id: &str| el("retract", ns::PUBSUB_EVENT).with("id", id).build();
        items(node, ids.into_iter().map(retract))
    }

    /// All items were deleted.
    pub fn purged(node: &str) -> Element {
        event(el("purge", ns::PUBSUB_EVENT).with("node", node).build())
    }

    /// The node was deleted; perhaps there is another elsewhere.
    pub fn deleted(node: &str, elsewhere: Option<&str>) -> Element {
        let redirect = elsewhere.map(|uri| el("redirect", ns::PUBSUB_EVENT).with("uri", uri).build());
        event(el("delete", ns::PUBSUB_EVENT).with("node", node).append_all(redirect).build())
    }

    /// The configuration was changed.
    pub fn configured(node: &str, config: &Config) -> Element {
        let form = config.payloads.then(|| config.told());
        event(el("configuration", ns::PUBSUB_EVENT).with("node", node).append_all(form).build())
    }

    /// A subscription has changed.
    pub fn subscription(node: &str, jid: &str, state: &str) -> Element {
        let about = el("subscription", ns::PUBSUB_EVENT).with("node", node).with("jid", jid);
        event(about.with("subscription", state).build())
    }

    fn event(what: Element) -> Element {
        el("event", ns::PUBSUB_EVENT).append(what).build()
    }
}
