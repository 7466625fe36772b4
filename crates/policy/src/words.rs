//! When two words are the same. Search, lists and rules all ask here: [`fold`] and [`stem`].
//!
//! [`Words`] are a text as lists of words see it: letters and digits that stand together, without case, accents and typographic forms. Scripts that write no
//! spaces give a word for each character. Invisible characters are skipped, so that nobody hides a word with them.

use std::borrow::Cow;
use std::ops::Range;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A text's words: folded, with one space before, between and after them, and the way back to the text.
///
/// The spaces make whole words, prefixes and phrases plain substrings.
#[derive(Debug, Clone, Default)]
pub struct Words {
    folded: String,
    /// For each byte of `folded`, the part of the text that it comes from.
    source: Vec<(u32, u32)>,
}

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Self {
        let mut words = Self {
            folded: String::with_capacity(text.len() + 2),
            source: Vec::with_capacity(text.len() + 2),
        };
        words.space(0);
        if text.is_ascii() {
            words.read_ascii(text);
        } else {
            words.read(text);
        }
        words.space(text.len());
        words
    }

    /// ` like this `. A single space if there are no words.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// What a range of [`Words::folded`] comes from, without the spaces at its ends.
    pub fn source(&self, range: Range<usize>) -> Range<usize> {
        let within = self.folded.get(range.clone()).unwrap_or_default();
        let start = range.start + (within.len() - within.trim_start().len());
        let end = range.end - (within.len() - within.trim_end().len());
        match (self.source.get(start), self.source.get(end.wrapping_sub(1))) {
            (Some((from, _)), Some((_, to))) if start < end => *from as usize..*to as usize,
            _ => 0..0,
        }
    }

    /// The same with each word reduced to its stem.
    pub fn stemmed(&self, stems: &Stems) -> Self {
        let mut words = Self {
            folded: String::with_capacity(self.folded.len()),
            source: Vec::with_capacity(self.source.len()),
        };
        words.space(0);
        let mut at = 1;
        for word in self.folded.trim().split(' ').filter(|word| !word.is_empty()) {
            let from = self.source.get(at).map_or(0, |(from, _)| *from);
            at += word.len() + 1;
            let to = self.source.get(at - 2).map_or(from, |(_, to)| *to);
            let stem = stems.stem(word);
            words.folded.push_str(&stem);
            words.source.resize(words.folded.len(), (from, to));
            words.space(to as usize);
        }
        words
    }

    fn read_ascii(&mut self, text: &str) {
        for (at, byte) in text.bytes().enumerate() {
            if byte.is_ascii_alphanumeric() {
                self.folded.push(byte.to_ascii_lowercase().into());
                self.source.push((at as u32, at as u32 + 1));
            } else {
                self.space(at);
            }
        }
    }

    fn read(&mut self, text: &str) {
        let mut letters = text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            if is_invisible(letter) {
                continue;
            }
            let mut end = at + letter.len_utf8();
            while let Some((mark, next)) = letters.next_if(|(_, next)| is_combining_mark(*next)) {
                end = mark + next.len_utf8();
            }
            // Signs such as ™ are no letters, whatever they consist of.
            if !letter.is_alphanumeric() && !is_combining_mark(letter) {
                self.space(at);
                continue;
            }
            for letter in fold_cluster(&text[at..end]) {
                if stands_alone(letter) {
                    self.space(at);
                    self.push(letter, at..end);
                    self.space(end);
                } else if letter.is_alphanumeric()
                    || (is_combining_mark(letter) && !self.folded.ends_with(' '))
                {
                    self.push(letter, at..end);
                } else {
                    self.space(at);
                }
            }
        }
    }

    fn push(&mut self, letter: char, from: Range<usize>) {
        self.folded.push(letter);
        self.source.resize(self.folded.len(), (from.start as u32, from.end as u32));
    }

    fn space(&mut self, at: usize) {
        if !self.folded.ends_with(' ') {
            self.folded.push(' ');
            self.source.push((at as u32, at as u32));
        }
    }
}

/// Reduces words to their stems.
pub struct Stems(Stemmer);

impl Default for Stems {
    fn default() -> Self {
        Self(stemmer())
    }
}

impl Stems {
    /// The stem of a folded word.
    pub fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        stem(&self.0, word)
    }
}

/// English rules do little harm to other languages, since both sides of a comparison go through the same.
pub fn stemmer() -> Stemmer {
    Stemmer::create(Algorithm::English)
}

/// The stem of a folded word.
pub fn stem<'a>(stemmer: &Stemmer, word: &'a str) -> Cow<'a, str> {
    if word.is_ascii() { stemmer.stem(word) } else { word.into() }
}

impl std::fmt::Debug for Stems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stems")
    }
}

/// A text in lower case, without accents and compatibility forms.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut letters = text.char_indices().peekable();
    while let Some((start, letter)) = letters.next() {
        let mut end = start + letter.len_utf8();
        while let Some((at, mark)) = letters.next_if(|(_, next)| is_combining_mark(*next)) {
            end = at + mark.len_utf8();
        }
        folded.extend(fold_cluster(&text[start..end]));
    }
    folded
}

/// What a character with its marks is compared as: lower case, compatibility form, no accents.
pub fn fold_cluster(cluster: &str) -> impl Iterator<Item = char> {
    let plain = cluster.nfkd().flat_map(char::to_lowercase).filter(|letter| !is_accent(*letter));
    plain.flat_map(|letter| spelled(letter).chars().chain(spelled(letter).is_empty().then_some(letter))).nfc()
}

/// Letters whose mark does not come off, ligatures, and the form that a letter has at the end of a word.
fn spelled(letter: char) -> &'static str {
    match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ς' => "σ",
        _ => "",
    }
}

/// Marks without which a word is still the same to who searches. In the scripts of India and the like they are vowels.
pub fn is_accent(letter: char) -> bool {
    matches!(letter,
        '\u{0300}'..='\u{036f}'             // Latin, Greek, Cyrillic
        | '\u{0591}'..='\u{05bd}' | '\u{05bf}' | '\u{05c1}'..='\u{05c2}' | '\u{05c4}'..='\u{05c5}' | '\u{05c7}' // Hebrew
        | '\u{064b}'..='\u{065f}' | '\u{0670}' // Arabic
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}')
}

/// Whether a character is a word by itself, because its script writes no spaces.
pub fn stands_alone(letter: char) -> bool {
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

/// Soft hyphens, joiners, directional and other marks that show nothing.
pub fn is_invisible(letter: char) -> bool {
    matches!(letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        Words::of(text).folded().trim().to_owned()
    }

    #[test]
    fn case_accents_and_typographic_forms_do_not_count() {
        assert_eq!(folded("Müller, GRÖSSE größe; 3.14!"), "muller grosse grosse 3 14");
        assert_eq!(folded("Mu\u{308}ller"), "muller");
        assert_eq!(folded("ｆｕｌｌ ﬁne Łódź Ærø"), "full fine lodz aero");
        assert_eq!(folded("ΟΔΟΣ οδός İstanbul"), "οδοσ οδοσ istanbul");
        assert_eq!(folded("se\u{ad}cr\u{200b}et"), "secret");
        assert_eq!(folded("Acme™ 🄰cme"), "acme acme");
        assert_eq!(folded("हिन्दी"), "हिन्दी");
        assert_eq!(folded("會議 at 九 がぎ 한국어"), "會 議 at 九 が ぎ 한국어");
        assert_eq!(folded(" … ,"), "");
    }

    #[test]
    fn a_match_leads_back_to_what_was_written() {
        for text in ["Say: größe NOW", "say: grosse now", "＂größe＂"] {
            let words = Words::of(text);
            let at = words.folded().find(" grosse ").unwrap();
            let source = words.source(at..at + " grosse ".len());
            assert!(["größe", "grosse"].contains(&&text[source]), "{text}");
        }
    }

    #[test]
    fn stems_lead_back_to_the_whole_word() {
        let text = "The MEETINGS, today";
        let stemmed = Words::of(text).stemmed(&Stems::default());
        let at = stemmed.folded().find(" meet ").unwrap();
        assert_eq!(&text[stemmed.source(at..at + 6)], "MEETINGS");
    }

    proptest! {
        #[test]
        fn every_text_has_words_and_every_word_a_source(text in "\\PC{0,60}") {
            let words = Words::of(&text);
            prop_assert!(words.folded().starts_with(' ') && words.folded().ends_with(' '));
            prop_assert!(!words.folded().contains("  "));
            let mut at = 0;
            for word in words.folded().split_inclusive(' ') {
                let source = words.source(at..at + word.len());
                prop_assert!(text.get(source).is_some());
                at += word.len();
            }
            let stemmed = words.stemmed(&Stems::default());
            prop_assert!(text.get(stemmed.source(0..stemmed.folded().len())).is_some());
        }
    }
}
