//! Keyed hashes: how something is found again without its name being written down.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A keyed hash of a name, 16 bytes: HMAC-SHA-256, truncated.
///
/// Whoever lacks the key can see that two blinds are equal, and nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Blind([u8; Self::LEN]);

impl Blind {
    /// Bytes in a blind.
    pub const LEN: usize = 16;

    /// The blind with these bytes, as a backend reads them back.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The blind that `Debug` writes so: 32 hexadecimal digits in lower case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::LEN];
        if text.len() != 2 * Self::LEN || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl AsRef<[u8]> for Blind {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Blind {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

impl fmt::Debug for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Hashes blinds for tables. They are keyed hashes already, so their first bytes serve as they are.
#[derive(Clone, Copy, Default)]
pub(crate) struct BlindHasher(u64);

/// A table by blinds.
pub(crate) type BlindMap<V> = HashMap<Blind, V, BuildHasherDefault<BlindHasher>>;

impl Hasher for BlindHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 ^= u64::from_le_bytes(*first);
        }
    }

    fn write_usize(&mut self, _: usize) {}
}

/// Makes [`Blind`]s. Holds the keyed state ready, so that a short name costs two SHA-256 blocks.
#[derive(Clone)]
pub struct Blinder(Hmac<Sha256>);

impl Blinder {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        // HMAC takes keys of every length, and a block-sized one is used as it is.
        let mut block = zeroize::Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(key);
        Self(Hmac::new(&(*block).into()))
    }

    /// Hashes `parts` under `label`. Every part is preceded by its length, so no two lists of parts collide.
    pub fn blind(&self, label: &str, parts: &[&[u8]]) -> Blind {
        let mut mac = self.0.clone();
        mac.update(&[label.len() as u8]);
        mac.update(label.as_bytes());
        for part in parts {
            mac.update(&(part.len() as u32).to_le_bytes());
            mac.update(part);
        }
        let full = mac.finalize().into_bytes();
        let mut short = [0; Blind::LEN];
        short.copy_from_slice(&full[..Blind::LEN]);
        Blind(short)
    }
}

impl fmt::Debug for Blinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blinder(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blind_is_read_back_from_its_digits_alone() {
        let blind = Blinder::new(&[1; 32]).blind("blob", &[b"x"]);
        let digits = format!("{blind:?}");
        assert_eq!(Blind::from_hex(&digits), Some(blind));
        for other in ["", &digits[1..], &digits.to_uppercase(), &digits.replace(&digits[..1], "+")] {
            assert_eq!(Blind::from_hex(other), None, "{other}");
        }
    }

    #[test]
    fn a_blind_depends_on_key_label_and_the_borders_between_parts() {
        let one = Blinder::new(&[1; 32]);
        let two = Blinder::new(&[2; 32]);
        assert_eq!(one.blind("owner", &[b"juliet"]), one.blind("owner", &[b"juliet"]));
        assert_ne!(one.blind("owner", &[b"juliet"]), two.blind("owner", &[b"juliet"]));
        assert_ne!(one.blind("owner", &[b"juliet"]), one.blind("peer", &[b"juliet"]));
        assert_ne!(one.blind("pair", &[b"ab", b"c"]), one.blind("pair", &[b"a", b"bc"]));
    }
}
