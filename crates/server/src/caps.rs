//! What clients can do, and which notifications they want: entity capabilities (XEP-0115, XEP-0390).
//!
//! Presence names what a client can do by a hash. Of each hash that is new, one client is asked (XEP-0030); when the hash
//! of the answer is the one that was named, the answer stands for all who name it, over a restart too. Otherwise it
//! stands for that client alone.

mod abroad;
mod hash;

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hashlink::LruCache;
use minidom::Element;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use stanza::{Kind, Stanza};
use vault::{Expect, Record, Vault, VaultError, Write};
use xmpp_parsers::ns;

use crate::router::Router;
use crate::session::Session;
use crate::sessions::new_id;
use crate::xml::{With, el};
use abroad::Abroad;
pub use hash::Claim;

/// The most hashes that are known; the one that was not met for longest is forgotten.
const MOST_KNOWN: usize = 1_000;
/// The most questions without an answer yet.
const MOST_ASKED: usize = 1_000;
/// The most sessions that wait for the answer of one.
const MOST_WAITING: usize = 20_000;
/// The most features that are taken from an answer, and the most bytes of one.
const MOST_FEATURES: usize = 500;
const MOST_BYTES: usize = 256;
/// How long a client may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client can do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Sorted. Those that end on `+notify` are in `notify` without that.
    plain: Vec<Box<str>>,
    notify: Vec<Box<str>>,
}

impl Features {
    /// From names of features.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut features = Self::default();
        for name in names.into_iter().filter(|name| name.len() <= MOST_BYTES).take(MOST_FEATURES) {
            match name.strip_suffix("+notify") {
                Some(node) => features.notify.push(node.into()),
                None => features.plain.push(name.into()),
            }
        }
        features.plain.sort_unstable();
        features.notify.sort_unstable();
        features
    }

    /// Whether the client wants notifications of a node (XEP-0163 §4).
    pub fn wants(&self, node: &str) -> bool {
        self.notify.binary_search_by(|known| (**known).cmp(node)).is_ok()
    }

    fn names(&self) -> Vec<String> {
        let notify = self.notify.iter().map(|node| format!("{node}+notify"));
        self.plain.iter().map(|name| name.to_string()).chain(notify).collect()
    }
}

/// The features behind one hash, as stored. Parent: none; key: [`Claim::key`].
#[derive(Serialize, Deserialize)]
pub struct Capabilities {
    features: Vec<String>,
}

impl Record for Capabilities {
    const KIND: u16 = crate::kinds::CAPABILITIES;
}

/// A session that now wants notifications, with what it wanted before.
pub type Learned = (Arc<Session>, Option<Arc<Features>>);

/// See the module.
#[derive(Clone)]
pub struct Caps(Arc<Inner>);

struct Inner {
    router: Router,
    vault: Vault,
    book: Mutex<Book>,
    abroad: Abroad,
}

/// What is known, and what has been asked. The questions are not those of [`crate::questions`], because an answer counts
/// before the next stanza of its client is looked at.
struct Book {
    known: LruCache<Box<str>, Arc<Features>>,
    /// By the id of the IQ.
    asked: HashMap<Box<str>, Question>,
    /// Sessions that named a hash of which another is being asked.
    waiting: HashMap<Box<str>, Vec<Weak<Session>>>,
}

struct Question {
    claim: Claim,
    session: Weak<Session>,
}

impl Caps {
    /// Reads what was learnt before.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn load(router: Router, vault: Vault) -> Result<Self, VaultError> {
        let mut known = LruCache::new(MOST_KNOWN);
        for (key, stored) in vault.list::<Capabilities>("").await? {
            known.insert(key.into(), Arc::new(Features::new(stored.value.features)));
        }
        let book = Mutex::new(Book { known, asked: HashMap::new(), waiting: HashMap::new() });
        Ok(Self(Arc::new(Inner { router, vault, book, abroad: Abroad::default() })))
    }

    /// Takes in available presence. Returns the session if it wants something else than before from now on; where a
    /// client must be asked first, [`Caps::answered`] does that.
    pub fn learn(&self, session: &Arc<Session>, presence: &Stanza) -> Option<Learned> {
        let claim = Claim::of(presence);
        if !session.claim(claim.as_ref().map(Claim::key)) {
            return None;
        }
        let claim = claim?;
        let mut book = self.0.book.lock();
        if let Some(features) = book.known.get(claim.key()).cloned() {
            drop(book);
            return session.adopt(claim.key(), features).map(|before| (session.clone(), before));
        }
        if let Some(waiting) = book.waiting.get_mut(claim.key()) {
            if waiting.len() < MOST_WAITING {
                waiting.push(Arc::downgrade(session));
            }
            return None;
        }
        book.waiting.insert(claim.key().into(), Vec::new());
        drop(book);
        self.ask(claim, session);
        None
    }

    fn ask(&self, claim: Claim, session: &Arc<Session>) {
        let id = new_id();
        let query = el("query", ns::DISCO_INFO).with("node", claim.node()).build();
        let question = Stanza::new(Kind::Iq)
            .typed("get")
            .with_id(id.clone())
            .sent_by(stanza::BareJid::from_parts(None, session.jid.domain()))
            .addressed(session.jid.clone())
            .with_payload([&query]);
        let Ok(question) = question else { return };
        let mut book = self.0.book.lock();
        if book.asked.len() >= MOST_ASKED {
            // Whoever comes later asks again.
            book.waiting.remove(claim.key());
            drop(book);
            session.claim(None);
            return;
        }
        book.asked.insert(id.clone(), Question { claim, session: Arc::downgrade(session) });
        drop(book);
        self.0.router.reply(&question);
        let inner = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if let Some(inner) = inner.upgrade() {
                let question = inner.book.lock().asked.remove(&id);
                if let Some(question) = question {
                    Caps(inner).ask_another(question.claim);
                }
            }
        });
    }

    /// Asks the next who waits, if one does not answer or not truly.
    fn ask_another(&self, claim: Claim) {
        let mut book = self.0.book.lock();
        let waiting = book.waiting.entry(claim.key().into()).or_default();
        let next = loop {
            match waiting.pop().map(|session| session.upgrade()) {
                None => break None,
                Some(Some(session)) if session.claims(claim.key()) => break Some(session),
                Some(_) => {}
            }
        };
        match next {
            Some(session) => {
                drop(book);
                self.ask(claim, &session);
            }
            None => _ = book.waiting.remove(claim.key()),
        }
    }

    /// Takes in the result or error of an IQ that went to the server. Returns whoever wants something else from now
    /// on; nobody when it answers no question.
    pub async fn answered(&self, session: &Arc<Session>, answer: &Stanza) -> Vec<Learned> {
        let Some(question) = self.take(session, answer) else { return Vec::new() };
        let query = answer.payload("query", ns::DISCO_INFO).filter(|_| answer.is_type("result"));
        let Some(query) = query else {
            self.ask_another(question.claim);
            return Vec::new();
        };
        let features = Arc::new(features_of(&query));
        let key = question.claim.key();
        let mut learned = Vec::new();
        let mut adopt = |session: Arc<Session>| {
            if let Some(before) = session.adopt(key, features.clone()) {
                learned.push((session, before));
            }
        };
        adopt(session.clone());
        if !question.claim.is_true_of(&query) {
            self.ask_another(question.claim);
            return learned;
        }
        let waiting = self.0.book.lock().waiting.remove(key).unwrap_or_default();
        waiting.into_iter().filter_map(|session| session.upgrade()).for_each(adopt);
        self.remember(key, &features).await;
        learned
    }

    /// What a hash stands for is known from now on, over a restart too.
    async fn remember(&self, key: &str, features: &Arc<Features>) {
        let mut writes = Vec::new();
        {
            let mut book = self.0.book.lock();
            if book.known.len() >= MOST_KNOWN
                && let Some((oldest, _)) = book.known.remove_lru()
            {
                writes.push(Write::delete::<Capabilities>("", &oldest, Expect::Any));
            }
            book.known.insert(key.into(), Arc::clone(features));
        }
        let record = Capabilities { features: features.names() };
        let stored = match Write::put("", key, &record, Expect::Any) {
            Ok(write) => {
                writes.push(write);
                self.0.vault.apply(writes).await.map(drop)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = stored {
            tracing::warn!(%error, "what a client can do could not be stored; it is asked again after a restart");
        }
    }

    /// The question that an IQ answers: its id, from the very session that was asked.
    fn take(&self, session: &Arc<Session>, answer: &Stanza) -> Option<Question> {
        let id = answer.id.as_deref()?;
        let mut book = self.0.book.lock();
        let asked = book.asked.get(id)?;
        if !std::ptr::eq(asked.session.as_ptr(), Arc::as_ptr(session)) {
            return None;
        }
        book.asked.remove(id)
    }
}

fn features_of(query: &Element) -> Features {
    let features = query.children().filter(|child| child.is("feature", ns::DISCO_INFO));
    Features::new(features.filter_map(|feature| feature.attr("var")).map(str::to_owned))
}
