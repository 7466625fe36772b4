//! Conferences: coming in, changing nick, leaving, and what others see of it (XEP-0045 §7).

use minidom::Element;

use crate::client::{Client, bodies, body, child, condition, unique};
use crate::house::{DOMAIN, House};

pub const MUC: &str = "http://jabber.org/protocol/muc";
pub const USER: &str = "http://jabber.org/protocol/muc#user";
pub const OWNER: &str = "http://jabber.org/protocol/muc#owner";
pub const FORMS: &str = "jabber:x:data";
pub const ROOM: &str = "orchard@conference.corp.example";

/// Sends presence into a room, with something inside `<x/>`.
pub async fn knock(client: &mut Client, room: &str, nick: &str, inside: &str) {
    let id = unique("enter");
    client
        .send(&format!("<presence id='{id}' to='{room}/{nick}'><x xmlns='{MUC}'>{inside}</x></presence>"))
        .await;
}

/// Comes in and returns what came up to the subject, which is last.
pub async fn enter_with(client: &mut Client, room: &str, nick: &str, inside: &str) -> Vec<Element> {
    knock(client, room, nick, inside).await;
    let from = room.to_owned();
    client
        .until(move |element| {
            let ours = element.attr("from").is_some_and(|sender| sender.starts_with(&from));
            assert!(element.attr("type") != Some("error") || !ours, "{}", String::from(element));
            ours && element.name() == "message"
                && element.get_child("subject", "jabber:client").is_some()
                && element.get_child("body", "jabber:client").is_none()
        })
        .await
}

pub async fn enter(client: &mut Client, room: &str, nick: &str) -> Vec<Element> {
    enter_with(client, room, nick, "").await
}

/// Makes an instant room (XEP-0045 §10.1.2).
pub async fn open(client: &mut Client, room: &str, nick: &str) -> Vec<Element> {
    let got = enter(client, room, nick).await;
    configure(client, room, &[]).await;
    client.settle().await;
    got
}

/// Sends the owner's form with these fields.
pub async fn configure(client: &mut Client, room: &str, fields: &[(&str, &str)]) -> Element {
    let fields: String = fields
        .iter()
        .map(|(var, values)| {
            let values: String = values.split('|').map(|value| format!("<value>{value}</value>")).collect();
            let var = if var.contains('#') { (*var).to_owned() } else { format!("muc#roomconfig_{var}") };
            format!("<field var='{var}'>{values}</field>")
        })
        .collect();
    let form = "<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>";
    let form = if fields.is_empty() { String::new() } else { format!("{form}{fields}") };
    let query = format!("<query xmlns='{OWNER}'><x xmlns='{FORMS}' type='submit'>{form}</x></query>");
    client.ask("set", room, &query).await
}

/// A room that romeo owns, with juliet in it, both having read all that came.
pub async fn pair(house: &House, fields: &[(&str, &str)]) -> (Client, Client) {
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    open(&mut romeo, ROOM, "Romeo").await;
    let answer = configure(&mut romeo, ROOM, fields).await;
    assert_eq!(answer.attr("type"), Some("result"), "{}", String::from(&answer));
    enter(&mut juliet, ROOM, "Juliet").await;
    presence_of(&mut romeo, "Juliet").await;
    romeo.settle().await;
    (romeo, juliet)
}

/// The next presence of somebody in the room.
pub async fn presence_of(client: &mut Client, nick: &str) -> Element {
    let from = format!("{ROOM}/{nick}");
    client.find(|element| element.name() == "presence" && element.attr("from") == Some(&from)).await
}

pub async fn say(client: &mut Client, words: &str) {
    client
        .send(&format!("<message type='groupchat' to='{ROOM}' id='{words}'><body>{words}</body></message>"))
        .await;
}

/// What is heard up to these words.
pub async fn hear(client: &mut Client, words: &str) -> Vec<Element> {
    client.until(|element| body(element).as_deref() == Some(words)).await
}

/// The next error.
pub async fn refusal(client: &mut Client) -> String {
    let error = client.find(|element| element.attr("type") == Some("error")).await;
    condition(&error).to_owned()
}

/// The codes of a stanza, sorted.
pub fn codes(element: &Element) -> Vec<String> {
    let Some(x) = element.get_child("x", USER) else { return Vec::new() };
    let mut codes: Vec<String> = x
        .children()
        .filter(|child| child.is("status", USER))
        .map(|status| status.attr("code").unwrap().to_owned())
        .collect();
    codes.sort();
    codes
}

/// `<item/>` of a presence.
pub fn item(element: &Element) -> &Element {
    child(child(element, "x", USER), "item", USER)
}

/// Affiliation and role of a presence.
pub fn rank(element: &Element) -> (String, String) {
    let item = item(element);
    (item.attr("affiliation").unwrap().to_owned(), item.attr("role").unwrap().to_owned())
}

#[tokio::test]
async fn who_makes_a_room_owns_it_and_opens_it() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    let got = enter(&mut romeo, ROOM, "Romeo").await;
    assert_eq!(codes(&got[0]), ["110", "170", "201"]);
    assert_eq!(rank(&got[0]), ("owner".into(), "moderator".into()));
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "item-not-found", "it is locked until its owner opens it");
    assert_eq!(configure(&mut romeo, ROOM, &[]).await.attr("type"), Some("result"));
    let got = enter(&mut juliet, ROOM, "Juliet").await;
    assert_eq!(codes(&got[1]), ["110", "170"]);
    assert_eq!(rank(&got[1]), ("none".into(), "participant".into()));
}

#[tokio::test]
async fn who_comes_in_sees_the_others_first_then_themselves_then_the_subject() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    let seen: Vec<_> = got.iter().map(|element| (element.name(), element.attr("from").unwrap())).collect();
    let at = |nick: &str| format!("{ROOM}/{nick}");
    let (j, r, n) = (at("Juliet"), at("Romeo"), at("Nurse"));
    assert_eq!(seen, [("presence", &*j), ("presence", &*r), ("presence", &*n), ("message", ROOM)]);
    assert_eq!(codes(&got[2]), ["110", "170"]);
    let jid = |element: &Element| item(element).attr("jid").map(str::to_owned);
    assert_eq!(jid(&got[0]), None, "only moderators see real addresses");
    assert_eq!(jid(&presence_of(&mut juliet, "Nurse").await), None);
    assert_eq!(jid(&presence_of(&mut romeo, "Nurse").await).as_deref(), Some("nurse@corp.example/c"));
}

#[tokio::test]
async fn in_a_room_with_open_names_everybody_sees_addresses_and_is_told_so() {
    let house = House::open().await;
    let (_romeo, mut juliet) = pair(&house, &[("whois", "anyone")]).await;
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    assert!(got[..3].iter().all(|presence| item(presence).attr("jid").is_some()));
    assert_eq!(codes(&got[2]), ["100", "110", "170"]);
    assert!(item(&presence_of(&mut juliet, "Nurse").await).attr("jid").is_some());
}

#[tokio::test]
async fn what_the_owner_asks_of_newcomers_is_asked() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "b").await;
    open(&mut romeo, ROOM, "Romeo").await;
    configure(&mut romeo, ROOM, &[("passwordprotectedroom", "1"), ("roomsecret", "owl")]).await;
    for (inside, wanted) in [("", "not-authorized"), ("<password>cat</password>", "not-authorized")] {
        knock(&mut juliet, ROOM, "Juliet", inside).await;
        assert_eq!(refusal(&mut juliet).await, wanted);
    }
    enter_with(&mut juliet, ROOM, "Juliet", "<password>owl</password>").await;
    juliet.send(&format!("<presence type='unavailable' to='{ROOM}/Juliet'/>")).await;
    configure(&mut romeo, ROOM, &[("passwordprotectedroom", "0"), ("membersonly", "1")]).await;
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "registration-required");
    configure(&mut romeo, ROOM, &[("membersonly", "0"), ("maxusers", "1")]).await;
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "service-unavailable");
    configure(&mut romeo, ROOM, &[("maxusers", "none")]).await;
    knock(&mut juliet, ROOM, "Romeo", "").await;
    assert_eq!(refusal(&mut juliet).await, "conflict");
    juliet.send(&format!("<presence to='{ROOM}'><x xmlns='{MUC}'/></presence>")).await;
    assert_eq!(refusal(&mut juliet).await, "jid-malformed");
    enter(&mut juliet, ROOM, "Juliet").await;
}

#[tokio::test]
async fn a_nick_can_be_changed_to_one_that_is_free() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    juliet.send(&format!("<presence to='{ROOM}/Romeo'/>")).await;
    assert_eq!(refusal(&mut juliet).await, "conflict");
    juliet.send(&format!("<presence to='{ROOM}/Rosaline'/>")).await;
    for (client, own) in [(&mut romeo, false), (&mut juliet, true)] {
        let gone = presence_of(client, "Juliet").await;
        assert_eq!(gone.attr("type"), Some("unavailable"));
        assert_eq!(codes(&gone), if own { vec!["110", "303"] } else { vec!["303"] });
        assert_eq!(item(&gone).attr("nick"), Some("Rosaline"));
        let come = presence_of(client, "Rosaline").await;
        assert_eq!(codes(&come).contains(&"110".to_owned()), own);
    }
    say(&mut juliet, "It is I.").await;
    let heard = hear(&mut romeo, "It is I.").await;
    assert_eq!(heard.last().unwrap().attr("from"), Some("orchard@conference.corp.example/Rosaline"));
}

#[tokio::test]
async fn devices_of_one_person_share_a_nick() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut phone = house.online("juliet", "phone").await;
    enter(&mut phone, ROOM, "Juliet").await;
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let answer = romeo.ask("get", ROOM, items).await;
    let count = child(&answer, "query", "http://jabber.org/protocol/disco#items").children().count();
    assert_eq!(count, 2, "it is one occupant");
    say(&mut romeo, "hi").await;
    hear(&mut juliet, "hi").await;
    hear(&mut phone, "hi").await;
    romeo.settle().await;
    phone.send(&format!("<presence type='unavailable' to='{ROOM}/Juliet'/>")).await;
    assert_eq!(presence_of(&mut phone, "Juliet").await.attr("type"), Some("unavailable"));
    say(&mut juliet, "I am still here").await;
    let heard = hear(&mut romeo, "I am still here").await;
    assert!(heard.iter().all(|element| element.attr("type") != Some("unavailable")), "{heard:?}");
}

#[tokio::test]
async fn a_device_that_shares_a_nick_can_take_its_own() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[]).await;
    let mut phone = house.online("juliet", "phone").await;
    enter(&mut phone, ROOM, "Juliet").await;
    phone.send(&format!("<presence to='{ROOM}/Pocket'/>")).await;
    let come = presence_of(&mut romeo, "Pocket").await;
    assert_eq!(item(&come).attr("jid"), Some("juliet@corp.example/phone"));
    say(&mut phone, "hi").await;
    assert_eq!(hear(&mut romeo, "hi").await.last().unwrap().attr("from").unwrap(), format!("{ROOM}/Pocket"));
}

#[tokio::test]
async fn whoever_leaves_or_is_lost_is_seen_to_go() {
    let house = House::with(&[("LIMITS_RESUME_SECONDS", "0")]).await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    juliet
        .send(&format!("<presence type='unavailable' to='{ROOM}/Juliet'><status>adieu</status></presence>"))
        .await;
    let gone = presence_of(&mut romeo, "Juliet").await;
    assert_eq!((gone.attr("type"), rank(&gone).1.as_str()), (Some("unavailable"), "none"));
    assert_eq!(child(&gone, "status", "jabber:client").text(), "adieu");
    assert_eq!(codes(&presence_of(&mut juliet, "Juliet").await), ["110"]);
    say(&mut juliet, "one more thing").await;
    assert_eq!(refusal(&mut juliet).await, "not-acceptable");
    enter(&mut juliet, ROOM, "Juliet").await;
    presence_of(&mut romeo, "Juliet").await;
    // Her client says that something is wrong with it, and everybody hears that it was not her wish.
    juliet.send(&format!("<presence type='error' to='{ROOM}/Juliet'/>")).await;
    assert_eq!(codes(&presence_of(&mut romeo, "Juliet").await), ["333"]);
    assert_eq!(codes(&presence_of(&mut juliet, "Juliet").await), ["110", "333"]);
    enter(&mut juliet, ROOM, "Juliet").await;
    presence_of(&mut romeo, "Juliet").await;
    juliet.lose();
    assert_eq!(presence_of(&mut romeo, "Juliet").await.attr("type"), Some("unavailable"));
}

#[tokio::test]
async fn presence_in_the_room_is_kept_for_newcomers_and_shown_to_all() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    juliet
        .send(&format!("<presence to='{ROOM}/Juliet'><show>away</show><x xmlns='{USER}'/></presence>"))
        .await;
    let seen = presence_of(&mut romeo, "Juliet").await;
    assert_eq!(child(&seen, "show", "jabber:client").text(), "away");
    assert_eq!(
        seen.children().filter(|child| child.is("x", USER)).count(),
        1,
        "what only a room says is not forged"
    );
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    assert_eq!(child(&got[0], "show", "jabber:client").text(), "away");
}

#[tokio::test]
async fn a_client_that_has_lost_its_view_comes_in_anew_and_stays_what_it_is() {
    let house = House::open().await;
    let (_romeo, mut juliet) = pair(&house, &[]).await;
    let got = enter(&mut juliet, ROOM, "Juliet").await;
    assert_eq!(got.iter().filter(|element| element.name() == "presence").count(), 2);
    assert_eq!(codes(&got[1]), ["110", "170"]);
}

#[tokio::test]
async fn a_temporary_room_ends_with_the_last_and_leaves_no_words_to_the_next_of_its_name() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    open(&mut romeo, ROOM, "Romeo").await;
    say(&mut romeo, "a secret").await;
    hear(&mut romeo, "a secret").await;
    romeo.send(&format!("<presence type='unavailable' to='{ROOM}/Romeo'/>")).await;
    presence_of(&mut romeo, "Romeo").await;
    let mut juliet = house.online("juliet", "b").await;
    let got = open(&mut juliet, ROOM, "Juliet").await;
    assert!(codes(&got[0]).contains(&"201".to_owned()));
    assert!(bodies(&got).is_empty());
}

#[tokio::test]
async fn where_the_company_says_so_only_administrators_make_rooms() {
    let house = House::with(&[("ROOMS_CREATE", "admins")]).await;
    let mut romeo = house.online("romeo", "a").await;
    knock(&mut romeo, ROOM, "Romeo", "").await;
    assert_eq!(refusal(&mut romeo).await, "not-allowed");
    house.promote("romeo").await;
    open(&mut romeo, ROOM, "Romeo").await;
}

#[tokio::test]
async fn new_rooms_can_be_for_members_and_lasting_by_default() {
    let rules = [("ROOMS_MEMBERS_ONLY_BY_DEFAULT", "true"), ("ROOMS_PERSISTENT_BY_DEFAULT", "true")];
    let house = House::with(&rules).await;
    let mut romeo = house.online("romeo", "a").await;
    open(&mut romeo, ROOM, "Romeo").await;
    let mut juliet = house.online("juliet", "b").await;
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "registration-required");
    romeo.send(&format!("<presence type='unavailable' to='{ROOM}/Romeo'/>")).await;
    presence_of(&mut romeo, "Romeo").await;
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "registration-required", "it has stayed");
}

#[tokio::test]
async fn a_room_that_nobody_has_made_has_nothing_to_say() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    for payload in ["<query xmlns='http://jabber.org/protocol/disco#info'/>", "<ping xmlns='urn:xmpp:ping'/>"]
    {
        assert_eq!(condition(&romeo.ask("get", ROOM, payload).await), "item-not-found");
    }
    say(&mut romeo, "is anybody here?").await;
    assert_eq!(refusal(&mut romeo).await, "item-not-found");
    romeo.send(&format!("<presence type='unavailable' to='{ROOM}/Romeo'/>")).await;
    romeo.settle().await;
    let answer = romeo.ask("get", &format!("conference.{DOMAIN}"), "<ping xmlns='urn:xmpp:ping'/>").await;
    assert_eq!(answer.attr("type"), Some("result"));
}
