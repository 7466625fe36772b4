//! Searching through the API: one's own freely, others' only under a matter and on record first.

use archive::{Brief, Scope};
use jid::Jid;
use serde_json::{Value, json};
use server::users::Role;

use crate::api::{Caller, house};
use crate::house::{DOMAIN, House, jid};

async fn spoken() -> House {
    let house = house(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    for (to, body) in
        [("juliet", "the merger is on"), ("nurse", "meeting about the merger"), ("juliet", "good night")]
    {
        romeo.send(&format!("<message to='{to}@{DOMAIN}' type='chat'><body>{body}</body></message>")).await;
    }
    romeo.settle().await;
    house
}

fn texts(page: &Value) -> Vec<&str> {
    page["hits"].as_array().unwrap().iter().map(|hit| hit["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn people_search_their_own_conversations_and_nobody_elses() {
    let house = spoken().await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let found = nurse.post("/search", &json!({ "question": "merger" })).await.ok();
    assert_eq!(texts(&found), ["meeting about the merger"]);
    assert_eq!(found["hits"][0]["highlights"], json!([[18, 24]]));
    assert_eq!(found["searched"]["complete"], true);
    let romeo = Caller::sign_in(&house, "romeo").await;
    let found = romeo.post("/search", &json!({ "question": "merger with:juliet", "context": 1 })).await.ok();
    assert_eq!(texts(&found), ["the merger is on"]);
    assert_eq!(found["hits"][0]["after"][0]["text"], "good night");
    let first = romeo.post("/search", &json!({ "question": "merger", "limit": 1 })).await.ok();
    let second = json!({ "question": "merger", "limit": 1, "cursor": first["cursor"] });
    assert_eq!(texts(&romeo.post("/search", &second).await.ok()), ["the merger is on"]);
    let guess = romeo.post("/search", &json!({ "question": "meregr" })).await.ok();
    assert_eq!(guess["suggestion"], "merger");
    let refused = romeo.post("/search", &json!({ "question": "a (b" })).await;
    assert_eq!(refused.status, 422, "{}", refused.body);
    let refused = romeo.post("/search", &json!({ "question": "~a~" })).await;
    assert_eq!(refused.status, 422);
}

#[tokio::test]
async fn others_words_are_searched_under_a_matter_within_its_scope_and_on_record_first() {
    let house = spoken().await;
    house.appoint("nurse", Role::Auditor).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let refused = nurse.post("/search", &json!({ "question": "merger", "matter": "m1" })).await;
    assert!((400..500).contains(&refused.status), "{}", refused.body);
    let brief = Brief {
        name: "Leak".into(),
        reason: "The merger was in the news".into(),
        scope: Scope { custodians: vec![jid("juliet")], ..Scope::default() },
        readers: vec![jid("nurse")],
        approvals: 0,
    };
    let matters = house.server.trail().matters();
    let matter = matters.open(brief, &Jid::from(jid("romeo"))).await.unwrap().value.id;
    let asked = json!({ "question": "mer* -~night~", "matter": matter });
    let found = nurse.post("/search", &asked).await.ok();
    assert_eq!(texts(&found), ["the merger is on"], "what the nurse was told is not in its scope");
    let audit = nurse.get("/audit?deed=search").await.ok();
    assert_eq!(audit["items"][0]["matter"], matter);
    assert_eq!(audit["items"][0]["details"]["question"], "mer* -~night~");
    house.break_audit().await;
    assert_eq!(nurse.post("/search", &asked).await.status, 503);
}
