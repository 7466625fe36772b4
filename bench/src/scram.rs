//! The client side of SCRAM (RFC 5802, RFC 7677), with derived keys cached.
//!
//! Deriving a key costs milliseconds by design. A person's client does it once and keeps the result, and so does this
//! generator: otherwise the login rows would measure the generator.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::fault::{Fault, Result};

/// The hash that a mechanism is built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(crate) fn mechanism(self) -> &'static str {
        match self {
            Hash::Sha1 => "SCRAM-SHA-1",
            Hash::Sha256 => "SCRAM-SHA-256",
        }
    }

    fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        fn with<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            // HMAC takes keys of any length, so there is no error to pass on.
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Vec::new() };
            mac.update(data);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Hash::Sha1 => with::<Hmac<Sha1>>(key, data),
            Hash::Sha256 => with::<Hmac<Sha256>>(key, data),
        }
    }

    fn salted(self, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        match self {
            Hash::Sha1 => {
                pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password.as_bytes(), salt, iterations).to_vec()
            }
            Hash::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations).to_vec()
            }
        }
    }
}

#[derive(Clone)]
struct Keys {
    client: Vec<u8>,
    stored: Vec<u8>,
    server: Vec<u8>,
}

/// Hash, password, salt and iteration count: all that keys are derived from.
type Derivation = (Hash, String, Vec<u8>, u32);

/// Derived keys by hash, password, salt and iteration count.
#[derive(Default)]
pub(crate) struct KeyCache {
    known: Mutex<HashMap<Derivation, Keys>>,
}

impl KeyCache {
    fn keys(&self, hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Keys {
        let key = (hash, password.to_owned(), salt.to_vec(), iterations);
        if let Some(keys) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return keys.clone();
        }
        let salted = hash.salted(password, salt, iterations);
        let client = hash.hmac(&salted, b"Client Key");
        let keys = Keys { stored: hash.digest(&client), server: hash.hmac(&salted, b"Server Key"), client };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, keys.clone());
        keys
    }
}

/// One exchange under way.
pub(crate) struct Exchange {
    hash: Hash,
    nonce: String,
    bare: String,
    expected: Vec<u8>,
}

/// No channel binding, and the client knows of none.
const GS2: &str = "n,,";

impl Exchange {
    /// Names in this tool are plain ASCII, so SASLprep has nothing to do.
    pub(crate) fn begin(hash: Hash, name: &str, nonce: u64) -> Exchange {
        let nonce = format!("{nonce:016x}bench");
        let bare = format!("n={name},r={nonce}");
        Exchange { hash, nonce, bare, expected: Vec::new() }
    }

    /// The client's first message, in base64.
    pub(crate) fn first(&self) -> String {
        BASE64.encode(format!("{GS2}{}", self.bare))
    }

    /// Answers the server's first message, both in base64.
    pub(crate) fn answer(&mut self, challenge: &[u8], password: &str, cache: &KeyCache) -> Result<String> {
        let refused = |answer: &str| Fault::Refused { step: "SCRAM", answer: answer.to_owned() };
        let first = BASE64
            .decode(challenge)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| refused("a challenge that is not base64"))?;
        let field = |name: &str| first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").filter(|nonce| nonce.starts_with(&self.nonce));
        let salt = field("s=").and_then(|salt| BASE64.decode(salt).ok());
        let iterations = field("i=").and_then(|count| count.parse().ok());
        let (Some(nonce), Some(salt), Some(iterations)) = (nonce, salt, iterations) else {
            return Err(refused(&first));
        };

        let keys = cache.keys(self.hash, password, &salt, iterations);
        let without_proof = format!("c={},r={nonce}", BASE64.encode(GS2));
        let signed = format!("{},{first},{without_proof}", self.bare);
        let signature = self.hash.hmac(&keys.stored, signed.as_bytes());
        let proof: Vec<u8> = keys.client.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        self.expected = self.hash.hmac(&keys.server, signed.as_bytes());
        Ok(BASE64.encode(format!("{without_proof},p={}", BASE64.encode(proof))))
    }

    /// Whether the server's last message proves that it knows the account too.
    pub(crate) fn verify(&self, last: &[u8]) -> bool {
        BASE64.decode(last).is_ok_and(|text| {
            text.strip_prefix(b"v=").and_then(|value| BASE64.decode(value).ok()).as_deref()
                == Some(&self.expected)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        let mut exchange = Exchange {
            hash: Hash::Sha256,
            nonce: "rOprNGfwEbeRWgbNEkqO".to_owned(),
            bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            expected: Vec::new(),
        };
        let challenge = BASE64
            .encode("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let answer = exchange.answer(challenge.as_bytes(), "pencil", &KeyCache::default()).unwrap();
        let answer = String::from_utf8(BASE64.decode(answer).unwrap()).unwrap();
        assert!(answer.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{answer}");
        assert!(exchange.verify(BASE64.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=").as_bytes()));
        assert!(!exchange.verify(BASE64.encode("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=").as_bytes()));
    }
}
