//! Random samples: how much of what whom says somebody looks at.

use super::Who;

/// A sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What reports call it; unique among rules, barriers and samples.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// Whose messages.
    pub from: Vec<Who>,
    /// How much.
    pub share: Share,
    /// Who looks at it; empty: any reviewer.
    pub reviewers: Vec<Who>,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many of a million.
    Millionth(u32),
    /// So many in a week, from Monday to Sunday in UTC.
    PerWeek(u32),
}
