//! Reading back: what XEP-0313 asks for.

use bytes::Bytes;
use jid::{BareJid, Jid};
use vault::{Blind, Micros, SealedEvent, Sequence, Vault, Window};

use crate::index::Index;
use crate::search::{self, Company, Question};
use crate::{ArchiveError, Ledger, Result, body};

/// Which messages of one archive, and in what portions. All conditions hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which of the owner's books.
    pub ledger: Ledger,
    /// With whom: a bare address matches all its resources, a full one only itself (XEP-0313 §4.1.1). The owner's
    /// own bare address matches only what they wrote to themselves. What counts is the addresses that the stanza shows,
    /// so what went through a room is found with occupants, not with the people behind them.
    pub with: Option<Jid>,
    /// Only what this account sent, whatever the stanza shows.
    pub by: Option<BareJid>,
    /// Only what answers this question.
    pub words: Option<Words>,
    /// Not older than this.
    pub start: Option<Micros>,
    /// Not younger than this.
    pub end: Option<Micros>,
    /// Only after this message, which must be in the archive.
    pub after: Option<Sequence>,
    /// Only before this message, which must be in the archive.
    pub before: Option<Sequence>,
    /// Only these messages, all of which must be in the archive.
    pub ids: Option<Vec<Sequence>>,
    /// At most so many. Zero with `count` only counts.
    pub limit: usize,
    /// Take the last ones rather than the first. The page is in the order of the archive all the same.
    pub backwards: bool,
    /// Also say how many match, however many the page holds. Costs time in proportion to what matches.
    pub count: bool,
}

/// A question to a history, and what is known of the company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The question.
    pub question: Question,
    /// Who is who, and what the reader may know of it.
    pub company: Company,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            ledger: Ledger::default(),
            with: None,
            by: None,
            words: None,
            start: None,
            end: None,
            after: None,
            before: None,
            ids: None,
            limit: 100,
            backwards: false,
            count: false,
        }
    }
}

/// An archived message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place; [`crate::Archive::id`] names it for the outside.
    pub sequence: Sequence,
    /// When it was accepted.
    pub time: Micros,
    /// Which book it is in.
    pub ledger: Ledger,
    /// The sender.
    pub from: Jid,
    /// The recipient.
    pub to: Jid,
    /// The stanza as it was stored.
    pub stanza: Bytes,
}

impl Item {
    /// The addresses that its stanza shows: in a room, those of occupants. Who must not know more sees these.
    pub fn shown(&self) -> (String, String) {
        let (from, to) = body::shown(self);
        (from.to_string(), to.to_string())
    }
}

/// A portion of history, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The messages.
    pub items: Vec<Item>,
    /// Nothing that matches lies beyond, in the direction of reading.
    pub complete: bool,
    /// How many match all conditions but `after`, `before` and `limit`, if that was asked for (RSM's `count`).
    pub count: Option<u64>,
}

/// Messages read at a time where the answer depends on what is inside the seal.
const CHUNK: usize = 256;

/// The tag of a person's or room's book.
pub(crate) fn owner_tag(vault: &Vault, owner: &BareJid, ledger: Ledger) -> Blind {
    let label = match ledger {
        Ledger::Messages => "owner",
        Ledger::Happenings => "happenings",
        Ledger::Audit => "audit",
    };
    vault.blind(label, &[owner.as_str()])
}

/// The tag of what two addresses said to each other.
pub(crate) fn pair_tag(vault: &Vault, one: &str, other: &str) -> Blind {
    vault.blind("pair", &if one <= other { [one, other] } else { [other, one] })
}

/// Without the index, a question is asked of every message.
pub(crate) async fn history(
    vault: &Vault,
    index: Option<&Index>,
    owner: &BareJid,
    query: &Query,
) -> Result<Page> {
    let mine = owner_tag(vault, owner, query.ledger);
    let named = query.after.iter().chain(&query.before).chain(query.ids.iter().flatten());
    let named: Vec<Sequence> = named.copied().collect();
    if !named.is_empty() {
        let found = vault.store().events(named.clone()).await?;
        if found.len() != named.len() || !found.iter().all(|event| event.tags.contains(&mine)) {
            return Err(ArchiveError::NotFound);
        }
    }

    let mut bounds = Bounds { after: Sequence::ZERO, before: None };
    if let Some(start) = query.start {
        bounds.after = Sequence(vault.store().sequence_at(start).await?.0 - 1);
    }
    if let Some(end) = query.end {
        bounds.before = Some(vault.store().sequence_at(Micros(end.0.saturating_add(1))).await?);
    }
    let paged = Bounds {
        after: query.after.map_or(bounds.after, |after| after.max(bounds.after)),
        before: match (query.before, bounds.before) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        },
    };

    let mut source = Source::new(vault, owner, mine, query);
    if let (Some(words), Some(index)) = (&query.words, index) {
        source.propose(index, &words.question, mine).await?;
    }
    let mut page = Page::default();
    if query.limit > 0 {
        // One more than asked for tells whether there are more.
        let mut items = source.read(&paged, query.limit.saturating_add(1), query.backwards).await?;
        page.complete = items.len() <= query.limit;
        items.truncate(query.limit);
        if query.backwards {
            items.reverse();
        }
        page.items = items;
    }
    if query.count {
        page.count = Some(source.count(&bounds).await?);
    }
    Ok(page)
}

/// The first and the last message of an archive.
pub(crate) async fn span(vault: &Vault, owner: &BareJid) -> Result<Option<(Item, Item)>> {
    let query = |backwards| Query { limit: 1, backwards, ..Query::default() };
    let first = history(vault, None, owner, &query(false)).await?.items.pop();
    let last = history(vault, None, owner, &query(true)).await?.items.pop();
    Ok(first.zip(last))
}

/// Strictly between.
struct Bounds {
    after: Sequence,
    before: Option<Sequence>,
}

/// Where candidates come from, and what must still be looked at.
struct Source<'a> {
    vault: &'a Vault,
    owner: &'a BareJid,
    tag: Blind,
    /// A second tag that must be on the event.
    mine: Option<Blind>,
    /// Decided inside the seal.
    with: Option<&'a Jid>,
    by: Option<&'a BareJid>,
    words: Option<&'a Words>,
    ids: Option<Vec<Sequence>>,
}

impl<'a> Source<'a> {
    fn new(vault: &'a Vault, owner: &'a BareJid, mine: Blind, query: &'a Query) -> Self {
        let ids = query.ids.clone().map(|mut ids| {
            ids.sort_unstable();
            ids.dedup();
            ids
        });
        let (with, by) = (query.with.as_ref(), query.by.as_ref());
        let peers = [with.map(Jid::to_bare), by.cloned()];
        let peer = peers.into_iter().flatten().find(|peer| peer != owner);
        let mut source =
            Self { vault, owner, tag: mine, mine: None, with, by, words: query.words.as_ref(), ids };
        if let (Some(peer), None) = (peer, &source.ids) {
            source.tag = pair_tag(vault, owner.as_str(), peer.as_str());
            source.mine = Some(mine);
        }
        source
    }

    /// Looks at what the index proposes for a question, and at what it has not reached, instead of at the whole book.
    async fn propose(&mut self, index: &Index, question: &Question, mine: Blind) -> Result<()> {
        let head = self.vault.store().head().await?.map_or(Sequence::ZERO, |head| head.sequence);
        let places = search::candidates(index, question, mine, head).await?;
        self.ids = Some(match self.ids.take() {
            Some(ids) => ids.into_iter().filter(|id| places.binary_search(id).is_ok()).collect(),
            None => places,
        });
        // The index may be wrong about whose they are.
        self.mine = Some(mine);
        Ok(())
    }

    /// Whether every event with the tag matches, so that counting needs no keys.
    fn tag_decides(&self) -> bool {
        self.with.is_none() && self.by.is_none() && self.ids.is_none()
    }

    fn matches(&self, item: &Item) -> bool {
        self.by.is_none_or(|by| item.from.to_bare() == *by)
            && self.with.is_none_or(|with| self.is_with(with, item))
            && self.words.is_none_or(|words| words.question.matches(item, &words.company))
    }

    fn is_with(&self, with: &Jid, item: &Item) -> bool {
        let is_with = |address: &Jid| match with.is_full() {
            true => address == with,
            false => address.to_bare() == with.to_bare(),
        };
        let (from, to) = body::shown(item);
        match (from.to_bare() == *self.owner, to.to_bare() == *self.owner) {
            (true, false) => is_with(&to),
            (false, true) => is_with(&from),
            (true, true) | (false, false) => is_with(&from) || is_with(&to),
        }
    }

    /// Up to `limit` messages in the direction of reading.
    async fn read(&self, bounds: &Bounds, limit: usize, backwards: bool) -> Result<Vec<Item>> {
        let mut bounds = Bounds { ..*bounds };
        let mut items = Vec::new();
        loop {
            let wanted = if self.tag_decides() { limit - items.len() } else { CHUNK };
            let events = self.candidates(&bounds, wanted, backwards).await?;
            let exhausted = events.len() < wanted;
            let Some(last) = events.last().map(|event| event.sequence) else { break };
            let mine =
                events.into_iter().filter(|event| self.mine.is_none_or(|tag| event.tags.contains(&tag)));
            let opened = body::open_all(self.vault, &mine.collect::<Vec<_>>()).await?;
            items.extend(opened.into_iter().filter(|item| self.matches(item)));
            if exhausted || items.len() >= limit {
                break;
            }
            if backwards {
                bounds.before = Some(last);
            } else {
                bounds.after = last;
            }
        }
        items.truncate(limit);
        Ok(items)
    }

    async fn candidates(&self, bounds: &Bounds, limit: usize, backwards: bool) -> Result<Vec<SealedEvent>> {
        let Bounds { after, before } = *bounds;
        let Some(ids) = &self.ids else {
            let window = Window { after, before, limit, backwards };
            return Ok(self.vault.store().tagged_events(self.tag, window).await?);
        };
        let within = ids.iter().copied().filter(|at| *at > after && before.is_none_or(|before| *at < before));
        let chosen: Vec<Sequence> =
            if backwards { within.rev().take(limit).collect() } else { within.take(limit).collect() };
        Ok(self.vault.store().events(chosen).await?)
    }

    async fn count(&self, bounds: &Bounds) -> Result<u64> {
        if self.tag_decides() {
            return Ok(self.vault.store().count(self.tag, bounds.after, bounds.before).await?);
        }
        Ok(self.read(bounds, usize::MAX, false).await?.len() as u64)
    }
}
