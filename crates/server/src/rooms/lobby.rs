//! The service itself, without any room: what it can do, and which rooms there are (XEP-0045 §6).

use std::sync::Arc;

use minidom::Element;
use stanza::{Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::discovery::info;
use super::search::{SEARCH, search};
use super::{Office, reader};
use crate::service::{Circular, Incoming};
use crate::sessions::new_id;
use crate::xml::text;

/// A name for a room that nobody has (XEP-0307).
pub const UNIQUE: &str = "http://jabber.org/protocol/muc#unique";

impl Office {
    /// Takes in what is for the domain.
    pub(super) async fn at_the_door(self: &Arc<Self>, incoming: Incoming) {
        let Some(reader) = reader(&incoming) else { return };
        let Incoming { stanza, errand, .. } = incoming;
        let reply = match self.reply(&stanza) {
            Ok(reply) => reply,
            Err(error) => error.reply_to(&stanza),
        };
        if let Some(reply) = reply {
            self.answer(Circular { errand, ..Circular::new(reply, [reader]) }).await;
        }
    }

    fn reply(&self, stanza: &Stanza) -> Result<Option<Stanza>, StanzaError> {
        match (stanza.kind, stanza.type_.as_deref()) {
            (Kind::Iq, Some("get" | "set")) => {}
            (Kind::Iq, _) | (Kind::Presence, _) => return Ok(None),
            (Kind::Message, _) => return Err(StanzaCondition::ServiceUnavailable.into()),
        }
        let payload = self.question(stanza)?;
        let reply = Stanza::result_of(stanza).with_payload(payload.as_ref());
        reply.map(Some).map_err(|_| StanzaCondition::InternalServerError.into())
    }

    fn question(&self, stanza: &Stanza) -> Result<Option<Element>, StanzaError> {
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        let query = stanza.payload_element(child);
        let node = query.attr("node").filter(|node| !node.is_empty());
        match (child.name(), child.ns()) {
            _ if stanza.to.as_ref().is_some_and(stanza::Jid::is_full) => {
                Err(StanzaCondition::ServiceUnavailable.into())
            }
            ("query", ns::DISCO_INFO | ns::DISCO_ITEMS) if node.is_some() => {
                Err(StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node."))
            }
            ("query", ns::DISCO_INFO) if stanza.is_type("get") => {
                let features = [
                    ns::DISCO_INFO,
                    ns::DISCO_ITEMS,
                    ns::MUC,
                    UNIQUE,
                    ns::OID,
                    ns::PING,
                    ns::RSM,
                    SEARCH,
                    ns::VERSION,
                ];
                Ok(Some(info(None, "Rooms", &features, None)))
            }
            ("query", ns::DISCO_ITEMS) if stanza.is_type("get") => self.catalogue.items(&query).map(Some),
            ("search", SEARCH) if stanza.is_type("get") => search(&self.catalogue, &query).map(Some),
            ("ping", ns::PING) if stanza.is_type("get") => Ok(None),
            ("query", ns::VERSION) if stanza.is_type("get") => Ok(Some(crate::iq::version::version())),
            ("unique", UNIQUE) if stanza.is_type("get") => {
                Ok(Some(text("unique", UNIQUE, new_id().to_lowercase())))
            }
            _ => Err(StanzaCondition::ServiceUnavailable.into()),
        }
    }
}
