//! What is stored of a person who can sign in.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use vault::Record;

use super::Roles;
use crate::sasl::{Hash, ScramKeys};

/// An account: a record under its domain, by its localpart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The part of the address before the `@`, normalised.
    pub localpart: String,
    /// How the person is called, if anybody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the person is beside an employee.
    #[serde(default, rename = "role")]
    pub roles: Roles,
    /// Whether it may not sign in.
    #[serde(default)]
    pub disabled: bool,
    /// When it was made: seconds since 1970, UTC.
    pub created: i64,
    /// Grows when all tokens that were given out so far must be worthless: with a new password, with
    /// disabling, on request. Begins at a time, so that an account of the same name made later has another.
    pub(super) generation: u64,
    #[serde(with = "shared")]
    sha1: Arc<ScramKeys>,
    #[serde(with = "shared")]
    sha256: Arc<ScramKeys>,
}

impl Record for Account {
    const KIND: u16 = 1;
}

/// The keys of one password for both hashes, so that an account works with every mechanism.
pub(super) struct PasswordKeys {
    pub(super) sha1: ScramKeys,
    pub(super) sha256: ScramKeys,
}

impl Account {
    pub(super) fn new(
        localpart: &str,
        name: Option<String>,
        roles: Roles,
        now: Now,
        keys: PasswordKeys,
    ) -> Self {
        Self {
            localpart: localpart.to_owned(),
            name,
            roles,
            disabled: false,
            created: now.seconds(),
            generation: now.micros,
            sha1: Arc::new(keys.sha1),
            sha256: Arc::new(keys.sha256),
        }
    }

    /// The keys that check its password by this hash.
    pub fn keys(&self, hash: Hash) -> &Arc<ScramKeys> {
        match hash {
            Hash::Sha1 => &self.sha1,
            Hash::Sha256 => &self.sha256,
        }
    }

    /// Changes when all that was given out on the strength of its password must end: with a new password, with disabling,
    /// on request. Another account of the same name has another.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn set_keys(&mut self, keys: PasswordKeys) {
        self.sha1 = Arc::new(keys.sha1);
        self.sha256 = Arc::new(keys.sha256);
    }

    /// Makes every token worthless that was given out before.
    pub(super) fn revoke(&mut self, now: Now) {
        self.generation = now.micros.max(self.generation + 1);
    }
}

/// A moment.
#[derive(Clone, Copy)]
pub(super) struct Now {
    /// Microseconds since 1970, UTC.
    micros: u64,
}

impl Now {
    pub(super) fn read() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is broken; everything still works with the time standing at its start.
        Self { micros: since.map_or(0, |since| since.as_micros().try_into().unwrap_or(u64::MAX)) }
    }

    pub(super) fn seconds(self) -> i64 {
        i64::try_from(self.micros / 1_000_000).unwrap_or(i64::MAX)
    }
}

/// Shared keys are stored as the keys.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::sasl::ScramKeys;

    pub(super) fn serialize<S: Serializer>(keys: &Arc<ScramKeys>, serializer: S) -> Result<S::Ok, S::Error> {
        keys.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<ScramKeys>, D::Error> {
        ScramKeys::deserialize(deserializer).map(Arc::new)
    }
}
