//! What the server keeps of a password: salted keys that check it and cannot be used to sign in.

use std::fmt;
use std::ops::Deref;

use hmac::{Hmac, KeyInit, Mac};
use jid::BareJid;
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// How often a new password is hashed. RFC 7677 §4 asks for 4,096 at least; each client pays it once
/// for a password, the server only for `PLAIN` and when a password is set.
pub const DEFAULT_ITERATIONS: u32 = 10_000;

/// The salt of a password, in bytes.
pub(crate) const SALT_BYTES: usize = 16;

/// The hash of a SCRAM mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Hash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

/// The result of a hash or of an HMAC.
#[derive(Clone, Zeroize)]
pub(super) struct Tag {
    bytes: [u8; 32],
    length: usize,
}

impl Tag {
    fn of(result: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let length = result.len().min(bytes.len());
        bytes[..length].copy_from_slice(&result[..length]);
        Self { bytes, length }
    }
}

impl Deref for Tag {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl AsRef<[u8]> for Tag {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Hash {
    /// The length of its result, in bytes.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    pub(super) fn digest(self, data: &[u8]) -> Tag {
        match self {
            Self::Sha1 => Tag::of(&Sha1::digest(data)),
            Self::Sha256 => Tag::of(&Sha256::digest(data)),
        }
    }

    /// HMAC (RFC 2104) over the parts in a row.
    pub(super) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Tag {
        fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Tag {
            let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else {
                unreachable!("HMAC takes keys of every length");
            };
            parts.iter().for_each(|part| mac.update(part));
            Tag::of(&mac.finalize().into_bytes())
        }
        match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, parts),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, parts),
        }
    }

    fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32) -> Tag {
        let mut bytes = [0; 32];
        let length = self.length();
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut bytes[..length]),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut bytes[..length]),
        }
        Tag { bytes, length }
    }
}

/// What is stored of a password for one hash (RFC 5802 §3): enough to check it and to prove to the
/// client that the server knows it, not enough to sign in elsewhere.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct ScramKeys {
    #[zeroize(skip)]
    hash: Hash,
    iterations: u32,
    #[serde(with = "base64_bytes")]
    salt: Vec<u8>,
    #[serde(with = "base64_bytes")]
    stored: Vec<u8>,
    #[serde(with = "base64_bytes")]
    server: Vec<u8>,
}

impl ScramKeys {
    /// Hashes a prepared password with a salt. Costs milliseconds: not for an async thread.
    pub fn derive(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Self {
        let mut salted = hash.pbkdf2(password.as_bytes(), salt, iterations.max(1));
        let mut client = hash.hmac(&salted, &[b"Client Key"]);
        let keys = Self {
            hash,
            iterations: iterations.max(1),
            salt: salt.to_vec(),
            stored: hash.digest(&client).to_vec(),
            server: hash.hmac(&salted, &[b"Server Key"]).to_vec(),
        };
        salted.zeroize();
        client.zeroize();
        keys
    }

    /// The hash that they are for.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// How often the password was hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    pub(crate) fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether these are the keys of a prepared password. Costs as much as [`ScramKeys::derive`].
    pub(super) fn match_password(&self, password: &str) -> Choice {
        let tried = Self::derive(self.hash, password, &self.salt, self.iterations);
        tried.stored.ct_eq(&self.stored)
    }

    /// Checks a client's proof (RFC 5802 §3).
    pub(super) fn match_proof(&self, proof: &[u8], auth_message: &[&[u8]]) -> Choice {
        if proof.len() != self.hash.length() {
            return Choice::from(0);
        }
        let signature = self.hash.hmac(&self.stored, auth_message);
        let mut client = [0; 32];
        for (byte, (a, b)) in client.iter_mut().zip(proof.iter().zip(signature.iter())) {
            *byte = a ^ b;
        }
        let stored = self.hash.digest(&client[..proof.len()]);
        client.zeroize();
        stored.ct_eq(&self.stored)
    }

    /// The server's own proof (RFC 5802 §3).
    pub(super) fn server_signature(&self, auth_message: &[&[u8]]) -> Tag {
        self.hash.hmac(&self.server, auth_message)
    }
}

/// Shows no key.
impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Makes up keys for accounts that do not exist, so that a stranger cannot tell them from those that
/// do: the same account gets the same salt every time, on every start of the server.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Decoy {
    secret: [u8; 32],
    iterations: u32,
}

impl Decoy {
    /// `secret` must not change over the life of the server's data; `iterations` is what new accounts
    /// get.
    pub fn new(secret: [u8; 32], iterations: u32) -> Self {
        Self { secret, iterations }
    }

    pub(super) fn keys(&self, hash: Hash, user: &BareJid) -> ScramKeys {
        let name = match hash {
            Hash::Sha1 => "sha-1",
            Hash::Sha256 => "sha-256",
        };
        let part = |what: &str, length: usize| {
            let name = [what, "\0", name, "\0", user.as_str()];
            let tag = Hash::Sha256.hmac(&self.secret, &name.map(str::as_bytes));
            tag[..length].to_vec()
        };
        ScramKeys {
            hash,
            iterations: self.iterations,
            salt: part("salt", SALT_BYTES),
            stored: part("stored", hash.length()),
            server: part("server", hash.length()),
        }
    }
}

impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoy").finish_non_exhaustive()
    }
}

/// Bytes as base64 inside records, a third of the size of a list of numbers.
pub(crate) mod base64_bytes {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(|_| D::Error::custom("not base64"))
    }
}
