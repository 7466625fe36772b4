//! Messages for people who are away (XEP-0160), with the note of their delay (XEP-0203).

use minidom::Element;

use crate::client::{bodies, child};
use crate::house::{DOMAIN, House};

const DELAY: &str = "urn:xmpp:delay";

#[tokio::test]
async fn what_came_while_away_comes_in_order_with_its_time_and_once() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for number in 0..5 {
        romeo
            .send(&format!(
                "<message to='juliet@{DOMAIN}' type='chat' id='{number}'><body>{number}</body></message>"
            ))
            .await;
    }
    romeo
        .send(&format!("<message to='{}' id='end'><body>end</body></message>", romeo.jid().to_owned()))
        .await;
    romeo.find(|element| element.attr("id") == Some("end")).await;
    let mut juliet = house.bind("juliet", "b").await;
    assert_eq!(bodies(&juliet.settle().await), [""; 0], "nothing before presence");
    juliet.send("<presence/>").await;
    let got = juliet.settle().await;
    assert_eq!(bodies(&got), ["0", "1", "2", "3", "4"]);
    for message in got.iter().filter(|element| element.name() == "message") {
        let delay = child(message, "delay", DELAY);
        assert_eq!(delay.attr("from"), Some(DOMAIN));
        assert!(delay.attr("stamp").unwrap().ends_with('Z'));
        let id = child(message, "stanza-id", "urn:xmpp:sid:0");
        assert_eq!(id.attr("by"), Some(format!("juliet@{DOMAIN}").as_str()));
    }
    juliet.close().await;
    let mut juliet = house.bind("juliet", "c").await;
    juliet.send("<presence/>").await;
    assert_eq!(bodies(&juliet.settle().await), [""; 0], "nothing twice");
}

#[tokio::test]
async fn what_says_nothing_does_not_wait() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo
        .send(&format!(
            "<message to='juliet@{DOMAIN}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/>\
             <no-store xmlns='urn:xmpp:hints'/></message>"
        ))
        .await;
    assert!(romeo.settle().await.is_empty(), "and does not come back either");
    let mut juliet = house.bind("juliet", "b").await;
    juliet.send("<presence/>").await;
    assert!(!juliet.settle().await.iter().any(|element| element.name() == "message"));
}

#[tokio::test]
async fn a_hint_not_to_store_keeps_no_words_from_waiting() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    romeo
        .send(&format!(
            "<message to='juliet@{DOMAIN}' type='chat'><body>hush</body><no-store xmlns='urn:xmpp:hints'/></message>"
        ))
        .await;
    romeo.flush_to(&mut nurse).await;
    let mut juliet = house.bind("juliet", "b").await;
    juliet.send("<presence/>").await;
    assert_eq!(bodies(&juliet.settle().await), ["hush"]);
}

#[tokio::test]
async fn a_note_of_delay_that_the_sender_forged_stays_the_senders() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    romeo
        .send(&format!(
            "<message to='juliet@{DOMAIN}' type='chat'><body>x</body>\
             <delay xmlns='urn:xmpp:delay' from='{DOMAIN}' stamp='1999-01-01T00:00:00Z'/></message>"
        ))
        .await;
    romeo.flush_to(&mut nurse).await;
    let mut juliet = house.bind("juliet", "b").await;
    juliet.send("<presence/>").await;
    let got = juliet.settle().await;
    let message = got.iter().find(|element| element.name() == "message").unwrap();
    let delays: Vec<&Element> = message.children().filter(|element| element.is("delay", DELAY)).collect();
    assert!(
        delays
            .iter()
            .all(|delay| delay.attr("from") != Some(DOMAIN)
                || !delay.attr("stamp").unwrap().starts_with("1999")),
        "nobody but the server speaks for the server"
    );
}

#[tokio::test]
async fn a_session_that_breaks_off_leaves_what_it_did_not_take_to_the_next() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "1")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    juliet.find(|element| element.name() == "enabled").await;
    let mut nurse = house.online("nurse", "a").await;
    juliet.lose();
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>lost?</body></message>")).await;
    romeo.flush_to(&mut nurse).await;
    let mut juliet = house.bind("juliet", "c").await;
    juliet.send("<presence/>").await;
    // Here already, or when the lost session is given up.
    juliet.find(|element| crate::client::body(element).as_deref() == Some("lost?")).await;
}

#[tokio::test]
async fn what_one_device_has_taken_does_not_wait_for_another_that_was_lost() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "1")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut desk = house.online("juliet", "desk").await;
    let mut phone = house.online("juliet", "phone").await;
    phone.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    phone.find(|element| element.name() == "enabled").await;
    phone.lose();
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>once</body></message>")).await;
    assert_eq!(bodies(&romeo.flush_to(&mut desk).await), ["once"]);
    // The lost device's session ends; nothing of it comes to the desk or to the next one.
    desk.find(|element| element.attr("type") == Some("unavailable")).await;
    let mut later = house.bind("juliet", "later").await;
    later.send("<presence/>").await;
    assert_eq!(bodies(&later.settle().await), [""; 0]);
    assert_eq!(bodies(&desk.settle().await), [""; 0]);
}

#[tokio::test]
async fn what_no_device_has_taken_waits_once_when_all_are_lost() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "1")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    for resource in ["desk", "phone"] {
        let mut device = house.online("juliet", resource).await;
        device.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
        device.find(|element| element.name() == "enabled").await;
        device.lose();
    }
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>once</body></message>")).await;
    romeo.flush_to(&mut nurse).await;
    let mut later = house.bind("juliet", "later").await;
    later.send("<presence/>").await;
    later.find(|element| crate::client::body(element).as_deref() == Some("once")).await;
    // Whatever of the lost sessions still stands ends now, before the server's own end.
    house.server.sign_out(&crate::house::jid("juliet")).await;
    let mut last = house.bind("juliet", "last").await;
    last.send("<presence/>").await;
    assert_eq!(bodies(&last.settle().await), [""; 0]);
}
