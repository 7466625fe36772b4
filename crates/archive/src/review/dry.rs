//! Rules tried on the past: what they would have put into the queue, and putting it there.

use std::collections::BTreeMap;

use serde::Serialize;
use vault::{Micros, Sequence};

use super::draw::{Draw, Weeks};
use super::item::Cause;
use super::judge::{self, Said};
use super::{Company, ReviewError, Reviews, rulebook};
use crate::id::Ids;
use crate::{Selection, Walk};

/// Ids of examples that are told of each rule.
const EXAMPLES: usize = 20;
/// Items that one run files at most.
const MOST: usize = 100_000;

/// What rules find in a part of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DryRun {
    /// Messages that were looked at.
    pub messages: u64,
    /// Messages that at least one rule or sample takes.
    pub taken: u64,
    /// Each rule and sample.
    pub rules: Vec<Tally>,
    /// Items that were filed, if that was asked for.
    pub filed: u64,
}

/// What one rule or sample finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Its id.
    pub id: String,
    /// How many messages.
    pub messages: u64,
    /// The first of them.
    pub examples: Vec<String>,
}

impl Reviews {
    /// Tries rules on a part of the past: `source`, or those in force. With `file`, what they find goes into the queue.
    ///
    /// # Errors
    /// When the rules are not in order; what the vault says.
    pub async fn try_rules(
        &self,
        source: Option<&str>,
        selection: Selection,
        company: &Company,
        file: bool,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<DryRun, ReviewError> {
        let current = self.rulebook().await?;
        let rules = rulebook::check(source.unwrap_or(&current.source))?;
        let total = self.head().await?.0;
        let draw = Draw::new(&self.vault);
        let ids = Ids::new(&self.vault.derive("stanza id"));
        let mut run = DryRun::default();
        let mut found: BTreeMap<Sequence, Vec<Cause>> = BTreeMap::new();
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for id in
            rules.rules().iter().map(|rule| &rule.id).chain(rules.samples().iter().map(|sample| &sample.id))
        {
            tallies.insert(id.clone(), Tally { id: id.clone(), ..Tally::default() });
        }
        let mut weeks = Weeks::new();
        let mut tally = |id: &str, sequence: Sequence| {
            if let Some(tally) = tallies.get_mut(id) {
                tally.messages += 1;
                if tally.examples.len() < EXAMPLES {
                    tally.examples.push(ids.name(sequence).into());
                }
            }
        };
        let by_week = |drawn: Vec<(String, Sequence)>| {
            let cause = |(id, sequence): (String, Sequence)| {
                let sample = rules.samples().iter().find(|sample| sample.id == id)?;
                Some((sequence, Cause::of_sample(sample, current.version)))
            };
            drawn.into_iter().filter_map(cause).collect::<Vec<_>>()
        };
        let mut walk = Walk::new(self.vault.clone(), selection);
        while let Some(portion) = walk.next().await? {
            for item in &portion.items {
                run.messages += 1;
                let said = Said::read(&item.stanza);
                let causes = judge::causes(item, &said, (current.version, &rules), company, &draw);
                let mut causes: Vec<_> = causes.into_iter().map(|cause| (item.sequence, cause)).collect();
                if !said.text.is_empty() {
                    causes.extend(by_week(draw.see(rules.samples(), item, company, &mut weeks)));
                }
                for (sequence, cause) in causes {
                    tally(&cause.id, sequence);
                    if found.len() < MOST || found.contains_key(&sequence) {
                        found.entry(sequence).or_default().push(cause);
                    }
                }
            }
            progress(portion.through.0, total.max(portion.through.0));
        }
        // The last week, whether it is over or not.
        for (sequence, cause) in by_week(Draw::settle(Micros(i64::MAX), &mut weeks)) {
            tally(&cause.id, sequence);
            found.entry(sequence).or_default().push(cause);
        }
        run.taken = found.len() as u64;
        run.rules = tallies.into_values().collect();
        if file {
            for (sequence, causes) in found {
                // One by one: somebody may be deciding about any of them.
                if let Some(write) = self.filing(sequence, causes, Micros::now()).await? {
                    self.vault.apply(vec![write]).await?;
                    run.filed += 1;
                }
            }
        }
        Ok(run)
    }
}
