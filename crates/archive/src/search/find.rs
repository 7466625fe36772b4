//! The search itself: candidates from the index, stretch by stretch; the question decides over what they say.

use std::ops::Range;

use jid::BareJid;
use vault::{Blind, Micros, SealedEvent, Sequence, Vault};

use super::cursor::{Mark, Marks};
use super::decide::Context;
use super::question::{Node, Question};
use super::reading::Reading;
use crate::index::{Index, Places, Plan};
use crate::{ArchiveError, Item, Ledger, Result, body, history};

/// Whose words are searched. Whoever asks has the right to them, or the caller does not ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// In whose books.
    pub books: Books,
    /// Nothing older than this.
    pub start: Option<Micros>,
    /// Nothing younger than this.
    pub end: Option<Micros>,
    /// Also what happened around the words: files, comings and goings, changes.
    pub happenings: bool,
}

/// In whose books something is searched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Books {
    /// In everybody's.
    Everybody,
    /// In these.
    Of(Vec<Book>),
}

/// What one person or room has in the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// The person or room.
    pub owner: BareJid,
    /// Only what is not older than this: an earlier room of the name was another one.
    pub since: Option<Micros>,
}

impl Scope {
    /// All that everybody said.
    pub fn everybody() -> Self {
        Self { books: Books::Everybody, start: None, end: None, happenings: false }
    }

    /// What is in these books.
    pub fn of(owners: impl IntoIterator<Item = BareJid>) -> Self {
        let books = owners.into_iter().map(|owner| Book { owner, since: None }).collect();
        Self { books: Books::Of(books), ..Self::everybody() }
    }
}

/// A question, and how it is to be answered.
pub struct Inquiry<'a> {
    /// Whose words.
    pub scope: &'a Scope,
    /// Which of them.
    pub question: &'a Question,
    /// What comes first.
    pub order: Order,
    /// Where a page before this one ended, as its [`Findings::cursor`] says.
    pub cursor: Option<&'a str>,
    /// At most so many hits; 0 counts as 1, and no page has more than 500.
    pub limit: usize,
    /// So many messages before and after each hit, of the same conversation; at most 20.
    pub lines: usize,
    /// What is known about messages that is not in them.
    pub context: &'a dyn Context,
    /// Candidates that are opened at most before the page ends, however few its hits are.
    pub effort: usize,
}

impl<'a> Inquiry<'a> {
    /// The newest 50 hits, without lines around them.
    pub fn new(scope: &'a Scope, question: &'a Question, context: &'a dyn Context) -> Self {
        Self {
            scope,
            question,
            order: Order::Newest,
            cursor: None,
            limit: 50,
            lines: 0,
            context,
            effort: 50_000,
        }
    }
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
    /// What answers best, among the newest few thousand that answer.
    Best,
}

/// What was found, and how far was looked.
#[derive(Debug, Default)]
pub struct Findings {
    /// What answers the question, in the order asked for.
    pub hits: Vec<Hit>,
    /// Asks for the next page; `None` when there is none. It stays true while new messages arrive.
    pub cursor: Option<String>,
    /// What was searched and what was not.
    pub searched: Searched,
}

/// A message that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The message.
    pub item: Item,
    /// What people read in it: subject and body, a line each.
    pub text: String,
    /// The bytes of `text` that the question's words are: in order, apart.
    pub highlights: Vec<Range<usize>>,
    /// How well it answers, where that was asked for; else 0.
    pub score: f64,
    /// What was said before it in the same conversation, oldest first.
    pub before: Vec<Line>,
    /// What was said after it.
    pub after: Vec<Line>,
}

/// A message beside a hit.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The message.
    pub item: Item,
    /// What people read in it.
    pub text: String,
}

/// What was searched and what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Books, where it was not everybody's.
    pub books: Option<usize>,
    /// The oldest and the newest event that could have answered: the page looked at none beyond.
    pub from: Sequence,
    /// See `from`.
    pub through: Sequence,
    /// Candidates that were opened.
    pub opened: u64,
    /// Candidates that are erased: what they said is gone, so nobody knows whether they would answer.
    pub erased: u64,
    /// The newest events, which the index has not reached, so that they were read one by one.
    pub unindexed: u64,
    /// Everything up to the scope's end was looked at. Else the cursor goes on, even from a page without hits.
    pub complete: bool,
}

const MOST: usize = 500;
const LINES: usize = 20;
/// Events opened in one go, at first and at most.
const CHUNK: Range<usize> = 64..1024;
/// Hits among which the best are chosen.
const RANKED: usize = 2000;
/// Owners whose tokens the index is asked for. With more, it is cheaper to look at what is found.
const OWNERS: usize = 64;

/// Answers an inquiry.
pub(crate) async fn find(
    vault: &Vault,
    index: &Index,
    marks: &Marks,
    inquiry: &Inquiry<'_>,
) -> Result<Findings> {
    let mut search = Search::new(vault, index, marks, inquiry).await?;
    search.run().await?;
    search.finish(marks).await
}

/// Events that may answer lie strictly between these.
#[derive(Clone, Copy)]
struct Bounds {
    after: Sequence,
    before: Sequence,
}

struct Search<'a> {
    vault: &'a Vault,
    index: &'a Index,
    inquiry: &'a Inquiry<'a>,
    /// The tags of the books, each with the first event that counts; `None` for everybody's.
    tags: Option<Vec<(Blind, Sequence)>>,
    bounds: Bounds,
    /// Hits wanted before the search may stop.
    wanted: usize,
    skip: usize,
    hits: Vec<Hit>,
    searched: Searched,
    /// How far it has come.
    last: Option<Sequence>,
    /// The newest event when a ranking began.
    newest: Sequence,
}

impl<'a> Search<'a> {
    async fn new(
        vault: &'a Vault,
        index: &'a Index,
        marks: &Marks,
        inquiry: &'a Inquiry<'a>,
    ) -> Result<Self> {
        let mark = match inquiry.cursor {
            Some(cursor) => Some(marks.read(cursor).ok_or(ArchiveError::NotFound)?),
            None => None,
        };
        let scope = inquiry.scope;
        let head = vault.store().head().await?.map_or(Sequence::ZERO, |head| head.sequence);
        let (start, end) = times(inquiry.question, scope);
        let mut bounds = Bounds { after: Sequence::ZERO, before: head.next() };
        if let Some(start) = start {
            bounds.after = before(vault, start).await?;
        }
        if let Some(end) = end {
            bounds.before = bounds.before.min(before(vault, Micros(end.0.saturating_add(1))).await?.next());
        }
        let (mut skip, mut newest) = (0, head);
        if let Some(mark) = mark {
            match inquiry.order {
                Order::Newest => bounds.before = bounds.before.min(mark.place),
                Order::Oldest => bounds.after = bounds.after.max(mark.place),
                Order::Best => {
                    newest = mark.place;
                    bounds.before = bounds.before.min(mark.place.next());
                    skip = mark.skip as usize;
                }
            }
        }
        let tags = match &scope.books {
            Books::Everybody => None,
            Books::Of(books) => Some(tags(vault, books, scope.happenings).await?),
        };
        let searched = Searched {
            books: tags.as_ref().map(|_| match &scope.books {
                Books::Everybody => 0,
                Books::Of(books) => books.len(),
            }),
            ..Searched::default()
        };
        let limit = inquiry.limit.clamp(1, MOST);
        let wanted = if inquiry.order == Order::Best { RANKED.max(skip + limit) } else { limit };
        let hits = Vec::new();
        Ok(Self { vault, index, inquiry, tags, bounds, wanted, skip, hits, searched, last: None, newest })
    }

    async fn run(&mut self) -> Result<()> {
        let mut plan = self.inquiry.question.plan(self.index.terms());
        if let Some(tags) = &self.tags
            && tags.len() <= OWNERS
        {
            let tokens = tags.iter().map(|(tag, _)| Plan::Token(crate::index::terms::tag_token(tag)));
            plan = Plan::all([plan, Plan::any(tokens)]);
        }
        let proposal = self.index.propose(plan);
        self.searched.unindexed = proposal.head.0 - proposal.through.0;
        let mut stretches = proposal.stretches();
        let backwards = self.inquiry.order != Order::Oldest;
        if backwards {
            stretches.reverse();
        }
        let mut size = CHUNK.start.max(self.wanted.min(CHUNK.end) + 8);
        for stretch in stretches {
            let after = stretch.base.max(self.bounds.after);
            let before = stretch.through.next().min(self.bounds.before);
            if after.next() >= before {
                continue;
            }
            let places = proposal.places(&stretch).await?;
            let mut candidates = Candidates::new(places, stretch.base, after, before, backwards);
            loop {
                let chunk = candidates.take(size);
                if chunk.is_empty() {
                    break;
                }
                if self.open(chunk).await? {
                    return Ok(());
                }
                size = (size * 2).min(CHUNK.end);
            }
        }
        self.searched.complete = true;
        Ok(())
    }

    /// Looks at candidates. True when the page is full, or the effort spent.
    async fn open(&mut self, places: Vec<Sequence>) -> Result<bool> {
        let last = places.last().copied();
        let mut events = self.vault.store().events(places).await?;
        events.retain(|event| self.is_in_scope(event));
        let items = body::open_all(self.vault, &events).await?;
        self.searched.erased += (events.len() - items.len()) as u64;
        for item in items {
            self.searched.opened += 1;
            let sequence = item.sequence;
            if self.is_wanted(&item)
                && let Some(hit) = self.hit(item)
            {
                self.hits.push(hit);
                if self.hits.len() >= self.wanted {
                    self.last = Some(sequence);
                    return Ok(true);
                }
            }
        }
        self.last = last;
        Ok(self.searched.opened + self.searched.erased >= self.inquiry.effort as u64)
    }

    fn is_in_scope(&self, event: &SealedEvent) -> bool {
        match &self.tags {
            None => true,
            // Tokens are short, so two may be the same by chance.
            Some(tags) => event.tags.iter().any(|tag| {
                tags.binary_search_by_key(tag, |(tag, _)| *tag).is_ok_and(|at| event.sequence >= tags[at].1)
            }),
        }
    }

    fn is_wanted(&self, item: &Item) -> bool {
        match item.ledger {
            Ledger::Messages => true,
            Ledger::Happenings => self.inquiry.scope.happenings,
            Ledger::Audit => false,
        }
    }

    fn hit(&self, item: Item) -> Option<Hit> {
        let reading = Reading::new(&item);
        let question = self.inquiry.question;
        if !question.holds(&reading, self.inquiry.context) {
            return None;
        }
        let highlights = question.highlights(&reading);
        let score = if self.inquiry.order == Order::Best { question.score(&reading) } else { 0.0 };
        let text = reading.text;
        Some(Hit { item, text, highlights, score, before: Vec::new(), after: Vec::new() })
    }

    async fn finish(mut self, marks: &Marks) -> Result<Findings> {
        let limit = self.inquiry.limit.clamp(1, MOST);
        let mut cursor = None;
        match self.inquiry.order {
            Order::Newest | Order::Oldest => {
                if let Some(last) = self.last.filter(|_| !self.searched.complete) {
                    cursor = Some(Mark { place: last, skip: 0 });
                }
            }
            Order::Best => {
                self.hits.sort_by(|one, other| {
                    let newer = other.item.sequence.cmp(&one.item.sequence);
                    other.score.total_cmp(&one.score).then(newer)
                });
                let end = (self.skip + limit).min(self.hits.len());
                if end < self.hits.len() {
                    cursor = Some(Mark { place: self.newest, skip: end as u32 });
                }
                self.hits = self.hits.drain(self.skip.min(end)..end).collect();
            }
        }
        (self.searched.from, self.searched.through) =
            (self.bounds.after.next(), Sequence(self.bounds.before.0 - 1));
        let lines = self.inquiry.lines.min(LINES);
        if lines > 0 {
            let mut hits = std::mem::take(&mut self.hits);
            for hit in &mut hits {
                (hit.before, hit.after) =
                    (self.beside(hit, lines, true).await?, self.beside(hit, lines, false).await?);
                hit.before.reverse();
            }
            self.hits = hits;
        }
        let cursor = cursor.map(|mark| marks.name(mark));
        Ok(Findings { hits: self.hits, cursor, searched: self.searched })
    }

    /// What was said in a hit's conversation before or after it, from the hit outwards.
    async fn beside(&self, hit: &Hit, wanted: usize, backwards: bool) -> Result<Vec<Line>> {
        let item = &hit.item;
        let (from, to) = (item.from.to_bare(), item.to.to_bare());
        let in_room = Reading::new(item).in_room;
        let tag = match in_room {
            true => history::owner_tag(self.vault, &to, Ledger::Messages),
            false => history::pair_tag(self.vault, from.as_str(), to.as_str()),
        };
        let mut lines = Vec::new();
        let mut window = vault::Window { limit: 4 * wanted, backwards, ..vault::Window::first(wanted) };
        match backwards {
            true => window.before = Some(item.sequence),
            false => window.after = item.sequence,
        }
        let mut events = self.vault.store().tagged_events(tag, window).await?;
        events.retain(|event| self.is_in_scope(event));
        for item in body::open_all(self.vault, &events).await? {
            let reading = Reading::new(&item);
            if item.ledger == Ledger::Messages && reading.in_room == in_room && !reading.text.is_empty() {
                let text = reading.text;
                lines.push(Line { item, text });
            }
            if lines.len() == wanted {
                break;
            }
        }
        Ok(lines)
    }
}

/// The tags of some books, sorted, each with the first event that counts.
async fn tags(vault: &Vault, books: &[Book], happenings: bool) -> Result<Vec<(Blind, Sequence)>> {
    let mut tags = Vec::with_capacity(books.len());
    for book in books {
        let since = match book.since {
            Some(since) => vault.store().sequence_at(since).await?,
            None => Sequence::ZERO,
        };
        tags.push((history::owner_tag(vault, &book.owner, Ledger::Messages), since));
        if happenings {
            tags.push((history::owner_tag(vault, &book.owner, Ledger::Happenings), since));
        }
    }
    tags.sort_unstable();
    tags.dedup_by_key(|(tag, _)| *tag);
    Ok(tags)
}

/// The last event that is older than a moment.
async fn before(vault: &Vault, time: Micros) -> Result<Sequence> {
    Ok(Sequence(vault.store().sequence_at(time).await?.0.saturating_sub(1)))
}

/// The first and last moment at which an answer can have been said.
fn times(question: &Question, scope: &Scope) -> (Option<Micros>, Option<Micros>) {
    let (mut start, mut end) = (scope.start, scope.end);
    let conditions = match &question.root {
        Node::And(nodes) => nodes.as_slice(),
        node => std::slice::from_ref(node),
    };
    for condition in conditions {
        let (from, to) = condition.times();
        start = start.max(from);
        end = end.into_iter().chain(to).min();
    }
    (start, end)
}

/// The places of a stretch that are left to look at.
struct Candidates {
    places: Places,
    base: Sequence,
    /// Inclusive bounds of what is left.
    first: u64,
    last: u64,
    backwards: bool,
}

impl Candidates {
    fn new(places: Places, base: Sequence, after: Sequence, before: Sequence, backwards: bool) -> Self {
        Self { places, base, first: after.0 + 1, last: before.0 - 1, backwards }
    }

    /// The next few.
    fn take(&mut self, count: usize) -> Vec<Sequence> {
        if self.first > self.last {
            return Vec::new();
        }
        let taken: Vec<Sequence> = match (&self.places, self.backwards) {
            (Places::Every, true) => (self.first..=self.last).rev().take(count).map(Sequence).collect(),
            (Places::Every, false) => (self.first..=self.last).take(count).map(Sequence).collect(),
            (Places::These(places), backwards) => {
                let place = |at: &u32| self.base.0 + u64::from(*at);
                let from = places.partition_point(|at| place(at) < self.first);
                let to = places.partition_point(|at| place(at) <= self.last).max(from);
                let within = places[from..to].iter().map(|at| Sequence(place(at)));
                if backwards { within.rev().take(count).collect() } else { within.take(count).collect() }
            }
        };
        match taken.last() {
            Some(end) if self.backwards => self.last = end.0 - 1,
            Some(end) => self.first = end.0 + 1,
            None => self.first = self.last + 1,
        }
        taken
    }
}
