//! The door at every account's address (XEP-0163).

use async_trait::async_trait;
use stanza::StanzaCondition;
use xmpp_parsers::ns;

use super::{Ask, PubSub};
use crate::iq::{Answer, Foreign, Handler, Place, Request};

/// What an account's nodes can do; each with `http://jabber.org/protocol/pubsub#` before it.
const FEATURES: [&str; 30] = [
    "http://jabber.org/protocol/pubsub#access-authorize",
    "http://jabber.org/protocol/pubsub#access-open",
    "http://jabber.org/protocol/pubsub#access-presence",
    "http://jabber.org/protocol/pubsub#access-roster",
    "http://jabber.org/protocol/pubsub#access-whitelist",
    "http://jabber.org/protocol/pubsub#auto-create",
    "http://jabber.org/protocol/pubsub#auto-subscribe",
    "http://jabber.org/protocol/pubsub#config-node",
    "http://jabber.org/protocol/pubsub#config-node-max",
    "http://jabber.org/protocol/pubsub#create-and-configure",
    "http://jabber.org/protocol/pubsub#create-nodes",
    "http://jabber.org/protocol/pubsub#delete-items",
    "http://jabber.org/protocol/pubsub#delete-nodes",
    "http://jabber.org/protocol/pubsub#filtered-notifications",
    "http://jabber.org/protocol/pubsub#instant-nodes",
    "http://jabber.org/protocol/pubsub#item-ids",
    "http://jabber.org/protocol/pubsub#last-published",
    "http://jabber.org/protocol/pubsub#manage-subscriptions",
    "http://jabber.org/protocol/pubsub#meta-data",
    "http://jabber.org/protocol/pubsub#modify-affiliations",
    "http://jabber.org/protocol/pubsub#multi-items",
    "http://jabber.org/protocol/pubsub#persistent-items",
    "http://jabber.org/protocol/pubsub#publish",
    "http://jabber.org/protocol/pubsub#publish-options",
    "http://jabber.org/protocol/pubsub#purge-nodes",
    "http://jabber.org/protocol/pubsub#retract-items",
    "http://jabber.org/protocol/pubsub#retrieve-default",
    "http://jabber.org/protocol/pubsub#retrieve-items",
    "http://jabber.org/protocol/pubsub#rsm",
    "http://jabber.org/protocol/pubsub#subscribe",
];

/// What only the list of features at the account has besides.
const MORE: [&str; 4] = [
    ns::PUBSUB,
    "http://jabber.org/protocol/pubsub#publisher-affiliation",
    "http://jabber.org/protocol/pubsub#retrieve-affiliations",
    "http://jabber.org/protocol/pubsub#retrieve-subscriptions",
];

/// What lives on an account's nodes: both forms of pictures (XEP-0398) and of bookmarks (XEP-0402, XEP-0411).
const LIVES: [&str; 4] = [
    "urn:xmpp:pep-vcard-conversion:0",
    "urn:xmpp:bookmarks:1#compat",
    "urn:xmpp:bookmarks:1#compat-pep",
    "urn:xmpp:bookmarks-conversion:0",
];

/// The features of the service: those of an account but for what needs a roster or capabilities.
pub fn public_features() -> impl Iterator<Item = &'static str> {
    let personal = ["presence", "roster", "auto-create", "auto-subscribe", "filtered"];
    let public =
        FEATURES.into_iter().filter(move |feature| !personal.iter().any(|word| feature.contains(word)));
    public.chain(MORE)
}

/// Serves XEP-0060 at accounts.
pub struct PersonalDesk {
    /// Does the work.
    pub pubsub: PubSub,
}

#[async_trait]
impl Handler for PersonalDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[
            ("pubsub", ns::PUBSUB, &[Place::Own, Place::Other]),
            ("pubsub", ns::PUBSUB_OWNER, &[Place::Own, Place::Other]),
        ]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        match place {
            Place::Own => FEATURES.into_iter().chain(MORE).chain(LIVES).collect(),
            Place::Host | Place::Other => Vec::new(),
        }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        request.after.answer_later();
        let ask = Ask {
            owner: request.user.jid.clone(),
            from: request.session.jid.clone().into(),
            stanza: request.stanza.clone(),
            payload: request.payload,
            session: Some(request.session.clone()),
            errand: Some(request.session.errand()),
        };
        self.pubsub.ask(ask).await;
        Ok(None)
    }

    async fn handle_foreign(&self, request: Foreign<'_>) -> Answer {
        let user = request.user.ok_or(StanzaCondition::ServiceUnavailable)?;
        request.after.answer_later();
        let ask = Ask {
            owner: user.jid.clone(),
            from: request.from.clone(),
            stanza: request.stanza.clone(),
            payload: request.payload,
            session: None,
            errand: None,
        };
        self.pubsub.ask(ask).await;
        Ok(None)
    }
}
