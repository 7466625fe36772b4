//! Service discovery (XEP-0030), server contact information (XEP-0157), and capabilities of the server (XEP-0115).

use async_trait::async_trait;
use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request};
use crate::xml::{With, el, text};

/// Says what the server and its accounts can do.
pub struct Disco {
    host: Vec<&'static str>,
    account: Vec<&'static str>,
    contact: Vec<(&'static str, Vec<String>)>,
}

/// Features that no IQ handler brings.
const HOST: [&str; 4] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    // Offline messages (XEP-0160) are kept.
    "msgoffline",
    "urn:xmpp:sid:0",
];
const ACCOUNT: [&str; 4] = [ns::DISCO_INFO, ns::DISCO_ITEMS, "urn:xmpp:sid:0", "msgoffline"];

impl Disco {
    /// Reads the features off the handlers. `contact` has fields of XEP-0157, such as `abuse-addresses`.
    pub fn new(handlers: &[std::sync::Arc<dyn Handler>], contact: Vec<(&'static str, Vec<String>)>) -> Self {
        let gather = |place, fixed: &[&'static str]| {
            let served = handlers.iter().flat_map(|handler| handler.features(place));
            let mut features: Vec<_> = fixed.iter().copied().chain(served).collect();
            features.sort_unstable();
            features.dedup();
            features
        };
        Self { host: gather(Place::Host, &HOST), account: gather(Place::Own, &ACCOUNT), contact }
    }

    fn info(&self, request: &Request<'_>) -> Answer {
        let (category, type_, features) = match request.place {
            Place::Host => ("server", "im", &self.host),
            Place::Own => ("account", "registered", &self.account),
            // RFC 6121 §8.5: only who may see an account's presence learns that it is there.
            Place::Other if request.user.roster(|roster| roster.state(&request.session.user.jid).from) => {
                ("account", "registered", &self.account)
            }
            Place::Other => return Err(StanzaCondition::ServiceUnavailable.into()),
        };
        if request.payload.attr("node").is_some_and(|node| !node.is_empty()) {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node."));
        }
        let identity = el("identity", ns::DISCO_INFO)
            .with("category", category)
            .with("type", type_)
            .with("name", "Chancery");
        let mut query = el("query", ns::DISCO_INFO)
            .append(identity.build())
            .append_all(features.iter().map(|var| el("feature", ns::DISCO_INFO).with("var", *var).build()));
        if request.place == Place::Host && !self.contact.is_empty() {
            query = query.append(self.contact_form());
        }
        Ok(Some(query.build()))
    }

    /// XEP-0157 §2.
    fn contact_form(&self) -> Element {
        let field = |var: &str, type_: Option<&str>, values: &[String]| {
            el("field", ns::DATA_FORMS)
                .with("var", var)
                .with("type", type_)
                .append_all(values.iter().map(|value| text("value", ns::DATA_FORMS, value)))
                .build()
        };
        el("x", ns::DATA_FORMS)
            .with("type", "result")
            .append(field("FORM_TYPE", Some("hidden"), &["http://jabber.org/network/serverinfo".to_owned()]))
            .append_all(self.contact.iter().map(|(var, values)| field(var, Some("list-multi"), values)))
            .build()
    }
}

#[async_trait]
impl Handler for Disco {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[
            ("query", ns::DISCO_INFO, &[Place::Host, Place::Own, Place::Other]),
            ("query", ns::DISCO_ITEMS, &[Place::Host, Place::Own, Place::Other]),
        ]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if request.set {
            return Err(StanzaCondition::BadRequest.into());
        }
        if request.payload.has_ns(ns::DISCO_INFO) {
            return self.info(&request);
        }
        let node = request.payload.attr("node");
        Ok(Some(el("query", ns::DISCO_ITEMS).with("node", node).build()))
    }
}
