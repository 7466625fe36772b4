//! vCards: `vcard-temp` (XEP-0054) and vCard4 over IQ (XEP-0292 §3), two views of one record.
//!
//! What a client stored is kept as it came; who asks for the other form gets a translation ([`super::vcard_forms`]),
//! so no field is lost by passing through a form that does not know it.

use async_trait::async_trait;
use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, StanzaCondition, StanzaError};
use vault::{Expect, Record, Vault, VaultError, Write};

use super::vcard_forms::{TEMP, VCARD4, temp_of, vcard4_of};
use super::{Answer, Foreign, Handler, Place, Request, bad_request};
use crate::directory::Profile;
use crate::post::disk_error;
use crate::pubsub::PubSub;
use crate::users::Users;
use crate::xml::{el, text};

/// One account's vCard, as stored. Parent: none; key: the bare JID.
#[derive(Serialize, Deserialize)]
pub struct VCard {
    /// In either form; its namespace says which.
    xml: String,
}

impl Record for VCard {
    const KIND: u16 = crate::kinds::VCARD;
}

/// The size of a vCard in bytes, picture included.
const MAX_BYTES: usize = 256 << 10;

/// Serves both kinds of vCards. Colleagues may read each other's.
pub struct VCardDesk {
    /// Where they are kept.
    pub vault: Vault,
    /// Knows names, for people without a vCard.
    pub users: Users,
    /// Publishes pictures.
    pub pubsub: PubSub,
}

impl VCard {
    /// The picture in an account's card: its type, and its bytes in base64.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn photo(vault: &Vault, jid: &BareJid) -> Result<Option<(String, String)>, VaultError> {
        let stored = vault.get::<Self>("", jid.as_str()).await?;
        let card = stored.and_then(|stored| stored.value.xml.parse::<Element>().ok());
        let temp = card.map(|card| if card.has_ns(TEMP) { card } else { temp_of(&card) });
        let part = |photo: &Element, name: &str| photo.get_child(name, TEMP).map(Element::text);
        Ok(temp.as_ref().and_then(|card| card.get_child("PHOTO", TEMP)).and_then(|photo| {
            let data: String = part(photo, "BINVAL")?.split_whitespace().collect();
            let type_ = part(photo, "TYPE").unwrap_or_else(|| "image/jpeg".to_owned());
            (!data.is_empty()).then_some((type_, data))
        }))
    }

    /// An account's card in the form of RFC 6351, without its picture.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn without_photo(vault: &Vault, jid: &BareJid) -> Result<Element, VaultError> {
        let stored = vault.get::<Self>("", jid.as_str()).await?;
        let card = stored.and_then(|stored| stored.value.xml.parse::<Element>().ok());
        let card = card.map(|card| if card.has_ns(TEMP) { vcard4_of(&card) } else { card });
        let facts = card.iter().flat_map(Element::children).filter(|child| child.name() != "photo").cloned();
        Ok(el("vcard", VCARD4).append_all(facts).build())
    }

    /// Puts another card in the form of RFC 6351 in the place of an account's. One that has no picture keeps the one
    /// that is there.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn replaced(vault: &Vault, jid: &BareJid, card: &Element) -> Result<Write, VaultError> {
        let mut card = card.clone();
        if card.get_child("photo", VCARD4).is_none()
            && let Some((type_, data)) = Self::photo(vault, jid).await?
        {
            let uri = format!("data:{type_};base64,{data}");
            card.append_child(el("photo", VCARD4).append(text("uri", VCARD4, uri)).build());
        }
        Write::put("", jid.as_str(), &Self { xml: String::from(&card) }, Expect::Any)
    }

    /// Puts another picture, or none, into an account's card.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn with_photo(
        vault: &Vault,
        jid: &BareJid,
        photo: Option<(&str, &str)>,
    ) -> Result<Write, VaultError> {
        let stored = vault.get::<Self>("", jid.as_str()).await?;
        let card = stored.and_then(|stored| stored.value.xml.parse::<Element>().ok());
        let card = card.unwrap_or_else(|| Element::bare("vCard", TEMP));
        let (name, ns) = (card.name(), card.ns());
        let others = card.children().filter(|child| !child.name().eq_ignore_ascii_case("photo")).cloned();
        let photo = photo.map(|(type_, data)| match ns == TEMP {
            true => {
                let photo = el("PHOTO", TEMP).append(text("TYPE", TEMP, type_));
                photo.append(text("BINVAL", TEMP, data)).build()
            }
            false => {
                let uri = format!("data:{type_};base64,{data}");
                el("photo", VCARD4).append(text("uri", VCARD4, uri)).build()
            }
        });
        let card = el(name, &ns).append_all(others).append_all(photo).build();
        Write::put("", jid.as_str(), &Self { xml: String::from(&card) }, Expect::Any)
    }
}

#[async_trait]
impl Handler for VCardDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("vCard", TEMP, &[Place::Own, Place::Other]), ("vcard", VCARD4, &[Place::Own, Place::Other])]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        // Clients look for `vcard-temp` at the domain.
        match place {
            Place::Host => vec![TEMP],
            Place::Own => vec![TEMP, VCARD4],
            Place::Other => Vec::new(),
        }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if request.set {
            return self.set(&request).await;
        }
        match self.read(&request.user.jid, request.payload.has_ns(TEMP)).await? {
            Some(found) => Ok(Some(found)),
            None if request.place == Place::Own => {
                Ok(Some(Element::bare(request.payload.name(), request.payload.ns())))
            }
            None => Err(nothing()),
        }
    }

    async fn handle_foreign(&self, request: Foreign<'_>) -> Answer {
        // A name and a telephone number are for those whom the person lets see them.
        let user = request.user.filter(|_| request.may_see() && !request.set);
        let user = user.ok_or(StanzaCondition::Forbidden)?;
        self.read(&user.jid, request.payload.has_ns(TEMP)).await?.ok_or_else(nothing).map(Some)
    }
}

fn nothing() -> StanzaError {
    StanzaError::new(StanzaCondition::ItemNotFound, "There is no vCard.")
}

impl VCardDesk {
    async fn set(&self, request: &Request<'_>) -> Answer {
        if request.place != Place::Own {
            return Err(StanzaCondition::Forbidden.into());
        }
        let xml = String::from(&request.payload);
        if xml.len() > MAX_BYTES {
            let words = format!("A vCard has {MAX_BYTES} bytes at most; use a smaller picture.");
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, words));
        }
        if request.payload.children().next().is_none() && !request.payload.text().trim().is_empty() {
            return Err(bad_request("A vCard has elements."));
        }
        let write = Write::put("", request.user.jid.as_str(), &VCard { xml }, Expect::Any);
        let write = write.map_err(|error| disk_error(&error))?;
        self.vault.apply(vec![write]).await.map_err(|error| disk_error(&error))?;
        self.pubsub.card_changed(&request.user.jid).await;
        Ok(None)
    }

    /// The card of an account in the form that is wanted, if there is one.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn read(&self, jid: &BareJid, temp: bool) -> Result<Option<Element>, StanzaError> {
        let found = match self.stored(jid).await? {
            // A card that has nothing but a picture was made for that.
            Some(mut found) if found.has_ns(TEMP) && found.get_child("FN", TEMP).is_none() => {
                let facts = self.made_up(jid).await?;
                for fact in facts.iter().flat_map(Element::children) {
                    if found.get_child(fact.name(), TEMP).is_none() {
                        found.append_child(fact.clone());
                    }
                }
                Some(found)
            }
            Some(found) => Some(found),
            None => self.made_up(jid).await?,
        };
        Ok(found.map(|found| match (temp, found.has_ns(TEMP)) {
            (true, true) | (false, false) => found,
            (true, false) => temp_of(&found),
            (false, true) => vcard4_of(&found),
        }))
    }

    async fn stored(&self, jid: &BareJid) -> Result<Option<Element>, StanzaError> {
        let stored = self.vault.get::<VCard>("", jid.as_str()).await;
        let stored = stored.map_err(|error| disk_error(&error))?;
        Ok(stored.and_then(|stored| stored.value.xml.parse().ok()))
    }

    /// Who has no vCard may still be known to the company.
    async fn made_up(&self, jid: &BareJid) -> Result<Option<Element>, StanzaError> {
        let profile = Profile::find(&self.vault, jid).await.map_err(|error| disk_error(&error))?;
        let account = self.users.find(jid).await.ok().flatten();
        let name = profile.name.or_else(|| account?.name.clone());
        let mut facts = Vec::new();
        facts.extend(name.map(|name| text("FN", TEMP, name)));
        facts.extend(profile.title.map(|title| text("TITLE", TEMP, title)));
        let part =
            |name: &str, part: &str, value: String| el(name, TEMP).append(text(part, TEMP, value)).build();
        facts.extend(profile.email.map(|email| part("EMAIL", "USERID", email)));
        facts.extend(profile.phone.map(|phone| part("TEL", "NUMBER", phone)));
        Ok((!facts.is_empty()).then(|| el("vCard", TEMP).append_all(facts).build()))
    }
}
