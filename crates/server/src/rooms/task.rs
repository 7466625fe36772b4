//! The task of one room: loads it, feeds it, and does what it decides.

use std::sync::Arc;
use std::time::Duration;

use archive::{ArchiveError, Ledger, Micros, Query};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use tokio::sync::mpsc;
use xmpp_parsers::ns;

use super::effect::{Failure, Out, Step};
use super::past::Past;
use super::retract::{self, Target};
use super::room::{Ids, Room, Visitor};
use super::settings::MOST_HISTORY;
use super::{Mail, Office, questions, reader, record, stay};
use crate::clock;
use crate::post::disk_error;
use crate::service::{Circular, Incoming};
use crate::session::Errand;

/// A room that nobody is in leaves the memory after this long.
const IDLE: Duration = Duration::from_secs(60);

/// See the module.
pub(super) struct Task {
    pub(super) office: Arc<Office>,
    pub(super) jid: BareJid,
    mailbox: mpsc::Receiver<Mail>,
    /// `None`: there is no such room.
    pub(super) room: Option<Room>,
    /// What became of what was submitted. Holds no more than the archive's queue.
    outcomes: (mpsc::UnboundedSender<Outcome>, mpsc::UnboundedReceiver<Outcome>),
    /// Changes of records that are on their way.
    changes: usize,
}

/// News of something that was submitted.
enum Outcome {
    /// It could not be archived.
    Failed(Arc<Failure>, StanzaError),
    /// A change of records is settled, well or not.
    Settled,
}

/// Goes with a circular, and tells the task what became of it.
struct Ticket {
    news: mpsc::UnboundedSender<Outcome>,
    failure: Arc<Failure>,
}

impl Ticket {
    fn fail(self, error: StanzaError) {
        let _ = self.news.send(Outcome::Failed(Arc::clone(&self.failure), error));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.failure.before.is_some() {
            let _ = self.news.send(Outcome::Settled);
        }
    }
}

impl Task {
    pub(super) fn new(office: Arc<Office>, jid: BareJid, mailbox: mpsc::Receiver<Mail>) -> Self {
        Self { office, jid, mailbox, room: None, outcomes: mpsc::unbounded_channel(), changes: 0 }
    }

    pub(super) async fn run(mut self) {
        let mut loaded = self.load().await;
        loop {
            let mail = tokio::select! {
                biased;
                Some(outcome) = self.outcomes.1.recv() => {
                    self.settle(outcome).await;
                    continue;
                }
                mail = self.mailbox.recv() => mail,
                () = tokio::time::sleep(IDLE), if self.is_idle() => match self.may_go() {
                    true => return,
                    false => continue,
                },
            };
            match mail {
                Some(Mail::Stanza(incoming)) => {
                    if loaded.is_err() {
                        loaded = self.load().await;
                    }
                    match &loaded {
                        Ok(()) => self.stanza(*incoming).await,
                        Err(error) => self.refuse(*incoming, error.clone()).await,
                    }
                }
                Some(Mail::Forget(account, done)) => {
                    if loaded.is_err() {
                        loaded = self.load().await;
                    }
                    self.forget(&account).await;
                    drop(done);
                }
                Some(Mail::Close(done)) => {
                    self.close(done).await;
                }
                Some(Mail::Keep(done)) => {
                    self.keep().await;
                    drop(done);
                }
                Some(Mail::Restore(returned, done)) => {
                    self.restore(returned).await;
                    drop(done);
                }
                None => break,
            }
            if self.room.is_none() && self.changes == 0 && self.may_go() {
                return;
            }
        }
    }

    /// Leaves the list of tasks, unless somebody is about to write to this one. There is never a second of the room.
    fn may_go(&self) -> bool {
        let unused = |mailbox: &mpsc::Sender<Mail>| self.mailbox.is_empty() && mailbox.strong_count() == 1;
        self.office.mailboxes.remove_if(&self.jid, |_, mailbox| unused(mailbox)).is_some()
    }

    async fn load(&mut self) -> Result<(), StanzaError> {
        let durable =
            record::load(&self.office.means.vault, &self.jid).await.map_err(|error| disk_error(&error))?;
        self.room = durable.map(|durable| Room::stored(self.jid.clone(), durable, self.ids()));
        Ok(())
    }

    /// Looks up what the sender is in the company when they come in; and in a room of the company, what they are there.
    pub(super) async fn look_up(&mut self, who: &Visitor, comes_in: bool) -> Result<(), StanzaError> {
        let account = who.jid.to_bare();
        if let (Some(room), true) = (&mut self.room, comes_in) {
            let hats = self.office.means.company.hats(&account).await;
            room.dress(account.clone(), hats.map_err(|error| disk_error(&error))?);
        }
        if !self.office.means.company.has(&self.jid) {
            return Ok(());
        }
        if let Some(room) = &mut self.room
            && (comes_in || !room.knows(&account))
        {
            let tie = self.office.means.company.affiliation(&self.jid, &account).await;
            room.learn(account, tie.map_err(|error| disk_error(&error))?);
        }
        Ok(())
    }

    /// Ids that tell nothing to whoever lacks the key (XEP-0421 §4).
    fn ids(&self) -> Ids {
        let (vault, room) = (self.office.means.vault.clone(), self.jid.clone());
        Box::new(move |account| {
            let id = vault.blind("occupant id", &[room.as_str(), account.as_str()]);
            URL_SAFE_NO_PAD.encode(id).into()
        })
    }

    fn is_idle(&self) -> bool {
        self.changes == 0 && self.room.as_ref().is_none_or(|room| room.occupants.is_empty())
    }

    async fn stanza(&mut self, incoming: Incoming) {
        let Some(reader) = reader(&incoming) else { return };
        let Incoming { stanza, sender, errand } = incoming;
        let Some(Ok(jid)) = stanza.from.as_ref().map(|from| from.clone().try_into_full()) else { return };
        while self.changes > 0 && self.room.as_ref().is_none_or(|room| room.may_change(&stanza)) {
            let Some(outcome) = self.outcomes.1.recv().await else { return };
            self.settle(outcome).await;
        }
        let who = Visitor { jid, reader };
        let mut out = Out::default();
        if let Err(error) = self.prepare(&who, &stanza).await {
            out.refuse(&stanza, error, &who.reader);
        } else if questions::is_one(&stanza) && self.room.as_ref().is_some_and(|room| room.has_here(&stanza))
        {
            return self.question(&who, stanza, errand).await;
        } else {
            let target = self.target(&stanza).await;
            match (&mut self.room, target) {
                (Some(room), Ok(target)) => room.receive(now(), &who, stanza, target.as_ref(), &mut out),
                (_, Err(error)) => out.refuse(&stanza, error, &who.reader),
                (None, Ok(_)) => {}
            }
        }
        drop(sender);
        self.finish(out, errand).await;
    }

    /// Sees to it that the room is there and knows its past, where the stanza needs that.
    async fn prepare(&mut self, who: &Visitor, stanza: &Stanza) -> Result<(), StanzaError> {
        let comes_in = stanza.kind == Kind::Presence
            && stanza.type_.is_none()
            && stanza.has("x", ns::MUC)
            && stanza.to.as_ref().is_some_and(Jid::is_full);
        self.look_up(who, comes_in).await?;
        if self.room.is_some() {
            return if comes_in { self.recall().await } else { Ok(()) };
        }
        let owner = who.jid.to_bare();
        if stanza.kind == Kind::Iq
            && stanza.has("ping", ns::PING)
            && stanza.to.as_ref().is_some_and(Jid::is_full)
        {
            // Nothing else tells a client that it is not in any more (XEP-0410 §3.2).
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, "You are not in this room."));
        }
        if !comes_in {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, "There is no such room."));
        }
        if !self.office.may_create(&owner).await {
            let words = "There is no such room, and you may not make one.";
            return Err(StanzaError::new(StanzaCondition::NotAllowed, words));
        }
        // What an earlier room of the name still has on its way belongs to that one.
        let _ = self.office.fence().await.await;
        let settings = self.office.new_settings();
        self.room = Some(Room::new(self.jid.clone(), owner, settings, now(), self.ids()));
        Ok(())
    }

    /// Reads what was said lately, where that is not at hand.
    pub(super) async fn recall(&mut self) -> Result<(), StanzaError> {
        let Some(room) = self.room.as_mut().filter(|room| room.past.is_none()) else { return Ok(()) };
        let query = Query {
            start: Some(Micros(room.durable.created)),
            limit: MOST_HISTORY as usize,
            backwards: true,
            ledger: Ledger::Messages,
            ..Query::default()
        };
        let history = &self.office.means.history;
        let page = history.trail.history(&self.jid, &query).await;
        let failed =
            |error: ArchiveError| StanzaError::new(StanzaCondition::InternalServerError, error.to_string());
        let mut page = page.map_err(failed)?;
        history.fates.veil(&self.jid, &mut page.items).await.map_err(|error| disk_error(&error))?;
        room.past = Some(Past::restore(&page.items));
        Ok(())
    }

    /// The message that a stanza wants gone, if it is in this room's archive.
    async fn target(&self, stanza: &Stanza) -> Result<Option<Target>, StanzaError> {
        let id = retract::wanted(stanza);
        let Some(sequence) = id.and_then(|id| self.office.means.history.trail.sequence(&id)) else {
            return Ok(None);
        };
        let start = self.room.as_ref().map(|room| Micros(room.durable.created));
        let query = Query { ids: Some(vec![sequence]), start, limit: 1, ..Query::default() };
        match self.office.means.history.trail.history(&self.jid, &query).await {
            Ok(page) => Ok(page.items.first().map(|item| Target { sequence, author: item.from.to_bare() })),
            Err(ArchiveError::NotFound) => Ok(None),
            Err(error) => Err(StanzaError::new(StanzaCondition::InternalServerError, error.to_string())),
        }
    }

    /// An account is gone.
    async fn forget(&mut self, account: &BareJid) {
        while self.changes > 0 {
            let Some(outcome) = self.outcomes.1.recv().await else { return };
            self.settle(outcome).await;
        }
        let mut out = Out::default();
        if let Some(room) = &mut self.room
            && let Err(error) = room.forget_account(account, &mut out)
        {
            tracing::warn!(condition = %error.condition, "a removed account is still on the list of a room");
        }
        self.finish(out, None).await;
    }

    async fn refuse(&self, incoming: Incoming, error: StanzaError) {
        let Some(reader) = reader(&incoming) else { return };
        if let Some(reply) = error.reply_to(&incoming.stanza) {
            let errand = incoming.errand;
            self.office.answer(Circular { errand, ..Circular::new(reply, [reader]) }).await;
        }
    }

    /// Does what the room has decided. The errand goes with the last of it.
    pub(super) async fn finish(&mut self, out: Out, mut errand: Option<Errand>) {
        let Out { steps, letters } = out;
        for letter in letters {
            self.office.means.post.originate(letter).await;
        }
        let last = steps.len().saturating_sub(1);
        for (index, step) in steps.into_iter().enumerate() {
            let errand = if index == last { errand.take() } else { None };
            self.submit(step, errand).await;
        }
        match &self.room {
            Some(room) if room.over => {
                self.office.catalogue.remove(&self.jid);
                if self.changes == 0 {
                    self.room = None;
                }
            }
            Some(room) if !room.locked => {
                self.office.catalogue.set(&self.jid, &room.durable.settings, room.occupants.len());
            }
            _ => {}
        }
    }

    async fn submit(&mut self, step: Step, errand: Option<Errand>) {
        let Step { sheets, event, place, failure } = step;
        let mut circular = Circular { errand, place, ..Circular::of(sheets) };
        if let Some(failure) = &failure {
            self.changes += usize::from(failure.before.is_some());
            let ticket = Ticket { news: self.outcomes.0.clone(), failure: Arc::clone(failure) };
            circular.on_failure = Some(Box::new(move |error| ticket.fail(error)));
        }
        if let (Err(error), Some(failure)) =
            (self.office.means.post.circulate(circular, event).await, failure)
        {
            let _ = self.outcomes.0.send(Outcome::Failed(failure, error));
        }
    }

    async fn settle(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Settled => {
                self.changes -= 1;
                if self.changes == 0 && self.room.as_ref().is_some_and(|room| room.over) {
                    self.room = None;
                }
            }
            Outcome::Failed(failure, error) => {
                let mut out = Out::default();
                if let Some(room) = &mut self.room {
                    room.fail(&failure, error, &mut out);
                } else if let Some((stanza, reader)) = &failure.complaint {
                    out.refuse(stanza, error, reader);
                }
                Box::pin(self.finish(out, None)).await;
            }
        }
    }

    /// The server stops.
    async fn close(&mut self, done: mpsc::Sender<()>) {
        let mut out = Out::default();
        if let Some(room) = &mut self.room {
            room.close(&mut out);
        }
        self.finish(out, None).await;
        // Everybody has been told once this is settled.
        let _ = self.office.fence().await.await;
        drop(done);
    }

    /// The server has stopped.
    async fn keep(&mut self) {
        let Some(room) = &self.room else { return };
        if let Err(error) = stay::store(&self.office.means.vault, room).await {
            tracing::warn!(%error, "who is in a room cannot be in it again after this stop");
        }
    }
}

fn now() -> Micros {
    Micros(clock::micros())
}
