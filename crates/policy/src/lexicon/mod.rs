//! Lists of words and patterns, looked for all at once.
//!
//! However many lists there are, a text is read once for the words and once for the patterns. Results say which list,
//! which of its entries, and where.

mod entry;
mod patterns;

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};

pub use self::entry::{Entry, How};
pub use self::patterns::{PatternError, Patterns};
use crate::words::{Stems, Words};

/// Entries that all lists together may have.
pub const MOST_ENTRIES: usize = 200_000;

/// Lists of words, compiled.
#[derive(Debug, Default)]
pub struct Lexicons {
    lists: Vec<String>,
    /// Words, prefixes and phrases as they are written.
    plain: Option<Machine>,
    /// The same for entries that are compared by their stems.
    stemmed: Option<Machine>,
    stems: Stems,
}

/// An automaton, and what its patterns mean.
#[derive(Debug)]
struct Machine {
    automaton: AhoCorasick,
    rules: Vec<Meaning>,
}

#[derive(Debug)]
struct Meaning {
    list: u32,
    entry: u32,
    /// The words as they must be written, where that counts.
    exact: Option<Box<str>>,
}

/// An entry of a list that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Which list, by its place among them.
    pub list: usize,
    /// Which of its entries, by its place in it.
    pub entry: usize,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
}

/// Lists that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LexiconError {
    /// More than [`MOST_ENTRIES`].
    #[error("all lists together may have {MOST_ENTRIES} entries, and these have {0}")]
    TooMany(usize),
    /// An entry has no letter or digit in it.
    #[error("the entry {entry} of the list {list} has no letter or digit in it")]
    Empty {
        /// The list.
        list: String,
        /// The entry's place in it, from 1.
        entry: usize,
    },
    /// The automaton would be too large.
    #[error("these lists are too large: {0}")]
    TooLarge(String),
}

impl Lexicons {
    /// Compiles lists, each with its name.
    ///
    /// # Errors
    /// When one entry has no word in it, or when there are too many.
    pub fn compile(lists: &[(String, Vec<Entry>)]) -> Result<Self, LexiconError> {
        let count = lists.iter().map(|(_, entries)| entries.len()).sum();
        if count > MOST_ENTRIES {
            return Err(LexiconError::TooMany(count));
        }
        let stems = Stems::default();
        let (mut plain, mut stemmed) = (Vec::new(), Vec::new());
        for (list, (name, entries)) in lists.iter().enumerate() {
            for (at, entry) in entries.iter().enumerate() {
                let pattern = entry
                    .pattern(&stems)
                    .ok_or_else(|| LexiconError::Empty { list: name.clone(), entry: at + 1 })?;
                let exact = entry.exact.then(|| entry.text.as_str().into());
                let meaning = Meaning { list: list as u32, entry: at as u32, exact };
                match entry.how {
                    How::Stem => stemmed.push((pattern, meaning)),
                    _ => plain.push((pattern, meaning)),
                }
            }
        }
        let lists = lists.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { lists, plain: Machine::build(plain)?, stemmed: Machine::build(stemmed)?, stems })
    }

    /// The names of the lists, in their order.
    pub fn lists(&self) -> &[String] {
        &self.lists
    }

    /// Tells every entry that is in a text, until `with` has had enough. The words are those of `text`.
    pub fn each(&self, text: &str, words: &Words, mut with: impl FnMut(Hit) -> bool) {
        if let Some(plain) = &self.plain
            && !plain.each(text, words, &mut with)
        {
            return;
        }
        if let Some(stemmed) = &self.stemmed {
            stemmed.each(text, &words.stemmed(&self.stems), &mut with);
        }
    }

    /// All entries that are in a text, in the order of the text; at most `limit`.
    pub fn find(&self, text: &str, limit: usize) -> Vec<Hit> {
        let mut hits = Vec::new();
        if limit > 0 {
            self.each(text, &Words::of(text), |hit| {
                hits.push(hit);
                hits.len() < limit
            });
        }
        hits.sort_by_key(|hit| (hit.range.start, hit.range.end, hit.list, hit.entry));
        hits
    }
}

impl Machine {
    fn build(entries: Vec<(String, Meaning)>) -> Result<Option<Self>, LexiconError> {
        if entries.is_empty() {
            return Ok(None);
        }
        let (patterns, rules): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .build(patterns)
            .map_err(|error| LexiconError::TooLarge(error.to_string()))?;
        Ok(Some(Self { automaton, rules }))
    }

    /// Whether it came to the end.
    fn each(&self, text: &str, words: &Words, with: &mut impl FnMut(Hit) -> bool) -> bool {
        for found in self.automaton.find_overlapping_iter(words.folded()) {
            let Some(meaning) = self.rules.get(found.pattern().as_usize()) else { continue };
            let range = words.source(found.range());
            if let Some(exact) = &meaning.exact
                && !text.get(range.clone()).is_some_and(|written| entry::same_words(written, exact))
            {
                continue;
            }
            if !with(Hit { list: meaning.list as usize, entry: meaning.entry as usize, range }) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lexicons(lists: &[(&str, &[&str])]) -> Lexicons {
        let entries = |entries: &[&str]| entries.iter().map(|entry| Entry::parse(entry)).collect();
        let lists: Vec<_> = lists.iter().map(|(name, list)| ((*name).to_owned(), entries(list))).collect();
        Lexicons::compile(&lists).unwrap()
    }

    fn found<'a>(lexicons: &Lexicons, text: &'a str) -> Vec<(usize, usize, &'a str)> {
        let hits = lexicons.find(text, 100);
        hits.into_iter().map(|hit| (hit.list, hit.entry, &text[hit.range])).collect()
    }

    #[test]
    fn words_prefixes_phrases_stems_and_parts_are_found() {
        let lists = lexicons(&[
            ("insider", &["front running", "pump*", "~guarantee", "=NASDAQ", "*burger*"]),
            ("rivals", &["acme"]),
        ]);
        assert_eq!(found(&lists, "Front-Running!"), [(0, 0, "Front-Running")]);
        assert_eq!(found(&lists, "front, running"), [(0, 0, "front, running")]);
        assert_eq!(found(&lists, "a pumping"), [(0, 1, "pump")]);
        assert_eq!(found(&lists, "Guaranteed GUARANTEES"), [(0, 2, "Guaranteed"), (0, 2, "GUARANTEES")]);
        assert_eq!(found(&lists, "Nasdaq NASDAQ"), [(0, 3, "NASDAQ")]);
        assert_eq!(found(&lists, "hamburgers"), [(0, 4, "burger")]);
        assert_eq!(found(&lists, "ÁCMÉ"), [(1, 0, "ÁCMÉ")]);
        assert_eq!(found(&lists, "confront running acmes trump unguarded"), []);
    }

    #[test]
    fn scripts_without_spaces_are_searched_for_phrases() {
        let lists = lexicons(&[("secret", &["機密"])]);
        assert_eq!(found(&lists, "これは機密です"), [(0, 0, "機密")]);
        assert_eq!(found(&lists, "密機"), []);
    }

    #[test]
    fn entries_that_overlap_are_all_found() {
        let lists = lexicons(&[("one", &["bank", "bank account", "account"]), ("two", &["bank"])]);
        let hits = found(&lists, "my bank account");
        assert_eq!(hits, [(0, 0, "bank"), (1, 0, "bank"), (0, 1, "bank account"), (0, 2, "account")]);
    }

    #[test]
    fn an_entry_without_a_word_is_refused() {
        let lists = [("bad".to_owned(), vec![Entry::parse("good"), Entry::parse("…")])];
        let error = Lexicons::compile(&lists).unwrap_err();
        assert_eq!(error, LexiconError::Empty { list: "bad".to_owned(), entry: 2 });
    }

    proptest! {
        #[test]
        fn a_word_is_found_in_whatever_surrounds_it(before in "[ .,;:!?™…«»()/_+😀-]{0,9}", after in "[ .,;:!?™…«»()/_+😀-]{0,9}", upper: bool) {
            let lists = lexicons(&[("list", &["schöne grüße", "other"])]);
            let word = if upper { "SCHONE  GRÜSSE" } else { "schöne grüße" };
            let text = format!("{before}{word}{after}");
            prop_assert_eq!(lists.find(&text, 9).len(), 1);
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}") {
            let lists = lexicons(&[("list", &["a", "e*", "*i*", "~o", "=U"])]);
            for hit in lists.find(&text, 1000) {
                prop_assert!(text.get(hit.range).is_some());
            }
        }
    }
}
