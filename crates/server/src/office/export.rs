//! Taking other people's words out of the archive, under a matter.

use std::sync::Arc;

use archive::export::{Choice, Destination, ExportError, Form, Manifest, Order};
use archive::search::Language;
use archive::{Deed, Item, Matter, Questions};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Office;
use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::warrant::{Basis, Entry, Plea};
use crate::config::Config;
use crate::courier;
use crate::files::Attached;
use crate::post::Trail;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportWish {
    /// The matter whose scope it is.
    pub matter: String,
    /// How events are written.
    pub form: Form,
    /// What it is called; otherwise as the matter is.
    pub title: Option<String>,
}

/// An export that may be made, and that is on record already.
pub struct Parcel {
    office: Office,
    trail: Trail,
    actor: Actor,
    matter: Box<Matter>,
    wish: ExportWish,
    filter: Option<archive::Filter>,
}

/// What an export says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExportView {
    /// The matter.
    pub matter: String,
    /// Events in it.
    pub events: u64,
    /// Files in it that events link to.
    pub attachments: u64,
    /// What of the scope is not in it, by the reason why.
    #[schema(value_type = Object)]
    pub left_out: Value,
    /// SHA-256 of its list of files.
    pub list_sha256: String,
    /// The key that verifies it.
    pub public_key: String,
}

impl Office {
    /// Puts on record that an export is made, and hands it out to be written.
    ///
    /// # Errors
    /// What is missing: the right, the matter, its approval, a scope; or it cannot be put on record.
    pub async fn export(&self, actor: &Actor, wish: ExportWish) -> Result<Parcel, Refusal> {
        let details = json!({ "form": wish.form, "title": wish.title });
        let entry = Entry { deed: Deed::Export, details };
        let warrant = self.warrant(actor, Right::Export, &Plea::Matter(wish.matter.clone()), entry).await?;
        let trail = self.0.shelves.open(&warrant).await?.clone();
        let Basis::Matter(matter) = warrant.into_basis() else { return Err(Refusal::MatterWanted) };
        if matter.brief.scope.is_empty() {
            return Err(Refusal::Conflict(
                "the matter is about nobody: name custodians or rooms first".into(),
            ));
        }
        let filter = match &matter.brief.scope.question {
            None => None,
            Some(question) => Some(filter(question)?),
        };
        Ok(Parcel { office: self.clone(), trail, actor: actor.clone(), matter, wish, filter })
    }
}

/// Reads a matter's question.
fn filter(question: &str) -> Result<archive::Filter, Refusal> {
    let language = Language { patterns: true, ..Language::default() };
    let unreadable = |error| Refusal::Conflict(format!("the question of the matter cannot be read: {error}"));
    language.read(question).map_err(unreadable)
}

impl Office {
    /// Signs where the archive stands and takes that to where checkpoints are kept: `{anchor, kept: [{to, fault}]}`.
    ///
    /// # Errors
    /// The right is missing, it cannot be put on record, or nothing can be signed.
    pub async fn anchor(&self, actor: &Actor, config: &Config) -> Result<Value, Refusal> {
        let entry = Entry { deed: Deed::Export, details: json!({ "anchor": true }) };
        let licence = self.licence(actor, Right::Verify, None, entry).await?;
        let trail = self.0.shelves.keep(&licence).await?;
        let (anchor, kept) = courier::anchor_now(config, trail).await?;
        Ok(json!({ "anchor": anchor, "kept": kept }))
    }
}

impl Parcel {
    /// What the file is called.
    pub fn file_name(&self) -> String {
        format!("{}-{}.zip", self.matter.id, self.wish.form.name())
    }

    /// Writes it, and puts on record what was in it. `progress` is told how far it is, and how far it goes.
    ///
    /// # Errors
    /// Why there is none; what has been written is of no use then.
    pub async fn write(
        self,
        into: Destination<'_>,
        progress: Arc<dyn Fn(u64, u64) + Send + Sync>,
    ) -> Result<ExportView, Refusal> {
        let scope = &self.matter.brief.scope;
        let choose = |item: &Item| match &self.filter {
            Some(matches) if !matches(item) => Choice::Outside,
            _ => Choice::Take,
        };
        let attachments = Attached::new(self.office.0.vault.clone());
        let order = Order {
            title: self.wish.title.clone().unwrap_or_else(|| self.matter.brief.name.clone()),
            form: self.wish.form,
            selection: scope.selection(),
            question: scope.question.clone(),
            by: self.actor.jid().to_string(),
            matter: Some(json!({
                "id": self.matter.id,
                "title": self.matter.brief.name,
                "reason": self.matter.brief.reason,
                "scope": scope,
            })),
            choose: &choose,
            attachments: &attachments,
            progress: &*progress,
        };
        let manifest = self.trail.export(order, into).await?;
        let view = ExportView::of(&self.matter.id, &manifest);
        let details = json!({ "made": view });
        self.office.note(&self.actor, Entry { deed: Deed::Export, details }).await?;
        Ok(view)
    }
}

impl ExportView {
    fn of(matter: &str, manifest: &Manifest) -> Self {
        Self {
            matter: matter.to_owned(),
            events: manifest.counts.events,
            attachments: manifest.counts.attachments,
            left_out: json!(manifest.counts.left_out),
            list_sha256: manifest.list_sha256.clone(),
            public_key: manifest.public_key.clone(),
        }
    }
}

impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Archive(error) => error.into(),
            ExportError::Io(error) => Self::Conflict(format!("the export could not be written: {error}")),
            error => Self::Conflict(error.to_string()),
        }
    }
}
