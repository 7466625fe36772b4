//! For what watches the server: is it well, and what are its numbers.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Extension, MatchedPath, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use metrics::counter;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Peer, Settings, Web, in_their_words};
use crate::metrics::HTTP_REQUESTS;

/// How the server is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Well.
    #[default]
    Ok,
    /// Up, but not able to do its work: what is wrong, without names or content.
    Failing(&'static str),
    /// On its way down; send people elsewhere.
    Stopping,
}

pub(super) async fn healthz(State(web): State<Arc<Web>>) -> Response {
    let (status, word, problem) = match (web.health)() {
        Health::Ok => (StatusCode::OK, "ok", None),
        Health::Failing(problem) => (StatusCode::SERVICE_UNAVAILABLE, "failing", Some(problem)),
        Health::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping", None),
    };
    let mut body = serde_json::json!({ "status": word });
    if let Some(problem) = problem {
        body["problem"] = problem.into();
    }
    (status, Json(body)).into_response()
}

pub(super) async fn metrics(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    if !may_read(&web.settings(), &peer, &headers) {
        let words = "The numbers are for readers on this machine, or with the token of metrics.token.";
        let mut response = in_their_words(&headers, StatusCode::UNAUTHORIZED, words);
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return response;
    }
    let exporter = web.exporter.clone();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], exporter.render()).into_response()
}

/// With a token configured, it is what counts, wherever the reader sits. Without, only this machine reads.
fn may_read(settings: &Settings, peer: &Peer, headers: &HeaderMap) -> bool {
    match &settings.metrics_token {
        Some(token) => {
            let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()).unwrap_or_default();
            let wanted = format!("Bearer {}", token.expose());
            // Hashes have one length, so comparing them tells nothing of the token's.
            Sha256::digest(given).ct_eq(&Sha256::digest(wanted)).into()
        }
        None => crate::config::is_loopback(&peer.address) && asks_this_machine(headers),
    }
}

/// A reverse proxy on this machine, or a web page that plays with DNS, comes from loopback too, but it names another
/// host or says whom it speaks for.
fn asks_this_machine(headers: &HeaderMap) -> bool {
    let forwarded =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return false };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((v6, _)) => v6,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let local =
        name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    local && !forwarded
}

/// Counts answers by route and status. Routes are ours, so the label stays small.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let route = route.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    counter!(HTTP_REQUESTS, "route" => route, "status" => response.status().as_str().to_owned()).increment(1);
    response
}
