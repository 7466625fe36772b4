//! Checking an export with the public key alone.

use std::collections::HashMap;
use std::io::{BufReader, Read};
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::form::{Sheet, Style};
use super::manifest::{self, LIST, MANIFEST, Manifest, SIGNATURE, Signed};
use super::proof::{self, Line, Shown, Step};
use super::record::Record;
use super::unpack::Unpacked;
use super::{Counts, ExportError};
use crate::ArchiveError;
use crate::hex::{hex, unhex};

/// Something in an export that is not as the archive wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportFault {
    /// The manifest does not bear this key's signature.
    #[error("the manifest is not signed by this key")]
    Unsigned,
    /// The manifest makes no sense.
    #[error("the manifest cannot be read: it is of another format, or damaged")]
    Manifest,
    /// The list of files is not the one that was signed.
    #[error("the list of files is not the one that was signed")]
    List,
    /// A file is gone.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is not as it was.
    #[error("{0} was changed")]
    Changed(String),
    /// There is a file that was not there.
    #[error("{0} was added")]
    Added(String),
    /// An event is not what the chain holds at that place.
    #[error("event {0} is not proven: the path from it to a signed checkpoint does not hold")]
    Unproven(u64),
    /// An event comes twice, or before one that it follows.
    #[error("event {0} is out of order")]
    Order(u64),
    /// The proof has something in it that is none.
    #[error("{0} has a line that cannot be read")]
    Proof(String),
    /// What there is to read does not say what is proven.
    #[error("{0} does not say what the proven events say")]
    Text(String),
    /// A file that an event links to is not the one that it linked to.
    #[error("{0} is not the file that was attached")]
    Attachment(String),
    /// There are more or fewer events than the manifest says.
    #[error("the manifest counts other events than there are")]
    Counts,
}

/// What [`verify_export`] found.
#[derive(Debug, Default)]
pub struct ExportReport {
    /// What the export says of itself.
    pub manifest: Option<Manifest>,
    /// Events that are at their places in the signed chain.
    pub proven: u64,
    /// Events from before the chain had digests of single events: their words are proven to be what was exported by the
    /// holder of the key, their places are not.
    pub unplaced: u64,
    /// Files looked at.
    pub files: u64,
    /// Whether the events to read were written again from the proven ones, and came out the same.
    pub rewritten: bool,
    /// The last checkpoint that a path led to. Whoever holds it from elsewhere can compare.
    pub checkpoint: Option<Signed>,
    /// Everything that is wrong; at most [`ExportReport::MOST_FAULTS`].
    pub faults: Vec<ExportFault>,
}

impl ExportReport {
    /// Faults listed at most.
    pub const MOST_FAULTS: usize = 1000;

    /// Whether all of it is as the archive wrote it.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    fn note(&mut self, fault: ExportFault) {
        if self.faults.len() < Self::MOST_FAULTS {
            self.faults.push(fault);
        }
    }
}

impl Serialize for ExportFault {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Bytes of the longest manifest.
const LONGEST_MANIFEST: u64 = 64 << 20;
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// Checks an export, a ZIP or a folder, with the public key of the archive that it is from. Needs no archive and no network, and
/// memory for the list of its files only. `progress` is told the files looked at, and how many there are.
///
/// # Errors
/// [`ExportError::NoExport`], or what reading it says. That it was tampered with is no error but in the report.
pub fn verify_export(
    path: &Path,
    public_key: &[u8; 32],
    mut progress: impl FnMut(u64, u64),
) -> Result<ExportReport, ExportError> {
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| ArchiveError::PublicKey)?;
    let mut export = Unpacked::open(path)?;
    let mut report = ExportReport::default();

    let text = export.small(MANIFEST, LONGEST_MANIFEST)?;
    let signature = export.small(SIGNATURE, 1024)?;
    if !manifest::is_signed(&text, &String::from_utf8_lossy(&signature), &key) {
        report.note(ExportFault::Unsigned);
    }
    let manifest = serde_json::from_slice::<Manifest>(&text).ok();
    let Some(manifest) = manifest.filter(|manifest| manifest.format == manifest::FORMAT) else {
        report.note(ExportFault::Manifest);
        return Ok(report);
    };
    let listed = list(&mut export, &manifest, &mut report)?;

    let names = export.names()?;
    for name in &names {
        if !listed.contains_key(name) && ![MANIFEST, SIGNATURE, LIST].contains(&name.as_str()) {
            report.note(ExportFault::Added(name.clone()));
        }
    }
    let mut all: Vec<&String> = listed.keys().collect();
    all.sort_unstable();
    for name in all {
        report.files += 1;
        progress(report.files, listed.len() as u64);
        match export.read(name)? {
            None => report.note(ExportFault::Missing(name.clone())),
            Some(file) => match digest(file) {
                Ok(found) if found == listed[name] => {}
                _ => report.note(ExportFault::Changed(name.clone())),
            },
        }
    }
    Proofreader::new(&manifest, &listed, &key).read(&mut export, &mut report)?;
    report.manifest = Some(manifest);
    Ok(report)
}

type Listed = HashMap<String, [u8; 32]>;

fn list(
    export: &mut Unpacked,
    manifest: &Manifest,
    report: &mut ExportReport,
) -> Result<Listed, ExportError> {
    // A line has the digest, two blanks, and a name of ours.
    let most = manifest.files.saturating_add(1).saturating_mul(256);
    let text = export.small(LIST, most)?;
    if hex(&Sha256::digest(&text)) != manifest.list_sha256 {
        report.note(ExportFault::List);
    }
    let text = String::from_utf8_lossy(&text);
    let line = |line: &str| {
        let (digest, name) = line.split_once("  ")?;
        Some((name.to_owned(), unhex(digest)?))
    };
    let listed: Listed = text.lines().filter_map(line).collect();
    if listed.len() as u64 != manifest.files {
        report.note(ExportFault::List);
    }
    Ok(listed)
}

fn digest(mut file: Box<dyn Read + '_>) -> std::io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&piece[..count]),
        }
    }
}

/// Follows the proof, and writes the events again from it.
struct Proofreader<'a> {
    manifest: &'a Manifest,
    listed: &'a Listed,
    key: &'a VerifyingKey,
    path: proof::Path,
    counts: Counts,
    last: Option<u64>,
    sheet: Option<(Box<dyn Sheet>, Sha256)>,
}

impl<'a> Proofreader<'a> {
    fn new(manifest: &'a Manifest, listed: &'a Listed, key: &'a VerifyingKey) -> Self {
        let sheet = match manifest.header.form.style() {
            Style::Sheet(sheet) => {
                let head = sheet.head(&manifest.header);
                Some((sheet, Sha256::new_with_prefix(head)))
            }
            Style::Days(_) => None,
        };
        Self {
            manifest,
            listed,
            key,
            path: proof::Path::default(),
            counts: Counts::default(),
            last: None,
            sheet,
        }
    }

    fn read(mut self, export: &mut Unpacked, report: &mut ExportReport) -> Result<(), ExportError> {
        for number in 1.. {
            let name = proof::file(number);
            let Some(file) = export.read(&name)? else { break };
            for line in proof::lines(BufReader::new(file)) {
                // What cannot be read has been noted already: the file was changed.
                let Ok(line) = line else { break };
                match line {
                    Some(line) => self.line(line, report),
                    None => report.note(ExportFault::Proof(name.clone())),
                }
            }
        }
        let last = self.path.end();
        self.step(last, report);
        let Counts { events, left_out, .. } = &self.manifest.counts;
        if *events != self.counts.events
            || *left_out != self.counts.left_out
            || self.last != self.manifest.last
        {
            report.note(ExportFault::Counts);
        }
        if let Some((sheet, mut hash)) = self.sheet {
            hash.update(sheet.foot());
            let again: [u8; 32] = hash.finalize().into();
            if self.listed.get(sheet.name()) == Some(&again) {
                report.rewritten = true;
            } else {
                report.note(ExportFault::Text(sheet.name().to_owned()));
            }
        }
        Ok(())
    }

    fn line(&mut self, line: Line, report: &mut ExportReport) {
        let step = match line {
            Line::Run { after, hash, chain } => self.path.begin(after, &hash, chain),
            Line::Event(shown) => return self.event(*shown, report),
            Line::Others { leaves } => return self.path.others(&leaves),
            Line::Checkpoint(signed) => self.path.checkpoint(&signed, self.key),
            Line::LeftOut { why, .. } => {
                return *self.counts.left_out.entry(why).or_default() += 1;
            }
        };
        self.step(step, report);
    }

    fn event(&mut self, shown: Shown, report: &mut ExportReport) {
        self.counts.events += 1;
        if self.last.is_some_and(|last| last >= shown.sequence) {
            report.note(ExportFault::Order(shown.sequence));
        }
        self.last = Some(shown.sequence);
        let Some((event, item)) = shown.read() else {
            return report.note(ExportFault::Unproven(shown.sequence));
        };
        self.path.event(&event);
        for attached in &shown.attachments {
            if let Some(file) = &attached.file
                && self.listed.get(file).map(|digest| hex(digest)) != Some(attached.sha256.clone())
            {
                report.note(ExportFault::Attachment(file.clone()));
            }
        }
        if let Some((sheet, hash)) = &mut self.sheet {
            hash.update(sheet.row(&Record::of(&item, shown.archive_id, shown.attachments)));
        }
    }

    fn step(&mut self, step: Step, report: &mut ExportReport) {
        match step {
            Step::On => {}
            Step::Placed(count, checkpoint) => {
                report.proven += count;
                report.checkpoint = Some(Signed::from(&checkpoint));
            }
            Step::Unplaced(count) => report.unplaced += count,
            Step::Broken(events) => {
                events.into_iter().for_each(|event| report.note(ExportFault::Unproven(event)))
            }
        }
    }
}
