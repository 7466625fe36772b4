//! Keys, tokens and passwords.

use std::sync::LazyLock;

use regex::Regex;

use super::{Found, Kind};

/// What is found by form alone. Each name of a group is a kind.
static FORMS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let forms = concat!(
        r"(?<access>\b(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA|AGPA|ANPA|ANVA)[A-Z2-7]{16}\b)",
        r"|(?<jwt>\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",
        r"|(?<token>\bgh[opsur]_[A-Za-z0-9]{36,251}\b",
        r"|\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b",
        r"|\bglpat-[A-Za-z0-9_-]{20,}",
        r"|\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
        r"|\bxapp-[0-9]-[A-Za-z0-9-]{10,}",
        r"|\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,}\b",
        r"|\bAIza[A-Za-z0-9_-]{35}",
        r"|\bnpm_[A-Za-z0-9]{36}\b",
        r"|\bpypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}",
        r"|\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
        r"|\bsk-[A-Za-z0-9_-]{32,})",
    );
    Regex::new(forms).ok()
});

/// A word for a password, a sign that one follows, and it.
static PASSWORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let named = concat!(
        r"(?i)(?:password|passwort|passwd|passphrase|passcode|pwd|kennwort|mot de passe|contrase(?:ñ|n)a|wachtwoord",
        r"|palavra[- ]passe|senha|has(?:ł|l)o|lösenord|parola d'ordine|api[-_ ]?key|secret[-_ ]?key|client[-_ ]?secret)",
        r#"["']?(?:\s{0,3}(?:[:=]|=>)\s{0,3}|\s(?:is|ist|lautet|est|es|è|jest|är)\s{1,3}:?\s{0,3})["'`]?"#,
        r#"(?<value>[^\s"'`]{4,128})"#,
    );
    Regex::new(named).ok()
});

const BEGIN: &str = "-----BEGIN ";
const LABEL: &str = "PRIVATE KEY";
const END: &str = "-----END ";

pub(super) fn find(text: &str, found: &mut Found) {
    if found.wants(Kind::PrivateKey) {
        private_keys(text, found);
    }
    if found.wanted.meets(Kind::AccessKey.into()) || found.wants(Kind::Token) || found.wants(Kind::Jwt) {
        forms(text, found);
    }
    if found.wants(Kind::Password)
        && let Some(passwords) = &*PASSWORDS
    {
        for captures in passwords.captures_iter(text).take(super::MOST) {
            // "password: the new one" is talk; what has a digit, a sign or a capital inside may be one.
            if let Some(value) = captures.name("value")
                && is_secretive(value.as_str())
            {
                found.add(Kind::Password, value.range());
            }
        }
    }
}

fn forms(text: &str, found: &mut Found) {
    let Some(forms) = &*FORMS else { return };
    const NAMES: [(&str, Kind); 3] =
        [("access", Kind::AccessKey), ("jwt", Kind::Jwt), ("token", Kind::Token)];
    for captures in forms.captures_iter(text).take(super::MOST) {
        for (name, kind) in NAMES {
            if let Some(group) = captures.name(name)
                && found.wants(kind)
            {
                found.add(kind, group.range());
            }
        }
    }
}

fn private_keys(text: &str, found: &mut Found) {
    let mut at = 0;
    while let Some(begin) = text[at..].find(BEGIN).map(|begin| at + begin) {
        let label = begin + BEGIN.len();
        let Some(line) = text[label..].find("-----").map(|end| &text[label..label + end]) else { return };
        at = label + line.len();
        if line.len() > 64 || !line.contains(LABEL) {
            continue;
        }
        let end = match text[at..].find(END).map(|end| at + end) {
            None => text.len(),
            Some(end) => {
                let label = end + END.len();
                text[label..].find("-----").map_or(text.len(), |dashes| label + dashes + 5)
            }
        };
        found.add(Kind::PrivateKey, begin..end);
        if found.spans.len() >= super::MOST {
            return;
        }
        at = end;
    }
}

fn is_secretive(value: &str) -> bool {
    let value = value.trim_end_matches(['.', ',', ';', '!', '?', ')']);
    let inner = value.chars().skip(1);
    value.len() >= 4
        && !value.contains("://")
        && inner.clone().any(|letter| !letter.is_alphabetic() || letter.is_uppercase())
        && value.chars().any(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_patterns_compile() {
        assert!(super::FORMS.is_some() && super::PASSWORDS.is_some());
    }
}
