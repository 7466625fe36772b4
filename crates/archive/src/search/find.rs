//! The search itself: candidates from the index, stretch by stretch; the question decides over what they say.

use std::collections::HashSet;
use std::ops::Range;

use jid::BareJid;
use vault::{Blind, Micros, SealedEvent, Sequence, Vault};

use super::cursor::{Mark, Marks};
use super::inquiry::{Book, Books, Findings, Hit, Inquiry, LINES, MOST, Order, Scope, Searched};
use super::question::{Node, Question};
use super::reading::Reading;
use super::suggest;
use crate::index::{Index, Places, Plan};
use crate::{ArchiveError, Item, Ledger, Result, body, history};

/// Events opened in one go, at first and at most.
const CHUNK: Range<usize> = 64..1024;
/// Hits among which the best are chosen.
const RANKED: usize = 2000;
/// With fewer hits than these, something else may have been meant.
const FEW: usize = 3;
/// Candidates that are opened for a guess.
const GUESS: usize = 2000;
/// Owners whose tokens the index is asked for. With more, it is cheaper to look at what is found.
const OWNERS: usize = 64;

/// Answers an inquiry.
pub(crate) async fn find(
    vault: &Vault,
    index: &Index,
    marks: &Marks,
    inquiry: &Inquiry<'_>,
) -> Result<Findings> {
    let mut findings = page(vault, index, marks, inquiry).await?;
    if findings.hits.len() < FEW && inquiry.cursor.is_none() && findings.searched.complete {
        // A word that others use must not show through, so a guess counts only if it finds something here.
        for question in suggest::guesses(inquiry.question, index.terms()) {
            let guess = Inquiry {
                question: &question,
                limit: FEW,
                lines: 0,
                effort: GUESS,
                cursor: None,
                ..*inquiry
            };
            if page(vault, index, marks, &guess).await?.hits.len() > findings.hits.len() {
                findings.suggestion = Some(question.to_string());
                break;
            }
        }
    }
    Ok(findings)
}

/// The places in one book that may answer a question, oldest first: what the index proposes, and all that it has not
/// reached.
pub(crate) async fn candidates(
    index: &Index,
    question: &Question,
    book: Blind,
    head: Sequence,
) -> Result<Vec<Sequence>> {
    let token = Plan::Token(crate::index::terms::tag_token(&book));
    let proposal = index.propose(Plan::all([question.plan(index.terms()), token]), head);
    let mut all = Vec::new();
    for stretch in proposal.stretches() {
        let places = proposal.places(&stretch).await?;
        let (after, before) = (stretch.base, stretch.through.next());
        all.extend(Candidates::new(places, stretch.base, after, before, false).take(usize::MAX));
    }
    Ok(all)
}

async fn page(vault: &Vault, index: &Index, marks: &Marks, inquiry: &Inquiry<'_>) -> Result<Findings> {
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

pub(super) struct Search<'a> {
    pub(super) vault: &'a Vault,
    index: &'a Index,
    pub(super) inquiry: &'a Inquiry<'a>,
    /// The tags of the books, each with the first event that counts; `None` for everybody's.
    tags: Option<Vec<(Blind, Sequence)>>,
    bounds: Bounds,
    /// Hits wanted before the search may stop.
    wanted: usize,
    skip: usize,
    hits: Vec<Hit>,
    searched: Searched,
    /// Events in scope that the index was told to forget.
    erased: HashSet<Sequence>,
    /// How far it has come.
    last: Option<Sequence>,
    /// The newest event when a ranking began.
    newest: Sequence,
    /// The newest event of all.
    head: Sequence,
}

impl<'a> Search<'a> {
    async fn new(
        vault: &'a Vault,
        index: &'a Index,
        marks: &Marks,
        inquiry: &'a Inquiry<'a>,
    ) -> Result<Self> {
        let mark = match &inquiry.cursor {
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
            Books::Of { books, .. } => Some(tags(vault, books, scope.happenings).await?),
        };
        let searched = Searched {
            books: tags.as_ref().map(|_| match &scope.books {
                Books::Everybody => 0,
                Books::Of { books, .. } => books.len(),
            }),
            ..Searched::default()
        };
        let limit = inquiry.limit.clamp(1, MOST);
        let wanted = if inquiry.order == Order::Best { RANKED.max(skip + limit) } else { limit };
        let (hits, erased) = (Vec::new(), HashSet::new());
        Ok(Self {
            vault,
            index,
            inquiry,
            tags,
            bounds,
            wanted,
            skip,
            hits,
            searched,
            erased,
            last: None,
            newest,
            head,
        })
    }

    async fn run(&mut self) -> Result<()> {
        let terms = self.index.terms();
        let mut plan = self.inquiry.question.plan(terms);
        let mut erased = Plan::Token(terms.is("erased"));
        if let Some(tags) = &self.tags
            && tags.len() + self.speakers().len() <= OWNERS
        {
            let owned = tags.iter().map(|(tag, _)| Plan::Token(crate::index::terms::tag_token(tag)));
            let said = self.speakers().iter().map(|speaker| terms.sender(speaker.as_str()));
            let scope = Plan::any(owned.chain(said));
            plan = Plan::all([plan, scope.clone()]);
            erased = Plan::all([erased, scope]);
        }
        self.count_erased(erased).await?;
        let proposal = self.index.propose(plan, self.head);
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

    /// Counts what the index has been told to forget.
    async fn count_erased(&mut self, plan: Plan) -> Result<()> {
        let proposal = self.index.propose(plan, Sequence::ZERO);
        for stretch in proposal.stretches() {
            let after = stretch.base.max(self.bounds.after);
            let before = stretch.through.next().min(self.bounds.before);
            if after.next() < before
                && let places @ Places::These(_) = proposal.places(&stretch).await?
            {
                let mut places = Candidates::new(places, stretch.base, after, before, false);
                self.erased.extend(places.take(usize::MAX));
            }
        }
        self.searched.erased = self.erased.len() as u64;
        Ok(())
    }

    /// Looks at candidates. True when the page is full, or the effort spent.
    async fn open(&mut self, places: Vec<Sequence>) -> Result<bool> {
        let last = places.last().copied();
        let mut events = self.vault.store().events(places).await?;
        if self.speakers().is_empty() {
            events.retain(|event| self.is_in_books(event));
        }
        let items = body::open_all(self.vault, &events).await?;
        let mut items = items.into_iter().peekable();
        for event in &events {
            let Some(item) = items.next_if(|item| item.sequence == event.sequence) else {
                // Who spoke is inside the seal, so of what is erased only the books tell.
                if self.is_in_books(event) && !self.erased.contains(&event.sequence) {
                    self.searched.erased += 1;
                }
                continue;
            };
            if !self.is_in_books(event) && !self.speakers().contains(&item.from.to_bare()) {
                continue;
            }
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

    fn speakers(&self) -> &'a [BareJid] {
        match &self.inquiry.scope.books {
            Books::Everybody => &[],
            Books::Of { speakers, .. } => speakers,
        }
    }

    pub(super) fn is_in_books(&self, event: &SealedEvent) -> bool {
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
        Ok(Findings { hits: self.hits, cursor, searched: self.searched, suggestion: None })
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
