//! The door that every stanza goes through: stamped, judged, archived, delivered, in that order.
//!
//! Each step has a type and each type only one maker, so a way around a step does not compile:
//! [`Letter`] (the true `from`, a resolved `to`) → [`Judged`] → [`archive::Archived`] → [`Router::deliver`].

use std::sync::Arc;

use archive::{AppendError, Archive, ArchiveError, Conversation, Draft, Entry, Ledger, Outcome};
use bytes::Bytes;
use policy::{Facts, Rules, Verdict};
use smallvec::SmallVec;
use stanza::{BareJid, Child, ErrorType, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use vault::VaultError;

use crate::fates::{Fates, RETRACT};
use crate::present;
use crate::router::{Passage, Router, Target, is_for_bare, is_kept, message_type};
use crate::service::{Circular, Incoming};
use crate::session::{Errand, Session};

/// A stanza whose sender is who it says, with the place that it goes to.
pub struct Letter {
    /// The stanza; its `from` is true.
    pub stanza: Stanza,
    /// Where to: what the client wrote, or its own account.
    pub to: Jid,
    /// Where that lives.
    pub target: Target,
    sender: Option<Arc<Session>>,
    /// Lives for as long as it is on its way.
    errand: Option<Errand>,
    /// Whether its event also waits in the recipient's spool (XEP-0160).
    pub spooled: bool,
}

impl Letter {
    /// The local session that it comes from.
    pub fn sender(&self) -> Option<&Arc<Session>> {
        self.sender.as_ref()
    }

    /// Whether this very session sent it.
    pub fn is_from(&self, session: &Arc<Session>) -> bool {
        self.sender.as_ref().is_some_and(|sender| Arc::ptr_eq(sender, session))
    }
}

/// What goes through the archive.
#[expect(clippy::large_enum_variant, reason = "nearly all are letters, and a box for each would cost more")]
pub enum Mail {
    /// From one to one.
    Letter(Letter),
    /// From a service to many.
    Circular(Circular),
}

/// Mail that the policy lets pass.
pub struct Judged(Mail);

impl Judged {
    /// Only what delivers opens it.
    pub(crate) fn into_mail(self) -> Mail {
        self.0
    }
}

/// The trail that this server keeps.
pub type Trail = Archive<Judged>;

/// See the module.
#[derive(Clone)]
pub struct Post {
    router: Router,
    trail: Trail,
    fates: Fates,
    rules: Rules,
}

impl Post {
    /// `trail`'s sink must be [`settle`].
    pub fn new(router: Router, trail: Trail, fates: Fates, rules: Rules) -> Self {
        Self { router, trail, fates, rules }
    }

    /// Takes in a stanza from a session: stamps, judges, submits. Waits for room in the queue, not for the disk.
    pub async fn send(&self, session: &Arc<Session>, mut stanza: Stanza) {
        stanza.from = Some(session.jid.clone().into());
        let to = stanza.to.clone().unwrap_or_else(|| session.user.jid.clone().into());
        if stanza.kind == Kind::Message {
            stanza = without_forgeries(stanza, &to, Some(&session.user.jid));
        }
        let target = match self.router.resolve(&to).await {
            Ok(target) => target,
            Err(error) => return self.router.bounce(&stanza, disk_error(&error)),
        };
        let letter =
            Letter { stanza, to, target, sender: Some(session.clone()), errand: None, spooled: false };
        self.pass(letter).await;
    }

    /// Takes in a stanza from outside this server's accounts; its `from` is true and its `to` is set.
    pub async fn admit(&self, mut stanza: Stanza) {
        let Some(to) = stanza.to.clone() else { return };
        if stanza.kind == Kind::Message {
            stanza = without_forgeries(stanza, &to, None);
        }
        match self.router.resolve(&to).await {
            Ok(target) => {
                let letter = Letter { stanza, to, target, sender: None, errand: None, spooled: false };
                self.pass(letter).await;
            }
            Err(error) => self.router.bounce(&stanza, disk_error(&error)),
        }
    }

    /// Takes in a stanza that the server itself sends, such as an announcement; its `from` is a domain of ours.
    pub async fn originate(&self, stanza: Stanza) {
        let Some(to) = stanza.to.clone() else { return };
        match self.router.resolve(&to).await {
            Ok(target) => {
                let letter = Letter { stanza, to, target, sender: None, errand: None, spooled: false };
                self.pass(letter).await;
            }
            Err(error) => {
                disk_error(&error);
            }
        }
    }

    /// Takes in what a service sends to many, and the event that it is. Everything that a service sends in an order
    /// goes this way, with an event or without.
    ///
    /// # Errors
    /// What the policy says against it; nothing has been sent then.
    pub async fn circulate(&self, circular: Circular, event: Option<Draft>) -> Result<(), StanzaError> {
        for sheet in &circular.sheets {
            if let Verdict::Block(reason) = policy::judge(&sheet.stanza, Facts::default(), self.rules) {
                return Err(reason.error());
            }
        }
        self.trail.submit(Entry { item: Judged(Mail::Circular(circular)), event }).await;
        Ok(())
    }

    /// The archive that it keeps.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Puts something on record that is sent to nobody, and waits until it is durable.
    ///
    /// # Errors
    /// Why it could not be stored. None of its writes has happened then.
    pub async fn record(&self, event: Draft) -> Result<(), AppendError> {
        self.trail.record(event).await.map(drop)
    }

    async fn pass(&self, mut letter: Letter) {
        if let Err(error) = self.judge(&letter) {
            if let Some(error) = error {
                self.router.bounce(&letter.stanza, error);
            }
            return;
        }
        if let Target::Service(service) = letter.target {
            let Letter { mut stanza, to, sender, .. } = letter;
            stanza.to = Some(to);
            let errand = sender.as_ref().map(Session::errand);
            return service.receive(Incoming { stanza, sender, errand }).await;
        }
        let mut event = self.draft(&letter);
        if let Some(draft) = &mut event
            && let Err(error) = self.follow(draft, &letter).await
        {
            return self.router.bounce(&letter.stanza, error);
        }
        letter.spooled = event.as_ref().is_some_and(|draft| draft.spool.is_some());
        if letter.spooled {
            metrics::counter!(crate::metrics::OFFLINE_STORED).increment(1);
        }
        self.submit(letter, event).await;
    }

    /// What the message does to an earlier one.
    async fn follow(&self, draft: &mut Draft, letter: &Letter) -> Result<(), StanzaError> {
        if !letter.stanza.has("retract", RETRACT) {
            return Ok(());
        }
        if let Some(sender) = &letter.sender {
            // What it takes back may be on its way still.
            sender.pending.settled().await;
        }
        self.fates.follow(draft, &letter.stanza).await.map_err(|error| match error {
            ArchiveError::Vault(error) => disk_error(&error),
            _ => StanzaCondition::InternalServerError.into(),
        })
    }

    /// Refusal is what the sender is told, if anything.
    fn judge(&self, letter: &Letter) -> Result<(), Option<StanzaError>> {
        let from = letter.stanza.from.as_ref();
        let facts = Facts {
            sender_blocks: letter.sender.as_ref().is_some_and(|sender| sender.user.blocks(&letter.to)),
            recipient_blocks: match (&letter.target, from) {
                (Target::User(user), Some(from)) => user.blocks(from),
                _ => false,
            },
        };
        if let Verdict::Block(reason) = policy::judge(&letter.stanza, facts, self.rules) {
            let silent = letter.stanza.kind == Kind::Presence && facts.recipient_blocks;
            return Err((!silent).then(|| reason.error()));
        }
        deliverable(letter)
    }

    /// What the archive keeps of a letter; `None` for what has no content.
    fn draft(&self, letter: &Letter) -> Option<Draft> {
        let stanza = &letter.stanza;
        if stanza.kind != Kind::Message || !has_content(stanza) {
            return None;
        }
        let from = stanza.from.clone()?;
        let (sender, recipient) = (from.to_bare(), letter.to.to_bare());
        let mut owners = SmallVec::new();
        let mut spool = None;
        if let Target::User(user) = &letter.target {
            owners.push(recipient.clone());
            let absent =
                letter.to.resource().is_none_or(|resource| user.session(resource.as_str()).is_none());
            if absent && is_kept(stanza) && !user.is_reachable() {
                spool = Some(recipient.clone());
            }
        }
        if letter.sender.is_some() && sender != recipient {
            owners.push(sender.clone());
        }
        if owners.is_empty() {
            // From outside to outside. It went over this server, so it is in the trail.
            owners.push(sender.clone());
        }
        Some(Draft {
            owners,
            conversation: Conversation::between(&sender, &recipient),
            from,
            to: letter.to.clone(),
            stanza: stored(stanza),
            text: stanza.text("body"),
            id: stanza.id.as_deref().map(Into::into),
            about: present::target(stanza),
            spool,
            through: None,
            writes: Vec::new(),
            ledger: Ledger::Messages,
        })
    }

    /// What has no content goes straight on, unless something of the same sender is still on its way
    /// (RFC 6120 §10.1).
    async fn submit(&self, mut letter: Letter, event: Option<Draft>) {
        if let Some(sender) = &letter.sender {
            if event.is_none() && sender.pending.count() == 0 {
                return self.router.deliver(Passage::Exempt(Judged(Mail::Letter(letter))));
            }
            letter.errand = Some(sender.errand());
        }
        self.trail.submit(Entry { item: Judged(Mail::Letter(letter)), event }).await;
    }
}

/// The archive's sink: delivers what is durable, and tells the sender of what is not.
pub fn settle(router: &Router, outcome: Outcome<Judged>) {
    match outcome {
        Outcome::Archived(archived) => router.deliver(Passage::Archived(archived)),
        Outcome::Exempt(judged) => router.deliver(Passage::Exempt(judged)),
        Outcome::Failed(judged, error) => match judged.into_mail() {
            Mail::Letter(letter) => router.bounce(&letter.stanza, append_error(&error)),
            Mail::Circular(circular) => circular.fail(append_error(&error)),
        },
    }
}

/// RFC 6121 §8.5 before the archive: what can reach nobody goes back at once, and is no event. The error is `None`
/// where the RFC wants silence.
fn deliverable(letter: &Letter) -> Result<(), Option<StanzaError>> {
    let stanza = &letter.stanza;
    let user = match &letter.target {
        Target::User(user) => user,
        Target::Service(_) => return Ok(()),
        Target::Component(component) if component.is_connected() => return Ok(()),
        // RFC 6121 §8.5.1: presence for nobody is nobody's business.
        Target::Host | Target::Nobody | Target::Component(_) if stanza.kind == Kind::Presence => {
            return Err(None);
        }
        Target::Host | Target::Nobody => return Err(Some(StanzaCondition::ServiceUnavailable.into())),
        Target::Component(_) => return Err(Some(unreachable_now())),
        Target::Outside => return Err(Some(StanzaCondition::RemoteServerNotFound.into())),
    };
    let present = letter.to.resource().is_some_and(|resource| user.session(resource.as_str()).is_some());
    if present || stanza.kind != Kind::Message {
        return Ok(());
    }
    match message_type(stanza) {
        "error" => Err(None),
        "headline" if letter.to.is_bare() && user.is_reachable() => Ok(()),
        "headline" => Err(None),
        "chat" | "normal" if is_for_bare(stanza, &letter.to) => {
            // Without content there is nothing to wait for somebody who is away.
            if user.is_reachable() || has_content(stanza) { Ok(()) } else { Err(None) }
        }
        _ => Err(Some(StanzaCondition::ServiceUnavailable.into())),
    }
}

/// What a sender is told when a component's program is not there, or did not take the stanza.
pub fn unreachable_now() -> StanzaError {
    let text = "What serves this address is not connected just now. Try again later.";
    StanzaError::new(StanzaCondition::RemoteServerTimeout, text)
}

/// Payloads that say nothing worth keeping: chat states (XEP-0085), receipts (XEP-0184), markers (XEP-0333), hints
/// (XEP-0334) and other notes about a message. A message of these alone is not archived; hints never change that
/// (invariant: no client opts out of the trail).
const NOTES: [&str; 6] = [
    "http://jabber.org/protocol/chatstates",
    "urn:xmpp:receipts",
    "urn:xmpp:chat-markers:0",
    "urn:xmpp:hints",
    "urn:xmpp:sid:0",
    "urn:xmpp:carbons:2",
];

/// Whether a message says something.
pub fn has_content(stanza: &Stanza) -> bool {
    message_type(stanza) != "error" && stanza.children().iter().any(|child| !is_note(stanza, child))
}

/// Whether a child is a note. One with text or elements inside is none, whatever it calls itself: it could carry words
/// past the archive.
fn is_note(stanza: &Stanza, child: &Child) -> bool {
    if child.is("thread", stanza::ns::CLIENT) {
        // An identifier (RFC 6121 §5.2.5), not a place for a letter.
        return stanza.text("thread").is_none_or(|thread| thread.len() <= 128);
    }
    NOTES.contains(&child.ns()) && stanza.payload_element(child).nodes().next().is_none()
}

/// The form that the archive keeps: the whole stanza, under its own namespace declaration.
pub fn stored(stanza: &Stanza) -> Bytes {
    let mut out = Vec::with_capacity(stanza.tail().len() + 192);
    stanza.write(&mut out, Some(stanza::ns::CLIENT));
    out.into()
}

/// Only the server says what an archive's id is (XEP-0359 §5) and that it held a message back (XEP-0203 §4).
/// `own` is the sender's account, if it has one here: another server's own ids and times are its business.
fn without_forgeries(stanza: Stanza, to: &Jid, own: Option<&BareJid>) -> Stanza {
    let is_suspect =
        |child: &Child| child.is("stanza-id", "urn:xmpp:sid:0") || child.is("delay", "urn:xmpp:delay");
    if !stanza.children().iter().any(is_suspect) {
        return stanza;
    }
    let other = to.to_bare();
    let own = own.unwrap_or(&other);
    let ours = [own.as_str(), own.domain().as_str(), other.as_str(), other.domain().as_str()];
    stanza.without(|child| {
        is_suspect(child) && {
            let element = stanza.payload_element(child);
            match child.name() {
                "delay" => element.attr("from").is_some_and(|from| ours[1..].contains(&from)),
                _ => element.attr("by").is_none_or(|by| ours.contains(&by)),
            }
        }
    })
}

fn append_error(error: &AppendError) -> StanzaError {
    let (condition, text) = match error {
        AppendError::Full => (
            StanzaCondition::ResourceConstraint,
            "The server's disk is full, so the message could not be archived and was not sent. Try again later.",
        ),
        _ => (
            StanzaCondition::InternalServerError,
            "The message could not be archived, so it was not sent. Try again later.",
        ),
    };
    StanzaError { type_: ErrorType::Wait, ..StanzaError::new(condition, text) }
}

/// What a client is told when the vault cannot be read.
pub fn disk_error(error: &VaultError) -> StanzaError {
    tracing::error!(%error, "the vault failed");
    let text = "The server cannot read its store just now. Try again later.";
    StanzaError { type_: ErrorType::Wait, ..StanzaError::new(StanzaCondition::InternalServerError, text) }
}
