//! One entry of a list.

use crate::words::{Stems, Words, is_invisible};

/// A word or phrase, and how it is compared. Case and accents never count unless `exact` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// One word or several that follow one another.
    pub text: String,
    /// What it stands for.
    pub how: How,
    /// It must be written just so, with its case and accents.
    pub exact: bool,
}

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The word itself.
    Word,
    /// All words of the same stem: inflections.
    Stem,
    /// All words that begin so.
    Prefix,
    /// The letters wherever they are, also inside of words.
    Anywhere,
}

impl Entry {
    /// Reads the short form: `word or phrase`, `begin*`, `*inside*`, `~stem`, and `=Exactly` with its case.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (text, exact) = match text.strip_prefix('=') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (text, how) = if let Some(rest) = text.strip_prefix('~') {
            (rest, How::Stem)
        } else if let Some(rest) = text.strip_prefix('*') {
            (rest.strip_suffix('*').unwrap_or(rest), How::Anywhere)
        } else if let Some(rest) = text.strip_suffix('*') {
            (rest, How::Prefix)
        } else {
            (text, How::Word)
        };
        Self { text: text.trim().to_owned(), how, exact }
    }

    /// Whether there is a letter or digit in it.
    pub fn has_word(&self) -> bool {
        Words::of(&self.text).folded() != " "
    }

    /// What to look for among folded words; `None` if there is no word in it.
    pub(super) fn pattern(&self, stems: &Stems) -> Option<String> {
        let words = Words::of(&self.text);
        let words = if self.how == How::Stem { words.stemmed(stems) } else { words };
        let inner = words.folded().trim();
        if inner.is_empty() {
            return None;
        }
        Some(match self.how {
            How::Word | How::Stem => format!(" {inner} "),
            How::Prefix => format!(" {inner}"),
            How::Anywhere => inner.to_owned(),
        })
    }
}

/// Whether two texts are the same words, written in the same way.
pub(super) fn same_words(one: &str, other: &str) -> bool {
    one == other || words(one) == words(other)
}

fn words(text: &str) -> Vec<String> {
    let shown: String = text.chars().filter(|letter| !is_invisible(*letter)).collect();
    let words = shown.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}
