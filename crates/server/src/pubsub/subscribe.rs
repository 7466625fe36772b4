//! Subscribing, unsubscribing, and looking up what one has (XEP-0060 §5.6, §5.7, §6).

use minidom::Element;
use stanza::{Jid, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::error::{error, node_required, not_found};
use super::node::{MOST_PEOPLE, Subscription};
use super::words::{Affiliation, SendLast, State};
use super::worker::{Change, Desk};
use crate::post::disk_error;
use crate::service::{Circular, Reader, Sheet};
use crate::sessions::new_id;
use crate::xml::{With, el};

impl Desk<'_> {
    /// XEP-0060 §6.1.
    pub async fn subscribe(mut self, subscribe: &Element) -> Result<(), StanzaError> {
        let name = named(subscribe)?;
        let jid = self.own_address(subscribe)?;
        let node = &self.shelf.nodes.get(name).ok_or_else(not_found)?.node;
        let state = node.admit(&self.standing(node))?;
        let mut node = node.clone();
        let known = node.subscriptions.get(jid.as_str()).cloned();
        let subscription = match known {
            // Whoever asks again has what they had.
            Some(known) if known.state == State::Subscribed || known.state == state => known,
            Some(known) => Subscription { state, ..known },
            None => Subscription { state, id: new_id().into() },
        };
        let begins =
            node.subscriptions.insert(jid.to_string(), subscription.clone()).as_ref() != Some(&subscription);
        if node.subscriptions.len() > MOST_PEOPLE {
            return Err(error(StanzaCondition::PolicyViolation, "too-many-subscriptions"));
        }
        let told = el("pubsub", ns::PUBSUB).append(described(name, jid.as_str(), &subscription)).build();

        let mut change = Change { answer: Some(told.clone()), ..Change::default() };
        if begins {
            let before = self.shelf.nodes.get(name).map(|shelved| &shelved.node);
            change.writes = self.shelf.put_lists(name, before, &node).map_err(|error| disk_error(&error))?;
            if !node.is_private(&self.shelf.owner) {
                change.event = self.event(&told, None);
            }
        }
        if subscription.state == State::Pending && begins {
            change.sheets.extend(self.ask_owners(name, &node, &jid, &subscription.id));
        }
        let reader = self.reader(&jid);
        self.settle(change).await?;
        let shelved = self.node(name)?;
        shelved.node = node;
        if begins
            && subscription.state == State::Subscribed
            && shelved.node.config.send_last != SendLast::Never
        {
            self.send_last(name, reader).await;
        }
        Ok(())
    }

    /// XEP-0060 §6.2.
    pub async fn unsubscribe(mut self, unsubscribe: &Element) -> Result<(), StanzaError> {
        let name = named(unsubscribe)?;
        let jid = self.own_address(unsubscribe)?;
        let mut node = self.shelf.nodes.get(name).ok_or_else(not_found)?.node.clone();
        let known = node.subscriptions.remove(jid.as_str());
        let known = known.ok_or_else(|| error(StanzaCondition::UnexpectedRequest, "not-subscribed"))?;
        if unsubscribe.attr("subid").is_some_and(|id| id != known.id) {
            return Err(error(StanzaCondition::NotAcceptable, "invalid-subid"));
        }
        let told = el("pubsub", ns::PUBSUB).append(unsubscribe.clone()).build();
        let event = if node.is_private(&self.shelf.owner) { None } else { self.event(&told, None) };
        let writes = vec![self.shelf.put_node(name, &node).map_err(|error| disk_error(&error))?];
        let gone = el("subscription", ns::PUBSUB)
            .with("node", name)
            .with("jid", jid.as_str())
            .with("subscription", "none")
            .build();
        let answer = Some(el("pubsub", ns::PUBSUB).append(gone).build());
        self.settle(Change { writes, event, answer, ..Change::default() }).await?;
        self.node(name)?.node = node;
        Ok(())
    }

    /// XEP-0060 §5.6.
    pub async fn subscriptions(self, wanted: &Element) -> Result<(), StanzaError> {
        let only = wanted.attr("node").filter(|node| !node.is_empty());
        if only.is_some_and(|name| !self.shelf.nodes.contains_key(name)) {
            return Err(not_found());
        }
        let who = self.from.to_bare();
        let mut listed = Vec::new();
        for (name, shelved) in
            self.shelf.nodes.iter().filter(|(name, _)| only.is_none_or(|only| only == *name))
        {
            let own = shelved
                .node
                .subscriptions
                .iter()
                .filter(|(jid, _)| Jid::new(jid).is_ok_and(|jid| jid.to_bare() == who));
            listed.extend(own.map(|(jid, subscription)| described(name, jid, subscription)));
        }
        let list = el("subscriptions", ns::PUBSUB).with("node", only).append_all(listed).build();
        self.answer(Some(el("pubsub", ns::PUBSUB).append(list).build())).await
    }

    /// XEP-0060 §5.7.
    pub async fn affiliations(self, wanted: &Element) -> Result<(), StanzaError> {
        let only = wanted.attr("node").filter(|node| !node.is_empty());
        if only.is_some_and(|name| !self.shelf.nodes.contains_key(name)) {
            return Err(not_found());
        }
        let who = self.from.to_bare();
        let nodes = self.shelf.nodes.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
        let listed: Vec<Element> = nodes
            .map(|(name, shelved)| (name, shelved.node.affiliation(&self.shelf.owner, &who)))
            .filter(|(_, affiliation)| *affiliation != Affiliation::None)
            .map(|(name, affiliation)| {
                el("affiliation", ns::PUBSUB)
                    .with("node", name.as_str())
                    .with("affiliation", affiliation.name())
                    .build()
            })
            .collect();
        let list = el("affiliations", ns::PUBSUB).with("node", only).append_all(listed).build();
        self.answer(Some(el("pubsub", ns::PUBSUB).append(list).build())).await
    }

    /// The address in a request, which must be the sender's own (XEP-0060 §6.1.3.1).
    fn own_address(&self, element: &Element) -> Result<Jid, StanzaError> {
        let invalid = || error(StanzaCondition::BadRequest, "invalid-jid");
        let jid = element.attr("jid").and_then(|jid| Jid::new(jid).ok()).ok_or_else(invalid)?;
        if jid.to_bare() != self.from.to_bare() || (jid.is_full() && jid != *self.from) {
            return Err(invalid());
        }
        Ok(jid)
    }

    /// Who gets the last item when a subscription of this address begins.
    fn reader(&self, jid: &Jid) -> Vec<Reader> {
        let Some(user) = self.core.people.loaded(&jid.to_bare()) else { return Vec::new() };
        let mut readers = Vec::new();
        user.each_session(|session| {
            if (jid.is_bare() && session.priority().is_some()) || session.jid.as_str() == jid.as_str() {
                readers.push(Reader::Session(session.clone()));
            }
        });
        readers
    }

    /// The latest item of a node for these readers. The answer has been sent, so a fault here is the log's.
    async fn send_last(&mut self, name: &str, readers: Vec<Reader>) {
        let (owner, vault) = (self.shelf.owner.clone(), self.core.vault.clone());
        let Some(shelved) = self.shelf.nodes.get_mut(name) else { return };
        match super::notify::last(&vault, &owner, name, shelved).await {
            Ok(Some(notice)) if !readers.is_empty() => {
                let _ = self.core.post.circulate(Circular::new(notice, readers), None).await;
            }
            Ok(_) => {}
            Err(error) => drop(disk_error(&error)),
        }
    }

    /// XEP-0060 §8.6: the owners are asked whether somebody may subscribe.
    fn ask_owners(&self, name: &str, node: &super::node::Node, jid: &Jid, id: &str) -> Vec<Sheet> {
        let form = super::notify::request(name, jid, id);
        let owners = node.affiliations.iter().filter(|(_, affiliation)| **affiliation == Affiliation::Owner);
        let owners = owners.filter_map(|(jid, _)| Jid::new(jid).ok());
        let own = self.is_personal().then(|| Jid::from(self.shelf.owner.clone()));
        own.into_iter().chain(owners).filter_map(|owner| self.tell_subscriber(&form, &owner)).collect()
    }
}

fn described(name: &str, jid: &str, subscription: &Subscription) -> Element {
    el("subscription", ns::PUBSUB)
        .with("node", name)
        .with("jid", jid)
        .with("subscription", subscription.state.name())
        .with("subid", subscription.id.as_str())
        .build()
}

fn named(element: &Element) -> Result<&str, StanzaError> {
    element.attr("node").filter(|node| !node.is_empty()).ok_or_else(node_required)
}
