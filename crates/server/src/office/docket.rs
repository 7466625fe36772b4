//! Matters and what is held for them: opening, changing, approving, closing, holding, releasing.

use archive::{Approval, Brief, Deed, Hold, HoldError, Matter, Micros, Scope, Sequence};
use jid::BareJid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use vault::Versioned;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::Entry;
use crate::admin::Progress;
use crate::clock;

/// What a matter is about, as people write it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MatterBrief {
    /// What people call it.
    #[schema(max_length = 200)]
    pub name: String,
    /// Why other people's words must be read.
    #[schema(max_length = 2000)]
    pub reason: String,
    /// The addresses of the people whose words it is about.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub custodians: Vec<String>,
    /// The addresses of the rooms that it is about.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub rooms: Vec<String>,
    /// What the words must match, in the language of search. Absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2000)]
    pub question: Option<String>,
    /// Not older than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub start: Option<String>,
    /// Not younger than this. Absent: also what is still to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    pub end: Option<String>,
    /// The addresses of those who may read.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub readers: Vec<String>,
    /// How many others must approve before anybody may.
    #[serde(default)]
    #[schema(maximum = 100)]
    pub approvals: u32,
}

/// A matter.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MatterView {
    /// Names it for ever.
    pub id: String,
    /// To be given with the next change of it.
    pub version: u64,
    /// What it is about.
    #[serde(flatten)]
    pub brief: MatterBrief,
    /// `open`, `unapproved`, `refused` or `closed`.
    pub state: String,
    /// Who opened it.
    pub opened_by: String,
    /// When.
    #[schema(format = DateTime)]
    pub opened_at: String,
    /// What was said about it as it is now.
    pub given: Vec<ApprovalView>,
    /// All that was done to it, oldest first.
    pub history: Vec<ChangeView>,
}

/// What somebody said about a matter.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ApprovalView {
    /// Who.
    pub by: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Whether they approved.
    pub granted: bool,
    /// What they noted.
    pub note: Option<String>,
}

/// A step in a matter's history.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChangeView {
    /// Who took it.
    pub by: String,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// What it was.
    #[schema(value_type = String, example = "approved")]
    pub step: archive::Step,
    /// What they noted.
    pub note: Option<String>,
}

/// A hold.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HoldView {
    /// Names it for ever.
    pub id: String,
    /// The matter that it is for.
    pub matter: String,
    /// Who placed it.
    pub placed_by: String,
    /// When.
    #[schema(format = DateTime)]
    pub placed_at: String,
    /// How many events it binds so far.
    pub events: u64,
    /// Who released it.
    pub released_by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub released_at: Option<String>,
}

impl Office {
    /// All matters, the newest first.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn list_matters(&self, actor: &Actor) -> Result<Vec<MatterView>, Refusal> {
        actor.must(Right::OpenMatter)?;
        let all = self.0.shelves.matters().await?.all().await?;
        Ok(all.into_iter().map(MatterView::from).collect())
    }

    /// One matter.
    ///
    /// # Errors
    /// The right is missing; there is none; the storage failed.
    pub async fn show_matter(&self, actor: &Actor, id: &str) -> Result<MatterView, Refusal> {
        actor.must(Right::OpenMatter)?;
        Ok(self.0.shelves.matters().await?.get(id).await?.into())
    }

    /// Opens a matter.
    ///
    /// # Errors
    /// The right is missing; something in it cannot be; it cannot be put on record.
    pub async fn open_matter(&self, actor: &Actor, brief: MatterBrief) -> Result<MatterView, Refusal> {
        let parsed = self.read_brief(&brief)?;
        let entry = Entry { deed: Deed::Matter, details: json!({ "do": "open", "brief": brief }) };
        let licence = self.licence(actor, Right::OpenMatter, None, entry).await?;
        Ok(self.0.shelves.matters().await?.open(parsed, licence.by()).await?.into())
    }

    /// Changes a matter. What was approved before was another matter.
    ///
    /// # Errors
    /// As [`Office::open_matter`]; [`Refusal::Changed`] if somebody changed it since `version`.
    pub async fn change_matter(
        &self,
        actor: &Actor,
        id: &str,
        version: u64,
        brief: MatterBrief,
    ) -> Result<MatterView, Refusal> {
        let parsed = self.read_brief(&brief)?;
        let entry = Entry { deed: Deed::Matter, details: json!({ "do": "change", "brief": brief }) };
        let licence = self.licence(actor, Right::OpenMatter, Some(id), entry).await?;
        Ok(self.0.shelves.matters().await?.change(id, version, parsed, licence.by()).await?.into())
    }

    /// Approves or refuses a matter as it was at `version`.
    ///
    /// # Errors
    /// The right is missing; it is one's own; somebody changed it; it cannot be put on record.
    pub async fn decide_matter(
        &self,
        actor: &Actor,
        id: &str,
        version: u64,
        granted: bool,
        note: Option<String>,
    ) -> Result<MatterView, Refusal> {
        // A person's word, not a program's.
        actor.must(Right::Approve)?;
        actor.must_be_present()?;
        let entry = Entry { deed: Deed::Approve, details: json!({ "granted": granted, "note": note }) };
        let licence = self.licence(actor, Right::Approve, Some(id), entry).await?;
        let matters = self.0.shelves.matters().await?;
        Ok(matters.decide(id, version, licence.by(), granted, note).await?.into())
    }

    /// Closes a matter or opens it again. Its holds stay.
    ///
    /// # Errors
    /// As [`Office::change_matter`].
    pub async fn close_matter(
        &self,
        actor: &Actor,
        id: &str,
        version: u64,
        closed: bool,
        note: Option<String>,
    ) -> Result<MatterView, Refusal> {
        let what = if closed { "close" } else { "reopen" };
        let entry = Entry { deed: Deed::Matter, details: json!({ "do": what, "note": note }) };
        let licence = self.licence(actor, Right::OpenMatter, Some(id), entry).await?;
        let matters = self.0.shelves.matters().await?;
        Ok(matters.close(id, version, licence.by(), closed, note).await?.into())
    }

    /// Holds all that a matter covers.
    ///
    /// # Errors
    /// The right is missing; the matter is closed or there is none; it cannot be put on record.
    pub async fn place_hold(
        &self,
        actor: &Actor,
        matter: &str,
        progress: &Progress,
    ) -> Result<HoldView, Refusal> {
        actor.must(Right::Hold)?;
        let found = self.0.shelves.matters().await?.get(matter).await?.value;
        let entry = Entry { deed: Deed::Hold, details: json!({ "do": "place", "scope": found.brief.scope }) };
        let licence = self.licence(actor, Right::Hold, Some(matter), entry).await?;
        let trail = self.0.shelves.keep(&licence).await?;
        let around = self.surroundings(trail).await?;
        let told = |through: Sequence, end: Sequence| progress(through.0, end.0);
        let questions = archive::erase::Around::questions(&around);
        Ok(trail.holds().place(&found, licence.by(), questions, &told).await?.into())
    }

    /// Releases a hold. Nothing is deleted by that.
    ///
    /// # Errors
    /// The right is missing; there is none; it cannot be put on record.
    pub async fn release_hold(
        &self,
        actor: &Actor,
        id: &str,
        note: Option<String>,
    ) -> Result<HoldView, Refusal> {
        actor.must(Right::ReleaseHold)?;
        let hold = self.0.shelves.holds().await?.get(id).await?.value;
        let entry = Entry { deed: Deed::Hold, details: json!({ "do": "release", "hold": id, "note": note }) };
        let licence = self.licence(actor, Right::ReleaseHold, Some(&hold.matter), entry).await?;
        Ok(self.0.shelves.holds().await?.release(id, licence.by(), note).await?.into())
    }

    /// All holds, also those that were released; the newest first.
    ///
    /// # Errors
    /// The right is missing; the storage failed.
    pub async fn list_holds(&self, actor: &Actor) -> Result<Vec<HoldView>, Refusal> {
        actor.must(Right::Hold)?;
        Ok(self.0.shelves.holds().await?.all().await?.into_iter().map(HoldView::from).collect())
    }

    fn read_brief(&self, brief: &MatterBrief) -> Result<Brief, Refusal> {
        let people = |field: &str, names: &[String]| -> Result<Vec<BareJid>, Refusal> {
            names.iter().map(|name| self.read_address(field, name)).collect()
        };
        let moment = |field: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => match clock::parse(text) {
                Some(at) => Ok(Some(Micros(at))),
                None => Err(Refusal::invalid(field, "write a time as 2026-01-31T00:00:00Z")),
            },
        };
        if let Some(question) = &brief.question {
            let language = archive::search::Language { patterns: true, ..Default::default() };
            let read = archive::Questions::read(&language, question);
            drop(read.map_err(|words| Refusal::invalid("/question", words))?);
        }
        Ok(Brief {
            name: brief.name.clone(),
            reason: brief.reason.clone(),
            scope: Scope {
                custodians: people("/custodians", &brief.custodians)?,
                rooms: people("/rooms", &brief.rooms)?,
                question: brief.question.clone(),
                start: moment("/start", &brief.start)?,
                end: moment("/end", &brief.end)?,
            },
            readers: people("/readers", &brief.readers)?,
            approvals: brief.approvals,
        })
    }

    /// `name` is somebody of the main domain.
    pub(super) fn read_address(&self, field: &str, name: &str) -> Result<BareJid, Refusal> {
        let whole = match name.contains('@') {
            true => name.to_owned(),
            false => format!("{name}@{}", self.main_domain()),
        };
        BareJid::new(&whole).map_err(|_| Refusal::invalid(field, format!("{name} is no address")))
    }
}

impl From<Versioned<Matter>> for MatterView {
    fn from(found: Versioned<Matter>) -> Self {
        let Versioned { value: matter, version } = found;
        let state = match matter.in_force() {
            Ok(()) => "open",
            Err(archive::Barred::Closed) => "closed",
            Err(archive::Barred::Refused) => "refused",
            Err(_) => "unapproved",
        };
        let names = |people: &[BareJid]| people.iter().map(ToString::to_string).collect();
        let stamp = |at: Option<Micros>| at.map(|at| clock::stamp(at.0));
        let scope = &matter.brief.scope;
        Self {
            version,
            brief: MatterBrief {
                name: matter.brief.name.clone(),
                reason: matter.brief.reason.clone(),
                custodians: names(&scope.custodians),
                rooms: names(&scope.rooms),
                question: scope.question.clone(),
                start: stamp(scope.start),
                end: stamp(scope.end),
                readers: names(&matter.brief.readers),
                approvals: matter.brief.approvals,
            },
            state: state.to_owned(),
            opened_by: matter.opened_by.to_string(),
            opened_at: clock::stamp(matter.opened_at.0),
            given: matter.given.into_iter().map(ApprovalView::from).collect(),
            history: matter
                .history
                .into_iter()
                .map(|change| ChangeView {
                    by: change.by.to_string(),
                    at: clock::stamp(change.at.0),
                    step: change.step,
                    note: change.note,
                })
                .collect(),
            id: matter.id,
        }
    }
}

impl From<Approval> for ApprovalView {
    fn from(approval: Approval) -> Self {
        let Approval { by, at, granted, note } = approval;
        Self { by: by.to_string(), at: clock::stamp(at.0), granted, note }
    }
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        Self {
            id: hold.id,
            matter: hold.matter,
            placed_by: hold.placed_by.to_string(),
            placed_at: clock::stamp(hold.placed_at.0),
            events: hold.count,
            released_by: hold.released.as_ref().map(|released| released.by.to_string()),
            released_at: hold.released.as_ref().map(|released| clock::stamp(released.at.0)),
        }
    }
}

impl From<HoldError> for Refusal {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Unknown(_) => Self::Missing(error.to_string()),
            HoldError::Matter(error) => error.into(),
            HoldError::Archive(error) => error.into(),
            other => Self::Conflict(other.to_string()),
        }
    }
}
