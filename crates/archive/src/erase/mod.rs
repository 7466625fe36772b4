//! Erasing: because a person asked for it (GDPR 17), or because a policy's maximum is over.
//!
//! An erasure is a *job*, a sealed record that says what goes and how far it has come. It is carried out in steps, each of
//! which may be done again, so whatever a crash leaves is completed by [`Archive::resume_erasures`]:
//!
//! 1. *Planned.* All holds are brought up to the end of the log; then each event is decided about ([`plan`]).
//! 2. *Recorded.* The exact list of what goes is on the audit chain before anything does. A body that is gone and on no such
//!    list is a fault that `verify` finds.
//! 3. *Sealed for ever.* Data keys are destroyed, in the writer, so that nobody seals with one that is on its way out. For a
//!    person's wish, what stays under the same key is set apart first; for a policy, the key waits until all of it goes.
//! 4. *Dropped.* Bodies are replaced by their digests, and journals emptied.
//! 5. *Cleared.* Files, undelivered copies, marks of retraction and entries of the index go.
//! 6. *Certified.* The certificate is signed, and on the audit chain.

mod carry;
mod certificate;
mod plan;

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault::{Expect, KeyCopy, Micros, Record, Sequence, Vault, VaultError, Version, Versioned, Write};

use self::carry::Carrier;
pub(crate) use self::carry::{Shred, shred};
pub use self::certificate::{Invalid, check_certificate};
pub use self::plan::{FileUse, Kept, Line, Plan};
use crate::chain::Notary;
use crate::hex::hex;
use crate::matter::fresh_id;
use crate::{
    Act, AppendError, Archive, ArchiveError, Deed, HoldError, Item, Places, Questions, Selection, audit,
};

/// Is told how much of a step is done, and of how much.
pub type Progress<'a> = dyn Fn(u64, u64) + Send + Sync + 'a;

/// What is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// All that a person said, wherever, and what was noted about their files.
    Said(BareJid),
    /// A selection, which must name somebody.
    In(Selection),
    /// Whatever is older than its policy's maximum.
    Over,
}

/// Who wants what to go, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub target: Target,
    /// Why: the request and its number, say.
    pub reason: String,
    /// Who gave the order.
    pub by: Jid,
}

/// What the archive does not know itself.
#[async_trait]
pub trait Around: Send + Sync {
    /// The moment at which policies are judged.
    fn now(&self) -> Micros {
        Micros::now()
    }

    /// Reads the questions of holds.
    fn questions(&self) -> &dyn Questions;

    /// The groups that somebody is in.
    fn groups(&self, who: &BareJid) -> Vec<String>;

    /// What people call the conversation of an event.
    fn conversation(&self, item: &Item) -> String;

    /// Files that an event uploads or links to.
    fn files(&self, item: &Item) -> Vec<FileUse>;

    /// Destroys a file. No error if it is gone already.
    ///
    /// # Errors
    /// A sentence for the log. It is tried again when the job is resumed.
    async fn erase_file(&self, file: &str) -> Result<(), String>;

    /// Forgets everything that was noted about erased events: marks of retraction, copies in memory. `addresses` are those
    /// that they were from or to. May be called again for the same.
    ///
    /// # Errors
    /// A sentence for the log.
    async fn forget(&self, erased: &Places, addresses: &[BareJid]) -> Result<(), String>;
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// It is known what goes.
    Planned,
    /// That is on the audit chain.
    Recorded,
    /// Keys are destroyed.
    Sealed,
    /// Bodies are dropped.
    Dropped,
    /// Files and notes are gone.
    Cleared,
    /// The certificate is signed and on record.
    Certified,
}

/// An erasure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Names it for ever.
    pub id: String,
    /// What was ordered.
    pub order: Order,
    /// When.
    pub asked: Micros,
    /// How far it is.
    pub stage: Stage,
    /// How many events go.
    pub events: u64,
    /// What stayed although it would have had to go.
    pub kept: Vec<Kept>,
    /// Files that go.
    pub files: Vec<String>,
    /// Files that stay because something that stays is about them.
    pub files_kept: u64,
    /// Data keys destroyed so far.
    pub keys: u64,
    /// The certificate, in the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Value>,
    touched: Vec<String>,
    holds: Vec<String>,
}

impl Record for Job {
    const KIND: u16 = 0x4124;
}

/// Parts of the list of what goes: parent is the job, key a number, the value what [`Places::encode`] gives.
const PART_KIND: u16 = 0x4125;
/// Ranges in a part.
const PART: usize = 8_192;

/// Why an erasure stopped. What was done stays done, and the rest is done when it is resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// Another job is under way.
    #[error("another erasure is under way; wait until it is done")]
    Busy,
    /// Something around the archive failed.
    #[error("{0}")]
    Around(String),
    /// The audit chain took no entry, so nothing may be done.
    #[error("the erasure could not be put on record: {0}")]
    Record(#[from] AppendError),
    /// Holds could not be read or extended.
    #[error(transparent)]
    Hold(#[from] HoldError),
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<VaultError> for EraseError {
    fn from(error: VaultError) -> Self {
        Self::Archive(error.into())
    }
}

impl<T: Send + 'static> Archive<T> {
    /// What an order would erase and what is in the way, without erasing anything.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn plan_erasure(
        &self,
        order: &Order,
        around: &dyn Around,
        progress: &Progress<'_>,
    ) -> Result<Plan, EraseError> {
        let told = |through: Sequence, end: Sequence| progress(through.0, end.0);
        self.holds().extend(around.questions(), &told).await?;
        plan::plan(self.vault(), order, self.holds().held().await?, around, progress).await
    }

    /// Carries out an order. Where nothing goes, there is a certificate that says so.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn erase(
        &self,
        order: Order,
        around: &dyn Around,
        progress: &Progress<'_>,
    ) -> Result<Job, EraseError> {
        let _turn = self.erasing().try_acquire().map_err(|_| EraseError::Busy)?;
        let plan = self.plan_erasure(&order, around, progress).await?;
        let job = Job {
            id: fresh_id("e")?,
            order,
            asked: Micros::now(),
            stage: Stage::Planned,
            events: plan.goes.count(),
            kept: plan.kept,
            files: plan.files,
            files_kept: plan.files_kept,
            keys: 0,
            certificate: None,
            touched: plan.touched,
            holds: plan.holds,
        };
        let mut writes = part_writes(&job.id, &plan.goes);
        writes.push(Write::put("", &job.id, &job, Expect::Absent)?);
        let version = self.vault().apply(writes).await?;
        self.run(Versioned { value: job, version }, plan.goes, around, progress).await
    }

    /// Completes what a crash cut off. Called on start, before anything else is erased.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn resume_erasures(
        &self,
        around: &dyn Around,
        progress: &Progress<'_>,
    ) -> Result<Vec<Job>, EraseError> {
        let _turn = self.erasing().try_acquire().map_err(|_| EraseError::Busy)?;
        let mut done = Vec::new();
        for (_, job) in self.vault().list::<Job>("").await? {
            if job.value.stage < Stage::Certified {
                let goes = parts(self.vault(), &job.value.id).await?;
                done.push(self.run(job, goes, around, progress).await?);
            }
        }
        Ok(done)
    }

    /// All erasures, the newest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn erasures(&self) -> Result<Vec<Job>, EraseError> {
        let mut jobs: Vec<Job> =
            self.vault().list::<Job>("").await?.into_iter().map(|(_, job)| job.value).collect();
        jobs.sort_by_key(|job| std::cmp::Reverse(job.asked));
        Ok(jobs)
    }

    async fn run(
        &self,
        job: Versioned<Job>,
        mut goes: Places,
        around: &dyn Around,
        progress: &Progress<'_>,
    ) -> Result<Job, EraseError> {
        let Versioned { value: mut job, mut version } = job;
        if job.stage < Stage::Recorded {
            self.record_list(&job, &goes).await?;
            self.advance(&mut job, &mut version, Stage::Recorded).await?;
        }
        if job.stage < Stage::Sealed {
            // Somebody may have placed a hold since.
            let held = self.holds().held().await?;
            if held.holds() != job.holds {
                self.holds().extend(around.questions(), &|_, _| {}).await?;
                goes = self.narrow(&mut job, goes, around).await?;
            }
            let carrier = Carrier { archive: self, goes: Arc::new(goes.clone()), progress };
            let apart = !matches!(job.order.target, Target::Over);
            job.keys += carrier.destroy_keys(apart).await?;
            self.advance(&mut job, &mut version, Stage::Sealed).await?;
        }
        let carrier = Carrier { archive: self, goes: Arc::new(goes), progress };
        if job.stage < Stage::Dropped {
            carrier.drop_bodies().await?;
            self.advance(&mut job, &mut version, Stage::Dropped).await?;
        }
        if job.stage < Stage::Cleared {
            for file in &job.files {
                around.erase_file(file).await.map_err(EraseError::Around)?;
            }
            let touched: Vec<BareJid> = job.touched.iter().filter_map(|who| BareJid::new(who).ok()).collect();
            carrier.clear_spool(&touched).await?;
            carrier.clear_index().await?;
            around.forget(&carrier.goes, &touched).await.map_err(EraseError::Around)?;
            self.advance(&mut job, &mut version, Stage::Cleared).await?;
        }
        let copies = self.vault().key_copies().await?;
        let notary = Notary::of(self.vault());
        let certificate = certificate::sign(describe(&job, &carrier.goes, &copies, &notary), &notary);
        let details = json!({ "erasure": job.id, "certificate": certificate });
        self.audit(Act::new(job.order.by.clone(), deed(&job.order), details)).await?;
        job.certificate = Some(certificate);
        // Whose words they were is nobody's business any more.
        job.touched.clear();
        self.advance(&mut job, &mut version, Stage::Certified).await?;
        Ok(job)
    }

    /// Takes out of a job what holds bind by now.
    async fn narrow(&self, job: &mut Job, goes: Places, around: &dyn Around) -> Result<Places, EraseError> {
        let held = self.holds().held().await?;
        let free = held.free(&goes).await?;
        if free != goes {
            let plan = plan::plan(self.vault(), &job.order, held, around, &|_, _| {}).await?;
            (job.kept, job.holds) = (plan.kept, plan.holds);
            (job.files, job.files_kept) = (plan.files, plan.files_kept);
            job.events = free.count();
            let old = self.vault().list_bytes(PART_KIND, &job.id).await?;
            let mut writes: Vec<Write> = old
                .iter()
                .map(|(key, ..)| Write::delete_bytes(PART_KIND, &job.id, key, Expect::Any))
                .collect();
            writes.extend(part_writes(&job.id, &free));
            self.vault().apply(writes).await?;
        }
        Ok(free)
    }

    /// Puts on the audit chain what is about to go.
    async fn record_list(&self, job: &Job, goes: &Places) -> Result<(), EraseError> {
        let parts = goes.pieces(PART).count();
        for (at, piece) in goes.pieces(PART).enumerate() {
            let details = json!({
                "erasure": job.id,
                "part": at + 1,
                "of": parts,
                "events": piece.count(),
                LIST: STANDARD.encode(piece.encode()),
            });
            self.audit(Act::new(job.order.by.clone(), deed(&job.order), details)).await?;
        }
        Ok(())
    }

    async fn advance(&self, job: &mut Job, version: &mut Version, stage: Stage) -> Result<(), EraseError> {
        job.stage = stage;
        let write = Write::put("", &job.id, &*job, Expect::Version(*version))?;
        *version = self.vault().apply(vec![write]).await?;
        Ok(())
    }
}

/// The detail that lists what goes: Base64 of [`Places::encode`].
const LIST: &str = "places";

fn deed(order: &Order) -> Deed {
    match order.target {
        Target::Over => Deed::Retain,
        Target::Said(_) | Target::In(_) => Deed::Erase,
    }
}

fn describe(job: &Job, goes: &Places, copies: &[KeyCopy], notary: &Notary) -> Value {
    let kept: Vec<Value> = job
        .kept
        .iter()
        .map(|kept| json!({ "why": kept.why, "events": kept.events, "oldest": kept.oldest.0, "newest": kept.newest.0 }))
        .collect();
    let copies: Vec<Value> = copies
        .iter()
        .map(|copy| json!({ "path": copy.path.display().to_string(), "reached": copy.behind.is_none() }))
        .collect();
    let ranges = goes.ranges().take(LISTED).map(|(first, last)| json!([first.0, last.0]));
    json!({
        "type": "chancery erasure certificate",
        "version": 1,
        "archive": hex(&notary.public_key()),
        "erasure": job.id,
        "subject": job.order.target,
        "request": job.order.reason,
        "by": job.order.by,
        "asked": job.asked.0,
        "done": Micros::now().0,
        "erased": {
            "events": goes.count(),
            "ranges": ranges.collect::<Vec<_>>(),
            "more_ranges": goes.ranges().count().saturating_sub(LISTED),
            "digest": hex(&goes.digest()),
            "keys": job.keys,
            "files": job.files.len(),
        },
        "kept": kept,
        "files_kept": job.files_kept,
        "key_copies": copies,
    })
}

/// Ranges that a certificate lists; the digest is of all.
const LISTED: usize = 1_000;

fn part_writes(job: &str, goes: &Places) -> Vec<Write> {
    let part = |(at, piece): (usize, Places)| {
        Write::put_bytes(PART_KIND, job, &format!("{at:08}"), piece.encode(), Expect::Any)
    };
    goes.pieces(PART).enumerate().map(part).collect()
}

async fn parts(vault: &Vault, job: &str) -> Result<Places, VaultError> {
    let mut goes = Places::default();
    for (_, bytes, _) in vault.list_bytes(PART_KIND, job).await? {
        goes.extend(&Places::decode(&bytes).ok_or(VaultError::Corrupt { what: "the list of an erasure" })?);
    }
    Ok(goes)
}

/// All that erasures on record have taken, by the audit chain.
pub(crate) async fn recorded(vault: &Vault) -> crate::Result<Places> {
    let mut all = Places::default();
    let mut before = None;
    loop {
        let entries = audit::read(vault, before, 256).await?;
        let Some(last) = entries.last() else { return Ok(all) };
        before = Some(last.number);
        for entry in entries.iter().filter(|entry| matches!(entry.act.deed, Deed::Erase | Deed::Retain)) {
            let list = entry.act.details.get(LIST).and_then(Value::as_str);
            let list = list.and_then(|list| STANDARD.decode(list).ok());
            if let Some(places) = list.and_then(|list| Places::decode(&list)) {
                all.extend(&places);
            }
        }
    }
}
