//! Uploads (XEP-0363): slots by IQ, content by HTTP.

use minidom::Element;
use tokio::io::AsyncWriteExt;

use crate::client::{Client, child, condition};
use crate::component::{self, Gateway};
use crate::house::{DOMAIN, House};
use crate::http::{Answer, ask, begin, get};

const NS: &str = "urn:xmpp:http:upload:0";
const INFO: &str = "http://jabber.org/protocol/disco#info";
const ITEMS: &str = "http://jabber.org/protocol/disco#items";
const FORMS: &str = "jabber:x:data";
const SERVICE: &str = "upload.corp.example";

/// A server with a web side.
pub async fn open(settings: &[(&str, &str)]) -> House {
    let mut all = vec![("LISTEN_HTTP", "127.0.0.1:0")];
    all.extend_from_slice(settings);
    House::with(&all).await
}

/// What a client gets to put a file.
#[derive(Clone)]
pub struct Slot {
    pub put: String,
    pub get: String,
    pub authorization: String,
}

pub async fn request(client: &mut Client, attributes: &str) -> Element {
    client.ask("get", SERVICE, &format!("<request xmlns='{NS}' {attributes}/>")).await
}

pub async fn slot(client: &mut Client, name: &str, size: usize, type_: &str) -> Slot {
    let answer = request(client, &format!("filename='{name}' size='{size}' content-type='{type_}'")).await;
    read_slot(&answer)
}

fn read_slot(answer: &Element) -> Slot {
    let slot = child(answer, "slot", NS);
    let put = child(slot, "put", NS);
    let header = child(put, "header", NS);
    assert_eq!(header.attr("name"), Some("Authorization"));
    Slot {
        put: put.attr("url").unwrap().to_owned(),
        get: child(slot, "get", NS).attr("url").unwrap().to_owned(),
        authorization: header.text(),
    }
}

pub async fn put(slot: &Slot, type_: &str, content: &[u8]) -> Answer {
    let size = content.len().to_string();
    let headers =
        [("Content-Length", &*size), ("Content-Type", type_), ("Authorization", &slot.authorization)];
    ask("PUT", &slot.put, &headers, content).await
}

/// Content in which no two places are alike.
pub fn content(size: usize) -> Vec<u8> {
    (0..size as u32).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).take(size).collect()
}

pub async fn upload(client: &mut Client, name: &str, type_: &str, content: &[u8]) -> Slot {
    let slot = slot(client, name, content.len(), type_).await;
    let answer = put(&slot, type_, content).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    slot
}

#[tokio::test]
async fn the_service_is_found_and_says_what_it_takes() {
    let house = open(&[("FILES_MAX_BYTES", "123456")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let items = romeo.ask("get", DOMAIN, &format!("<query xmlns='{ITEMS}'/>")).await;
    let found = child(&items, "query", ITEMS).children().any(|item| item.attr("jid") == Some(SERVICE));
    assert!(found, "{}", String::from(&items));
    let info = romeo.ask("get", SERVICE, &format!("<query xmlns='{INFO}'/>")).await;
    let info = child(&info, "query", INFO);
    let identity = child(info, "identity", INFO);
    assert_eq!((identity.attr("category"), identity.attr("type")), (Some("store"), Some("file")));
    assert!(info.children().any(|child| child.attr("var") == Some(NS)));
    let form = child(info, "x", FORMS);
    let field = form.children().find(|field| field.attr("var") == Some("max-file-size")).unwrap();
    assert_eq!(child(field, "value", FORMS).text(), "123456");
    for (type_, payload) in [("set", format!("<query xmlns='{INFO}'/>")), ("get", "<x xmlns='y'/>".into())] {
        assert_eq!(condition(&romeo.ask(type_, SERVICE, &payload).await), "service-unavailable");
    }
    let node = format!("<query xmlns='{INFO}' node='x'/>");
    assert_eq!(condition(&romeo.ask("get", SERVICE, &node).await), "item-not-found");
}

#[tokio::test]
async fn without_a_web_side_there_is_no_service() {
    let house = House::open().await;
    let mut romeo = house.online("romeo", "a").await;
    let answer = romeo.ask("get", SERVICE, &format!("<query xmlns='{INFO}'/>")).await;
    assert_eq!(condition(&answer), "remote-server-not-found");
}

#[tokio::test]
async fn a_configured_address_is_what_links_begin_with() {
    let house = open(&[("HTTP_PUBLIC_URL", "https://chat.corp.example")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = slot(&mut romeo, "a b.txt", 3, "text/plain").await;
    assert!(slot.get.starts_with("https://chat.corp.example/upload/"), "{}", slot.get);
    assert!(slot.get.ends_with("/a%20b.txt"), "{}", slot.get);
}

#[tokio::test]
async fn what_is_uploaded_comes_back_with_its_name_and_type() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let content = content(300_000);
    let slot = slot(&mut romeo, "Bild für dich.jpg", content.len(), "image/jpeg").await;
    assert_eq!(get(&slot.get, &[]).await.status, 404, "not before it is there");
    assert_eq!(put(&slot, "image/jpeg", &content).await.status, 201);
    let answer = get(&slot.get, &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == content);
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-length", "300000"),
        (
            "content-disposition",
            "inline; filename=\"Bild f_r dich.jpg\"; filename*=UTF-8''Bild%20f%C3%BCr%20dich.jpg",
        ),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache"),
        ("access-control-allow-origin", "*"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    assert!(answer.header("content-security-policy").unwrap().starts_with("sandbox; default-src 'none'"));
    let head = ask("HEAD", &slot.get, &[], b"").await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("300000"), 0));
    assert_eq!(head.header("etag"), answer.header("etag"));

    let page = upload(&mut romeo, "page.html", "text/html", b"<script>alert(1)</script>").await;
    let answer = get(&page.get, &[]).await;
    assert!(answer.header("content-disposition").unwrap().starts_with("attachment;"));
}

#[tokio::test]
async fn a_file_outlives_a_restart() {
    let house = open(&[("HTTP_PUBLIC_URL", "https://chat.corp.example")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let mut given = slot(&mut romeo, "a", 100_000, "image/png").await;
    let at = |house: &House, url: &str| {
        let path = url.strip_prefix("https://chat.corp.example").unwrap().to_owned();
        format!("http://{}{path}", house.server.addresses().http[0])
    };
    let house = house.restart().await;
    given.put = at(&house, &given.put);
    // Slots last, too.
    assert_eq!(put(&given, "image/png", &content(100_000)).await.status, 201);
    let house = house.restart().await;
    assert!(get(&at(&house, &given.get), &[]).await.body == content(100_000));
}

#[tokio::test]
async fn parts_are_what_stands_there() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let content = content(200_000);
    let slot = upload(&mut romeo, "film", "video/mp4", &content).await;
    for (range, part) in [
        ("bytes=0-0", 0..1),
        ("bytes=65530-65541", 65_530..65_542),
        ("bytes=131072-", 131_072..200_000),
        ("bytes=-5", 199_995..200_000),
        ("bytes=199999-500000", 199_999..200_000),
    ] {
        let answer = get(&slot.get, &[("Range", range)]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == content[part.clone()], "{range}");
        let said = format!("bytes {}-{}/200000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), Some(&*said));
    }
    let beyond = get(&slot.get, &[("Range", "bytes=200000-")]).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */200000")));
    let several = get(&slot.get, &[("Range", "bytes=0-1,3-4")]).await;
    assert_eq!((several.status, several.body.len()), (200, 200_000));

    let tag = get(&slot.get, &[]).await.header("etag").unwrap().to_owned();
    let same = get(&slot.get, &[("If-None-Match", &tag)]).await;
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(get(&slot.get, &[("If-None-Match", "\"other\"")]).await.status, 200);
    assert_eq!(get(&slot.get, &[("Range", "bytes=0-9"), ("If-Range", &tag)]).await.status, 206);
    assert_eq!(get(&slot.get, &[("Range", "bytes=0-9"), ("If-Range", "\"other\"")]).await.status, 200);
}

#[tokio::test]
async fn a_slot_takes_what_was_asked_for_once_and_nothing_else() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = slot(&mut romeo, "a.png", 10, "image/png").await;
    let with = |size: &'static str, type_: &'static str, token: String| {
        let url = slot.put.clone();
        async move {
            let headers = [("Content-Length", size), ("Content-Type", type_), ("Authorization", &*token)];
            ask("PUT", &url, &headers, &content(10)).await.status
        }
    };
    let right = slot.authorization.clone();
    assert_eq!(with("10", "image/png", "Bearer 00000000000000000000000000000000".into()).await, 403);
    assert_eq!(with("10", "image/png", right.replace("Bearer", "Basic")).await, 403);
    assert_eq!(with("9", "image/png", right.clone()).await, 400);
    assert_eq!(with("11", "image/png", right.clone()).await, 413);
    assert_eq!(with("10", "text/html", right.clone()).await, 415);
    let chunked = [("Transfer-Encoding", "chunked"), ("Authorization", &*right)];
    assert_eq!(ask("PUT", &slot.put, &chunked, b"a\r\n0123456789\r\n0\r\n\r\n").await.status, 411);
    for wrong in ["bytes 0-4", "bytes 0-3/10", "bytes 0-4/*"] {
        let part = [("Content-Length", "5"), ("Content-Range", wrong), ("Authorization", &*right)];
        assert_eq!(ask("PUT", &slot.put, &part, b"01234").await.status, 400, "{wrong}");
    }
    assert_eq!(ask("POST", &slot.put, &[], b"").await.status, 405);
    let elsewhere = slot.put.replace("/upload/", "/upload/x");
    assert_eq!(ask("PUT", &elsewhere, &[("Content-Length", "10")], &content(10)).await.status, 404);
    assert_eq!(get(&slot.get, &[]).await.status, 404);

    assert_eq!(with("10", "Image/PNG; x=y", right.clone()).await, 201);
    assert_eq!(with("10", "image/png", right).await, 409);
    assert!(get(&slot.get, &[]).await.body == content(10));
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_and_can_be_tried_again() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let whole = content(1_000_000);
    let slot = slot(&mut romeo, "a", whole.len(), "image/png").await;
    let headers = [("Content-Length", "1000000"), ("Authorization", &*slot.authorization)];
    let mut first = begin("PUT", &slot.put, &headers, &whole[..600_000]).await;
    // Once it is under way, nobody else may begin.
    let busy = loop {
        let answer = ask("PUT", &slot.put, &headers, b"").await;
        if answer.status == 409 {
            break answer;
        }
    };
    assert!(busy.text().contains("just being uploaded"), "{}", busy.text());
    assert_eq!(get(&slot.get, &[]).await.status, 404);
    first.shutdown().await.unwrap();
    assert_eq!(Answer::read(first).await.status, 400);
    assert_eq!(get(&slot.get, &[]).await.status, 404);
    assert_eq!(put(&slot, "image/png", &whole).await.status, 201);
    assert!(get(&slot.get, &[]).await.body == whole);
}

/// Sends a part of a file.
async fn put_part(slot: &Slot, whole: &[u8], part: std::ops::Range<usize>) -> Answer {
    let length = part.len().to_string();
    let range = format!("bytes {}-{}/{}", part.start, part.end - 1, whole.len());
    let headers = [
        ("Content-Length", &*length),
        ("Content-Range", &*range),
        ("Content-Type", "image/png"),
        ("Authorization", &*slot.authorization),
    ];
    ask("PUT", &slot.put, &headers, &whole[part]).await
}

/// How much of an upload is there.
async fn offset(slot: &Slot) -> usize {
    let told = ask("HEAD", &slot.put, &[("Authorization", &*slot.authorization)], b"").await;
    assert_eq!(told.status, 204, "{}", told.text());
    told.header("upload-offset").unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_broken_off() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let whole = content(1_000_000);
    let slot = slot(&mut romeo, "a", whole.len(), "image/png").await;
    assert_eq!(offset(&slot).await, 0);
    let headers = [("Content-Length", "1000000"), ("Authorization", &*slot.authorization)];
    let mut first = begin("PUT", &slot.put, &headers, &whole[..600_000]).await;
    first.shutdown().await.unwrap();
    assert_eq!(Answer::read(first).await.status, 400);
    assert_eq!(offset(&slot).await, 600_000);
    assert_eq!(get(&slot.get, &[]).await.status, 404, "nobody sees a part");

    let stranger = ask("HEAD", &slot.put, &[("Authorization", "Bearer x")], b"").await;
    assert_eq!((stranger.status, stranger.header("upload-offset")), (403, None));
    let forged = Slot { authorization: "Bearer x".into(), ..slot.clone() };
    assert_eq!(put(&forged, "image/png", &whole).await.status, 403);
    assert_eq!(offset(&slot).await, 600_000, "whoever lacks the token ends nothing");

    let gap = put_part(&slot, &whole, 700_000..800_000).await;
    assert_eq!((gap.status, gap.header("upload-offset")), (409, Some("600000")));
    let more = put_part(&slot, &whole, 600_000..700_001).await;
    assert_eq!((more.status, more.header("upload-offset")), (202, Some("700001")));
    assert_eq!(put_part(&slot, &whole, 700_001..1_000_000).await.status, 201);
    assert!(get(&slot.get, &[]).await.body == whole);
    assert_eq!(ask("HEAD", &slot.get, &[], b"").await.status, 200);
    assert_eq!(put_part(&slot, &whole, 0..1).await.status, 409);
}

#[tokio::test]
async fn an_upload_without_a_range_begins_anew() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let whole = content(300_000);
    let slot = slot(&mut romeo, "a", whole.len(), "image/png").await;
    assert_eq!(put_part(&slot, &content(300_000), 0..200_000).await.status, 202);
    assert_eq!(put(&slot, "image/png", &whole).await.status, 201);
    assert!(get(&slot.get, &[]).await.body == whole);
}

#[tokio::test]
async fn a_download_that_nobody_reads_on_is_dropped() {
    use tokio::io::AsyncReadExt;
    let house = open(&[("FILES_IDLE_SECONDS", "1")]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = upload(&mut romeo, "a", "image/png", &content(16_000_000)).await;
    let mut stuck = begin("GET", &slot.get, &[], b"").await;
    let mut some = [0; 1_000];
    stuck.read_exact(&mut some).await.unwrap();
    // Nothing tells the reader but the end, which comes before the content does.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let mut rest = Vec::new();
    let _ = stuck.read_to_end(&mut rest).await;
    assert!(rest.len() < 15_000_000, "{}", rest.len());
    assert!(get(&slot.get, &[]).await.body.len() == 16_000_000, "who reads on gets it all");
}

#[tokio::test]
async fn content_without_a_record_is_collected_at_the_start() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let kept = upload(&mut romeo, "a", "image/png", b"kept").await;
    let mut stray = house.vault().blobs().write(house.vault().blobs().name("stray")).await.unwrap();
    stray.write(b"what a backup brought back").await.unwrap();
    stray.finish().await.unwrap();
    assert_eq!(house.blobs().len(), 2);
    drop(romeo);
    let house = house.restart().await;
    while house.blobs().len() > 1 {
        tokio::task::yield_now().await;
    }
    let path = kept.get.split_once("/upload/").unwrap().1;
    let url = format!("http://{}/upload/{path}", house.server.addresses().http[0]);
    assert!(get(&url, &[]).await.body == b"kept");
}

#[tokio::test]
async fn wishes_that_cannot_be_met_get_the_standards_errors() {
    let house = open(&[("FILES_MAX_BYTES", "1000"), ("FILES_QUOTA_BYTES", "2000")]).await;
    let mut romeo = house.online("romeo", "a").await;
    for bad in ["", "filename='a'", "size='1'", "filename='a/b' size='1'", "filename='a' size='0'"] {
        assert_eq!(condition(&request(&mut romeo, bad).await), "bad-request", "{bad}");
    }
    let large = request(&mut romeo, "filename='a' size='1001'").await;
    assert_eq!(condition(&large), "not-acceptable");
    let error = child(&large, "error", "jabber:client");
    let told = child(child(error, "file-too-large", NS), "max-file-size", NS).text();
    assert_eq!(told, "1000");

    upload(&mut romeo, "a", "image/png", &content(1000)).await;
    slot(&mut romeo, "b", 900, "image/png").await;
    let full = request(&mut romeo, "filename='c' size='200'").await;
    assert_eq!(condition(&full), "resource-constraint");
    let error = child(&full, "error", "jabber:client");
    assert_eq!(error.attr("type"), Some("wait"));
    // When the slot that nothing came for expires, there will be room.
    assert!(child(error, "retry", NS).attr("stamp").unwrap().ends_with('Z'));
    slot(&mut romeo, "c", 100, "image/png").await;
    let full = request(&mut romeo, "filename='d' size='1000'").await;
    assert_eq!(condition(&full), "resource-constraint");
    // Somebody else has room of their own.
    let mut juliet = house.online("juliet", "a").await;
    slot(&mut juliet, "a", 1000, "image/png").await;
}

#[tokio::test]
async fn a_component_uploads_for_those_whom_it_speaks_for() {
    let house = component::house_with(&[("LISTEN_HTTP", "127.0.0.1:0")]).await;
    let mut gateway = Gateway::connect(&house).await;
    let wish = format!("<request xmlns='{NS}' filename='a.png' size='5' content-type='image/png'/>");
    let from = format!("somebody@{}", component::GATEWAY);
    let answer = gateway.ask("get", &from, SERVICE, &wish).await;
    let slot = read_slot(&answer);
    assert_eq!(put(&slot, "image/png", b"01234").await.status, 201);
    assert_eq!(get(&slot.get, &[]).await.body, b"01234");
    assert_eq!(answer.attr("to"), Some(&*from));
}

#[tokio::test]
async fn pages_of_any_origin_may_upload_and_download() {
    let house = open(&[]).await;
    let mut romeo = house.online("romeo", "a").await;
    let slot = slot(&mut romeo, "a", 5, "image/png").await;
    let headers = [
        ("Origin", "https://web.example"),
        ("Access-Control-Request-Method", "PUT"),
        ("Access-Control-Request-Headers", "authorization,content-type"),
    ];
    let answer = ask("OPTIONS", &slot.put, &headers, b"").await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    for method in ["PUT", "GET", "HEAD"] {
        assert!(answer.header("access-control-allow-methods").unwrap().contains(method));
    }
    let allowed = answer.header("access-control-allow-headers").unwrap().to_ascii_lowercase();
    for header in ["authorization", "content-type", "range"] {
        assert!(allowed.contains(header), "{header}");
    }
    // Errors can be read as well.
    let refused = ask("PUT", &slot.put, &[("Content-Length", "5")], b"01234").await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, Some("*")));
}
