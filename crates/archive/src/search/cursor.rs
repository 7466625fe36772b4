//! Where a page of findings ended, as a name that tells nothing.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vault::Sequence;

/// Where to go on: from this place, passing over so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) place: Sequence,
    pub(super) skip: u32,
}

const MARK: [u8; 4] = *b"page";

/// Seals marks, as [`crate::StanzaId`]s are: one block, in which a forged one lacks what it must hold.
pub(crate) struct Marks(Aes128);

impl Marks {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut short = zeroize::Zeroizing::new([0; 16]);
        short.copy_from_slice(&key[..16]);
        Self(Aes128::new(&(*short).into()))
    }

    pub(super) fn name(&self, mark: Mark) -> String {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&mark.place.0.to_be_bytes());
        block[8..12].copy_from_slice(&mark.skip.to_be_bytes());
        block[12..].copy_from_slice(&MARK);
        let mut block = block.into();
        self.0.encrypt_block(&mut block);
        URL_SAFE_NO_PAD.encode(block)
    }

    pub(super) fn read(&self, name: &str) -> Option<Mark> {
        let mut block = [0; 16];
        if name.len() != 22 || URL_SAFE_NO_PAD.decode_slice(name, &mut block).ok()? != block.len() {
            return None;
        }
        let mut block = block.into();
        self.0.decrypt_block(&mut block);
        let (place, rest) = block.split_first_chunk::<8>()?;
        let (skip, mark) = rest.split_first_chunk::<4>()?;
        (mark == MARK)
            .then(|| Mark { place: Sequence(u64::from_be_bytes(*place)), skip: u32::from_be_bytes(*skip) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_and_a_forged_one_leads_nowhere() {
        let marks = Marks::new(&[7; 32]);
        let mark = Mark { place: Sequence(1 << 40), skip: 50 };
        let name = marks.name(mark);
        assert_eq!(marks.read(&name), Some(mark));
        assert_eq!(Marks::new(&[8; 32]).read(&name), None);
        for forged in ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", "ÄÄÄÄÄÄÄÄÄÄÄ"] {
            assert_eq!(marks.read(forged), None);
        }
    }
}
