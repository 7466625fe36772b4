//! Service discovery (XEP-0030), server contact information (XEP-0157), and capabilities of the server (XEP-0115).

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::caps::{compute_disco, hash_caps};
use xmpp_parsers::disco::DiscoInfoResult;
use xmpp_parsers::hashes::Algo;
use xmpp_parsers::ns;

use super::adhoc::{self, AdHoc};
use super::{Answer, Foreign, Handler, Place, Request};
use crate::component::Component;
use crate::config::{Contact, EncryptedMessages};
use crate::pubsub::{Look, PubSub};
use crate::router::Router;
use crate::service::Service;
use crate::xml::{With, el};

/// Says what the server and its accounts can do.
pub struct Disco {
    /// What is in the answer for a domain.
    host: Vec<Element>,
    /// What is in the answer for an account.
    account: Vec<Element>,
    /// The node that names `host` by its hash (XEP-0115 §6).
    node: String,
    capabilities: Element,
    commands: Arc<AdHoc>,
    router: Router,
    pubsub: PubSub,
}

/// Features that no IQ handler brings.
const FIXED: [&str; 5] = [
    ns::DISCO_INFO,
    ns::DISCO_ITEMS,
    // Offline messages are kept (XEP-0160).
    "msgoffline",
    // Messages get ids that last (XEP-0359).
    "urn:xmpp:sid:0",
    // What has been taken back leaves a mark in the history (XEP-0424 §5).
    "urn:xmpp:message-retract:1#tombstone",
];

/// Names this software to those who look up its capabilities (XEP-0115 §4).
const SOFTWARE: &str = "urn:chancery:server";

/// The form that tells clients what they may send (`FORM_TYPE`).
const POLICY: &str = "urn:chancery:policy:0";

impl Disco {
    /// Reads the features off the handlers.
    pub fn new(
        handlers: &[Arc<dyn Handler>],
        contact: &Contact,
        encrypted: EncryptedMessages,
        commands: Arc<AdHoc>,
        router: Router,
        pubsub: PubSub,
    ) -> Self {
        let gather = |category: &str, type_: &str, place| {
            let served = handlers.iter().flat_map(|handler| handler.features(place));
            let mut features: Vec<_> = FIXED.into_iter().chain(served).collect();
            features.sort_unstable();
            features.dedup();
            let identity = el("identity", ns::DISCO_INFO)
                .with("category", category)
                .with("type", type_)
                .with("name", "Chancery")
                .build();
            let feature = |var: &str| el("feature", ns::DISCO_INFO).with("var", var).build();
            std::iter::once(identity).chain(features.into_iter().map(feature)).collect::<Vec<_>>()
        };
        let mut host = gather("server", "im", Place::Host);
        let mut account = gather("account", "registered", Place::Own);
        // XEP-0163 §6.1.
        account
            .insert(1, el("identity", ns::DISCO_INFO).with("category", "pubsub").with("type", "pep").build());
        let fields: Vec<_> = contact.fields().map(|(var, uris)| (var, uris.to_vec())).collect();
        if !fields.is_empty() {
            host.push(contact_form(fields));
        }
        if !contact.outage.is_empty() {
            host.push(outage_form(&contact.outage));
        }
        host.push(policy_form(encrypted));
        let ver = verification(&host);
        let capabilities =
            el("c", ns::CAPS).with("hash", "sha-1").with("node", SOFTWARE).with("ver", ver.as_str()).build();
        Self { host, account, node: format!("{SOFTWARE}#{ver}"), capabilities, commands, router, pubsub }
    }

    /// `<c/>`, as the stream features carry it (XEP-0115 §6.3).
    pub fn capabilities(&self) -> &Element {
        &self.capabilities
    }

    async fn info(&self, request: &Request<'_>) -> Answer {
        may_see(request)?;
        let node = request.payload.attr("node").filter(|node| !node.is_empty());
        let content = match (node, request.place) {
            (None, Place::Host) => self.host.clone(),
            (Some(node), Place::Host) if node == self.node => self.host.clone(),
            (None, _) => self.account.clone(),
            (Some(node), Place::Other) => self.look(request, Some(node), true).await?,
            (Some(node), _) => match self.commands.info(node, request.session).await? {
                Some(content) => content,
                None if request.place == Place::Own => self.look(request, Some(node), true).await?,
                None => return Err(no_such_node()),
            },
        };
        Ok(Some(el("query", ns::DISCO_INFO).with("node", node).append_all(content).build()))
    }

    async fn items(&self, request: &Request<'_>) -> Answer {
        may_see(request)?;
        let node = request.payload.attr("node").filter(|node| !node.is_empty());
        let items = match (node, request.place) {
            (None, Place::Host) => self.services(),
            (None, _) => self.look(request, None, false).await?,
            (Some(adhoc::COMMANDS), Place::Host | Place::Own) => {
                self.commands.items(request.to, request.session).await?
            }
            (Some(_), Place::Host) => return Err(no_such_node()),
            (Some(node), _) => self.look(request, Some(node), false).await?,
        };
        Ok(Some(el("query", ns::DISCO_ITEMS).with("node", node).append_all(items).build()))
    }
}

impl Disco {
    /// The nodes of an account (XEP-0060 §5).
    async fn look(
        &self,
        request: &Request<'_>,
        node: Option<&str>,
        info: bool,
    ) -> Result<Vec<Element>, StanzaError> {
        let (owner, from) = (request.user.jid.clone(), request.session.jid.clone().into());
        self.pubsub.look(Look { owner, from, node: node.map(str::to_owned), info }).await
    }

    /// What else answers here (XEP-0030 §4).
    fn services(&self) -> Vec<Element> {
        let item = |(domain, service): (String, Arc<dyn Service>)| {
            let (_, _, name) = service.identity();
            el("item", ns::DISCO_ITEMS).with("jid", domain).with("name", name).build()
        };
        let component = |component: Arc<Component>| {
            el("item", ns::DISCO_ITEMS).with("jid", component.domain.as_str()).build()
        };
        let components = self.router.components().into_iter().filter(|component| component.is_connected());
        self.router.services().into_iter().map(item).chain(components.map(component)).collect()
    }
}

/// RFC 6121 §8.5: only who may see an account's presence learns that it is there.
fn may_see(request: &Request<'_>) -> Result<(), StanzaError> {
    let sees = || request.user.roster(|roster| roster.state(&request.session.user.jid).from);
    match request.place {
        Place::Other if !sees() => Err(StanzaCondition::ServiceUnavailable.into()),
        _ => Ok(()),
    }
}

fn no_such_node() -> StanzaError {
    StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node.")
}

/// XEP-0157 §2.
fn contact_form(mut contact: Vec<(&'static str, Vec<String>)>) -> Element {
    // XEP-0115 hashes fields in this order.
    contact.sort_unstable();
    let fields = contact.into_iter().map(|(var, uris)| adhoc::values("list-multi", var, uris));
    adhoc::result("http://jabber.org/network/serverinfo", fields.collect())
}

/// Where another machine says what is wrong (XEP-0455 §3).
fn outage_form(addresses: &[String]) -> Element {
    let addresses = addresses.iter().cloned();
    adhoc::result("urn:xmpp:sos:0", vec![adhoc::values("list-multi", "external-status-addresses", addresses)])
}

/// What clients need to know before they send: whether the archive takes what it cannot read.
fn policy_form(encrypted: EncryptedMessages) -> Element {
    let word = match encrypted {
        EncryptedMessages::Refuse => "refuse",
        EncryptedMessages::Allow => "allow",
    };
    adhoc::result(POLICY, vec![adhoc::values("text-single", "encrypted-messages", [word])])
}

/// The verification string (XEP-0115 §5.1).
fn verification(content: &[Element]) -> String {
    let query = el("query", ns::DISCO_INFO).append_all(content.iter().cloned()).build();
    let hash = DiscoInfoResult::try_from(query)
        .ok()
        .and_then(|info| hash_caps(&compute_disco(&info), Algo::Sha_1).ok());
    // What is hashed is of our own making, so there always is a hash; without one nobody would look it up.
    hash.map(|hash| STANDARD.encode(hash.hash)).unwrap_or_default()
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
        match request.payload.has_ns(ns::DISCO_INFO) {
            true => self.info(&request).await,
            false => self.items(&request).await,
        }
    }

    async fn handle_foreign(&self, request: Foreign<'_>) -> Answer {
        if request.set {
            return Err(StanzaCondition::BadRequest.into());
        }
        if !request.may_see() {
            return Err(StanzaCondition::ServiceUnavailable.into());
        }
        let node = request.payload.attr("node").filter(|node| !node.is_empty());
        let ns = request.payload.ns();
        let content = match (ns == ns::DISCO_INFO, request.user, node) {
            (true, None, None) => self.host.clone(),
            (true, None, Some(node)) if node == self.node => self.host.clone(),
            (true, Some(_), None) => self.account.clone(),
            (false, None, None) => self.services(),
            (false, Some(_), None) => Vec::new(),
            (_, _, Some(_)) => return Err(no_such_node()),
        };
        Ok(Some(el("query", &ns).with("node", node).append_all(content).build()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_standards_example_with_a_form() {
        let query: Element = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
            <identity xml:lang='el' category='client' name='Ψ 0.11' type='pc'/>\
            <feature var='http://jabber.org/protocol/caps'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/>\
            <feature var='http://jabber.org/protocol/muc'/>\
            <x xmlns='jabber:x:data' type='result'>\
            <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
            <field var='ip_version' type='text-multi'><value>ipv4</value><value>ipv6</value></field>\
            <field var='os'><value>Mac</value></field>\
            <field var='os_version'><value>10.5.1</value></field>\
            <field var='software'><value>Psi</value></field>\
            <field var='software_version'><value>0.11</value></field></x></query>"
            .parse()
            .unwrap();
        let content: Vec<_> = query.children().cloned().collect();
        assert_eq!(verification(&content), "q07IKJEyjvHSyhy//CH0CxmKi8w=");
    }

    #[test]
    fn the_servers_own_answer_has_a_hash() {
        let contact = vec![("support-addresses", vec!["mailto:a@b".to_owned()]), ("abuse-addresses", vec![])];
        let content = [contact_form(contact), policy_form(EncryptedMessages::Refuse)];
        assert!(!verification(&content).is_empty());
    }
}
