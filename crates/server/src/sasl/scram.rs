//! `SCRAM` (RFC 5802, RFC 7677), the server's side, with channel binding and XEP-0474.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::{Choice, ConstantTimeEq};

use super::{Hash, Offer, SaslFailure, ScramKeys};

/// The longest nonce of a client, in bytes. Ours adds [`super::exchange::NONCE_BYTES`] or so.
const MAX_NONCE_BYTES: usize = 512;

/// What the client says of channel binding: the `gs2-cbind-flag` of RFC 5802 §7.
#[derive(Debug, PartialEq, Eq)]
enum Gs2Flag<'a> {
    /// `n`: the client cannot bind.
    Unable,
    /// `y`: the client could bind and believes that the server cannot.
    BelievesServerUnable,
    /// `p=`: the client binds by this type.
    Bound(&'a str),
}

/// The client's first message.
pub(super) struct ClientFirst {
    /// The name that it signs in as, unescaped.
    pub(super) name: String,
    /// Whom it wants to act as, unescaped.
    pub(super) authzid: Option<String>,
    nonce: String,
    /// `client-first-message-bare`.
    bare: String,
    /// What `c=` of the final message must decode to: the GS2 header and the binding's data.
    channel: Vec<u8>,
}

impl ClientFirst {
    /// Reads the message and settles channel binding (RFC 5802 §6), which needs no account.
    pub(super) fn parse(message: &[u8], plus: bool, offer: &Offer) -> Result<Self, SaslFailure> {
        let malformed = SaslFailure::MalformedRequest;
        let text = std::str::from_utf8(message).map_err(|_| malformed)?;
        let (flag, rest) = text.split_once(',').ok_or(malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        let header = &text[..text.len() - bare.len()];

        let flag = match flag {
            "n" => Gs2Flag::Unable,
            "y" => Gs2Flag::BelievesServerUnable,
            _ => Gs2Flag::Bound(flag.strip_prefix("p=").ok_or(malformed)?),
        };
        let authzid = match authzid.strip_prefix("a=") {
            Some(escaped) => Some(unescape(escaped)?),
            None if authzid.is_empty() => None,
            None => return Err(malformed),
        };

        // Extensions may follow and are ignored; `m=` in front would be a mandatory one (§5.1).
        let mut attributes = bare.split(',');
        let name = attributes.next().and_then(|n| n.strip_prefix("n=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|r| r.strip_prefix("r=")).ok_or(malformed)?;
        if nonce.is_empty() || nonce.len() > MAX_NONCE_BYTES || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(malformed);
        }
        if !attributes.all(is_attribute) {
            return Err(malformed);
        }

        let mut channel = header.as_bytes().to_vec();
        match (flag, plus) {
            (Gs2Flag::Unable, false) => {}
            // Somebody between us took the -PLUS mechanisms out of the list.
            (Gs2Flag::BelievesServerUnable, false) if offer.has_plus() => {
                return Err(SaslFailure::NotAuthorized);
            }
            (Gs2Flag::BelievesServerUnable, false) => {}
            (Gs2Flag::Bound(kind), true) => {
                channel.extend_from_slice(offer.bindings().named(kind).ok_or(malformed)?);
            }
            (Gs2Flag::Unable | Gs2Flag::BelievesServerUnable, true) | (Gs2Flag::Bound(_), false) => {
                return Err(malformed);
            }
        }
        Ok(Self { name: unescape(name)?, authzid, nonce: nonce.to_owned(), bare: bare.to_owned(), channel })
    }

    /// Answers with salt and nonce. `real` tells whether the keys belong to an account.
    pub(super) fn answer(
        self,
        hash: Hash,
        keys: Arc<ScramKeys>,
        real: Choice,
        server_nonce: &str,
        offer: &Offer,
    ) -> Pending {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let server_first = format!(
            "r={nonce},s={},i={},h={}",
            STANDARD.encode(keys.salt()),
            keys.iterations(),
            offer.digest(hash),
        );
        Pending { bare: self.bare, channel: self.channel, nonce, server_first, keys, real }
    }
}

/// The exchange between the two messages of the client.
pub(super) struct Pending {
    bare: String,
    channel: Vec<u8>,
    nonce: String,
    /// The challenge that the client gets.
    pub(super) server_first: String,
    keys: Arc<ScramKeys>,
    real: Choice,
}

impl Pending {
    /// Checks the client's final message and gives the server's, `v=…` (RFC 5802 §7).
    pub(super) fn finish(&self, message: &[u8]) -> Result<Vec<u8>, SaslFailure> {
        let malformed = SaslFailure::MalformedRequest;
        let text = std::str::from_utf8(message).map_err(|_| malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| malformed)?;
        let mut attributes = without_proof.split(',');
        let channel = attributes.next().and_then(|c| c.strip_prefix("c=")).ok_or(malformed)?;
        let channel = STANDARD.decode(channel).map_err(|_| malformed)?;
        let nonce = attributes.next().and_then(|r| r.strip_prefix("r=")).ok_or(malformed)?;
        if !attributes.all(is_attribute) {
            return Err(malformed);
        }

        // All checks always run, so that the time tells nothing about which of them failed.
        let auth_message =
            [self.bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let proven = self.keys.match_proof(&proof, &auth_message)
            & self.channel.ct_eq(&channel)
            & self.nonce.as_bytes().ct_eq(nonce.as_bytes())
            & self.real;
        let signature = self.keys.server_signature(&auth_message);
        if bool::from(proven) {
            Ok(format!("v={}", STANDARD.encode(signature)).into_bytes())
        } else {
            Err(SaslFailure::NotAuthorized)
        }
    }
}

/// Whether this is an optional attribute, `X=value`. `m=` is reserved for mandatory extensions, of
/// which none exists (RFC 5802 §5.1).
fn is_attribute(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b'=', ..] if letter.is_ascii_alphabetic() && *letter != b'm')
}

/// Undoes the escapes of a `saslname` (RFC 5802 §5.1): `=2C` is a comma, `=3D` an equals sign.
fn unescape(name: &str) -> Result<String, SaslFailure> {
    let mut parts = name.split('=');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (sign, rest) = match part.as_bytes() {
            [b'2', b'C', ..] => (',', &part[2..]),
            [b'3', b'D', ..] => ('=', &part[2..]),
            _ => return Err(SaslFailure::MalformedRequest),
        };
        plain.push(sign);
        plain.push_str(rest);
    }
    if plain.is_empty() || plain.contains('\0') { Err(SaslFailure::MalformedRequest) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::super::{BindingType, Channel, ChannelBindings};
    use super::*;

    const SHA_1: [&str; 4] = [
        "QSXCR+Q6sek8bf92",
        "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    ];

    const SHA_256: [&str; 4] = [
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    ];

    /// Plays an exchange of a standard's example: the client's messages against the stored keys.
    fn replay(hash: Hash, example: [&str; 4], real: bool) -> Result<Vec<u8>, SaslFailure> {
        let [salt, bare, server_first, last] = example;
        let nonce = server_first.strip_prefix("r=").and_then(|r| r.split(',').next()).unwrap();
        Pending {
            bare: bare.to_owned(),
            channel: b"n,,".to_vec(),
            nonce: nonce.to_owned(),
            server_first: server_first.to_owned(),
            keys: Arc::new(ScramKeys::derive(hash, "pencil", &STANDARD.decode(salt).unwrap(), 4096)),
            real: Choice::from(u8::from(real)),
        }
        .finish(last.as_bytes())
    }

    #[test]
    fn the_example_of_rfc_5802_succeeds() {
        assert_eq!(replay(Hash::Sha1, SHA_1, true).unwrap(), b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=");
    }

    #[test]
    fn the_example_of_rfc_7677_succeeds() {
        let answer = replay(Hash::Sha256, SHA_256, true);
        assert_eq!(answer.unwrap(), b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn made_up_keys_fail_even_with_the_right_proof() {
        assert_eq!(replay(Hash::Sha256, SHA_256, false), Err(SaslFailure::NotAuthorized));
    }

    #[test]
    fn the_hash_of_the_example_of_xep_0474_is_made() {
        // The example's server offers no SCRAM-SHA-256, so make its list by hand.
        let signed = "SCRAM-SHA-1\u{1e}SCRAM-SHA-1-PLUS\u{1f}tls-exporter\u{1e}tls-server-end-point";
        assert_eq!(STANDARD.encode(Hash::Sha1.digest(signed.as_bytes())), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");

        let both = ChannelBindings::new(Some(vec![1; 32]), Some(vec![2; 32]));
        let offer = Offer::new(Channel::Encrypted, both);
        let signed = "PLAIN\u{1e}SCRAM-SHA-1\u{1e}SCRAM-SHA-1-PLUS\u{1e}SCRAM-SHA-256\u{1e}SCRAM-SHA-256-PLUS\
                      \u{1f}tls-exporter\u{1e}tls-server-end-point";
        assert_eq!(offer.digest(Hash::Sha256), STANDARD.encode(Hash::Sha256.digest(signed.as_bytes())));

        let offer = Offer::new(Channel::InsecureAllowed, ChannelBindings::default());
        let signed = "PLAIN\u{1e}SCRAM-SHA-1\u{1e}SCRAM-SHA-256";
        assert_eq!(offer.digest(Hash::Sha256), STANDARD.encode(Hash::Sha256.digest(signed.as_bytes())));
    }

    #[test]
    fn names_are_unescaped_as_saslname() {
        assert_eq!(unescape("a=2Cb=3Dc").unwrap(), "a,b=c");
        assert_eq!(unescape("=3D2C").unwrap(), "=2C");
        for wrong in ["", "a=", "a=2", "a=2c", "a=3d", "a=zz", "a=\u{e9}", "a\0b"] {
            assert_eq!(unescape(wrong), Err(SaslFailure::MalformedRequest), "{wrong:?}");
        }
    }

    #[test]
    fn first_messages_follow_the_grammar() {
        let bindings = ChannelBindings::new(Some(vec![7; 32]), None);
        let offer = Offer::new(Channel::Encrypted, bindings);
        let parse = |text: &str, plus| ClientFirst::parse(text.as_bytes(), plus, &offer).map(|_| ());
        for good in ["n,,n=u,r=x", "n,a=u@h,n=u,r=x", "n,,n=u,r=x,e=later", "n,,n=u,r=x,e=,f=1"] {
            assert_eq!(parse(good, false), Ok(()), "{good}");
        }
        assert_eq!(parse("p=tls-exporter,,n=u,r=x", true), Ok(()));
        let malformed = Err(SaslFailure::MalformedRequest);
        for wrong in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=u",
            "n,,r=x,n=u",
            "n,,n=u,r=",
            "n,,n=,r=x",
            "n,,m=e,n=u,r=x",
            "n,,n=u,r=x,m=e",
            "n,,n=u,r=x,",
            "n,,n=u,r=x y",
            "n,x,n=u,r=x",
            "F,n,,n=u,r=x",
            "q,,n=u,r=x",
            "n,a=,n=u,r=x",
            "p=tls-exporter,,n=u,r=x",
        ] {
            assert_eq!(parse(wrong, false), malformed, "{wrong}");
        }
        for wrong in [
            "n,,n=u,r=x",
            "y,,n=u,r=x",
            "p=,,n=u,r=x",
            "p=tls-unique,,n=u,r=x",
            "p=tls-server-end-point,,n=u,r=x",
        ] {
            assert_eq!(parse(wrong, true), malformed, "{wrong}");
        }
        assert_eq!(offer.bindings().types().collect::<Vec<_>>(), [BindingType::TlsExporter]);
    }
}
