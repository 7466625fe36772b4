//! Private XML storage (XEP-0049): what a client keeps on the server for itself, such as old bookmarks.

use async_trait::async_trait;
use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, StanzaCondition, StanzaError};
use vault::{Expect, Record, Vault, Write};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request, bad_request};
use crate::post::disk_error;
use crate::pubsub::PubSub;
use crate::xml;

/// One element of one account, as stored. Parent: the bare JID; key: [`key`].
#[derive(Serialize, Deserialize)]
pub struct PrivateXml {
    xml: String,
}

impl Record for PrivateXml {
    const KIND: u16 = crate::kinds::PRIVATE_XML;
}

/// The most elements of an account.
const MOST: usize = 100;
/// The size of one element in bytes.
const MAX_BYTES: usize = 128 << 10;

/// Serves `jabber:iq:private`.
pub struct Private {
    /// Where it is kept.
    pub vault: Vault,
    /// Where bookmarks are kept.
    pub pubsub: PubSub,
}

#[async_trait]
impl Handler for Private {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", ns::PRIVATE, &[Place::Own])]
    }

    /// Clients that ask only the server, as older ones do, find it there, too (XEP-0049 leaves the place open).
    fn features(&self, place: Place) -> Vec<&'static str> {
        match place {
            Place::Host | Place::Own => vec![ns::PRIVATE],
            Place::Other => Vec::new(),
        }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        let owner = &request.user.jid;
        if request.set {
            self.set(owner, &request.payload).await
        } else {
            self.get(owner, &request.payload).await
        }
    }
}

impl Private {
    async fn get(&self, owner: &BareJid, query: &Element) -> Answer {
        let mut wanted = query.children();
        let (Some(wanted), None) = (wanted.next(), wanted.next()) else {
            return Err(bad_request("Ask for exactly one element."));
        };
        let stored = self.vault.get::<PrivateXml>(owner.as_str(), &key(wanted)).await;
        let stored = stored.map_err(|error| disk_error(&error))?;
        let found = stored.and_then(|stored| stored.value.xml.parse().ok());
        let found = found.unwrap_or_else(|| Element::bare(wanted.name(), wanted.ns()));
        let found = if is_bookmarks(wanted) { self.with_conferences(owner, found).await? } else { found };
        Ok(Some(xml::el("query", ns::PRIVATE).append(found).build()))
    }

    /// Bookmarks of rooms are those of XEP-0402; what else the old form can hold is kept beside them.
    async fn with_conferences(&self, owner: &BareJid, found: Element) -> Result<Element, StanzaError> {
        let Some(conferences) = self.pubsub.bookmarks(owner, None).await? else { return Ok(found) };
        let others = found.children().filter(|child| child.name() != "conference").cloned();
        Ok(xml::el(found.name(), &found.ns()).append_all(others).append_all(conferences).build())
    }

    async fn set(&self, owner: &BareJid, query: &Element) -> Answer {
        if query.children().next().is_none() {
            return Err(bad_request("There is nothing to store."));
        }
        let known =
            self.vault.list::<PrivateXml>(owner.as_str()).await.map_err(|error| disk_error(&error))?;
        let mut keys: std::collections::BTreeSet<String> = known.into_iter().map(|(key, _)| key).collect();
        let mut writes = Vec::new();
        for element in query.children() {
            if is_reserved(&element.ns()) {
                let text = "This namespace belongs to the protocol; choose one of your own.";
                return Err(StanzaError::new(StanzaCondition::NotAcceptable, text));
            }
            let xml = String::from(element);
            if xml.len() > MAX_BYTES {
                let text = format!("An element has {MAX_BYTES} bytes at most.");
                return Err(StanzaError::new(StanzaCondition::NotAcceptable, text));
            }
            let write = Write::put(owner.as_str(), &key(element), &PrivateXml { xml }, Expect::Any);
            writes.push(write.map_err(|error| disk_error(&error))?);
            keys.insert(key(element));
        }
        if keys.len() > MOST {
            let text = format!("An account stores {MOST} elements at most.");
            return Err(StanzaError::new(StanzaCondition::ResourceConstraint, text));
        }
        for bookmarks in query.children().filter(|element| is_bookmarks(element)) {
            self.pubsub.bookmarks(owner, Some(bookmarks.clone())).await?;
        }
        self.vault.apply(writes).await.map_err(|error| disk_error(&error))?;
        Ok(None)
    }
}

fn is_bookmarks(element: &Element) -> bool {
    element.is("storage", ns::BOOKMARKS)
}

/// An element's name and namespace; names have no spaces.
fn key(element: &Element) -> String {
    format!("{} {}", element.name(), element.ns())
}

/// XEP-0049 §6: these could be taken for something else.
fn is_reserved(ns: &str) -> bool {
    ns.starts_with("jabber:") || ns.starts_with("http://jabber.org/") || ns == ns::VCARD
}
