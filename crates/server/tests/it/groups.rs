//! Groups of the company in everybody's roster (RFC 6121 §2, without action of the client).

use minidom::Element;

use crate::client::{Client, Raw, child};
use crate::house::{DOMAIN, House, jid};

const REGISTER: &str = "jabber:iq:register";

/// Makes an account in a group, by an invitation as an administrator gives it.
async fn join(house: &House, admin: &mut Client, name: &str, group: &str) {
    let form = format!(
        "<x xmlns='jabber:x:data' type='submit'><field var='username'><value>{name}</value></field>\
         <field var='groups'><value>{group}</value></field>\
         <field var='roster-subscription'><value>0</value></field></x>"
    );
    let node = "urn:xmpp:invite#create-account";
    let command =
        format!("<command xmlns='http://jabber.org/protocol/commands' node='{node}'>{form}</command>");
    let made = String::from(&admin.ask("set", DOMAIN, &command).await);
    let token = made.split("preauth=").nth(1).unwrap().split('<').next().unwrap();
    let mut raw = house.raw().await;
    raw.open().await;
    ask(&mut raw, &format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")).await;
    let account = format!("<username>{name}</username><password>{}</password>", crate::house::PASSWORD);
    ask(&mut raw, &format!("<query xmlns='{REGISTER}'>{account}</query>")).await;
}

async fn ask(raw: &mut Raw, payload: &str) {
    raw.send(&format!("<iq type='set' id='x'>{payload}</iq>")).await;
    let answer = raw.next().await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(&answer));
}

async fn roster(client: &mut Client) -> Vec<String> {
    let answer = client.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    let item = |item: &Element| {
        let group = item.children().next().map(Element::text).unwrap_or_default();
        format!("{} {} {group}", item.attr("jid").unwrap(), item.attr("subscription").unwrap())
    };
    child(&answer, "query", "jabber:iq:roster").children().map(item).collect()
}

#[tokio::test]
async fn colleagues_of_a_shared_group_see_each_other_without_asking() {
    let house = House::with(&[("DIRECTORY_SHARED_GROUPS", "Verona")]).await;
    house.promote("romeo").await;
    let mut admin = house.online("romeo", "admin").await;
    for (name, group) in [("mercutio", "Verona"), ("benvolio", "Verona"), ("paris", "Mantua")] {
        join(&house, &mut admin, name, group).await;
    }
    let mut mercutio = house.online("mercutio", "a").await;
    assert_eq!(roster(&mut mercutio).await, ["benvolio@corp.example both Verona"]);

    // Both ways, and with presence.
    let mut benvolio = house.bind("benvolio", "b").await;
    assert_eq!(roster(&mut benvolio).await, ["mercutio@corp.example both Verona"]);
    benvolio.send("<presence/>").await;
    benvolio.find(|element| element.attr("from") == Some("mercutio@corp.example/a")).await;
    mercutio.find(|element| element.attr("from") == Some("benvolio@corp.example/b")).await;

    let mut paris = house.online("paris", "c").await;
    assert!(roster(&mut paris).await.is_empty());
    assert!(roster(&mut admin).await.is_empty());

    // Somebody new appears by a push where the roster is open already.
    join(&house, &mut admin, "abram", "Verona").await;
    let mut abram = house.bind("abram", "d").await;
    assert_eq!(roster(&mut abram).await.len(), 2);
    let push = mercutio.find(|element| String::from(element).contains("abram@corp.example")).await;
    assert_eq!((push.name(), push.attr("type")), ("iq", Some("set")));
}

#[tokio::test]
async fn a_group_that_is_not_shared_puts_nobody_into_a_roster() {
    let house = House::open().await;
    house.promote("romeo").await;
    let mut admin = house.online("romeo", "admin").await;
    join(&house, &mut admin, "mercutio", "Verona").await;
    join(&house, &mut admin, "benvolio", "Verona").await;
    let mut mercutio = house.online("mercutio", "a").await;
    assert!(roster(&mut mercutio).await.is_empty());
}

#[tokio::test]
async fn who_leaves_a_shared_group_leaves_the_rosters_and_is_not_seen_any_more() {
    let house = House::with(&[("DIRECTORY_SHARED_GROUPS", "Verona")]).await;
    house.promote("romeo").await;
    let mut admin = house.online("romeo", "admin").await;
    for name in ["mercutio", "benvolio"] {
        join(&house, &mut admin, name, "Verona").await;
    }
    let mut mercutio = house.online("mercutio", "a").await;
    assert_eq!(roster(&mut mercutio).await.len(), 1);
    let mut benvolio = house.online("benvolio", "b").await;
    assert_eq!(roster(&mut benvolio).await.len(), 1);
    mercutio.find(|element| element.attr("from") == Some("benvolio@corp.example/b")).await;

    let moved = server::directory::Profile { groups: vec!["Mantua".into()], ..Default::default() };
    house.vault().apply(vec![moved.put(&jid("benvolio")).unwrap()]).await.unwrap();
    assert!(roster(&mut benvolio).await.is_empty());
    let from = "benvolio@corp.example/b";
    mercutio
        .find(|element| element.attr("type") == Some("unavailable") && element.attr("from") == Some(from))
        .await;
    let is_removal = |element: &Element| {
        let item = element.get_child("query", "jabber:iq:roster").and_then(|query| query.children().next());
        item.is_some_and(|item| item.attr("subscription") == Some("remove"))
    };
    mercutio.find(is_removal).await;
    assert!(roster(&mut mercutio).await.is_empty());
    mercutio.send("<presence><status>still here</status></presence>").await;
    mercutio.settle().await;
    let seen = benvolio.settle().await;
    assert!(!seen.iter().any(|element| String::from(element).contains("still here")));
}
