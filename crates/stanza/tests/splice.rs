//! A payload is kept as sent only where that is safe; the tricks that try to make it unsafe.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support;

use stanza::{Element, Flavour, Framer, Framing, Item, Limits, Stanza, ns, write_element};
use support::{all, open, stanza, tail};

/// Both what a client reads and what a federated server reads, whose stream declares everything differently.
fn as_read_elsewhere(stanza: &Stanza) -> [Element; 2] {
    [ns::CLIENT, ns::SERVER].map(|content| {
        let mut out = format!(
            "<s:stream xmlns:s='{}' xmlns='{content}' xmlns:x='urn:trap' xmlns:a='urn:trap' xmlns:evil='urn:trap'>",
            ns::STREAM
        )
        .into_bytes();
        stanza.write(&mut out, None);
        out.extend_from_slice(b"</s:stream>");
        let stream: Element = String::from_utf8(out).unwrap().parse().unwrap();
        stream.children().next().unwrap().clone()
    })
}

#[test]
fn a_payload_that_declares_what_it_uses_is_kept_as_sent() {
    for payload in [
        "<body>a &lt; b</body>",
        "<x:a xmlns:x='u' x:b='1'><x:c/></x:a>",
        "<a xmlns='u'><b xmlns='v'/><c xmlns=''/></a>",
        "<body  xml:lang = \"de\" >x</body >",
        "words <body/> between",
    ] {
        assert_eq!(tail(&stanza(&format!("<message>{payload}</message>"))), format!("{payload}</message>"));
    }
}

#[test]
fn a_declaration_on_the_stanza_that_nothing_uses_changes_nothing() {
    let message = stanza("<message xmlns='jabber:client' xmlns:x='u'><x:a xmlns:x='v'/></message>");
    assert_eq!(tail(&message), "<x:a xmlns:x='v'/></message>");
    assert!(message.has("a", "v"));
}

#[test]
fn a_prefix_from_the_stanza_tag_is_resolved_before_the_tag_is_lost() {
    let message = stanza("<message xmlns:x='u'><x:a x:b='1'/><c x:d='2' xmlns='v'/></message>");
    assert!(message.has("a", "u") && message.has("c", "v"));
    for read in as_read_elsewhere(&message) {
        assert_eq!(read.get_child("a", "u").unwrap().attr_ns("u", "b"), Some("1"));
        assert_eq!(read.get_child("c", "v").unwrap().attr_ns("u", "d"), Some("2"));
    }
}

#[test]
fn a_prefix_from_the_stream_header_is_resolved_too() {
    let message = stanza("<message><stream:error/><a xmlns='v'><b stream:c='1'/></a></message>");
    for read in as_read_elsewhere(&message) {
        assert!(read.has_child("error", ns::STREAM));
        assert_eq!(
            read.get_child("a", "v").unwrap().get_child("b", "v").unwrap().attr_ns(ns::STREAM, "c"),
            Some("1")
        );
    }
}

#[test]
fn a_body_cannot_hide_in_another_spelling_of_the_content_namespace() {
    for hidden in [
        "<message><body xmlns='jabber:client'>x</body></message>",
        "<message><body xmlns='jabber:server'>x</body></message>",
        "<message><body xmlns='jabber:component:accept'>x</body></message>",
        "<message><e:body xmlns:e='jabber:client'>x</e:body></message>",
        "<message><e:body xmlns:e='jabber:server'>x</e:body></message>",
        "<message xmlns:e='jabber:server'><e:body>x</e:body></message>",
        "<e:message xmlns:e='jabber:client'><body>x</body></e:message>",
        "<e:message xmlns:e='jabber:client' xmlns='jabber:server'><body>x</body></e:message>",
    ] {
        let message = stanza(hidden);
        assert_eq!(message.text("body").as_deref(), Some("x"), "{hidden}");
        assert_eq!(tail(&message), "<body>x</body></message>", "{hidden}");
    }
}

#[test]
fn a_prefixed_stanza_whose_default_namespace_is_foreign_has_no_body() {
    let message = stanza("<e:message xmlns:e='jabber:client' xmlns='u'><body>x</body></e:message>");
    assert_eq!(message.text("body"), None);
    assert_eq!(tail(&message), "<body xmlns='u'>x</body></message>");
    for read in as_read_elsewhere(&message) {
        assert!(read.has_child("body", "u"));
    }
}

#[test]
fn a_foreign_default_namespace_stays_foreign() {
    let message = stanza("<message><body xmlns=''>x</body><body xmlns='u'>y</body></message>");
    assert_eq!(message.text("body"), None);
    for read in as_read_elsewhere(&message) {
        assert!(read.has_child("body", "") && read.has_child("body", "u"));
    }
}

#[test]
fn a_forwarded_stanza_keeps_the_namespace_it_was_forwarded_in() {
    let forwarded = "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>\
                     <body>x</body><e xmlns='jabber:server'/></message></forwarded>";
    let message = stanza(&format!("<message>{forwarded}</message>"));
    assert_eq!(message.text("body"), None);
    for read in as_read_elsewhere(&message) {
        let inner = read
            .get_child("forwarded", "urn:xmpp:forward:0")
            .unwrap()
            .get_child("message", ns::CLIENT)
            .unwrap();
        assert_eq!(inner.get_child("body", ns::CLIENT).unwrap().text(), "x");
        assert!(inner.has_child("e", ns::SERVER));
    }
}

#[test]
fn content_from_a_server_is_content_for_a_client() {
    let mut framer = Framer::new(Flavour::Server, Framing::Tcp, Limits::default());
    let (items, error) = all(
        &mut framer,
        b"<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server'>\
          <message to='a@b' from='c@d'><body>kept</body></message>\
          <message to='a@b' from='c@d'><body xmlns='jabber:client'>written anew</body><f:f xmlns:f='u'><g/></f:f></message>\
          <message to='a@b' from='c@d'><f:f xmlns:f='u'><g/></f:f></message>",
    );
    let [_, Item::Stanza(kept), Item::Stanza(anew), Item::Stanza(inner)] = &items[..] else {
        panic!("{error:?}")
    };
    assert_eq!(kept.text("body").as_deref(), Some("kept"));
    assert_eq!(anew.text("body").as_deref(), Some("written anew"));
    for message in [anew, inner] {
        let [client, _] = as_read_elsewhere(message);
        assert!(
            client.get_child("f", "u").unwrap().has_child("g", ns::CLIENT),
            "inherited content is content"
        );
    }
}

#[test]
fn cutting_children_leaves_the_others_where_they_are() {
    let message =
        stanza("<message>1<a xmlns='u'/>2<body>x</body>3<a xmlns='v'/>4<subject>y</subject></message>");
    let cut = message.without(|child| child.is("a", "u") || child.is("a", "v"));
    assert_eq!(tail(&cut), "12<body>x</body>34<subject>y</subject></message>");
    assert_eq!((cut.text("body"), cut.text("subject")), (Some("x".into()), Some("y".into())));
    assert_eq!(cut.payload("subject", ns::CLIENT).unwrap().text(), "y");
    assert_eq!(
        message.without(|_| false).tail().as_ptr(),
        message.tail().as_ptr(),
        "nothing cut, nothing copied"
    );
}

#[test]
fn a_stored_stanza_reads_back_as_it_was() {
    let message = stanza(
        "<message to='a@b' from='c@d/e' id='1' type='chat' xml:lang='de'><body>x</body><y:z xmlns:y='u'/></message>",
    );
    let mut stored = Vec::new();
    message.write(&mut stored, Some(ns::CLIENT));
    assert_eq!(Stanza::parse(&stored), Ok(message));
}

#[test]
fn bytes_that_are_not_one_stanza_do_not_parse() {
    for bytes in [
        "",
        " ",
        "<message/>",
        "<message xmlns='jabber:client'>",
        "<message xmlns='jabber:client'/><message xmlns='jabber:client'/>",
        "<message xmlns='jabber:client'/>x",
        "<body xmlns='jabber:client'/>",
        "<a xmlns='u'/>",
        "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
    ] {
        assert!(Stanza::parse(bytes.as_bytes()).is_err(), "{bytes}");
    }
}

#[test]
fn a_stanza_made_of_elements_is_like_one_that_was_read() {
    let element: Element =
        "<iq xmlns='jabber:client' type='get' id='1' to='a@b'><ping xmlns='urn:xmpp:ping'/></iq>"
            .parse()
            .unwrap();
    let iq = Stanza::from_element(&element).unwrap();
    assert_eq!(iq, stanza("<iq type='get' id='1' to='a@b'><ping xmlns='urn:xmpp:ping'/></iq>"));
    assert_eq!(iq.element(), element);
    assert!(Stanza::from_element(&Element::bare("iq", "u")).is_err());
    assert!(Stanza::from_element(&Element::bare("body", ns::CLIENT)).is_err());
}

#[test]
fn a_name_that_would_break_the_xml_is_refused() {
    let mut message = Element::bare("message", ns::CLIENT);
    let mut inner = Element::bare("a", "u");
    inner.append_child(Element::bare("b onload='1'", "u"));
    message.append_child(inner);
    assert!(Stanza::from_element(&message).is_err());
}

#[test]
fn a_long_attribute_survives_in_a_tree() {
    let long = "x".repeat(10_000);
    let message = stanza(&format!("<message><a xmlns='u' b='{long}'/></message>"));
    assert_eq!(message.payload("a", "u").unwrap().attr("b"), Some(&*long));
    assert_eq!(message.element().get_child("a", "u").unwrap().attr("b"), Some(&*long));
}

#[test]
fn a_written_element_reads_back_wherever_it_is_put() {
    let source = "<a xmlns='u' b='&#10;&apos;' xml:lang='de'>t<c xmlns=''/><d xmlns='v' xmlns:p='w' p:e='1'>&amp;</d></a>";
    let element: Element = source.parse().unwrap();
    for surrounding in ["", "u", ns::CLIENT] {
        let mut out = format!("<r xmlns='{surrounding}'>").into_bytes();
        write_element(&element, surrounding, &mut out);
        out.extend_from_slice(b"</r>");
        let around: Element = String::from_utf8(out).unwrap().parse().unwrap();
        assert_eq!(around.children().next(), Some(&element));
    }
}

#[test]
fn nonzas_resolve_prefixes_from_the_stream_header() {
    let (items, _) = all(&mut open(), b"<stream:thing><message xmlns='jabber:client'/></stream:thing>");
    let [Item::Nonza(thing)] = &items[..] else { panic!("{items:?}") };
    assert!(thing.is("thing", ns::STREAM) && thing.has_child("message", ns::CLIENT));
}
