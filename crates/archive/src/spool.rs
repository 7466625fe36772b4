//! Offline messages (XEP-0160): which events a person has not been given yet.

use jid::BareJid;
use vault::{Expect, Sequence, Vault, Write};

use crate::Result;

/// The record kind of spooled places: parent is the person, key the place in twenty digits, the value empty.
const KIND: u16 = 0x4100;

/// The change that notes an undelivered message.
pub(crate) fn note(owner: &BareJid, sequence: Sequence) -> Write {
    Write::put_bytes(KIND, owner.as_str(), &key(sequence), Vec::new(), Expect::Any)
}

/// The change that takes the note away.
pub(crate) fn strike(owner: &BareJid, sequence: Sequence) -> Write {
    Write::delete_bytes(KIND, owner.as_str(), &key(sequence), Expect::Any)
}

/// A person's undelivered messages in order.
pub(crate) async fn list(vault: &Vault, owner: &BareJid) -> Result<Vec<Sequence>> {
    let all = vault.list_bytes(KIND, owner.as_str()).await?;
    Ok(all.iter().filter_map(|(key, ..)| key.parse().ok().map(Sequence)).collect())
}

fn key(sequence: Sequence) -> String {
    format!("{:020}", sequence.0)
}
