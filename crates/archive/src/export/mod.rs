//! Words on their way out of the archive: for a court, an authority, another archive.
//!
//! An export is a ZIP or a folder. It has the events in a form to read ([`Form`]), the files that they link to, a [`proof`]
//! that leads from each event to a signed checkpoint, the SHA-256 of all of these, and a signed [`Manifest`].
//! [`verify_export`] checks all of it with the public key alone, without any archive.
//!
//! Exports stream: what has been written is not held, and the selection is walked twice rather than kept.

mod attachment;
mod check;
mod day;
mod form;
pub(crate) mod mail;
mod manifest;
mod package;
mod proof;
mod record;
mod unpack;

use serde_json::Value;
use sha2::{Digest, Sha256};
use vault::{Micros, Sequence, VaultError};

pub use self::attachment::{Attachment, Attachments, Content, NoAttachments};
pub use self::check::{ExportFault, ExportReport, verify_export};
pub use self::form::Form;
pub use self::manifest::{Counts, Header, Manifest, Signed};
pub use self::package::{Destination, Output};
pub use self::record::{Changes, Kind, Record, stamp};

use self::day::Days;
pub(crate) use self::form::entry;
use self::form::{Sheet, Style};
use self::package::Package;
use self::proof::Prover;
use crate::chain::Notary;
use crate::hex::hex;
use crate::id::Ids;
use crate::{ArchiveError, Item, Selection, Walk};

/// What to export.
pub struct Order<'a> {
    /// What it is called; people read it.
    pub title: String,
    /// How events are written.
    pub form: Form,
    /// In whose books, and when.
    pub selection: Selection,
    /// The question that `choose` answers, as somebody asked it.
    pub question: Option<String>,
    /// Who asked.
    pub by: String,
    /// The matter that it is for.
    pub matter: Option<Value>,
    /// Which events of the selection. It must answer the same when it is asked again.
    pub choose: &'a (dyn Fn(&Item) -> Choice + Send + Sync),
    /// Where the files are that events link to.
    pub attachments: &'a dyn Attachments,
    /// Told how far the export is, and how far it goes.
    pub progress: &'a (dyn Fn(u64, u64) + Send + Sync),
}

/// Whether an event of the selection is in an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is.
    Take,
    /// It is not what was asked for.
    Outside,
    /// It was asked for and is withheld; the export says how many and why.
    Withhold(&'static str),
}

/// Why there is no export, or none to be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The output or the export's files failed.
    #[error("reading or writing the export failed: {0}")]
    Io(#[from] std::io::Error),
    /// The ZIP failed.
    #[error("this is no ZIP that can be read or written: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// The folder has something in it.
    #[error("the folder for the export is not empty")]
    NotEmpty,
    /// Something was erased, or a file was, between the two walks.
    #[error("something was erased while the export was made: make it again")]
    Changed,
    /// The archive does not hold together.
    #[error("the archive does not hold together at event {sequence}: verify it before anything is exported")]
    Broken {
        /// Where.
        sequence: Sequence,
    },
    /// No checkpoint covers the events.
    #[error("the end of the archive could not be signed, so nothing can be proven")]
    Unsigned,
    /// There is no manifest.
    #[error("this is no export: it has no {0}")]
    NoExport(&'static str),
}

impl From<VaultError> for ExportError {
    fn from(error: VaultError) -> Self {
        Self::Archive(error.into())
    }
}

impl From<vault::StoreError> for ExportError {
    fn from(error: vault::StoreError) -> Self {
        Self::Archive(error.into())
    }
}

/// An event that is in an export, and what is said of it beside the chain.
pub(crate) struct Chosen {
    pub(crate) sequence: Sequence,
    pub(crate) archive_id: Option<String>,
    pub(crate) attachments: Vec<Attachment>,
}

/// What an export needs of the archive.
pub(crate) struct Exporter<'a> {
    pub(crate) vault: &'a vault::Vault,
    pub(crate) ids: &'a Ids,
    /// The checkpoint that covers all.
    pub(crate) checkpoint: Option<vault::Checkpoint>,
}

impl Exporter<'_> {
    /// Writes an export, and returns what it says of itself.
    pub(crate) async fn run(
        &self,
        mut order: Order<'_>,
        destination: Destination<'_>,
    ) -> Result<Manifest, ExportError> {
        let mut package = Package::new(destination).await?;
        let signed = self.checkpoint.as_ref().map_or(Sequence::ZERO, |checkpoint| checkpoint.sequence);
        let through = order.selection.through.map_or(signed, |through| through.min(signed));
        order.selection.through = Some(through);
        let header = Header {
            title: order.title.clone(),
            form: order.form,
            made: stamp(Micros::now()),
            by: order.by.clone(),
            matter: order.matter.clone(),
            selection: order.selection.clone(),
            question: order.question.clone(),
        };

        let mut first = Pass::new(self, &order, 0);
        let mut writer = Writer::new(order.form, order.attachments);
        writer.begin(&header, &mut package).await?;
        while let Some(steps) = first.next().await? {
            for step in steps {
                if let Step::Event(item, chosen) = step {
                    let record = Record::of(&item, chosen.archive_id, chosen.attachments);
                    writer.event(record, &mut package).await?;
                }
            }
        }
        writer.end(&mut package).await?;

        let mut second = Pass::new(self, &order, 1);
        let mut prover = Prover::new(self.vault);
        let mut counts = Counts::default();
        let (mut begins, mut ends) = (None, None);
        while let Some(steps) = second.next().await? {
            for step in steps {
                match step {
                    Step::Event(_, chosen) => {
                        counts.events += 1;
                        begins = begins.or(Some(chosen.sequence.0));
                        ends = Some(chosen.sequence.0);
                        for file in chosen.attachments.iter().filter(|file| file.file.is_some()) {
                            attach(file, order.attachments, &mut package).await?;
                        }
                        for file in chosen.attachments.iter().filter(|file| file.erased) {
                            *counts.left_out.entry("erased".into()).or_default() += 1;
                            prover.left_out(chosen.sequence, Some(file.url.clone()), "erased");
                        }
                        prover.event(chosen, &mut package).await?;
                    }
                    Step::LeftOut(sequence, why) => {
                        *counts.left_out.entry(why.into()).or_default() += 1;
                        prover.left_out(sequence, None, why);
                    }
                }
            }
        }
        if first.digest.finalize() != second.digest.finalize() {
            return Err(ExportError::Changed);
        }
        prover.finish(&mut package).await?;

        let files = package.files();
        (counts.attachments, counts.attachment_bytes) = package.attachments();
        let notary = Notary::of(self.vault);
        let manifest = Manifest {
            format: manifest::FORMAT.to_owned(),
            header,
            counts,
            first: begins,
            last: ends,
            checkpoint: self.checkpoint.as_ref().map(Signed::from),
            list_sha256: hex(&package.list(manifest::LIST).await?),
            files,
            public_key: hex(&notary.public_key()),
        };
        let text = serde_json::to_vec_pretty(&manifest).map_err(std::io::Error::other)?;
        package.put(manifest::MANIFEST, &text).await?;
        let signature = hex(&notary.sign_statement(&manifest::statement(&text)));
        package.put(manifest::SIGNATURE, format!("{signature}\n").as_bytes()).await?;
        package.close().await?;
        Ok(manifest)
    }
}

/// Copies a file's content.
async fn attach(
    file: &Attachment,
    attachments: &dyn Attachments,
    package: &mut Package<'_>,
) -> Result<(), ExportError> {
    let mut content = attachments.open(file).await?.ok_or(ExportError::Changed)?;
    // Most of them are packed already.
    package.begin(file.file.as_deref().unwrap_or_default(), false).await?;
    while let Some(piece) = content.next().await? {
        package.write(&piece).await?;
    }
    let size = package.end().await?;
    package.attached(size);
    Ok(())
}

/// A walk over what is exported.
struct Pass<'a> {
    walk: Walk,
    order: &'a Order<'a>,
    ids: &'a Ids,
    files: u64,
    /// Over all that is said, so that two passes can be compared.
    digest: Sha256,
    /// What comes before it is done, and how much there is to do.
    done: u64,
    span: u64,
    after: u64,
}

enum Step {
    Event(Item, Chosen),
    LeftOut(Sequence, &'static str),
}

impl<'a> Pass<'a> {
    fn new(exporter: &'a Exporter<'_>, order: &'a Order<'a>, number: u64) -> Self {
        let selection = order.selection.clone();
        let after = selection.after.unwrap_or(Sequence::ZERO).0;
        let span = selection.through.unwrap_or(Sequence::ZERO).0.saturating_sub(after);
        Self {
            walk: Walk::new(exporter.vault.clone(), selection),
            order,
            ids: exporter.ids,
            files: 0,
            digest: Sha256::new(),
            done: number * span,
            span,
            after,
        }
    }

    async fn next(&mut self) -> Result<Option<Vec<Step>>, ExportError> {
        let Some(portion) = self.walk.next().await? else {
            (self.order.progress)(self.done + self.span, 2 * self.span);
            return Ok(None);
        };
        let mut steps = Vec::with_capacity(portion.items.len() + portion.erased.len());
        steps.extend(portion.erased.into_iter().map(|sequence| Step::LeftOut(sequence, "erased")));
        for item in portion.items {
            match (self.order.choose)(&item) {
                Choice::Outside => {}
                Choice::Withhold(why) => steps.push(Step::LeftOut(item.sequence, why)),
                Choice::Take => {
                    let mut attachments = self.order.attachments.of(&item).await?;
                    if self.order.form.has_files() {
                        attachments.iter_mut().for_each(|file| self.name(file));
                    }
                    self.digest.update(item.sequence.0.to_le_bytes());
                    for file in &attachments {
                        self.digest.update(serde_json::to_vec(file).unwrap_or_default());
                    }
                    let archive_id = Some(self.ids.name(item.sequence).into());
                    let chosen = Chosen { sequence: item.sequence, archive_id, attachments };
                    steps.push(Step::Event(item, chosen));
                }
            }
        }
        (self.order.progress)(self.done + portion.through.0.saturating_sub(self.after), 2 * self.span);
        Ok(Some(steps))
    }

    /// Where a file is in the export. What it was called is in the records: a name that somebody chose is no path.
    fn name(&mut self, file: &mut Attachment) {
        if file.erased {
            return;
        }
        self.files += 1;
        file.file = Some(format!("files/{:06}.{}", self.files, file.extension()));
    }
}

/// Writes events in a form.
enum Writer<'a> {
    Sheet(Box<dyn Sheet>),
    Days(Days, &'a dyn Attachments),
}

impl<'a> Writer<'a> {
    fn new(form: Form, attachments: &'a dyn Attachments) -> Self {
        match form.style() {
            Style::Sheet(sheet) => Self::Sheet(sheet),
            Style::Days(binder) => Self::Days(Days::new(binder), attachments),
        }
    }

    async fn begin(&mut self, header: &Header, package: &mut Package<'_>) -> Result<(), ExportError> {
        if let Self::Sheet(sheet) = self {
            package.begin(sheet.name(), true).await?;
            package.write(sheet.head(header).as_bytes()).await?;
        }
        Ok(())
    }

    async fn event(&mut self, record: Record, package: &mut Package<'_>) -> Result<(), ExportError> {
        match self {
            Self::Sheet(sheet) => package.write(sheet.row(&record).as_bytes()).await,
            Self::Days(days, attachments) => days.event(record, *attachments, package).await,
        }
    }

    async fn end(&mut self, package: &mut Package<'_>) -> Result<(), ExportError> {
        match self {
            Self::Sheet(sheet) => package.write(sheet.foot().as_bytes()).await?,
            Self::Days(days, attachments) => days.finish(*attachments, package).await?,
        }
        package.end().await?;
        Ok(())
    }
}
