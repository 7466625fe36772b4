//! `PLAIN` (RFC 4616): the password itself, so under TLS only.

use zeroize::Zeroizing;

use super::{SaslFailure, prepare_password};

/// The client's only message.
pub(super) struct Message<'a> {
    pub(super) authzid: Option<&'a str>,
    pub(super) authcid: &'a str,
    pub(super) password: Zeroizing<String>,
}

/// Reads `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
pub(super) fn parse(message: &[u8]) -> Result<Message<'_>, SaslFailure> {
    let text = std::str::from_utf8(message).map_err(|_| SaslFailure::MalformedRequest)?;
    let mut parts = text.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(authzid), Some(authcid), Some(password), None)
            if !authcid.is_empty() && !password.is_empty() =>
        {
            Ok(Message {
                authzid: Some(authzid).filter(|authzid| !authzid.is_empty()),
                authcid,
                // No account can have a password that does not prepare.
                password: prepare_password(password).map_err(|_| SaslFailure::NotAuthorized)?,
            })
        }
        _ => Err(SaslFailure::MalformedRequest),
    }
}
