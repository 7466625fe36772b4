//! A customer asks to be forgotten while a court wants everything kept: what officers, auditors and backups see of it.

use std::path::Path;

use serde_json::Value;

use crate::client::Client;
use crate::harness::{Server, Wish, run};
use crate::history;

/// `chancery archive … --as NAME`, answered in JSON.
async fn archive(server: &Server, name: &str, arguments: &[&str]) -> Value {
    let mut all = vec!["archive"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--as", name, "--password-stdin", "--json"]);
    let said = run(&mut server.chancery(&all), "wonder\n").await;
    assert!(said.status.success(), "{arguments:?}: {}", said.text);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", said.text))
}

async fn chancery(server: &Server, arguments: &[&str]) -> String {
    let said = run(&mut server.chancery(arguments), "").await;
    assert!(said.status.success(), "{arguments:?}: {}", said.text);
    said.stdout
}

async fn say(from: &mut Client, to: &mut Client, name: &str, body: &str) {
    from.send(&format!(
        "<message type='chat' to='{name}@corp.example' id='{body}'><body>{body}</body></message>"
    ))
    .await;
    to.until(body).await;
}

async fn ids(client: &mut Client) -> Vec<String> {
    history::read(client, 100).await.0.into_iter().map(|message| message.id).collect()
}

/// Whether a backup, restored and served on its own, still shows a word in somebody's history.
async fn restored(server: &Server, backup: &Path, name: &str) -> Vec<String> {
    let mut other = Wish::plain().prepare().await;
    // The same company on another machine.
    let _ = std::fs::remove_dir_all(other.data());
    let target = other.data();
    let mut restore = other.chancery(&["restore", backup.to_str().unwrap()]);
    let said = run(&mut restore, "").await;
    assert!(said.status.success(), "restore: {}", said.text);
    let key = |data: &Path| data.with_extension("key");
    std::fs::copy(key(&server.data()), key(&target)).unwrap();
    other.start().await;
    let mut client = Client::sign_in(&other, name, "wonder", "restored").await;
    let ids = ids(&mut client).await;
    other.verify().await;
    other.stop().await;
    ids
}

#[tokio::test]
async fn a_customer_is_forgotten_as_far_as_the_court_allows_and_wholly_after_it() {
    let mut server = Wish::plain().prepare().await;
    for name in ["alice", "bob", "auditor", "officer"] {
        server.user(name, "wonder").await;
    }
    server.start().await;
    chancery(&server, &["user", "role", "officer", "officer"]).await;
    chancery(&server, &["user", "role", "auditor", "auditor"]).await;
    let mut alice = Client::sign_in(&server, "alice", "wonder", "one").await;
    let mut bob = Client::sign_in(&server, "bob", "wonder", "two").await;
    let mut auditor = Client::sign_in(&server, "auditor", "wonder", "three").await;
    say(&mut alice, &mut bob, "bob", "to-bob").await;
    say(&mut alice, &mut auditor, "auditor", "to-the-auditor").await;
    say(&mut bob, &mut alice, "alice", "from-bob").await;

    let backups = server.folder().join("backups");
    std::fs::create_dir(&backups).unwrap();
    let before = backups.join("before");
    chancery(&server, &["backup", before.to_str().unwrap()]).await;

    let matter = archive(
        &server,
        "auditor",
        &["matter", "open", "--name", "The letter", "--reason", "A court asked", "--custodian", "bob"],
    )
    .await;
    let matter = matter["id"].as_str().unwrap();
    let hold = archive(&server, "auditor", &["hold", "place", matter]).await;
    assert_eq!(hold["events"], 2);

    let order = ["erase", "alice", "--reason", "She asked for it", "--yes"];
    let certificate = server.folder().join("certificate.json");
    let mut first = order.to_vec();
    first.extend_from_slice(&["--certificate", certificate.to_str().unwrap()]);
    let erased = archive(&server, "officer", &first).await;
    assert_eq!((&erased["events"], &erased["kept"][0]["hold"]), (&Value::from(1), &Value::from(matter)));
    assert_eq!(ids(&mut alice).await, ["to-bob", "from-bob"]);
    assert_eq!(ids(&mut auditor).await, [""; 0]);
    // Anybody checks the certificate with the public key.
    let key = chancery(&server, &["archive", "key"]).await;
    let check = ["archive", "certificate", certificate.to_str().unwrap(), "--public-key", key.trim()];
    assert!(chancery(&server, &check).await.contains("genuine: 1 event"));
    let forged = std::fs::read_to_string(&certificate).unwrap().replace("alice", "bob");
    std::fs::write(&certificate, forged).unwrap();
    assert!(!run(&mut server.chancery(&check), "").await.status.success());

    archive(&server, "officer", &["hold", "release", hold["id"].as_str().unwrap()]).await;
    assert_eq!(ids(&mut bob).await, ["to-bob", "from-bob"]);
    let erased = archive(&server, "officer", &order).await;
    assert_eq!((&erased["events"], erased["kept"].as_array().map(Vec::len)), (&Value::from(1), Some(0)));
    assert_eq!(ids(&mut bob).await, ["from-bob"]);
    assert_eq!(server.verify().await["intact"], true);

    // The backup was made before all this, and shows no more than the server does.
    assert_eq!(restored(&server, &before, "bob").await, ["from-bob"]);
    server.stop().await;
}
