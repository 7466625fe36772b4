//! XMPP ping (XEP-0199).

use async_trait::async_trait;
use xmpp_parsers::ns;

use super::{Answer, Foreign, Handler, Place, Request};

/// Answers with nothing, which says that both ends are alive.
pub struct Ping;

#[async_trait]
impl Handler for Ping {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("ping", ns::PING, &[Place::Host, Place::Own])]
    }

    async fn handle(&self, _: Request<'_>) -> Answer {
        Ok(None)
    }

    async fn handle_foreign(&self, _: Foreign<'_>) -> Answer {
        Ok(None)
    }
}
