//! Exports: under an approved matter, on record before the first byte, and proven to whoever has the public key.

use std::path::PathBuf;

use archive::export::{ExportReport, verify_export};
use archive::{Approval, Brief, Matter, Scope};
use serde_json::json;
use server::users::Role;
use vault::{Expect, Micros, Write};

use crate::api::{Caller, Reply, house};
use crate::files;
use crate::house::{House, jid};

/// A matter about Romeo of which the nurse is the reader. With `approved`, Juliet has approved it.
async fn matter(house: &House, question: Option<&str>, approved: bool) {
    let approval = Approval { by: jid("juliet").into(), at: Micros::now(), granted: true, note: None };
    let matter = Matter {
        id: "m1".into(),
        brief: Brief {
            name: "The feud".into(),
            reason: "a complaint".into(),
            scope: Scope {
                custodians: vec![jid("romeo")],
                question: question.map(str::to_owned),
                ..Scope::default()
            },
            readers: vec![jid("nurse")],
            approvals: 1,
        },
        opened_by: jid("romeo").into(),
        opened_at: Micros::now(),
        given: approved.then_some(approval).into_iter().collect(),
        closed: false,
        history: Vec::new(),
    };
    house.vault().apply(vec![Write::put("", "m1", &matter, Expect::Any).unwrap()]).await.unwrap();
}

async fn export(caller: &Caller, form: &str) -> Reply {
    caller.post("/exports", &json!({ "matter": "m1", "form": form })).await
}

fn examine(folder: &tempfile::TempDir, house: &House, reply: &Reply) -> (PathBuf, ExportReport) {
    assert_eq!(
        (reply.status, reply.raw.header("content-type")),
        (200, Some("application/zip")),
        "{}",
        reply.body
    );
    let path = folder.path().join("export.zip");
    std::fs::write(&path, &reply.raw.body).unwrap();
    let key = archive::public_key(house.vault());
    let report = verify_export(&path, &key, |_, _| {}).unwrap();
    (path, report)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_matter_covers_goes_out_with_its_files_and_verifies() {
    let house = files::open(&[("LIMITS_REQUESTS_PER_MINUTE", "0")]).await;
    house.appoint("nurse", Role::Auditor).await;
    matter(&house, None, true).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    let slot = files::upload(&mut romeo, "plan.pdf", "application/pdf", &files::content(200_000)).await;
    let message =
        format!("<message to='juliet@corp.example' type='chat' id='p'><body>{}</body></message>", slot.get);
    romeo.send(&message).await;
    juliet.until(|stanza| stanza.name() == "message").await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    let folder = tempfile::tempdir().unwrap();
    for form in ["jsonl", "csv", "html", "eml", "rsmf"] {
        let reply = export(&nurse, form).await;
        let (path, report) = examine(&folder, &house, &reply);
        assert!(report.is_whole(), "{form}: {:?}", report.faults);
        let counts = &report.manifest.unwrap().counts;
        assert_eq!((counts.attachments, counts.attachment_bytes), (1, 200_000), "{form}");
        assert_eq!(report.proven, counts.events);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let key = archive::public_key(house.vault());
        assert!(verify_export(&path, &key, |_, _| {}).map_or(true, |report| !report.is_whole()), "{form}");
    }
    // Who exported what is on record, before and after.
    let audit = nurse.get("/audit?deed=export&limit=2").await.ok();
    assert_eq!(audit["items"][1]["details"]["form"], "rsmf");
    assert_eq!(audit["items"][1]["matter"], "m1");
    assert_eq!(audit["items"][0]["details"]["made"]["attachments"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_narrows_an_export() {
    let house = house(&[]).await;
    house.appoint("nurse", Role::Auditor).await;
    matter(&house, Some("dagger"), true).await;
    let (mut romeo, mut juliet) = house.friends("romeo", "juliet").await;
    for words in ["the dagger", "the lark"] {
        romeo
            .send(&format!("<message to='juliet@corp.example' type='chat'><body>{words}</body></message>"))
            .await;
        juliet.until(|stanza| stanza.name() == "message").await;
    }
    let nurse = Caller::sign_in(&house, "nurse").await;
    let folder = tempfile::tempdir().unwrap();
    let (_, report) = examine(&folder, &house, &export(&nurse, "jsonl").await);
    assert!(report.is_whole(), "{:?}", report.faults);
    assert_eq!(report.manifest.unwrap().counts.events, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_without_the_right_the_approval_and_the_record() {
    let house = house(&[]).await;
    matter(&house, None, false).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    assert_eq!(export(&nurse, "csv").await.status, 403);
    house.appoint("nurse", Role::Auditor).await;
    let nurse = Caller::sign_in(&house, "nurse").await;
    assert_eq!(export(&nurse, "csv").await.status, 403, "not approved");
    matter(&house, None, true).await;
    assert_eq!(export(&nurse, "csv").await.status, 200);
    house.appoint("romeo", Role::Auditor).await;
    let romeo = Caller::sign_in(&house, "romeo").await;
    assert!(export(&romeo, "csv").await.status >= 400, "not a reader of the matter");
    assert_eq!(export(&nurse, "pdf").await.status, 422);
    house.break_audit().await;
    assert_eq!(export(&nurse, "csv").await.status, 503, "not on record");
}
