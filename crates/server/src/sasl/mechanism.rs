//! Which mechanisms exist and which of them a stream offers.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{BindingType, ChannelBindings, Hash, SaslFailure};

/// A way to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mechanism {
    /// `EXTERNAL` (RFC 4422): whoever is below the stream vouches for the client.
    External,
    /// `SCRAM-SHA-256-PLUS` (RFC 7677), bound to the TLS channel.
    ScramSha256Plus,
    /// `SCRAM-SHA-256` (RFC 7677).
    ScramSha256,
    /// `SCRAM-SHA-1-PLUS` (RFC 5802), bound to the TLS channel.
    ScramSha1Plus,
    /// `SCRAM-SHA-1` (RFC 5802).
    ScramSha1,
    /// `PLAIN` (RFC 4616).
    Plain,
    /// `HT-SHA-256-EXPR`: a FAST token bound by `tls-exporter`.
    HtSha256Expr,
    /// `HT-SHA-256-ENDP`: a FAST token bound by `tls-server-end-point`.
    HtSha256Endp,
    /// `HT-SHA-256-NONE`: a FAST token without channel binding.
    HtSha256None,
}

impl Mechanism {
    /// Every mechanism, the strongest first within its family.
    pub const ALL: [Self; 9] = [
        Self::External,
        Self::ScramSha256Plus,
        Self::ScramSha256,
        Self::ScramSha1Plus,
        Self::ScramSha1,
        Self::Plain,
        Self::HtSha256Expr,
        Self::HtSha256Endp,
        Self::HtSha256None,
    ];

    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::Plain => "PLAIN",
            Self::HtSha256Expr => "HT-SHA-256-EXPR",
            Self::HtSha256Endp => "HT-SHA-256-ENDP",
            Self::HtSha256None => "HT-SHA-256-NONE",
        }
    }

    /// The mechanism of this name; names are compared exactly.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether it signs in with a FAST token instead of a password (XEP-0484).
    pub fn is_fast(self) -> bool {
        matches!(self, Self::HtSha256Expr | Self::HtSha256Endp | Self::HtSha256None)
    }

    /// The channel binding that a FAST mechanism's name fixes.
    pub(super) fn fixed_binding(self) -> Option<BindingType> {
        match self {
            Self::HtSha256Expr => Some(BindingType::TlsExporter),
            Self::HtSha256Endp => Some(BindingType::TlsServerEndPoint),
            _ => None,
        }
    }

    /// The hash of a SCRAM mechanism and whether it is a `-PLUS` one.
    pub(super) fn scram(self) -> Option<(Hash, bool)> {
        match self {
            Self::ScramSha256Plus => Some((Hash::Sha256, true)),
            Self::ScramSha256 => Some((Hash::Sha256, false)),
            Self::ScramSha1Plus => Some((Hash::Sha1, true)),
            Self::ScramSha1 => Some((Hash::Sha1, false)),
            _ => None,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the connection is like below the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// TLS is up, here or at a proxy that the operator vouches for.
    Encrypted,
    /// Nothing hides the bytes, and the operator allows sign-in all the same
    /// (`development.insecure_login`, loopback only).
    InsecureAllowed,
    /// Nothing hides the bytes: no mechanism is offered before STARTTLS.
    Insecure,
}

/// What one stream offers for sign-in. What the stream features list, and what XEP-0474 signs.
#[derive(Clone)]
pub struct Offer {
    mechanisms: Vec<Mechanism>,
    fast: Vec<Mechanism>,
    bindings: ChannelBindings,
}

impl Offer {
    /// What a stream on this channel offers.
    pub fn new(channel: Channel, bindings: ChannelBindings) -> Self {
        if channel == Channel::Insecure {
            return Self { mechanisms: Vec::new(), fast: Vec::new(), bindings: ChannelBindings::default() };
        }
        let usable = |mechanism: &Mechanism| match mechanism {
            Mechanism::External => false,
            Mechanism::ScramSha256Plus | Mechanism::ScramSha1Plus => !bindings.is_empty(),
            _ => mechanism.fixed_binding().is_none_or(|kind| bindings.data(kind).is_some()),
        };
        let (fast, mechanisms) =
            Mechanism::ALL.into_iter().filter(usable).partition(|mechanism| mechanism.is_fast());
        Self { mechanisms, fast, bindings }
    }

    /// The same for a connection that says who is there by itself (RFC 6120 §6.3.4): EXTERNAL comes first.
    pub fn vouched(mut self) -> Self {
        if !self.mechanisms.is_empty() {
            self.mechanisms.insert(0, Mechanism::External);
        }
        self
    }

    /// The `<mechanism/>`s of RFC 6120 §6.3.3 and XEP-0388 §2.1, strongest first. The same list serves
    /// both, and XEP-0474 signs exactly it, so whoever advertises must advertise all of it.
    pub fn mechanisms(&self) -> &[Mechanism] {
        &self.mechanisms
    }

    /// The mechanisms inside `<fast xmlns='urn:xmpp:fast:0'/>` (XEP-0484 §3.1).
    pub fn fast(&self) -> &[Mechanism] {
        &self.fast
    }

    /// The channel bindings of XEP-0440; advertise them exactly when there are some.
    pub fn bindings(&self) -> &ChannelBindings {
        &self.bindings
    }

    /// The mechanism that a client names. `fast` tells whether its request has `<fast/>`.
    ///
    /// # Errors
    /// [`SaslFailure::EncryptionRequired`] before TLS, [`SaslFailure::InvalidMechanism`] otherwise.
    pub fn select(&self, name: &str, fast: bool) -> Result<Mechanism, SaslFailure> {
        let mechanism = Mechanism::named(name).ok_or(SaslFailure::InvalidMechanism)?;
        if self.mechanisms.is_empty() {
            return Err(SaslFailure::EncryptionRequired);
        }
        let list = if fast { &self.fast } else { &self.mechanisms };
        if list.contains(&mechanism) { Ok(mechanism) } else { Err(SaslFailure::InvalidMechanism) }
    }

    /// Whether some `-PLUS` mechanism is offered.
    pub(super) fn has_plus(&self) -> bool {
        !self.bindings.is_empty()
    }

    /// What XEP-0474 §4.1 hashes: both lists, sorted by octets.
    pub(super) fn digest(&self, hash: Hash) -> String {
        let joined = |mut names: Vec<&str>| {
            names.sort_unstable();
            names.join("\u{1e}")
        };
        let mut signed = joined(self.mechanisms.iter().map(|m| m.name()).collect());
        if !self.bindings.is_empty() {
            signed.push('\u{1f}');
            signed.push_str(&joined(self.bindings.types().map(BindingType::name).collect()));
        }
        STANDARD.encode(hash.digest(signed.as_bytes()))
    }
}
