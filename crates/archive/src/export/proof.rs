//! What shows that each event of an export is what the archive holds at that place.
//!
//! A *run* leads from the link before an event to the next signed checkpoint. Events of the export stand in it with all that
//! their link is made of: what is in the clear, their body, and what opens this one body and no other
//! ([`vault::Disclosure`]). Whoever seals the body again gets the ciphertext whose digest is in the chain. Events between them
//! are one digest each, which tells nothing.

use std::io::{BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use vault::{Blind, Checkpoint, EventHash, Micros, SealedEvent, Sequence, Vault, VaultError};

use super::attachment::Attachment;
use super::manifest::Signed;
use super::package::Package;
use super::{Chosen, ExportError};
use crate::chain::{self, GENESIS};
use crate::hex::{hex, unhex};
use crate::{Item, body};

/// Where the files of the proof are.
pub(crate) const FOLDER: &str = "proof/";
/// Bytes of a file of the proof, about.
const FILE: usize = 1 << 20;
/// Bytes of the longest line that is read.
const LONGEST_LINE: u64 = 64 << 20;
/// Events read at a time.
const CHUNK: usize = 512;

/// A line of the proof.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Line {
    /// A run begins.
    Run {
        /// The event before the run's first.
        after: u64,
        /// Its hash.
        hash: String,
        /// The form of the chain here. The first form shows no places without showing the neighbours, so it has no path.
        chain: u8,
    },
    /// An event of the export.
    Event(Box<Shown>),
    /// Events that are not of the export.
    Others {
        /// Their digests, one after the other.
        leaves: String,
    },
    /// The signed end of a run.
    Checkpoint(Signed),
    /// Something of the selection that is not in the export.
    LeftOut {
        /// The event.
        sequence: u64,
        /// Its file, if only that is left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// Why.
        why: String,
    },
}

/// An event with all that its link is made of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Shown {
    pub(crate) sequence: u64,
    writer: u32,
    time: i64,
    key: String,
    tags: Vec<String>,
    /// What opens the body.
    opener: String,
    /// What is inside the seal.
    body: String,
    /// What is said of it beside the chain: these two rest on the manifest's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archive_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attachments: Vec<Attachment>,
}

impl Shown {
    fn of(event: &SealedEvent, own: &vault::Disclosure, chosen: Chosen) -> Result<Self, ExportError> {
        let context = SealedEvent::context(event.sequence, event.writer, event.time, event.key, &event.tags);
        let plain = own.open(&context, &event.sealed).map_err(VaultError::from)?;
        Ok(Self {
            sequence: event.sequence.0,
            writer: event.writer,
            time: event.time.0,
            key: hex(event.key.as_bytes()),
            tags: event.tags.iter().map(|tag| hex(tag.as_bytes())).collect(),
            opener: STANDARD.encode(own.to_bytes()),
            body: STANDARD.encode(&plain),
            archive_id: chosen.archive_id,
            attachments: chosen.attachments,
        })
    }

    /// The event that it was made from, but for its hash, and what was said. `None` if it makes no sense.
    pub(crate) fn read(&self) -> Option<(SealedEvent, Item)> {
        let plain = STANDARD.decode(&self.body).ok()?;
        let opener: [u8; vault::Disclosure::LEN] = STANDARD.decode(&self.opener).ok()?.try_into().ok()?;
        let tags = self.tags.iter().map(|tag| Blind::from_hex(tag)).collect::<Option<SmallVec<_>>>()?;
        let mut event = SealedEvent {
            sequence: Sequence(self.sequence),
            writer: self.writer,
            time: Micros(self.time),
            key: Blind::from_hex(&self.key)?,
            tags,
            sealed: bytes::Bytes::new(),
            hash: GENESIS,
        };
        let context = SealedEvent::context(event.sequence, event.writer, event.time, event.key, &event.tags);
        event.sealed = vault::Disclosure::from_bytes(&opener).seal(&context, &plain).ok()?.into();
        let item = body::parse(event.sequence, event.time, plain.into()).ok()?;
        Some((event, item))
    }
}

/// Writes the proof, a run at a time.
pub(crate) struct Prover<'a> {
    vault: &'a Vault,
    /// The events of the run so far, which end with the checkpoint: at most as many as lie between two.
    run: Vec<Chosen>,
    end: Option<Checkpoint>,
    text: String,
    files: u64,
}

impl<'a> Prover<'a> {
    pub(crate) fn new(vault: &'a Vault) -> Self {
        Self { vault, run: Vec::new(), end: None, text: String::new(), files: 0 }
    }

    /// The next event of the export.
    pub(crate) async fn event(
        &mut self,
        chosen: Chosen,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        if self.end.as_ref().is_none_or(|end| chosen.sequence > end.sequence) {
            self.finish_run(package).await?;
            let before = Sequence(chosen.sequence.0 - 1);
            self.end = self.vault.store().checkpoints(before, 1).await?.pop();
        }
        self.run.push(chosen);
        Ok(())
    }

    /// Something is left out.
    pub(crate) fn left_out(&mut self, sequence: Sequence, file: Option<String>, why: &str) {
        self.line(&Line::LeftOut { sequence: sequence.0, file, why: why.to_owned() });
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self, package: &mut Package<'_>) -> Result<(), ExportError> {
        self.finish_run(package).await?;
        self.flush(package).await
    }

    async fn finish_run(&mut self, package: &mut Package<'_>) -> Result<(), ExportError> {
        let run = std::mem::take(&mut self.run);
        let (Some(first), Some(end)) = (run.first().map(|first| first.sequence), &self.end) else {
            return if run.is_empty() { Ok(()) } else { Err(ExportError::Unsigned) };
        };
        let end = end.clone();
        let store = self.vault.store();
        let after = Sequence(first.0 - 1);
        let start = match store.events(vec![after]).await?.pop() {
            Some(event) => event.hash,
            None => GENESIS,
        };
        let (mut at, mut hash, mut form) = (after, start, 2);
        let (mut lines, mut leaves) = (Vec::new(), Vec::new());
        let mut run = run.into_iter().peekable();
        while at < end.sequence {
            let events = store.scan(at, CHUNK.min((end.sequence.0 - at.0) as usize)).await?;
            if events.is_empty() {
                break;
            }
            for event in events {
                let leaf = chain::leaf(&event);
                if !chain::follows(&hash, &event) {
                    return Err(ExportError::Broken { sequence: event.sequence });
                }
                if chain::join(&hash, &leaf) != event.hash {
                    form = 1;
                }
                (at, hash) = (event.sequence, event.hash);
                let Some(chosen) = run.next_if(|chosen| chosen.sequence == event.sequence) else {
                    leaves.extend_from_slice(&leaf);
                    continue;
                };
                if !leaves.is_empty() {
                    lines.push(Line::Others { leaves: STANDARD.encode(std::mem::take(&mut leaves)) });
                }
                let own = self.vault.disclose(&event).await?.ok_or(ExportError::Changed)?;
                lines.push(Line::Event(Box::new(Shown::of(&event, &own, chosen)?)));
            }
        }
        if hash != end.hash {
            return Err(ExportError::Broken { sequence: end.sequence });
        }
        if !leaves.is_empty() {
            lines.push(Line::Others { leaves: STANDARD.encode(leaves) });
        }
        lines.push(Line::Checkpoint(Signed::from(&end)));
        self.line(&Line::Run { after: after.0, hash: hex(&start), chain: form });
        for line in lines {
            if form == 2 || matches!(line, Line::Event(_)) {
                self.line(&line);
            }
        }
        if self.text.len() >= FILE {
            self.flush(package).await?;
        }
        Ok(())
    }

    fn line(&mut self, line: &Line) {
        self.text.push_str(&serde_json::to_string(line).unwrap_or_default());
        self.text.push('\n');
    }

    async fn flush(&mut self, package: &mut Package<'_>) -> Result<(), ExportError> {
        if self.text.is_empty() {
            return Ok(());
        }
        self.files += 1;
        let text = std::mem::take(&mut self.text);
        package.put(&file(self.files), text.as_bytes()).await
    }
}

/// The name of the file with this number, from 1.
pub(crate) fn file(number: u64) -> String {
    format!("{FOLDER}{number:06}.jsonl")
}

/// Lines of a file of the proof, `None` for one that is none.
pub(crate) fn lines(mut text: impl BufRead) -> impl Iterator<Item = std::io::Result<Option<Line>>> {
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match (&mut text).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(serde_json::from_slice(&line).ok())),
            Err(error) => Some(Err(error)),
        }
    })
}

/// Follows the chain through a proof.
#[derive(Default)]
pub(crate) struct Path {
    /// The link that has been reached, and whether a signed end must follow.
    at: Option<(Sequence, EventHash)>,
    placed: bool,
    /// Events since the run began.
    waiting: Vec<u64>,
}

/// What became of the events of a run.
pub(crate) enum Step {
    /// The path goes on.
    On,
    /// These events are at their places in the signed chain.
    Placed(u64, Checkpoint),
    /// Something does not hold; the events since the run began are not proven.
    Broken(Vec<u64>),
    /// These events are from the chain's first form: their places rest on the manifest's signature.
    Unplaced(u64),
}

impl Path {
    pub(crate) fn begin(&mut self, after: u64, hash: &str, form: u8) -> Step {
        let before = self.end();
        self.at = unhex(hash).map(|hash| (Sequence(after), hash));
        self.placed = form == 2;
        before
    }

    pub(crate) fn event(&mut self, event: &SealedEvent) {
        self.waiting.push(event.sequence.0);
        if self.placed {
            let leaf = chain::leaf(event);
            self.at = self
                .at
                .filter(|(at, _)| at.next() == event.sequence)
                .map(|(at, hash)| (at.next(), chain::join(&hash, &leaf)));
        }
    }

    pub(crate) fn others(&mut self, leaves: &str) {
        let leaves = STANDARD.decode(leaves).ok().filter(|leaves| leaves.len() % 32 == 0);
        let Some(leaves) = leaves else { return self.at = None };
        for leaf in leaves.chunks_exact(32) {
            let Ok(leaf) = <EventHash>::try_from(leaf) else { return };
            self.at = self.at.map(|(at, hash)| (at.next(), chain::join(&hash, &leaf)));
        }
    }

    pub(crate) fn checkpoint(&mut self, signed: &Signed, key: &ed25519_dalek::VerifyingKey) -> Step {
        let waiting = std::mem::take(&mut self.waiting);
        let checkpoint = signed.checkpoint().filter(|checkpoint| chain::is_signed(checkpoint, key));
        match (self.at.take(), checkpoint) {
            (Some((at, hash)), Some(checkpoint)) if checkpoint.sequence == at && checkpoint.hash == hash => {
                Step::Placed(waiting.len() as u64, checkpoint)
            }
            _ => Step::Broken(waiting),
        }
    }

    /// The proof, or a run, ends here.
    pub(crate) fn end(&mut self) -> Step {
        self.at = None;
        let waiting = std::mem::take(&mut self.waiting);
        match (waiting.len() as u64, self.placed) {
            (0, _) => Step::On,
            (_, true) => Step::Broken(waiting),
            (count, false) => Step::Unplaced(count),
        }
    }
}
