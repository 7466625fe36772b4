//! The web app: pages, scripts and styles that `web/` builds, part of the binary in a release.
//!
//! A debug build reads `web/dist` when it is asked, so that the app can be built anew beside a running server.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::{in_their_words, page};

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Bundle;

/// Scripts and styles of its own, the server it came from, nothing inline and nothing from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
     manifest-src 'self'; worker-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);

/// People's chat.
pub(super) async fn chat(headers: HeaderMap) -> Response {
    document("index.html", &headers)
}

/// A page, or what says how to build it.
fn document(name: &str, headers: &HeaderMap) -> Response {
    file(name, headers).unwrap_or_else(|| (StatusCode::SERVICE_UNAVAILABLE, unbuilt()).into_response())
}

/// What a page loads.
pub(super) async fn asset(uri: Uri, headers: HeaderMap) -> Response {
    let name = uri.path().trim_start_matches('/');
    match file(name, &headers) {
        Some(response) => response,
        None => in_their_words(&headers, StatusCode::NOT_FOUND, "The web app has no such file."),
    }
}

fn file(name: &str, headers: &HeaderMap) -> Option<Response> {
    let (type_, lasting) = kind(name)?;
    let found = Bundle::get(name)?;
    let tag = tag(&found);
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
    let mut response = match asked == tag {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => smallest(name, found, headers),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(type_));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let lasting = if lasting { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lasting));
    headers.insert(header::ETAG, HeaderValue::try_from(tag).ok()?);
    Some(response)
}

/// The file in the smallest form that the browser takes; the build made them all.
fn smallest(name: &str, plain: EmbeddedFile, headers: &HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|all| all.to_str().ok()).unwrap_or_default();
    let accepts =
        |coding: &str| accepted.split(',').any(|each| each.split(';').next().map(str::trim) == Some(coding));
    for (coding, ending) in [("br", "br"), ("gzip", "gz")] {
        if accepts(coding)
            && let Some(packed) = Bundle::get(&format!("{name}.{ending}"))
        {
            let coding = HeaderValue::from_static(coding);
            return ([(header::CONTENT_ENCODING, coding)], Body::from(packed.data)).into_response();
        }
    }
    Body::from(plain.data).into_response()
}

/// A file's media type, and whether its name changes with its content.
fn kind(name: &str) -> Option<(&'static str, bool)> {
    let (_, ending) = name.rsplit_once('.')?;
    let type_ = match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    };
    Some((type_, name.starts_with("assets/")))
}

fn tag(file: &EmbeddedFile) -> String {
    let hash = file.metadata.sha256_hash();
    let digits: String = hash[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("\"{digits}\"")
}

fn unbuilt() -> Html<String> {
    page::document(
        "The web app is not built",
        "<h1>The web app is not built</h1><p>This server was compiled without it. <code>make web</code> builds it; \
         then compile the server again. Jabber clients can connect all the same.</p>",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_build_makes_is_served_and_only_named_content_lasts() {
        assert_eq!(kind("assets/chat-Ab12.js"), Some(("text/javascript; charset=utf-8", true)));
        assert_eq!(kind("index.html"), Some(("text/html; charset=utf-8", false)));
        assert_eq!(kind("assets/../../secret.toml"), None);
        assert_eq!(kind("no-ending"), None);
    }
}
