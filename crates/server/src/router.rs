//! The one place that knows where an address lives, and the only one that delivers.
//!
//! Everything that is delivered has passed the archive: [`Router::deliver`] takes a [`Passage`], and a message with
//! content becomes one only by [`archive::Archived`]. Delivering never waits: it puts parcels into outboxes.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use archive::{Archived, Receipt, Sequence};
use parking_lot::RwLock;
use stanza::{BareJid, FullJid, Head, Jid, Kind, Outgoing, Stanza, StanzaCondition, StanzaError};
use tokio::sync::{mpsc, oneshot};
use vault::VaultError;

use crate::carbons;
use crate::component::Component;
use crate::outbox::{Class, Copies, Parcel};
use crate::people::{People, User};
use crate::post::{Judged, Letter, Mail, Trail, unreachable_now};
use crate::questions::Questions;
use crate::service::{Circular, Incoming, Service};
use crate::session::Session;

/// Where a stanza goes.
#[derive(Clone)]
pub enum Target {
    /// An account of this server.
    User(Arc<User>),
    /// A local part that no account has.
    Nobody,
    /// A domain of this server itself.
    Host,
    /// A domain of a service, or something in it.
    Service(Arc<dyn Service>),
    /// An external component's domain, or something in it.
    Component(Arc<Component>),
    /// A domain that is not ours.
    Outside,
}

/// What has passed, or need not pass, the archive.
pub enum Passage {
    /// Durable.
    Archived(Archived<Judged>),
    /// Without content: see [`crate::post::has_content`].
    Exempt(Judged),
}

/// See the module.
#[derive(Clone)]
pub struct Router(Arc<Inner>);

struct Inner {
    domains: RwLock<HashMap<String, Domain>>,
    people: People,
    /// Accounts whose spool should be looked at again.
    spool: mpsc::UnboundedSender<Spool>,
    trail: Trail,
    questions: Questions,
    /// Accounts with something to push.
    pushes: OnceLock<mpsc::Sender<Arc<User>>>,
}

/// What a domain of this server is.
#[derive(Clone)]
enum Domain {
    People,
    Service(Arc<dyn Service>),
    Component(Arc<Component>),
}

/// Work on the offline spool (XEP-0160), done outside the router because it waits for the disk.
pub enum Spool {
    /// A message was spooled although a resource has become available meanwhile.
    Flush(Arc<User>),
    /// These were not delivered after all.
    Keep(BareJid, Vec<Sequence>),
    /// Everything before this is done when the other end hears.
    Done(tokio::sync::oneshot::Sender<()>),
}

impl Router {
    /// `trail` makes the opaque ids of archived events (XEP-0359).
    pub fn new(
        domains: impl IntoIterator<Item = String>,
        people: People,
        trail: Trail,
        spool: mpsc::UnboundedSender<Spool>,
    ) -> Self {
        let domains = domains.into_iter().map(|domain| (domain, Domain::People)).collect();
        let domains = RwLock::new(domains);
        let (questions, pushes) = Default::default();
        Self(Arc::new(Inner { domains, people, spool, trail, questions, pushes }))
    }

    /// Where accounts go that have something to push (XEP-0357). Once only.
    pub fn push_to(&self, pushes: mpsc::Sender<Arc<User>>) {
        let _ = self.0.pushes.set(pushes);
    }

    /// A message is durable that an account gets: its devices that are away are to be woken.
    pub fn wake(&self, user: &Arc<User>) {
        if user.push.is_empty() || !user.push.notice(|resource| user.is_here(resource)) {
            return;
        }
        if let Some(pushes) = self.0.pushes.get() {
            // What finds no room is told with the next message.
            let _ = pushes.try_send(user.clone());
        }
    }

    /// Waits for the answer to an IQ that the server is about to send in its own name or an account's.
    pub fn await_answer(&self, question: &Stanza) -> Option<oneshot::Receiver<Stanza>> {
        self.0.questions.ask(question)
    }

    /// An IQ's answer has come for a domain or a bare address of ours.
    pub fn answered(&self, stanza: &Stanza) {
        self.0.questions.answer(stanza);
    }

    /// Gives a domain to a service. One that has people keeps them.
    pub fn open(&self, domain: &str, service: Arc<dyn Service>) {
        self.0.domains.write().entry(domain.to_owned()).or_insert(Domain::Service(service));
    }

    /// Gives a component its domain. One that is taken stays what it is.
    pub fn expect(&self, component: Arc<Component>) {
        let domain = component.domain.as_str().to_owned();
        self.0.domains.write().entry(domain).or_insert(Domain::Component(component));
    }

    /// The component that has a domain.
    pub fn component(&self, domain: &str) -> Option<Arc<Component>> {
        match self.0.domains.read().get(domain) {
            Some(Domain::Component(component)) => Some(component.clone()),
            _ => None,
        }
    }

    /// All components, in alphabetical order.
    pub fn components(&self) -> Vec<Arc<Component>> {
        let domains = self.0.domains.read();
        let components = domains.values().filter_map(|is| match is {
            Domain::Component(component) => Some(component.clone()),
            _ => None,
        });
        let mut components: Vec<_> = components.collect();
        components.sort_unstable_by(|a, b| a.domain.as_str().cmp(b.domain.as_str()));
        components
    }

    /// The services, by domain, in alphabetical order.
    pub fn services(&self) -> Vec<(String, Arc<dyn Service>)> {
        let domains = self.0.domains.read();
        let services = domains.iter().filter_map(|(domain, is)| match is {
            Domain::Service(service) => Some((domain.clone(), service.clone())),
            Domain::People | Domain::Component(_) => None,
        });
        let mut services: Vec<_> = services.collect();
        services.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        services
    }

    /// Whether a domain's people are served here.
    pub fn serves(&self, domain: &str) -> bool {
        matches!(self.0.domains.read().get(domain), Some(Domain::People))
    }

    /// Finds where an address lives; may read the vault.
    pub async fn resolve(&self, to: &Jid) -> Result<Target, VaultError> {
        match self.0.domains.read().get(to.domain().as_str()) {
            None => return Ok(Target::Outside),
            Some(Domain::Service(service)) => return Ok(Target::Service(service.clone())),
            Some(Domain::Component(component)) => return Ok(Target::Component(component.clone())),
            Some(Domain::People) => {}
        }
        if to.node().is_none() {
            return Ok(Target::Host);
        }
        Ok(self.0.people.load(&to.to_bare()).await?.map_or(Target::Nobody, Target::User))
    }

    /// Delivers.
    pub fn deliver(&self, passage: Passage) {
        match passage {
            Passage::Archived(archived) => {
                let (judged, receipt) = archived.into_parts();
                self.mail(judged.into_mail(), Some(receipt));
            }
            Passage::Exempt(judged) => self.mail(judged.into_mail(), None),
        }
    }

    fn mail(&self, mail: Mail, receipt: Option<Receipt>) {
        match mail {
            Mail::Letter(letter) => self.letter(&letter, receipt.map(|receipt| receipt.sequence)),
            Mail::Circular(circular) => self.circular(&circular, receipt),
        }
    }

    /// To each reader its own copy: one buffer for all heads, one tail.
    fn circular(&self, circular: &Circular, receipt: Option<Receipt>) {
        if let (Some(place), Some(receipt)) = (&circular.place, receipt) {
            let _ = place.set(receipt);
        }
        let id = receipt.map(|receipt| self.stanza_id(receipt.sequence));
        for sheet in &circular.sheets {
            match &sheet.again {
                None => sheet.deliver(id.as_ref(), None, self),
                Some(place) => {
                    if let Some(receipt) = place.get() {
                        sheet.deliver(Some(&self.stanza_id(receipt.sequence)), Some(receipt.time), self);
                    }
                }
            }
        }
    }

    fn letter(&self, letter: &Letter, sequence: Option<Sequence>) {
        match (&letter.target, letter.stanza.kind) {
            (Target::User(user), Kind::Message) => self.message(letter, user, sequence),
            (Target::User(user), Kind::Presence) => self.presence(letter, user),
            (Target::User(user), Kind::Iq) => self.iq(letter, user),
            (Target::Component(component), _) => self.hand_over(letter, component, sequence),
            // What reaches nobody was refused before it was archived, and services get theirs before.
            (Target::Host | Target::Nobody | Target::Outside | Target::Service(_), _) => {}
        }
    }

    /// RFC 6121 §8.5, after the archive: who gets it now.
    fn message(&self, letter: &Letter, user: &Arc<User>, sequence: Option<Sequence>) {
        let stanza = &letter.stanza;
        let mut served: Vec<Arc<Session>> = Vec::new();
        let exact = letter.to.resource().and_then(|resource| user.session(resource.as_str()));
        match exact {
            Some(session) => served.push(session),
            None if is_for_bare(stanza, &letter.to) => user.each_session(|session| {
                if session.takes_messages() {
                    served.push(session.clone());
                }
            }),
            None => {}
        }
        let id = sequence.map(|sequence| self.stanza_id(sequence));
        if id.is_some() {
            self.wake(user);
        }
        if letter.spooled {
            if !served.is_empty() {
                self.flush(user);
            }
            served.clear();
        } else {
            let keep = |sequence| {
                if let (true, Some(sequence)) = (is_kept(stanza), sequence) {
                    self.keep(&user.jid, vec![sequence]);
                }
            };
            if served.is_empty() {
                // Everybody left between the verdict and now.
                keep(sequence);
            }
            let copies = (served.len() > 1).then(|| Copies::new(served.len()));
            served.retain(|session| {
                let parcel = message_parcel(stanza, &session.jid, id.as_ref(), copies.clone());
                // A session that is just ending takes nothing any more.
                session.outbox.offer(parcel).map_err(|parcel| keep(parcel.lost())).is_ok()
            });
        }
        carbons::copy(stanza, letter, user, &served, id.as_ref());
    }

    /// To a component, which takes it or not.
    fn hand_over(&self, letter: &Letter, component: &Component, sequence: Option<Sequence>) {
        let stanza = letter.stanza.clone().addressed(letter.to.clone());
        match component.offer(stanza) {
            Ok(()) => {
                let id = sequence.map(|sequence| self.stanza_id(sequence));
                carbons::copy_sent(&letter.stanza, letter, id.as_ref());
            }
            Err(stanza) => self.bounce_undelivered(&stanza),
        }
    }

    fn presence(&self, letter: &Letter, user: &User) {
        let stanza = &letter.stanza;
        let source: Box<str> = stanza.from.as_ref().map(Jid::as_str).unwrap_or_default().into();
        match letter.to.try_as_full() {
            Ok(full) => {
                if let Some(session) = user.session(full.resource().as_str()) {
                    session.outbox.push(presence_parcel(stanza, &full.clone().into(), source));
                }
            }
            Err(_) => user.each_session(|session| {
                if session.priority().is_some() {
                    session.outbox.push(presence_parcel(stanza, &letter.to, source.clone()));
                }
            }),
        }
    }

    /// An IQ to a full address (RFC 6121 §8.5.3.1); those to bare addresses are answered at the desk.
    fn iq(&self, letter: &Letter, user: &User) {
        match letter.to.resource().and_then(|resource| user.session(resource.as_str())) {
            Some(session) => {
                session.outbox.push(Parcel::stanza(outgoing(&letter.stanza, &letter.to)));
            }
            None => self.bounce(&letter.stanza, unavailable()),
        }
    }

    /// Sends an error back to where a stanza came from. Errors and results get none.
    pub fn bounce(&self, stanza: &Stanza, error: StanzaError) {
        if let Some(reply) = error.reply_to(stanza) {
            self.reply(&reply);
        }
    }

    /// Tells the sender of a message or a question that what serves its address did not take it.
    pub fn bounce_undelivered(&self, stanza: &Stanza) {
        if stanza.kind != Kind::Presence {
            self.bounce(stanza, unreachable_now());
        }
    }

    /// Delivers an answer that the server makes, to wherever the question came from.
    pub fn reply(&self, reply: &Stanza) {
        let Some(to) = &reply.to else { return };
        let domain = self.0.domains.read().get(to.domain().as_str()).cloned();
        match domain {
            Some(Domain::People) => self.reply_to_person(reply, to),
            Some(Domain::Component(component)) => {
                // Nobody is told that an answer was not taken.
                let _ = component.offer(reply.clone());
            }
            Some(Domain::Service(service)) => {
                let incoming = Incoming { stanza: reply.clone(), sender: None, errand: None };
                tokio::spawn(async move { service.receive(incoming).await });
            }
            None => {}
        }
    }

    fn reply_to_person(&self, reply: &Stanza, to: &Jid) {
        match to.try_as_full() {
            Ok(full) => {
                if let Some(session) = self.session(full) {
                    session.outbox.push(Parcel::stanza(outgoing(reply, to)));
                }
            }
            Err(_) if reply.kind == Kind::Iq => self.answered(reply),
            // What became of a subscription concerns the whole account (RFC 6121 §8.5.2.1.3).
            Err(bare) if reply.kind == Kind::Presence => {
                if let Some(user) = self.0.people.loaded(bare) {
                    user.each_session(|session| {
                        if session.priority().is_some() {
                            session.outbox.push(Parcel::stanza(outgoing(reply, to)));
                        }
                    });
                }
            }
            Err(_) => {}
        }
    }

    /// A local session by its address.
    pub fn session(&self, jid: &FullJid) -> Option<Arc<Session>> {
        self.0.people.loaded(&jid.to_bare())?.session(jid.resource().as_str())
    }

    /// Gives an account's spool to whichever resource takes messages.
    pub fn flush(&self, user: &Arc<User>) {
        let _ = self.0.spool.send(Spool::Flush(user.clone()));
    }

    /// Puts archived messages into an account's spool.
    pub fn keep(&self, jid: &BareJid, sequences: Vec<Sequence>) {
        if !sequences.is_empty() {
            let _ = self.0.spool.send(Spool::Keep(jid.clone(), sequences));
        }
    }

    /// The opaque id of an archived event.
    pub fn stanza_id(&self, sequence: Sequence) -> StanzaId {
        StanzaId { sequence, id: self.0.trail.id(sequence) }
    }
}

/// An archived message's id, as clients see it (XEP-0359).
pub struct StanzaId {
    /// The place in the archive.
    pub sequence: Sequence,
    /// Opaque.
    pub id: archive::StanzaId,
}

impl StanzaId {
    /// Writes `<stanza-id/>`.
    pub fn write(&self, by: &str, out: &mut Vec<u8>) {
        write_stanza_id(self.id.as_str(), by, out);
    }
}

/// Writes `<stanza-id/>` (XEP-0359).
pub fn write_stanza_id(id: &str, by: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"<stanza-id xmlns='urn:xmpp:sid:0' by='");
    stanza::escape_attribute(by, out);
    out.extend_from_slice(b"' id='");
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(b"'/>");
}

/// A message's type; what is missing or unknown is `normal` (RFC 6121 §5.2.2).
pub fn message_type(stanza: &Stanza) -> &str {
    match stanza.type_.as_deref() {
        Some(known @ ("chat" | "error" | "groupchat" | "headline")) => known,
        _ => "normal",
    }
}

/// Whether a message to this address may be taken by any resource: the bare address, or `chat` to a resource that is
/// not there (RFC 6121 §8.5.3.2.1).
pub fn is_for_bare(stanza: &Stanza, to: &Jid) -> bool {
    let type_ = message_type(stanza);
    match to.is_bare() {
        true => matches!(type_, "chat" | "normal" | "headline"),
        false => type_ == "chat",
    }
}

/// Whether a message waits for its recipient (XEP-0160 §3).
pub fn is_kept(stanza: &Stanza) -> bool {
    matches!(message_type(stanza), "chat" | "normal")
}

/// The bytes of a stanza for one address.
pub fn outgoing(stanza: &Stanza, to: &Jid) -> Outgoing {
    let mut head = Vec::with_capacity(192);
    Head { to: Some(to.as_str()), ..stanza.head() }.write(&mut head, None);
    Outgoing { head: head.into(), tail: stanza.tail().clone() }
}

fn message_parcel(
    stanza: &Stanza,
    to: &FullJid,
    id: Option<&StanzaId>,
    copies: Option<Arc<Copies>>,
) -> Parcel {
    let mut head = Vec::with_capacity(256);
    // The address that the sender wrote, bare or full, is what a client expects to find.
    stanza.head().write(&mut head, None);
    if let Some(id) = id {
        let bare = to.to_bare();
        id.write(bare.as_str(), &mut head);
    }
    let class = if id.is_some() { Class::Urgent } else { Class::CanWait };
    let out = Outgoing { head: head.into(), tail: stanza.tail().clone() };
    Parcel { out, class, sequence: id.map(|id| id.sequence), copies }
}

/// A presence stanza for one address.
pub fn presence_parcel(stanza: &Stanza, to: &Jid, source: Box<str>) -> Parcel {
    let class = match stanza.type_.as_deref() {
        None | Some("unavailable") => Class::Latest(source),
        _ => Class::Urgent,
    };
    Parcel { out: outgoing(stanza, to), class, sequence: None, copies: None }
}

fn unavailable() -> StanzaError {
    StanzaCondition::ServiceUnavailable.into()
}
