//! Personal eventing (XEP-0163): what an account publishes, and who hears of it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};

use crate::client::{CLIENT, Client, child, condition};
use crate::house::{DOMAIN, House};

pub const PUBSUB: &str = "http://jabber.org/protocol/pubsub";
pub const OWNER: &str = "http://jabber.org/protocol/pubsub#owner";
pub const EVENT: &str = "http://jabber.org/protocol/pubsub#event";
pub const ERRORS: &str = "http://jabber.org/protocol/pubsub#errors";
pub const FORMS: &str = "jabber:x:data";
const INFO: &str = "http://jabber.org/protocol/disco#info";
const TUNE: &str = "http://jabber.org/protocol/tune";
const MOOD: &str = "http://jabber.org/protocol/mood";

/// What a client says that it can do.
pub struct Kit {
    ver: String,
    features: Vec<String>,
}

impl Kit {
    /// A client that wants notifications of these nodes.
    pub fn wanting(nodes: &[&str]) -> Self {
        let notify = nodes.iter().map(|node| format!("{node}+notify"));
        let mut features: Vec<String> = notify.chain([INFO.to_owned()]).collect();
        features.sort();
        let text: String = std::iter::once("client/pc//Test".to_owned())
            .chain(features.clone())
            .map(|part| part + "<")
            .collect();
        Self { ver: STANDARD.encode(Sha1::digest(text)), features }
    }

    pub fn presence(&self) -> String {
        let ver = &self.ver;
        format!(
            "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:test' ver='{ver}'/></presence>"
        )
    }

    pub fn answer(&self, question: &Element) -> String {
        let features: String =
            self.features.iter().map(|feature| format!("<feature var='{feature}'/>")).collect();
        format!(
            "<iq type='result' id='{}' to='{}'><query xmlns='{INFO}' node='urn:test#{}'>\
             <identity category='client' type='pc' name='Test'/>{features}</query></iq>",
            question.attr("id").unwrap(),
            question.attr("from").unwrap(),
            self.ver,
        )
    }
}

pub fn is_question(element: &Element) -> bool {
    element.name() == "iq" && element.attr("type") == Some("get") && element.has_child("query", INFO)
}

/// Somebody who has answered what they can do.
pub async fn tell(client: &mut Client, kit: &Kit) {
    client.send(&kit.presence()).await;
    let question = client.find(is_question).await;
    client.send(&kit.answer(&question)).await;
}

/// What somebody has got until the worker of `owner` has done all that was asked of it before.
pub async fn fence(client: &mut Client, owner: &str) -> Vec<Element> {
    let id = crate::client::unique("fence");
    let to = if owner.is_empty() { String::new() } else { format!(" to='{owner}'") };
    client
        .send(&format!(
            "<iq type='get' id='{id}'{to}><pubsub xmlns='{PUBSUB}'><subscriptions/></pubsub></iq>"
        ))
        .await;
    let mut got = client.until(|element| element.attr("id") == Some(&id)).await;
    got.pop();
    got
}

pub fn publish(node: &str, id: &str, payload: &str) -> String {
    format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>{payload}</item></publish></pubsub>"
    )
}

pub fn publish_with(node: &str, id: &str, payload: &str, options: &[(&str, &str)]) -> String {
    let fields: String = options
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>{payload}</item></publish><publish-options>\
         <x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#publish-options</value>\
         </field>{fields}</x></publish-options></pubsub>"
    )
}

pub fn configure(node: &str, options: &[(&str, &str)]) -> String {
    let fields: String = options
        .iter()
        .map(|(var, value)| format!("<field var='pubsub#{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<pubsub xmlns='{OWNER}'><configure node='{node}'><x xmlns='{FORMS}' type='submit'>\
         <field var='FORM_TYPE' type='hidden'><value>{PUBSUB}#node_config</value></field>{fields}</x></configure></pubsub>"
    )
}

pub fn items(node: &str) -> String {
    format!("<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")
}

pub fn tune(title: &str) -> String {
    format!("<tune xmlns='{TUNE}'><title>{title}</title></tune>")
}

pub fn well(answer: &Element) {
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(answer));
}

/// The ids of the items in an answer.
pub fn ids(answer: &Element) -> Vec<String> {
    well(answer);
    let items = child(child(answer, "pubsub", PUBSUB), "items", PUBSUB);
    items.children().map(|item| item.attr("id").unwrap().to_owned()).collect()
}

/// The condition of XEP-0060's own beside that of RFC 6120.
pub fn specific(answer: &Element) -> (String, String) {
    let error = child(answer, "error", CLIENT);
    let own = error.children().find(|child| child.has_ns(ERRORS)).map(Element::name).unwrap_or_default();
    (condition(answer).to_owned(), own.to_owned())
}

/// Each notification of an item among these: from whom, of which node, which item.
pub fn notices(elements: &[Element]) -> Vec<(String, String, String)> {
    let event = |element: &Element| {
        let items = element.get_child("event", EVENT)?.get_child("items", EVENT)?;
        let item = items.children().next()?;
        let word = |value: Option<&str>| value.unwrap_or_default().to_owned();
        Some((word(element.attr("from")), word(items.attr("node")), word(item.attr("id"))))
    };
    elements.iter().filter(|element| element.name() == "message").filter_map(event).collect()
}

fn notice(from: &str, node: &str, id: &str) -> (String, String, String) {
    (format!("{from}@{DOMAIN}"), node.to_owned(), id.to_owned())
}

#[tokio::test]
async fn what_is_published_comes_to_those_who_want_it_and_to_no_others() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut phone = house.bind("romeo", "phone").await;
    let mut nurse = house.bind("nurse", "a").await;
    tell(&mut juliet, &Kit::wanting(&[TUNE])).await;
    tell(&mut phone, &Kit::wanting(&[TUNE, MOOD])).await;
    // The server knows by now what a client of this kind wants.
    nurse.send(&Kit::wanting(&[TUNE]).presence()).await;
    assert!(!nurse.settle().await.iter().any(is_question));
    juliet.settle().await;
    phone.settle().await;

    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    let got = juliet.settle().await;
    assert_eq!(notices(&got), [notice("romeo", TUNE, "one")]);
    let message = got.iter().find(|element| element.name() == "message").unwrap();
    assert_eq!((message.attr("type"), message.attr("to")), (Some("headline"), Some(juliet.jid())));
    assert!(String::from(message).contains("Ode"));
    assert_eq!(notices(&phone.settle().await), [notice("romeo", TUNE, "one")]);
    assert_eq!(notices(&romeo.settle().await), [], "this resource has not said that it wants it");
    assert_eq!(notices(&nurse.settle().await), [], "who does not see romeo hears nothing");

    well(&romeo.ask("set", "", &publish(MOOD, "m", "<mood xmlns='http://jabber.org/protocol/mood'/>")).await);
    assert_eq!(notices(&juliet.settle().await), [], "nobody asked her for moods");
    assert_eq!(notices(&phone.settle().await), [notice("romeo", MOOD, "m")]);
}

#[tokio::test]
async fn the_last_item_of_each_node_comes_with_presence_once() {
    let house = House::open().await;
    let (mut romeo, juliet) = house.friends("romeo", "juliet").await;
    for (node, id) in [(TUNE, "one"), (TUNE, "two"), (MOOD, "glad")] {
        well(&romeo.ask("set", "", &publish(node, id, &tune("Ode"))).await);
    }
    romeo.close().await;
    let house = house.restart().await;
    let mut tablet = house.bind("juliet", "tablet").await;
    let kit = Kit::wanting(&[TUNE, MOOD]);
    tell(&mut tablet, &kit).await;
    let mut got = notices(&fence(&mut tablet, "romeo@corp.example").await);
    got.sort();
    assert_eq!(got, [notice("romeo", MOOD, "glad"), notice("romeo", TUNE, "two")], "though romeo is away");
    // The same presence again says nothing new.
    tablet.send(&kit.presence()).await;
    assert_eq!(notices(&fence(&mut tablet, "romeo@corp.example").await), []);
    // Who comes back gets them again, and is not asked again.
    tablet.send("<presence type='unavailable'/>").await;
    tablet.send(&kit.presence()).await;
    let got = fence(&mut tablet, "romeo@corp.example").await;
    assert!(!got.iter().any(is_question));
    assert_eq!(notices(&got).len(), 2);
    drop(juliet);
}

#[tokio::test]
async fn who_learns_to_want_more_gets_only_what_is_new() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    for node in [TUNE, MOOD] {
        well(&romeo.ask("set", "", &publish(node, "x", &tune("Ode"))).await);
    }
    tell(&mut juliet, &Kit::wanting(&[TUNE])).await;
    assert_eq!(notices(&fence(&mut juliet, "romeo@corp.example").await), [notice("romeo", TUNE, "x")]);
    tell(&mut juliet, &Kit::wanting(&[TUNE, MOOD])).await;
    assert_eq!(notices(&fence(&mut juliet, "romeo@corp.example").await), [notice("romeo", MOOD, "x")]);
}

#[tokio::test]
async fn a_lie_about_a_hash_deceives_nobody_else() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let (honest, false_) = (Kit::wanting(&[TUNE]), Kit { ver: Kit::wanting(&[TUNE]).ver, features: vec![] });
    let mut liar = house.bind("nurse", "a").await;
    liar.send(&honest.presence()).await;
    let question = liar.find(is_question).await;
    // While the liar is being asked, somebody else names the same hash.
    juliet.send(&honest.presence()).await;
    assert!(!juliet.settle().await.iter().any(is_question), "one is asked at a time");
    liar.send(&false_.answer(&question)).await;
    let question = juliet.find(is_question).await;
    juliet.send(&honest.answer(&question)).await;
    juliet.settle().await;
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    assert_eq!(notices(&juliet.settle().await), [notice("romeo", TUNE, "one")]);
}

#[tokio::test]
async fn a_new_subscription_brings_the_last_items() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.bind("juliet", "b").await;
    tell(&mut juliet, &Kit::wanting(&[TUNE])).await;
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    juliet.send("<presence type='subscribe' to='romeo@corp.example'/>").await;
    juliet.settle().await;
    romeo.send("<presence type='subscribed' to='juliet@corp.example'/>").await;
    let got = juliet.find(|element| element.name() == "message").await;
    assert_eq!(notices(&[got]), [notice("romeo", TUNE, "one")]);
}

#[tokio::test]
async fn between_those_who_block_nothing_is_sent() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut juliet, &Kit::wanting(&[TUNE])).await;
    juliet.settle().await;
    let block = "<block xmlns='urn:xmpp:blocking'><item jid='juliet@corp.example'/></block>";
    well(&romeo.ask("set", "", block).await);
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    assert_eq!(notices(&juliet.settle().await), []);
    let answer = juliet.ask("get", "romeo@corp.example", &items(TUNE)).await;
    assert_eq!(condition(&answer), "service-unavailable");
}

#[tokio::test]
async fn each_access_model_is_obeyed_with_its_own_error() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut nurse = house.online("nurse", "a").await;
    let get = items(TUNE);
    for (model, friend, stranger) in [
        ("open", None, None),
        ("presence", None, Some(("not-authorized", "presence-subscription-required"))),
        (
            "roster",
            Some(("not-authorized", "not-in-roster-group")),
            Some(("not-authorized", "not-in-roster-group")),
        ),
        ("authorize", Some(("not-authorized", "not-subscribed")), Some(("not-authorized", "not-subscribed"))),
        ("whitelist", Some(("not-allowed", "closed-node")), Some(("not-allowed", "closed-node"))),
    ] {
        romeo.ask("set", "", &format!("<pubsub xmlns='{OWNER}'><delete node='{TUNE}'/></pubsub>")).await;
        well(
            &romeo.ask("set", "", &publish_with(TUNE, "one", &tune("Ode"), &[("access_model", model)])).await,
        );
        for (client, wanted) in [(&mut juliet, friend), (&mut nurse, stranger)] {
            let answer = client.ask("get", "romeo@corp.example", &get).await;
            match wanted {
                None => assert_eq!(ids(&answer), ["one"], "{model}"),
                Some((condition, own)) => {
                    assert_eq!(specific(&answer), (condition.to_owned(), own.to_owned()), "{model}");
                }
            }
        }
    }
    // Whom a list names may read.
    let list = |affiliation: &str| {
        format!(
            "<pubsub xmlns='{OWNER}'><affiliations node='{TUNE}'><affiliation jid='nurse@corp.example' affiliation='{affiliation}'/></affiliations></pubsub>"
        )
    };
    well(&romeo.ask("set", "", &list("member")).await);
    assert_eq!(ids(&nurse.ask("get", "romeo@corp.example", &get).await), ["one"]);
    well(&romeo.ask("set", "", &list("outcast")).await);
    assert_eq!(condition(&nurse.ask("get", "romeo@corp.example", &get).await), "forbidden");
    well(&romeo.ask("set", "", &configure(TUNE, &[("access_model", "open")])).await);
    assert_eq!(condition(&nurse.ask("get", "romeo@corp.example", &get).await), "forbidden");
    assert_eq!(ids(&juliet.ask("get", "romeo@corp.example", &get).await), ["one"]);
    for payload in [
        list("member"),
        configure(TUNE, &[]),
        format!("<pubsub xmlns='{OWNER}'><delete node='{TUNE}'/></pubsub>"),
    ] {
        assert_eq!(condition(&juliet.ask("set", "romeo@corp.example", &payload).await), "forbidden");
    }
    assert_eq!(
        condition(&juliet.ask("set", "romeo@corp.example", &publish(TUNE, "x", &tune("No"))).await),
        "forbidden"
    );
    assert_eq!(
        condition(&juliet.ask("set", "romeo@corp.example", &publish("new", "x", &tune("No"))).await),
        "item-not-found"
    );
}

#[tokio::test]
async fn publish_options_make_a_node_and_later_must_be_met() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let private = [("access_model", "whitelist"), ("persist_items", "true"), ("max_items", "max")];
    for id in ["one", "two", "three"] {
        well(&romeo.ask("set", "", &publish_with("urn:test:marks", id, &tune(id), &private)).await);
    }
    assert_eq!(ids(&romeo.ask("get", "", &items("urn:test:marks")).await), ["one", "two", "three"]);
    let answer = romeo
        .ask("set", "", &publish_with("urn:test:marks", "x", &tune("x"), &[("access_model", "open")]))
        .await;
    assert_eq!(specific(&answer), ("conflict".to_owned(), "precondition-not-met".to_owned()));
    let answer =
        romeo.ask("set", "", &publish_with("urn:test:new", "x", &tune("x"), &[("colour", "red")])).await;
    assert_eq!(specific(&answer), ("conflict".to_owned(), "precondition-not-met".to_owned()));
    assert_eq!(condition(&romeo.ask("get", "", &items("urn:test:new")).await), "item-not-found");
    // Fewer may be kept from now on: the newest stay.
    well(&romeo.ask("set", "", &configure("urn:test:marks", &[("max_items", "2")])).await);
    assert_eq!(ids(&romeo.ask("get", "", &items("urn:test:marks")).await), ["two", "three"]);
    well(&romeo.ask("set", "", &publish("urn:test:marks", "four", &tune("four"))).await);
    assert_eq!(ids(&romeo.ask("get", "", &items("urn:test:marks")).await), ["three", "four"]);
    let house = house.restart().await;
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(
        ids(&romeo.ask("get", "", &items("urn:test:marks")).await),
        ["three", "four"],
        "after a restart"
    );
    well(&romeo.ask("set", "", &publish("urn:test:marks", "three", &tune("again"))).await);
    assert_eq!(
        ids(&romeo.ask("get", "", &items("urn:test:marks")).await),
        ["four", "three"],
        "what is published again is new"
    );
}

#[tokio::test]
async fn keys_of_end_to_end_encryption_are_refused_where_the_company_reads_its_archive() {
    let nodes = [
        "eu.siacs.conversations.axolotl.devicelist",
        "urn:xmpp:omemo:2:bundles",
        "urn:xmpp:openpgp:0:public-keys",
    ];
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for node in nodes {
        let answer = romeo.ask("set", "", &publish(node, "current", "<list xmlns='urn:test'/>")).await;
        assert_eq!(condition(&answer), "policy-violation", "{node}");
        let create = format!("<pubsub xmlns='{PUBSUB}'><create node='{node}'/></pubsub>");
        assert_eq!(condition(&romeo.ask("set", "", &create).await), "policy-violation", "{node}");
    }
    let hidden = "<note xmlns='urn:test'><encrypted xmlns='urn:xmpp:omemo:2'/></note>";
    assert_eq!(
        condition(&romeo.ask("set", "", &publish("urn:test:note", "x", hidden)).await),
        "policy-violation"
    );
    let house = House::with(&[("POLICY_ENCRYPTED_MESSAGES", "allow")]).await;
    let mut romeo = house.online("romeo", "a").await;
    for node in nodes {
        well(&romeo.ask("set", "", &publish(node, "current", "<list xmlns='urn:test'/>")).await);
    }
}

#[tokio::test]
async fn an_account_tells_that_it_publishes_and_shows_its_nodes_to_those_who_may_read_them() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    well(
        &romeo
            .ask(
                "set",
                "",
                &publish_with("urn:test:private", "x", &tune("x"), &[("access_model", "whitelist")]),
            )
            .await,
    );
    let info = romeo.ask("get", "", &format!("<query xmlns='{INFO}'/>")).await;
    let info = child(&info, "query", INFO);
    assert!(
        info.children().any(|it| it.attr("category") == Some("pubsub") && it.attr("type") == Some("pep"))
    );
    for feature in [
        "publish",
        "publish-options",
        "persistent-items",
        "auto-create",
        "access-presence",
        "filtered-notifications",
        "item-ids",
        "retrieve-items",
        "last-published",
        "config-node",
        "config-node-max",
        "multi-items",
    ] {
        let feature = format!("{PUBSUB}#{feature}");
        assert!(info.children().any(|it| it.attr("var") == Some(&feature)), "{feature}");
    }
    let ns = "http://jabber.org/protocol/disco#items";
    let list = juliet.ask("get", "romeo@corp.example", &format!("<query xmlns='{ns}'/>")).await;
    let nodes: Vec<&str> =
        child(&list, "query", ns).children().filter_map(|item| item.attr("node")).collect();
    assert_eq!(nodes, [TUNE]);
    let list = juliet.ask("get", "romeo@corp.example", &format!("<query xmlns='{ns}' node='{TUNE}'/>")).await;
    let items: Vec<&str> =
        child(&list, "query", ns).children().filter_map(|item| item.attr("name")).collect();
    assert_eq!(items, ["one"]);
    let node =
        juliet.ask("get", "romeo@corp.example", &format!("<query xmlns='{INFO}' node='{TUNE}'/>")).await;
    let node = child(&node, "query", INFO);
    assert_eq!(
        (child(node, "identity", INFO).attr("category"), child(node, "identity", INFO).attr("type")),
        (Some("pubsub"), Some("leaf"))
    );
    child(node, "x", FORMS);
}

#[tokio::test]
async fn an_account_that_is_removed_leaves_no_nodes_to_the_next_of_its_name() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    well(&romeo.ask("set", "", &publish(TUNE, "one", &tune("Ode"))).await);
    house.server.remove(&crate::house::jid("romeo")).await.unwrap();
    house
        .server
        .users()
        .create(&crate::house::jid("romeo"), server::users::NewAccount::new(crate::house::PASSWORD))
        .await
        .unwrap();
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(condition(&romeo.ask("get", "", &items(TUNE)).await), "item-not-found");
}
