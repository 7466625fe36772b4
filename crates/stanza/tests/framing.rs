//! Streams as peers send them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support;

use stanza::{Attribute, Flavour, Framer, Framing, Item, Kind, Limits, StreamCondition, ns};
use support::{HEADER, all, drain, one, open, stanza, tail};

#[test]
fn a_stream_header_is_taken_with_its_attributes() {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    framer.feed(HEADER.as_bytes());
    let Ok(Some(Item::Open(header))) = framer.next() else { panic!("no header") };
    assert_eq!(header.to.as_deref(), Some("corp.example"));
    assert_eq!(header.from, None);
    assert_eq!(header.version.as_deref(), Some("1.0"));
    assert_eq!(header.lang.as_deref(), Some("en"));
    assert_eq!(header.content_ns, "jabber:client");
    assert_eq!(framer.next(), Ok(None));
}

#[test]
fn a_message_is_taken_with_its_routing_and_its_payload_as_sent() {
    let message = stanza(
        "<message to='juliet@corp.example/balcony' id='m&amp;1' type='chat' xml:lang='it' ignored='yes'>\
         <body>O &lt;Romeo&gt;</body>\n<active xmlns='http://jabber.org/protocol/chatstates'/></message >",
    );
    assert_eq!(message.kind, Kind::Message);
    assert_eq!(message.to.as_ref().unwrap().as_str(), "juliet@corp.example/balcony");
    assert_eq!(message.id.as_deref(), Some("m&1"));
    assert!(message.is_type("chat"));
    assert_eq!(message.lang.as_deref(), Some("it"));
    assert_eq!(message.malformed, None);
    assert_eq!(
        tail(&message),
        "<body>O &lt;Romeo&gt;</body>\n<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
    );
    let names: Vec<_> = message.children().iter().map(|child| (child.name(), child.ns())).collect();
    assert_eq!(names, [("body", ns::CLIENT), ("active", "http://jabber.org/protocol/chatstates")]);
    assert_eq!(message.text("body").as_deref(), Some("O <Romeo>"));
    assert_eq!(message.text("subject"), None);
}

#[test]
fn an_empty_stanza_gets_an_end_tag_of_its_own() {
    let presence = stanza("<presence/>");
    assert_eq!(presence.kind, Kind::Presence);
    assert_eq!(tail(&presence), "</presence>");
    assert_eq!(tail(&stanza("<iq></iq>")), "</iq>");
}

#[test]
fn a_malformed_address_leaves_the_stanza_answerable() {
    let message = stanza("<message to='@nowhere' id='7'/>");
    assert_eq!((message.to, message.malformed), (None, Some(Attribute::To)));
    assert_eq!(message.id.as_deref(), Some("7"));
    assert_eq!(stanza("<message from='a@@b'/>").malformed, Some(Attribute::From));
    assert_eq!(stanza("<message to=''/>").malformed, Some(Attribute::To));
}

#[test]
fn elements_in_other_namespaces_come_as_trees() {
    let (items, error) = all(
        &mut open(),
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGE=</auth><r xmlns='urn:xmpp:sm:3'/>",
    );
    assert_eq!(error, None);
    let [Item::Nonza(auth), Item::Nonza(request)] = &items[..] else { panic!("{items:?}") };
    assert!(auth.is("auth", "urn:ietf:params:xml:ns:xmpp-sasl"));
    assert_eq!((auth.attr("mechanism"), auth.text().as_str()), (Some("PLAIN"), "AGE="));
    assert!(request.is("r", "urn:xmpp:sm:3"));
}

#[test]
fn a_stream_restarts_within_the_bytes_already_fed() {
    let mut framer = open();
    let input = format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n{HEADER}<presence/>");
    framer.feed(input.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Item::Nonza(_)))));
    framer.restart();
    let (items, error) = drain(&mut framer);
    assert!(matches!(&items[..], [Item::Open(_), Item::Stanza(_)]), "{items:?} {error:?}");
}

#[test]
fn bytes_behind_starttls_show_and_white_space_does_not() {
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let mut framer = open();
    framer.feed(format!("{starttls}\r\n ").as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Item::Nonza(_)))));
    assert_eq!(framer.unread(), 0);

    let mut framer = open();
    framer.feed(format!("{starttls}<iq").as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Item::Nonza(_)))));
    assert_eq!(framer.unread(), 3);
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.unread(), 3);
}

#[test]
fn a_closed_stream_stays_closed() {
    let mut framer = open();
    let (items, error) = all(&mut framer, b"<presence/></stream:stream><presence/>");
    assert!(matches!(&items[..], [Item::Stanza(_), Item::Close]));
    assert_eq!(error, None);
    framer.feed(b"<presence/>");
    assert_eq!(framer.next(), Ok(None));
}

#[test]
fn a_stream_that_is_an_empty_element_opens_and_closes() {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    let (items, error) = all(&mut framer, HEADER.replace("'en'>", "'en' />").as_bytes());
    assert!(matches!(&items[..], [Item::Open(_), Item::Close]), "{items:?} {error:?}");
}

#[test]
fn white_space_keeps_a_connection_alive_and_takes_no_memory() {
    let mut framer = open();
    for _ in 0..1_000 {
        framer.feed(b" \n\t\r ");
        assert_eq!(framer.next(), Ok(None));
    }
    assert_eq!(framer.unread(), 0);
    framer.feed(b" <presence/>");
    assert!(matches!(framer.next(), Ok(Some(Item::Stanza(_)))));
}

#[test]
fn an_idle_connection_gives_its_memory_back_and_goes_on_later() {
    let mut framer = open();
    framer.feed(b"<presence/> ");
    assert!(matches!(framer.next(), Ok(Some(Item::Stanza(_)))));
    framer.release();
    framer.feed(b"<message><body>still");
    assert_eq!(framer.next(), Ok(None));
    framer.release();
    framer.feed(b" here</body></message></stream:stream>");
    let (items, error) = drain(&mut framer);
    let [Item::Stanza(message), Item::Close] = &items[..] else { panic!("{items:?} {error:?}") };
    assert_eq!(message.text("body").as_deref(), Some("still here"));
}

#[test]
fn servers_and_components_speak_their_own_content_namespace() {
    for flavour in [Flavour::Server, Flavour::Component] {
        let ns = flavour.content_namespace();
        let mut framer = Framer::new(flavour, Framing::Tcp, Limits::default());
        let (items, error) = all(
            &mut framer,
            format!(
                "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='{ns}' xmlns:db='jabber:server:dialback'>\
                 <db:verify/><message><body>hi</body></message>"
            )
            .as_bytes(),
        );
        let [Item::Open(header), Item::Nonza(verify), Item::Stanza(message)] = &items[..] else {
            panic!("{items:?} {error:?}")
        };
        assert_eq!(header.content_ns, ns);
        assert!(verify.is("verify", "jabber:server:dialback"));
        assert!(message.has("body", ns::CLIENT), "content is jabber:client behind the framer");
        assert_eq!(tail(message), "<body>hi</body></message>");
    }
}

#[test]
fn a_stanza_with_a_prefix_is_a_stanza_all_the_same() {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    let (items, error) = all(
        &mut framer,
        b"<stream xmlns='http://etherx.jabber.org/streams' xmlns:c='jabber:client'>\
          <c:message to='a@b'><c:body>hi</c:body></c:message></stream>",
    );
    let [Item::Open(_), Item::Stanza(message), Item::Close] = &items[..] else {
        panic!("{items:?} {error:?}")
    };
    assert_eq!(tail(message), "<body>hi</body></message>");
    assert_eq!(message.text("body").as_deref(), Some("hi"));
}

#[test]
fn a_stream_error_from_the_peer_comes_as_a_tree() {
    let item = one(b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>");
    let Ok(Some(Item::Nonza(error))) = item else { panic!("{item:?}") };
    assert!(error.is("error", ns::STREAM));
    assert!(error.has_child("conflict", ns::STREAM_ERRORS));
}

const OPEN: &[u8] = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='corp.example' version='1.0' />";

fn websocket() -> Framer {
    let mut framer = Framer::new(Flavour::Client, Framing::WebSocket, Limits::default());
    framer.feed(OPEN);
    assert!(
        matches!(framer.next(), Ok(Some(Item::Open(header))) if header.to.as_deref() == Some("corp.example"))
    );
    framer
}

#[test]
fn each_websocket_message_is_one_element() {
    let mut framer = websocket();
    framer.feed(b"<message xmlns='jabber:client' to='a@b'><body>1</body></message>");
    framer.feed(b"<r xmlns='urn:xmpp:sm:3'/> ");
    framer.feed(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>");
    let (items, error) = drain(&mut framer);
    let [Item::Stanza(message), Item::Nonza(_), Item::Close] = &items[..] else {
        panic!("{items:?} {error:?}")
    };
    assert_eq!(tail(message), "<body>1</body></message>");
}

#[test]
fn a_websocket_stream_restarts_with_another_open() {
    let mut framer = websocket();
    framer.restart();
    framer.feed(OPEN);
    assert!(matches!(framer.next(), Ok(Some(Item::Open(_)))));
}

#[test]
fn websocket_messages_that_break_the_framing_end_the_stream() {
    let cases: [(&[u8], StreamCondition); 6] = [
        (b"<message xmlns='jabber:client'>", StreamCondition::NotWellFormed),
        (b"<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>", StreamCondition::BadFormat),
        (b"<presence/>", StreamCondition::InvalidNamespace),
        (OPEN, StreamCondition::BadFormat),
        (b"hello", StreamCondition::BadFormat),
        (b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'>x</close>", StreamCondition::BadFormat),
    ];
    for (message, condition) in cases {
        let mut framer = websocket();
        framer.feed(message);
        let (items, error) = drain(&mut framer);
        let error = error.unwrap_or_else(|| panic!("{} gave {items:?}", String::from_utf8_lossy(message)));
        assert_eq!(error.condition(), condition, "{}", String::from_utf8_lossy(message));
    }
}

#[test]
fn a_websocket_stream_begins_with_open() {
    let mut framer = Framer::new(Flavour::Client, Framing::WebSocket, Limits::default());
    framer.feed(HEADER.as_bytes());
    assert_eq!(framer.next().unwrap_err().condition(), StreamCondition::InvalidNamespace);
}

#[test]
fn debug_output_shows_neither_messages_nor_passwords() {
    let (items, _) = all(
        &mut open(),
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>secret</auth><message><body>secret</body></message>",
    );
    let Item::Stanza(message) = &items[1] else { panic!("{items:?}") };
    let shown = format!("{items:?} {:?}", message.outgoing(None));
    assert!(shown.contains("auth") && shown.contains("body") && !shown.contains("secret"), "{shown}");
}
