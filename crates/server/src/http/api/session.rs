//! Signing in and out.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use zeroize::Zeroizing;

use super::extract::{InSession, Json, Path};
use super::me::Me;
use super::problem::Problem;
use super::{Api, agent, cookie, moment, origin};
use crate::http::Peer;
use crate::office::{Credentials, Refusal, csrf_token};

const TAG: &str = "session";

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show, begin, end)).routes(routes!(list)).routes(routes!(end_one))
}

/// What somebody signs in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// The name of the account, or its whole address.
    #[schema(example = "anna")]
    user: String,
    /// Its password.
    #[schema(format = Password)]
    password: String,
    /// The second factor, if the account has one: what the authenticator shows, or a recovery code.
    #[serde(default)]
    code: Option<String>,
}

/// A session, for its own page.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrentSession {
    /// To be sent along with every change as `X-CSRF-Token`.
    csrf_token: String,
    #[serde(flatten)]
    me: Me,
}

/// One of the caller's sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionView {
    /// Its name.
    id: String,
    /// When it began.
    #[schema(format = DateTime)]
    created: String,
    /// When it was used last, to the minute.
    #[schema(format = DateTime)]
    seen: String,
    /// What the browser said it is.
    agent: Option<String>,
    /// Whether it is this very one.
    current: bool,
}

/// Sign in
///
/// Answers with the session's cookie. An account with a second factor gets the problem `second-factor` until the code
/// comes along.
#[utoipa::path(
    post, path = "/session", tag = TAG, operation_id = "signIn", request_body = SignIn, security(()),
    responses((status = 201, description = "Signed in", body = CurrentSession))
)]
async fn begin(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    Json(SignIn { user, password, code }): Json<SignIn>,
) -> Result<Response, Problem> {
    origin::check(&headers)?;
    let (password, code) = (Zeroizing::new(password), code.map(Zeroizing::new));
    let credentials = Credentials { user, password, code };
    let proven = api.office.prove(&credentials, peer.address.ip()).await?;
    let session = api.office.begin_session(&proven, agent(&headers)).await?;
    let me = Me::of(&api, &session.actor).await?;
    let current = CurrentSession { csrf_token: csrf_token(&session.secret), me };
    let cookie = cookie::set(&session.secret, api.is_secure(&peer)).ok_or(Refusal::Failed)?;
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie)], axum::Json(current)).into_response())
}

/// The session that this request belongs to
#[utoipa::path(
    get, path = "/session", tag = TAG, operation_id = "getSession", security(("session" = [])),
    responses((status = 200, description = "Who is signed in", body = CurrentSession))
)]
async fn show(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    session: InSession,
) -> Result<axum::Json<CurrentSession>, Problem> {
    let secret = cookie::secret(&headers, api.is_secure(&peer)).ok_or(Refusal::SignedOut)?;
    let me = Me::of(&api, &session.actor).await?;
    Ok(axum::Json(CurrentSession { csrf_token: csrf_token(secret), me }))
}

/// Sign out
#[utoipa::path(
    delete, path = "/session", tag = TAG, operation_id = "signOut", security(("session" = [])),
    responses((status = 204, description = "Signed out"))
)]
async fn end(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    session: InSession,
) -> Result<Response, Problem> {
    api.office.end_session(&session.actor, &session.name).await?;
    let cookie = cookie::clear(api.is_secure(&peer)).ok_or(Refusal::Failed)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// All of one's sessions
#[utoipa::path(
    get, path = "/me/sessions", tag = TAG, operation_id = "listSessions", security(("session" = [])),
    responses((status = 200, description = "The sessions", body = [SessionView]))
)]
async fn list(
    State(api): State<Arc<Api>>,
    session: InSession,
) -> Result<axum::Json<Vec<SessionView>>, Problem> {
    let mut own = api.office.sessions_of(session.actor.who()).await?;
    own.sort_by_key(|(_, session)| std::cmp::Reverse(session.seen));
    let listed = own.into_iter().map(|(id, one)| SessionView {
        current: id == session.name,
        id,
        created: moment(one.created),
        seen: moment(one.seen),
        agent: one.agent,
    });
    Ok(axum::Json(listed.collect()))
}

/// End one of one's sessions
#[utoipa::path(
    delete, path = "/me/sessions/{id}", tag = TAG, operation_id = "endSession", security(("session" = [])),
    params(("id" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is over"))
)]
async fn end_one(
    State(api): State<Arc<Api>>,
    session: InSession,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    api.office.end_session(&session.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
