//! The audit chain.

use std::sync::Arc;

use archive::Deed;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Query};
use super::problem::Problem;
use crate::office::{AuditPage, AuditQuery, Refusal};

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those of this person: a name or an address.
    #[serde(default)]
    by: Option<String>,
    /// Only those under this matter.
    #[serde(default)]
    matter: Option<String>,
    /// Only of this kind, such as `search`, `export` or `break-glass`.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    deed: Option<Deed>,
    /// Only from before the entry of this number: `next` of the page before.
    #[serde(default)]
    #[param(minimum = 1)]
    before: Option<i64>,
    /// At most so many, from 1 to 500; what lies beyond is the nearest of the two.
    #[serde(default = "usual")]
    #[param(default = 100)]
    limit: usize,
}

fn usual() -> usize {
    100
}

/// Read the audit chain
///
/// Who read other people's words, and who used the power to. Reading it is itself put on it, before the answer.
#[utoipa::path(
    get, path = "/audit", tag = "audit", operation_id = "listAudit", params(Wanted),
    responses((status = 200, description = "Entries, newest first", body = AuditPage))
)]
async fn list(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<AuditPage>, Problem> {
    let Wanted { by, matter, deed, before, limit } = wanted;
    let before = before.map(|before| {
        let number = u64::try_from(before).ok().filter(|number| *number > 0);
        number.ok_or_else(|| Refusal::invalid("/before", "numbers of entries begin with 1"))
    });
    let before = before.transpose()?;
    let query = AuditQuery { by, matter, deed, before, limit };
    Ok(axum::Json(api.office.audit(&actor, &query).await?))
}
