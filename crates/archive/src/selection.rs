//! Which events somebody means, and a walk over them. Exports, holds, retention and reviews all start here.

use std::collections::{HashSet, VecDeque};

use jid::BareJid;
use serde::{Deserialize, Serialize};
use vault::{Blind, Micros, SealedEvent, Sequence, Vault, Window};

use crate::{Item, Ledger, Result, body, history};

/// Which events. All conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// In whose books: people and rooms. Empty, with nobody among the speakers either: everybody's.
    pub owners: Vec<BareJid>,
    /// Also what these people said, in whosever books it is: in rooms, above all. Reads the whole log.
    pub speakers: Vec<BareJid>,
    /// Not older than this.
    pub start: Option<Micros>,
    /// Not younger than this.
    pub end: Option<Micros>,
    /// Also what happened around the words: comings and goings, changes, uploads, fetches.
    pub happenings: bool,
    /// Only after this place.
    pub after: Option<Sequence>,
    /// Only up to this place, inclusive.
    pub through: Option<Sequence>,
}

/// Events read from the store at a time.
const CHUNK: usize = 512;

/// A walk over the events of a [`Selection`], oldest first, in flat memory.
pub struct Walk {
    vault: Vault,
    selection: Selection,
    /// One for each book, or none when the log itself is read.
    books: Option<Vec<Book>>,
    bounds: Option<(Sequence, Option<Sequence>)>,
    last: Sequence,
    done: bool,
    /// The tags of the owners' books.
    tags: Vec<Blind>,
}

/// What is left of one owner's book.
struct Book {
    tag: Blind,
    after: Sequence,
    ahead: VecDeque<SealedEvent>,
    exhausted: bool,
}

/// A step of a walk.
#[derive(Debug, Default)]
pub struct Portion {
    /// Events that open, oldest first.
    pub items: Vec<Item>,
    /// Events of the selection that do not: their key is gone, so they are erased.
    pub erased: Vec<Sequence>,
    /// How far the walk has come.
    pub through: Sequence,
}

impl Walk {
    pub(crate) fn new(vault: Vault, selection: Selection) -> Self {
        let ledgers = [Ledger::Messages, Ledger::Happenings];
        let ledgers = &ledgers[..if selection.happenings { 2 } else { 1 }];
        let of = |owner| ledgers.iter().map(move |ledger| (owner, *ledger));
        let books = selection.owners.iter().flat_map(of);
        let tags = books.map(|(owner, ledger)| history::owner_tag(&vault, owner, ledger)).collect();
        Self { vault, selection, books: None, bounds: None, last: Sequence::ZERO, done: false, tags }
    }

    /// The next few hundred events; `None` at the end.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn next(&mut self) -> Result<Option<Portion>> {
        if self.done {
            return Ok(None);
        }
        let (after, before) = self.bounds().await?;
        let speakers = !self.selection.speakers.is_empty();
        let events = match self.selection.owners.is_empty() || speakers {
            true => self.of_log(before).await?,
            false => self.of_books(after, before).await?,
        };
        let Some(last) = events.last() else {
            self.done = true;
            return Ok(None);
        };
        self.last = last.sequence;
        let mut items = body::open_all(&self.vault, &events).await?;
        let mut opened = items.iter().map(|item| item.sequence).peekable();
        let mut erased = Vec::new();
        let mut others = HashSet::new();
        for event in &events {
            let theirs = !speakers || event.tags.iter().any(|tag| self.tags.contains(tag));
            match (opened.next_if_eq(&event.sequence), theirs) {
                (None, true) => erased.push(event.sequence),
                (Some(sequence), false) => _ = others.insert(sequence),
                _ => {}
            }
        }
        let spoke = |item: &Item| self.selection.speakers.contains(&item.from.to_bare());
        items.retain(|item| !others.contains(&item.sequence) || spoke(item));
        let happenings = self.selection.happenings;
        items.retain(|item| match item.ledger {
            Ledger::Messages => true,
            Ledger::Happenings => happenings,
            Ledger::Audit => false,
        });
        Ok(Some(Portion { items, erased, through: self.last }))
    }

    /// Strictly after, and strictly before.
    async fn bounds(&mut self) -> Result<(Sequence, Option<Sequence>)> {
        if let Some(bounds) = self.bounds {
            return Ok(bounds);
        }
        let store = self.vault.store();
        let mut after = self.selection.after.unwrap_or(Sequence::ZERO);
        if let Some(start) = self.selection.start {
            after = after.max(Sequence(store.sequence_at(start).await?.0.saturating_sub(1)));
        }
        let mut before = self.selection.through.map(Sequence::next);
        if let Some(end) = self.selection.end {
            let end = store.sequence_at(Micros(end.0.saturating_add(1))).await?;
            before = Some(before.map_or(end, |before| before.min(end)));
        }
        self.bounds = Some((after, before));
        self.last = after;
        Ok((after, before))
    }

    async fn of_log(&mut self, before: Option<Sequence>) -> Result<Vec<SealedEvent>> {
        let mut events = self.vault.store().scan(self.last, CHUNK).await?;
        events.retain(|event| before.is_none_or(|before| event.sequence < before));
        Ok(events)
    }

    /// The books side by side: always the oldest that is left in any of them.
    async fn of_books(&mut self, after: Sequence, before: Option<Sequence>) -> Result<Vec<SealedEvent>> {
        let mut books = match self.books.take() {
            Some(books) => books,
            None => {
                let book = |tag: &Blind| Book { tag: *tag, after, ahead: VecDeque::new(), exhausted: false };
                self.tags.iter().map(book).collect()
            }
        };
        let mut events: Vec<SealedEvent> = Vec::with_capacity(CHUNK);
        while events.len() < CHUNK {
            for book in &mut books {
                book.fill(&self.vault, before).await?;
            }
            let oldest = books
                .iter_mut()
                .filter(|book| !book.ahead.is_empty())
                .min_by_key(|book| book.ahead.front().map(|event| event.sequence));
            let Some(event) = oldest.and_then(|book| book.ahead.pop_front()) else { break };
            // Two owners may share an event.
            if events.last().map_or(self.last, |last| last.sequence) < event.sequence {
                events.push(event);
            }
        }
        self.books = Some(books);
        Ok(events)
    }
}

impl Book {
    async fn fill(&mut self, vault: &Vault, before: Option<Sequence>) -> Result<()> {
        if !self.ahead.is_empty() || self.exhausted {
            return Ok(());
        }
        let window = Window { after: self.after, before, ..Window::first(CHUNK) };
        let events = vault.store().tagged_events(self.tag, window).await?;
        self.exhausted = events.len() < CHUNK;
        if let Some(last) = events.last() {
            self.after = last.sequence;
        }
        self.ahead.extend(events);
        Ok(())
    }
}
