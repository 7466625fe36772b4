//! Uploads through the real binary: large ones in little memory, and crashes in the middle of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    client::{Client, attribute},
    harness::{PATIENCE, Server, Wish, run},
};

/// Where a file goes.
#[derive(Clone)]
pub(crate) struct Slot {
    pub(crate) url: String,
    token: String,
}

impl Slot {
    /// The unguessable part of the URL.
    pub(crate) fn id(&self) -> &str {
        self.url.split("/upload/").nth(1).unwrap().split('/').next().unwrap()
    }
}

/// Asks for a slot.
pub(crate) async fn slot(client: &mut Client, name: &str, size: u64, type_: &str) -> Slot {
    client
        .send(&format!(
            "<iq type='get' id='slot' to='upload.corp.example'><request xmlns='urn:xmpp:http:upload:0' \
             filename='{name}' size='{size}' content-type='{type_}'/></iq>"
        ))
        .await;
    client.until("id='slot'").await;
    let answer = client.until("</iq>").await;
    let put = &answer[answer.find("<put").unwrap_or_else(|| panic!("no slot: {answer}"))..];
    let token = put.split("Bearer ").nth(1).unwrap().split('<').next().unwrap();
    Slot { url: attribute(put, "url").unwrap(), token: token.to_owned() }
}

/// Content that can be made and checked at any place without holding it.
fn fill(at: u64, bytes: &mut [u8]) {
    for (word, place) in bytes.chunks_mut(8).zip(at / 8..) {
        word.copy_from_slice(&place.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()[..word.len()]);
    }
}

/// Sends a request's head.
async fn begin(server: &Server, method: &str, url: &str, headers: &str) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports().http)).await?;
    let path = url.splitn(4, '/').nth(3).unwrap();
    let head = format!("{method} /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// Begins an upload of `size` bytes and sends `part` of them.
async fn begin_put(server: &Server, slot: &Slot, size: u64, part: u64) -> std::io::Result<TcpStream> {
    let headers = format!("Content-Length: {size}\r\nAuthorization: Bearer {}\r\n", slot.token);
    let mut stream = begin(server, "PUT", &slot.url, &headers).await?;
    let mut buffer = vec![0; 256 * 1024];
    let mut at = 0;
    while at < part {
        let bytes = buffer.len().min((part - at) as usize);
        fill(at, &mut buffer[..bytes]);
        timeout(PATIENCE, stream.write_all(&buffer[..bytes])).await.expect("the server stopped reading")?;
        at += bytes as u64;
    }
    Ok(stream)
}

/// The status line and headers of an answer; the body is left to be read, but for what is returned with it.
async fn head(stream: &mut TcpStream) -> std::io::Result<(u16, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let status = std::str::from_utf8(&bytes[9..12]).unwrap().parse().unwrap();
            return Ok((status, bytes.split_off(end + 4)));
        }
        if timeout(PATIENCE * 4, stream.read_buf(&mut bytes)).await.expect("no answer")? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Uploads content and returns the status.
async fn put(server: &Server, slot: &Slot, size: u64) -> std::io::Result<u16> {
    let mut stream = begin_put(server, slot, size, size).await?;
    Ok(head(&mut stream).await?.0)
}

/// Uploads these words.
pub(crate) async fn put_words(server: &Server, slot: &Slot, words: &[u8]) -> u16 {
    let mut stream = begin_put(server, slot, words.len() as u64, 0).await.unwrap();
    stream.write_all(words).await.unwrap();
    head(&mut stream).await.unwrap().0
}

/// Begins an upload of `size` bytes with these words and leaves it open.
pub(crate) async fn put_half(server: &Server, slot: &Slot, words: &[u8], size: u64) -> TcpStream {
    let mut stream = begin_put(server, slot, size, 0).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

/// How many bytes a file gives.
pub(crate) async fn size(server: &Server, url: &str) -> u64 {
    let mut stream = begin(server, "GET", url, "").await.unwrap();
    let (status, mut body) = head(&mut stream).await.unwrap();
    assert_eq!(status, 200);
    timeout(PATIENCE, stream.read_to_end(&mut body)).await.unwrap().unwrap();
    body.len() as u64
}

/// Fetches a file, checks every byte, and returns the status and how many came.
async fn get(server: &Server, url: &str) -> (u16, u64) {
    let mut stream = begin(server, "GET", url, "").await.unwrap();
    let (status, mut bytes) = head(&mut stream).await.unwrap();
    let (mut at, mut wanted) = (0, Vec::new());
    loop {
        // Whole words, so that the places stay even.
        let even = bytes.len() / 8 * 8;
        wanted.resize(even, 0);
        fill(at, &mut wanted);
        assert!(
            status != 200 || bytes[..even] == wanted,
            "wrong bytes between {at} and {}",
            at + even as u64
        );
        at += even as u64;
        bytes.drain(..even);
        bytes.reserve(256 * 1024);
        if timeout(PATIENCE, stream.read_buf(&mut bytes)).await.expect("the download stopped").unwrap() == 0 {
            wanted.resize(bytes.len(), 0);
            fill(at, &mut wanted);
            assert!(status != 200 || bytes == wanted, "wrong bytes at the end");
            return (status, at + bytes.len() as u64);
        }
    }
}

/// The files that hold the content of uploads, and what is unfinished.
fn blobs(server: &Server) -> Vec<PathBuf> {
    let shelves = server.data().join("blobs").read_dir().unwrap();
    shelves
        .flat_map(|shelf| shelf.unwrap().path().read_dir().unwrap())
        .map(|file| file.unwrap().path())
        .collect()
}

/// The most memory that the server has used, in bytes.
fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(server.pid().to_string()).join("status"));
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn hundreds_of_megabytes_pass_through_a_few_megabytes_of_memory() {
    /// More than this and less than the file, and it is not streamed.
    const MOST: u64 = 64 << 20;
    // Any number of megabytes up to 1,024 needs about the same memory; a quarter of that is enough to see it.
    let size = std::env::var("TEST_FILE_MIB").map_or(256, |mib| mib.parse().unwrap()) << 20;
    let mut server = Wish::plain().toml("[files]\nmax_bytes = 1073741824\n").prepare().await;
    server.user("anna", "one password").await;
    server.start().await;
    let mut anna = Client::sign_in(&server, "anna", "one password", "desk").await;
    // Once small, so that what any upload needs is there before.
    let small = slot(&mut anna, "small", 1_000_000, "video/mp4").await;
    assert_eq!(put(&server, &small, 1_000_000).await.unwrap(), 201);
    assert_eq!(get(&server, &small.url).await, (200, 1_000_000));
    let before = peak(&server);

    let large = slot(&mut anna, "film.mp4", size, "video/mp4").await;
    assert_eq!(put(&server, &large, size).await.unwrap(), 201);
    let after_upload = peak(&server);
    assert_eq!(get(&server, &large.url).await, (200, size));
    let after = peak(&server);
    println!(
        "at most {} KiB before, {} after the upload, {} after the download",
        before >> 10,
        after_upload >> 10,
        after >> 10
    );
    assert!(after - before < MOST, "{} bytes more were needed", after - before);
    server.stop().await;
    server.verify().await;
}

#[tokio::test]
async fn an_operator_erases_a_file_for_good_and_that_is_on_record() {
    let mut server = Wish::plain().prepare().await;
    server.user("anna", "one password").await;
    server.start().await;
    let mut anna = Client::sign_in(&server, "anna", "one password", "desk").await;
    let slot = slot(&mut anna, "secret.txt", 9, "text/plain").await;
    assert_eq!(put_words(&server, &slot, b"a mistake").await, 201);
    assert_eq!(size(&server, &slot.url).await, 9);
    let before = server.verify().await["events"].as_u64().unwrap();
    let erase = async |url: &str| run(&mut server.chancery(&["file", "erase", url, "--yes"]), "").await;
    assert_eq!(erase("http://localhost/upload/x/secret.txt").await.status.code(), Some(1));
    let output = erase(&slot.url).await;
    assert!(output.status.success(), "{}", output.text);
    assert_eq!(server.verify().await["events"].as_u64().unwrap(), before + 1, "the erasure is an event");
    let mut stream = begin(&server, "GET", &slot.url, "").await.unwrap();
    assert_eq!(head(&mut stream).await.unwrap().0, 410);
    assert!(blobs(&server).is_empty());
    assert_eq!(erase(&slot.url).await.status.code(), Some(1), "there is nothing left to erase");
    server.stop().await;
}

#[tokio::test]
async fn after_kill_9_an_upload_is_whole_or_nowhere() {
    const SIZE: u64 = 3_000_000;
    let mut server = Wish::plain().prepare().await;
    server.user("anna", "one password").await;
    let mut whole: Vec<Slot> = Vec::new();
    let mut uncertain: Vec<Slot> = Vec::new();
    for round in 0..6 {
        server.start().await;
        let mut anna = Client::sign_in(&server, "anna", "one password", "desk").await;
        let half = slot(&mut anna, "half", SIZE, "video/mp4").await;
        let mut open = begin_put(&server, &half, SIZE, SIZE / 2).await.unwrap();
        let mut slots = Vec::new();
        for number in 0..4 {
            slots.push(slot(&mut anna, &format!("file {number}"), SIZE + number, "video/mp4").await);
        }
        let acknowledged = slot(&mut anna, "acknowledged", 100_000, "video/mp4").await;
        assert_eq!(put(&server, &acknowledged, 100_000).await.unwrap(), 201);
        // By now the half upload has reached the disk.
        assert!(blobs(&server).iter().any(|file| file.parent().unwrap().ends_with("unfinished")));
        {
            // All at once, and the crash somewhere among them.
            let uploads = slots.iter().zip(SIZE..).map(|(slot, size)| put(&server, slot, size));
            let uploads = futures_util::future::join_all(uploads);
            let end = timeout(Duration::from_millis(50 + 500 * round), uploads).await;
            for (at, slot) in slots.iter().enumerate() {
                match end.as_ref().ok().and_then(|end| end[at].as_ref().ok()) {
                    Some(status) => {
                        assert_eq!(*status, 201);
                        whole.push(slot.clone());
                    }
                    None => uncertain.push(slot.clone()),
                }
            }
        }
        server.kill().await;
        let mut rest = [0; 1];
        assert_eq!(open.read(&mut rest).await.unwrap_or(0), 0);
        whole.push(acknowledged);
        uncertain.push(half);
    }

    server.start().await;
    let mut kept = whole.len();
    for slot in &whole {
        let (status, size) = get(&server, &slot.url).await;
        assert!(status == 200 && size >= 100_000, "the server had answered for {}", slot.url);
    }
    for slot in &uncertain {
        // What was on record when the answer was lost is whole, everything else is nowhere.
        match get(&server, &slot.url).await {
            (200, size) => {
                assert!(size >= SIZE);
                kept += 1;
            }
            (status, _) => assert_eq!(status, 404),
        }
    }
    assert_eq!(blobs(&server).len(), kept, "content that belongs to nothing is left");
    println!("{} acknowledged, {} cut off, {kept} kept", whole.len(), uncertain.len());

    // What was cut off can be tried again.
    let half = uncertain.last().unwrap();
    assert_eq!(put(&server, half, SIZE).await.unwrap(), 201);
    assert_eq!(get(&server, &half.url).await, (200, SIZE));
    server.stop().await;
    server.verify().await;
}
