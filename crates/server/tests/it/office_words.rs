//! The lock on other people's words: right, matter, second person, emergency; and always the record first.

use archive::{Brief, Deed, Scope};
use serde_json::json;
use server::office::{Actor, Basis, Credentials, Entry, Plea, Refusal, Right};
use server::users::{Role, Roles};

use crate::api::house;
use crate::client::child;
use crate::house::{House, PASSWORD, jid};

async fn actor(house: &House, name: &str) -> Actor {
    let credentials = Credentials { user: name.into(), password: PASSWORD.to_owned().into(), code: None };
    house.server.office().for_one_command(&credentials).await.unwrap()
}

fn search() -> Entry {
    Entry { deed: Deed::Search, details: json!({ "question": "poison" }) }
}

/// A matter about Romeo that the nurse reads and Juliet opened.
async fn matter(house: &House) -> String {
    let scope = Scope { custodians: vec![jid("romeo")], ..Scope::default() };
    let brief = Brief {
        name: "The apothecary".into(),
        reason: "poison was sold".into(),
        scope,
        readers: vec![jid("nurse")],
        approvals: 0,
    };
    house.server.trail().matters().open(brief, &jid("juliet").into()).await.unwrap().value.id
}

#[tokio::test]
async fn reading_needs_the_right_and_a_matter_that_one_is_in() {
    let house = house(&[]).await;
    let office = house.server.office();
    let plea = Plea::Matter(matter(&house).await);
    for roles in ["user", "admin", "officer", "key-custodian"] {
        house.server.users().set_roles(&jid("nurse"), roles.parse::<Roles>().unwrap()).await.unwrap();
        let refused = office.warrant(&actor(&house, "nurse").await, Right::ReadWords, &plea, search()).await;
        assert_eq!(refused.err(), Some(Refusal::Right(Right::ReadWords)), "{roles}");
    }
    let operator = office.operator("root");
    let refused = office.warrant(&operator, Right::ReadWords, &plea, search()).await.err();
    assert_eq!(refused, Some(Refusal::Operator(Right::ReadWords)));
    assert!(house.server.trail().audited(None, 10).await.unwrap().is_empty());

    for name in ["nurse", "romeo"] {
        house.appoint(name, Role::Auditor).await;
    }
    let warrant =
        office.warrant(&actor(&house, "nurse").await, Right::ReadWords, &plea, search()).await.unwrap();
    assert!(matches!(warrant.basis(), Basis::Matter(matter) if matter.brief.reason == "poison was sold"));
    let entry = house.server.trail().audited(None, 1).await.unwrap().remove(0);
    assert_eq!((entry.act.by.to_string(), entry.act.deed), ("nurse@corp.example".into(), Deed::Search));
    assert_eq!(entry.act.details, json!({ "question": "poison" }));
    // Who is not in it does not learn that there is one.
    let outside =
        office.warrant(&actor(&house, "romeo").await, Right::ReadWords, &plea, search()).await.err();
    let nothing = Plea::Matter("m-nothing".into());
    let unknown =
        office.warrant(&actor(&house, "romeo").await, Right::ReadWords, &nothing, search()).await.err();
    assert!(matches!((outside, unknown), (Some(Refusal::Matter(_)), Some(Refusal::Matter(_)))));
}

#[tokio::test]
async fn without_a_record_there_is_no_warrant() {
    let house = house(&[]).await;
    let plea = Plea::Matter(matter(&house).await);
    house.appoint("nurse", Role::Auditor).await;
    let nurse = actor(&house, "nurse").await;
    house.break_audit().await;
    let refused = house.server.office().warrant(&nurse, Right::ReadWords, &plea, search()).await.err();
    assert_eq!(refused, Some(Refusal::Unrecorded));
}

#[tokio::test]
async fn a_second_person_approves_where_that_is_wanted_and_it_is_not_oneself() {
    let house = house(&[("COMPLIANCE_SECOND_APPROVAL", "true")]).await;
    let office = house.server.office();
    let matters = house.server.trail().matters();
    house.appoint("nurse", Role::Auditor).await;
    let nurse = actor(&house, "nurse").await;
    let id = matter(&house).await;
    let plea = Plea::Matter(id.clone());
    let waits = |refusal: Option<Refusal>| refusal.is_some_and(|refusal| refusal.code() == "unapproved");
    assert!(waits(office.warrant(&nurse, Right::ReadWords, &plea, search()).await.err()));
    let version = matters.get(&id).await.unwrap().version;
    let own = matters.decide(&id, version, &jid("nurse").into(), true, None).await.unwrap();
    assert!(waits(office.warrant(&nurse, Right::ReadWords, &plea, search()).await.err()), "the reader's own");
    let approved = matters.decide(&id, own.version, &jid("romeo").into(), true, None).await.unwrap();
    office.warrant(&nurse, Right::ReadWords, &plea, search()).await.unwrap();
    // Widened, it is another matter.
    let mut brief = approved.value.brief.clone();
    brief.scope.custodians.push(jid("juliet"));
    matters.change(&id, approved.version, brief, &jid("juliet").into()).await.unwrap();
    assert!(waits(office.warrant(&nurse, Right::ReadWords, &plea, search()).await.err()));
}

#[tokio::test]
async fn breaking_the_glass_is_loud_and_on_record() {
    let house = house(&[("COMPLIANCE_BREAK_GLASS", "admin")]).await;
    let office = house.server.office();
    house.appoint("juliet", Role::Officer).await;
    house.promote("nurse").await;
    let mut juliet = house.online("juliet", "a").await;
    let nurse = actor(&house, "nurse").await;
    let because = |reason: &str| Plea::Emergency(reason.to_owned());
    let short = office.warrant(&nurse, Right::ReadWords, &because("bored"), search()).await.err().unwrap();
    assert_eq!(short.code(), "invalid");
    let romeo = actor(&house, "romeo").await;
    let stranger =
        office.warrant(&romeo, Right::ReadWords, &because("I am curious now"), search()).await.err();
    assert_eq!(stranger, Some(Refusal::BreakGlass));
    assert!(house.server.trail().audited(None, 10).await.unwrap().is_empty());

    let plea = because("A threat against the school, tonight");
    let warrant = office.warrant(&nurse, Right::ReadWords, &plea, search()).await.unwrap();
    assert!(matches!(warrant.basis(), Basis::Emergency(reason) if reason.contains("school")));
    let told = juliet.next().await;
    assert_eq!(told.attr("from"), Some("corp.example"));
    let body = child(&told, "body", "jabber:client").text();
    assert!(body.contains("nurse@corp.example") && body.contains("threat against the school"), "{body}");
    let entries = house.server.trail().audited(None, 10).await.unwrap();
    let deeds: Vec<Deed> = entries.iter().map(|entry| entry.act.deed).collect();
    assert_eq!(deeds, [Deed::Search, Deed::BreakGlass]);
    let known = server::office::emergencies(house.vault()).await.unwrap();
    assert!(known.len() == 1 && known[0].told);
}

#[tokio::test]
async fn by_default_nobody_breaks_the_glass() {
    let house = house(&[]).await;
    house.server.users().set_roles(&jid("nurse"), "admin,officer".parse::<Roles>().unwrap()).await.unwrap();
    let nurse = actor(&house, "nurse").await;
    let plea = Plea::Emergency("A threat against the school, tonight".into());
    for actor in [nurse, house.server.office().operator("root")] {
        let refused = house.server.office().warrant(&actor, Right::ReadWords, &plea, search()).await.err();
        assert_eq!(refused, Some(Refusal::BreakGlass));
    }
}
