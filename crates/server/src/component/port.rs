//! The component port: from a fresh socket over the handshake (XEP-0114 §3) to stanzas both ways.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};
use stanza::{
    Attribute, Flavour, Framer, Framing, Item, Kind, Limits, Stanza, StanzaCondition, StreamCondition,
    StreamError, escape_attribute,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Component, Lease};
use crate::border::Border;
use crate::metrics::{CONNECTIONS, CONNECTIONS_REFUSED, OUTBOX_OVERFLOWS};
use crate::router::Router;
use crate::sessions::new_id;
use crate::stream::channel::{End, finish};
use crate::users::SignInLimit;
use crate::wire::{Io, Wire};

/// What every component's connection is served with.
pub struct Port {
    /// Knows the components.
    pub router: Router,
    /// Takes in what they send.
    pub border: Border,
    /// The limits once signed in.
    pub limits: Limits,
    /// How long a connection may take until it has signed in, and how many bytes.
    pub preauth: (Duration, usize),
    /// Attempts to sign in.
    pub attempts: Arc<SignInLimit>,
    /// Connections of all kinds at once; `None` is no limit.
    pub permits: Option<Arc<Semaphore>>,
    /// Held by every connection; shutting down waits until all are dropped.
    pub alive: mpsc::WeakSender<()>,
}

/// Pause after a failed accept: most likely the process is out of files, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A peer that has gone without a word is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Stanzas that are on their way to the system at a time.
const BATCH: usize = 64;

/// Accepts on one listener until `stop`.
pub async fn accept(listener: TcpListener, port: Arc<Port>, mut stop: watch::Receiver<bool>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let permit = match port.permits.clone().map(Semaphore::try_acquire_owned) {
            None => None,
            Some(Ok(permit)) => Some(permit),
            Some(Err(_)) => {
                metrics::counter!(CONNECTIONS_REFUSED, "reason" => "limit").increment(1);
                continue;
            }
        };
        let port = port.clone();
        tokio::spawn(async move {
            serve(stream, peer, &port).await;
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, port: &Port) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    let alive = port.alive.upgrade();
    metrics::gauge!(CONNECTIONS, "transport" => "component").increment(1.0);
    let mut stranger = Stranger::new(stream, port.preauth.1);
    let late = |_| Err(StreamError::new(StreamCondition::ConnectionTimeout, "The handshake is late.").into());
    match tokio::time::timeout(port.preauth.0, stranger.introduce(peer, port)).await.unwrap_or_else(late) {
        Ok(component) => {
            let Stranger { wire, mut framer, .. } = stranger;
            framer.set_limits(port.limits);
            let (lease, left) = component.connect();
            if !left.is_empty() {
                spawn_give_back(left, &port.router);
            }
            tracing::info!(component = %component.domain, "a component is connected");
            Connection { wire, framer, lease, component, unwritten: VecDeque::new() }.run(port).await;
        }
        Err(end) => stranger.end(end).await,
    }
    metrics::gauge!(CONNECTIONS, "transport" => "component").decrement(1.0);
    drop(alive);
}

/// A connection that has not signed in.
struct Stranger {
    wire: Wire,
    framer: Framer,
    /// Bytes that may still come.
    allowance: usize,
    /// Whether our stream header is out.
    opened: bool,
}

impl Stranger {
    fn new(stream: TcpStream, allowance: usize) -> Self {
        let framer = Framer::new(Flavour::Component, Framing::Tcp, Limits::BEFORE_SIGN_IN);
        Self { wire: Wire::new(Io::Plain(stream)), framer, allowance, opened: false }
    }

    async fn introduce(&mut self, peer: SocketAddr, port: &Port) -> Result<Arc<Component>, End> {
        let Item::Open(header) = self.item().await? else { return Err(StreamCondition::BadFormat.into()) };
        if !port.attempts.admit(peer.ip(), Instant::now()) {
            return Err(StreamError::new(StreamCondition::PolicyViolation, "Too many attempts; wait.").into());
        }
        let component = header.to.as_deref().and_then(|to| port.router.component(to));
        let component = component.ok_or(StreamCondition::HostUnknown)?;
        let id = new_id();
        self.open(Some(component.domain.as_str()), &id).await?;
        match self.item().await? {
            Item::Nonza(element) if element.is("handshake", stanza::ns::COMPONENT) => {
                if !component.knows(&id, &element.text()) {
                    tracing::warn!(component = %component.domain, "a component came with a wrong secret");
                    return Err(StreamCondition::NotAuthorized.into());
                }
            }
            Item::Close => return Err(End::Closed),
            _ => return Err(StreamCondition::NotAuthorized.into()),
        }
        self.wire.send(&b"<handshake/>"[..]).await?;
        Ok(component)
    }

    async fn item(&mut self) -> Result<Item, End> {
        loop {
            if let Some(item) = self.framer.next()? {
                return Ok(item);
            }
            let read = self.wire.read(&mut self.framer).await?;
            if read == 0 {
                return Err(End::Lost);
            }
            self.allowance = self.allowance.checked_sub(read).ok_or_else(|| {
                StreamError::new(StreamCondition::PolicyViolation, "Too many bytes before the handshake.")
            })?;
        }
    }

    async fn open(&mut self, from: Option<&str>, id: &str) -> Result<(), End> {
        let mut out = Vec::with_capacity(256);
        self.write_header(from, id, &mut out);
        Ok(self.wire.send(out).await?)
    }

    fn write_header(&mut self, from: Option<&str>, id: &str, out: &mut Vec<u8>) {
        self.opened = true;
        out.extend_from_slice(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
              xmlns:stream='http://etherx.jabber.org/streams'",
        );
        for (name, value) in [(&b" from='"[..], from), (b" id='", Some(id))] {
            if let Some(value) = value {
                out.extend_from_slice(name);
                escape_attribute(value, out);
                out.push(b'\'');
            }
        }
        out.push(b'>');
    }

    async fn end(mut self, end: End) {
        let error = match end {
            End::Lost => return,
            End::Closed => None,
            End::Error(error) => Some(error),
        };
        let mut out = Vec::new();
        if !self.opened {
            self.write_header(None, &new_id(), &mut out);
        }
        finish(&mut self.wire, Framing::Tcp, error, out).await;
    }
}

/// A component's connection.
struct Connection {
    wire: Wire,
    framer: Framer,
    component: Arc<Component>,
    lease: Lease,
    /// What the wire has and the system has not, oldest first.
    unwritten: VecDeque<Stanza>,
}

/// What a connection waits for.
enum Turn {
    Input,
    End(End),
}

impl Connection {
    async fn run(mut self, port: &Port) {
        let mut end = self.items(port).await;
        while end.is_ok() {
            end = match poll_fn(|cx| self.poll_turn(cx)).await {
                Turn::Input => self.items(port).await,
                Turn::End(end) => Err(end),
            };
        }
        // First of all: whoever writes to it now hears that it has gone.
        let mut undelivered = self.component.disconnect(self.lease);
        for stanza in self.unwritten.drain(..).rev() {
            undelivered.insert(0, stanza);
        }
        tracing::info!(component = %self.component.domain, undelivered = undelivered.len(), "a component has gone");
        // Beside the end of the stream: who is slow to hear of it holds nobody up.
        spawn_give_back(undelivered, &port.router);
        let error = match end {
            Ok(()) | Err(End::Closed) => None,
            Err(End::Lost) => return,
            Err(End::Error(error)) => Some(error),
        };
        if error.as_ref().is_some_and(|error| error.condition == StreamCondition::ResourceConstraint) {
            metrics::counter!(OUTBOX_OVERFLOWS).increment(1);
        }
        finish(&mut self.wire, Framing::Tcp, error, Vec::new()).await;
    }

    /// Writes as long as there is something to write and room for it, then reads.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let Self { wire, framer, component, lease, unwritten } = self;
        loop {
            let waiting = wire.unsent().len();
            let room = BATCH.saturating_sub(waiting);
            let taken = component.poll_take(*lease, room, cx.waker(), |stanza| {
                wire.unsent().push_back(stanza.outgoing(None));
                unwritten.push_back(stanza);
            });
            let more = match taken {
                Poll::Ready(Ok(())) => {
                    crate::metrics::sent(wire.unsent().len() - waiting);
                    true
                }
                Poll::Ready(Err(why)) => return Poll::Ready(Turn::End(why.into())),
                Poll::Pending => false,
            };
            let flushed = wire.poll_flush(cx);
            let left = wire.unsent().len();
            unwritten.drain(..unwritten.len().saturating_sub(left));
            match flushed {
                Poll::Ready(Ok(())) if more || room == 0 => {}
                Poll::Ready(Ok(())) | Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::End(End::Lost)),
            }
        }
        match wire.poll_read(cx, framer) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Turn::End(End::Lost)),
            Poll::Ready(Ok(_)) => Poll::Ready(Turn::Input),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Handles every complete item that has been read.
    async fn items(&mut self, port: &Port) -> Result<(), End> {
        while let Some(item) = self.framer.next()? {
            match item {
                Item::Stanza(stanza) => {
                    crate::metrics::received(stanza.kind);
                    self.stanza(stanza, port).await?;
                }
                Item::Close => return Err(End::Closed),
                Item::Nonza(_) => return Err(StreamCondition::UnsupportedStanzaType.into()),
                Item::Open(_) => return Err(StreamCondition::BadFormat.into()),
            }
        }
        Ok(())
    }

    /// XEP-0114 §4: both addresses are there, and the sender's is the component's own.
    async fn stanza(&mut self, stanza: Stanza, port: &Port) -> Result<(), End> {
        if stanza.malformed == Some(Attribute::To) && self.owns(&stanza) {
            // A gateway makes addresses of names that others choose; one bad name is no reason to end it.
            let error = StanzaCondition::JidMalformed.into();
            port.router.bounce(&stanza, error);
            return Ok(());
        }
        if stanza.from.is_none() || stanza.to.is_none() {
            return Err(StreamCondition::ImproperAddressing.into());
        }
        if !self.owns(&stanza) {
            return Err(StreamCondition::InvalidFrom.into());
        }
        match stanza.kind {
            Kind::Message => port.border.message(stanza).await,
            Kind::Presence => Box::pin(port.border.presence(stanza)).await,
            Kind::Iq => Box::pin(port.border.iq(stanza)).await,
        }
        Ok(())
    }

    fn owns(&self, stanza: &Stanza) -> bool {
        stanza.from.as_ref().is_some_and(|from| from.domain().as_str() == self.component.domain.as_str())
    }
}

fn spawn_give_back(undelivered: Vec<Stanza>, router: &Router) {
    let router = router.clone();
    tokio::spawn(async move { give_back(undelivered, &router).await });
}

/// Tells the senders. All at once would be more than the outbox of one who sent much has room for.
async fn give_back(undelivered: Vec<Stanza>, router: &Router) {
    for stanza in &undelivered {
        let sender = stanza.from.as_ref().and_then(|from| from.try_as_full().ok());
        if let Some(session) = sender.and_then(|sender| router.session(sender)) {
            let _ = tokio::time::timeout(Duration::from_secs(1), session.outbox.drained()).await;
        }
        router.bounce_undelivered(stanza);
    }
}
