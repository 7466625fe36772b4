//! Push notifications (XEP-0357).

use minidom::Element;

use crate::client::{Client, child, condition};
use crate::component::{GATEWAY, Gateway, house};
use crate::house::House;

const PUSH: &str = "urn:xmpp:push:0";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

/// Registers a device, and takes it away.
async fn register_and_leave(house: &House, resource: &str) {
    let mut phone = house.online("juliet", resource).await;
    let enable = format!(
        "<enable xmlns='{PUSH}' jid='{GATEWAY}' node='{resource}'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>{PUBSUB}#publish-options</value></field>\
         <field var='secret'><value>of the device</value></field></x></enable>"
    );
    assert_eq!(phone.ask("set", "", &enable).await.attr("type"), Some("result"));
    phone.close().await;
}

async fn say(romeo: &mut Client, words: &str) {
    romeo
        .send(&format!("<message type='chat' to='juliet@corp.example'><body>{words}</body></message>"))
        .await;
}

/// The next push and its number of messages. It is not answered.
async fn push(service: &mut Gateway) -> (Element, String) {
    let iq = service.find(|element| element.name() == "iq").await;
    let publish = child(child(&iq, "pubsub", PUBSUB), "publish", PUBSUB);
    let notification = child(child(publish, "item", PUBSUB), "notification", PUSH);
    let form = child(notification, "x", "jabber:x:data");
    let count = form.children().find(|field| field.attr("var") == Some("message-count"));
    let count = child(count.unwrap(), "value", "jabber:x:data").text();
    (iq, count)
}

async fn answer(service: &mut Gateway, iq: &Element, error: Option<(&str, &str)>) {
    let (id, to) = (iq.attr("id").unwrap(), iq.attr("from").unwrap());
    let (type_, error) = match error {
        None => ("result", String::new()),
        Some((type_, name)) => (
            "error",
            format!("<error type='{type_}'><{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"),
        ),
    };
    service.send(&format!("<iq type='{type_}' id='{id}' from='{GATEWAY}' to='{to}'>{error}</iq>")).await;
}

#[tokio::test]
async fn a_device_that_is_away_is_woken_with_a_number_and_not_a_word() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    register_and_leave(&house, "phone").await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "a secret").await;
    let (iq, count) = push(&mut service).await;
    assert_eq!(count, "1");
    assert_eq!((iq.attr("from"), iq.attr("type")), (Some("juliet@corp.example"), Some("set")));
    let pubsub = child(&iq, "pubsub", PUBSUB);
    assert_eq!(child(pubsub, "publish", PUBSUB).attr("node"), Some("phone"));
    assert!(String::from(child(pubsub, "publish-options", PUBSUB)).contains("of the device"));
    let xml = String::from(&iq);
    assert!(!xml.contains("a secret") && !xml.contains("romeo"), "{xml}");
}

#[tokio::test]
async fn one_push_is_under_way_and_the_next_tells_of_all_that_came_meanwhile() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    register_and_leave(&house, "phone").await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "one").await;
    let (first, _) = push(&mut service).await;
    for words in ["two", "three", "four"] {
        say(&mut romeo, words).await;
    }
    // Behind the last of them in the archive, so it tells when all are durable.
    let mut nurse = house.online("nurse", "a").await;
    romeo.flush_to(&mut nurse).await;
    answer(&mut service, &first, None).await;
    assert_eq!(push(&mut service).await.1, "4");
}

#[tokio::test]
async fn who_is_connected_needs_no_push_and_who_comes_back_counts_anew() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    register_and_leave(&house, "phone").await;
    register_and_leave(&house, "tablet").await;
    let mut phone = house.online("juliet", "phone").await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "one").await;
    phone.find(|element| element.name() == "message").await;
    let (iq, _) = push(&mut service).await;
    assert_eq!(child(child(&iq, "pubsub", PUBSUB), "publish", PUBSUB).attr("node"), Some("tablet"));
    answer(&mut service, &iq, None).await;
    phone.close().await;
    say(&mut romeo, "two").await;
    let mut counts = Vec::new();
    for _ in 0..2 {
        let (iq, count) = push(&mut service).await;
        let node = child(child(&iq, "pubsub", PUBSUB), "publish", PUBSUB).attr("node").unwrap().to_owned();
        counts.push((node, count));
    }
    counts.sort();
    assert_eq!(counts, [("phone".to_owned(), "1".to_owned()), ("tablet".to_owned(), "2".to_owned())]);
}

#[tokio::test]
async fn a_lost_session_that_can_be_resumed_is_woken_too() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    let mut phone = house.online("juliet", "phone").await;
    phone.ask("set", "", &format!("<enable xmlns='{PUSH}' jid='{GATEWAY}' node='n'/>")).await;
    phone.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    phone.find(|element| element.name() == "enabled").await;
    phone.lose();
    let mut romeo = house.online("romeo", "a").await;
    let mut number = 0;
    // The loss is noticed when it is noticed; what is said before that needs no push.
    loop {
        number += 1;
        say(&mut romeo, &format!("are you there? {number}")).await;
        romeo.settle().await;
        service
            .send(&format!(
                "<iq type='get' id='{number}' from='{GATEWAY}' to='corp.example'><ping xmlns='urn:xmpp:ping'/></iq>"
            ))
            .await;
        if service.find(|element| element.name() == "iq").await.attr("type") == Some("set") {
            break;
        }
    }
}

#[tokio::test]
async fn a_service_that_refuses_is_not_asked_again_and_one_that_is_busy_is() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    register_and_leave(&house, "phone").await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "one").await;
    let (busy, _) = push(&mut service).await;
    answer(&mut service, &busy, Some(("wait", "resource-constraint"))).await;
    service.settle().await;
    say(&mut romeo, "two").await;
    let (refused, count) = push(&mut service).await;
    assert_eq!(count, "2");
    answer(&mut service, &refused, Some(("cancel", "item-not-found"))).await;
    service.settle().await;
    // What is asked now comes before any push that the next message would bring.
    let house = house.restart().await;
    let mut service = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    say(&mut romeo, "three").await;
    romeo.flush_to(&mut nurse).await;
    service
        .send(&format!("<message from='x@{GATEWAY}' to='x@{GATEWAY}' id='fence'><body>x</body></message>"))
        .await;
    let next = service.find(|element| element.name() == "iq" || element.attr("id") == Some("fence")).await;
    assert_eq!(next.name(), "message", "{}", String::from(&next));
}

#[tokio::test]
async fn a_registration_outlives_a_restart_and_ends_when_it_is_disabled() {
    let house = house().await;
    register_and_leave(&house, "phone").await;
    let house = house.restart().await;
    let mut service = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "one").await;
    assert_eq!(push(&mut service).await.1, "1");

    let mut desk = house.online("juliet", "desk").await;
    let off = desk.ask("set", "", &format!("<disable xmlns='{PUSH}' jid='{GATEWAY}' node='phone'/>")).await;
    assert_eq!(off.attr("type"), Some("result"));
    let mut nurse = house.online("nurse", "a").await;
    say(&mut romeo, "two").await;
    romeo.flush_to(&mut nurse).await;
    service
        .send(&format!("<message from='x@{GATEWAY}' to='x@{GATEWAY}' id='fence'><body>x</body></message>"))
        .await;
    let next = service.find(|element| element.name() == "iq" || element.attr("id") == Some("fence")).await;
    assert_eq!(next.name(), "message");
}

#[tokio::test]
async fn a_wish_without_a_service_is_a_bad_request_and_the_account_says_what_it_can() {
    let house = house().await;
    let mut juliet = house.online("juliet", "a").await;
    for wish in
        ["<enable xmlns='urn:xmpp:push:0'/>", "<enable xmlns='urn:xmpp:push:0' jid='juliet@corp.example'/>"]
    {
        assert_eq!(condition(&juliet.ask("set", "", wish).await), "bad-request", "{wish}");
    }
    let info = juliet
        .ask("get", "juliet@corp.example", "<query xmlns='http://jabber.org/protocol/disco#info'/>")
        .await;
    assert!(String::from(&info).contains("urn:xmpp:push:0"));
}

/// XEP-0352: what is important is written at once to a client that nobody looks at, so it needs no push beside that.
#[tokio::test]
async fn an_inactive_client_gets_messages_at_once_and_is_woken_only_when_its_connection_is_lost() {
    let house = house().await;
    let mut service = Gateway::connect(&house).await;
    register_and_leave(&house, "phone").await;
    let mut phone = house.online("juliet", "phone").await;
    phone.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/><inactive xmlns='urn:xmpp:csi:0'/>").await;
    phone.find(|element| element.name() == "enabled").await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "now").await;
    phone.find(|element| element.name() == "message").await;
    service.settle().await;
    // It never said that it has got that, and is gone.
    phone.lose();
    let (iq, count) = push(&mut service).await;
    assert_eq!(
        (child(child(&iq, "pubsub", PUBSUB), "publish", PUBSUB).attr("node"), &*count),
        (Some("phone"), "1")
    );
}
