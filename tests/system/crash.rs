//! `kill -9` at any moment: what anybody received is in the history, nothing comes twice, and the chain verifies.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{task::JoinHandle, time::timeout};

use crate::{
    client::{Client, attribute},
    harness::{DOMAIN, PATIENCE, Server, Wish},
    history,
};

const PEOPLE: usize = 6;
const CRASHES: usize = 20;
/// The most that one person says between two crashes.
const PER_ROUND: usize = 150;
const ROOM: &str = "bridge@conference.corp.example";
const PASSWORD: &str = "they never rest";

/// Something that one person received.
#[derive(Debug)]
struct Delivery {
    /// The sender's own id, unique over the whole test.
    id: String,
    stanza_id: String,
    delayed: bool,
    round: usize,
    in_room: bool,
}

/// What a talker brings home.
#[derive(Default)]
struct Tale {
    heard: Vec<Delivery>,
    /// How many messages it sent.
    said: usize,
    /// Which of them the server has answered for (XEP-0198 `<a/>`).
    acknowledged: Vec<String>,
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
    let seed = std::env::var("TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64);
    println!("to repeat this: TEST_SEED={seed}");
    let mut dice = Dice(seed);

    let mut server = Wish::plain().prepare().await;
    for number in 0..PEOPLE {
        server.user(&person(number), PASSWORD).await;
    }
    let mut received: Vec<Vec<Delivery>> = (0..PEOPLE).map(|_| Vec::new()).collect();
    let mut acknowledged = Vec::new();
    let mut sent = 0;
    for round in 0..CRASHES {
        if round % 4 == 3 {
            // Crashes do not wait until the last one is repaired.
            server.start_and_kill(Duration::from_millis(dice.roll(120))).await;
        }
        server.start().await;
        if round == 0 {
            open_room(&server).await;
        }
        // Somebody is away every time, and gets what was said when back.
        let away = dice.roll(PEOPLE as u64) as usize;
        let mut clients = Vec::new();
        for number in (0..PEOPLE).filter(|number| *number != away) {
            let mut client = Client::bind(&server, &person(number), PASSWORD, "desk").await;
            if is_managed(number) {
                client.send("<enable xmlns='urn:xmpp:sm:3'/>").await;
                client.until("<enabled").await;
                client.until(">").await;
            }
            clients.push((number, client));
        }
        let talkers: Vec<(usize, JoinHandle<Tale>)> = clients
            .into_iter()
            .map(|(number, client)| {
                (number, tokio::spawn(talk(client, number, round, Dice(dice.roll(u64::MAX)))))
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20 + dice.roll(400))).await;
        server.kill().await;
        for (number, talker) in talkers {
            let tale = timeout(PATIENCE, talker).await.expect("a connection outlived its server").unwrap();
            received[number].extend(tale.heard);
            acknowledged.extend(tale.acknowledged);
            sent += tale.said;
        }
    }

    server.start().await;
    // What still waits for somebody arrives now, before the history or amid its pages.
    let mut histories = Vec::new();
    for (number, heard) in received.iter_mut().enumerate() {
        let mut client = Client::bind(&server, &person(number), PASSWORD, "desk").await;
        client.send("<presence/>").await;
        let (mut kept, others) = history::read(&mut client, 100).await;
        kept.extend(history::read_room(&mut client, ROOM, 100).await.0);
        heard.extend(others.iter().filter_map(|element| delivery(element, CRASHES)));
        for message in &kept {
            assert!(message.xml.contains(&format!("words of {}<", message.id)), "{}", message.xml);
        }
        let kept: HashMap<_, _> = kept.into_iter().map(|message| (message.id, message.stanza_id)).collect();
        histories.push(kept);
    }

    let total: usize = received.iter().map(Vec::len).sum();
    let later = received.iter().flatten().filter(|delivery| delivery.delayed).count();
    let answered = acknowledged.len();
    println!("{sent} messages sent, {answered} acknowledged, {total} received, {later} of them later");
    assert!(total > CRASHES * PEOPLE, "the load was too small to mean anything: {total} messages");
    let rooms = received.iter().flatten().filter(|delivery| delivery.in_room).count();
    println!("{rooms} of them in the room");
    assert!(later > 0 && rooms > CRASHES * PEOPLE, "nobody was ever away, or in the room");
    assert!(answered > CRASHES, "hardly anything was acknowledged: {answered}");
    for id in &acknowledged {
        let kept = histories[sender(id)].contains_key(id);
        assert!(kept, "the server has answered for {id}, and lost it");
    }
    for (number, deliveries) in received.iter().enumerate() {
        let name = person(number);
        let mut seen: HashMap<&str, &Delivery> = HashMap::new();
        for delivery in deliveries {
            if let Some(first) = seen.insert(&delivery.id, delivery) {
                panic!(
                    "{name} got one message twice, in rounds {} and {}: {first:?} and {delivery:?}",
                    first.round, delivery.round
                );
            }
            let kept = histories[number].get(&delivery.id);
            assert_eq!(
                kept,
                Some(&delivery.stanza_id),
                "{name} received {delivery:?}, the history has {kept:?}"
            );
            let sender = sender(&delivery.id);
            assert!(
                histories[sender].contains_key(&delivery.id),
                "{} has no trace of {delivery:?}",
                person(sender)
            );
        }
    }
    server.stop().await;
    server.verify().await;
}

/// Makes the room, which stays.
async fn open_room(server: &Server) {
    let mut client = Client::bind(server, &person(0), PASSWORD, "desk").await;
    client.send(&enter(0)).await;
    client.until("<subject").await;
    client
        .send(&format!(
            "<iq type='set' id='form' to='{ROOM}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
             <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
             <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
        ))
        .await;
    let answer = client.until("id='form'").await;
    assert!(!answer.contains("type='error'"), "{answer}");
}

/// Goes into the room without asking what was said before.
fn enter(number: usize) -> String {
    let who = person(number);
    format!(
        "<presence to='{ROOM}/{who}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
    )
}

/// Who sent the message with this id.
fn sender(id: &str) -> usize {
    id.split('-').nth(1).unwrap().parse().unwrap()
}

/// Whether this person's client uses stream management.
fn is_managed(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Talks to everybody and writes down what it hears, until the server is gone.
async fn talk(mut client: Client, number: usize, round: usize, mut dice: Dice) -> Tale {
    let mut tale = Tale::default();
    // The stanzas that were sent, in order, as the server counts them. Only messages have ids here.
    let mut stanzas: Vec<Option<String>> = vec![None, None];
    let mut handled = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    client.send(&format!("<presence/>{}", enter(number))).await;
    loop {
        tokio::select! {
            element = client.element() => {
                let Ok(Some(element)) = element else { return tale };
                if element.starts_with("<r ") {
                    client.send(&format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")).await;
                } else if element.starts_with("<a ") {
                    let count: usize = attribute(&element, "h").unwrap().parse().unwrap();
                    tale.acknowledged = stanzas[..count].iter().flatten().cloned().collect();
                } else {
                    handled += 1;
                    tale.heard.extend(delivery(&element, round));
                }
            },
            _ = pace.tick(), if tale.said < PER_ROUND => {
                let to = (number + 1 + dice.roll(PEOPLE as u64 - 1) as usize) % PEOPLE;
                let id = format!("m-{number}-{round}-{}", tale.said);
                let (type_, to) = match dice.roll(3) {
                    0 => ("groupchat", ROOM.to_owned()),
                    _ => ("chat", format!("{}@{DOMAIN}", person(to))),
                };
                let mut xml =
                    format!("<message type='{type_}' to='{to}' id='{id}'><body>words of {id}</body></message>");
                stanzas.push(Some(id));
                if is_managed(number) {
                    // What needs no archive must not hurry the answer for what does.
                    for _ in 0..dice.roll(4) {
                        xml.push_str("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
                        stanzas.push(None);
                    }
                    if dice.roll(3) == 0 {
                        xml.push_str("<r xmlns='urn:xmpp:sm:3'/>");
                    }
                }
                if client.try_send(xml.as_bytes()).await.is_ok() {
                    tale.said += 1;
                }
            }
        }
    }
}

/// A chat message as a delivery.
fn delivery(element: &str, round: usize) -> Option<Delivery> {
    if !element.starts_with("<message")
        || element.contains("type='error'")
        || element.contains("type=\"error\"")
        || element.contains("<subject")
    {
        return None;
    }
    let id = attribute(&element[..element.find('>')?], "id")?;
    let mark = element.find("<stanza-id").unwrap_or_else(|| panic!("without a stanza-id: {element}"));
    let stanza_id = attribute(&element[mark..element[mark..].find('>').unwrap() + mark], "id").unwrap();
    let in_room = element.contains("type='groupchat'");
    Some(Delivery { id, stanza_id, delayed: element.contains("urn:xmpp:delay"), round, in_room })
}
