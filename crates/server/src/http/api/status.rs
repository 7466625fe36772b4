//! How the server is.

use std::sync::Arc;

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::Caller;
use super::problem::Problem;
use crate::office::Status;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show))
}

/// How the server is, in numbers
#[utoipa::path(
    get, path = "/status", tag = "status", operation_id = "getStatus",
    responses((status = 200, description = "The numbers", body = Status))
)]
async fn show(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Result<axum::Json<Status>, Problem> {
    Ok(axum::Json(api.office.status(&actor).await?))
}
