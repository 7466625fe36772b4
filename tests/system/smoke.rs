//! The harness itself, and the least that a server does.

use crate::{client::Client, harness::Wish};

#[tokio::test]
async fn a_server_starts_serves_and_stops_and_starts_again() {
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.start().await;
    for _ in 0..2 {
        let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
        assert!(alice.ping().await.contains("result"));
        server.stop().await;
        alice.rest().await;
        server.start().await;
    }
    server.assert_running();
    assert!(server.verify().await.is_object());
}

#[tokio::test]
async fn two_people_talk_and_the_receiver_knows_who_spoke() {
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    alice.send("<message type='chat' id='m1' to='bob@corp.example/two'><body>hello</body></message>").await;
    let heard = bob.until("</message>").await;
    assert!(heard.contains("alice@corp.example/one") && heard.contains(">hello<"), "{heard}");
}
