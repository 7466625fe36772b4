//! Searching: one's own conversations, and other people's words under a matter.

use archive::search::{Company, Context, Findings, Inquiry, Language, Order, Question, Scope};
use archive::{Deed, Item, Places};
use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::{Basis, Entry, Plea};
use crate::clock;
use crate::fates::Fates;
use crate::post::Trail;

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The question, in the language of `docs/search.md`.
    pub question: String,
    /// What lets the asker read other people's words. Without it, they search their own.
    pub plea: Option<Plea>,
    /// What comes first.
    pub order: SearchOrder,
    /// Where the page before this one ended.
    pub cursor: Option<String>,
    /// At most so many hits.
    pub limit: usize,
    /// So many messages before and after each.
    pub lines: usize,
}

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SearchOrder {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
    /// What answers best.
    Best,
}

/// A page of hits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SearchPage {
    /// The question in normal form.
    pub question: String,
    /// What answers it.
    pub hits: Vec<SearchHit>,
    /// To be given as `cursor` for the next page; absent when there is none.
    pub cursor: Option<String>,
    /// Another question that may have been meant, and that has hits.
    pub suggestion: Option<String>,
    /// What was searched and what was not.
    pub searched: SearchedView,
}

/// A message that answers.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchHit {
    /// The message.
    #[serde(flatten)]
    pub message: SearchLine,
    /// Where in the text the question's words stand: beginning and end, in characters.
    pub highlights: Vec<[usize; 2]>,
    /// What was said before it in the same conversation, oldest first.
    pub before: Vec<SearchLine>,
    /// What was said after it.
    pub after: Vec<SearchLine>,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SearchLine {
    /// Its name in the archive.
    pub id: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub time: String,
    /// Who sent it; in a room that hides its people, the occupant, unless other people's words are read under a matter.
    pub from: String,
    /// To whom.
    pub to: String,
    /// Subject and body, a line each.
    pub text: String,
}

/// What was searched and what was not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct SearchedView {
    /// In words.
    pub scope: String,
    /// Messages that were opened to decide.
    pub opened: u64,
    /// Events in scope that are erased: nobody knows whether they would answer.
    pub erased: u64,
    /// The newest events, which were read one by one because the index had not reached them.
    pub unindexed: u64,
    /// Nothing in scope is left; else `cursor` goes on, even from a page without hits.
    pub complete: bool,
}

/// What a search for other people's words knows beside them.
struct Known {
    company: Company,
    held: Places,
}

impl Context for Known {
    fn is_held(&self, item: &Item) -> bool {
        self.held.contains(item.sequence)
    }

    fn is_external(&self, address: &Jid) -> bool {
        self.company.is_external(address)
    }
}

impl Office {
    /// Searches one's own conversations; with a plea, other people's words, which is on record before the answer.
    ///
    /// # Errors
    /// The question cannot be read; the right or the matter is missing; it cannot be put on record; the storage failed.
    pub async fn search(&self, actor: &Actor, query: &SearchQuery) -> Result<SearchPage, Refusal> {
        let language = Language {
            me: actor.is_person().then(|| actor.who().clone()),
            patterns: query.plea.is_some(),
            ..Language::default()
        };
        let read = |text: &str, field: &str| {
            Question::parse(text, &language).map_err(|error| Refusal::invalid(field, error.caret(text)))
        };
        let asked = read(&query.question, "/question")?;
        let domains = self.0.domains.iter().map(ToString::to_string).collect();
        match &query.plea {
            None => {
                let trail = self.0.shelves.own(actor).await?;
                let company = Company { domains, reveals: false };
                let scope = Scope::of([actor.who().clone()]);
                let found = find(trail, query, &scope, &asked, &company).await?;
                let fates = Fates::new(self.0.vault.clone(), trail.clone());
                let gone = Gone { fates, owner: actor.who() };
                page(trail, &asked, found, Some(gone), "your own conversations".to_owned()).await
            }
            Some(plea) => {
                let details = json!({
                    "question": asked.to_string(), "order": query.order, "next_page": query.cursor.is_some(),
                });
                let entry = Entry { deed: Deed::Search, details };
                let warrant = self.warrant(actor, Right::ReadWords, plea, entry).await?;
                let trail = self.0.shelves.open(&warrant).await?;
                let company = Company { domains, reveals: true };
                let known = Known { company, held: held(trail).await? };
                let (scope, question, words) = match warrant.basis() {
                    Basis::Matter(matter) => {
                        let bounds = match &matter.brief.scope.question {
                            Some(text) => read(text, "/matter")?,
                            None => Question::everything(),
                        };
                        let scope = Scope::from(&matter.brief.scope);
                        (scope, asked.clone().and(bounds), format!("the scope of {}", matter.id))
                    }
                    // An item of the review queue lets its reviewer read that item.
                    Basis::Review(_) => return Err(Refusal::MatterWanted),
                    Basis::Emergency(_) => {
                        let scope = Scope { happenings: true, ..Scope::everybody() };
                        (scope, asked.clone(), "everybody's conversations".to_owned())
                    }
                };
                let found = find(trail, query, &scope, &question, &known).await?;
                page(trail, &asked, found, None, words).await
            }
        }
    }
}

async fn find(
    trail: &Trail,
    query: &SearchQuery,
    scope: &Scope,
    question: &Question,
    context: &dyn Context,
) -> Result<Findings, Refusal> {
    let order = match query.order {
        SearchOrder::Newest => Order::Newest,
        SearchOrder::Oldest => Order::Oldest,
        SearchOrder::Best => Order::Best,
    };
    let (cursor, limit, lines) = (query.cursor.clone(), query.limit, query.lines);
    let inquiry = Inquiry { order, cursor, limit, lines, ..Inquiry::new(scope, question, context) };
    match trail.find(&inquiry).await {
        Err(archive::ArchiveError::NotFound) => {
            Err(Refusal::invalid("/cursor", "this is no cursor of a search"))
        }
        found => Ok(found?),
    }
}

/// All that a hold keeps.
async fn held(trail: &Trail) -> Result<Places, Refusal> {
    let holds = trail.holds();
    let mut held = Places::default();
    let failed = |_| Refusal::Failed;
    for hold in holds.all().await.map_err(failed)?.into_iter().filter(|hold| hold.released.is_none()) {
        held.extend(&holds.places(&hold.id).await.map_err(failed)?);
    }
    Ok(held)
}

/// What people took back, which they must not find.
struct Gone<'a> {
    fates: Fates,
    owner: &'a BareJid,
}

async fn page(
    trail: &Trail,
    question: &Question,
    found: Findings,
    gone: Option<Gone<'_>>,
    scope: String,
) -> Result<SearchPage, Refusal> {
    let mut hits = found.hits;
    if let Some(Gone { fates, owner }) = &gone {
        let lines = |hit: &archive::search::Hit| {
            hit.before.iter().chain(&hit.after).map(|line| line.item.clone()).collect::<Vec<_>>()
        };
        let mut there: Vec<Item> =
            hits.iter().flat_map(|hit| lines(hit).into_iter().chain([hit.item.clone()])).collect();
        fates.omit(owner, &mut there).await?;
        let there: std::collections::HashSet<_> = there.into_iter().map(|item| item.sequence).collect();
        hits.retain(|hit| there.contains(&hit.item.sequence));
        for hit in &mut hits {
            hit.before.retain(|line| there.contains(&line.item.sequence));
            hit.after.retain(|line| there.contains(&line.item.sequence));
        }
    }
    let reveals = gone.is_none();
    let line = |item: &Item, text: &str| {
        let (from, to) = match reveals {
            true => (item.from.to_string(), item.to.to_string()),
            false => item.shown(),
        };
        let id = trail.id(item.sequence).to_string();
        SearchLine { id, time: clock::stamp(item.time.0), from, to, text: text.to_owned() }
    };
    let lines =
        |lines: &[archive::search::Line]| lines.iter().map(|one| line(&one.item, &one.text)).collect();
    let hits = hits.iter().map(|hit| {
        let characters = |at: usize| hit.text.get(..at).map_or(0, |before| before.chars().count());
        SearchHit {
            message: line(&hit.item, &hit.text),
            highlights: hit.highlights.iter().map(|range| [range.start, range.end].map(characters)).collect(),
            before: lines(&hit.before),
            after: lines(&hit.after),
        }
    });
    let searched = found.searched;
    Ok(SearchPage {
        question: question.to_string(),
        hits: hits.collect(),
        cursor: found.cursor,
        // With a matter's question in it, it would tell what that is.
        suggestion: found.suggestion.filter(|_| gone.is_some()),
        searched: SearchedView {
            scope,
            opened: searched.opened,
            erased: searched.erased,
            unindexed: searched.unindexed,
            complete: searched.complete,
        },
    })
}
