//! Publishing and retracting items (XEP-0060 §7).

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::config::{Config, PUBLISH_OPTIONS, fields};
use super::error::{error, node_required, not_found, too_many};
use super::node::Node;
use super::store::{Item, Latest, Shelved, items_of, told};
use super::words::Affiliation;
use super::worker::{Change, Desk};
use crate::clock;
use crate::post::disk_error;
use crate::sessions::new_id;
use crate::xml::{With, el};

/// The most nodes of an account, and of the service.
const MOST_PERSONAL: usize = 250;
const MOST_PUBLIC: usize = 10_000;
/// The most items that all of them together may keep.
const MOST_PERSONAL_ITEMS: usize = 50_000;
const MOST_PUBLIC_ITEMS: usize = 1_000_000;
/// The most bytes of a node's name and of an item's id.
const MOST_NAME: usize = 512;

impl Desk<'_> {
    /// XEP-0060 §7.1, XEP-0163 §3.
    pub async fn publish(mut self, payload: &Element, publish: &Element) -> Result<(), StanzaError> {
        let name = publish.attr("node").filter(|node| !node.is_empty()).ok_or_else(node_required)?;
        let mut items = publish.children().filter(|child| child.is("item", ns::PUBSUB));
        let item = items.next().ok_or_else(|| error(StanzaCondition::BadRequest, "item-required"))?;
        if items.next().is_some() {
            return Err(error(StanzaCondition::NotAllowed, "max-items-exceeded"));
        }
        if self.core.readable && (is_unreadable_name(name) || is_unreadable(item)) {
            return Err(policy::Reason::Unreadable.error());
        }
        let options = match payload.get_child("publish-options", ns::PUBSUB) {
            Some(options) => match options.get_child("x", ns::DATA_FORMS) {
                Some(form) => fields(form, PUBLISH_OPTIONS)?,
                None => Vec::new(),
            },
            None => Vec::new(),
        };
        let (mut change, photo) = self.photo_published(name, item).await?;
        change.writes.extend(self.card_published(name, item).await?);
        self.put(name, item, &options, Config::personal(name), change).await?;
        if let Some(photo) = photo {
            self.show_photo(photo).await;
        }
        self.converge(name).await;
        Ok(())
    }

    /// Publishes an item to a node, which is made like `base` if it is not there and may be made. What follows from it
    /// besides is in `change`.
    ///
    /// # Errors
    /// Why that may not be; then nothing has happened.
    pub async fn put(
        &mut self,
        name: &str,
        item: &Element,
        options: &[(String, Vec<String>)],
        base: Config,
        mut change: Change,
    ) -> Result<(), StanzaError> {
        let mut fresh = match self.shelf.nodes.get(name) {
            Some(shelved) => {
                shelved.node.may_publish(&self.standing(&shelved.node))?;
                shelved.node.config.meets(options)?;
                None
            }
            None if self.is_personal() && self.from.to_bare() == self.shelf.owner => {
                let config = base.with_options(options)?;
                self.may_create(name)?;
                self.has_room(name, &config)?;
                Some(Shelved::new(Node::new(config)))
            }
            None => return Err(not_found()),
        };

        let owner = self.shelf.owner.clone();
        let vault = self.core.vault.clone();
        let publisher = self.from.to_bare().to_string();
        let shelved = match &mut fresh {
            Some(fresh) => fresh,
            None => self.node(name)?,
        };
        let (id, item) = checked(item, &shelved.node.config)?;
        let index = shelved.index(&vault, &owner, name).await.map_err(|error| disk_error(&error))?;
        let last = index.last_key_value().map_or(0, |(at, _)| *at);
        let before = index.iter().find(|(_, known)| **known == id).map(|(at, _)| *at);
        let xml = item.map(String::from).unwrap_or_default();
        let item = Item { xml, publisher, at: clock::micros().max(last + 1) };
        let mut index = index.clone();
        let node = match &fresh {
            Some(fresh) => &fresh.node,
            None => self.any(name)?,
        };
        let config = &node.config;

        if before.is_some() {
            self.may_replace(name, &id, node).await?;
        }
        let kept = config.persist && config.max_items > 0;
        let mut writes = Vec::new();
        if fresh.is_some() {
            writes.push(self.shelf.put_node(name, node));
        }
        if kept {
            before.map(|at| index.remove(&at));
            index.insert(item.at, id.clone());
            while index.len() > config.max_items as usize {
                if let Some((_, old)) = index.pop_first() {
                    change.writes.push(self.shelf.delete_item(name, &old));
                }
            }
            writes.push(self.shelf.put_item(name, &id, &item));
            let latest = Latest { id: id.clone(), at: item.at };
            writes.push(self.shelf.put_latest(name, Some(&latest)));
        }
        for write in writes {
            change.writes.push(write.map_err(|error| disk_error(&error))?);
        }

        let told = told::items(name, [item.element(&id, ns::PUBSUB_EVENT, true)]);
        if !node.is_private(&owner) {
            let text = item.words();
            change.event = self.event(&told, text);
        }
        change.sheets = self.notify(name, node, &told_as(config, name, &id, &item, told)).await?;
        let published = el("item", ns::PUBSUB).with("id", id.as_str()).build();
        let published = el("publish", ns::PUBSUB).with("node", name).append(published).build();
        change.answer = Some(el("pubsub", ns::PUBSUB).append(published).build());
        self.settle(change).await?;

        if let Some(fresh) = fresh {
            self.shelf.nodes.insert(name.to_owned(), fresh);
        }
        if kept && let Some(shelved) = self.shelf.nodes.get_mut(name) {
            shelved.latest = Some(Latest { id, at: item.at });
            shelved.notice = None;
            shelved.set_index(index);
        }
        Ok(())
    }

    /// Whether another node fits, and may have this name.
    ///
    /// # Errors
    /// `resource-constraint`, or `not-acceptable` for the name.
    pub fn may_create(&self, name: &str) -> Result<(), StanzaError> {
        let most = if self.is_personal() { MOST_PERSONAL } else { MOST_PUBLIC };
        if self.shelf.nodes.len() >= most {
            return Err(too_many(format!("There are {most} nodes at most. Delete one first.")));
        }
        if name.len() > MOST_NAME {
            let text = format!("The name of a node has {MOST_NAME} bytes at most.");
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, text));
        }
        Ok(())
    }

    /// Whether an owner's nodes may hold as much as they could if one were like this.
    ///
    /// # Errors
    /// `resource-constraint`.
    pub fn has_room(&self, name: &str, config: &Config) -> Result<(), StanzaError> {
        let most = if self.is_personal() { MOST_PERSONAL_ITEMS } else { MOST_PUBLIC_ITEMS };
        let room = |config: &Config| if config.persist { config.max_items as usize } else { 0 };
        let others = self.shelf.nodes.iter().filter(|(other, _)| *other != name);
        let others: usize = others.map(|(_, shelved)| room(&shelved.node.config)).sum();
        match others + room(config) <= most {
            true => Ok(()),
            false => {
                Err(too_many(format!("All nodes together keep {most} items at most. Let one keep fewer.")))
            }
        }
    }

    /// Only an owner writes over what somebody else has published.
    async fn may_replace(&self, name: &str, id: &str, node: &Node) -> Result<(), StanzaError> {
        if self.standing(node).affiliation == Affiliation::Owner {
            return Ok(());
        }
        let item = self.core.vault.get::<Item>(&items_of(&self.shelf.owner, name), id).await;
        match item.map_err(|error| disk_error(&error))? {
            Some(item) if item.value.publisher != self.from.to_bare().as_str() => {
                Err(StanzaError::new(StanzaCondition::Forbidden, "Somebody else has published this item."))
            }
            _ => Ok(()),
        }
    }

    /// XEP-0060 §7.2.
    pub async fn retract(mut self, retract: &Element) -> Result<(), StanzaError> {
        let name = retract.attr("node").filter(|node| !node.is_empty()).ok_or_else(node_required)?;
        let mut ids =
            retract.children().filter(|child| child.is("item", ns::PUBSUB)).map(|item| item.attr("id"));
        let id = match (ids.next(), ids.next()) {
            (Some(Some(id)), None) if !id.is_empty() => id,
            _ => return Err(error(StanzaCondition::BadRequest, "item-required")),
        };
        self.remove(name, id, matches!(retract.attr("notify"), Some("1" | "true"))).await?;
        self.converge(name).await;
        Ok(())
    }

    /// Removes an item; subscribers are told where that is `asked` for, or the node says so.
    ///
    /// # Errors
    /// Why that may not be; then nothing has happened.
    pub async fn remove(&mut self, name: &str, id: &str, asked: bool) -> Result<(), StanzaError> {
        let (owner, vault) = (self.shelf.owner.clone(), self.core.vault.clone());
        let shelved = self.node(name)?;
        if !shelved.node.config.persist {
            return Err(super::error::unsupported("persistent-items"));
        }
        let mut index =
            shelved.index(&vault, &owner, name).await.map_err(|error| disk_error(&error))?.clone();
        let node = &self.shelf.nodes.get(name).ok_or_else(not_found)?.node;
        node.may_publish(&self.standing(node))?;
        let at =
            index.iter().find(|(_, known)| known.as_str() == id).map(|(at, _)| *at).ok_or_else(not_found)?;
        self.may_replace(name, id, node).await?;
        index.remove(&at);
        let latest = index.last_key_value().map(|(at, id)| Latest { id: id.clone(), at: *at });

        let put = self.shelf.put_latest(name, latest.as_ref()).map_err(|error| disk_error(&error))?;
        let told = told::retracted(name, [id]);
        let sheets = match asked || node.config.notify_retract {
            true => self.notify(name, node, &told).await?,
            false => Vec::new(),
        };
        let event = if node.is_private(&owner) { None } else { self.event(&told, None) };
        let writes = vec![self.shelf.delete_item(name, id), put];
        self.settle(Change { writes, sheets, event, answer: None }).await?;
        if let Some(shelved) = self.shelf.nodes.get_mut(name) {
            shelved.latest = latest;
            shelved.notice = None;
            shelved.set_index(index);
        }
        Ok(())
    }

    fn any(&self, name: &str) -> Result<&Node, StanzaError> {
        self.shelf.nodes.get(name).map(|shelved| &shelved.node).ok_or_else(not_found)
    }
}

/// The item's id, made up if need be, and its payload.
fn checked<'a>(item: &'a Element, config: &Config) -> Result<(String, Option<&'a Element>), StanzaError> {
    let id = match item.attr("id").filter(|id| !id.is_empty()) {
        Some(id) if id.len() > MOST_NAME => {
            let text = format!("The id of an item has {MOST_NAME} bytes at most.");
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, text));
        }
        Some(id) => id.to_owned(),
        None => new_id().into(),
    };
    let mut payloads = item.children();
    match (payloads.next(), payloads.next()) {
        (_, Some(_)) => Err(error(StanzaCondition::BadRequest, "invalid-payload")),
        (None, None) if config.payloads => Err(error(StanzaCondition::BadRequest, "payload-required")),
        (payload, None) => Ok((id, payload)),
    }
}

/// The notification of an item: without its payload where the node says so.
pub fn told_as(config: &Config, name: &str, id: &str, item: &Item, whole: Element) -> Element {
    if config.payloads { whole } else { told::items(name, [item.element(id, ns::PUBSUB_EVENT, false)]) }
}

/// Whether a node of this name has the keys of end-to-end encryption: OMEMO of both generations, OpenPGP.
pub fn is_unreadable_name(name: &str) -> bool {
    policy::UNREADABLE.iter().any(|ns| {
        name.strip_prefix(ns).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '.', '#']))
    })
}

/// Whether anything in an element is end-to-end encrypted.
fn is_unreadable(element: &Element) -> bool {
    policy::UNREADABLE.contains(&element.ns().as_str()) || element.children().any(is_unreadable)
}
