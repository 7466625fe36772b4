//! Binding a resource: RFC 6120 §7 and XEP-0386.

use minidom::Element;
use stanza::{Kind, ResourcePart, Stanza, StanzaCondition, StanzaError, StreamCondition};
use xmpp_parsers::ns;

use super::channel::End;
use super::features::{BIND2, CSI, SASL2, SM};
use super::{Bound, Negotiation};
use crate::connection::enabled;
use crate::invitations::PREAUTH;
use crate::session::Mark;
use crate::sessions::new_id;
use crate::xml::{el, text};

impl Negotiation<'_> {
    /// Before a resource is bound the only stanzas with a meaning are the request to bind and, before sign-in,
    /// in-band registration.
    pub(super) async fn stanza(&mut self, mut stanza: Stanza) -> Result<Option<Bound>, End> {
        let Some(guest) = &self.guest else {
            let registers = stanza.has("query", ns::REGISTER) || stanza.has("preauth", PREAUTH);
            if stanza.kind == Kind::Iq && registers && !self.offer.mechanisms().is_empty() {
                let registration = self.gate.registration.clone();
                let peer = self.channel.peer.ip();
                let reply = registration.answer(&stanza, &self.domain, peer, &mut self.token).await;
                self.send_stanza(reply).await?;
                return Ok(None);
            }
            return Err(StreamCondition::NotAuthorized.into());
        };
        let user = guest.user.clone();
        let Some(bind) = stanza.payload("bind", ns::BIND).filter(|_| stanza.kind == Kind::Iq) else {
            if stanza.kind == Kind::Iq && stanza.has("session", "urn:ietf:params:xml:ns:xmpp-session") {
                self.send_stanza(Some(result(&stanza, None))).await?;
                return Ok(None);
            }
            return Err(StreamCondition::NotAuthorized.into());
        };
        stanza.to = None;
        if !stanza.is_type("set") {
            self.send_stanza(StanzaError::from(StanzaCondition::BadRequest).reply_to(&stanza)).await?;
            return Ok(None);
        }
        let wanted = bind.get_child("resource", ns::BIND).map(Element::text).filter(|text| !text.is_empty());
        let resource = match wanted.as_deref().map(ResourcePart::new) {
            None => random_resource(),
            Some(Ok(resource)) => Some(resource.into_owned()),
            Some(Err(_)) => {
                self.send_stanza(StanzaError::from(StanzaCondition::BadRequest).reply_to(&stanza)).await?;
                return Ok(None);
            }
        };
        let resource = resource.ok_or(End::from(StreamCondition::InternalServerError))?;
        let (session, lease) = self.gate.clerk.sessions.bind(&user, &resource).await;
        let jid = el("bind", ns::BIND).append(text("jid", ns::BIND, session.jid.to_string())).build();
        self.send_stanza(Some(result(&stanza, Some(&jid)))).await?;
        Ok(Some((session, lease)))
    }

    async fn send_stanza(&mut self, stanza: Option<Stanza>) -> Result<(), End> {
        let Some(stanza) = stanza else { return Ok(()) };
        let mut bytes = Vec::new();
        // Over WebSocket, the wire says the namespace.
        stanza.write(&mut bytes, None);
        self.channel.send_bytes(bytes).await
    }

    /// `<bind/>` inside `<authenticate/>`: a resource from the client's tag and its installation's id, so that a client
    /// that comes back replaces its own dead session and no other.
    pub(super) async fn bind2(
        &mut self,
        bind: &Element,
        authenticate: &Element,
    ) -> Result<(Element, Bound), End> {
        let user = match &self.guest {
            Some(guest) => guest.user.clone(),
            None => return Err(StreamCondition::NotAuthorized.into()),
        };
        let agent = authenticate.get_child("user-agent", SASL2).and_then(|agent| agent.attr("id"));
        let suffix: Box<str> = match agent {
            Some(id) => {
                use sha2::{Digest, Sha256};
                let digest = Sha256::digest(id.as_bytes());
                digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>().into()
            }
            None => new_id(),
        };
        let tag = bind.get_child("tag", BIND2).map(Element::text).unwrap_or_default();
        let tag = if tag.is_empty() { "client".to_owned() } else { tag };
        let resource = ResourcePart::new(&format!("{tag}.{suffix}")).map(|part| part.into_owned()).ok();
        let resource =
            resource.or_else(random_resource).ok_or(End::from(StreamCondition::InternalServerError))?;
        let (session, lease) = self.gate.clerk.sessions.bind(&user, &resource).await;
        let mut bound = el("bound", BIND2);
        if let Some(enable) = bind.get_child("enable", SM) {
            bound = bound.append(enabled(&self.gate.clerk.sessions, &session, enable));
        }
        if bind.has_child("enable", crate::carbons::CARBONS) {
            session.mark(Mark::Carbons, true);
        }
        if bind.has_child("inactive", CSI) {
            session.outbox.set_inactive(true);
        }
        // What has happened up to here is history, what comes later comes live (XEP-0386 §4.1, XEP-0313).
        if let Some(metadata) = crate::history::metadata(&self.gate.trail, &user.jid, None).await {
            bound = bound.append(metadata);
        }
        Ok((bound.build(), (session, lease)))
    }
}

fn random_resource() -> Option<ResourcePart> {
    ResourcePart::new(&new_id()).ok().map(|part| part.into_owned())
}

fn result(request: &Stanza, payload: Option<&Element>) -> Stanza {
    let reply = Stanza::result_of(request);
    reply.clone().with_payload(payload).unwrap_or(reply)
}
