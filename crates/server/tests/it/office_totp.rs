//! The second factor (RFC 6238): set up, asked for, used once, recovered from, and wanted by roles.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use server::users::Role;
use sha1::Sha1;

use crate::api::{Caller, house};
use crate::house::{House, PASSWORD, jid};

/// What an authenticator shows now, or some steps from now.
pub fn code(secret: &str, ahead: i64) -> String {
    let mut bits = Vec::new();
    for letter in secret.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter).unwrap();
        bits.extend((0..5).rev().map(|bit| value >> bit & 1));
    }
    let bytes = bits.chunks_exact(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8));
    let bytes: Vec<u8> = bytes.collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let step = now as i64 / 30 + ahead;
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&bytes).unwrap();
    mac.update(&step.to_be_bytes());
    let tag = mac.finalize().into_bytes();
    let at = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Sets a factor up; the secret and the recovery codes.
pub async fn enrol(caller: &Caller) -> (String, Vec<String>) {
    let begun = caller.post("/me/totp", &json!({ "password": PASSWORD })).await.ok();
    let secret = begun["secret"].as_str().unwrap().to_owned();
    assert!(begun["uri"].as_str().unwrap().contains(&secret));
    // A step back, so that the present one is still good for a sign-in.
    let confirmed = caller.post("/me/totp/confirmation", &json!({ "code": code(&secret, -1) })).await.ok();
    let codes = confirmed["recovery_codes"].as_array().unwrap();
    (secret, codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect())
}

async fn sign_in(house: &House, name: &str, code: Option<&str>) -> crate::api::Reply {
    let mut wish = json!({ "user": name, "password": PASSWORD });
    if let Some(code) = code {
        wish["code"] = code.into();
    }
    Caller::stranger(house).post("/session", &wish).await
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    let wrong = romeo.post("/me/totp", &json!({ "password": "wrong" })).await;
    assert_eq!(wrong.problem(), "credentials");
    let (secret, recovery) = enrol(&romeo).await;
    assert_eq!(romeo.get("/me/totp").await.ok(), json!({ "on": true, "recovery_codes_left": 10 }));
    assert_eq!(romeo.post("/me/totp", &json!({ "password": PASSWORD })).await.status, 409);

    assert_eq!(sign_in(&house, "romeo", None).await.problem(), "second-factor");
    assert_eq!(sign_in(&house, "romeo", Some("000000x")).await.problem(), "wrong-code");
    let now = code(&secret, 0);
    assert_eq!(sign_in(&house, "romeo", Some(&now)).await.status, 201);
    assert_eq!(sign_in(&house, "romeo", Some(&now)).await.problem(), "wrong-code", "used before");
    assert_eq!(sign_in(&house, "romeo", Some(&code(&secret, -1))).await.problem(), "wrong-code", "older");

    let upper = recovery[0].to_uppercase();
    assert_eq!(sign_in(&house, "romeo", Some(&upper)).await.status, 201);
    assert_eq!(sign_in(&house, "romeo", Some(&recovery[0])).await.problem(), "wrong-code", "used before");
    assert_eq!(romeo.get("/me/totp").await.ok()["recovery_codes_left"], 9);
    // Nobody else's are good, and XMPP clients sign in by password as before.
    assert_eq!(sign_in(&house, "juliet", None).await.status, 201);
    house.bind("romeo", "a").await;

    let removal = json!({ "password": PASSWORD, "code": recovery[1] });
    assert_eq!(romeo.post("/me/totp/removal", &removal).await.status, 204);
    assert_eq!(sign_in(&house, "romeo", None).await.status, 201);
}

#[tokio::test]
async fn codes_cannot_be_guessed_even_with_the_right_password() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    let (secret, _) = enrol(&romeo).await;
    let mut last = String::new();
    for _ in 0..8 {
        last = sign_in(&house, "romeo", Some("123123")).await.problem().to_owned();
    }
    assert_eq!(last, "too-many");
    let right = sign_in(&house, "romeo", Some(&code(&secret, 0))).await;
    assert_eq!((right.status, right.problem()), (429, "too-many"));
}

#[tokio::test]
async fn roles_sleep_until_the_second_factor_is_shown_where_that_is_wanted() {
    let house = house(&[("COMPLIANCE_SECOND_FACTOR", "true")]).await;
    house.appoint("nurse", Role::Officer).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let me = nurse.get("/me").await.ok();
    assert_eq!((&me["roles"], &me["asleep"]), (&json!([]), &json!(["officer"])));
    assert_eq!(nurse.get("/audit").await.problem(), "second-factor-wanted");
    let (secret, _) = enrol(&nurse).await;
    nurse.get("/audit").await.ok();
    let mut again = Caller::stranger(&house);
    let reply = sign_in(&house, "nurse", Some(&code(&secret, 0))).await;
    let me: Value = again.keep(reply);
    assert_eq!(me["roles"], json!(["officer"]));
    again.get("/audit").await.ok();
}

#[tokio::test]
async fn whoever_lost_the_factor_gets_it_reset_and_that_is_on_record() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    enrol(&romeo).await;
    let office = house.server.office();
    office.reset_factor(&office.operator("root"), &jid("romeo")).await.unwrap();
    assert_eq!(sign_in(&house, "romeo", None).await.status, 201);
    let last = house.server.trail().audited(None, 1).await.unwrap().remove(0);
    assert_eq!(last.act.details["second_factor"], "reset");
    assert_eq!(last.act.by.to_string(), "corp.example/root");
}

#[tokio::test]
async fn another_account_of_the_name_has_no_factor() {
    let house = house(&[]).await;
    enrol(&Caller::sign_in(&house, "romeo").await).await;
    house.server.remove(&jid("romeo")).await.unwrap();
    house.server.users().create(&jid("romeo"), server::users::NewAccount::new(PASSWORD)).await.unwrap();
    assert_eq!(sign_in(&house, "romeo", None).await.status, 201);
}
