//! The judgement: the text is read once, then the rules are asked.

use super::condition::{Answers, Condition};
use super::{
    Change, Compiled, Decision, Direction, Envelope, Evidence, Facts, LinkTest, Outcome, TextTest, Verdict,
    What,
};
use crate::detect::{self, Finding};
use crate::lexicon::Hit;
use crate::links::{self, Link};
use crate::words::Words;

/// Hits of lists that are told apart. Beyond, all of the text counts as found.
const MOST: usize = 1024;

/// Decides about a message.
pub fn judge(envelope: &Envelope<'_>, facts: &Facts<'_>, rules: &Compiled) -> Decision {
    let mut decision = Decision::default();
    // In a room, the barrier is asked for each of its people, by whoever lets them in and hear.
    if facts.room.is_none()
        && let Some(barrier) = rules.barriers.iter().find(|barrier| {
            barrier.parts((envelope.from, facts.sender_groups), (envelope.to, facts.recipient_groups))
        })
    {
        decision.outcome = Outcome::Block(barrier.reason.clone());
        decision.rule = Some(barrier.id.clone());
        return decision;
    }
    if rules.rules.is_empty() {
        return decision;
    }
    let scan = Scan::of(envelope.text, rules);
    for rule in &rules.rules {
        if !rule.when.holds(envelope, facts, &scan) {
            continue;
        }
        let is_mask = rule.then == Verdict::Rewrite(Change::Mask);
        scan.tell(&rule.id, &rule.when, is_mask, &mut decision.evidence);
        match &rule.then {
            Verdict::Flag => decision.flags.push(rule.id.clone()),
            Verdict::Rewrite(change) => decision.changes.push((rule.id.clone(), change.clone())),
            Verdict::Allow => decision.rule = Some(rule.id.clone()),
            Verdict::Block(reason) => {
                decision.outcome = Outcome::Block(reason.clone());
                decision.rule = Some(rule.id.clone());
            }
            Verdict::Hold => {
                decision.outcome = Outcome::Hold;
                decision.rule = Some(rule.id.clone());
            }
        }
        if decision.rule.is_some() {
            break;
        }
    }
    decision
}

/// What is in a text, as far as the rules ask for it.
struct Scan<'a> {
    text: &'a str,
    rules: &'a Compiled,
    /// How often each list was hit.
    counts: Vec<u32>,
    hits: Vec<Hit>,
    patterns: Vec<usize>,
    findings: Vec<Finding>,
    links: Vec<Link>,
}

impl<'a> Scan<'a> {
    fn of(text: &'a str, rules: &'a Compiled) -> Self {
        let mut scan = Self {
            text,
            rules,
            counts: vec![0; rules.lexicons.lists().len()],
            hits: Vec::new(),
            patterns: rules.patterns.matching(text),
            findings: detect::detect(text, rules.kinds),
            links: if rules.links { links::find(text) } else { Vec::new() },
        };
        if !scan.counts.is_empty() {
            let Self { counts, hits, .. } = &mut scan;
            rules.lexicons.each(text, &Words::of(text), |hit| {
                if let Some(count) = counts.get_mut(hit.list) {
                    *count = count.saturating_add(1);
                }
                if hits.len() < MOST {
                    hits.push(hit);
                }
                true
            });
        }
        scan
    }

    fn count(&self, test: &TextTest) -> u32 {
        let lists = test.lists.iter().filter_map(|list| self.counts.get(*list)).sum::<u32>();
        let kinds = self.findings.iter().filter(|finding| test.kinds.contains(finding.kind)).count() as u32;
        let matching = test.patterns.iter().filter(|pattern| self.patterns.contains(pattern));
        let patterns = match test.at_least {
            0 | 1 => matching.count(),
            // Only now it matters how often.
            wanted => matching
                .map(|pattern| self.rules.patterns.places(*pattern, self.text, wanted as usize).len())
                .sum(),
        };
        lists.saturating_add(kinds).saturating_add(patterns as u32)
    }

    /// Adds what made a rule apply. For a mask that has to be everything, so the whole text is told where there is too much.
    fn tell(&self, rule: &str, when: &Condition, whole: bool, evidence: &mut Vec<Evidence>) {
        let begin = evidence.len();
        let mut add = |what: What, range| evidence.push(Evidence { rule: rule.to_owned(), what, range });
        when.each(&mut |condition| match condition {
            Condition::Text(test) => {
                for hit in self.hits.iter().filter(|hit| test.lists.contains(&hit.list)) {
                    let list = self.rules.lexicons.lists().get(hit.list).cloned().unwrap_or_default();
                    add(What::List(list), hit.range.clone());
                }
                for pattern in test.patterns.iter().filter(|pattern| self.patterns.contains(pattern)) {
                    for range in self.rules.patterns.places(*pattern, self.text, MOST) {
                        add(What::Pattern(self.rules.patterns.name(*pattern).to_owned()), range);
                    }
                }
                for finding in self.findings.iter().filter(|finding| test.kinds.contains(finding.kind)) {
                    add(finding.kind.into(), finding.range.clone());
                }
            }
            Condition::Link(test) => {
                for link in self.links.iter().filter(|link| test.holds(link)) {
                    add(What::Link, link.range.clone());
                }
            }
            _ => {}
        });
        let found = evidence.len() - begin;
        if whole && found >= detect::MOST.min(MOST) {
            let what = evidence[begin].what.clone();
            evidence.truncate(begin);
            evidence.push(Evidence { rule: rule.to_owned(), what, range: 0..self.text.len() });
        }
    }
}

impl Answers for Scan<'_> {
    fn text(&self, test: &TextTest) -> bool {
        self.count(test) >= test.at_least
    }

    fn link(&self, test: &LinkTest) -> bool {
        self.links.iter().any(|link| test.holds(link))
    }
}

impl LinkTest {
    fn holds(&self, link: &Link) -> bool {
        match self {
            Self::Any => link.explicit,
            Self::To(domains) => domains.iter().any(|domain| link.is_at(domain)),
            Self::ElsewhereThan(domains) => link.explicit && !domains.iter().any(|domain| link.is_at(domain)),
        }
    }
}

impl Direction {
    /// Which way it goes from an address of ours or not to one of ours or not. What only passes through goes out.
    pub fn of(from_us: bool, to_us: bool) -> Self {
        match (from_us, to_us) {
            (true, true) => Self::Internal,
            (false, true) => Self::In,
            (_, false) => Self::Out,
        }
    }
}
