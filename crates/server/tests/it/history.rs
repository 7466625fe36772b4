//! Message history: XEP-0313 with XEP-0059.

use minidom::Element;

use crate::client::{Client, body, child, condition, unique};
use crate::house::{DOMAIN, House};

const MAM: &str = "urn:xmpp:mam:2";
const RSM: &str = "http://jabber.org/protocol/rsm";
const FORWARD: &str = "urn:xmpp:forward:0";

/// One result: its archive id, time and body.
#[derive(Clone, Debug)]
struct Found {
    id: String,
    stamp: String,
    body: String,
}

struct Page {
    found: Vec<Found>,
    complete: bool,
    set: Element,
}

impl Page {
    fn bodies(&self) -> Vec<&str> {
        self.found.iter().map(|found| found.body.as_str()).collect()
    }

    fn rsm(&self, name: &str) -> Option<String> {
        self.set.get_child(name, RSM).map(Element::text)
    }
}

/// A query's form fields, as `name value`, and what else is in the query.
async fn query(client: &mut Client, fields: &[(&str, &str)], rest: &str) -> Result<Page, Element> {
    let id = unique("query");
    let mut form = String::new();
    for (name, value) in fields {
        let values: String =
            value.split_whitespace().map(|value| format!("<value>{value}</value>")).collect();
        form.push_str(&format!("<field var='{name}'>{values}</field>"));
    }
    let form = match fields {
        [] => String::new(),
        _ => format!(
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>{MAM}</value></field>\
             {form}</x>"
        ),
    };
    client
        .send(&format!(
            "<iq type='set' id='{id}'><query xmlns='{MAM}' queryid='{id}'>{form}{rest}</query></iq>"
        ))
        .await;
    let mut got = client.until(|element| element.attr("id") == Some(&id)).await;
    let answer = got.pop().unwrap();
    let Some(fin) = answer.get_child("fin", MAM) else { return Err(answer) };
    let results = got.iter().filter_map(|message| message.get_child("result", MAM));
    let found = results
        .map(|result| {
            assert_eq!(result.attr("queryid"), Some(id.as_str()));
            let forwarded = child(result, "forwarded", FORWARD);
            Found {
                id: result.attr("id").unwrap().to_owned(),
                stamp: child(forwarded, "delay", "urn:xmpp:delay").attr("stamp").unwrap().to_owned(),
                body: body(child(forwarded, "message", "jabber:client")).unwrap_or_default(),
            }
        })
        .collect();
    Ok(Page { found, complete: fin.attr("complete") == Some("true"), set: child(fin, "set", RSM).clone() })
}

async fn page(client: &mut Client, fields: &[(&str, &str)], rest: &str) -> Page {
    query(client, fields, rest).await.unwrap_or_else(|error| panic!("refused: {}", String::from(&error)))
}

fn rsm(content: &str) -> String {
    format!("<set xmlns='{RSM}'>{content}</set>")
}

/// Romeo has written `0` to `9`, even ones to Juliet, odd ones to the nurse.
async fn ten(house: &House) -> Client {
    let mut romeo = house.online("romeo", "a").await;
    for number in 0..10 {
        let to = if number % 2 == 0 { "juliet" } else { "nurse" };
        romeo.send(&format!("<message to='{to}@{DOMAIN}' type='chat'><body>{number}</body></message>")).await;
    }
    romeo
}

#[tokio::test]
async fn both_sides_find_the_whole_conversation_in_one_order() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    for round in 0..3 {
        romeo
            .send(&format!("<message to='{}' type='chat'><body>r{round}</body></message>", juliet.bare()))
            .await;
        romeo.flush_to(&mut juliet).await;
        juliet
            .send(&format!("<message to='{}' type='chat'><body>j{round}</body></message>", romeo.bare()))
            .await;
        juliet.flush_to(&mut romeo).await;
    }
    let (his, hers) = (page(&mut romeo, &[], "").await, page(&mut juliet, &[], "").await);
    assert_eq!(his.bodies(), ["r0", "j0", "r1", "j1", "r2", "j2"]);
    assert_eq!(hers.bodies(), his.bodies());
    assert!(his.complete);
    let mut nurse = house.online("nurse", "a").await;
    assert_eq!(page(&mut nurse, &[], "").await.bodies(), [""; 0], "it is nobody else's");
}

#[tokio::test]
async fn a_live_message_bears_the_id_that_its_archive_gives_it() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo.send(&format!("<message to='{}' type='chat'><body>x</body></message>", juliet.bare())).await;
    let live = juliet.find(|element| element.name() == "message").await;
    let id = child(&live, "stanza-id", "urn:xmpp:sid:0");
    assert_eq!(id.attr("by"), Some(juliet.bare().as_str()));
    assert_eq!(page(&mut juliet, &[], "").await.found[0].id, id.attr("id").unwrap());
}

#[tokio::test]
async fn what_says_nothing_is_not_in_the_archive_and_hints_keep_nothing_out() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let to = format!("juliet@{DOMAIN}");
    romeo
        .send(&format!(
            "<message to='{to}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>\
             <message to='{to}' type='chat'><body>kept</body><no-store xmlns='urn:xmpp:hints'/>\
             <no-permanent-store xmlns='urn:xmpp:hints'/></message>\
             <message to='{to}' type='headline'><body>lost</body></message>"
        ))
        .await;
    assert_eq!(page(&mut romeo, &[], "").await.bodies(), ["kept"]);
}

#[tokio::test]
async fn a_query_can_ask_for_one_conversation() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let juliet = format!("juliet@{DOMAIN}");
    assert_eq!(page(&mut romeo, &[("with", &juliet)], "").await.bodies(), ["0", "2", "4", "6", "8"]);
    assert_eq!(page(&mut romeo, &[("with", "nobody@x")], "").await.bodies(), [""; 0]);
    let answer = query(&mut romeo, &[("with", "a@b@c")], "").await.err().unwrap();
    assert_eq!(condition(&answer), "jid-malformed");
}

#[tokio::test]
async fn a_query_can_ask_for_a_span_of_time() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let all = page(&mut romeo, &[], "").await.found;
    assert_eq!(all.len(), 10);
    let (from, to) = (all[3].stamp.as_str(), all[6].stamp.as_str());
    let wanted: Vec<&str> = all
        .iter()
        .filter(|found| found.stamp.as_str() >= from && found.stamp.as_str() <= to)
        .map(|found| found.body.as_str())
        .collect();
    assert_eq!(page(&mut romeo, &[("start", from), ("end", to)], "").await.bodies(), wanted);
    assert_eq!(page(&mut romeo, &[("start", "2099-01-01T00:00:00Z")], "").await.bodies(), [""; 0]);
    assert_eq!(page(&mut romeo, &[("end", "1999-01-01T00:00:00Z")], "").await.bodies(), [""; 0]);
    let answer = query(&mut romeo, &[("start", "yesterday")], "").await.err().unwrap();
    assert_eq!(condition(&answer), "bad-request");
}

#[tokio::test]
async fn a_query_can_begin_and_end_at_known_messages() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let all = page(&mut romeo, &[], "").await.found;
    let fields = [("after-id", all[2].id.as_str()), ("before-id", all[6].id.as_str())];
    assert_eq!(page(&mut romeo, &fields, "").await.bodies(), ["3", "4", "5"]);
    let ids = format!("{} {} {}", all[1].id, all[8].id, all[4].id);
    let mut found = page(&mut romeo, &[("ids", &ids)], "").await;
    found.found.sort_by(|a, b| a.body.cmp(&b.body));
    assert_eq!(found.bodies(), ["1", "4", "8"]);
}

#[tokio::test]
async fn an_id_that_is_not_in_this_archive_is_not_found() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let own = page(&mut romeo, &[], "").await.found[0].id.clone();
    let mut juliet = house.online("juliet", "b").await;
    juliet.send("<message to='nurse@corp.example' type='chat'><body>hers</body></message>").await;
    let hers = page(&mut juliet, &[], "").await.found.last().unwrap().id.clone();
    for id in ["nonsense", &hers] {
        for (fields, rest) in [
            (vec![("after-id", id)], String::new()),
            (vec![("before-id", id)], String::new()),
            (vec![("ids", id)], String::new()),
            (vec![], rsm(&format!("<after>{id}</after>"))),
            (vec![], rsm(&format!("<before>{id}</before>"))),
        ] {
            let answer = query(&mut romeo, &fields, &rest).await.err();
            let answer = answer.unwrap_or_else(|| panic!("{fields:?} {rest} was answered"));
            assert_eq!(condition(&answer), "item-not-found", "{fields:?} {rest}");
        }
    }
    let both = format!("{own} nonsense");
    assert!(query(&mut romeo, &[("ids", &both)], "").await.is_err());
}

#[tokio::test]
async fn pages_forward_cover_everything_once() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let next = page(&mut romeo, &[], &rsm(&format!("<max>4</max>{after}"))).await;
        assert_eq!(next.rsm("first").as_deref(), next.found.first().map(|found| found.id.as_str()));
        seen.extend(next.found.iter().map(|found| found.body.clone()));
        if next.complete {
            break;
        }
        assert_eq!(next.found.len(), 4);
        after = format!("<after>{}</after>", next.rsm("last").unwrap());
    }
    assert_eq!(seen, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_backward_cover_everything_once() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let mut seen = Vec::new();
    let mut before = "<before/>".to_owned();
    loop {
        let next = page(&mut romeo, &[], &rsm(&format!("<max>3</max>{before}"))).await;
        let mut bodies: Vec<String> = next.found.iter().map(|found| found.body.clone()).collect();
        bodies.append(&mut seen);
        seen = bodies;
        if next.complete {
            break;
        }
        before = format!("<before>{}</before>", next.rsm("first").unwrap());
    }
    assert_eq!(seen, (0..10).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flipped_page_is_the_same_page_newest_first() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let flip = format!("<flip-page xmlns='{MAM}'/>");
    let flipped = page(&mut romeo, &[], &format!("{}{flip}", rsm("<max>3</max><before/>"))).await;
    assert_eq!(flipped.bodies(), ["9", "8", "7"]);
    // `first` and `last` name the ends of the page in the archive's order (XEP-0313 §4.3.1).
    let plain = page(&mut romeo, &[], &rsm("<max>3</max><before/>")).await;
    assert_eq!((flipped.rsm("first"), flipped.rsm("last")), (plain.rsm("first"), plain.rsm("last")));
}

#[tokio::test]
async fn a_page_of_none_counts() {
    let house = House::open().await;
    let mut romeo = ten(&house).await;
    let count = page(&mut romeo, &[], &rsm("<max>0</max>")).await;
    assert_eq!((count.found.len(), count.rsm("count").as_deref(), count.complete), (0, Some("10"), false));
    let juliet = format!("juliet@{DOMAIN}");
    let count = page(&mut romeo, &[("with", &juliet)], &rsm("<max>0</max>")).await;
    assert_eq!(count.rsm("count").as_deref(), Some("5"));
    let mut tybalt = house.online("juliet", "b").await;
    let count = page(&mut tybalt, &[("with", "nobody@x")], &rsm("<max>0</max>")).await;
    assert_eq!((count.rsm("count").as_deref(), count.complete), (Some("0"), true));
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = query(&mut romeo, &[], &rsm("<max>many</max>")).await.err().unwrap();
    assert_eq!(condition(&answer), "bad-request");
    let answer = query(&mut romeo, &[("mood", "sad")], "").await.err().unwrap();
    assert_eq!(condition(&answer), "feature-not-implemented");
    let answer = romeo.ask("set", &format!("juliet@{DOMAIN}"), &format!("<query xmlns='{MAM}'/>")).await;
    assert_eq!(condition(&answer), "forbidden");
}

#[tokio::test]
async fn the_ends_of_the_archive_can_be_asked_for() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let ask = format!("<metadata xmlns='{MAM}'/>");
    let empty = romeo.ask("get", "", &ask).await;
    assert_eq!(child(&empty, "metadata", MAM).children().count(), 0);
    romeo.close().await;
    let mut romeo = ten(&house).await;
    let all = page(&mut romeo, &[], "").await.found;
    let metadata = romeo.ask("get", "", &ask).await;
    let metadata = child(&metadata, "metadata", MAM);
    for (name, found) in [("start", &all[0]), ("end", &all[9])] {
        let end = child(metadata, name, MAM);
        assert_eq!(
            (end.attr("id"), end.attr("timestamp")),
            (Some(found.id.as_str()), Some(found.stamp.as_str()))
        );
    }
}

#[tokio::test]
async fn the_fields_of_a_query_can_be_asked_for() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", "", &format!("<query xmlns='{MAM}'/>")).await;
    let form = child(child(&answer, "query", MAM), "x", "jabber:x:data");
    let mut fields: Vec<_> = form.children().filter_map(|field| field.attr("var")).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "FORM_TYPE",
            "after-id",
            "before-id",
            "end",
            "ids",
            "start",
            "with",
            "{urn:xmpp:fulltext:0}fulltext"
        ]
    );
}

#[tokio::test]
async fn nobody_can_opt_out_of_the_archive() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", "", &format!("<prefs xmlns='{MAM}'/>")).await;
    assert_eq!(child(&answer, "prefs", MAM).attr("default"), Some("always"));
    for prefs in [
        "<prefs xmlns='urn:xmpp:mam:2' default='never'/>",
        "<prefs xmlns='urn:xmpp:mam:2' default='roster'/>",
        "<prefs xmlns='urn:xmpp:mam:2' default='always'><never><jid>juliet@corp.example</jid></never></prefs>",
    ] {
        assert_eq!(condition(&romeo.ask("set", "", prefs).await), "not-allowed", "{prefs}");
    }
    let answer = romeo
        .ask("set", "", &format!("<prefs xmlns='{MAM}' default='always'><always/><never/></prefs>"))
        .await;
    assert_eq!(answer.attr("type"), Some("result"));
}

#[tokio::test]
async fn a_note_to_oneself_is_there_once() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send(&format!("<message to='romeo@{DOMAIN}' type='chat'><body>milk</body></message>")).await;
    assert_eq!(page(&mut romeo, &[], "").await.bodies(), ["milk"]);
}

#[tokio::test]
async fn an_id_that_the_sender_forged_is_not_in_the_message() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    romeo
        .send(&format!(
            "<message to='{0}' type='chat'><stanza-id xmlns='urn:xmpp:sid:0' by='{0}' id='forged'/><body>x</body>\
             <stanza-id xmlns='urn:xmpp:sid:0' by='elsewhere.example' id='theirs'/>\
             <origin-id xmlns='urn:xmpp:sid:0' id='mine'/></message>",
            juliet.bare()
        ))
        .await;
    let live = juliet.find(|element| element.name() == "message").await;
    let ids: Vec<_> =
        live.children().filter(|child| child.name() == "stanza-id").filter_map(|id| id.attr("id")).collect();
    assert!(!ids.contains(&"forged") && ids.contains(&"theirs"), "{ids:?}");
    assert!(live.get_child("origin-id", "urn:xmpp:sid:0").is_some());
    let stored = page(&mut juliet, &[], "").await;
    assert!(ids.contains(&stored.found[0].id.as_str()));
}
