//! The one cipher: XChaCha20-Poly1305 with random nonces, laid out as nonce ‖ ciphertext ‖ tag.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

/// Bytes of a nonce. At 192 bits, random nonces never repeat in practice.
pub(crate) const NONCE: usize = 24;
/// Bytes of an authentication tag.
pub(crate) const TAG: usize = 16;
/// What sealing adds to a plaintext, in bytes.
pub(crate) const OVERHEAD: usize = NONCE + TAG;

/// The bytes did not open under this key and context: another key, or a changed or displaced ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes do not open: they were changed, moved, or sealed under another key")]
pub struct SealError;

/// A source of random nonces that asks the system for many at once.
#[derive(Default)]
pub struct Nonces {
    pool: Vec<u8>,
}

impl Nonces {
    const BATCH: usize = 64;

    /// The next nonce.
    ///
    /// # Errors
    /// The operating system's random source failed.
    pub(crate) fn next(&mut self) -> Result<[u8; NONCE], getrandom::Error> {
        if self.pool.len() < NONCE {
            self.pool.resize(Self::BATCH * NONCE, 0);
            if let Err(error) = getrandom::fill(&mut self.pool) {
                self.pool.clear();
                return Err(error);
            }
        }
        let mut nonce = [0; NONCE];
        let rest = self.pool.len() - NONCE;
        nonce.copy_from_slice(&self.pool[rest..]);
        self.pool.truncate(rest);
        Ok(nonce)
    }
}

pub(crate) fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

/// Seals what `write` appends, into one new buffer.
pub(crate) fn seal_with(
    cipher: &XChaCha20Poly1305,
    nonce: [u8; NONCE],
    context: &[u8],
    capacity: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<Vec<u8>, SealError> {
    let mut out = Vec::with_capacity(capacity + OVERHEAD);
    out.extend_from_slice(&nonce);
    write(&mut out);
    let tag = cipher
        .encrypt_inout_detached(&XNonce::from(nonce), context, (&mut out[NONCE..]).into())
        .map_err(|_| SealError)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

pub(crate) fn seal(
    cipher: &XChaCha20Poly1305,
    nonce: [u8; NONCE],
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, SealError> {
    seal_with(cipher, nonce, context, plain.len(), |out| out.extend_from_slice(plain))
}

pub(crate) fn open(cipher: &XChaCha20Poly1305, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    if sealed.len() < OVERHEAD {
        return Err(SealError);
    }
    let (nonce, rest) = sealed.split_at(NONCE);
    let (body, tag) = rest.split_at(rest.len() - TAG);
    let nonce = XNonce::try_from(nonce).map_err(|_| SealError)?;
    let tag = Tag::try_from(tag).map_err(|_| SealError)?;
    let mut plain = body.to_vec();
    cipher
        .decrypt_inout_detached(&nonce, context, plain.as_mut_slice().into(), &tag)
        .map_err(|_| SealError)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_only_whole_under_its_key_and_in_its_place() {
        let key = cipher(&[7; 32]);
        let nonce = Nonces::default().next().unwrap();
        let sealed = seal(&key, nonce, b"here", b"a letter").unwrap();
        assert_eq!(open(&key, b"here", &sealed).unwrap(), b"a letter");
        assert_eq!(open(&key, b"there", &sealed), Err(SealError));
        assert_eq!(open(&cipher(&[8; 32]), b"here", &sealed), Err(SealError));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, b"here", &changed), Err(SealError), "byte {at}");
            assert_eq!(open(&key, b"here", &sealed[..at]), Err(SealError), "cut at {at}");
        }
    }

    #[test]
    fn nonces_do_not_repeat_across_refills() {
        let mut nonces = Nonces::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..500 {
            assert!(seen.insert(nonces.next().unwrap()));
        }
    }
}
