//! More at once than the queue of one session holds: a reader who keeps reading gets all of it.

use tokio::time::timeout;

use crate::{
    client::{Client, attribute},
    harness::{PATIENCE, Wish},
    history,
};

#[tokio::test]
async fn thousands_of_offline_messages_arrive_complete_and_in_order() {
    const COUNT: usize = 3_000;
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    for number in 0..COUNT {
        let body = "x".repeat(number % 5_000);
        let id = format!("m{number}");
        alice
            .send(&format!(
                "<message type='chat' to='bob@corp.example' id='{id}'><body>{body}</body></message>"
            ))
            .await;
    }
    alice.ping().await;

    let mut bob = Client::bind(&server, "bob", "builder", "two").await;
    bob.send("<presence/>").await;
    for number in 0..COUNT {
        let element = loop {
            let element = timeout(PATIENCE, bob.element()).await.expect("a message is missing").unwrap();
            let element = element.unwrap_or_else(|| panic!("the server hung up before message {number}"));
            assert!(!element.starts_with("<stream:error"), "before message {number}: {element}");
            if element.starts_with("<message") {
                break element;
            }
        };
        assert_eq!(attribute(&element, "id"), Some(format!("m{number}")), "{}", &element[..200]);
    }
    let (kept, others) = history::read(&mut bob, 100).await;
    assert_eq!(kept.len(), COUNT);
    assert!(!others.iter().any(|element| element.starts_with("<message")), "more arrived than was sent");
    let order: Vec<_> = kept.iter().map(|message| message.id.clone()).collect();
    assert_eq!(order, (0..COUNT).map(|number| format!("m{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_history_of_long_messages_can_be_read_in_large_pages() {
    const COUNT: usize = 60;
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.start().await;
    let mut alice = Client::bind(&server, "alice", "wonder", "one").await;
    let body = "long ".repeat(20_000);
    for number in 0..COUNT {
        let id = format!("m{number}");
        alice
            .send(&format!(
                "<message type='chat' to='alice@corp.example' id='{id}'><body>{body}</body></message>"
            ))
            .await;
        // A page of them is more than may wait for one session; the messages themselves are not the point here.
        alice.ping().await;
    }
    assert_eq!(history::read(&mut alice, 100).await.0.len(), COUNT);
    server.assert_running();
}

#[tokio::test]
async fn who_stops_reading_holds_up_nobody_and_loses_nothing() {
    const COUNT: usize = 400;
    let limits = "[limits]\nlogins_per_minute = 0\noutbox_bytes = 1048576\n";
    let mut server = Wish::plain().toml(limits).prepare().await;
    for (name, password) in [("alice", "wonder"), ("bob", "builder"), ("carol", "singer")] {
        server.user(name, password).await;
    }
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut carol = Client::sign_in(&server, "carol", "singer", "one").await;
    // From here on bob does not read, and his system takes little for him.
    let mut bob = Client::connect_small(&server).await;
    bob.present("bob", "builder", "stuck").await;
    let before = server.resident();
    let body = "long ".repeat(6_000);
    for number in 0..COUNT {
        let message = format!("id='m{number}'><body>{body}</body></message>");
        alice.send(&format!("<message type='chat' to='bob@corp.example' {message}")).await;
        if number % 20 == 0 {
            let id = format!("c{number}");
            alice
                .send(&format!(
                    "<message type='chat' to='carol@corp.example' id='{id}'><body>you?</body></message>"
                ))
                .await;
            carol.until(&id).await;
            assert!(alice.ping().await.contains("result"));
        }
    }
    assert!(alice.ping().await.contains("result"));
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "12 MB for somebody who does not read cost {grown} bytes");

    // What the sockets between held is still there; then the server has hung up.
    let mut seen = Vec::new();
    while let Ok(Some(element)) = timeout(PATIENCE, bob.element())
        .await
        .unwrap_or_else(|_| panic!("bob is still connected after {seen:?}"))
    {
        if element.starts_with("<message") {
            seen.push(attribute(&element, "id").unwrap());
        }
    }
    assert!(seen.len() < COUNT, "all of it fitted into the sockets, so this proves nothing");
    let mut bob = Client::bind(&server, "bob", "builder", "back").await;
    bob.send("<presence/>").await;
    let last = format!("m{}", COUNT - 1);
    while seen.last() != Some(&last) {
        let element = timeout(PATIENCE, bob.element()).await.expect("the last message is missing").unwrap();
        let element = element.expect("the server hung up");
        if element.starts_with("<message") {
            seen.push(attribute(&element, "id").unwrap());
        }
    }
    let mut once = seen.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), seen.len(), "something came twice");
    let kept: Vec<_> = history::read(&mut bob, 10).await.0.into_iter().map(|message| message.id).collect();
    assert_eq!(kept, (0..COUNT).map(|number| format!("m{number}")).collect::<Vec<_>>());
}
