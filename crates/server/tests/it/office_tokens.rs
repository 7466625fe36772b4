//! Tokens for programs: less than their maker, for a while, on record.

use serde_json::json;
use server::users::Role;

use crate::api::{Caller, house};
use crate::house::{PASSWORD, jid};

async fn token(caller: &Caller, scopes: &[&str]) -> (String, String) {
    let made = caller.post("/me/tokens", &json!({ "label": "report", "scopes": scopes })).await.ok();
    (made["id"].as_str().unwrap().to_owned(), made["token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_no_more() {
    let house = house(&[]).await;
    house.appoint("nurse", Role::Officer).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let (id, secret) = token(&nurse, &["read-audit"]).await;
    let program = nurse.with_token(&secret);
    program.get("/audit").await.ok();
    let refused = program.get("/me").await;
    assert_eq!((refused.status, refused.problem()), (403, "scope"));
    for (method, path) in [("GET", "/me/tokens"), ("GET", "/session"), ("DELETE", "/session")] {
        assert_eq!(program.send(method, path, &[], b"").await.problem(), "in-person", "{method} {path}");
    }
    let more = program.post("/me/tokens", &json!({ "label": "x", "scopes": ["read-audit"] })).await;
    assert_eq!(more.problem(), "in-person", "a token makes no other");

    let listed = nurse.get("/me/tokens").await.ok();
    assert_eq!(listed[0]["id"], id);
    assert!(listed[0]["last_used"].is_string());
    assert!(!listed.to_string().contains(&secret));
    let last = house.server.trail().audited(None, 10).await.unwrap();
    assert!(last.iter().any(|entry| entry.act.details["made"] == id));
    assert!(!last.iter().any(|entry| entry.act.details.to_string().contains(&secret)));

    let other = Caller::sign_in(&house, "romeo").await;
    assert_eq!(other.delete(&format!("/me/tokens/{id}")).await.problem(), "missing", "not somebody else's");
    assert_eq!(nurse.delete(&format!("/me/tokens/{id}")).await.status, 204);
    assert_eq!(program.get("/audit").await.problem(), "signed-out");
}

#[tokio::test]
async fn nobody_makes_a_token_that_can_more_than_they() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    for (wish, pointer) in [
        (json!({ "label": "x", "scopes": ["read-words"] }), "/scopes"),
        (json!({ "label": "x", "scopes": ["fly"] }), "/scopes/0"),
        (json!({ "label": "x", "scopes": [] }), "/scopes"),
        (json!({ "label": " ", "scopes": ["own-words"] }), "/label"),
        (json!({ "label": "x", "scopes": ["own-words"], "days": 0 }), "/days"),
        (json!({ "label": "x", "scopes": ["own-words"], "days": 9999 }), "/days"),
    ] {
        let refused = romeo.post("/me/tokens", &wish).await;
        assert_eq!((refused.status, &refused.body["pointer"]), (422, &json!(pointer)), "{wish}");
    }
}

#[tokio::test]
async fn a_token_sinks_with_its_maker() {
    let house = house(&[]).await;
    let users = house.server.users();
    house.appoint("nurse", Role::Officer).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let (_, secret) = token(&nurse, &["read-audit"]).await;
    let program = nurse.with_token(&secret);
    users.set_roles(&jid("nurse"), server::users::Roles::USER).await.unwrap();
    assert_eq!(program.get("/audit").await.problem(), "right");
    house.appoint("nurse", Role::Auditor).await;
    program.get("/audit").await.ok();
    users.set_password(&jid("nurse"), PASSWORD).await.unwrap();
    assert_eq!(program.get("/audit").await.problem(), "signed-out");
    let junk = nurse.with_token("chancery_junk").get("/me").await;
    assert_eq!((junk.status, junk.raw.header("www-authenticate").is_some()), (401, true));
}

#[tokio::test]
async fn a_hasty_program_slows_only_its_owner_down() {
    let house = house(&[("LIMITS_REQUESTS_PER_MINUTE", "5")]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    let mut last = 200;
    for _ in 0..6 {
        last = romeo.get("/me").await.status;
    }
    assert_eq!(last, 429);
    Caller::sign_in(&house, "juliet").await.get("/me").await.ok();
}
