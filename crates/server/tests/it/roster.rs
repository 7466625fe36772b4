//! Rosters: RFC 6121 §2.

use minidom::Element;

use crate::client::{Client, child, condition};
use crate::house::{DOMAIN, House};

const ROSTER: &str = "jabber:iq:roster";

/// Items as `jid name subscription groups`, in the order of arrival.
fn items(query: &Element) -> Vec<String> {
    let item = |item: &Element| {
        let groups: Vec<String> = item.children().map(Element::text).collect();
        let attribute = |name| item.attr(name).unwrap_or("-").to_owned();
        format!(
            "{} {} {} {}",
            attribute("jid"),
            attribute("name"),
            attribute("subscription"),
            groups.join("+")
        )
    };
    query.children().map(item).collect()
}

async fn get(client: &mut Client) -> Vec<String> {
    let answer = client.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    items(child(&answer, "query", ROSTER))
}

async fn set(client: &mut Client, item: &str) -> Element {
    client.ask("set", "", &format!("<query xmlns='jabber:iq:roster'>{item}</query>")).await
}

fn is_push(element: &Element) -> bool {
    element.name() == "iq"
        && element.attr("type") == Some("set")
        && element.get_child("query", ROSTER).is_some()
}

async fn push(client: &mut Client) -> (String, Vec<String>) {
    let push = client.find(is_push).await;
    assert_eq!(push.attr("from").unwrap_or(&client.bare()), client.bare(), "a push comes from oneself");
    let query = child(&push, "query", ROSTER);
    (query.attr("ver").unwrap().to_owned(), items(query))
}

#[tokio::test]
async fn what_is_set_is_there_until_it_is_removed() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(get(&mut romeo).await, [""; 0]);
    let item =
        format!("<item jid='juliet@{DOMAIN}' name='Jules'><group>Love</group><group>Verona</group></item>");
    assert_eq!(set(&mut romeo, &item).await.attr("type"), Some("result"));
    assert_eq!(get(&mut romeo).await, [format!("juliet@{DOMAIN} Jules none Love+Verona")]);
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}'/>")).await;
    assert_eq!(get(&mut romeo).await, [format!("juliet@{DOMAIN} - none ")]);
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}' subscription='remove'/>")).await;
    assert_eq!(get(&mut romeo).await, [""; 0]);
}

#[tokio::test]
async fn a_change_is_pushed_to_interested_resources_alone() {
    let house = House::open().await;
    let mut desk = house.bind("romeo", "desk").await;
    let mut phone = house.bind("romeo", "phone").await;
    let mut other = house.online("romeo", "other").await;
    get(&mut desk).await;
    get(&mut phone).await;
    desk.send(&format!(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item jid='juliet@{DOMAIN}/x' name='J'/></query></iq>"
    ))
    .await;
    let wanted = [format!("juliet@{DOMAIN} J none ")];
    assert_eq!(push(&mut desk).await.1, wanted);
    assert_eq!(push(&mut phone).await.1, wanted);
    assert!(!other.settle().await.iter().any(is_push));
}

#[tokio::test]
async fn a_removal_is_pushed_as_one() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}'/>")).await;
    get(&mut romeo).await;
    romeo
        .send(&format!(
            "<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='juliet@{DOMAIN}' \
             subscription='remove'/></query></iq>"
        ))
        .await;
    assert_eq!(push(&mut romeo).await.1, [format!("juliet@{DOMAIN} - remove ")]);
}

#[tokio::test]
async fn what_a_roster_cannot_hold_is_refused() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let long = "x".repeat(2_000);
    for (item, wanted) in [
        (String::new(), "bad-request"),
        ("<item jid='a@b'/><item jid='c@d'/>".to_owned(), "bad-request"),
        ("<item name='nobody'/>".to_owned(), "bad-request"),
        ("<item jid='a@b@c'/>".to_owned(), "jid-malformed"),
        ("<item jid='a@b'><group>x</group><group>x</group></item>".to_owned(), "bad-request"),
        ("<item jid='a@b'><group/></item>".to_owned(), "not-acceptable"),
        (format!("<item jid='a@b' name='{long}'/>"), "not-acceptable"),
        (format!("<item jid='romeo@{DOMAIN}'/>"), "not-allowed"),
        ("<item jid='stranger@b' subscription='remove'/>".to_owned(), "item-not-found"),
    ] {
        assert_eq!(condition(&set(&mut romeo, &item).await), wanted, "{item}");
    }
    assert_eq!(get(&mut romeo).await, [""; 0]);
}

#[tokio::test]
async fn a_client_cannot_give_itself_a_subscription() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}' subscription='both' ask='subscribe'/>")).await;
    assert_eq!(get(&mut romeo).await, [format!("juliet@{DOMAIN} - none ")]);
}

#[tokio::test]
async fn nobody_reads_or_writes_anothers_roster() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let to = format!("juliet@{DOMAIN}");
    let answer = romeo.ask("get", &to, "<query xmlns='jabber:iq:roster'/>").await;
    assert_eq!(condition(&answer), "forbidden");
    let answer = romeo.ask("set", &to, "<query xmlns='jabber:iq:roster'><item jid='a@b'/></query>").await;
    assert_eq!(condition(&answer), "forbidden");
}

#[tokio::test]
async fn a_roster_survives_a_restart_of_its_owners_session() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}' name='J'/>")).await;
    romeo.close().await;
    let mut romeo = house.bind("romeo", "b").await;
    assert_eq!(get(&mut romeo).await, [format!("juliet@{DOMAIN} J none ")]);
}

async fn get_since(client: &mut Client, version: &str) -> Element {
    client.ask("get", "", &format!("<query xmlns='jabber:iq:roster' ver='{version}'/>")).await
}

#[tokio::test]
async fn a_client_that_knows_a_version_gets_what_changed_since() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for name in ["juliet", "nurse", "tybalt"] {
        set(&mut romeo, &format!("<item jid='{name}@{DOMAIN}'/>")).await;
    }
    let all = get_since(&mut romeo, "").await;
    let all = child(&all, "query", ROSTER);
    assert_eq!(items(all).len(), 3);
    let known = all.attr("ver").unwrap().to_owned();
    // Nothing has changed.
    let nothing = get_since(&mut romeo, &known).await;
    assert!(nothing.get_child("query", ROSTER).is_none());
    set(&mut romeo, &format!("<item jid='nurse@{DOMAIN}' name='N'/>")).await;
    set(&mut romeo, &format!("<item jid='tybalt@{DOMAIN}' subscription='remove'/>")).await;
    let mut other = house.bind("romeo", "b").await;
    let answer = get_since(&mut other, &known).await;
    assert!(answer.get_child("query", ROSTER).is_none(), "an empty result comes first");
    let (first, changed) = push(&mut other).await;
    assert_eq!(changed, [format!("nurse@{DOMAIN} N none ")]);
    let (second, changed) = push(&mut other).await;
    assert_eq!(changed, [format!("tybalt@{DOMAIN} - remove ")]);
    assert_ne!(first, second);
    let nothing = get_since(&mut other, &second).await;
    assert!(nothing.get_child("query", ROSTER).is_none());
    assert!(!other.settle().await.iter().any(is_push));
}

#[tokio::test]
async fn a_version_of_another_roster_brings_the_whole_roster() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}'/>")).await;
    for version in ["99999", "not-a-number"] {
        let answer = get_since(&mut romeo, version).await;
        assert_eq!(items(child(&answer, "query", ROSTER)).len(), 1, "{version}");
    }
}

#[tokio::test]
async fn versions_go_on_after_everything_was_removed_and_the_account_was_forgotten() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}'/>")).await;
    let all = get_since(&mut romeo, "").await;
    let known = child(&all, "query", ROSTER).attr("ver").unwrap().to_owned();
    set(&mut romeo, &format!("<item jid='juliet@{DOMAIN}' subscription='remove'/>")).await;
    house.server.sign_out(&crate::house::jid("romeo")).await;
    let mut romeo = house.bind("romeo", "a").await;
    let answer = get_since(&mut romeo, &known).await;
    // Either way the client learns that the contact is gone.
    let removed = match answer.get_child("query", ROSTER) {
        Some(query) => items(query).is_empty(),
        None => push(&mut romeo).await.1 == [format!("juliet@{DOMAIN} - remove ")],
    };
    assert!(removed);
}
