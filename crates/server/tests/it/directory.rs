//! Searching the directory (XEP-0055).

use minidom::Element;

use crate::client::{child, condition};
use crate::house::{DOMAIN, House, jid};

const SEARCH: &str = "jabber:iq:search";
const FORMS: &str = "jabber:x:data";
const DIRECTORY: &str = "directory.corp.example";

fn filled_in(var: &str, value: &str) -> String {
    format!(
        "<query xmlns='{SEARCH}'><x xmlns='{FORMS}' type='submit'><field var='{var}'><value>{value}</value></field></x></query>"
    )
}

fn found(answer: &Element) -> Vec<String> {
    let form = child(child(answer, "query", SEARCH), "x", FORMS);
    let items = form.children().filter(|item| item.is("item", FORMS));
    items.map(|item| child(item.children().next().unwrap(), "value", FORMS).text()).collect()
}

#[tokio::test]
async fn people_find_each_other_by_what_they_know() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let form = romeo.ask("get", DIRECTORY, &format!("<query xmlns='{SEARCH}'/>")).await;
    assert!(
        child(child(&form, "query", SEARCH), "x", FORMS).children().any(|f| f.attr("var") == Some("title"))
    );

    assert_eq!(found(&romeo.ask("set", DIRECTORY, &filled_in("user", "JUL")).await), ["juliet@corp.example"]);
    assert!(found(&romeo.ask("set", DIRECTORY, &filled_in("user", "tybalt")).await).is_empty());
    assert!(found(&romeo.ask("set", DIRECTORY, &filled_in("group", "Verona")).await).is_empty());
    for nothing in [filled_in("user", " "), filled_in("shoes", "x"), format!("<query xmlns='{SEARCH}'/>")] {
        assert_eq!(condition(&romeo.ask("set", DIRECTORY, &nothing).await), "not-acceptable");
    }
}

#[tokio::test]
async fn the_directory_is_found_by_service_discovery() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let items = romeo.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    assert!(String::from(&items).contains(DIRECTORY));
    let info = romeo.ask("get", DIRECTORY, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(String::from(&info).contains(SEARCH));
}

/// Writes down what the company knows of somebody.
async fn know(house: &House, name: &str, profile: server::directory::Profile) {
    house.vault().apply(vec![profile.put(&jid(name)).unwrap()]).await.unwrap();
}

#[tokio::test]
async fn a_profile_is_found_by_each_of_its_facts_and_large_results_come_in_pages() {
    const RSM: &str = "http://jabber.org/protocol/rsm";
    let house = House::open().await;
    let profile = |name: &str, title: &str| server::directory::Profile {
        name: Some(name.into()),
        title: Some(title.into()),
        phone: Some("+39 045 123".into()),
        email: Some(format!("{}@verona.example", name.to_lowercase())),
        groups: vec!["Verona".into()],
    };
    for (name, shown, title) in [
        ("juliet", "Giulietta", "Head of Balconies"),
        ("romeo", "Romeo", "Climber"),
        ("nurse", "Nutrice", "Nurse"),
    ] {
        know(&house, name, profile(shown, title)).await;
    }
    let mut romeo = house.online("romeo", "a").await;
    for (field, word) in [("name", "giul"), ("title", "balcon"), ("email", "giulietta@"), ("user", "juliet")]
    {
        let answer = romeo.ask("set", DIRECTORY, &filled_in(field, word)).await;
        assert_eq!(found(&answer), ["juliet@corp.example"], "{field}");
        assert!(String::from(&answer).contains("Head of Balconies"));
        assert!(!String::from(&answer).contains(RSM), "that is all");
    }
    assert_eq!(found(&romeo.ask("set", DIRECTORY, &filled_in("phone", "045")).await).len(), 3);
    let page = |set: &str| {
        let query = filled_in("group", "verona");
        query.replace("</query>", &format!("<set xmlns='{RSM}'>{set}</set></query>"))
    };
    let first = romeo.ask("set", DIRECTORY, &page("<max>2</max>")).await;
    assert_eq!(found(&first), ["juliet@corp.example", "nurse@corp.example"]);
    let set = child(child(&first, "query", SEARCH), "set", RSM).clone();
    assert_eq!(
        (child(&set, "count", RSM).text(), child(&set, "last", RSM).text()),
        ("3".into(), "nurse@corp.example".into())
    );
    let rest = romeo.ask("set", DIRECTORY, &page("<max>2</max><after>nurse@corp.example</after>")).await;
    assert_eq!(found(&rest), ["romeo@corp.example"]);
    let lost = romeo.ask("set", DIRECTORY, &page("<after>tybalt@corp.example</after>")).await;
    assert_eq!(condition(&lost), "item-not-found");
    assert_eq!(condition(&romeo.ask("set", DIRECTORY, &page("<max>x</max>")).await), "bad-request");
}
