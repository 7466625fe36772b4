//! Push notifications (XEP-0357): a service outside is told that something waits for a device that is away, so that it
//! can wake it.
//!
//! What people write never leaves by this way: a push says how many messages wait and nothing else. An account keeps a
//! few [`Registration`]s; for each, one push at most is under way, and what comes meanwhile is one more after it.

mod registrations;
mod sender;

use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{BareJid, Jid, Kind, Stanza};
use vault::Record;

use crate::sessions::new_id;
use crate::xml::{With, el, text};

pub use registrations::{Registrations, Ticket};
pub use sender::{Pusher, ROOM, run};

/// The namespace.
pub const PUSH: &str = "urn:xmpp:push:0";
/// Data forms (XEP-0004).
const FORMS: &str = "jabber:x:data";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// One device's wish to be woken, as stored. Parent: the account's bare JID; key: service and node.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The push service.
    pub service: String,
    /// The node there, which stands for the device.
    #[serde(default)]
    pub node: Option<String>,
    /// What the service wants to see with each push: a form, as XML.
    #[serde(default)]
    pub options: Option<String>,
    /// The resource that asked last. While it is connected it needs no push.
    pub resource: String,
}

impl Record for Registration {
    const KIND: u16 = crate::kinds::PUSH;
}

impl Registration {
    /// Its key in the vault.
    pub fn key(&self) -> String {
        // No JID has a line feed in it.
        format!("{}\n{}", self.service, self.node.as_deref().unwrap_or_default())
    }

    /// The push itself (XEP-0357 §7): an item published at the service, with the number of messages that wait.
    fn stanza(&self, account: &BareJid, waiting: u32) -> Option<Stanza> {
        let field = |var: &str, value: &str| {
            el("field", FORMS).with("var", var).append(text("value", FORMS, value)).build()
        };
        let summary = el("x", FORMS)
            .with("type", "form")
            .append(field("FORM_TYPE", "urn:xmpp:push:summary"))
            .append(field("message-count", &waiting.to_string()));
        let notification = el("notification", PUSH).append(summary);
        let item = el("item", PUBSUB).append(notification);
        let publish = el("publish", PUBSUB).with("node", self.node.as_deref()).append(item);
        let mut pubsub = el("pubsub", PUBSUB).append(publish);
        if let Some(options) = self.options.as_ref().and_then(|xml| xml.parse::<Element>().ok()) {
            pubsub = pubsub.append(el("publish-options", PUBSUB).append(options));
        }
        let service = Jid::new(&self.service).ok()?;
        let iq = Stanza::new(Kind::Iq).typed("set").with_id(new_id());
        iq.sent_by(account.clone()).addressed(service).with_payload([&pubsub.build()]).ok()
    }
}
