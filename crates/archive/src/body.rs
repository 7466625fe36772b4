//! What is inside an event's seal: a version, the book, the addresses, the stanza.

use std::borrow::Cow;

use bytes::Bytes;
use jid::Jid;
use vault::{Micros, Opened, SealedEvent, Sequence, Vault, VaultError};

use crate::history::Item;
use crate::{Draft, Ledger, Result};

const VERSION: u8 = 2;

/// Bytes that a draft takes inside the seal.
pub(crate) fn size(draft: &Draft) -> usize {
    6 + draft.from.as_str().len() + draft.to.as_str().len() + draft.stanza.len()
}

/// Appends a draft's content.
pub(crate) fn write(draft: &Draft, out: &mut Vec<u8>) {
    out.extend([VERSION, draft.ledger.code()]);
    for address in [&draft.from, &draft.to] {
        // An address has at most 3,071 bytes (RFC 7622 §3.1).
        out.extend_from_slice(&(address.as_str().len() as u16).to_le_bytes());
        out.extend_from_slice(address.as_str().as_bytes());
    }
    out.extend_from_slice(&draft.stanza);
}

/// Reads what [`write`] wrote.
pub(crate) fn parse(sequence: Sequence, time: Micros, plain: Bytes) -> Result<Item> {
    const DAMAGED: VaultError = VaultError::Corrupt { what: "an event does not parse" };
    let (version, rest) = plain.split_first().ok_or(DAMAGED)?;
    let (ledger, mut rest) = match *version {
        // The first form did not say.
        1 => (Ledger::Messages, rest),
        VERSION => {
            let (code, rest) = rest.split_first().ok_or(DAMAGED)?;
            (Ledger::of_code(*code).ok_or(DAMAGED)?, rest)
        }
        _ => return Err(DAMAGED.into()),
    };
    let mut address = || -> Option<Jid> {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (text, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
        rest = after;
        Jid::new(std::str::from_utf8(text).ok()?).ok()
    };
    let (from, to) = (address().ok_or(DAMAGED)?, address().ok_or(DAMAGED)?);
    let stanza = plain.slice_ref(rest);
    Ok(Item { sequence, time, ledger, from, to, stanza })
}

/// What is left of an event.
pub(crate) enum Sight {
    /// All of it.
    Whole(Item),
    /// Its body was dropped.
    Dropped,
    /// Its key was destroyed.
    Erased,
    /// Its key is gone without a note about that.
    Lost,
    /// It was tampered with, or is not of this archive.
    Foreign,
}

/// Opens events, each for itself.
pub(crate) async fn sight(vault: &Vault, events: &[SealedEvent]) -> Result<Vec<Sight>> {
    let opened = vault.open_events(events).await?;
    let sights = events.iter().zip(opened).map(|(event, opened)| match opened {
        Opened::Plain(plain) => {
            parse(event.sequence, event.time, plain.into()).map_or(Sight::Foreign, Sight::Whole)
        }
        Opened::Dropped => Sight::Dropped,
        Opened::Erased => Sight::Erased,
        Opened::Lost => Sight::Lost,
        Opened::Foreign => Sight::Foreign,
    });
    Ok(sights.collect())
}

/// Opens events. Those that are erased are left out. One that has been tampered with is left out and reported, so that it
/// does not take the rest of somebody's history with it.
pub(crate) async fn open_all(vault: &Vault, events: &[SealedEvent]) -> Result<Vec<Item>> {
    let mut items = Vec::with_capacity(events.len());
    for (event, sight) in events.iter().zip(sight(vault, events).await?) {
        match sight {
            Sight::Whole(item) => items.push(item),
            Sight::Dropped | Sight::Erased => {}
            Sight::Lost => {
                tracing::error!(sequence = %event.sequence, "the key of an event is gone; verify the archive");
            }
            Sight::Foreign => {
                tracing::error!(sequence = %event.sequence, "an event does not open; verify the archive")
            }
        }
    }
    Ok(items)
}

/// The addresses that the stanza shows its reader, which in a room are not the real ones; the real ones where it shows
/// none.
pub(crate) fn shown(item: &Item) -> (Cow<'_, Jid>, Cow<'_, Jid>) {
    // The head is as our own writer leaves it: single quotes, and no `>` but the one at its end.
    let head = item.stanza.split(|byte| *byte == b'>').next().unwrap_or_default();
    let head = std::str::from_utf8(head).unwrap_or_default();
    let address = |attribute: &str, real| {
        let written =
            head.split_once(attribute).and_then(|(_, rest)| rest.split_once('\'')).map(|(value, _)| value);
        // Nearly always the real one.
        match written
            .filter(|written| *written != Jid::as_str(real))
            .and_then(|written| Jid::new(&plain(written)).ok())
        {
            Some(shown) => Cow::Owned(shown),
            None => Cow::Borrowed(real),
        }
    };
    (address(" from='", &item.from), address(" to='", &item.to))
}

/// The text of an attribute.
fn plain(value: &str) -> Cow<'_, str> {
    if !value.contains('&') {
        return value.into();
    }
    let references = [("&lt;", "<"), ("&gt;", ">"), ("&apos;", "'"), ("&quot;", "\""), ("&amp;", "&")];
    references.iter().fold(value.to_owned(), |text, (reference, plain)| text.replace(reference, plain)).into()
}
