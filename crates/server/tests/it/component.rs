//! External components (XEP-0114).

use minidom::Element;
use sha1::{Digest, Sha1};

use crate::client::{CLIENT, Client, Raw, STREAM, bodies, body, child, condition, presences, unique};
use crate::house::{DOMAIN, House};

pub const GATEWAY: &str = "gw.corp.example";
const SECRET: &str = "between you and me";

pub async fn house() -> House {
    house_with(&[]).await
}

pub async fn house_with(more: &[(&str, &str)]) -> House {
    let components = format!(
        "[{{domain = \"{GATEWAY}\", secret = \"{SECRET}\"}}, {{domain = \"other.example\", secret = \"x\"}}]"
    );
    let mut settings = vec![("LISTEN_COMPONENT", "127.0.0.1:0"), ("COMPONENTS", &components)];
    settings.extend_from_slice(more);
    House::with(&settings).await
}

/// A component's end of its connection.
pub struct Gateway(Raw);

impl Gateway {
    /// A connection on which nothing has been said.
    async fn stranger(house: &House) -> Raw {
        Raw::connect(house.server.addresses().component[0]).await
    }

    pub async fn connect(house: &House) -> Self {
        Self::connect_as(house, GATEWAY, SECRET).await
    }

    async fn connect_as(house: &House, domain: &str, secret: &str) -> Self {
        let mut raw = Self::stranger(house).await;
        raw.send(&header(domain)).await;
        let id = raw.header().await;
        raw.send(&handshake(&id, secret)).await;
        let answer = raw.next().await;
        assert_eq!(answer.name(), "handshake", "{}", String::from(&answer));
        Self(raw)
    }

    pub async fn send(&mut self, xml: &str) {
        self.0.send(xml).await;
    }

    pub async fn find(&mut self, mut wanted: impl FnMut(&Element) -> bool) -> Element {
        loop {
            let next = self.0.next().await;
            if wanted(&next) {
                return next;
            }
        }
    }

    async fn message(&mut self) -> Element {
        self.find(|element| element.name() == "message").await
    }

    async fn presence(&mut self) -> Element {
        self.find(|element| element.name() == "presence").await
    }

    /// Asks, and returns the answer with that id.
    pub async fn ask(&mut self, type_: &str, from: &str, to: &str, payload: &str) -> Element {
        let id = unique("gateway");
        self.send(&format!("<iq type='{type_}' id='{id}' from='{from}' to='{to}'>{payload}</iq>")).await;
        self.find(|element| element.attr("id") == Some(&id)).await
    }

    /// Waits until the server has taken in all that was sent.
    pub async fn settle(&mut self) {
        self.ask("get", GATEWAY, DOMAIN, "<ping xmlns='urn:xmpp:ping'/>").await;
    }
}

fn header(to: &str) -> String {
    format!("<stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAM}' to='{to}'>")
}

fn handshake(id: &str, secret: &str) -> String {
    let digest = Sha1::digest(format!("{id}{secret}"));
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<handshake>{hex}</handshake>")
}

fn message(from: &str, to: &str, words: &str) -> String {
    format!(
        "<message type='chat' id='{}' from='{from}' to='{to}'><body>{words}</body></message>",
        unique("m")
    )
}

#[tokio::test]
async fn a_component_signs_in_with_the_digest_and_nobody_without() {
    let house = house().await;
    Gateway::connect(&house).await;

    let mut wrong = Gateway::stranger(&house).await;
    wrong.send(&header(GATEWAY)).await;
    let id = wrong.header().await;
    wrong.send(&handshake(&id, "guessed")).await;
    assert_eq!(wrong.stream_error().await, "not-authorized");

    let mut hasty = Gateway::stranger(&house).await;
    hasty.send(&header(GATEWAY)).await;
    hasty.send(&message("a@gw.corp.example", "romeo@corp.example", "let me in")).await;
    assert_eq!(hasty.stream_error().await, "not-authorized");

    for unknown in [DOMAIN, "elsewhere.example", "sub.gw.corp.example"] {
        let mut stranger = Gateway::stranger(&house).await;
        stranger.send(&header(unknown)).await;
        assert_eq!(stranger.stream_error().await, "host-unknown", "{unknown}");
    }

    let mut client = Gateway::stranger(&house).await;
    client.send(&crate::client::header(GATEWAY)).await;
    assert_eq!(client.stream_error().await, "invalid-namespace");
}

#[tokio::test]
async fn a_second_connection_of_a_component_ends_the_first() {
    let house = house().await;
    let mut first = Gateway::connect(&house).await;
    let mut second = Gateway::connect(&house).await;
    assert_eq!(first.0.stream_error().await, "conflict");
    second.settle().await;
}

#[tokio::test]
async fn a_component_speaks_for_its_own_domain_only() {
    let house = house().await;
    for (stanza, error) in [
        (message("romeo@corp.example", "juliet@corp.example", "it is I"), "invalid-from"),
        (message("a@other.example", "juliet@corp.example", "it is I"), "invalid-from"),
        (message("a@sub.gw.corp.example", "juliet@corp.example", "it is I"), "invalid-from"),
        ("<message from='a@gw.corp.example'><body>to whom?</body></message>".into(), "improper-addressing"),
        ("<message to='romeo@corp.example'><body>who?</body></message>".into(), "improper-addressing"),
        ("<nonsense xmlns='urn:example'/>".into(), "unsupported-stanza-type"),
    ] {
        let mut gateway = Gateway::connect(&house).await;
        gateway.send(&stanza).await;
        assert_eq!(gateway.0.stream_error().await, error, "{stanza}");
    }
    let mut gateway = Gateway::connect(&house).await;
    gateway.send("<message id='m' from='a@gw.corp.example' to='@@'><body>x</body></message>").await;
    assert_eq!(condition(&gateway.message().await), "jid-malformed");
}

#[tokio::test]
async fn messages_go_both_ways_and_are_in_the_history_of_the_person_here() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut other = house.online("romeo", "b").await;
    other.ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>").await;

    romeo.send("<message type='chat' id='m1' to='friend@gw.corp.example'><body>out</body></message>").await;
    let out = gateway.message().await;
    assert_eq!(body(&out).as_deref(), Some("out"));
    assert_eq!((out.attr("from"), out.attr("to")), (Some(romeo.jid()), Some("friend@gw.corp.example")));
    let carbon = other.find(|element| element.has_child("sent", "urn:xmpp:carbons:2")).await;
    assert!(String::from(&carbon).contains("<body>out</body>"));

    gateway.send(&message("friend@gw.corp.example/phone", "romeo@corp.example", "in")).await;
    let into = romeo.find(|element| body(element).as_deref() == Some("in")).await;
    assert_eq!(into.attr("from"), Some("friend@gw.corp.example/phone"));
    let id = child(&into, "stanza-id", "urn:xmpp:sid:0");
    assert_eq!(id.attr("by"), Some("romeo@corp.example"));
    assert_eq!(history(&mut romeo, "friend@gw.corp.example").await, ["out", "in"]);
}

/// The bodies in an account's archive with somebody.
async fn history(client: &mut Client, with: &str) -> Vec<String> {
    let id = unique("mam");
    client
        .send(&format!(
            "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>\
             <field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>{with}</value></field>\
             </x></query></iq>"
        ))
        .await;
    let got = client.until(|element| element.attr("id") == Some(&id)).await;
    let results = got.iter().filter_map(|element| element.get_child("result", "urn:xmpp:mam:2"));
    results
        .filter_map(|result| {
            let message =
                result.get_child("forwarded", "urn:xmpp:forward:0")?.get_child("message", CLIENT)?;
            body(message)
        })
        .collect()
}

#[tokio::test]
async fn what_a_component_says_to_somebody_away_waits_for_them() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    gateway.send(&message("friend@gw.corp.example", "juliet@corp.example", "while you were out")).await;
    gateway.settle().await;
    let mut juliet = house.bind("juliet", "a").await;
    juliet.send("<presence/>").await;
    let kept = juliet.find(|element| body(element).is_some()).await;
    assert_eq!(body(&kept).as_deref(), Some("while you were out"));
}

#[tokio::test]
async fn a_component_that_is_not_there_bounces_and_nothing_is_archived() {
    let house = house().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo
        .send("<message type='chat' id='m' to='friend@gw.corp.example'><body>anyone?</body></message>")
        .await;
    let error = romeo.find(|element| element.attr("id") == Some("m")).await;
    assert_eq!(condition(&error), "remote-server-timeout");
    assert_eq!(child(&error, "error", CLIENT).attr("type"), Some("wait"));
    assert!(history(&mut romeo, "friend@gw.corp.example").await.is_empty());

    let error = romeo.ask("get", GATEWAY, "<ping xmlns='urn:xmpp:ping'/>").await;
    assert_eq!(condition(&error), "remote-server-timeout");
    romeo.send("<presence type='subscribe' id='s' to='friend@gw.corp.example'/>").await;
    let error = romeo.find(|element| element.attr("id") == Some("s")).await;
    assert_eq!(condition(&error), "remote-server-timeout");
}

#[tokio::test]
async fn contacts_at_a_component_subscribe_and_are_seen() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let friend = "friend@gw.corp.example";

    // Romeo asks and is granted; the friend's presence comes in.
    romeo.send(&format!("<presence type='subscribe' to='{friend}'/>")).await;
    let request = gateway.presence().await;
    assert_eq!((request.attr("type"), request.attr("from")), (Some("subscribe"), Some("romeo@corp.example")));
    gateway.send(&format!("<presence type='subscribed' from='{friend}' to='romeo@corp.example'/>")).await;
    gateway
        .send(&format!("<presence from='{friend}/x' to='romeo@corp.example'><show>away</show></presence>"))
        .await;
    let seen = romeo.find(|element| element.attr("from") == Some("friend@gw.corp.example/x")).await;
    assert_eq!(seen.name(), "presence");

    // The friend asks and is granted; now it sees romeo, at once, as he changes, and as he goes.
    gateway.send(&format!("<presence type='subscribe' from='{friend}' to='romeo@corp.example'/>")).await;
    romeo.find(|element| element.attr("type") == Some("subscribe")).await;
    romeo.send(&format!("<presence type='subscribed' to='{friend}'/>")).await;
    assert_eq!(gateway.presence().await.attr("type"), Some("subscribed"));
    let shown = gateway.presence().await;
    assert_eq!((shown.attr("type"), shown.attr("from")), (None, Some(romeo.jid())));
    let roster = romeo.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    let item = child(&roster, "query", "jabber:iq:roster").children().next().unwrap().clone();
    assert_eq!((item.attr("jid"), item.attr("subscription")), (Some(friend), Some("both")));

    romeo.send("<presence><show>dnd</show></presence>").await;
    assert_eq!(gateway.presence().await.get_child("show", CLIENT).unwrap().text(), "dnd");
    gateway.send(&format!("<presence type='probe' from='{friend}' to='romeo@corp.example'/>")).await;
    assert_eq!(gateway.presence().await.attr("from"), Some(romeo.jid()));
    let jid = romeo.jid().to_owned();
    romeo.close().await;
    let gone = gateway.presence().await;
    assert_eq!((gone.attr("type"), gone.attr("from")), (Some("unavailable"), Some(&*jid)));

    // Who comes back asks how the friend is.
    let mut again = house.bind("romeo", "b").await;
    again.send("<presence/>").await;
    let probe = gateway.find(|element| element.attr("type") == Some("probe")).await;
    assert_eq!((probe.attr("from"), probe.attr("to")), (Some(again.jid()), Some(friend)));

    // Leaving the roster ends both.
    again
        .ask(
            "set",
            "",
            &format!("<query xmlns='jabber:iq:roster'><item jid='{friend}' subscription='remove'/></query>"),
        )
        .await;
    let ends: Vec<_> = [gateway.presence().await, gateway.presence().await, gateway.presence().await]
        .iter()
        .filter_map(|element| element.attr("type").map(str::to_owned))
        .collect();
    for end in ["unsubscribed", "unsubscribe", "unavailable"] {
        assert!(ends.iter().any(|type_| type_ == end), "{ends:?}");
    }
}

#[tokio::test]
async fn a_stranger_at_a_component_sees_nobody() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    gateway.send("<presence type='probe' from='spy@gw.corp.example' to='romeo@corp.example'/>").await;
    assert_eq!(gateway.presence().await.attr("type"), Some("unsubscribed"));
    let spy = "spy@gw.corp.example";
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    for (payload, error) in [
        (info, "service-unavailable"),
        ("<query xmlns='jabber:iq:last'/>", "forbidden"),
        ("<vCard xmlns='vcard-temp'/>", "forbidden"),
        ("<query xmlns='jabber:iq:roster'/>", "service-unavailable"),
        ("<query xmlns='urn:xmpp:mam:2'/>", "service-unavailable"),
    ] {
        let answer = gateway.ask("get", spy, "romeo@corp.example", payload).await;
        assert_eq!(condition(&answer), error, "{payload}");
    }
    // Directed presence shows one resource to one address, and its end.
    romeo.send(&format!("<presence to='{spy}'/>")).await;
    assert_eq!(gateway.presence().await.attr("from"), Some(romeo.jid()));
    romeo.close().await;
    assert_eq!(gateway.presence().await.attr("type"), Some("unavailable"));
}

#[tokio::test]
async fn questions_go_both_ways_and_answers_come_back() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;

    let info =
        gateway.ask("get", GATEWAY, DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#info'/>").await;
    let query = child(&info, "query", "http://jabber.org/protocol/disco#info");
    assert!(query.children().any(|child| child.attr("category") == Some("server")));
    for payload in ["<query xmlns='jabber:iq:version'/>", "<time xmlns='urn:xmpp:time'/>"] {
        assert_eq!(
            gateway.ask("get", GATEWAY, DOMAIN, payload).await.attr("type"),
            Some("result"),
            "{payload}"
        );
    }
    let set = gateway.ask("set", GATEWAY, DOMAIN, "<query xmlns='jabber:iq:register'/>").await;
    assert_eq!(condition(&set), "service-unavailable");

    // To a client and back.
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    gateway.send(&format!("<iq type='get' id='q' from='{GATEWAY}' to='{}'>{ping}</iq>", romeo.jid())).await;
    let question = romeo.find(|element| element.attr("id") == Some("q")).await;
    assert_eq!(question.attr("from"), Some(GATEWAY));
    romeo.send(&format!("<iq type='result' id='q' to='{GATEWAY}'/>")).await;
    let answer = gateway.find(|element| element.attr("id") == Some("q")).await;
    assert_eq!((answer.attr("type"), answer.attr("from")), (Some("result"), Some(romeo.jid())));
    let absent = gateway.ask("get", GATEWAY, "romeo@corp.example/gone", ping).await;
    assert_eq!(condition(&absent), "service-unavailable");

    // From a client and back.
    romeo.send(&format!("<iq type='get' id='w' to='{GATEWAY}'>{ping}</iq>")).await;
    gateway.find(|element| element.attr("id") == Some("w")).await;
    gateway.send(&format!("<iq type='result' id='w' from='{GATEWAY}' to='{}'/>", romeo.jid())).await;
    assert_eq!(romeo.find(|element| element.attr("id") == Some("w")).await.attr("type"), Some("result"));

    let items = romeo.ask("get", DOMAIN, "<query xmlns='http://jabber.org/protocol/disco#items'/>").await;
    let listed: Vec<_> =
        items.children().flat_map(Element::children).filter_map(|item| item.attr("jid")).collect();
    assert!(listed.contains(&GATEWAY) && !listed.contains(&"other.example"), "{listed:?}");
}

#[tokio::test]
async fn two_components_talk_to_each_other() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut other = Gateway::connect_as(&house, "other.example", "x").await;
    gateway.send(&message("a@gw.corp.example", "b@other.example", "across")).await;
    assert_eq!(body(&other.message().await).as_deref(), Some("across"));
}

#[tokio::test]
async fn a_blocked_address_at_a_component_reaches_nobody() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='gw.corp.example'/></block>").await;
    gateway.send(&message("pest@gw.corp.example", "romeo@corp.example", "buy")).await;
    assert_eq!(condition(&gateway.message().await), "service-unavailable");
    gateway.send("<presence type='subscribe' from='pest@gw.corp.example' to='romeo@corp.example'/>").await;
    gateway.settle().await;
    assert!(romeo.settle().await.is_empty());
}

#[tokio::test]
async fn a_component_that_stops_reading_is_cut_off_and_what_it_missed_comes_back() {
    let house = house_with(&[("LIMITS_OUTBOX_STANZAS", "50"), ("LIMITS_OUTBOX_BYTES", "65536")]).await;
    let gateway = Gateway::connect(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut juliet = house.online("juliet", "a").await;
    // Far more than the sockets and the queue hold.
    let words = "x".repeat(60_000);
    let mut bounced = None;
    for number in 0..1_000 {
        romeo
            .send(&format!(
                "<message type='chat' id='b{number}' to='a@gw.corp.example'><body>{words}</body></message>"
            ))
            .await;
        if number % 10 == 9 {
            // Everything before this is archived and handed over, or has come back.
            romeo.flush_to(&mut juliet).await;
            let got = romeo.settle().await;
            bounced = got.into_iter().find(|element| element.attr("type") == Some("error"));
            if bounced.is_some() {
                break;
            }
        }
    }
    assert_eq!(condition(&bounced.expect("nothing came back")), "remote-server-timeout");
    // Everybody else goes on.
    romeo.send(&message(romeo.jid(), "juliet@corp.example", "still here")).await;
    assert_eq!(bodies(&[juliet.find(|element| body(element).is_some()).await]), ["still here"]);
    drop(gateway);
    let mut back = Gateway::connect(&house).await;
    back.settle().await;
    assert!(presences(&romeo.settle().await).is_empty());
}

#[tokio::test]
async fn a_stop_of_the_server_says_so_to_its_components() {
    let house = house().await;
    let mut gateway = Gateway::connect(&house).await;
    let stopping = tokio::spawn(async move { house.server.shutdown().await });
    assert_eq!(gateway.0.stream_error().await, "system-shutdown");
    stopping.await.unwrap();
}
