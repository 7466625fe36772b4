//! From tokens to a question.

use std::ops::Range;

use jid::BareJid;
use time::UtcOffset;
use vault::Micros;

use super::dates;
use super::lexer::{self, Key, Token};
use super::question::{Filter, Has, Is, Node, Pattern, Question, Style, Term, When};
use crate::text;

/// In what situation a question is asked.
#[derive(Debug, Clone)]
pub struct Language {
    /// The moment that `today` and the like are counted from.
    pub now: Micros,
    /// The asker's time zone, in which days begin.
    pub offset: UtcOffset,
    /// Who `me` is.
    pub me: Option<BareJid>,
    /// Whether patterns (`~regex~`) are allowed. They read every message in scope, so they are for auditors.
    pub patterns: bool,
}

impl Default for Language {
    fn default() -> Self {
        Self { now: Micros::now(), offset: UtcOffset::UTC, me: None, patterns: false }
    }
}

/// Why a question cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unreadable {
    /// A sentence for who asked.
    pub message: String,
    /// The bytes of the question that it is about.
    pub at: Range<usize>,
}

impl Unreadable {
    pub(super) fn new(message: impl Into<String>, at: Range<usize>) -> Self {
        Self { message: message.into(), at }
    }

    /// The question's line, a line of carets under what this is about, and the message: for a terminal.
    pub fn caret(&self, question: &str) -> String {
        let floor = |at: usize| (0..=at.min(question.len())).rev().find(|at| question.is_char_boundary(*at));
        let (start, end) = (floor(self.at.start).unwrap_or(0), floor(self.at.end).unwrap_or(0));
        let line_start = question[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = question[start..].find('\n').map_or(question.len(), |at| start + at);
        let printable = |text: &str| -> String {
            text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
        };
        let line = printable(&question[line_start..line_end]);
        let indent = question[line_start..start].chars().count();
        let carets = question[start..end.clamp(start, line_end)].chars().count().max(1);
        format!("{line}\n{}{}\n{}", " ".repeat(indent), "^".repeat(carets), self.message)
    }
}

/// Bytes in a question.
const LONGEST: usize = 4096;
/// Groups within groups.
const DEEPEST: usize = 32;
/// Words and conditions.
const MOST: usize = 256;
/// Memory that a pattern's program may take, in bytes.
const PATTERN_SIZE: usize = 256 * 1024;

impl Question {
    /// Reads a question; the language is in `docs/search.md`. An empty one is answered by every message.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub fn parse(text: &str, language: &Language) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable::new(
                format!("A question has at most {LONGEST} bytes."),
                LONGEST..text.len(),
            ));
        }
        let tokens = lexer::tokens(text)?;
        if tokens.len() > MOST {
            let at = tokens[MOST].1.clone();
            return Err(Unreadable::new(format!("A question has at most {MOST} words and conditions."), at));
        }
        let mut parser = Parser { language, tokens, next: 0, depth: 0, end: text.len() };
        let root = parser.either()?;
        match parser.peek() {
            Some((Token::Close, at)) => {
                Err(Unreadable::new("This parenthesis was never opened.", at.clone()))
            }
            Some((_, at)) => Err(Unreadable::new("This is not understood here.", at.clone())),
            None => Ok(Self { root }),
        }
    }
}

struct Parser<'a> {
    language: &'a Language,
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    depth: usize,
    end: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&(Token, Range<usize>)> {
        self.tokens.get(self.next)
    }

    fn take(&mut self) -> Option<(Token, Range<usize>)> {
        let token = self.tokens.get(self.next).cloned();
        self.next += usize::from(token.is_some());
        token
    }

    fn takes(&mut self, wanted: &Token) -> Option<Range<usize>> {
        let at = self.peek().filter(|(token, _)| token == wanted)?.1.clone();
        self.next += 1;
        Some(at)
    }

    /// Alternatives, with OR between them.
    fn either(&mut self) -> Result<Node, Unreadable> {
        let mut alternatives = vec![self.together()?];
        while let Some(at) = self.takes(&Token::Or) {
            let last = alternatives.last();
            if last == Some(&Node::And(Vec::new())) {
                return Err(Unreadable::new("Something is missing before OR.", at));
            }
            let alternative = self.together()?;
            if alternative == Node::And(Vec::new()) {
                return Err(Unreadable::new("Something is missing after OR.", at));
            }
            alternatives.push(alternative);
        }
        Ok(Node::any(alternatives))
    }

    /// Conditions side by side; AND between them is allowed and changes nothing.
    fn together(&mut self) -> Result<Node, Unreadable> {
        let mut conditions = Vec::new();
        let mut open: Option<Range<usize>> = None;
        loop {
            match self.peek() {
                None | Some((Token::Or | Token::Close, _)) => {
                    if let Some(at) = open {
                        return Err(Unreadable::new("Something is missing after AND.", at));
                    }
                    return Ok(Node::all(conditions));
                }
                Some((Token::And, at)) => {
                    if conditions.is_empty() || open.is_some() {
                        return Err(Unreadable::new("Something is missing before AND.", at.clone()));
                    }
                    open = Some(at.clone());
                    self.next += 1;
                }
                Some(_) => {
                    open = None;
                    conditions.push(self.condition()?);
                }
            }
        }
    }

    fn condition(&mut self) -> Result<Node, Unreadable> {
        let Some(at) = self.takes(&Token::Not) else { return self.close() };
        self.enter(&at)?;
        match self.peek() {
            None | Some((Token::Or | Token::And | Token::Close, _)) => {
                return Err(Unreadable::new("Something is missing after the minus or NOT.", at));
            }
            Some(_) => {}
        }
        let node = self.condition()?.not();
        self.depth -= 1;
        Ok(node)
    }

    /// Words, with NEAR between them.
    fn close(&mut self) -> Result<Node, Unreadable> {
        let (mut node, mut at) = self.primary()?;
        let mut pairs = Vec::new();
        while let Some((Token::Near(distance), near)) = self.peek().cloned() {
            self.next += 1;
            let missing = || Unreadable::new("Something is missing after NEAR.", near.clone());
            match self.peek().ok_or_else(missing)?.0 {
                Token::Or | Token::And | Token::Near(_) | Token::Close => return Err(missing()),
                _ => {}
            }
            let (right, right_at) = self.primary()?;
            let of_words = |at| Unreadable::new("NEAR stands between words or phrases.", at);
            let Node::Term(one) = node else { return Err(of_words(at)) };
            let Node::Term(two) = &right else { return Err(of_words(right_at)) };
            pairs.push(Node::Near(distance, one, two.clone()));
            (node, at) = (right, right_at);
        }
        Ok(if pairs.is_empty() { node } else { Node::all(pairs) })
    }

    fn primary(&mut self) -> Result<(Node, Range<usize>), Unreadable> {
        let Some((token, at)) = self.take() else {
            return Err(Unreadable::new("Something is missing at the end.", self.end..self.end));
        };
        let node = match token {
            Token::Open => {
                self.enter(&at)?;
                let inner = self.either()?;
                let Some(close) = self.takes(&Token::Close) else {
                    return Err(Unreadable::new("This parenthesis is never closed.", at));
                };
                if inner == Node::And(Vec::new()) {
                    return Err(Unreadable::new(
                        "There is nothing between these parentheses.",
                        at.start..close.end,
                    ));
                }
                self.depth -= 1;
                return Ok((inner, at.start..close.end));
            }
            Token::Word(word) => Node::Term(word_term(&word, &at)?),
            Token::Phrase(phrase) => Node::Term(phrase_term(phrase, &at)?),
            Token::Regex(source) => self.pattern(source, &at)?,
            Token::Field(key, value, value_at) => self.field(key, value, value_at)?,
            Token::Near(_) => return Err(Unreadable::new("Something is missing before NEAR.", at)),
            Token::Close | Token::Or | Token::And | Token::Not => {
                return Err(Unreadable::new("This is not understood here.", at));
            }
        };
        Ok((node, at))
    }

    fn enter(&mut self, at: &Range<usize>) -> Result<(), Unreadable> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Unreadable::new(format!("Groups stand at most {DEEPEST} deep."), at.clone()));
        }
        Ok(())
    }

    fn pattern(&self, source: String, at: &Range<usize>) -> Result<Node, Unreadable> {
        if !self.language.patterns {
            return Err(Unreadable::new("Patterns between tildes are for auditors.", at.clone()));
        }
        if source.is_empty() {
            return Err(Unreadable::new("There is no pattern between these tildes.", at.clone()));
        }
        let built = regex::RegexBuilder::new(&source)
            .case_insensitive(true)
            .multi_line(true)
            .size_limit(PATTERN_SIZE)
            .dfa_size_limit(PATTERN_SIZE)
            .nest_limit(DEEPEST as u32)
            .build();
        match built {
            Ok(regex) => Ok(Node::Regex(Pattern { source, regex })),
            Err(regex::Error::CompiledTooBig(_)) => {
                Err(Unreadable::new("This pattern is too large.", at.clone()))
            }
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(Unreadable::new(format!("This is no pattern: {reason}."), at.clone()))
            }
        }
    }

    fn field(&self, key: Key, value: String, at: Range<usize>) -> Result<Node, Unreadable> {
        let lower = value.to_lowercase();
        let person = |value: &str| match &self.language.me {
            Some(me) if value == "me" => me.to_string(),
            _ => value.to_owned(),
        };
        let filter = match key {
            Key::From => Filter::From(person(&lower)),
            Key::To => Filter::To(person(&lower)),
            Key::With => Filter::With(person(&lower)),
            Key::Dm => {
                let with = Node::Filter(Filter::With(person(&lower)));
                return Ok(Node::all([with, Node::Filter(Filter::Is(Is::Dm))]));
            }
            Key::In => Filter::In(self.room(&lower, &at)?),
            Key::Via => Filter::Via(lower),
            Key::Thread => Filter::Thread(value),
            Key::Label => Filter::Label(lower),
            Key::Filename => Filter::Filename(lower),
            Key::Has => {
                let has = match lower.as_str() {
                    "attachment" | "attachments" | "files" | "upload" => Some(Has::File),
                    "links" | "url" => Some(Has::Link),
                    "images" | "picture" => Some(Has::Image),
                    "reactions" | "emoji" => Some(Has::Reaction),
                    name => Has::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, has)| has),
                };
                Filter::Has(has.ok_or_else(|| {
                    Unreadable::new("`has:` takes file, link, image or reaction.", at.clone())
                })?)
            }
            Key::Is => {
                let is = match lower.as_str() {
                    "direct" | "private" | "pm" => Some(Is::Dm),
                    "group" | "channel" | "stream" => Some(Is::Room),
                    "outside" => Some(Is::External),
                    "corrected" => Some(Is::Edited),
                    "retracted" => Some(Is::Deleted),
                    name => Is::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, is)| is),
                };
                Filter::Is(is.ok_or_else(|| {
                    Unreadable::new("`is:` takes dm, room, external, edited, deleted or held.", at.clone())
                })?)
            }
            Key::Before => self.time(When::Before, lower, at)?,
            Key::After => self.time(When::After, lower, at)?,
            Key::During => self.time(When::During, lower, at)?,
            Key::Since => self.time(When::Since, lower, at)?,
            Key::Until => self.time(When::Until, lower, at)?,
        };
        Ok(Node::Filter(filter))
    }

    fn room(&self, value: &str, at: &Range<usize>) -> Result<String, Unreadable> {
        match value.trim_start_matches('#') {
            "" => Err(Unreadable::new("`in:` needs the name of a room.", at.clone())),
            name => Ok(name.to_owned()),
        }
    }

    fn time(&self, when: When, value: String, at: Range<usize>) -> Result<Filter, Unreadable> {
        match dates::span(&value, self.language.now, self.language.offset) {
            Some(span) => Ok(Filter::Time(when, value, span)),
            None => Err(Unreadable::new(
                "This is no date. Write 2026-03-05, 2026-03, 2026-W12, 2026, today, yesterday, monday, march, last-week or 7d.",
                at,
            )),
        }
    }
}

fn word_term(word: &str, at: &Range<usize>) -> Result<Term, Unreadable> {
    let prefix = word.ends_with('*');
    let lower = word.to_lowercase();
    let (mut start, mut end, mut last) = (lower.len(), 0, 0);
    text::each_word(&lower, |word| {
        start = start.min(word.start);
        end = end.max(word.end);
        last = if word.gram { usize::MAX } else { word.text.chars().count() };
    });
    if start >= end {
        let message = match prefix {
            true => "The beginning of a word is missing before the asterisk.",
            false => "There is no word in this. To search for punctuation, auditors can use a ~pattern~.",
        };
        return Err(Unreadable::new(message, at.clone()));
    }
    if prefix && last < 2 {
        return Err(Unreadable::new("Before the asterisk, two letters at least are needed.", at.clone()));
    }
    let mut trimmed = lower[start..end].to_owned();
    // What was no field must not read as one when it is printed.
    while lexer::key(&trimmed).is_some() {
        trimmed = trimmed.replacen(':', "/", 1);
    }
    Ok(Term { style: if prefix { Style::Prefix } else { Style::Word }, text: trimmed })
}

fn phrase_term(phrase: String, at: &Range<usize>) -> Result<Term, Unreadable> {
    let mut words = 0;
    text::each_word(&phrase, |_| words += 1);
    match words {
        0 => Err(Unreadable::new("There is no word between these quotation marks.", at.clone())),
        _ => Ok(Term { style: Style::Phrase, text: phrase }),
    }
}
