//! What a peer may not do, and what it gets for it. Each case is also fed one byte at a time, since where the bytes
//! were cut must never change the verdict.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support;

use stanza::{
    Flavour, FrameError, Framer, Framing, Item, Limits, Stanza, StreamCondition, StreamCondition::*,
};
use support::{HEADER, all, drain, one, open, open_with, stanza, tail};

/// The condition that `bytes` within an open stream end in.
fn condition(bytes: &[u8]) -> StreamCondition {
    let (_, error) = all(&mut open(), bytes);
    let Some(error) = error else { panic!("nothing wrong with {}", String::from_utf8_lossy(bytes)) };
    let mut framer = open();
    let in_pieces = bytes.iter().find_map(|byte| {
        framer.feed(&[*byte]);
        drain(&mut framer).1
    });
    assert_eq!(in_pieces.as_ref(), Some(&error), "in pieces: {}", String::from_utf8_lossy(bytes));
    error.condition()
}

/// The condition that a connection ends in which begins with `bytes`.
fn condition_from_start(bytes: &[u8]) -> StreamCondition {
    let mut framer = Framer::new(Flavour::Client, Framing::Tcp, Limits::default());
    let (_, error) = all(&mut framer, bytes);
    error.unwrap_or_else(|| panic!("nothing wrong with {}", String::from_utf8_lossy(bytes))).condition()
}

fn message(payload: &str) -> Vec<u8> {
    format!("<message>{payload}</message>").into_bytes()
}

#[test]
fn dtds_entities_comments_and_instructions_are_restricted() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]><stream:stream>";
    assert_eq!(condition_from_start(bomb.as_bytes()), RestrictedXml);
    assert_eq!(condition(b"<!DOCTYPE x SYSTEM 'file:///etc/passwd'>"), RestrictedXml);
    assert_eq!(condition(&message("<!ENTITY a 'b'>")), RestrictedXml);
    assert_eq!(condition(&message("<body>&lol;</body>")), RestrictedXml);
    assert_eq!(condition(&message("<body>&nbsp;</body>")), RestrictedXml);
    assert_eq!(condition(&message("<!-- hello -->")), RestrictedXml);
    assert_eq!(condition(b"<!-- hello -->"), RestrictedXml);
    assert_eq!(condition(&message("<?php echo 1 ?>")), RestrictedXml);
    assert_eq!(condition(b"<?xml-stylesheet href='x'?>"), RestrictedXml);
    assert_eq!(condition_from_start(b"<?xml version='1.1'?>"), RestrictedXml);
}

#[test]
fn other_encodings_and_broken_utf8_are_unsupported_encodings() {
    assert_eq!(condition_from_start(b"<?xml version='1.0' encoding='ISO-8859-1'?>"), UnsupportedEncoding);
    assert_eq!(condition_from_start(b"\xFF\xFE<\0?\0x\0"), UnsupportedEncoding);
    assert_eq!(condition_from_start(b"\0<\0?\0x\0m"), UnsupportedEncoding);
    assert_eq!(condition(b"<message><body>\xFF</body></message>"), UnsupportedEncoding);
    assert_eq!(condition(b"<message><body>\xC0\xAF</body></message>"), UnsupportedEncoding);
    assert_eq!(condition(b"<message><body>\xED\xA0\x80</body></message>"), UnsupportedEncoding);
    assert_eq!(condition(b"<message id='\xE2\x82'/>"), UnsupportedEncoding);
    assert_eq!(condition(b"<message><b\xC3/></message>"), UnsupportedEncoding);
}

#[test]
fn characters_that_xml_excludes_are_not_well_formed() {
    assert_eq!(condition(b"<message><body>a\0b</body></message>"), NotWellFormed);
    assert_eq!(condition(b"<message><body>\x0B</body></message>"), NotWellFormed);
    assert_eq!(condition(&message("<body>&#0;</body>")), NotWellFormed);
    assert_eq!(condition(&message("<body>&#x1F;</body>")), NotWellFormed);
    assert_eq!(condition(&message("<body>&#xD800;</body>")), NotWellFormed);
    assert_eq!(condition(&message("<body>&#xFFFE;</body>")), NotWellFormed);
    assert_eq!(condition(&message("<body>\u{FFFF}</body>")), NotWellFormed);
    assert_eq!(condition(b"<message id='a\x01b'/>"), NotWellFormed);
}

#[test]
fn markup_that_is_not_xml_is_not_well_formed() {
    for markup in [
        "<body></subject>",
        "<body>",
        "<body><b></body></b>",
        "<body>a ]]> b</body>",
        "<body a=1/>",
        "<body a/>",
        "<body a='1'b='2'/>",
        "<body a='<'/>",
        "<body a='1' a='2'/>",
        "<body>&amp</body>",
        "<body>&;</body>",
        "< body/>",
        "<1/>",
        "<a:b:c/>",
        "<:b/>",
        "<a:/>",
        "<body/ >",
        "</body a='1'>",
        "<![CDATX[",
    ] {
        assert_eq!(condition(&message(markup)), NotWellFormed, "{markup}");
    }
}

#[test]
fn namespaces_must_be_well_formed_too() {
    for markup in [
        "<x:a/>",
        "<a x:b='1'/>",
        "<a xmlns:x='u' x:b='1' x:b='2'/>",
        "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>",
        "<a xmlns:x='u' xmlns:x='v'/>",
        "<a xmlns='u' xmlns='v'/>",
        "<a xmlns:x=''/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:x='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<b><a xmlns:x='u'/><x:c/></b>",
    ] {
        assert_eq!(condition(&message(markup)), NotWellFormed, "{markup}");
    }
    assert_eq!(condition(&message("<xml:a/>")), BadNamespacePrefix);
    assert_eq!(condition(&message("<xmlns:a/>")), BadNamespacePrefix);
}

#[test]
fn the_same_local_name_in_two_namespaces_is_no_duplicate() {
    let kept = stanza("<message><a xmlns:x='u' xmlns:y='v' b='0' x:b='1' y:b='2' xml:b='3'/></message>");
    assert_eq!(kept.children().len(), 1);
}

#[test]
fn stream_headers_need_the_right_namespaces() {
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    assert_eq!(condition_from_start(b"<stream:stream xmlns='jabber:client'>"), NotWellFormed);
    assert_eq!(condition_from_start(b"<stream xmlns='jabber:client'>"), InvalidNamespace);
    for (header, expected) in [
        (format!("<stream:stream {streams}>"), InvalidNamespace),
        (format!("<stream:stream {streams} xmlns='jabber:server'>"), InvalidNamespace),
        (
            format!("<stream:stream {streams} xmlns='jabber:server' xmlns:c='jabber:client'>"),
            InvalidNamespace,
        ),
        (format!("<stream:flood {streams} xmlns='jabber:client'>"), BadFormat),
        ("<stream:stream xmlns:stream='urn:other' xmlns='jabber:client'>".to_owned(), InvalidNamespace),
        ("GET / HTTP/1.1\r\n".to_owned(), BadFormat),
        ("\u{FEFF}<stream:stream".to_owned(), BadFormat),
        ("<presence/>".to_owned(), InvalidNamespace),
    ] {
        assert_eq!(condition_from_start(header.as_bytes()), expected, "{header}");
    }
}

#[test]
fn only_white_space_may_stand_between_stanzas() {
    assert_eq!(condition(b"hello"), BadFormat);
    assert_eq!(condition(b"<presence/>&amp;<presence/>"), BadFormat);
    assert_eq!(condition(b"<![CDATA[x]]><presence/>"), BadFormat);
    assert_eq!(condition(b"<![CDATA[]]><presence/>"), BadFormat);
    assert_eq!(condition(b"<![CDATA[ ]]><presence/>"), BadFormat);
}

#[test]
fn what_is_no_stanza_has_no_place_in_the_content_namespace() {
    assert_eq!(condition(b"<body>"), UnsupportedStanzaType);
    assert_eq!(condition(b"<message xmlns='jabber:server'/>"), UnsupportedStanzaType);
    assert_eq!(condition(b"<message xmlns=''/>"), InvalidNamespace);
    assert_eq!(condition(HEADER.split_once("?>").unwrap().1.as_bytes()), BadFormat);
    assert_eq!(condition(HEADER.as_bytes()), RestrictedXml, "a second XML declaration");
}

#[test]
fn what_follows_the_end_of_the_stream_is_ignored() {
    let (items, error) = all(&mut open(), b"</stream:stream><stream:stream>\0\xFF");
    assert!(matches!(&items[..], [Item::Close]));
    assert_eq!(error, None);
    assert_eq!(condition(b"</stream>"), NotWellFormed);
    assert_eq!(condition(b"</message>"), NotWellFormed);
}

#[test]
fn attributes_without_end_are_cut_off() {
    let many: String = (0..200_000).map(|n| format!(" a{n}='1'")).collect();
    let limits = Limits { stanza_bytes: 1 << 24, ..Limits::default() };
    for place in ["message", "message><x"] {
        let (_, error) = all(&mut open_with(limits), format!("<{place}{many}").as_bytes());
        assert_eq!(error, Some(FrameError::Limit("attributes of an element")));
    }
    assert_eq!(condition_from_start(format!("<stream:stream{many}>").as_bytes()), PolicyViolation);
}

#[test]
fn nesting_without_end_is_cut_off() {
    let deep = "<a>".repeat(100_000);
    assert_eq!(condition(format!("<message>{deep}").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<auth xmlns='u'>{deep}").as_bytes()), PolicyViolation);

    let limits = Limits { depth: 5, ..Limits::default() };
    let nested =
        |depth: usize| format!("<message>{}{}</message>", "<a>".repeat(depth - 1), "</a>".repeat(depth - 1));
    let (items, error) = all(&mut open_with(limits), nested(5).as_bytes());
    assert_eq!((items.len(), error), (1, None));
    let (items, error) = all(&mut open_with(limits), nested(6).as_bytes());
    assert_eq!((items.len(), error), (0, Some(FrameError::Limit("depth of elements"))));
}

#[test]
fn elements_without_end_are_cut_off() {
    let many = "<a/>".repeat(10_000);
    assert_eq!(condition(format!("<iq>{many}</iq>").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<auth xmlns='u'>{many}</auth>").as_bytes()), PolicyViolation);
}

#[test]
fn namespace_declarations_without_end_are_cut_off() {
    let layer = |depth: usize| -> String {
        let declarations: String = (0..50).map(|n| format!(" xmlns:p{depth}n{n}='u'")).collect();
        format!("<a{declarations}>")
    };
    let deep: String = (0..20).map(layer).collect();
    assert_eq!(condition(format!("<message>{deep}").as_bytes()), PolicyViolation);
}

#[test]
fn a_payload_written_anew_cannot_grow_without_bound() {
    // Each of these elements is 5 bytes as sent, and hundreds once its prefix is gone.
    let uri = "u".repeat(500);
    let many = format!("<message xmlns:p='{uri}'>{}</message>", "<p:a/><b/>".repeat(1_500));
    assert_eq!(one(many.as_bytes()), Err(FrameError::Limit("bytes of a stanza")));

    let attributes = format!(
        "<message xmlns:p='{uri}'><a{}/></message>",
        (0..50).map(|n| format!(" p:a{n}=''")).collect::<String>()
    );
    assert!(stanza(&attributes).tail().len() < 2_000, "one declaration serves all attributes of an element");

    let long = format!("<message><a xmlns='{}'/></message>", "u".repeat(1_000));
    assert_eq!(one(long.as_bytes()), Err(FrameError::Limit("bytes of a namespace")));
}

#[test]
fn what_was_accepted_can_be_stored_and_read_back_however_many_declarations_it_takes() {
    let attributes: String = (0..30).map(|n| format!(" p{n}:a=''")).collect();
    let declarations: String = (0..30).map(|n| format!(" xmlns:p{n}='u{n}'")).collect();
    let nested = format!("<a{attributes}>").repeat(60) + &"</a>".repeat(60);
    let message = stanza(&format!("<message{declarations}>{nested}</message>"));
    let mut stored = Vec::new();
    message.write(&mut stored, Some(stanza::ns::CLIENT));
    assert_eq!(Stanza::parse(&stored).as_ref(), Ok(&message));
    assert_eq!(message.element().children().next().unwrap().attrs().len(), 30);
}

#[test]
fn a_stanza_may_be_as_long_as_the_limit_and_no_longer() {
    let limits = Limits { stanza_bytes: 1_000, ..Limits::default() };
    let of_length = |bytes: usize| {
        let frame = "<message><body></body></message>".len();
        format!("<message><body>{}</body></message>", "x".repeat(bytes - frame))
    };
    for step in [1, 7, 10_000] {
        for (length, fits) in [(999, true), (1_000, true), (1_001, false), (5_000, false)] {
            let mut framer = open_with(limits);
            let stanza = of_length(length);
            let mut got = (0, None);
            for piece in stanza.as_bytes().chunks(step) {
                let (items, error) = all(&mut framer, piece);
                got.0 += items.len();
                got.1 = got.1.or(error);
            }
            let expected = if fits { (1, None) } else { (0, Some(FrameError::Limit("bytes of a stanza"))) };
            assert_eq!(got, expected, "{length} bytes in pieces of {step}");
        }
    }
}

#[test]
fn every_limit_starts_anew_with_each_stanza() {
    let mut framer = open();
    framer.set_limits(Limits { stanza_bytes: 30, elements: 3, ..Limits::default() });
    let input = "<message><a/><b/></message>".repeat(100);
    let (items, error) = all(&mut framer, input.as_bytes());
    assert_eq!((items.len(), error), (100, None));
}

#[test]
fn an_unfinished_stanza_never_takes_more_memory_than_its_limit() {
    let limits = Limits { stanza_bytes: 4_096, ..Limits::default() };
    for endless in
        [&b"<message><body>"[..], b"<message id='", b"<message><![CDATA[", b"<message", b"<", b"<message "]
    {
        let mut framer = open_with(limits);
        framer.feed(endless);
        let mut fed = endless.len();
        while framer.next().is_ok() {
            let filler: &[u8] = if endless == b"<" || endless == b"<message" { b"a" } else { b" " };
            framer.feed(&filler.repeat(64));
            fed += 64;
            assert!(framer.unread() <= 4_096 + 64);
            assert!(fed < 8_192, "no end to {}", String::from_utf8_lossy(endless));
        }
        assert_eq!(framer.unread(), 0, "after an error nothing is kept");
    }
}

#[test]
fn names_and_attributes_without_end_are_cut_off() {
    let long = "a".repeat(20_000);
    assert_eq!(condition(format!("<{long}").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<message><{long}/></message>").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<message id='{long}'/>").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<message {long}='1'/>").as_bytes()), PolicyViolation);
    assert_eq!(condition(format!("<message id='{}'/>", "&amp;".repeat(20_000)).as_bytes()), PolicyViolation);

    let text = stanza(&format!("<message><body>{}</body></message>", "ü".repeat(50_000)));
    assert_eq!(text.text("body").unwrap().chars().count(), 50_000, "text may be longer than a token");
}

#[test]
fn a_spent_framer_gives_the_same_error_for_ever() {
    let mut framer = open();
    let (_, error) = all(&mut framer, b"<message><body></message>");
    assert_eq!(error.as_ref().map(FrameError::condition), Some(NotWellFormed));
    framer.feed(b"<presence/>");
    assert_eq!(framer.next().err(), error);
    framer.restart();
    framer.feed(HEADER.as_bytes());
    assert_eq!(framer.next().err(), error);
    assert_eq!(framer.unread(), 0);
}

#[test]
fn errors_do_not_repeat_what_the_peer_sent() {
    for bytes in
        [&b"<message><secret></public></message>"[..], b"<message secret='1' secret='2'/>", b"<secret>"]
    {
        let Err(error) = one(bytes) else { panic!("{}", String::from_utf8_lossy(bytes)) };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn an_attribute_may_hold_line_breaks_and_references() {
    let message = stanza("<message id='a\nb&#10;c&quot;&apos;&lt;' type=\"it's\"><body/></message>");
    assert_eq!(message.id.as_deref(), Some("a b\nc\"'<"));
    let mut out = Vec::new();
    message.write(&mut out, None);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<message id='a b&#10;c&quot;&apos;&lt;' type='it&apos;s'><body/></message>"
    );
}

#[test]
fn cdata_stays_text_whatever_it_looks_like() {
    let message =
        stanza("<message><![CDATA[]]><body><![CDATA[</body></message>&amp;]]></body><![CDATA[]]></message>");
    assert_eq!(message.children().len(), 1);
    assert_eq!(message.text("body").as_deref(), Some("</body></message>&amp;"));
    assert_eq!(
        tail(&message),
        "<![CDATA[]]><body><![CDATA[</body></message>&amp;]]></body><![CDATA[]]></message>"
    );
    assert_eq!(tail(&message.without(|_| true)), "<![CDATA[]]><![CDATA[]]></message>");
}
