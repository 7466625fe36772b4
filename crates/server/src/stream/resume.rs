//! Taking up a session where its last connection lost it (XEP-0198 §5).

use std::sync::Arc;

use minidom::Element;
use stanza::StanzaCondition;
use xmpp_parsers::ns;

use super::channel::End;
use super::features::SM;
use super::{Bound, Negotiation};
use crate::connection::failed;
use crate::session::Session;
use crate::sessions::NotResumed;
use crate::xml::{With, el};

impl Negotiation<'_> {
    /// `<resume/>` after sign-in.
    pub(super) async fn resume(&mut self, element: &Element) -> Result<Option<Bound>, End> {
        match self.try_resume(element).await {
            Ok((session, lease)) => {
                self.channel.send(&resumed(element, &session)).await?;
                Ok(Some((session, lease)))
            }
            Err(failed) => {
                self.channel.send(&failed).await?;
                Ok(None)
            }
        }
    }

    /// Finds the session. What it has not acknowledged is written again by its outbox. What its last connection read
    /// is handled by then, so that the client is told of all of it and sends none of it again.
    pub(super) async fn try_resume(&mut self, element: &Element) -> Result<Bound, Element> {
        let Some(guest) = &self.guest else { return Err(failed(StanzaCondition::UnexpectedRequest)) };
        let handled = element.attr("h").and_then(|h| h.parse().ok());
        let (Some(id), Some(handled)) = (element.attr("previd"), handled) else {
            return Err(failed(StanzaCondition::BadRequest));
        };
        let (session, lease) =
            self.gate.clerk.sessions.resume(&guest.user, id, handled).map_err(|error| match error {
                NotResumed::Unknown => failed(StanzaCondition::ItemNotFound),
                NotResumed::TooHigh(too_high) => el("failed", SM)
                    .append(el("undefined-condition", ns::XMPP_STANZAS).build())
                    .append(
                        el("handled-count-too-high", SM)
                            .with("h", too_high.handled.to_string())
                            .with("send-count", too_high.sent.to_string())
                            .build(),
                    )
                    .build(),
            })?;
        session.pending.still().await;
        Ok((session, lease))
    }
}

/// `<resumed/>`.
pub(super) fn resumed(request: &Element, session: &Arc<Session>) -> Element {
    el("resumed", SM).with("previd", request.attr("previd")).with("h", session.handled().to_string()).build()
}
