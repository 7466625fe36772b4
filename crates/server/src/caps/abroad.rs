//! What clients of people outside this server's accounts can do: contacts behind components.
//!
//! They are asked as ours are, once for each hash; what is held of them is in memory and bounded, and a resource that is
//! forgotten hears of nodes again with its next presence.

use std::collections::HashMap;
use std::sync::Arc;

use hashlink::LruCache;
use parking_lot::Mutex;
use stanza::{BareJid, FullJid, Jid, Kind, Stanza};
use tokio::time::timeout;
use xmpp_parsers::ns;

use super::hash::Claim;
use super::{Caps, Features, PATIENCE, features_of};
use crate::sessions::new_id;
use crate::xml::{With, el};

/// The most contacts outside that are held; the one that was not met for longest is forgotten.
const MOST: usize = 10_000;
/// The most resources of one of them.
const MOST_RESOURCES: usize = 20;

/// See the module.
pub(super) struct Abroad(Mutex<LruCache<BareJid, Resources>>);

type Resources = HashMap<FullJid, Resource>;

struct Resource {
    key: Box<str>,
    /// `None` until it has answered.
    features: Option<Arc<Features>>,
}

impl Default for Abroad {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl Abroad {
    fn forget(&self, jid: &FullJid) {
        let mut abroad = self.0.lock();
        let bare = jid.to_bare();
        if let Some(resources) = abroad.get_mut(&bare) {
            resources.remove(jid);
            if resources.is_empty() {
                abroad.remove(&bare);
            }
        }
    }

    /// Whether this is news of a resource.
    fn meet(&self, jid: &FullJid, key: &str, features: Option<Arc<Features>>) -> bool {
        let mut abroad = self.0.lock();
        let resources = abroad.entry(jid.to_bare()).or_insert_with(Resources::new);
        let is_known = resources.get(jid).is_some_and(|resource| *resource.key == *key);
        if is_known || (resources.len() >= MOST_RESOURCES && !resources.contains_key(jid)) {
            return false;
        }
        resources.insert(jid.clone(), Resource { key: key.into(), features });
        true
    }

    fn adopt(&self, jid: &FullJid, key: &str, features: &Arc<Features>) {
        let mut abroad = self.0.lock();
        let resource = abroad.get_mut(&jid.to_bare()).and_then(|resources| resources.get_mut(jid));
        if let Some(resource) = resource.filter(|resource| *resource.key == *key) {
            resource.features = Some(Arc::clone(features));
        }
    }

    fn wanting(&self, contact: &BareJid, node: &str) -> Vec<Jid> {
        let abroad = self.0.lock();
        let wants = |resource: &Resource| resource.features.as_ref().is_some_and(|it| it.wants(node));
        let resources = abroad.peek(contact).into_iter().flatten();
        resources.filter(|(_, resource)| wants(resource)).map(|(jid, _)| jid.clone().into()).collect()
    }
}

impl Caps {
    /// Takes in presence from outside, whose `from` is true.
    pub fn learn_outside(&self, presence: &Stanza) {
        let Some(Ok(jid)) = presence.from.clone().map(Jid::try_into_full) else { return };
        let claim = Claim::of(presence).filter(|_| presence.type_.is_none());
        let Some(claim) = claim else { return self.0.abroad.forget(&jid) };
        let known = self.0.book.lock().known.get(claim.key()).cloned();
        let is_known = known.is_some();
        if self.0.abroad.meet(&jid, claim.key(), known) && !is_known {
            self.ask_outside(claim, jid, presence);
        }
    }

    /// The resources of a contact outside that want notifications of a node (XEP-0163 §4).
    pub fn outside_wanting(&self, contact: &BareJid, node: &str) -> Vec<Jid> {
        self.0.abroad.wanting(contact, node)
    }

    fn ask_outside(&self, claim: Claim, jid: FullJid, presence: &Stanza) {
        let Some(ours) = presence.to.as_ref().map(|to| BareJid::from_parts(None, to.domain())) else {
            return;
        };
        let query = el("query", ns::DISCO_INFO).with("node", claim.node()).build();
        let question = Stanza::new(Kind::Iq).typed("get").with_id(new_id()).sent_by(ours);
        let Ok(question) = question.addressed(jid.clone()).with_payload([&query]) else { return };
        let Some(answer) = self.0.router.await_answer(&question) else { return };
        self.0.router.reply(&question);
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let answer = timeout(PATIENCE, answer).await.ok().and_then(Result::ok);
            let query = answer.filter(|answer| answer.is_type("result"));
            let query = query.and_then(|answer| answer.payload("query", ns::DISCO_INFO));
            let (Some(query), Some(inner)) = (query, inner.upgrade()) else { return };
            let features = Arc::new(features_of(&query));
            inner.abroad.adopt(&jid, claim.key(), &features);
            if claim.is_true_of(&query) {
                Caps(inner).remember(claim.key(), &features).await;
            }
        });
    }
}
