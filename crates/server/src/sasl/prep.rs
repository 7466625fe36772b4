//! Preparation of names and passwords, so that what is typed on two keyboards compares equal.

use std::borrow::Cow;

use jid::{BareJid, DomainPart, DomainRef, Jid, NodePart};
use zeroize::Zeroizing;

use super::SaslFailure;

/// Why a password cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Nothing is left after preparation.
    #[error("the password is empty")]
    Empty,
    /// More than [`MAX_PASSWORD_BYTES`].
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// A character that SASLprep (RFC 4013) prohibits, such as a control character or one that
    /// Unicode 3.2 did not know. Clients could not sign in with it.
    #[error("the password has a character that clients cannot sign in with; use letters, digits and signs")]
    Prohibited,
}

/// The longest password, in bytes of UTF-8 after preparation.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Prepares a password with SASLprep (RFC 4013), as both ends of SCRAM do before hashing.
///
/// # Errors
/// When the password is empty, too long, or has characters that SASLprep prohibits.
pub fn prepare_password(password: &str) -> Result<Zeroizing<String>, PasswordError> {
    // Preparation may shrink or grow a little, so bound the work before and the result after.
    if password.len() > 4 * MAX_PASSWORD_BYTES {
        return Err(PasswordError::TooLong);
    }
    let prepared = match stringprep::saslprep(password).map_err(|_| PasswordError::Prohibited)? {
        Cow::Borrowed(same) => Zeroizing::new(same.to_owned()),
        Cow::Owned(changed) => Zeroizing::new(changed),
    };
    match prepared.len() {
        0 => Err(PasswordError::Empty),
        length if length > MAX_PASSWORD_BYTES => Err(PasswordError::TooLong),
        _ => Ok(prepared),
    }
}

/// The account that a client names: the localpart alone (RFC 6120 §6.3.7), or the whole bare JID as
/// some clients send, which is unambiguous because a localpart has no `@`.
pub(super) fn account(name: &str, domain: &DomainRef) -> Result<BareJid, SaslFailure> {
    let local = match name.split_once('@') {
        None => name,
        Some((local, host)) => {
            let host = DomainPart::new(host).map_err(|_| SaslFailure::NotAuthorized)?;
            if host.as_str() != domain.as_str() {
                return Err(SaslFailure::NotAuthorized);
            }
            local
        }
    };
    let local = NodePart::new(local).map_err(|_| SaslFailure::NotAuthorized)?;
    Ok(BareJid::from_parts(Some(&local), domain))
}

/// Nobody acts as somebody else here: an authorization identity must be the account's own bare JID
/// (RFC 6120 §6.3.8).
pub(super) fn check_authzid(authzid: Option<&str>, user: &BareJid) -> Result<(), SaslFailure> {
    match authzid {
        None => Ok(()),
        Some(other) => match Jid::new(other) {
            Ok(jid) if jid.as_str() == user.as_str() => Ok(()),
            _ => Err(SaslFailure::InvalidAuthzid),
        },
    }
}
