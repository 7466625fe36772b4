//! What a node's owner does with it (XEP-0060 §8).

use std::collections::BTreeSet;

use minidom::Element;
use stanza::{BareJid, Jid, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::config::Config;
use super::error::{error, node_required, not_found, too_many};
use super::node::{MOST_PEOPLE, Node, Subscription};
use super::store::{Item, Latest, Shelved, items_of, told};
use super::words::{Access, Affiliation, State};
use super::worker::{Change, Desk};
use crate::iq::bad_request;
use crate::post::disk_error;
use crate::service::{Reader, Sheet};
use crate::sessions::new_id;
use crate::xml::{With, el};

impl Desk<'_> {
    /// XEP-0060 §8.1.
    pub async fn create(mut self, payload: &Element, create: &Element) -> Result<(), StanzaError> {
        let own = self.from.to_bare() == self.shelf.owner;
        if self.is_personal() && !own {
            return Err(StanzaCondition::Forbidden.into());
        }
        let (name, instant) = match create.attr("node").filter(|name| !name.is_empty()) {
            Some(name) => (name.to_owned(), false),
            None => (new_id().into_string(), true),
        };
        if self.shelf.nodes.contains_key(&name) {
            return Err(StanzaCondition::Conflict.into());
        }
        self.may_create(&name)?;
        if self.core.readable && super::publish::is_unreadable_name(&name) {
            return Err(policy::Reason::Unreadable.error());
        }
        let base = if self.is_personal() { Config::personal(&name) } else { Config::public() };
        let form =
            payload.get_child("configure", ns::PUBSUB).and_then(|it| it.get_child("x", ns::DATA_FORMS));
        let config = match form {
            Some(form) => base.with_form(form)?,
            None => base,
        };
        self.check(&config)?;
        self.has_room(&name, &config)?;
        let mut node = Node::new(config);
        if !self.is_personal() {
            node.affiliations.insert(self.from.to_bare().to_string(), Affiliation::Owner);
        }
        let writes = self.shelf.put_lists(&name, None, &node).map_err(|error| disk_error(&error))?;
        let answer = instant.then(|| {
            let create = el("create", ns::PUBSUB).with("node", name.as_str()).build();
            el("pubsub", ns::PUBSUB).append(create).build()
        });
        let event = match node.is_private(&self.shelf.owner) {
            true => None,
            false => self.event(&told::configured(&name, &node.config), None),
        };
        self.settle(Change { writes, answer, event, ..Change::default() }).await?;
        self.shelf.nodes.insert(name, Shelved::new(node));
        Ok(())
    }

    /// The service has no roster that could say who is let in.
    fn check(&self, config: &Config) -> Result<(), StanzaError> {
        match config.access {
            Access::Presence | Access::Roster if !self.is_personal() => Err(StanzaError {
                application: super::error::unsupported("access-model").application,
                ..StanzaCondition::NotAcceptable.into()
            }),
            _ => Ok(()),
        }
    }

    /// The groups of the owner's roster, by name.
    fn groups(&self) -> Vec<String> {
        let Some(user) = &self.user else { return Vec::new() };
        user.roster(|roster| {
            let groups: BTreeSet<&String> =
                roster.listed().flat_map(|(_, contact)| &contact.groups).collect();
            groups.into_iter().cloned().collect()
        })
    }

    /// XEP-0060 §8.3.
    pub async fn default(self, payload: &Element, _default: &Element) -> Result<(), StanzaError> {
        let config = if self.is_personal() { Config::default() } else { Config::public() };
        let default = el("default", &payload.ns()).append(config.form(&self.groups())).build();
        let answer = el("pubsub", &payload.ns()).append(default).build();
        self.answer(Some(answer)).await
    }

    /// XEP-0060 §8.2.1.
    pub async fn configuration(self, configure: &Element) -> Result<(), StanzaError> {
        let name = named(configure)?;
        let groups = self.groups();
        let form = self.owned(name)?.node.config.form(&groups);
        let configure = el("configure", ns::PUBSUB_OWNER).with("node", name).append(form).build();
        self.answer(Some(el("pubsub", ns::PUBSUB_OWNER).append(configure).build())).await
    }

    /// XEP-0060 §8.2.4.
    pub async fn configure(mut self, configure: &Element) -> Result<(), StanzaError> {
        let name = named(configure)?;
        let before = self.owned(name)?.node.clone();
        let form = configure.get_child("x", ns::DATA_FORMS);
        let form = form.ok_or_else(|| bad_request("A configuration is a data form."))?;
        if form.attr("type") == Some("cancel") {
            return self.answer(None).await;
        }
        let node = Node { config: before.config.with_form(form)?, ..before.clone() };
        self.check(&node.config)?;
        self.has_room(name, &node.config)?;
        self.publish_past(name, &before, &node).await?;
        let mut writes = vec![self.shelf.put_node(name, &node).map_err(|error| disk_error(&error))?];

        // Fewer items may be kept from now on.
        let (owner, vault) = (self.shelf.owner.clone(), self.core.vault.clone());
        let mut index =
            self.node(name)?.index(&vault, &owner, name).await.map_err(|error| disk_error(&error))?.clone();
        let room = if node.config.persist { node.config.max_items as usize } else { 0 };
        while index.len() > room {
            if let Some((_, id)) = index.pop_first() {
                writes.push(self.shelf.delete_item(name, &id));
            }
        }
        let latest = index.last_key_value().map(|(at, id)| Latest { id: id.clone(), at: *at });
        writes.push(self.shelf.put_latest(name, latest.as_ref()).map_err(|error| disk_error(&error))?);

        let told = told::configured(name, &node.config);
        let sheets = match node.config.notify_config {
            true => self.notify(name, &node, &told).await?,
            false => Vec::new(),
        };
        let private = node.is_private(&owner) && before.is_private(&owner);
        let event = if private { None } else { self.event(&told, None) };
        self.settle(Change { writes, sheets, event, answer: None }).await?;
        if let Some(shelved) = self.shelf.nodes.get_mut(name) {
            (shelved.node, shelved.latest, shelved.notice) = (node, latest, None);
            shelved.set_index(index);
        }
        Ok(())
    }

    /// A private node's items become events when others may read them from now on: opening it later is no way past the
    /// archive.
    async fn publish_past(&mut self, name: &str, before: &Node, after: &Node) -> Result<(), StanzaError> {
        let owner = self.shelf.owner.clone();
        if !before.is_private(&owner) || after.is_private(&owner) {
            return Ok(());
        }
        let items = self.core.vault.list::<Item>(&items_of(&owner, name)).await;
        for (id, item) in items.map_err(|error| disk_error(&error))? {
            let told = told::items(name, [item.value.element(&id, ns::PUBSUB_EVENT, true)]);
            let event = self.event(&told, item.value.words());
            self.core.commit(Vec::new(), Vec::new(), event, None).await?;
        }
        Ok(())
    }

    /// XEP-0060 §8.4.
    pub async fn delete(mut self, delete: &Element) -> Result<(), StanzaError> {
        let name = named(delete)?;
        let node = self.owned(name)?.node.clone();
        let redirect =
            delete.get_child("redirect", ns::PUBSUB_OWNER).and_then(|redirect| redirect.attr("uri"));
        let told = told::deleted(name, redirect);
        let mut writes = self.delete_items(name).await?;
        writes.extend(self.shelf.delete_node(name));
        let change = self.gone(name, &node, told, writes, node.config.notify_delete).await?;
        self.settle(change).await?;
        self.shelf.nodes.remove(name);
        Ok(())
    }

    /// XEP-0060 §8.5.
    pub async fn purge(mut self, purge: &Element) -> Result<(), StanzaError> {
        let name = named(purge)?;
        let node = self.owned(name)?.node.clone();
        if !node.config.persist {
            return Err(super::error::unsupported("persistent-items"));
        }
        let mut writes = self.delete_items(name).await?;
        writes.push(self.shelf.put_latest(name, None).map_err(|error| disk_error(&error))?);
        let change = self.gone(name, &node, told::purged(name), writes, node.config.notify_retract).await?;
        self.settle(change).await?;
        self.shelf.nodes.insert(name.to_owned(), Shelved::new(node));
        Ok(())
    }

    async fn delete_items(&self, name: &str) -> Result<Vec<vault::Write>, StanzaError> {
        let items = self.core.vault.list::<Item>(&items_of(&self.shelf.owner, name)).await;
        let items = items.map_err(|error| disk_error(&error))?;
        Ok(items.iter().map(|(id, _)| self.shelf.delete_item(name, id)).collect())
    }

    async fn gone(
        &self,
        name: &str,
        node: &Node,
        told: Element,
        writes: Vec<vault::Write>,
        tell: bool,
    ) -> Result<Change, StanzaError> {
        let sheets = if tell { self.notify(name, node, &told).await? } else { Vec::new() };
        let event = if node.is_private(&self.shelf.owner) { None } else { self.event(&told, None) };
        Ok(Change { writes, sheets, event, answer: None })
    }

    /// XEP-0060 §8.9.1.
    pub async fn affiliated(self, affiliations: &Element) -> Result<(), StanzaError> {
        let name = named(affiliations)?;
        let node = &self.owned(name)?.node;
        let own = self.is_personal().then(|| (self.shelf.owner.to_string(), Affiliation::Owner));
        let listed = node.affiliations.iter().map(|(jid, affiliation)| (jid.clone(), *affiliation));
        let listed = own.into_iter().chain(listed).map(|(jid, affiliation)| {
            el("affiliation", ns::PUBSUB_OWNER)
                .with("jid", jid)
                .with("affiliation", affiliation.name())
                .build()
        });
        let list = el("affiliations", ns::PUBSUB_OWNER).with("node", name).append_all(listed).build();
        self.answer(Some(el("pubsub", ns::PUBSUB_OWNER).append(list).build())).await
    }

    /// XEP-0060 §8.9.2. Whoever loses the right to read loses the subscription.
    pub async fn affiliate(mut self, affiliations: &Element) -> Result<(), StanzaError> {
        let name = named(affiliations)?;
        let before = self.owned(name)?.node.clone();
        let mut node = before.clone();
        for wanted in affiliations.children().filter(|child| child.is("affiliation", ns::PUBSUB_OWNER)) {
            let jid = wanted.attr("jid").and_then(|jid| BareJid::new(jid).ok());
            let jid = jid.ok_or(StanzaCondition::JidMalformed)?;
            let affiliation = wanted.attr("affiliation").and_then(Affiliation::of);
            let affiliation = affiliation.ok_or_else(|| bad_request("There is no such affiliation."))?;
            if jid == self.shelf.owner {
                return Err(StanzaError::new(StanzaCondition::NotAllowed, "An account owns its own nodes."));
            }
            match affiliation {
                Affiliation::None => _ = node.affiliations.remove(jid.as_str()),
                _ => _ = node.affiliations.insert(jid.to_string(), affiliation),
            }
        }
        let owners = node.affiliations.values().filter(|affiliation| **affiliation == Affiliation::Owner);
        if !self.is_personal() && owners.count() == 0 {
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, "A node has at least one owner."));
        }
        if node.affiliations.len() > MOST_PEOPLE {
            return Err(too_many(format!("A node has {MOST_PEOPLE} affiliations at most.")));
        }
        let lost = node.subscriptions.keys().filter(|jid| {
            let who = BareJid::new(jid.split('/').next().unwrap_or_default());
            who.is_ok_and(|who| node.affiliation(&self.shelf.owner, &who) == Affiliation::Outcast)
        });
        let lost: Vec<String> = lost.cloned().collect();
        lost.iter().for_each(|jid| {
            node.subscriptions.remove(jid);
        });
        self.publish_past(name, &before, &node).await?;
        self.relist(name, before, node, affiliations, Vec::new()).await
    }

    /// XEP-0060 §8.8.1.
    pub async fn subscribed(self, subscriptions: &Element) -> Result<(), StanzaError> {
        let name = named(subscriptions)?;
        let node = &self.owned(name)?.node;
        let listed = node.subscriptions.iter().map(|(jid, subscription)| {
            el("subscription", ns::PUBSUB_OWNER)
                .with("jid", jid.as_str())
                .with("subscription", subscription.state.name())
                .with("subid", subscription.id.as_str())
                .build()
        });
        let list = el("subscriptions", ns::PUBSUB_OWNER).with("node", name).append_all(listed).build();
        self.answer(Some(el("pubsub", ns::PUBSUB_OWNER).append(list).build())).await
    }

    /// XEP-0060 §8.8.2: subscribers are approved, added or removed; each is told.
    pub async fn approve(mut self, subscriptions: &Element) -> Result<(), StanzaError> {
        let name = named(subscriptions)?;
        let before = self.owned(name)?.node.clone();
        let mut node = before.clone();
        let mut sheets = Vec::new();
        for wanted in subscriptions.children().filter(|child| child.is("subscription", ns::PUBSUB_OWNER)) {
            let jid =
                wanted.attr("jid").and_then(|jid| Jid::new(jid).ok()).ok_or(StanzaCondition::JidMalformed)?;
            let state = match wanted.attr("subscription") {
                Some("none") => None,
                Some(word) => Some(State::of(word).ok_or_else(|| bad_request("There is no such state."))?),
                None => return Err(bad_request("A subscription has a state.")),
            };
            match state {
                None => _ = node.subscriptions.remove(jid.as_str()),
                Some(state) => {
                    let known = node.subscriptions.remove(jid.as_str());
                    let id = known.map_or_else(|| new_id().into(), |known| known.id);
                    node.subscriptions.insert(jid.to_string(), Subscription { state, id });
                }
            }
            let word = state.map_or("none", State::name);
            sheets.extend(self.tell_subscriber(&told::subscription(name, jid.as_str(), word), &jid));
        }
        if node.subscriptions.len() > MOST_PEOPLE {
            return Err(error(StanzaCondition::PolicyViolation, "too-many-subscriptions"));
        }
        self.relist(name, before, node, subscriptions, sheets).await
    }

    /// Stores changed lists.
    async fn relist(
        &mut self,
        name: &str,
        before: Node,
        node: Node,
        request: &Element,
        sheets: Vec<Sheet>,
    ) -> Result<(), StanzaError> {
        let owner = &self.shelf.owner;
        let private = before.is_private(owner) && node.is_private(owner);
        let told = el("pubsub", ns::PUBSUB_OWNER).append(request.clone()).build();
        let event = if private { None } else { self.event(&told, None) };
        let writes = self.shelf.put_lists(name, Some(&before), &node).map_err(|error| disk_error(&error))?;
        self.settle(Change { writes, sheets, event, answer: None }).await?;
        self.shelf.nodes.get_mut(name).ok_or_else(not_found)?.node = node;
        Ok(())
    }

    /// A message for the resources of one subscriber.
    pub fn tell_subscriber(&self, told: &Element, jid: &Jid) -> Option<Sheet> {
        let user = self.core.people.loaded(&jid.to_bare())?;
        let mut readers = Vec::new();
        user.each_session(|session| {
            let meant = jid.is_bare() || session.jid.as_str() == jid.as_str();
            if meant && session.priority().is_some() {
                readers.push(Reader::Session(session.clone()));
            }
        });
        let message = super::notify::message(&self.shelf.owner, &Config::default(), [told])?;
        (!readers.is_empty()).then(|| Sheet::new(message, readers))
    }
}

fn named(element: &Element) -> Result<&str, StanzaError> {
    element.attr("node").filter(|node| !node.is_empty()).ok_or_else(node_required)
}
