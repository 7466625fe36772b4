//! What the trail knows of files, and how files go.

use archive::{Ledger, Query};
use minidom::Element;
use server::files::Check;
use vault::Micros;

use crate::client::condition;
use crate::files::{content, open, put, request, slot, upload};
use crate::house::{House, jid};
use crate::http::{ask, get};

/// What happened around somebody, oldest first: each event's payload.
async fn happenings(house: &House, name: &str) -> Vec<Element> {
    let query = Query { ledger: Ledger::Happenings, ..Query::default() };
    let page = house.server.trail().history(&jid(name), &query).await.unwrap();
    let payload = |xml: &[u8]| {
        let message: Element = std::str::from_utf8(xml).unwrap().parse().unwrap();
        message.children().next().unwrap().clone()
    };
    let all = page.items.iter().map(|item| payload(&item.stanza));
    all.filter(|payload| payload.has_ns("urn:chancery:files:0")).collect()
}

fn names(happenings: &[Element]) -> Vec<&str> {
    happenings.iter().map(Element::name).collect()
}

/// The unguessable part of a URL.
fn id(url: &str) -> &str {
    url.split("/upload/").nth(1).unwrap().split('/').next().unwrap()
}

#[tokio::test]
async fn who_uploads_and_who_fetches_is_on_record() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = slot(&mut romeo, "plan of the garden.txt", 5, "text/plain").await;
    assert_eq!(names(&happenings(&house, "romeo").await), Vec::<&str>::new());
    put(&slot, "text/plain", b"climb").await;
    let seen = happenings(&house, "romeo").await;
    assert_eq!(names(&seen), ["uploaded"]);
    assert_eq!(seen[0].attr("name"), Some("plan of the garden.txt"));
    assert_eq!(seen[0].attr("size"), Some("5"));
    assert_eq!(seen[0].attr("type"), Some("text/plain"));
    let sha256 = "54ddf03ec0c4f9ad5cfc05a2e1a08d3ca8a0bb37b7e4ad8ff3ae4d6ea6a35f5a";
    assert_eq!(seen[0].attr("sha-256").map(str::len), Some(sha256.len()));

    get(&slot.get, &[]).await;
    let seen = happenings(&house, "romeo").await;
    assert_eq!(names(&seen), ["uploaded", "fetched"]);
    assert_eq!(seen[1].attr("address"), Some("127.0.0.1"));
    assert_eq!(seen[1].attr("file"), seen[0].attr("file"));
    // To look is not to fetch.
    let tag = ask("HEAD", &slot.get, &[], b"").await.header("etag").unwrap().to_owned();
    get(&slot.get, &[("If-None-Match", &tag)]).await;
    get(&slot.get, &[("Range", "bytes=9-")]).await;
    // Who has just fetched it and reads on does not fetch it anew, but whoever takes the whole does.
    get(&slot.get, &[("Range", "bytes=2-3")]).await;
    assert_eq!(happenings(&house, "romeo").await.len(), 2);
    get(&slot.get, &[]).await;
    assert_eq!(happenings(&house, "romeo").await.len(), 3);
}

#[tokio::test]
async fn a_part_alone_is_a_fetch() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = upload(&mut romeo, "a", "video/mp4", &content(100)).await;
    get(&slot.get, &[("Range", "bytes=10-19")]).await;
    get(&slot.get, &[("Range", "bytes=20-29")]).await;
    let seen = happenings(&house, "romeo").await;
    assert_eq!(names(&seen), ["uploaded", "fetched"]);
    assert_eq!(seen[1].attr("bytes"), Some("10-19"));
}

#[tokio::test]
async fn an_erased_file_is_gone_and_its_room_is_free() {
    let house = open(&[("FILES_MAX_BYTES", "1000"), ("FILES_QUOTA_BYTES", "1000")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let given = upload(&mut romeo, "a", "image/png", &content(1000)).await;
    let full = request(&mut romeo, "filename='b' size='1000'").await;
    assert_eq!(condition(&full), "resource-constraint");

    let files = house.server.files().unwrap();
    let name = files.name(id(&given.get));
    files.erase(name).await.unwrap();
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(method, &given.get, &[], b"").await.status, 410, "{method}");
    }
    assert_eq!(put(&given, "image/png", &content(1000)).await.status, 410);
    assert!(files.erase(name).await.is_err());
    let record = files.file(name).await.unwrap().unwrap().value;
    assert_eq!((record.name.as_str(), record.size), ("", 1000));
    assert_eq!(names(&happenings(&house, "romeo").await), ["uploaded", "erased"]);
    slot(&mut romeo, "b", 1000, "image/png").await;
}

#[tokio::test]
async fn a_slot_that_nothing_came_for_is_cleared_away_and_a_file_is_not() {
    let house = open(&[("FILES_MAX_BYTES", "1000"), ("FILES_QUOTA_BYTES", "1000")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let kept = upload(&mut romeo, "a", "image/png", &content(400)).await;
    let given = slot(&mut romeo, "b", 600, "image/png").await;
    let files = house.server.files().unwrap();
    let in_minutes = |minutes: i64| Micros(Micros::now().0 + minutes * 60_000_000);
    files.clear(in_minutes(14)).await.unwrap();
    assert_eq!(condition(&request(&mut romeo, "filename='c' size='1'").await), "resource-constraint");
    files.clear(in_minutes(16)).await.unwrap();
    assert_eq!(put(&given, "image/png", &content(600)).await.status, 404);
    slot(&mut romeo, "c", 600, "image/png").await;
    files.clear(in_minutes(60 * 24 * 365 * 100)).await.unwrap();
    assert!(get(&kept.get, &[]).await.body == content(400));
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_no_wrong_byte() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let whole = content(500_000);
    let slot = upload(&mut romeo, "a", "image/png", &whole).await;
    let file = house.blobs().pop().unwrap();
    let sealed = std::fs::read(&file).unwrap();

    let mut changed = sealed.clone();
    changed[1_000] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let answer = get(&slot.get, &[]).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("damaged"), "{}", answer.text());

    let mut changed = sealed.clone();
    changed[450_000] ^= 1;
    std::fs::write(&file, &changed).unwrap();
    let answer = get(&slot.get, &[]).await;
    assert!(!answer.whole, "the answer must not look complete");
    assert!(answer.body.len() >= 65_536 && whole.starts_with(&answer.body));
    // What is sound can be had.
    assert!(get(&slot.get, &[("Range", "bytes=0-99999")]).await.body == whole[..100_000]);

    let check = async || server::files::check(house.vault()).await.unwrap();
    assert_eq!(check().await, Check { files: 1, broken: 0 });
    std::fs::remove_file(&file).unwrap();
    assert_eq!(get(&slot.get, &[]).await.status, 500);
    assert_eq!(check().await, Check { files: 1, broken: 1 });
    std::fs::write(&file, sealed).unwrap();
    assert!(get(&slot.get, &[]).await.body == whole);
}
