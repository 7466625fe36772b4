//! Drawing samples. Chance comes from a keyed hash of the sample's id and the event's place, so nobody without the folder's
//! secret can tell what will be drawn, nobody can choose what was, and whoever draws again draws the same.

use std::collections::BTreeMap;

use policy::rules::{Sample, Share};
use serde::{Deserialize, Serialize};
use vault::{Micros, Sequence, Vault};

use super::company::Company;
use crate::Item;

/// Draws with the secret of a folder.
pub(super) struct Draw<'a> {
    vault: &'a Vault,
}

/// The days of a week and what has been drawn of them, the smallest lots first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Week {
    /// Weeks since the Monday before 1970.
    pub(super) week: i64,
    pub(super) lots: Vec<(u64, Sequence)>,
}

/// What samples by the week have drawn so far.
pub(super) type Weeks = BTreeMap<String, Week>;

impl<'a> Draw<'a> {
    pub(super) fn new(vault: &'a Vault) -> Self {
        Self { vault }
    }

    fn lot(&self, sample: &Sample, sequence: Sequence) -> u64 {
        let blind = self.vault.blind("review lot", &[&sample.id, &sequence.to_string()]);
        blind.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn is_of(sample: &Sample, item: &Item, company: &Company) -> bool {
        let from = item.from.to_bare();
        let groups = company.groups(&from);
        sample.from.iter().any(|who| who.includes(&from, groups))
    }

    /// Whether a sample by share takes an event.
    pub(super) fn takes(&self, sample: &Sample, item: &Item, company: &Company) -> bool {
        let Share::Millionth(share) = sample.share else { return false };
        share > 0
            && Self::is_of(sample, item, company)
            && self.lot(sample, item.sequence) % 1_000_000 < u64::from(share)
    }

    /// Lets samples by the week see an event. Gives back what a week before it that is over has drawn.
    pub(super) fn see(
        &self,
        samples: &[Sample],
        item: &Item,
        company: &Company,
        weeks: &mut Weeks,
    ) -> Vec<(String, Sequence)> {
        let mut drawn = Vec::new();
        let week = week_of(item.time);
        for sample in samples {
            let Share::PerWeek(most) = sample.share else { continue };
            if most == 0 || !Self::is_of(sample, item, company) {
                continue;
            }
            let lots = weeks.entry(sample.id.clone()).or_default();
            if lots.week < week {
                let over = std::mem::replace(lots, Week { week, lots: Vec::new() });
                drawn.extend(over.lots.into_iter().map(|(_, sequence)| (sample.id.clone(), sequence)));
            }
            let lot = (self.lot(sample, item.sequence), item.sequence);
            if let Err(place) = lots.lots.binary_search(&lot)
                && place < most as usize
            {
                lots.lots.insert(place, lot);
                lots.lots.truncate(most as usize);
            }
        }
        drawn
    }

    /// What weeks that are over by now have drawn.
    pub(super) fn settle(now: Micros, weeks: &mut Weeks) -> Vec<(String, Sequence)> {
        let this = week_of(now);
        let mut drawn = Vec::new();
        weeks.retain(|sample, week| {
            let is_over = week.week < this;
            if is_over {
                drawn.extend(week.lots.iter().map(|(_, sequence)| (sample.clone(), *sequence)));
            }
            !is_over
        });
        drawn
    }
}

fn week_of(time: Micros) -> i64 {
    (time.seconds().div_euclid(86_400) + 3).div_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday() {
        // Sunday 2026-11-22 23:59:59 and Monday 00:00:00, UTC.
        let sunday = Micros(1_795_391_999_000_000);
        assert_eq!(week_of(Micros(sunday.0 + 1_000_000)), week_of(sunday) + 1);
        assert_eq!(week_of(Micros(sunday.0 - 6 * 86_400_000_000)), week_of(sunday));
    }

    #[test]
    fn a_week_that_is_over_gives_what_it_drew_once() {
        let week = Week { week: week_of(Micros(0)), lots: vec![(1, Sequence(7)), (2, Sequence(3))] };
        let mut weeks = Weeks::from([("sales".to_owned(), week)]);
        assert_eq!(Draw::settle(Micros(0), &mut weeks), []);
        let drawn = Draw::settle(Micros(8 * 86_400_000_000), &mut weeks);
        assert_eq!(drawn, [("sales".to_owned(), Sequence(7)), ("sales".to_owned(), Sequence(3))]);
        assert!(weeks.is_empty());
    }
}
