//! Questions to a room and to its occupants.

use minidom::Element;
use stanza::{Jid, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::effect::Out;
use super::retract::Target;
use super::room::{Room, Visitor};
use crate::fates::MODERATE;

/// What a room says of those who are in.
pub const USER: &str = ns::MUC_USER;
/// What an admin does (XEP-0045 §9).
pub const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// What an owner does (XEP-0045 §10).
pub const OWNER: &str = "http://jabber.org/protocol/muc#owner";

impl Room {
    pub(super) fn iq(
        &mut self,
        who: &Visitor,
        stanza: &Stanza,
        target: Option<&Target>,
        out: &mut Out,
    ) -> Result<(), StanzaError> {
        let nick = stanza.to.as_ref().and_then(Jid::resource).map(|nick| nick.as_str());
        let set = match stanza.type_.as_deref() {
            Some("get") => false,
            Some("set") => true,
            _ => {
                if nick.is_some() {
                    self.tell(who, stanza, out);
                }
                return Ok(());
            }
        };
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        if let Some(nick) = nick {
            return self.ask(who, nick, stanza, out);
        }
        let query = stanza.payload_element(child);
        let answer = match (child.name(), child.ns(), set) {
            ("query", ns::DISCO_INFO, false) => self.info(who, &query)?,
            ("query", ns::DISCO_ITEMS, false) => self.items(who, &query)?,
            ("ping", ns::PING, false) => {
                self.occupant(who)?;
                None
            }
            ("query", ADMIN, false) => Some(self.list(who, &query)?),
            ("query", ADMIN, true) => return self.administer(who, stanza, &query, out),
            ("query", OWNER, false) => Some(self.configuration(who)?),
            ("query", OWNER, true) => return self.own(who, stanza, &query, out),
            ("moderate", MODERATE, true) => return self.moderate(who, stanza, target, out),
            ("vCard", ns::VCARD, true) => return self.set_card(who, stanza, &query, out),
            ("query", ns::REGISTER, false) => Some(self.registration(who)?),
            ("query", ns::REGISTER, true) => return self.register(who, stanza, &query, out),
            _ => return Err(StanzaCondition::ServiceUnavailable.into()),
        };
        out.answer(result(stanza, answer.as_ref())?, &who.reader);
        Ok(())
    }
}

/// The answer to a question.
pub fn result(stanza: &Stanza, payload: Option<&Element>) -> Result<Stanza, StanzaError> {
    let reply = Stanza::result_of(stanza).with_payload(payload);
    reply.map_err(|_| StanzaCondition::InternalServerError.into())
}
