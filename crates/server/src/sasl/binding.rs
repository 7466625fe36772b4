//! Channel binding: proof that both ends of the sign-in are both ends of the same TLS channel.

use std::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// The label for `export_keying_material` (RFC 9266 §2); the context is present and empty.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// How many bytes to export for `tls-exporter` (RFC 9266 §2).
pub const EXPORTER_LENGTH: usize = 32;

/// A kind of channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BindingType {
    /// `tls-exporter` (RFC 9266): unique for each connection.
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929 §4): the server's certificate.
    TlsServerEndPoint,
}

impl BindingType {
    /// The registered name.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

/// The channel bindings that a connection can offer (XEP-0440), with their data.
///
/// With TLS 1.2, `tls-exporter` is sound only when the extended master secret (RFC 7627) was
/// negotiated; leave it out otherwise.
#[derive(Clone, Default)]
pub struct ChannelBindings {
    exporter: Option<Vec<u8>>,
    end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// What the connection knows: `exporter` is [`EXPORTER_LENGTH`] bytes of exported keying material,
    /// `end_point` the result of [`ChannelBindings::end_point_of`].
    pub fn new(exporter: Option<Vec<u8>>, end_point: Option<Vec<u8>>) -> Self {
        Self { exporter, end_point }
    }

    /// The `tls-server-end-point` data of a DER certificate (RFC 5929 §4.1): its hash by the hash of
    /// its own signature, but SHA-256 in place of MD5 and SHA-1. Compute it once for a certificate.
    ///
    /// None when the certificate cannot be read or its signature names no single hash (Ed25519,
    /// RSASSA-PSS), for which the standard defines nothing.
    pub fn end_point_of(certificate: &[u8]) -> Option<Vec<u8>> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let hashed = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
            // md5, sha1, sha256 with RSA; SHA-1 and SHA-256 with ECDSA; SHA-1 and SHA-256 with DSA
            "1.2.840.113549.1.1.4"
            | "1.2.840.113549.1.1.5"
            | "1.2.840.113549.1.1.11"
            | "1.2.840.10045.4.1"
            | "1.2.840.10045.4.3.2"
            | "1.2.840.10040.4.3"
            | "2.16.840.1.101.3.4.3.2" => Sha256::digest(certificate).to_vec(),
            "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(certificate).to_vec(),
            "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(certificate).to_vec(),
            _ => return None,
        };
        Some(hashed)
    }

    /// The types on offer, strongest first.
    pub fn types(&self) -> impl Iterator<Item = BindingType> {
        [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
            .into_iter()
            .filter(|kind| self.data(*kind).is_some())
    }

    /// The data of a type, if it is on offer.
    pub fn data(&self, kind: BindingType) -> Option<&[u8]> {
        match kind {
            BindingType::TlsExporter => self.exporter.as_deref(),
            BindingType::TlsServerEndPoint => self.end_point.as_deref(),
        }
    }

    /// Whether nothing can be bound.
    pub fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.end_point.is_none()
    }

    /// The data of the type with this name, if it is on offer.
    pub(super) fn named(&self, name: &str) -> Option<&[u8]> {
        self.types().find(|kind| kind.name() == name).and_then(|kind| self.data(kind))
    }
}

/// Shows the types only: exported keying material is a secret of the connection.
impl fmt::Debug for ChannelBindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.types().map(BindingType::name)).finish()
    }
}
