//! The words of the index, in memory, for prefixes and misspellings. Each segment has its own list of them, sealed.

use std::collections::HashMap;

use vault::VaultError;

/// Words that are kept at most; some 30 MB of memory. Beyond it, words that were seen once are left out.
const MOST: usize = 500_000;
/// Words that a prefix may stand for. With more, so many messages have one that reading them is faster.
const EXPANSIONS: usize = 256;
/// Longer words are numbers of files and the like, in bytes; with digits in them, already shorter ones.
const LONGEST: usize = 32;
const LONGEST_NUMBER: usize = 14;

/// Which words there are, and in about how many events.
#[derive(Default)]
pub(crate) struct Vocabulary {
    /// Of the segments, by word.
    sealed: Vec<(Box<str>, u32)>,
    /// Of the memory.
    recent: HashMap<Box<str>, u32>,
    /// The segments' words are here,
    loaded: bool,
    /// but some were left out.
    partial: bool,
}

impl Vocabulary {
    /// Takes note of a word of a new event.
    pub(super) fn note(&mut self, word: &str) {
        if let Some(count) = self.recent.get_mut(word) {
            *count += 1;
        } else if word.len() <= LONGEST
            && (word.len() <= LONGEST_NUMBER || !word.bytes().any(|byte| byte.is_ascii_digit()))
        {
            self.recent.insert(word.into(), 1);
        }
    }

    /// The list of the memory's words.
    pub(super) fn recent(&self) -> Vec<u8> {
        let mut words: Vec<(&str, u32)> = self.recent.iter().map(|(word, count)| (&**word, *count)).collect();
        words.sort_unstable();
        encode(words.into_iter())
    }

    /// The memory has become a segment.
    pub(super) fn seal(&mut self) {
        let recent = std::mem::take(&mut self.recent);
        self.add(recent.into_iter().collect());
    }

    /// Adds the list of a segment.
    pub(super) fn load(&mut self, list: &[u8]) {
        self.add(Words::new(list).map(|(word, count)| (word.into(), count)).collect());
    }

    /// Keeps those of the memory's words that `keep` wants.
    pub(super) fn retain_recent(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.recent.retain(|word, _| keep(word));
    }

    /// All segments' lists have been added.
    pub(super) fn is_loaded(&mut self) {
        self.loaded = true;
    }

    /// Forgets the segments' words, which come anew.
    pub(super) fn unload(&mut self) {
        (self.sealed, self.loaded, self.partial) = (Vec::new(), false, false);
    }

    fn add(&mut self, mut words: Vec<(Box<str>, u32)>) {
        words.append(&mut self.sealed);
        words.sort_by(|one, other| one.0.cmp(&other.0));
        words.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(later.1);
            }
            same
        });
        let mut least = 1;
        while words.len() > MOST {
            words.retain(|(_, count)| *count > least);
            least *= 2;
            self.partial = true;
        }
        self.sealed = words;
    }

    /// Words that begin so; `None` if they are too many, or not all of them are known.
    pub(super) fn beginning(&self, prefix: &str) -> Option<Vec<String>> {
        if self.partial || !self.loaded {
            return None;
        }
        let start = self.sealed.partition_point(|(word, _)| **word < *prefix);
        let sealed = self.sealed[start..].iter().map(|(word, _)| word);
        let mut words: Vec<String> = sealed
            .take_while(|word| word.starts_with(prefix))
            .take(EXPANSIONS + 1)
            .map(|word| word.to_string())
            .collect();
        let recent = self.recent.keys().filter(|word| word.starts_with(prefix));
        words.extend(recent.map(|word| word.to_string()));
        words.sort_unstable();
        words.dedup();
        (words.len() <= EXPANSIONS).then_some(words)
    }

    /// Words that somebody may have meant, the likeliest first, at most `most`. They may be words that who asks must not
    /// see: only what finds something for them is to be shown.
    pub(crate) fn similar(&self, wanted: &str, most: usize) -> Vec<String> {
        let length = wanted.chars().count();
        if length < 4 {
            return Vec::new();
        }
        let allowed = if length < 8 { 1 } else { 2 };
        let letters = letters(wanted);
        let there = self.sealed.iter().map(|(word, count)| (&**word, *count));
        let there = there.chain(self.recent.iter().map(|(word, count)| (&**word, *count)));
        let near = there.filter(|(word, _)| {
            word.len().abs_diff(wanted.len()) <= 2 * allowed
                && (letters ^ self::letters(word)).count_ones() as usize <= 2 * allowed
        });
        let mut found: Vec<(usize, std::cmp::Reverse<u32>, &str)> = near
            .filter_map(|(word, count)| {
                let distance = strsim::osa_distance(word, wanted);
                (1..=allowed).contains(&distance).then_some((distance, std::cmp::Reverse(count), word))
            })
            .collect();
        found.sort_unstable();
        let mut words: Vec<String> = Vec::with_capacity(most);
        for (_, _, word) in found {
            if words.len() < most && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        words
    }
}

/// Which letters a word has, roughly: one bit for each of 32 classes.
fn letters(word: &str) -> u32 {
    word.chars().fold(0, |set, letter| set | 1 << (u32::from(letter) % 32))
}

/// Joins the lists of several segments.
pub(super) fn join(lists: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut sources: Vec<_> = lists.iter().map(|list| Words::new(list.as_ref()).peekable()).collect();
    let mut encoder = Encoder::default();
    loop {
        let least = sources.iter_mut().filter_map(|source| source.peek().map(|(word, _)| word.clone())).min();
        let Some(least) = least else { return encoder.out };
        let mut sum = 0u32;
        for source in &mut sources {
            if let Some((_, count)) = source.next_if(|(word, _)| *word == least) {
                sum = sum.saturating_add(count);
            }
        }
        encoder.push(&least, sum);
    }
}

/// The words of a list that `keep` wants.
pub(super) fn retain(list: &[u8], mut keep: impl FnMut(&str) -> bool) -> Vec<u8> {
    let mut encoder = Encoder::default();
    for (word, count) in Words::new(list) {
        if keep(&word) {
            encoder.push(&word, count);
        }
    }
    encoder.out
}

/// A list that cannot be read.
pub(super) const DAMAGED: VaultError =
    VaultError::Corrupt { what: "a list of words of the index is missing" };

/// Word by word: how much it shares with the one before, the rest, and how often it is there.
#[derive(Default)]
struct Encoder {
    out: Vec<u8>,
    last: String,
}

impl Encoder {
    fn push(&mut self, word: &str, count: u32) {
        let shared = word.bytes().zip(self.last.bytes()).take_while(|(a, b)| a == b).count();
        // Words are at most 64 bytes long.
        self.out.extend([shared as u8, (word.len() - shared) as u8]);
        self.out.extend_from_slice(&word.as_bytes()[shared..]);
        let mut count = count;
        while count >= 0x80 {
            self.out.push(count as u8 | 0x80);
            count >>= 7;
        }
        self.out.push(count as u8);
        self.last.clear();
        self.last.push_str(word);
    }
}

fn encode<'a>(words: impl Iterator<Item = (&'a str, u32)>) -> Vec<u8> {
    let mut encoder = Encoder::default();
    words.for_each(|(word, count)| encoder.push(word, count));
    encoder.out
}

struct Words<'a> {
    bytes: &'a [u8],
    last: Vec<u8>,
}

impl<'a> Words<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, last: Vec::new() }
    }
}

impl Iterator for Words<'_> {
    type Item = (String, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let ([shared, length], rest) = self.bytes.split_first_chunk::<2>()?;
        let (suffix, mut rest) = rest.split_at_checked((*length).into())?;
        self.last.truncate((*shared).into());
        self.last.extend_from_slice(suffix);
        let mut count = 0u32;
        for shift in (0..35).step_by(7) {
            let (byte, after) = rest.split_first()?;
            rest = after;
            count |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        self.bytes = rest;
        Some((String::from_utf8(self.last.clone()).ok()?, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Vocabulary {
        let mut vocabulary = Vocabulary { loaded: true, ..Vocabulary::default() };
        words.iter().for_each(|word| vocabulary.note(word));
        vocabulary
    }

    #[test]
    fn prefixes_stand_for_the_words_of_memory_and_segments() {
        let mut one = of(&["meeting", "meet", "mees", "room", "größe", "meet"]);
        let list = one.recent();
        assert_eq!(one.beginning("mee").unwrap(), ["mees", "meet", "meeting"]);
        one.seal();
        one.note("meeeh");
        assert_eq!(one.beginning("mee").unwrap(), ["meeeh", "mees", "meet", "meeting"]);
        assert_eq!(one.beginning("x").unwrap(), Vec::<String>::new());
        let mut other = of(&[]);
        other.load(&list);
        assert_eq!(other.beginning("g").unwrap(), ["größe"]);
        let many: Vec<String> = (0..300).map(|n| format!("w{n}")).collect();
        many.iter().for_each(|word| other.note(word));
        assert_eq!(other.beginning("w"), None, "too many to look for each");
        assert_eq!(other.beginning("w29").unwrap().len(), 11);
    }

    #[test]
    fn what_somebody_may_have_meant_is_near_and_common() {
        let words = of(&["meeting", "meeting", "melting", "greeting", "invoice", "invoices", "cat"]);
        assert_eq!(words.similar("meetnig", 3), ["meeting"]);
        assert_eq!(words.similar("meting", 3), ["meeting", "melting"]);
        assert_eq!(words.similar("mekting", 3), ["meeting", "melting"]);
        assert_eq!(words.similar("invoicces", 3), ["invoices", "invoice"]);
        assert!(words.similar("cta", 3).is_empty(), "too short to guess");
        assert!(words.similar("meeting", 3).iter().all(|word| word != "meeting"));
    }

    #[test]
    fn lists_are_joined_and_thinned() {
        let (one, other) = (of(&["a", "b", "b", "cc"]).recent(), of(&["b", "d", "größe"]).recent());
        let joined = join(&[one, other]);
        let all: Vec<(String, u32)> = Words::new(&joined).collect();
        let expected = [("a", 1), ("b", 3), ("cc", 1), ("d", 1), ("größe", 1)];
        assert_eq!(all, expected.map(|(word, count)| (word.to_owned(), count)));
        let thinned = retain(&joined, |word| word != "b" && word != "größe");
        assert_eq!(Words::new(&thinned).map(|(word, _)| word).collect::<Vec<_>>(), ["a", "cc", "d"]);
        for end in 0..joined.len() {
            assert!(Words::new(&joined[..end]).count() <= 5);
        }
    }

    #[test]
    fn numbers_of_files_are_no_words() {
        let words = of(&["3f9a0b7c6d5e4f3a2b1c", "2026", "donaudampfschifffahrt"]);
        assert!(words.beginning("3f").unwrap().is_empty());
        assert_eq!(words.beginning("20").unwrap().len() + words.beginning("don").unwrap().len(), 2);
    }
}
