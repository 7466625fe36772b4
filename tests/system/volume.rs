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
    let (kept, others) = history::read(&mut bob).await;
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
    assert_eq!(history::read(&mut alice).await.0.len(), COUNT);
    server.assert_running();
}
