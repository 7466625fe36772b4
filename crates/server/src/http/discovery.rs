//! Where the WebSocket door is (XEP-0156 §4), for clients that know only the domain.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};

use super::{Peer, Web, in_their_words};

const RELATION: &str = "urn:xmpp:alt-connections:websocket";

/// Pages of any origin may read the answer (XEP-0156 §3).
const FROM_ANYWHERE: [(header::HeaderName, &str); 2] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
];

pub(super) async fn host_meta(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let Some(url) = websocket_url(&web, &peer, &headers) else { return no_host(&headers) };
    // The URL holds only characters that `is_authority` or the configuration's check let through.
    let body = format!(
        "<?xml version='1.0' encoding='utf-8'?>\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
         <Link rel='{RELATION}' href='{url}'/>\n</XRD>\n"
    );
    (FROM_ANYWHERE, [(header::CONTENT_TYPE, "application/xrd+xml")], body).into_response()
}

pub(super) async fn host_meta_json(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let Some(url) = websocket_url(&web, &peer, &headers) else { return no_host(&headers) };
    let body = serde_json::json!({ "links": [{ "rel": RELATION, "href": url }] });
    (FROM_ANYWHERE, Json(body)).into_response()
}

/// The door as the client can reach it: as configured, else as this very request came.
fn websocket_url(web: &Web, peer: &Peer, headers: &HeaderMap) -> Option<String> {
    let origin = match &web.settings().public_url {
        // http → ws, https → wss
        Some(url) => url.replacen("http", "ws", 1),
        None => {
            let host = headers.get(header::HOST)?.to_str().ok().filter(|host| is_authority(host))?;
            format!("{}://{host}", if peer.is_secure() { "wss" } else { "ws" })
        }
    };
    Some(format!("{origin}/xmpp-websocket"))
}

/// A host with perhaps a port, and nothing that could mean more inside XML or a URL.
fn is_authority(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
}

fn no_host(headers: &HeaderMap) -> Response {
    in_their_words(headers, StatusCode::BAD_REQUEST, "The request does not say which host it is for.")
}
