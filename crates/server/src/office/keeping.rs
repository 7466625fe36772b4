//! How long things are kept, and erasing them: policies, dry runs, erasures and their certificates.

use archive::erase::{EraseError, Job, Kept, Order, Plan, Stage, Target};
use archive::{Deed, Micros, Policy, PolicyError, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use vault::VaultError;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::{Entry, Licence};
use crate::admin::Progress;
use crate::clock;

/// The longest that a policy speaks of, in days.
const MOST_DAYS: u32 = 100_000;

/// A policy, as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// `everything`, `network:DOMAIN`, `group:NAME`, `person:ADDRESS` or `room:ADDRESS`.
    #[schema(example = "room:board@conference.corp.example")]
    pub subject: String,
    /// Days for which it must be kept.
    #[serde(default)]
    #[schema(maximum = 100_000)]
    pub minimum: Option<u32>,
    /// Days after which it must go. With neither, there is no policy about this subject any more.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100_000)]
    pub maximum: Option<u32>,
    /// Which law or rule says so.
    #[serde(default)]
    pub reason: String,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PolicyView {
    /// What it is about.
    pub subject: String,
    /// Days for which it must be kept.
    pub minimum: Option<u32>,
    /// Days after which it must go.
    pub maximum: Option<u32>,
    /// Which law or rule says so.
    pub reason: String,
    /// Who set it.
    pub by: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
}

/// What would go, or went, of one conversation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LineView {
    /// Whose.
    pub conversation: String,
    /// The policy whose maximum is over; none if somebody asked for it.
    pub policy: Option<String>,
    /// How many events.
    pub events: u64,
    /// When the first of them was.
    #[schema(format = DateTime)]
    pub oldest: String,
    /// When the last of them was.
    #[schema(format = DateTime)]
    pub newest: String,
}

/// What stays although it would have to go.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KeptView {
    /// The matter of the hold that binds it.
    pub hold: Option<String>,
    /// The policy whose minimum protects it.
    pub minimum: Option<String>,
    /// How many events.
    pub events: u64,
    /// When the first of them was.
    #[schema(format = DateTime)]
    pub oldest: String,
    /// When the last of them was.
    #[schema(format = DateTime)]
    pub newest: String,
}

/// What would go.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlanView {
    /// How many events.
    pub events: u64,
    /// Of which conversations, by which policy.
    pub lines: Vec<LineView>,
    /// What is in the way of the rest.
    pub kept: Vec<KeptView>,
    /// How many files.
    pub files: u64,
    /// How many files stay because something that stays is about them.
    pub files_kept: u64,
}

/// An erasure.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ErasureView {
    /// Names it for ever.
    pub id: String,
    /// What was ordered.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Who ordered it.
    pub by: String,
    /// When.
    #[schema(format = DateTime)]
    pub asked: String,
    /// How far it is; `certified` when it is done.
    #[schema(value_type = String, example = "certified")]
    pub stage: Stage,
    /// How many events went.
    pub events: u64,
    /// What stayed.
    pub kept: Vec<KeptView>,
    /// How many files went.
    pub files: u64,
    /// How many files stayed.
    pub files_kept: u64,
    /// The signed certificate.
    #[schema(value_type = Option<Object>)]
    pub certificate: Option<Value>,
}

impl Office {
    /// The policies in force.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn list_policies(&self, actor: &Actor) -> Result<Vec<PolicyView>, Refusal> {
        actor.must(Right::Retain)?;
        let all = self.0.shelves.policies().await?.all().await?.value;
        Ok(all.into_iter().map(PolicyView::from).collect())
    }

    /// Sets the policy about a subject.
    ///
    /// # Errors
    /// The right is missing; it contradicts itself; it cannot be put on record.
    pub async fn set_policy(&self, actor: &Actor, rule: PolicyRule) -> Result<Vec<PolicyView>, Refusal> {
        let subject: Subject =
            rule.subject.parse().map_err(|words: String| Refusal::invalid("/subject", words))?;
        for (field, days) in [("/minimum", rule.minimum), ("/maximum", rule.maximum)] {
            if days.is_some_and(|days| days > MOST_DAYS) {
                return Err(Refusal::invalid(field, format!("at most {MOST_DAYS} days")));
            }
        }
        let entry = Entry { deed: Deed::Retain, details: json!({ "do": "set", "policy": rule }) };
        let licence = self.licence(actor, Right::Retain, None, entry).await?;
        let policies = self.0.shelves.policies().await?;
        let version = policies.all().await?.version;
        let PolicyRule { minimum, maximum, reason, .. } = rule;
        let policy =
            Policy { subject, minimum, maximum, reason, by: licence.by().clone(), at: Micros::now() };
        policies.set(policy, version).await?;
        self.list_policies(actor).await
    }

    /// What the policies would take now. Shows nobody's words.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn plan_retention(&self, actor: &Actor, progress: &Progress) -> Result<PlanView, Refusal> {
        let licence = self.to_retain(actor, "dry-run").await?;
        self.plan(&licence, Target::Over, "", progress).await
    }

    /// Takes what the policies say.
    ///
    /// # Errors
    /// The right is missing; it cannot be put on record; another erasure is under way.
    pub async fn carry_out_retention(
        &self,
        actor: &Actor,
        progress: &Progress,
    ) -> Result<ErasureView, Refusal> {
        let licence = self.to_retain(actor, "run").await?;
        self.carry(&licence, Target::Over, "retention policies", progress).await
    }

    /// What an erasure of a person's words would take. Shows nobody's words.
    ///
    /// # Errors
    /// As [`Office::erase_person`].
    pub async fn plan_erasure(
        &self,
        actor: &Actor,
        person: &str,
        reason: &str,
        progress: &Progress,
    ) -> Result<PlanView, Refusal> {
        let person = self.read_address("/person", person)?;
        let details = json!({ "do": "dry-run", "person": person.as_str(), "reason": reason });
        let licence = self.licence(actor, Right::Erase, None, Entry { deed: Deed::Erase, details }).await?;
        self.plan(&licence, Target::Said(person), reason, progress).await
    }

    /// Erases all that a person said, and their files (GDPR 17).
    ///
    /// # Errors
    /// The right is missing; there is no reason; it cannot be put on record; another erasure is under way.
    pub async fn erase_person(
        &self,
        actor: &Actor,
        person: &str,
        reason: &str,
        progress: &Progress,
    ) -> Result<ErasureView, Refusal> {
        let person = self.read_address("/person", person)?;
        if reason.trim().is_empty() {
            return Err(Refusal::invalid(
                "/reason",
                "an erasure needs a reason: who asked for it, and when?",
            ));
        }
        // What is gone cannot be brought back, so a program's token is not enough.
        actor.must(Right::Erase)?;
        actor.must_be_present()?;
        let details = json!({ "do": "erase", "person": person.as_str(), "reason": reason });
        let licence = self.licence(actor, Right::Erase, None, Entry { deed: Deed::Erase, details }).await?;
        self.carry(&licence, Target::Said(person), reason, progress).await
    }

    /// All erasures, the newest first.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn list_erasures(&self, actor: &Actor) -> Result<Vec<ErasureView>, Refusal> {
        actor.must(Right::Erase)?;
        Ok(self.0.shelves.erasures().await?.into_iter().map(ErasureView::from).collect())
    }

    /// Completes erasures that a crash cut off, and reaches for copies of keys that could not be reached. On start.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn complete_erasures(&self) -> Result<(), Refusal> {
        let trail = self.0.shelves.unfinished().await?;
        let around = self.surroundings(trail).await?;
        for job in trail.resume_erasures(&around, &|_, _| {}).await? {
            tracing::info!(erasure = job.id, events = job.events, "an erasure that was cut off is complete");
        }
        let behind = |copy: &vault::KeyCopy| copy.behind.is_some();
        if self.0.vault.key_copies().await?.iter().any(behind)
            && self.0.vault.update_key_copies().await?.iter().any(behind)
        {
            tracing::warn!("a copy of the keys cannot be reached; it may hold keys of what was erased");
        }
        Ok(())
    }

    async fn to_retain(&self, actor: &Actor, what: &str) -> Result<Licence, Refusal> {
        let entry = Entry { deed: Deed::Retain, details: json!({ "do": what }) };
        self.licence(actor, Right::Retain, None, entry).await
    }

    async fn plan(
        &self,
        licence: &Licence,
        target: Target,
        reason: &str,
        progress: &Progress,
    ) -> Result<PlanView, Refusal> {
        let trail = self.0.shelves.keep(licence).await?;
        let around = self.surroundings(trail).await?;
        let order = Order { target, reason: reason.to_owned(), by: licence.by().clone() };
        Ok(trail.plan_erasure(&order, &around, &|done, total| progress(done, total)).await?.into())
    }

    async fn carry(
        &self,
        licence: &Licence,
        target: Target,
        reason: &str,
        progress: &Progress,
    ) -> Result<ErasureView, Refusal> {
        let trail = self.0.shelves.keep(licence).await?;
        let around = self.surroundings(trail).await?;
        let order = Order { target, reason: reason.to_owned(), by: licence.by().clone() };
        Ok(trail.erase(order, &around, &|done, total| progress(done, total)).await?.into())
    }
}

impl From<Policy> for PolicyView {
    fn from(policy: Policy) -> Self {
        let Policy { subject, minimum, maximum, reason, by, at } = policy;
        let subject = subject.to_string();
        Self { subject, minimum, maximum, reason, by: by.to_string(), at: clock::stamp(at.0) }
    }
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        let lines = plan.lines.into_iter().map(|line| LineView {
            conversation: line.conversation,
            policy: line.policy.map(|subject| subject.to_string()),
            events: line.events,
            oldest: clock::stamp(line.oldest.0),
            newest: clock::stamp(line.newest.0),
        });
        Self {
            events: plan.goes.count(),
            lines: lines.collect(),
            kept: plan.kept.into_iter().map(KeptView::from).collect(),
            files: plan.files.len() as u64,
            files_kept: plan.files_kept,
        }
    }
}

impl From<Kept> for KeptView {
    fn from(kept: Kept) -> Self {
        let (hold, minimum) = match kept.why {
            archive::Why::Hold(matter) => (Some(matter), None),
            archive::Why::Minimum(subject) => (None, Some(subject.to_string())),
        };
        Self {
            hold,
            minimum,
            events: kept.events,
            oldest: clock::stamp(kept.oldest.0),
            newest: clock::stamp(kept.newest.0),
        }
    }
}

impl From<Job> for ErasureView {
    fn from(job: Job) -> Self {
        let subject = match &job.order.target {
            Target::Said(person) => format!("person:{person}"),
            Target::In(_) => "selection".to_owned(),
            Target::Over => "retention".to_owned(),
        };
        Self {
            id: job.id,
            subject,
            reason: job.order.reason,
            by: job.order.by.to_string(),
            asked: clock::stamp(job.asked.0),
            stage: job.stage,
            events: job.events,
            kept: job.kept.into_iter().map(KeptView::from).collect(),
            files: job.files.len() as u64,
            files_kept: job.files_kept,
            certificate: job.certificate,
        }
    }
}

impl From<EraseError> for Refusal {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Busy => Self::Conflict(error.to_string()),
            EraseError::Record(error) => error.into(),
            EraseError::Hold(error) => error.into(),
            EraseError::Archive(error) => error.into(),
            other => {
                tracing::error!(error = %other, "an erasure stopped; it is completed on the next start");
                Self::Failed
            }
        }
    }
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        match error {
            PolicyError::Contradiction(words) => Self::Invalid { field: None, message: words.to_owned() },
            PolicyError::Vault(error) => VaultError::into(error),
            other => Self::Conflict(other.to_string()),
        }
    }
}
