//! Searching histories by words (XEP-0431).

use minidom::Element;

use crate::client::{Client, bodies, condition};
use crate::house::{DOMAIN, House};
use crate::rooms::{FORMS, ROOM, hear, pair, say};
use crate::rooms_words::{forwarded, history};

const MAM: &str = "urn:xmpp:mam:2";
const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";

/// A query for words, and for other fields.
fn words(question: &str, more: &str, rest: &str) -> String {
    format!(
        "<query xmlns='{MAM}'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>\
         <field var='{FIELD}'><value>{question}</value></field>{more}</x>{rest}</query>"
    )
}

async fn found(client: &mut Client, to: &str, query: &str) -> Vec<String> {
    let results = history(client, to, query).await;
    bodies(&results.iter().filter_map(forwarded).collect::<Vec<Element>>())
}

#[tokio::test]
async fn people_find_their_own_words_at_once_in_order_and_page_by_page() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for (to, body) in [
        ("juliet", "The meetings at noon"),
        ("nurse", "meeting cancelled"),
        ("juliet", "A Meeting again"),
        ("juliet", "nothing"),
    ] {
        romeo.send(&format!("<message to='{to}@{DOMAIN}' type='chat'><body>{body}</body></message>")).await;
    }
    assert_eq!(
        found(&mut romeo, "", &words("meeting -cancelled", "", "")).await,
        ["The meetings at noon", "A Meeting again"]
    );
    assert_eq!(found(&mut romeo, "", &words("\"a meeting\" OR noon to:juliet", "", "")).await.len(), 2);
    let with = format!("<field var='with'><value>nurse@{DOMAIN}</value></field>");
    assert_eq!(found(&mut romeo, "", &words("meeting", &with, "")).await, ["meeting cancelled"]);
    let last = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max><before/></set>";
    assert_eq!(found(&mut romeo, "", &words("meeting", "", last)).await, ["A Meeting again"]);
    let mut juliet = house.online("juliet", "a").await;
    assert_eq!(found(&mut juliet, "", &words("cancelled", "", "")).await, [""; 0], "that was between others");
    assert_eq!(found(&mut juliet, "", &words("noon", "", "")).await, ["The meetings at noon"]);
    let form = juliet.ask("get", "", &format!("<query xmlns='{MAM}'/>")).await;
    assert!(String::from(&form).contains(FIELD));
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_answered_with_what_is_wrong() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for (question, about) in [("(a", "never closed"), ("form:x", "from:"), ("~x~", "auditors")] {
        let answer = romeo.ask("set", "", &words(question, "", "")).await;
        assert_eq!(condition(&answer), "bad-request");
        assert!(String::from(&answer).contains(about), "{}", String::from(&answer));
    }
}

#[tokio::test]
async fn what_was_taken_back_is_not_found() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let to = format!("juliet@{DOMAIN}");
    romeo.send(&format!("<message to='{to}' type='chat' id='oops'><body>my password</body></message>")).await;
    assert_eq!(found(&mut romeo, "", &words("password", "", "")).await.len(), 1);
    let retract = format!(
        "<message to='{to}' type='chat' id='back'><retract xmlns='urn:xmpp:message-retract:1' id='oops'/><body>x</body></message>"
    );
    romeo.send(&retract).await;
    assert_eq!(found(&mut romeo, "", &words("password", "", "")).await, [""; 0]);
}

#[tokio::test]
async fn a_room_is_searched_by_who_may_read_it_and_does_not_tell_who_is_behind_a_nick() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    say(&mut juliet, "the balcony at night").await;
    say(&mut romeo, "which balcony").await;
    hear(&mut juliet, "which balcony").await;
    assert_eq!(
        found(&mut juliet, ROOM, &words("balcony", "", "")).await,
        ["the balcony at night", "which balcony"]
    );
    assert_eq!(found(&mut juliet, ROOM, &words("balcony from:juliet@corp.example", "", "")).await, [""; 0]);
    assert_eq!(
        found(&mut romeo, ROOM, &words("balcony from:Juliet", "", "")).await,
        ["the balcony at night"]
    );
    let mut nurse = house.online("nurse", "c").await;
    assert_eq!(found(&mut nurse, "", &words("balcony", "", "")).await, [""; 0]);
}
