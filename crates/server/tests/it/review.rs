//! Supervision: a message that a rule is about comes to the right reviewer, who was no party to it; what they do is on
//! record before it is done.

use serde_json::{Value, json};
use server::directory::Profile;
use server::users::{NewAccount, Role};
use vault::Vault;

use crate::api::{Caller, house};
use crate::client::{Client, body};
use crate::house::{House, PASSWORD, jid};
use crate::rooms::{hear, pair, say};

const CARD: &str = "it is 4111 1111 1111 1111, quick";
const RULES: &str = "
[[rule]]
id = 'cards'
name = 'No card numbers in chat'
when = { detect = 'card' }
then = 'flag'
reviewers = 'group:Compliance'
";

/// An officer, two reviewers whom the rule names, and an auditor whom it does not.
async fn company() -> House {
    let house = house(&[]).await;
    let people = ["prince", "friar", "paris"].map(|name| (jid(name), NewAccount::new(PASSWORD)));
    house.server.users().create_many(people, |_, made| drop(made.unwrap())).await;
    house.appoint("prince", Role::Officer).await;
    for (name, group) in [("friar", "Compliance"), ("juliet", "Compliance"), ("paris", "Suitors")] {
        house.appoint(name, Role::Auditor).await;
        join(house.vault(), name, group).await;
    }
    house
}

async fn join(vault: &Vault, name: &str, group: &str) {
    let profile = Profile { groups: vec![group.to_owned()], ..Profile::default() };
    vault.apply(vec![profile.put(&jid(name)).unwrap()]).await.unwrap();
}

/// Puts the rules in force.
async fn supervise(house: &House) -> Caller {
    let prince = Caller::sign_in(house, "prince").await;
    let set = prince.json("PUT", "/review/rules", &json!({ "source": RULES, "version": 0 })).await.ok();
    assert_eq!((&set["version"], &set["by"]), (&json!(1), &json!("prince@corp.example")));
    prince
}

async fn tell(from: &mut Client, to: &mut Client, words: &str) {
    from.send(&format!("<message type='chat' to='{}'><body>{words}</body></message>", to.bare())).await;
    to.find(|element| body(element).as_deref() == Some(words)).await;
}

async fn queue(caller: &Caller) -> Vec<Value> {
    caller.get("/review/items").await.ok()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_card_number_comes_to_the_reviewer_who_took_no_part() {
    let house = company().await;
    supervise(&house).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut romeo, &mut juliet, "hello").await;
    tell(&mut romeo, &mut juliet, CARD).await;

    let friar = Caller::sign_in(&house, "friar").await;
    let items = queue(&friar).await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!((&items[0]["causes"][0]["id"], &items[0]["state"]), (&json!("cards"), &json!("open")));
    assert!(items[0].get("text").is_none());
    let id = items[0]["id"].as_str().unwrap();
    let path = format!("/review/items/{id}");

    // Juliet is named, too, and heard it; Paris is not named; Romeo reviews nothing.
    for name in ["juliet", "paris"] {
        let other = Caller::sign_in(&house, name).await;
        assert_eq!(queue(&other).await.len(), 0, "{name}");
        let refused = other.get(&path).await;
        assert_eq!((refused.status, refused.problem()), (404, "missing"), "{name}");
        let refused = other.post(&format!("{path}/decisions"), &json!({ "action": "assign" })).await;
        assert_eq!((refused.status, refused.problem()), (404, "missing"), "{name}");
    }
    let refused = Caller::sign_in(&house, "romeo").await.get("/review/items").await;
    assert_eq!((refused.status, refused.problem()), (403, "right"));

    let shown = friar.get(&path).await.ok();
    assert_eq!(shown["text"], CARD);
    let found = &shown["causes"][0]["found"][0];
    assert_eq!(
        (&found["what"], &found["start"], &found["end"]),
        (&json!("detector:card"), &json!(6), &json!(25))
    );
    let audit = friar.get("/audit?deed=review&limit=1").await.ok();
    let act = &audit["items"][0];
    assert_eq!((&act["by"], &act["details"]["item"]), (&json!("friar@corp.example"), &json!(id)));
    assert_eq!(act["details"]["action"], "view");
    assert!(!audit.to_string().contains("4111"));
}

#[tokio::test]
async fn an_item_is_escalated_decided_above_and_reported_without_its_words() {
    let house = company().await;
    let prince = supervise(&house).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut romeo, &mut juliet, CARD).await;
    let friar = Caller::sign_in(&house, "friar").await;
    let items = queue(&friar).await;
    let path = format!("/review/items/{}/decisions", items[0]["id"].as_str().unwrap());

    let silent = friar.post(&path, &json!({ "action": "escalate" })).await;
    assert_eq!((silent.status, &silent.body["pointer"]), (422, &json!("/comment")));
    let party = friar.post(&path, &json!({ "action": "assign", "to": "juliet" })).await;
    assert_eq!((party.status, &party.body["pointer"]), (422, &json!("/to")));
    let layman = friar.post(&path, &json!({ "action": "assign", "to": "nurse" })).await;
    assert_eq!((layman.status, &layman.body["pointer"]), (422, &json!("/to")));
    let version = &items[0]["version"];
    let escalated = json!({ "action": "escalate", "comment": "a real one", "version": version });
    assert_eq!(friar.post(&path, &escalated).await.ok()["state"], "escalated");
    assert_eq!(friar.post(&path, &escalated).await.status, 412);
    let close = json!({ "action": "close", "outcome": "violation", "comment": "it is real" });
    let refused = friar.post(&path, &close).await;
    assert_eq!((refused.status, refused.problem()), (409, "conflict"));
    assert_eq!(prince.post(&path, &close).await.ok()["state"], "closed");
    assert_eq!(queue(&friar).await.len(), 0);
    let closed = friar.get("/review/items?state=closed").await.ok();
    assert_eq!(closed["items"][0]["decisions"][1]["outcome"], "violation");

    let report = prince.get("/review/report").await.ok();
    let total = &report["total"];
    assert_eq!(
        (&total["filed"], &total["reviewed"], &total["violations"]),
        (&json!(1), &json!(1), &json!(1))
    );
    let csv = prince.get("/review/report?format=csv").await.ok().to_string();
    assert!(csv.contains("prince@corp.example,close,violation,cards,it is real"), "{csv}");
    let html = prince.get("/review/report?format=html").await.ok().to_string();
    for text in [report.to_string(), csv, html] {
        assert!(!text.contains("4111"), "{text}");
    }
}

#[tokio::test]
async fn who_is_in_the_room_does_not_review_what_is_said_there() {
    let house = company().await;
    let prince = supervise(&house).await;
    let (mut romeo, mut juliet) = pair(&house, &[]).await;
    say(&mut romeo, CARD).await;
    hear(&mut juliet, CARD).await;
    let juliet = Caller::sign_in(&house, "juliet").await;
    assert_eq!(queue(&juliet).await.len(), 0);
    let friar = Caller::sign_in(&house, "friar").await;
    assert_eq!(queue(&friar).await.len(), 1);
    assert_eq!(queue(&prince).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_shown_to_a_reviewer() {
    let house = company().await;
    supervise(&house).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut romeo, &mut juliet, CARD).await;
    let friar = Caller::sign_in(&house, "friar").await;
    let items = queue(&friar).await;
    house.break_audit().await;
    let refused = friar.get(&format!("/review/items/{}", items[0]["id"].as_str().unwrap())).await;
    assert_eq!((refused.status, refused.problem()), (503, "unrecorded"));
    assert!(!refused.body.to_string().contains("4111"));
}

#[tokio::test]
async fn rules_are_set_by_officers_with_versions_and_tried_on_the_past() {
    let house = company().await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    tell(&mut romeo, &mut juliet, CARD).await;
    let friar = Caller::sign_in(&house, "friar").await;
    let new = json!({ "source": RULES, "version": 0 });
    let refused = friar.json("PUT", "/review/rules", &new).await;
    assert_eq!((refused.status, refused.problem()), (403, "right"));
    let prince = supervise(&house).await;
    assert_eq!(prince.json("PUT", "/review/rules", &new).await.status, 412);
    assert_eq!(friar.get("/review/rules").await.ok()["source"], RULES);
    let faulty =
        json!({ "source": "[[rule]]\nid = 'x'\nwhen = { direktion = 'out' }\nthen = 'flag'", "version": 1 });
    let faulty = prince.json("PUT", "/review/rules", &faulty).await;
    assert_eq!((faulty.status, &faulty.body["pointer"]), (422, &json!("/source")));
    assert!(
        faulty.body["detail"].as_str().unwrap().starts_with("line 3: A condition has no key `direktion`")
    );

    // It was said before there were rules.
    assert_eq!(queue(&friar).await.len(), 0);
    let dry = prince.post("/review/rules/trial", &json!({})).await.ok();
    assert_eq!(
        (&dry["taken"], &dry["rules"][0]["messages"], &dry["filed"]),
        (&json!(1), &json!(1), &json!(0))
    );
    assert_eq!(queue(&friar).await.len(), 0);
    prince.post("/review/rules/trial", &json!({ "file": true })).await.ok();
    assert_eq!(queue(&friar).await.len(), 1);
}
