//! How events hang together, and what a checkpoint signs.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use vault::{Checkpoint, EventHash, Head, Micros, SealedEvent, Sequence};

/// What the first event of a chain follows.
pub(crate) const GENESIS: EventHash = [0; 32];

/// An event as the chain sees it: everything that stands in the clear, and the SHA-256 of the sealed body. The body enters
/// as a digest, so that it can be dropped one day without breaking the chain.
pub(crate) fn leaf(event: &SealedEvent) -> EventHash {
    let mut hash = Sha256::new();
    hash.update(b"chancery event 2");
    describe(&mut hash, event);
    hash.finalize().into()
}

/// The chain's next link. The event enters as one digest, so that a place in the chain can be proven to an outsider without
/// showing who the events around it are from.
pub(crate) fn link(previous: &EventHash, event: &SealedEvent) -> EventHash {
    join(previous, &leaf(event))
}

pub(crate) fn join(previous: &EventHash, leaf: &EventHash) -> EventHash {
    let mut hash = Sha256::new();
    hash.update(b"chancery chain 2");
    hash.update(previous);
    hash.update(leaf);
    hash.finalize().into()
}

/// Whether an event bears the hash of what follows `previous`, in the form of today or the first one.
pub(crate) fn follows(previous: &EventHash, event: &SealedEvent) -> bool {
    link(previous, event) == event.hash || first_link(previous, event) == event.hash
}

/// The first form, which had no digest of the event alone.
fn first_link(previous: &EventHash, event: &SealedEvent) -> EventHash {
    let mut hash = Sha256::new();
    hash.update(b"chancery chain 1");
    hash.update(previous);
    describe(&mut hash, event);
    hash.finalize().into()
}

fn describe(hash: &mut Sha256, event: &SealedEvent) {
    hash.update(event.sequence.0.to_le_bytes());
    hash.update(event.writer.to_le_bytes());
    hash.update(event.time.0.to_le_bytes());
    hash.update(event.key.as_bytes());
    hash.update((event.tags.len() as u32).to_le_bytes());
    for tag in &event.tags {
        hash.update(tag.as_bytes());
    }
    hash.update(event.digest());
}

/// Signs checkpoints.
pub(crate) struct Notary(SigningKey);

impl Notary {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The one that signs for this vault.
    pub(crate) fn of(vault: &vault::Vault) -> Self {
        Self::new(&vault.derive("checkpoint"))
    }

    pub(crate) fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a statement of another kind, which names its kind at its beginning.
    pub(crate) fn sign_statement(&self, statement: &[u8]) -> [u8; 64] {
        self.0.sign(statement).to_bytes()
    }

    pub(crate) fn sign(&self, head: &Head, time: Micros, previous: Sequence) -> Checkpoint {
        let mut checkpoint =
            Checkpoint { sequence: head.sequence, time, hash: head.hash, previous, signature: [0; 64] };
        checkpoint.signature = self.0.sign(&statement(&checkpoint)).to_bytes();
        checkpoint
    }
}

/// The Ed25519 key that checks the checkpoints of this vault, for those who do not start the archive.
pub fn public_key(vault: &vault::Vault) -> [u8; 32] {
    Notary::of(vault).public_key()
}

/// Whether a checkpoint bears the signature of the holder of this key.
pub(crate) fn is_signed(checkpoint: &Checkpoint, key: &VerifyingKey) -> bool {
    let signature = Signature::from_bytes(&checkpoint.signature);
    key.verify_strict(&statement(checkpoint), &signature).is_ok()
}

fn statement(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut out = b"chancery checkpoint 1".to_vec();
    out.extend_from_slice(&checkpoint.sequence.0.to_le_bytes());
    out.extend_from_slice(&checkpoint.time.0.to_le_bytes());
    out.extend_from_slice(&checkpoint.hash);
    out.extend_from_slice(&checkpoint.previous.0.to_le_bytes());
    out
}
