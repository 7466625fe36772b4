//! No client opts out of the trail: not by hints, not by preferences, not by words that the server cannot read.

use crate::{
    client::Client,
    harness::{Server, Wish},
    history,
};

async fn company() -> (Server, Client, Client) {
    let mut server = Wish::plain().prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let bob = Client::sign_in(&server, "bob", "builder", "two").await;
    (server, alice, bob)
}

#[tokio::test]
async fn hints_against_storing_keep_nothing_out_of_the_history() {
    let (_server, mut alice, mut bob) = company().await;
    let hints = ["no-store", "no-permanent-store", "no-permanent-storage", "no-copy"];
    for hint in hints {
        alice
            .send(&format!(
                "<message type='chat' to='bob@corp.example' id='{hint}'><body>off the record</body>\
                 <{hint} xmlns='urn:xmpp:hints'/></message>"
            ))
            .await;
        bob.until("off the record").await;
    }
    for client in [&mut alice, &mut bob] {
        let kept: Vec<_> = history::read(client, 100).await.0.into_iter().map(|message| message.id).collect();
        assert_eq!(kept, hints);
    }
}

#[tokio::test]
async fn preferences_turn_no_history_off() {
    let (_server, mut alice, mut bob) = company().await;
    for default in ["never", "roster"] {
        let prefs = format!("<prefs xmlns='urn:xmpp:mam:2' default='{default}'><always/><never/></prefs>");
        alice.send(&format!("<iq type='set' id='prefs-{default}'>{prefs}</iq>")).await;
        alice.until(&format!("prefs-{default}")).await;
        let answer = alice.until("</iq>").await;
        assert!(answer.contains("not-allowed"), "{default}: {answer}");
    }
    alice.send("<message type='chat' to='bob@corp.example' id='m'><body>still kept</body></message>").await;
    bob.until("still kept").await;
    assert_eq!(history::read(&mut alice, 100).await.0.len(), 1);
}

#[tokio::test]
async fn what_the_server_cannot_read_is_refused_and_reaches_nobody() {
    let (_server, mut alice, mut bob) = company().await;
    let payloads = [
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>AAAA</payload></encrypted>",
        "<encrypted xmlns='urn:xmpp:omemo:2'><header sid='1'/><payload>AAAA</payload></encrypted>",
        "<openpgp xmlns='urn:xmpp:openpgp:0'>AAAA</openpgp>",
        "<x xmlns='jabber:x:encrypted'>AAAA</x>",
    ];
    for (number, payload) in payloads.into_iter().enumerate() {
        let id = format!("sealed-{number}");
        let body = "<body>This message is encrypted.</body>";
        alice
            .send(&format!("<message type='chat' to='bob@corp.example' id='{id}'>{body}{payload}</message>"))
            .await;
        alice.until(&id).await;
        let answer = alice.until("</message>").await;
        assert!(
            answer.contains("type='error'") && answer.contains("policy-violation"),
            "{payload}: {answer}"
        );
    }
    let heard = bob.ping().await;
    assert!(!heard.contains("sealed-"), "bob heard {heard}");
    assert!(history::read(&mut bob, 100).await.0.is_empty());
}
