//! Questions that somebody may have meant who found next to nothing.

use super::question::{Node, Question, Style};
use crate::index::terms::Terms;

/// Words of a question that are guessed at.
const WORDS: usize = 4;
/// Guesses for each word.
const GUESSES: usize = 3;

/// The question with one word that is there in the place of one that may be misspelt, the likeliest first.
pub(super) fn guesses(question: &Question, terms: &Terms) -> Vec<Question> {
    let mut words = Vec::new();
    collect(&question.root, &mut words);
    let mut guesses = Vec::new();
    for word in words.iter().take(WORDS) {
        for guess in terms.similar(word, GUESSES) {
            let mut changed = question.clone();
            replace(&mut changed.root, word, &guess);
            guesses.push(changed);
        }
    }
    guesses
}

/// Plain words that are asked for.
fn collect(node: &Node, words: &mut Vec<String>) {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| collect(node, words)),
        Node::Term(term) if term.style == Style::Word => {
            let folded = crate::text::fold(&term.text);
            if folded.chars().all(char::is_alphanumeric) && !words.contains(&folded) {
                words.push(folded);
            }
        }
        _ => {}
    }
}

fn replace(node: &mut Node, word: &str, guess: &str) {
    match node {
        Node::And(nodes) | Node::Or(nodes) => nodes.iter_mut().for_each(|node| replace(node, word, guess)),
        Node::Term(term) if term.style == Style::Word && crate::text::fold(&term.text) == word => {
            guess.clone_into(&mut term.text);
        }
        _ => {}
    }
}
