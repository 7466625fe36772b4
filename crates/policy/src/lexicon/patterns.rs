//! Regular expressions in linear time, all at once.

use std::ops::Range;

use regex::{Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Bytes that one compiled pattern may take.
const ONE: usize = 1 << 20;
/// Bytes that all compiled patterns may take.
const ALL: usize = 32 << 20;

/// Named patterns, compiled.
#[derive(Debug, Default)]
pub struct Patterns {
    set: Option<RegexSet>,
    each: Vec<(String, Regex)>,
}

/// A pattern that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is no regular expression, or too large.
    #[error("the pattern {name} cannot be used: {message}")]
    Unusable {
        /// Its name.
        name: String,
        /// Why.
        message: String,
    },
    /// All together are too large.
    #[error("all patterns together are too large")]
    TooLarge,
}

impl Patterns {
    /// Compiles patterns, each with its name. Case counts unless a pattern begins with `(?i)`.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn compile(patterns: &[(String, String)]) -> Result<Self, PatternError> {
        let mut each = Vec::with_capacity(patterns.len());
        for (name, pattern) in patterns {
            let built = RegexBuilder::new(pattern).size_limit(ONE).build();
            each.push((
                name.clone(),
                built.map_err(|error| PatternError::Unusable {
                    name: name.clone(),
                    message: sentence(&error),
                })?,
            ));
        }
        let set = match patterns {
            [] => None,
            patterns => {
                let texts = patterns.iter().map(|(_, pattern)| pattern);
                let set = RegexSetBuilder::new(texts).size_limit(ALL).build();
                Some(set.map_err(|_| PatternError::TooLarge)?)
            }
        };
        Ok(Self { set, each })
    }

    /// The name of one, by its place.
    pub fn name(&self, at: usize) -> &str {
        self.each.get(at).map_or("", |(name, _)| name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Which are in a text, by their places.
    pub fn matching(&self, text: &str) -> Vec<usize> {
        self.set.as_ref().map_or_else(Vec::new, |set| set.matches(text).into_iter().collect())
    }

    /// Where one is in a text; at most `limit` places.
    pub fn places(&self, at: usize, text: &str, limit: usize) -> Vec<Range<usize>> {
        let found = self.each.get(at).map(|(_, pattern)| pattern.find_iter(text).take(limit));
        found.into_iter().flatten().map(|found| found.range()).collect()
    }
}

/// The last line of an error says what is wrong; those before it draw a picture.
fn sentence(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "it is too large; repeat less".to_owned(),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(list: &[&str]) -> Result<Patterns, PatternError> {
        let named: Vec<_> =
            list.iter().enumerate().map(|(at, text)| (format!("p{at}"), (*text).to_owned())).collect();
        Patterns::compile(&named)
    }

    #[test]
    fn all_patterns_are_asked_at_once_and_say_where() {
        let patterns = patterns(&[r"(?i)\bproject [a-z]+\b", r"\d{4}", "never"]).unwrap();
        let text = "Project Falcon, 2024 and project Owl 1999";
        assert_eq!(patterns.matching(text), [0, 1]);
        assert_eq!(patterns.places(0, text, 9), [0..14, 25..36]);
        assert_eq!(patterns.places(1, text, 1), std::slice::from_ref(&(16..20)));
        assert_eq!(Patterns::default().matching(text), [0usize; 0]);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        let error = patterns(&["ok", "(unclosed"]).unwrap_err();
        assert_eq!(error.to_string(), "the pattern p1 cannot be used: unclosed group");
        let error = patterns(&[r"(\w{1000}){1000}"]).unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }

    #[test]
    fn patterns_that_trap_other_engines_take_linear_time() {
        let patterns = patterns(&["(a+)+b", "(a|a)*c", "^(([a-z])+.)+[A-Z]([a-z])+$"]).unwrap();
        assert_eq!(patterns.matching(&"a".repeat(1 << 16)), [0usize; 0]);
    }
}
