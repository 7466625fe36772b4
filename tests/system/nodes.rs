//! `kill -9` while things are published: what anybody heard of, or was told is done, is in the node.

use std::{collections::HashSet, time::Duration};

use crate::{
    client::{Client, attribute},
    harness::Wish,
};

const CRASHES: usize = 8;
const PER_ROUND: usize = 100;
const PASSWORD: &str = "they never rest";
const SERVICE: &str = "pubsub.corp.example";
const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

#[tokio::test]
async fn crashes_lose_no_item_that_anybody_heard_of() {
    let mut server = Wish::plain().prepare().await;
    for name in ["bot", "reader"] {
        server.user(name, PASSWORD).await;
    }
    server.start().await;
    let mut bot = Client::bind(&server, "bot", PASSWORD, "desk").await;
    let form = "<configure><x xmlns='jabber:x:data' type='submit'><field var='pubsub#max_items'><value>max</value></field>\
                </x></configure>";
    ask(&mut bot, "create", "set", &format!("<create node='builds'/>{form}")).await;
    let mut reader = Client::bind(&server, "reader", PASSWORD, "desk").await;
    ask(&mut reader, "wish", "set", "<subscribe node='builds' jid='reader@corp.example'/>").await;
    server.stop().await;

    let (mut heard, mut done, mut sent) = (Vec::new(), Vec::new(), 0);
    for round in 0..CRASHES {
        server.start().await;
        let mut reader = Client::bind(&server, "reader", PASSWORD, "desk").await;
        reader.send("<presence/>").await;
        reader.ping().await;
        let bot = Client::bind(&server, "bot", PASSWORD, "desk").await;
        let publisher = tokio::spawn(publish(bot, round));
        let listener = tokio::spawn(listen(reader));
        tokio::time::sleep(Duration::from_millis(30 + 23 * round as u64)).await;
        server.kill().await;
        let (said, answered) = publisher.await.unwrap();
        sent += said;
        done.extend(answered);
        heard.extend(listener.await.unwrap());
    }

    server.start().await;
    let mut bot = Client::bind(&server, "bot", PASSWORD, "desk").await;
    let (mut kept, mut after) = (Vec::new(), String::new());
    loop {
        let set = format!("<set xmlns='http://jabber.org/protocol/rsm'><max>200</max>{after}</set>");
        let page =
            ask(&mut bot, &format!("page-{}", kept.len()), "get", &format!("<items node='builds'/>{set}"))
                .await;
        let ids: Vec<String> = page
            .split("<item ")
            .skip(1)
            .filter_map(|item| attribute(&format!("<item {item}"), "id"))
            .collect();
        let Some(last) = ids.last() else { break };
        after = format!("<after>{last}</after>");
        kept.extend(ids);
    }
    println!("{sent} published, {} answered, {} heard of, {} kept", done.len(), heard.len(), kept.len());
    assert!(heard.len() > CRASHES && done.len() > CRASHES, "the load was too small to mean anything");
    let all: HashSet<&String> = kept.iter().collect();
    assert_eq!(all.len(), kept.len(), "nothing is there twice");
    for id in heard.iter().chain(&done) {
        assert!(all.contains(id), "{id} was told, and is lost");
    }
    let last = ask(&mut bot, "last", "get", "<items node='builds' max_items='1'/>").await;
    assert!(last.contains(kept.last().unwrap().as_str()), "the last item is the last: {last}");
    server.stop().await;
    server.verify().await;
}

async fn ask(client: &mut Client, id: &str, type_: &str, payload: &str) -> String {
    client
        .send(&format!(
            "<iq type='{type_}' id='{id}' to='{SERVICE}'><pubsub xmlns='{PUBSUB}'>{payload}</pubsub></iq>"
        ))
        .await;
    loop {
        let element = client.element().await.unwrap().unwrap();
        if attribute(&element, "id").as_deref() == Some(id) {
            assert!(!element.contains("<error"), "{element}");
            return element;
        }
    }
}

/// Publishes without waiting, until the server is gone; how much, and what the server has answered for.
async fn publish(mut bot: Client, round: usize) -> (usize, Vec<String>) {
    let (mut sent, mut done) = (0, Vec::new());
    let mut pace = tokio::time::interval(Duration::from_millis(1));
    loop {
        tokio::select! {
            element = bot.element() => {
                let Ok(Some(element)) = element else { return (sent, done) };
                if element.contains("type='result'") {
                    done.extend(attribute(&element, "id"));
                }
            },
            _ = pace.tick(), if sent < PER_ROUND => {
                let id = format!("i-{round}-{sent}");
                let item = format!("<item id='{id}'><build xmlns='urn:example:build'>{id}</build></item>");
                let xml = format!(
                    "<iq type='set' id='{id}' to='{SERVICE}'><pubsub xmlns='{PUBSUB}'><publish node='builds'>{item}\
                     </publish></pubsub></iq>"
                );
                if bot.try_send(xml.as_bytes()).await.is_ok() {
                    sent += 1;
                }
            }
        }
    }
}

/// Hears of items until the server is gone.
async fn listen(mut reader: Client) -> Vec<String> {
    let mut heard = Vec::new();
    while let Ok(Some(element)) = reader.element().await {
        if let Some((_, item)) = element.split_once("<item ") {
            heard.extend(attribute(&format!("<item {item}"), "id"));
        }
    }
    heard
}
