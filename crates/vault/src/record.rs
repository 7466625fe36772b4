//! Records: documents by kind and key.

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::VaultError;

/// A document that the vault keeps, sealed. Several documents of a kind share a `parent`, under which they are
/// listed: a roster's items under their account, say. Kinds without such an owner use the parent `""`.
///
/// Fields may be added later if they have a `serde` default; documents that were written before stay readable.
pub trait Record: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Tells this kind from every other. It is stored in the clear and never changes its meaning.
    const KIND: u16;
}

/// Which writing of a record this is. Grows with every write, even over a deletion.
pub type Version = u64;

/// A record as it was read, with the version for [`Expect::Version`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<R> {
    /// The document.
    pub value: R,
    /// Its version.
    pub version: Version,
}

/// What must be true of the stored record for a write to go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing.
    Any,
    /// That there is none.
    Absent,
    /// That nobody has written it since this version was read.
    Version(Version),
}

/// One change of one record, still readable: the vault seals it on the way in.
#[derive(Clone)]
pub struct Write {
    pub(crate) kind: u16,
    pub(crate) parent: String,
    pub(crate) key: String,
    pub(crate) expect: Expect,
    pub(crate) value: Option<Zeroizing<Vec<u8>>>,
}

impl Write {
    /// Stores `value` under `parent` and `key`.
    ///
    /// # Errors
    /// [`VaultError::Encoding`] if the value does not serialise.
    pub fn put<R: Record>(parent: &str, key: &str, value: &R, expect: Expect) -> Result<Self, VaultError> {
        let json = serde_json::to_vec(value).map_err(|_| VaultError::Encoding { kind: R::KIND })?;
        Ok(Self::put_bytes(R::KIND, parent, key, json, expect))
    }

    /// Stores bytes that have a form of their own, such as an index segment. A kind holds either documents or
    /// bytes, not both.
    pub fn put_bytes(kind: u16, parent: &str, key: &str, value: Vec<u8>, expect: Expect) -> Self {
        Self { kind, parent: parent.into(), key: key.into(), expect, value: Some(Zeroizing::new(value)) }
    }

    /// Removes the record under `parent` and `key`. Removing what is not there is no error with [`Expect::Any`].
    pub fn delete<R: Record>(parent: &str, key: &str, expect: Expect) -> Self {
        Self::delete_bytes(R::KIND, parent, key, expect)
    }

    /// As [`Write::delete`], for a kind that was written with [`Write::put_bytes`].
    pub fn delete_bytes(kind: u16, parent: &str, key: &str, expect: Expect) -> Self {
        Self { kind, parent: parent.into(), key: key.into(), expect, value: None }
    }
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Write")
            .field("kind", &self.kind)
            .field("expect", &self.expect)
            .field("deletes", &self.value.is_none())
            .finish_non_exhaustive()
    }
}
