//! The second factor.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::Api;
use super::extract::{Caller, InSession, Json};
use super::problem::Problem;
use crate::http::Peer;
use crate::office::{Enrolment, FactorView};

const TAG: &str = "second factor";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show, begin)).routes(routes!(confirm)).routes(routes!(remove))
}

/// One's password, again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Again {
    #[schema(format = Password)]
    password: String,
}

/// What the authenticator shows.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Code {
    #[schema(example = "123456")]
    code: String,
}

/// One's password and a code, again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Removal {
    #[schema(format = Password)]
    password: String,
    /// What the authenticator shows, or a recovery code.
    code: String,
}

/// Codes for when the authenticator is lost. Each is good once. Shown once.
#[derive(Serialize, ToSchema)]
struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// How one's second factor is
#[utoipa::path(
    get, path = "/me/totp", tag = TAG, operation_id = "getSecondFactor",
    responses((status = 200, description = "Whether it is on", body = FactorView))
)]
async fn show(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Result<axum::Json<FactorView>, Problem> {
    Ok(axum::Json(api.office.factor(&actor).await?))
}

/// Begin to set up a second factor
///
/// Nothing changes before it is confirmed.
#[utoipa::path(
    post, path = "/me/totp", tag = TAG, operation_id = "beginSecondFactor", request_body = Again,
    security(("session" = [])),
    responses(
        (status = 201, description = "What to put into the authenticator", body = Enrolment),
        (status = 409, description = "There is one already", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn begin(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    session: InSession,
    Json(Again { password }): Json<Again>,
) -> Result<(StatusCode, axum::Json<Enrolment>), Problem> {
    let password = Zeroizing::new(password);
    let enrolment = api.office.begin_factor(&session.actor, password, peer.address.ip()).await?;
    Ok((StatusCode::CREATED, axum::Json(enrolment)))
}

/// Confirm the second factor
///
/// From now on signing in wants a code, and roles that slept are awake in this session.
#[utoipa::path(
    post, path = "/me/totp/confirmation", tag = TAG, operation_id = "confirmSecondFactor", request_body = Code,
    security(("session" = [])),
    responses(
        (status = 201, description = "It is on", body = RecoveryCodes),
        (status = 409, description = "None was begun", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn confirm(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    session: InSession,
    Json(Code { code }): Json<Code>,
) -> Result<(StatusCode, axum::Json<RecoveryCodes>), Problem> {
    let code = Zeroizing::new(code);
    let recovery_codes = api.office.confirm_factor(&session.actor, &code, peer.address.ip()).await?;
    Ok((StatusCode::CREATED, axum::Json(RecoveryCodes { recovery_codes })))
}

/// Remove the second factor
#[utoipa::path(
    post, path = "/me/totp/removal", tag = TAG, operation_id = "removeSecondFactor", request_body = Removal,
    security(("session" = [])),
    responses(
        (status = 204, description = "It is off"),
        (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    session: InSession,
    Json(Removal { password, code }): Json<Removal>,
) -> Result<StatusCode, Problem> {
    let (password, code) = (Zeroizing::new(password), Zeroizing::new(code));
    api.office.remove_factor(&session.actor, password, code, peer.address.ip()).await?;
    Ok(StatusCode::NO_CONTENT)
}
