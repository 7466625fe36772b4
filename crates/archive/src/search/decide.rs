//! Whether a message answers a question, and where in it the words stand.

use std::ops::Range;

use jid::Jid;

use super::question::{Filter, Has, Is, Node, Question, Style, Term};
use super::reading::{Change, Owned, Reading};
use crate::{Item, text};

/// What a question needs to know that is not in the message.
pub trait Context: Send + Sync {
    /// Whether the message bears this label; `label` is in lower case.
    fn has_label(&self, item: &Item, label: &str) -> bool {
        let _ = (item, label);
        false
    }

    /// Whether a hold keeps the message.
    fn is_held(&self, item: &Item) -> bool {
        let _ = item;
        false
    }

    /// Whether an address belongs to somebody outside the company.
    fn is_external(&self, address: &Jid) -> bool {
        let _ = address;
        false
    }

    /// Whether an address lies on this network, as an employee calls it, in lower case.
    fn is_via(&self, address: &Jid, network: &str) -> bool {
        let domain = address.domain().as_str();
        domain == network || domain.split('.').next() == Some(network)
    }

    /// What became of the message later.
    fn fate(&self, item: &Item) -> Fate {
        let _ = item;
        Fate::default()
    }

    /// Whether the asker may know who is behind the nick in a room that does not show it.
    fn reveals(&self) -> bool {
        true
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fate {
    /// Its sender corrected it.
    pub edited: bool,
    /// It was taken back.
    pub deleted: bool,
    /// Somebody reacted to it.
    pub reacted: bool,
}

/// A context that knows nothing but the message.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bare;

impl Context for Bare {}

/// A context that knows who is of the company.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Company {
    /// Its domains; their subdomains are its own, too.
    pub domains: Vec<String>,
    /// See [`Context::reveals`].
    pub reveals: bool,
}

impl Context for Company {
    fn is_external(&self, address: &Jid) -> bool {
        let domain = address.domain().as_str();
        let ours = |own: &String| {
            domain == own || domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        !self.domains.iter().any(ours)
    }

    fn reveals(&self) -> bool {
        self.reveals
    }
}

/// Holds and the like read their questions so. They know nothing but the message.
impl crate::Questions for super::Language {
    fn read(&self, question: &str) -> Result<crate::Filter, String> {
        let question = Question::parse(question, self).map_err(|error| error.message)?;
        Ok(Box::new(move |item| question.matches(item, &Bare)))
    }
}

impl Question {
    /// Whether a message answers the question. Pure, so that a walk over a selection can be filtered by it.
    pub fn matches(&self, item: &Item, context: &dyn Context) -> bool {
        self.root.holds(&Reading::new(item), context)
    }

    pub(super) fn holds(&self, reading: &Reading<'_>, context: &dyn Context) -> bool {
        self.root.holds(reading, context)
    }

    /// Where in the reading's text the words of the question stand: in order, apart.
    pub(super) fn highlights(&self, reading: &Reading<'_>) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        self.root.highlights(reading, &mut ranges);
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        let mut apart: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        apart
    }

    /// How well a message answers: the more words of the question it has, and the shorter it is, the better.
    pub(super) fn score(&self, reading: &Reading<'_>) -> f64 {
        let mut ranges = Vec::new();
        self.root.highlights(reading, &mut ranges);
        let length = reading.words().len().max(1) as f64;
        // Each further occurrence adds less, and long texts have more of them by chance.
        (1.0 + ranges.len() as f64).ln() / (1.0 + 0.25 * length.ln())
    }
}

impl Node {
    fn holds(&self, reading: &Reading<'_>, context: &dyn Context) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.holds(reading, context)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(reading, context)),
            Self::Not(inner) => !inner.holds(reading, context),
            Self::Near(distance, one, two) => !near(*distance, one, two, reading).is_empty(),
            Self::Term(term) => Wanted::new(term).is_in(reading.words()),
            Self::Regex(pattern) => pattern.regex.is_match(&reading.text),
            Self::Filter(filter) => filter.holds(reading, context),
        }
    }

    fn highlights(&self, reading: &Reading<'_>, ranges: &mut Vec<Range<usize>>) {
        match self {
            Self::And(nodes) | Self::Or(nodes) => {
                nodes.iter().for_each(|node| node.highlights(reading, ranges));
            }
            Self::Near(distance, one, two) => ranges.extend(near(*distance, one, two, reading)),
            Self::Term(term) => {
                let found = Wanted::new(term).find(reading.words());
                ranges.extend(found.into_iter().map(|found| found.range));
            }
            Self::Regex(pattern) => {
                let found = pattern.regex.find_iter(&reading.text).take(256);
                ranges.extend(found.map(|found| found.range()).filter(|range| !range.is_empty()));
            }
            Self::Not(_) | Self::Filter(_) => {}
        }
    }
}

/// A term taken apart.
struct Wanted {
    style: Style,
    words: Vec<Owned>,
    /// Places that it takes.
    length: u32,
}

/// Where a term stands in a text.
struct Found {
    places: Range<u32>,
    range: Range<usize>,
}

impl Wanted {
    fn new(term: &Term) -> Self {
        let words = Owned::all(&term.text);
        let length = words.iter().map(|word| word.at + word.span).max().unwrap_or(0);
        Self { style: term.style, words, length }
    }

    fn is_in(&self, text: &[Owned]) -> bool {
        text.iter().any(|start| self.from(0, start.at, text).is_some())
    }

    fn find(&self, text: &[Owned]) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for start in text {
            if found.last().is_some_and(|last| last.places.start == start.at) {
                continue;
            }
            if let Some((places, end)) = self.from(0, start.at, text) {
                // Several words may begin at a place; the match began with the first that fits, and they begin alike.
                found.push(Found { places: start.at..places, range: start.start..end });
            }
        }
        found
    }

    /// Whether the rest of the term, from its place `at`, stands at `place` of a text; where it ends, in places and bytes.
    fn from(&self, at: u32, place: u32, text: &[Owned]) -> Option<(u32, usize)> {
        let first = text.partition_point(|word| word.at < place);
        for wanted in self.words.iter().filter(|word| word.at == at) {
            for word in text[first..].iter().take_while(|word| word.at == place) {
                let last = wanted.at + wanted.span == self.length;
                if !self.fits(wanted, word, last) {
                    continue;
                }
                if last {
                    return Some((word.at + word.span, word.end));
                }
                if let Some(end) = self.from(wanted.at + wanted.span, word.at + word.span, text) {
                    return Some(end);
                }
            }
        }
        None
    }

    fn fits(&self, wanted: &Owned, word: &Owned, last: bool) -> bool {
        if wanted.gram {
            // The last character of a row says nothing of what follows it.
            let open = wanted.text.chars().nth(1).is_none();
            return word.gram
                && if open { word.text.starts_with(&wanted.text) } else { word.text == wanted.text };
        }
        match self.style {
            Style::Word => word.stem == wanted.stem,
            Style::Phrase => word.text == wanted.text,
            Style::Prefix if last => word.text.starts_with(&wanted.text),
            Style::Prefix => word.text == wanted.text,
        }
    }
}

/// Where two terms stand within so many words of each other.
fn near(distance: u32, one: &Term, two: &Term, reading: &Reading<'_>) -> Vec<Range<usize>> {
    let ones = Wanted::new(one).find(reading.words());
    let twos = Wanted::new(two).find(reading.words());
    let mut ranges = Vec::new();
    for one in &ones {
        for two in &twos {
            let gap = match one.places.start <= two.places.start {
                true => two.places.start.saturating_sub(one.places.end - 1),
                false => one.places.start.saturating_sub(two.places.end - 1),
            };
            // The same place is the same word, which is not near itself.
            if (1..=distance).contains(&gap) {
                ranges.push(one.range.clone());
                ranges.push(two.range.clone());
            }
        }
    }
    ranges
}

impl Filter {
    fn holds(&self, reading: &Reading<'_>, context: &dyn Context) -> bool {
        let item = reading.item;
        let (from, to) = (&*reading.shown.0, &*reading.shown.1);
        match self {
            Self::From(name) => is_sender(name, reading, context),
            Self::To(name) => is_recipient(name, reading, context),
            Self::With(name) => is_sender(name, reading, context) || is_recipient(name, reading, context),
            Self::In(name) => {
                let room = match reading.in_room {
                    true => &item.to,
                    // A whisper shows occupants of the room.
                    false if *from != item.from => from,
                    false if *to != item.to => to,
                    false => return false,
                };
                let room_name = room.node().map(|node| node.as_str().to_owned()).unwrap_or_default();
                room_name == *name || room.to_bare().as_str() == name
            }
            Self::Via(network) => context.is_via(&item.from, network) || context.is_via(&item.to, network),
            Self::Thread(thread) => reading.thread.as_ref() == Some(thread),
            Self::Label(label) => context.has_label(item, label),
            Self::Filename(name) => {
                let wanted = text::fold(name);
                let wanted = wanted.trim_end_matches('*');
                reading.files.iter().any(|file| text::fold(&file.name).contains(wanted))
            }
            Self::Has(has) => match has {
                Has::File => !reading.files.is_empty(),
                Has::Image => reading.files.iter().any(|file| file.image),
                Has::Link => reading.has_link(),
                Has::Reaction => reading.change == Some(Change::Reaction) || context.fate(item).reacted,
            },
            Self::Is(is) => match is {
                Is::Dm => !reading.in_room,
                Is::Room => reading.in_room,
                Is::External => context.is_external(&item.from) || context.is_external(&item.to),
                Is::Edited => reading.change == Some(Change::Correction) || context.fate(item).edited,
                Is::Deleted => reading.change == Some(Change::Retraction) || context.fate(item).deleted,
                Is::Held => context.is_held(item),
            },
            Self::Time(when, _, span) => when.holds(item.time, span),
        }
    }
}

fn is_sender(name: &str, reading: &Reading<'_>, context: &dyn Context) -> bool {
    let shown = &*reading.shown.0;
    is_called(shown, name)
        || is_nick(shown, &reading.item.from, name)
        || reading.speaker.as_ref().is_some_and(|speaker| is_called(speaker, name))
        || (context.reveals() && is_called(&reading.item.from, name))
}

fn is_recipient(name: &str, reading: &Reading<'_>, context: &dyn Context) -> bool {
    let shown = &*reading.shown.1;
    let real = &reading.item.to;
    is_called(shown, name) || is_nick(shown, real, name) || (context.reveals() && is_called(real, name))
}

/// Whether an occupant goes by this nick: their address is not the one behind it.
fn is_nick(shown: &Jid, real: &Jid, name: &str) -> bool {
    shown.to_bare() != real.to_bare()
        && shown.resource().is_some_and(|nick| nick.as_str().to_lowercase() == *name)
}

/// Whether an address goes by a name in lower case: `anna`, `anna@corp.example`, `anna@corp.example/phone`,
/// `@corp.example`, or a domain where there is nobody before the at sign.
fn is_called(address: &Jid, name: &str) -> bool {
    let node = address.node().map(|node| node.as_str().to_owned());
    let domain = address.domain().as_str();
    match name.split_once('@') {
        None => node.as_deref().unwrap_or(domain) == name,
        Some(("", rest)) => domain == rest || node.as_deref() == Some(rest),
        Some(_) if name.contains('/') => address.as_str().to_lowercase() == name,
        Some((local, rest)) => node.as_deref() == Some(local) && domain == rest,
    }
}
