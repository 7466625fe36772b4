//! The few pages for people. They load nothing from elsewhere and run no script.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};

use super::Web;

pub(super) async fn root(State(web): State<Arc<Web>>) -> Html<String> {
    let settings = web.settings();
    let domain = settings.domains.first().map(|domain| escape(domain.as_str())).unwrap_or_default();
    let others: Vec<String> = settings.domains.iter().skip(1).map(|domain| escape(domain.as_str())).collect();
    let also = match others.is_empty() {
        true => String::new(),
        false => format!("<p>It also serves {}.</p>", others.join(", ")),
    };
    document(
        &format!("Chancery at {domain}"),
        &format!(
            "<h1>Chancery</h1>\
             <p>This is the instant messaging server of <strong>{domain}</strong>. Every message is kept in an \
             encrypted archive before it is delivered.</p>{also}\
             <h2>How to connect</h2>\
             <ol><li>Take any XMPP client: Gajim, Dino, Conversations, Monal, Profanity and many more.</li>\
             <li>Sign in as <code>you@{domain}</code> with the password that your administrator gave you.</li>\
             <li>If it asks for a server, that is the host of this page.</li></ol>\
             <p>Clients that speak XMPP over WebSocket find the way by themselves; the path is \
             <code>/xmpp-websocket</code>.</p>"
        ),
    )
}

pub(super) fn message(status: StatusCode, words: &str) -> Html<String> {
    let title = status.canonical_reason().unwrap_or("Answer");
    document(
        title,
        &format!("<h1>{title}</h1><p>{}</p><p><a href=\"/\">To the first page</a></p>", escape(words)),
    )
}

pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
}

pub(super) async fn robots() -> &'static str {
    "User-agent: *\nDisallow: /\n"
}

pub(super) fn document(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/chancery.css\"></head>\
         <body><main>{body}</main></body></html>\n"
    ))
}

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.6 system-ui, sans-serif; margin: 0; }
main { max-width: 38rem; margin: 12vh auto; padding: 0 1.5rem; }
h1 { font-size: 2rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
code { font: .95em ui-monospace, monospace; }
";

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
