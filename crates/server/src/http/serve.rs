//! From a listening socket to requests: accepts, shakes hands where it must, and ends gracefully.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::UPGRADE;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::Peer;
use super::paced::Paced;
use crate::metrics::CONNECTIONS_REFUSED;
use crate::tls::{Handshake, Tls};

/// How long a peer may take for the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a peer may take for one request's head, and how long a kept connection may idle.
const REQUEST_HEAD: Duration = Duration::from_secs(20);
/// How long answers may take to leave once the server stops.
const DRAIN: Duration = Duration::from_secs(5);
/// The largest request head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pause after a failed accept: most likely the process is out of files, and trying at once would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One way in.
pub struct Door {
    /// The bound socket.
    pub listener: TcpListener,
    /// The certificate. `None`: plain.
    pub tls: Option<Tls>,
    /// The connections that the server allows at once, of all kinds. `None`: no limit.
    pub permits: Option<Arc<Semaphore>>,
    /// How long a peer may take nothing of what is sent to it.
    pub idle: Duration,
}

/// Serves a door until `stop` turns true (or its sender is gone), then lets running answers end.
///
/// Upgraded sockets are not waited for: whoever took them over ends them.
pub async fn serve(door: Door, router: Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = door.listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
            // Finished connections leave the set as they go.
            Some(_) = connections.join_next() => continue,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                debug!(%error, "cannot accept a web connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let permit = match &door.permits {
            None => None,
            Some(permits) => match permits.clone().try_acquire_owned() {
                Ok(permit) => Some(Arc::new(permit)),
                Err(_) => {
                    counter!(CONNECTIONS_REFUSED, "reason" => "limit").increment(1);
                    continue;
                }
            },
        };
        let peer = Peer { address, tls: None, account: None, permit };
        let served = Served { router: router.clone(), idle: door.idle, stop: stop.clone() };
        connections.spawn(connection(stream, peer, door.tls.clone(), served));
    }
    drop(door);
    let _ = timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// What every connection of a door is served with.
struct Served {
    router: Router,
    idle: Duration,
    stop: watch::Receiver<bool>,
}

async fn connection(stream: TcpStream, mut peer: Peer, tls: Option<Tls>, served: Served) {
    let address: SocketAddr = peer.address;
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else {
        return requests(stream, peer, served).await;
    };
    let identity = tls.current();
    let acceptor = TlsAcceptor::from(identity.https.clone());
    // Boxed: a handshake's state is large and short-lived.
    match timeout(HANDSHAKE, Box::pin(acceptor.accept(stream))).await {
        Ok(Ok(stream)) => {
            peer.tls = Some(Arc::new(Handshake::of(stream.get_ref().1, &identity)));
            requests(stream, peer, served).await;
        }
        Ok(Err(error)) => debug!(%address, %error, "TLS handshake failed"),
        Err(_) => debug!(%address, "TLS handshake took too long"),
    }
}

async fn requests<S>(stream: S, peer: Peer, served: Served)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Served { router, idle, mut stop } = served;
    let address = peer.address;
    let router = TowerToHyperService::new(router);
    let paced = Arc::new(AtomicBool::new(true));
    let stream = Paced::new(stream, idle, paced.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        if request.headers().contains_key(UPGRADE) {
            // The outbox of an XMPP stream is bounded by other means.
            paced.store(false, Ordering::Relaxed);
        }
        request.extensions_mut().insert(peer.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_HEAD)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stop.wait_for(|stop| *stop) => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%address, %error, "web connection ended");
    }
}
