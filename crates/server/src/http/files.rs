//! Files over HTTP: PUT into a slot, GET and HEAD with ranges (RFC 9110 §14), and what browsers ask first (CORS).
//!
//! An upload that breaks off goes on with a part ([`put`]). A download does with a range, guarded by the entity tag.

mod disposition;
mod put;
mod range;

use std::sync::Arc;

use archive::AppendError;
use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use vault::{BlobStream, StoreError, VaultError};

use self::range::Wanted;
use super::{Peer, Web, in_their_words};
use crate::files::{File, Files, Found, Refused};

/// What pages of any origin may do here. There are no cookies that they could misuse: the address and the token are all it takes.
const FROM_ANYWHERE: [(HeaderName, &str); 4] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, Content-Type, ETag, Upload-Length, \
         Upload-Offset",
    ),
    (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    (header::ACCEPT_RANGES, "bytes"),
];

const METHODS: &str = "GET, HEAD, OPTIONS, PUT";

/// Content of other people's making: a browser that shows it runs nothing of it and lets it load nothing.
const SANDBOX: &str = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'";

pub(super) async fn answer(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    Path((id, _name)): Path<(String, String)>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let result = match (&web.files, request.method()) {
        (None, _) => Err(no_file()),
        (Some(_), &Method::OPTIONS) => Ok(preflight()),
        (Some(files), &Method::GET) => fetch(files, &id, &headers, Some(&peer)).await,
        (Some(files), &Method::HEAD) if headers.contains_key(header::AUTHORIZATION) => {
            put::progress(files, &id, &headers).await
        }
        (Some(files), &Method::HEAD) => fetch(files, &id, &headers, None).await,
        (Some(files), &Method::PUT) => put::put(files, &id, request).await,
        (Some(_), method) => {
            let words = format!("Files do not answer {method}.");
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words))
        }
    };
    let mut response = result.unwrap_or_else(|refusal| {
        let mut response = in_their_words(&headers, refusal.status, &refusal.words);
        if let Some(offset) = refusal.offset {
            response.headers_mut().insert(put::OFFSET, offset.into());
        }
        if refusal.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(METHODS));
        }
        response
    });
    for (name, value) in FROM_ANYWHERE {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why not, for the client.
struct Refusal {
    status: StatusCode,
    words: String,
    /// Where an upload goes on.
    offset: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, words: impl Into<String>) -> Self {
        Self { status, words: words.into(), offset: None }
    }
}

fn no_file() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "There is no file at this address.")
}

fn gone() -> Refusal {
    Refusal::new(StatusCode::GONE, "The file has been erased.")
}

fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Range, Content-Type, If-None-Match, If-Range, Range",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        (header::ALLOW, METHODS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Without `peer` only the head is wanted, which is no fetch.
async fn fetch(
    files: &Files,
    id: &str,
    headers: &HeaderMap,
    peer: Option<&Peer>,
) -> Result<Response, Refusal> {
    let (name, file, sha256) = match files.find(id).await? {
        Found::Nothing => return Err(no_file()),
        Found::Gone => return Err(gone()),
        Found::File { name, file, sha256 } => (name, file, sha256),
    };
    let tag = format!("\"{sha256}\"");
    if header_text(headers, header::IF_NONE_MATCH).is_some_and(|given| range::matches(given, &tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // RFC 9110 §13.1.5: with another tag, or a date, the whole is sent.
    let same = header_text(headers, header::IF_RANGE).is_none_or(|given| given.trim() == tag);
    let wanted = match header_text(headers, header::RANGE).filter(|_| same) {
        Some(given) => range::read(given, file.size),
        None => Wanted::Whole,
    };
    let (status, part) = match wanted {
        Wanted::Whole => (StatusCode::OK, None),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, Some(part)),
        Wanted::Nothing => {
            let end = [(header::CONTENT_RANGE, format!("bytes */{}", file.size))];
            let words = format!("The file has {} bytes.\n", file.size);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, end, words).into_response());
        }
    };
    let bytes = part.clone().unwrap_or(0..file.size);
    let reader = files.open(name, &file).await?.ok_or_else(gone)?;
    let body = match peer {
        None => Body::empty(),
        Some(peer) => {
            let mut content = reader.stream(bytes.clone());
            // What is damaged in the first piece is an error before it is an answer.
            let first = content.next().await?;
            let address = peer.address.ip().to_canonical();
            files.record_fetch(name, &file, address, part.as_ref()).await?;
            body(first, content)
        }
    };
    let mut response = (status, body).into_response();
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::ETAG, tag);
    set(header::CONTENT_LENGTH, (bytes.end - bytes.start).to_string());
    if let Some(part) = part {
        set(header::CONTENT_RANGE, format!("bytes {}-{}/{}", part.start, part.end - 1, file.size));
    }
    describe(&file, &mut set);
    Ok(response)
}

/// Headers that follow from the file's name and type.
fn describe(file: &File, set: &mut impl FnMut(HeaderName, String)) {
    let type_ = file.type_.as_deref().unwrap_or("application/octet-stream");
    set(header::CONTENT_TYPE, disposition::content_type(type_));
    set(header::CONTENT_DISPOSITION, disposition::disposition(type_, &file.name));
    set(header::CONTENT_SECURITY_POLICY, SANDBOX.to_owned());
    // A copy may be kept, but it is asked each time whether it still may be shown: the file may have been erased.
    set(header::CACHE_CONTROL, "private, no-cache".to_owned());
}

/// Content that breaks the connection off when it turns out to be damaged: better no byte than a wrong one.
fn body(first: Option<Bytes>, rest: BlobStream) -> Body {
    let rest = stream::try_unfold(rest, |mut rest| async move {
        match rest.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, rest))),
            Err(error) => {
                tracing::error!(%error, "a download was broken off");
                Err(error)
            }
        }
    });
    Body::from_stream(stream::iter(first.map(Ok)).chain(rest))
}

fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Unknown => StatusCode::NOT_FOUND,
            Refused::Token => StatusCode::FORBIDDEN,
            Refused::Expired | Refused::Gone => StatusCode::GONE,
            Refused::Taken | Refused::Busy | Refused::Offset(_) => StatusCode::CONFLICT,
            Refused::Size(_) => StatusCode::BAD_REQUEST,
            Refused::Type => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Refused::Full => StatusCode::INSUFFICIENT_STORAGE,
            Refused::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let offset = match refused {
            Refused::Offset(offset) => Some(offset),
            _ => None,
        };
        Self { offset, ..Self::new(status, refused.to_string()) }
    }
}

impl From<VaultError> for Refusal {
    fn from(error: VaultError) -> Self {
        tracing::error!(%error, "a file could not be read");
        match error {
            VaultError::Corrupt { .. } => {
                let words = "The file is damaged. An administrator can bring it back from a backup.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, words)
            }
            VaultError::Store(StoreError::Closed) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "The server is stopping.")
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The file cannot be read just now."),
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        tracing::error!(%error, "a fetch could not be put on record");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The server cannot put on record that the file is fetched, so it does not give it out. Try again later.",
        )
    }
}
