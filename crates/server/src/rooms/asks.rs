//! IQs that occupants send one another through the room (XEP-0045 §17.4), and pings of oneself (XEP-0410).

use std::collections::VecDeque;

use stanza::{FullJid, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::Out;
use super::room::{Room, Visitor};
use crate::service::{Reader, Sheet};

/// Questions that wait for an answer. When there are too many, the oldest gets none.
#[derive(Default)]
pub struct Asks {
    waiting: VecDeque<Ask>,
    last: u64,
}

struct Ask {
    number: u64,
    asker: FullJid,
    reader: Reader,
    /// As the asker gave it.
    id: Option<Box<str>>,
    asked: FullJid,
}

/// Questions of a room that may wait at once.
const MOST: usize = 1_000;

impl Room {
    /// Sends a question on to an occupant's first resource.
    pub(super) fn ask(
        &mut self,
        who: &Visitor,
        nick: &str,
        stanza: &Stanza,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let one = self.occupant(who)?;
        let is_ping = stanza.has("ping", ns::PING);
        if &*one.nick == nick && is_ping {
            out.answer(Stanza::result_of(stanza), &who.reader);
            return Ok(());
        }
        let other = self.occupants.named(nick).ok_or_else(|| {
            StanzaError::new(StanzaCondition::ItemNotFound, "There is nobody of this nick in the room.")
        })?;
        let Some(seat) = other.seats.first().cloned() else { return Ok(()) };
        let mut question = stanza.clone();
        (question.from, question.to) = (Some(one.address.clone()), None);
        let asks = &mut self.asks;
        asks.last += 1;
        question.id = Some(format!("room-{}", asks.last).into());
        if asks.waiting.len() >= MOST {
            asks.waiting.pop_front();
        }
        asks.waiting.push_back(Ask {
            number: asks.last,
            asker: who.jid.clone(),
            reader: who.reader.clone(),
            id: stanza.id.clone(),
            asked: seat.jid,
        });
        out.send(vec![Sheet::new(question, [seat.reader])]);
        Ok(())
    }

    /// Gives an answer to who asked, if they are still here. Answers to nothing end here.
    pub(super) fn tell(&mut self, who: &Visitor, stanza: &Stanza, out: &mut Out) {
        let number = stanza.id.as_deref().and_then(|id| id.strip_prefix("room-")?.parse::<u64>().ok());
        let waiting = &mut self.asks.waiting;
        let place = waiting.iter().position(|ask| Some(ask.number) == number && ask.asked == who.jid);
        let Some(ask) = place.and_then(|place| waiting.remove(place)) else { return };
        let (Some(one), true) = (self.occupants.of(&who.jid), self.occupants.of(&ask.asker).is_some()) else {
            return;
        };
        let mut answer = stanza.clone();
        (answer.from, answer.to, answer.id) = (Some(one.address.clone()), None, ask.id);
        out.send(vec![Sheet::new(answer, [ask.reader])]);
    }
}
