//! Accounts and groups through the API, and who may touch whom.

use serde_json::{Value, json};
use server::users::{Role, Roles};

use crate::api::{Caller, house};
use crate::house::{PASSWORD, jid};

fn names(page: &Value) -> Vec<&str> {
    let names = page["items"].as_array().unwrap().iter().map(|person| person["address"].as_str().unwrap());
    names.map(|address| address.split('@').next().unwrap()).collect()
}

#[tokio::test]
async fn an_administrator_looks_after_accounts() {
    let house = house(&[]).await;
    house.promote("nurse").await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let new =
        json!({ "user": "Anna", "password": "correct horse", "name": "Anna Berg", "groups": ["Sales"] });
    let anna = nurse.post("/people", &new).await.ok();
    assert_eq!((&anna["address"], &anna["roles"]), (&json!("anna@corp.example"), &json!([])));
    assert_eq!(nurse.post("/people", &new).await.status, 409);
    assert_eq!(names(&nurse.get("/people?limit=2").await.ok()), ["anna", "juliet"]);
    let rest = nurse.get("/people?after=juliet@corp.example&limit=10").await.ok();
    assert_eq!((names(&rest), &rest["next"]), (vec!["nurse", "romeo"], &Value::Null));
    assert_eq!(names(&nurse.get("/people?q=BERG").await.ok()), ["anna"]);
    assert_eq!(names(&nurse.get("/people?group=Sales").await.ok()), ["anna"]);
    assert_eq!(names(&nurse.get("/people?role=admin").await.ok()), ["nurse"]);

    let read = nurse.get("/people/anna@corp.example").await;
    let tag = read.raw.header("etag").unwrap().to_owned();
    let send = |body: Value, tag: String| {
        let nurse = nurse.clone();
        async move {
            let headers = [("Content-Type", "application/json"), ("If-Match", &*tag)];
            nurse.send("PATCH", "/people/anna@corp.example", &headers, body.to_string().as_bytes()).await
        }
    };
    let changed = send(json!({ "title": "Head of sales", "name": null }), tag.clone()).await.ok();
    assert_eq!((&changed["title"], &changed["name"]), (&json!("Head of sales"), &Value::Null));
    assert_eq!(changed["groups"], json!(["Sales"]));
    assert_eq!(send(json!({ "title": "x" }), tag).await.problem(), "changed");

    assert_eq!(nurse.json("PUT", "/groups/Board/members/anna@corp.example", &json!({})).await.status, 204);
    let groups = nurse.get("/groups").await.ok();
    assert_eq!(groups, json!([{ "name": "Board", "members": 1 }, { "name": "Sales", "members": 1 }]));
    assert_eq!(nurse.delete("/groups/Sales/members/anna@corp.example").await.status, 204);
    assert_eq!(nurse.get("/groups/Sales").await.problem(), "missing");

    let disabled = nurse.json("PATCH", "/people/anna@corp.example", &json!({ "enabled": false })).await.ok();
    assert_eq!(disabled["enabled"], false);
    assert_eq!(nurse.delete("/people/anna@corp.example").await.status, 204);
    assert_eq!(nurse.get("/people/anna@corp.example").await.problem(), "missing");
}

#[tokio::test]
async fn an_import_tells_what_became_of_each() {
    let house = house(&[]).await;
    house.promote("nurse").await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let people = json!([
        { "user": "anna", "password": "correct horse" },
        { "user": "anna", "password": "correct horse" },
        { "user": "romeo", "password": "correct horse" },
        { "user": "eve", "password": "correct horse", "roles": ["admin"] },
    ]);
    for dry_run in [true, false] {
        let wish = json!({ "people": people, "dry_run": dry_run });
        let told = nurse.post("/people/import", &wish).await.ok();
        let made: Vec<bool> =
            told.as_array().unwrap().iter().map(|one| one["made"].as_bool().unwrap()).collect();
        assert_eq!(made, [true, false, false, false]);
    }
    assert_eq!(names(&nurse.get("/people").await.ok()), ["anna", "juliet", "nurse", "romeo"]);
}

/// Who may what: each role by itself against each operation. 403 is no; everything else got past the guard.
#[tokio::test]
async fn each_role_may_what_is_its_office_and_nothing_else() {
    let house = house(&[]).await;
    house.server.users().create(&jid("boss"), server::users::NewAccount::new(PASSWORD)).await.unwrap();
    house.promote("boss").await;
    let person = "/people/juliet@corp.example";
    let roles = |roles: Value| json!({ "roles": roles });
    let operations = [
        ("GET", "/me".to_owned(), Value::Null, "user admin auditor officer key-custodian"),
        ("GET", "/status".into(), Value::Null, "admin"),
        ("GET", "/people".into(), Value::Null, "admin auditor officer"),
        ("GET", person.into(), Value::Null, "admin auditor officer"),
        ("GET", "/groups".into(), Value::Null, "admin auditor officer"),
        ("POST", "/people".into(), json!({ "user": "juliet", "password": "x" }), "admin"),
        ("PATCH", person.into(), json!({ "title": "x" }), "admin"),
        ("PUT", format!("{person}/password"), json!({ "password": PASSWORD }), "admin"),
        ("PUT", format!("{person}/roles"), roles(json!(["admin"])), "admin"),
        ("PUT", format!("{person}/roles"), roles(json!([])), "admin"),
        ("PUT", format!("{person}/roles"), roles(json!(["auditor"])), "officer"),
        ("PUT", format!("{person}/password"), json!({ "password": PASSWORD }), "officer"),
        ("PUT", format!("{person}/roles"), roles(json!([])), "officer"),
        ("PUT", "/groups/x/members/juliet@corp.example".into(), json!({}), "admin"),
        ("DELETE", "/groups/x/members/juliet@corp.example".into(), Value::Null, "admin"),
        ("POST", "/people/import".into(), json!({ "people": [] }), "admin"),
        ("GET", "/audit".into(), Value::Null, "auditor officer"),
    ];
    for (method, path, body, may) in operations {
        // Those who may come last, so that what they change is not in the way of the others.
        let mut all = ["user", "admin", "auditor", "officer", "key-custodian"];
        all.sort_by_key(|role| may.split(' ').any(|one| one == *role));
        for role in all {
            let roles: Roles = role.parse().unwrap();
            house.server.users().set_roles(&jid("nurse"), roles).await.unwrap();
            let nurse = Caller::sign_in(&house, "nurse").await;
            let reply = match &body {
                Value::Null => nurse.send(method, &path, &[], b"").await,
                body => nurse.json(method, &path, body).await,
            };
            let expected = may.split(' ').any(|one| one == role);
            assert_eq!(
                reply.status != 403,
                expected,
                "{role}: {method} {path}: {} {}",
                reply.status,
                reply.body
            );
        }
    }
}

#[tokio::test]
async fn nobody_makes_themselves_more_and_the_last_administrator_stays() {
    let house = house(&[]).await;
    house.server.users().set_roles(&jid("nurse"), "admin,officer".parse::<Roles>().unwrap()).await.unwrap();
    let nurse = Caller::sign_in(&house, "nurse").await;
    let own = "/people/nurse@corp.example";
    let more = nurse.json("PUT", &format!("{own}/roles"), &json!({ "roles": ["admin", "auditor"] })).await;
    assert_eq!(more.problem(), "oneself");
    let password = nurse.json("PUT", &format!("{own}/password"), &json!({ "password": "x" })).await;
    assert_eq!(password.problem(), "oneself");
    assert_eq!(nurse.delete(own).await.problem(), "oneself");
    let unknown = nurse.json("PUT", "/people/romeo@corp.example/roles", &json!({ "roles": ["king"] })).await;
    assert_eq!((unknown.status, unknown.body["pointer"].as_str()), (422, Some("/roles/0")));
    let audited = house.server.trail().audited(None, 50).await.unwrap();
    assert!(audited.is_empty(), "what was refused changed nothing");
    nurse.json("PUT", "/people/romeo@corp.example/roles", &json!({ "roles": ["auditor"] })).await.ok();
    let audited = house.server.trail().audited(None, 50).await.unwrap();
    assert_eq!(
        (audited[0].act.deed, audited[0].act.by.to_string()),
        (archive::Deed::Role, "nurse@corp.example".into())
    );

    // Another officer cannot end the only administrator.
    house.appoint("juliet", Role::Officer).await;
    let juliet = Caller::sign_in(&house, "juliet").await;
    let fall = juliet.json("PUT", &format!("{own}/roles"), &json!({ "roles": ["officer"] })).await;
    assert_eq!(fall.problem(), "right");
}

#[tokio::test]
async fn an_administrator_cannot_take_over_who_oversees_others_from_a_client_either() {
    let house = house(&[]).await;
    house.promote("nurse").await;
    house.appoint("juliet", Role::Auditor).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let taken =
        nurse.json("PUT", "/people/juliet@corp.example/password", &json!({ "password": "mine" })).await;
    assert_eq!(taken.problem(), "oversight");
    Caller::sign_in(&house, "juliet").await.get("/audit").await.ok();
}

#[tokio::test]
async fn one_sets_ones_own_password_knowing_the_old_one() {
    let house = house(&[]).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    let wrong =
        romeo.json("PUT", "/me/password", &json!({ "password": "wrong", "new": "battery staple" })).await;
    assert_eq!(wrong.problem(), "credentials");
    let set =
        romeo.json("PUT", "/me/password", &json!({ "password": PASSWORD, "new": "battery staple" })).await;
    assert_eq!(set.status, 204);
    assert_eq!(romeo.get("/me").await.problem(), "signed-out");
    let again = json!({ "user": "romeo", "password": "battery staple" });
    Caller::stranger(&house).post("/session", &again).await.ok();
}

#[tokio::test]
async fn the_consoles_command_in_a_client_cannot_take_over_an_auditor_and_is_on_record() {
    let house = house(&[]).await;
    house.promote("nurse").await;
    house.appoint("juliet", Role::Auditor).await;
    let mut nurse = house.online("nurse", "a").await;
    let form = |who: &str| {
        format!(
            "<command xmlns='http://jabber.org/protocol/commands' \
             node='http://jabber.org/protocol/admin#change-user-password' action='complete' sessionid='SESSION'>\
             <x xmlns='jabber:x:data' type='submit'>\
             <field var='accountjid'><value>{who}@corp.example</value></field>\
             <field var='password'><value>mine-now</value></field></x></command>"
        )
    };
    for (who, may) in [("juliet", false), ("romeo", true)] {
        let begin = "<command xmlns='http://jabber.org/protocol/commands' \
                     node='http://jabber.org/protocol/admin#change-user-password' action='execute'/>";
        let begun = nurse.ask("set", "corp.example", begin).await;
        let session = crate::client::child(&begun, "command", "http://jabber.org/protocol/commands");
        let session = session.attr("sessionid").unwrap().to_owned();
        let answer = nurse.ask("set", "corp.example", &form(who).replace("SESSION", &session)).await;
        assert_eq!(answer.attr("type") == Some("result"), may, "{who}: {}", String::from(&answer));
    }
    let audited = house.server.trail().audited(None, 10).await.unwrap();
    assert_eq!(audited.len(), 1);
    assert_eq!(audited[0].act.details["of"], "romeo@corp.example");
}
