//! What handlers take: who asks, and what was sent, checked before the handler sees it. Every error is a [`Problem`].

use std::sync::Arc;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{Api, cookie, origin};
use crate::office::{Actor, Door, Refusal};

/// Who asks, signed in.
pub(super) struct Caller(pub(super) Actor);

impl FromRequestParts<Arc<Api>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let bearer = parts.headers.get(header::AUTHORIZATION);
        let actor = match bearer {
            Some(value) => {
                let value = value.to_str().unwrap_or_default();
                let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
                let (_, token) = token.ok_or(Refusal::SignedOut)?;
                api.office.redeem_token(token.trim()).await?
            }
            None => {
                let secret =
                    cookie::secret(&parts.headers, api.is_private(parts)).ok_or(Refusal::SignedOut)?;
                let actor = api.office.resume_session(secret).await?;
                if !parts.method.is_safe() {
                    origin::check(&parts.headers)?;
                    origin::check_token(&parts.headers, secret)?;
                }
                actor
            }
        };
        api.pace.admit(actor.who())?;
        Ok(Self(actor))
    }
}

/// Who asks, with the session that their browser holds; refuses tokens.
pub(super) struct InSession {
    pub(super) actor: Actor,
    /// The session's name.
    pub(super) name: String,
}

impl FromRequestParts<Arc<Api>> for InSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        let Caller(actor) = Caller::from_request_parts(parts, api).await?;
        match actor.door() {
            Door::Session(name) => Ok(Self { name: name.clone(), actor }),
            _ => Err(Refusal::InPerson.into()),
        }
    }
}

/// A body of JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let words = "the body must be JSON, with Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", words));
        }
        let bytes = Bytes::from_request(request, api).await.map_err(of_bytes)?;
        if bytes.contains(&0) || std::str::from_utf8(&bytes).is_err() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "syntax", "the body is not JSON in UTF-8"));
        }
        // A list would be taken for the fields in their order.
        if bytes.trim_ascii_start().first().is_some_and(|first| b"[\"tfn-0123456789".contains(first)) {
            let words = "the body must be an object";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).at(""));
        }
        let mut reader = serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let pointer = pointer(error.path());
            match error.inner().classify() {
                // The parser's own words may repeat what was sent, and that may be a password.
                serde_json::error::Category::Data => {
                    let words = match pointer.as_str() {
                        "" => "the body lacks a field, or has one that is not known".to_owned(),
                        at => format!("what stands at {at} is not what should"),
                    };
                    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words).at(pointer)
                }
                _ => Problem::new(StatusCode::BAD_REQUEST, "syntax", "the body is not JSON"),
            }
        })?;
        let rest = reader.end();
        rest.map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "syntax", "the body is more than one JSON value")
        })?;
        Ok(Self(value))
    }
}

fn of_bytes(rejection: BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the body is too large")
        }
        _ => Problem::new(StatusCode::BAD_REQUEST, "syntax", "the body did not arrive as a whole"),
    }
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// The query of the address.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Api>> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, api).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(_) => {
                let words = "the query has a parameter that is not known, or a value that cannot be";
                Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", words))
            }
        }
    }
}

/// Parts of the path.
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Api>> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, api).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(_) => Err(Problem::new(StatusCode::NOT_FOUND, "missing", "there is nothing at this address")),
        }
    }
}
