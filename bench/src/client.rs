//! A lean XMPP client: as much of RFC 6120 as a load generator needs, at as little CPU as it can.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::account::Account;
use crate::fault::{Context, Fault, Result};
use crate::scan::{self, Scanner};
use crate::scram::{Exchange, Hash, KeyCache};

/// No step of a sign-in may take longer; a server that is so far behind has failed the row.
const STEP: Duration = Duration::from_secs(30);
const READ: usize = 16 * 1024;

/// Where and how to connect.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    /// Direct TLS (XEP-0368) when set.
    pub(crate) tls: Option<TlsConnector>,
    pub(crate) domain: Arc<str>,
    pub(crate) keys: Arc<KeyCache>,
}

/// What carries the bytes.
enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    async fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read_buf(buffer).await,
            Wire::Tls(stream) => stream.read_buf(buffer).await,
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.write_all(bytes).await,
            Wire::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
        }
    }
}

/// One connection.
pub(crate) struct Client {
    wire: Wire,
    scanner: Scanner,
    input: Vec<u8>,
}

impl Client {
    /// Connects, and shakes hands where the endpoint wants TLS. No stream is opened.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Client> {
        let stream = timeout(STEP, TcpStream::connect(endpoint.address))
            .await
            .map_err(|_| Fault::TimedOut("connecting"))?
            .during(format!("connecting to {}", endpoint.address))?;
        stream.set_nodelay(true).during("setting TCP_NODELAY")?;
        let wire = match &endpoint.tls {
            None => Wire::Plain(stream),
            Some(connector) => {
                let name = ServerName::try_from(endpoint.domain.to_string())
                    .map_err(|_| Fault::Usage(format!("{} is no server name", endpoint.domain)))?;
                let stream = timeout(STEP, connector.connect(name, stream))
                    .await
                    .map_err(|_| Fault::TimedOut("the TLS handshake"))?
                    .during("the TLS handshake")?;
                Wire::Tls(Box::new(stream))
            }
        };
        Ok(Client { wire, scanner: Scanner::default(), input: Vec::new() })
    }

    /// Connects, authenticates with the best mechanism on offer and binds a resource of the server's choice.
    /// Sends no presence.
    pub(crate) async fn sign_in(endpoint: &Endpoint, account: &Account) -> Result<Client> {
        let mut client = Client::connect(endpoint).await?;
        let features = client.open(endpoint).await?;
        client.authenticate(endpoint, account, &features).await?;
        client.open(endpoint).await?;
        let bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
        let bound = client.ask(bind, "bind").await?;
        match scan::attribute(&bound, "type") {
            Some(b"result") => Ok(client),
            _ => Err(refusal("the resource", &bound)),
        }
    }

    /// Opens a stream and returns its features.
    pub(crate) async fn open(&mut self, endpoint: &Endpoint) -> Result<Vec<u8>> {
        self.send(header(&endpoint.domain).as_bytes()).await?;
        loop {
            let item = self.item("the stream header").await?;
            if item.starts_with(b"<stream:features") {
                return Ok(item);
            }
            if !item.starts_with(b"<stream:stream") {
                return Err(refusal("the stream", &item));
            }
        }
    }

    async fn authenticate(&mut self, endpoint: &Endpoint, account: &Account, features: &[u8]) -> Result<()> {
        let offers = |name: &str| scan::holds(features, &format!(">{name}<"));
        let hash = [Hash::Sha256, Hash::Sha1].into_iter().find(|hash| offers(hash.mechanism()));
        let Some(hash) = hash else {
            if !offers("PLAIN") {
                return Err(refusal("a mechanism that this tool knows", features));
            }
            let secret = BASE64.encode(format!("\0{}\0{}", account.name, account.password));
            self.send(auth("PLAIN", &secret).as_bytes()).await?;
            return self.success().await.map(|_| ());
        };

        let mut exchange = Exchange::begin(hash, &account.name, nonce());
        self.send(auth(hash.mechanism(), &exchange.first()).as_bytes()).await?;
        let challenge = self.item("SCRAM").await?;
        let Some(text) = scan::text(&challenge, "challenge") else {
            return Err(refusal("the account", &challenge));
        };
        let answer = exchange.answer(text, &account.password, &endpoint.keys)?;
        self.send(
            format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{answer}</response>").as_bytes(),
        )
        .await?;
        let last = self.success().await?;
        match scan::text(&last, "success") {
            Some(text) if exchange.verify(text) => Ok(()),
            _ => Err(refusal("its proof", &last)),
        }
    }

    async fn success(&mut self) -> Result<Vec<u8>> {
        let item = self.item("authentication").await?;
        if item.starts_with(b"<success") { Ok(item) } else { Err(refusal("the account", &item)) }
    }

    /// Sends an IQ and returns the reply with this id; what else arrives meanwhile is dropped.
    pub(crate) async fn ask(&mut self, iq: &str, id: &str) -> Result<Vec<u8>> {
        self.send(iq.as_bytes()).await?;
        loop {
            let item = self.item("an IQ").await?;
            if item.starts_with(b"<iq") && scan::attribute(&item, "id") == Some(id.as_bytes()) {
                return Ok(item);
            }
            if item.starts_with(b"<stream:error") {
                return Err(refusal("an IQ", &item));
            }
        }
    }

    /// Writes all of it, and flushes TLS.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.wire.write(bytes).await.during("sending")
    }

    /// The next item, copied out; for everything that is not measured by the message.
    pub(crate) async fn item(&mut self, step: &'static str) -> Result<Vec<u8>> {
        loop {
            if let Some(range) = self.parse() {
                return Ok(self.input[range].to_vec());
            }
            match timeout(STEP, self.read()).await {
                Ok(Ok(0)) => return Err(Fault::Closed(step)),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(Fault::TimedOut(step)),
            }
        }
    }

    /// Waits for bytes; 0 is the end of the stream. Cancel safe. Ranges from [`Client::parse`] are void afterwards.
    pub(crate) async fn read(&mut self) -> Result<usize> {
        let done = self.scanner.done();
        if done == self.input.len() {
            self.input.clear();
        } else {
            self.input.copy_within(done.., 0);
            self.input.truncate(self.input.len() - done);
        }
        self.scanner.shift(done);
        if self.input.capacity() - self.input.len() < READ / 2 {
            self.input.reserve(READ);
        }
        self.wire.read(&mut self.input).await.during("receiving")
    }

    /// The next whole item among the bytes that were read.
    pub(crate) fn parse(&mut self) -> Option<Range<usize>> {
        self.scanner.next(&self.input)
    }

    /// The bytes of an item from [`Client::parse`].
    pub(crate) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.input[range]
    }

    /// Gives back the input buffer while nothing is expected.
    pub(crate) fn release(&mut self) {
        if self.scanner.done() == self.input.len() {
            self.scanner.shift(self.input.len());
            self.input = Vec::new();
        }
    }

    /// Closes the stream and waits until the server has closed it too.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.send(b"</stream:stream>").await?;
        let end = async {
            loop {
                while let Some(range) = self.parse() {
                    if self.bytes(range).starts_with(b"</stream:stream") {
                        return;
                    }
                }
                if !matches!(self.read().await, Ok(1..)) {
                    return;
                }
            }
        };
        timeout(STEP, end).await.map_err(|_| Fault::TimedOut("closing"))
    }

    /// Creates the account by in-band registration (XEP-0077). One that exists already is fine.
    pub(crate) async fn register(endpoint: &Endpoint, account: &Account) -> Result<()> {
        let mut client = Client::connect(endpoint).await?;
        client.open(endpoint).await?;
        let iq = format!(
            "<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>{}</username><password>{}</password>\
             </query></iq>",
            account.name, account.password
        );
        let answer = client.ask(&iq, "reg").await?;
        let fine = scan::attribute(&answer, "type") == Some(b"result") || scan::holds(&answer, "<conflict");
        client.close().await?;
        if fine { Ok(()) } else { Err(refusal("registration", &answer)) }
    }
}

/// The stream header that every client here sends.
pub(crate) fn header(domain: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         version='1.0' to='{domain}'>"
    )
}

fn auth(mechanism: &str, initial: &str) -> String {
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{initial}</auth>")
}

fn refusal(step: &'static str, answer: &[u8]) -> Fault {
    Fault::Refused { step, answer: String::from_utf8_lossy(answer).into_owned() }
}

/// Unique within the run is all that a nonce needs here.
fn nonce() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    (u64::from(std::process::id()) << 40) ^ count.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
