//! The web side: discovery, the WebSocket door for XMPP, and what watches the server.
//!
//! One router serves plain and TLS listeners alike. What a request may see depends on its [`Peer`], which the
//! listener attaches ([`serve`]), never on a header that a client could write.

mod api;
mod app;
mod discovery;
mod files;
mod headers;
mod invite;
mod monitor;
mod origin;
mod paced;
mod page;
mod serve;
mod websocket;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocket;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{any, get};
use futures_util::future::BoxFuture;
use jid::{BareJid, DomainPart};
use parking_lot::RwLock;
use tokio::sync::OwnedSemaphorePermit;

use crate::config::{Config, Secret};
use crate::files::Files;
use crate::invitations::Invitations;
use crate::metrics::Exporter;
use crate::server::Addresses;
use crate::tls::Handshake;

pub use api::Counter;
pub use monitor::Health;
pub use origin::Origin;
pub use serve::{Door, serve};

/// Who is at the other end of a web connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// What is known of the TLS handshake. `None`: the connection is plain.
    pub tls: Option<Arc<Handshake>>,
    /// Whose session it belongs to, where a WebSocket came with a session's cookie.
    pub account: Option<BareJid>,
    /// Its place among the connections that the server allows at once. Whoever keeps the socket keeps this.
    pub permit: Option<Arc<OwnedSemaphorePermit>>,
}

impl Peer {
    /// Whether the connection is inside TLS.
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }
}

/// Takes over an upgraded socket that speaks XMPP (RFC 7395), until the stream ends.
pub type WebSocketHandler = Arc<dyn Fn(WebSocket, Peer) -> BoxFuture<'static, ()> + Send + Sync>;

/// Says how the server is.
pub type HealthCheck = Arc<dyn Fn() -> Health + Send + Sync>;

/// What the router needs from the rest of the server.
pub struct Web {
    settings: RwLock<Arc<Settings>>,
    exporter: Exporter,
    health: HealthCheck,
    websocket: WebSocketHandler,
    files: Option<Files>,
    invitations: Option<Invitations>,
    counter: Option<Counter>,
}

/// The part of the configuration that web requests see. A reload replaces it.
struct Settings {
    domains: Vec<DomainPart>,
    public_url: Option<String>,
    metrics_token: Option<Secret>,
    /// Whether browsers should insist on TLS from now on. Not with a self-signed certificate: they could not be
    /// talked into accepting it any more.
    strict_transport: bool,
    stanza_bytes: usize,
}

impl Settings {
    fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            domains: config.domains.clone(),
            public_url: config.http.public_url.clone(),
            metrics_token: config.metrics.token.clone(),
            strict_transport: config.tls.is_some(),
            stanza_bytes: config.limits.stanza_bytes,
        })
    }
}

impl Web {
    /// Puts the parts together.
    pub fn new(
        config: &Config,
        exporter: Exporter,
        health: HealthCheck,
        websocket: WebSocketHandler,
        files: Option<Files>,
        invitations: Option<Invitations>,
        counter: Option<Counter>,
    ) -> Arc<Self> {
        let settings = RwLock::new(Settings::new(config));
        Arc::new(Self { settings, exporter, health, websocket, files, invitations, counter })
    }

    /// Takes over what a reloaded configuration says about the web side.
    pub fn reconfigure(&self, config: &Config) {
        *self.settings.write() = Settings::new(config);
        if let Some(files) = &self.files {
            files.origin().reconfigure(config);
        }
        if let Some(invitations) = &self.invitations {
            invitations.origin.reconfigure(config);
        }
        if let Some(counter) = &self.counter {
            counter.reconfigure(config);
        }
    }

    /// The files, if it has any.
    pub fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// Takes over where the listeners are.
    pub fn found(&self, addresses: &Addresses) {
        if let Some(files) = &self.files {
            files.origin().found(addresses);
        }
        if let Some(invitations) = &self.invitations {
            invitations.origin.found(addresses);
        }
    }

    /// Whether people reach it by `https`, whatever the connection here looks like: the operator says so.
    fn is_published_by_tls(&self) -> bool {
        self.settings().public_url.as_ref().is_some_and(|url| url.starts_with("https://"))
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }
}

/// Every route of the web side.
pub fn router(web: Arc<Web>) -> Router {
    let api = web.counter.as_ref().map(|counter| api::router(&web, counter));
    let routes = match api {
        Some(api) => Router::new().nest(api::ROOT, api),
        None => Router::new(),
    };
    routes
        .route("/", get(app::chat))
        .route("/assets/{file}", get(app::asset))
        .route("/icon.svg", get(app::asset))
        .route("/manifest.webmanifest", get(app::asset))
        .route("/sw.js", get(app::asset))
        .route("/about", get(page::root))
        .route("/chancery.css", get(page::style))
        .route("/robots.txt", get(page::robots))
        .route("/healthz", get(monitor::healthz))
        .route("/metrics", get(monitor::metrics))
        .route("/.well-known/host-meta", get(discovery::host_meta))
        .route("/.well-known/host-meta.json", get(discovery::host_meta_json))
        .route("/xmpp-websocket", get(websocket::upgrade))
        .route("/invite/{token}", get(invite::show).post(invite::accept))
        .route("/upload/{id}/{name}", any(files::answer))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(web.clone(), headers::secure))
        .layer(middleware::from_fn(monitor::count))
        .with_state(web)
}

async fn not_found(uri: Uri, headers: HeaderMap) -> Response {
    let words = format!("There is nothing at {}.", uri.path());
    in_their_words(&headers, StatusCode::NOT_FOUND, &words)
}

async fn wrong_method(method: Method, headers: HeaderMap) -> Response {
    let words = format!("This page does not answer {method}.");
    in_their_words(&headers, StatusCode::METHOD_NOT_ALLOWED, &words)
}

/// An answer as a page, as JSON or as a line of text, whichever the client asks for.
fn in_their_words(headers: &HeaderMap, status: StatusCode, words: &str) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        (status, page::message(status, words)).into_response()
    } else if accept.contains("json") {
        (status, Json(serde_json::json!({ "error": words }))).into_response()
    } else {
        (status, format!("{words}\n")).into_response()
    }
}
