//! Who took part in a conversation: nobody reviews their own.

use std::collections::HashMap;

use jid::{BareJid, Jid};
use minidom::Element;
use vault::Vault;

use super::{ReviewError, ReviewItem};
use crate::{Ledger, Query, history};

/// The last comings and goings of somebody that tell whether they were in.
const LOOK_BACK: usize = 256;

/// Whether somebody sent an event, got it, or was in the room when it was said.
pub(super) async fn is_party(vault: &Vault, item: &ReviewItem, who: &BareJid) -> Result<bool, ReviewError> {
    if item.from.to_bare() == *who || item.to.to_bare() == *who {
        return Ok(true);
    }
    if !item.in_room {
        return Ok(false);
    }
    let query = Query {
        ledger: Ledger::Happenings,
        by: Some(who.clone()),
        end: Some(item.time),
        limit: LOOK_BACK,
        backwards: true,
        ..Query::default()
    };
    let page = history::history(vault, None, &item.to.to_bare(), &query).await?;
    // What each of their devices did last. Whoever's going is not on record counts as in.
    let mut devices: HashMap<Jid, bool> = HashMap::new();
    for happening in page.items {
        if happening.sequence > item.sequence {
            continue;
        }
        let root = std::str::from_utf8(&happening.stanza).ok().and_then(|xml| xml.parse::<Element>().ok());
        if let Some(presence) = root.filter(|root| root.name() == "presence") {
            devices.insert(happening.from, presence.attr("type") != Some("unavailable"));
        }
    }
    Ok(devices.into_values().any(|is_in| is_in))
}
