//! A text as detectors read it: digits, letters and separators in their plainest form.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use crate::words::is_invisible;

/// A text with the forms of digits, spaces and dashes made one, and the way back.
pub(super) struct Plain<'a> {
    text: Cow<'a, str>,
    /// For each byte, the part of the text that it comes from; empty where nothing was changed.
    source: Vec<(u32, u32)>,
}

impl<'a> Plain<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if text.is_ascii() {
            return Self { text: text.into(), source: Vec::new() };
        }
        let mut plain = String::with_capacity(text.len());
        let mut source = Vec::with_capacity(text.len());
        for (at, letter) in text.char_indices() {
            let end = at + letter.len_utf8();
            match letter {
                letter if letter.is_ascii() => plain.push(letter),
                letter if is_invisible(letter) => {}
                '\u{2010}'..='\u{2015}' | '\u{2212}' => plain.push('-'),
                letter if letter.is_whitespace() => plain.push(' '),
                letter => plain.extend(std::iter::once(letter).nfkc()),
            }
            source.resize(plain.len(), (at as u32, end as u32));
        }
        Self { text: plain.into(), source }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What a range of the plain text comes from.
    pub(super) fn source(&self, range: Range<usize>) -> Range<usize> {
        match (self.source.get(range.start), self.source.get(range.end.wrapping_sub(1))) {
            (Some((from, _)), Some((_, to))) => *from as usize..*to as usize,
            _ => range,
        }
    }
}
