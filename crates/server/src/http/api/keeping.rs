//! Retention and erasure.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Json};
use super::problem::Problem;
use crate::admin::no_progress;
use crate::office::{ErasureView, PlanView, PolicyRule, PolicyView};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(policies, set))
        .routes(routes!(plan))
        .routes(routes!(run))
        .routes(routes!(erasures, erase))
        .routes(routes!(plan_erasure))
}

type Answer<T> = Result<axum::Json<T>, Problem>;

/// Whose words are to be erased.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ErasureOrder {
    /// Their address, or their name in the main domain.
    #[schema(max_length = 3071)]
    person: String,
    /// Who asked for it, and when.
    #[schema(min_length = 1, max_length = 2000)]
    reason: String,
}

/// List the retention policies in force
#[utoipa::path(
    get, path = "/retention/policies", tag = "retention", operation_id = "listPolicies",
    responses((status = 200, description = "The policies", body = Vec<PolicyView>))
)]
async fn policies(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<Vec<PolicyView>> {
    Ok(axum::Json(api.office.list_policies(&actor).await?))
}

/// Set the policy about a subject
///
/// With neither minimum nor maximum, there is none about it any more. Nothing goes before the policies are carried out.
#[utoipa::path(
    put, path = "/retention/policies", tag = "retention", operation_id = "setPolicy", request_body = PolicyRule,
    responses((status = 200, description = "The policies in force now", body = Vec<PolicyView>))
)]
async fn set(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(rule): Json<PolicyRule>,
) -> Answer<Vec<PolicyView>> {
    Ok(axum::Json(api.office.set_policy(&actor, rule).await?))
}

/// What the policies would take now
#[utoipa::path(
    post, path = "/retention/plan", tag = "retention", operation_id = "planRetention",
    responses((status = 200, description = "What would go, and what is in the way", body = PlanView))
)]
async fn plan(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<PlanView> {
    Ok(axum::Json(api.office.plan_retention(&actor, &no_progress()).await?))
}

/// Carry out the policies
#[utoipa::path(
    post, path = "/retention/run", tag = "retention", operation_id = "runRetention",
    responses((status = 200, description = "What went, with a signed certificate", body = ErasureView))
)]
async fn run(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<ErasureView> {
    Ok(axum::Json(api.office.carry_out_retention(&actor, &no_progress()).await?))
}

/// List erasures
#[utoipa::path(
    get, path = "/erasures", tag = "erasure", operation_id = "listErasures",
    responses((status = 200, description = "All of them, the newest first", body = Vec<ErasureView>))
)]
async fn erasures(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Answer<Vec<ErasureView>> {
    Ok(axum::Json(api.office.list_erasures(&actor).await?))
}

/// Erase all that a person said, and their files
///
/// By a person who is signed in; a token is not enough. What is held or must be kept by law stays, and the certificate says so.
#[utoipa::path(
    post, path = "/erasures", tag = "erasure", operation_id = "erasePerson", request_body = ErasureOrder,
    responses((status = 200, description = "What went, with a signed certificate", body = ErasureView))
)]
async fn erase(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(order): Json<ErasureOrder>,
) -> Answer<ErasureView> {
    Ok(axum::Json(api.office.erase_person(&actor, &order.person, &order.reason, &no_progress()).await?))
}

/// What an erasure would take
#[utoipa::path(
    post, path = "/erasures/plan", tag = "erasure", operation_id = "planErasure", request_body = ErasureOrder,
    responses((status = 200, description = "What would go, and what is in the way", body = PlanView))
)]
async fn plan_erasure(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(order): Json<ErasureOrder>,
) -> Answer<PlanView> {
    Ok(axum::Json(api.office.plan_erasure(&actor, &order.person, &order.reason, &no_progress()).await?))
}
