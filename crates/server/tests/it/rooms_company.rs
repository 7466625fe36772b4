//! Rooms that the company has: who finds them, who comes in, who speaks. And looking for rooms (XEP-0433).

use minidom::Element;
use server::directory::Profile;
use server::users::NewAccount;

use crate::client::{Client, child, condition};
use crate::house::{DOMAIN, House, PASSWORD, jid};
use crate::rooms::{ROOM, USER, configure, enter, knock, open, refusal};

const ROOMS: &str = "[{ name = \"lobby\", title = \"The lobby\" }, \
    { name = \"news\", announcements = true }, { name = \"sales\", group = \"Sales\" }]";
const NODE: &str = "urn:xmpp:bookmarks:1";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

async fn company() -> House {
    House::with(&[("COMPANY_ROOMS", ROOMS)]).await
}

fn room(name: &str) -> String {
    format!("{name}@conference.{DOMAIN}")
}

async fn place(house: &House, name: &str, group: &str) {
    let profile = Profile { groups: vec![group.to_owned()], ..Profile::default() };
    house.vault().apply(vec![profile.put(&jid(name)).unwrap()]).await.unwrap();
}

/// The rooms among somebody's bookmarks, with their names.
async fn bookmarks(client: &mut Client) -> Vec<String> {
    let own = client.bare();
    let answer =
        client.ask("get", &own, &format!("<pubsub xmlns='{PUBSUB}'><items node='{NODE}'/></pubsub>")).await;
    let Some(pubsub) = answer.get_child("pubsub", PUBSUB) else { return Vec::new() };
    let mut found: Vec<String> = child(pubsub, "items", PUBSUB)
        .children()
        .map(|item| {
            let conference = child(item, "conference", NODE);
            assert_eq!(conference.attr("autojoin"), Some("true"));
            format!("{} {}", item.attr("id").unwrap(), conference.attr("name").unwrap())
        })
        .collect();
    found.sort();
    found
}

fn affiliation(entered: &[Element]) -> &str {
    let own = entered.iter().rev().find(|element| element.name() == "presence").unwrap();
    child(child(own, "x", USER), "item", USER).attr("affiliation").unwrap()
}

#[tokio::test]
async fn everybody_finds_the_rooms_of_the_company_among_their_bookmarks_once() {
    let house = company().await;
    place(&house, "juliet", "Sales").await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    let everybodys = [format!("{} The lobby", room("lobby")), format!("{} news", room("news"))];
    assert_eq!(bookmarks(&mut romeo).await, everybodys);
    assert_eq!(bookmarks(&mut juliet).await.len(), 3, "with that of her group");

    let retract = format!(
        "<pubsub xmlns='{PUBSUB}'><retract node='{NODE}'><item id='{}'/></retract></pubsub>",
        room("news")
    );
    let own = romeo.bare();
    assert_eq!(romeo.ask("set", &own, &retract).await.attr("type"), Some("result"));
    romeo.close().await;
    drop(juliet);
    let house = house.restart().await;
    let mut romeo = house.online("romeo", "a").await;
    assert_eq!(bookmarks(&mut romeo).await, everybodys[..1], "who takes one off is not told again");
}

#[tokio::test]
async fn members_of_the_group_come_in_and_others_do_not() {
    let house = company().await;
    let mut romeo = house.online("romeo", "a").await;
    knock(&mut romeo, &room("sales"), "Romeo", "").await;
    assert_eq!(refusal(&mut romeo).await, "registration-required");
    // The department has changed.
    place(&house, "romeo", "Sales").await;
    assert_eq!(affiliation(&enter(&mut romeo, &room("sales"), "Romeo").await), "member");
    house.promote("nurse").await;
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(affiliation(&enter(&mut nurse, &room("sales"), "Nurse").await), "owner");
    // The list of rooms is for everybody, and this one is not.
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let listed = romeo.ask("get", &format!("conference.{DOMAIN}"), items).await;
    let query = child(&listed, "query", "http://jabber.org/protocol/disco#items");
    let mut listed: Vec<&str> = query.children().filter_map(|item| item.attr("jid")).collect();
    listed.sort_unstable();
    assert_eq!(listed, [room("lobby"), room("news")]);
}

#[tokio::test]
async fn in_a_room_for_announcements_administrators_speak() {
    let house = company().await;
    house.promote("nurse").await;
    let mut nurse = house.online("nurse", "a").await;
    let mut romeo = house.online("romeo", "a").await;
    let news = room("news");
    enter(&mut nurse, &news, "Nurse").await;
    enter(&mut romeo, &news, "Romeo").await;
    let say = |words: &str| {
        format!("<message to='{news}' type='groupchat' id='{words}'><body>{words}</body></message>")
    };
    romeo.send(&say("me")).await;
    let error = romeo.find(|element| element.attr("id") == Some("me")).await;
    assert_eq!(condition(&error), "forbidden");
    nurse.send(&say("party")).await;
    let heard = romeo.find(|element| element.attr("id") == Some("party")).await;
    assert_eq!(heard.attr("from"), Some(format!("{news}/Nurse").as_str()));
}

const SEARCH: &str = "urn:xmpp:channel-search:0:search";

/// The addresses that a search finds, in order; or its error.
async fn search(client: &mut Client, fields: &[(&str, &str)], rest: &str) -> Result<Vec<String>, String> {
    let fields: String = fields
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    let form_type = "<field var='FORM_TYPE'><value>urn:xmpp:channel-search:0:search-params</value></field>";
    let query = format!(
        "<search xmlns='{SEARCH}'><x xmlns='jabber:x:data' type='submit'>{form_type}{fields}</x>{rest}</search>"
    );
    let answer = client.ask("get", &format!("conference.{DOMAIN}"), &query).await;
    let Some(result) = answer.get_child("result", SEARCH) else { return Err(condition(&answer).to_owned()) };
    let items = result.children().filter(|child| child.name() == "item");
    Ok(items.map(|item| item.attr("address").unwrap().split('@').next().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn rooms_are_found_by_their_words_and_ordered_by_who_is_there() {
    let house = company().await;
    place(&house, "romeo", "Sales").await;
    let mut romeo = house.online("romeo", "a").await;
    enter(&mut romeo, &room("news"), "Romeo").await;
    enter(&mut romeo, &room("sales"), "Romeo").await;
    romeo.settle().await;
    assert_eq!(search(&mut romeo, &[("q", "LOBBY the")], "").await.unwrap(), ["lobby"]);
    assert_eq!(
        search(&mut romeo, &[("q", "lobby"), ("sinname", "0"), ("sinaddress", "0")], "").await.unwrap(),
        [""; 0]
    );
    assert_eq!(
        search(&mut romeo, &[("all", "1")], "").await.unwrap(),
        ["lobby", "news"],
        "not those of a group"
    );
    let order = [("all", "1"), ("key", "{urn:xmpp:channel-search:0:order}nusers")];
    assert_eq!(search(&mut romeo, &order, "").await.unwrap(), ["news", "lobby"]);
    let one = "<set xmlns='http://jabber.org/protocol/rsm'><max>1</max></set>";
    assert_eq!(search(&mut romeo, &order, one).await.unwrap(), ["news"]);
    assert_eq!(search(&mut romeo, &[("all", "1"), ("min_users", "1")], "").await.unwrap(), ["news"]);
    for bad in [
        &[][..],
        &[("all", "1"), ("key", "beauty")],
        &[("all", "perhaps")],
        &[("q", "a"), ("min_users", "few")],
    ] {
        assert!(matches!(
            search(&mut romeo, bad, "").await.unwrap_err().as_str(),
            "bad-request" | "not-acceptable"
        ));
    }
    let form =
        romeo.ask("get", &format!("conference.{DOMAIN}"), &format!("<search xmlns='{SEARCH}'/>")).await;
    assert!(child(&form, "search", SEARCH).get_child("x", "jabber:x:data").is_some());
}

#[tokio::test]
async fn a_removed_account_leaves_no_membership_to_another_of_its_name() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    open(&mut romeo, ROOM, "Romeo").await;
    configure(&mut romeo, ROOM, &[("membersonly", "1"), ("persistentroom", "1")]).await;
    let member = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item affiliation='member' jid='juliet@corp.example'/></query>";
    assert_eq!(romeo.ask("set", ROOM, member).await.attr("type"), Some("result"));
    let mut juliet = house.online("juliet", "a").await;
    enter(&mut juliet, ROOM, "Juliet").await;
    house.server.remove(&jid("juliet")).await.unwrap();
    house.server.users().create(&jid("juliet"), NewAccount::new(PASSWORD)).await.unwrap();
    let mut impostor = house.online("juliet", "a").await;
    knock(&mut impostor, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut impostor).await, "registration-required");
    drop((romeo, impostor));
    let house = house.restart().await;
    let mut impostor = house.online("juliet", "a").await;
    knock(&mut impostor, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut impostor).await, "registration-required", "nor after a restart");
}

#[tokio::test]
async fn who_sees_who_somebody_is_also_sees_what_they_are() {
    let house = company().await;
    let profile = Profile {
        title: Some("Head of Sales".to_owned()),
        groups: vec!["Sales".to_owned()],
        ..Profile::default()
    };
    house.vault().apply(vec![profile.put(&jid("juliet")).unwrap()]).await.unwrap();
    let mut juliet = house.online("juliet", "a").await;
    let mut romeo = house.online("romeo", "a").await;
    let hats = |presence: &Element| -> Vec<String> {
        let hats = presence.get_child("hats", "urn:xmpp:hats:0");
        hats.into_iter()
            .flat_map(Element::children)
            .map(|hat| hat.attr("title").unwrap().to_owned())
            .collect()
    };
    let seen_in = async |romeo: &mut Client, juliet: &mut Client, room: &str| {
        enter(romeo, room, "Romeo").await;
        // What she says of herself does not count.
        juliet
            .send(&format!(
                "<presence to='{room}/Juliet'><x xmlns='http://jabber.org/protocol/muc'/>\
                 <hats xmlns='urn:xmpp:hats:0'><hat uri='urn:x' title='Queen'/></hats></presence>"
            ))
            .await;
        let from = format!("{room}/Juliet");
        hats(&romeo.find(|element| element.attr("from") == Some(&from)).await)
    };
    assert_eq!(seen_in(&mut romeo, &mut juliet, &room("lobby")).await, ["Head of Sales", "Sales"]);
    // In a room where people go by nicks, only moderators see them.
    let mut nurse = house.online("nurse", "a").await;
    open(&mut nurse, ROOM, "Nurse").await;
    assert_eq!(seen_in(&mut romeo, &mut juliet, ROOM).await, [""; 0]);
}
