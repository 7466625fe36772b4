//! What leaves the archive by itself: anchors and the journal, to a real HTTP listener and a strict SMTP server.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::client::Client;
use crate::house::House;

/// A mail server that takes what RFC 5321 lets it and nothing else. Connections of these numbers are cut off after DATA.
async fn smtp(cut: &'static [usize]) -> (String, mpsc::UnboundedReceiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (mails, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(talk(stream, mails.clone(), cut.contains(&number)));
        }
    });
    (address, received)
}

async fn talk(stream: TcpStream, mails: mpsc::UnboundedSender<(String, String)>, cut: bool) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 archive.example ESMTP\r\n").await.ok()?;
    let mut to = String::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
        let command = line.strip_suffix("\r\n").expect("a line ends with CRLF");
        let answer = match command.split([' ', ':']).next().unwrap() {
            "EHLO" => "250-archive.example\r\n250 8BITMIME",
            "RSET" => "250 ok",
            "MAIL" => {
                assert_eq!(command, "MAIL FROM:<chancery@corp.example>");
                "250 ok"
            }
            "RCPT" => {
                to =
                    command.strip_prefix("RCPT TO:<").and_then(|to| to.strip_suffix('>')).unwrap().to_owned();
                "250 ok"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let mut message = Vec::new();
                while !message.ends_with(b"\r\n.\r\n") {
                    message.push(stream.read_u8().await.ok()?);
                }
                if cut {
                    return None;
                }
                let _ = mails.send((to.clone(), String::from_utf8(message).unwrap()));
                "250 taken"
            }
            other => panic!("{other}"),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// A witness that takes posts.
async fn witness() -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/anchors", listener.local_addr().unwrap());
    let (posts, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"}\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await.unwrap();
            posts.send(String::from_utf8(request).unwrap()).unwrap();
        }
    });
    (url, received)
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it takes too long")
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let line = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {message}"))
}

async fn say(client: &mut Client, words: &str) {
    client
        .send(&format!("<message to='juliet@corp.example' type='chat'><body>{words}</body></message>"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_reaches_the_other_archive_in_order_even_if_it_hangs_up() {
    let (address, mut mails) = smtp(&[0]).await;
    let settings = [
        ("MAIL_SERVER", address.as_str()),
        ("MAIL_SECURITY", "none"),
        ("MAIL_FROM", "chancery@corp.example"),
        ("ARCHIVE_JOURNAL", "mailto:journal@archive.example"),
    ];
    let house = House::with(&settings).await;
    let mut romeo = house.online("romeo", "a").await;
    for n in 0..5 {
        say(&mut romeo, &format!(".word {n}")).await;
    }
    let mut seen: Vec<(u64, String)> = Vec::new();
    let mut words = 0;
    while words < 5 {
        let (to, message) = soon(mails.recv()).await.unwrap();
        assert_eq!(to, "journal@archive.example");
        let place: u64 = header(&message, "X-Chancery-Sequence").parse().unwrap();
        let id = header(&message, "Message-ID").to_owned();
        if let Some((_, known)) = seen.iter().find(|(known, _)| *known == place) {
            assert_eq!(*known, id, "the same event has the same Message-ID");
            continue;
        }
        assert!(seen.last().is_none_or(|(last, _)| *last < place), "in order");
        if message.contains("word ") {
            assert!(message.contains(&format!(".word {words}")), "{message}");
            words += 1;
        }
        seen.push((place, id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_are_kept_elsewhere_by_file_post_and_mail() {
    let (address, mut mails) = smtp(&[]).await;
    let (url, mut posts) = witness().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("anchors");
    let goals = format!("file:{},{url},mailto:auditor@audit.example", file.display());
    let settings = [
        ("MAIL_SERVER", address.as_str()),
        ("MAIL_SECURITY", "none"),
        ("MAIL_FROM", "chancery@corp.example"),
        ("ARCHIVE_ANCHOR", goals.as_str()),
    ];
    let house = House::with(&settings).await;
    let mut romeo = house.online("romeo", "a").await;
    say(&mut romeo, "soft").await;
    romeo.settle().await;
    let operator = house.server.office().operator("root");
    let done = house.server.office().anchor(&operator, house.config()).await.unwrap();
    assert!(done["kept"].as_array().unwrap().iter().all(|kept| kept["fault"].is_null()), "{done}");
    let post = soon(posts.recv()).await.unwrap();
    assert!(post.starts_with("POST /anchors HTTP/1.1\r\n"), "{post}");
    let (to, mail) = soon(mails.recv()).await.unwrap();
    assert_eq!(to, "auditor@audit.example");

    // Each of them is all that a verifier needs, whatever is around the line.
    let line = post.rsplit("\r\n").next().unwrap();
    for text in [std::fs::read_to_string(&file).unwrap(), line.to_owned(), mail] {
        let anchors = archive::Anchor::read(text.as_bytes()).unwrap();
        assert!(!anchors.is_empty(), "{text}");
        let store = house.vault().store();
        let key = archive::public_key(house.vault());
        let report = archive::verify_against(&**store, &key, &anchors, |_| {}).await.unwrap();
        assert!(report.is_whole(), "{:?}", report.faults);
    }
}

#[tokio::test]
async fn a_goal_that_would_leave_the_machine_in_the_clear_is_refused() {
    use server::config::{Config, Sources};
    let load = |name: &str, value: &str| {
        let environment = vec![(format!("CHANCERY_{name}"), value.to_owned())];
        Config::load(&Sources { file: None, data: None, environment }).map_err(|error| error.to_string())
    };
    assert!(load("ARCHIVE_ANCHOR", "http://witness.example/x").unwrap_err().contains("https"));
    assert!(load("ARCHIVE_ANCHOR", "mailto:auditor@x.example").unwrap_err().contains("mail.server"));
    assert!(load("ARCHIVE_JOURNAL", "https://witness.example/x").is_err());
    assert!(load("ARCHIVE_ANCHOR", "mailto:a@x.example\r\nRCPT").is_err());
    assert!(load("ARCHIVE_ANCHOR", "file:/a,https://witness.example/x").is_ok());
}
