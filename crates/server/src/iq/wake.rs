//! Switching push notifications on and off (XEP-0357 §5, §6). What is pushed when is in [`crate::push`].

use async_trait::async_trait;
use stanza::{Jid, StanzaCondition, StanzaError};
use vault::{Expect, Vault, Write};

use super::{Answer, Handler, Place, Request, bad_request};
use crate::post::disk_error;
use crate::push::{PUSH, Registration};

/// Options of a service in bytes, and its node.
const MAX_OPTIONS: usize = 8_192;
const MAX_NODE: usize = 1_024;

/// Serves `urn:xmpp:push:0` at the account.
pub struct PushDesk {
    /// Keeps the registrations.
    pub vault: Vault,
}

#[async_trait]
impl Handler for PushDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("enable", PUSH, &[Place::Own]), ("disable", PUSH, &[Place::Own])]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        let service = request.payload.attr("jid").and_then(|jid| Jid::new(jid).ok());
        let service = service.filter(|_| request.set);
        let service = service.ok_or_else(|| bad_request("This wants the address of a push service."))?;
        let node = request.payload.attr("node").map(str::to_owned);
        match request.payload.name() {
            "enable" => self.enable(&request, service, node).await,
            _ => self.disable(&request, service, node).await,
        }
    }
}

impl PushDesk {
    async fn enable(&self, request: &Request<'_>, service: Jid, node: Option<String>) -> Answer {
        let account: Jid = request.user.jid.clone().into();
        if service == account {
            return Err(bad_request("An account is not its own push service."));
        }
        let options = request.payload.get_child("x", "jabber:x:data").map(String::from);
        if options.as_ref().is_some_and(|options| options.len() > MAX_OPTIONS)
            || node.as_ref().is_some_and(|node| node.len() > MAX_NODE)
        {
            return Err(StanzaCondition::NotAcceptable.into());
        }
        let resource = request.session.jid.resource().as_str().to_owned();
        let registration = Registration { service: service.as_str().to_owned(), node, options, resource };
        let user = request.user;
        if !user.push.has_room_for(&registration) {
            let words = "There are too many push registrations; disable those of devices that are gone.";
            return Err(StanzaError::new(StanzaCondition::ResourceConstraint, words));
        }
        let write = Write::put(user.jid.as_str(), &registration.key(), &registration, Expect::Any);
        let write = write.map_err(|error| disk_error(&error))?;
        self.vault.apply(vec![write]).await.map_err(|error| disk_error(&error))?;
        user.push.set(registration);
        Ok(None)
    }

    async fn disable(&self, request: &Request<'_>, service: Jid, node: Option<String>) -> Answer {
        let user = request.user;
        let gone = user.push.at(service.as_str(), node.as_deref());
        let delete = |registration: &Registration| {
            Write::delete::<Registration>(user.jid.as_str(), &registration.key(), Expect::Any)
        };
        let writes: Vec<Write> = gone.iter().map(delete).collect();
        if !writes.is_empty() {
            self.vault.apply(writes).await.map_err(|error| disk_error(&error))?;
        }
        gone.iter().for_each(|registration| user.push.remove(&registration.key()));
        Ok(None)
    }
}
