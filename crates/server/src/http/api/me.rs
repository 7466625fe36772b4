//! Who one is, and what one may do here.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::Caller;
use super::problem::Problem;
use crate::office::{Actor, Right};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show))
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
