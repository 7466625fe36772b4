//! A question's text in tokens, each with the place where it stands.

use std::ops::Range;

use super::Unreadable;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Or,
    And,
    Not,
    Near(u32),
    Phrase(String),
    Regex(String),
    /// A known key, and its value with the value's place.
    Field(Key, String, Range<usize>),
    Word(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    From,
    To,
    With,
    Dm,
    In,
    Via,
    Before,
    After,
    During,
    Since,
    Until,
    Has,
    Filename,
    Is,
    Thread,
    Label,
}

/// Ours first, then what Slack, Zulip and other people's fingers know.
const KEYS: [(&str, Key); 38] = [
    ("from", Key::From),
    ("to", Key::To),
    ("with", Key::With),
    ("dm", Key::Dm),
    ("in", Key::In),
    ("via", Key::Via),
    ("before", Key::Before),
    ("after", Key::After),
    ("during", Key::During),
    ("on", Key::During),
    ("since", Key::Since),
    ("until", Key::Until),
    ("has", Key::Has),
    ("filename", Key::Filename),
    ("is", Key::Is),
    ("thread", Key::Thread),
    ("label", Key::Label),
    ("sender", Key::From),
    ("by", Key::From),
    ("author", Key::From),
    ("recipient", Key::To),
    ("dm-with", Key::Dm),
    ("pm-with", Key::Dm),
    ("dm-including", Key::With),
    ("channel", Key::In),
    ("stream", Key::In),
    ("room", Key::In),
    ("group", Key::In),
    ("network", Key::Via),
    ("gateway", Key::Via),
    ("older", Key::Before),
    ("newer", Key::After),
    ("date", Key::During),
    ("till", Key::Until),
    ("file", Key::Filename),
    ("topic", Key::Thread),
    ("tag", Key::Label),
    ("labels", Key::Label),
];

/// Words between which `NEAR` without a number holds.
const NEAR: u32 = 8;
/// The farthest that `NEAR` looks.
pub(super) const FARTHEST: u32 = 100;

/// Ends a word that stands in no quotation marks.
pub(super) fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '(' | ')' | '"') || is_curly(letter)
}

/// What keyboards make of a quotation mark.
fn is_curly(letter: char) -> bool {
    matches!(letter, '“' | '”' | '„' | '«' | '»')
}

/// The key before a colon, as it stands in a word: known, or so much like a known one that it can be no word.
pub(super) fn key(word: &str) -> Option<Result<Key, &'static str>> {
    let (name, rest) = word.split_once(':')?;
    let lower = name.to_lowercase();
    if let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == lower) {
        return Some(Ok(*key));
    }
    let letters = lower.bytes().all(|byte| byte.is_ascii_lowercase());
    if rest.starts_with("//") || lower.len() < 4 || !letters {
        return None;
    }
    KEYS.iter().find(|(known, _)| known.len() > 3 && swapped(known, &lower)).map(|(known, _)| Err(*known))
}

/// Whether two words are the same but for one letter that is missing, added or wrong, or two that changed places.
fn swapped(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (one, other) = (&one[same..], &other[same..]);
    match (one, other) {
        ([_, a @ ..], [_, b @ ..]) if a == b => true,
        ([_, a @ ..], b) if a == b => true,
        (a, [_, b @ ..]) if a == b => true,
        ([a, b, x @ ..], [c, d, y @ ..]) => a == d && b == c && x == y,
        _ => false,
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Unreadable> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    while let Some(found) = lexer.next()? {
        tokens.push(found);
    }
    Ok(tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Option<(Token, Range<usize>)>, Unreadable> {
        loop {
            let rest = self.rest();
            let start = self.at;
            let Some(first) = rest.chars().next() else { return Ok(None) };
            self.at += first.len_utf8();
            let token = match first {
                _ if first.is_whitespace() => continue,
                '(' => Token::Open,
                ')' => Token::Close,
                '"' => Token::Phrase(self.quoted(start, |letter| letter == '"')?),
                _ if is_curly(first) => {
                    Token::Phrase(self.quoted(start, |letter| letter == '"' || is_curly(letter))?)
                }
                '-' => match self.rest().chars().next() {
                    Some(next) if !next.is_whitespace() && next != ')' && next != '-' => Token::Not,
                    _ => continue,
                },
                '~' => match self.regex() {
                    Some(source) => Token::Regex(source),
                    None => continue,
                },
                _ => {
                    self.at = start;
                    self.word()?
                }
            };
            return Ok(Some((token, start..self.at)));
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What stands before the closing mark, which is passed over.
    fn quoted(&mut self, start: usize, closes: impl Fn(char) -> bool) -> Result<String, Unreadable> {
        let rest = self.rest();
        let Some(end) = rest.find(closes) else {
            let one = self.text[start..].chars().next().map_or(1, char::len_utf8);
            return Err(Unreadable::new("This quotation mark has no partner.", start..start + one));
        };
        self.at += end + rest[end..].chars().next().map_or(1, char::len_utf8);
        Ok(rest[..end].to_owned())
    }

    /// What stands before the next tilde that has no backslash before it.
    fn regex(&mut self) -> Option<String> {
        let rest = self.rest();
        let mut escaped = false;
        for (at, letter) in rest.char_indices() {
            match letter {
                '~' if !escaped => {
                    self.at += at + 1;
                    return Some(rest[..at].to_owned());
                }
                '\\' => escaped = !escaped,
                _ => escaped = false,
            }
        }
        None
    }

    fn word(&mut self) -> Result<Token, Unreadable> {
        let start = self.at;
        let rest = self.rest();
        let word = &rest[..rest.find(ends_word).unwrap_or(rest.len())];
        self.at += word.len();
        match word {
            "OR" | "|" | "||" => return Ok(Token::Or),
            "AND" | "&" | "&&" => return Ok(Token::And),
            "NOT" => return Ok(Token::Not),
            "NEAR" => return self.near(start),
            _ => {}
        }
        if let Some(number) = word.strip_prefix("NEAR/") {
            return self.distance(number, start..self.at);
        }
        match key(word) {
            Some(Ok(key)) => self.field(key, word, start),
            Some(Err(meant)) => {
                let end = start + word.find(':').unwrap_or(word.len());
                let written = &self.text[start..end];
                Err(Unreadable::new(
                    format!(
                        "There is no `{written}:`; did you mean `{meant}:`? To search for it as a word, put it in quotation marks."
                    ),
                    start..end + 1,
                ))
            }
            None => Ok(Token::Word(word.to_owned())),
        }
    }

    /// `NEAR`, or `NEAR(5)`.
    fn near(&mut self, start: usize) -> Result<Token, Unreadable> {
        let rest = self.rest();
        if !rest.starts_with('(') {
            return Ok(Token::Near(NEAR));
        }
        let Some(end) = rest.find(')') else {
            return Err(Unreadable::new("After NEAR( a number and ) are missing.", start..self.at + 1));
        };
        self.at += end + 1;
        self.distance(rest[1..end].trim(), start..self.at)
    }

    fn distance(&self, number: &str, at: Range<usize>) -> Result<Token, Unreadable> {
        match number.parse() {
            Ok(distance @ 1..=FARTHEST) => Ok(Token::Near(distance)),
            _ => Err(Unreadable::new(format!("NEAR takes a number of words from 1 to {FARTHEST}."), at)),
        }
    }

    fn field(&mut self, key: Key, word: &str, start: usize) -> Result<Token, Unreadable> {
        let value_at = start + word.find(':').map_or(word.len(), |colon| colon + 1);
        let mut value = self.text[value_at..self.at].to_owned();
        let mut place = value_at..self.at;
        if value.is_empty()
            && let Some(mark) = self.rest().chars().next().filter(|mark| *mark == '"' || is_curly(*mark))
        {
            let open = self.at;
            self.at += mark.len_utf8();
            let straight = mark == '"';
            value = self.quoted(open, |letter| letter == '"' || (!straight && is_curly(letter)))?;
            place = open..self.at;
        }
        let value = value.trim_matches(|letter: char| letter.is_whitespace() || letter == ',').to_owned();
        if value.is_empty() {
            let name = &self.text[start..value_at];
            let message = match self.rest().starts_with('(') {
                true => format!("`{name}` takes one value; write `({name}one OR {name}another)`."),
                false => format!("`{name}` needs a value right after the colon."),
            };
            return Err(Unreadable::new(message, start..value_at));
        }
        Ok(Token::Field(key, value, place))
    }
}
