//! One item of the queue, and what may be done with it.

use std::ops::Range;

use jid::{BareJid, Jid};
use policy::rules::{Sample, What, Who};
use serde::{Deserialize, Serialize};
use vault::{Micros, Record, Sequence};

/// An event that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewItem {
    /// Names it for the outside, as the event's id does.
    pub id: String,
    /// The event.
    pub sequence: Sequence,
    /// When that was accepted.
    pub time: Micros,
    /// Who said it.
    pub from: Jid,
    /// To whom: a person or a room.
    pub to: Jid,
    /// It was said in a room.
    #[serde(default)]
    pub in_room: bool,
    /// Why it is here.
    pub causes: Vec<Cause>,
    /// When it came here.
    pub filed: Micros,
    /// Where it stands.
    pub state: State,
    /// Who has it. After an escalation to no one in particular: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<BareJid>,
    /// All that was decided, oldest first.
    #[serde(default)]
    pub decisions: Vec<Decision>,
}

impl Record for ReviewItem {
    const KIND: u16 = 0x4140;
}

/// A rule or sample that put an event into the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Its id.
    pub id: String,
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// The version of the rules that were in force.
    pub version: u64,
    /// It was drawn at random.
    #[serde(default)]
    pub sample: bool,
    /// What was found, and where in the text.
    #[serde(default)]
    pub found: Vec<Found>,
    /// Who looks at it; empty: any reviewer.
    #[serde(default)]
    pub reviewers: Vec<Who>,
}

impl Cause {
    pub(super) fn of_sample(sample: &Sample, version: u64) -> Self {
        let (id, name, reviewers) = (sample.id.clone(), sample.name.clone(), sample.reviewers.clone());
        Self { id, name, version, sample: true, found: Vec::new(), reviewers }
    }
}

/// A place in the event's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is there.
    pub what: What,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nobody has it.
    Open,
    /// Somebody has it.
    Assigned,
    /// Somebody above has to decide.
    Escalated,
    /// It is decided.
    Closed,
}

/// What a reviewer does with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// Takes it, or gives it to somebody.
    Assign {
        /// To whom.
        to: BareJid,
    },
    /// Says something.
    Comment,
    /// Asks somebody above: this person, or whoever is.
    Escalate {
        /// Whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<BareJid>,
    },
    /// Decides it.
    Close {
        /// How.
        outcome: Outcome,
    },
    /// Opens it again.
    Reopen,
}

impl Action {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Assign { .. } => "assign",
            Self::Comment => "comment",
            Self::Escalate { .. } => "escalate",
            Self::Close { .. } => "close",
            Self::Reopen => "reopen",
        }
    }
}

/// How an item was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// There is nothing wrong with it.
    Fine,
    /// The rule was wrong about it.
    FalseAlarm,
    /// It breaks the company's rules.
    Violation,
}

impl Outcome {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::FalseAlarm => "false-alarm",
            Self::Violation => "violation",
        }
    }
}

/// Something that a reviewer did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub reviewer: BareJid,
    /// When.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// What they noted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// Somebody who has the right to review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reviewer {
    /// Who.
    pub who: BareJid,
    /// Their groups.
    pub groups: Vec<String>,
    /// Whether they decide what others escalate, and give items to whom they like.
    pub senior: bool,
}

/// Why a reviewer may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bar {
    /// They took part in it.
    #[error("this conversation is your own; somebody else has to review it")]
    Party,
    /// The person it should go to took part in it.
    #[error("{0} took part in this conversation, so it cannot go to them")]
    OtherParty(BareJid),
    /// Somebody else has it.
    #[error("{0} has this item; ask them, or an officer, to hand it over")]
    Taken(BareJid),
    /// Others are named for it.
    #[error("the rule names other reviewers for this item")]
    NotNamed,
    /// It was escalated.
    #[error("this item was escalated; an officer decides it now")]
    Escalated,
    /// It is closed, or it is not.
    #[error("this item is closed; open it again first")]
    Closed,
    /// It is not closed.
    #[error("this item is not closed")]
    NotClosed,
    /// The action needs words.
    #[error("say why: this needs a comment")]
    Silent,
}

/// A comment may be so long, in bytes.
pub(super) const LONGEST: usize = 10_000;

impl ReviewItem {
    /// Whether somebody may look at it, as far as rules and assignments say. Whether they are a party to it is asked apart.
    ///
    /// # Errors
    /// What is in the way.
    pub fn is_for(&self, reviewer: &Reviewer) -> Result<(), Bar> {
        if reviewer.senior || self.assigned.as_ref() == Some(&reviewer.who) {
            return Ok(());
        }
        let is_named = |cause: &Cause| {
            cause.reviewers.is_empty()
                || cause.reviewers.iter().any(|who| who.includes(&reviewer.who, &reviewer.groups))
        };
        if self.causes.iter().any(is_named) { Ok(()) } else { Err(Bar::NotNamed) }
    }

    /// Carries out an action of somebody who may and is no party to it.
    ///
    /// # Errors
    /// What is in the way. Nothing has changed then.
    pub fn act(
        &mut self,
        reviewer: &Reviewer,
        action: Action,
        comment: String,
        at: Micros,
    ) -> Result<(), Bar> {
        self.is_for(reviewer)?;
        let is_theirs = self.assigned.as_ref() == Some(&reviewer.who);
        match &action {
            Action::Comment => {}
            Action::Reopen if self.state != State::Closed => return Err(Bar::NotClosed),
            Action::Reopen => {}
            _ if self.state == State::Closed => return Err(Bar::Closed),
            _ if reviewer.senior || is_theirs => {}
            _ if self.state == State::Escalated => return Err(Bar::Escalated),
            _ => {
                if let Some(other) = &self.assigned {
                    return Err(Bar::Taken(other.clone()));
                }
            }
        }
        let needs_words = matches!(
            action,
            Action::Comment
                | Action::Escalate { .. }
                | Action::Reopen
                | Action::Close { outcome: Outcome::Violation }
        );
        if needs_words && comment.trim().is_empty() {
            return Err(Bar::Silent);
        }
        match &action {
            Action::Comment => {}
            Action::Assign { to } => {
                self.assigned = Some(to.clone());
                if self.state == State::Open {
                    self.state = State::Assigned;
                }
            }
            Action::Escalate { to } => {
                self.assigned.clone_from(to);
                self.state = State::Escalated;
            }
            Action::Close { .. } => self.state = State::Closed,
            Action::Reopen => {
                self.assigned = None;
                self.state = State::Open;
            }
        }
        let mut comment = comment;
        let end = (0..=LONGEST.min(comment.len())).rev().find(|at| comment.is_char_boundary(*at));
        comment.truncate(end.unwrap_or_default());
        self.decisions.push(Decision { reviewer: reviewer.who.clone(), at, action, comment });
        Ok(())
    }

    /// How it was decided and when, if it is.
    pub fn closed(&self) -> Option<(&Decision, Outcome)> {
        if self.state != State::Closed {
            return None;
        }
        self.decisions.iter().rev().find_map(|decision| match decision.action {
            Action::Close { outcome } => Some((decision, outcome)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> ReviewItem {
        let cause = Cause {
            id: "cards".to_owned(),
            name: String::new(),
            version: 1,
            sample: false,
            found: Vec::new(),
            reviewers: vec![Who::parse("group:Compliance").unwrap()],
        };
        ReviewItem {
            id: "x".to_owned(),
            sequence: Sequence(1),
            time: Micros(0),
            from: Jid::new("romeo@corp.example").unwrap(),
            to: Jid::new("juliet@corp.example").unwrap(),
            in_room: false,
            causes: vec![cause],
            filed: Micros(0),
            state: State::Open,
            assigned: None,
            decisions: Vec::new(),
        }
    }

    fn reviewer(name: &str, groups: &[&str], senior: bool) -> Reviewer {
        let who = BareJid::new(&format!("{name}@corp.example")).unwrap();
        Reviewer { who, groups: groups.iter().map(|group| (*group).to_owned()).collect(), senior }
    }

    fn act(item: &mut ReviewItem, who: &Reviewer, action: Action, comment: &str) -> Result<(), Bar> {
        item.act(who, action, comment.to_owned(), Micros(1))
    }

    #[test]
    fn an_item_is_taken_escalated_and_decided_above() {
        let mut item = item();
        let (friar, nurse) =
            (reviewer("friar", &["Compliance"], false), reviewer("nurse", &["Compliance"], false));
        let prince = reviewer("prince", &[], true);
        act(&mut item, &friar, Action::Assign { to: friar.who.clone() }, "").unwrap();
        assert_eq!(item.state, State::Assigned);
        let close = Action::Close { outcome: Outcome::Fine };
        assert_eq!(act(&mut item, &nurse, close.clone(), ""), Err(Bar::Taken(friar.who.clone())));
        assert_eq!(act(&mut item, &friar, Action::Escalate { to: None }, " "), Err(Bar::Silent));
        act(&mut item, &friar, Action::Escalate { to: None }, "above me").unwrap();
        assert_eq!(act(&mut item, &friar, close, ""), Err(Bar::Escalated));
        let violation = Action::Close { outcome: Outcome::Violation };
        assert_eq!(act(&mut item, &prince, violation.clone(), ""), Err(Bar::Silent));
        act(&mut item, &prince, violation.clone(), "it is one").unwrap();
        assert_eq!(item.closed().map(|(_, outcome)| outcome), Some(Outcome::Violation));
        assert_eq!(act(&mut item, &prince, violation, "again"), Err(Bar::Closed));
        act(&mut item, &friar, Action::Reopen, "new facts").unwrap();
        assert_eq!((item.state, item.closed()), (State::Open, None));
        let done: Vec<_> = item.decisions.iter().map(|decision| decision.action.name()).collect();
        assert_eq!(done, ["assign", "escalate", "close", "reopen"]);
    }

    #[test]
    fn only_those_whom_the_rule_names_decide() {
        let mut item = item();
        let other = reviewer("nurse", &["Household"], false);
        assert_eq!(act(&mut item, &other, Action::Comment, "hm"), Err(Bar::NotNamed));
        item.assigned = Some(other.who.clone());
        act(&mut item, &other, Action::Comment, "hm").unwrap();
        item.causes[0].reviewers.clear();
        item.assigned = None;
        act(&mut item, &other, Action::Comment, "hm").unwrap();
    }
}
