//! A room's card and picture (XEP-0486): a `vcard-temp` that owners set and everybody reads.

use archive::Ledger;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};
use stanza::{Kind, Stanza, StanzaCondition, StanzaError};
use vault::{Expect, Write};
use xmpp_parsers::ns;

use super::effect::{Failure, Out, event};
use super::iq::result;
use super::owner::CHANGED;
use super::record::RoomCard;
use super::room::{Room, Visitor};
use crate::post::disk_error;
use crate::service::Sheet;
use crate::xml::{el, text};

/// The size of a card in bytes, picture included.
const MOST: usize = 256 << 10;
/// What presence says of a picture (XEP-0153).
const UPDATE: &str = "vcard-temp:x:update";

impl Room {
    pub(super) fn set_card(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        card: &Element,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        self.must_own(who)?;
        if !self.is_stored() {
            let words = "Only a room that stays has a picture; make it persistent first.";
            return Err(StanzaError::new(StanzaCondition::NotAllowed, words));
        }
        let xml = String::from(card);
        if xml.len() > MOST {
            let words = format!("A card has {MOST} bytes at most; use a smaller picture.");
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, words));
        }
        let hash = hash(card)?;
        let before = self.before();
        self.durable.avatar = hash;
        let mut writes = self.writes(&before)?;
        let write = Write::put(self.jid.as_str(), "", &RoomCard { xml }, Expect::Any);
        writes.push(write.map_err(|error| disk_error(&error))?);
        let sheets = vec![
            Sheet::new(self.notice(&[CHANGED])?, self.occupants.everyone()),
            Sheet::new(self.face(), self.occupants.everyone()),
            Sheet::new(result(stanza, None)?, [who.reader.clone()]),
        ];
        let event = event(&self.jid, who.jid.clone(), stanza, Ledger::Happenings, writes);
        out.happen(sheets, event, Failure { before: Some(before), ..Failure::told(stanza, &who.reader) });
        Ok(())
    }

    /// The room's own presence, which says which picture it has.
    pub(super) fn face(&self) -> Stanza {
        let photo = text("photo", UPDATE, self.durable.avatar.clone().unwrap_or_default());
        let update = el("x", UPDATE).append(photo).build();
        let bare = Stanza::new(Kind::Presence).sent_by(self.jid.clone());
        bare.clone().with_payload([&update]).unwrap_or(bare)
    }
}

/// The name of the picture in a card, if there is one: the hash of its bytes (XEP-0153 §4.1).
fn hash(card: &Element) -> Result<Option<String>, StanzaError> {
    let data = card.get_child("PHOTO", ns::VCARD).and_then(|photo| photo.get_child("BINVAL", ns::VCARD));
    let Some(data) = data else { return Ok(None) };
    let data: String = data.text().split_whitespace().collect();
    let wrong = |_| StanzaError::new(StanzaCondition::BadRequest, "The picture is not written in base64.");
    let bytes = STANDARD.decode(data).map_err(wrong)?;
    Ok(Some(Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()))
}
