//! Presence: RFC 6121 §4.

use minidom::Element;

use crate::client::{child, condition, presences};
use crate::house::{DOMAIN, House};

#[tokio::test]
async fn initial_presence_reaches_subscribers_and_brings_theirs() {
    let house = House::open().await;
    let (_romeo, juliet) = house.friends("romeo", "juliet").await;
    juliet.close().await;
    let mut juliet = house.bind("juliet", "c").await;
    juliet.send("<presence><show>dnd</show></presence>").await;
    let seen = presences(&juliet.settle().await);
    assert_eq!(seen, [format!("juliet@{DOMAIN}/c available"), format!("romeo@{DOMAIN}/a available")]);
}

#[tokio::test]
async fn an_update_reaches_subscribers_and_the_other_own_resources() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut phone = house.online("romeo", "phone").await;
    romeo.settle().await;
    juliet.settle().await;
    romeo.send("<presence><show>away</show><status>tea</status><priority>3</priority></presence>").await;
    romeo.settle().await;
    for client in [&mut juliet, &mut phone] {
        let update = client.find(|element| element.name() == "presence").await;
        assert_eq!(update.attr("from"), Some(romeo.jid()));
        assert_eq!(update.attr("to"), Some(client.bare().as_str()));
        assert_eq!(child(&update, "status", "jabber:client").text(), "tea");
    }
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(presences(&nurse.settle().await), [""; 0], "strangers see nothing");
}

#[tokio::test]
async fn leaving_is_told_with_its_words_and_once() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo.send("<presence type='unavailable'><status>adieu</status></presence>").await;
    romeo.settle().await;
    let got = juliet.settle().await;
    assert_eq!(presences(&got), [format!("romeo@{DOMAIN}/a unavailable")]);
    assert_eq!(child(&got[0], "status", "jabber:client").text(), "adieu");
    romeo.close().await;
    assert_eq!(presences(&juliet.settle().await), [""; 0], "who has left does not leave again");
}

#[tokio::test]
async fn a_lost_connection_leaves_in_the_clients_name() {
    let house = House::open().await;
    let (romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo.lose();
    let left = juliet.find(|element| element.name() == "presence").await;
    assert_eq!((left.attr("type"), left.attr("from")), (Some("unavailable"), Some("romeo@corp.example/a")));
}

#[tokio::test]
async fn a_probe_is_answered_to_who_may_see() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo.send("<presence><show>xa</show></presence>").await;
    romeo.settle().await;
    juliet.settle().await;
    juliet.send(&format!("<presence type='probe' to='romeo@{DOMAIN}'/>")).await;
    let got = juliet.settle().await;
    assert_eq!(presences(&got), [format!("romeo@{DOMAIN}/a available")]);
    assert_eq!(child(&got[0], "show", "jabber:client").text(), "xa");
    let mut nurse = house.online("nurse", "a").await;
    for asked in ["romeo", "nobody"] {
        nurse.send(&format!("<presence type='probe' to='{asked}@{DOMAIN}/a'/>")).await;
        assert_eq!(presences(&nurse.settle().await), [format!("{asked}@{DOMAIN} unsubscribed")]);
    }
}

#[tokio::test]
async fn directed_presence_reaches_a_stranger_who_later_sees_the_end() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    romeo.send(&format!("<presence to='nurse@{DOMAIN}'><status>psst</status></presence>")).await;
    romeo.settle().await;
    assert_eq!(presences(&nurse.settle().await), [format!("romeo@{DOMAIN}/a available")]);
    // Broadcasts are not for strangers, the end is.
    romeo.send("<presence><show>away</show></presence>").await;
    romeo.settle().await;
    assert_eq!(presences(&nurse.settle().await), [""; 0]);
    romeo.lose();
    let left = nurse.find(|element| element.name() == "presence").await;
    assert_eq!((left.attr("type"), left.attr("from")), (Some("unavailable"), Some("romeo@corp.example/a")));
}

#[tokio::test]
async fn who_was_told_of_the_end_already_is_not_told_again() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    let to = nurse.jid().to_owned();
    romeo.send(&format!("<presence to='{to}'/><presence to='{to}' type='unavailable'/>")).await;
    romeo.settle().await;
    let mut seen = presences(&nurse.settle().await);
    seen.sort();
    assert_eq!(seen, [format!("romeo@{DOMAIN}/a available"), format!("romeo@{DOMAIN}/a unavailable")]);
    romeo.close().await;
    assert_eq!(presences(&nurse.settle().await), [""; 0]);
}

#[tokio::test]
async fn presence_for_a_resource_that_is_not_there_goes_nowhere() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in [format!("nurse@{DOMAIN}/x"), format!("nurse@{DOMAIN}"), format!("mercutio@{DOMAIN}")] {
        romeo.send(&format!("<presence to='{to}'/>")).await;
        let got = romeo.settle().await;
        assert!(got.is_empty(), "{to}: {got:?}");
    }
}

#[tokio::test]
async fn a_priority_that_is_no_small_number_is_refused() {
    let house = House::open().await;
    let mut romeo = house.bind("romeo", "a").await;
    for priority in ["128", "-129", "high"] {
        romeo.send(&format!("<presence id='p'><priority>{priority}</priority></presence>")).await;
        let answer = romeo.find(|element: &Element| element.attr("id") == Some("p")).await;
        assert_eq!(condition(&answer), "bad-request", "{priority}");
    }
}

#[tokio::test]
async fn an_unknown_presence_type_is_refused() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send("<presence id='p' type='sleepy'/>").await;
    let answer = romeo.find(|element: &Element| element.attr("id") == Some("p")).await;
    assert_eq!(condition(&answer), "bad-request");
}

#[tokio::test]
async fn a_second_session_of_a_resource_replaces_the_first() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut again = house.online("romeo", "a").await;
    assert_eq!(romeo.raw().stream_error().await, "conflict");
    let seen = presences(&juliet.settle().await);
    assert_eq!(seen, [format!("romeo@{DOMAIN}/a available"), format!("romeo@{DOMAIN}/a unavailable")]);
    again.settle().await;
}
