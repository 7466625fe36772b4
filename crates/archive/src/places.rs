//! Sets of places in the log, such as a hold's or an erasure's: kept as ranges, stored as distances.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};
use vault::Sequence;

/// A set of places. Neighbours share a range, so what lies together costs next to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// First and last of each range, ascending, with a gap between neighbours.
    ranges: Vec<(u64, u64)>,
}

impl Places {
    /// Adds a place. Cheap at the end, where it belongs in most uses.
    pub fn add(&mut self, place: Sequence) {
        self.add_range(place..=place);
    }

    /// Adds places. An empty range adds none.
    pub fn add_range(&mut self, range: RangeInclusive<Sequence>) {
        let (mut first, mut last) = (range.start().0, range.end().0);
        if first > last {
            return;
        }
        // The ranges that touch the new one become one with it.
        let from = self.ranges.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.ranges.partition_point(|(start, _)| *start <= last.saturating_add(1));
        if from < to {
            first = first.min(self.ranges[from].0);
            last = last.max(self.ranges[to - 1].1);
        }
        match (from + 1 == to, from == self.ranges.len()) {
            (true, _) => self.ranges[from] = (first, last),
            (_, true) => self.ranges.push((first, last)),
            _ => _ = self.ranges.splice(from..to, [(first, last)]),
        }
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: &Self) {
        for (first, last) in &other.ranges {
            self.add_range(Sequence(*first)..=Sequence(*last));
        }
    }

    /// Whether a place is among them.
    pub fn contains(&self, place: Sequence) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < place.0);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= place.0)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The first and the last.
    pub fn span(&self) -> Option<(Sequence, Sequence)> {
        Some((Sequence(self.ranges.first()?.0), Sequence(self.ranges.last()?.1)))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = Sequence> + '_ {
        self.ranges.iter().flat_map(|(first, last)| (*first..=*last).map(Sequence))
    }

    /// First and last of each range.
    pub fn ranges(&self) -> impl Iterator<Item = (Sequence, Sequence)> + '_ {
        self.ranges.iter().map(|(first, last)| (Sequence(*first), Sequence(*last)))
    }

    /// Those of them within a range.
    #[must_use]
    pub fn within(&self, range: RangeInclusive<Sequence>) -> Self {
        let (from, to) = (range.start().0, range.end().0);
        let clipped = self.ranges.iter().map(|(first, last)| ((*first).max(from), (*last).min(to)));
        Self { ranges: clipped.filter(|(first, last)| first <= last).collect() }
    }

    /// Those of them that the other does not have.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::with_capacity(self.ranges.len());
        for (first, last) in &self.ranges {
            let mut first = *first;
            let at = other.ranges.partition_point(|(_, end)| *end < first);
            for (start, end) in &other.ranges[at..] {
                if *start > *last || first > *last {
                    break;
                }
                if *start > first {
                    left.push((first, start - 1));
                }
                first = end.saturating_add(1);
            }
            if first <= *last {
                left.push((first, *last));
            }
        }
        Self { ranges: left }
    }

    /// The set cut into pieces of at most `most` ranges.
    pub fn pieces(&self, most: usize) -> impl Iterator<Item = Self> + '_ {
        self.ranges.chunks(most.max(1)).map(|ranges| Self { ranges: ranges.to_vec() })
    }

    /// The set in bytes: for each range, how far it begins behind the end of the one before, and its length less one, as
    /// LEB128.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.ranges.len() * 3);
        let mut end = 0;
        for (first, last) in &self.ranges {
            number(first - end, &mut out);
            number(last - first, &mut out);
            end = *last;
        }
        out
    }

    /// What [`Places::encode`] made; `None` if these bytes are no such thing.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut places = Self::default();
        let (mut bytes, mut end) = (bytes, 0u64);
        while !bytes.is_empty() {
            let first = end.checked_add(read(&mut bytes)?)?;
            let last = first.checked_add(read(&mut bytes)?)?;
            if places.ranges.last().is_some_and(|(_, before)| before.saturating_add(1) >= first) {
                return None;
            }
            places.ranges.push((first, last));
            end = last;
        }
        Some(places)
    }

    /// SHA-256 of [`Places::encode`]: names the set without showing it.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

impl FromIterator<Sequence> for Places {
    fn from_iter<I: IntoIterator<Item = Sequence>>(places: I) -> Self {
        let mut set = Self::default();
        places.into_iter().for_each(|place| set.add(place));
        set
    }
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part.checked_shl(shift)? >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(places: &BTreeSet<u64>) -> Places {
        places.iter().copied().map(Sequence).collect()
    }

    fn back(places: &Places) -> BTreeSet<u64> {
        places.iter().map(|place| place.0).collect()
    }

    proptest! {
        #[test]
        fn it_does_what_a_plain_set_does(
            added in proptest::collection::vec((1..300u64, 0..20u64), 0..40),
            other in proptest::collection::btree_set(1..320u64, 0..100),
            window in (1..320u64, 0..200u64),
        ) {
            let (mut places, mut plain) = (Places::default(), BTreeSet::new());
            for (first, more) in added {
                places.add_range(Sequence(first)..=Sequence(first + more));
                plain.extend(first..=first + more);
            }
            prop_assert_eq!(back(&places), plain.clone());
            prop_assert_eq!(places.count(), plain.len() as u64);
            prop_assert!((0..330).all(|at| places.contains(Sequence(at)) == plain.contains(&at)));
            prop_assert!(places.ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "neighbours are one");
            prop_assert_eq!(Places::decode(&places.encode()), Some(places.clone()));

            let others = set(&other);
            prop_assert_eq!(back(&places.without(&others)), &plain - &other);
            let mut both = places.clone();
            both.extend(&others);
            prop_assert_eq!(back(&both), &plain | &other);
            let (from, to) = (window.0, window.0 + window.1);
            let inside: BTreeSet<u64> = plain.range(from..=to).copied().collect();
            prop_assert_eq!(back(&places.within(Sequence(from)..=Sequence(to))), inside);
            let mut whole = Places::default();
            places.pieces(3).for_each(|piece| whole.extend(&piece));
            prop_assert_eq!(whole, places);
        }

        #[test]
        fn no_bytes_make_it_panic_and_what_is_read_is_the_same_again(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(places) = Places::decode(&bytes) {
                prop_assert_eq!(Places::decode(&places.encode()), Some(places));
            }
        }
    }

    #[test]
    fn a_million_neighbours_take_a_few_bytes() {
        let mut places = Places::default();
        places.add_range(Sequence(1)..=Sequence(1_000_000));
        assert!(places.encode().len() < 8);
        assert!(!places.contains(Sequence(0)) && places.contains(Sequence(1_000_000)));
    }
}
