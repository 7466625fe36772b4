//! Where messages go: RFC 6121 §8.5, by address, type, and who is there.

use crate::client::{Client, bodies, body, condition};
use crate::house::{DOMAIN, House};

const TYPES: [&str; 5] = ["chat", "normal", "headline", "groupchat", "error"];

/// Sends a message of each type, with an error element where the type asks for one; what became of it is seen by the
/// caller.
async fn send(client: &mut Client, to: &str, type_: &str) {
    let error = match type_ {
        "error" => "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        _ => "",
    };
    client
        .send(&format!(
            "<message to='{to}' type='{type_}' id='{type_}'><body>{type_}</body>{error}</message>"
        ))
        .await;
}

/// The ids of messages that come back as `service-unavailable` when one of each type is sent.
async fn bounced(sender: &mut Client, to: &str) -> Vec<String> {
    for type_ in TYPES {
        send(sender, to, type_).await;
    }
    let mut got = sender.settle().await;
    // What waits for the archive settles after the ping; a message to oneself runs behind it.
    let own = sender.jid().to_owned();
    sender.send(&format!("<message to='{own}' id='end'><body>end</body></message>")).await;
    got.extend(sender.until(|element| element.attr("id") == Some("end")).await);
    let errors = got.iter().filter(|element| element.attr("type") == Some("error"));
    errors
        .map(|error| {
            assert_eq!(condition(error), "service-unavailable");
            assert_eq!(error.attr("from"), Some(to));
            error.attr("id").unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_message_to_nobody_comes_back_unless_it_is_an_error() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in [format!("mercutio@{DOMAIN}"), format!("mercutio@{DOMAIN}/x")] {
        assert_eq!(bounced(&mut romeo, &to).await, ["chat", "normal", "headline", "groupchat"], "{to}");
    }
}

#[tokio::test]
async fn for_an_account_without_resources_chat_and_normal_wait() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let to = format!("juliet@{DOMAIN}");
    assert_eq!(bounced(&mut romeo, &to).await, ["groupchat"]);
    let mut juliet = house.bind("juliet", "a").await;
    juliet.send("<presence/>").await;
    assert_eq!(bodies(&juliet.settle().await), ["chat", "normal"]);
}

#[tokio::test]
async fn for_a_full_address_that_is_not_there_only_chat_waits() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let to = format!("juliet@{DOMAIN}/away");
    assert_eq!(bounced(&mut romeo, &to).await, ["normal", "groupchat"]);
    let mut juliet = house.bind("juliet", "a").await;
    juliet.send("<presence/>").await;
    assert_eq!(bodies(&juliet.settle().await), ["chat"]);
}

#[tokio::test]
async fn a_resource_of_negative_priority_gets_nothing_for_the_bare_address() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.bind("juliet", "robot").await;
    juliet.send("<presence><priority>-1</priority></presence>").await;
    juliet.settle().await;
    let to = format!("juliet@{DOMAIN}");
    assert_eq!(bounced(&mut romeo, &to).await, ["groupchat"]);
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), [""; 0]);
    // With a priority that takes messages, what waited comes.
    juliet.send("<presence><priority>0</priority></presence>").await;
    assert_eq!(bodies(&juliet.settle().await), ["chat", "normal"]);
}

#[tokio::test]
async fn a_resource_of_negative_priority_gets_what_is_for_its_full_address() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.bind("juliet", "robot").await;
    juliet.send("<presence><priority>-1</priority></presence>").await;
    juliet.settle().await;
    let to = juliet.jid().to_owned();
    for type_ in TYPES {
        send(&mut romeo, &to, type_).await;
    }
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), TYPES);
}

#[tokio::test]
async fn one_resource_gets_chat_normal_and_headline_for_the_bare_address() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    let to = format!("juliet@{DOMAIN}");
    assert_eq!(bounced(&mut romeo, &to).await, ["groupchat"]);
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), ["chat", "normal", "headline"]);
}

#[tokio::test]
async fn several_resources_all_get_what_is_for_the_bare_address_but_not_the_negative_one() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut desk = house.online("juliet", "desk").await;
    let mut phone = house.bind("juliet", "phone").await;
    phone.send("<presence><priority>5</priority></presence>").await;
    phone.settle().await;
    let mut robot = house.bind("juliet", "robot").await;
    robot.send("<presence><priority>-5</priority></presence>").await;
    robot.settle().await;
    let mut silent = house.bind("juliet", "silent").await;
    let to = format!("juliet@{DOMAIN}");
    assert_eq!(bounced(&mut romeo, &to).await, ["groupchat"]);
    for client in [&mut desk, &mut phone] {
        assert_eq!(bodies(&romeo.flush_to(client).await), ["chat", "normal", "headline"], "{}", client.jid());
    }
    for client in [&mut robot, &mut silent] {
        assert_eq!(bodies(&romeo.flush_to(client).await), [""; 0], "{}", client.jid());
    }
}

#[tokio::test]
async fn a_full_address_gets_every_type_and_no_other_resource_does() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut desk = house.online("juliet", "desk").await;
    let mut phone = house.online("juliet", "phone").await;
    let to = desk.jid().to_owned();
    assert_eq!(bounced(&mut romeo, &to).await, [""; 0]);
    assert_eq!(bodies(&romeo.flush_to(&mut desk).await), TYPES);
    assert_eq!(bodies(&romeo.flush_to(&mut phone).await), [""; 0]);
}

#[tokio::test]
async fn a_full_address_that_is_not_there_is_served_like_the_bare_one_for_chat_alone() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut desk = house.online("juliet", "desk").await;
    let to = format!("juliet@{DOMAIN}/gone");
    assert_eq!(bounced(&mut romeo, &to).await, ["normal", "groupchat"]);
    let got = romeo.flush_to(&mut desk).await;
    assert_eq!(bodies(&got), ["chat"]);
    assert!(got.iter().any(|message| message.attr("to") == Some(&to)), "the address stays as it was written");
}

#[tokio::test]
async fn a_message_without_an_address_is_for_oneself() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut other = house.online("romeo", "b").await;
    romeo.send("<message type='chat'><body>note</body></message>").await;
    for client in [&mut romeo, &mut other] {
        let note = client.find(|element| element.name() == "message").await;
        assert_eq!(body(&note).as_deref(), Some("note"));
        assert_eq!(note.attr("from"), Some(format!("romeo@{DOMAIN}/a").as_str()));
    }
}

#[tokio::test]
async fn an_unknown_type_counts_as_normal() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    romeo.send(&format!("<message to='juliet@{DOMAIN}' type='shout'><body>hey</body></message>")).await;
    assert_eq!(bodies(&romeo.flush_to(&mut juliet).await), ["hey"]);
}

#[tokio::test]
async fn messages_of_one_sender_arrive_in_order_whether_or_not_they_are_archived() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    let mut all = String::new();
    for number in 0..200 {
        let content = match number % 3 {
            0 => "<active xmlns='http://jabber.org/protocol/chatstates'/>".to_owned(),
            _ => format!("<body>{number}</body>"),
        };
        all.push_str(&format!("<message to='juliet@{DOMAIN}' type='chat' id='{number}'>{content}</message>"));
    }
    romeo.send(&all).await;
    let got = juliet.until(|element| element.attr("id") == Some("199")).await;
    let ids: Vec<_> = got.iter().map(|element| element.attr("id").unwrap().to_owned()).collect();
    assert_eq!(ids, (0..200).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_iq_for_a_resource_reaches_it_and_its_answer_comes_back() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    let to = juliet.jid().to_owned();
    romeo.send(&format!("<iq type='get' id='q' to='{to}'><ask xmlns='test'/></iq>")).await;
    let asked = juliet.find(|element| element.name() == "iq").await;
    assert_eq!(asked.attr("from"), Some(romeo.jid()));
    juliet.send(&format!("<iq type='result' id='q' to='{}'/>", romeo.jid())).await;
    let answer = romeo.find(|element| element.attr("id") == Some("q")).await;
    assert_eq!((answer.attr("type"), answer.attr("from")), (Some("result"), Some(to.as_str())));
}

#[tokio::test]
async fn an_iq_for_who_is_not_there_is_unavailable() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for to in ["mercutio@corp.example", "mercutio@corp.example/x", "juliet@corp.example/gone"] {
        let answer = romeo.ask("get", to, "<ask xmlns='test'/>").await;
        assert_eq!((condition(&answer), answer.attr("from")), ("service-unavailable", Some(to)));
    }
}

#[tokio::test]
async fn what_is_for_another_server_comes_back() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send("<message to='x@elsewhere.example' id='m'><body>x</body></message>").await;
    let error = romeo.find(|element| element.attr("id") == Some("m")).await;
    assert_eq!(condition(&error), "remote-server-not-found");
}
