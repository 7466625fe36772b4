//! The description of the API: what the code's types and comments cannot say by themselves.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, PathItem, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;

use super::cookie;
use super::problem::{PROBLEM_JSON, Problem};
use super::{Api, ROOT};

/// Errors that every operation may answer with, and when.
const ALWAYS: [(&str, &str); 8] = [
    ("400", "The request cannot be read"),
    ("401", "Nobody is signed in"),
    ("403", "Whoever is signed in may not do this"),
    ("404", "There is no such thing, or not for you"),
    ("422", "The request can be read and makes no sense"),
    ("429", "Too many requests; `Retry-After` says how long to wait"),
    ("500", "The server failed"),
    ("503", "It cannot be put on record just now, or the server stops; nothing was done"),
];
/// Errors of operations with a body.
const WITH_BODY: [(&str, &str); 2] =
    [("413", "The body is too large"), ("415", "The body is not `application/json`")];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Chancery",
        description = "The company's messenger, its people, and the archive of everything that was said.\n\n\
            Browsers sign in with `POST /session` and get a cookie; they send the session's `csrf_token` back as \
            `X-CSRF-Token` along with every change. Programs send a token as `Authorization: Bearer …`.\n\n\
            Reading other people's words is put on the audit chain before the answer. All errors are \
            `application/problem+json` (RFC 9457).",
    ),
    security(("session" = []), ("token" = []))
)]
struct Description;

/// No subjects yet.
pub(super) fn empty() -> OpenApiRouter<std::sync::Arc<Api>> {
    OpenApiRouter::with_openapi(Description::openapi())
}

/// Adds what all operations share.
pub(super) fn finish(mut description: OpenApi, secure: bool) -> OpenApi {
    description.servers = Some(vec![utoipa::openapi::Server::new(ROOT)]);
    description.info.version = env!("CARGO_PKG_VERSION").to_owned();
    let components = description.components.get_or_insert_with(Default::default);
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let cookie = ApiKeyValue::new(cookie::name(secure));
    components.add_security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    for item in description.paths.paths.values_mut() {
        for operation in operations(item) {
            add_problems(operation);
        }
    }
    description
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().filter_map(Option::as_mut)
}

fn add_problems(operation: &mut Operation) {
    let with_body = operation.request_body.iter().flat_map(|_| WITH_BODY);
    for (status, words) in ALWAYS.into_iter().chain(with_body) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(words));
    }
    // Said below the API, which never sees such a request.
    let too_long = ResponseBuilder::new().description("Address and headers are longer than 16 KiB").build();
    operation.responses.responses.insert("431".to_owned(), too_long.into());
}

fn problem(words: &str) -> RefOr<utoipa::openapi::Response> {
    let schema = Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(words).content(PROBLEM_JSON, content).build().into()
}
