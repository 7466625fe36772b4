//! The words of the index, in memory, for prefixes and misspellings.

/// Which words there are, and how often.
#[derive(Default)]
pub(crate) struct Vocabulary {}

impl Vocabulary {
    /// Words that begin so; `None` if not all of them are known.
    pub(super) fn beginning(&self, _prefix: &str) -> Option<Vec<String>> {
        None
    }
}
