//! Rooms across a restart of the server: who resumes their session is in as before (XEP-0198 §5), who does not has left.

use minidom::Element;

use crate::client::{Client, bodies, condition};
use crate::house::House;
use crate::rooms::{ROOM, codes, configure, enter, hear, open, pair, presence_of, say};

/// Lets a client's session be found again after its connection is lost; returns its id.
async fn enable(client: &mut Client) -> String {
    client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = client.find(|element| element.name() == "enabled").await;
    enabled.attr("id").unwrap().to_owned()
}

/// Comes back to a session; what the client has not counted comes again.
async fn resume(house: &House, name: &str, jid: &str, id: &str) -> Client {
    let mut raw = house.raw().await;
    raw.sign_in(name).await;
    raw.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")).await;
    let answer = raw.next().await;
    assert_eq!(answer.name(), "resumed", "{}", String::from(&answer));
    Client::of(raw, jid)
}

/// Asks whether a client is still in (XEP-0410).
async fn ping(client: &mut Client, nick: &str) -> Element {
    client.ask("get", &format!("{ROOM}/{nick}"), "<ping xmlns='urn:xmpp:ping'/>").await
}

#[tokio::test]
async fn who_resumes_after_a_restart_is_in_the_room_and_hears_who_is_not() {
    let house = House::open().await;
    let (romeo, mut juliet) = pair(&house, &[("persistentroom", "1")]).await;
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    presence_of(&mut juliet, "Nurse").await;
    let juliets = enable(&mut juliet).await;
    let nurses = enable(&mut nurse).await;
    say(&mut nurse, "before").await;
    hear(&mut juliet, "before").await;
    // One has lost her connection, the other is cut off by the stop.
    juliet.lose();

    let house = house.restart().await;
    drop((romeo, nurse));
    let mut juliet = resume(&house, "juliet", "juliet@corp.example/b", &juliets).await;
    assert_eq!(ping(&mut juliet, "Juliet").await.attr("type"), Some("result"));
    let mut nurse = resume(&house, "nurse", "nurse@corp.example/c", &nurses).await;
    let gone = presence_of(&mut nurse, "Romeo").await;
    assert_eq!(gone.attr("type"), Some("unavailable"), "his session could not be resumed");
    say(&mut nurse, "after").await;
    assert_eq!(bodies(&hear(&mut juliet, "after").await).last().map(String::as_str), Some("after"));

    let mut romeo = house.online("romeo", "a").await;
    let got = enter(&mut romeo, ROOM, "Romeo").await;
    let seen: Vec<_> = got.iter().filter(|element| element.name() == "presence").map(codes).collect();
    assert_eq!(seen.len(), 3, "both are there, and himself");
    assert_eq!(bodies(&got), ["before", "after"]);
    juliet.send(&format!("<presence type='unavailable' to='{ROOM}/Juliet'/>")).await;
    assert_eq!(presence_of(&mut romeo, "Juliet").await.attr("type"), Some("unavailable"));

    let room = stanza::BareJid::new(ROOM).unwrap();
    let query = archive::Query { ledger: archive::Ledger::Happenings, ..Default::default() };
    let happened = house.server.trail().history(&room, &query).await.unwrap().items;
    let joins = happened.iter().filter(|item| {
        let xml = String::from_utf8_lossy(&item.stanza);
        item.from.as_str() == "nurse@corp.example/c"
            && xml.starts_with("<presence")
            && !xml.contains("unavailable")
    });
    assert_eq!(joins.count(), 2, "coming in again is on record");
}

#[tokio::test]
async fn who_does_not_come_back_in_time_leaves_the_room_too() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "2")]).await;
    let (mut romeo, mut juliet) = pair(&house, &[("persistentroom", "1")]).await;
    let romeos = enable(&mut romeo).await;
    enable(&mut juliet).await;
    let house = house.restart().await;
    drop(juliet);
    let mut romeo = resume(&house, "romeo", "romeo@corp.example/a", &romeos).await;
    let from = format!("{ROOM}/Juliet");
    let is_gone = |element: &Element| {
        element.attr("from") == Some(&from) && element.attr("type") == Some("unavailable")
    };
    romeo.find(is_gone).await;
    assert_eq!(ping(&mut romeo, "Romeo").await.attr("type"), Some("result"));
}

#[tokio::test]
async fn a_room_that_does_not_stay_sends_everybody_out_and_says_so_to_who_asks() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let id = enable(&mut romeo).await;
    open(&mut romeo, ROOM, "Romeo").await;
    configure(&mut romeo, ROOM, &[("persistentroom", "0")]).await;
    let house = house.restart().await;
    let mut romeo = resume(&house, "romeo", "romeo@corp.example/a", &id).await;
    let from = format!("{ROOM}/Romeo");
    let out = romeo
        .find(|element| element.attr("from") == Some(&from) && element.attr("type") == Some("unavailable"))
        .await;
    assert_eq!(codes(&out), ["110", "332"]);
    assert_eq!(condition(&ping(&mut romeo, "Romeo").await), "not-acceptable");
    enter(&mut romeo, ROOM, "Romeo").await;
    assert_eq!(ping(&mut romeo, "Romeo").await.attr("type"), Some("result"));
}
