//! Reading the audit chain, which is itself on it.

use archive::{Audited, Deed};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::Entry;
use crate::clock;

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only those of this person: the beginning of the address that is on record, up to the whole of it.
    pub by: Option<String>,
    /// Only those under this matter.
    pub matter: Option<String>,
    /// Only of this kind.
    pub deed: Option<Deed>,
    /// Only from before the entry of this number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: usize,
}

/// A part of the audit chain, newest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct AuditPage {
    /// What matched.
    pub items: Vec<AuditItem>,
    /// To be given as `before` for the next page; absent at the beginning of the chain.
    pub next: Option<u64>,
    /// Numbers of entries on the way that do not follow from the one before them: somebody changed or removed something.
    pub broken: Vec<u64>,
}

/// An act on record.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditItem {
    /// Its place in the audit chain, from 1 without gaps.
    #[schema(minimum = 1)]
    pub number: u64,
    /// Its place in the one order of all events.
    pub sequence: u64,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub time: String,
    /// Who.
    pub by: String,
    /// What.
    #[schema(value_type = String, example = "search")]
    pub deed: Deed,
    /// Under which matter.
    pub matter: Option<String>,
    /// What else is to know. Never the words themselves.
    #[schema(value_type = Object)]
    pub details: Value,
    /// Whether it follows from the entry before it. `false`: somebody changed or removed something.
    pub follows: Option<bool>,
}

impl From<Audited> for AuditItem {
    fn from(entry: Audited) -> Self {
        let details = if entry.act.details.is_null() { json!({}) } else { entry.act.details };
        Self {
            number: entry.number,
            sequence: entry.sequence.0,
            time: clock::stamp(entry.time.0),
            by: entry.act.by.to_string(),
            deed: entry.act.deed,
            matter: entry.act.matter,
            details,
            follows: entry.follows,
        }
    }
}

/// The most that are given at once.
pub const MOST: usize = 500;
/// Entries read at a time.
const CHUNK: usize = 256;
/// Entries looked at before an answer is given that may hold less than was asked for.
const LOOK_AT: usize = 20_000;

impl AuditQuery {
    fn takes(&self, entry: &Audited) -> bool {
        let act = &entry.act;
        self.by.as_ref().is_none_or(|by| {
            let known = act.by.to_string();
            known == *by || act.by.to_bare().as_str() == by || known.split('@').next() == Some(by)
        }) && self.matter.as_ref().is_none_or(|matter| act.matter.as_ref() == Some(matter))
            && self.deed.is_none_or(|deed| act.deed == deed)
    }
}

impl Office {
    /// Reads the audit chain, newest first.
    ///
    /// # Errors
    /// The right is missing; the reading cannot be put on record; the storage failed.
    pub async fn audit(&self, actor: &Actor, query: &AuditQuery) -> Result<AuditPage, Refusal> {
        let details = json!({
            "by": query.by, "matter": query.matter, "deed": query.deed, "before": query.before,
        });
        let entry = Entry { deed: Deed::Audit, details };
        let licence = self.licence(actor, Right::ReadAudit, None, entry).await?;
        let trail = self.0.shelves.keep(&licence).await?;
        let limit = query.limit.clamp(1, MOST);
        let mut page = AuditPage { next: query.before, ..AuditPage::default() };
        for _ in 0..LOOK_AT / CHUNK {
            let some = trail.audited(page.next, CHUNK).await?;
            let whole = some.len() < CHUNK;
            for entry in some {
                page.next = Some(entry.number);
                if entry.follows == Some(false) {
                    page.broken.push(entry.number);
                }
                if query.takes(&entry) {
                    page.items.push(entry.into());
                    if page.items.len() == limit {
                        page.next = page.next.filter(|number| *number > 1);
                        return Ok(page);
                    }
                }
            }
            if whole {
                page.next = None;
                break;
            }
        }
        Ok(page)
    }
}
