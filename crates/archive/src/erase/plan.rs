//! What would go, and what is in the way: reads, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use vault::{Micros, Sequence, Vault};

use super::{Around, EraseError, Order, Progress, Target};
use crate::retain::{Facts, Rules, Subject, Verdict, Why, judge};
use crate::{Held, Item, Ledger, Places, Policies, Selection, Walk};

/// Lines of a plan at most; what is beyond them is counted in one.
const LINES: usize = 10_000;

/// What would go.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The events that go.
    pub goes: Places,
    /// How many of them, by conversation and policy.
    pub lines: Vec<Line>,
    /// What stays although it would have to go.
    pub kept: Vec<Kept>,
    /// The files that go.
    pub files: Vec<String>,
    /// Files that stay because something that stays is about them.
    pub files_kept: u64,
    /// Whose words they are and whom they were for, so that notes about them can go, too.
    pub(super) touched: Vec<String>,
    /// The holds that were looked at.
    pub(super) holds: Vec<String>,
}

/// What goes of one conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Whose.
    pub conversation: String,
    /// The policy whose maximum is over; none if somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Subject>,
    /// How many events.
    pub events: u64,
    /// When the first of them was.
    pub oldest: Micros,
    /// When the last of them was.
    pub newest: Micros,
}

/// What stays for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The reason.
    #[serde(flatten)]
    pub why: Why,
    /// How many events.
    pub events: u64,
    /// When the first of them was.
    pub oldest: Micros,
    /// When the last of them was.
    pub newest: Micros,
}

/// What an event says about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileUse {
    /// The file.
    pub file: String,
    /// Whether the event is its upload; a link to it otherwise.
    pub upload: bool,
}

/// Sums up what is alike.
#[derive(Default)]
struct Sum {
    events: u64,
    oldest: Option<Micros>,
    newest: Option<Micros>,
}

impl Sum {
    fn add(&mut self, item: &Item) {
        self.events += 1;
        self.oldest = Some(self.oldest.map_or(item.time, |time| time.min(item.time)));
        self.newest = Some(self.newest.map_or(item.time, |time| time.max(item.time)));
    }
}

/// Decides about each event that the order is about. The holds are at the end of the log.
pub(super) async fn plan(
    vault: &Vault,
    order: &Order,
    mut held: Held,
    around: &dyn Around,
    progress: &Progress<'_>,
) -> Result<Plan, EraseError> {
    let policies = Policies::new(vault.clone()).all().await?.value;
    let groups = |who: &jid::BareJid| around.groups(who);
    let rules = Rules::new(policies, &groups, around.now());
    let end = vault.store().head().await.map_err(vault::VaultError::from)?;
    let end = end.map_or(Sequence::ZERO, |head| head.sequence);
    let mut plan = Plan { holds: held.holds(), ..Plan::default() };
    let Some(selection) = order.target.selection(&rules, end) else { return Ok(plan) };

    let mut lines: BTreeMap<(String, Option<Subject>), Sum> = BTreeMap::new();
    let mut kept: BTreeMap<Why, Sum> = BTreeMap::new();
    // Whether the upload itself goes.
    let mut files: BTreeMap<String, bool> = BTreeMap::new();
    let mut touched = BTreeSet::new();
    let mut walk = Walk::new(vault.clone(), selection);
    while let Some(portion) = walk.next().await? {
        for item in portion.items.iter().filter(|item| order.target.means(item)) {
            let asked = !matches!(order.target, Target::Over);
            let term = rules.term(&Facts::from(item));
            match judge(&held.matters(item.sequence).await?, &term, asked) {
                Verdict::Stays => {}
                Verdict::Kept(why) => kept.entry(why).or_default().add(item),
                Verdict::Goes => {
                    plan.goes.add(item.sequence);
                    let conversation = match lines.len() < LINES {
                        true => around.conversation(item),
                        false => "others".into(),
                    };
                    lines.entry((conversation, term.over.filter(|_| !asked))).or_default().add(item);
                    for used in around.files(item) {
                        *files.entry(used.file).or_default() |= used.upload;
                    }
                    touched.extend([item.from.to_bare().to_string(), item.to.to_bare().to_string()]);
                }
            }
        }
        progress(portion.through.0.min(end.0), end.0);
    }
    let sums = |sum: Sum| (sum.events, sum.oldest.unwrap_or_default(), sum.newest.unwrap_or_default());
    plan.lines = lines
        .into_iter()
        .map(|((conversation, policy), sum)| {
            let (events, oldest, newest) = sums(sum);
            Line { conversation, policy, events, oldest, newest }
        })
        .collect();
    plan.kept = kept
        .into_iter()
        .map(|(why, sum)| {
            let (events, oldest, newest) = sums(sum);
            Kept { why, events, oldest, newest }
        })
        .collect();
    plan.touched = touched.into_iter().collect();
    // Who asks has a right to their own uploads only. A policy is about whatever nothing points at any more.
    if !matches!(order.target, Target::Over) {
        files.retain(|_, uploaded| *uploaded);
    }
    let candidates = files.len() as u64;
    if candidates > 0 {
        let mut files: BTreeSet<String> = files.into_keys().collect();
        keep_files_in_use(vault, &plan.goes, &mut files, order, held, around).await?;
        plan.files_kept = candidates - files.len() as u64;
        plan.files = files.into_iter().collect();
    }
    Ok(plan)
}

/// Takes off the list what an event that stays is about: for a policy, any event; for somebody's wish, one that is held.
async fn keep_files_in_use(
    vault: &Vault,
    goes: &Places,
    files: &mut BTreeSet<String>,
    order: &Order,
    mut held: Held,
    around: &dyn Around,
) -> Result<(), EraseError> {
    let all = Selection { happenings: true, ..Selection::default() };
    let mut walk = Walk::new(vault.clone(), all);
    while let Some(portion) = walk.next().await? {
        for item in portion.items.iter().filter(|item| !goes.contains(item.sequence)) {
            for used in around.files(item) {
                if files.contains(&used.file)
                    && (matches!(order.target, Target::Over)
                        || !held.matters(item.sequence).await?.is_empty())
                {
                    files.remove(&used.file);
                }
            }
        }
        if files.is_empty() {
            break;
        }
    }
    Ok(())
}

impl Target {
    /// Where to look; `None` if nothing can be meant.
    fn selection(&self, rules: &Rules<'_>, end: Sequence) -> Option<Selection> {
        let all = Selection { happenings: true, through: Some(end), ..Selection::default() };
        match self {
            // Their own book as well: what was noted about their files stands there.
            Self::Said(person) => {
                Some(Selection { owners: vec![person.clone()], speakers: vec![person.clone()], ..all })
            }
            Self::In(selection) if selection.owners.is_empty() && selection.speakers.is_empty() => None,
            Self::In(selection) => Some(Selection {
                through: Some(selection.through.map_or(end, |through| through.min(end))),
                ..selection.clone()
            }),
            Self::Over => Some(Selection { end: Some(rules.horizon()?), ..all }),
        }
    }

    /// Whether an event of the selection is meant.
    fn means(&self, item: &Item) -> bool {
        match self {
            Self::Said(person) => {
                let about_them = item.ledger == Ledger::Happenings && item.to.to_bare() == *person;
                item.from.to_bare() == *person || about_them
            }
            Self::In(_) | Self::Over => true,
        }
    }
}
