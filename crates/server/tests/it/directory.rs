//! Searching the directory (XEP-0055).

use minidom::Element;

use crate::client::{child, condition};
use crate::house::{DOMAIN, House};

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
