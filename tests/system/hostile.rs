//! What hostile peers try over real sockets: each gets the answer of the book and is cut off, and nobody else notices.

use std::time::{Duration, Instant};

use tokio::{process::Command, time::timeout};

use crate::{
    client::{Client, header, plain},
    harness::{PATIENCE, Server, Wish},
};

const MIB: u64 = 1024 * 1024;

async fn company(wish: Wish) -> Server {
    let mut server = wish.prepare().await;
    server.user("alice", "wonder").await;
    server.user("bob", "builder").await;
    server.start().await;
    server
}

/// Someone honest signs in and talks, promptly.
async fn assert_serves(server: &mut Server) {
    server.assert_running();
    let work = async {
        let mut alice = Client::sign_in(server, "alice", "wonder", "honest").await;
        assert!(alice.ping().await.contains("result"));
    };
    timeout(Duration::from_secs(10), work).await.expect("an honest client had to wait");
}

/// Sends bytes and returns all that the server says until it hangs up, which it must do.
async fn provoke(client: &mut Client, bytes: &[u8]) -> String {
    // The server may hang up before it has read everything; then writing fails, which is as good.
    let _ = client.try_send(bytes).await;
    client.rest().await
}

fn assert_stream_error(heard: &str, conditions: &[&str], what: &str) {
    let named = conditions.iter().any(|condition| heard.contains(&format!("<{condition} ")));
    assert!(
        heard.contains("<stream:error") && named,
        "{what}: expected one of {conditions:?}, heard {heard:?}"
    );
}

#[tokio::test]
async fn whoever_dawdles_before_signing_in_is_cut_off() {
    let mut server =
        company(Wish::plain().toml("[limits]\nlogins_per_minute = 0\npreauth_seconds = 2\n")).await;
    let ports = server.ports();

    let silent = async {
        Client::connect(&server).await.rest().await;
    };
    let drip = async {
        let mut client = Client::connect(&server).await;
        // One byte at a time shows life, and must not buy time.
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let begun = Instant::now();
        for byte in header().bytes() {
            pace.tick().await;
            if client.try_send(&[byte]).await.is_err() {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "a slow-loris was tolerated");
        }
        client.rest().await;
    };
    let between = async {
        let mut client = Client::open(&server).await;
        client.rest().await;
    };
    let half_open_tls = async {
        let mut client = Client::connect_to(ports.xmpp_tls).await.unwrap();
        // The head of a TLS record that never comes.
        client.try_send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
        client.rest_bytes().await;
    };
    let half_open_starttls = async {
        let mut client = Client::open(&server).await;
        client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").await;
        client.until("<proceed").await;
        client.try_send(b"\x16\x03\x01\x02\x00").await.unwrap();
        client.rest_bytes().await;
    };
    let silent_web = async {
        let mut client = Client::connect_to(ports.http).await.unwrap();
        client.try_send(b"GET /xmpp-websocket HTT").await.unwrap();
        client.rest_bytes().await;
    };
    let silent_websocket = async {
        let mut client = Client::connect_to(ports.http).await.unwrap();
        client
            .send(
                "GET /xmpp-websocket HTTP/1.1\r\nHost: corp.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Protocol: xmpp\r\n\r\n",
            )
            .await;
        client.until("101 ").await;
        client.rest_bytes().await;
    };
    tokio::join!(
        cut_off("silence", silent),
        cut_off("a slow-loris", drip),
        cut_off("an open stream", between),
        cut_off("half-open TLS", half_open_tls),
        cut_off("half-open STARTTLS", half_open_starttls),
        cut_off("a silent WebSocket", silent_websocket),
        // The web side has a time of its own for the head of a request.
        silent_web,
    );
    assert_serves(&mut server).await;
}

/// The server must end this about when the limit of 2 seconds says.
async fn cut_off(what: &str, dawdling: impl Future<Output = ()>) {
    let begun = Instant::now();
    dawdling.await;
    let took = begun.elapsed();
    println!("{what} was cut off after {took:?}");
    assert!(took >= Duration::from_millis(1_900), "{what} was cut off too early for the limit: {took:?}");
    assert!(took < Duration::from_secs(10), "{what} was tolerated for {took:?}");
}

#[tokio::test]
async fn bytes_before_sign_in_are_limited() {
    let mut server = company(Wish::plain()).await;
    let before = server.resident();
    let megabytes = " ".repeat(8 * MIB as usize);
    for (what, opened, bytes) in [
        ("a header without end", false, format!("<stream:stream to='{megabytes}")),
        ("spaces instead of a header", false, megabytes.clone()),
        ("spaces after the header", true, megabytes.clone()),
        (
            "a huge response",
            true,
            format!(
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}",
                "A".repeat(8 * MIB as usize)
            ),
        ),
    ] {
        let mut client = if opened { Client::open(&server).await } else { Client::connect(&server).await };
        let heard = provoke(&mut client, bytes.as_bytes()).await;
        assert!(!heard.contains("<success"), "{what}: {heard}");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 24 * MIB, "the server grew by {grown} bytes");
    assert_serves(&mut server).await;
}

#[tokio::test]
async fn what_no_honest_client_sends_ends_the_stream_by_the_book() {
    let mut server = company(Wish::plain()).await;
    let before = server.resident();
    let attributes: String = (0..200_000).map(|number| format!(" a{number}=''")).collect();
    let deep = "<a>".repeat(100_000);
    let bomb = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>\
                <!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]><stream:stream to='&c;'>";
    let too_big = format!("<message to='bob@corp.example'><body>{}</body></message>", "x".repeat(300_000));
    let limits: &[&str] = &["policy-violation", "resource-constraint", "not-well-formed"];

    for (what, bytes, conditions) in [
        ("an XML bomb", bomb.as_bytes(), &["restricted-xml", "not-well-formed"][..]),
        (
            "another protocol",
            b"GET / HTTP/1.1\r\nHost: corp.example\r\n\r\n",
            &["not-well-formed", "bad-format"],
        ),
        (
            "bytes that are no UTF-8",
            b"<?xml version='1.0'?><stream:stream to='\xff\xfe'>",
            &["not-well-formed", "bad-format", "unsupported-encoding"],
        ),
    ] {
        let heard = provoke(&mut Client::connect(&server).await, bytes).await;
        assert_stream_error(&heard, conditions, what);
    }
    for (what, xml, conditions) in [
        (
            "a message before sign-in",
            "<message to='bob@corp.example'><body>psst</body></message>".to_owned(),
            &["not-authorized"][..],
        ),
        (
            "binding before sign-in",
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>".to_owned(),
            &["not-authorized"],
        ),
        ("attributes without number", format!("<auth{attributes}/>"), limits),
    ] {
        let heard = provoke(&mut Client::open(&server).await, xml.as_bytes()).await;
        assert_stream_error(&heard, conditions, what);
    }
    for (what, xml, conditions) in [
        (
            "an entity",
            "<message><body>&lol;</body></message>".to_owned(),
            &["restricted-xml", "not-well-formed"][..],
        ),
        ("a document type", "<!DOCTYPE x><message/>".to_owned(), &["restricted-xml", "not-well-formed"]),
        ("a comment", "<message><!-- hidden --></message>".to_owned(), &["restricted-xml"]),
        (
            "a processing instruction",
            "<message><?php ?></message>".to_owned(),
            &["restricted-xml", "not-well-formed"],
        ),
        ("attributes without number", format!("<message{attributes}/>"), limits),
        ("attributes without number inside", format!("<message><body{attributes}/></message>"), limits),
        ("elements without end", format!("<message>{deep}"), limits),
        ("a stanza that is too big", too_big, &["policy-violation"]),
        (
            "a stanza that never ends",
            format!("<message><body>{}", "y".repeat(20 * MIB as usize)),
            &["policy-violation"],
        ),
        ("an unbound prefix", "<x:message/>".to_owned(), &["not-well-formed", "bad-namespace-prefix"]),
        ("a wrong end tag", "<message></presence>".to_owned(), &["not-well-formed"]),
        ("one attribute twice", "<message to='a' to='b'/>".to_owned(), &["not-well-formed"]),
        ("a stanza of no kind", "<query/>".to_owned(), &["unsupported-stanza-type"]),
        (
            "words between stanzas",
            "hello?<presence/>".to_owned(),
            &["bad-format", "invalid-xml", "not-well-formed"],
        ),
    ] {
        let mut client = Client::bind(&server, "alice", "wonder", "hostile").await;
        let heard = provoke(&mut client, xml.as_bytes()).await;
        assert_stream_error(&heard, conditions, what);
        assert!(heard.ends_with("</stream:stream>"), "{what}: {heard}");
    }
    let grown = server.resident().saturating_sub(before);
    assert!(grown < 48 * MIB, "the server grew by {grown} bytes");
    assert_serves(&mut server).await;
}

#[tokio::test]
async fn nothing_said_before_tls_counts_after_it() {
    let mut server = company(Wish::plain()).await;
    let starttls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    for injected in [
        plain("alice", "wonder"),
        format!("{}{}", header(), plain("alice", "wonder")),
        "<iq type='get' id='injected' to='corp.example'><ping xmlns='urn:xmpp:ping'/></iq>".to_owned(),
    ] {
        let mut client = Client::open(&server).await;
        // One write, so that both are in the server's buffer when it answers.
        client.send(&format!("{starttls}{injected}")).await;
        let heard = String::from_utf8_lossy(&client.rest_bytes().await).into_owned();
        for answer in ["<success", "injected", "<stream:features"] {
            assert!(!heard.contains(answer), "{injected:?} was answered: {heard:?}");
        }
    }
    assert_serves(&mut server).await;
}

#[tokio::test]
async fn nobody_speaks_in_another_ones_name() {
    let mut server = company(Wish::plain()).await;
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    let attempts = [
        "from='bob@corp.example'",
        "from='bob@corp.example/two'",
        "from='corp.example'",
        "from='admin@corp.example'",
        "from='alice@corp.example/elsewhere'",
        "from='ALICE@corp.example.evil'",
        "from='@'",
        "from=''",
        "xmlns:x='jabber:client' x:from='bob@corp.example'",
        "FROM='bob@corp.example'",
    ];
    for (number, attempt) in attempts.iter().enumerate() {
        let mut alice = Client::bind(&server, "alice", "wonder", "one").await;
        alice
            .send(&format!(
                "<message {attempt} to='bob@corp.example' id='forged-{number}'><body>trust me</body></message>\
                 <presence {attempt} to='bob@corp.example' id='forged-{number}'/>"
            ))
            .await;
        // Either the stream ends, or the server went on and knows who speaks.
        alice
            .send("<iq type='get' id='still-there' to='corp.example'><ping xmlns='urn:xmpp:ping'/></iq>")
            .await;
        loop {
            match timeout(PATIENCE, alice.element()).await.expect("neither an answer nor the end") {
                Ok(Some(element)) if !element.contains("still-there") => {}
                _ => break,
            }
        }
    }
    let heard = bob.ping().await;
    for (at, _) in heard.match_indices("forged-") {
        let tag = heard[..at].rfind('<').unwrap();
        let tag = &heard[tag..at + heard[at..].find('>').unwrap()];
        assert!(tag.contains("from='alice@corp.example/one'"), "bob saw {tag}");
        assert_eq!(tag.matches("from=").count(), 1, "bob saw {tag}");
    }
    assert_serves(&mut server).await;
}

#[tokio::test]
async fn two_devices_never_share_a_resource() {
    let mut server = company(Wish::plain()).await;
    let mut first = Client::sign_in(&server, "alice", "wonder", "same").await;
    let mut second = Client::sign_in(&server, "alice", "wonder", "same").await;
    // The newer one stays (RFC 6120 §7.7.2.2), and the older one learns why it goes.
    assert_stream_error(&first.rest().await, &["conflict"], "the older connection");
    assert!(second.ping().await.contains("result"));
    let mut bob = Client::sign_in(&server, "bob", "builder", "two").await;
    bob.send("<message type='chat' to='alice@corp.example/same'><body>who are you?</body></message>").await;
    second.until("who are you?").await;
    assert_serves(&mut server).await;
}

#[tokio::test]
async fn ten_thousand_strangers_cost_little_and_lock_nobody_out() {
    const STRANGERS: usize = 10_000;
    allow_open_files(STRANGERS as u64 + 2_000).await;
    // One heap for all threads, so that what is measured is what the server holds, not where the allocator put it.
    let mut server = company(Wish::plain().environment("MALLOC_ARENA_MAX", "1")).await;
    assert_serves(&mut server).await;
    let before = server.resident();
    let mut strangers = Vec::with_capacity(STRANGERS);
    let mut slowest = Duration::ZERO;
    for number in 0..STRANGERS {
        strangers.push(Client::open(&server).await);
        if number % 2_000 == 1_999 {
            let begun = Instant::now();
            assert_serves(&mut server).await;
            slowest = slowest.max(begun.elapsed());
        }
    }
    let each = server.resident().saturating_sub(before) / STRANGERS as u64;
    println!("each of {STRANGERS} strangers costs {each} bytes; the slowest sign-in took {slowest:?}");
    assert!(each < 10 * 1024, "each stranger costs {each} bytes");

    // A second crowd after the first has gone finds the memory that the first one used.
    let full = server.resident();
    drop(strangers);
    // The server tells nobody when it has put a connection away, but what it holds open shows.
    let gone = async {
        while server.open_files() > 200 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("connections that ended are still open");
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS / 2 {
        strangers.push(Client::open(&server).await);
    }
    let grown = server.resident().saturating_sub(full);
    assert!(grown < 24 * MIB, "the second crowd cost {grown} bytes more");
    assert_serves(&mut server).await;
}

/// Lets this process, and the server that it starts, have so many files open.
async fn allow_open_files(count: u64) {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [soft, hard] = numbers[..] else { panic!("{line}") };
    assert!(hard >= count, "this test needs {count} open files, the system allows {hard}");
    if soft < count {
        let own = std::process::id().to_string();
        let raised =
            Command::new("prlimit").args(["--pid", &own, &format!("--nofile={count}:")]).status().await;
        assert!(raised.unwrap().success());
    }
}
