//! Taking a message back: XEP-0424, XEP-0425; and the present state of a conversation.

use minidom::Element;

use crate::client::{Client, bodies, body, child, condition};
use crate::house::{DOMAIN, House, jid};
use crate::rooms::{ROOM, enter, pair};

const MAM: &str = "urn:xmpp:mam:2";
const RETRACT: &str = "urn:xmpp:message-retract:1";

/// What somebody's history shows: the forwarded messages.
async fn history(client: &mut Client) -> Vec<Element> {
    client.send(&format!("<iq type='set' id='history'><query xmlns='{MAM}'/></iq>")).await;
    let got = client.until(|element| element.attr("id") == Some("history")).await;
    let forwarded = |message: &Element| {
        let forwarded = message.get_child("result", MAM)?.get_child("forwarded", "urn:xmpp:forward:0")?;
        forwarded.get_child("message", "jabber:client").cloned()
    };
    got.iter().filter_map(forwarded).collect()
}

fn retraction(to: &str, of: &str) -> String {
    format!(
        "<message to='{to}' type='chat' id='back'><retract xmlns='{RETRACT}' id='{of}'/>\
         <fallback xmlns='urn:xmpp:fallback:0' for='{RETRACT}'/><body>I took a message back.</body></message>"
    )
}

#[tokio::test]
async fn a_message_that_its_sender_takes_back_leaves_a_tombstone_in_both_histories_and_stays_in_the_trail() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    // Sent at once, so that the first is still on its way when it is taken back.
    romeo
        .send(&format!(
            "<message to='{}' type='chat' id='oops'><body>my password</body></message>{}",
            juliet.bare(),
            retraction(&juliet.bare(), "oops")
        ))
        .await;
    romeo.settle().await;
    juliet.settle().await;
    for reader in [&mut romeo, &mut juliet] {
        let seen = history(reader).await;
        assert_eq!(seen.len(), 2);
        let tomb = seen[0].get_child("retracted", RETRACT).expect("a tombstone");
        assert_eq!((tomb.attr("id"), seen[0].attr("id")), (Some("back"), Some("oops")));
        assert!(tomb.attr("stamp").is_some() && seen[0].get_child("body", "jabber:client").is_none());
        assert!(seen[1].get_child("retract", RETRACT).is_some());
    }
    let kept = house.server.trail().history(&jid("juliet"), &Default::default()).await.unwrap().items;
    assert!(String::from_utf8_lossy(&kept[0].stanza).contains("my password"), "auditors see every version");
}

#[tokio::test]
async fn nobody_takes_back_what_another_said() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    romeo
        .send(&format!(
            "<message to='juliet@{DOMAIN}' type='chat' id='vow'><body>I will pay</body></message>"
        ))
        .await;
    romeo.settle().await;
    juliet.send(&retraction(&romeo.bare(), "vow")).await;
    juliet.send(&retraction(&romeo.bare(), "what never was")).await;
    juliet.settle().await;
    let seen = history(&mut juliet).await;
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].get_child("body", "jabber:client").map(Element::text).as_deref(), Some("I will pay"));
}

#[tokio::test]
async fn who_asks_for_the_present_state_gets_last_versions_and_reactions_in_place() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    let (to_her, to_him) = (juliet.bare(), romeo.bare());
    let message =
        |to: &str, id: &str, rest: &str| format!("<message to='{to}' type='chat' id='{id}'>{rest}</message>");
    let correct = "<replace xmlns='urn:xmpp:message-correct:0' id='m1'/>";
    let react = |emoji: &str| {
        format!("<reactions xmlns='urn:xmpp:reactions:0' id='m1'><reaction>{emoji}</reaction></reactions>")
    };
    romeo.send(&message(&to_her, "m1", "<body>meet at nin</body>")).await;
    romeo.send(&message(&to_her, "m2", &format!("{correct}<body>meet at nine</body>"))).await;
    romeo.settle().await;
    juliet.send(&message(&to_him, "r1", &react("x"))).await;
    juliet.send(&message(&to_him, "r2", &react("y"))).await;
    // Only the author corrects.
    juliet.send(&message(&to_him, "m3", &format!("{correct}<body>never</body>"))).await;
    juliet.send(&message(&to_him, "m4", "<body>fine</body>")).await;
    juliet.flush_to(&mut romeo).await;
    assert_eq!(history(&mut romeo).await.len(), 6, "every event, for clients that do it themselves");

    let query = format!(
        "<iq type='set' id='now'><query xmlns='{MAM}'><present xmlns='urn:chancery:history:0'/></query></iq>"
    );
    romeo.send(&query).await;
    let got = romeo.until(|element| element.attr("id") == Some("now")).await;
    let seen: Vec<&Element> = got
        .iter()
        .filter_map(|message| {
            let forwarded = message.get_child("result", MAM)?.get_child("forwarded", "urn:xmpp:forward:0")?;
            forwarded.get_child("message", "jabber:client")
        })
        .collect();
    let words = |message: &Element| message.get_child("body", "jabber:client").map(Element::text);
    assert_eq!(
        seen.iter().map(|seen| words(seen)).collect::<Vec<_>>(),
        [Some("meet at nine".into()), Some("fine".into())]
    );
    assert_eq!(seen[0].attr("id"), Some("m1"));
    let now = "urn:chancery:history:0";
    assert_eq!(seen[0].get_child("edited", now).and_then(|edited| edited.attr("id")), Some("m2"));
    let reactions: Vec<String> = seen[0]
        .children()
        .filter(|child| child.is("reactions", now))
        .map(|child| format!("{} {}", child.attr("from").unwrap_or_default(), child.text_of_children()))
        .collect();
    assert_eq!(reactions, [format!("{}/a y", to_her)]);
}

trait Texts {
    fn text_of_children(&self) -> String;
}

impl Texts for Element {
    fn text_of_children(&self) -> String {
        self.children().map(Element::text).collect()
    }
}

const MODERATE: &str = "urn:xmpp:message-moderate:1";

/// Says something in a room; returns the id that the room gave it.
async fn say(client: &mut Client, words: &str) -> String {
    client.send(&format!("<message to='{ROOM}' type='groupchat'><body>{words}</body></message>")).await;
    let said = client.find(|element| body(element).as_deref() == Some(words)).await;
    said.get_child("stanza-id", "urn:xmpp:sid:0").and_then(|id| id.attr("id")).unwrap().to_owned()
}

fn moderate(id: &str) -> String {
    format!(
        "<moderate xmlns='{MODERATE}' id='{id}'><retract xmlns='{RETRACT}'/><reason>rude</reason></moderate>"
    )
}

#[tokio::test]
async fn a_moderator_takes_a_message_out_of_everybodys_sight_and_nobody_else_does() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let insult = say(&mut juliet, "you knave").await;
    say(&mut juliet, "good morrow").await;
    romeo.settle().await;
    assert_eq!(condition(&juliet.ask("set", ROOM, &moderate(&insult)).await), "forbidden");
    assert_eq!(condition(&romeo.ask("set", ROOM, &moderate("nothing")).await), "item-not-found");
    assert_eq!(romeo.ask("set", ROOM, &moderate(&insult)).await.attr("type"), Some("result"));
    let notice = juliet.find(|element| element.get_child("retract", RETRACT).is_some()).await;
    let retract = child(&notice, "retract", RETRACT);
    assert_eq!((notice.attr("from"), retract.attr("id")), (Some(ROOM), Some(insult.as_str())));
    let by = format!("{ROOM}/Romeo");
    assert_eq!(child(retract, "moderated", MODERATE).attr("by"), Some(by.as_str()));
    assert_eq!(child(retract, "reason", RETRACT).text(), "rude");

    let mut nurse = house.online("nurse", "a").await;
    let told = bodies(&enter(&mut nurse, ROOM, "Nurse").await);
    assert_eq!(told, ["good morrow"], "who comes in is not told the words");
    let kept = house.server.trail().history(&ROOM.parse().unwrap(), &Default::default()).await.unwrap().items;
    assert!(kept.iter().any(|item| String::from_utf8_lossy(&item.stanza).contains("you knave")));
}

#[tokio::test]
async fn who_said_something_in_a_room_takes_it_back_there() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let vow = say(&mut juliet, "I love thee").await;
    let back = |id: &str| {
        format!(
            "<message to='{ROOM}' type='groupchat' id='b'><retract xmlns='{RETRACT}' id='{id}'/></message>"
        )
    };
    // Another's word is not his to take back, although he may say that he would like to.
    romeo.send(&back(&vow)).await;
    romeo.settle().await;
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(bodies(&enter(&mut nurse, ROOM, "Nurse").await), ["I love thee"]);
    juliet.send(&back(&vow)).await;
    juliet.settle().await;
    let mut later = house.online("nurse", "b").await;
    assert!(bodies(&enter(&mut later, ROOM, "Angelica").await).is_empty());
}
