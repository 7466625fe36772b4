//! Message carbons (XEP-0280): a person's other devices see what one of them sends and receives.

use std::sync::Arc;

use bytes::Bytes;
use stanza::{FullJid, Head, Kind, Outgoing, Stanza};

use crate::outbox::{Class, Parcel};
use crate::people::User;
use crate::post::Letter;
use crate::router::{StanzaId, message_type};
use crate::session::{Mark, Session};

/// The namespace.
pub const CARBONS: &str = "urn:xmpp:carbons:2";

#[derive(Clone, Copy)]
enum Direction {
    Sent,
    Received,
}

/// Copies a delivered message to the recipient's and the sender's other resources.
pub fn copy(
    stanza: &Stanza,
    letter: &Letter,
    recipient: &User,
    served: &[Arc<Session>],
    id: Option<&StanzaId>,
) {
    if !is_eligible(stanza) {
        return;
    }
    let urgent = id.is_some();
    spread(stanza, Direction::Received, recipient, id, urgent, |session| {
        served.iter().all(|one| !Arc::ptr_eq(one, session)) && !letter.is_from(session)
    });
    // Writing to oneself: each resource has it already.
    if letter.sender().is_some_and(|sender| sender.user.jid != recipient.jid) {
        copy_sent(stanza, letter, id);
    }
}

/// Copies a message that has gone out to the sender's other resources.
pub fn copy_sent(stanza: &Stanza, letter: &Letter, id: Option<&StanzaId>) {
    if let Some(sender) = letter.sender().filter(|_| is_eligible(stanza)) {
        let urgent = id.is_some();
        spread(stanza, Direction::Sent, &sender.user, id, urgent, |session| !letter.is_from(session));
    }
}

fn spread(
    stanza: &Stanza,
    direction: Direction,
    user: &User,
    id: Option<&StanzaId>,
    urgent: bool,
    wanted: impl Fn(&Arc<Session>) -> bool,
) {
    let mut tail: Option<Bytes> = None;
    user.each_session(|session| {
        if session.is(Mark::Carbons) && wanted(session) {
            let tail = tail.get_or_insert_with(|| wrap(stanza, direction, user, id)).clone();
            let class = if urgent { Class::Urgent } else { Class::CanWait };
            let out = Outgoing { head: head(user, &session.jid, stanza), tail };
            session.outbox.push(Parcel { out, class, sequence: None, copies: None });
        }
    });
}

fn head(user: &User, to: &FullJid, stanza: &Stanza) -> Bytes {
    let mut out = Vec::with_capacity(160);
    Head {
        kind: Kind::Message,
        from: Some(user.jid.as_str()),
        to: Some(to.as_str()),
        id: None,
        type_: stanza.type_.as_deref(),
        lang: None,
    }
    .write(&mut out, None);
    out.into()
}

fn wrap(stanza: &Stanza, direction: Direction, user: &User, id: Option<&StanzaId>) -> Bytes {
    let name = match direction {
        Direction::Sent => "sent",
        Direction::Received => "received",
    };
    let mut out = Vec::with_capacity(stanza.tail().len() + 512);
    out.extend_from_slice(
        format!("<{name} xmlns='{CARBONS}'><forwarded xmlns='urn:xmpp:forward:0'>").as_bytes(),
    );
    stanza.head().write(&mut out, Some(stanza::ns::CLIENT));
    if let Some(id) = id {
        id.write(user.jid.as_str(), &mut out);
    }
    out.extend_from_slice(stanza.tail());
    out.extend_from_slice(format!("</forwarded></{name}></message>").as_bytes());
    out.into()
}

/// Notes on a conversation that belong to it: receipts (XEP-0184), chat states (XEP-0085), markers (XEP-0333).
const NOTES: [&str; 3] =
    ["urn:xmpp:receipts", "http://jabber.org/protocol/chatstates", "urn:xmpp:chat-markers:0"];

/// XEP-0280 §6.1: conversation, unless the sender says that it is private (§6.3).
fn is_eligible(stanza: &Stanza) -> bool {
    let kind = match message_type(stanza) {
        "chat" => true,
        "normal" => stanza
            .children()
            .iter()
            .any(|child| child.is("body", stanza::ns::CLIENT) || NOTES.contains(&child.ns())),
        _ => false,
    };
    kind && !stanza.has("private", CARBONS) && !stanza.has("no-copy", "urn:xmpp:hints")
}
