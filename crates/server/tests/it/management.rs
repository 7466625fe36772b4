//! Stream management (XEP-0198) and client state (XEP-0352).

use minidom::Element;

use crate::client::{Client, Raw, bodies, body, presences};
use crate::house::{DOMAIN, House, jid};

const SM: &str = "urn:xmpp:sm:3";

async fn enable(client: &mut Client) -> String {
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = client.find(|element| element.is("enabled", SM)).await;
    assert_eq!(enabled.attr("resume"), Some("true"));
    enabled.attr("id").unwrap().to_owned()
}

/// Asks how many stanzas the server has handled.
async fn handled(client: &mut Client) -> u32 {
    client.send("<r xmlns='urn:xmpp:sm:3'/>").await;
    client.find(|element| element.is("a", SM)).await.attr("h").unwrap().parse().unwrap()
}

async fn resume(house: &House, name: &str, id: &str, h: u32) -> (Raw, Element) {
    let mut raw = house.raw().await;
    raw.sign_in(name).await;
    raw.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{h}'/>")).await;
    let answer = raw.next().await;
    (raw, answer)
}

#[tokio::test]
async fn the_server_counts_what_it_has_handled() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enable(&mut romeo).await;
    assert_eq!(handled(&mut romeo).await, 0);
    romeo.settle().await;
    romeo.send("<presence/>").await;
    assert_eq!(handled(&mut romeo).await, 2);
}

#[tokio::test]
async fn what_is_acknowledged_is_in_the_archive() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enable(&mut romeo).await;
    for round in 1..=10 {
        let mut all = String::new();
        for number in 0..10 {
            all.push_str(&format!(
                "<message to='juliet@{DOMAIN}' type='chat'><body>{number}</body></message>"
            ));
        }
        romeo.send(&all).await;
        assert_eq!(handled(&mut romeo).await, round * 10);
        let query = archive::Query { limit: 200, ..Default::default() };
        let page = house.server.trail().history(&jid("romeo"), &query).await.unwrap();
        assert_eq!(page.items.len(), round as usize * 10);
    }
}

#[tokio::test]
async fn a_lost_session_comes_back_with_what_it_missed_and_nothing_twice() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let id = enable(&mut juliet).await;
    romeo.send(&format!("<message to='{}' type='chat'><body>one</body></message>", juliet.bare())).await;
    romeo.send(&format!("<message to='{}' type='chat'><body>two</body></message>", juliet.bare())).await;
    juliet.until(|element| body(element).as_deref() == Some("two")).await;
    let address = juliet.jid().to_owned();
    juliet.lose();
    romeo.send(&format!("<message to='{address}' type='chat'><body>three</body></message>")).await;
    let mut nurse = house.online("nurse", "a").await;
    romeo.flush_to(&mut nurse).await;
    // She has handled the first message alone.
    let (raw, resumed) = resume(&house, "juliet", &id, 1).await;
    assert_eq!((resumed.name(), resumed.attr("previd")), ("resumed", Some(id.as_str())));
    let mut juliet = Client::of(raw, &address);
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), ["two", "three"]);
    assert_eq!(presences(&romeo.settle().await), [""; 0], "nobody noticed");
    // The session is the same: presence and counts go on.
    juliet.send("<presence><show>dnd</show></presence>").await;
    juliet.settle().await;
    assert_eq!(presences(&romeo.settle().await), [format!("{address} available")]);
}

#[tokio::test]
async fn resuming_takes_a_session_over_from_a_connection_that_still_stands() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let id = enable(&mut romeo).await;
    let (raw, resumed) = resume(&house, "romeo", &id, 0).await;
    assert_eq!(resumed.name(), "resumed");
    assert_eq!(romeo.raw().stream_error().await, "conflict");
    let mut romeo = Client::of(raw, "romeo@corp.example/a");
    romeo.settle().await;
}

#[tokio::test]
async fn who_comes_too_late_or_with_anothers_id_binds_anew() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let id = enable(&mut romeo).await;
    for (name, id) in [("juliet", id.as_str()), ("romeo", "no-such-session")] {
        let (mut raw, failed) = resume(&house, name, id, 0).await;
        assert_eq!(failed.name(), "failed");
        assert!(failed.get_child("item-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas").is_some());
        raw.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>").await;
        assert_eq!(raw.next().await.attr("type"), Some("result"));
    }
    romeo.settle().await;
}

#[tokio::test]
async fn a_session_that_ended_in_good_order_is_not_resumed() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let id = enable(&mut romeo).await;
    romeo.close().await;
    let (_, failed) = resume(&house, "romeo", &id, 0).await;
    assert_eq!(failed.name(), "failed");
}

#[tokio::test]
async fn after_the_wait_a_lost_session_is_gone_and_its_presence_with_it() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "1")]).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let id = enable(&mut juliet).await;
    juliet.lose();
    let left = romeo.find(|element| element.name() == "presence").await;
    assert_eq!(left.attr("type"), Some("unavailable"));
    let (_, failed) = resume(&house, "juliet", &id, 0).await;
    assert_eq!(failed.name(), "failed");
}

#[tokio::test]
async fn who_acknowledges_what_was_never_sent_is_out() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enable(&mut romeo).await;
    romeo.send("<a xmlns='urn:xmpp:sm:3' h='77'/>").await;
    assert_eq!(romeo.raw().stream_error().await, "undefined-condition");
}

#[tokio::test]
async fn enabling_twice_or_before_there_is_a_session_fails() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enable(&mut romeo).await;
    romeo.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    romeo.find(|element| element.is("failed", SM)).await;
    let mut raw = house.raw().await;
    raw.sign_in("romeo").await;
    raw.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
    assert_eq!(raw.next().await.name(), "failed");
}

#[tokio::test]
async fn the_server_asks_for_acknowledgement() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enable(&mut romeo).await;
    romeo.send(&format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
    romeo.find(|element| element.is("r", SM)).await;
}

#[tokio::test]
async fn an_inactive_client_is_spared_presence_but_not_messages() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let to = juliet.jid().to_owned();
    juliet.send("<inactive xmlns='urn:xmpp:csi:0'/>").await;
    juliet.settle().await;
    let typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
    romeo.send("<presence><show>away</show></presence><presence><show>xa</show></presence>").await;
    romeo.send(&format!("<message to='{to}' type='chat'>{typing}</message>")).await;
    romeo.settle().await;
    romeo.send(&format!("<message to='{to}' type='chat' id='m'><body>wake up</body></message>")).await;
    // What was held comes before what could not wait, and of a source only the latest presence.
    let got = juliet.until(|element| element.attr("id") == Some("m")).await;
    assert_eq!(presences(&got).len(), 1, "{got:?}");
    assert!(
        got.iter().any(|element| element
            .get_child("show", "jabber:client")
            .is_some_and(|show| show.text() == "xa"))
    );
    romeo.send("<presence/>").await;
    romeo.settle().await;
    juliet.send("<active xmlns='urn:xmpp:csi:0'/>").await;
    assert_eq!(presences(&juliet.settle().await).len(), 1, "active again, she gets the rest");
}
