//! What is wrong with a stanza is said in a stanza error, and the stream goes on (RFC 6120 §8.3).

use crate::client::{Client, body, child, condition};
use crate::house::{DOMAIN, House};

/// Sends a stanza with the id `x` and returns the condition of what comes back.
async fn refused(client: &mut Client, stanza: &str) -> String {
    client.send(stanza).await;
    let answer = client.find(|element| element.attr("type") == Some("error")).await;
    condition(&answer).to_owned()
}

#[tokio::test]
async fn a_malformed_address_is_told_with_the_id_of_the_stanza() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for stanza in [
        "<message to='a@b@c' id='x'><body>x</body></message>",
        "<iq type='get' to='@corp.example' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<presence to='a b@corp.example' id='x'/>",
    ] {
        romeo.send(stanza).await;
        let answer = romeo.find(|element| element.attr("id") == Some("x")).await;
        assert_eq!(condition(&answer), "jid-malformed", "{stanza}");
    }
    romeo.settle().await;
}

#[tokio::test]
async fn an_iq_that_is_not_one_is_a_bad_request() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for stanza in [
        "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='ask' id='x'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='get' id='x'/>",
        "<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/></iq>",
    ] {
        assert_eq!(refused(&mut romeo, stanza).await, "bad-request", "{stanza}");
    }
}

#[tokio::test]
async fn an_unknown_namespace_is_an_unavailable_service() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in ["", DOMAIN, "romeo@corp.example"] {
        for type_ in ["get", "set"] {
            let answer = romeo.ask(type_, to, "<query xmlns='urn:example:unknown'/>").await;
            assert_eq!(condition(&answer), "service-unavailable", "{type_} {to}");
            assert_eq!(answer.attr("to"), Some(romeo.jid()));
        }
    }
}

#[tokio::test]
async fn answers_and_errors_for_nobody_are_not_answered() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for stanza in [
        "<iq type='result' id='r' to='juliet@corp.example/x'/>",
        "<iq type='error' id='r' to='corp.example'><error type='cancel'/></iq>",
        "<iq type='result' id='r'/>",
        "<message type='error' to='nobody@corp.example'><error type='cancel'/></message>",
        "<presence type='error' to='nobody@corp.example'><error type='cancel'/></presence>",
    ] {
        romeo.send(stanza).await;
        let got = romeo.settle().await;
        assert!(got.is_empty(), "{stanza}: {got:?}");
    }
}

#[tokio::test]
async fn an_error_says_where_it_is_from_and_keeps_the_id() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send(&format!("<message to='nobody@{DOMAIN}' id='m1' type='chat'><body>x</body></message>")).await;
    let error = romeo.find(|element| element.attr("id") == Some("m1")).await;
    assert_eq!(error.attr("from"), Some("nobody@corp.example"));
    assert_eq!(child(&error, "error", "jabber:client").attr("type"), Some("cancel"));
    assert_eq!(body(&error), None, "the words are not repeated");
}

#[tokio::test]
async fn content_that_only_its_reader_can_read_is_refused_with_words() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    for content in [
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/></encrypted>",
        "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/></encrypted>",
        "<openpgp xmlns='urn:xmpp:openpgp:0'>AAAA</openpgp>",
        "<x xmlns='jabber:x:encrypted'>AAAA</x>",
    ] {
        romeo
            .send(&format!(
                "<message to='{}' type='chat' id='m'>{content}<body>I sent you an OMEMO message</body></message>",
                juliet.bare()
            ))
            .await;
        let error = romeo.find(|element| element.attr("id") == Some("m")).await;
        assert_eq!(condition(&error), "policy-violation", "{content}");
        let error = child(&error, "error", "jabber:client");
        assert!(child(error, "text", "urn:ietf:params:xml:ns:xmpp-stanzas").text().contains("end-to-end"));
    }
    assert!(!romeo.flush_to(&mut juliet).await.iter().any(|element| element.name() == "message"));
}

#[tokio::test]
async fn the_company_may_allow_what_it_cannot_read() {
    let house = House::with(&[("POLICY_ENCRYPTED_MESSAGES", "allow")]).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo
        .send(&format!(
            "<message to='{}' type='chat'><encrypted xmlns='urn:xmpp:omemo:2'/><body>o</body></message>",
            juliet.bare()
        ))
        .await;
    let got = romeo.flush_to(&mut juliet).await;
    assert!(got.iter().any(|message| message.get_child("encrypted", "urn:xmpp:omemo:2").is_some()));
}
