//! A tiny HTTP client: one request a connection, bytes out, status, headers and bytes in.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// What came back.
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
    /// Whether as many bytes came as were announced.
    pub whole: bool,
}

impl Answer {
    /// Reads to the end of the connection.
    pub async fn read(mut stream: TcpStream) -> Self {
        let mut bytes = Vec::new();
        // A server that does not want the rest of a request may reset the connection behind its answer.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("no answer");
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("no head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let body = bytes.split_off(end + 4);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Self { status, head, body, whole: true };
        let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
        answer.whole = length.is_none_or(|length| length == answer.body.len());
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.whole) = unchunked(&answer.body);
        }
        answer
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// The content of chunks (RFC 9112 §7.1), and whether the last one came.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("the size of a chunk");
        let Some(chunk) = rest.get(end + 2..end + 2 + size) else { break };
        if size == 0 {
            return (body, true);
        }
        body.extend_from_slice(chunk);
        rest = &rest[(end + 4 + size).min(rest.len())..];
    }
    (body, false)
}

/// Splits `http://address/path`.
pub fn split(url: &str) -> (SocketAddr, &str) {
    let rest = url.strip_prefix("http://").unwrap();
    let slash = rest.find('/').unwrap();
    (rest[..slash].parse().unwrap(), &rest[slash..])
}

/// Sends a request's head and what is there of its body.
pub async fn begin(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> TcpStream {
    let (address, path) = split(url);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses does not read on.
    let _ = stream.write_all(body).await;
    stream
}

/// Asks, and reads the answer.
pub async fn ask(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    Answer::read(begin(method, url, headers, body).await).await
}

/// GET.
pub async fn get(url: &str, headers: &[(&str, &str)]) -> Answer {
    ask("GET", url, headers, b"").await
}
