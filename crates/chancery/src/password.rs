//! Secrets that people type. Never from the command line: other processes can read that.

use std::io::{BufRead, IsTerminal};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Crockford's letters, lower case: none looks like another.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A new password, from standard input or typed twice.
pub(crate) fn new_password(from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    if from_stdin {
        return first_line();
    }
    must_be_typed("--password-stdin")?;
    let first = Zeroizing::new(rpassword::prompt_password("Password: ").map_err(unread)?);
    let again = Zeroizing::new(rpassword::prompt_password("Again: ").map_err(unread)?);
    if first != again {
        return Err(Failure::refused("the two passwords differ"));
    }
    Ok(first)
}

/// Somebody's password, and their second factor where standard input has one more line.
pub(crate) fn sign_in(
    name: &str,
    from_stdin: bool,
) -> Result<(Zeroizing<String>, Option<Zeroizing<String>>), Failure> {
    if from_stdin {
        let password = first_line()?;
        return Ok((password, first_line().ok()));
    }
    must_be_typed("--password-stdin")?;
    let password = rpassword::prompt_password(format!("Password of {name}: ")).map_err(unread)?;
    Ok((Zeroizing::new(password), None))
}

/// A recovery phrase, from standard input or typed.
pub(crate) fn phrase(from_stdin: bool) -> Result<Zeroizing<String>, Failure> {
    if from_stdin {
        return first_line();
    }
    must_be_typed("--phrase-stdin")?;
    rpassword::prompt_password("Recovery phrase: ").map(Zeroizing::new).map_err(unread)
}

/// A password of 100 bits that a person can copy.
pub(crate) fn generate() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0u8; 20]);
    getrandom::fill(&mut *bytes).map_err(|_| Failure::refused("the system's random source failed"))?;
    let mut password = Zeroizing::new(String::with_capacity(24));
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    Ok(password)
}

fn must_be_typed(flag: &str) -> Result<(), Failure> {
    match std::io::stdin().is_terminal() {
        true => Ok(()),
        false => {
            Err(Failure::Usage(format!("there is nobody to ask; give it on standard input with {flag}")))
        }
    }
}

fn first_line() -> Result<Zeroizing<String>, Failure> {
    let mut line = Zeroizing::new(String::new());
    std::io::stdin().lock().read_line(&mut line).map_err(unread)?;
    let kept = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(kept);
    match line.is_empty() {
        true => Err(Failure::Usage("standard input is empty".into())),
        false => Ok(line),
    }
}

fn unread(error: std::io::Error) -> Failure {
    Failure::refused(format!("cannot read it: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_passwords_are_long_and_differ() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_eq!(one.len(), 24);
        assert_ne!(one, other);
    }
}
