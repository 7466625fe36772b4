//! `kill -9` at any moment: what anybody received is in the history, nothing comes twice, and the chain verifies.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{task::JoinHandle, time::timeout};

use crate::{
    client::{Client, attribute},
    harness::{DOMAIN, PATIENCE, Wish},
};

const PEOPLE: usize = 6;
const CRASHES: usize = 20;
/// The most that one person says between two crashes.
const PER_ROUND: usize = 150;
const PASSWORD: &str = "they never rest";

/// Something that one person received.
#[derive(Debug)]
struct Delivery {
    /// The sender's own id, unique over the whole test.
    id: String,
    stanza_id: String,
    delayed: bool,
    round: usize,
}

/// SplitMix64: the same seed makes the same test, as far as the kernel's scheduling allows.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn person(number: usize) -> String {
    format!("person{number}")
}

#[tokio::test]
async fn twenty_crashes_lose_nothing_that_anybody_received() {
    let seed = std::env::var("TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
    });
    println!("to repeat this: TEST_SEED={seed}");
    let mut dice = Dice(seed);

    let mut server = Wish::plain().prepare().await;
    for number in 0..PEOPLE {
        server.user(&person(number), PASSWORD).await;
    }
    let mut received: Vec<Vec<Delivery>> = (0..PEOPLE).map(|_| Vec::new()).collect();
    let mut sent = 0;
    for round in 0..CRASHES {
        server.start().await;
        // Somebody is away every time, and gets what was said when back.
        let away = dice.roll(PEOPLE as u64) as usize;
        let mut clients = Vec::new();
        for number in (0..PEOPLE).filter(|number| *number != away) {
            clients.push((number, Client::bind(&server, &person(number), PASSWORD, "desk").await));
        }
        let talkers: Vec<(usize, JoinHandle<(Vec<Delivery>, usize)>)> = clients
            .into_iter()
            .map(|(number, client)| (number, tokio::spawn(talk(client, number, round, Dice(dice.roll(u64::MAX))))))
            .collect();
        tokio::time::sleep(Duration::from_millis(20 + dice.roll(400))).await;
        server.kill().await;
        for (number, talker) in talkers {
            let (heard, said) = timeout(PATIENCE, talker).await.expect("a connection outlived its server").unwrap();
            received[number].extend(heard);
            sent += said;
        }
    }

    server.start().await;
    // What still waits for somebody arrives now.
    let mut everyone = Vec::new();
    for number in 0..PEOPLE {
        let mut client = Client::sign_in(&server, &person(number), PASSWORD, "desk").await;
        let heard = client.ping().await;
        received[number].extend(deliveries(&heard, CRASHES));
        everyone.push(client);
    }
    let mut histories = Vec::new();
    for client in &mut everyone {
        histories.push(history(client).await);
    }

    let total: usize = received.iter().map(Vec::len).sum();
    let later = received.iter().flatten().filter(|delivery| delivery.delayed).count();
    println!("{sent} messages sent, {total} received, {later} of them later");
    assert!(total > CRASHES * PEOPLE, "the load was too small to mean anything: {total} messages");
    assert!(later > 0, "nobody was ever away");
    for (number, deliveries) in received.iter().enumerate() {
        let name = person(number);
        let mut seen: HashMap<&str, &Delivery> = HashMap::new();
        for delivery in deliveries {
            if let Some(first) = seen.insert(&delivery.id, delivery) {
                panic!("{name} got one message twice: {first:?} and {delivery:?}");
            }
            let kept = histories[number].get(&delivery.id);
            assert_eq!(kept, Some(&delivery.stanza_id), "{name} received {delivery:?}, the history has {kept:?}");
            let sender = sender(&delivery.id);
            assert!(histories[sender].contains_key(&delivery.id), "{} has no trace of {delivery:?}", person(sender));
        }
    }
    server.stop().await;
    server.verify().await;
}

/// Who sent the message with this id.
fn sender(id: &str) -> usize {
    id.split('-').nth(1).unwrap().parse().unwrap()
}

/// Talks to everybody and writes down what it hears, until the server is gone. Returns that, and how much it said.
async fn talk(mut client: Client, number: usize, round: usize, mut dice: Dice) -> (Vec<Delivery>, usize) {
    let mut heard = Vec::new();
    let mut said = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    client.send("<presence/>").await;
    loop {
        tokio::select! {
            element = client.element() => match element {
                Ok(Some(element)) => heard.extend(delivery(&element, round)),
                Ok(None) | Err(_) => return (heard, said),
            },
            _ = pace.tick(), if said < PER_ROUND => {
                let to = (number + 1 + dice.roll(PEOPLE as u64 - 1) as usize) % PEOPLE;
                let id = format!("m-{number}-{round}-{said}");
                let xml = format!(
                    "<message type='chat' to='{}@{DOMAIN}' id='{id}'><body>words of {id}</body></message>",
                    person(to)
                );
                if client.try_send(xml.as_bytes()).await.is_ok() {
                    said += 1;
                }
            }
        }
    }
}

/// A chat message as a delivery.
fn delivery(element: &str, round: usize) -> Option<Delivery> {
    if !element.starts_with("<message") || element.contains("type='error'") || element.contains("type=\"error\"") {
        return None;
    }
    let id = attribute(&element[..element.find('>')?], "id")?;
    let mark = element.find("<stanza-id").unwrap_or_else(|| panic!("without a stanza-id: {element}"));
    let stanza_id = attribute(&element[mark..element[mark..].find('>').unwrap() + mark], "id").unwrap();
    Some(Delivery { id, stanza_id, delayed: element.contains("urn:xmpp:delay"), round })
}

/// Every chat message in a piece of a stream.
fn deliveries(stream: &str, round: usize) -> Vec<Delivery> {
    stream.match_indices("<message").filter_map(|(at, _)| {
        let end = stream[at..].find("</message>")? + at;
        delivery(&stream[at..end], round)
    }).collect()
}

/// The whole history of a client's account: the senders' ids with the stanza-ids. No message may be there twice.
async fn history(client: &mut Client) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut known = HashSet::new();
    let mut after = String::new();
    loop {
        client
            .send(&format!(
                "<iq type='set' id='page'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
                 <max>100</max>{after}</set></query></iq>"
            ))
            .await;
        let mut last = None;
        loop {
            let element = timeout(PATIENCE, client.element()).await.expect("no page came").unwrap().unwrap();
            if element.starts_with("<iq") {
                assert!(element.contains("<fin"), "{element}");
                if element.contains("complete='true'") || element.contains("complete=\"true\"") {
                    return found;
                }
                break;
            }
            if let Some(at) = element.find("<result") {
                let stanza_id = attribute(&element[at..], "id").unwrap();
                assert!(known.insert(stanza_id.clone()), "twice in one history: {element}");
                // After the envelope's comes the message's own tag.
                let inner = at + element[at..].find("<message").unwrap();
                let id = attribute(&element[inner..element[inner..].find('>').unwrap() + inner], "id").unwrap();
                assert!(element.contains(&format!("words of {id}<")), "{element}");
                let before = found.insert(id, stanza_id.clone());
                assert_eq!(before, None, "one message is in the history twice: {element}");
                last = Some(stanza_id);
            }
        }
        after = format!("<after>{}</after>", last.expect("a page that is not the last has messages"));
    }
}
