//! The archive as operators see it: is it whole, and who signed it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use archive::{Anchor, AnchorError, Checkpoint, Report, Sequence};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vault::{Store, Vault};

use super::{Fault, FaultKind, Progress};

/// Checks all of it, with the server's own key or the one that is given.
pub(super) async fn verify(
    vault: &Vault,
    public_key: Option<String>,
    anchors: Option<&Path>,
    progress: Progress,
) -> Result<Value, Fault> {
    let key = match public_key {
        Some(text) => parse_key(&text)?,
        None => archive::public_key(vault),
    };
    verify_store(&**vault.store(), &key, anchors, progress).await
}

/// Checks all of it without any secret, also that every checkpoint of a file of anchors is there.
///
/// # Errors
/// When the storage cannot be read. That the archive is not whole is no error but what `intact` says.
pub async fn verify_store(
    store: &dyn Store,
    key: &[u8; 32],
    anchors: Option<&Path>,
    progress: Progress,
) -> Result<Value, Fault> {
    let anchors = match anchors {
        None => Vec::new(),
        Some(path) => read_anchors(path)
            .map_err(|error| Fault::new(FaultKind::Invalid, format!("{}: {error}", path.display())))?,
    };
    let total = store.statistics().await.map_err(Fault::failed)?.events;
    let told = |Sequence(done): Sequence| progress(done, total.max(done));
    let report = archive::verify_against(store, key, &anchors, told).await;
    Ok(describe(&report.map_err(Fault::failed)?, key))
}

fn read_anchors(path: &Path) -> Result<Vec<Checkpoint>, AnchorError> {
    Anchor::read(BufReader::new(File::open(path)?))
}

/// In hexadecimal.
pub(super) fn public_key(vault: &Vault) -> String {
    hex(&archive::public_key(vault))
}

/// Reads a key as [`public_key`] writes it.
///
/// # Errors
/// When it is not 64 hexadecimal digits.
pub fn parse_key(text: &str) -> Result<[u8; 32], Fault> {
    let wrong = || Fault::new(FaultKind::Invalid, "a public key is 64 hexadecimal digits");
    let digits = text.trim().as_bytes();
    let mut key = [0; 32];
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    for (byte, pair) in key.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

fn describe(report: &Report, key: &[u8; 32]) -> Value {
    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    let head = report.head.map(|head| {
        let nanos = i128::from(head.time.0) * 1_000;
        let time =
            OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(|at| at.format(&Rfc3339).ok());
        json!({ "sequence": head.sequence.0, "time": time, "hash": hex(&head.hash) })
    });
    json!({
        "intact": report.is_whole(),
        "events": report.events,
        "checkpoints": report.checkpoints,
        "unsigned": report.unsigned,
        "head": head,
        "faults": faults,
        "public_key": hex(key),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_as_it_was_written() {
        let key: [u8; 32] = std::array::from_fn(|index| index as u8 * 7);
        assert_eq!(parse_key(&hex(&key)), Ok(key));
        for wrong in ["", "00", &"0g".repeat(32), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(parse_key(wrong).is_err(), "{wrong}");
        }
    }
}
