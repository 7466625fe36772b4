//! Who hears of a node, and what they hear (XEP-0060 §7.1.2, XEP-0163 §4).

use std::collections::HashSet;
use std::sync::Arc;

use minidom::Element;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use vault::{Vault, VaultError};
use xmpp_parsers::ns;

use super::Look;
use super::config::{Config, form_type};
use super::error::not_found;
use super::node::Node;
use super::store::{Item, Shelf, Shelved, items_of, told};
use super::words::{ItemReply, SendLast, State};
use super::worker::{Core, Desk, standing, visible};
use crate::caps::Features;
use crate::clock;
use crate::people::User;
use crate::post::disk_error;
use crate::service::{Reader, Sheet};
use crate::session::Session;
use crate::sessions::new_id;
use crate::xml::{With, el, text};

/// What a `<delay/>` is in (XEP-0203).
const DELAY: &str = "urn:xmpp:delay";
/// Extended addressing (XEP-0033).
const ADDRESS: &str = "http://jabber.org/protocol/address";

impl Desk<'_> {
    /// The notification for everybody who is to hear of it, written once.
    pub async fn notify(&self, name: &str, node: &Node, told: &Element) -> Result<Vec<Sheet>, StanzaError> {
        if !node.config.deliver {
            return Ok(Vec::new());
        }
        let readers = readers(self.core, &self.shelf.owner, self.user.as_deref(), name, node);
        if readers.is_empty() {
            return Ok(Vec::new());
        }
        let reply = node.config.reply.map(|reply| {
            let jid = match reply {
                ItemReply::Owner => self.shelf.owner.to_string(),
                ItemReply::Publisher => self.from.to_bare().to_string(),
            };
            let address = el("address", ADDRESS).with("type", "replyto").with("jid", jid).build();
            el("addresses", ADDRESS).append(address).build()
        });
        let message = message(&self.shelf.owner, &node.config, std::iter::once(told).chain(&reply));
        let message = message.ok_or(StanzaCondition::InternalServerError)?;
        Ok(vec![Sheet::new(message, readers)])
    }
}

/// A notification without an address.
pub fn message<'a>(
    owner: &BareJid,
    config: &Config,
    payload: impl IntoIterator<Item = &'a Element>,
) -> Option<Stanza> {
    let message = Stanza::new(Kind::Message).typed(config.notice.name()).with_id(new_id());
    message.sent_by(owner.clone()).with_payload(payload).ok()
}

/// Everybody who hears of a node now: the owner's own resources and those of contacts that say by their capabilities
/// that they want it, and subscribers.
fn readers(core: &Core, owner: &BareJid, user: Option<&User>, name: &str, node: &Node) -> Vec<Reader> {
    let mut found = Found::default();
    if let Some(user) = user {
        user.each_session(|session| {
            if session.wants(name) {
                found.add(session);
            }
        });
        let contacts: Vec<BareJid> = user.roster(|roster| {
            roster.contacts().filter(|(_, contact)| contact.state.from).map(|(jid, _)| jid.clone()).collect()
        });
        for contact in contacts {
            let Some(other) = core.people.loaded(&contact) else {
                let is_outside = !core.router.serves(contact.domain().as_str());
                if is_outside && reads_outside(owner, Some(user), node, &contact.clone().into()) {
                    let wanting = core.caps.outside_wanting(&contact, name);
                    found.readers.extend(wanting.into_iter().map(Reader::Outside));
                }
                continue;
            };
            if !hears(owner, Some(user), node, &other) {
                continue;
            }
            other.each_session(|session| {
                if session.wants(name) {
                    found.add(session);
                }
            });
        }
    }
    for (jid, subscription) in &node.subscriptions {
        if subscription.state != State::Subscribed {
            continue;
        }
        let Ok(jid) = Jid::new(jid) else { continue };
        let Some(other) = core.people.loaded(&jid.to_bare()) else {
            if !core.router.serves(jid.domain().as_str()) && reads_outside(owner, user, node, &jid) {
                found.readers.push(Reader::Outside(jid));
            }
            continue;
        };
        if hears(owner, user, node, &other) {
            other.each_session(|session| {
                let meant = jid.is_bare() || session.jid.as_str() == jid.as_str();
                if meant && session.priority().is_some() {
                    found.add(session);
                }
            });
        }
    }
    found.readers
}

/// Whether somebody may read a node and neither blocks the other.
fn hears(owner: &BareJid, user: Option<&User>, node: &Node, other: &User) -> bool {
    let blocked = other.blocks(&owner.clone().into())
        || user.is_some_and(|user| user.blocks(&other.jid.clone().into()));
    !blocked && node.may_read(&standing(owner, user, node, &other.jid)).is_ok()
}

/// As [`hears`], for an address outside this server's accounts.
fn reads_outside(owner: &BareJid, user: Option<&User>, node: &Node, other: &Jid) -> bool {
    let blocked = user.is_some_and(|user| user.blocks(other));
    !blocked && node.may_read(&standing(owner, user, node, &other.to_bare())).is_ok()
}

/// Sessions, each once.
#[derive(Default)]
struct Found {
    known: HashSet<*const Session>,
    readers: Vec<Reader>,
}

// The addresses are compared only; nobody follows them.
impl Found {
    fn add(&mut self, session: &Arc<Session>) {
        if self.known.insert(Arc::as_ptr(session)) {
            self.readers.push(Reader::Session(session.clone()));
        }
    }
}

/// The notification of a node's latest item; made once.
///
/// # Errors
/// What the vault says.
pub async fn last(
    vault: &Vault,
    owner: &BareJid,
    name: &str,
    shelved: &mut Shelved,
) -> Result<Option<Stanza>, VaultError> {
    if let Some(notice) = &shelved.notice {
        return Ok(Some(notice.clone()));
    }
    let Some(latest) = &shelved.latest else { return Ok(None) };
    let Some(item) = vault.get::<Item>(&items_of(owner, name), &latest.id).await? else { return Ok(None) };
    let config = &shelved.node.config;
    let told = told::items(name, [item.value.element(&latest.id, ns::PUBSUB_EVENT, config.payloads)]);
    let delay =
        el("delay", DELAY).with("from", owner.as_str()).with("stamp", clock::stamp(item.value.at)).build();
    let notice = message(owner, config, [&told, &delay]);
    // What is large is rarely wanted and can be read again.
    if item.value.xml.len() <= 8 << 10 {
        shelved.notice = notice.clone();
    }
    Ok(notice)
}

/// Sends a resource the latest items of the nodes that it wants and may read; not those that it wanted `before`.
///
/// # Errors
/// When nothing could be read.
pub async fn greet(
    core: &Core,
    shelf: &mut Shelf,
    session: &Arc<Session>,
    before: Option<&Features>,
) -> Result<(), StanzaError> {
    let wanted = |name: &String, shelved: &Shelved| {
        shelved.node.config.deliver
            && shelved.node.config.send_last == SendLast::OnSubAndPresence
            && session.wants(name)
            && before.is_none_or(|before| !before.wants(name))
    };
    let names: Vec<String> = shelf
        .nodes
        .iter()
        .filter(|(name, shelved)| wanted(name, shelved))
        .map(|(name, _)| name.clone())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let owner = shelf.owner.clone();
    let user = match core.people.load(&owner).await.map_err(|error| disk_error(&error))? {
        Some(user) => user,
        None => return Ok(()),
    };
    let mut sheets = Vec::new();
    for name in names {
        shelf.expire(&core.vault, &name, clock::micros()).await.map_err(|error| disk_error(&error))?;
        let Some(shelved) = shelf.nodes.get_mut(&name) else { continue };
        if session.user.jid != owner && !hears(&owner, Some(&user), &shelved.node, &session.user) {
            continue;
        }
        let notice = last(&core.vault, &owner, &name, shelved).await.map_err(|error| disk_error(&error))?;
        sheets.extend(notice.map(|notice| Sheet::new(notice, [Reader::Session(session.clone())])));
    }
    if sheets.is_empty() {
        return Ok(());
    }
    core.commit(Vec::new(), sheets, None, None).await
}

/// What service discovery tells of an owner's nodes to who may see them (XEP-0060 §5.1 to §5.5).
///
/// # Errors
/// `item-not-found`, and why somebody may not know.
pub async fn look(core: &Core, shelf: &Shelf, look: &Look) -> Result<Vec<Element>, StanzaError> {
    let user = match shelf.owner.node() {
        Some(_) => core.people.load(&shelf.owner).await.map_err(|error| disk_error(&error))?,
        None => None,
    };
    let who = look.from.to_bare();
    let owner = shelf.owner.as_str();
    let Some(name) = &look.node else {
        let nodes = visible(&shelf.nodes, &shelf.owner, user.as_deref(), &who);
        let item = |(name, shelved): (&String, &Shelved)| {
            let title = Some(shelved.node.config.title.as_str()).filter(|title| !title.is_empty());
            el("item", ns::DISCO_ITEMS)
                .with("jid", owner)
                .with("node", name.as_str())
                .with("name", title)
                .build()
        };
        return Ok(nodes.map(item).collect());
    };
    let shelved = shelf.nodes.get(name).ok_or_else(not_found)?;
    let node = &shelved.node;
    if look.info {
        // That it is there is no secret: who asks for its items learns that as well.
        let identity = el("identity", ns::DISCO_INFO).with("category", "pubsub").with("type", "leaf").build();
        let feature = el("feature", ns::DISCO_INFO).with("var", ns::PUBSUB).build();
        return Ok(vec![identity, feature, metadata(node)]);
    }
    node.may_read(&standing(&shelf.owner, user.as_deref(), node, &who))?;
    let items = core.vault.list::<Item>(&items_of(&shelf.owner, name)).await;
    let mut items = items.map_err(|error| disk_error(&error))?;
    items.sort_unstable_by_key(|(_, item)| item.value.at);
    let item = |(id, _): (String, _)| el("item", ns::DISCO_ITEMS).with("jid", owner).with("name", id).build();
    Ok(items.into_iter().map(item).collect())
}

/// XEP-0060 §5.4.
fn metadata(node: &Node) -> Element {
    let config = &node.config;
    let field = |var: &str, values: Vec<String>| {
        let values = values.into_iter().map(|value| text("value", ns::DATA_FORMS, value));
        el("field", ns::DATA_FORMS).with("var", var).append_all(values).build()
    };
    let told = [
        "pubsub#title",
        "pubsub#description",
        "pubsub#type",
        "pubsub#language",
        "pubsub#access_model",
        "pubsub#publish_model",
        "pubsub#max_items",
    ];
    let fields = told.iter().filter_map(|var| Some((*var, config.field(var)?)));
    let fields = fields.filter(|(_, values)| !values.is_empty()).map(|(var, values)| field(var, values));
    let subscribers = node.subscriptions.values().filter(|it| it.state == State::Subscribed).count();
    el("x", ns::DATA_FORMS)
        .with("type", "result")
        .append(form_type("http://jabber.org/protocol/pubsub#meta-data"))
        .append_all(fields)
        .append(field("pubsub#num_subscribers", vec![subscribers.to_string()]))
        .build()
}

/// XEP-0060 §8.6: the form by which an owner lets somebody in.
pub fn request(name: &str, jid: &Jid, id: &str) -> Element {
    let field = |type_: &str, var: &str, label: &str, value: &str| {
        el("field", ns::DATA_FORMS)
            .with("type", type_)
            .with("var", var)
            .with("label", label)
            .append(text("value", ns::DATA_FORMS, value))
            .build()
    };
    el("x", ns::DATA_FORMS)
        .with("type", "form")
        .append(text("title", ns::DATA_FORMS, "Somebody wants to subscribe"))
        .append(form_type(AUTHORIZATION))
        .append(field("text-single", "pubsub#node", "Node", name))
        .append(field("jid-single", "pubsub#subscriber_jid", "Address", jid.as_str()))
        .append(field("hidden", "pubsub#subid", "Subscription", id))
        .append(field("boolean", "pubsub#allow", "Let them subscribe?", "0"))
        .build()
}

/// The `FORM_TYPE` of [`request`].
pub const AUTHORIZATION: &str = "http://jabber.org/protocol/pubsub#subscribe_authorization";
