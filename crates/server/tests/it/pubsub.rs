//! The rules of XEP-0060, at the domain for programs and at accounts.

use minidom::Element;

use crate::client::{Client, child, condition};
use crate::house::House;
use crate::pep::{
    EVENT, FORMS, OWNER, PUBSUB, configure, fence, ids, items, notices, publish, specific, tune, well,
};

pub const SERVICE: &str = "pubsub.corp.example";

pub fn create(node: &str, options: &[(&str, &str)]) -> String {
    let fields: String = options
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<pubsub xmlns='{PUBSUB}'><create node='{node}'/><configure><x xmlns='{FORMS}' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#node_config</value></field>{fields}</x></configure></pubsub>"
    )
}

pub fn subscribe(client: &Client, node: &str) -> String {
    format!("<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{}'/></pubsub>", client.bare())
}

fn subscription(answer: &Element) -> String {
    well(answer);
    child(child(answer, "pubsub", PUBSUB), "subscription", PUBSUB).attr("subscription").unwrap().to_owned()
}

#[tokio::test]
async fn a_program_publishes_and_its_subscribers_hear_of_it() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    well(&bot.ask("set", SERVICE, &create("builds", &[("title", "Builds")])).await);
    assert_eq!(condition(&bot.ask("set", SERVICE, &create("builds", &[])).await), "conflict");
    assert_eq!(
        condition(&bot.ask("set", SERVICE, &publish("typo", "1", &tune("red"))).await),
        "item-not-found"
    );
    assert_eq!(subscription(&romeo.ask("set", SERVICE, &subscribe(&romeo, "builds")).await), "subscribed");
    well(&bot.ask("set", SERVICE, &publish("builds", "1", &tune("green"))).await);
    let got = romeo.settle().await;
    assert_eq!(notices(&got), [(SERVICE.to_owned(), "builds".to_owned(), "1".to_owned())]);
    assert_eq!(notices(&juliet.settle().await), []);
    // Who subscribes gets the last item.
    assert_eq!(subscription(&juliet.ask("set", SERVICE, &subscribe(&juliet, "builds")).await), "subscribed");
    assert_eq!(notices(&fence(&mut juliet, SERVICE).await).len(), 1);
    // Only publishers publish.
    assert_eq!(
        condition(&romeo.ask("set", SERVICE, &publish("builds", "2", &tune("red"))).await),
        "forbidden"
    );
    let unsubscribe =
        format!("<pubsub xmlns='{PUBSUB}'><unsubscribe node='builds' jid='romeo@corp.example'/></pubsub>");
    well(&romeo.ask("set", SERVICE, &unsubscribe).await);
    assert_eq!(
        specific(&romeo.ask("set", SERVICE, &unsubscribe).await),
        ("unexpected-request".into(), "not-subscribed".into())
    );
    well(&bot.ask("set", SERVICE, &publish("builds", "2", &tune("red"))).await);
    assert_eq!(notices(&romeo.settle().await), []);
    assert_eq!(notices(&juliet.settle().await).len(), 1);

    let house = house.restart().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut juliet = house.online("juliet", "b").await;
    well(&bot.ask("set", SERVICE, &publish("builds", "3", &tune("green"))).await);
    assert_eq!(notices(&juliet.settle().await).len(), 1, "a subscription lasts");
    assert_eq!(ids(&juliet.ask("get", SERVICE, &items("builds")).await), ["1", "2", "3"]);
}

#[tokio::test]
async fn retracting_purging_and_deleting_are_told() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    well(&bot.ask("set", SERVICE, &create("n", &[("notify_config", "1")])).await);
    romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await;
    for id in ["1", "2"] {
        well(&bot.ask("set", SERVICE, &publish("n", id, &tune("x"))).await);
    }
    romeo.settle().await;
    let retract = |id: &str| {
        format!(
            "<pubsub xmlns='{PUBSUB}'><retract node='n' notify='true'><item id='{id}'/></retract></pubsub>"
        )
    };
    assert_eq!(condition(&romeo.ask("set", SERVICE, &retract("1")).await), "forbidden");
    assert_eq!(condition(&bot.ask("set", SERVICE, &retract("9")).await), "item-not-found");
    well(&bot.ask("set", SERVICE, &retract("2")).await);
    let told = |got: Vec<Element>| {
        let event = child(got.last().expect("nothing was told"), "event", EVENT).clone();
        event.children().next().unwrap().clone()
    };
    let event = told(romeo.settle().await);
    assert_eq!((event.name(), child(&event, "retract", EVENT).attr("id")), ("items", Some("2")));
    assert_eq!(ids(&romeo.ask("get", SERVICE, &items("n")).await), ["1"]);
    well(&bot.ask("set", SERVICE, &configure("n", &[("title", "N")])).await);
    assert_eq!(told(romeo.settle().await).name(), "configuration");
    well(&bot.ask("set", SERVICE, &format!("<pubsub xmlns='{OWNER}'><purge node='n'/></pubsub>")).await);
    assert_eq!(told(romeo.settle().await).name(), "purge");
    assert_eq!(ids(&romeo.ask("get", SERVICE, &items("n")).await), [""; 0]);
    well(&bot.ask("set", SERVICE, &format!("<pubsub xmlns='{OWNER}'><delete node='n'><redirect uri='xmpp:x@y?;node=m'/></delete></pubsub>")).await);
    let event = told(romeo.settle().await);
    assert_eq!(
        (event.name(), child(&event, "redirect", EVENT).attr("uri")),
        ("delete", Some("xmpp:x@y?;node=m"))
    );
    assert_eq!(condition(&romeo.ask("get", SERVICE, &items("n")).await), "item-not-found");
}

#[tokio::test]
async fn an_owner_lets_subscribers_in_where_they_must_ask() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    well(&bot.ask("set", SERVICE, &create("n", &[("access_model", "authorize")])).await);
    well(&bot.ask("set", SERVICE, &publish("n", "1", &tune("x"))).await);
    assert_eq!(subscription(&romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await), "pending");
    let asked = bot.settle().await;
    assert!(asked.iter().any(|element| element.has_child("x", FORMS)), "the owner is asked");
    assert_eq!(
        specific(&romeo.ask("get", SERVICE, &items("n")).await),
        ("not-authorized".into(), "not-subscribed".into())
    );
    let approve = |state: &str| {
        format!(
            "<pubsub xmlns='{OWNER}'><subscriptions node='n'><subscription jid='romeo@corp.example' subscription='{state}'/></subscriptions></pubsub>"
        )
    };
    assert_eq!(condition(&romeo.ask("set", SERVICE, &approve("subscribed")).await), "forbidden");
    well(&bot.ask("set", SERVICE, &approve("subscribed")).await);
    let told = romeo.settle().await;
    let event = child(told.last().unwrap(), "event", EVENT);
    assert_eq!(child(event, "subscription", EVENT).attr("subscription"), Some("subscribed"));
    assert_eq!(ids(&romeo.ask("get", SERVICE, &items("n")).await), ["1"]);
    let list =
        bot.ask("get", SERVICE, &format!("<pubsub xmlns='{OWNER}'><subscriptions node='n'/></pubsub>")).await;
    let list = child(child(&list, "pubsub", OWNER), "subscriptions", OWNER);
    assert_eq!(
        list.children().map(|one| one.attr("jid").unwrap()).collect::<Vec<_>>(),
        ["romeo@corp.example"]
    );
    well(&bot.ask("set", SERVICE, &approve("none")).await);
    assert_eq!(condition(&romeo.ask("get", SERVICE, &items("n")).await), "not-authorized");
}

#[tokio::test]
async fn items_come_by_id_by_number_and_by_page() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    well(&bot.ask("set", SERVICE, &create("n", &[("max_items", "max")])).await);
    for id in ["a", "b", "c", "d", "e"] {
        well(&bot.ask("set", SERVICE, &publish("n", id, &tune(id))).await);
    }
    let wanted = |attributes: &str, inner: &str, set: &str| {
        format!("<pubsub xmlns='{PUBSUB}'><items node='n'{attributes}>{inner}</items>{set}</pubsub>")
    };
    assert_eq!(ids(&bot.ask("get", SERVICE, &wanted(" max_items='2'", "", "")).await), ["d", "e"]);
    assert_eq!(
        ids(&bot.ask("get", SERVICE, &wanted("", "<item id='d'/><item id='z'/><item id='a'/>", "")).await),
        ["d", "a"]
    );
    let page =
        |inner: &str| wanted("", "", &format!("<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"));
    let answer = bot.ask("get", SERVICE, &page("<max>2</max><after>b</after>")).await;
    assert_eq!(ids(&answer), ["c", "d"]);
    let set = child(child(&answer, "pubsub", PUBSUB), "set", "http://jabber.org/protocol/rsm");
    assert_eq!(child(set, "count", "http://jabber.org/protocol/rsm").text(), "5");
    assert_eq!(child(set, "last", "http://jabber.org/protocol/rsm").text(), "d");
    assert_eq!(ids(&bot.ask("get", SERVICE, &page("<max>2</max><before/>")).await), ["d", "e"]);
    assert_eq!(condition(&bot.ask("get", SERVICE, &page("<after>zzz</after>")).await), "item-not-found");
    assert_eq!(condition(&bot.ask("get", SERVICE, &page("<max>many</max>")).await), "bad-request");
}

#[tokio::test]
async fn requests_that_say_too_little_get_the_standards_own_errors() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    well(&bot.ask("set", SERVICE, &create("n", &[])).await);
    for (type_, payload, wanted) in [
        ("set", format!("<pubsub xmlns='{PUBSUB}'/>"), ("bad-request", "")),
        ("set", format!("<pubsub xmlns='{PUBSUB}'><publish/></pubsub>"), ("bad-request", "nodeid-required")),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><publish node='n'/></pubsub>"),
            ("bad-request", "item-required"),
        ),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><publish node='n'><item/></publish></pubsub>"),
            ("bad-request", "payload-required"),
        ),
        (
            "set",
            format!(
                "<pubsub xmlns='{PUBSUB}'><publish node='n'><item><a xmlns='x:x'/><b xmlns='x:x'/></item></publish></pubsub>"
            ),
            ("bad-request", "invalid-payload"),
        ),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><retract node='n'/></pubsub>"),
            ("bad-request", "item-required"),
        ),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><subscribe node='n' jid='romeo@corp.example'/></pubsub>"),
            ("bad-request", "invalid-jid"),
        ),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><subscribe jid='nurse@corp.example'/></pubsub>"),
            ("bad-request", "nodeid-required"),
        ),
        (
            "set",
            format!("<pubsub xmlns='{PUBSUB}'><options node='n' jid='nurse@corp.example'/></pubsub>"),
            ("feature-not-implemented", "unsupported"),
        ),
        ("get", format!("<pubsub xmlns='{PUBSUB}'><items/></pubsub>"), ("bad-request", "nodeid-required")),
        ("get", format!("<pubsub xmlns='{PUBSUB}'><nothing/></pubsub>"), ("feature-not-implemented", "")),
        ("set", configure("n", &[("access_model", "presence")]), ("not-acceptable", "unsupported")),
        ("set", configure("n", &[("access_model", "nonsense")]), ("not-acceptable", "unsupported")),
        ("set", configure("n", &[("max_items", "5000")]), ("not-acceptable", "")),
        ("set", configure("zzz", &[]), ("item-not-found", "")),
        (
            "set",
            format!(
                "<pubsub xmlns='{OWNER}'><affiliations node='n'><affiliation jid='nurse@corp.example' affiliation='none'/></affiliations></pubsub>"
            ),
            ("not-acceptable", ""),
        ),
        (
            "set",
            format!(
                "<pubsub xmlns='{OWNER}'><affiliations node='n'><affiliation jid='@@' affiliation='none'/></affiliations></pubsub>"
            ),
            ("jid-malformed", ""),
        ),
    ] {
        let answer = bot.ask(type_, SERVICE, &payload).await;
        assert_eq!(specific(&answer), (wanted.0.to_owned(), wanted.1.to_owned()), "{payload}");
    }
    assert_eq!(condition(&romeo.ask("set", SERVICE, &configure("n", &[])).await), "forbidden");
    let long = "x".repeat(600);
    assert_eq!(condition(&bot.ask("set", SERVICE, &create(&long, &[])).await), "not-acceptable");
    assert_eq!(condition(&bot.ask("set", SERVICE, &publish("n", &long, &tune("x"))).await), "not-acceptable");
    // A node without a name gets one.
    let answer = bot.ask("set", SERVICE, &format!("<pubsub xmlns='{PUBSUB}'><create/></pubsub>")).await;
    let node = child(child(&answer, "pubsub", PUBSUB), "create", PUBSUB).attr("node").unwrap().to_owned();
    well(&bot.ask("set", SERVICE, &publish(&node, "1", &tune("x"))).await);
    let defaults = bot.ask("get", SERVICE, &format!("<pubsub xmlns='{OWNER}'><default/></pubsub>")).await;
    child(child(child(&defaults, "pubsub", OWNER), "default", OWNER), "x", FORMS);
    let shown =
        bot.ask("get", SERVICE, &format!("<pubsub xmlns='{OWNER}'><configure node='n'/></pubsub>")).await;
    child(child(child(&shown, "pubsub", OWNER), "configure", OWNER), "x", FORMS);
    let mine = bot.ask("get", SERVICE, &format!("<pubsub xmlns='{PUBSUB}'><affiliations/></pubsub>")).await;
    assert_eq!(child(child(&mine, "pubsub", PUBSUB), "affiliations", PUBSUB).children().count(), 2);
}

#[tokio::test]
async fn an_owner_answers_the_form_that_asks_for_approval() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    well(&bot.ask("set", SERVICE, &create("n", &[("access_model", "authorize")])).await);
    assert_eq!(subscription(&romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await), "pending");
    let form = |allow: &str| {
        format!(
            "<message to='{SERVICE}' id='form'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'>\
             <value>{PUBSUB}#subscribe_authorization</value></field><field var='pubsub#node'><value>n</value></field>\
             <field var='pubsub#subscriber_jid'><value>romeo@corp.example</value></field>\
             <field var='pubsub#allow'><value>{allow}</value></field></x></message>"
        )
    };
    romeo.send(&form("1")).await;
    let refusal = romeo.find(|element| element.attr("id") == Some("form")).await;
    assert_eq!(condition(&refusal), "forbidden", "nobody lets themselves in");
    bot.send(&form("1")).await;
    let told = romeo.find(|element| element.name() == "message").await;
    let event = child(&told, "event", EVENT);
    assert_eq!(child(event, "subscription", EVENT).attr("subscription"), Some("subscribed"));
    bot.send(&format!("<message to='{SERVICE}' id='words'><body>hello</body></message>")).await;
    let refusal = bot.find(|element| element.attr("id") == Some("words")).await;
    assert_eq!(condition(&refusal), "service-unavailable");
}

#[tokio::test]
async fn a_node_says_how_it_tells_and_who_may_publish() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    let options = [
        ("publish_model", "subscribers"),
        ("deliver_payloads", "0"),
        ("notification_type", "normal"),
        ("itemreply", "publisher"),
        ("send_last_published_item", "never"),
        ("notify_retract", "0"),
    ];
    well(&bot.ask("set", SERVICE, &create("n", &options)).await);
    well(&romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await);
    assert_eq!(condition(&juliet.ask("set", SERVICE, &publish("n", "1", &tune("x"))).await), "forbidden");
    well(&romeo.ask("set", SERVICE, &publish("n", "1", &tune("quiet"))).await);
    well(&juliet.ask("set", SERVICE, &subscribe(&juliet, "n")).await);
    assert_eq!(notices(&fence(&mut juliet, SERVICE).await), [], "no last item");
    well(&bot.ask("set", SERVICE, &publish("n", "2", &tune("quiet"))).await);
    let got = juliet.settle().await;
    let message = got.iter().find(|element| element.name() == "message").unwrap();
    assert_eq!(message.attr("type"), Some("normal"));
    assert!(!String::from(message).contains("quiet"), "the payload stays where it is");
    let addresses = child(message, "addresses", "http://jabber.org/protocol/address");
    assert_eq!(addresses.children().next().unwrap().attr("jid"), Some("nurse@corp.example"));
    // What somebody else has published is theirs; owners may do everything.
    assert_eq!(condition(&juliet.ask("set", SERVICE, &publish("n", "1", &tune("mine"))).await), "forbidden");
    let retract = format!("<pubsub xmlns='{PUBSUB}'><retract node='n'><item id='1'/></retract></pubsub>");
    assert_eq!(condition(&juliet.ask("set", SERVICE, &retract).await), "forbidden");
    well(&bot.ask("set", SERVICE, &retract).await);
    assert_eq!(notices(&juliet.settle().await), []);
    // Nothing is kept where nothing is to be kept.
    well(&bot.ask("set", SERVICE, &configure("n", &[("persist_items", "0")])).await);
    well(&bot.ask("set", SERVICE, &publish("n", "3", &tune("gone"))).await);
    assert_eq!(notices(&juliet.settle().await).len(), 1);
    assert_eq!(ids(&bot.ask("get", SERVICE, &items("n")).await), [""; 0]);
}

#[tokio::test]
async fn items_go_when_their_time_is_over() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    let wrong = create("n", &[("item_expire", "0")]);
    assert_eq!(condition(&bot.ask("set", SERVICE, &wrong).await), "not-acceptable");
    well(&bot.ask("set", SERVICE, &create("n", &[("item_expire", "1")])).await);
    well(&bot.ask("set", SERVICE, &publish("n", "1", &tune("fleeting"))).await);
    assert_eq!(ids(&romeo.ask("get", SERVICE, &items("n")).await), ["1"]);
    while !ids(&romeo.ask("get", SERVICE, &items("n")).await).is_empty() {
        tokio::task::yield_now().await;
    }
    well(&romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await);
    assert_eq!(notices(&fence(&mut romeo, SERVICE).await), [], "there is no last item any more");
    // Longer, and it stays; and a restart knows as much.
    well(&bot.ask("set", SERVICE, &configure("n", &[("item_expire", "max")])).await);
    well(&bot.ask("set", SERVICE, &publish("n", "2", &tune("lasting"))).await);
    drop((bot, romeo));
    let house = house.restart().await;
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(ids(&romeo.ask("get", SERVICE, &items("n")).await), ["2"]);
}

#[tokio::test]
async fn options_of_a_subscription_are_said_to_be_absent() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    well(&bot.ask("set", SERVICE, &create("n", &[])).await);
    well(&bot.ask("set", SERVICE, &subscribe(&bot, "n")).await);
    let options = format!("<options node='n' jid='{}'/>", bot.bare());
    let answer = bot.ask("get", SERVICE, &format!("<pubsub xmlns='{PUBSUB}'>{options}</pubsub>")).await;
    assert_eq!(condition(&answer), "feature-not-implemented");
    assert_eq!(specific(&answer).1, "unsupported");
    assert!(String::from(&answer).contains("subscription-options"));
    let info = "http://jabber.org/protocol/disco#info";
    let told = bot.ask("get", SERVICE, &format!("<query xmlns='{info}'/>")).await;
    assert!(!String::from(&told).contains("subscription-options"));
}

#[tokio::test]
async fn what_cannot_be_stored_is_told_to_nobody_but_its_publisher() {
    let house = House::open().await;
    let mut bot = house.online("nurse", "bot").await;
    let mut romeo = house.online("romeo", "a").await;
    well(&bot.ask("set", SERVICE, &create("n", &[])).await);
    well(&romeo.ask("set", SERVICE, &subscribe(&romeo, "n")).await);
    well(&bot.ask("set", SERVICE, &publish("n", "1", &tune("stored"))).await);
    assert_eq!(notices(&romeo.settle().await).len(), 1);
    house.break_disk().await;
    for (what, request) in [
        ("a publication", publish("n", "2", &tune("lost"))),
        ("an own node", publish("urn:test:own", "1", &tune("lost"))),
        (
            "a retraction",
            format!(
                "<pubsub xmlns='{PUBSUB}'><retract node='n' notify='1'><item id='1'/></retract></pubsub>"
            ),
        ),
        ("a node", create("other", &[])),
    ] {
        let to = if what == "an own node" { "" } else { SERVICE };
        let answer = bot.ask("set", to, &request).await;
        assert_eq!(condition(&answer), "internal-server-error", "{what}");
    }
    assert_eq!(notices(&bot.flush_to(&mut romeo).await), []);
}
