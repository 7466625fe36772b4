//! The door at a domain of its own, for programs.

use async_trait::async_trait;
use stanza::{BareJid, Kind, Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::config::fields;
use super::desk::public_features;
use super::notify::AUTHORIZATION;
use super::{Ask, Look, PubSub};
use crate::router::Router;
use crate::service::{Incoming, Service};
use crate::session::Errand;
use crate::xml::{With, el};

/// XEP-0060 at `pubsub.DOMAIN`. Whoever has an account here may make nodes; a node belongs to whoever made it.
pub struct PublicNodes {
    /// Where it is.
    pub domain: BareJid,
    /// Does the work.
    pub pubsub: PubSub,
    /// Sends refusals.
    pub router: Router,
}

const IDENTITY: (&str, &str, &str) = ("pubsub", "service", "Publish-Subscribe");

#[async_trait]
impl Service for PublicNodes {
    fn identity(&self) -> (&'static str, &'static str, &'static str) {
        IDENTITY
    }

    async fn receive(&self, incoming: Incoming) {
        let Incoming { stanza, sender, errand } = incoming;
        match stanza.kind {
            Kind::Presence => return,
            Kind::Iq if matches!(stanza.type_.as_deref(), Some("get" | "set")) => {}
            Kind::Iq => return,
            Kind::Message => return self.message(stanza, errand).await,
        }
        let (Some(from), Some(child)) = (stanza.from.clone(), stanza.children().first()) else {
            return self.router.bounce(&stanza, StanzaCondition::BadRequest.into());
        };
        if stanza.to.as_ref().is_some_and(|to| *to != self.domain) {
            return self.router.bounce(&stanza, StanzaCondition::ItemNotFound.into());
        }
        let payload = stanza.payload_element(child);
        if child.name() == "pubsub" && matches!(child.ns(), ns::PUBSUB | ns::PUBSUB_OWNER) {
            let owner = self.domain.clone();
            let ask = Ask { owner, from, stanza, payload, session: sender, errand };
            return self.pubsub.ask(ask).await;
        }
        let answer = match (child.name(), child.ns(), stanza.is_type("get")) {
            ("query", ns::DISCO_INFO, true) => self.look(&payload, from, true).await,
            ("query", ns::DISCO_ITEMS, true) => self.look(&payload, from, false).await,
            ("ping", ns::PING, true) => Ok(None),
            _ => Err(StanzaCondition::ServiceUnavailable.into()),
        };
        let reply = answer.and_then(|answer| {
            let reply = Stanza::result_of(&stanza).with_payload(answer.as_ref());
            reply.map_err(|_| StanzaCondition::InternalServerError.into())
        });
        match reply {
            Ok(reply) => self.router.reply(&reply),
            Err(error) => self.router.bounce(&stanza, error),
        }
    }
}

impl PublicNodes {
    /// XEP-0060 §8.6.2: an owner has filled in the form that asks whether somebody may subscribe.
    async fn message(&self, stanza: Stanza, errand: Option<Errand>) {
        let approval = stanza.payload("x", ns::DATA_FORMS).and_then(|form| approval(&form));
        let (Some(payload), Some(from)) = (approval, stanza.from.clone()) else {
            return self.router.bounce(&stanza, StanzaCondition::ServiceUnavailable.into());
        };
        let owner = self.domain.clone();
        self.pubsub.ask(Ask { owner, from, stanza, payload, session: None, errand }).await;
    }

    async fn look(
        &self,
        query: &minidom::Element,
        from: stanza::Jid,
        info: bool,
    ) -> Result<Option<minidom::Element>, StanzaError> {
        let node = query.attr("node").filter(|node| !node.is_empty()).map(str::to_owned);
        let content = if node.is_none() && info {
            let (category, type_, name) = IDENTITY;
            let identity = el("identity", ns::DISCO_INFO)
                .with("category", category)
                .with("type", type_)
                .with("name", name)
                .build();
            let features = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING].into_iter().chain(public_features());
            let feature = |var: &str| el("feature", ns::DISCO_INFO).with("var", var).build();
            std::iter::once(identity).chain(features.map(feature)).collect()
        } else {
            let look = Look { owner: self.domain.clone(), from, node: node.clone(), info };
            self.pubsub.look(look).await?
        };
        Ok(Some(el("query", &query.ns()).with("node", node).append_all(content).build()))
    }
}

/// What the form asks for, as the request that does the same.
fn approval(form: &minidom::Element) -> Option<minidom::Element> {
    let fields = fields(form, AUTHORIZATION).ok().filter(|_| form.attr("type") == Some("submit"))?;
    let value = |name: &str| {
        let (_, values) = fields.iter().find(|(var, _)| var == name)?;
        values.first().map(String::as_str)
    };
    let state = match value("pubsub#allow") {
        Some("1" | "true") => "subscribed",
        _ => "none",
    };
    let subscription = el("subscription", ns::PUBSUB_OWNER)
        .with("jid", value("pubsub#subscriber_jid")?)
        .with("subscription", state)
        .build();
    let node = value("pubsub#node")?;
    let list = el("subscriptions", ns::PUBSUB_OWNER).with("node", node).append(subscription).build();
    Some(el("pubsub", ns::PUBSUB_OWNER).append(list).build())
}
