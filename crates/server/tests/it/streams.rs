//! Streams: negotiation, and the errors that end them (RFC 6120 §4, §4.9).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;

use crate::client::{Raw, STREAM, header};
use crate::house::{DOMAIN, House};

async fn error_after(house: &House, sent: &str) -> String {
    let mut raw = house.raw().await;
    raw.send(sent).await;
    raw.stream_error().await
}

#[tokio::test]
async fn a_stream_that_begins_wrong_ends_with_the_reason() {
    let house = House::open().await;
    for (sent, wanted) in [
        (header("elsewhere.example"), "host-unknown"),
        (header(DOMAIN).replace("' version='1.0'>", "'>"), "unsupported-version"),
        (header(DOMAIN).replace("' version='1.0'>", "' version='0.9'>"), "unsupported-version"),
        (header(DOMAIN).replace(STREAM, "urn:wrong"), "invalid-namespace"),
        (header(DOMAIN).replace("jabber:client", "jabber:server"), "invalid-namespace"),
        (header(DOMAIN).replace("stream:stream", "stream:river"), "bad-format"),
        (format!("{}</wrong>", header(DOMAIN)), "not-well-formed"),
        ("<?xml version='1.0' encoding='latin1'?>".to_owned(), "unsupported-encoding"),
        (format!("{}<!-- hello -->", header(DOMAIN)), "restricted-xml"),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>".to_owned(), "restricted-xml"),
        (format!("{}<iq id='&nbsp;'/>", header(DOMAIN)), "restricted-xml"),
        (format!("{}<message><body>&nbsp;</body></message>", header(DOMAIN)), "restricted-xml"),
        (format!("{}words", header(DOMAIN)), "bad-format"),
        ("GET / HTTP/1.1\r\n".to_owned(), "bad-format"),
    ] {
        let got = error_after(&house, &sent).await;
        assert_eq!(got, wanted, "{sent}");
    }
}

#[tokio::test]
async fn before_sign_in_there_are_no_stanzas() {
    let house = House::open().await;
    for stanza in [
        "<message to='juliet@corp.example'><body>x</body></message>",
        "<presence/>",
        "<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='set' id='x'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
    ] {
        assert_eq!(
            error_after(&house, &format!("{}{stanza}", header(DOMAIN))).await,
            "not-authorized",
            "{stanza}"
        );
    }
}

#[tokio::test]
async fn before_binding_there_are_no_stanzas_but_the_one_that_binds() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    raw.sign_in("romeo").await;
    raw.send("<message to='juliet@corp.example'><body>x</body></message>").await;
    assert_eq!(raw.stream_error().await, "not-authorized");
}

#[tokio::test]
async fn whoever_a_client_says_that_it_is_it_is_who_signed_in() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "n").await;
    // poezio names its address in the room when it whispers.
    for from in
        ["juliet@corp.example", "romeo@corp.example/other", "corp.example", "den@conference.corp.example/r"]
    {
        romeo.send(&format!("<message from='{from}' to='nurse@{DOMAIN}'><body>x</body></message>")).await;
        assert_eq!(nurse.next().await.attr("from"), Some("romeo@corp.example/a"), "{from}");
    }
    romeo.send("<presence from='romeo@corp.example/a'/><presence from='romeo@corp.example'/>").await;
    romeo.settle().await;
}

#[tokio::test]
async fn what_is_too_large_ends_the_stream() {
    let house = House::with(&[("LIMITS_STANZA_BYTES", "10000")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let words = "x".repeat(11_000);
    romeo.send(&format!("<message to='nurse@{DOMAIN}'><body>{words}</body></message>")).await;
    assert_eq!(romeo.raw().stream_error().await, "policy-violation");
}

#[tokio::test]
async fn after_too_many_failures_the_stream_ends() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    raw.open().await;
    let wrong = STANDARD.encode("\0romeo\0wrong");
    let mut failures = 0;
    loop {
        raw.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>"))
            .await;
        let answer = raw.next().await;
        assert_eq!(answer.name(), "failure");
        assert!(answer.get_child("not-authorized", "urn:ietf:params:xml:ns:xmpp-sasl").is_some());
        failures += 1;
        if failures == 5 {
            break;
        }
    }
    assert_eq!(raw.stream_error().await, "policy-violation");
}

#[tokio::test]
async fn who_takes_too_long_to_sign_in_is_disconnected() {
    let house = House::with(&[("LIMITS_PREAUTH_SECONDS", "1")]).await;
    let mut raw = house.raw().await;
    raw.open().await;
    assert_eq!(raw.stream_error().await, "connection-timeout");
    let mut silent = house.raw().await;
    assert_eq!(silent.stream_error().await, "connection-timeout");
}

#[tokio::test]
async fn who_sends_too_much_before_sign_in_is_disconnected() {
    let house = House::with(&[("LIMITS_PREAUTH_BYTES", "20000")]).await;
    let mut raw = house.raw().await;
    raw.open().await;
    let wrong = STANDARD.encode(format!("\0romeo\0{}", "x".repeat(3_000)));
    let auth = format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{wrong}</auth>");
    for _ in 0..6 {
        raw.send(&auth).await;
    }
    assert_eq!(raw.stream_error().await, "policy-violation");
}

#[tokio::test]
async fn an_element_that_is_no_stanza_ends_the_stream() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send("<letter/>").await;
    assert_eq!(romeo.raw().stream_error().await, "unsupported-stanza-type");
    let mut romeo = house.online("romeo", "a").await;
    romeo.send("<thing xmlns='urn:example:thing'/>").await;
    assert_eq!(romeo.raw().stream_error().await, "unsupported-stanza-type");
}

#[tokio::test]
async fn a_goodbye_is_answered_with_a_goodbye() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    raw.open().await;
    raw.send("</stream:stream>").await;
    assert!(raw.try_next().await.is_none());
    let romeo = house.online("romeo", "a").await;
    romeo.close().await;
}

#[tokio::test]
async fn a_server_that_stops_says_so_and_keeps_what_was_not_delivered() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let waiting = tokio::spawn(async move { romeo.raw().stream_error().await });
    tokio::time::timeout(std::time::Duration::from_secs(5), house.server.shutdown())
        .await
        .expect("it stops promptly");
    assert_eq!(waiting.await.unwrap(), "system-shutdown");
}

fn names(features: &Element) -> Vec<String> {
    features.children().map(|feature| feature.name().to_owned()).collect()
}

#[tokio::test]
async fn features_say_what_can_be_done_at_each_stage() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    let before = raw.open().await;
    for wanted in ["starttls", "mechanisms", "authentication", "c"] {
        assert!(names(&before).iter().any(|name| name == wanted), "{wanted}");
    }
    assert!(before.has_child("register", "urn:xmpp:invite"));
    assert!(!before.has_child("register", "http://jabber.org/features/iq-register"));
    let mut raw = house.raw().await;
    raw.open().await;
    let plain = STANDARD.encode("\0romeo\0wherefore");
    raw.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"))
        .await;
    raw.next().await;
    let after = raw.open().await;
    for wanted in ["bind", "sm", "csi", "ver", "sub", "c"] {
        assert!(names(&after).iter().any(|name| name == wanted), "{wanted}");
    }
}

async fn bind(raw: &mut Raw, payload: &str) -> Element {
    raw.send(&format!("<iq type='set' id='b'>{payload}</iq>")).await;
    raw.next().await
}

#[tokio::test]
async fn a_resource_is_what_was_asked_for_or_made_up() {
    let house = House::open().await;
    for (asked, wanted) in [
        ("<resource>balcony</resource>", Some("romeo@corp.example/balcony")),
        ("", None),
        ("<resource/>", None),
    ] {
        let mut raw = house.raw().await;
        raw.sign_in("romeo").await;
        let bound =
            bind(&mut raw, &format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{asked}</bind>")).await;
        let bind = bound.get_child("bind", "urn:ietf:params:xml:ns:xmpp-bind").unwrap();
        let jid = bind.children().next().unwrap().text();
        match wanted {
            Some(wanted) => assert_eq!(jid, wanted),
            None => assert!(jid.len() > "romeo@corp.example/".len() + 10, "{jid}"),
        }
    }
    let mut raw = house.raw().await;
    raw.sign_in("romeo").await;
    let long = "x".repeat(1_024);
    let refused = bind(
        &mut raw,
        &format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{long}</resource></bind>"),
    )
    .await;
    assert_eq!(crate::client::condition(&refused), "bad-request");
}

#[tokio::test]
async fn in_one_step_a_client_signs_in_binds_and_begins() {
    let house = House::open().await;
    let mut raw = house.raw().await;
    raw.open().await;
    let plain = STANDARD.encode("\0romeo\0wherefore");
    raw.send(&format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>{plain}</initial-response>\
         <user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'><software>Test</software></user-agent>\
         <bind xmlns='urn:xmpp:bind:0'><tag>Test</tag><enable xmlns='urn:xmpp:carbons:2'/>\
         <enable xmlns='urn:xmpp:sm:3' resume='true'/></bind></authenticate>"
    ))
    .await;
    let success = raw.next().await;
    assert_eq!(success.name(), "success", "{}", String::from(&success));
    let bound = success.get_child("bound", "urn:xmpp:bind:0").unwrap();
    assert!(bound.get_child("enabled", "urn:xmpp:sm:3").unwrap().attr("id").is_some());
    let jid = success.get_child("authorization-identifier", "urn:xmpp:sasl:2").unwrap().text();
    assert!(jid.starts_with("romeo@corp.example/Test."), "{jid}");
    assert_eq!(raw.next().await.name(), "features");
}
