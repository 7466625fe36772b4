//! Runs of letters and digits, and the groups that they form with single separators between them.

use std::ops::Range;

/// A run of ASCII letters and digits, as long as it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Nothing but digits.
    pub(super) digits: bool,
}

impl Token {
    pub(super) fn len(self) -> usize {
        self.end - self.start
    }
}

/// The tokens of a text.
pub(super) struct Tokens<'a> {
    text: &'a [u8],
    all: Vec<Token>,
}

/// Letters and digits of a number, without its separators.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    bytes: [u8; 34],
    len: usize,
}

impl Number {
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// As they were written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The values of digits. Letters, which no caller has among them, count as zero.
    pub(super) fn digits(&self) -> ([u8; 34], usize) {
        (self.bytes.map(|byte| byte.wrapping_sub(b'0') % 10), self.len)
    }
}

impl<'a> Tokens<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let text = text.as_bytes();
        let mut all = Vec::new();
        let mut at = 0;
        while let Some(skip) = text[at..].iter().position(u8::is_ascii_alphanumeric) {
            let start = at + skip;
            let length = text[start..].iter().position(|byte| !byte.is_ascii_alphanumeric());
            let end = length.map_or(text.len(), |length| start + length);
            all.push(Token { start, end, digits: text[start..end].iter().all(u8::is_ascii_digit) });
            at = end;
        }
        Self { text, all }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn token(&self, at: usize) -> Option<Token> {
        self.all.get(at).copied()
    }

    /// The bytes of a range.
    pub(super) fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.text.get(range).unwrap_or_default()
    }

    /// The one byte between a token and the next, if it is only one.
    pub(super) fn separator(&self, at: usize) -> Option<u8> {
        let (one, next) = (self.all.get(at)?, self.all.get(at + 1)?);
        (next.start == one.end + 1).then(|| self.text[one.end])
    }

    /// Tokens from `at` on whose lengths are `groups`, each parted from the next by one of `separators`.
    pub(super) fn gather(
        &self,
        at: usize,
        groups: &[usize],
        separators: &[u8],
    ) -> Option<(Range<usize>, Number)> {
        let mut number = Number { bytes: [b'0'; 34], len: 0 };
        for (step, length) in groups.iter().enumerate() {
            let token = self.token(at + step)?;
            if token.len() != *length {
                return None;
            }
            if step > 0 && !separators.contains(&self.separator(at + step - 1)?) {
                return None;
            }
            number.push(self.slice(token.start..token.end))?;
        }
        let last = self.token(at + groups.len().checked_sub(1)?)?;
        Some((self.token(at)?.start..last.end, number))
    }

    /// Whether the `count` tokens from `at` on stand alone: they are no part of a longer number, a telephone number, a
    /// decimal fraction or a UUID.
    pub(super) fn stands_alone(&self, at: usize, count: usize) -> bool {
        let Some(first) = self.token(at) else { return false };
        if first.start > 0 && self.text[first.start - 1] == b'+' {
            return false;
        }
        let grouped_by_space = count > 1 && self.separator(at) == Some(b' ');
        if let Some(before) = at.checked_sub(1)
            && let (Some(token), Some(separator)) = (self.token(before), self.separator(before))
        {
            // +49 and a long number without gaps.
            if separator == b' ' && token.digits && token.start > 0 && self.text[token.start - 1] == b'+' {
                return false;
            }
            if self.is_joined(token, separator) || (grouped_by_space && separator == b' ' && is_group(token))
            {
                return false;
            }
        }
        let last = at + count - 1;
        if let (Some(token), Some(separator)) = (self.token(last + 1), self.separator(last)) {
            if self.is_joined(token, separator) {
                return false;
            }
            // A month and year of expiry may follow a card.
            if grouped_by_space && separator == b' ' && is_group(token) && !self.is_month_and_year(last + 1) {
                return false;
            }
        }
        true
    }

    /// Whether more digits stand before a token, with a space between, as in telephone numbers.
    pub(super) fn follows_digits(&self, at: usize) -> bool {
        let before = at.checked_sub(1);
        before.is_some_and(|before| {
            self.separator(before) == Some(b' ') && self.token(before).is_some_and(|token| token.digits)
        })
    }

    /// Whether a separator makes its two sides one thing.
    fn is_joined(&self, neighbour: Token, separator: u8) -> bool {
        let bytes = self.slice(neighbour.start..neighbour.end);
        match separator {
            b'-' | b'_' => bytes.iter().any(u8::is_ascii_digit) || bytes.iter().all(u8::is_ascii_hexdigit),
            b'.' | b',' | b'/' => neighbour.digits,
            _ => false,
        }
    }

    fn is_month_and_year(&self, at: usize) -> bool {
        let Some(token) = self.token(at) else { return false };
        let month = self.slice(token.start..token.start + 2);
        (b"01".as_slice()..=b"12".as_slice()).contains(&month)
            && !self.token(at + 1).is_some_and(|next| self.separator(at) == Some(b' ') && is_group(next))
    }

    /// Whether one of `words` stands shortly before a place.
    pub(super) fn follows_word(&self, place: usize, words: &[&str]) -> bool {
        const REACH: usize = 48;
        let before = self.slice(place.saturating_sub(REACH)..place).to_ascii_lowercase();
        words.iter().any(|word| before.windows(word.len()).any(|window| window == word.as_bytes()))
    }
}

fn is_group(token: Token) -> bool {
    token.digits && token.len() == 4
}
