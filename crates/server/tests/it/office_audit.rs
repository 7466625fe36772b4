//! The audit chain: who may read it, that reading it is on it, and that what cannot be put on it is not done.

use serde_json::json;
use server::users::{Role, Roles};

use crate::api::{Caller, house};
use crate::house::jid;

#[tokio::test]
async fn reading_the_audit_chain_is_on_it_before_the_answer() {
    let house = house(&[]).await;
    house.appoint("nurse", Role::Auditor).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let first = nurse.get("/audit").await.ok();
    let entry = &first["items"][0];
    assert_eq!((&entry["deed"], &entry["by"]), (&json!("audit"), &json!("nurse@corp.example")));
    assert_eq!(entry["follows"], true);
    let second = nurse.get("/audit?by=nurse&limit=1").await.ok();
    assert_eq!(second["items"][0]["number"], entry["number"].as_u64().unwrap() + 1);
    assert_eq!(second["items"][0]["details"]["by"], "nurse");
    let older = nurse.get(&format!("/audit?before={}", second["next"])).await.ok();
    assert_eq!(older["items"][0]["number"], *entry.get("number").unwrap());
    assert_eq!(older["broken"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_shown() {
    let house = house(&[]).await;
    house.appoint("nurse", Role::Auditor).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    nurse.get("/audit").await.ok();
    house.break_audit().await;
    let refused = nurse.get("/audit").await;
    assert_eq!((refused.status, refused.problem()), (503, "unrecorded"));
    assert!(refused.body.get("items").is_none());
}

#[tokio::test]
async fn the_audit_chain_is_for_those_whose_office_it_is() {
    let house = house(&[]).await;
    for (roles, may) in [
        (Roles::USER, false),
        (Role::Admin.into(), false),
        (Role::KeyCustodian.into(), false),
        (Role::Auditor.into(), true),
        (Role::Officer.into(), true),
        ([Role::Admin, Role::Officer].into_iter().collect(), true),
    ] {
        house.server.users().set_roles(&jid("nurse"), roles).await.unwrap();
        let reply = Caller::sign_in(&house, "nurse").await.get("/audit").await;
        match may {
            true => drop(reply.ok()),
            false => assert_eq!((reply.status, reply.problem()), (403, "right"), "{roles}"),
        }
    }
    assert_eq!(Caller::stranger(&house).get("/audit").await.status, 401);
}

#[tokio::test]
async fn the_description_is_openapi_and_names_what_there_is() {
    let house = house(&[]).await;
    let description = Caller::stranger(&house).get("/openapi.json").await.ok();
    assert_eq!(description["openapi"], "3.1.0");
    let audit = &description["paths"]["/audit"]["get"];
    for status in ["200", "401", "403", "422", "429", "503"] {
        assert!(audit["responses"][status].is_object(), "{status}");
    }
    assert!(description["paths"]["/session"]["post"]["responses"]["415"].is_object());
}
