//! The cookie of a session.

use axum::http::{HeaderMap, HeaderValue, header};

/// Where nobody reads along. The prefix makes browsers refuse one that another host or a plain connection tries to set.
const SECURE: &str = "__Host-chancery";
/// On a loopback address without TLS.
const PLAIN: &str = "chancery";

/// What it is called.
pub(super) fn name(secure: bool) -> &'static str {
    if secure { SECURE } else { PLAIN }
}

/// The secret in the cookie, if there is one.
pub(super) fn secret(headers: &HeaderMap, secure: bool) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(key, _)| *key == name(secure)).map(|(_, value)| value).next()
}

/// Gives a browser the secret.
pub(super) fn set(secret: &str, secure: bool) -> Option<HeaderValue> {
    cookie(secret, secure, "")
}

/// Takes it away.
pub(super) fn clear(secure: bool) -> Option<HeaderValue> {
    cookie("", secure, "; Max-Age=0")
}

fn cookie(value: &str, secure: bool, more: &str) -> Option<HeaderValue> {
    let flag = if secure { "; Secure" } else { "" };
    let name = name(secure);
    let mut cookie =
        HeaderValue::try_from(format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{flag}{more}"))
            .ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}
