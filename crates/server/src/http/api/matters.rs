//! Matters and holds.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Json, Path};
use super::problem::Problem;
use crate::admin::no_progress;
use crate::office::{HoldView, MatterBrief, MatterView};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(show, change))
        .routes(routes!(decide))
        .routes(routes!(close))
        .routes(routes!(place))
        .routes(routes!(holds))
        .routes(routes!(release))
}

type Answer<T> = Result<axum::Json<T>, Problem>;

/// A change of a matter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MatterChange {
    /// The version that was read.
    version: u64,
    /// What it is about from now on.
    brief: MatterBrief,
}

/// What somebody says about a matter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MatterDecision {
    /// The version that was read.
    version: u64,
    /// Approve, rather than refuse.
    granted: bool,
    /// What to note.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// Closing a matter.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MatterClosing {
    /// The version that was read.
    version: u64,
    /// Close, rather than open again.
    closed: bool,
    /// What to note.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// Releasing a hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoldRelease {
    /// What to note.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// List matters
#[utoipa::path(
    get, path = "/matters", tag = "matters", operation_id = "listMatters",
    responses((status = 200, description = "All of them, the newest first", body = Vec<MatterView>))
)]
async fn list(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<Vec<MatterView>> {
    Ok(axum::Json(api.office.list_matters(&actor).await?))
}

/// Open a matter
#[utoipa::path(
    post, path = "/matters", tag = "matters", operation_id = "openMatter", request_body = MatterBrief,
    responses((status = 201, description = "The matter", body = MatterView))
)]
async fn open(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(brief): Json<MatterBrief>,
) -> Result<(StatusCode, axum::Json<MatterView>), Problem> {
    let matter = api.office.open_matter(&actor, brief).await?;
    Ok((StatusCode::CREATED, axum::Json(matter)))
}

/// Show a matter
#[utoipa::path(
    get, path = "/matters/{id}", tag = "matters", operation_id = "showMatter",
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The matter", body = MatterView))
)]
async fn show(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Answer<MatterView> {
    Ok(axum::Json(api.office.show_matter(&actor, &id).await?))
}

/// Change a matter
///
/// What was approved before was another matter: unless only its name changes, it must be approved anew.
#[utoipa::path(
    put, path = "/matters/{id}", tag = "matters", operation_id = "changeMatter", request_body = MatterChange,
    params(("id" = String, Path, description = "Its id")),
    responses((status = 200, description = "The matter", body = MatterView))
)]
async fn change(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(change): Json<MatterChange>,
) -> Answer<MatterView> {
    Ok(axum::Json(api.office.change_matter(&actor, &id, change.version, change.brief).await?))
}

/// Approve or refuse a matter
///
/// By a person who is signed in; a token is not enough. Nobody approves what they opened or changed.
#[utoipa::path(
    post, path = "/matters/{id}/decisions", tag = "matters", operation_id = "decideMatter",
    params(("id" = String, Path, description = "Its id")), request_body = MatterDecision,
    responses((status = 200, description = "The matter", body = MatterView))
)]
async fn decide(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(decision): Json<MatterDecision>,
) -> Answer<MatterView> {
    let MatterDecision { version, granted, note } = decision;
    Ok(axum::Json(api.office.decide_matter(&actor, &id, version, granted, note).await?))
}

/// Close a matter, or open it again
///
/// Its holds stay until they are released.
#[utoipa::path(
    post, path = "/matters/{id}/closings", tag = "matters", operation_id = "closeMatter",
    params(("id" = String, Path, description = "Its id")), request_body = MatterClosing,
    responses((status = 200, description = "The matter", body = MatterView))
)]
async fn close(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(closing): Json<MatterClosing>,
) -> Answer<MatterView> {
    let MatterClosing { version, closed, note } = closing;
    Ok(axum::Json(api.office.close_matter(&actor, &id, version, closed, note).await?))
}

/// Hold what a matter covers
///
/// From now on neither a policy nor an erasure takes it. Placed again, it is brought up to date.
#[utoipa::path(
    post, path = "/matters/{id}/holds", tag = "holds", operation_id = "placeHold",
    params(("id" = String, Path, description = "The matter's id")),
    responses((status = 200, description = "The hold", body = HoldView))
)]
async fn place(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Answer<HoldView> {
    Ok(axum::Json(api.office.place_hold(&actor, &id, &no_progress()).await?))
}

/// List holds
#[utoipa::path(
    get, path = "/holds", tag = "holds", operation_id = "listHolds",
    responses((status = 200, description = "All of them, the newest first", body = Vec<HoldView>))
)]
async fn holds(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<Vec<HoldView>> {
    Ok(axum::Json(api.office.list_holds(&actor).await?))
}

/// Release a hold
///
/// Nothing is deleted by that; it only does not stand in the way any more.
#[utoipa::path(
    post, path = "/holds/{id}/release", tag = "holds", operation_id = "releaseHold",
    params(("id" = String, Path, description = "Its id")), request_body = HoldRelease,
    responses((status = 200, description = "The hold", body = HoldView))
)]
async fn release(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(release): Json<HoldRelease>,
) -> Answer<HoldView> {
    Ok(axum::Json(api.office.release_hold(&actor, &id, release.note).await?))
}
