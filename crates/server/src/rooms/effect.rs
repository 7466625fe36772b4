//! What a room wants done. A room decides; its [task](super::task) does.

use std::sync::Arc;

use archive::{Conversation, Draft, Ledger};
use smallvec::smallvec;
use stanza::{BareJid, FullJid, Jid, Stanza, StanzaError};
use vault::Write;

use super::occupants::Occupant;
use super::room::Before;
use crate::service::{Place, Reader, Sheet};

/// What follows from one stanza, in order.
#[derive(Default)]
pub struct Out {
    /// What goes through the archive's queue.
    pub steps: Vec<Step>,
    /// Letters to people who need not be in the room.
    pub letters: Vec<Stanza>,
}

/// What is sent at once, after one event or none.
#[derive(Default)]
pub struct Step {
    /// Who gets what.
    pub sheets: Vec<Sheet>,
    /// What the archive keeps.
    pub event: Option<Draft>,
    /// Learns where that stands.
    pub place: Option<Place>,
    /// What is due if it cannot be kept.
    pub failure: Option<Arc<Failure>>,
}

/// What is due when an event cannot be archived.
#[derive(Default)]
pub struct Failure {
    /// The stanza that was to have been the event, and who hears that it was not.
    pub complaint: Option<(Stanza, Reader)>,
    /// The room as it was, if its records should have changed.
    pub before: Option<Before>,
    /// Occupants as they were.
    pub occupants: Vec<Occupant>,
    /// Who came in, and is not in after all.
    pub joined: Option<FullJid>,
    /// What is told all the same, because it is so: that somebody has gone.
    pub tell: Vec<Sheet>,
}

impl Failure {
    /// Somebody hears that their stanza had no effect.
    pub fn told(stanza: &Stanza, reader: &Reader) -> Self {
        Self { complaint: Some((stanza.clone(), reader.clone())), ..Self::default() }
    }
}

impl Out {
    /// Sends something that is no event.
    pub fn send(&mut self, sheets: Vec<Sheet>) {
        if !sheets.is_empty() {
            self.steps.push(Step { sheets, ..Step::default() });
        }
    }

    /// Sends one stanza to one reader.
    pub fn answer(&mut self, stanza: Stanza, reader: &Reader) {
        self.send(vec![Sheet::new(stanza, [reader.clone()])]);
    }

    /// Sends an error, where one is allowed.
    pub fn refuse(&mut self, stanza: &Stanza, error: StanzaError, reader: &Reader) {
        if let Some(reply) = error.reply_to(stanza) {
            self.answer(reply, reader);
        }
    }

    /// Sends something after its event.
    pub fn happen(&mut self, sheets: Vec<Sheet>, event: Draft, failure: Failure) {
        let failure = Some(Arc::new(failure));
        self.steps.push(Step { sheets, event: Some(event), place: None, failure });
    }
}

/// What the archive keeps of something that happens in a room. `from` is who really did it.
pub fn event(
    room: &BareJid,
    from: impl Into<Jid>,
    stanza: &Stanza,
    ledger: Ledger,
    writes: Vec<Write>,
) -> Draft {
    Draft {
        owners: smallvec![room.clone()],
        conversation: Conversation::Room(room.clone()),
        from: from.into(),
        to: Jid::from(room.clone()),
        stanza: crate::post::stored(stanza),
        text: stanza.text("body"),
        id: stanza.id.clone(),
        about: crate::present::target(stanza),
        spool: None,
        through: None,
        writes,
        ledger,
    }
}
