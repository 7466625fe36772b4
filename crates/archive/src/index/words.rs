//! From text to tokens.

use std::collections::HashMap;

use minidom::Element;
use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use vault::{Blind, Blinder};

/// Words whose tokens are remembered, in each of two generations.
const GENERATION: usize = 32_768;
/// Longer words are cut; nobody types them into a search box.
const LONGEST: usize = 64;

/// Turns words into tokens, and remembers the common ones.
pub(crate) struct Vocabulary {
    blinder: Blinder,
    stemmer: Stemmer,
    young: HashMap<Box<str>, u64>,
    old: HashMap<Box<str>, u64>,
    word: String,
}

impl Vocabulary {
    pub(crate) fn new(blinder: Blinder) -> Self {
        Self {
            blinder,
            stemmer: stemmer(),
            young: HashMap::new(),
            old: HashMap::new(),
            word: String::with_capacity(LONGEST),
        }
    }

    /// Appends the tokens of a text's words.
    pub(crate) fn tokens(&mut self, text: &str, out: &mut Vec<u64>) {
        let mut word = std::mem::take(&mut self.word);
        each_word(text, &mut word, |word| out.push(self.token(word)));
        self.word = word;
    }

    fn token(&mut self, word: &str) -> u64 {
        if let Some(token) = self.young.get(word) {
            return *token;
        }
        let token = match self.old.get(word) {
            Some(token) => *token,
            None => word_token(&self.blinder, &self.stemmer.stem(word)),
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(word.into(), token);
        token
    }
}

/// The token of a tag, so that an archive's own events are found without looking at others'.
pub(crate) fn tag_token(tag: &Blind) -> u64 {
    tag.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The token of a stem.
pub(crate) fn word_token(blinder: &Blinder, stem: &str) -> u64 {
    tag_token(&blinder.blind("word", &[stem.as_bytes()]))
}

/// A text's words as search compares them: normalised and stemmed.
pub(crate) fn stems(text: &str) -> Vec<String> {
    let stemmer = stemmer();
    let mut stems = Vec::new();
    each_word(text, &mut String::new(), |word| stems.push(stemmer.stem(word).into_owned()));
    stems
}

/// What people read in a stanza: subject and body.
pub(crate) fn readable(stanza: &[u8]) -> String {
    let Some(root) = std::str::from_utf8(stanza).ok().and_then(|xml| xml.parse::<Element>().ok()) else {
        return String::new();
    };
    let readable = root.children().filter(|child| matches!(child.name(), "subject" | "body"));
    readable.map(Element::text).collect::<Vec<_>>().join("\n")
}

/// English rules do little harm to other languages, since texts and questions go through the same.
fn stemmer() -> Stemmer {
    Stemmer::create(Algorithm::English)
}

/// Letters and digits that stand together, in lower case and compatibility form. Scripts that write no spaces give a
/// word for each character.
fn each_word(text: &str, word: &mut String, mut with: impl FnMut(&str)) {
    word.clear();
    if text.is_ascii() {
        for part in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
            word.clear();
            word.push_str(&part[..part.len().min(LONGEST)]);
            word.make_ascii_lowercase();
            with(word);
        }
        return;
    }
    for letter in text.nfkc().flat_map(char::to_lowercase) {
        if is_ideograph(letter) {
            flush(word, &mut with);
            word.push(letter);
            flush(word, &mut with);
        } else if letter.is_alphanumeric() || (is_combining_mark(letter) && !word.is_empty()) {
            if word.len() + letter.len_utf8() <= LONGEST {
                word.push(letter);
            }
        } else {
            flush(word, &mut with);
        }
    }
    flush(word, &mut with);
}

fn flush(word: &mut String, with: &mut impl FnMut(&str)) {
    if !word.is_empty() {
        with(word);
        word.clear();
    }
}

fn is_ideograph(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}'         // Thai, Lao
        | '\u{1000}'..='\u{109f}'       // Myanmar
        | '\u{1780}'..='\u{17ff}'       // Khmer
        | '\u{3040}'..='\u{30ff}'       // Hiragana, Katakana
        | '\u{3400}'..='\u{4dbf}'       // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_form_or_inflection() {
        assert_eq!(stems("Meetings MEETING meeting's"), ["meet", "meet", "meet", "s"]);
        assert_eq!(stems("ｆｕｌｌ ﬁne"), ["full", "fine"]);
        assert_eq!(stems("Müller, größe; 3.14!"), ["müller", "größe", "3", "14"]);
        assert_eq!(stems("Mu\u{308}ller"), ["müller"]);
        assert_eq!(stems("會議 at 九"), ["會", "議", "at", "九"]);
        assert_eq!(stems(" … ,"), Vec::<String>::new());
    }

    #[test]
    fn a_word_is_the_same_in_a_text_of_one_alphabet_or_two() {
        let plain = stems("don't re-send 10_000 e.g. A1");
        let mixed = stems("don't re-send 10_000 e.g. A1 é");
        assert_eq!(plain, mixed[..plain.len()]);
    }

    #[test]
    fn a_long_word_is_cut_alike_everywhere() {
        let long = "a".repeat(100);
        assert_eq!(stems(&long)[0].len(), LONGEST);
        assert_eq!(stems(&format!("{long} é"))[0], stems(&long)[0]);
    }
}
