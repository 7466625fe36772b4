//! Certificates of erasure: what went, what stayed and why, signed by the archive. Pure.
//!
//! A certificate is a JSON object with the field `signature`: Ed25519, in Base64, over [`PREFIX`] and the rest of the object
//! in canonical form, which is JSON without spaces, with the names of each object sorted.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

use crate::chain::Notary;

/// What the signed bytes begin with.
const PREFIX: &[u8] = b"chancery erasure certificate 1\n";

/// Why a certificate says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// It is no JSON object with a signature.
    #[error("this is no certificate of an erasure")]
    Shape,
    /// The key is none.
    #[error("this is not a public key of an archive")]
    PublicKey,
    /// It was changed, or another archive signed it.
    #[error("the certificate was changed, or is not signed by this key")]
    Signature,
}

/// Adds the signature to a certificate.
pub(super) fn sign(mut certificate: Value, notary: &Notary) -> Value {
    let signature = notary.sign_statement(&statement(&certificate));
    if let Some(fields) = certificate.as_object_mut() {
        fields.insert("signature".into(), STANDARD.encode(signature).into());
    }
    certificate
}

/// Checks a certificate against the public key that `chancery archive key` shows, without anything else.
///
/// # Errors
/// See [`Invalid`].
pub fn check_certificate(json: &[u8], public_key: &[u8; 32]) -> Result<Value, Invalid> {
    let mut certificate: Value = serde_json::from_slice(json).map_err(|_| Invalid::Shape)?;
    let signature = certificate.as_object_mut().and_then(|fields| fields.remove("signature"));
    let signature = signature.as_ref().and_then(Value::as_str).ok_or(Invalid::Shape)?;
    let signature = STANDARD.decode(signature).map_err(|_| Invalid::Shape)?;
    let signature = Signature::from_slice(&signature).map_err(|_| Invalid::Shape)?;
    let key = VerifyingKey::from_bytes(public_key).map_err(|_| Invalid::PublicKey)?;
    key.verify_strict(&statement(&certificate), &signature).map_err(|_| Invalid::Signature)?;
    Ok(certificate)
}

fn statement(certificate: &Value) -> Vec<u8> {
    let mut out = PREFIX.to_vec();
    canonical(certificate, &mut out);
    out
}

fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            out.push(b'{');
            for (at, (name, value)) in fields.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                out.push(b':');
                canonical(value, out);
            }
            out.push(b'}');
        }
        Value::Array(values) => {
            out.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                canonical(value, out);
            }
            out.push(b']');
        }
        plain => out.extend_from_slice(plain.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_certificate_is_checked_with_the_public_key_alone_and_every_change_is_found() {
        let notary = Notary::new(&[7; 32]);
        let certificate = json!({ "b": [1, { "y": "ä\"", "x": null }], "a": true });
        let signed = sign(certificate.clone(), &notary);
        let key = notary.public_key();
        let text = signed.to_string();
        assert_eq!(check_certificate(text.as_bytes(), &key), Ok(certificate));
        // Another order of names and other spaces are the same certificate.
        let again = format!(
            "{{ \"signature\": {}, \"a\": true, \"b\": [1, {{\"x\": null, \"y\": \"\\u00e4\\\"\"}}] }}",
            signed["signature"]
        );
        assert!(check_certificate(again.as_bytes(), &key).is_ok());
        for changed in [text.replace('1', "2"), text.replace("true", "false"), text.replace("null", "0")] {
            assert_eq!(check_certificate(changed.as_bytes(), &key), Err(Invalid::Signature), "{changed}");
        }
        let other = Notary::new(&[8; 32]).public_key();
        assert_eq!(check_certificate(text.as_bytes(), &other), Err(Invalid::Signature));
        for nonsense in ["", "{}", "[]", "{\"signature\":1}", "{\"signature\":\"AAAA\"}"] {
            assert_eq!(check_certificate(nonsense.as_bytes(), &key), Err(Invalid::Shape), "{nonsense}");
        }
    }
}
