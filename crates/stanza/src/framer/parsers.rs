//! Parsers that wait for work.
//!
//! Between two elements a parser knows nothing of its stream but what end tag is due, so those of one thread serve all
//! its connections in turn. A connection that waits has none: each would hold as much memory as the longest token may
//! take.

use std::cell::RefCell;

use rxml::RawParser;

use crate::ns::Symbol;

/// A parser inside a root element, before its next child.
struct Waiting {
    root: Symbol,
    token_bytes: usize,
    parser: Box<RawParser>,
}

/// Enough for the flavours that one thread meets; more would only hold memory.
const MOST: usize = 4;

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
}

/// One that stands inside `root` and takes tokens of up to `token_bytes`, if one waits.
pub(super) fn take(root: &Symbol, token_bytes: usize) -> Option<Box<RawParser>> {
    WAITING.with_borrow_mut(|waiting| {
        let fits = |one: &Waiting| one.token_bytes == token_bytes && one.root == *root;
        waiting.iter().position(fits).map(|place| waiting.swap_remove(place).parser)
    })
}

/// Leaves one for whoever needs it next. It must stand between elements inside `root`.
pub(super) fn give(root: Symbol, token_bytes: usize, parser: Box<RawParser>) {
    WAITING.with_borrow_mut(|waiting| {
        if waiting.len() == MOST {
            waiting.remove(0);
        }
        waiting.push(Waiting { root, token_bytes, parser });
    });
}
