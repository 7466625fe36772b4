//! The blocking command: XEP-0191.

use minidom::Element;

use crate::client::{Client, bodies, child, condition, presences};
use crate::house::{DOMAIN, House};

const BLOCKING: &str = "urn:xmpp:blocking";

async fn list(client: &mut Client) -> Vec<String> {
    let answer = client.ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").await;
    jids(child(&answer, "blocklist", BLOCKING))
}

fn jids(list: &Element) -> Vec<String> {
    list.children().map(|item| item.attr("jid").unwrap().to_owned()).collect()
}

async fn change(client: &mut Client, name: &str, jids: &[&str]) -> Element {
    let items: String = jids.iter().map(|jid| format!("<item jid='{jid}'/>")).collect();
    client.ask("set", "", &format!("<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")).await
}

#[tokio::test]
async fn the_list_is_what_was_blocked_and_not_unblocked() {
    let house = House::open().await;
    let mut romeo = house.bind("romeo", "a").await;
    assert_eq!(list(&mut romeo).await, [""; 0]);
    change(&mut romeo, "block", &["tybalt@corp.example", "Spam.Example", "nurse@corp.example/phone"]).await;
    assert_eq!(list(&mut romeo).await, ["nurse@corp.example/phone", "spam.example", "tybalt@corp.example"]);
    change(&mut romeo, "unblock", &["spam.example"]).await;
    assert_eq!(list(&mut romeo).await, ["nurse@corp.example/phone", "tybalt@corp.example"]);
    house.server.sign_out(&crate::house::jid("romeo")).await;
    let mut romeo = house.bind("romeo", "a").await;
    assert_eq!(list(&mut romeo).await.len(), 2, "it is stored");
    change(&mut romeo, "unblock", &[]).await;
    assert_eq!(list(&mut romeo).await, [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_blocked_is_refused() {
    let house = House::open().await;
    let mut romeo = house.bind("romeo", "a").await;
    assert_eq!(condition(&change(&mut romeo, "block", &[]).await), "bad-request");
    assert_eq!(condition(&change(&mut romeo, "block", &["a@b@c"]).await), "jid-malformed");
    let answer = romeo.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item/></block>").await;
    assert_eq!(condition(&answer), "bad-request");
    let answer =
        romeo.ask("get", &format!("juliet@{DOMAIN}"), "<blocklist xmlns='urn:xmpp:blocking'/>").await;
    assert_eq!(condition(&answer), "forbidden");
}

#[tokio::test]
async fn changes_are_pushed_to_resources_that_have_the_list() {
    let house = House::open().await;
    let mut desk = house.bind("romeo", "desk").await;
    let mut phone = house.bind("romeo", "phone").await;
    let mut other = house.bind("romeo", "other").await;
    list(&mut desk).await;
    list(&mut phone).await;
    other.send("<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='a@b'/></block></iq>").await;
    assert!(!other.settle().await.iter().any(|element| element.attr("type") == Some("set")));
    for client in [&mut desk, &mut phone] {
        let push = client.find(|element| element.attr("type") == Some("set")).await;
        assert_eq!(jids(child(&push, "block", BLOCKING)), ["a@b"]);
    }
    other.send("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>").await;
    let push = desk.find(|element| element.attr("type") == Some("set")).await;
    assert_eq!(jids(child(&push, "unblock", BLOCKING)), [""; 0]);
}

#[tokio::test]
async fn who_is_blocked_learns_no_more_than_of_somebody_who_is_away() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    change(&mut juliet, "block", &[&romeo.bare()]).await;
    assert_eq!(presences(&romeo.settle().await), [format!("juliet@{DOMAIN}/b unavailable")]);
    // Nothing of hers reaches him, and nothing of his reaches her.
    juliet.settle().await;
    juliet.send("<presence><show>away</show></presence>").await;
    romeo.send("<presence><show>away</show></presence>").await;
    for to in [juliet.bare(), juliet.jid().to_owned()] {
        romeo.send(&format!("<message to='{to}' type='chat' id='m'><body>hey</body></message>")).await;
        let error = romeo.find(|element| element.attr("id") == Some("m")).await;
        assert_eq!(condition(&error), "service-unavailable");
        let answer = romeo.ask("get", &to, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
        assert_eq!(condition(&answer), "service-unavailable");
        romeo.send(&format!("<presence type='probe' to='{to}'/><presence to='{to}'/>")).await;
        assert_eq!(presences(&romeo.settle().await), [""; 0]);
    }
    let got = juliet.settle().await;
    assert!(bodies(&got).is_empty());
    assert_eq!(presences(&got), [format!("juliet@{DOMAIN}/b available")]);
    let (romeo_history, juliet_history) = (history(&house, "romeo").await, history(&house, "juliet").await);
    assert_eq!((romeo_history, juliet_history), (0, 0), "what was refused is no event");
}

async fn history(house: &House, name: &str) -> usize {
    let query = archive::Query { limit: 100, ..Default::default() };
    house.server.trail().history(&crate::house::jid(name), &query).await.unwrap().items.len()
}

#[tokio::test]
async fn who_blocks_cannot_write_to_whom_they_block() {
    let house = House::open().await;
    let (romeo, mut juliet) = house.friends("romeo", "juliet").await;
    change(&mut juliet, "block", &[DOMAIN]).await;
    juliet
        .send(&format!("<message to='{}' type='chat' id='m'><body>hey</body></message>", romeo.bare()))
        .await;
    let error = juliet.find(|element| element.attr("id") == Some("m")).await;
    assert_eq!(condition(&error), "not-acceptable");
    let error = child(&error, "error", "jabber:client");
    child(error, "blocked", "urn:xmpp:blocking:errors");
    // Her own devices are not strangers, although they are of the same domain.
    let own = juliet.jid().to_owned();
    juliet.send(&format!("<message to='{own}' id='own'><body>note</body></message>")).await;
    let note = juliet.find(|element| element.attr("id") == Some("own")).await;
    assert_ne!(note.attr("type"), Some("error"));
}

#[tokio::test]
async fn unblocking_shows_both_to_each_other_again() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    change(&mut juliet, "block", &[DOMAIN]).await;
    romeo.settle().await;
    romeo.send("<presence><show>xa</show></presence>").await;
    romeo.settle().await;
    juliet.settle().await;
    juliet.send("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'/></iq>").await;
    let got = juliet.settle().await;
    assert_eq!(presences(&got), [format!("romeo@{DOMAIN}/a available")]);
    let show = got.iter().find(|element| element.name() == "presence").unwrap();
    assert_eq!(child(show, "show", "jabber:client").text(), "xa");
    assert_eq!(presences(&romeo.settle().await), [format!("juliet@{DOMAIN}/b available")]);
    romeo.send(&format!("<message to='{}' type='chat'><body>again</body></message>", juliet.bare())).await;
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), ["again"]);
}

#[tokio::test]
async fn blocking_one_resource_leaves_the_others() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut phone = house.online("romeo", "phone").await;
    juliet.settle().await;
    let blocked = romeo.jid().to_owned();
    change(&mut juliet, "block", &[&blocked]).await;
    assert_eq!(presences(&romeo.settle().await)[1..], [format!("romeo@{DOMAIN}/phone available")]);
    assert_eq!(presences(&phone.settle().await), [""; 0]);
    juliet.send("<presence><show>chat</show></presence>").await;
    juliet.settle().await;
    assert_eq!(presences(&romeo.settle().await), [""; 0]);
    assert_eq!(presences(&phone.settle().await), [format!("juliet@{DOMAIN}/b available")]);
    romeo.send(&format!("<message to='{}' type='chat' id='m'><body>a</body></message>", juliet.bare())).await;
    phone.send(&format!("<message to='{}' type='chat'><body>b</body></message>", juliet.bare())).await;
    assert_eq!(
        condition(&romeo.find(|element| element.attr("id") == Some("m")).await),
        "service-unavailable"
    );
    assert_eq!(bodies(&phone.flush_to(&mut juliet).await), ["b"]);
}

#[tokio::test]
async fn a_request_from_somebody_blocked_is_not_heard() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    change(&mut juliet, "block", &[&romeo.bare()]).await;
    romeo.send(&format!("<presence type='subscribe' to='{}'/>", juliet.bare())).await;
    assert_eq!(presences(&romeo.settle().await), [""; 0]);
    assert_eq!(presences(&juliet.settle().await), [""; 0]);
}

#[tokio::test]
async fn a_stranger_who_was_shown_presence_sees_it_end_when_blocked() {
    let house = House::open().await;
    let mut juliet = house.online("juliet", "b").await;
    let mut desk = house.online("nurse", "desk").await;
    let mut phone = house.online("nurse", "phone").await;
    desk.settle().await;
    juliet.send(&format!("<presence to='{}'/>", desk.jid())).await;
    juliet.settle().await;
    assert_eq!(presences(&desk.settle().await), ["juliet@corp.example/b available"]);
    change(&mut juliet, "block", &["nurse@corp.example"]).await;
    assert_eq!(presences(&desk.settle().await), ["juliet@corp.example/b unavailable"]);
    assert_eq!(presences(&phone.settle().await), [""; 0]);
    juliet.close().await;
    assert_eq!(presences(&desk.settle().await), [""; 0]);
}
