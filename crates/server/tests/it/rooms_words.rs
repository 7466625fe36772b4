//! What is said in rooms: to all, to one, about what the subject is; and how it is read back (XEP-0045 §7, XEP-0313).

use minidom::Element;

use crate::client::{Client, bodies, body, child, condition};
use crate::house::House;
use crate::rooms::{
    FORMS, ROOM, USER, codes, configure, enter, enter_with, hear, item, knock, pair, presence_of, refusal,
    say,
};

const SID: &str = "urn:xmpp:sid:0";
const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";

#[tokio::test]
async fn what_is_said_reaches_all_with_the_rooms_own_id_and_comes_back_under_the_senders() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let forged = format!(
        "<stanza-id xmlns='{SID}' by='{ROOM}' id='forged'/><occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
         <x xmlns='{USER}'><item jid='nurse@corp.example'/></x><stanza-id xmlns='{SID}' by='else.where' id='kept'/>"
    );
    juliet
        .send(&format!("<message type='groupchat' to='{ROOM}' id='m1'><body>hi</body>{forged}</message>"))
        .await;
    let own = hear(&mut juliet, "hi").await.pop().unwrap();
    let heard = hear(&mut romeo, "hi").await.pop().unwrap();
    assert_eq!(own.attr("id"), Some("m1"));
    let ids = |message: &Element| -> Vec<(String, String)> {
        let ids = message.children().filter(|child| child.is("stanza-id", SID));
        ids.map(|id| (id.attr("by").unwrap().to_owned(), id.attr("id").unwrap().to_owned())).collect()
    };
    assert_eq!(ids(&own), ids(&heard));
    assert_eq!(ids(&own)[0].0, ROOM);
    assert_ne!(ids(&own)[0].1, "forged");
    assert_eq!(ids(&own)[1], ("else.where".to_owned(), "kept".to_owned()));
    let occupant = child(&heard, "occupant-id", "urn:xmpp:occupant-id:0").attr("id").unwrap().to_owned();
    assert_ne!(occupant, "forged");
    assert!(heard.get_child("x", USER).is_none());
    juliet.send(&format!("<presence to='{ROOM}/Rosaline'/>")).await;
    let come = presence_of(&mut romeo, "Rosaline").await;
    let again = child(&come, "occupant-id", "urn:xmpp:occupant-id:0").attr("id").unwrap();
    assert_eq!(again, occupant, "it does not depend on the nick");
}

#[tokio::test]
async fn only_who_is_in_and_has_a_voice_speaks() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("moderatedroom", "1")]).await;
    say(&mut juliet, "may I?").await;
    assert_eq!(refusal(&mut juliet).await, "forbidden");
    let mut nurse = house.online("nurse", "c").await;
    say(&mut nurse, "madam!").await;
    assert_eq!(refusal(&mut nurse).await, "not-acceptable");
    nurse.send(&format!("<message type='groupchat' to='{ROOM}/Juliet'><body>x</body></message>")).await;
    assert_eq!(refusal(&mut nurse).await, "bad-request");
    say(&mut romeo, "silence").await;
    assert_eq!(bodies(&hear(&mut juliet, "silence").await), ["silence"]);
}

#[tokio::test]
async fn everybody_hears_everything_in_one_order() {
    const EACH: usize = 60;
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    for number in 0..EACH {
        for (client, name) in [(&mut romeo, "r"), (&mut juliet, "j"), (&mut nurse, "n")] {
            let xml = format!("<message type='groupchat' to='{ROOM}'><body>{name} {number}</body></message>");
            let note = format!(
                "<message type='groupchat' to='{ROOM}'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"
            );
            client.send(&format!("{xml}{note}")).await;
        }
    }
    let mut orders = Vec::new();
    for client in [&mut romeo, &mut juliet, &mut nurse] {
        let mut left = 3 * EACH * 2;
        let heard = client
            .until(|element| {
                left -= usize::from(element.name() == "message");
                left == 0
            })
            .await;
        let order: Vec<_> = heard
            .iter()
            .filter(|element| element.name() == "message")
            .map(|message| (message.attr("from").unwrap().to_owned(), body(message)))
            .collect();
        orders.push(order);
    }
    assert_eq!(orders[0], orders[1]);
    assert_eq!(orders[0], orders[2]);
    // What is no event keeps its place behind what its sender said before.
    let mine: Vec<_> =
        orders[0].iter().filter(|(from, _)| from.ends_with("/Nurse")).map(|(_, body)| body).collect();
    for (number, pair) in mine.chunks(2).enumerate() {
        assert_eq!(pair, [&Some(format!("n {number}")), &None]);
    }
}

#[tokio::test]
async fn what_cannot_be_archived_is_heard_by_nobody_and_its_sender_is_told() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    house.break_disk().await;
    for (xml, what) in [
        (format!("<message type='groupchat' to='{ROOM}'><body>lost</body></message>"), "words"),
        (format!("<message type='groupchat' to='{ROOM}'><subject>lost</subject></message>"), "a subject"),
        (format!("<message type='chat' to='{ROOM}/Romeo'><body>lost</body></message>"), "a whisper"),
        (format!("<presence to='{ROOM}/Lost'/>"), "a nick"),
    ] {
        // Who owns the room may do all of these.
        let (speaker, xml) = if what == "a subject" { (&mut romeo, xml) } else { (&mut juliet, xml) };
        speaker.send(&xml).await;
        assert_eq!(refusal(speaker).await, "internal-server-error", "{what}");
    }
    let kick =
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Juliet' role='none'/></query>";
    assert_eq!(condition(&romeo.ask("set", ROOM, kick).await), "internal-server-error");
    assert_eq!(
        condition(&configure(&mut romeo, ROOM, &[("membersonly", "1")]).await),
        "internal-server-error"
    );
    // All is as it was: she is in under her name, and notes of no content go through.
    juliet
        .send(&format!("<message type='groupchat' to='{ROOM}'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"))
        .await;
    let mut got =
        romeo.until(|element| element.has_child("active", "http://jabber.org/protocol/chatstates")).await;
    assert_eq!(got.pop().unwrap().attr("from"), Some("orchard@conference.corp.example/Juliet"));
    assert!(got.iter().all(|element| !String::from(element).contains("ost</")), "{got:?}");
    let form = romeo.ask("get", ROOM, "<query xmlns='http://jabber.org/protocol/muc#owner'/>").await;
    let form = String::from(&form);
    let field = form.split("muc#roomconfig_membersonly").nth(1).unwrap();
    assert!(field.split("</field>").next().unwrap().contains("<value>0</value>"), "{field}");
}

#[tokio::test]
async fn who_cannot_be_archived_to_have_come_in_is_not_in() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    house.break_disk().await;
    knock(&mut nurse, ROOM, "Nurse", "").await;
    assert_eq!(refusal(&mut nurse).await, "internal-server-error");
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let answer = romeo.ask("get", ROOM, items).await;
    let count = child(&answer, "query", "http://jabber.org/protocol/disco#items").children().count();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn newcomers_hear_what_they_ask_for_of_what_was_said() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[("muc#maxhistoryfetch", "3")]).await;
    for number in 1..=5 {
        say(&mut romeo, &format!("m{number}")).await;
    }
    let live = hear(&mut romeo, "m5").await.pop().unwrap();
    let mut nurse = house.online("nurse", "c").await;
    for (inside, wanted) in [
        ("", vec!["m3", "m4", "m5"]),
        ("<history maxstanzas='2'/>", vec!["m4", "m5"]),
        ("<history maxstanzas='0'/>", vec![]),
        ("<history maxchars='0'/>", vec![]),
        ("<history maxstanzas='10'/>", vec!["m1", "m2", "m3", "m4", "m5"]),
        ("<history seconds='600'/>", vec!["m3", "m4", "m5"]),
        ("<history since='2100-01-01T00:00:00Z'/>", vec![]),
    ] {
        let got = enter_with(&mut nurse, ROOM, "Nurse", inside).await;
        assert_eq!(bodies(&got), wanted, "{inside}");
        if let Some(last) = got.iter().rev().find(|element| body(element).is_some()) {
            let id = |message: &Element| child(message, "stanza-id", SID).attr("id").map(str::to_owned);
            assert_eq!(id(last), id(&live), "it is the same message");
            assert_eq!(last.attr("from"), Some("orchard@conference.corp.example/Romeo"));
            assert_eq!(child(last, "delay", "urn:xmpp:delay").attr("from"), Some(ROOM));
        }
        nurse.send(&format!("<presence type='unavailable' to='{ROOM}/Nurse'/>")).await;
        presence_of(&mut nurse, "Nurse").await;
    }
}

#[tokio::test]
async fn the_subject_is_told_to_all_and_to_newcomers_after_the_history() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let subject =
        |words: &str| format!("<message type='groupchat' to='{ROOM}'><subject>{words}</subject></message>");
    juliet.send(&subject("The moon")).await;
    assert_eq!(refusal(&mut juliet).await, "forbidden");
    romeo.send(&subject("The sun")).await;
    let is_subject = |element: &Element| element.get_child("subject", "jabber:client").is_some();
    let told = juliet.find(is_subject).await;
    assert_eq!(told.attr("from"), Some("orchard@conference.corp.example/Romeo"));
    say(&mut romeo, "It is the east").await;
    hear(&mut romeo, "It is the east").await;
    configure(&mut romeo, ROOM, &[("changesubject", "1")]).await;
    juliet.send(&subject("The moon")).await;
    juliet.find(is_subject).await;
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    let last = got.last().unwrap();
    assert_eq!(child(last, "subject", "jabber:client").text(), "The moon");
    assert_eq!(last.attr("from"), Some("orchard@conference.corp.example/Juliet"));
    child(last, "delay", "urn:xmpp:delay");
    assert_eq!(bodies(&got), ["It is the east"], "the history is before it, without older subjects");
    // A subject with a body is a message like any other.
    nurse
        .send(&format!("<message type='groupchat' to='{ROOM}'><subject>s</subject><body>b</body></message>"))
        .await;
    hear(&mut juliet, "b").await;
}

#[tokio::test]
async fn two_can_whisper_where_the_room_allows_it_and_both_find_it_in_their_history() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    let whisper = |to: &str, words: &str| {
        format!("<message type='chat' to='{ROOM}/{to}'><body>{words}</body></message>")
    };
    juliet.send(&whisper("Romeo", "psst")).await;
    let heard = hear(&mut romeo, "psst").await.pop().unwrap();
    assert_eq!(heard.attr("from"), Some("orchard@conference.corp.example/Juliet"));
    assert_eq!(heard.attr("type"), Some("chat"));
    child(&heard, "x", USER);
    let empty = format!("<query xmlns='{MAM}'/>");
    for (client, own) in [(&mut romeo, "romeo"), (&mut juliet, "juliet")] {
        let got = history(client, "", &empty).await;
        let messages: Vec<_> =
            got.iter().filter_map(forwarded).filter(|message| body(message).is_some()).collect();
        assert_eq!(messages.len(), 1, "{own}");
        assert_eq!(messages[0].attr("from"), Some("orchard@conference.corp.example/Juliet"));
        assert_eq!(
            messages[0].attr("to"),
            Some("orchard@conference.corp.example/Romeo"),
            "no real address: {own}"
        );
    }
    assert!(history(&mut nurse, "", &empty).await.is_empty());
    juliet.send(&whisper("Nobody", "psst")).await;
    assert_eq!(refusal(&mut juliet).await, "item-not-found");
    for (setting, role, allowed) in
        [("moderators", "juliet", false), ("none", "romeo", false), ("participants", "juliet", true)]
    {
        configure(&mut romeo, ROOM, &[("allowpm", setting)]).await;
        let sender = if role == "romeo" { &mut romeo } else { &mut juliet };
        sender.send(&whisper("Nurse", setting)).await;
        if allowed {
            assert_eq!(bodies(&hear(&mut nurse, setting).await), [setting]);
        } else {
            assert_eq!(refusal(sender).await, "forbidden", "{setting}");
        }
    }
}

#[tokio::test]
async fn visitors_ask_for_a_voice_and_moderators_give_it() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("moderatedroom", "1")]).await;
    let request = format!(
        "<message to='{ROOM}'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#request</value></field><field var='muc#role'><value>participant</value>\
         </field></x></message>"
    );
    juliet.send(&request).await;
    let asked =
        romeo.find(|element| element.name() == "message" && element.get_child("x", FORMS).is_some()).await;
    assert!(String::from(&asked).contains("juliet@corp.example/b"));
    let answer = format!(
        "<message to='{ROOM}'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#request</value></field><field var='muc#roomnick'><value>Juliet</value>\
         </field><field var='muc#request_allow'><value>true</value></field></x></message>"
    );
    juliet.send(&answer).await;
    assert_eq!(refusal(&mut juliet).await, "forbidden", "nobody gives it to themselves");
    romeo.send(&answer).await;
    let now = presence_of(&mut juliet, "Juliet").await;
    assert_eq!(item(&now).attr("role"), Some("participant"));
    say(&mut juliet, "thanks").await;
    hear(&mut romeo, "thanks").await;
    configure(&mut romeo, ROOM, &[("allowvoicerequests", "0")]).await;
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    nurse.send(&request).await;
    assert_eq!(refusal(&mut nurse).await, "forbidden");
}

#[tokio::test]
async fn an_invitation_waits_for_who_is_away_makes_a_member_and_can_be_declined() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("membersonly", "0")]).await;
    configure(
        &mut romeo,
        ROOM,
        &[("passwordprotectedroom", "1"), ("roomsecret", "owl"), ("allowinvites", "0")],
    )
    .await;
    let invite = format!(
        "<message to='{ROOM}'><x xmlns='{USER}'><invite to='nurse@corp.example'><reason>Come!</reason></invite></x></message>"
    );
    juliet.send(&invite).await;
    assert_eq!(refusal(&mut juliet).await, "forbidden");
    romeo.send(&invite).await;
    romeo.settle().await;
    let mut nurse = house.bind("nurse", "c").await;
    nurse.send("<presence/>").await;
    let invited = nurse.find(|element| element.name() == "message").await;
    assert_eq!(invited.attr("from"), Some(ROOM));
    let x = child(&invited, "x", USER);
    let told = child(x, "invite", USER);
    assert_eq!(told.attr("from"), Some("orchard@conference.corp.example/Romeo"));
    assert_eq!(child(told, "reason", USER).text(), "Come!");
    assert_eq!(child(x, "password", USER).text(), "owl");
    assert_eq!(child(&invited, "x", "jabber:x:conference").attr("jid"), Some(ROOM));
    let decline = format!(
        "<message to='{ROOM}'><x xmlns='{USER}'><decline to='{ROOM}/Romeo'><reason>Busy</reason></decline></x></message>"
    );
    nurse.send(&decline).await;
    let declined = romeo
        .find(|element| {
            element.name() == "message"
                && element.get_child("x", USER).is_some_and(|x| x.has_child("decline", USER))
        })
        .await;
    let told = child(child(&declined, "x", USER), "decline", USER);
    assert_eq!(
        (told.attr("from"), child(told, "reason", USER).text().as_str()),
        (Some("nurse@corp.example"), "Busy")
    );
    configure(&mut romeo, ROOM, &[("passwordprotectedroom", "0"), ("membersonly", "1")]).await;
    knock(&mut nurse, ROOM, "Nurse", "").await;
    assert_eq!(refusal(&mut nurse).await, "registration-required");
    romeo.send(&invite).await;
    nurse.find(|element| element.name() == "message").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    let own = got.iter().find(|element| codes(element).contains(&"110".to_owned())).unwrap();
    assert_eq!(item(own).attr("affiliation"), Some("member"));
}

/// Asks an archive and returns what came, without the end.
pub async fn history(client: &mut Client, to: &str, query: &str) -> Vec<Element> {
    let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
    client.send(&format!("<iq type='set' id='mam'{to}>{query}</iq>")).await;
    let mut got = client.until(|element| element.attr("id") == Some("mam")).await;
    let fin = got.pop().unwrap();
    assert_eq!(fin.attr("type"), Some("result"), "{}", String::from(&fin));
    got.retain(|element| element.get_child("result", MAM).is_some());
    got
}

/// The message inside a result.
pub fn forwarded(result: &Element) -> Option<Element> {
    let forwarded = result.get_child("result", MAM)?.get_child("forwarded", "urn:xmpp:forward:0")?;
    forwarded.get_child("message", "jabber:client").cloned()
}

#[tokio::test]
async fn a_rooms_archive_is_read_by_who_may_come_in_and_shows_no_real_addresses() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    for number in 1..=3 {
        say(&mut juliet, &format!("m{number}")).await;
    }
    let live = hear(&mut romeo, "m3").await.pop().unwrap();
    let mut nurse = house.online("nurse", "c").await;
    let all = history(&mut nurse, ROOM, &format!("<query xmlns='{MAM}' queryid='q'/>")).await;
    let messages: Vec<Element> = all.iter().filter_map(forwarded).collect();
    assert_eq!(bodies(&messages), ["m1", "m2", "m3"]);
    assert!(all.iter().all(|result| result.attr("from") == Some(ROOM)));
    let id = child(&live, "stanza-id", SID).attr("id").unwrap();
    assert_eq!(child(&all[2], "result", MAM).attr("id"), Some(id), "the id that was told live");
    for message in &messages {
        let text = String::from(message);
        assert!(!text.contains("juliet@"), "{text}");
        assert_eq!(
            (message.attr("from"), message.attr("to")),
            (Some("orchard@conference.corp.example/Juliet"), None)
        );
    }
    let last = format!("<query xmlns='{MAM}'><set xmlns='{RSM}'><max>1</max><before/></set></query>");
    let page: Vec<Element> = history(&mut nurse, ROOM, &last).await.iter().filter_map(forwarded).collect();
    assert_eq!(bodies(&page), ["m3"]);
    let with = format!(
        "<query xmlns='{MAM}'><x xmlns='{FORMS}' type='submit'><field var='FORM_TYPE'><value>{MAM}</value></field>\
         <field var='with'><value>juliet@corp.example</value></field></x></query>"
    );
    assert_eq!(condition(&nurse.ask("set", ROOM, &with).await), "forbidden");
    let metadata = nurse.ask("get", ROOM, &format!("<metadata xmlns='{MAM}'/>")).await;
    assert_eq!(child(child(&metadata, "metadata", MAM), "end", MAM).attr("id"), Some(id));
    configure(&mut romeo, ROOM, &[("membersonly", "1")]).await;
    let refused = nurse.ask("set", ROOM, &format!("<query xmlns='{MAM}'/>")).await;
    assert_eq!(condition(&refused), "forbidden");
}

#[tokio::test]
async fn where_names_are_open_the_archive_says_who_spoke() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("whois", "anyone")]).await;
    say(&mut juliet, "it is I").await;
    let live = hear(&mut romeo, "it is I").await.pop().unwrap();
    assert!(live.get_child("x", USER).is_none());
    let all = history(&mut romeo, ROOM, &format!("<query xmlns='{MAM}'/>")).await;
    let message = forwarded(all.last().unwrap()).unwrap();
    assert_eq!(item(&message).attr("jid"), Some("juliet@corp.example/b"));
}

#[tokio::test]
async fn an_earlier_room_of_the_name_is_not_in_the_archive_of_a_later_one() {
    let house = House::open().await;
    let (mut romeo, juliet) = pair(&house, &[]).await;
    say(&mut romeo, "a secret").await;
    hear(&mut romeo, "a secret").await;
    juliet.close().await;
    romeo.send(&format!("<presence type='unavailable' to='{ROOM}/Romeo'/>")).await;
    presence_of(&mut romeo, "Romeo").await;
    let mut nurse = house.online("nurse", "c").await;
    crate::rooms::open(&mut nurse, ROOM, "Nurse").await;
    say(&mut nurse, "anew").await;
    hear(&mut nurse, "anew").await;
    let all = history(&mut nurse, ROOM, &format!("<query xmlns='{MAM}'/>")).await;
    let messages: Vec<Element> = all.iter().filter_map(forwarded).collect();
    assert_eq!(bodies(&messages), ["anew"]);
}

#[tokio::test]
async fn questions_between_occupants_pass_through_the_room() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    juliet
        .send(&format!("<iq type='get' id='v1' to='{ROOM}/Romeo'><query xmlns='jabber:iq:version'/></iq>"))
        .await;
    let asked = romeo.find(|element| element.name() == "iq" && element.attr("type") == Some("get")).await;
    assert_eq!(asked.attr("from"), Some("orchard@conference.corp.example/Juliet"));
    let id = asked.attr("id").unwrap();
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    // Nobody answers for somebody else.
    nurse.send(&format!("<iq type='result' id='{id}' to='{ROOM}/Juliet'/>")).await;
    nurse.settle().await;
    romeo
        .send(&format!(
            "<iq type='result' id='{id}' to='{ROOM}/Juliet'><query xmlns='jabber:iq:version'><name>Quill</name></query></iq>"
        ))
        .await;
    let answer = juliet.find(|element| element.attr("id") == Some("v1")).await;
    assert_eq!(answer.attr("from"), Some("orchard@conference.corp.example/Romeo"));
    assert!(String::from(&answer).contains("Quill"));
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    let own = format!("{ROOM}/Juliet");
    assert_eq!(juliet.ask("get", &own, ping).await.attr("type"), Some("result"), "I am here");
    juliet.send(&format!("<presence type='unavailable' to='{own}'/>")).await;
    assert_eq!(condition(&juliet.ask("get", &own, ping).await), "not-acceptable", "I am not");
    let nobody = format!("{ROOM}/Nobody");
    assert_eq!(condition(&romeo.ask("get", &nobody, ping).await), "item-not-found");
}

#[tokio::test]
async fn occupants_show_their_accounts_cards_to_one_another_only() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let card = "<vCard xmlns='vcard-temp'><FN>Romeo Montague</FN></vCard>";
    assert_eq!(romeo.ask("set", "", card).await.attr("type"), Some("result"));
    let ask = "<vCard xmlns='vcard-temp'/>";
    let (his, nobodys) = (format!("{ROOM}/Romeo"), format!("{ROOM}/Nobody"));
    let answer = juliet.ask("get", &his, ask).await;
    assert_eq!(answer.attr("from"), Some(his.as_str()));
    assert!(String::from(child(&answer, "vCard", "vcard-temp")).contains("Romeo Montague"));
    assert_eq!(condition(&juliet.ask("get", &nobodys, ask).await), "item-not-found");
    let mut nurse = house.online("nurse", "c").await;
    assert_eq!(condition(&nurse.ask("get", &his, ask).await), "not-acceptable");
}

#[tokio::test]
async fn the_trail_tells_who_was_there_and_who_changed_what() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    say(&mut juliet, "hi").await;
    hear(&mut juliet, "hi").await;
    juliet.send(&format!("<presence to='{ROOM}/Rosaline'/>")).await;
    presence_of(&mut juliet, "Rosaline").await;
    crate::rooms_admin::set(&mut romeo, "<item nick='Rosaline' role='none'><reason>enough</reason></item>")
        .await;
    romeo.send(&format!("<presence type='unavailable' to='{ROOM}/Romeo'/>")).await;
    presence_of(&mut romeo, "Romeo").await;
    let room = stanza::BareJid::new(ROOM).unwrap();
    let read = |ledger| archive::Query { ledger, ..archive::Query::default() };
    let happened = house.server.trail().history(&room, &read(archive::Ledger::Happenings)).await.unwrap();
    let told: Vec<(String, bool)> = happened
        .items
        .iter()
        .map(|item| (item.from.to_string(), item.stanza.starts_with(b"<presence")))
        .collect();
    let (r, j) = ("romeo@corp.example/a".to_owned(), "juliet@corp.example/b".to_owned());
    let wanted = [
        (r.clone(), true),  // comes in
        (r.clone(), false), // opens the room
        (r.clone(), false), // configures it
        (j.clone(), true),  // comes in
        (j, true),          // changes her nick
        (r.clone(), false), // sends her out
        (r, true),          // leaves
    ];
    assert_eq!(told, wanted);
    let kick = std::str::from_utf8(&happened.items[5].stanza).unwrap();
    assert!(kick.contains("enough") && kick.contains("Rosaline"), "{kick}");
    let said = house.server.trail().history(&room, &read(archive::Ledger::Messages)).await.unwrap();
    assert_eq!(said.items.len(), 1, "each message is one event");
    assert_eq!(said.items[0].from.as_str(), "juliet@corp.example/b", "the true sender");
}

#[tokio::test]
async fn whoever_is_in_too_many_places_to_be_seen_leaving_comes_into_no_more() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for number in 0..1_000 {
        romeo.send(&format!("<presence to='nobody{number}@corp.example'/>")).await;
    }
    knock(&mut romeo, ROOM, "Romeo", "").await;
    assert_eq!(refusal(&mut romeo).await, "resource-constraint");
    romeo.send("<presence type='unavailable' to='nobody1@corp.example'/>").await;
    enter(&mut romeo, ROOM, "Romeo").await;
}
