//! Is the content of every file where it should be?

use vault::{BlobName, Vault, VaultError};

use super::{File, State};

/// What a look at all files found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Files that can be fetched.
    pub files: u64,
    /// Those among them whose content is missing or has another length.
    pub broken: u64,
}

/// Looks whether each file's content is there, without a look inside.
///
/// # Errors
/// What the vault says.
pub async fn check(vault: &Vault) -> Result<Check, VaultError> {
    let mut check = Check::default();
    for (key, file) in vault.list::<File>("").await? {
        if !matches!(file.value.state, State::Kept { .. }) {
            continue;
        }
        check.files += 1;
        let whole = match BlobName::from_hex(&key) {
            Some(name) => vault.blobs().is_whole(name, file.value.size).await?,
            None => false,
        };
        check.broken += u64::from(!whole);
    }
    Ok(check)
}
