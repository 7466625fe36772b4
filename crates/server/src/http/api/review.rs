//! Supervision: rules, the review queue, reports.

use std::sync::Arc;

use archive::review::{DryRun, ReviewReport, State as Stands};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Json, Path, Query};
use super::problem::Problem;
use crate::office::{QueueQuery, Refusal, ReviewDecision, ReviewPage, ReviewView, RulesView, Trial};

/// The longest document of rules with what is around it, in bytes.
const BODY: usize = 4 * 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    let rules = OpenApiRouter::new()
        .routes(routes!(rules, set_rules))
        .routes(routes!(try_rules))
        .layer(DefaultBodyLimit::max(BODY));
    let queue = OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(decide));
    rules.merge(queue).routes(routes!(report))
}

/// Rules to put in force.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRules {
    /// The document in TOML.
    #[schema(max_length = 2_000_000)]
    source: String,
    /// The version that it replaces; 0 if there is none yet.
    version: u64,
}

/// Show the rules of supervision
#[utoipa::path(
    get, path = "/review/rules", tag = "review", operation_id = "getReviewRules",
    responses((status = 200, description = "The rules in force", body = RulesView))
)]
async fn rules(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Result<axum::Json<RulesView>, Problem> {
    Ok(axum::Json(api.office.review_rules(&actor).await?))
}

/// Set the rules of supervision
///
/// They apply to what is said from now on. What is wrong with them is told with the lines.
#[utoipa::path(
    put, path = "/review/rules", tag = "review", operation_id = "setReviewRules", request_body = NewRules,
    responses(
        (status = 200, description = "The rules in force", body = RulesView),
        (status = 412, description = "Somebody else set other rules meanwhile", body = super::problem::Problem,
            content_type = "application/problem+json"),
    )
)]
async fn set_rules(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(new): Json<NewRules>,
) -> Result<axum::Json<RulesView>, Problem> {
    Ok(axum::Json(api.office.set_review_rules(&actor, &new.source, new.version).await?))
}

/// Try rules on the past
///
/// Says how many messages they would have put into the queue, by rule.
#[utoipa::path(
    post, path = "/review/rules/trial", tag = "review", operation_id = "tryReviewRules", request_body = Trial,
    responses((status = 200, description = "What they found", body = Object))
)]
async fn try_rules(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(trial): Json<Trial>,
) -> Result<axum::Json<DryRun>, Problem> {
    Ok(axum::Json(api.office.try_review_rules(&actor, &trial, &|_, _| {}).await?))
}

/// Which items.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// In this state: `open`, `assigned`, `escalated` or `closed`. Absent: those that are not closed.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    state: Option<Stands>,
    /// That this rule or sample brought.
    #[serde(default)]
    rule: Option<String>,
    /// That the caller has.
    #[serde(default)]
    mine: bool,
    /// Closed ones: of messages of this month, such as `2026-11`. Absent: this month.
    #[serde(default)]
    month: Option<String>,
    /// Only after the item of this id: `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// At most so many, from 1 to 500; what lies beyond is the nearest of the two.
    #[serde(default = "usual")]
    #[param(default = 100)]
    limit: usize,
}

fn usual() -> usize {
    100
}

/// List the review queue
///
/// Items for the caller, oldest first; never those of conversations that they took part in. That it was looked at is on
/// the audit chain.
#[utoipa::path(
    get, path = "/review/items", tag = "review", operation_id = "listReviewItems", params(Wanted),
    responses((status = 200, description = "Items without words", body = ReviewPage))
)]
async fn list(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<ReviewPage>, Problem> {
    let Wanted { state, rule, mine, month, after, limit } = wanted;
    let query = QueueQuery { state, rule, mine, month, after, limit };
    Ok(axum::Json(api.office.review_queue(&actor, &query).await?))
}

/// Show an item of the review queue
///
/// With the words that it is about. That they were read is on the audit chain before the answer.
#[utoipa::path(
    get, path = "/review/items/{id}", tag = "review", operation_id = "getReviewItem",
    params(("id" = String, Path, description = "The item")),
    responses((status = 200, description = "The item", body = ReviewView))
)]
async fn show(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<ReviewView>, Problem> {
    Ok(axum::Json(api.office.review_item(&actor, &id).await?))
}

/// Decide about an item of the review queue
#[utoipa::path(
    post, path = "/review/items/{id}/decisions", tag = "review", operation_id = "decideReviewItem",
    params(("id" = String, Path, description = "The item")), request_body = ReviewDecision,
    responses(
        (status = 200, description = "The item as it is now", body = ReviewView),
        (status = 409, description = "Somebody else has it, or it is decided", body = super::problem::Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "Somebody else changed it meanwhile", body = super::problem::Problem,
            content_type = "application/problem+json"),
    )
)]
async fn decide(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(id): Path<String>,
    Json(decision): Json<ReviewDecision>,
) -> Result<axum::Json<ReviewView>, Problem> {
    Ok(axum::Json(api.office.decide_review(&actor, &id, &decision).await?))
}

/// Which report.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    /// Messages from this date on, or a date and time. Absent: from the beginning.
    #[serde(default)]
    from: Option<String>,
    /// Messages until then. Absent: now.
    #[serde(default)]
    to: Option<String>,
    /// `json`, `csv` (the decisions) or `html` (a page to print).
    #[serde(default)]
    #[param(value_type = Option<String>)]
    format: Form,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    #[default]
    Json,
    Csv,
    Html,
}

/// Report on supervision
///
/// The evidence that it happens: how much was flagged, drawn, reviewed and is open, by rule and by reviewer, and every
/// decision. No word of what was said.
#[utoipa::path(
    get, path = "/review/report", tag = "review", operation_id = "reportReview", params(Asked),
    responses((status = 200, description = "The report", content(
        (Object = "application/json"), (String = "text/csv"), (String = "text/html")
    )))
)]
async fn report(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let report: ReviewReport = api.office.review_report(&actor, &asked.from, &asked.to).await?;
    let typed = |kind: &'static str, body: String| ([(header::CONTENT_TYPE, kind)], body).into_response();
    Ok(match asked.format {
        Form::Json => axum::Json(report).into_response(),
        Form::Csv => typed("text/csv; charset=utf-8", report.csv().map_err(Refusal::from)?),
        Form::Html => typed("text/html; charset=utf-8", report.html()),
    })
}
