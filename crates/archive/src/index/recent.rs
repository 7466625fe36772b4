//! The index of the newest events, in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use vault::Sequence;

/// Tokens are keyed hashes, so they serve as they are.
#[derive(Default)]
pub(super) struct TokenHasher(u64);

impl Hasher for TokenHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, token: u64) {
        self.0 = token;
    }
}

type Tokens = HashMap<u64, Vec<u32>, BuildHasherDefault<TokenHasher>>;

/// Which of the events after `base` bear which token, as distances from it.
pub(super) struct Recent {
    base: Sequence,
    through: Sequence,
    tokens: Tokens,
}

impl Recent {
    pub(super) fn after(base: Sequence) -> Self {
        Self { base, through: base, tokens: Tokens::default() }
    }

    /// Segments speak for events up to here.
    pub(super) fn base(&self) -> Sequence {
        self.base
    }

    /// The newest event that is indexed.
    pub(super) fn through(&self) -> Sequence {
        self.through
    }

    pub(super) fn len(&self) -> u64 {
        self.through.0 - self.base.0
    }

    /// Adds the next event. One that has been added before is passed over.
    pub(super) fn add(&mut self, sequence: Sequence, tokens: &[u64]) {
        if sequence <= self.through {
            return;
        }
        self.through = sequence;
        let at = (sequence.0 - self.base.0) as u32;
        for token in tokens {
            let list = self.tokens.entry(*token).or_default();
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
    }

    /// Events that bear all tokens, newest first.
    pub(super) fn find(&self, tokens: &[u64]) -> Vec<Sequence> {
        let lists: Option<Vec<&[u32]>> =
            tokens.iter().map(|token| self.tokens.get(token).map(Vec::as_slice)).collect();
        intersect(&lists.unwrap_or_default()).map(|at| Sequence(self.base.0 + u64::from(at))).collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &[u32])> {
        self.tokens.iter().map(|(token, list)| (*token, list.as_slice()))
    }
}

/// What ascending lists have in common, descending.
pub(super) fn intersect<'a>(lists: &[&'a [u32]]) -> impl Iterator<Item = u32> + use<'a> {
    let mut lists = lists.to_vec();
    lists.sort_unstable_by_key(|list| list.len());
    let shortest = lists.first().copied().unwrap_or_default();
    let others: Vec<&[u32]> = lists.into_iter().skip(1).collect();
    shortest.iter().rev().copied().filter(move |at| others.iter().all(|list| list.binary_search(at).is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_with_all_tokens_are_found_newest_first() {
        let mut recent = Recent::after(Sequence(100));
        recent.add(Sequence(101), &[1, 2, 2]);
        recent.add(Sequence(102), &[2]);
        recent.add(Sequence(103), &[2, 1]);
        recent.add(Sequence(103), &[9]);
        assert_eq!(recent.find(&[1, 2]), [Sequence(103), Sequence(101)]);
        assert_eq!(recent.find(&[2]), [Sequence(103), Sequence(102), Sequence(101)]);
        assert_eq!(recent.find(&[9]), []);
        assert_eq!(recent.find(&[1, 7]), []);
    }
}
