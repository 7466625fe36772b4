//! The HTTP API at `/api/v1`, described by OpenAPI 3.1 at `/api/v1/openapi.json`.
//!
//! A subject has a file with its routes: what comes in is checked ([`extract`]), the [`Office`] does it, what goes out is
//! a type that the description is made from. Every error is `application/problem+json` ([`problem`]).

mod audit;
mod cookie;
mod describe;
mod export;
mod extract;
mod groups;
mod keeping;
mod matters;
mod me;
mod origin;
mod pace;
mod people;
mod problem;
mod review;
mod search;
mod session;
mod status;
mod tokens;
mod totp;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jid::BareJid;
use utoipa_axum::router::OpenApiRouter;

use self::pace::Pace;
use self::problem::Problem;
use super::{Peer, Web};
use crate::config::Config;
use crate::office::Office;

/// Where it is.
pub(super) const ROOT: &str = "/api/v1";

/// The longest body, in bytes. A subject that takes longer ones says so at its route.
const BODY: usize = 256 * 1024;

/// What the handlers work with.
pub(super) struct Api {
    office: Office,
    web: Arc<Web>,
    pace: Arc<Pace>,
}

/// What of the API outlives one listener: the office, and everybody's pace.
pub struct Counter {
    /// What it is a door to.
    pub office: Office,
    pace: Arc<Pace>,
}

impl Counter {
    /// To an office.
    pub fn new(config: &Config, office: Office) -> Self {
        Self { office, pace: Arc::new(Pace::new(config.limits.requests_per_minute)) }
    }

    /// Takes over what a reloaded configuration says.
    pub(super) fn reconfigure(&self, config: &Config) {
        self.pace.set_per_minute(config.limits.requests_per_minute);
        self.office.reconfigure(config);
    }
}

impl Api {
    /// Whether what the caller sees begins with `https`.
    fn is_secure(&self, peer: &Peer) -> bool {
        peer.is_secure() || self.web.is_published_by_tls()
    }

    fn is_private(&self, parts: &Parts) -> bool {
        parts.extensions.get::<Peer>().is_some_and(|peer| self.is_secure(peer))
    }
}

/// Whose session's cookie a request of the own pages brings, where it may not be read along.
pub(super) async fn session_of(web: &Web, peer: &Peer, headers: &HeaderMap) -> Option<BareJid> {
    let counter = web.counter.as_ref()?;
    let secure = peer.is_secure() || web.is_published_by_tls();
    if !secure && !crate::config::is_loopback(&peer.address) {
        return None;
    }
    let secret = cookie::secret(headers, secure)?;
    origin::check(headers).ok()?;
    let actor = counter.office.resume_session(secret).await.ok()?;
    Some(actor.who().to_bare())
}

/// Every subject's routes.
fn subjects() -> Vec<OpenApiRouter<Arc<Api>>> {
    vec![
        session::routes(),
        people::routes(),
        groups::routes(),
        status::routes(),
        me::routes(),
        tokens::routes(),
        totp::routes(),
        audit::routes(),
        review::routes(),
        export::routes(),
        matters::routes(),
        keeping::routes(),
        search::routes(),
    ]
}

/// All of it, to be nested at [`ROOT`].
pub(super) fn router(web: &Arc<Web>, counter: &Counter) -> Router<Arc<Web>> {
    let api = Api { office: counter.office.clone(), web: web.clone(), pace: counter.pace.clone() };
    let api = Arc::new(api);
    let (routes, description) =
        subjects().into_iter().fold(describe::empty(), OpenApiRouter::merge).split_for_parts();
    let descriptions = [false, true].map(|secure| describe::finish(description.clone(), secure));
    let descriptions = Arc::new(descriptions);
    let describe = move |State(api): State<Arc<Api>>, Extension(peer): Extension<Peer>| {
        let descriptions = descriptions.clone();
        async move { axum::Json(descriptions[usize::from(api.is_secure(&peer))].clone()) }
    };
    routes
        .route("/openapi.json", get(describe))
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(api.clone(), in_private))
        .with_state(api)
}

/// Passwords, cookies and other people's words go over TLS or stay on this machine.
async fn in_private(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let private = peer.is_some_and(|peer| api.is_secure(peer) || crate::config::is_loopback(&peer.address));
    match private {
        true => next.run(request).await,
        false => {
            let words = "use https: this connection can be read along";
            Problem::new(StatusCode::FORBIDDEN, "insecure-transport", words).into_response()
        }
    }
}

async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "missing", "there is nothing at this address")
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this resource does not answer this method")
}

/// Seconds since 1970 as the API writes them (RFC 3339).
fn moment(seconds: u64) -> String {
    crate::clock::stamp(i64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000))
}

/// What a browser says it is.
fn agent(headers: &axum::http::HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn no_two_subjects_have_a_schema_or_an_operation_of_the_same_name_that_differ() {
        let mut schemas = BTreeMap::new();
        let mut operations = BTreeMap::new();
        for mut subject in subjects() {
            let description = serde_json::to_value(subject.to_openapi()).unwrap();
            for (name, schema) in description["components"]["schemas"].as_object().into_iter().flatten() {
                let known = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(known, schema, "{name}");
            }
            for (path, item) in description["paths"].as_object().unwrap() {
                for (method, operation) in item.as_object().unwrap() {
                    let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
                    assert_eq!(operations.insert(id.to_owned(), path.clone()), None, "{id}");
                }
            }
        }
    }
}
