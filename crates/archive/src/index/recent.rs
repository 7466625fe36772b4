//! The index of the newest events, in memory.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use vault::Sequence;

use super::merge::Forget;
use super::plan::{Places, Plan};
use super::segment::short;

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
        // A table looks at the lowest bits and at the seven highest.
        self.0 = token | token << 40;
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
            let list = self.tokens.entry(short(*token)).or_default();
            if list.last() != Some(&at) {
                list.push(at);
            }
        }
    }

    /// Places that meet a plan, as distances from the base.
    pub(super) fn places(&self, plan: &Plan) -> Places {
        plan.places(&|token| self.tokens.get(&short(token)).map_or(&[][..], Vec::as_slice))
    }

    /// Takes away what is to be forgotten.
    pub(super) fn forget(&mut self, forget: &mut Forget) {
        self.tokens.entry(forget.mark).or_default();
        self.tokens.retain(|token, list| {
            forget.thin(*token, list);
            !list.is_empty()
        });
    }

    /// All lists, by token.
    pub(super) fn lists(&self) -> Vec<(u64, &[u32])> {
        let mut lists: Vec<(u64, &[u32])> =
            self.tokens.iter().map(|(token, list)| (*token, list.as_slice())).collect();
        lists.sort_unstable_by_key(|(token, _)| *token);
        lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_by_their_tokens_once_each() {
        let token = |n: u64| n << 24;
        let mut recent = Recent::after(Sequence(100));
        recent.add(Sequence(101), &[token(1), token(2), token(2)]);
        recent.add(Sequence(102), &[token(2)]);
        recent.add(Sequence(103), &[token(2), token(1)]);
        recent.add(Sequence(103), &[token(9)]);
        let find = |tokens: &[u64]| recent.places(&Plan::all(tokens.iter().map(|n| Plan::Token(token(*n)))));
        assert_eq!(find(&[1, 2]), Places::These(vec![1, 3]));
        assert_eq!(find(&[2]), Places::These(vec![1, 2, 3]));
        assert_eq!(find(&[9]), Places::These(vec![]));
        assert_eq!(find(&[1, 7]), Places::These(vec![]));
        assert_eq!(recent.lists().len(), 2);
    }
}
