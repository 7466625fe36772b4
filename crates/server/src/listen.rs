//! Accepting XMPP connections: TCP with STARTTLS, TCP with TLS from the first byte (XEP-0368), WebSocket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use crate::connection;
use crate::http::Peer;
use crate::metrics::{CONNECTIONS, CONNECTIONS_REFUSED};
use crate::sasl::{Channel as Security, ChannelBindings};
use crate::stream::channel::Channel;
use crate::stream::{Gate, negotiate};
use crate::tls::Handshake;
use crate::wire::Io;

/// Pause after a failed accept: most likely the process is out of files, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A peer that has gone without a word is noticed after about this long.
const KEEPALIVE: Duration = Duration::from_secs(120);

/// What every connection is served with.
pub struct Hall {
    /// Negotiates.
    pub gate: Arc<Gate>,
    /// Whether sign-in without TLS is allowed (development only).
    pub insecure: bool,
    /// Bytes before sign-in.
    pub preauth_bytes: usize,
    /// Connections of all kinds at once; `None` is no limit.
    pub permits: Option<Arc<Semaphore>>,
}

/// Accepts on one listener until `stop`.
pub async fn accept(
    listener: TcpListener,
    direct_tls: bool,
    hall: Arc<Hall>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let permit = match hall.permits.clone().map(Semaphore::try_acquire_owned) {
            None => None,
            Some(Ok(permit)) => Some(permit),
            Some(Err(_)) => {
                metrics::counter!(CONNECTIONS_REFUSED, "reason" => "limit").increment(1);
                continue;
            }
        };
        tokio::spawn(connection(stream, peer, direct_tls, hall.clone(), permit));
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    direct_tls: bool,
    hall: Arc<Hall>,
    permit: Option<OwnedSemaphorePermit>,
) {
    let transport = if direct_tls { "tls" } else { "tcp" };
    if let Some(channel) = Box::pin(greet(stream, peer, direct_tls, &hall)).await {
        serve(channel, &hall, transport).await;
    }
    drop(permit);
}

/// Prepares the socket, with TLS where it comes first.
async fn greet(stream: TcpStream, peer: SocketAddr, direct_tls: bool, hall: &Hall) -> Option<Box<Channel>> {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    if !direct_tls {
        let security = if hall.insecure { Security::InsecureAllowed } else { Security::Insecure };
        let bindings = ChannelBindings::default();
        return Some(Box::new(Channel::new(Io::Plain(stream), peer, security, bindings, hall.preauth_bytes)));
    }
    let identity = hall.gate.tls.current();
    let accept = TlsAcceptor::from(identity.xmpp.clone()).accept(stream);
    let stream = tokio::time::timeout(hall.gate.preauth, accept).await.ok()?.ok()?;
    let bindings = Handshake::of(stream.get_ref().1, &identity).bindings;
    let io = Io::Tls(Box::new(stream));
    Some(Box::new(Channel::new(io, peer, Security::Encrypted, bindings, hall.preauth_bytes)))
}

/// Serves an upgraded WebSocket.
pub async fn websocket(socket: WebSocket, peer: Peer, hall: Arc<Hall>) {
    let security = match (peer.is_secure(), hall.insecure || peer.address.ip().is_loopback()) {
        (true, _) => Security::Encrypted,
        // A browser on the same machine, or a proxy there that ends TLS.
        (false, true) => Security::InsecureAllowed,
        (false, false) => Security::Insecure,
    };
    let bindings = peer.tls.as_ref().map(|handshake| handshake.bindings.clone()).unwrap_or_default();
    let io = Io::WebSocket(Box::new(socket));
    let mut channel = Channel::new(io, peer.address, security, bindings, hall.preauth_bytes);
    channel.owner = peer.account;
    serve(Box::new(channel), &hall, "websocket").await;
}

async fn serve(channel: Box<Channel>, hall: &Hall, transport: &'static str) {
    metrics::gauge!(CONNECTIONS, "transport" => transport).increment(1.0);
    let alive = hall.gate.clerk.sessions.guard();
    if let Some(bound) = Box::pin(negotiate(channel, &hall.gate)).await {
        Box::pin(connection::serve(bound, &hall.gate.clerk)).await;
    }
    drop(alive);
    metrics::gauge!(CONNECTIONS, "transport" => transport).decrement(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, E, F>(_: fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    fn size_of_two<A, B, F>(_: fn(A, B) -> F) -> usize {
        size_of::<F>()
    }

    /// An idle connection keeps these for hours; what is only needed while something happens is in boxes.
    #[test]
    fn the_futures_of_an_idle_connection_are_small() {
        let (task, session) = (size(connection), size_of_two(connection::serve));
        assert!(task <= 512, "the task: {task} bytes");
        assert!(session <= 768, "the session's loop: {session} bytes");
        let (socket, framer, state) = (
            size_of::<connection::Connection>(),
            size_of::<stanza::Framer>(),
            size_of::<crate::session::Session>(),
        );
        assert!(socket + state <= 2_048, "connection {socket} (framer {framer}) and session {state} bytes");
    }
}
