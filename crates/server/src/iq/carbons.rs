//! Switching message carbons on and off (XEP-0280 §4, §5); copying is in [`crate::carbons`].

use async_trait::async_trait;

use super::{Answer, Handler, Place, Request, bad_request};
use crate::carbons::CARBONS;
use crate::session::Mark;

/// Serves `urn:xmpp:carbons:2`.
pub struct CarbonsDesk;

#[async_trait]
impl Handler for CarbonsDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("enable", CARBONS, &[Place::Own]), ("disable", CARBONS, &[Place::Own])]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        // The second says that the rules of XEP-0280 §6.1 decide what is copied.
        if place == Place::Other { Vec::new() } else { vec![CARBONS, "urn:xmpp:carbons:rules:0"] }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if !request.set {
            return Err(bad_request("Carbons are switched with a set."));
        }
        request.session.mark(Mark::Carbons, request.payload.name() == "enable");
        Ok(None)
    }
}
