//! Software version (XEP-0092).

use async_trait::async_trait;
use minidom::Element;
use xmpp_parsers::ns;

use super::{Answer, Foreign, Handler, Place, Request, bad_request};
use crate::xml::{el, text};

/// Says what runs here; not on which system, which would help only an attacker.
pub struct Version;

#[async_trait]
impl Handler for Version {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", ns::VERSION, &[Place::Host])]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        answer(request.set)
    }

    async fn handle_foreign(&self, request: Foreign<'_>) -> Answer {
        answer(request.set)
    }
}

fn answer(set: bool) -> Answer {
    if set {
        return Err(bad_request("The version can only be read."));
    }
    Ok(Some(version()))
}

/// What every part of this server answers.
pub fn version() -> Element {
    let version = text("version", ns::VERSION, env!("CARGO_PKG_VERSION"));
    el("query", ns::VERSION).append(text("name", ns::VERSION, "Chancery")).append(version).build()
}
