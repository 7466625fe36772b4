//! Roles and affiliations: kicks, bans, members, and who may do what to whom (XEP-0045 §8 and §9).

use minidom::Element;

use crate::client::{Client, child, condition};
use crate::house::House;
use crate::rooms::{ROOM, codes, configure, enter, item, knock, pair, presence_of, rank, refusal, say};

pub const ADMIN: &str = "http://jabber.org/protocol/muc#admin";

pub async fn set(client: &mut Client, items: &str) -> Element {
    client.ask("set", ROOM, &format!("<query xmlns='{ADMIN}'>{items}</query>")).await
}

async fn must(client: &mut Client, items: &str) {
    let answer = set(client, items).await;
    assert_eq!(answer.attr("type"), Some("result"), "{items}: {}", String::from(&answer));
}

async fn listed(client: &mut Client, item: &str) -> Result<Vec<String>, String> {
    let answer = client.ask("get", ROOM, &format!("<query xmlns='{ADMIN}'>{item}</query>")).await;
    if answer.attr("type") == Some("error") {
        return Err(condition(&answer).to_owned());
    }
    let items = child(&answer, "query", ADMIN).children();
    Ok(items.map(|item| item.attr("jid").unwrap().to_owned()).collect())
}

#[tokio::test]
async fn who_is_kicked_is_told_by_whom_and_why_and_may_come_back() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let kick = "<item nick='Juliet' role='none'><reason>Good night</reason></item>";
    assert_eq!(condition(&set(&mut juliet, "<item nick='Romeo' role='none'/>").await), "forbidden");
    romeo
        .send(&format!("<iq type='set' id='kick' to='{ROOM}'><query xmlns='{ADMIN}'>{kick}</query></iq>"))
        .await;
    for (client, wanted) in [(&mut romeo, vec!["307"]), (&mut juliet, vec!["110", "307"])] {
        let gone = presence_of(client, "Juliet").await;
        assert_eq!(
            (gone.attr("type"), codes(&gone)),
            (Some("unavailable"), wanted.iter().map(|code| (*code).to_owned()).collect())
        );
        assert_eq!(rank(&gone), ("none".into(), "none".into()));
        assert_eq!(child(item(&gone), "reason", "http://jabber.org/protocol/muc#user").text(), "Good night");
        assert_eq!(
            child(item(&gone), "actor", "http://jabber.org/protocol/muc#user").attr("nick"),
            Some("Romeo")
        );
    }
    assert_eq!(romeo.find(|element| element.attr("id") == Some("kick")).await.attr("type"), Some("result"));
    say(&mut juliet, "hm").await;
    assert_eq!(refusal(&mut juliet).await, "not-acceptable");
    enter(&mut juliet, ROOM, "Juliet").await;
}

#[tokio::test]
async fn who_is_banned_goes_and_stays_out_until_forgiven() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='outcast'><reason>r</reason></item>").await;
    let gone = presence_of(&mut juliet, "Juliet").await;
    assert_eq!(
        (codes(&gone), rank(&gone)),
        (vec!["110".into(), "301".into()], ("outcast".into(), "none".into()))
    );
    knock(&mut juliet, ROOM, "Juliet", "").await;
    assert_eq!(refusal(&mut juliet).await, "forbidden");
    assert_eq!(listed(&mut romeo, "<item affiliation='outcast'/>").await.unwrap(), ["juliet@corp.example"]);
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='none'/>").await;
    enter(&mut juliet, ROOM, "Juliet").await;
}

#[tokio::test]
async fn who_is_no_member_any_more_goes_from_a_room_for_members() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='member'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await), ("member".into(), "participant".into()));
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    configure(&mut romeo, ROOM, &[("membersonly", "1")]).await;
    assert_eq!(codes(&presence_of(&mut juliet, "Nurse").await), [] as [&str; 0], "she comes");
    assert_eq!(codes(&presence_of(&mut juliet, "Nurse").await), ["322"], "and goes");
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='none'/>").await;
    assert_eq!(codes(&presence_of(&mut juliet, "Juliet").await), ["110", "321"]);
}

#[tokio::test]
async fn a_voice_is_given_and_taken() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("moderatedroom", "1")]).await;
    must(&mut romeo, "<item nick='Juliet' role='participant'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await).1, "participant");
    must(&mut romeo, "<item nick='Juliet' role='visitor'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await).1, "visitor");
    must(&mut romeo, "<item nick='Juliet' role='moderator'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await).1, "moderator");
    assert_eq!(listed(&mut juliet, "<item role='moderator'/>").await.unwrap().len(), 2);
    // An owner keeps a voice, and a moderator without a tie makes no moderators.
    assert_eq!(condition(&set(&mut juliet, "<item nick='Romeo' role='visitor'/>").await), "forbidden");
    assert_eq!(condition(&set(&mut juliet, "<item nick='Romeo' role='none'/>").await), "not-allowed");
    let mut nurse = house.online("nurse", "c").await;
    enter(&mut nurse, ROOM, "Nurse").await;
    assert_eq!(condition(&set(&mut juliet, "<item nick='Nurse' role='moderator'/>").await), "forbidden");
    must(&mut juliet, "<item nick='Nurse' role='participant'/>").await;
    assert_eq!(condition(&set(&mut nurse, "<item nick='Juliet' role='visitor'/>").await), "forbidden");
}

#[tokio::test]
async fn admins_look_after_members_and_owners_after_admins() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='admin'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await), ("admin".into(), "moderator".into()));
    must(&mut juliet, "<item jid='nurse@corp.example' affiliation='member' nick='Nurse'/>").await;
    for (items, wanted) in [
        ("<item jid='nurse@corp.example' affiliation='admin'/>", "forbidden"),
        ("<item jid='romeo@corp.example' affiliation='none'/>", "not-allowed"),
        ("<item jid='romeo@corp.example' affiliation='outcast'/>", "not-allowed"),
        ("<item jid='juliet@corp.example' affiliation='owner'/>", "forbidden"),
        ("<item jid='x@corp.example' affiliation='member' nick='Nurse'/>", "conflict"),
        ("<item jid='@' affiliation='member'/>", "jid-malformed"),
        ("<item jid='x@corp.example' affiliation='king'/>", "bad-request"),
        ("<item nick='Nobody' role='none'/>", "item-not-found"),
        ("<item/>", "bad-request"),
        ("", "bad-request"),
    ] {
        assert_eq!(condition(&set(&mut juliet, items).await), wanted, "{items}");
    }
    assert_eq!(
        condition(&set(&mut romeo, "<item jid='romeo@corp.example' affiliation='none'/>").await),
        "conflict"
    );
    assert_eq!(
        condition(&set(&mut romeo, "<item jid='romeo@corp.example' affiliation='outcast'/>").await),
        "conflict"
    );
    assert_eq!(listed(&mut juliet, "<item affiliation='owner'/>").await.unwrap(), ["romeo@corp.example"]);
    assert_eq!(listed(&mut juliet, "<item affiliation='member'/>").await.unwrap(), ["nurse@corp.example"]);
    // Her nick is hers alone.
    juliet.send(&format!("<presence to='{ROOM}/Nurse'/>")).await;
    assert_eq!(refusal(&mut juliet).await, "conflict");
    must(&mut romeo, "<item jid='juliet@corp.example' affiliation='none'/>").await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await), ("none".into(), "participant".into()));
}

#[tokio::test]
async fn all_of_a_list_is_changed_or_nothing() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[]).await;
    let items = "<item jid='juliet@corp.example' affiliation='member'/><item jid='@' affiliation='member'/>";
    assert_eq!(condition(&set(&mut romeo, items).await), "jid-malformed");
    assert!(listed(&mut romeo, "<item affiliation='member'/>").await.unwrap().is_empty());
    let items = "<item jid='juliet@corp.example' affiliation='member'/><item jid='romeo@corp.example' affiliation='member'/>";
    assert_eq!(condition(&set(&mut romeo, items).await), "conflict");
    assert!(listed(&mut romeo, "<item affiliation='member'/>").await.unwrap().is_empty());
}

#[tokio::test]
async fn lists_are_read_by_those_whom_the_owner_lets() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    assert_eq!(listed(&mut juliet, "<item affiliation='owner'/>").await.unwrap(), ["romeo@corp.example"]);
    assert_eq!(listed(&mut juliet, "<item affiliation='outcast'/>").await.unwrap_err(), "forbidden");
    assert_eq!(listed(&mut juliet, "<item role='participant'/>").await.unwrap_err(), "forbidden");
    configure(&mut romeo, ROOM, &[("getmemberlist", "moderator")]).await;
    assert_eq!(listed(&mut juliet, "<item affiliation='owner'/>").await.unwrap_err(), "forbidden");
}

#[tokio::test]
async fn who_registers_is_a_member_with_a_nick_of_their_own() {
    const REGISTER: &str = "jabber:iq:register";
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let form = juliet.ask("get", ROOM, &format!("<query xmlns='{REGISTER}'/>")).await;
    assert!(String::from(&form).contains("muc#register_roomnick"));
    let submit = |nick: &str| {
        format!(
            "<query xmlns='{REGISTER}'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#register</value></field><field var='muc#register_roomnick'>\
             <value>{nick}</value></field></x></query>"
        )
    };
    assert_eq!(condition(&juliet.ask("set", ROOM, &submit("Romeo")).await), "conflict");
    assert_eq!(juliet.ask("set", ROOM, &submit("Juliet")).await.attr("type"), Some("result"));
    assert_eq!(rank(&presence_of(&mut romeo, "Juliet").await).0, "member");
    let known = juliet.ask("get", ROOM, &format!("<query xmlns='{REGISTER}'/>")).await;
    assert_eq!(child(child(&known, "query", REGISTER), "username", REGISTER).text(), "Juliet");
    let own = "<query xmlns='http://jabber.org/protocol/disco#info' node='x-roomuser-item'/>";
    assert!(String::from(&juliet.ask("get", ROOM, own).await).contains("Juliet"));
    juliet.send(&format!("<presence type='unavailable' to='{ROOM}/Juliet'/>")).await;
    presence_of(&mut romeo, "Juliet").await;
    romeo.send(&format!("<presence to='{ROOM}/Juliet'/>")).await;
    assert_eq!(refusal(&mut romeo).await, "conflict", "it is hers while she is away");
    let remove = format!("<query xmlns='{REGISTER}'><remove/></query>");
    assert_eq!(juliet.ask("set", ROOM, &remove).await.attr("type"), Some("result"));
    assert_eq!(condition(&juliet.ask("set", ROOM, &remove).await), "registration-required");
    configure(&mut romeo, ROOM, &[("membersonly", "1")]).await;
    assert_eq!(condition(&juliet.ask("set", ROOM, &submit("Juliet")).await), "not-allowed");
}
