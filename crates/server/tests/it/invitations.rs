//! Invitations (XEP-0379, XEP-0401, XEP-0445), by client and by browser.

use minidom::Element;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{CLIENT, Client, Raw, child, condition};
use crate::house::{DOMAIN, House};

const COMMANDS: &str = "http://jabber.org/protocol/commands";
const FORMS: &str = "jabber:x:data";

async fn house() -> House {
    House::with(&[("LISTEN_HTTP", "127.0.0.1:0")]).await
}

/// Runs a command with a form, and returns what its result says by field.
async fn invite(client: &mut Client, node: &str, fields: &str) -> (String, String) {
    let form = if fields.is_empty() {
        String::new()
    } else {
        format!("<x xmlns='{FORMS}' type='submit'>{fields}</x>")
    };
    let command = format!(
        "<command xmlns='{COMMANDS}' node='urn:xmpp:invite#{node}' action='execute'>{form}</command>"
    );
    let answer = client.ask("set", DOMAIN, &command).await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(&answer));
    let form = child(child(&answer, "command", COMMANDS), "x", FORMS);
    let value = |var: &str| {
        let field = form.children().find(|field| field.attr("var") == Some(var)).unwrap();
        child(field, "value", FORMS).text()
    };
    (value("uri"), value("landing-url"))
}

fn field(var: &str, value: &str) -> String {
    format!("<field var='{var}'><value>{value}</value></field>")
}

fn token(uri: &str) -> &str {
    uri.split("preauth=").nth(1).unwrap()
}

/// One web request: the status, and the rest.
async fn web(url: &str, form: Option<&str>, headers: &str) -> (u16, String) {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let request = match form {
        None => format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
        Some(form) => format!(
            "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        ),
    };
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

/// Asks on a stream that has not signed in.
async fn ask(raw: &mut Raw, type_: &str, payload: &str) -> Element {
    raw.send(&format!("<iq type='{type_}' id='x' to='{DOMAIN}'>{payload}</iq>")).await;
    raw.next().await
}

async fn roster(client: &mut Client) -> Vec<(String, String)> {
    let answer = client.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    let items = child(&answer, "query", "jabber:iq:roster").children();
    items
        .map(|item| (item.attr("jid").unwrap().to_owned(), item.attr("subscription").unwrap().to_owned()))
        .collect()
}

#[tokio::test]
async fn a_newcomer_picks_a_password_in_the_browser_and_knows_who_invited_them() {
    let house = house().await;
    house.promote("romeo").await;
    let mut romeo = house.online("romeo", "a").await;
    let (uri, page) = invite(&mut romeo, "create-account", &field("groups", "Verona")).await;
    assert!(uri.starts_with("xmpp:corp.example?register;preauth="), "{uri}");

    let (status, html) = web(&page, None, "").await;
    assert_eq!(status, 200);
    assert!(
        html.contains("form-action 'self'") && html.contains("romeo@corp.example") && html.contains("<form")
    );
    assert!(!html.contains("<script"));

    for (form, headers, wanted) in [
        ("name=mercutio&password=queen+mab&again=queen+bee", "", 400),
        ("name=mercutio", "", 400),
        ("name=romeo&password=queen+mab&again=queen+mab", "", 409),
        ("name=mercutio&password=queen+mab&again=queen+mab", "Sec-Fetch-Site: cross-site\r\n", 403),
    ] {
        assert_eq!(web(&page, Some(form), headers).await.0, wanted, "{form} {headers}");
    }
    let form = "name=mercutio&password=wherefore&again=wherefore";
    let (status, html) = web(&page, Some(form), "Sec-Fetch-Site: same-origin\r\n").await;
    assert_eq!(status, 201, "{html}");
    assert!(html.contains("mercutio@corp.example"));
    assert_eq!(web(&page, Some(form), "").await.0, 404, "a link is good once");
    assert_eq!(web(&page, None, "").await.0, 404);

    let mut mercutio = house.online("mercutio", "a").await;
    romeo.find(|element| element.attr("from") == Some("mercutio@corp.example/a")).await;
    assert_eq!(roster(&mut mercutio).await, [("romeo@corp.example".to_owned(), "both".to_owned())]);
    assert_eq!(roster(&mut romeo).await, [("mercutio@corp.example".to_owned(), "both".to_owned())]);
}

#[tokio::test]
async fn a_newcomer_makes_the_account_in_the_client() {
    let house = house().await;
    house.promote("romeo").await;
    let mut romeo = house.online("romeo", "a").await;
    let (uri, _) = invite(&mut romeo, "create-account", &field("username", "mercutio")).await;
    assert!(uri.starts_with("xmpp:mercutio@corp.example?register;"), "{uri}");

    let mut raw = house.raw().await;
    let features = raw.open().await;
    assert!(features.has_child("register", "urn:xmpp:invite"));
    assert!(!features.has_child("register", "http://jabber.org/features/iq-register"));
    let set = |name: &str| {
        format!(
            "<query xmlns='jabber:iq:register'><username>{name}</username><password>wherefore</password></query>"
        )
    };
    assert_eq!(condition(&ask(&mut raw, "set", &set("mercutio")).await), "not-allowed");
    let bring = |token: &str| format!("<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>");
    assert_eq!(condition(&ask(&mut raw, "set", &bring("guessed")).await), "item-not-found");
    assert_eq!(condition(&ask(&mut raw, "set", &set("mercutio")).await), "not-allowed");
    assert_eq!(ask(&mut raw, "set", &bring(token(&uri))).await.attr("type"), Some("result"));
    let form = ask(&mut raw, "get", "<query xmlns='jabber:iq:register'/>").await;
    let query = child(&form, "query", "jabber:iq:register");
    assert_eq!(child(query, "username", "jabber:iq:register").text(), "mercutio");
    assert_eq!(condition(&ask(&mut raw, "set", &set("tybalt")).await), "not-acceptable");
    assert_eq!(ask(&mut raw, "set", &set("mercutio")).await.attr("type"), Some("result"));
    assert_eq!(condition(&ask(&mut raw, "set", &set("mercutio")).await), "not-allowed");
    let mut mercutio = house.online("mercutio", "a").await;
    assert_eq!(roster(&mut mercutio).await.len(), 1);
}

#[tokio::test]
async fn a_link_makes_two_people_contacts_without_a_question_and_only_once() {
    let house = house().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    let mut nurse = house.online("nurse", "c").await;
    let (uri, page) = invite(&mut romeo, "invite", "").await;
    assert!(uri.starts_with("xmpp:romeo@corp.example?roster;preauth="), "{uri}");
    assert!(web(&page, None, "").await.1.contains("?roster;preauth="));
    let bring = |token: &str| {
        format!(
            "<presence type='subscribe' to='romeo@corp.example'><preauth xmlns='urn:xmpp:pars:0' token='{token}'/></presence>"
        )
    };
    juliet.send(&bring(token(&uri))).await;
    juliet.find(|element| element.attr("from") == Some("romeo@corp.example/a")).await;
    romeo.find(|element| element.attr("from") == Some("juliet@corp.example/b")).await;
    assert_eq!(roster(&mut juliet).await, [("romeo@corp.example".to_owned(), "both".to_owned())]);
    assert_eq!(roster(&mut romeo).await, [("juliet@corp.example".to_owned(), "both".to_owned())]);

    // The same link again is an ordinary request.
    nurse.send(&bring(token(&uri))).await;
    let request = romeo.find(|element| element.attr("type") == Some("subscribe")).await;
    assert_eq!(request.attr("from"), Some("nurse@corp.example"));

    // And a link for contacts makes no account.
    let (uri, page) = invite(&mut romeo, "invite", "").await;
    let mut raw = house.raw().await;
    raw.open().await;
    let bring = format!("<preauth xmlns='urn:xmpp:pars:0' token='{}'/>", token(&uri));
    assert_eq!(condition(&ask(&mut raw, "set", &bring).await), "item-not-found");
    assert_eq!(web(&page, Some("name=tybalt&password=wherefore&again=wherefore"), "").await.0, 404);
}

#[tokio::test]
async fn only_administrators_invite_colleagues_and_a_name_that_is_taken_is_refused() {
    let house = house().await;
    let mut romeo = house.online("romeo", "a").await;
    let node = "<command xmlns='http://jabber.org/protocol/commands' node='urn:xmpp:invite#create-account'/>";
    assert_eq!(condition(&romeo.ask("set", DOMAIN, node).await), "forbidden");
    house.promote("romeo").await;
    let form = romeo.ask("set", DOMAIN, node).await;
    assert_eq!(child(&form, "command", COMMANDS).attr("status"), Some("executing"));
    let taken = format!(
        "<command xmlns='{COMMANDS}' node='urn:xmpp:invite#create-account'><x xmlns='{FORMS}' type='submit'>{}</x></command>",
        field("username", "juliet")
    );
    let error = romeo.ask("set", DOMAIN, &taken).await;
    assert_eq!(condition(&error), "conflict");
    assert!(error.get_child("error", CLIENT).is_some());
}

#[tokio::test]
async fn invitations_outlive_a_restart() {
    let house = house().await;
    let mut romeo = house.online("romeo", "a").await;
    let (uri, _) = invite(&mut romeo, "invite", "").await;
    drop(romeo);
    let house = house.restart().await;
    let mut juliet = house.online("juliet", "b").await;
    juliet
        .send(&format!(
            "<presence type='subscribe' to='romeo@corp.example'><preauth xmlns='urn:xmpp:pars:0' token='{}'/></presence>",
            token(&uri)
        ))
        .await;
    juliet.find(|element| element.name() == "presence" && element.attr("type") == Some("subscribed")).await;
}
