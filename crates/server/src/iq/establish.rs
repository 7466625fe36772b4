//! Session establishment, which RFC 6121 abolished: RFC 3921 §3 had a client ask for a session once it was bound.

use async_trait::async_trait;

use super::{Answer, Handler, Place, Request};

/// Says yes to what older clients, such as mcabber, ask for though it is optional.
pub struct Establish;

#[async_trait]
impl Handler for Establish {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("session", "urn:ietf:params:xml:ns:xmpp-session", &[Place::Host, Place::Own])]
    }

    /// It is a stream feature and nothing to discover.
    fn features(&self, _: Place) -> Vec<&'static str> {
        Vec::new()
    }

    async fn handle(&self, _: Request<'_>) -> Answer {
        Ok(None)
    }
}
