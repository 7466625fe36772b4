//! The rules of a company: conditions on a message, and what follows from them.
//!
//! [`compile`] reads a document in TOML and says what is wrong with it, line by line. [`judge`] takes what is known of one
//! message and decides. The text is read once for the words, patterns and detectors of all rules; after that a rule
//! costs a few comparisons.
//!
//! ```toml
//! [lists.rumours]
//! words = ["front running", "pump*", "~guarantee"]
//!
//! [[rule]]
//! id = "cards"
//! name = "Card numbers stay in the company"
//! when = { direction = "out", detect = "card" }
//! then = { block = "Please do not send card numbers to people outside." }
//! ```
//!
//! Barriers come first. Then rules are asked from the top: the first that says allow, block or hold decides; those that
//! rewrite or flag are noted on the way and the next one is asked.

mod barrier;
mod compile;
mod condition;
mod judge;
mod reader;
mod rewrite;
mod sample;
mod times;
mod who;

use std::ops::Range;

use jid::BareJid;
use serde::{Deserialize, Serialize};

pub use self::barrier::Barrier;
pub use self::compile::{Compiled, compile};
pub use self::condition::{Condition, FileTest, LinkTest, RoomTest, TextTest};
pub use self::judge::judge;
pub use self::reader::{Fault, Faults};
pub use self::rewrite::rewrite;
pub use self::sample::{Sample, Share};
pub use self::times::{Moment, Times};
pub use self::who::Who;
use crate::detect::Kind;

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// What reports and events call it; unique in the document.
    pub id: String,
    /// What it is for, in words.
    pub name: String,
    /// When it applies.
    pub when: Condition,
    /// What follows.
    pub then: Verdict,
    /// Who looks at what it flags or holds; empty: any reviewer.
    pub reviewers: Vec<Who>,
}

/// What follows from a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message passes, and no later rule is asked.
    Allow,
    /// It goes back to the sender with this reason.
    Block(String),
    /// It passes with changes.
    Rewrite(Change),
    /// It waits for a reviewer.
    Hold,
    /// It passes, and somebody looks at it afterwards.
    Flag,
}

/// A change of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// What the rule found is made unreadable.
    Mask,
    /// This text is added at the end.
    Disclaimer(String),
    /// This text is added before the first link.
    WarnOfLinks(String),
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From outside to one of us.
    In,
    /// From one of us to outside.
    Out,
    /// Between us.
    Internal,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// The true sender.
    pub from: &'a BareJid,
    /// Who gets it: a person or a room.
    pub to: &'a BareJid,
    /// What people read of it.
    pub text: &'a str,
    /// What is attached.
    pub files: &'a [File],
    /// Whether part of it can be read by nobody but its recipient.
    pub encrypted: bool,
}

/// A file that a message carries or points to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its type by content, such as `image/png`; empty if unknown.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal, if it is known.
    pub sha256: Option<String>,
}

/// What is known of a message besides itself. The caller brings all of it; nothing here asks a clock or a directory.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which way it goes.
    pub direction: Direction,
    /// The network outside that it goes over: `xmpp`, `irc` and so on; `None` inside.
    pub network: Option<&'a str>,
    /// The sender's groups.
    pub sender_groups: &'a [String],
    /// The recipient's groups; in a room, those of all who are in it.
    pub recipient_groups: &'a [String],
    /// The two have not exchanged a word before.
    pub first_contact: bool,
    /// When, where the company is.
    pub moment: Moment,
    /// The room that it is said in.
    pub room: Option<Room>,
}

/// What rules may know of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Everybody may find and enter it.
    pub public: bool,
    /// Only members may enter.
    pub members_only: bool,
    /// Somebody from outside is in it, or may come in.
    pub outsiders: bool,
}

/// What becomes of a message, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of it.
    pub outcome: Outcome,
    /// The rule or barrier that decided; `None` if none did and it passes.
    pub rule: Option<String>,
    /// Changes to make if it passes, each with the rule that wants it.
    pub changes: Vec<(String, Change)>,
    /// Rules that want somebody to look at it afterwards.
    pub flags: Vec<String>,
    /// What was found, for all rules that applied.
    pub evidence: Vec<Evidence>,
}

/// What becomes of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on, with the changes of the decision.
    #[default]
    Pass,
    /// It goes back with this reason.
    Block(String),
    /// It waits for a reviewer.
    Hold,
}

/// A place in the text that made a rule apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The rule.
    pub rule: String,
    /// What was found.
    pub what: What,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
}

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A word of the list of this name.
    List(String),
    /// A pattern of this name.
    Pattern(String),
    /// What the detector of this name looks for.
    Detector(String),
    /// A link to a domain that the rule names.
    Link,
}

impl From<Kind> for What {
    fn from(kind: Kind) -> Self {
        Self::Detector(kind.name().to_owned())
    }
}

#[cfg(test)]
mod tests;
