//! Subscriptions: RFC 6121 §3. Every state that two rosters can be in is reached by stanzas, and every stanza tried.

use minidom::Element;

use crate::client::{Client, child, presences};
use crate::house::{DOMAIN, House, befriend};

const ROSTER: &str = "jabber:iq:roster";

/// One side of a relation: `subscription`, `+ask`, `+approved`, or `-` where the roster has no such contact.
async fn side(client: &mut Client, contact: &str) -> String {
    let answer = client.ask("get", "", "<query xmlns='jabber:iq:roster'/>").await;
    let query = child(&answer, "query", ROSTER);
    let Some(item) = query.children().find(|item| item.attr("jid") == Some(contact)) else {
        return "-".to_owned();
    };
    let mut state = item.attr("subscription").unwrap().to_owned();
    if item.attr("ask") == Some("subscribe") {
        state.push_str("+ask");
    }
    if item.attr("approved") == Some("true") {
        state.push_str("+approved");
    }
    state
}

struct Pair {
    romeo: Client,
    juliet: Client,
}

impl Pair {
    async fn open(house: &House) -> Self {
        Self { romeo: house.online("romeo", "a").await, juliet: house.online("juliet", "b").await }
    }

    /// Romeo (`r`) or Juliet (`j`) sends each stanza; what the other has got at the end is returned.
    async fn play(&mut self, script: &[(&str, &str)]) -> Vec<String> {
        let mut seen = Vec::new();
        for (who, type_) in script {
            let (sender, other) = match *who {
                "r" => (&mut self.romeo, &mut self.juliet),
                _ => (&mut self.juliet, &mut self.romeo),
            };
            other.settle().await;
            sender.send(&format!("<presence type='{type_}' to='{}'/>", other.bare())).await;
            sender.settle().await;
            seen = presences(&other.settle().await);
        }
        seen
    }

    async fn states(&mut self) -> (String, String) {
        let (romeo, juliet) = (self.romeo.bare(), self.juliet.bare());
        (side(&mut self.romeo, &juliet).await, side(&mut self.juliet, &romeo).await)
    }
}

/// Who sends which presence type, in order.
type Script = &'static [(&'static str, &'static str)];
/// How a state is reached, what Romeo sends then, both rosters after that, and what Juliet sees.
type Case = (Script, &'static str, (&'static str, &'static str), Vec<String>);

/// From each state, what each stanza of Romeo's leads to: both rosters, and what Juliet gets besides.
#[tokio::test]
async fn every_transition_leads_where_the_standard_says() {
    const ASK: Script = &[("r", "subscribe")];
    const ASKED: Script = &[("j", "subscribe")];
    const TO: Script = &[("r", "subscribe"), ("j", "subscribed")];
    const FROM: Script = &[("j", "subscribe"), ("r", "subscribed")];
    const BOTH: Script = &[("r", "subscribe"), ("j", "subscribed"), ("j", "subscribe"), ("r", "subscribed")];
    const TO_ASKED: Script = &[("r", "subscribe"), ("j", "subscribed"), ("j", "subscribe")];
    const FROM_ASK: Script = &[("j", "subscribe"), ("r", "subscribed"), ("r", "subscribe")];
    let bare = format!("romeo@{DOMAIN}");
    let full = format!("romeo@{DOMAIN}/a");
    let stanza = |type_: &str| vec![format!("{bare} {type_}")];
    let with_presence =
        |type_: &str, presence: &str| vec![format!("{bare} {type_}"), format!("{full} {presence}")];
    let cases: Vec<Case> = vec![
        (&[], "subscribe", ("none+ask", "-"), stanza("subscribe")),
        (&[], "subscribed", ("none+approved", "-"), vec![]),
        (&[], "unsubscribe", ("-", "-"), vec![]),
        (&[], "unsubscribed", ("-", "-"), vec![]),
        (ASK, "subscribe", ("none+ask", "-"), vec![]),
        (ASK, "unsubscribe", ("none", "-"), stanza("unsubscribe")),
        (ASKED, "subscribed", ("from", "to"), with_presence("subscribed", "available")),
        (ASKED, "unsubscribed", ("-", "none"), stanza("unsubscribed")),
        (ASKED, "subscribe", ("none+ask", "none+ask"), stanza("subscribe")),
        (TO, "subscribe", ("to", "from"), vec![]),
        (TO, "unsubscribe", ("none", "none"), stanza("unsubscribe")),
        (TO, "subscribed", ("to+approved", "from"), vec![]),
        (TO, "unsubscribed", ("to", "from"), vec![]),
        (FROM, "subscribed", ("from", "to"), vec![]),
        (FROM, "unsubscribed", ("none", "none"), with_presence("unsubscribed", "unavailable")),
        (FROM, "subscribe", ("from+ask", "to"), stanza("subscribe")),
        (BOTH, "unsubscribe", ("from", "to"), stanza("unsubscribe")),
        (BOTH, "unsubscribed", ("to", "from"), with_presence("unsubscribed", "unavailable")),
        (BOTH, "subscribe", ("both", "both"), vec![]),
        (BOTH, "subscribed", ("both", "both"), vec![]),
        (TO_ASKED, "subscribed", ("both", "both"), with_presence("subscribed", "available")),
        (TO_ASKED, "unsubscribed", ("to", "from"), stanza("unsubscribed")),
        (FROM_ASK, "unsubscribe", ("from", "to"), stanza("unsubscribe")),
        (FROM_ASK, "unsubscribed", ("none+ask", "none"), with_presence("unsubscribed", "unavailable")),
    ];
    let house = House::open().await;
    for (before, type_, (romeos, juliets), seen) in cases {
        let mut pair = Pair::open(&house).await;
        pair.play(before).await;
        let got = pair.play(&[("r", type_)]).await;
        assert_eq!(got, seen, "{before:?} then {type_}: what Juliet sees");
        let states = pair.states().await;
        assert_eq!((states.0.as_str(), states.1.as_str()), (romeos, juliets), "{before:?} then {type_}");
        for client in [&mut pair.romeo, &mut pair.juliet] {
            let contact = if client.bare() == bare { format!("juliet@{DOMAIN}") } else { bare.clone() };
            client.send(&format!("<presence type='unsubscribed' to='{contact}'/>")).await;
            let remove = format!(
                "<query xmlns='jabber:iq:roster'><item jid='{contact}' subscription='remove'/></query>"
            );
            client.ask("set", "", &remove).await;
        }
        pair.romeo.close().await;
        pair.juliet.close().await;
    }
}

#[tokio::test]
async fn a_request_waits_for_who_is_away_and_is_told_again_until_it_is_answered() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo
        .send(&format!(
            "<presence type='subscribe' to='juliet@{DOMAIN}/x'><status>It is I</status></presence>"
        ))
        .await;
    romeo.settle().await;
    for _ in 0..2 {
        let mut juliet = house.bind("juliet", "b").await;
        juliet.send("<presence/>").await;
        let got = juliet.settle().await;
        let request =
            got.iter().find(|element| element.attr("type") == Some("subscribe")).expect("a request");
        assert_eq!(request.attr("from"), Some(format!("romeo@{DOMAIN}").as_str()));
        assert_eq!(
            request.get_child("status", "jabber:client").map(Element::text).as_deref(),
            Some("It is I")
        );
        juliet.close().await;
    }
    let mut juliet = house.online("juliet", "b").await;
    juliet.send(&format!("<presence type='unsubscribed' to='romeo@{DOMAIN}'/>")).await;
    juliet.close().await;
    let mut juliet = house.bind("juliet", "b").await;
    juliet.send("<presence/>").await;
    assert!(!juliet.settle().await.iter().any(|element| element.attr("type") == Some("subscribe")));
}

#[tokio::test]
async fn an_approval_given_before_answers_the_request() {
    let house = House::open().await;
    let mut pair = Pair::open(&house).await;
    pair.play(&[("j", "subscribed")]).await;
    assert_eq!(side(&mut pair.juliet, &format!("romeo@{DOMAIN}")).await, "none+approved");
    pair.juliet.settle().await;
    pair.romeo.send(&format!("<presence type='subscribe' to='juliet@{DOMAIN}'/>")).await;
    let seen = presences(&pair.romeo.settle().await);
    assert_eq!(seen, [format!("juliet@{DOMAIN} subscribed"), format!("juliet@{DOMAIN}/b available")]);
    assert_eq!(presences(&pair.juliet.settle().await), [""; 0], "Juliet is not asked");
    assert_eq!(pair.states().await, ("to".to_owned(), "from".to_owned()));
}

#[tokio::test]
async fn an_approval_can_be_taken_back() {
    let house = House::open().await;
    let mut pair = Pair::open(&house).await;
    pair.play(&[("j", "subscribed"), ("j", "unsubscribed")]).await;
    assert_eq!(pair.play(&[("r", "subscribe")]).await, [format!("romeo@{DOMAIN} subscribe")]);
}

#[tokio::test]
async fn who_asks_somebody_who_does_not_exist_is_refused() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    romeo.send(&format!("<presence type='subscribe' to='mercutio@{DOMAIN}'/>")).await;
    assert_eq!(presences(&romeo.settle().await), [format!("mercutio@{DOMAIN} unsubscribed")]);
    assert_eq!(side(&mut romeo, &format!("mercutio@{DOMAIN}")).await, "none");
}

#[tokio::test]
async fn removing_a_contact_ends_both_subscriptions() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let remove = format!(
        "<query xmlns='jabber:iq:roster'><item jid='juliet@{DOMAIN}' subscription='remove'/></query>"
    );
    romeo.ask("set", "", &remove).await;
    let seen = presences(&juliet.settle().await);
    let bare = format!("romeo@{DOMAIN}");
    assert_eq!(
        seen,
        [format!("{bare} unsubscribe"), format!("{bare} unsubscribed"), format!("{bare}/a unavailable")]
    );
    assert_eq!(side(&mut juliet, &bare).await, "none");
    assert_eq!(side(&mut romeo, &format!("juliet@{DOMAIN}")).await, "-");
}

#[tokio::test]
async fn subscriptions_last_while_both_are_away() {
    let house = House::open().await;
    let (romeo, juliet) = house.friends("romeo", "juliet").await;
    romeo.close().await;
    juliet.close().await;
    for name in ["romeo", "juliet"] {
        house.server.sign_out(&crate::house::jid(name)).await;
    }
    let mut juliet = house.online("juliet", "b").await;
    let _romeo = house.online("romeo", "a").await;
    assert_eq!(presences(&juliet.settle().await), [format!("romeo@{DOMAIN}/a available")]);
    assert_eq!(side(&mut juliet, &format!("romeo@{DOMAIN}")).await, "both");
}

#[tokio::test]
async fn befriending_twice_changes_nothing() {
    let house = House::open().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    befriend(&mut romeo, &mut juliet).await;
    assert_eq!(side(&mut juliet, &format!("romeo@{DOMAIN}")).await, "both");
}
