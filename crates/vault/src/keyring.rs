//! Keys under the master key: wrapping, deriving, and a bounded cache of data keys.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use chacha20poly1305::XChaCha20Poly1305;
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::blind::BlindMap;
use crate::seal::{self, Nonces};
use crate::{Blind, MasterKey, Result, SealError, VaultError};

/// Names a data key. A keyed hash, so that it tells nothing about what the key is for.
pub type KeyId = Blind;

/// Where the wrapped root secret stands among the wrapped keys.
pub(crate) const ROOT: KeyId = Blind::from_bytes([0; Blind::LEN]);

/// Seals the events of one conversation and period. Destroying it erases exactly those.
pub struct DataKey {
    cipher: XChaCha20Poly1305,
    bytes: Zeroizing<[u8; 32]>,
}

impl DataKey {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { cipher: seal::cipher(key), bytes: Zeroizing::new(*key) }
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals what `write` appends (about `capacity` bytes) as nonce ‖ ciphertext ‖ tag.
    ///
    /// # Errors
    /// [`VaultError::Random`] if there are no random bytes.
    pub fn seal(
        &self,
        nonces: &mut Nonces,
        context: &[u8],
        capacity: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Vec<u8>> {
        Ok(seal::seal_with(&self.cipher, nonces.next()?, context, capacity, write)?)
    }

    /// Opens what [`DataKey::seal`] made in the same context.
    ///
    /// # Errors
    /// [`SealError`] if it was changed, displaced or sealed under another key.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        seal::open(&self.cipher, context, sealed)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// The key that wraps keys; derived from the master key.
pub(crate) struct Kek {
    cipher: XChaCha20Poly1305,
    check: Zeroizing<[u8; 16]>,
}

impl Kek {
    pub(crate) fn new(master: &MasterKey) -> Self {
        let mut check = Zeroizing::new([0; 16]);
        check.copy_from_slice(&derive(master.as_bytes(), "chancery key check 1")[..16]);
        Self { cipher: seal::cipher(&derive(master.as_bytes(), "chancery key wrapping 1")), check }
    }

    pub(crate) fn wrap(&self, id: KeyId, nonces: &mut Nonces, key: &[u8; 32]) -> Result<Bytes> {
        let sealed = seal::seal(&self.cipher, nonces.next()?, &context(id), key)?;
        if id != ROOT {
            return Ok(sealed.into());
        }
        // The root carries a check value, so that a wrong master key is told from a damaged store.
        Ok([&self.check[..], &sealed].concat().into())
    }

    pub(crate) fn unwrap(&self, id: KeyId, wrapped: &[u8]) -> Result<Zeroizing<[u8; 32]>> {
        const DAMAGED: VaultError = VaultError::Corrupt { what: "a wrapped key" };
        let sealed = if id == ROOT {
            let (check, sealed) = wrapped.split_at_checked(16).ok_or(DAMAGED)?;
            if !bool::from(check.ct_eq(&self.check[..])) {
                return Err(VaultError::WrongKey);
            }
            sealed
        } else {
            wrapped
        };
        let plain = Zeroizing::new(seal::open(&self.cipher, &context(id), sealed).map_err(|_| DAMAGED)?);
        let mut key = Zeroizing::new([0; 32]);
        if plain.len() != key.len() {
            return Err(DAMAGED);
        }
        key.copy_from_slice(&plain);
        Ok(key)
    }
}

fn context(id: KeyId) -> Vec<u8> {
    [b"chancery wrapped key 1".as_slice(), id.as_bytes()].concat()
}

/// HKDF-SHA-256 of a secret that is itself uniformly random.
pub(crate) fn derive(secret: &[u8; 32], label: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let expanded = Hkdf::<Sha256>::new(None, secret).expand(label.as_bytes(), out.as_mut_slice());
    debug_assert!(expanded.is_ok(), "HKDF gives up to 8160 bytes");
    out
}

/// A new random key.
pub(crate) fn random() -> Result<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(key.as_mut_slice())?;
    Ok(key)
}

/// Opened data keys: two generations, of which the older is dropped when the younger is full. What is in use stays.
pub(crate) struct Cache {
    young: BlindMap<Arc<DataKey>>,
    old: BlindMap<Arc<DataKey>>,
    generation: usize,
}

impl Cache {
    /// Holds between `generation` and twice as many keys, of about 100 bytes each.
    pub(crate) fn new(generation: usize) -> Self {
        Self { young: BlindMap::default(), old: BlindMap::default(), generation }
    }

    pub(crate) fn get(&mut self, id: &KeyId) -> Option<Arc<DataKey>> {
        if let Some(key) = self.young.get(id) {
            return Some(Arc::clone(key));
        }
        let key = self.old.remove(id)?;
        self.insert(*id, Arc::clone(&key));
        Some(key)
    }

    pub(crate) fn put(&mut self, id: KeyId, key: &[u8; 32]) -> Arc<DataKey> {
        let key = Arc::new(DataKey::new(key));
        self.insert(id, Arc::clone(&key));
        key
    }

    /// Drops a key that must open nothing any more.
    pub(crate) fn forget(&mut self, id: &KeyId) {
        self.young.remove(id);
        self.old.remove(id);
    }

    fn insert(&mut self, id: KeyId, key: Arc<DataKey>) {
        if self.young.len() >= self.generation {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_key_opens_only_under_its_master_key_and_name() {
        let mut nonces = Nonces::default();
        let (right, wrong) =
            (Kek::new(&MasterKey::from_bytes([1; 32])), Kek::new(&MasterKey::from_bytes([2; 32])));
        let id = Blind::from_bytes([9; 16]);
        let wrapped = right.wrap(id, &mut nonces, &[5; 32]).unwrap();
        assert_eq!(*right.unwrap(id, &wrapped).unwrap(), [5; 32]);
        assert!(right.unwrap(Blind::from_bytes([8; 16]), &wrapped).is_err());
        assert!(wrong.unwrap(id, &wrapped).is_err());

        let root = right.wrap(ROOT, &mut nonces, &[6; 32]).unwrap();
        assert!(matches!(wrong.unwrap(ROOT, &root), Err(VaultError::WrongKey)));
        let mut damaged = root.to_vec();
        damaged[40] ^= 1;
        assert!(matches!(right.unwrap(ROOT, &damaged), Err(VaultError::Corrupt { .. })));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_in_use() {
        let mut cache = Cache::new(10);
        let hot = Blind::from_bytes([255; 16]);
        cache.put(hot, &[0; 32]);
        for n in 0..100u8 {
            cache.put(Blind::from_bytes([n; 16]), &[n; 32]);
            assert!(cache.get(&hot).is_some());
            assert!(cache.young.len() + cache.old.len() <= 20);
        }
        assert!(cache.get(&Blind::from_bytes([0; 16])).is_none());
    }
}
