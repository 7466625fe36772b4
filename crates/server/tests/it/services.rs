//! What the server answers itself: discovery and the small extensions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};

use crate::client::{Client, child, condition};
use crate::house::{DOMAIN, House, PASSWORD, jid};

const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";
const FORMS: &str = "jabber:x:data";
const TEMP: &str = "vcard-temp";
const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";

async fn info(client: &mut Client, to: &str) -> Element {
    let answer = client.ask("get", to, &format!("<query xmlns='{INFO}'/>")).await;
    child(&answer, "query", INFO).clone()
}

fn features(info: &Element) -> Vec<&str> {
    info.children()
        .filter(|child| child.is("feature", INFO))
        .filter_map(|feature| feature.attr("var"))
        .collect()
}

fn field(form: &Element, var: &str) -> Option<String> {
    let field = form.children().find(|field| field.attr("var") == Some(var))?;
    Some(field.children().find(|child| child.name() == "value")?.text())
}

#[tokio::test]
async fn the_domain_and_the_account_say_what_they_can() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let host = info(&mut romeo, DOMAIN).await;
    assert_eq!(child(&host, "identity", INFO).attr("category"), Some("server"));
    for wanted in [
        INFO,
        ITEMS,
        "urn:xmpp:ping",
        "urn:xmpp:blocking",
        "urn:xmpp:carbons:2",
        "urn:xmpp:carbons:rules:0",
        "jabber:iq:version",
        "jabber:iq:last",
        "jabber:iq:register",
        "jabber:iq:private",
        "urn:xmpp:time",
        "vcard-temp",
        "http://jabber.org/protocol/commands",
        "msgoffline",
    ] {
        assert!(features(&host).contains(&wanted), "the domain: {wanted}");
    }
    for to in ["", "romeo@corp.example"] {
        let account = info(&mut romeo, to).await;
        assert_eq!(child(&account, "identity", INFO).attr("category"), Some("account"));
        for wanted in [
            "urn:xmpp:mam:2",
            "urn:xmpp:mam:2#extended",
            "urn:xmpp:sid:0",
            "urn:xmpp:carbons:2",
            "urn:xmpp:blocking",
            "jabber:iq:private",
            TEMP,
            VCARD4,
        ] {
            assert!(features(&account).contains(&wanted), "the account: {wanted}");
        }
        assert!(!features(&account).contains(&"jabber:iq:version"), "that is the domain's");
    }
}

#[tokio::test]
async fn only_who_may_see_an_account_learns_what_it_can() {
    let house = House::open().await;
    let (mut romeo, _juliet) = house.friends("romeo", "juliet").await;
    let account = info(&mut romeo, "juliet@corp.example").await;
    assert_eq!(child(&account, "identity", INFO).attr("category"), Some("account"));
    for to in ["nurse@corp.example", "nobody@corp.example"] {
        for ns in [INFO, ITEMS] {
            let answer = romeo.ask("get", to, &format!("<query xmlns='{ns}'/>")).await;
            assert_eq!(condition(&answer), "service-unavailable", "{to}");
        }
    }
}

#[tokio::test]
async fn the_domain_tells_whom_to_write_to_and_what_may_be_written() {
    let house = House::with(&[
        ("CONTACT_ADMIN", "mailto:admin@corp.example,xmpp:admin@corp.example"),
        ("CONTACT_OUTAGE", "https://status.example/xmpp.json"),
    ])
    .await;
    let mut romeo = house.online("romeo", "a").await;
    let host = info(&mut romeo, DOMAIN).await;
    let forms: Vec<&Element> = host.children().filter(|child| child.is("x", FORMS)).collect();
    let of_type =
        |type_: &str| forms.iter().find(|form| field(form, "FORM_TYPE").as_deref() == Some(type_)).unwrap();
    let contact = of_type("http://jabber.org/network/serverinfo");
    assert_eq!(field(contact, "admin-addresses").as_deref(), Some("mailto:admin@corp.example"));
    let outage = of_type("urn:xmpp:sos:0");
    assert_eq!(
        field(outage, "external-status-addresses").as_deref(),
        Some("https://status.example/xmpp.json")
    );
    let policy = of_type("urn:chancery:policy:0");
    assert_eq!(field(policy, "encrypted-messages").as_deref(), Some("refuse"));
    let house = House::with(&[("POLICY_ENCRYPTED_MESSAGES", "allow")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let host = info(&mut romeo, DOMAIN).await;
    let policy = host.children().find(|child| child.is("x", FORMS)).unwrap();
    assert_eq!(field(policy, "encrypted-messages").as_deref(), Some("allow"));
}

/// The verification string by the words of XEP-0115 §5.1.
fn verification(info: &Element) -> String {
    let mut text = String::new();
    let identity = child(info, "identity", INFO);
    let part = |name| identity.attr(name).unwrap_or_default().to_owned();
    text.push_str(&format!("{}/{}//{}<", part("category"), part("type"), part("name")));
    let mut features = features(info);
    features.sort_unstable();
    features.iter().for_each(|feature| text.push_str(&format!("{feature}<")));
    let mut forms: Vec<&Element> = info.children().filter(|child| child.is("x", FORMS)).collect();
    forms.sort_by_key(|form| field(form, "FORM_TYPE"));
    for form in forms {
        text.push_str(&format!("{}<", field(form, "FORM_TYPE").unwrap()));
        let mut fields: Vec<&Element> =
            form.children().filter(|field| field.attr("var") != Some("FORM_TYPE")).collect();
        fields.sort_by_key(|field| field.attr("var"));
        for field in fields {
            text.push_str(&format!("{}<", field.attr("var").unwrap()));
            let mut values: Vec<String> = field.children().map(Element::text).collect();
            values.sort();
            values.iter().for_each(|value| text.push_str(&format!("{value}<")));
        }
    }
    STANDARD.encode(Sha1::digest(text))
}

#[tokio::test]
async fn the_features_name_the_answer_that_the_domain_gives() {
    let house = House::with(&[
        ("CONTACT_SUPPORT", "mailto:help@corp.example"),
        ("CONTACT_ABUSE", "mailto:a@b,mailto:B@b"),
    ])
    .await;
    let mut raw = house.raw().await;
    let features = raw.open().await;
    let caps = child(&features, "c", "http://jabber.org/protocol/caps");
    assert_eq!(caps.attr("hash"), Some("sha-1"));
    let node = format!("{}#{}", caps.attr("node").unwrap(), caps.attr("ver").unwrap());
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", DOMAIN, &format!("<query xmlns='{INFO}' node='{node}'/>")).await;
    let named = child(&answer, "query", INFO);
    assert_eq!(named.attr("node"), Some(node.as_str()));
    assert_eq!(verification(named), caps.attr("ver").unwrap());
    assert_eq!(verification(&info(&mut romeo, DOMAIN).await), caps.attr("ver").unwrap());
}

#[tokio::test]
async fn there_are_no_nodes_but_those_that_are_told() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in ["", DOMAIN] {
        for ns in [INFO, ITEMS] {
            let answer = romeo.ask("get", to, &format!("<query xmlns='{ns}' node='elsewhere'/>")).await;
            assert_eq!(condition(&answer), "item-not-found", "{to} {ns}");
        }
        let answer = romeo.ask("get", to, &format!("<query xmlns='{ITEMS}'/>")).await;
        let items: Vec<_> =
            child(&answer, "query", ITEMS).children().filter_map(|item| item.attr("jid")).collect();
        let services: &[&str] = if to.is_empty() {
            &[]
        } else {
            &["conference.corp.example", "directory.corp.example", "pubsub.corp.example"]
        };
        assert_eq!(items, services);
        let answer = romeo.ask("set", to, &format!("<query xmlns='{INFO}'/>")).await;
        assert_eq!(condition(&answer), "bad-request");
    }
}

#[tokio::test]
async fn the_server_tells_its_version_time_and_age() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", DOMAIN, "<query xmlns='jabber:iq:version'/>").await;
    let version = child(&answer, "query", "jabber:iq:version");
    assert_eq!(child(version, "name", "jabber:iq:version").text(), "Chancery");
    assert_eq!(child(version, "version", "jabber:iq:version").text(), env!("CARGO_PKG_VERSION"));
    assert!(version.get_child("os", "jabber:iq:version").is_none());
    let answer = romeo.ask("get", DOMAIN, "<time xmlns='urn:xmpp:time'/>").await;
    let time = child(&answer, "time", "urn:xmpp:time");
    assert!(child(time, "utc", "urn:xmpp:time").text().starts_with("20"));
    assert_eq!(child(time, "tzo", "urn:xmpp:time").text(), "+00:00");
    let answer = romeo.ask("get", DOMAIN, "<query xmlns='jabber:iq:last'/>").await;
    let age: u64 = child(&answer, "query", "jabber:iq:last").attr("seconds").unwrap().parse().unwrap();
    assert!(age < 600);
}

#[tokio::test]
async fn friends_learn_when_somebody_was_last_here() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let ask = "<query xmlns='jabber:iq:last'/>";
    let answer = romeo.ask("get", "juliet@corp.example", ask).await;
    assert_eq!(child(&answer, "query", "jabber:iq:last").attr("seconds"), Some("0"), "she is here");
    juliet.send("<presence type='unavailable'><status>to bed</status></presence>").await;
    juliet.settle().await;
    let answer = romeo.ask("get", "juliet@corp.example", ask).await;
    let last = child(&answer, "query", "jabber:iq:last");
    assert!(last.attr("seconds").unwrap().parse::<u64>().unwrap() < 600);
    assert_eq!(last.text(), "to bed");
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(condition(&nurse.ask("get", "juliet@corp.example", ask).await), "forbidden");
    assert_eq!(child(&nurse.ask("get", "", ask).await, "query", "jabber:iq:last").attr("seconds"), Some("0"));
}

#[tokio::test]
async fn private_xml_is_kept_by_name_for_its_owner() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let get =
        |name: &str, ns: &str| format!("<query xmlns='jabber:iq:private'><{name} xmlns='{ns}'/></query>");
    let answer = romeo.ask("get", "", &get("storage", "storage:bookmarks")).await;
    let empty = child(child(&answer, "query", "jabber:iq:private"), "storage", "storage:bookmarks");
    assert_eq!(empty.children().count(), 0);
    let set = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'><conference jid='a@b' name='x &amp; y'/>\
               </storage><note xmlns='urn:example:note'>n</note></query>";
    assert_eq!(romeo.ask("set", "", set).await.attr("type"), Some("result"));
    let answer = romeo.ask("get", "", &get("storage", "storage:bookmarks")).await;
    let storage = child(child(&answer, "query", "jabber:iq:private"), "storage", "storage:bookmarks");
    assert_eq!(child(storage, "conference", "storage:bookmarks").attr("name"), Some("x & y"));
    let answer = romeo.ask("get", "", &get("note", "urn:example:note")).await;
    assert_eq!(child(child(&answer, "query", "jabber:iq:private"), "note", "urn:example:note").text(), "n");
    for (payload, wanted) in [
        ("<query xmlns='jabber:iq:private'/>".to_owned(), "bad-request"),
        (get("query", "jabber:iq:roster"), "not-acceptable"),
    ] {
        assert_eq!(condition(&romeo.ask("set", "", &payload).await), wanted, "{payload}");
    }
    let two = "<query xmlns='jabber:iq:private'><a xmlns='x:a'/><b xmlns='x:b'/></query>";
    assert_eq!(condition(&romeo.ask("get", "", two).await), "bad-request");
    let mut juliet = house.online("juliet", "a").await;
    let answer = juliet.ask("get", "romeo@corp.example", &get("storage", "storage:bookmarks")).await;
    assert_eq!(condition(&answer), "forbidden");
}

#[tokio::test]
async fn a_vcard_is_one_in_both_forms_and_colleagues_may_read_it() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", "", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(child(&answer, "vCard", TEMP).children().count(), 0, "at first there is nothing");
    let card = "<vCard xmlns='vcard-temp'><FN>Romeo Montague</FN><MAILER>quill</MAILER></vCard>";
    assert_eq!(romeo.ask("set", "", card).await.attr("type"), Some("result"));
    let mut juliet = house.online("juliet", "a").await;
    let answer = juliet.ask("get", "romeo@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    let temp = child(&answer, "vCard", TEMP);
    assert_eq!(child(temp, "FN", TEMP).text(), "Romeo Montague");
    assert_eq!(child(temp, "MAILER", TEMP).text(), "quill", "what was stored comes back whole");
    let answer = juliet.ask("get", "romeo@corp.example", &format!("<vcard xmlns='{VCARD4}'/>")).await;
    let name = child(child(&answer, "vcard", VCARD4), "fn", VCARD4);
    assert_eq!(child(name, "text", VCARD4).text(), "Romeo Montague");
    let card4 = format!("<vcard xmlns='{VCARD4}'><fn><text>R. M.</text></fn></vcard>");
    romeo.ask("set", "", &card4).await;
    let answer = juliet.ask("get", "romeo@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(child(child(&answer, "vCard", TEMP), "FN", TEMP).text(), "R. M.");
    let answer = juliet.ask("set", "romeo@corp.example", card).await;
    assert_eq!(condition(&answer), "forbidden");
    let answer = juliet.ask("get", "nobody@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(condition(&answer), "service-unavailable");
}

#[tokio::test]
async fn who_has_no_vcard_is_shown_by_the_name_that_the_company_knows() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", "juliet@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(condition(&answer), "item-not-found");
    house.server.users().set_name(&jid("juliet"), Some("Juliet Capulet".into())).await.unwrap();
    let answer = romeo.ask("get", "juliet@corp.example", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(child(child(&answer, "vCard", TEMP), "FN", TEMP).text(), "Juliet Capulet");
}

const REGISTER: &str = "jabber:iq:register";

#[tokio::test]
async fn where_it_is_open_strangers_make_accounts() {
    let house = House::with(&[("REGISTRATION_OPEN", "true"), ("LIMITS_REGISTRATIONS_PER_MINUTE", "0")]).await;
    let mut raw = house.raw().await;
    let features = raw.open().await;
    child(&features, "register", "http://jabber.org/features/iq-register");
    raw.send("<iq type='get' id='g'><query xmlns='jabber:iq:register'/></iq>").await;
    let form = raw.next().await;
    let form = child(&form, "query", REGISTER);
    assert!(
        form.get_child("username", REGISTER).is_some() && form.get_child("registered", REGISTER).is_none()
    );
    let set = |name: &str, password: &str| {
        format!(
            "<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>{name}</username>\
             <password>{password}</password></query></iq>"
        )
    };
    for (name, password, wanted) in [
        ("romeo", "x", "conflict"),
        ("", "x", "not-acceptable"),
        ("paris", "", "not-acceptable"),
        ("a@b", "x", "not-acceptable"),
    ] {
        raw.send(&set(name, password)).await;
        assert_eq!(condition(&raw.next().await), wanted, "{name}");
    }
    raw.send(&set("paris", PASSWORD)).await;
    assert_eq!(raw.next().await.attr("type"), Some("result"));
    let mut paris = house.online("paris", "a").await;
    // And closes it again.
    paris.send("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>").await;
    let answer = paris.find(|element| element.attr("id") == Some("r")).await;
    assert_eq!(answer.attr("type"), Some("result"));
    assert_eq!(paris.raw().stream_error().await, "not-authorized");
    assert!(can_sign_in(&house, "paris", PASSWORD).await.is_none());
}

/// Whether a password is good.
async fn can_sign_in(house: &House, name: &str, password: &str) -> Option<()> {
    let mut raw = house.raw().await;
    raw.open().await;
    let plain = STANDARD.encode(format!("\0{name}\0{password}"));
    raw.send(&format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>"))
        .await;
    (raw.next().await.name() == "success").then_some(())
}

#[tokio::test]
async fn registrations_from_one_address_are_bounded() {
    let house = House::with(&[("REGISTRATION_OPEN", "true"), ("LIMITS_REGISTRATIONS_PER_MINUTE", "2")]).await;
    let mut raw = house.raw().await;
    raw.open().await;
    let mut answers = Vec::new();
    for number in 0..4 {
        raw.send(&format!(
            "<iq type='set' id='s'><query xmlns='jabber:iq:register'><username>u{number}</username>\
             <password>x{PASSWORD}</password></query></iq>"
        ))
        .await;
        answers.push(raw.next().await);
    }
    assert_eq!(answers[0].attr("type"), Some("result"));
    assert_eq!(condition(&answers[3]), "resource-constraint");
}

#[tokio::test]
async fn everybody_may_change_their_own_password() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", DOMAIN, "<query xmlns='jabber:iq:register'/>").await;
    let form = child(&answer, "query", REGISTER);
    assert!(form.get_child("registered", REGISTER).is_some());
    assert_eq!(child(form, "username", REGISTER).text(), "romeo");
    let change = |name: &str, password: &str| {
        format!(
            "<query xmlns='jabber:iq:register'><username>{name}</username><password>{password}</password></query>"
        )
    };
    for (payload, wanted) in [
        (change("juliet", "new"), "not-allowed"),
        (change("romeo", ""), "bad-request"),
        ("<query xmlns='jabber:iq:register'><remove/></query>".to_owned(), "not-allowed"),
    ] {
        assert_eq!(condition(&romeo.ask("set", DOMAIN, &payload).await), wanted, "{payload}");
    }
    let answer = romeo.ask("set", DOMAIN, &change("romeo", "another-secret")).await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(&answer));
    assert!(can_sign_in(&house, "romeo", "another-secret").await.is_some());
    assert!(can_sign_in(&house, "romeo", PASSWORD).await.is_none());
    romeo.settle().await;
}

#[tokio::test]
async fn an_older_client_gets_the_session_that_it_asks_for() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in ["", DOMAIN] {
        let answer =
            romeo.ask("set", to, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'></session>").await;
        assert_eq!(answer.attr("type"), Some("result"), "{to}");
    }
}
