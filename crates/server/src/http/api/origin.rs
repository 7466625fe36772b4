//! Requests that another site's page makes a browser send.
//!
//! Cookies are `SameSite=Strict`, so browsers do not send them along; these checks hold where a browser does not know
//! that, or another server on the same site is not to be trusted.

use axum::http::{HeaderMap, StatusCode, header};

use super::problem::Problem;
use crate::office::is_csrf_token;

/// What a page sends along with every change; see [`crate::office::csrf_token`].
pub(super) const CSRF_HEADER: &str = "x-csrf-token";

/// Refuses what a browser says comes from another origin.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let foreign = match text("sec-fetch-site") {
        Some(site) => site != "same-origin" && site != "none",
        None => text("origin").is_some_and(|origin| {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_none() || host != text(header::HOST.as_str())
        }),
    };
    match foreign {
        true => Err(forged("another site's page asked for this")),
        false => Ok(()),
    }
}

/// Refuses changes without the session's token.
pub(super) fn check_token(headers: &HeaderMap, secret: &str) -> Result<(), Problem> {
    let given = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok()).unwrap_or_default();
    match is_csrf_token(secret, given) {
        true => Ok(()),
        false => Err(forged("send the session's csrf_token as X-CSRF-Token along with changes")),
    }
}

fn forged(words: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forged", words)
}
