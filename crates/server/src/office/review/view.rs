//! What the doors of the office show of supervision.

use archive::review::{Action, Outcome, ReviewItem, Rulebook, State};
use policy::rules::What;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vault::Versioned;

use crate::clock;

/// The rules of supervision.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RulesView {
    /// From 1; 0 before there are any.
    pub version: u64,
    /// The document in TOML.
    pub source: String,
    /// Who set it.
    pub by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

impl From<Rulebook> for RulesView {
    fn from(book: Rulebook) -> Self {
        let at = (book.version > 0).then(|| clock::stamp(book.at.0));
        Self { version: book.version, source: book.source, by: book.by.map(|by| by.to_string()), at }
    }
}

/// Rules to try on the past.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// The document; absent: the one in force.
    #[serde(default)]
    #[schema(max_length = 2_000_000)]
    pub source: Option<String>,
    /// From when: a date, or a date and time. Absent: from the beginning.
    #[serde(default)]
    #[schema(max_length = 40)]
    pub from: Option<String>,
    /// Until when. Absent: now.
    #[serde(default)]
    #[schema(max_length = 40)]
    pub to: Option<String>,
    /// Put what is found into the queue.
    #[serde(default)]
    pub file: bool,
}

/// Which items of the queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueQuery {
    /// In this state; absent: those that are not closed.
    #[serde(default)]
    pub state: Option<State>,
    /// That this rule or sample brought.
    #[serde(default)]
    pub rule: Option<String>,
    /// That the actor has.
    #[serde(default)]
    pub mine: bool,
    /// Closed ones: of messages of this month, such as `2026-11`. Absent: this month.
    #[serde(default)]
    pub month: Option<String>,
    /// Only after the item of this id.
    #[serde(default)]
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// Items, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ReviewPage {
    /// What matched.
    pub items: Vec<ReviewView>,
    /// To be given as `after` for the next page; absent when there is none.
    pub next: Option<String>,
}

/// An item of the review queue.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ReviewView {
    /// Names it.
    pub id: String,
    /// Which writing of it this is; a decision names the one that it is about.
    pub version: u64,
    /// When it was said.
    #[schema(format = DateTime)]
    pub time: String,
    /// Who said it.
    pub from: String,
    /// To whom: a person or a room.
    pub to: String,
    /// `open`, `assigned`, `escalated` or `closed`.
    #[schema(value_type = String)]
    pub state: State,
    /// Who has it.
    pub assigned: Option<String>,
    /// When it came into the queue.
    #[schema(format = DateTime)]
    pub filed: String,
    /// Why it is there.
    pub causes: Vec<CauseView>,
    /// What was done with it, oldest first.
    pub decisions: Vec<DecisionView>,
    /// What was said. Only where one item is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was said has been erased.
    pub erased: bool,
}

/// A rule or sample that brought an item.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CauseView {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// The version of the rules.
    pub version: u64,
    /// It was drawn at random.
    pub sample: bool,
    /// What was found.
    pub found: Vec<FoundView>,
}

/// A place in the text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FoundView {
    /// `list:`, `pattern:` or `detector:` and a name, or `link`.
    #[schema(example = "detector:card")]
    pub what: String,
    /// The first byte of it in the text, in UTF-8.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

/// Something that a reviewer did.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DecisionView {
    /// Who.
    pub reviewer: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// `assign`, `comment`, `escalate`, `close` or `reopen`.
    pub action: String,
    /// To whom it went.
    pub to: Option<String>,
    /// How it was decided: `fine`, `false-alarm` or `violation`.
    pub outcome: Option<String>,
    /// What they noted.
    pub comment: String,
}

/// What a reviewer does with an item.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewDecision {
    /// The `version` that it is about; absent: whichever there is.
    #[serde(default)]
    pub version: Option<u64>,
    /// What.
    pub action: Step,
    /// To whom it goes: a name or an address. Assigning without it takes the item.
    #[serde(default)]
    #[schema(max_length = 3071)]
    pub to: Option<String>,
    /// How it is decided: `fine`, `false-alarm` or `violation`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub outcome: Option<Outcome>,
    /// What there is to say. Wanted for all but assigning and closing without a violation.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    pub comment: String,
}

/// Kinds of decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Take it, or give it to somebody.
    Assign,
    /// Note something.
    Comment,
    /// Ask somebody above.
    Escalate,
    /// Decide.
    Close,
    /// Open it again.
    Reopen,
}

impl From<Versioned<ReviewItem>> for ReviewView {
    fn from(found: Versioned<ReviewItem>) -> Self {
        let Versioned { value: item, version } = found;
        let causes = item.causes.into_iter().map(|cause| CauseView {
            id: cause.id,
            name: cause.name,
            version: cause.version,
            sample: cause.sample,
            found: cause
                .found
                .into_iter()
                .map(|found| FoundView {
                    what: name(&found.what),
                    start: found.range.start,
                    end: found.range.end,
                })
                .collect(),
        });
        let decisions = item.decisions.into_iter().map(|decision| {
            let action = decision.action.name().to_owned();
            let (to, outcome) = match decision.action {
                Action::Assign { to } => (Some(to.to_string()), None),
                Action::Escalate { to } => (to.map(|to| to.to_string()), None),
                Action::Close { outcome } => (None, Some(outcome.name().to_owned())),
                _ => (None, None),
            };
            let (reviewer, at) = (decision.reviewer.to_string(), clock::stamp(decision.at.0));
            DecisionView { reviewer, at, action, to, outcome, comment: decision.comment }
        });
        Self {
            id: item.id,
            version,
            time: clock::stamp(item.time.0),
            from: item.from.to_string(),
            to: item.to.to_string(),
            state: item.state,
            assigned: item.assigned.map(|who| who.to_string()),
            filed: clock::stamp(item.filed.0),
            causes: causes.collect(),
            decisions: decisions.collect(),
            text: None,
            erased: false,
        }
    }
}

fn name(what: &What) -> String {
    match what {
        What::List(name) => format!("list:{name}"),
        What::Pattern(name) => format!("pattern:{name}"),
        What::Detector(name) => format!("detector:{name}"),
        What::Link => "link".to_owned(),
    }
}
