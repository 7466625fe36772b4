//! Reading a room's archive by who spoke, one's own by whom one whispered with, and both from outside (XEP-0313 §5.2).

use minidom::Element;

use crate::client::{Client, bodies, body, child, condition, unique};
use crate::component::{Gateway, house};
use crate::house::House;
use crate::rooms::{FORMS, ROOM, enter, hear, pair, presence_of, say};
use crate::rooms_words::{forwarded, history};

const MAM: &str = "urn:xmpp:mam:2";

/// A query for what was said with one address.
fn with(address: &str) -> String {
    format!(
        "<query xmlns='{MAM}'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>\
         <field var='with'><value>{address}</value></field></x></query>"
    )
}

/// The words that a query finds.
async fn found(client: &mut Client, to: &str, query: &str) -> Vec<String> {
    let results = history(client, to, query).await;
    bodies(&results.iter().filter_map(forwarded).collect::<Vec<Element>>())
}

#[tokio::test]
async fn a_rooms_archive_is_filtered_by_occupants_and_by_accounts_where_those_may_be_known() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    say(&mut juliet, "from Juliet").await;
    say(&mut romeo, "from Romeo").await;
    juliet.send(&format!("<presence to='{ROOM}/O&apos;Capulet &amp; Co'/>")).await;
    presence_of(&mut juliet, "O'Capulet & Co").await;
    say(&mut juliet, "under another nick").await;
    hear(&mut romeo, "under another nick").await;

    let by_nick = with(&format!("{ROOM}/Juliet"));
    assert_eq!(found(&mut juliet, ROOM, &by_nick).await, ["from Juliet"]);
    let by_odd_nick = with(&format!("{ROOM}/O&apos;Capulet &amp; Co"));
    assert_eq!(found(&mut juliet, ROOM, &by_odd_nick).await, ["under another nick"]);
    assert_eq!(found(&mut juliet, ROOM, &with(&format!("{ROOM}/Nobody"))).await, [""; 0]);
    assert_eq!(found(&mut juliet, ROOM, &with(ROOM)).await.len(), 3);

    let by_account = with("juliet@corp.example");
    assert_eq!(condition(&juliet.ask("set", ROOM, &by_account).await), "forbidden");
    assert_eq!(found(&mut romeo, ROOM, &by_account).await, ["from Juliet", "under another nick"]);
    let by_client = romeo.ask("set", ROOM, &with("juliet@corp.example/b")).await;
    assert_eq!(condition(&by_client), "feature-not-implemented");
}

#[tokio::test]
async fn whispers_are_found_with_the_occupant_and_never_with_the_person_behind_them() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    let whisper = |to: &str, words: &str| {
        format!("<message type='chat' to='{ROOM}/{to}'><body>{words}</body></message>")
    };
    juliet.send(&whisper("Romeo", "psst")).await;
    hear(&mut romeo, "psst").await;
    nurse.send(&whisper("Romeo", "sir")).await;
    hear(&mut romeo, "sir").await;
    juliet.send("<message type='chat' to='romeo@corp.example'><body>openly</body></message>").await;
    romeo.find(|element| body(element).as_deref() == Some("openly")).await;

    let juliets = with(&format!("{ROOM}/Juliet"));
    assert_eq!(found(&mut romeo, "", &juliets).await, ["psst"]);
    assert_eq!(found(&mut romeo, "", &with(ROOM)).await, ["psst", "sir"]);
    assert_eq!(found(&mut juliet, "", &with(&format!("{ROOM}/Romeo"))).await, ["psst"]);
    assert_eq!(found(&mut romeo, "", &with("juliet@corp.example")).await, ["openly"]);
    assert_eq!(found(&mut romeo, "", &with("nurse@corp.example")).await, [""; 0]);
}

const PUPPET: &str = "mercutio@gw.corp.example/irc";

/// A room with romeo, juliet and somebody behind a component in it.
async fn mixed(house: &House) -> (Client, Client, Gateway) {
    let (romeo, mut juliet) = pair(house, &[]).await;
    let mut gateway = Gateway::connect(house).await;
    let join = "<x xmlns='http://jabber.org/protocol/muc'/>";
    gateway.send(&format!("<presence from='{PUPPET}' to='{ROOM}/Mercutio'>{join}</presence>")).await;
    gateway.find(|element| element.get_child("subject", "jabber:client").is_some()).await;
    presence_of(&mut juliet, "Mercutio").await;
    (romeo, juliet, gateway)
}

#[tokio::test]
async fn an_occupant_behind_a_component_reads_the_archive_in_order_and_before_its_end() {
    let house = house().await;
    let (_romeo, mut juliet, mut gateway) = mixed(&house).await;
    for number in 1..=3 {
        say(&mut juliet, &format!("m{number}")).await;
    }
    hear(&mut juliet, "m3").await;
    let id = unique("mam");
    let query = format!("<query xmlns='{MAM}' queryid='q'/>");
    gateway.send(&format!("<iq type='set' id='{id}' from='{PUPPET}' to='{ROOM}'>{query}</iq>")).await;
    let mut words = Vec::new();
    let end = gateway
        .find(|element| {
            let result = element.get_child("result", MAM);
            let message = result.and_then(|result| {
                assert_eq!(element.attr("to"), Some(PUPPET));
                assert_eq!(result.attr("queryid"), Some("q"));
                result.get_child("forwarded", "urn:xmpp:forward:0")?.get_child("message", "jabber:client")
            });
            words.extend(message.and_then(body));
            element.attr("id") == Some(&id)
        })
        .await;
    assert_eq!(words, ["m1", "m2", "m3"]);
    assert_eq!(child(&end, "fin", MAM).attr("complete"), Some("true"));
    let stranger = gateway.ask("set", "tybalt@gw.corp.example/x", ROOM, &with("juliet@corp.example")).await;
    assert!(String::from(&stranger).contains("forbidden"));
}

#[tokio::test]
async fn cards_are_shown_across_the_border_of_a_component() {
    const CARD: &str = "vcard-temp";
    let house = house().await;
    let (mut romeo, mut juliet, mut gateway) = mixed(&house).await;
    let card = |name: &str| format!("<vCard xmlns='{CARD}'><FN>{name}</FN></vCard>");
    juliet.ask("set", "", &card("Juliet Capulet")).await;
    romeo.ask("set", ROOM, &card("The orchard")).await;
    let asked = format!("<vCard xmlns='{CARD}'/>");
    let hers = gateway.ask("get", PUPPET, &format!("{ROOM}/Juliet"), &asked).await;
    assert_eq!(child(child(&hers, "vCard", CARD), "FN", CARD).text(), "Juliet Capulet");
    let persistent = gateway.ask("get", PUPPET, ROOM, &asked).await;
    assert_eq!(persistent.attr("type"), Some("result"));

    juliet.send(&format!("<iq type='get' id='his' to='{ROOM}/Mercutio'>{asked}</iq>")).await;
    let question = gateway.find(|element| element.get_child("vCard", CARD).is_some()).await;
    assert_eq!(question.attr("to"), Some(PUPPET));
    let (id, from) = (question.attr("id").unwrap(), question.attr("from").unwrap());
    let answer = card("Mercutio");
    gateway.send(&format!("<iq type='result' id='{id}' from='{PUPPET}' to='{from}'>{answer}</iq>")).await;
    let his = juliet.find(|element| element.attr("id") == Some("his")).await;
    assert_eq!(child(child(&his, "vCard", CARD), "FN", CARD).text(), "Mercutio");
}
