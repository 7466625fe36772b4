//! What is asked of the archive, and what it answers.

use std::ops::Range;

use jid::BareJid;
use vault::{Micros, Sequence};

use super::decide::Context;
use super::question::Question;
use crate::{Item, matter};

/// Hits on a page at most.
pub(super) const MOST: usize = 500;
/// Lines before and after a hit at most.
pub(super) const LINES: usize = 20;

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
    /// In these, and all that these people said elsewhere.
    Of {
        /// People and rooms.
        books: Vec<Book>,
        /// People whose words count wherever they were said.
        speakers: Vec<BareJid>,
    },
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
        Self { books: Books::Of { books, speakers: Vec::new() }, ..Self::everybody() }
    }
}

/// What a matter allows to search. Its question is to be asked together with the searcher's own, by [`Question::and`].
impl From<&matter::Scope> for Scope {
    fn from(matter: &matter::Scope) -> Self {
        let owners = matter.custodians.iter().chain(&matter.rooms);
        let books = owners.map(|owner| Book { owner: owner.clone(), since: None }).collect();
        Self {
            books: Books::Of { books, speakers: matter.custodians.clone() },
            start: matter.start,
            end: matter.end,
            happenings: true,
        }
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
    pub cursor: Option<String>,
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
    /// A question of which who asks may have been thinking, in normal form; it has hits in the same scope.
    pub suggestion: Option<String>,
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
    /// Events in scope that are erased, as far as the index was told or this page met them: what they said is gone, so
    /// nobody knows whether they would answer.
    pub erased: u64,
    /// The newest events, which the index has not reached, so that they were read one by one.
    pub unindexed: u64,
    /// Everything up to the scope's end was looked at. Else the cursor goes on, even from a page without hits.
    pub complete: bool,
}
