//! An export says what the archive holds, and whoever has the public key can tell.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archive::export::{
    Attachment, Attachments, Choice, Content, Destination, ExportError, ExportFault, ExportReport, Form,
    Manifest, Order, verify_export,
};
use archive::{Conversation, Item, Ledger, Options, Selection};
use async_trait::async_trait;
use bytes::Bytes;
use common::{Trail, bare, draft, master};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};
use vault::Vault;

/// Every word `file:NAME` links to a file of that name.
struct Files;

fn content(name: &str) -> Vec<u8> {
    name.repeat(50_000).into_bytes()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl Attachments for Files {
    async fn of(&self, item: &Item) -> archive::Result<Vec<Attachment>> {
        let stanza = String::from_utf8_lossy(&item.stanza).into_owned();
        let Some((_, rest)) = stanza.split_once("file:") else { return Ok(Vec::new()) };
        let name = rest.split(['<', ' ']).next().unwrap().to_owned();
        let erased = name.starts_with("gone");
        Ok(vec![Attachment {
            media_type: Some("application/octet-stream".into()),
            size: content(&name).len() as u64,
            sha256: if erased { String::new() } else { hex(Sha256::digest(content(&name))) },
            url: format!("https://corp.example/upload/{name}"),
            erased,
            key: name.clone(),
            name,
            ..Attachment::default()
        }])
    }

    async fn open(&self, attachment: &Attachment) -> archive::Result<Option<Box<dyn Content>>> {
        Ok(Some(Box::new(Pieces(content(&attachment.key)))))
    }
}

struct Pieces(Vec<u8>);

#[async_trait]
impl Content for Pieces {
    async fn next(&mut self) -> archive::Result<Option<Bytes>> {
        let piece: Vec<u8> = self.0.drain(..self.0.len().min(10_000)).collect();
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

const ROMEO: &str = "romeo@corp.example";

/// An archive in which Romeo has said ten of twenty-five things, over five checkpoints.
async fn company(data: &Path) -> Trail {
    let options = Options { checkpoint_events: 5, ..Options::default() };
    let mut trail = Trail::with(Vault::open(data, master()).await.unwrap(), options).await;
    for n in 0..5 {
        trail
            .say("romeo@corp.example/a", "juliet@corp.example", &format!("one {n} &lt;&amp;&gt; =1+1"))
            .await;
        trail.say("nurse@corp.example/a", "peter@corp.example", &format!("secret {n}")).await;
        let words =
            if n == 2 { "see file:plan.pdf" } else { "\u{202e}&lt;script&gt;alert(1)&lt;/script&gt;" };
        trail.say("romeo@corp.example/a", "juliet@corp.example", words).await;
        trail.say("nurse@corp.example/a", "peter@corp.example", "more").await;
        trail.store(room(&format!("in the room {n}"))).await;
    }
    trail
}

fn room(words: &str) -> archive::Draft {
    let mut draft = draft("romeo@corp.example/a", "hall@conference.corp.example", words);
    draft.owners = [bare("hall@conference.corp.example")].into_iter().collect();
    draft.conversation = Conversation::Room(bare("hall@conference.corp.example"));
    draft.stanza = format!(
        "<message xmlns='jabber:client' type='groupchat' from='hall@conference.corp.example/Romeo' id='r'><body>{words}</body></message>"
    )
    .into();
    draft
}

fn order(form: Form) -> Order<'static> {
    Order {
        title: "Case <1>".into(),
        form,
        selection: Selection { owners: vec![bare(ROMEO)], happenings: true, ..Selection::default() },
        question: None,
        by: "auditor@corp.example".into(),
        matter: None,
        choose: &|_| Choice::Take,
        attachments: &Files,
        progress: &|_, _| {},
    }
}

async fn zipped(trail: &Trail, order: Order<'_>, to: &Path) -> Manifest {
    let mut file = tokio::fs::File::create(to).await.unwrap();
    let manifest = trail.archive.export(order, Destination::Zip(&mut file)).await.unwrap();
    file.sync_all().await.unwrap();
    manifest
}

fn examine(path: &Path, key: &[u8; 32]) -> ExportReport {
    verify_export(path, key, |_, _| {}).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_every_form_is_proven_with_the_public_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let trail = company(&folder.path().join("data")).await;
    let key = trail.archive.public_key();
    for form in Form::ALL {
        let zip = folder.path().join(format!("{}.zip", form.name()));
        let manifest = zipped(&trail, order(form), &zip).await;
        assert_eq!((manifest.counts.events, manifest.counts.attachments), (10, 1), "{form:?}");
        let unpacked = folder.path().join(form.name());
        trail.archive.export(order(form), Destination::Folder(unpacked.clone())).await.unwrap();
        for path in [zip, unpacked] {
            let report = examine(&path, &key);
            assert!(report.is_whole(), "{form:?}: {:?}", report.faults);
            assert_eq!((report.proven, report.unplaced), (10, 0), "{form:?}");
            // Another key has signed nothing of it.
            let mut other = [0x66; 32];
            other[0] = 0x58;
            let faults = examine(&path, &other).faults;
            assert!(faults.contains(&ExportFault::Unsigned), "{form:?}");
            assert!(faults.contains(&ExportFault::Unproven(1)), "{form:?}");
        }
    }
    trail.close().await;
    // Nobody needs the archive to verify.
    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    assert!(examine(&folder.path().join("csv.zip"), &key).is_whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_said_is_not_in_an_export_and_neither_are_their_pseudonyms() {
    let folder = tempfile::tempdir().unwrap();
    let trail = company(&folder.path().join("data")).await;
    let out = folder.path().join("out");
    trail.archive.export(order(Form::Jsonl), Destination::Folder(out.clone())).await.unwrap();
    let nurse = trail.vault.blind("owner", &["nurse@corp.example"]);
    let pseudonym = format!("{nurse:?}");
    for (name, bytes) in files(&out) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("nurse") && !text.contains("secret"), "{name}");
        assert!(!text.contains(&pseudonym), "{name}");
    }
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_is_counted_with_why() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = company(&folder.path().join("data")).await;
    trail.say("juliet@corp.example/a", ROMEO, "erased later").await;
    trail.say("tybalt@corp.example/a", ROMEO, "see file:gone.txt").await;
    let event = trail.vault.store().events(vec![archive::Sequence(26)]).await.unwrap().remove(0);
    trail.vault.destroy_keys(&[event.key]).await.unwrap();
    let privileged = |item: &Item| match String::from_utf8_lossy(&item.stanza).contains("one 3") {
        true => Choice::Withhold("privileged"),
        false => Choice::Take,
    };
    let zip = folder.path().join("out.zip");
    let manifest = zipped(&trail, Order { choose: &privileged, ..order(Form::Csv) }, &zip).await;
    let left_out = BTreeMap::from([("erased".to_owned(), 2), ("privileged".to_owned(), 1)]);
    assert_eq!(manifest.counts.left_out, left_out);
    assert_eq!(manifest.counts.events, 10);
    let report = examine(&zip, &trail.archive.public_key());
    assert!(report.is_whole(), "{:?}", report.faults);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_without_a_word_gives_an_export_without_events() {
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail::open(&folder.path().join("data")).await;
    for form in Form::ALL {
        let zip = folder.path().join("out.zip");
        assert_eq!(zipped(&trail, order(form), &zip).await.counts.events, 0);
        let report = examine(&zip, &trail.archive.public_key());
        assert!(report.is_whole(), "{:?}", report.faults);
    }
    let full = trail.archive.export(order(Form::Csv), Destination::Folder(folder.path().into())).await;
    assert!(matches!(full, Err(ExportError::NotEmpty)));
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_words_stay_words_in_a_transcript_and_in_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(&folder.path().join("data")).await;
    let mut formula = draft("romeo@corp.example/a", "juliet@corp.example", "");
    formula.stanza =
        "<message xmlns='jabber:client'><body>=HYPERLINK(\"http://evil\")</body></message>".into();
    trail.store(formula).await;
    let mut script = draft("romeo@corp.example/a", "juliet@corp.example", "");
    script.stanza = "<message xmlns='jabber:client' id='\"onload=x'><body>&lt;script&gt;alert(1)&lt;/script&gt; \u{202e}txt</body></message>".into();
    trail.store(script).await;

    let out = folder.path().join("html");
    trail.archive.export(order(Form::Html), Destination::Folder(out.clone())).await.unwrap();
    let html = std::fs::read_to_string(out.join("transcript.html")).unwrap();
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt; [U+202E]txt"), "{html}");
    assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains("\"onload"));
    let out = folder.path().join("csv");
    trail.archive.export(order(Form::Csv), Destination::Folder(out.clone())).await.unwrap();
    let csv = std::fs::read_to_string(out.join("events.csv")).unwrap();
    assert!(csv.contains("\"'=HYPERLINK(\"\"http://evil\"\")\""), "{csv}");
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_what_was_said_is_an_event_of_the_export() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(&folder.path().join("data")).await;
    for payload in [
        "<body>first</body>",
        "<body>second</body><replace xmlns='urn:xmpp:message-correct:0' id='m'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>👍</reaction></reactions>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m'/>",
    ] {
        let mut said = draft("romeo@corp.example/a", "juliet@corp.example", "");
        said.stanza = format!("<message xmlns='jabber:client' id='m'>{payload}</message>").into();
        trail.store(said).await;
    }
    let mut joined = draft("romeo@corp.example/a", "hall@conference.corp.example", "");
    joined.ledger = Ledger::Happenings;
    joined.stanza = "<presence xmlns='jabber:client' from='hall@conference.corp.example/R'/>".into();
    trail.store(joined).await;
    let out = folder.path().join("out");
    trail.archive.export(order(Form::Jsonl), Destination::Folder(out.clone())).await.unwrap();
    let lines = std::fs::read_to_string(out.join("events.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "correction", "reaction", "retraction", "happening"]);
    assert_eq!(lines[0]["body"], "first");
    assert_eq!((&lines[1]["changes"]["id"], &lines[1]["body"]), (&"m".into(), &"second".into()));
    assert_eq!(lines[2]["changes"]["reactions"][0], "👍");
    assert_eq!(
        (&lines[4]["room"], &lines[4]["conversation"]),
        (&true.into(), &"hall@conference.corp.example".into())
    );
    assert_eq!(lines[0]["from"], "romeo@corp.example/a");
    trail.close().await;
}

/// All files of a folder, by name.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn write(root: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

/// What is found after a change of an export's files, as a folder and as a ZIP.
fn tampered(
    root: &Path,
    key: &[u8; 32],
    change: impl Fn(&mut BTreeMap<String, Vec<u8>>),
) -> Vec<ExportFault> {
    let mut all = files(root);
    change(&mut all);
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("out");
    write(&folder, &all);
    let path = scratch.path().join("out.zip");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, bytes) in &all {
        zip.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    zip.finish().unwrap();
    let faults = examine(&folder, key).faults;
    assert_eq!(examine(&path, key).faults.len(), faults.len());
    faults
}

/// The lines of a file, changed.
fn lines(files: &mut BTreeMap<String, Vec<u8>>, name: &str, change: impl Fn(&mut Vec<String>)) {
    let text = String::from_utf8(files[name].clone()).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    change(&mut lines);
    files.insert(name.to_owned(), lines.concat().into_bytes());
}

async fn exports(folder: &Path) -> ([u8; 32], SigningKey, Vec<(Form, PathBuf)>) {
    let trail = company(&folder.join("data")).await;
    let mut all = Vec::new();
    for form in Form::ALL {
        let out = folder.join(form.name());
        trail.archive.export(order(form), Destination::Folder(out.clone())).await.unwrap();
        all.push((form, out));
    }
    let key = trail.archive.public_key();
    let secret = SigningKey::from_bytes(&trail.vault.derive("checkpoint"));
    trail.close().await;
    (key, secret, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tampering_with_an_export_is_found_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let (key, _, all) = exports(folder.path()).await;
    for (form, out) in all {
        assert_eq!(tampered(&out, &key, |_| {}), [], "{form:?}");
        let names: Vec<String> = files(&out).into_keys().collect();
        for name in &names {
            let changed = tampered(&out, &key, |files| {
                let bytes = files.get_mut(name).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            });
            assert!(!changed.is_empty(), "{form:?}: {name} changed");
            let cut = tampered(&out, &key, |files| {
                let bytes = files.get_mut(name).unwrap();
                bytes.truncate(bytes.len() / 2);
            });
            assert!(!cut.is_empty(), "{form:?}: {name} cut");
            if !name.starts_with("manifest") && name != "SHA256SUMS" {
                let gone = tampered(&out, &key, |files| _ = files.remove(name));
                assert!(
                    gone.contains(&ExportFault::Missing(name.clone())),
                    "{form:?}: {name} removed: {gone:?}"
                );
            }
        }
        let added = tampered(&out, &key, |files| _ = files.insert("more.txt".into(), b"words".into()));
        assert_eq!(added, [ExportFault::Added("more.txt".into())], "{form:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_dropped_added_or_reordered_in_the_words_or_the_proof_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let (key, secret, all) = exports(folder.path()).await;
    for (form, out) in all {
        let readable = files(&out)
            .into_keys()
            .find(|name| name.starts_with("events.") || name.starts_with("transcript"));
        for name in readable.into_iter().chain(["proof/000001.jsonl".to_owned()]) {
            for change in [
                |lines: &mut Vec<String>| _ = lines.remove(3),
                |lines: &mut Vec<String>| lines.insert(3, lines[4].clone()),
                |lines: &mut Vec<String>| lines.swap(3, 4),
            ] {
                let faults = tampered(&out, &key, |files| lines(files, &name, change));
                assert!(faults.contains(&ExportFault::Changed(name.clone())), "{form:?}: {faults:?}");
                // And not only by the signature: what is to be read follows from the proof, and the proof from the chain.
                let faults = tampered(&out, &key, |files| {
                    lines(files, &name, change);
                    sign_anew(files, &secret);
                });
                assert!(!faults.is_empty(), "{form:?}: {name} signed anew");
            }
        }
    }
}

/// Signs an export anew, as whoever holds the archive's key can.
fn sign_anew(files: &mut BTreeMap<String, Vec<u8>>, secret: &SigningKey) {
    let list: String = files
        .iter()
        .filter(|(name, _)| !name.starts_with("manifest") && *name != "SHA256SUMS")
        .map(|(name, bytes)| format!("{}  {name}\n", hex(Sha256::digest(bytes))))
        .collect();
    let mut manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    manifest["list_sha256"] = hex(Sha256::digest(&list)).into();
    manifest["files"] = list.lines().count().into();
    let text = serde_json::to_vec(&manifest).unwrap();
    let statement = [b"chancery export 1".as_slice(), &Sha256::digest(&text)].concat();
    files.insert("manifest.sig".into(), hex(secret.sign(&statement).to_bytes()).into_bytes());
    files.insert("manifest.json".into(), text);
    files.insert("SHA256SUMS".into(), list.into_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_who_holds_the_key_can_put_other_words_into_an_export_later() {
    let folder = tempfile::tempdir().unwrap();
    let (key, secret, all) = exports(folder.path()).await;
    for (form, out) in all {
        assert_eq!(tampered(&out, &key, |files| sign_anew(files, &secret)), [], "{form:?}");
        let name = files(&out)
            .into_keys()
            .find(|name| name.starts_with("events.") || name.starts_with("transcript"));
        if let Some(name) = name {
            let words = tampered(&out, &key, |files| {
                lines(files, &name, |lines| {
                    lines.iter_mut().for_each(|line| *line = line.replace("one 3", "two 3"))
                });
                sign_anew(files, &secret);
            });
            assert_eq!(words, [ExportFault::Text(name)], "{form:?}");
        }
        let proof = tampered(&out, &key, |files| {
            lines(files, "proof/000001.jsonl", |lines| {
                let at = lines.iter().position(|line| line.starts_with("{\"event\"")).unwrap();
                let mut line: serde_json::Value = serde_json::from_str(&lines[at]).unwrap();
                let time = line["event"]["time"].as_i64().unwrap();
                line["event"]["time"] = (time + 1_000_000_000).into();
                lines[at] = format!("{line}\n");
            });
            sign_anew(files, &secret);
        });
        assert!(proof.contains(&ExportFault::Unproven(1)), "{form:?}: {proof:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_with_two_files_of_one_name_or_something_before_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trail = company(&folder.path().join("data")).await;
    let key = trail.archive.public_key();
    let zip = folder.path().join("out.zip");
    zipped(&trail, order(Form::Csv), &zip).await;
    trail.close().await;
    let whole = std::fs::read(&zip).unwrap();
    for bytes in [[b"#!/bin/sh\n", whole.as_slice()].concat(), [whole.as_slice(), b"\n"].concat()] {
        std::fs::write(&zip, bytes).unwrap();
        assert!(verify_export(&zip, &key, |_, _| {}).is_err());
    }
    assert!(verify_export(&folder.path().join("nowhere"), &key, |_, _| {}).is_err());
}

/// The base64 of a message's only attachment.
fn attached(message: &str) -> Vec<u8> {
    let boundary = message.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(message.ends_with(&format!("--{boundary}--\r\n")), "{message}");
    let parts: Vec<&str> = message.split(&format!("--{boundary}")).collect();
    assert_eq!(parts.len(), 4, "{message}");
    let (head, body) = parts[2].split_once("\r\n\r\n").unwrap();
    assert!(head.contains("base64") && head.contains("attachment"), "{head}");
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body.replace("\r\n", "")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversations_day_is_a_message_with_its_files_inside() {
    let folder = tempfile::tempdir().unwrap();
    let trail = company(&folder.path().join("data")).await;
    let out = folder.path().join("eml");
    let manifest = trail.archive.export(order(Form::Eml), Destination::Folder(out.clone())).await.unwrap();
    assert_eq!((manifest.counts.attachments, manifest.counts.attachment_bytes), (1, 400_000));
    let all = files(&out);
    let messages: Vec<&String> = all.keys().filter(|name| name.ends_with(".eml")).collect();
    assert_eq!(messages.len(), 1);
    let message = String::from_utf8(all[messages[0]].clone()).unwrap();
    assert_eq!(attached(&message), content("plan.pdf"));
    let (head, _) = message.split_once("\r\n\r\n").unwrap();
    for line in
        ["X-Chancery-Events: 10", "X-Chancery-First: 1", "Subject: Chat of romeo@corp.example and juliet"]
    {
        assert!(head.contains(line), "{head}");
    }
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_message_file_has_its_manifest_and_files_in_a_zip() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(&folder.path().join("data")).await;
    for payload in [
        "<body>see file:plan.pdf</body>",
        "<body>second</body><replace xmlns='urn:xmpp:message-correct:0' id='m'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>👍</reaction></reactions>",
        "<retract xmlns='urn:xmpp:message-retract:1' id='m'/>",
    ] {
        let mut said = draft("romeo@corp.example/a", "juliet@corp.example", "");
        let id = if payload.contains("file:") { "m" } else { "n" };
        said.stanza = format!("<message xmlns='jabber:client' id='{id}'>{payload}</message>").into();
        trail.store(said).await;
    }
    let out = folder.path().join("rsmf");
    trail.archive.export(order(Form::Rsmf), Destination::Folder(out.clone())).await.unwrap();
    trail.close().await;
    let message = std::fs::read_to_string(out.join("messages/000001.rsmf")).unwrap();
    assert!(message.contains("X-RSMF-Version: 2.0.0\r\n"), "{message}");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(attached(&message))).unwrap();
    let manifest: serde_json::Value =
        serde_json::from_reader(zip.by_name("rsmf_manifest.json").unwrap()).unwrap();
    let events = manifest["events"].as_array().unwrap();
    assert_eq!(events.len(), 4);
    assert_eq!(events[0]["edits"][0]["new"], "second");
    assert_eq!(events[0]["reactions"][0]["value"], "👍");
    assert_eq!(events[0]["deleted"], true);
    let name = events[0]["attachments"][0]["id"].as_str().unwrap();
    let mut file = Vec::new();
    std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut file).unwrap();
    assert_eq!(file, content("plan.pdf"));
    for field in ["participant", "conversation"] {
        let list = if field == "participant" { "participants" } else { "conversations" };
        let known: Vec<&serde_json::Value> =
            manifest[list].as_array().unwrap().iter().map(|one| &one["id"]).collect();
        assert!(events.iter().all(|event| known.contains(&&event[field])), "{manifest}");
    }
}
