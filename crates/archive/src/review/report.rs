//! Evidence that supervision happened: how much was sampled, flagged, reviewed and is open, by whom, and how fast.

use std::collections::BTreeMap;

use jid::BareJid;
use serde::Serialize;
use vault::Micros;

use super::item::{Action, ReviewItem, State};
use super::{ReviewError, Reviews, html, queue};
use crate::ArchiveError;

/// A stretch of time: of events, not of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// The first moment.
    pub start: Micros,
    /// The last moment.
    pub end: Micros,
}

/// What supervision did in a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ReviewReport {
    /// The first moment of events, RFC 3339.
    pub start: String,
    /// The last moment.
    pub end: String,
    /// Everything.
    pub total: Count,
    /// By rule and sample.
    pub rules: Vec<RuleCount>,
    /// By reviewer.
    pub reviewers: Vec<ReviewerCount>,
    /// All that was done, in its order.
    pub decisions: Vec<Line>,
}

/// How many items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Count {
    /// That came into the queue.
    pub filed: u64,
    /// Of these, that were drawn at random.
    pub sampled: u64,
    /// That are decided.
    pub reviewed: u64,
    /// That are not.
    pub open: u64,
    /// That were found to break the rules.
    pub violations: u64,
    /// Seconds from the queue to the decision, in the middle of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<i64>,
}

/// Of one rule or sample.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RuleCount {
    /// Its id.
    pub id: String,
    /// How many.
    #[serde(flatten)]
    pub count: Count,
}

/// Of one reviewer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewerCount {
    /// Who.
    pub reviewer: BareJid,
    /// Items that they decided.
    pub closed: u64,
    /// Items that they escalated.
    pub escalated: u64,
    /// Everything that they did.
    pub actions: u64,
    /// Seconds from the queue to their decision, in the middle of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<i64>,
}

/// Something that a reviewer did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// When, RFC 3339.
    pub at: String,
    /// The item.
    pub item: String,
    /// Who.
    pub reviewer: BareJid,
    /// What.
    pub action: &'static str,
    /// How it was decided, or to whom it went.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub result: String,
    /// Rules and samples that brought the item.
    pub rules: Vec<String>,
    /// What the reviewer noted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl Reviews {
    /// What supervision did about the events of a period. It has no words of the events, but comments of reviewers.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn report(&self, period: Period) -> Result<ReviewReport, ReviewError> {
        let mut items = Vec::new();
        let mut shelves = vec![queue::WAITING.to_owned()];
        let (mut at, last) = (queue::month_of(period.start), queue::month_of(period.end));
        // A thousand years are enough of a loop.
        while at <= last && shelves.len() < 12_000 {
            shelves.push(format!("decided {:04}-{:02}", at.0, at.1));
            at = if at.1 == 12 { (at.0 + 1, 1) } else { (at.0, at.1 + 1) };
        }
        for shelf in shelves {
            for (_, found) in self.vault.list::<ReviewItem>(&shelf).await? {
                let item = found.value;
                if item.time >= period.start && item.time <= period.end {
                    items.push(item);
                }
            }
        }
        items.sort_by_key(|item| item.sequence);
        items.dedup_by_key(|item| item.sequence);
        Ok(ReviewReport::of(period, &items))
    }
}

impl ReviewReport {
    fn of(period: Period, items: &[ReviewItem]) -> Self {
        let mut rules: BTreeMap<&str, Vec<&ReviewItem>> = BTreeMap::new();
        let mut reviewers: BTreeMap<&BareJid, (ReviewerCount, Vec<i64>)> = BTreeMap::new();
        let mut decisions = Vec::new();
        for item in items {
            let ids: Vec<String> = item.causes.iter().map(|cause| cause.id.clone()).collect();
            for cause in &item.causes {
                rules.entry(&cause.id).or_default().push(item);
            }
            for decision in &item.decisions {
                let reviewer = &decision.reviewer;
                let (count, times) = reviewers.entry(reviewer).or_insert_with(|| {
                    let reviewer = reviewer.clone();
                    (
                        ReviewerCount { reviewer, closed: 0, escalated: 0, actions: 0, median_seconds: None },
                        Vec::new(),
                    )
                });
                count.actions += 1;
                let result = match &decision.action {
                    Action::Close { outcome } => {
                        count.closed += 1;
                        times.push(decision.at.seconds() - item.filed.seconds());
                        outcome.name().to_owned()
                    }
                    Action::Escalate { to } => {
                        count.escalated += 1;
                        to.as_ref().map(ToString::to_string).unwrap_or_default()
                    }
                    Action::Assign { to } => to.to_string(),
                    _ => String::new(),
                };
                let line = Line {
                    at: stamp(decision.at),
                    item: item.id.clone(),
                    reviewer: decision.reviewer.clone(),
                    action: decision.action.name(),
                    result,
                    rules: ids.clone(),
                    comment: decision.comment.clone(),
                };
                decisions.push((decision.at, line));
            }
        }
        decisions.sort_by_key(|(at, _)| *at);
        Self {
            start: stamp(period.start),
            end: stamp(period.end),
            total: Count::of(items.iter(), |item| item.causes.iter().any(|cause| cause.sample)),
            rules: rules
                .into_iter()
                .map(|(id, items)| {
                    let is_sample =
                        |item: &ReviewItem| item.causes.iter().any(|cause| cause.id == id && cause.sample);
                    RuleCount { id: id.to_owned(), count: Count::of(items.into_iter(), is_sample) }
                })
                .collect(),
            reviewers: reviewers
                .into_values()
                .map(|(count, mut times)| ReviewerCount { median_seconds: median(&mut times), ..count })
                .collect(),
            decisions: decisions.into_iter().map(|(_, line)| line).collect(),
        }
    }

    /// All decisions as CSV (RFC 4180), with a header. Cells that a spreadsheet would take for formulas are made text.
    ///
    /// # Errors
    /// Nothing in practice: memory is written to.
    pub fn csv(&self) -> Result<String, ReviewError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let failed = |_| ReviewError::Archive(ArchiveError::Closed);
        out.write_record(["at", "item", "reviewer", "action", "result", "rules", "comment"])
            .map_err(failed)?;
        for line in &self.decisions {
            let rules = line.rules.join(" ");
            let cells = [
                &*line.at,
                &line.item,
                line.reviewer.as_str(),
                line.action,
                &line.result,
                &rules,
                &line.comment,
            ];
            out.write_record(cells.map(plain)).map_err(failed)?;
        }
        let bytes = out.into_inner().map_err(|_| ReviewError::Archive(ArchiveError::Closed))?;
        Ok(String::from_utf8(bytes).unwrap_or_default())
    }

    /// A page that can be printed.
    pub fn html(&self) -> String {
        html::page(self)
    }
}

fn plain(cell: &str) -> String {
    match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    }
}

impl Count {
    fn of<'a>(items: impl Iterator<Item = &'a ReviewItem>, is_sample: impl Fn(&ReviewItem) -> bool) -> Self {
        let mut count = Self::default();
        let mut times = Vec::new();
        for item in items {
            count.filed += 1;
            count.sampled += u64::from(is_sample(item));
            match item.closed() {
                Some((decision, outcome)) => {
                    count.reviewed += 1;
                    count.violations += u64::from(outcome == super::Outcome::Violation);
                    times.push(decision.at.seconds() - item.filed.seconds());
                }
                None => count.open += u64::from(item.state != State::Closed),
            }
        }
        count.median_seconds = median(&mut times);
        count
    }
}

fn median(times: &mut [i64]) -> Option<i64> {
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

pub(super) fn stamp(time: Micros) -> String {
    use time::format_description::well_known::Rfc3339;

    let at = time::OffsetDateTime::from_unix_timestamp(time.seconds()).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}
