//! Message carbons: XEP-0280.

use minidom::Element;

use crate::client::{Client, body, child};
use crate::house::{DOMAIN, House};

const CARBONS: &str = "urn:xmpp:carbons:2";
const FORWARD: &str = "urn:xmpp:forward:0";
const SID: &str = "urn:xmpp:sid:0";

async fn enable(client: &mut Client) {
    let answer = client.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>").await;
    assert_eq!(answer.attr("type"), Some("result"));
}

/// Each carbon as `sent body` or `received body`.
fn carbons(elements: &[Element]) -> Vec<String> {
    let carbon = |message: &Element| {
        let wrapper = message.children().find(|child| child.has_ns(CARBONS))?.clone();
        let copy = child(child(&wrapper, "forwarded", FORWARD), "message", "jabber:client");
        Some(format!("{} {}", wrapper.name(), body(copy).unwrap_or_default()))
    };
    elements.iter().filter_map(carbon).collect()
}

#[tokio::test]
async fn the_senders_and_the_recipients_other_devices_see_it() {
    let house = House::open().await;
    let mut desk = house.online("romeo", "desk").await;
    let mut phone = house.online("romeo", "phone").await;
    let mut plain = house.online("romeo", "plain").await;
    let mut juliet = house.online("juliet", "a").await;
    let mut tablet = house.online("juliet", "tablet").await;
    for client in [&mut desk, &mut phone, &mut juliet, &mut tablet] {
        enable(client).await;
    }
    desk.send(&format!("<message to='{}' type='chat' id='m'><body>art thou</body></message>", juliet.jid()))
        .await;
    let direct = juliet.find(|element| element.name() == "message").await;
    assert_eq!(body(&direct).as_deref(), Some("art thou"));
    let sent = phone.find(|element| element.name() == "message").await;
    assert_eq!(carbons(std::slice::from_ref(&sent)), ["sent art thou"]);
    assert_eq!(
        (sent.attr("from"), sent.attr("to")),
        (Some("romeo@corp.example"), Some("romeo@corp.example/phone"))
    );
    let received = tablet.find(|element| element.name() == "message").await;
    assert_eq!(carbons(std::slice::from_ref(&received)), ["received art thou"]);
    // The copy has the id under which each of them finds it in the archive.
    for (carbon, owner) in [(&sent, "romeo@corp.example"), (&received, "juliet@corp.example")] {
        let wrapper = carbon.children().next().unwrap();
        let copy = child(child(wrapper, "forwarded", FORWARD), "message", "jabber:client");
        assert_eq!(child(copy, "stanza-id", SID).attr("by"), Some(owner));
    }
    let got = desk.flush_to(&mut plain).await;
    assert!(!got.iter().any(|element| element.name() == "message"), "who did not ask gets none");
    assert_eq!(carbons(&desk.settle().await), [""; 0], "nor does the sender");
}

#[tokio::test]
async fn switched_off_again_they_end() {
    let house = House::open().await;
    let mut phone = house.online("romeo", "phone").await;
    let mut desk = house.online("romeo", "desk").await;
    enable(&mut phone).await;
    phone.ask("set", "", "<disable xmlns='urn:xmpp:carbons:2'/>").await;
    desk.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>x</body></message>")).await;
    assert_eq!(carbons(&desk.flush_to(&mut phone).await), [""; 0]);
}

#[tokio::test]
async fn conversation_is_copied_and_the_rest_is_not() {
    let house = House::open().await;
    let mut desk = house.online("romeo", "desk").await;
    let mut phone = house.online("romeo", "phone").await;
    let _juliet = house.online("juliet", "a").await;
    enable(&mut phone).await;
    let to = format!("to='juliet@{DOMAIN}'");
    for (message, copied) in [
        (format!("<message {to} type='chat'><body>chat</body></message>"), vec!["sent chat"]),
        (format!("<message {to}><body>normal</body></message>"), vec!["sent normal"]),
        (
            format!(
                "<message {to} type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
            ),
            vec!["sent "],
        ),
        (format!("<message {to}><received xmlns='urn:xmpp:receipts' id='1'/></message>"), vec!["sent "]),
        (
            format!("<message {to}><displayed xmlns='urn:xmpp:chat-markers:0' id='1'/></message>"),
            vec!["sent "],
        ),
        (format!("<message {to}><subject>no body</subject></message>"), vec![]),
        (format!("<message {to} type='headline'><body>news</body></message>"), vec![]),
        (
            format!(
                "<message {to} type='chat'><body>p</body><private xmlns='urn:xmpp:carbons:2'/></message>"
            ),
            vec![],
        ),
        (
            format!("<message {to} type='chat'><body>n</body><no-copy xmlns='urn:xmpp:hints'/></message>"),
            vec![],
        ),
    ] {
        desk.send(&message).await;
        assert_eq!(carbons(&desk.flush_to(&mut phone).await), copied, "{message}");
    }
}

#[tokio::test]
async fn one_of_negative_priority_sees_the_conversation_by_copies() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut _juliet = house.online("juliet", "a").await;
    let mut robot = house.bind("juliet", "robot").await;
    enable(&mut robot).await;
    robot.send("<presence><priority>-1</priority></presence>").await;
    robot.settle().await;
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>x</body></message>")).await;
    assert_eq!(carbons(&romeo.flush_to(&mut robot).await), ["received x"]);
}

#[tokio::test]
async fn who_asked_for_copies_gets_them_without_presence() {
    let house = House::open().await;
    let mut desk = house.online("romeo", "desk").await;
    let mut phone = house.bind("romeo", "phone").await;
    enable(&mut phone).await;
    desk.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>x</body></message>")).await;
    assert_eq!(carbons(&desk.flush_to(&mut phone).await), ["sent x"]);
}

#[tokio::test]
async fn a_forged_copy_is_just_a_message_from_its_sender() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    enable(&mut juliet).await;
    romeo
        .send(&format!(
            "<message to='{}' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client' from='nurse@{DOMAIN}'><body>forged</body></message></forwarded></received>\
             </message>",
            juliet.jid()
        ))
        .await;
    let got = romeo.flush_to(&mut juliet).await;
    assert!(got.iter().all(|message| message.attr("from") == Some(romeo.jid())));
}
