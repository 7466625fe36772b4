//! The company's groups: departments and teams.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::extract::{Caller, Path};
use super::people::find;
use super::problem::Problem;
use crate::office::Refusal;

const TAG: &str = "groups";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show)).routes(routes!(join, leave))
}

/// A group, in short.
#[derive(Serialize, ToSchema)]
struct GroupSummary {
    name: String,
    /// How many are in it.
    members: usize,
}

/// A group.
#[derive(Serialize, ToSchema)]
struct Group {
    name: String,
    /// The addresses of those who are in it.
    members: Vec<String>,
}

/// Somebody in a group.
#[derive(Deserialize)]
struct Membership {
    name: String,
    address: String,
}

/// See all groups
#[utoipa::path(
    get, path = "/groups", tag = TAG, operation_id = "listGroups",
    responses((status = 200, description = "The groups, by name", body = [GroupSummary]))
)]
async fn list(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
) -> Result<axum::Json<Vec<GroupSummary>>, Problem> {
    let groups = api.office.groups(&actor).await?;
    let listed = groups.into_iter().map(|(name, members)| GroupSummary { name, members: members.len() });
    Ok(axum::Json(listed.collect()))
}

/// See a group
#[utoipa::path(
    get, path = "/groups/{name}", tag = TAG, operation_id = "getGroup",
    params(("name" = String, Path, description = "Its name", max_length = 256)),
    responses((status = 200, description = "The group", body = Group))
)]
async fn show(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(name): Path<String>,
) -> Result<axum::Json<Group>, Problem> {
    let members = api.office.groups(&actor).await?.remove(&name);
    let members = members.ok_or_else(|| Refusal::Missing("there is no such group".to_owned()))?;
    Ok(axum::Json(Group { name, members }))
}

/// Put somebody into a group
///
/// A group begins with its first member and ends with its last.
#[utoipa::path(
    put, path = "/groups/{name}/members/{address}", tag = TAG, operation_id = "joinGroup",
    params(
        ("name" = String, Path, description = "The group's name", min_length = 1, max_length = 256),
        ("address" = String, Path, description = "Whom", max_length = 1023),
    ),
    responses((status = 204, description = "They are in it"))
)]
async fn join(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(Membership { name, address }): Path<Membership>,
) -> Result<StatusCode, Problem> {
    let user = find(&api, &address)?;
    let join = |profile: &mut crate::directory::Profile| {
        if !profile.groups.contains(&name) {
            profile.groups.push(name.clone());
        }
    };
    api.office.change_person(&actor, &user, |_| true, join).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take somebody out of a group
#[utoipa::path(
    delete, path = "/groups/{name}/members/{address}", tag = TAG, operation_id = "leaveGroup",
    params(
        ("name" = String, Path, description = "The group's name", min_length = 1, max_length = 256),
        ("address" = String, Path, description = "Whom", max_length = 1023),
    ),
    responses((status = 204, description = "They are not in it"))
)]
async fn leave(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(Membership { name, address }): Path<Membership>,
) -> Result<StatusCode, Problem> {
    let user = find(&api, &address)?;
    let leave = |profile: &mut crate::directory::Profile| profile.groups.retain(|group| *group != name);
    api.office.change_person(&actor, &user, |_| true, leave).await?;
    Ok(StatusCode::NO_CONTENT)
}
