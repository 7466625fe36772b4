//! A bare relay: it forwards framed stanzas between sockets and checks nothing. No server can be faster on the same
//! kernel, so it is the ceiling of the message rows.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use crate::fault::{Context, Result};
use crate::scan::{self, Scanner};

struct Peer {
    stream: TcpStream,
    waiting: RefCell<Vec<u8>>,
    more: Notify,
}

impl Peer {
    /// Hands over what the socket takes now; the rest is left to [`drain`].
    fn flush(&self) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        let mut sent = 0;
        let result = loop {
            if sent == waiting.len() {
                break Ok(());
            }
            match self.stream.try_write(&waiting[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.more.notify_one();
                    break Ok(());
                }
                Err(error) => break Err(error),
            }
        };
        waiting.drain(..sent);
        result
    }
}

type Peers = Rc<RefCell<HashMap<Vec<u8>, Rc<Peer>>>>;

/// Serves until the process ends. Everything runs on one thread.
pub(crate) async fn serve(listener: TcpListener) -> Result<()> {
    let peers = Peers::default();
    LocalSet::new()
        .run_until(async move {
            loop {
                let (stream, _) = listener.accept().await.during("accepting")?;
                stream.set_nodelay(true).during("setting TCP_NODELAY")?;
                let peer = Rc::new(Peer { stream, waiting: RefCell::default(), more: Notify::new() });
                spawn_local(drain(Rc::clone(&peer)));
                let peers = Rc::clone(&peers);
                spawn_local(async move {
                    // A broken connection is the client's affair.
                    let _ = Connection { peer, peers, name: Vec::new(), signed_in: false }.run().await;
                });
            }
        })
        .await
}

async fn drain(peer: Rc<Peer>) {
    loop {
        peer.more.notified().await;
        if peer.stream.writable().await.is_err() || peer.flush().is_err() {
            return;
        }
    }
}

struct Connection {
    peer: Rc<Peer>,
    peers: Peers,
    name: Vec<u8>,
    signed_in: bool,
}

impl Connection {
    async fn run(mut self) -> io::Result<()> {
        let (mut input, mut scanner) = (Vec::with_capacity(64 * 1024), Scanner::default());
        let mut touched: Vec<Rc<Peer>> = Vec::new();
        loop {
            self.peer.stream.readable().await?;
            match self.peer.stream.try_read_buf(&mut input) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            while let Some(range) = scanner.next(&input) {
                let item = &input[range];
                if item.starts_with(b"<message") {
                    self.forward(item, &mut touched);
                } else if !self.handshake(item) {
                    return Ok(());
                }
            }
            for peer in touched.drain(..) {
                // The other side's trouble ends the other side's own reader.
                let _ = peer.flush();
            }
            self.peer.flush()?;
            let done = scanner.done();
            input.drain(..done);
            scanner.shift(done);
            input.reserve(16 * 1024);
        }
        self.peers.borrow_mut().remove(&self.name);
        Ok(())
    }

    fn forward(&self, item: &[u8], touched: &mut Vec<Rc<Peer>>) {
        let Some(to) = scan::attribute(item, "to") else { return };
        let name = to.split(|byte| *byte == b'@').next().unwrap_or(to);
        if let Some(peer) = self.peers.borrow().get(name) {
            peer.waiting.borrow_mut().extend_from_slice(item);
            if !touched.iter().any(|known| Rc::ptr_eq(known, peer)) {
                touched.push(Rc::clone(peer));
            }
        }
    }

    /// Plays a server just far enough that the client believes it. Whether to go on.
    fn handshake(&mut self, item: &[u8]) -> bool {
        let answer: String = if item.starts_with(b"<stream:stream") {
            let features = if self.signed_in {
                "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
            } else {
                "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
            };
            format!(
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' \
                 id='relay'><stream:features>{features}</stream:features>"
            )
        } else if item.starts_with(b"<auth") {
            let secret =
                scan::text(item, "auth").and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
            self.name = secret.split(|byte| *byte == 0).nth(1).unwrap_or_default().to_vec();
            self.signed_in = true;
            self.peers.borrow_mut().insert(self.name.clone(), Rc::clone(&self.peer));
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned()
        } else if item.starts_with(b"<iq") {
            let id = String::from_utf8_lossy(scan::attribute(item, "id").unwrap_or_default()).into_owned();
            format!("<iq type='result' id='{id}'/>")
        } else if item.starts_with(b"</stream:stream") {
            "</stream:stream>".to_owned()
        } else {
            String::new()
        };
        self.peer.waiting.borrow_mut().extend_from_slice(answer.as_bytes());
        let closing = item.starts_with(b"</stream:stream");
        if closing {
            let _ = self.peer.flush();
        }
        !closing
    }
}
