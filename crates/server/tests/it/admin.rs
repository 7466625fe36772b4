//! Service administration by ad-hoc commands: XEP-0133, XEP-0050.

use minidom::Element;

use crate::client::{Client, bodies, body, child, condition, presences};
use crate::house::{DOMAIN, House, PASSWORD, jid};

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";
const INFO: &str = "http://jabber.org/protocol/disco#info";
const FORMS: &str = "jabber:x:data";

fn command(node: &str, rest: &str, content: &str) -> String {
    format!(
        "<command xmlns='{COMMANDS}' node='http://jabber.org/protocol/admin#{node}' {rest}>{content}</command>"
    )
}

fn submit(fields: &[(&str, &str)]) -> String {
    let field = |(var, value): &(&str, &str)| {
        let values: String = value.split('|').map(|value| format!("<value>{value}</value>")).collect();
        format!("<field var='{var}'>{values}</field>")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "<x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE' type='hidden'>\
         <value>http://jabber.org/protocol/admin</value></field>{fields}</x>"
    )
}

/// Runs a command from its form to its end.
async fn run(client: &mut Client, node: &str, fields: &[(&str, &str)]) -> Element {
    let asked = client.ask("set", DOMAIN, &command(node, "action='execute'", "")).await;
    let asked = child(&asked, "command", COMMANDS);
    assert_eq!(asked.attr("status"), Some("executing"));
    child(asked, "x", FORMS);
    let id = asked.attr("sessionid").unwrap();
    client.ask("set", DOMAIN, &command(node, &format!("sessionid='{id}'"), &submit(fields))).await
}

async fn done(client: &mut Client, node: &str, fields: &[(&str, &str)]) -> Element {
    let answer = run(client, node, fields).await;
    let done = answer.get_child("command", COMMANDS).unwrap_or_else(|| panic!("{}", String::from(&answer)));
    assert_eq!(done.attr("status"), Some("completed"));
    done.clone()
}

fn values(command: &Element, var: &str) -> Vec<String> {
    let form = child(command, "x", FORMS);
    let field = form.children().find(|field| field.attr("var") == Some(var)).expect("the field");
    field.children().map(Element::text).collect()
}

fn notes(command: &Element) -> Vec<(&str, String)> {
    let notes = command.children().filter(|child| child.is("note", COMMANDS));
    notes.map(|note| (note.attr("type").unwrap(), note.text())).collect()
}

async fn admin(house: &House) -> Client {
    house.promote("nurse").await;
    house.online("nurse", "console").await
}

#[tokio::test]
async fn commands_are_listed_to_administrators_alone_and_run_by_nobody_else() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let list = format!("<query xmlns='{ITEMS}' node='{COMMANDS}'/>");
    for to in [DOMAIN, "nurse@corp.example"] {
        let answer = nurse.ask("get", to, &list).await;
        let items = child(&answer, "query", ITEMS);
        assert_eq!(items.children().count(), 22);
        assert!(items.children().all(|item| item.attr("jid") == Some(to) && item.attr("name").is_some()));
    }
    let answer = romeo.ask("get", DOMAIN, &list).await;
    let nodes: Vec<_> =
        child(&answer, "query", ITEMS).children().filter_map(|item| item.attr("node")).collect();
    assert_eq!(nodes, ["urn:xmpp:invite#invite"], "everybody may ask for a new contact, and no more");
    for payload in [command("add-user", "action='execute'", ""), command("get-online-users-num", "", "")] {
        assert_eq!(condition(&romeo.ask("set", DOMAIN, &payload).await), "forbidden");
        assert_eq!(condition(&romeo.ask("set", "nurse@corp.example", &payload).await), "forbidden");
    }
    let node = format!("<query xmlns='{INFO}' node='http://jabber.org/protocol/admin#add-user'/>");
    assert_eq!(condition(&romeo.ask("get", DOMAIN, &node).await), "forbidden");
    let answer = nurse.ask("get", DOMAIN, &node).await;
    let info = child(&answer, "query", INFO);
    assert_eq!(child(info, "identity", INFO).attr("type"), Some("command-node"));
}

#[tokio::test]
async fn who_is_no_administrator_any_more_can_run_nothing_any_more() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    house.server.users().set_roles(&jid("nurse"), server::users::Roles::USER).await.unwrap();
    let answer = nurse.ask("set", DOMAIN, &command("get-online-users-num", "", "")).await;
    assert_eq!(condition(&answer), "forbidden");
}

#[tokio::test]
async fn an_account_is_added_and_can_sign_in() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let fields = [
        ("accountjid", "paris@corp.example"),
        ("password", PASSWORD),
        ("password-verify", PASSWORD),
        ("given_name", "Paris"),
    ];
    done(&mut nurse, "add-user", &fields).await;
    house.online("paris", "a").await;
    assert_eq!(
        house.server.users().find(&jid("paris")).await.unwrap().unwrap().name.as_deref(),
        Some("Paris")
    );
    for (fields, wanted) in [
        (vec![("accountjid", "paris@corp.example"), ("password", "x"), ("password-verify", "x")], "conflict"),
        (vec![("accountjid", "a@corp.example"), ("password", "x"), ("password-verify", "y")], "bad-request"),
        (vec![("accountjid", "a@corp.example")], "bad-request"),
        (vec![("password", "x")], "bad-request"),
        (vec![("accountjid", "a@elsewhere.example"), ("password", "x")], "item-not-found"),
        (vec![("accountjid", "a@b@c"), ("password", "x")], "jid-malformed"),
    ] {
        assert_eq!(condition(&run(&mut nurse, "add-user", &fields).await), wanted, "{fields:?}");
    }
}

#[tokio::test]
async fn a_removed_account_leaves_nothing_behind_but_what_it_wrote() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let mut nurse = admin(&house).await;
    romeo.send(&format!("<message to='{}' type='chat'><body>adieu</body></message>", juliet.bare())).await;
    romeo.flush_to(&mut juliet).await;
    romeo.ask("set", "", "<vCard xmlns='vcard-temp'><FN>R</FN></vCard>").await;
    romeo.ask("set", "", "<query xmlns='jabber:iq:private'><n xmlns='x:n'>secret</n></query>").await;
    romeo.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@corp.example'/></block>").await;
    let removed =
        done(&mut nurse, "delete-user", &[("accountjids", "romeo@corp.example|nobody@corp.example")]).await;
    let notes = notes(&removed);
    assert_eq!((notes[0].0, notes[1].0), ("info", "error"), "{notes:?}");
    assert_eq!(romeo.raw().stream_error().await, "not-authorized");
    assert_eq!(
        presences(&juliet.settle().await),
        [
            "romeo@corp.example unsubscribe",
            "romeo@corp.example unsubscribed",
            "romeo@corp.example/a unavailable",
        ]
    );
    juliet.send("<message to='romeo@corp.example' type='chat' id='m'><body>gone?</body></message>").await;
    let error = juliet.find(|element| element.attr("id") == Some("m")).await;
    assert_eq!(condition(&error), "service-unavailable");
    // What he wrote is still in her history, and in his.
    let query = archive::Query { limit: 10, ..Default::default() };
    assert_eq!(house.server.trail().history(&jid("juliet"), &query).await.unwrap().items.len(), 1);
    // A new Romeo inherits nothing.
    let fields =
        [("accountjid", "romeo@corp.example"), ("password", PASSWORD), ("password-verify", PASSWORD)];
    done(&mut nurse, "add-user", &fields).await;
    let mut romeo = house.online("romeo", "b").await;
    let roster = romeo.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    assert_eq!(child(&roster, "query", "jabber:iq:roster").children().count(), 0);
    let card = romeo.ask("get", "", "<vCard xmlns='vcard-temp'/>").await;
    assert_eq!(child(&card, "vCard", "vcard-temp").children().count(), 0);
    let note = romeo.ask("get", "", "<query xmlns='jabber:iq:private'><n xmlns='x:n'/></query>").await;
    assert_eq!(child(child(&note, "query", "jabber:iq:private"), "n", "x:n").text(), "");
    let blocked = romeo.ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").await;
    assert_eq!(child(&blocked, "blocklist", "urn:xmpp:blocking").children().count(), 0);
}

#[tokio::test]
async fn what_waited_for_a_removed_account_does_not_wait_for_the_next_of_its_name() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut juliet = house.online("juliet", "b").await;
    juliet.send("<message to='romeo@corp.example' type='chat'><body>for the old one</body></message>").await;
    juliet.flush_to(&mut nurse).await;
    house.server.remove(&jid("romeo")).await.unwrap();
    house.server.users().create(&jid("romeo"), server::users::NewAccount::new(PASSWORD)).await.unwrap();
    let mut romeo = house.bind("romeo", "a").await;
    romeo.send("<presence/>").await;
    assert_eq!(bodies(&romeo.settle().await), [""; 0]);
}

#[tokio::test]
async fn a_disabled_account_is_out_until_it_is_enabled() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    done(&mut nurse, "disable-user", &[("accountjids", "romeo@corp.example")]).await;
    assert_eq!(romeo.raw().stream_error().await, "not-authorized");
    let list = done(&mut nurse, "get-disabled-users-list", &[("max_items", "none")]).await;
    assert_eq!(values(&list, "disableduserjids"), ["romeo@corp.example"]);
    assert!(house.server.users().find(&jid("romeo")).await.unwrap().unwrap().disabled);
    done(&mut nurse, "reenable-user", &[("accountjids", "romeo@corp.example")]).await;
    house.online("romeo", "a").await;
}

#[tokio::test]
async fn administrators_cannot_shut_themselves_out() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    for node in ["delete-user", "disable-user"] {
        let answer = done(&mut nurse, node, &[("accountjids", "nurse@corp.example")]).await;
        assert_eq!(notes(&answer)[0].0, "error");
    }
    nurse.settle().await;
}

#[tokio::test]
async fn sessions_are_ended_one_or_all() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut desk = house.online("romeo", "desk").await;
    let mut phone = house.online("romeo", "phone").await;
    done(&mut nurse, "end-user-session", &[("accountjids", "romeo@corp.example/desk")]).await;
    assert_eq!(desk.raw().stream_error().await, "not-authorized");
    phone.settle().await;
    done(&mut nurse, "end-user-session", &[("accountjids", "romeo@corp.example")]).await;
    assert_eq!(phone.raw().stream_error().await, "not-authorized");
    house.online("romeo", "desk").await;
}

#[tokio::test]
async fn a_password_is_changed() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let before = house.server.users().find(&jid("romeo")).await.unwrap().unwrap();
    let mut romeo = house.online("romeo", "a").await;
    done(
        &mut nurse,
        "change-user-password",
        &[("accountjid", "romeo@corp.example"), ("password", "new one")],
    )
    .await;
    let after = house.server.users().find(&jid("romeo")).await.unwrap().unwrap();
    assert!(!std::sync::Arc::ptr_eq(&before, &after));
    assert_eq!(romeo.raw().stream_error().await, "not-authorized");
    let answer =
        run(&mut nurse, "change-user-password", &[("accountjid", "nobody@corp.example"), ("password", "x")])
            .await;
    assert_eq!(condition(&answer), "item-not-found");
}

#[tokio::test]
async fn accounts_and_sessions_are_counted_and_listed() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let count = async |nurse: &mut Client, node: &str, field: &str| {
        let answer = nurse.ask("set", DOMAIN, &command(node, "", "")).await;
        values(child(&answer, "command", COMMANDS), field).remove(0)
    };
    assert_eq!(count(&mut nurse, "get-registered-users-num", "registeredusersnum").await, "3");
    assert_eq!(count(&mut nurse, "get-disabled-users-num", "disabledusersnum").await, "0");
    assert_eq!(count(&mut nurse, "get-online-users-num", "onlineusersnum").await, "2");
    assert_eq!(count(&mut nurse, "get-active-users-num", "activeusersnum").await, "2");
    assert_eq!(count(&mut nurse, "get-idle-users-num", "idleusersnum").await, "0");
    romeo.send("<presence><show>away</show></presence>").await;
    romeo.settle().await;
    let list = done(&mut nurse, "get-online-users-list", &[]).await;
    assert_eq!(values(&list, "onlineuserjids"), ["nurse@corp.example", "romeo@corp.example"]);
    let list = done(&mut nurse, "get-active-users", &[]).await;
    assert_eq!(values(&list, "activeuserjids"), ["nurse@corp.example"]);
    let list = done(&mut nurse, "get-idle-users", &[]).await;
    assert_eq!(values(&list, "idleuserjids"), ["romeo@corp.example"]);
    let list = done(&mut nurse, "get-registered-users-list", &[("max_items", "2")]).await;
    assert_eq!(values(&list, "registereduserjids"), ["juliet@corp.example", "nurse@corp.example"]);
}

#[tokio::test]
async fn an_account_is_described() {
    let house = House::open().await;
    let (_romeo, _juliet) = house.friends("romeo", "juliet").await;
    let mut nurse = admin(&house).await;
    let account = [("accountjid", "romeo@corp.example")];
    let roster = done(&mut nurse, "get-user-roster", &account).await;
    let item = child(&roster, "query", "jabber:iq:roster").children().next().unwrap();
    assert_eq!((item.attr("jid"), item.attr("subscription")), (Some("juliet@corp.example"), Some("both")));
    let statistics = done(&mut nurse, "user-stats", &account).await;
    assert_eq!(values(&statistics, "rostersize"), ["1"]);
    assert_eq!(values(&statistics, "onlineresources"), ["a"]);
    let last = done(&mut nurse, "get-user-lastlogin", &account).await;
    assert!(values(&last, "lastlogin")[0].starts_with("20"));
}

#[tokio::test]
async fn an_announcement_reaches_everybody_online_and_their_archives() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    done(&mut nurse, "announce", &[("subject", "Lunch"), ("announcement", "At noon.|In the hall.")]).await;
    let got = romeo.find(|element| element.name() == "message").await;
    assert_eq!((got.attr("from"), got.attr("type")), (Some(DOMAIN), Some("headline")));
    assert_eq!(body(&got).as_deref(), Some("At noon.\nIn the hall."));
    child(&got, "stanza-id", "urn:xmpp:sid:0");
    let query = archive::Query { limit: 10, ..Default::default() };
    for (name, count) in [("romeo", 1), ("nurse", 1), ("juliet", 0)] {
        let page = house.server.trail().history(&jid(name), &query).await.unwrap();
        assert_eq!(page.items.len(), count, "{name}");
    }
    assert_eq!(condition(&run(&mut nurse, "announce", &[("announcement", " ")]).await), "bad-request");
}

#[tokio::test]
async fn a_form_is_answered_by_who_asked_for_it_once() {
    let house = House::open().await;
    let mut nurse = admin(&house).await;
    house.promote("romeo").await;
    let mut romeo = house.online("romeo", "a").await;
    let begin = async |client: &mut Client, node: &str| {
        let answer = client.ask("set", DOMAIN, &command(node, "action='execute'", "")).await;
        format!("sessionid='{}'", child(&answer, "command", COMMANDS).attr("sessionid").unwrap())
    };
    let id = begin(&mut nurse, "user-stats").await;
    let fill = submit(&[("accountjid", "romeo@corp.example")]);
    let fault = |answer: &Element| {
        let error = child(answer, "error", "jabber:client").clone();
        error.children().find(|child| child.has_ns(COMMANDS)).map(|fault| fault.name().to_owned())
    };
    let answer = romeo.ask("set", DOMAIN, &command("user-stats", &id, &fill)).await;
    assert_eq!(fault(&answer).as_deref(), Some("bad-sessionid"), "another's session");
    let answer = nurse.ask("set", DOMAIN, &command("get-user-roster", &id, &fill)).await;
    assert_eq!(fault(&answer).as_deref(), Some("bad-sessionid"), "another command's session");
    let answer = nurse.ask("set", DOMAIN, &command("user-stats", &format!("{id} action='prev'"), "")).await;
    assert_eq!(fault(&answer).as_deref(), Some("bad-action"));
    let answer = nurse.ask("set", DOMAIN, &command("user-stats", &format!("{id} action='jump'"), "")).await;
    assert_eq!(fault(&answer).as_deref(), Some("malformed-action"));
    let answer = nurse.ask("set", DOMAIN, &command("user-stats", &id, "")).await;
    assert_eq!(fault(&answer).as_deref(), Some("bad-payload"));
    let answer =
        nurse.ask("set", DOMAIN, &command("user-stats", &format!("{id} action='complete'"), &fill)).await;
    assert_eq!(child(&answer, "command", COMMANDS).attr("status"), Some("completed"));
    let answer = nurse.ask("set", DOMAIN, &command("user-stats", &id, &fill)).await;
    assert_eq!((condition(&answer), fault(&answer).as_deref()), ("not-allowed", Some("session-expired")));
    let id = begin(&mut nurse, "user-stats").await;
    let answer = nurse.ask("set", DOMAIN, &command("user-stats", &format!("{id} action='cancel'"), "")).await;
    assert_eq!(child(&answer, "command", COMMANDS).attr("status"), Some("canceled"));
    let answer = nurse.ask("set", DOMAIN, &command("no-such", "", "")).await;
    assert_eq!(condition(&answer), "item-not-found");
}
