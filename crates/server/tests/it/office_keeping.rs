//! Matters, holds, retention and erasure, by the API.

use archive::erase::check_certificate;
use archive::{Query, Sequence};
use serde_json::{Value, json};
use server::users::{Role, Roles};

use crate::api::{self, Caller};
use crate::files::{self, content, upload};
use crate::house::{DOMAIN, House, jid};
use crate::http::get;

/// What somebody can still read of what was said to and by them.
async fn bodies(house: &House, name: &str) -> Vec<String> {
    let page = house.server.trail().history(&jid(name), &Query::default()).await.unwrap();
    let body = |xml: &[u8]| {
        let xml = String::from_utf8_lossy(xml).into_owned();
        xml.split("<body>").nth(1).map(|rest| rest.split('<').next().unwrap_or_default().to_owned())
    };
    page.items.iter().filter_map(|item| body(&item.stanza)).collect()
}

fn matter(custodian: &str) -> Value {
    json!({
        "name": "The letter", "reason": "A court asked", "custodians": [custodian],
        "readers": [format!("nurse@{DOMAIN}")], "approvals": 1,
    })
}

async fn offices(house: &House) -> (Caller, Caller) {
    house.appoint("nurse", Role::Auditor).await;
    house.appoint("juliet", Role::Officer).await;
    (Caller::sign_in(house, "nurse").await, Caller::sign_in(house, "juliet").await)
}

async fn audited(house: &House) -> Vec<String> {
    let chain = house.server.trail().audited(None, 50).await.unwrap();
    chain
        .iter()
        .rev()
        .map(|entry| {
            let what = entry.act.details["do"].as_str().unwrap_or_default();
            format!("{} {what}", json!(entry.act.deed).as_str().unwrap()).trim_end().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn an_erasure_while_a_hold_is_on_takes_the_rest_and_the_rest_of_that_after_the_release() {
    let house = files::open(&[("LIMITS_REQUESTS_PER_MINUTE", "0")]).await;
    let (nurse, juliet) = offices(&house).await;
    let mut romeo = house.online("romeo", "a").await;
    let say = |to: &str, body: &str| {
        format!("<message to='{to}@{DOMAIN}' type='chat' id='m'><body>{body}</body></message>")
    };
    let plan = upload(&mut romeo, "plan.txt", "text/plain", &content(100)).await;
    romeo.send(&say("juliet", "soft")).await;
    romeo.send(&say("nurse", &format!("look at {}", plan.get))).await;
    romeo.settle().await;
    assert_eq!(get(&plan.get, &[]).await.status, 200);

    let opened = nurse.post("/matters", &matter("juliet")).await.ok();
    assert_eq!(
        (&opened["state"], &opened["custodians"][0]),
        (&json!("unapproved"), &json!("juliet@corp.example"))
    );
    let id = opened["id"].as_str().unwrap();
    let held = nurse.post(&format!("/matters/{id}/holds"), &json!({})).await.ok();
    assert_eq!(held["events"], 1);

    let order = json!({ "person": "romeo", "reason": "He asked for it on Monday" });
    let plan_of_it = juliet.post("/erasures/plan", &order).await.ok();
    assert_eq!(plan_of_it["kept"][0]["hold"], id);
    assert_eq!(bodies(&house, "romeo").await.len(), 2);
    let erased = juliet.post("/erasures", &order).await.ok();
    assert_eq!((&erased["stage"], &erased["files"]), (&json!("certified"), &json!(1)));
    assert_eq!(erased["events"], plan_of_it["events"]);
    assert_eq!(bodies(&house, "romeo").await, ["soft"]);
    assert_eq!(bodies(&house, "nurse").await, [""; 0]);
    assert_eq!(get(&plan.get, &[]).await.status, 410);
    let certificate = erased["certificate"].to_string();
    let certificate = check_certificate(certificate.as_bytes(), &house.server.trail().public_key()).unwrap();
    assert_eq!(certificate["kept"][0]["why"]["hold"], id);

    // Whoever placed a hold does not release it: that is the officer's.
    let hold = held["id"].as_str().unwrap();
    let refused = nurse.post(&format!("/holds/{hold}/release"), &json!({})).await;
    assert_eq!((refused.status, refused.problem()), (403, "right"));
    let released = juliet.post(&format!("/holds/{hold}/release"), &json!({ "note": "settled" })).await.ok();
    assert_eq!(released["released_by"], "juliet@corp.example");
    assert_eq!(bodies(&house, "romeo").await, ["soft"]);
    juliet.post("/erasures", &order).await.ok();
    assert_eq!(bodies(&house, "romeo").await, [""; 0]);
    assert_eq!(juliet.get("/erasures").await.ok().as_array().unwrap().len(), 2);
    let report = archive::verify_sealed(house.vault(), None, |_| {}).await.unwrap();
    assert!(report.is_whole() && report.dropped > 0, "{report:?}");

    // Each step was on record before it was taken.
    let acts = audited(&house).await;
    let expected =
        ["matter open", "hold place", "erase dry-run", "erase erase", "erase", "erase", "hold release"];
    assert_eq!(acts[..expected.len()], expected, "{acts:?}");
}

#[tokio::test]
async fn a_matter_is_approved_by_somebody_else_as_it_was_when_they_read_it() {
    let house = api::house(&[]).await;
    let (nurse, juliet) = offices(&house).await;
    let opened = nurse.post("/matters", &matter("romeo")).await.ok();
    let path = format!("/matters/{}", opened["id"].as_str().unwrap());
    let decision = |version: &Value, granted| json!({ "version": version, "granted": granted });
    let own = nurse.post(&format!("{path}/decisions"), &decision(&opened["version"], true)).await;
    assert_eq!((own.status, own.problem()), (403, "right"));
    let mut wider = matter("romeo");
    wider["custodians"] = json!(["romeo", "juliet"]);
    let change = json!({ "version": opened["version"], "brief": wider });
    let changed = nurse.json("PUT", &path, &change).await.ok();
    let stale = juliet.post(&format!("{path}/decisions"), &decision(&opened["version"], true)).await;
    assert_eq!(stale.problem(), "changed");
    let approved = juliet.post(&format!("{path}/decisions"), &decision(&changed["version"], true)).await.ok();
    assert_eq!(
        (&approved["state"], &approved["given"][0]["by"]),
        (&json!("open"), &json!("juliet@corp.example"))
    );
    let closing = json!({ "version": approved["version"], "closed": true, "note": "done" });
    let closed = nurse.post(&format!("{path}/closings"), &closing).await.ok();
    assert_eq!(closed["state"], "closed");
    let steps: Vec<&str> =
        closed["history"].as_array().unwrap().iter().map(|change| change["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["opened", "changed", "approved", "closed"]);
    let held = nurse.post(&format!("{path}/holds"), &json!({})).await;
    assert_eq!(held.problem(), "conflict", "a closed matter holds nothing new");
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_words_and_nothing_is_done_without_a_record() {
    let house = api::house(&[]).await;
    let (nurse, juliet) = offices(&house).await;
    for (field, wrong) in [
        ("/custodians", json!({ "name": "x", "reason": "x", "custodians": ["@"] })),
        ("/start", json!({ "name": "x", "reason": "x", "custodians": ["romeo"], "start": "yesterday" })),
        ("/question", json!({ "name": "x", "reason": "x", "custodians": ["romeo"], "question": "(open" })),
    ] {
        let refused = nurse.post("/matters", &wrong).await;
        assert_eq!((refused.status, refused.problem()), (422, "invalid"), "{field}");
        assert!(refused.body.to_string().contains(field), "{}", refused.body);
    }
    for wrong in [
        json!({ "name": "x", "reason": " ", "custodians": ["romeo"] }),
        json!({ "name": "x", "reason": "x" }),
        json!({ "name": "x", "reason": "x", "custodian": ["romeo"] }),
    ] {
        assert_eq!(nurse.post("/matters", &wrong).await.status, 422, "{wrong}");
    }
    let rule = |subject: &str, minimum, maximum| json!({ "subject": subject, "minimum": minimum, "maximum": maximum });
    for wrong in
        [rule("all", None, Some(1)), rule("everything", Some(9), Some(3)), rule("everything", None, Some(0))]
    {
        assert_eq!(juliet.json("PUT", "/retention/policies", &wrong).await.status, 422, "{wrong}");
    }
    assert_eq!(juliet.post("/erasures", &json!({ "person": "romeo", "reason": " " })).await.status, 422);
    assert_eq!(nurse.get("/matters/m-none").await.status, 404);
    assert_eq!(nurse.get("/matters").await.ok(), json!([]));

    house.break_audit().await;
    let refused = nurse.post("/matters", &matter("romeo")).await;
    assert_eq!((refused.status, refused.problem()), (503, "unrecorded"));
    let refused = juliet.post("/erasures", &json!({ "person": "romeo", "reason": "x" })).await;
    assert_eq!((refused.status, refused.problem()), (503, "unrecorded"));
    assert_eq!(nurse.get("/matters").await.ok(), json!([]));
}

#[tokio::test]
async fn retention_is_set_looked_at_and_carried_out_by_officers() {
    let house = api::house(&[]).await;
    let (nurse, juliet) = offices(&house).await;
    let rule = json!({ "subject": "everything", "maximum": 365, "reason": "The works council's agreement" });
    let refused = nurse.json("PUT", "/retention/policies", &rule).await;
    assert_eq!((refused.status, refused.problem()), (403, "right"));
    let set = juliet.json("PUT", "/retention/policies", &rule).await.ok();
    assert_eq!((&set[0]["subject"], &set[0]["maximum"]), (&json!("everything"), &json!(365)));
    assert_eq!(set[0]["by"], "juliet@corp.example");
    let mut romeo = house.online("romeo", "a").await;
    romeo.send(&format!("<message to='nurse@{DOMAIN}' type='chat' id='m'><body>soft</body></message>")).await;
    romeo.settle().await;
    assert_eq!(juliet.post("/retention/plan", &json!({})).await.ok()["events"], 0);
    let done = juliet.post("/retention/run", &json!({})).await.ok();
    assert_eq!((&done["events"], &done["stage"]), (&json!(0), &json!("certified")));
    assert_eq!(bodies(&house, "nurse").await, ["soft"]);
    let none = json!({ "subject": "everything" });
    assert_eq!(juliet.json("PUT", "/retention/policies", &none).await.ok(), json!([]));
}

#[tokio::test]
async fn each_right_is_asked_for() {
    let house = api::house(&[]).await;
    house.server.users().set_roles(&jid("nurse"), Roles::from(Role::Admin)).await.unwrap();
    let admin = Caller::sign_in(&house, "nurse").await;
    for path in ["/matters", "/holds", "/retention/policies", "/erasures"] {
        let refused = admin.get(path).await;
        assert_eq!((refused.status, refused.problem()), (403, "right"), "{path}");
    }
    for path in ["/retention/plan", "/retention/run"] {
        assert_eq!(admin.post(path, &json!({})).await.problem(), "right", "{path}");
    }
    let order = json!({ "person": "romeo", "reason": "x" });
    for path in ["/erasures", "/erasures/plan"] {
        assert_eq!(admin.post(path, &order).await.problem(), "right", "{path}");
    }
    assert_eq!(admin.post("/matters", &matter("romeo")).await.problem(), "right");
    assert_eq!(house.server.trail().audited(None, 10).await.unwrap().len(), 0, "what is refused is not done");
    let head = house.vault().store().head().await.unwrap();
    assert!(head.is_none_or(|head| head.sequence < Sequence(100)));
}
