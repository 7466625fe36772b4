//! Exports.

use std::io;
use std::sync::Arc;

use archive::export::{Destination, Form};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Json};
use super::problem::Problem;
use crate::admin::no_progress;
use crate::office::ExportWish;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(make))
}

/// What to export.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportRequest {
    /// The id of the matter whose scope is exported.
    #[schema(min_length = 1, max_length = 200)]
    matter: String,
    /// How events are written: `jsonl`, `csv`, `html`, `eml` or `rsmf`.
    #[schema(value_type = String, example = "eml")]
    form: Form,
    /// What it is called; otherwise as the matter is.
    #[serde(default)]
    #[schema(max_length = 200)]
    title: Option<String>,
}

/// Pieces between the export and the connection.
const AHEAD: usize = 8;

/// Export what a matter covers
///
/// Answers with a ZIP that has the words, the files that were sent, and a proof that `chancery archive verify --export` checks with
/// the public key alone. It is on the audit chain before the first byte goes out. A connection that breaks off leaves
/// a ZIP that cannot be opened.
#[utoipa::path(
    post, path = "/exports", tag = "exports", operation_id = "makeExport", request_body = ExportRequest,
    responses((status = 200, description = "The export", content_type = "application/zip", body = Vec<u8>))
)]
async fn make(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(wanted): Json<ExportRequest>,
) -> Result<Response, Problem> {
    let ExportRequest { matter, form, title } = wanted;
    let parcel = api.office.export(&actor, ExportWish { matter, form, title }).await?;
    let name = parcel.file_name();
    let (mut pieces, out) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    tokio::spawn(async move {
        if let Err(refusal) = parcel.write(Destination::Zip(&mut pieces), no_progress()).await {
            tracing::error!(error = %refusal, "an export was broken off");
            let _ = pieces.send(Err(io::Error::other("the export was broken off"))).await;
        }
    });
    let pieces = stream::unfold(out, |mut out| async move { Some((out.recv().await?, out)) });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}
