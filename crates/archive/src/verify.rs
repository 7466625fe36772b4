//! Checking the trail without any secret.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use vault::{Checkpoint, EventHash, Head, SealedEvent, Sequence, Store, Vault};

use crate::body::Sight;
use crate::chain::{self, GENESIS};
use crate::{ArchiveError, Places, Result, body, erase};

/// Something that is not as the server wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Events are gone.
    #[error("events {from} to {to} are missing")]
    Missing {
        /// The first that is gone.
        from: Sequence,
        /// The last that is gone.
        to: Sequence,
    },
    /// An event is not what follows the one before it: it was changed, moved, put in, or its predecessor was.
    #[error("event {sequence} does not follow from the one before: it was changed, moved or put in")]
    Broken {
        /// Its place.
        sequence: Sequence,
    },
    /// An event hangs in the chain but does not open under its key: this server did not write it.
    #[error("event {sequence} was not written by this server: its seal does not open")]
    Foreign {
        /// Its place.
        sequence: Sequence,
    },
    /// The key of an event is gone, and this server did not destroy it.
    #[error("event {sequence} cannot be read: its key was removed, and not by an erasure")]
    KeyMissing {
        /// Its place.
        sequence: Sequence,
    },
    /// Bodies of events are gone, and no erasure on record says why.
    #[error("the bodies of events {from} to {to} are gone, and no erasure on record took them")]
    Dropped {
        /// The first of them.
        from: Sequence,
        /// The last of them.
        to: Sequence,
    },
    /// An event is older than the one before it.
    #[error("event {sequence} is older than the one before")]
    Older {
        /// Its place.
        sequence: Sequence,
    },
    /// The chain hangs together, but it is not the chain that was signed.
    #[error("the chain up to event {sequence} is not the one that was signed")]
    Rewritten {
        /// Where the checkpoint stands.
        sequence: Sequence,
    },
    /// A checkpoint does not bear this key's signature.
    #[error("the checkpoint at event {sequence} is not signed by this key")]
    Forged {
        /// Where the checkpoint stands.
        sequence: Sequence,
    },
    /// A checkpoint does not name the one that stands before it.
    #[error("a checkpoint before event {sequence} is missing")]
    CheckpointMissing {
        /// Where the later one stands.
        sequence: Sequence,
    },
    /// The checkpoint that the caller knows of is not there.
    #[error("the checkpoint at event {sequence} that was kept elsewhere is missing")]
    AnchorMissing {
        /// Where it should stand.
        sequence: Sequence,
    },
}

/// What [`verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Events looked at.
    pub events: u64,
    /// Checkpoints looked at.
    pub checkpoints: u64,
    /// Events after the last checkpoint: chained, but not signed yet. Few on a running server, none after a
    /// shutdown.
    pub unsigned: u64,
    /// Events whose bodies have been dropped: the chain shows that they were there, and nothing else does.
    pub dropped: u64,
    /// Events that are whole and that no key opens any more. Only known with the keys at hand.
    pub erased: u64,
    /// The end of the log.
    pub head: Option<Head>,
    /// Everything that is wrong; at most [`Report::MOST_FAULTS`].
    pub faults: Vec<Fault>,
}

impl Report {
    /// Faults listed at most.
    pub const MOST_FAULTS: usize = 1000;

    /// Whether the trail is whole.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }

    fn note(&mut self, fault: Fault) {
        if self.faults.len() < Self::MOST_FAULTS {
            self.faults.push(fault);
        }
    }
}

/// Events read at a time.
const CHUNK: usize = 1000;

/// Walks the whole log and finds every event that was changed, removed, reordered, inserted or cut off the end.
///
/// Cutting off the end *together with its checkpoints* leaves a shorter chain that is whole in itself. Whoever wants
/// to find that too keeps a checkpoint elsewhere and gives it as `anchor`. `progress` is told the last place looked
/// at. What is appended meanwhile is not looked at.
///
/// # Errors
/// What the storage says; [`ArchiveError::PublicKey`] if `public_key` is none.
pub async fn verify(
    store: &dyn Store,
    public_key: &[u8; 32],
    anchor: Option<&Checkpoint>,
    progress: impl FnMut(Sequence),
) -> Result<Report> {
    walk(store, None, public_key, anchor.into_iter().collect(), progress).await
}

/// As [`verify`], with many checkpoints that were kept elsewhere: each must bear the key's signature and be there.
///
/// # Errors
/// As [`verify`].
pub async fn verify_against(
    store: &dyn Store,
    public_key: &[u8; 32],
    anchors: &[Checkpoint],
    progress: impl FnMut(Sequence),
) -> Result<Report> {
    walk(store, None, public_key, anchors.iter().collect(), progress).await
}

/// As [`verify`], with the keys at hand: also opens every event, and so finds what somebody without the keys put
/// after the last checkpoint. What an erasure on record took is no fault; what somebody else
/// took, a key or a body, is one.
///
/// # Errors
/// As [`verify`].
pub async fn verify_sealed(
    vault: &Vault,
    anchor: Option<&Checkpoint>,
    progress: impl FnMut(Sequence),
) -> Result<Report> {
    let anchors = anchor.into_iter().collect();
    walk(&**vault.store(), Some(vault), &chain::public_key(vault), anchors, progress).await
}

async fn walk(
    store: &dyn Store,
    keys: Option<&Vault>,
    public_key: &[u8; 32],
    anchors: Vec<&Checkpoint>,
    mut progress: impl FnMut(Sequence),
) -> Result<Report> {
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| ArchiveError::PublicKey)?;
    let mut report = Report::default();
    let mut awaited: BTreeMap<Sequence, &Checkpoint> = BTreeMap::new();
    for anchor in anchors {
        match chain::is_signed(anchor, &key) {
            true => _ = awaited.insert(anchor.sequence, anchor),
            false => report.note(Fault::Forged { sequence: anchor.sequence }),
        }
    }
    // In this order: a checkpoint is stored with what it covers, so the end lies behind it even on a busy server.
    let signed_end = store.last_checkpoint().await?.map_or(Sequence::ZERO, |last| last.sequence);
    let end = store.head().await?.map_or(Sequence::ZERO, |head| head.sequence);
    let mut checkpoints = Checkpoints {
        store,
        key: &key,
        chunk: Vec::new().into_iter(),
        last: Sequence::ZERO,
        end: signed_end,
    };
    let mut pending = checkpoints.next(&mut report).await?;
    let mut previous: EventHash = GENESIS;
    let mut head: Option<Head> = None;
    let mut signed = Sequence::ZERO;
    let mut dropped = Places::default();
    loop {
        let after = head.map_or(Sequence::ZERO, |head| head.sequence);
        if after >= end {
            break;
        }
        let events = store.scan(after, CHUNK.min((end.0 - after.0) as usize)).await?;
        if events.is_empty() {
            break;
        }
        for event in events {
            let expected = head.map_or(Sequence(1), |head| head.sequence.next());
            if event.sequence != expected {
                report
                    .note(Fault::Missing { from: expected, to: Sequence(event.sequence.0.wrapping_sub(1)) });
            } else if !chain::follows(&previous, &event) {
                report.note(Fault::Broken { sequence: event.sequence });
            } else {
                match look(keys, &event).await? {
                    Sight::Whole(_) => {}
                    Sight::Dropped => dropped.add(event.sequence),
                    Sight::Erased => report.erased += 1,
                    Sight::Lost => report.note(Fault::KeyMissing { sequence: event.sequence }),
                    Sight::Foreign => report.note(Fault::Foreign { sequence: event.sequence }),
                }
            }
            if event.is_dropped() {
                report.dropped += 1;
            }
            if head.is_some_and(|head| event.time < head.time) {
                report.note(Fault::Older { sequence: event.sequence });
            }
            while let Some(checkpoint) = pending.take_if(|checkpoint| checkpoint.sequence <= event.sequence) {
                if checkpoint.sequence == event.sequence {
                    signed = event.sequence;
                    if checkpoint.hash != event.hash {
                        report.note(Fault::Rewritten { sequence: event.sequence });
                    }
                }
                take(&mut awaited, &checkpoint);
                pending = checkpoints.next(&mut report).await?;
            }
            // From here on by what is stored, so that one change is one fault.
            previous = event.hash;
            head = Some(Head { sequence: event.sequence, time: event.time, hash: event.hash });
            report.events += 1;
        }
        if let Some(head) = head {
            progress(head.sequence);
        }
    }
    while let Some(checkpoint) = pending {
        take(&mut awaited, &checkpoint);
        pending = checkpoints.next(&mut report).await?;
    }
    let end = head.map_or(Sequence::ZERO, |head| head.sequence);
    if signed_end > end {
        report.note(Fault::Missing { from: end.next(), to: signed_end });
    }
    for sequence in awaited.into_keys() {
        report.note(Fault::AnchorMissing { sequence });
    }
    if let Some(vault) = keys.filter(|_| !dropped.is_empty()) {
        for (from, to) in dropped.without(&erase::recorded(vault).await?).ranges() {
            report.note(Fault::Dropped { from, to });
        }
    }
    report.unsigned = end.0.saturating_sub(signed.0);
    report.head = head;
    Ok(report)
}

/// Crosses off an anchor that is there.
fn take(awaited: &mut BTreeMap<Sequence, &Checkpoint>, found: &Checkpoint) {
    if awaited.get(&found.sequence).is_some_and(|anchor| *anchor == found) {
        awaited.remove(&found.sequence);
    }
}

/// Without keys, everything is taken for what it seems to be.
async fn look(keys: Option<&Vault>, event: &SealedEvent) -> Result<Sight> {
    let seen = match keys {
        Some(vault) => body::sight(vault, std::slice::from_ref(event)).await?.pop(),
        None => None,
    };
    Ok(seen.unwrap_or(Sight::Dropped))
}

/// The first event after the last checkpoint that this server did not write there, before it is signed as if it had.
pub(crate) async fn foreign_in_the_tail(vault: &Vault) -> Result<Option<Sequence>> {
    let last = vault.store().last_checkpoint().await?;
    let (mut after, mut previous) = last.map_or((Sequence::ZERO, GENESIS), |last| (last.sequence, last.hash));
    loop {
        let events = vault.store().scan(after, CHUNK).await?;
        let Some(last) = events.last().map(|event| event.sequence) else { return Ok(None) };
        for event in &events {
            if !chain::follows(&previous, event) || matches!(look(Some(vault), event).await?, Sight::Foreign)
            {
                return Ok(Some(event.sequence));
            }
            previous = event.hash;
        }
        after = last;
    }
}

/// Checkpoints in order, each checked on the way.
struct Checkpoints<'a> {
    store: &'a dyn Store,
    key: &'a VerifyingKey,
    chunk: std::vec::IntoIter<Checkpoint>,
    last: Sequence,
    /// What is signed after this one was read is not looked at.
    end: Sequence,
}

impl Checkpoints<'_> {
    async fn next(&mut self, report: &mut Report) -> Result<Option<Checkpoint>> {
        let mut next = self.chunk.next();
        if next.is_none() {
            self.chunk = self.store.checkpoints(self.last, CHUNK).await?.into_iter();
            next = self.chunk.next();
        }
        let Some(checkpoint) = next.filter(|next| next.sequence <= self.end) else { return Ok(None) };
        report.checkpoints += 1;
        if !chain::is_signed(&checkpoint, self.key) {
            report.note(Fault::Forged { sequence: checkpoint.sequence });
        } else if checkpoint.previous != self.last {
            report.note(Fault::CheckpointMissing { sequence: checkpoint.sequence });
        }
        self.last = checkpoint.sequence;
        Ok(Some(checkpoint))
    }
}
