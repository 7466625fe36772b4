//! Disks that fill up or turn read-only: senders are told, the server stays up, nothing is delivered that is not kept.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    client::{Client, attribute},
    harness::{PATIENCE, Wish},
    history,
};

/// What became of one message.
#[derive(Debug, PartialEq)]
enum Fate {
    Delivered,
    Refused,
}

/// Sends one message from alice to bob and waits until it is either delivered or refused.
async fn fate(alice: &mut Client, bob: &mut Client, id: &str, body: &str) -> Fate {
    alice
        .send(&format!("<message type='chat' to='bob@corp.example' id='{id}'><body>{body}</body></message>"))
        .await;
    timeout(PATIENCE, async {
        loop {
            tokio::select! {
                element = alice.element() => {
                    let element = element.unwrap().expect("the server hung up on the sender");
                    if element.starts_with("<message") && attribute(&element, "id").as_deref() == Some(id) {
                        assert!(element.contains("error"), "{element}");
                        return Fate::Refused;
                    }
                }
                element = bob.element() => {
                    let element = element.unwrap().expect("the server hung up on the receiver");
                    if element.starts_with("<message") && attribute(&element, "id").as_deref() == Some(id) {
                        return Fate::Delivered;
                    }
                }
            }
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{id} was neither delivered nor refused"))
}

/// The ids of the messages in an account's history, in order.
async fn history(client: &mut Client) -> Vec<String> {
    history::read(client, 20).await.0.into_iter().map(|message| message.id).collect()
}

#[tokio::test]
async fn a_full_disk_refuses_messages_and_recovers_alone_when_there_is_room() {
    let mut server = Wish::plain().mounted("mount -t tmpfs -o size=12m disk \"$1/disk\"").prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;

    let long = "Lorem ipsum ".repeat(5_000);
    let mut delivered = Vec::new();
    let mut refused = Vec::new();
    for number in 0..1_000 {
        let id = format!("fill-{number}");
        match fate(&mut alice, &mut bob, &id, &long).await {
            Fate::Delivered => delivered.push(id),
            Fate::Refused => refused.push(id),
        }
        if refused.len() == 5 {
            break;
        }
    }
    assert_eq!(refused.len(), 5, "12 MiB took {} messages of 60 kB", delivered.len());
    assert!(delivered.len() > 10, "the disk was full after {} messages", delivered.len());
    // Everything that needs no room goes on, and people can still sign in.
    server.assert_running();
    assert!(alice.ping().await.contains("result"));
    assert!(bob.ping().await.contains("result"));
    let mut phone = Client::sign_in(&server, "bob", "builder", "phone").await;
    assert_eq!(
        history(&mut phone).await,
        delivered,
        "what was refused must not be kept, nor the other way round"
    );
    drop(phone);

    server.namespace().run("mount -o remount,size=64m \"$1\"", &[&server.disk()]).await;
    let mut number = 0;
    timeout(PATIENCE, async {
        loop {
            number += 1;
            let id = format!("again-{number}");
            if fate(&mut alice, &mut bob, &id, "there is room again").await == Fate::Delivered {
                delivered.push(id);
                return;
            }
            // The server may look for room only now and then.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("the server did not recover by itself");
    for number in 0..20 {
        let id = format!("after-{number}");
        assert_eq!(fate(&mut alice, &mut bob, &id, &long).await, Fate::Delivered);
        delivered.push(id);
    }
    assert_eq!(history(&mut bob).await, delivered);
    server.stop().await;
    server.verify().await;
}

/// A real file system that turns read-only under the server, as Linux does it after an error of the disk.
#[tokio::test]
async fn a_disk_that_turns_read_only_refuses_messages_and_loses_nothing() {
    let script = "truncate -s 64M \"$1/image\"\nmkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 \"$1/image\"\n\
                  mount -o loop,errors=remount-ro \"$1/image\" \"$1/disk\"\n";
    let mut server = Wish::plain().mounted(script).prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    let mut delivered = Vec::new();
    for number in 0..10 {
        let id = format!("before-{number}");
        assert_eq!(fate(&mut alice, &mut bob, &id, "while all is well").await, Fate::Delivered);
        delivered.push(id);
    }

    server.namespace().run("mount -o remount,abort \"$1\"", &[&server.disk()]).await;
    for number in 0..10 {
        let fate = fate(&mut alice, &mut bob, &format!("during-{number}"), "on a read-only disk").await;
        assert_eq!(fate, Fate::Refused);
    }
    server.assert_running();
    assert!(alice.ping().await.contains("result"));
    let mut phone = Client::sign_in(&server, "bob", "builder", "phone").await;
    assert_eq!(history(&mut phone).await, delivered, "reading goes on");

    // Linux gives such a disk back only after it was unmounted, so this is the operator's part: stop, repair, start.
    server.stop().await;
    server
        .namespace()
        .run(
            "umount \"$1\"\ne2fsck -fy \"$2\" >/dev/null || [ $? -le 1 ]\nmount -o loop \"$2\" \"$1\"",
            &[&server.disk(), &server.folder().join("image")],
        )
        .await;
    server.verify().await;
    server.start().await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    assert_eq!(fate(&mut alice, &mut bob, "after", "repaired").await, Fate::Delivered);
    delivered.push("after".to_owned());
    assert_eq!(history(&mut bob).await, delivered);
    server.stop().await;
    server.verify().await;
}
