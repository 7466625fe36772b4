//! Supervision: its rules, the queue, and the evidence that somebody looked.
//!
//! Whoever reviews needs no matter: the rule or sample that brought an item is the reason, and it is on record that they
//! looked, before they do. Officers see and decide what others escalate, and set the rules.

mod follow;
mod view;

use archive::review::{Action, Bar, Period, ReviewError, ReviewItem, ReviewReport, Reviewer, State, Wanted};
use archive::{Deed, Micros, Selection};
use jid::BareJid;
use serde_json::json;
use vault::Versioned;

pub use self::view::{
    CauseView, DecisionView, FoundView, QueueQuery, ReviewDecision, ReviewPage, ReviewView, RulesView, Step,
    Trial,
};
use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::Entry;
use crate::clock;
use crate::directory::Profile;
use crate::users::Users;

pub(crate) use self::follow::watch;

/// Items given at once at most.
pub const MOST_ITEMS: usize = 500;
/// Events that are looked at before the queue is shown, so that it is not behind without need.
const FRESH: u64 = 20_000;

impl Office {
    /// The rules in force.
    ///
    /// # Errors
    /// The right is missing; it cannot be put on record; the storage failed.
    pub async fn review_rules(&self, actor: &Actor) -> Result<RulesView, Refusal> {
        let entry = Entry { deed: Deed::Supervise, details: json!({ "rules": "read" }) };
        let licence = self.licence(actor, Right::Review, None, entry).await?;
        Ok(self.0.shelves.queue(&licence).rulebook().await?.into())
    }

    /// Puts rules in force. `version` is the one that they replace.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with all faults and their lines; [`Refusal::Changed`] when somebody else was first.
    pub async fn set_review_rules(
        &self,
        actor: &Actor,
        source: &str,
        version: u64,
    ) -> Result<RulesView, Refusal> {
        let details = json!({ "rules": "set", "replaces": version, "bytes": source.len() });
        let licence =
            self.licence(actor, Right::Supervise, None, Entry { deed: Deed::Supervise, details }).await?;
        let reviews = self.0.shelves.queue(&licence);
        // What has been said so far is under the rules so far.
        while !reviews.follow(&self.company().await?, FRESH, Micros::now()).await?.at_end {}
        let set = reviews.set_rules(source, version, licence.by()).await?;
        Ok(set.into())
    }

    /// Tries rules on the past: how many messages they would have put into the queue. With `file`, they go there.
    ///
    /// # Errors
    /// As [`Office::set_review_rules`].
    pub async fn try_review_rules(
        &self,
        actor: &Actor,
        trial: &Trial,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<archive::review::DryRun, Refusal> {
        let (start, end) = (moment(&trial.from, false, "/from")?, moment(&trial.to, true, "/to")?);
        let details = json!({ "rules": "try", "from": clock::stamp(start.0), "to": clock::stamp(end.0), "file": trial.file });
        let licence =
            self.licence(actor, Right::Supervise, None, Entry { deed: Deed::Supervise, details }).await?;
        let selection = Selection { start: Some(start), end: Some(end), ..Selection::default() };
        let company = self.company().await?;
        let reviews = self.0.shelves.queue(&licence);
        Ok(reviews.try_rules(trial.source.as_deref(), selection, &company, trial.file, progress).await?)
    }

    /// Items that the actor may review, oldest first. They hold no words.
    ///
    /// # Errors
    /// The right is missing; it cannot be put on record; the storage failed.
    pub async fn review_queue(&self, actor: &Actor, query: &QueueQuery) -> Result<ReviewPage, Refusal> {
        let details = json!({ "queue": query.state, "rule": query.rule, "after": query.after });
        let licence = self.licence(actor, Right::Review, None, Entry { deed: Deed::Review, details }).await?;
        let reviewer = self.reviewer(actor).await?;
        let reviews = self.0.shelves.queue(&licence);
        reviews.follow(&self.company().await?, FRESH, Micros::now()).await?;
        let month = query.month.as_ref().map(|month| moment(&Some(format!("{month}-01")), false, "/month"));
        let after = match &query.after {
            Some(id) => Some(reviews.get(id, &reviewer).await?.value.sequence),
            None => None,
        };
        let limit = query.limit.clamp(1, MOST_ITEMS);
        let wanted = Wanted {
            state: query.state,
            cause: query.rule.clone(),
            assigned: query.mine.then(|| actor.who().clone()),
            month: month.transpose()?,
            after,
            limit: limit + 1,
        };
        let mut items: Vec<ReviewView> =
            reviews.list(&reviewer, &wanted).await?.into_iter().map(ReviewView::from).collect();
        let next = (items.len() > limit).then(|| {
            items.truncate(limit);
            items.last().map(|item| item.id.clone())
        });
        Ok(ReviewPage { items, next: next.flatten() })
    }

    /// An item with the words that it is about.
    ///
    /// # Errors
    /// [`Refusal::Missing`] also when it is not for the actor: whoever took part learns nothing.
    pub async fn review_item(&self, actor: &Actor, id: &str) -> Result<ReviewView, Refusal> {
        let Versioned { value: item, version } = self.item_for(actor, id).await?;
        let warrant = self.review_warrant(actor, id, details(&item, "view")).await?;
        let said = self.0.shelves.reviewed(&warrant).said(item.sequence).await?;
        let text = said.map(|(_, said)| said.text);
        Ok(ReviewView { erased: text.is_none(), text, ..Versioned { value: item, version }.into() })
    }

    /// Decides about an item, hands it on, or notes something.
    ///
    /// # Errors
    /// As [`Office::review_item`]; [`Refusal::Changed`] when somebody else was first; [`Refusal::Conflict`] with what is in
    /// the way.
    pub async fn decide_review(
        &self,
        actor: &Actor,
        id: &str,
        decision: &ReviewDecision,
    ) -> Result<ReviewView, Refusal> {
        let found = self.item_for(actor, id).await?;
        if decision.version.is_some_and(|version| version != found.version) {
            return Err(Refusal::Changed);
        }
        let to = match &decision.to {
            Some(name) => Some(self.colleague(name).await?),
            None => None,
        };
        let action = match (decision.action, to, decision.outcome) {
            (Step::Assign, to, None) => Action::Assign { to: to.unwrap_or_else(|| actor.who().clone()) },
            (Step::Escalate, to, None) => Action::Escalate { to },
            (Step::Comment, None, None) => Action::Comment,
            (Step::Reopen, None, None) => Action::Reopen,
            (Step::Close, None, Some(outcome)) => Action::Close { outcome },
            (Step::Close, None, None) => {
                return Err(Refusal::invalid(
                    "/outcome",
                    "closing needs an outcome: fine, false-alarm or violation",
                ));
            }
            (_, Some(_), _) => {
                return Err(Refusal::invalid("/to", "only assigning and escalating go to somebody"));
            }
            (_, None, Some(_)) => return Err(Refusal::invalid("/outcome", "only closing has an outcome")),
        };
        let details = details(&found.value, action.name());
        let licence = self.licence(actor, Right::Review, None, Entry { deed: Deed::Review, details }).await?;
        let reviewer = self.reviewer(actor).await?;
        let reviews = self.0.shelves.queue(&licence);
        let done = reviews.act(id, found.version, &reviewer, action, decision.comment.clone()).await?;
        Ok(done.into())
    }

    /// The evidence of a period: counts and decisions, without a word of what was said.
    ///
    /// # Errors
    /// The right is missing; it cannot be put on record; the storage failed.
    pub async fn review_report(
        &self,
        actor: &Actor,
        from: &Option<String>,
        to: &Option<String>,
    ) -> Result<ReviewReport, Refusal> {
        let period = Period { start: moment(from, false, "/from")?, end: moment(to, true, "/to")? };
        let details =
            json!({ "report": true, "from": clock::stamp(period.start.0), "to": clock::stamp(period.end.0) });
        let licence = self.licence(actor, Right::Review, None, Entry { deed: Deed::Review, details }).await?;
        Ok(self.0.shelves.queue(&licence).report(period).await?)
    }

    /// The item, if it is for this actor. It shows no words and is on record when something is done with it.
    async fn item_for(&self, actor: &Actor, id: &str) -> Result<Versioned<ReviewItem>, Refusal> {
        actor.must(Right::Review)?;
        let reviewer = self.reviewer(actor).await?;
        Ok(self.0.shelves.peek(id, &reviewer).await?)
    }

    async fn reviewer(&self, actor: &Actor) -> Result<Reviewer, Refusal> {
        let groups = Profile::find(&self.0.vault, actor.who()).await?.groups;
        Ok(Reviewer { who: actor.who().clone(), groups, senior: actor.may(Right::Supervise) })
    }

    /// Somebody who may review.
    async fn colleague(&self, name: &str) -> Result<BareJid, Refusal> {
        let address = match name.contains('@') {
            true => BareJid::new(name).ok(),
            false => Users::address(name, self.main_domain()).ok(),
        };
        let address = address.ok_or_else(|| Refusal::invalid("/to", "this is no address of an account"))?;
        let account = self.0.users.find(&address).await?;
        match account.filter(|account| !account.disabled && account.roles.may(Right::Review)) {
            Some(_) => Ok(address),
            None => Err(Refusal::invalid("/to", "there is no reviewer of this name")),
        }
    }
}

/// What goes on record of an item: which one and why, not what was said.
fn details(item: &ReviewItem, action: &str) -> serde_json::Value {
    let rules: Vec<&str> = item.causes.iter().map(|cause| cause.id.as_str()).collect();
    json!({ "item": item.id, "sequence": item.sequence.0, "rules": rules, "action": action })
}

/// A date, or a date and time, in UTC. Nothing is the beginning, or now.
fn moment(text: &Option<String>, end: bool, field: &str) -> Result<Micros, Refusal> {
    let Some(text) = text else {
        return Ok(if end { Micros::now() } else { Micros(0) });
    };
    let whole = match (text.len(), end) {
        (10, false) => format!("{text}T00:00:00Z"),
        (10, true) => format!("{text}T23:59:59.999999Z"),
        _ => text.clone(),
    };
    let micros = clock::parse(&whole).map(Micros);
    micros.ok_or_else(|| Refusal::invalid(field, "this is no date such as 2026-11-22, nor a date and time"))
}

impl From<ReviewError> for Refusal {
    fn from(error: ReviewError) -> Self {
        match error {
            // Whether somebody's own words were flagged is not for them to know.
            ReviewError::Unknown(_) | ReviewError::Barred(Bar::Party | Bar::NotNamed) => {
                Self::Missing("there is no such item in your review queue".to_owned())
            }
            ReviewError::Barred(bar @ Bar::OtherParty(_)) => Self::invalid("/to", bar.to_string()),
            ReviewError::Barred(bar @ Bar::Silent) => Self::invalid("/comment", bar.to_string()),
            ReviewError::Barred(bar) => Self::Conflict(bar.to_string()),
            error @ (ReviewError::Rules(_) | ReviewError::OnlyFlags(_)) => {
                Self::invalid("/source", error.to_string())
            }
            ReviewError::Conflict => Self::Changed,
            ReviewError::Archive(error) => error.into(),
            error => {
                tracing::error!(%error, "supervision failed");
                Self::Failed
            }
        }
    }
}

impl QueueQuery {
    /// What waits, whatever brought it.
    pub fn waiting(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// What is decided.
    pub fn decided(limit: usize) -> Self {
        Self { state: Some(State::Closed), ..Self::waiting(limit) }
    }
}
