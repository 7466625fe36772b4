//! Opening one sealed body to somebody outside, and nothing else.
//!
//! XChaCha20-Poly1305 first makes a key of its own out of the data key and the nonce's first 16 bytes, and seals with that.
//! Nonces are random, so that key fits one body alone: whoever holds it can check that a text is what was sealed, and learns
//! nothing about what else the data key seals.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use zeroize::Zeroizing;

use crate::seal::NONCE;
use crate::{DataKey, SealError};

/// Fits one sealed body.
pub struct Disclosure {
    key: Zeroizing<[u8; 32]>,
    nonce: [u8; NONCE],
}

impl Disclosure {
    /// Bytes that it takes.
    pub const LEN: usize = 32 + NONCE;

    /// As bytes: the key, then the nonce.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut out = [0; Self::LEN];
        out[..32].copy_from_slice(&self.key[..]);
        out[32..].copy_from_slice(&self.nonce);
        out
    }

    /// What [`Disclosure::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; NONCE]);
        key.copy_from_slice(&bytes[..32]);
        nonce.copy_from_slice(&bytes[32..]);
        Self { key, nonce }
    }

    /// Seals `plain` in its context. The same bytes come out as once did if, and only if, nothing was changed.
    ///
    /// # Errors
    /// [`SealError`] if it is longer than the cipher takes, 256 GiB.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut out = Vec::with_capacity(plain.len() + crate::seal::OVERHEAD);
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(plain);
        let mut short = [0; 12];
        short[4..].copy_from_slice(&self.nonce[16..]);
        let tag = ChaCha20Poly1305::new((&*self.key).into())
            .encrypt_inout_detached(&Nonce::from(short), context, (&mut out[NONCE..]).into())
            .map_err(|_| SealError)?;
        out.extend_from_slice(&tag);
        Ok(out)
    }
}

impl Disclosure {
    /// The key alone, for who keeps it beside the sealed body, which begins with the nonce.
    pub(crate) fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// From the key alone and the sealed body.
    pub(crate) fn of(key: Zeroizing<[u8; 32]>, sealed: &[u8]) -> Result<Self, SealError> {
        Ok(Self { key, nonce: *sealed.first_chunk::<NONCE>().ok_or(SealError)? })
    }

    /// Opens the body that it fits.
    ///
    /// # Errors
    /// [`SealError`] if it is another body, or was changed or displaced.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        if sealed.len() < crate::seal::OVERHEAD || sealed[..NONCE] != self.nonce {
            return Err(SealError);
        }
        let (body, tag) = sealed[NONCE..].split_at(sealed.len() - crate::seal::OVERHEAD);
        let tag = Tag::try_from(tag).map_err(|_| SealError)?;
        let mut short = [0; 12];
        short[4..].copy_from_slice(&self.nonce[16..]);
        let mut plain = body.to_vec();
        ChaCha20Poly1305::new((&*self.key).into())
            .decrypt_inout_detached(&Nonce::from(short), context, plain.as_mut_slice().into(), &tag)
            .map_err(|_| SealError)?;
        Ok(plain)
    }
}

impl std::fmt::Debug for Disclosure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Disclosure(…)")
    }
}

impl DataKey {
    /// What opens this one sealed body.
    ///
    /// # Errors
    /// [`SealError`] if these are no sealed bytes.
    pub fn disclose(&self, sealed: &[u8]) -> Result<Disclosure, SealError> {
        let nonce = *sealed.first_chunk::<NONCE>().ok_or(SealError)?;
        let mut first = [0; 16];
        first.copy_from_slice(&nonce[..16]);
        let key = chacha20::hchacha::<chacha20::R20>(self.bytes().into(), &first.into());
        Ok(Disclosure { key: Zeroizing::new(key.into()), nonce })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Nonces;

    #[test]
    fn a_disclosed_body_seals_to_the_same_bytes_and_no_other_text_does() {
        let key = DataKey::new(&[7; 32]);
        let mut nonces = Nonces::default();
        let mut seal = |text: &[u8]| key.seal(&mut nonces, b"here", 0, |out| out.extend(text)).unwrap();
        let (one, other) = (seal(b"a letter"), seal(b"another"));
        let disclosed = key.disclose(&one).unwrap();
        let disclosed = Disclosure::from_bytes(&disclosed.to_bytes());
        assert_eq!(disclosed.seal(b"here", b"a letter").unwrap(), one);
        assert_ne!(disclosed.seal(b"there", b"a letter").unwrap(), one);
        assert_ne!(disclosed.seal(b"here", b"a lettre").unwrap(), one);
        assert_eq!(disclosed.open(b"here", &one).unwrap(), b"a letter");
        assert!(disclosed.open(b"there", &one).is_err());
        assert!(disclosed.open(b"here", &other).is_err());
        assert!(disclosed.open(b"here", &one[..39]).is_err());
        assert_ne!(disclosed.to_bytes()[..32], key.disclose(&other).unwrap().to_bytes()[..32]);
        assert!(key.disclose(b"short").is_err());
    }
}
