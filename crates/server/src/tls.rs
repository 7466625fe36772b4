//! The server's certificate: made when there is none, read when there is one, replaced while running.
//!
//! TLS 1.2 and 1.3 (RFC 7590). A connection takes the [`Identity`] that is current when it is accepted and keeps it:
//! channel binding (RFC 5929) needs the certificate that *this* handshake showed, also after a reload.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jid::DomainPart;
use parking_lot::RwLock;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig, ServerConnection};
use vault::{Expect, Record, Vault, VaultError, Write};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Config;
use crate::sasl::{ChannelBindings, EXPORTER_LABEL, EXPORTER_LENGTH};

/// How long a self-signed certificate is good for. The server makes a new one before that ends.
const SELF_SIGNED_DAYS: i64 = 3_650;

/// How much of a self-signed certificate's life must be left, or a start replaces it.
const RENEW_DAYS: i64 = 30;

/// A certificate chain and its private key in PEM, as files and records hold them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pem {
    /// The chain, the server's own certificate first.
    pub certificate: String,
    /// The private key. Secret.
    pub key: String,
}

impl Pem {
    /// Makes a certificate for the domains and the services below them, signed by its own key. For `localhost` also
    /// the loopback addresses.
    pub fn self_signed(domains: &[DomainPart]) -> Result<Self, TlsError> {
        let mut names = names_to_cover(domains);
        if domains.iter().any(|domain| domain.as_str() == "localhost") {
            names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
        }
        let make = || {
            let key = rcgen::KeyPair::generate()?;
            let mut parameters = rcgen::CertificateParams::new(names)?;
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            if let Some(first) = domains.first() {
                parameters.distinguished_name.push(rcgen::DnType::CommonName, first.as_str());
            }
            let now = OffsetDateTime::now_utc();
            // A day of grace for clocks that are behind.
            parameters.not_before = now - Duration::DAY;
            parameters.not_after = now + Duration::days(SELF_SIGNED_DAYS);
            let certificate = parameters.self_signed(&key)?;
            Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
        };
        make().map_err(|error: rcgen::Error| TlsError::Make(error.to_string()))
    }

    /// Reads the two files of `[tls]`.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Ok(Self { certificate: read(certificate)?, key: read(key)? })
    }

    /// Whether a self-signed certificate still serves these domains and will for a while.
    pub fn is_fit_for(&self, domains: &[DomainPart]) -> bool {
        self.describe().is_ok_and(|description| {
            description.not_after - OffsetDateTime::now_utc() > Duration::days(RENEW_DAYS)
                && domains.iter().all(|domain| description.covers(domain.as_str()))
        })
    }

    /// What the first certificate says about itself.
    pub fn describe(&self) -> Result<Description, TlsError> {
        Description::of(self.chain()?.first().ok_or(TlsError::NoCertificate)?)
    }

    /// Whether chain and key belong together and TLS can use them.
    pub fn check(&self) -> Result<(), TlsError> {
        Identity::new(self).map(drop)
    }

    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .map_err(|_| TlsError::NoCertificate)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        // The error of the parser may quote the input, so it is dropped.
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).map_err(|_| TlsError::NoKey)
    }
}

/// The server's own certificate at rest: a sealed record.
#[derive(Serialize, Deserialize)]
pub struct Certificate(Pem);

impl Record for Certificate {
    const KIND: u16 = crate::kinds::CERTIFICATE;
}

impl Certificate {
    /// The stored one.
    pub async fn find(vault: &Vault) -> Result<Option<Pem>, VaultError> {
        Ok(vault.get::<Self>("", "self-signed").await?.map(|found| found.value.0))
    }

    /// The stored one if it still serves these domains, else a new one in its place.
    pub async fn find_or_make(vault: &Vault, domains: &[DomainPart]) -> Result<Pem, TlsError> {
        if let Some(pem) = Self::find(vault).await?.filter(|pem| pem.is_fit_for(domains)) {
            return Ok(pem);
        }
        let pem = Pem::self_signed(domains)?;
        let write = Write::put("", "self-signed", &Self(pem.clone()), Expect::Any)?;
        vault.apply(vec![write]).await?;
        Ok(pem)
    }

    /// The certificate that the configuration names, or the stored one.
    pub async fn choose(config: &Config, vault: &Vault) -> Result<Pem, TlsError> {
        match &config.tls {
            Some(files) => Pem::read(&files.certificate, &files.key),
            None => Self::find_or_make(vault, &config.domains).await,
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pem([secret])")
    }
}

/// The domains and the services below them.
fn names_to_cover(domains: &[DomainPart]) -> Vec<String> {
    let mut names = Vec::new();
    for domain in domains {
        names.push(domain.as_str().to_owned());
        names.extend(["conference", "upload", "pubsub"].map(|service| format!("{service}.{domain}")));
    }
    names
}

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The DNS names it is good for.
    pub names: Vec<String>,
    /// From when.
    pub not_before: OffsetDateTime,
    /// Until when.
    pub not_after: OffsetDateTime,
    /// Whether it is signed by its own key, so that clients cannot know it beforehand.
    pub self_signed: bool,
    /// SHA-256 of the certificate in hexadecimal, for people to compare.
    pub fingerprint: String,
}

impl Description {
    fn of(certificate: &CertificateDer<'_>) -> Result<Self, TlsError> {
        use sha2::{Digest, Sha256};

        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| TlsError::NoCertificate)?;
        let names = parsed.subject_alternative_name().ok().flatten().map_or_else(Vec::new, |extension| {
            let dns = |name: &GeneralName<'_>| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            };
            extension.value.general_names.iter().filter_map(dns).collect()
        });
        let fingerprint: Vec<String> =
            Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            names,
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
            self_signed: parsed.issuer() == parsed.subject(),
            fingerprint: fingerprint.join(":"),
        })
    }

    /// Whether the certificate names the domain, itself or by a wildcard (RFC 6125 §6.4).
    pub fn covers(&self, domain: &str) -> bool {
        self.names.iter().any(|name| {
            name.eq_ignore_ascii_case(domain)
                || name.strip_prefix("*.").is_some_and(|parent| {
                    domain.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
                })
        })
    }
}

/// What the server shows in a handshake, ready to use.
pub struct Identity {
    /// For XMPP streams, both after STARTTLS and directly (XEP-0368).
    pub xmpp: Arc<ServerConfig>,
    /// For the web side.
    pub https: Arc<ServerConfig>,
    /// The data of `tls-server-end-point` (RFC 5929 §4), where the certificate has it.
    pub end_point: Option<Vec<u8>>,
    /// What it says about itself.
    pub description: Description,
}

impl Identity {
    fn new(pem: &Pem) -> Result<Self, TlsError> {
        let chain = pem.chain()?;
        let certificate = chain.first().ok_or(TlsError::NoCertificate)?.clone();
        let provider = Arc::new(ring::default_provider());
        let certified =
            CertifiedKey::from_der(chain, pem.private_key()?, &provider).map_err(TlsError::Unusable)?;
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
        let config = || {
            ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map(|builder| builder.with_no_client_auth().with_cert_resolver(resolver.clone()))
                .map_err(TlsError::Unusable)
        };
        let mut xmpp = config()?;
        xmpp.alpn_protocols = vec![b"xmpp-client".to_vec()];
        // Streams live for hours and come back by XEP-0198, so tickets would only cost the server memory.
        xmpp.send_tls13_tickets = 0;
        xmpp.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        let mut https = config()?;
        https.alpn_protocols = vec![b"http/1.1".to_vec()];
        https.ticketer = ring::Ticketer::new().map_err(TlsError::Unusable)?;
        let description = Description::of(&certificate)?;
        let end_point = ChannelBindings::end_point_of(&certificate);
        Ok(Self { xmpp: Arc::new(xmpp), https: Arc::new(https), end_point, description })
    }
}

/// The current [`Identity`]. Clones share it.
#[derive(Clone)]
pub struct Tls {
    current: Arc<RwLock<Arc<Identity>>>,
}

impl Tls {
    /// Checks that the chain and the key belong together and can be used.
    pub fn new(pem: &Pem) -> Result<Self, TlsError> {
        Ok(Self { current: Arc::new(RwLock::new(Arc::new(Identity::new(pem)?))) })
    }

    /// What a connection that is accepted now shows.
    pub fn current(&self) -> Arc<Identity> {
        self.current.read().clone()
    }

    /// Shows another certificate from now on. On an error the old one stays.
    pub fn replace(&self, pem: &Pem) -> Result<(), TlsError> {
        let identity = Arc::new(Identity::new(pem)?);
        *self.current.write() = identity;
        Ok(())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("description", &self.current().description).finish()
    }
}

/// What a finished handshake leaves for the sign-in inside.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// What the sign-in can be bound to (XEP-0440). No `tls-exporter` with TLS 1.2: there it is unsafe unless the
    /// extended master secret was used (RFC 9266 §4.2), and the connection does not tell.
    pub bindings: ChannelBindings,
}

impl Handshake {
    /// Reads it off a connection that took `identity`.
    pub fn of(connection: &ServerConnection, identity: &Identity) -> Self {
        let exporter = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => {
                connection.export_keying_material(vec![0; EXPORTER_LENGTH], EXPORTER_LABEL, Some(&[])).ok()
            }
            _ => None,
        };
        Self { bindings: ChannelBindings::new(exporter, identity.end_point.clone()) }
    }
}

/// What can be wrong with a certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No readable certificate.
    #[error("the certificate file holds no PEM certificate; it starts with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// No readable key.
    #[error("the key file holds no unencrypted PEM private key")]
    NoKey,
    /// A chain and a key that TLS refuses, for instance because they do not belong together.
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::ServerName;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::sasl::BindingType;

    fn domains(names: &[&str]) -> Vec<DomainPart> {
        names.iter().map(|name| DomainPart::new(name).unwrap().into_owned()).collect()
    }

    /// Shakes hands in memory with a client that trusts `trusted`, and gives back both ends.
    fn shake(
        identity: &Identity,
        trusted: &Pem,
        name: &'static str,
    ) -> (rustls::ClientConnection, ServerConnection) {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.chain().unwrap().remove(0)).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(identity.xmpp.clone()).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        (client, server)
    }

    #[test]
    fn a_made_certificate_serves_its_domains_and_their_services() {
        let pem = Pem::self_signed(&domains(&["corp.example", "localhost"])).unwrap();
        let description = pem.describe().unwrap();
        for name in ["corp.example", "conference.corp.example", "upload.corp.example", "localhost"] {
            assert!(description.covers(name), "{name}");
        }
        assert!(!description.covers("example"));
        assert!(description.self_signed);
        assert!(pem.is_fit_for(&domains(&["corp.example"])));
        assert!(!pem.is_fit_for(&domains(&["other.example"])));
    }

    #[test]
    fn a_client_that_trusts_the_certificate_shakes_hands_and_shares_the_exporter() {
        let pem = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let tls = Tls::new(&pem).unwrap();
        let (client, server) = shake(&tls.current(), &pem, "corp.example");
        let theirs = client.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
        let bindings = Handshake::of(&server, &tls.current()).bindings;
        assert_eq!(bindings.data(BindingType::TlsExporter), Some(&theirs[..]));
        let certificate = pem.chain().unwrap().remove(0);
        let end_point = bindings.data(BindingType::TlsServerEndPoint);
        assert_eq!(
            end_point,
            Some(&Sha256::digest(&certificate)[..]),
            "made certificates are signed with SHA-256"
        );
    }

    #[test]
    fn a_replaced_certificate_is_shown_from_then_on() {
        let old = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let new = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let tls = Tls::new(&old).unwrap();
        let before = tls.current();
        tls.replace(&new).unwrap();
        shake(&before, &old, "corp.example");
        shake(&tls.current(), &new, "corp.example");
    }

    #[test]
    fn a_key_that_belongs_to_another_certificate_is_refused_and_the_old_one_stays() {
        let pem = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let other = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let tls = Tls::new(&pem).unwrap();
        let mixed = Pem { certificate: pem.certificate.clone(), key: other.key };
        assert!(matches!(tls.replace(&mixed), Err(TlsError::Unusable(_))));
        shake(&tls.current(), &pem, "corp.example");
    }

    #[test]
    fn what_is_not_pem_is_refused_without_repeating_it() {
        let pem = Pem::self_signed(&domains(&["corp.example"])).unwrap();
        let broken = Pem { certificate: pem.certificate.clone(), key: "not a key".into() };
        let error = Tls::new(&broken).unwrap_err();
        assert!(matches!(error, TlsError::NoKey));
        assert!(!error.to_string().contains("not a key"));
        assert!(matches!(Tls::new(&Pem { certificate: String::new(), ..pem }), Err(TlsError::NoCertificate)));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Pem::read(Path::new("/nowhere/a.pem"), Path::new("/nowhere/b.pem")).unwrap_err();
        assert!(error.to_string().starts_with("/nowhere/a.pem"));
    }

    #[test]
    fn wildcards_cover_one_level() {
        let description = Description {
            names: vec!["*.corp.example".into()],
            not_before: OffsetDateTime::UNIX_EPOCH,
            not_after: OffsetDateTime::UNIX_EPOCH,
            self_signed: false,
            fingerprint: String::new(),
        };
        assert!(description.covers("chat.corp.example"));
        assert!(!description.covers("corp.example"));
        assert!(!description.covers("a.b.corp.example"));
    }
}
