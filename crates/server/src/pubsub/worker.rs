//! The one who looks after some owners' nodes, and what it needs for that.

use std::collections::BTreeMap;
use std::sync::Arc;

use archive::{Conversation, Draft, Ledger};
use hashlink::LruCache;
use minidom::Element;
use smallvec::SmallVec;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use tokio::sync::{mpsc, oneshot};
use vault::{Expect, Vault, VaultError, Write};
use xmpp_parsers::ns;

use super::avatar::Photos;
use super::node::{Node, Standing};
use super::store::{Shelf, Shelved};
use super::words::Affiliation;
use super::{Ask, Job, notify};
use crate::caps::Caps;
use crate::clock;
use crate::people::{People, User};
use crate::post::{Post, disk_error};
use crate::router::Router;
use crate::service::{Circular, Reader, Sheet};
use crate::session::Errand;

/// Owners whose nodes one worker holds in memory.
const SHELVES: usize = 2_048;

/// What all workers share.
pub struct Core {
    /// Everything goes out through it.
    pub post: Post,
    /// Tells who could not be answered.
    pub router: Router,
    /// Rosters and sessions.
    pub people: People,
    /// Nodes at rest.
    pub vault: Vault,
    /// What clients outside want to hear of.
    pub caps: Caps,
    /// Whether the company refuses what its archive cannot read.
    pub readable: bool,
    /// Which picture presence announces.
    pub photos: Photos,
    /// Accounts whose picture has changed.
    pub changed: mpsc::Sender<BareJid>,
}

/// See the module.
pub struct Worker {
    core: Arc<Core>,
    shelves: LruCache<BareJid, Shelf>,
}

/// A request that is being served, and what it is served with.
pub struct Desk<'a> {
    /// The handles.
    pub core: &'a Core,
    /// The owner's nodes.
    pub shelf: &'a mut Shelf,
    /// The owner, where that is an account.
    pub user: Option<Arc<User>>,
    /// Who asks.
    pub from: &'a Jid,
    /// How to answer.
    pub slip: Slip<'a>,
}

/// What an answer needs. It is used once.
pub struct Slip<'a> {
    stanza: &'a Stanza,
    asker: Option<Reader>,
    errand: Option<Errand>,
}

/// What follows from a request.
#[derive(Default)]
pub struct Change {
    /// Records.
    pub writes: Vec<Write>,
    /// The payload of the answer.
    pub answer: Option<Element>,
    /// Notifications.
    pub sheets: Vec<Sheet>,
    /// What the archive keeps of it.
    pub event: Option<Draft>,
}

impl<'a> Slip<'a> {
    /// For what nobody has asked for.
    pub fn none(stanza: &'a Stanza) -> Self {
        Self { stanza, asker: None, errand: None }
    }
}

impl Worker {
    /// Holds nothing yet.
    pub fn new(core: Arc<Core>) -> Self {
        Self { core, shelves: LruCache::new(SHELVES) }
    }

    /// Works until there is nobody left who could bring a job.
    pub async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.recv().await {
            match job {
                Job::Ask(ask) => self.ask(*ask).await,
                Job::Look(look, reply) => {
                    let answer = match self.fresh(&look.owner, look.node.as_deref()).await {
                        Ok(shelf) => {
                            notify::look(&self.core, &shelf, &look).await.inspect(|_| self.put(shelf))
                        }
                        Err(error) => Err(disk_error(&error)),
                    };
                    let _ = reply.send(answer);
                }
                Job::Greet { session, owners, before } => {
                    for owner in owners {
                        let Ok(mut shelf) = self.shelf(&owner).await else { continue };
                        if notify::greet(&self.core, &mut shelf, &session, before.as_deref()).await.is_ok() {
                            self.put(shelf);
                        }
                    }
                }
                Job::Card(owner) => self.own(&owner, async |desk| desk.card_changed().await).await,
                Job::Bookmarks(owner, storage, reply) => {
                    let work = async |desk: Desk<'_>| {
                        let _ = reply.send(desk.bookmarks(storage).await);
                    };
                    self.own(&owner, work).await;
                }
                Job::Strip { owner, who, done } => {
                    if let Err(error) = self.strip(&owner, &who).await {
                        disk_error(&error);
                    }
                    let _ = done.send(());
                }
                Job::Offer(owner, offers) => {
                    self.own(&owner, async |mut desk| desk.offer(offers).await).await;
                }
                Job::Forget(owner, done) => {
                    self.core.photos.forget(&owner);
                    self.shelves.remove(&owner);
                    let _ = done.send(());
                }
            }
        }
    }

    /// Takes a shelf out. It goes back when all went well; otherwise it is read anew.
    async fn shelf(&mut self, owner: &BareJid) -> Result<Shelf, VaultError> {
        match self.shelves.remove(owner) {
            Some(shelf) => Ok(shelf),
            None => Shelf::load(&self.core.vault, owner).await,
        }
    }

    /// As [`Worker::shelf`], without what of a node has expired.
    async fn fresh(&mut self, owner: &BareJid, node: Option<&str>) -> Result<Shelf, VaultError> {
        let mut shelf = self.shelf(owner).await?;
        if let Some(node) = node {
            shelf.expire(&self.core.vault, node, clock::micros()).await?;
        }
        Ok(shelf)
    }

    fn put(&mut self, shelf: Shelf) {
        self.shelves.insert(shelf.owner.clone(), shelf);
    }

    async fn strip(&mut self, owner: &BareJid, who: &BareJid) -> Result<(), VaultError> {
        let mut shelf = self.shelf(owner).await?;
        let mut writes = Vec::new();
        for (name, shelved) in &mut shelf.nodes {
            if shelved.node.people().contains(who.as_str()) {
                shelved.node.strip(who);
                writes.push(Write::put(owner.as_str(), name, &shelved.node, Expect::Any)?);
            }
        }
        if !writes.is_empty() {
            self.core.vault.apply(writes).await?;
        }
        self.put(shelf);
        Ok(())
    }

    /// Does something in the name of an account that it has not asked for.
    async fn own(&mut self, owner: &BareJid, work: impl AsyncFnOnce(Desk<'_>)) {
        let (Ok(Some(user)), Ok(mut shelf)) = (self.core.people.load(owner).await, self.shelf(owner).await)
        else {
            return;
        };
        let (stanza, from) = (Stanza::new(Kind::Iq), owner.clone().into());
        let slip = Slip::none(&stanza);
        work(Desk { core: &self.core, shelf: &mut shelf, user: Some(user), from: &from, slip }).await;
        self.put(shelf);
    }

    async fn ask(&mut self, ask: Ask) {
        let Ask { owner, from, stanza, payload, session, errand } = ask;
        let node = payload.children().find_map(|part| part.attr("node"));
        let mut shelf = match self.fresh(&owner, node).await {
            Ok(shelf) => shelf,
            Err(error) => return self.core.router.bounce(&stanza, disk_error(&error)),
        };
        let user = match owner.node() {
            None => None,
            Some(_) => match self.core.people.load(&owner).await {
                Ok(Some(user)) => Some(user),
                Ok(None) => {
                    return self.core.router.bounce(&stanza, StanzaCondition::ServiceUnavailable.into());
                }
                Err(error) => return self.core.router.bounce(&stanza, disk_error(&error)),
            },
        };
        let asker = (stanza.kind == Kind::Iq)
            .then(|| session.map_or_else(|| Reader::Outside(from.clone()), Reader::Session));
        let slip = Slip { stanza: &stanza, asker, errand };
        let desk = Desk { core: &self.core, shelf: &mut shelf, user, from: &from, slip };
        match desk.serve(&payload).await {
            Ok(()) => self.put(shelf),
            Err(refusal) => {
                if refusal.condition != StanzaCondition::InternalServerError {
                    self.put(shelf);
                }
                self.core.router.bounce(&stanza, refusal);
            }
        }
    }
}

impl Desk<'_> {
    /// Answers, or says why not.
    async fn serve(self, payload: &Element) -> Result<(), StanzaError> {
        let set = self.slip.stanza.kind != Kind::Iq || self.slip.stanza.is_type("set");
        let mut parts = payload.children();
        let part = parts.next().ok_or(StanzaCondition::BadRequest)?;
        let own = payload.has_ns(ns::PUBSUB_OWNER);
        if part.ns() != payload.ns() {
            return Err(StanzaCondition::BadRequest.into());
        }
        match (own, set, part.name()) {
            (false, true, "publish") => self.publish(payload, part).await,
            (false, true, "retract") => self.retract(part).await,
            (false, true, "create") => self.create(payload, part).await,
            (false, true, "subscribe") => self.subscribe(part).await,
            (false, true, "unsubscribe") => self.unsubscribe(part).await,
            (false, false, "items") => self.items(payload, part).await,
            (false, false, "subscriptions") => self.subscriptions(part).await,
            (false, false, "affiliations") => self.affiliations(part).await,
            (false, false, "default") | (true, false, "default") => self.default(payload, part).await,
            (true, true, "configure") => self.configure(part).await,
            (true, false, "configure") => self.configuration(part).await,
            (true, true, "delete") => self.delete(part).await,
            (true, true, "purge") => self.purge(part).await,
            (true, false, "affiliations") => self.affiliated(part).await,
            (true, true, "affiliations") => self.affiliate(part).await,
            (true, false, "subscriptions") => self.subscribed(part).await,
            (true, true, "subscriptions") => self.approve(part).await,
            (false, _, "options") => Err(super::error::unsupported("subscription-options")),
            _ => Err(StanzaCondition::FeatureNotImplemented.into()),
        }
    }

    /// Whether these are an account's own nodes.
    pub fn is_personal(&self) -> bool {
        self.user.is_some()
    }

    /// How who asks stands towards a node.
    pub fn standing(&self, node: &Node) -> Standing {
        standing(&self.shelf.owner, self.user.as_deref(), node, &self.from.to_bare())
    }

    /// A node by its name.
    pub fn node(&mut self, name: &str) -> Result<&mut Shelved, StanzaError> {
        self.shelf.nodes.get_mut(name).ok_or_else(super::error::not_found)
    }

    /// What follows from a change of a node that has twins elsewhere.
    pub async fn converge(&mut self, name: &str) {
        if self.is_personal() {
            self.converge_bookmarks(name).await;
        }
    }

    /// A node of which who asks is an owner.
    pub fn owned(&self, name: &str) -> Result<&Shelved, StanzaError> {
        let shelved = self.shelf.nodes.get(name).ok_or_else(super::error::not_found)?;
        shelved.node.may_own(&self.standing(&shelved.node))?;
        Ok(shelved)
    }

    /// Answers without changing anything.
    pub async fn answer(self, answer: Option<Element>) -> Result<(), StanzaError> {
        self.commit(Change { answer, ..Change::default() }).await
    }

    /// Makes a change durable, and then tells of it. When this fails nobody has heard of it.
    pub async fn commit(mut self, change: Change) -> Result<(), StanzaError> {
        self.settle(change).await
    }

    /// As [`Desk::commit`], for who has something to do afterwards.
    pub async fn settle(&mut self, change: Change) -> Result<(), StanzaError> {
        let Change { writes, answer, mut sheets, event } = change;
        if let Some(reader) = self.slip.asker.take() {
            let reply = Stanza::result_of(self.slip.stanza);
            let reply =
                reply.with_payload(answer.as_ref()).map_err(|_| StanzaCondition::InternalServerError)?;
            // The last: whoever is told that it is done finds that everybody has heard of it.
            sheets.push(Sheet::new(reply, [reader]));
        }
        self.core.commit(writes, sheets, event, self.slip.errand.take()).await
    }

    /// What the archive keeps of a change of a node that is not its owner's alone.
    pub fn event(&self, told: &Element, text: Option<String>) -> Option<Draft> {
        event(&self.shelf.owner, self.from, told, text)
    }
}

impl Core {
    /// Stores, archives and then sends; or does none of these.
    ///
    /// # Errors
    /// What a person is told when nothing has happened.
    pub async fn commit(
        &self,
        writes: Vec<Write>,
        sheets: Vec<Sheet>,
        event: Option<Draft>,
        errand: Option<Errand>,
    ) -> Result<(), StanzaError> {
        let mut circular = Circular { errand, ..Circular::of(sheets) };
        let Some(event) = event else {
            if !writes.is_empty() {
                self.vault.apply(writes).await.map_err(|error| disk_error(&error))?;
            }
            return self.post.circulate(circular, None).await;
        };
        // The archive either fails an entry or delivers and drops it.
        let (failed, outcome) = oneshot::channel();
        circular.on_failure = Some(Box::new(move |error| {
            let _ = failed.send(error);
        }));
        self.post.circulate(circular, Some(Draft { writes, ..event })).await?;
        match outcome.await {
            Ok(error) => Err(error),
            Err(_) => Ok(()),
        }
    }
}

/// How an account stands towards a node of `owner`, whose roster is in `user` where it is an account.
pub fn standing(owner: &BareJid, user: Option<&User>, node: &Node, who: &BareJid) -> Standing {
    let affiliation = node.affiliation(owner, who);
    let (sees, groups) = match user {
        Some(_) if affiliation == Affiliation::Owner => (true, Vec::new()),
        Some(user) => user.roster(|roster| match roster.contact(who) {
            Some(contact) => (contact.value.state.from, contact.value.groups.clone()),
            None => (false, Vec::new()),
        }),
        None => (false, Vec::new()),
    };
    Standing { affiliation, sees, groups, subscribed: node.is_subscribed(who) }
}

/// The event of a change.
pub fn event(owner: &BareJid, from: &Jid, told: &Element, text: Option<String>) -> Option<Draft> {
    let message = Stanza::new(Kind::Message).typed("headline").with_id(crate::sessions::new_id());
    let message = message.sent_by(from.clone()).addressed(owner.clone()).with_payload([told]).ok()?;
    let mut bytes = Vec::with_capacity(message.tail().len() + 256);
    message.write(&mut bytes, Some(stanza::ns::CLIENT));
    let mut owners: SmallVec<[BareJid; 2]> = SmallVec::new();
    owners.push(owner.clone());
    let publisher = from.to_bare();
    if publisher != *owner {
        owners.push(publisher);
    }
    Some(Draft {
        owners,
        conversation: Conversation::between(owner, owner),
        from: from.clone(),
        to: owner.clone().into(),
        stanza: bytes.into(),
        text,
        id: None,
        about: None,
        writes: Vec::new(),
        spool: None,
        through: None,
        ledger: Ledger::Happenings,
    })
}

/// The nodes of a shelf that somebody may see.
pub fn visible<'a>(
    nodes: &'a BTreeMap<String, Shelved>,
    owner: &'a BareJid,
    user: Option<&'a User>,
    who: &'a BareJid,
) -> impl Iterator<Item = (&'a String, &'a Shelved)> {
    nodes
        .iter()
        .filter(move |(_, shelved)| shelved.node.may_read(&standing(owner, user, &shelved.node, who)).is_ok())
}
