//! What is asked about matters, holds, retention and erasure.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Progress;
use crate::office::{Actor, MatterBrief, Office, PolicyRule, Refusal};

/// What is asked. Each answer is what the API shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "keep", rename_all = "kebab-case")]
pub enum Keep {
    /// All matters.
    Matters,
    /// One matter.
    Matter {
        /// Which.
        id: String,
    },
    /// Open a matter.
    OpenMatter {
        /// What it is about.
        brief: MatterBrief,
    },
    /// Change a matter as it is now.
    ChangeMatter {
        /// Which.
        id: String,
        /// The version that was read. Absent: whatever it is now.
        #[serde(default)]
        version: Option<u64>,
        /// What it is about.
        brief: MatterBrief,
    },
    /// Approve or refuse a matter as it is now.
    DecideMatter {
        /// Which.
        id: String,
        /// Approve, rather than refuse.
        granted: bool,
        /// What to note.
        #[serde(default)]
        note: Option<String>,
    },
    /// Close a matter or open it again.
    CloseMatter {
        /// Which.
        id: String,
        /// Close, rather than open again.
        closed: bool,
        /// What to note.
        #[serde(default)]
        note: Option<String>,
    },
    /// Hold what a matter covers.
    PlaceHold {
        /// The matter.
        matter: String,
    },
    /// Release a hold.
    ReleaseHold {
        /// Which.
        id: String,
        /// What to note.
        #[serde(default)]
        note: Option<String>,
    },
    /// All holds.
    Holds,
    /// The policies in force.
    Policies,
    /// Set a policy.
    SetPolicy {
        /// What it says.
        rule: PolicyRule,
    },
    /// What the policies would take, or take it.
    Retain {
        /// Only say what would go.
        dry_run: bool,
    },
    /// Erase what a person said.
    Erase {
        /// Whose.
        person: String,
        /// Why.
        reason: String,
        /// Only say what would go.
        dry_run: bool,
    },
    /// All erasures.
    Erasures,
}

impl Keep {
    /// The request's name, which is fit for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Matters => "matters",
            Self::Matter { .. } => "matter",
            Self::OpenMatter { .. } => "open-matter",
            Self::ChangeMatter { .. } => "change-matter",
            Self::DecideMatter { .. } => "decide-matter",
            Self::CloseMatter { .. } => "close-matter",
            Self::PlaceHold { .. } => "place-hold",
            Self::ReleaseHold { .. } => "release-hold",
            Self::Holds => "holds",
            Self::Policies => "policies",
            Self::SetPolicy { .. } => "set-policy",
            Self::Retain { .. } => "retain",
            Self::Erase { .. } => "erase",
            Self::Erasures => "erasures",
        }
    }
}

/// Does what is asked.
pub(super) async fn carry_out(
    office: &Office,
    actor: &Actor,
    keep: Keep,
    progress: Progress,
) -> Result<Value, Refusal> {
    Ok(match keep {
        Keep::Matters => json!(office.list_matters(actor).await?),
        Keep::Matter { id } => json!(office.show_matter(actor, &id).await?),
        Keep::OpenMatter { brief } => json!(office.open_matter(actor, brief).await?),
        Keep::ChangeMatter { id, version, brief } => {
            let version = match version {
                Some(version) => version,
                None => office.show_matter(actor, &id).await?.version,
            };
            json!(office.change_matter(actor, &id, version, brief).await?)
        }
        Keep::DecideMatter { id, granted, note } => {
            let version = office.show_matter(actor, &id).await?.version;
            json!(office.decide_matter(actor, &id, version, granted, note).await?)
        }
        Keep::CloseMatter { id, closed, note } => {
            let version = office.show_matter(actor, &id).await?.version;
            json!(office.close_matter(actor, &id, version, closed, note).await?)
        }
        Keep::PlaceHold { matter } => json!(office.place_hold(actor, &matter, &progress).await?),
        Keep::ReleaseHold { id, note } => json!(office.release_hold(actor, &id, note).await?),
        Keep::Holds => json!(office.list_holds(actor).await?),
        Keep::Policies => json!(office.list_policies(actor).await?),
        Keep::SetPolicy { rule } => json!(office.set_policy(actor, rule).await?),
        Keep::Retain { dry_run: true } => json!(office.plan_retention(actor, &progress).await?),
        Keep::Retain { dry_run: false } => json!(office.carry_out_retention(actor, &progress).await?),
        Keep::Erase { person, reason, dry_run: true } => {
            json!(office.plan_erasure(actor, &person, &reason, &progress).await?)
        }
        Keep::Erase { person, reason, dry_run: false } => {
            json!(office.erase_person(actor, &person, &reason, &progress).await?)
        }
        Keep::Erasures => json!(office.list_erasures(actor).await?),
    })
}
