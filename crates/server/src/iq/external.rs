//! External service discovery (XEP-0215): where clients find the servers that their calls need, and how they are let in.
//!
//! Credentials are made on the spot and last for a while: the user name is the time at which they end, and the password
//! proves with a secret that the TURN server shares that this server wrote it. So there is nothing to keep or revoke.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use minidom::Element;
use sha1::Sha1;
use stanza::{StanzaCondition, StanzaError};

use super::{Answer, Handler, Place, Request, bad_request};
use crate::clock;
use crate::config::{Access, ExternalService};
use crate::xml::{With, el};

/// The namespace.
const EXTERNAL: &str = "urn:xmpp:extdisco:2";

/// Serves `urn:xmpp:extdisco:2` to people of this server.
pub struct External {
    /// What is configured.
    pub services: Vec<ExternalService>,
}

#[async_trait]
impl Handler for External {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[
            ("services", EXTERNAL, &[Place::Host, Place::Own]),
            ("credentials", EXTERNAL, &[Place::Host, Place::Own]),
        ]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        if place == Place::Host && !self.services.is_empty() { vec![EXTERNAL] } else { Vec::new() }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if request.set {
            return Err(bad_request("External services can only be read."));
        }
        let name = request.session.jid.node().map(|node| node.as_str()).unwrap_or_default();
        let wanted: Vec<&ExternalService> = match request.payload.name() {
            "services" => {
                let type_ = request.payload.attr("type");
                self.services
                    .iter()
                    .filter(|service| type_.is_none_or(|type_| type_ == service.type_))
                    .collect()
            }
            _ => vec![self.find(&request.payload)?],
        };
        let described = wanted.into_iter().map(|service| describe(service, name, clock::seconds()));
        Ok(Some(el(request.payload.name(), EXTERNAL).append_all(described).build()))
    }
}

impl External {
    /// The service that a request for credentials names (XEP-0215 §3.3).
    fn find(&self, payload: &Element) -> Result<&ExternalService, StanzaError> {
        let asked = payload.get_child("service", EXTERNAL);
        let asked = asked.ok_or_else(|| bad_request("Name the service whose credentials you want."))?;
        let port = asked.attr("port");
        let found = self.services.iter().find(|service| {
            asked.attr("host") == Some(&service.host)
                && asked.attr("type") == Some(&service.type_)
                && port.is_none_or(|port| port.parse() == Ok(service.port))
        });
        found.ok_or_else(|| StanzaError::new(StanzaCondition::ItemNotFound, "There is no such service."))
    }
}

fn describe(service: &ExternalService, name: &str, now: u64) -> Element {
    let described = el("service", EXTERNAL)
        .with("type", service.type_.as_str())
        .with("host", service.host.as_str())
        .with("port", service.port.to_string())
        .with("transport", service.transport.as_str());
    match &service.access {
        Access::Open => described.build(),
        Access::Fixed { username, password } => described
            .with("restricted", "1")
            .with("username", username.as_str())
            .with("password", password.expose())
            .build(),
        Access::Shared { secret, valid } => {
            let expires = now + valid.as_secs();
            let (username, password) = credentials(secret.expose(), name, expires);
            described
                .with("restricted", "1")
                .with("username", username)
                .with("password", password)
                .with("expires", clock::stamp(i64::try_from(expires * 1_000_000).unwrap_or(i64::MAX)))
                .build()
        }
    }
}

/// A user name that tells when it ends, and the password to it.
fn credentials(secret: &str, name: &str, expires: u64) -> (String, String) {
    let username = format!("{expires}:{name}");
    // HMAC takes keys of every length.
    let password = <Hmac<Sha1> as KeyInit>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(username.as_bytes());
        STANDARD.encode(mac.finalize().into_bytes())
    });
    (username, password.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_what_turn_servers_compute_too() {
        // printf 1700000000:romeo | openssl dgst -sha1 -hmac north -binary | base64
        let (username, password) = credentials("north", "romeo", 1_700_000_000);
        assert_eq!(username, "1700000000:romeo");
        assert_eq!(password, "4KwdPuiw7rP0eTOUtzAaK6ZMiSs=");
    }
}
