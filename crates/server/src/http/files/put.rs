//! Content on its way in: a PUT of the whole, or of a part behind what is there (RFC 9110 §14.5).
//!
//! What a PUT that broke off has brought stays for as long as the slot is good and the server runs. `HEAD` with the slot's
//! `Authorization` says in `Upload-Offset` how much that is; a PUT with `Content-Range: bytes FIRST-LAST/TOTAL` goes on
//! there, and is answered with 202 while there is more to come, with 201 at the end. One that begins elsewhere gets 409 and
//! the offset; one without a range begins anew.

use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::{Refusal, header_text, range};
use crate::files::{Files, Part, Refused, Upload};

/// How many bytes of an upload are there.
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
/// How many it has in all.
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
/// What an upload must make on the whole, in bytes a second: a slow line does, one that means to occupy the server does not.
const SLOWEST: u64 = 1_024;

/// How far an upload is.
pub(super) async fn progress(files: &Files, id: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let (taken, size) = files.progress(id, token(headers)).await?;
    let told = [(OFFSET, taken.to_string()), (LENGTH, size.to_string())];
    Ok((StatusCode::NO_CONTENT, told, [(header::CACHE_CONTROL, "no-store")]).into_response())
}

pub(super) async fn put(files: &Files, id: &str, request: Request) -> Result<Response, Refusal> {
    let headers = request.headers();
    let length = header_text(headers, header::CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let length: u64 = length.ok_or_else(|| {
        Refusal::new(StatusCode::LENGTH_REQUIRED, "The upload must say its Content-Length.")
    })?;
    let part = match headers.get(header::CONTENT_RANGE) {
        None => Part { size: length, from: None },
        Some(given) => {
            let (range, size) = given.to_str().ok().and_then(range::part).ok_or_else(|| {
                let words = "Content-Range is bytes FIRST-LAST/TOTAL.";
                Refusal::new(StatusCode::BAD_REQUEST, words)
            })?;
            if range.end - range.start != length {
                let words = "Content-Range and Content-Length do not agree.";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
            }
            Part { size, from: Some(range.start) }
        }
    };
    let type_ = header_text(headers, header::CONTENT_TYPE).map(str::trim);
    let upload = files.begin(id, token(headers), part, type_).await.map_err(|refused| match refused {
        Refused::Size(wanted) if part.size > wanted => {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, refused.to_string())
        }
        other => other.into(),
    })?;
    let content = request.into_body().into_data_stream();
    // Beside the connection, whose end would otherwise end this before what came is put away.
    let upload = tokio::spawn(take(upload, content, length, files.idle())).await;
    let upload = upload.map_err(|_| Refusal::from(Refused::Failed))??;
    if upload.is_whole() {
        upload.finish().await?;
        return Ok((StatusCode::CREATED, "The file is stored.\n").into_response());
    }
    let taken = upload.taken();
    upload.park();
    Ok((StatusCode::ACCEPTED, [(OFFSET, taken.to_string())], "There is more to come.\n").into_response())
}

/// Takes in `length` bytes for as long as they move on. What came until they do not is kept.
async fn take(
    mut upload: Upload,
    mut content: BodyDataStream,
    length: u64,
    idle: Duration,
) -> Result<Upload, Refusal> {
    let wanted = upload.taken().saturating_add(length);
    let end = Instant::now() + idle + Duration::from_secs(length / SLOWEST);
    let refusal = loop {
        let by = end.min(Instant::now() + idle);
        match timeout_at(by, content.next()).await {
            Ok(Some(Ok(bytes))) => upload.write(&bytes).await?,
            Ok(None) if upload.taken() == wanted => return Ok(upload),
            Ok(None | Some(Err(_))) => {
                break Refusal::new(StatusCode::BAD_REQUEST, "The upload was broken off.");
            }
            Err(_) => break Refusal::new(StatusCode::REQUEST_TIMEOUT, "The upload took too long."),
        }
    };
    upload.park();
    Err(refusal)
}

fn token(headers: &HeaderMap) -> &str {
    let token = header_text(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    token.map(|(_, token)| token.trim()).unwrap_or_default()
}
