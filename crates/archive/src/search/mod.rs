//! Finding messages: one language for people, auditors, rules and retention.
//!
//! [`Question::parse`] reads the language, [`Question::matches`] decides about one message, and both are pure.
//! [`Archive::find`](crate::Archive::find) asks the index for candidates and lets the question decide over their
//! decrypted text: what the index does not know costs time and no hit.

mod around;
mod cursor;
mod dates;
mod decide;
mod find;
mod inquiry;
mod lexer;
pub(crate) mod names;
mod parser;
mod plan;
mod question;
pub(crate) mod reading;
mod suggest;

#[cfg(test)]
mod tests;

pub use decide::{Bare, Company, Context, Fate};
pub use inquiry::{Book, Books, Findings, Hit, Inquiry, Line, Order, Scope, Searched};
pub use parser::{Language, Unreadable};
pub use question::Question;

pub(crate) use cursor::Marks;
pub(crate) use find::{candidates, find};
