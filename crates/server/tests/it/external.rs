//! External services for calls (XEP-0215).

use minidom::Element;

use crate::client::{child, condition};
use crate::house::{DOMAIN, House};

const EXTERNAL: &str = "urn:xmpp:extdisco:2";
const SERVICES: &str = "[{type = \"stun\", host = \"stun.corp.example\"}, \
    {type = \"turn\", host = \"turn.corp.example\", transport = \"tcp\", port = 443, secret = \"north\"}]";

fn services(answer: &Element, name: &str) -> Vec<Element> {
    child(answer, name, EXTERNAL).children().cloned().collect()
}

#[tokio::test]
async fn clients_find_the_services_with_credentials_that_end() {
    let house = House::with(&[("EXTERNAL_SERVICES", SERVICES)]).await;
    let mut romeo = house.bind("romeo", "a").await;
    let all =
        services(&romeo.ask("get", DOMAIN, &format!("<services xmlns='{EXTERNAL}'/>")).await, "services");
    assert_eq!(all.len(), 2);
    assert_eq!(
        (all[0].attr("type"), all[0].attr("port"), all[0].attr("password")),
        (Some("stun"), Some("3478"), None)
    );
    let turn = &all[1];
    assert_eq!((turn.attr("transport"), turn.attr("port")), (Some("tcp"), Some("443")));
    let (until, name) = turn.attr("username").unwrap().split_once(':').unwrap();
    assert_eq!(name, "romeo");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 86_000..now + 87_000).contains(&until.parse().unwrap()), "{until}");
    assert!(turn.attr("expires").is_some_and(|expires| expires.ends_with('Z')));

    let some = romeo.ask("get", DOMAIN, &format!("<services xmlns='{EXTERNAL}' type='stun'/>")).await;
    assert_eq!(services(&some, "services").len(), 1);
    let info = romeo.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(String::from(&info).contains(EXTERNAL));
}

#[tokio::test]
async fn credentials_are_given_for_the_service_that_is_named() {
    let house = House::with(&[("EXTERNAL_SERVICES", SERVICES)]).await;
    let mut romeo = house.bind("romeo", "a").await;
    let ask = |service: &str| format!("<credentials xmlns='{EXTERNAL}'>{service}</credentials>");
    let answer = romeo.ask("get", DOMAIN, &ask("<service type='turn' host='turn.corp.example'/>")).await;
    assert!(services(&answer, "credentials")[0].attr("password").is_some());
    for (service, error) in [
        ("<service type='turn' host='turn.corp.example' port='1'/>", "item-not-found"),
        ("<service type='turn' host='elsewhere.example'/>", "item-not-found"),
        ("", "bad-request"),
    ] {
        assert_eq!(condition(&romeo.ask("get", DOMAIN, &ask(service)).await), error, "{service}");
    }
}

#[tokio::test]
async fn a_server_without_services_does_not_claim_to_have_any() {
    let house = House::open().await;
    let mut romeo = house.bind("romeo", "a").await;
    let info = romeo.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    assert!(!String::from(&info).contains(EXTERNAL));
}
