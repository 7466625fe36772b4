//! What owners do, what rooms tell of themselves, and what of them outlives a restart (XEP-0045 §6 and §10).

use minidom::Element;

use crate::client::{Client, bodies, child, condition};
use crate::house::{DOMAIN, House};
use crate::rooms::{
    FORMS, OWNER, ROOM, USER, codes, configure, enter, hear, knock, open, pair, presence_of, rank, refusal,
    say,
};

const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";

async fn info(client: &mut Client, to: &str) -> Element {
    let answer = client.ask("get", to, &format!("<query xmlns='{INFO}'/>")).await;
    child(&answer, "query", INFO).clone()
}

fn features(info: &Element) -> Vec<String> {
    info.children()
        .filter(|child| child.name() == "feature")
        .map(|one| one.attr("var").unwrap().to_owned())
        .collect()
}

fn field(form: &Element, var: &str) -> Option<String> {
    let field = form.children().find(|field| field.attr("var") == Some(var))?;
    Some(field.children().find(|child| child.name() == "value")?.text())
}

async fn rooms(client: &mut Client, set: &str) -> Element {
    let service = format!("conference.{DOMAIN}");
    let answer = client.ask("get", &service, &format!("<query xmlns='{ITEMS}'>{set}</query>")).await;
    child(&answer, "query", ITEMS).clone()
}

fn jids(items: &Element) -> Vec<String> {
    items
        .children()
        .filter(|child| child.name() == "item")
        .map(|item| item.attr("jid").unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_room_tells_what_it_is() {
    let house = House::open().await;
    let (mut romeo, mut juliet) =
        pair(&house, &[("roomname", "The orchard"), ("roomdesc", "By night")]).await;
    let said = info(&mut juliet, ROOM).await;
    let identity = child(&said, "identity", INFO);
    assert_eq!((identity.attr("category"), identity.attr("name")), (Some("conference"), Some("The orchard")));
    for wanted in [
        "http://jabber.org/protocol/muc",
        "muc_public",
        "muc_temporary",
        "muc_open",
        "muc_unmoderated",
        "muc_semianonymous",
        "muc_unsecured",
        "urn:xmpp:mam:2",
        "urn:xmpp:occupant-id:0",
        "urn:xmpp:sid:0",
        "http://jabber.org/protocol/muc#stable_id",
        "http://jabber.org/protocol/muc#self-ping-optimization",
    ] {
        assert!(features(&said).contains(&wanted.to_owned()), "{wanted}");
    }
    let form = child(&said, "x", FORMS);
    assert_eq!(field(form, "muc#roominfo_description").as_deref(), Some("By night"));
    assert_eq!(field(form, "muc#roominfo_occupants").as_deref(), Some("2"));
    configure(
        &mut romeo,
        ROOM,
        &[
            ("publicroom", "0"),
            ("persistentroom", "1"),
            ("membersonly", "1"),
            ("moderatedroom", "1"),
            ("whois", "anyone"),
        ],
    )
    .await;
    let said = info(&mut romeo, ROOM).await;
    for wanted in ["muc_hidden", "muc_persistent", "muc_membersonly", "muc_moderated", "muc_nonanonymous"] {
        assert!(features(&said).contains(&wanted.to_owned()), "{wanted}");
    }
    let nodes = romeo.ask("get", ROOM, &format!("<query xmlns='{INFO}' node='x'/>")).await;
    assert_eq!(condition(&nodes), "item-not-found");
}

#[tokio::test]
async fn the_service_lists_public_rooms_in_pages() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let said = info(&mut romeo, &format!("conference.{DOMAIN}")).await;
    assert_eq!(child(&said, "identity", INFO).attr("category"), Some("conference"));
    assert!(features(&said).contains(&"http://jabber.org/protocol/muc".to_owned()));
    let name = |name: &str| format!("{name}@conference.{DOMAIN}");
    for room in ["a", "b", "c", "hidden"] {
        open(&mut romeo, &name(room), "Romeo").await;
    }
    configure(&mut romeo, &name("hidden"), &[("publicroom", "0")]).await;
    assert_eq!(jids(&rooms(&mut romeo, "").await), [name("a"), name("b"), name("c")]);
    let rsm = "http://jabber.org/protocol/rsm";
    let page = rooms(&mut romeo, &format!("<set xmlns='{rsm}'><max>2</max></set>")).await;
    assert_eq!(jids(&page), [name("a"), name("b")]);
    let set = child(&page, "set", rsm);
    assert_eq!(child(set, "count", rsm).text(), "3");
    let last = child(set, "last", rsm).text();
    let page =
        rooms(&mut romeo, &format!("<set xmlns='{rsm}'><max>2</max><after>{last}</after></set>")).await;
    assert_eq!(jids(&page), [name("c")]);
    romeo.send(&format!("<presence type='unavailable' to='{}/Romeo'/>", name("b"))).await;
    romeo.find(|element| element.attr("type") == Some("unavailable")).await;
    assert_eq!(jids(&rooms(&mut romeo, "").await), [name("a"), name("c")], "a temporary room is gone");
}

#[tokio::test]
async fn the_occupants_are_listed_for_those_who_may_see_them() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    let ask = format!("<query xmlns='{ITEMS}'/>");
    let occupants = |answer: Element| jids(child(&answer, "query", ITEMS));
    let both = [format!("{ROOM}/Juliet"), format!("{ROOM}/Romeo")];
    assert_eq!(occupants(nurse.ask("get", ROOM, &ask).await), both);
    configure(&mut romeo, ROOM, &[("publicroom", "0")]).await;
    assert!(occupants(nurse.ask("get", ROOM, &ask).await).is_empty());
    assert_eq!(occupants(romeo.ask("get", ROOM, &ask).await), both);
}

#[tokio::test]
async fn only_owners_configure_and_wrong_values_change_nothing() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let get = format!("<query xmlns='{OWNER}'/>");
    assert_eq!(condition(&juliet.ask("get", ROOM, &get).await), "forbidden");
    assert_eq!(condition(&configure(&mut juliet, ROOM, &[("membersonly", "1")]).await), "forbidden");
    let form = romeo.ask("get", ROOM, &get).await;
    let form = child(child(&form, "query", OWNER), "x", FORMS);
    for var in [
        "roomname",
        "roomdesc",
        "lang",
        "persistentroom",
        "publicroom",
        "passwordprotectedroom",
        "roomsecret",
        "membersonly",
        "moderatedroom",
        "whois",
        "changesubject",
        "allowinvites",
        "allowpm",
        "maxusers",
        "presencebroadcast",
        "getmemberlist",
        "roomadmins",
        "roomowners",
        "enablelogging",
        "pubsub",
        "allowvoicerequests",
    ] {
        let var = format!("muc#roomconfig_{var}");
        assert!(form.children().any(|field| field.attr("var") == Some(&var)), "{var}");
    }
    for (var, value) in [
        ("membersonly", "perhaps"),
        ("maxusers", "many"),
        ("passwordprotectedroom", "1"),
        ("roomowners", "@"),
        ("roomowners", ""),
    ] {
        let answer = configure(&mut romeo, ROOM, &[("roomname", "changed"), (var, value)]).await;
        assert_eq!(condition(&answer), "not-acceptable", "{var}");
    }
    let form = romeo.ask("get", ROOM, &get).await;
    let form = child(child(&form, "query", OWNER), "x", FORMS);
    assert_eq!(field(form, "muc#roomconfig_roomname").as_deref(), Some(""));
}

#[tokio::test]
async fn everybody_inside_is_told_that_the_room_has_changed() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    for (fields, wanted) in [
        (vec![("roomname", "x")], vec!["104"]),
        (vec![("whois", "anyone")], vec!["172"]),
        (vec![("whois", "moderators"), ("roomname", "y")], vec!["104", "173"]),
    ] {
        configure(&mut romeo, ROOM, &fields).await;
        let told = juliet.find(|element| element.name() == "message").await;
        assert_eq!((told.attr("from"), told.attr("type")), (Some(ROOM), Some("groupchat")));
        assert_eq!(codes(&told), wanted);
    }
}

#[tokio::test]
async fn when_names_become_open_those_who_did_not_see_them_are_shown_who_everybody_is() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let mut nurse = house.online("nurse", "c").await;
    crate::rooms::enter(&mut nurse, ROOM, "Nurse").await;
    for (whois, code, address) in
        [("anyone", "172", Some("nurse@corp.example/c")), ("moderators", "173", None)]
    {
        romeo.settle().await;
        configure(&mut romeo, ROOM, &[("whois", whois)]).await;
        juliet.find(|element| codes(element).contains(&code.to_owned())).await;
        let shown = presence_of(&mut juliet, "Nurse").await;
        assert_eq!(crate::rooms::item(&shown).attr("jid"), address, "{whois}");
        assert_eq!(
            crate::rooms::item(&presence_of(&mut juliet, "Romeo").await).attr("jid").is_some(),
            address.is_some()
        );
        let seen = romeo.settle().await;
        assert!(seen.iter().all(|element| element.name() != "presence"), "moderators know already");
    }
}

#[tokio::test]
async fn the_form_names_admins_and_owners() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    let owners = "romeo@corp.example|juliet@corp.example";
    configure(&mut romeo, ROOM, &[("roomowners", owners), ("roomadmins", "nurse@corp.example")]).await;
    assert_eq!(rank(&presence_of(&mut juliet, "Juliet").await), ("owner".into(), "moderator".into()));
    configure(&mut juliet, ROOM, &[("roomowners", "juliet@corp.example")]).await;
    assert_eq!(rank(&presence_of(&mut romeo, "Romeo").await), ("none".into(), "participant".into()));
    let form = format!("<query xmlns='{OWNER}'/>");
    assert_eq!(condition(&romeo.ask("get", ROOM, &form).await), "forbidden");
}

#[tokio::test]
async fn only_those_are_seen_whose_presence_the_room_shows() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    configure(&mut romeo, ROOM, &[("presencebroadcast", "moderator")]).await;
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    let seen: Vec<_> = got
        .iter()
        .filter(|element| element.name() == "presence")
        .map(|one| one.attr("from").unwrap())
        .collect();
    assert_eq!(seen, [format!("{ROOM}/Romeo"), format!("{ROOM}/Nurse")]);
    say(&mut nurse, "here I am").await;
    let heard = hear(&mut juliet, "here I am").await;
    assert!(heard.iter().all(|element| element.name() != "presence"), "{heard:?}");
    let rise = "<item jid='nurse@corp.example' affiliation='admin'/>";
    crate::rooms_admin::set(&mut romeo, rise).await;
    presence_of(&mut juliet, "Nurse").await;
    crate::rooms_admin::set(&mut romeo, "<item jid='nurse@corp.example' affiliation='none'/>").await;
    assert_eq!(presence_of(&mut juliet, "Nurse").await.attr("type"), Some("unavailable"));
}

#[tokio::test]
async fn a_room_that_is_destroyed_says_where_to_go_and_frees_its_name() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("persistentroom", "1")]).await;
    let destroy = format!(
        "<query xmlns='{OWNER}'><destroy jid='tomb@conference.corp.example'><reason>The end</reason></destroy></query>"
    );
    assert_eq!(condition(&juliet.ask("set", ROOM, &destroy).await), "forbidden");
    assert_eq!(romeo.ask("set", ROOM, &destroy).await.attr("type"), Some("result"));
    let gone = presence_of(&mut juliet, "Juliet").await;
    assert_eq!((gone.attr("type"), rank(&gone)), (Some("unavailable"), ("none".into(), "none".into())));
    let told = child(child(&gone, "x", USER), "destroy", USER);
    assert_eq!(told.attr("jid"), Some("tomb@conference.corp.example"));
    assert_eq!(child(told, "reason", USER).text(), "The end");
    assert!(jids(&rooms(&mut juliet, "").await).is_empty());
    let house = {
        drop((romeo, juliet));
        house.restart().await
    };
    let mut juliet = house.online("juliet", "b").await;
    let got = open(&mut juliet, ROOM, "Juliet").await;
    assert!(codes(&got[0]).contains(&"201".to_owned()), "it is a new one, and hers");
}

#[tokio::test]
async fn a_room_that_its_maker_cancels_never_was() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    enter(&mut romeo, ROOM, "Romeo").await;
    let cancel = format!("<query xmlns='{OWNER}'><x xmlns='{FORMS}' type='cancel'/></query>");
    assert_eq!(romeo.ask("set", ROOM, &cancel).await.attr("type"), Some("result"));
    let answer = romeo.ask("get", ROOM, &format!("<query xmlns='{INFO}'/>")).await;
    assert_eq!(condition(&answer), "item-not-found");
}

#[tokio::test]
async fn a_persistent_room_outlives_a_restart_with_all_that_was_decided() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(
        &house,
        &[
            ("persistentroom", "1"),
            ("roomname", "The orchard"),
            ("membersonly", "1"),
            ("roomadmins", "juliet@corp.example"),
        ],
    )
    .await;
    enter(&mut juliet, ROOM, "Juliet").await;
    let items = "<item jid='nurse@corp.example' affiliation='member' nick='Nurse'/>";
    crate::rooms_admin::set(&mut juliet, items).await;
    romeo
        .send(&format!("<message type='groupchat' to='{ROOM}'><subject>Farewells</subject></message>"))
        .await;
    say(&mut romeo, "Parting is such sweet sorrow").await;
    hear(&mut romeo, "Parting is such sweet sorrow").await;
    juliet.settle().await;
    let house = house.restart().await;
    let gone = presence_of(&mut romeo, "Romeo").await;
    assert_eq!(codes(&gone), ["110", "332"], "those inside are told that the server stops");

    let mut nurse = house.online("nurse", "c").await;
    assert_eq!(jids(&rooms(&mut nurse, "").await), [ROOM]);
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    assert_eq!(rank(&got[0]), ("member".into(), "participant".into()));
    assert_eq!(bodies(&got), ["Parting is such sweet sorrow"]);
    assert_eq!(child(got.last().unwrap(), "subject", "jabber:client").text(), "Farewells");
    let mut juliet = house.online("juliet", "b").await;
    assert_eq!(rank(&enter(&mut juliet, ROOM, "Juliet").await[1]), ("admin".into(), "moderator".into()));
    let mut romeo = house.online("romeo", "a").await;
    let form = romeo.ask("get", ROOM, &format!("<query xmlns='{OWNER}'/>")).await;
    let form = child(child(&form, "query", OWNER), "x", FORMS);
    assert_eq!(field(form, "muc#roomconfig_roomname").as_deref(), Some("The orchard"));
}

#[tokio::test]
async fn a_room_that_was_made_temporary_does_not_outlive_a_restart() {
    let house = House::open().await;
    let (mut romeo, _juliet) = pair(&house, &[("persistentroom", "1")]).await;
    configure(&mut romeo, ROOM, &[("persistentroom", "0")]).await;
    let house = house.restart().await;
    let mut nurse = house.online("nurse", "c").await;
    knock(&mut nurse, ROOM, "Nurse", "").await;
    let own = presence_of(&mut nurse, "Nurse").await;
    assert!(codes(&own).contains(&"201".to_owned()));
}

#[tokio::test]
async fn a_room_has_a_picture_that_its_owner_gives_it() {
    const TEMP: &str = "vcard-temp";
    let house = House::open().await;
    let (mut romeo, mut juliet) = pair(&house, &[("persistentroom", "1")]).await;
    let card = format!(
        "<vCard xmlns='{TEMP}'><PHOTO><TYPE>image/png</TYPE><BINVAL>aGVsbG8=</BINVAL></PHOTO></vCard>"
    );
    assert_eq!(condition(&juliet.ask("set", ROOM, &card).await), "forbidden");
    assert_eq!(romeo.ask("set", ROOM, &card).await.attr("type"), Some("result"));
    let told = juliet.find(|element| element.name() == "message").await;
    assert_eq!(codes(&told), ["104"]);
    let hash = "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d";
    let said = info(&mut juliet, ROOM).await;
    assert_eq!(field(child(&said, "x", FORMS), "muc#roominfo_avatarhash").as_deref(), Some(hash));
    let answer = juliet.ask("get", ROOM, &format!("<vCard xmlns='{TEMP}'/>")).await;
    assert!(String::from(child(&answer, "vCard", TEMP)).contains("aGVsbG8="));
    let mut nurse = house.online("nurse", "c").await;
    let got = enter(&mut nurse, ROOM, "Nurse").await;
    let face = got
        .iter()
        .find(|element| element.attr("from") == Some(ROOM) && element.name() == "presence")
        .unwrap();
    assert!(String::from(face).contains(hash));
    assert_eq!(
        refusal_of(&mut romeo, "<vCard xmlns='vcard-temp'><PHOTO><BINVAL>?</BINVAL></PHOTO></vCard>").await,
        "bad-request"
    );
}

async fn refusal_of(client: &mut Client, payload: &str) -> String {
    condition(&client.ask("set", ROOM, payload).await).to_owned()
}

#[tokio::test]
async fn names_for_rooms_that_nobody_has_can_be_had() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let ask = "<unique xmlns='http://jabber.org/protocol/muc#unique'/>";
    let service = format!("conference.{DOMAIN}");
    let answer = romeo.ask("get", &service, ask).await;
    let name = child(&answer, "unique", "http://jabber.org/protocol/muc#unique").text();
    open(&mut romeo, &format!("{name}@{service}"), "Romeo").await;
    romeo.send(&format!("<message type='groupchat' to='{service}'><body>x</body></message>")).await;
    assert_eq!(refusal(&mut romeo).await, "service-unavailable");
}
