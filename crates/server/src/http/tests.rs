//! Over real sockets, so that what the listener attaches is what the routes see.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_rustls::rustls;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::*;
use crate::sasl::BindingType;
use crate::tls::{Pem, Tls};

/// A running web side and the ends that tests hold.
struct House {
    address: SocketAddr,
    web: Arc<Web>,
    failing: Arc<AtomicBool>,
    upgraded: mpsc::UnboundedReceiver<Peer>,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

async fn house(text: &str) -> House {
    house_with(text, None, None).await
}

async fn house_with(text: &str, tls: Option<Tls>, permits: Option<Arc<Semaphore>>) -> House {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chancery.toml");
    std::fs::write(&file, text).unwrap();
    let config = Config::load(&crate::config::Sources { file: Some(file), ..Default::default() }).unwrap();
    let failing = Arc::new(AtomicBool::new(false));
    let health = {
        let failing = failing.clone();
        Arc::new(move || match failing.load(Ordering::SeqCst) {
            true => Health::Failing("the archive cannot write"),
            false => Health::Ok,
        })
    };
    let (met, upgraded) = mpsc::unbounded_channel();
    let websocket: WebSocketHandler = Arc::new(move |mut socket, peer| {
        let met = met.clone();
        Box::pin(async move {
            let _ = met.send(peer);
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
        })
    });
    let web = Web::new(&config, Exporter::install(), health, websocket, None, None, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve(
        Door { listener, tls, permits, idle: std::time::Duration::from_secs(60) },
        router(web.clone()),
        stopped,
    ));
    House { address, web, failing, upgraded, stop, serving }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

async fn ask_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
    headers: &[&str],
) -> Answer {
    let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    // A TLS peer that closes without a farewell is an error after the last byte; the text is what counts.
    let _ = stream.read_to_string(&mut answer).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

impl House {
    async fn ask(&self, request: &str, headers: &[&str]) -> Answer {
        ask_over(TcpStream::connect(self.address).await.unwrap(), request, headers).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &["Host: localhost"]).await
    }

    async fn dial(&self, protocol: Option<&str>) -> Result<tungstenite::http::HeaderMap, tungstenite::Error> {
        let mut request = format!("ws://{}/xmpp-websocket", self.address).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut socket, answer) = tokio_tungstenite::client_async(request, stream).await?;
        use futures_util::SinkExt;
        socket.send("<open/>".into()).await?;
        assert_eq!(socket.next().await.unwrap()?.to_text()?, "<open/>");
        Ok(answer.headers().clone())
    }
}

#[tokio::test]
async fn host_meta_shows_the_way_to_the_websocket_for_any_origin() {
    let house = house("").await;
    let host = format!("Host: {}", house.address);
    let xml = house.ask("GET /.well-known/host-meta", &[&host]).await;
    assert_eq!(xml.status, 200);
    assert_eq!(xml.header("access-control-allow-origin"), Some("*"));
    assert_eq!(xml.header("content-type"), Some("application/xrd+xml"));
    assert!(xml.body.contains(&format!("href='ws://{}/xmpp-websocket'", house.address)), "{}", xml.body);

    let json = house.ask("GET /.well-known/host-meta.json", &[&host]).await;
    assert_eq!(json.header("access-control-allow-origin"), Some("*"));
    let links: serde_json::Value = serde_json::from_str(&json.body).unwrap();
    assert_eq!(links["links"][0]["rel"], "urn:xmpp:alt-connections:websocket");
    assert_eq!(links["links"][0]["href"], format!("ws://{}/xmpp-websocket", house.address));
}

#[tokio::test]
async fn a_public_url_is_what_host_meta_shows() {
    let house = house("[http]\npublic_url = \"https://chat.corp.example\"\n").await;
    let answer = house.get("/.well-known/host-meta.json").await;
    assert!(answer.body.contains("wss://chat.corp.example/xmpp-websocket"), "{}", answer.body);
}

#[tokio::test]
async fn a_host_that_would_break_out_of_the_markup_is_refused() {
    let house = house("").await;
    let answer = house.ask("GET /.well-known/host-meta", &["Host: x'/><Link"]).await;
    assert_eq!(answer.status, 400);
    assert!(!answer.body.contains("<Link"));
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let house = house("").await;
    for path in ["/", "/healthz", "/nowhere", "/metrics"] {
        let answer = house.get(path).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(answer.header("strict-transport-security"), None, "{path}");
    }
}

#[tokio::test]
async fn the_page_about_the_server_loads_nothing_from_elsewhere() {
    let house = house("domains = [\"corp.example\", \"other.example\"]\n").await;
    let page = house.get("/about").await;
    assert!(page.body.contains("corp.example") && page.body.contains("other.example"));
    assert!(!page.body.contains("http://") && !page.body.contains("https://"), "{}", page.body);
    assert!(!page.body.contains("<script") && !page.body.contains("style="));
    assert_eq!(house.get("/chancery.css").await.status, 200);
}

/// The web app is there once it is built; without it, its place says how.
#[tokio::test]
async fn the_first_page_is_the_web_app_and_nothing_in_it_runs_but_its_own_scripts() {
    let house = house("").await;
    let page = house.get("/").await;
    assert!(matches!(page.status, 200 | 503));
    let policy = page.header("content-security-policy").unwrap();
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(!page.body.contains("style=") && !page.body.contains("<script>"));
    if page.status == 503 {
        return assert!(page.body.contains("make web"));
    }
    assert!(policy.contains("script-src 'self'"));
    let script = page.body.split('"').find(|part| part.ends_with(".js")).unwrap();
    let packed =
        house.ask(&format!("HEAD {script}"), &["Host: localhost", "Accept-Encoding: gzip, br"]).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("br")));
    assert!(packed.header("cache-control").unwrap().contains("immutable"));
    let plain = house.get(script).await;
    assert_eq!((plain.status, plain.header("content-encoding")), (200, None));
    let tag = plain.header("etag").unwrap().to_owned();
    let again =
        house.ask(&format!("GET {script}"), &["Host: localhost", &format!("If-None-Match: {tag}")]).await;
    assert_eq!(again.status, 304);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_clients_format() {
    let house = house("").await;
    let html = house.ask("GET /%3Cb%3E", &["Host: localhost", "Accept: text/html"]).await;
    assert_eq!((html.status, html.header("content-type")), (404, Some("text/html; charset=utf-8")));
    assert!(!html.body.contains("<b>"));
    let json = house.ask("GET /x", &["Host: localhost", "Accept: application/json"]).await;
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&json.body).unwrap()["error"],
        "There is nothing at /x."
    );
    assert_eq!(house.get("/x").await.body, "There is nothing at /x.\n");
    let post = house.ask("POST /healthz", &["Host: localhost", "Content-Length: 0"]).await;
    assert_eq!((post.status, post.body.as_str()), (405, "This page does not answer POST.\n"));
}

#[tokio::test]
async fn health_turns_with_the_server() {
    let house = house("").await;
    assert_eq!(house.get("/healthz").await.body, "{\"status\":\"ok\"}");
    house.failing.store(true, Ordering::SeqCst);
    let answer = house.get("/healthz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("the archive cannot write"));
}

#[tokio::test]
async fn this_machine_reads_the_numbers_but_a_proxy_on_it_does_not() {
    let house = house("").await;
    let numbers = house.get("/metrics").await;
    assert_eq!(numbers.status, 200);
    assert!(numbers.body.contains("chancery_build_info"), "{}", numbers.body);
    for headers in [
        &["Host: localhost", "X-Forwarded-For: 192.0.2.1"][..],
        &["Host: localhost", "Forwarded: for=192.0.2.1"],
        &["Host: rebound.example:5280"],
        &[],
    ] {
        assert_eq!(house.ask("GET /metrics", headers).await.status, 401, "{headers:?}");
    }
    assert_eq!(house.ask("GET /metrics", &["Host: [::1]:5280"]).await.status, 200);
}

#[tokio::test]
async fn with_a_token_only_the_token_reads_the_numbers() {
    let house = house("[metrics]\ntoken = \"a-token-to-read-with\"\n").await;
    assert_eq!(house.get("/metrics").await.status, 401);
    let wrong = ["Host: chat.corp.example", "Authorization: Bearer a-token-to-read-witH"];
    assert_eq!(house.ask("GET /metrics", &wrong).await.status, 401);
    let right = ["Host: chat.corp.example", "Authorization: Bearer a-token-to-read-with"];
    assert_eq!(house.ask("GET /metrics", &right).await.status, 200);
}

#[tokio::test]
async fn a_reload_changes_what_requests_see() {
    let house = house("").await;
    let mut config = Config::default();
    config.metrics.token = Some(Secret::new("a-token-to-read-with".into()));
    house.web.reconfigure(&config);
    assert_eq!(house.get("/metrics").await.status, 401);
}

#[tokio::test]
async fn a_client_that_offers_xmpp_is_handed_over() {
    let mut house = house("").await;
    let headers = house.dial(Some("chat, xmpp")).await.unwrap();
    assert_eq!(headers["sec-websocket-protocol"], "xmpp");
    let peer = house.upgraded.recv().await.unwrap();
    assert!(!peer.is_secure());
}

#[tokio::test]
async fn a_client_that_offers_another_protocol_or_none_is_refused() {
    let house = house("").await;
    for protocol in [None, Some("chat")] {
        match house.dial(protocol).await {
            Err(tungstenite::Error::Http(answer)) => assert_eq!(answer.status(), 400),
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
    assert_eq!(house.get("/xmpp-websocket").await.status, 426);
}

#[tokio::test]
async fn over_tls_the_channel_is_known_and_host_meta_says_wss() {
    let domains = Config::default().domains;
    let pem = Pem::self_signed(&domains).unwrap();
    let tls = Tls::new(&pem).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(pem.chain().unwrap().remove(0)).unwrap();
    let client =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let mut house = house_with("", Some(tls), None).await;
    let dial = async || {
        let stream = TcpStream::connect(house.address).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), stream).await.unwrap()
    };
    let answer = ask_over(dial().await, "GET /.well-known/host-meta", &["Host: localhost"]).await;
    assert!(answer.body.contains("wss://localhost/xmpp-websocket"), "{}", answer.body);
    // Nobody could be talked into a self-signed certificate any more.
    assert_eq!(answer.header("strict-transport-security"), None);

    let stream = dial().await;
    let theirs =
        stream.get_ref().1.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
    let mut request = "wss://localhost/xmpp-websocket".into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse().unwrap());
    let _socket = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let peer = house.upgraded.recv().await.unwrap();
    assert_eq!(peer.tls.unwrap().bindings.data(BindingType::TlsExporter), Some(&theirs[..]));
}

#[tokio::test]
async fn a_socket_beyond_the_limit_is_closed_and_a_websocket_keeps_its_place() {
    let permits = Arc::new(Semaphore::new(1));
    let mut house = house_with("", None, Some(permits.clone())).await;
    let mut request = format!("ws://{}/xmpp-websocket", house.address).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "xmpp".parse().unwrap());
    let stream = TcpStream::connect(house.address).await.unwrap();
    let (socket, _) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    let peer = house.upgraded.recv().await.unwrap();
    let mut refused = TcpStream::connect(house.address).await.unwrap();
    assert_eq!(refused.read(&mut [0]).await.unwrap_or(0), 0);
    drop((socket, peer));
    let _place = permits.acquire().await.unwrap();
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_then_the_listener() {
    let house = house("").await;
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    idle.write_all(b"GET /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 1024];
    assert!(idle.read(&mut first).await.unwrap() > 0);
    house.stop.send(true).unwrap();
    assert_eq!(idle.read(&mut first).await.unwrap_or(0), 0);
    house.serving.await.unwrap();
    assert!(TcpStream::connect(house.address).await.is_err());
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let house = house("").await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n").await.unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    // The peer may hang up while we still write.
    for _ in 0..64 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}
