//! Bookmarks of rooms in their three forms: the node of XEP-0402, which counts, and the two older ones of XEP-0048, a
//! node with one item and private XML storage, which show the same.

use std::collections::BTreeMap;

use minidom::Element;
use stanza::{BareJid, StanzaError};
use xmpp_parsers::ns;

use super::Offer;
use super::config::Config;
use super::store::{Item, items_of};
use super::worker::{Change, Desk};
use crate::post::disk_error;
use crate::xml::{With, el, text};

/// The node of XEP-0402.
const NODE: &str = "urn:xmpp:bookmarks:1";
/// The node of XEP-0048, and the namespace of its payload.
const OLD: &str = "storage:bookmarks";
/// The id of its one item.
const CURRENT: &str = "current";

impl Desk<'_> {
    /// See [`super::PubSub::bookmarks`].
    pub async fn bookmarks(mut self, storage: Option<Element>) -> Result<Option<Vec<Element>>, StanzaError> {
        if let Some(storage) = storage {
            self.replace(&storage).await?;
            self.mirror().await?;
        }
        if !self.shelf.nodes.contains_key(NODE) {
            return Ok(None);
        }
        let known = self.known().await?;
        Ok(Some(known.iter().map(|(jid, new)| old_of(jid, new)).collect()))
    }

    /// See [`super::PubSub::offer`].
    pub async fn offer(&mut self, offers: Vec<Offer>) {
        if let Err(error) = self.accept(offers).await {
            tracing::warn!(condition = %error.condition, "company rooms could not be put among bookmarks");
        }
    }

    async fn accept(&mut self, offers: Vec<Offer>) -> Result<(), StanzaError> {
        let known = self.known().await?;
        let new = offers.into_iter().filter(|offer| !known.contains_key(offer.room.as_str()));
        for Offer { room, title, once } in new {
            let conference = el("conference", NODE).with("name", title).with("autojoin", "true").build();
            let item = el("item", ns::PUBSUB).with("id", room.as_str()).append(conference).build();
            let change = Change { writes: vec![once], ..Change::default() };
            self.put(NODE, &item, &[], Config::personal(NODE), change).await?;
        }
        self.mirror().await
    }

    /// After a change of one of the nodes the other shows the same. The change itself is durable, so what fails here is
    /// for the log.
    pub async fn converge_bookmarks(&mut self, name: &str) {
        let result = match name {
            NODE => self.mirror().await,
            OLD => match self.current().await {
                Ok(Some(storage)) => self.replace(&storage).await,
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            },
            _ => return,
        };
        if let Err(error) = result {
            tracing::warn!(condition = %error.condition, "bookmarks in two forms have come apart");
        }
    }

    /// The payloads of the node, by room.
    async fn known(&self) -> Result<BTreeMap<String, Element>, StanzaError> {
        let items = self.core.vault.list::<Item>(&items_of(&self.shelf.owner, NODE)).await;
        let items = items.map_err(|error| disk_error(&error))?;
        Ok(items.into_iter().filter_map(|(jid, item)| Some((jid, item.value.payload()?))).collect())
    }

    async fn current(&self) -> Result<Option<Element>, StanzaError> {
        let Some(latest) = self.shelf.nodes.get(OLD).and_then(|shelved| shelved.latest.as_ref()) else {
            return Ok(None);
        };
        let item = self.core.vault.get::<Item>(&items_of(&self.shelf.owner, OLD), &latest.id).await;
        Ok(item.map_err(|error| disk_error(&error))?.and_then(|item| item.value.payload()))
    }

    /// Makes the node say what a list of the old form says.
    async fn replace(&mut self, storage: &Element) -> Result<(), StanzaError> {
        let known = self.known().await?;
        let conferences = storage.children().filter(|child| child.is("conference", OLD));
        let wanted: BTreeMap<String, &Element> = conferences
            .filter_map(|old| Some((BareJid::new(old.attr("jid")?).ok()?.to_string(), old)))
            .collect();
        for jid in known.keys().filter(|jid| !wanted.contains_key(*jid)) {
            self.remove(NODE, jid, true).await?;
        }
        for (jid, old) in wanted {
            let new = new_of(old, known.get(&jid));
            if known.get(&jid) != Some(&new) {
                let item = el("item", ns::PUBSUB).with("id", jid).append(new).build();
                self.put(NODE, &item, &[], Config::personal(NODE), Change::default()).await?;
            }
        }
        Ok(())
    }

    /// Makes the old node say what the new one says.
    async fn mirror(&mut self) -> Result<(), StanzaError> {
        let known = self.known().await?;
        let before = self.current().await?;
        let others =
            before.iter().flat_map(Element::children).filter(|child| child.name() != "conference").cloned();
        let storage = el("storage", OLD)
            .append_all(others)
            .append_all(known.iter().map(|(jid, new)| old_of(jid, new)))
            .build();
        if before.as_ref() == Some(&storage) {
            return Ok(());
        }
        let item = el("item", ns::PUBSUB).with("id", CURRENT).append(storage).build();
        self.put(OLD, &item, &[], Config::personal(OLD), Change::default()).await
    }
}

/// The new form of an old bookmark. What only the new form has is kept from the one `before`.
fn new_of(old: &Element, before: Option<&Element>) -> Element {
    let autojoin = matches!(old.attr("autojoin"), Some("1" | "true"));
    let parts = old.children().filter(|child| matches!(child.name(), "nick" | "password"));
    let parts = parts.map(|child| text(child.name(), NODE, child.text()));
    let extensions = before.and_then(|before| before.get_child("extensions", NODE)).cloned();
    el("conference", NODE)
        .with("name", old.attr("name"))
        .with("autojoin", autojoin.then_some("true"))
        .append_all(parts)
        .append_all(extensions)
        .build()
}

/// The old form of a new bookmark.
fn old_of(jid: &str, new: &Element) -> Element {
    let autojoin = matches!(new.attr("autojoin"), Some("1" | "true"));
    let parts = new.children().filter(|child| matches!(child.name(), "nick" | "password"));
    let parts = parts.map(|child| text(child.name(), OLD, child.text()));
    el("conference", OLD)
        .with("jid", jid)
        .with("name", new.attr("name"))
        .with("autojoin", autojoin.then_some("true"))
        .append_all(parts)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_the_new_form_knows_survives_a_client_of_the_old() {
        let new: Element =
            "<conference xmlns='urn:xmpp:bookmarks:1' name='Engines' autojoin='true'><nick>Ada</nick>\
            <extensions><notify xmlns='urn:xmpp:notification-settings:1'/></extensions></conference>"
                .parse()
                .unwrap();
        let old = old_of("room@conference.corp.example", &new);
        assert_eq!(old.attr("jid"), Some("room@conference.corp.example"));
        assert_eq!(new_of(&old, Some(&new)), new);
    }
}
