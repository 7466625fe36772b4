//! No way past the archive: what others can read of a node is an event; and who hears of what when many sign in.

use archive::{Ledger, Query};

use crate::client::condition;
use crate::component::{self, GATEWAY, Gateway};
use crate::house::{DOMAIN, House, PASSWORD, befriend, jid};
use crate::pep::{
    Kit, OWNER, PUBSUB, configure, fence, ids, is_question, items, notices, publish, publish_with, tell,
    tune, well,
};
use crate::pubsub::{SERVICE, create, subscribe};

const TUNE: &str = "http://jabber.org/protocol/tune";

/// What happened around an address, as the archive has it.
async fn happenings(house: &House, owner: &str) -> Vec<String> {
    let owner = stanza::BareJid::new(owner).unwrap();
    let query = Query { ledger: Ledger::Happenings, ..Query::default() };
    let page = house.server.trail().history(&owner, &query).await.unwrap();
    page.items.iter().map(|item| String::from_utf8(item.stanza.to_vec()).unwrap()).collect()
}

fn count(happenings: &[String], word: &str) -> usize {
    happenings.iter().filter(|xml| xml.contains(word)).count()
}

#[tokio::test]
async fn what_others_can_read_is_on_record_and_what_is_the_owners_alone_is_not() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    well(
        &romeo
            .ask(
                "set",
                "",
                &publish_with("urn:test:private", "x", &tune("Diary"), &[("access_model", "whitelist")]),
            )
            .await,
    );
    let told = happenings(&house, "romeo@corp.example").await;
    assert_eq!((count(&told, "Ode"), count(&told, "Diary")), (1, 0));
    let event = told.iter().find(|xml| xml.contains("Ode")).unwrap();
    assert!(event.contains("romeo@corp.example/a"), "who published it is known: {event}");
    // Taking it back is a second event; the first stays.
    let retract =
        format!("<pubsub xmlns='{PUBSUB}'><retract node='{TUNE}'><item id='one'/></retract></pubsub>");
    well(&romeo.ask("set", "", &retract).await);
    let told = happenings(&house, "romeo@corp.example").await;
    assert_eq!((count(&told, "Ode"), count(&told, "retract")), (1, 1));
    // It is no message, so it is not in the history that people see.
    let page = house.server.trail().history(&jid("romeo"), &Query::default()).await.unwrap();
    assert_eq!(page.items.len(), 0);
}

#[tokio::test]
async fn opening_a_private_node_puts_what_it_holds_on_record() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for node in ["urn:test:by-list", "urn:test:by-model"] {
        let private = [("access_model", "whitelist"), ("max_items", "max")];
        for id in ["1", "2"] {
            well(
                &romeo
                    .ask("set", "", &publish_with(node, id, &tune(&format!("{node} {id}")), &private))
                    .await,
            );
        }
    }
    assert_eq!(count(&happenings(&house, "romeo@corp.example").await, "urn:test"), 0);
    well(&romeo.ask("set", "", &configure("urn:test:by-model", &[("access_model", "open")])).await);
    let told = happenings(&house, "romeo@corp.example").await;
    assert_eq!((count(&told, "by-model 1"), count(&told, "by-model 2"), count(&told, "by-list")), (1, 1, 0));
    let member = format!(
        "<pubsub xmlns='{OWNER}'><affiliations node='urn:test:by-list'>\
         <affiliation jid='juliet@corp.example' affiliation='member'/></affiliations></pubsub>"
    );
    well(&romeo.ask("set", "", &member).await);
    let told = happenings(&house, "romeo@corp.example").await;
    assert_eq!((count(&told, "by-list 1"), count(&told, "by-list 2"), count(&told, "member")), (1, 1, 1));
}

#[tokio::test]
async fn each_of_many_contacts_is_heard_of_once_by_each_who_signs_in() {
    let house = House::open().await;
    let people: Vec<String> = (0..12).map(|number| format!("p{number}")).collect();
    let accounts = people.iter().map(|name| (jid(name), server::users::NewAccount::new(PASSWORD)));
    house.server.users().create_many(accounts.collect::<Vec<_>>(), |_, made| drop(made.unwrap())).await;
    let mut romeo = house.online("romeo", "a").await;
    for name in &people {
        let mut other = house.online(name, "a").await;
        befriend(&mut romeo, &mut other).await;
        well(&other.ask("set", "", &publish(TUNE, name, &tune(name))).await);
    }
    let mut wanted: Vec<String> = people.clone();
    wanted.sort();
    for resource in ["b", "c", "d"] {
        let mut device = house.bind("romeo", resource).await;
        let kit = Kit::wanting(&[TUNE]);
        match resource {
            "b" => tell(&mut device, &kit).await,
            _ => device.send(&kit.presence()).await,
        }
        let mut heard = Vec::new();
        for name in &people {
            heard.extend(notices(&fence(&mut device, &format!("{name}@corp.example")).await));
        }
        let mut heard: Vec<String> = heard.into_iter().map(|(_, _, id)| id).collect();
        heard.sort();
        assert_eq!(heard, wanted, "{resource}");
    }
}

#[tokio::test]
async fn whoever_takes_a_removed_accounts_name_is_on_no_list() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "a").await;
    well(&romeo.ask("set", SERVICE, &create("n", &[("access_model", "whitelist")])).await);
    well(&romeo.ask("set", SERVICE, &publish("n", "1", &tune("x"))).await);
    let member = format!(
        "<pubsub xmlns='{OWNER}'><affiliations node='n'><affiliation jid='nurse@corp.example' affiliation='member'/>\
         </affiliations></pubsub>"
    );
    well(&romeo.ask("set", SERVICE, &member).await);
    well(&nurse.ask("set", SERVICE, &subscribe(&nurse, "n")).await);
    house.server.remove(&jid("nurse")).await.unwrap();
    house.server.users().create(&jid("nurse"), server::users::NewAccount::new(PASSWORD)).await.unwrap();
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(condition(&nurse.ask("get", SERVICE, &items("n")).await), "not-allowed");
    well(&romeo.ask("set", SERVICE, &publish("n", "2", &tune("x"))).await);
    assert_eq!(notices(&nurse.settle().await), []);
}

#[tokio::test]
async fn a_component_reads_and_subscribes_as_far_as_it_may() {
    let house = component::house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    well(
        &romeo
            .ask("set", "", &publish_with("urn:test:open", "1", &tune("x"), &[("access_model", "open")]))
            .await,
    );
    well(&romeo.ask("set", "", &publish(TUNE, "1", &tune("x"))).await);
    let bot = format!("bot@{GATEWAY}");
    for (id, payload) in [("open", items("urn:test:open")), ("closed", items(TUNE))] {
        gateway
            .send(&format!("<iq type='get' id='{id}' from='{bot}' to='romeo@corp.example'>{payload}</iq>"))
            .await;
    }
    let open = gateway.find(|element| element.attr("id") == Some("open")).await;
    assert!(String::from(&open).contains("title"), "{}", String::from(&open));
    let closed = gateway.find(|element| element.attr("id") == Some("closed")).await;
    assert_eq!(closed.attr("type"), Some("error"));
    let wish = format!("<pubsub xmlns='{PUBSUB}'><subscribe node='urn:test:open' jid='{bot}'/></pubsub>");
    gateway.send(&format!("<iq type='set' id='sub' from='{bot}' to='romeo@corp.example'>{wish}</iq>")).await;
    gateway.find(|element| element.attr("id") == Some("sub")).await;
    well(&romeo.ask("set", "", &publish("urn:test:open", "2", &tune("y"))).await);
    let message =
        gateway.find(|element| element.name() == "message" && String::from(element).contains(">y<")).await;
    assert_eq!(message.attr("to"), Some(bot.as_str()));
}

#[tokio::test]
async fn a_contact_behind_a_component_hears_of_the_nodes_that_its_client_wants() {
    let house = component::house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let (bare, full) = (format!("mercutio@{GATEWAY}"), format!("mercutio@{GATEWAY}/irc"));
    let kit = Kit::wanting(&[TUNE]);
    let here =
        kit.presence().replacen("<presence", &format!("<presence from='{full}' to='romeo@corp.example'"), 1);
    gateway.send(&format!("<presence type='subscribe' from='{bare}' to='romeo@corp.example'/>")).await;
    romeo.find(|element| element.attr("type") == Some("subscribe")).await;
    romeo.send(&format!("<presence type='subscribed' to='{bare}'/>")).await;
    gateway.send(&here).await;
    let question = gateway.find(is_question).await;
    let answer = kit.answer(&question).replacen("<iq", &format!("<iq from='{full}'"), 1);
    gateway.send(&answer).await;
    gateway.settle().await;
    let heard = |words: &'static str| {
        move |element: &minidom::Element| element.name() == "message" && String::from(element).contains(words)
    };
    let mut number = 0;
    let message = loop {
        // What the answer says is taken in beside the stream.
        number += 1;
        well(&romeo.ask("set", "", &publish(TUNE, "1", &tune(&format!("song {number}")))).await);
        gateway.send(&format!("<iq type='get' id='fence{number}' from='{full}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")).await;
        let fence = format!("fence{number}");
        let next = gateway.find(|element| heard("song")(element) || element.attr("id") == Some(&fence)).await;
        if next.name() == "message" {
            break next;
        }
    };
    assert_eq!((message.attr("from"), message.attr("to")), (Some("romeo@corp.example"), Some(full.as_str())));

    well(&romeo.ask("set", "", &publish("urn:test:other", "1", &tune("unwanted"))).await);
    well(&romeo.ask("set", "", &publish(TUNE, "1", &tune("the end"))).await);
    let next = gateway.find(|element| heard("unwanted")(element) || heard("the end")(element)).await;
    assert!(heard("the end")(&next), "only what it wants");
    // Who is no contact any more hears nothing more.
    romeo.send(&format!("<presence type='unsubscribed' to='{bare}'/>")).await;
    romeo.settle().await;
    well(&romeo.ask("set", "", &publish(TUNE, "1", &tune("a secret"))).await);
    let ping =
        format!("<iq type='get' id='last' from='{full}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
    gateway.send(&ping).await;
    let next = gateway.find(|element| heard("a secret")(element) || element.attr("id") == Some("last")).await;
    assert_eq!(next.name(), "iq");
}

#[tokio::test]
async fn nodes_and_items_are_bounded() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut refused = None;
    for number in 0..300 {
        let answer = romeo.ask("set", "", &publish(&format!("urn:test:{number}"), "x", &tune("x"))).await;
        if answer.attr("type") == Some("error") {
            refused = Some((number, condition(&answer).to_owned()));
            break;
        }
    }
    assert_eq!(refused, Some((250, "resource-constraint".to_owned())));
    let mut refused = None;
    for number in 0..100 {
        let answer =
            romeo.ask("set", "", &configure(&format!("urn:test:{number}"), &[("max_items", "max")])).await;
        if answer.attr("type") == Some("error") {
            refused = Some((number, condition(&answer).to_owned()));
            break;
        }
    }
    // Fifty thousand items in all, and the other nodes keep one each.
    assert_eq!(refused, Some((49, "resource-constraint".to_owned())));
    well(&romeo.ask("set", "", &publish("urn:test:100", "y", &tune("still"))).await);
    assert_eq!(ids(&romeo.ask("get", "", &items("urn:test:100")).await), ["y"]);
}
