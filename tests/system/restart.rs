//! An orderly restart: clients are told, sessions that can be resumed go on.

use crate::{
    client::{Client, attribute},
    harness::{PATIENCE, Wish},
};

#[tokio::test]
async fn a_resumable_session_survives_an_orderly_restart() {
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    bob.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>").await;
    bob.until("<enabled").await;
    let enabled = bob.until(">").await;
    let session = attribute(&enabled, "id").expect("the session cannot be resumed");
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    alice
        .send("<message type='chat' to='bob@corp.example/two' id='before'><body>before</body></message>")
        .await;
    bob.until("before</body></message>").await;

    server.stop().await;
    let farewell = bob.rest().await;
    assert!(farewell.contains("<system-shutdown ") && farewell.ends_with("</stream:stream>"), "{farewell}");
    server.start().await;

    // Said before bob is back, but to a session that is still there.
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    alice
        .send("<message type='chat' to='bob@corp.example/two' id='between'><body>between</body></message>")
        .await;
    assert!(alice.ping().await.contains("result"));

    let mut bob = Client::connect(&server).await;
    bob.authenticate("bob", "builder").await;
    // Of all that came, bob has handled one message; which it was, the server knows by the count.
    bob.send(&format!("<resume xmlns='urn:xmpp:sm:3' h='1' previd='{session}'/>")).await;
    bob.until("<resumed").await;
    let heard = bob.until("between</body>").await;
    assert!(!heard.contains("before"), "what was acknowledged came again: {heard}");
    bob.send("<message type='chat' to='alice@corp.example' id='after'><body>after</body></message>").await;
    let heard = tokio::time::timeout(PATIENCE, alice.until("after</body>")).await.unwrap();
    assert!(heard.contains("from='bob@corp.example/two'"), "{heard}");
}
