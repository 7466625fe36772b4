//! Tokens for programs.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{InSession, Json, Path};
use super::problem::Problem;
use super::{Api, moment};
use crate::office::{NewToken, Refusal, Right, Token};

const TAG: &str = "tokens";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, make)).routes(routes!(revoke))
}

/// A token to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TokenWish {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100, example = "monthly report")]
    label: String,
    /// What it may be used for: names of rights that one has.
    #[schema(min_items = 1, value_type = Vec<Right>, example = json!(["see-status"]))]
    scopes: Vec<String>,
    /// How long it is good.
    #[serde(default = "usual")]
    #[schema(minimum = 1, maximum = 366, default = 90)]
    days: u32,
}

fn usual() -> u32 {
    90
}

/// A token, without its secret.
#[derive(Serialize, ToSchema)]
struct TokenView {
    /// Its name.
    id: String,
    /// What it is for.
    label: String,
    /// What it may be used for.
    scopes: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created: String,
    /// When it ends.
    #[schema(format = DateTime)]
    expires: String,
    /// When it was used last, to the minute.
    #[schema(format = DateTime)]
    last_used: Option<String>,
}

/// A token with its secret.
#[derive(Serialize, ToSchema)]
struct MadeToken {
    /// To be sent as `Authorization: Bearer …`. Shown once.
    token: String,
    #[serde(flatten)]
    listed: TokenView,
}

impl TokenView {
    fn of(id: String, token: Token) -> Self {
        Self {
            id,
            label: token.label,
            scopes: token.scopes,
            created: moment(token.created),
            expires: moment(token.expires),
            last_used: token.used.map(moment),
        }
    }
}

/// All of one's tokens
#[utoipa::path(
    get, path = "/me/tokens", tag = TAG, operation_id = "listTokens", security(("session" = [])),
    responses((status = 200, description = "The tokens, without their secrets", body = [TokenView]))
)]
async fn list(
    State(api): State<Arc<Api>>,
    session: InSession,
) -> Result<axum::Json<Vec<TokenView>>, Problem> {
    let own = api.office.tokens_of(session.actor.who()).await?;
    Ok(axum::Json(own.into_iter().map(|(id, token)| TokenView::of(id, token)).collect()))
}

/// Make a token
///
/// It can do no more than its maker, and ends with their password.
#[utoipa::path(
    post, path = "/me/tokens", tag = TAG, operation_id = "makeToken", request_body = TokenWish,
    security(("session" = [])),
    responses(
        (status = 201, description = "The token", body = MadeToken),
        (status = 409, description = "There are too many", body = Problem, content_type = "application/problem+json"),
    )
)]
async fn make(
    State(api): State<Arc<Api>>,
    session: InSession,
    Json(TokenWish { label, scopes, days }): Json<TokenWish>,
) -> Result<(StatusCode, axum::Json<MadeToken>), Problem> {
    let unknown = |at| Refusal::invalid(&format!("/scopes/{at}"), "there is no right of this name");
    let scopes = scopes.iter().enumerate();
    let scopes = scopes.map(|(at, name)| name.parse::<Right>().map_err(|_| unknown(at)));
    let scopes = scopes.collect::<Result<_, Refusal>>()?;
    let (id, token, secret) = api.office.make_token(&session.actor, NewToken { label, scopes, days }).await?;
    let made = MadeToken { token: secret.to_string(), listed: TokenView::of(id, token) };
    Ok((StatusCode::CREATED, axum::Json(made)))
}

/// Revoke a token
#[utoipa::path(
    delete, path = "/me/tokens/{id}", tag = TAG, operation_id = "revokeToken", security(("session" = [])),
    params(("id" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is worthless"))
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    session: InSession,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.office.revoke_token(&session.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
