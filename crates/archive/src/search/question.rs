//! A question as a tree, and its normal form as text.

use std::fmt;
use std::ops::Range;

use vault::Micros;

use super::lexer;

/// A question to the archive: which messages. Made by [`Question::parse`]; `Display` prints it in normal form, which
/// reads as the same question again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub(super) root: Node,
}

/// A part of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// All hold; of nothing, everything does.
    And(Vec<Node>),
    /// One holds.
    Or(Vec<Node>),
    Not(Box<Node>),
    /// Both stand within so many words.
    Near(u32, Term, Term),
    Term(Term),
    Regex(Pattern),
    Filter(Filter),
}

/// Words in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) style: Style,
    /// As it was written: a word in lower case and without what stands around it, a phrase as it is.
    pub(super) text: String,
}

/// How a term is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// By its stem.
    Word,
    /// As it stands.
    Phrase,
    /// The last word begins so.
    Prefix,
}

/// What a text must match.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    pub(super) source: String,
    pub(super) regex: regex::Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

/// What is asked of a message apart from its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Filter {
    From(String),
    To(String),
    With(String),
    In(String),
    Via(String),
    Thread(String),
    Label(String),
    Filename(String),
    Has(Has),
    Is(Is),
    Time(When, String, Range<Micros>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    File,
    Link,
    Image,
    Reaction,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Dm,
    Room,
    External,
    Edited,
    Deleted,
    Held,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
    During,
    Since,
    Until,
}

impl Question {
    /// The question that every message answers.
    pub fn everything() -> Self {
        Self { root: Node::And(Vec::new()) }
    }

    /// Whether every message answers it.
    pub fn is_everything(&self) -> bool {
        self.root == Node::And(Vec::new())
    }

    /// Whether it asks for words, so that there is something to highlight and to rank by.
    pub fn has_words(&self) -> bool {
        self.root.has_words()
    }

    /// This and the other hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { root: Node::all([self.root, other.root]) }
    }
}

impl Node {
    pub(super) fn all(nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut flat = Vec::new();
        for node in nodes {
            match node {
                Self::And(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::And(flat) }
    }

    pub(super) fn any(nodes: impl IntoIterator<Item = Node>) -> Self {
        let mut flat = Vec::new();
        for node in nodes {
            match node {
                Self::Or(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { Self::Or(flat) }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            node => Self::Not(Box::new(node)),
        }
    }

    /// The first and the last moment at which what answers this was said, where it tells.
    pub(super) fn times(&self) -> (Option<Micros>, Option<Micros>) {
        let Self::Filter(Filter::Time(when, _, span)) = self else { return (None, None) };
        let last = |end: Micros| Some(Micros(end.0.saturating_sub(1)));
        match when {
            When::Before => (None, last(span.start)),
            When::After => (Some(span.end), None),
            When::During => (Some(span.start), last(span.end)),
            When::Since => (Some(span.start), None),
            When::Until => (None, last(span.end)),
        }
    }

    fn has_words(&self) -> bool {
        match self {
            Self::And(nodes) | Self::Or(nodes) => nodes.iter().any(Self::has_words),
            Self::Near(..) | Self::Term(_) | Self::Regex(_) => true,
            Self::Not(_) | Self::Filter(_) => false,
        }
    }
}

impl Has {
    pub(super) const ALL: [(&'static str, Self); 4] =
        [("file", Self::File), ("link", Self::Link), ("image", Self::Image), ("reaction", Self::Reaction)];
}

impl Is {
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("dm", Self::Dm),
        ("room", Self::Room),
        ("external", Self::External),
        ("edited", Self::Edited),
        ("deleted", Self::Deleted),
        ("held", Self::Held),
    ];
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.fmt(f)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(nodes) => separated(f, nodes, " ", |node| matches!(node, Self::Or(_))),
            Self::Or(nodes) => separated(f, nodes, " OR ", |node| matches!(node, Self::And(_))),
            Self::Not(inner) => {
                f.write_str("-")?;
                let grouped = matches!(**inner, Self::And(_) | Self::Or(_) | Self::Near(..));
                write_grouped(f, inner, grouped)
            }
            Self::Near(distance, one, two) => write!(f, "{one} NEAR({distance}) {two}"),
            Self::Term(term) => term.fmt(f),
            Self::Regex(pattern) => write!(f, "~{}~", pattern.source),
            Self::Filter(filter) => filter.fmt(f),
        }
    }
}

fn separated(
    f: &mut fmt::Formatter<'_>,
    nodes: &[Node],
    separator: &str,
    grouped: impl Fn(&Node) -> bool,
) -> fmt::Result {
    for (at, node) in nodes.iter().enumerate() {
        if at > 0 {
            f.write_str(separator)?;
        }
        write_grouped(f, node, grouped(node))?;
    }
    Ok(())
}

fn write_grouped(f: &mut fmt::Formatter<'_>, node: &Node, grouped: bool) -> fmt::Result {
    if grouped { write!(f, "({node})") } else { write!(f, "{node}") }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::Word => f.write_str(&self.text),
            Style::Phrase => write!(f, "\"{}\"", self.text),
            Style::Prefix => write!(f, "{}*", self.text),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |table: &[(&'static str, bool)]| {
            table.iter().find(|(_, is)| *is).map_or("", |(name, _)| *name).to_owned()
        };
        let (key, value) = match self {
            Self::From(value) => ("from", value.clone()),
            Self::To(value) => ("to", value.clone()),
            Self::With(value) => ("with", value.clone()),
            Self::In(value) => ("in", value.clone()),
            Self::Via(value) => ("via", value.clone()),
            Self::Thread(value) => ("thread", value.clone()),
            Self::Label(value) => ("label", value.clone()),
            Self::Filename(value) => ("filename", value.clone()),
            Self::Has(has) => ("has", name(&Has::ALL.map(|(name, one)| (name, one == *has)))),
            Self::Is(is) => ("is", name(&Is::ALL.map(|(name, one)| (name, one == *is)))),
            Self::Time(when, text, _) => (when.key(), text.clone()),
        };
        if value.chars().any(lexer::ends_word) {
            write!(f, "{key}:\"{value}\"")
        } else {
            write!(f, "{key}:{value}")
        }
    }
}

impl When {
    fn key(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::During => "during",
            Self::Since => "since",
            Self::Until => "until",
        }
    }

    /// Whether a moment lies so to a span of time.
    pub(super) fn holds(self, time: Micros, span: &Range<Micros>) -> bool {
        match self {
            Self::Before => time < span.start,
            Self::After => time >= span.end,
            Self::During => span.contains(&time),
            Self::Since => time >= span.start,
            Self::Until => time < span.end,
        }
    }
}
