//! A client that does not read costs itself its connection, and nobody else anything.

use crate::client::bodies;
use crate::house::{DOMAIN, House};

/// More than the sockets' own buffers and the outbox take together.
const MESSAGES: usize = 400;
const WORDS: usize = 60_000;

#[tokio::test]
async fn who_does_not_read_is_let_go_while_everybody_else_is_served_and_misses_nothing() {
    let house = House::with(&[("LIMITS_OUTBOX_STANZAS", "100")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut nurse = house.online("nurse", "c").await;
    let mut juliet = house.online("juliet", "b").await;

    let words = "o".repeat(WORDS);
    for number in 0..MESSAGES {
        let body = format!("<body>{number} {words}</body>");
        romeo.send(&format!("<message to='juliet@{DOMAIN}' type='chat'>{body}</message>")).await;
        if number % 50 == 0 {
            romeo
                .send(&format!("<message to='nurse@{DOMAIN}' type='chat'><body>{number}</body></message>"))
                .await;
            // The nurse hears at once, however much waits for Juliet.
            let heard = nurse.until(|element| element.name() == "message").await;
            assert_eq!(bodies(&heard), [number.to_string()]);
        }
    }
    romeo.settle().await;

    // What the sockets' buffers took can still be read; then the stream ends with the reason.
    let mut numbers: Vec<usize> = Vec::new();
    let mut reason = None;
    while let Some(element) = juliet.raw().try_next().await {
        numbers.extend(number(&element));
        if element.name() == "error" {
            reason = element.children().next().map(|condition| condition.name().to_owned());
        }
    }
    assert!(reason.is_none_or(|reason| reason == "resource-constraint"));

    // The rest waited for the next session. The first it gets was under way when the old one ended.
    let mut juliet = house.bind("juliet", "d").await;
    juliet.send("<presence/>").await;
    while numbers.last() != Some(&(MESSAGES - 1)) {
        numbers.extend(juliet.settle().await.iter().filter_map(number));
    }
    numbers.sort_unstable();
    numbers.dedup();
    let missing = (0..MESSAGES).filter(|number| numbers.binary_search(number).is_err()).count();
    // Without stream management, what was written to a socket that nobody read is gone from the wire: at most what its
    // buffers hold. It is in the history.
    assert!(missing < MESSAGES / 2, "{missing} of {MESSAGES} were neither delivered nor kept");
    let history = juliet.ask("set", "", "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set></query>").await;
    assert!(
        String::from(&history).contains(&format!("<count>{}</count>", MESSAGES)),
        "{}",
        String::from(&history)
    );
}

#[tokio::test]
async fn who_reads_late_gets_all_that_they_asked_for() {
    // Enough answers to fill the sockets' buffers and to leave more waiting behind what is about to be written.
    const QUESTIONS: usize = 6_000;
    let house = House::with(&[("LIMITS_OUTBOX_STANZAS", "10000"), ("LIMITS_OUTBOX_BYTES", "64000000")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let question = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    for number in 0..QUESTIONS {
        romeo.send(&format!("<iq type='get' id='{number}' to='{DOMAIN}'>{question}</iq>")).await;
    }
    for number in 0..QUESTIONS {
        assert_eq!(romeo.next().await.attr("id"), Some(number.to_string().as_str()));
    }
}

/// The number that a message begins with.
fn number(message: &minidom::Element) -> Option<usize> {
    crate::client::body(message)?.split_whitespace().next()?.parse().ok()
}
