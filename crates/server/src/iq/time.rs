//! Entity time (XEP-0202).

use async_trait::async_trait;
use xmpp_parsers::ns;

use super::{Answer, Foreign, Handler, Place, Request, bad_request};
use crate::clock;
use crate::xml::{el, text};

/// Tells the server's time, in UTC.
pub struct Time;

#[async_trait]
impl Handler for Time {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("time", ns::TIME, &[Place::Host, Place::Own])]
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
        return Err(bad_request("The time can only be read."));
    }
    let time = el("time", ns::TIME).append(text("tzo", ns::TIME, "+00:00")).append(text(
        "utc",
        ns::TIME,
        clock::stamp(clock::micros()),
    ));
    Ok(Some(time.build()))
}
