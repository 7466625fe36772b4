//! What lives on an account's nodes: pictures, bookmarks, read markers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};

use crate::client::{Client, child, condition};
use crate::house::House;
use crate::pep::{Kit, PUBSUB, fence, ids, items, notices, publish, publish_with, tell, well};

const METADATA: &str = "urn:xmpp:avatar:metadata";
const DATA: &str = "urn:xmpp:avatar:data";
const UPDATE: &str = "vcard-temp:x:update";
const BOOKMARKS: &str = "urn:xmpp:bookmarks:1";
const OLD: &str = "storage:bookmarks";
const PRIVATE: &str = "jabber:iq:private";

fn hash(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that presence of somebody announces.
async fn announced(client: &mut Client, from: &str) -> String {
    let presence = client.find(|it| it.name() == "presence" && it.attr("from") == Some(from)).await;
    child(child(&presence, "x", UPDATE), "photo", UPDATE).text()
}

fn payloads(answer: &Element) -> Vec<Element> {
    well(answer);
    let items = child(child(answer, "pubsub", PUBSUB), "items", PUBSUB);
    items.children().map(|item| item.children().next().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_published_picture_is_in_the_vcard_and_in_presence() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let card = "<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>";
    well(&romeo.ask("set", "", card).await);
    let (bytes, from) = (b"a picture".as_slice(), romeo.jid().to_owned());
    let (id, data) = (hash(bytes), STANDARD.encode(bytes));
    well(&romeo.ask("set", "", &publish(DATA, &id, &format!("<data xmlns='{DATA}'>{data}</data>"))).await);
    let info =
        format!("<metadata xmlns='{METADATA}'><info id='{id}' bytes='9' type='image/png'/></metadata>");
    well(&romeo.ask("set", "", &publish(METADATA, &id, &info)).await);
    assert_eq!(announced(&mut juliet, &from).await, id);
    let answer = juliet.ask("get", "romeo@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    let card = child(&answer, "vCard", "vcard-temp");
    assert_eq!(child(card, "FN", "vcard-temp").text(), "Romeo", "what else the card says stays");
    let photo = child(card, "PHOTO", "vcard-temp");
    assert_eq!(child(photo, "BINVAL", "vcard-temp").text(), data);
    assert_eq!(child(photo, "TYPE", "vcard-temp").text(), "image/png");

    let house = house.restart().await;
    let mut juliet = house.online("juliet", "b").await;
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(announced(&mut juliet, &from).await, id, "whoever comes back announces it");
    romeo.send(&format!("<presence><x xmlns='{UPDATE}'><photo>abc</photo></x></presence>")).await;
    assert_eq!(announced(&mut juliet, &from).await, "abc", "a client that knows is left alone");
    well(&romeo.ask("set", "", &publish(METADATA, "none", &format!("<metadata xmlns='{METADATA}'/>"))).await);
    assert_eq!(announced(&mut juliet, &from).await, "");
    let answer = juliet.ask("get", "romeo@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    assert!(child(&answer, "vCard", "vcard-temp").get_child("PHOTO", "vcard-temp").is_none());
}

#[tokio::test]
async fn the_picture_of_a_vcard_is_published() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut juliet, &Kit::wanting(&[METADATA])).await;
    juliet.settle().await;
    let (bytes, from) = (b"another picture".as_slice(), romeo.jid().to_owned());
    let (id, data) = (hash(bytes), STANDARD.encode(bytes));
    let card = |photo: &str| format!("<vCard xmlns='vcard-temp'><FN>Romeo</FN>{photo}</vCard>");
    let photo = format!("<PHOTO><TYPE>image/png</TYPE><BINVAL>{data}</BINVAL></PHOTO>");
    well(&romeo.ask("set", "", &card(&photo)).await);
    let got = juliet.find(|element| element.name() == "message").await;
    assert_eq!(notices(&[got]), [("romeo@corp.example".to_owned(), METADATA.to_owned(), id.clone())]);
    assert_eq!(announced(&mut juliet, &from).await, id);
    let answer = juliet.ask("get", "romeo@corp.example", &items(DATA)).await;
    assert_eq!((ids(&answer), payloads(&answer)[0].text()), (vec![id.clone()], data));
    // The same picture again is nothing new; none is.
    well(&romeo.ask("set", "", &card(&photo)).await);
    assert_eq!(notices(&fence(&mut juliet, "romeo@corp.example").await), []);
    well(&romeo.ask("set", "", &card("")).await);
    let got = juliet.find(|element| element.name() == "message").await;
    assert!(!String::from(&got).contains("info"));
}

#[tokio::test]
async fn bookmarks_are_the_same_in_all_three_forms() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut phone = house.bind("romeo", "phone").await;
    tell(&mut phone, &Kit::wanting(&[BOOKMARKS, OLD])).await;
    phone.settle().await;
    let rooms = |answer: &Element| -> Vec<String> {
        let storage = child(child(answer, "query", PRIVATE), "storage", OLD);
        storage.children().filter_map(|it| it.attr("jid")).map(str::to_owned).collect()
    };
    let get = format!("<query xmlns='{PRIVATE}'><storage xmlns='{OLD}'/></query>");
    let new = |extension: &str| {
        format!(
            "<conference xmlns='{BOOKMARKS}' name='Engines' autojoin='true'><nick>R</nick>{extension}</conference>"
        )
    };
    // XEP-0492: whom a room may call when their phone is in their pocket.
    let notify =
        "<extensions><notify xmlns='urn:xmpp:notification-settings:1'><on-mention/></notify></extensions>";
    let private =
        [("access_model", "whitelist"), ("max_items", "max"), ("send_last_published_item", "never")];
    let publication = publish_with(BOOKMARKS, "a@conference.corp.example", &new(notify), &private);
    well(&romeo.ask("set", "", &publication).await);
    let mut heard = notices(&fence(&mut phone, "").await);
    heard.sort();
    let heard: Vec<_> = heard.iter().map(|(_, node, id)| (node.as_str(), id.as_str())).collect();
    assert_eq!(heard, [(OLD, "current"), (BOOKMARKS, "a@conference.corp.example")]);

    let answer = romeo.ask("get", "", &get).await;
    assert_eq!(rooms(&answer), ["a@conference.corp.example"]);
    // A client of the oldest kind adds one and leaves the other.
    let set = format!(
        "<query xmlns='{PRIVATE}'><storage xmlns='{OLD}'><url name='Home' url='https://corp.example'/>\
         <conference jid='a@conference.corp.example' name='Engines' autojoin='true'><nick>R</nick></conference>\
         <conference jid='b@conference.corp.example'/></storage></query>"
    );
    well(&romeo.ask("set", "", &set).await);
    let answer = romeo.ask("get", "", &items(BOOKMARKS)).await;
    assert_eq!(ids(&answer), ["a@conference.corp.example", "b@conference.corp.example"]);
    let extensions = child(&payloads(&answer)[0], "extensions", BOOKMARKS).clone();
    let settings = child(&extensions, "notify", "urn:xmpp:notification-settings:1");
    assert!(
        settings.has_child("on-mention", "urn:xmpp:notification-settings:1"),
        "what only the new form has stays"
    );
    let answer = romeo.ask("get", "", &items(OLD)).await;
    assert_eq!(payloads(&answer)[0].children().filter_map(|it| it.attr("jid")).count(), 2);
    let answer = romeo.ask("get", "", &get).await;
    assert!(String::from(&answer).contains("https://corp.example"));
    // One of the middle kind takes one out.
    let storage =
        format!("<storage xmlns='{OLD}'><conference jid='b@conference.corp.example' name='B'/></storage>");
    well(&romeo.ask("set", "", &publish(OLD, "current", &storage)).await);
    let answer = romeo.ask("get", "", &items(BOOKMARKS)).await;
    assert_eq!(
        (ids(&answer), payloads(&answer)[0].attr("name")),
        (vec!["b@conference.corp.example".to_owned()], Some("B"))
    );
    // And one of the new kind the last.
    let retract = format!(
        "<pubsub xmlns='{PUBSUB}'><retract node='{BOOKMARKS}' notify='true'><item id='b@conference.corp.example'/></retract></pubsub>"
    );
    well(&romeo.ask("set", "", &retract).await);
    assert_eq!(rooms(&romeo.ask("get", "", &get).await), [""; 0]);
    assert_eq!(payloads(&romeo.ask("get", "", &items(OLD)).await)[0].children().count(), 0);

    // They are nobody else's business, even where the client forgot to say so.
    let mut juliet = house.online("juliet", "b").await;
    for node in [BOOKMARKS, OLD] {
        assert_eq!(condition(&juliet.ask("get", "romeo@corp.example", &items(node)).await), "not-allowed");
    }
}

#[tokio::test]
async fn read_markers_of_many_conversations_are_kept_for_the_account_alone() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let node = "urn:xmpp:mds:displayed:0";
    for number in 0..30 {
        let displayed = format!(
            "<displayed xmlns='{node}'><stanza-id xmlns='urn:xmpp:sid:0' id='{number}' by='x@y'/></displayed>"
        );
        well(&romeo.ask("set", "", &publish(node, &format!("p{number}@corp.example"), &displayed)).await);
    }
    assert_eq!(ids(&romeo.ask("get", "", &items(node)).await).len(), 30);
    let mut juliet = house.online("juliet", "b").await;
    assert_eq!(condition(&juliet.ask("get", "romeo@corp.example", &items(node)).await), "not-allowed");
}

#[tokio::test]
async fn a_vcard_is_the_same_on_its_node_and_by_iq() {
    const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let photo = STANDARD.encode(b"a picture");
    let card =
        format!("<vCard xmlns='vcard-temp'><FN>Romeo</FN><PHOTO><BINVAL>{photo}</BINVAL></PHOTO></vCard>");
    well(&romeo.ask("set", "", &card).await);
    let answer = juliet.ask("get", "romeo@corp.example", &items("urn:xmpp:vcard4")).await;
    let published = String::from(&payloads(&answer)[0]);
    assert!(published.contains("Romeo") && !published.contains(&photo), "{published}");
    let card = format!("<vcard xmlns='{VCARD4}'><fn><text>R. Montague</text></fn></vcard>");
    well(&romeo.ask("set", "", &publish("urn:xmpp:vcard4", "current", &card)).await);
    let answer = juliet.ask("get", "romeo@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    let card = child(&answer, "vCard", "vcard-temp");
    assert_eq!(child(card, "FN", "vcard-temp").text(), "R. Montague");
    let kept = child(child(card, "PHOTO", "vcard-temp"), "BINVAL", "vcard-temp").text();
    assert_eq!(kept, photo, "the picture is not lost");
}
