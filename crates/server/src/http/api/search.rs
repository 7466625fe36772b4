//! Searching.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Json};
use super::problem::Problem;
use crate::office::{Plea, SearchOrder, SearchPage, SearchQuery};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(search))
}

/// What is searched for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchRequest {
    /// The question: words, `"phrases"`, `-not`, `OR`, `from:`, `in:`, `before:` and the like. Empty: everything.
    #[schema(max_length = 4096, example = "budget from:anna after:2026-03")]
    question: String,
    /// The matter under which other people's words are searched. Without it, and without `break_glass`, one searches
    /// one's own.
    #[serde(default)]
    #[schema(max_length = 200)]
    matter: Option<String>,
    /// Why other people's words must be searched without a matter.
    #[serde(default)]
    #[schema(max_length = 1000)]
    break_glass: Option<String>,
    /// What comes first.
    #[serde(default)]
    order: SearchOrder,
    /// `cursor` of the page before.
    #[serde(default)]
    #[schema(max_length = 22)]
    cursor: Option<String>,
    /// At most so many hits.
    #[serde(default = "usual")]
    #[schema(minimum = 1, maximum = 500, default = 50)]
    limit: usize,
    /// So many messages before and after each hit.
    #[serde(default)]
    #[schema(maximum = 20, default = 0)]
    context: usize,
}

fn usual() -> usize {
    50
}

/// Search
///
/// One's own conversations; with a matter or in an emergency, other people's words, which is put on the audit chain before
/// the answer. It is a POST because questions do not belong into addresses, which are kept in logs.
#[utoipa::path(
    post, path = "/search", tag = "search", operation_id = "search", request_body = SearchRequest,
    responses((status = 200, description = "Hits", body = SearchPage))
)]
async fn search(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(wanted): Json<SearchRequest>,
) -> Result<axum::Json<SearchPage>, Problem> {
    let SearchRequest { question, matter, break_glass, order, cursor, limit, context } = wanted;
    let plea = match (matter, break_glass) {
        (None, None) => None,
        (matter, emergency) => Some(Plea::read(matter, emergency)?),
    };
    let query = SearchQuery { question, plea, order, cursor, limit, lines: context };
    Ok(axum::Json(api.office.search(&actor, &query).await?))
}
