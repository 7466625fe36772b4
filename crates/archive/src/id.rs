//! Names of archived messages for the outside: XEP-0359 stanza-ids and XEP-0313 result ids.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vault::Sequence;

/// An opaque name of an archived message: 22 characters that cannot be guessed and tell no order or number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StanzaId(String);

impl StanzaId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for StanzaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<StanzaId> for String {
    fn from(id: StanzaId) -> Self {
        id.0
    }
}

/// Turns places into names and back: one AES block over the place and eight zero bytes, which a forged name lacks.
pub(crate) struct Ids(Aes128);

impl Ids {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let mut short = zeroize::Zeroizing::new([0; 16]);
        short.copy_from_slice(&key[..16]);
        Self(Aes128::new(&(*short).into()))
    }

    pub(crate) fn name(&self, sequence: Sequence) -> StanzaId {
        let mut block = [0; 16];
        block[..8].copy_from_slice(&sequence.0.to_be_bytes());
        let mut block = block.into();
        self.0.encrypt_block(&mut block);
        StanzaId(URL_SAFE_NO_PAD.encode(block))
    }

    pub(crate) fn place(&self, name: &str) -> Option<Sequence> {
        if name.len() != 22 {
            return None;
        }
        let mut block = [0; 16];
        let length = URL_SAFE_NO_PAD.decode_slice(name, &mut block).ok()?;
        if length != block.len() {
            return None;
        }
        let mut block = block.into();
        self.0.decrypt_block(&mut block);
        let (place, zeros) = block.split_first_chunk::<8>()?;
        (zeros == [0; 8]).then(|| Sequence(u64::from_be_bytes(*place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_back_and_a_forged_one_leads_nowhere() {
        let ids = Ids::new(&[7; 32]);
        for n in [1, 2, 3, 1 << 40] {
            let name = ids.name(Sequence(n));
            assert_eq!(name.as_str().len(), 22);
            assert_eq!(ids.place(name.as_str()), Some(Sequence(n)));
            assert_eq!(Ids::new(&[8; 32]).place(name.as_str()), None);
        }
        for forged in ["", "1", "AAAAAAAAAAAAAAAAAAAAAA", "ÄÄÄÄÄÄÄÄÄÄÄ", "AAAAAAAAAAAAAAAAAAAA=="]
        {
            assert_eq!(ids.place(forged), None);
        }
    }
}
