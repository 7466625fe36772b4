//! Accounts.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jid::BareJid;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::Api;
use super::extract::{Caller, Json, Path, Query};
use super::problem::Problem;
use crate::admin::no_progress;
use crate::directory::Profile;
use crate::office::{Newcomer, Person, Refusal};
use crate::users::{Role, Roles};

const TAG: &str = "people";
/// The longest import, in bytes.
const IMPORT: usize = 8 * 1024 * 1024;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    let import = OpenApiRouter::new().routes(routes!(import)).layer(DefaultBodyLimit::max(IMPORT));
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, change, remove))
        .routes(routes!(set_roles))
        .routes(routes!(set_password))
        .merge(import)
}

/// Which people.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those in whose address, name or mail address this stands, whatever its case.
    #[serde(default)]
    q: Option<String>,
    /// Only those in this group.
    #[serde(default)]
    group: Option<String>,
    /// Only those with this role.
    #[serde(default)]
    role: Option<String>,
    /// Only from behind this address: `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// At most so many, from 1 to 1000; what lies beyond is the nearest of the two.
    #[serde(default = "usual")]
    #[param(default = 100)]
    limit: usize,
}

fn usual() -> usize {
    100
}

impl Wanted {
    fn takes(&self, person: &Person) -> bool {
        let q = self.q.as_ref().map(|q| q.to_lowercase());
        let texts = [Some(&person.address), person.name.as_ref(), person.email.as_ref()];
        let has = |q: &String| texts.iter().flatten().any(|text| text.to_lowercase().contains(q));
        q.as_ref().is_none_or(has)
            && self.group.as_ref().is_none_or(|group| person.groups.contains(group))
            && self.role.as_ref().is_none_or(|role| person.roles.contains(role))
            && self.after.as_ref().is_none_or(|after| person.address > *after)
    }
}

/// Some of the people, by address.
#[derive(Serialize, ToSchema)]
struct PeoplePage {
    items: Vec<Person>,
    /// To be given as `after` for the next page; absent at the end.
    next: Option<String>,
}

/// Somebody to make an account for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPerson {
    /// The name of the account, or its whole address.
    #[schema(example = "anna")]
    user: String,
    #[schema(format = Password)]
    password: String,
    /// What the person is beside an employee.
    #[serde(default)]
    roles: Vec<String>,
    /// How they are called.
    #[serde(default)]
    name: Option<String>,
    /// The groups that they are in.
    #[serde(default)]
    groups: Vec<String>,
    /// Their mail address.
    #[serde(default)]
    email: Option<String>,
    /// Their telephone number.
    #[serde(default)]
    phone: Option<String>,
    /// What they do.
    #[serde(default)]
    title: Option<String>,
}

/// What to change of somebody. What is absent stays; `null` takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PersonChange {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    name: Option<Option<String>>,
    #[serde(default)]
    #[schema(max_items = 100)]
    groups: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    email: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    phone: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 256)]
    title: Option<Option<String>>,
    /// Whether they may sign in. `false` also ends their sessions.
    #[serde(default)]
    enabled: Option<bool>,
}

/// Tells `null` from what is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What somebody is beside an employee.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleSet {
    #[schema(example = json!(["auditor"]))]
    roles: Vec<String>,
}

/// A password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasswordOnly {
    #[schema(format = Password)]
    password: String,
}

/// Many people to make accounts for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PeopleImport {
    people: Vec<NewPerson>,
    /// Only say what would happen.
    #[serde(default)]
    dry_run: bool,
}

/// What became of one of them.
#[derive(Serialize, ToSchema)]
struct ImportOutcome {
    /// As it was given.
    user: String,
    /// Whether the account was made, or could be.
    made: bool,
    /// Why not.
    reason: Option<String>,
}

/// See everybody
#[utoipa::path(
    get, path = "/people", tag = TAG, operation_id = "listPeople", params(Wanted),
    responses((status = 200, description = "The people", body = PeoplePage))
)]
async fn list(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Query(wanted): Query<Wanted>,
) -> Result<axum::Json<PeoplePage>, Problem> {
    let mut items = api.office.people(&actor).await?;
    items.sort_by(|a, b| a.address.cmp(&b.address));
    items.retain(|person| wanted.takes(person));
    let limit = wanted.limit.clamp(1, 1000);
    let next = (items.len() > limit).then(|| items[limit - 1].address.clone());
    items.truncate(limit);
    Ok(axum::Json(PeoplePage { items, next }))
}

/// Make an account
#[utoipa::path(
    post, path = "/people", tag = TAG, operation_id = "addPerson", request_body = NewPerson,
    responses(
        (status = 201, description = "The person", body = Person),
        (status = 409, description = "There is such an account", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn add(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(new): Json<NewPerson>,
) -> Result<Response, Problem> {
    let roles = read_roles(&new.roles)?;
    let person = api.office.add_person(&actor, newcomer(&api, new)?, roles).await?;
    Ok(tagged(StatusCode::CREATED, person))
}

/// See somebody
#[utoipa::path(
    get, path = "/people/{address}", tag = TAG, operation_id = "getPerson",
    params(("address" = String, Path, description = "Their address", max_length = 1023)),
    responses((status = 200, description = "The person", body = Person,
        headers(("etag" = String, description = "For If-Match"))))
)]
async fn show(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(address): Path<String>,
) -> Result<Response, Problem> {
    let user = find(&api, &address)?;
    Ok(tagged(StatusCode::OK, api.office.person(&actor, &user).await?))
}

/// PersonChange what is known of somebody
///
/// With `If-Match`, only if nobody changed it meanwhile.
#[utoipa::path(
    patch, path = "/people/{address}", tag = TAG, operation_id = "changePerson", request_body = PersonChange,
    params(
        ("address" = String, Path, description = "Their address", max_length = 1023),
        ("if-match" = Option<String>, Header, description = "The `ETag` that was read"),
    ),
    responses(
        (status = 200, description = "The person", body = Person),
        (status = 409, description = "Nobody would be left to run the server", body = Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "Somebody changed it meanwhile", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn change(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(address): Path<String>,
    headers: HeaderMap,
    Json(change): Json<PersonChange>,
) -> Result<Response, Problem> {
    let user = find(&api, &address)?;
    let wanted = headers.get(header::IF_MATCH).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
    let expected = move |person: &Person| {
        let tag = tag_of(person);
        wanted
            .as_ref()
            .is_none_or(|wanted| wanted.split(',').any(|one| one.trim() == "*" || one.trim() == tag))
    };
    let PersonChange { name, groups, email, phone, title, enabled } = change;
    let apply = |profile: &mut Profile| {
        let set = |field: &mut Option<String>, value: Option<Option<String>>| {
            if let Some(value) = value {
                *field = value;
            }
        };
        set(&mut profile.name, name);
        set(&mut profile.email, email);
        set(&mut profile.phone, phone);
        set(&mut profile.title, title);
        if let Some(groups) = groups {
            profile.groups = groups;
        }
    };
    let mut person = api.office.change_person(&actor, &user, expected, apply).await?;
    if let Some(enabled) = enabled.filter(|enabled| *enabled != person.enabled) {
        person = api.office.enable(&actor, &user, enabled).await?;
    }
    Ok(tagged(StatusCode::OK, person))
}

/// Remove an account
///
/// What it wrote stays in the archive.
#[utoipa::path(
    delete, path = "/people/{address}", tag = TAG, operation_id = "removePerson",
    params(("address" = String, Path, description = "Their address", max_length = 1023)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "Nobody would be left to run the server", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn remove(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(address): Path<String>,
) -> Result<StatusCode, Problem> {
    api.office.remove_person(&actor, &find(&api, &address)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say what somebody is beside an employee
///
/// On the audit chain first. Administrators name administrators; officers name auditors, officers and key custodians.
#[utoipa::path(
    put, path = "/people/{address}/roles", tag = TAG, operation_id = "setRoles", request_body = RoleSet,
    params(("address" = String, Path, description = "Their address", max_length = 1023)),
    responses(
        (status = 200, description = "The person", body = Person),
        (status = 409, description = "Nobody would be left to run the server", body = Problem,
            content_type = "application/problem+json"),
    )
)]
async fn set_roles(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(address): Path<String>,
    Json(RoleSet { roles }): Json<RoleSet>,
) -> Result<Response, Problem> {
    let roles = read_roles(&roles)?;
    Ok(tagged(StatusCode::OK, api.office.set_roles(&actor, &find(&api, &address)?, roles).await?))
}

/// Set somebody's password
///
/// On the audit chain first. Ends their sessions and tokens.
#[utoipa::path(
    put, path = "/people/{address}/password", tag = TAG, operation_id = "setPassword", request_body = PasswordOnly,
    params(("address" = String, Path, description = "Their address", max_length = 1023)),
    responses((status = 204, description = "It is set"))
)]
async fn set_password(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Path(address): Path<String>,
    Json(PasswordOnly { password }): Json<PasswordOnly>,
) -> Result<StatusCode, Problem> {
    let password = Zeroizing::new(password);
    api.office.set_password(&actor, &find(&api, &address)?, &password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make many accounts
///
/// One that fails does not stop the others. Roles are given to each person by themselves.
#[utoipa::path(
    post, path = "/people/import", tag = TAG, operation_id = "importPeople", request_body = PeopleImport,
    responses((status = 200, description = "What became of each, in the same order", body = [ImportOutcome]))
)]
async fn import(
    State(api): State<Arc<Api>>,
    Caller(actor): Caller,
    Json(PeopleImport { people, dry_run }): Json<PeopleImport>,
) -> Result<axum::Json<Vec<ImportOutcome>>, Problem> {
    let names: Vec<String> = people.iter().map(|person| person.user.clone()).collect();
    let read = |new: NewPerson| match new.roles.is_empty() {
        true => newcomer(&api, new),
        false => Err(Refusal::invalid("/roles", "roles are given to each person by themselves")),
    };
    let people = people.into_iter().map(read).collect();
    let outcomes = api.office.import(&actor, people, dry_run, &no_progress()).await?;
    let told = names.into_iter().zip(outcomes).map(|(user, outcome)| ImportOutcome {
        user,
        made: outcome.is_ok(),
        reason: outcome.err().map(|refusal| refusal.to_string()),
    });
    Ok(axum::Json(told.collect()))
}

/// Somebody in the path. Who cannot be is not there.
pub(super) fn find(api: &Api, address: &str) -> Result<BareJid, Refusal> {
    api.office.address(address).map_err(|_| Refusal::Missing("there is no such account".to_owned()))
}

fn newcomer(api: &Api, new: NewPerson) -> Result<Newcomer, Refusal> {
    let NewPerson { user, password, name, groups, email, phone, title, .. } = new;
    let password = Zeroizing::new(password);
    let profile = Profile { name, groups, email, phone, title };
    Ok(Newcomer { user: api.office.address(&user)?, password, profile })
}

fn read_roles(names: &[String]) -> Result<Roles, Refusal> {
    let unknown = |at| Refusal::invalid(&format!("/roles/{at}"), crate::users::UnknownRole.to_string());
    let roles = names.iter().enumerate().map(|(at, name)| name.parse::<Role>().map_err(|_| unknown(at)));
    roles.collect()
}

fn tag_of(person: &Person) -> String {
    let json = serde_json::to_vec(person).unwrap_or_default();
    format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(json)[..12]))
}

fn tagged(status: StatusCode, person: Person) -> Response {
    (status, [(header::ETAG, tag_of(&person))], axum::Json(person)).into_response()
}
