//! How a sign-in fails, and the text form of its messages.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Why a sign-in failed: the conditions of RFC 6120 §6.5.
///
/// A wrong password, an unknown account and an account that is locked for a while are all
/// [`SaslFailure::NotAuthorized`], so that nobody can find out which accounts exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaslFailure {
    /// The client gave up with `<abort/>` (§6.5.1).
    Aborted,
    /// The account is disabled; said only after the right password (§6.5.2).
    AccountDisabled,
    /// A token was right but is too old; said only after the right token (§6.5.3).
    CredentialsExpired,
    /// The mechanism needs TLS first (§6.5.4).
    EncryptionRequired,
    /// The message was not base64 (§6.5.5).
    IncorrectEncoding,
    /// The client asked to act as somebody else (§6.5.6).
    InvalidAuthzid,
    /// The mechanism was not offered on this stream (§6.5.7).
    InvalidMechanism,
    /// The message does not follow its grammar (§6.5.8).
    MalformedRequest,
    /// The mechanism is weaker than the account's policy allows (§6.5.9).
    MechanismTooWeak,
    /// The credentials are wrong (§6.5.10).
    NotAuthorized,
    /// The server cannot decide now; trying later may work (§6.5.11).
    TemporaryAuthFailure,
}

impl SaslFailure {
    /// The element name of the condition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }

    /// Whether this failure says that a secret was guessed wrong, so that it counts against limits.
    pub fn is_wrong_guess(self) -> bool {
        matches!(self, Self::NotAuthorized)
    }
}

impl fmt::Display for SaslFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::error::Error for SaslFailure {}

/// Reads the text of `<auth/>`, `<response/>` or `<initial-response/>` (RFC 6120 §6.4.2).
///
/// Nothing at all means that there is no message yet; `=` is a message of zero length.
///
/// # Errors
/// [`SaslFailure::IncorrectEncoding`] when the text is not strict base64.
pub fn decode(text: &str) -> Result<Option<Vec<u8>>, SaslFailure> {
    match text.trim_ascii() {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        encoded => STANDARD.decode(encoded).map(Some).map_err(|_| SaslFailure::IncorrectEncoding),
    }
}
