//! The master key and where it comes from.
//!
//! It lives beside the data folder, never inside, and reads as groups of letters that a person can copy onto paper:
//! Crockford's base 32 (no I, L, O, U) with a checksum.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 256 bits of key, 24 of checksum: 280 bits, 56 letters, 14 groups of four.
const CHECK: usize = 3;
const LETTERS: usize = 56;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is not a master key.
    #[error(
        "this is not a master key: expected 56 letters and digits in groups, as the first run printed them"
    )]
    Malformed,
    /// The text looks like a master key, but the checksum is wrong.
    #[error("the master key has a typing error: its checksum does not match")]
    Checksum,
    /// Others can read the key file.
    #[error("the key file may be read by others: run chmod 600 on it")]
    Permissions,
    /// The file could not be read or written.
    #[error("key file: {0}")]
    Io(#[from] std::io::Error),
    /// The command that should print the key failed.
    #[error("the key command failed ({0})")]
    Command(std::process::ExitStatus),
    /// The operating system gave no random bytes.
    #[error("the system's random source failed")]
    Random,
}

/// The key that wraps all others, 32 bytes. Wiped from memory when dropped; never printed by `Debug`.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new random key.
    ///
    /// # Errors
    /// [`KeyError::Random`].
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| KeyError::Random)?;
        Ok(Self(bytes))
    }

    /// A key from elsewhere, such as a key management service.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads the phrase that [`MasterKey::phrase`] wrote. Case, spaces and dashes do not matter, and the letters
    /// that people confuse (O and 0, I, L and 1) are taken for each other.
    ///
    /// # Errors
    /// [`KeyError::Malformed`] or [`KeyError::Checksum`].
    pub fn parse(phrase: &str) -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0u8; 32 + CHECK]);
        let (mut letters, mut bits, mut held) = (0, 0u32, 0u32);
        let mut at = 0;
        for letter in phrase.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'-') {
            let letter = match letter.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
            let value = ALPHABET.iter().position(|known| *known == letter).ok_or(KeyError::Malformed)?;
            letters += 1;
            if letters > LETTERS {
                return Err(KeyError::Malformed);
            }
            held = (held << 5) | value as u32;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes[at] = (held >> bits) as u8;
                held &= (1 << bits) - 1;
                at += 1;
            }
        }
        if letters != LETTERS {
            return Err(KeyError::Malformed);
        }
        let mut key = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes[..32]);
        if checksum(&key) != bytes[32..] {
            return Err(KeyError::Checksum);
        }
        Ok(Self(*key))
    }

    /// The key for people and files: 14 groups of four letters, checksum included.
    pub fn phrase(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0u8; 32 + CHECK]);
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&checksum(&self.0));
        let mut out = Zeroizing::new(String::with_capacity(LETTERS + 13));
        let (mut bits, mut held, mut letters) = (0u32, 0u32, 0);
        for byte in bytes.iter() {
            held = (held << 8) | u32::from(*byte);
            bits += 8;
            while bits >= 5 {
                bits -= 5;
                if letters > 0 && letters % 4 == 0 {
                    out.push('-');
                }
                out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
                held &= (1 << bits) - 1;
                letters += 1;
            }
        }
        out
    }

    /// Reads a key file: the phrase on one line.
    ///
    /// # Errors
    /// [`KeyError::Io`] with `NotFound` if there is none; [`KeyError::Permissions`] if group or others may read it;
    /// what [`MasterKey::parse`] says.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        let file = std::fs::File::open(path)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if file.metadata()?.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Permissions);
            }
        }
        let mut text = Zeroizing::new(String::new());
        file.take(4096).read_to_string(&mut text)?;
        Self::parse(&text)
    }

    /// Writes a new key file that only its owner can read, durably.
    ///
    /// # Errors
    /// [`KeyError::Io`] with `AlreadyExists` if there is a file: a key is never overwritten.
    pub fn create_file(&self, path: &Path) -> Result<(), KeyError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let mut file = options.open(path)?;
        file.write_all(self.phrase().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_parent(path)?;
        Ok(())
    }

    /// Runs an operator's command in the shell and takes its output, so that a key management service fits.
    ///
    /// # Errors
    /// [`KeyError::Command`] if it does not exit with 0; what [`MasterKey::parse`] says. The output is not shown.
    pub fn from_command(command: &str) -> Result<Self, KeyError> {
        let mut output = std::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()?;
        let text = Zeroizing::new(std::mem::take(&mut output.stdout));
        if !output.status.success() {
            return Err(KeyError::Command(output.status));
        }
        Self::parse(std::str::from_utf8(&text).map_err(|_| KeyError::Malformed)?)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Makes a new directory entry durable.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    std::fs::File::open(parent)?.sync_all()
}

fn checksum(key: &[u8; 32]) -> [u8; CHECK] {
    let mut hash = Sha256::new();
    hash.update(b"chancery master key");
    hash.update(key);
    let full = hash.finalize();
    [full[0], full[1], full[2]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_phrase_reads_back_however_it_is_typed(bytes: [u8; 32]) {
            let key = MasterKey::from_bytes(bytes);
            let phrase = key.phrase();
            prop_assert_eq!(&MasterKey::parse(&phrase).unwrap(), &key);
            let sloppy = phrase.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            prop_assert_eq!(&MasterKey::parse(&sloppy).unwrap(), &key);
        }
    }

    #[test]
    fn a_typing_error_is_noticed() {
        let phrase = MasterKey::from_bytes([42; 32]).phrase().to_string();
        for at in (0..phrase.len()).filter(|at| phrase.as_bytes()[*at] != b'-') {
            let other = if phrase.as_bytes()[at] == b'Z' { "Y" } else { "Z" };
            let mut wrong = phrase.clone();
            wrong.replace_range(at..=at, other);
            assert!(matches!(MasterKey::parse(&wrong), Err(KeyError::Checksum)), "letter {at}");
        }
        assert!(matches!(MasterKey::parse(&phrase[1..]), Err(KeyError::Malformed)));
        assert!(matches!(MasterKey::parse(&format!("{phrase}0")), Err(KeyError::Malformed)));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.key");
        let key = MasterKey::generate().unwrap();
        key.create_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(MasterKey::from_file(&path).unwrap(), key);
        assert!(matches!(key.create_file(&path), Err(KeyError::Io(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(MasterKey::from_file(&path), Err(KeyError::Permissions)));
    }

    #[cfg(unix)]
    #[test]
    fn a_command_may_print_the_key() {
        let key = MasterKey::from_bytes([3; 32]);
        let command = format!("echo {}", *key.phrase());
        assert_eq!(MasterKey::from_command(&command).unwrap(), key);
        assert!(matches!(MasterKey::from_command("exit 3"), Err(KeyError::Command(_))));
        assert!(!format!("{key:?}").contains(&*key.phrase()));
    }
}
