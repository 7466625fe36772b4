//! The door for XMPP over WebSocket (RFC 7395).

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Peer, Web, api, in_their_words};

/// RFC 7395 §3.1.
const SUBPROTOCOL: &str = "xmpp";

/// The default of 128 KiB each way is what a video wants; here it would be most of an idle connection.
const BUFFER_BYTES: usize = 4_096;

pub(super) async fn upgrade(
    State(web): State<Arc<Web>>,
    Extension(mut peer): Extension<Peer>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        let words = "This is the door for XMPP over WebSocket (RFC 7395); come with a WebSocket client.";
        return in_their_words(&headers, StatusCode::UPGRADE_REQUIRED, words);
    };
    let upgrade = upgrade.protocols([SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        let words = "Only the WebSocket subprotocol xmpp is spoken here (RFC 7395 §3.1).";
        return in_their_words(&headers, StatusCode::BAD_REQUEST, words);
    }
    // A session's cookie says who comes; what they send first is SASL EXTERNAL.
    peer.account = api::session_of(&web, &peer, &headers).await;
    let largest = web.settings().stanza_bytes;
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(largest)
        .max_frame_size(largest)
        .on_upgrade(move |socket| (web.websocket)(socket, peer))
}
