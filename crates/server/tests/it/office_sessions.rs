//! Sessions of the web side: who is signed in, for how long, and that no other site can use it.

use serde_json::json;

use crate::api::{Caller, house};
use crate::house::{PASSWORD, jid};

#[tokio::test]
async fn a_person_signs_in_sees_themselves_and_signs_out() {
    let house = house(&[]).await;
    let mut romeo = Caller::stranger(&house);
    let wish = json!({ "user": "romeo@corp.example", "password": PASSWORD });
    let reply = romeo.post("/session", &wish).await;
    let cookie = reply.raw.header("set-cookie").unwrap().to_owned();
    for flag in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(flag), "{cookie}");
    }
    assert!(!reply.raw.text().contains(PASSWORD));
    romeo.keep(reply);
    let me = romeo.get("/me").await.ok();
    assert_eq!((&me["address"], &me["roles"]), (&json!("romeo@corp.example"), &json!([])));
    assert_eq!(me["rights"], json!(["own-words", "own-account"]));
    assert_eq!(romeo.get("/session").await.ok()["csrf_token"], *romeo.csrf.as_ref().unwrap());
    assert_eq!(romeo.delete("/session").await.status, 204);
    assert_eq!(romeo.get("/me").await.problem(), "signed-out");
}

#[tokio::test]
async fn wrong_credentials_tell_nothing_and_are_limited_together_with_xmpp() {
    let house = house(&[("LIMITS_LOGINS_PER_MINUTE", "4")]).await;
    let stranger = Caller::stranger(&house);
    let mut bodies = Vec::new();
    for name in ["romeo", "nobody", "x@elsewhere.example"] {
        let reply = stranger.post("/session", &json!({ "user": name, "password": "wrong" })).await;
        assert_eq!((reply.status, reply.problem()), (401, "credentials"));
        bodies.push(reply.body);
    }
    assert!(bodies.windows(2).all(|two| two[0] == two[1]));
    // Two were counted, the third names no domain of ours; two more are left.
    house.bind("romeo", "a").await;
    stranger.post("/session", &json!({ "user": "romeo", "password": PASSWORD })).await.ok();
    let late = stranger.post("/session", &json!({ "user": "romeo", "password": PASSWORD })).await;
    assert_eq!((late.status, late.problem()), (429, "too-many"));
    assert_eq!(late.raw.header("retry-after"), Some("60"));
}

#[tokio::test]
async fn another_sites_page_cannot_use_the_session() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    let without = Caller { csrf: None, ..romeo.clone() };
    assert_eq!(without.delete("/session").await.problem(), "forged");
    let guessed = Caller { csrf: Some("x".repeat(43)), ..romeo.clone() };
    assert_eq!(guessed.delete("/session").await.problem(), "forged");
    for foreign in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
    ] {
        assert_eq!(
            romeo.send("DELETE", "/session", &[foreign], b"").await.problem(),
            "forged",
            "{foreign:?}"
        );
        let body = json!({ "user": "romeo", "password": PASSWORD }).to_string();
        let headers = [("Content-Type", "application/json"), foreign];
        let forced = Caller::stranger(&house).send("POST", "/session", &headers, body.as_bytes()).await;
        assert_eq!(forced.problem(), "forged", "{foreign:?}");
    }
    romeo.get("/me").await.ok();
    let own = romeo.send("DELETE", "/session", &[("Sec-Fetch-Site", "same-origin")], b"").await;
    assert_eq!(own.status, 204);
}

#[tokio::test]
async fn sessions_end_with_the_account_its_password_and_its_being_enabled() {
    let house = house(&[]).await;
    let users = house.server.users();
    let romeo = Caller::sign_in(&house, "romeo").await;
    users.set_password(&jid("romeo"), PASSWORD).await.unwrap();
    assert_eq!(romeo.get("/me").await.problem(), "signed-out");

    let romeo = Caller::sign_in(&house, "romeo").await;
    users.set_disabled(&jid("romeo"), true).await.unwrap();
    assert_eq!(romeo.get("/me").await.problem(), "signed-out");
    users.set_disabled(&jid("romeo"), false).await.unwrap();
    assert_eq!(romeo.get("/me").await.problem(), "signed-out");

    let juliet = Caller::sign_in(&house, "juliet").await;
    house.server.remove(&jid("juliet")).await.unwrap();
    assert_eq!(juliet.get("/me").await.problem(), "signed-out");
    users.create(&jid("juliet"), server::users::NewAccount::new(PASSWORD)).await.unwrap();
    assert_eq!(juliet.get("/me").await.problem(), "signed-out", "another account of the name");
}

#[tokio::test]
async fn sessions_survive_a_restart_and_each_can_be_ended_from_another() {
    let house = house(&[]).await;
    let first = Caller::sign_in(&house, "romeo").await;
    let second = Caller::sign_in(&house, "romeo").await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let house = house.restart().await;
    let moved = |caller: Caller| Caller::stranger(&house).dressed_as(&caller);
    let (first, second, nurse) = (moved(first), moved(second), moved(nurse));
    let listed = first.get("/me/sessions").await.ok();
    let other = listed.as_array().unwrap().iter().find(|one| one["current"] == false).unwrap();
    let path = format!("/me/sessions/{}", other["id"].as_str().unwrap());
    assert_eq!(nurse.delete(&path).await.problem(), "missing", "not somebody else's");
    assert_eq!(first.delete(&path).await.status, 204);
    assert_eq!(second.get("/me").await.problem(), "signed-out");
    first.get("/me").await.ok();
}

#[tokio::test]
async fn all_errors_are_problems_with_the_right_status() {
    let house = house(&[]).await;
    let caller = Caller::sign_in(&house, "romeo").await;
    let json = [("Content-Type", "application/json")];
    let cases = [
        ("GET", "/nothing", &[][..], vec![], 404),
        ("PATCH", "/session", &[], vec![], 405),
        ("POST", "/session", &[("Content-Type", "text/plain")], b"{}".to_vec(), 415),
        ("POST", "/session", &json, b"{".to_vec(), 400),
        ("POST", "/session", &json, b"{}".to_vec(), 422),
        ("POST", "/session", &json, b"{\"user\":\"a\",\"password\":\"b\",\"c\":1}".to_vec(), 422),
        ("POST", "/session", &json, vec![b' '; 300_000], 413),
        ("GET", "/me/sessions/x/y", &[], vec![], 404),
    ];
    for (method, path, headers, body, status) in cases {
        let reply = caller.send(method, path, headers, &body).await;
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        reply.problem();
    }
    let wrong = caller.send("PATCH", "/session", &[], b"").await;
    assert!(wrong.raw.header("allow").unwrap().contains("POST"), "{:?}", wrong.raw.header("allow"));
    let typed = caller.post("/session", &serde_json::json!({ "user": 1, "password": "hunter2" })).await;
    assert_eq!(typed.body["pointer"], "/user");
    assert!(!typed.raw.text().contains("hunter2"));
}
