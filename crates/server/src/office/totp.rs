//! Time-based one-time passwords (RFC 6238 on RFC 4226), as every authenticator app makes them: SHA-1, six digits, thirty
//! seconds. Pure: time is passed in.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

/// How long a code is good, in seconds.
const STEP: u64 = 30;
/// How many codes there are.
const MODULUS: u32 = 1_000_000;
/// RFC 4648 §6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The steps whose codes are taken at a time: this one, and its neighbours for clocks that are off (RFC 6238 §5.2).
fn steps(now: u64) -> [u64; 3] {
    let step = now / STEP;
    [step.saturating_sub(1), step, step + 1]
}

/// The code of a step (RFC 4226 §5.3).
fn code_of(secret: &[u8], step: u64) -> u32 {
    let Ok(mut mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(secret) else {
        unreachable!("HMAC takes keys of every length");
    };
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let offset = usize::from(tag[19] & 0xf);
    let four = [tag[offset], tag[offset + 1], tag[offset + 2], tag[offset + 3]];
    (u32::from_be_bytes(four) & 0x7fff_ffff) % MODULUS
}

/// The step that `code` belongs to, if it is good at `now` (seconds since 1970) and of a step after `last`, which was used
/// before. Takes the same time whichever it is.
pub(super) fn check(secret: &[u8], code: &str, now: u64, last: u64) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    // A sign in front is no digit, though numbers are parsed with one.
    let six = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let given: u32 = digits.parse().ok().filter(|_| six)?;
    let mut found = 0;
    for step in steps(now) {
        let right = code_of(secret, step).ct_eq(&given) & Choice::from(u8::from(step > last));
        found.conditional_assign(&step, right);
    }
    (found > 0).then_some(found)
}

/// The secret as people type it into an authenticator.
pub(super) fn base32(secret: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(secret.len().div_ceil(5) * 8));
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in secret {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            text.push(char::from(BASE32[(bits >> held & 31) as usize]));
        }
    }
    if held > 0 {
        text.push(char::from(BASE32[(bits << (5 - held) & 31) as usize]));
    }
    text
}

/// What a QR code says to an authenticator.
pub(super) fn uri(secret: &[u8], account: &str, issuer: &str) -> Zeroizing<String> {
    let (account, issuer, secret) = (escape(account), escape(issuer), base32(secret));
    Zeroizing::new(format!("otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}", *secret))
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte))
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, the last six of its eight digits.
        for (now, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(check(SECRET, code, now, 0), Some(now / STEP), "{now}");
        }
    }

    #[test]
    fn a_code_is_good_around_its_time_once_and_only_as_six_digits() {
        let at = 1_111_111_111;
        let step = at / STEP;
        assert_eq!(check(SECRET, "050 471", at + STEP, 0), Some(step));
        assert_eq!(check(SECRET, "050471", at - STEP, 0), Some(step));
        assert_eq!(check(SECRET, "050471", at + 2 * STEP, 0), None);
        assert_eq!(check(SECRET, "050471", at, step), None, "used before");
        assert_eq!(check(SECRET, "050471", at, step - 1), Some(step));
        for wrong in ["", "50471", "0050471", "05047x", "+50471", "050472"] {
            assert_eq!(check(SECRET, wrong, at, 0), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_written_as_authenticators_read_them() {
        assert_eq!(*base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(*base32(b"fooba"), "MZXW6YTB");
        assert_eq!(*base32(b"foob"), "MZXW6YQ");
        let uri = uri(b"fooba", "anna@corp.example", "corp.example");
        assert_eq!(
            *uri,
            "otpauth://totp/corp.example:anna%40corp.example?secret=MZXW6YTB&issuer=corp.example"
        );
    }
}
