//! What outlives a restart of the server.

use crate::client::{Client, bodies, child, presences};
use crate::house::{DOMAIN, House};

#[tokio::test]
async fn contacts_messages_and_history_outlive_a_restart() {
    let house = House::open().await;
    let (mut romeo, juliet) = house.friends("romeo", "juliet").await;
    juliet.close().await;
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>anon</body></message>")).await;
    let mut nurse = house.online("nurse", "a").await;
    romeo.flush_to(&mut nurse).await;
    drop((romeo, nurse));
    let house = house.restart().await;
    let _romeo = house.online("romeo", "a").await;
    let mut juliet = house.bind("juliet", "b").await;
    juliet.send("<presence/>").await;
    let got = juliet.settle().await;
    assert_eq!(bodies(&got), ["anon"]);
    assert_eq!(presences(&got), ["juliet@corp.example/b available", "romeo@corp.example/a available"]);
    let query = archive::Query { limit: 10, ..Default::default() };
    let page = house.server.trail().history(&crate::house::jid("romeo"), &query).await.unwrap();
    assert_eq!(page.items.len(), 1);
}

#[tokio::test]
async fn a_session_is_resumed_after_a_restart_and_misses_nothing() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    juliet.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    let enabled = juliet.find(|element| element.name() == "enabled").await;
    let id = enabled.attr("id").unwrap().to_owned();
    romeo.send(&format!("<message to='{}' type='chat'><body>one</body></message>", juliet.bare())).await;
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), ["one"]);
    juliet.lose();
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'><body>two</body></message>")).await;
    let mut nurse = house.online("nurse", "a").await;
    romeo.flush_to(&mut nurse).await;
    let house = house.restart().await;
    let mut raw = house.raw().await;
    raw.sign_in("juliet").await;
    raw.send(&format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='1'/>")).await;
    assert_eq!(raw.next().await.name(), "resumed");
    let mut juliet = Client::of(raw, "juliet@corp.example/b");
    let got = juliet.settle().await;
    assert_eq!(bodies(&got), ["two"]);
    let two = got.iter().find(|element| !bodies(std::slice::from_ref(element)).is_empty()).unwrap();
    child(two, "stanza-id", "urn:xmpp:sid:0");
}

#[tokio::test]
async fn an_id_of_the_archive_names_the_same_message_after_a_restart() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send("<message to='romeo@corp.example' type='chat'><body>note</body></message>").await;
    let note = romeo.find(|element| element.name() == "message").await;
    let id = child(&note, "stanza-id", "urn:xmpp:sid:0").attr("id").unwrap().to_owned();
    drop(romeo);
    let house = house.restart().await;
    let sequence = house.server.trail().sequence(&id).expect("a known id");
    let query = archive::Query { ids: Some(vec![sequence]), limit: 1, ..Default::default() };
    let page = house.server.trail().history(&crate::house::jid("romeo"), &query).await.unwrap();
    assert_eq!(page.items.len(), 1);
}
