//! Namespace names that this crate knows, and cheap names.

use std::borrow::Cow;

/// Stanzas between client and server (RFC 6121); behind the framer, all stanzas.
pub const CLIENT: &str = "jabber:client";
/// Stanzas between servers (RFC 6120 §4.8.3).
pub const SERVER: &str = "jabber:server";
/// Stanzas of an external component (XEP-0114).
pub const COMPONENT: &str = "jabber:component:accept";
/// The stream element, its features and errors (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Conditions of stream errors (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Conditions of stanza errors (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// `<open/>` and `<close/>` on a WebSocket (RFC 7395 §3.3.2).
pub const FRAMING: &str = "urn:ietf:params:xml:ns:xmpp-framing";
/// What the `xml:` prefix stands for.
pub const XML: &str = rxml::XMLNS_XML;

/// Whether this is one of the namespaces in which stanzas travel. They are one and the same vocabulary; which of them
/// a stream uses says only who is at its other end.
pub(crate) fn is_content(ns: &str) -> bool {
    matches!(ns, CLIENT | SERVER | COMPONENT)
}

/// A name or namespace. Those that messages carry every day are static, so that keeping them costs no allocation.
pub(crate) type Symbol = Cow<'static, str>;

/// The cheap form of `text`.
pub(crate) fn symbol(text: &str) -> Symbol {
    match KNOWN.binary_search_by(|known| order(known, text)) {
        Ok(at) => Cow::Borrowed(KNOWN[at]),
        Err(_) => Cow::Owned(text.to_owned()),
    }
}

/// By length first: most probes then end at one comparison of integers.
fn order(left: &str, right: &str) -> std::cmp::Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

/// What everyday messages name, in [`order`].
#[rustfmt::skip]
const KNOWN: &[&str] = &[
    "a", "c", "r", "x", "set", "bind", "body", "data", "gone", "html", "item", "list", "nick", "ping",
    "sent", "show", "text", "delay", "error", "event", "items", "query", "reply", "store", "vCard",
    "active", "enable", "invite", "jingle", "paused", "pubsub", "resume", "status", "thread", "enabled",
    "no-copy", "openpgp", "private", "replace", "request", "resumed", "retract", "session", "subject",
    "apply-to", "fallback", "inactive", "markable", "no-store", "priority", "reaction", "received",
    "unstyled", "attach-to", "composing", "displayed", "encrypted", "forwarded", "origin-id", "reactions",
    "reference", "stanza-id", "vCardTemp", "encryption", "vcard-temp", "occupant-id", "acknowledged",
    "jabber:x:oob", "jabber:client", "jabber:server", "jabber:x:data", "urn:xmpp:ping", "urn:xmpp:sm:3",
    "jabber:iq:last", "urn:xmpp:csi:0", "urn:xmpp:delay", "urn:xmpp:eme:0", "urn:xmpp:hints",
    "urn:xmpp:mam:2", "urn:xmpp:sfs:0", "urn:xmpp:sid:0", "urn:xmpp:bind:0", "urn:xmpp:push:0",
    "urn:xmpp:sasl:2", "jabber:iq:roster", "jabber:iq:search", "urn:xmpp:omemo:2", "urn:xmpp:reply:0",
    "jabber:iq:version", "urn:xmpp:blocking", "urn:xmpp:jingle:1", "urn:xmpp:receipts",
    "jabber:iq:register", "jabber:x:encrypted", "no-permanent-store", "urn:xmpp:carbons:2",
    "urn:xmpp:forward:0", "urn:xmpp:openpgp:0", "urn:xmpp:styling:0", "jabber:x:conference",
    "urn:xmpp:fallback:0", "vcard-temp:x:update", "no-permanent-storage", "urn:xmpp:avatar:data",
    "urn:xmpp:reactions:0", "urn:xmpp:reference:0", "jabber:server:dialback", "urn:xmpp:http:upload:0",
    "urn:xmpp:occupant-id:0", "jabber:component:accept", "urn:xmpp:chat-markers:0",
    "urn:xmpp:avatar:metadata", "urn:xmpp:message-correct:0", "urn:xmpp:message-retract:1",
    "http://www.w3.org/1999/xhtml", "eu.siacs.conversations.axolotl", "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/rsm", "http://jabber.org/protocol/caps", "http://jabber.org/protocol/nick",
    "urn:ietf:params:xml:ns:xmpp-tls", "http://etherx.jabber.org/streams",
    "urn:ietf:params:xml:ns:xmpp-bind", "urn:ietf:params:xml:ns:xmpp-sasl",
    "http://jabber.org/protocol/pubsub", "http://jabber.org/protocol/commands",
    "http://jabber.org/protocol/muc#user", "http://jabber.org/protocol/xhtml-im",
    "urn:ietf:params:xml:ns:xmpp-framing", "urn:ietf:params:xml:ns:xmpp-session",
    "urn:ietf:params:xml:ns:xmpp-stanzas", "urn:ietf:params:xml:ns:xmpp-streams",
    "http://jabber.org/protocol/muc#admin", "http://jabber.org/protocol/muc#owner",
    "http://jabber.org/protocol/chatstates", "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/pubsub#event",
    "http://jabber.org/protocol/pubsub#owner",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_words_are_in_order() {
        assert!(KNOWN.windows(2).all(|pair| order(pair[0], pair[1]).is_lt()));
    }

    #[test]
    fn everyday_names_need_no_allocation_and_others_are_kept() {
        assert!(matches!(symbol("body"), Cow::Borrowed("body")));
        assert!(matches!(symbol(CLIENT), Cow::Borrowed(CLIENT)));
        assert!(matches!(symbol("something-else"), Cow::Owned(text) if text == "something-else"));
    }
}
