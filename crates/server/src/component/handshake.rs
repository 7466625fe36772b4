//! The component's sign-in (XEP-0114 §3): the SHA-1 of the stream's id and a shared secret, in hexadecimal.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

/// Whether `answer` is right. Takes as long for a wrong one.
pub(super) fn is_answer(id: &str, secret: &str, answer: &str) -> bool {
    let expected = hex(&Sha1::new().chain_update(id).chain_update(secret).finalize());
    expected.as_bytes().ct_eq(answer.trim().to_ascii_lowercase().as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_id_and_secret_is_accepted_and_nothing_else() {
        // printf '3BF96D32test' | sha1sum
        let right = "aaee83c26aeeafcbabeabfcbcd50df997e0a2a1e";
        assert!(is_answer("3BF96D32", "test", right));
        assert!(is_answer("3BF96D32", "test", &format!(" {}\n", right.to_uppercase())));
        assert!(!is_answer("3BF96D33", "test", right));
        assert!(!is_answer("3BF96D32", "tests", right));
        assert!(!is_answer("3BF96D32", "test", &right[..39]));
        assert!(!is_answer("3BF96D32", "test", ""));
    }
}
