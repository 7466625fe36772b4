//! What was said lately, for those who come in (XEP-0045 §7.2.13).

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use archive::{Item, Micros, Receipt, Sequence};
use minidom::Element;
use stanza::{Jid, Stanza};
use xmpp_parsers::ns;

use super::settings::MOST_HISTORY;
use crate::clock;
use crate::fates::RETRACT;
use crate::service::{Place, Reader, Sheet};

/// The last messages, oldest first, each with its place in the archive, which may still be on its way there.
#[derive(Default)]
pub struct Past(VecDeque<Said>);

struct Said {
    stanza: Stanza,
    place: Place,
    /// When it was submitted.
    time: Micros,
}

/// What somebody who comes in wants to hear. All bounds hold together.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Wanted {
    messages: Option<usize>,
    characters: Option<usize>,
    since: Option<Micros>,
}

impl Wanted {
    /// Reads `<x><history/></x>`; what cannot be read bounds nothing.
    pub fn read(x: &Element, now: Micros) -> Self {
        let Some(history) = x.get_child("history", ns::MUC) else { return Self::default() };
        let number = |name| history.attr(name).and_then(|value: &str| value.trim().parse::<i64>().ok());
        let count = |name| number(name).map(|count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
        let ago = number("seconds").map(|ago| now.0.saturating_sub(ago.max(0).saturating_mul(1_000_000)));
        let since = history.attr("since").and_then(clock::parse);
        Self {
            messages: count("maxstanzas"),
            characters: count("maxchars"),
            since: ago.into_iter().chain(since).max().map(Micros),
        }
    }
}

impl Past {
    /// From the archive, oldest first. What it holds of who really spoke is left out, and so are subjects: the last is
    /// told on its own. So is what was taken back.
    pub fn restore(items: &[Item]) -> Self {
        let said = items.iter().filter_map(|item| {
            let mut stanza = Stanza::parse(&item.stanza).ok()?.without(|child| child.is("x", ns::MUC_USER));
            stanza.to = None;
            let place = Arc::new(OnceLock::from(Receipt { sequence: item.sequence, time: item.time }));
            (!is_subject(&stanza) && !stanza.has("retracted", RETRACT)).then_some(Said {
                stanza,
                place,
                time: item.time,
            })
        });
        Self(said.collect())
    }

    /// Adds a message that is on its way into the archive.
    pub fn add(&mut self, stanza: Stanza, place: Place, time: Micros) {
        if self.0.len() >= MOST_HISTORY as usize {
            self.0.pop_front();
        }
        self.0.push_back(Said { stanza, place, time });
    }

    /// Leaves out a message that was taken back.
    pub fn remove(&mut self, message: Sequence) {
        self.0.retain(|said| said.place.get().is_none_or(|receipt| receipt.sequence != message));
    }

    /// The messages for somebody who comes in, oldest first; `usual` is how many if they do not say.
    pub fn sheets(&self, room: &Jid, to: &Reader, wanted: &Wanted, usual: usize) -> Vec<Sheet> {
        let mut characters = 0;
        let chosen = self.0.iter().rev().take(wanted.messages.unwrap_or(usual));
        let chosen = chosen.take_while(|said| {
            let time = said.place.get().map_or(said.time, |receipt| receipt.time);
            // Head and delay are part of what counts.
            characters += said.stanza.tail().len() + 200;
            wanted.since.is_none_or(|since| time >= since)
                && wanted.characters.is_none_or(|most| characters <= most)
        });
        let mut sheets: Vec<Sheet> = chosen
            .map(|said| Sheet {
                archived_by: Some(room.as_str().into()),
                again: Some(Arc::clone(&said.place)),
                ..Sheet::new(said.stanza.clone(), [to.clone()])
            })
            .collect();
        sheets.reverse();
        sheets
    }
}

/// Whether a message names the subject (XEP-0045 §8.1): it has one, and nothing to say.
pub fn is_subject(stanza: &Stanza) -> bool {
    stanza.has("subject", stanza::ns::CLIENT)
        && !stanza.has("body", stanza::ns::CLIENT)
        && !stanza.has("thread", stanza::ns::CLIENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(history: &str) -> Wanted {
        let x = format!("<x xmlns='{}'>{history}</x>", ns::MUC);
        Wanted::read(&x.parse().unwrap(), Micros(100_000_000))
    }

    #[test]
    fn the_narrowest_bound_of_time_holds() {
        assert_eq!(wanted(""), Wanted::default());
        let both = wanted("<history seconds='10' since='1970-01-01T00:01:35Z'/>");
        assert_eq!(both.since, Some(Micros(95_000_000)));
        let both = wanted("<history seconds='2' since='1970-01-01T00:01:35Z'/>");
        assert_eq!(both.since, Some(Micros(98_000_000)));
    }

    #[test]
    fn what_is_no_number_bounds_nothing_and_less_than_nothing_is_nothing() {
        let read = wanted("<history maxstanzas='many' maxchars='-3'/>");
        assert_eq!((read.messages, read.characters), (None, Some(0)));
    }
}
