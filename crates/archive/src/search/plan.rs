//! What the index can say about a question: a condition over tokens that every answer meets.

use super::question::{Filter, Has, Is, Node, Question, Style, Term};
use super::reading::Owned;
use crate::index::{Plan, terms::Terms};

impl Question {
    /// A condition over tokens. Whatever answers the question meets it; much else may, too.
    pub(super) fn plan(&self, terms: &Terms) -> Plan {
        self.root.plan(terms)
    }
}

impl Node {
    fn plan(&self, terms: &Terms) -> Plan {
        match self {
            Self::And(nodes) => Plan::all(nodes.iter().map(|node| node.plan(terms))),
            Self::Or(nodes) => Plan::any(nodes.iter().map(|node| node.plan(terms))),
            // The index says what may be there, never what is not.
            Self::Not(_) | Self::Regex(_) => Plan::Everything,
            Self::Near(_, one, two) => Plan::all([one.plan(terms), two.plan(terms)]),
            Self::Term(term) => term.plan(terms),
            Self::Filter(filter) => filter.plan(terms),
        }
    }
}

impl Term {
    fn plan(&self, terms: &Terms) -> Plan {
        let words = Owned::all(&self.text);
        let length = words.iter().map(|word| word.at + word.span).max().unwrap_or(0);
        let token = |word: &Owned| {
            let last = word.at + word.span == length;
            if word.gram && word.text.chars().nth(1).is_none() {
                // Alone, it begins pairs; after others, the pair before has it.
                return match length {
                    1 => terms.beginning(&word.text),
                    _ => Plan::Everything,
                };
            }
            match self.style {
                Style::Prefix if last => terms.beginning(&word.text),
                _ => Plan::Token(terms.word(&word.stem)),
            }
        };
        let parts = Plan::all(words.iter().filter(|word| word.span == 1).map(token));
        // What has several parts may be written as one word.
        let joined = words.iter().filter(|word| word.span > 1);
        let Some(whole) = joined.clone().find(|word| word.span == length) else {
            // Some of the row may be joined: only what stands by itself is sure.
            let covered =
                |at: u32| joined.clone().any(|whole| (whole.at..whole.at + whole.span).contains(&at));
            return Plan::all(words.iter().filter(|word| word.span == 1 && !covered(word.at)).map(token));
        };
        Plan::any([parts, token(whole)])
    }
}

impl Filter {
    fn plan(&self, terms: &Terms) -> Plan {
        match self {
            Self::From(name) => terms.sender(name),
            Self::To(name) => terms.recipient(name),
            // What is whispered in a room goes from it or to it.
            Self::With(name) | Self::In(name) => Plan::any([terms.sender(name), terms.recipient(name)]),
            Self::Thread(thread) => Plan::Token(terms.thread(thread)),
            Self::Has(Has::File) | Self::Filename(_) => Plan::Token(terms.has("file")),
            Self::Has(Has::Image) => Plan::Token(terms.has("image")),
            Self::Has(Has::Link) => Plan::Token(terms.has("link")),
            Self::Is(Is::Room) => Plan::Token(terms.is("room")),
            Self::Is(Is::Dm) => Plan::Token(terms.is("dm")),
            // What became of a message stands in later ones; what the company thinks of it stands elsewhere.
            Self::Has(Has::Reaction) | Self::Is(_) | Self::Via(_) | Self::Label(_) => Plan::Everything,
            Self::Time(..) => Plan::Everything,
        }
    }
}
