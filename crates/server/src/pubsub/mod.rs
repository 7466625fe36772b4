//! Publish-subscribe (XEP-0060) and personal eventing (XEP-0163).
//!
//! There are two doors: every account's own address ([`desk`]) and a domain for programs ([`service`]). Both put what
//! they are asked into the mailbox of the one worker that looks after the owner of the node, so decisions about a node
//! are made one after the other and need no lock. A worker stores a change, waits until it is durable, and only then
//! takes the next. What others can read is an event of the archive, in the same transaction as the change.

pub mod avatar;
mod bookmarks;
mod card;
pub mod config;
pub mod desk;
mod error;
mod items;
pub mod node;
mod notify;
mod owner;
mod publish;
pub mod service;
pub mod store;
mod subscribe;
pub mod words;
mod worker;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use minidom::Element;
use stanza::{BareJid, Jid, Stanza, StanzaCondition, StanzaError};
use tokio::sync::{mpsc, oneshot};
use vault::{Vault, VaultError, Write};

use crate::caps::Caps;
use crate::people::People;
use crate::post::Post;
use crate::router::Router;
use crate::session::{Errand, Session};
use avatar::Photos;
use worker::{Core, Worker};

/// Workers of a server. Each waits for one commit at a time, so this is how many can share one.
const WORKERS: usize = 16;
/// Jobs that wait for one worker; who brings one more waits.
const MAILBOX: usize = 256;

/// See the module.
#[derive(Clone)]
pub struct PubSub {
    mailboxes: Arc<[mpsc::Sender<Job>]>,
    hasher: RandomState,
    photos: Photos,
}

/// A request of XEP-0060.
pub struct Ask {
    /// Whose nodes: an account, or the domain of the service.
    pub owner: BareJid,
    /// Who asks.
    pub from: Jid,
    /// The IQ. What is asked by a message is a change that gets no answer unless it is refused.
    pub stanza: Stanza,
    /// Its one child.
    pub payload: Element,
    /// The local session that asks.
    pub session: Option<Arc<Session>>,
    /// Until it is answered.
    pub errand: Option<Errand>,
}

/// A room that the company has for somebody.
pub struct Offer {
    /// Its address.
    pub room: BareJid,
    /// For people.
    pub title: String,
    /// Remembers the offer, in the transaction of the bookmark.
    pub once: Write,
}

/// What service discovery (XEP-0030) wants to know.
pub struct Look {
    /// Whose nodes.
    pub owner: BareJid,
    /// Who asks.
    pub from: Jid,
    /// About this node, or about all.
    pub node: Option<String>,
    /// Information rather than items.
    pub info: bool,
}

/// Work for a worker.
enum Job {
    Ask(Box<Ask>),
    Look(Look, oneshot::Sender<Result<Vec<Element>, StanzaError>>),
    /// Somebody's resource has become available or has learned to want more: it gets the last items of these.
    Greet {
        session: Arc<Session>,
        owners: Vec<BareJid>,
        before: Option<Arc<crate::caps::Features>>,
    },
    /// The account has changed its vCard.
    Card(BareJid),
    /// The account stores its bookmarks in the old form, or wants them in that.
    Bookmarks(BareJid, Option<Element>, oneshot::Sender<Result<Option<Vec<Element>>, StanzaError>>),
    /// The company has rooms for the account.
    Offer(BareJid, Vec<Offer>),
    /// The account is gone: what is held of it in memory is no longer true.
    Forget(BareJid, oneshot::Sender<()>),
    /// Somebody is gone who is on the lists of this owner's nodes.
    Strip {
        owner: BareJid,
        who: BareJid,
        done: oneshot::Sender<()>,
    },
}

impl PubSub {
    /// Starts the workers. They end when the last handle is dropped. The other half tells whose picture has changed, so
    /// that presence can announce it.
    pub fn start(
        post: Post,
        router: Router,
        people: People,
        vault: Vault,
        caps: Caps,
        readable: bool,
    ) -> (Self, mpsc::Receiver<BareJid>) {
        let photos = Photos::new(vault.clone());
        let (changed, changes) = mpsc::channel(MAILBOX);
        let core = Core { post, router, people, vault, caps, readable, photos: photos.clone(), changed };
        let core = Arc::new(core);
        let start = |_| {
            let (mailbox, jobs) = mpsc::channel(MAILBOX);
            tokio::spawn(Worker::new(core.clone()).run(jobs));
            mailbox
        };
        let mailboxes = (0..WORKERS).map(start).collect();
        (Self { mailboxes, hasher: RandomState::new(), photos }, changes)
    }

    /// Which pictures presence announces.
    pub fn photos(&self) -> &Photos {
        &self.photos
    }

    /// Publishes a vCard that has just been stored, and its picture (XEP-0292 §4, XEP-0398).
    pub async fn card_changed(&self, owner: &BareJid) {
        self.give(self.place(owner), Job::Card(owner.clone())).await;
    }

    /// An account's bookmarks in the form of XEP-0048, once `storage` of that form has taken their place if there is
    /// any; `None` while there are none (XEP-0402 §6).
    ///
    /// # Errors
    /// When they cannot be stored or read.
    pub async fn bookmarks(
        &self,
        owner: &BareJid,
        storage: Option<Element>,
    ) -> Result<Option<Vec<Element>>, StanzaError> {
        let (reply, answer) = oneshot::channel();
        self.give(self.place(owner), Job::Bookmarks(owner.clone(), storage, reply)).await;
        answer.await.map_err(|_| StanzaCondition::InternalServerError)?
    }

    /// Puts rooms among an account's bookmarks, those that are not there.
    pub async fn offer(&self, owner: &BareJid, offers: Vec<Offer>) {
        self.give(self.place(owner), Job::Offer(owner.clone(), offers)).await;
    }

    /// Asks; the answer goes to the session by itself. Waits for room in the mailbox.
    pub async fn ask(&self, ask: Ask) {
        let place = self.place(&ask.owner);
        self.give(place, Job::Ask(Box::new(ask))).await;
    }

    /// The content of an answer of service discovery.
    ///
    /// # Errors
    /// `item-not-found`, or why somebody may not know.
    pub async fn look(&self, look: Look) -> Result<Vec<Element>, StanzaError> {
        let (reply, answer) = oneshot::channel();
        let place = self.place(&look.owner);
        self.give(place, Job::Look(look, reply)).await;
        answer.await.map_err(|_| StanzaCondition::InternalServerError)?
    }

    /// Sends a resource the last items of those whose presence its account sees, and of its own account: of all nodes
    /// that it wants, or of those that it did not want `before`.
    pub async fn greet(&self, session: &Arc<Session>, before: Option<Arc<crate::caps::Features>>) {
        let user = &session.user;
        let mut owners: Vec<BareJid> = user.roster(|roster| {
            roster.contacts().filter(|(_, contact)| contact.state.to).map(|(jid, _)| jid.clone()).collect()
        });
        owners.push(user.jid.clone());
        self.greet_by(session, owners, before).await;
    }

    /// As [`PubSub::greet`], with the last items of these accounts.
    pub async fn greet_by(
        &self,
        session: &Arc<Session>,
        owners: Vec<BareJid>,
        before: Option<Arc<crate::caps::Features>>,
    ) {
        let mut each: Vec<Vec<BareJid>> = vec![Vec::new(); self.mailboxes.len()];
        for owner in owners {
            let place = self.place(&owner);
            if let Some(owners) = each.get_mut(place) {
                owners.push(owner);
            }
        }
        for (place, owners) in each.into_iter().enumerate().filter(|(_, owners)| !owners.is_empty()) {
            let job = Job::Greet { session: session.clone(), owners, before: before.clone() };
            self.give(place, job).await;
        }
    }

    /// Forgets what is held in memory of an account whose records are about to be deleted.
    pub async fn forget(&self, owner: &BareJid) {
        let (done, finished) = oneshot::channel();
        self.give(self.place(owner), Job::Forget(owner.clone(), done)).await;
        let _ = finished.await;
    }

    /// Takes a removed account off the lists of all nodes, so that the next of its name inherits nothing.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn strip(&self, vault: &Vault, who: &BareJid) -> Result<(), VaultError> {
        let places = store::places_of(vault, who).await?;
        let owners: BTreeSet<BareJid> = places.into_iter().map(|(owner, _)| owner).collect();
        for owner in owners {
            let (done, finished) = oneshot::channel();
            let job = Job::Strip { owner: owner.clone(), who: who.clone(), done };
            self.give(self.place(&owner), job).await;
            let _ = finished.await;
        }
        Ok(())
    }

    fn place(&self, owner: &BareJid) -> usize {
        (self.hasher.hash_one(owner) % self.mailboxes.len().max(1) as u64) as usize
    }

    async fn give(&self, place: usize, job: Job) {
        if let Some(mailbox) = self.mailboxes.get(place) {
            // A worker ends only with the server.
            let _ = mailbox.send(job).await;
        }
    }
}
