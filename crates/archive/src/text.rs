//! From text to words, as search compares them: without case, accents or compatibility forms, whole and in parts.
//!
//! Words form a small graph. Each takes one or more *places*: `e-mail` is `e` and `mail` at two places, and `email` over
//! both of them. Scripts that write no spaces give, at each character, a word of it and the next.

use std::ops::Range;

pub(crate) use policy::words::{fold, stem, stemmer};
use policy::words::{fold_cluster, is_accent};
use unicode_normalization::char::is_combining_mark;

/// Longer words are cut, in bytes; nobody types them into a search box.
pub(crate) const LONGEST: usize = 64;

/// A word of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// Folded, not stemmed.
    pub(crate) text: &'a str,
    /// Where it stands, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Its first place.
    pub(crate) at: u32,
    /// How many places it takes.
    pub(crate) span: u32,
    /// Characters of a script that writes no spaces.
    pub(crate) gram: bool,
}

/// Scripts that write no spaces between words, or hang so much on a word that its parts are what one looks for.
fn is_gram(letter: char) -> bool {
    matches!(letter,
        '\u{0e00}'..='\u{0eff}'         // Thai, Lao
        | '\u{1000}'..='\u{109f}'       // Myanmar
        | '\u{1780}'..='\u{17ff}'       // Khmer
        | '\u{3005}'..='\u{3007}'
        | '\u{3040}'..='\u{30ff}'       // Hiragana, Katakana
        | '\u{3400}'..='\u{4dbf}'       // Han
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'       // Hangul
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

/// Pictures that people search for as they do for words.
fn is_picture(letter: char) -> bool {
    matches!(letter, '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}')
}

/// What changes a picture's look and not what it shows.
fn is_variant(letter: char) -> bool {
    matches!(letter, '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Calls `with` for every word of a text.
pub(crate) fn each_word(text: &str, with: impl FnMut(Word<'_>)) {
    let mut splitter = Splitter::new(with);
    if text.is_ascii() {
        for (at, byte) in text.bytes().enumerate() {
            splitter.ascii(byte, at);
        }
    } else {
        let mut letters = text.char_indices().peekable();
        while let Some((start, letter)) = letters.next() {
            let mut end = start + letter.len_utf8();
            let is_base = letter.is_alphanumeric();
            while let Some((at, mark)) = letters.next_if(|(_, next)| is_base && is_combining_mark(*next)) {
                end = at + mark.len_utf8();
            }
            match letter.is_ascii() && end == start + 1 {
                true => splitter.ascii(letter as u8, start),
                false => splitter.cluster(letter, &text[start..end], start..end),
            }
        }
    }
    splitter.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Lower,
    Upper,
    Digit,
}

/// What stands between a part and the next of the same word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    None,
    /// `-`, `_`, `'`, or the hump of a camel.
    Firm,
    /// `.` or `,` after a digit: joins if a digit follows.
    Digits,
}

struct Splitter<F> {
    with: F,
    /// The next word's place.
    at: u32,
    part: String,
    part_start: usize,
    end: usize,
    class: Class,
    /// Upper-case letters at the part's end, and the last one's beginning in `part` and in the text.
    uppers: u32,
    last: (usize, usize),
    /// The parts so far of a word that has several.
    whole: String,
    whole_start: usize,
    parts: u32,
    joint: Joint,
    /// A character of a script without spaces, and where it stands.
    gram: Option<(char, Range<usize>)>,
}

impl<F> Splitter<F> {
    fn new(with: F) -> Self {
        Self {
            with,
            at: 0,
            part: String::new(),
            part_start: 0,
            end: 0,
            class: Class::Lower,
            uppers: 0,
            last: (0, 0),
            whole: String::new(),
            whole_start: 0,
            parts: 0,
            joint: Joint::None,
            gram: None,
        }
    }
}

impl<F: FnMut(Word<'_>)> Splitter<F> {
    fn ascii(&mut self, byte: u8, at: usize) {
        let class = match byte {
            b'a'..=b'z' => Class::Lower,
            b'A'..=b'Z' => Class::Upper,
            b'0'..=b'9' => Class::Digit,
            _ => return self.other(char::from(byte)),
        };
        self.letter(char::from(byte.to_ascii_lowercase()), class, at..at + 1);
    }

    fn cluster(&mut self, base: char, cluster: &str, range: Range<usize>) {
        if is_variant(base) {
            return;
        }
        if is_picture(base) {
            self.end_word();
            self.end_gram();
            let mut bytes = [0; 4];
            return self.emit(base.encode_utf8(&mut bytes), range, 1, false);
        }
        let class = match base {
            _ if base.is_uppercase() => Class::Upper,
            _ if base.is_numeric() => Class::Digit,
            _ => Class::Lower,
        };
        for letter in fold_cluster(cluster) {
            if is_gram(letter) {
                self.end_word();
                self.ideograph(letter, range.clone());
            } else if letter.is_alphanumeric() || (is_combining_mark(letter) && !self.part.is_empty()) {
                self.letter(letter, class, range.clone());
            } else if !is_accent(letter) {
                self.other(letter);
            }
        }
    }

    fn letter(&mut self, letter: char, class: Class, range: Range<usize>) {
        self.end_gram();
        if !self.part.is_empty() && range.end == self.end {
            // The same letter of the text goes on, written out.
            return self.push(letter);
        }
        if self.part.is_empty() {
            let joined = match self.joint {
                Joint::Firm => true,
                Joint::Digits => class == Class::Digit,
                Joint::None => false,
            };
            if !joined {
                self.end_whole();
            }
            self.part_start = range.start;
        } else if class == Class::Upper && self.class != Class::Upper {
            // theHump
            self.end_part(Joint::Firm);
            self.part_start = range.start;
        } else if class == Class::Lower && self.class == Class::Upper && self.uppers > 1 && self.last.0 > 0 {
            // HTTPServer: the last capital begins the next part.
            let (bytes, start) = self.last;
            let moved = self.part.split_off(bytes);
            let end = std::mem::replace(&mut self.end, start);
            self.end_part(Joint::Firm);
            self.part.push_str(&moved);
            (self.part_start, self.end) = (start, end);
        }
        self.uppers = if class == Class::Upper { self.uppers + 1 } else { 0 };
        self.last = (self.part.len(), range.start);
        self.class = class;
        self.end = range.end;
        self.push(letter);
    }

    fn push(&mut self, letter: char) {
        if self.part.len() + letter.len_utf8() <= LONGEST {
            self.part.push(letter);
        }
    }

    fn other(&mut self, letter: char) {
        self.end_gram();
        if self.part.is_empty() {
            return self.end_whole();
        }
        let joint = match letter {
            '-' | '_' | '\'' | '’' | '\u{2010}' | '\u{2011}' | '\u{ad}' => Joint::Firm,
            '.' | ',' if self.class == Class::Digit => Joint::Digits,
            _ => Joint::None,
        };
        self.end_part(joint);
        if joint == Joint::None {
            self.end_whole();
        }
    }

    fn ideograph(&mut self, letter: char, range: Range<usize>) {
        if let Some((before, place)) = self.gram.take() {
            let pair: String = [before, letter].into_iter().collect();
            self.emit(&pair, place.start..range.end, 1, true);
        }
        self.gram = Some((letter, range));
    }

    fn finish(&mut self) {
        self.end_word();
        self.end_gram();
    }

    fn end_gram(&mut self) {
        if let Some((letter, place)) = self.gram.take() {
            let mut bytes = [0; 4];
            self.emit(letter.encode_utf8(&mut bytes), place, 1, true);
        }
    }

    fn end_word(&mut self) {
        self.end_part(Joint::None);
        self.end_whole();
    }

    fn end_part(&mut self, joint: Joint) {
        self.joint = joint;
        self.uppers = 0;
        if self.part.is_empty() {
            return;
        }
        if self.parts == 0 {
            self.whole_start = self.part_start;
        }
        self.parts += 1;
        if self.whole.len() + self.part.len() <= LONGEST {
            self.whole.push_str(&self.part);
        }
        let part = std::mem::take(&mut self.part);
        self.emit(&part, self.part_start..self.end, 1, false);
        self.part = part;
        self.part.clear();
    }

    fn end_whole(&mut self) {
        if self.parts > 1 {
            let whole = std::mem::take(&mut self.whole);
            (self.with)(Word {
                text: &whole,
                start: self.whole_start,
                end: self.end,
                at: self.at - self.parts,
                span: self.parts,
                gram: false,
            });
            self.whole = whole;
        }
        self.whole.clear();
        self.parts = 0;
        self.joint = Joint::None;
    }

    fn emit(&mut self, text: &str, range: Range<usize>, span: u32, gram: bool) {
        (self.with)(Word { text, start: range.start, end: range.end, at: self.at, span, gram });
        self.at += span;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, |word| words.push(format!("{}@{}+{}", word.text, word.at, word.span)));
        words
    }

    fn plain(text: &str) -> Vec<String> {
        let mut words = Vec::new();
        each_word(text, |word| words.push(word.text.to_owned()));
        words
    }

    #[test]
    fn case_accents_and_forms_do_not_count() {
        assert_eq!(
            plain("Ærøskøbing Größe MÜLLER Mu\u{308}ller ｆｕｌｌ ﬁne Łódź"),
            ["aeroskobing", "grosse", "muller", "muller", "full", "fine", "lodz"]
        );
        assert_eq!(plain("Ёлка ελληνικά"), ["елка", "ελληνικα"]);
        assert_eq!(fold("Élan Größe"), "elan grosse");
        assert_eq!(plain(" … ,?!"), Vec::<String>::new());
    }

    #[test]
    fn a_word_of_parts_is_there_whole_and_in_parts() {
        assert_eq!(words("e-mail now"), ["e@0+1", "mail@1+1", "email@0+2", "now@2+1"]);
        assert_eq!(
            plain("camelCase HTTPServer iOS17 snake_case"),
            [
                "camel",
                "case",
                "camelcase",
                "http",
                "server",
                "httpserver",
                "i",
                "os17",
                "ios17",
                "snake",
                "case",
                "snakecase"
            ]
        );
        assert_eq!(
            plain("10,000 3.14 a.b v1.2"),
            ["10", "000", "10000", "3", "14", "314", "a", "b", "v1", "2", "v12"]
        );
        assert_eq!(plain("don't -x- end-"), ["don", "t", "dont", "x", "end"]);
    }

    #[test]
    fn an_address_is_found_by_its_parts() {
        assert_eq!(
            plain("https://a.example/path/file-1.pdf"),
            ["https", "a", "example", "path", "file", "1", "file1", "pdf"]
        );
    }

    #[test]
    fn scripts_without_spaces_give_pairs() {
        assert_eq!(words("會議室 at 九"), ["會議@0+1", "議室@1+1", "室@2+1", "at@3+1", "九@4+1"]);
        assert_eq!(plain("東京2024年"), ["東京", "京", "2024", "年"]);
    }

    #[test]
    fn pictures_are_words() {
        assert_eq!(plain("ok👍🏽!"), ["ok", "👍"]);
    }

    #[test]
    fn ranges_say_where_a_word_stands_in_the_text() {
        let text = "Die Größe: HTTPServer, e-Mail 會議";
        each_word(text, |word| {
            let there = &text[word.start..word.end];
            let folded: String = fold(there).chars().filter(|letter| letter.is_alphanumeric()).collect();
            assert_eq!(folded, word.text);
        });
    }

    #[test]
    fn a_long_word_is_cut_alike_everywhere() {
        let long = "a".repeat(100);
        assert_eq!(plain(&long)[0].len(), LONGEST);
        assert_eq!(plain(&format!("{long} é"))[0], plain(&long)[0]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_words_in_order_within_it(text in "\\PC{0,80}") {
            let mut last = 0;
            each_word(&text, |word| {
                assert!(word.start < word.end && text.get(word.start..word.end).is_some());
                assert!(word.at >= last || word.span > 1);
                last = last.max(word.at);
            });
        }
    }
}
