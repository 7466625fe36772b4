//! FAST (XEP-0484): a client that signed in with a password gets a token, and signs in with that in one
//! round trip from then on. The mechanisms are the `HT-` ones of draft-schmaus-kitten-sasl-ht-09.
//!
//! A client has two slots, as XEP-0484 §6.1 advises: a new token waits in `new` until it is first used,
//! then it moves to `current` and what was there is gone. So a client that loses the connection before
//! it hears of its new token can still sign in with the old one.
//!
//! Tokens themselves are never stored: a slot has a random serial number, from which the holder of the
//! server's secret derives the token again.

use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use super::keys::base64_bytes;
use super::{Hash, Mechanism, SaslFailure};

/// How long a token that nobody uses stays good, in seconds: 21 days.
pub const LIFETIME_SECONDS: i64 = 21 * 24 * 60 * 60;

/// The longest `id` of a `<user-agent/>`, in bytes; XEP-0388 §2.3 wants a UUID.
pub const MAX_CLIENT_BYTES: usize = 256;

/// What is stored of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What the token is derived from: random, and worthless without the server's secret.
    #[serde(with = "base64_bytes")]
    pub serial: Vec<u8>,
    /// The only mechanism that it may be used with.
    pub mechanism: Mechanism,
    /// When it ceases to be good: seconds since 1970, UTC.
    pub expires: i64,
    /// The highest `count` that came with it (replay defence, XEP-0484 §3.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// The tokens of one client of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The `id` of its `<user-agent/>`.
    pub client: String,
    /// Given out and not used yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Token>,
    /// In use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Token>,
}

/// A token in the client's hands. Shown to the client once, never logged, never stored.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps the text of a token; at least 128 bits of it must be unpredictable.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text that goes to the client.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A stored token with its secret, ready to be compared.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// [`Token::serial`].
    pub serial: Vec<u8>,
    /// [`Token::mechanism`].
    pub mechanism: Mechanism,
    /// The derived token.
    pub secret: Secret,
}

/// A token was shown to be in the client's hands; [`Device::redeem`] decides whether that is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The client that it belongs to.
    pub client: String,
    /// [`Token::serial`].
    pub serial: Vec<u8>,
    /// The `count` of `<fast/>`.
    pub count: Option<u64>,
    /// Whether the client wants to be rid of the token.
    pub invalidate: bool,
}

/// What follows from the use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// The mechanism for which the client should get a new token now, unless it logs out.
    pub rotate: Option<Mechanism>,
}

impl Device {
    /// A client without tokens.
    pub fn new(client: String) -> Self {
        Self { client, new: None, current: None }
    }

    /// Both tokens, the new one first.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.new.iter().chain(&self.current)
    }

    /// Whether nothing here can be used any more at `now` (seconds since 1970).
    pub fn is_spent(&self, now: i64) -> bool {
        self.tokens().all(|token| token.expires <= now)
    }

    /// Puts a new token into its slot. One that was never used is forgotten (XEP-0484 §3.5).
    pub fn issue(&mut self, mechanism: Mechanism, serial: Vec<u8>, now: i64) -> &Token {
        self.new.insert(Token { serial, mechanism, expires: now + LIFETIME_SECONDS, count: None })
    }

    /// Uses a token that the client has proved to hold.
    ///
    /// Once a client counts, it has to count on: a request without a `count`, or with one that is not
    /// higher than every one before, is a replay.
    ///
    /// # Errors
    /// [`SaslFailure::CredentialsExpired`] when it is too old, [`SaslFailure::NotAuthorized`] when it was
    /// revoked meanwhile or this is a replay.
    pub fn redeem(&mut self, used: &TokenUse, now: i64) -> Result<Redeemed, SaslFailure> {
        let is_used = |slot: &Option<Token>| slot.as_ref().is_some_and(|token| token.serial == used.serial);
        let was_new = is_used(&self.new);
        let slot = if was_new {
            &mut self.new
        } else if is_used(&self.current) {
            &mut self.current
        } else {
            return Err(SaslFailure::NotAuthorized);
        };
        let Some(token) = slot else { return Err(SaslFailure::NotAuthorized) };
        if token.expires <= now {
            *slot = None;
            return Err(SaslFailure::CredentialsExpired);
        }
        if token.count.is_some() && used.count <= token.count {
            return Err(SaslFailure::NotAuthorized);
        }
        token.count = used.count;
        let mechanism = token.mechanism;
        if used.invalidate {
            // The client logs out: a token that it may not have heard of is of no use to it either.
            self.new = None;
            self.current = None;
            return Ok(Redeemed { rotate: None });
        }
        if was_new {
            self.current = self.new.take();
        }
        Ok(Redeemed { rotate: Some(mechanism) })
    }
}

/// The client's only message: `authcid NUL HMAC(token, "Initiator" cb-data)`.
pub(super) struct Message<'a> {
    pub(super) authcid: &'a str,
    pub(super) proof: &'a [u8],
}

/// Reads the message.
pub(super) fn parse(message: &[u8]) -> Result<Message<'_>, SaslFailure> {
    let end = message.iter().position(|byte| *byte == 0).ok_or(SaslFailure::MalformedRequest)?;
    let (authcid, proof) = (&message[..end], &message[end + 1..]);
    let authcid = std::str::from_utf8(authcid).map_err(|_| SaslFailure::MalformedRequest)?;
    if authcid.is_empty() || proof.len() != Hash::Sha256.length() {
        return Err(SaslFailure::MalformedRequest);
    }
    Ok(Message { authcid, proof })
}

/// Finds the token that the client proved to hold, and makes the server's own proof with it.
pub(super) fn verify(
    mechanism: Mechanism,
    binding: &[u8],
    proof: &[u8],
    candidates: &[Candidate],
) -> Option<(Vec<u8>, Vec<u8>)> {
    // Both slots are always computed, used or not, so that the time is the same for every account.
    let nobody = Candidate { serial: Vec::new(), mechanism, secret: Secret::new(String::new()) };
    let mut found = None;
    for (index, candidate) in candidates.iter().chain(std::iter::repeat_n(&nobody, 2)).take(2).enumerate() {
        let expected = Hash::Sha256.hmac(candidate.secret.reveal().as_bytes(), &[b"Initiator", binding]);
        let usable = Choice::from(u8::from(index < candidates.len() && candidate.mechanism == mechanism));
        if bool::from(expected.ct_eq(proof) & usable) {
            found = Some(candidate);
        }
    }
    let token = found?;
    let response = Hash::Sha256.hmac(token.secret.reveal().as_bytes(), &[b"Responder", binding]);
    Some((token.serial.clone(), response.to_vec()))
}
