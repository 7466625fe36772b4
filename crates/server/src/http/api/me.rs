//! Who one is, and what one may do here.

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
use crate::office::{Actor, Credentials, Right};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(set_password))
}

/// Somebody, to themselves.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// Their address.
    #[schema(example = "anna@corp.example")]
    address: String,
    /// How they are called.
    name: Option<String>,
    /// What they are beside an employee: `admin`, `auditor`, `officer`, `key-custodian`.
    roles: Vec<String>,
    /// Roles that a second factor would wake.
    asleep: Vec<String>,
    /// What they may do with this session or token, so that a page need not offer what would be refused.
    rights: Vec<String>,
}

impl Me {
    pub(super) async fn of(api: &Api, actor: &Actor) -> Result<Self, Problem> {
        let names = |roles: crate::users::Roles| roles.iter().map(|role| role.name().to_owned()).collect();
        Ok(Self {
            address: actor.who().to_string(),
            name: api.office.name_of(actor.who()).await?,
            roles: names(actor.roles()),
            asleep: names(actor.asleep()),
            rights: actor.rights().names(),
        })
    }
}

/// Who one is
#[utoipa::path(
    get, path = "/me", tag = "me", operation_id = "getMe",
    responses((status = 200, description = "Oneself", body = Me))
)]
async fn show(State(api): State<Arc<Api>>, Caller(actor): Caller) -> Result<axum::Json<Me>, Problem> {
    actor.must(Right::OwnAccount)?;
    Ok(axum::Json(Me::of(&api, &actor).await?))
}

/// The password that one has, and the one to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    #[schema(format = Password)]
    password: String,
    #[schema(format = Password)]
    new: String,
    /// The second factor, if the account has one.
    #[serde(default)]
    code: Option<String>,
}

/// Set one's own password
///
/// Ends all of one's sessions here and all tokens; XMPP clients that are signed in go on.
#[utoipa::path(
    put, path = "/me/password", tag = "me", operation_id = "setOwnPassword", request_body = NewPassword,
    security(("session" = [])),
    responses((status = 204, description = "It is set; sign in again"))
)]
async fn set_password(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    session: InSession,
    Json(NewPassword { password, new, code }): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    let user = session.actor.who().to_string();
    let (password, new, code) = (Zeroizing::new(password), Zeroizing::new(new), code.map(Zeroizing::new));
    let proven = api.office.prove(&Credentials { user, password, code }, peer.address.ip()).await?;
    api.office.set_own_password(&proven, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
