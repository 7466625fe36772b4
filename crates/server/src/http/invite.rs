//! The page behind an invitation: a newcomer picks a name and a password here, or goes on in a client.
//!
//! Nobody is signed in on this side, so there is nothing that another site's form could misuse; the token in the address
//! is the whole right, and using it takes a POST from this very page.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::{Form, extract::rejection::FormRejection};
use serde::Deserialize;

use super::page::{document, escape, message};
use super::{Peer, Web};
use crate::invitations::{Invitation, Invitations, Purpose, Refusal};
use crate::users::UserError;

/// As every page, but with a form that goes to this server and nowhere else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// The longest name and password that are looked at, in bytes.
const MAX_FIELD: usize = 1_023;

#[derive(Deserialize)]
pub(super) struct Newcomer {
    name: String,
    password: String,
    again: String,
}

/// What the page shows.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    Path(token): Path<String>,
) -> Response {
    match open(&web, &token).await {
        Ok((_, invitation)) => page(StatusCode::OK, &token, &invitation, &peer, None),
        Err(response) => response,
    }
}

/// Makes the account.
pub(super) async fn accept(
    State(web): State<Arc<Web>>,
    Extension(peer): Extension<Peer>,
    Path(token): Path<String>,
    headers: HeaderMap,
    form: Result<Form<Newcomer>, FormRejection>,
) -> Response {
    let (invitations, invitation) = match open(&web, &token).await {
        Ok(open) => open,
        Err(response) => return response,
    };
    let again = |status, words: &str| page(status, &token, &invitation, &peer, Some(words));
    let foreign = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin");
    if foreign || !is_private(&peer) {
        return again(
            StatusCode::FORBIDDEN,
            "Please fill in this page itself, over an encrypted connection.",
        );
    }
    let Ok(Form(newcomer)) = form else {
        return again(StatusCode::BAD_REQUEST, "The form did not arrive as a whole.");
    };
    if newcomer.name.len() > MAX_FIELD || newcomer.password.len() > MAX_FIELD {
        return again(StatusCode::BAD_REQUEST, "The name or the password is too long.");
    }
    if newcomer.password != newcomer.again {
        return again(StatusCode::BAD_REQUEST, "The two passwords differ.");
    }
    let redeemed =
        invitations.redeem(&token, newcomer.name.trim(), &newcomer.password, peer.address.ip()).await;
    match redeemed {
        Ok(user) => {
            let address = escape(user.as_str());
            let body = format!(
                "<h1>Welcome</h1><p>Your address is <strong>{address}</strong>.</p>\
                 <p>Open an XMPP client, such as Gajim, Dino, Conversations or Monal, and sign in with this address and \
                 the password that you have just chosen.</p>"
            );
            with_policy(StatusCode::CREATED, document("Welcome", &body))
        }
        Err(Refusal::Gone) => gone(),
        Err(error @ Refusal::TooMany) => again(StatusCode::TOO_MANY_REQUESTS, &error.to_string()),
        Err(Refusal::User(error @ (UserError::Vault(_) | UserError::ShuttingDown))) => {
            tracing::error!(%error, "an invitation could not be redeemed");
            again(StatusCode::SERVICE_UNAVAILABLE, "This did not work just now. Try again later.")
        }
        Err(error) => again(StatusCode::CONFLICT, &error.to_string()),
    }
}

async fn open(web: &Web, token: &str) -> Result<(Invitations, Invitation), Response> {
    let invitations = web.invitations.as_ref().ok_or_else(gone)?;
    match invitations.find(token).await {
        Ok(Some(invitation)) => Ok((invitations.clone(), invitation)),
        Ok(None) => Err(gone()),
        Err(error) => {
            tracing::error!(%error, "an invitation could not be read");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Err((status, message(status, "Try again later.")).into_response())
        }
    }
}

fn gone() -> Response {
    let words = "This invitation was used already, or it has expired. Ask for another one.";
    (StatusCode::NOT_FOUND, message(StatusCode::NOT_FOUND, words)).into_response()
}

/// Whether a password may be sent this way.
fn is_private(peer: &Peer) -> bool {
    peer.is_secure() || peer.address.ip().to_canonical().is_loopback()
}

fn page(
    status: StatusCode,
    token: &str,
    invitation: &Invitation,
    peer: &Peer,
    words: Option<&str>,
) -> Response {
    let domain = escape(&invitation.domain);
    let uri = escape(&invitation.uri(token));
    let words = words.map(|words| format!("<p role=\"alert\"><strong>{}</strong></p>", escape(words)));
    let by = invitation.by.as_deref().map(escape);
    let open = format!("<p><a href=\"{uri}\">Open it in your XMPP client</a></p>");
    let body = match (invitation.to, by) {
        (Purpose::Contact, by) => format!(
            "<h1>{} would like to talk to you</h1>{open}<p>With this link you are in each other's contacts at once, \
             without a question.</p>",
            by.unwrap_or(domain)
        ),
        (Purpose::Account, by) => {
            let from = by.map(|by| format!("<p>{by} invites you.</p>")).unwrap_or_default();
            let form = if is_private(peer) { form(invitation) } else { String::new() };
            format!(
                "<h1>Join {domain}</h1>{from}{}{form}<h2>You have a client already?</h2>{open}",
                words.unwrap_or_default()
            )
        }
    };
    with_policy(status, document(&format!("An invitation to {}", escape(&invitation.domain)), &body))
}

fn form(invitation: &Invitation) -> String {
    let domain = escape(&invitation.domain);
    let fixed = invitation.name.as_deref().map(escape);
    let name = match fixed {
        Some(name) => format!("value=\"{name}\" readonly"),
        None => "required autofocus".to_owned(),
    };
    // A form without an address of its own goes back to the page that it is on.
    format!(
        "<form method=\"post\">\
         <p><label>Your name <input name=\"name\" maxlength=\"255\" autocomplete=\"username\" \
         autocapitalize=\"none\" spellcheck=\"false\" {name}></label>@{domain}</p>\
         <p><label>A password <input name=\"password\" type=\"password\" required minlength=\"8\" \
         autocomplete=\"new-password\"></label></p>\
         <p><label>The password again <input name=\"again\" type=\"password\" required \
         autocomplete=\"new-password\"></label></p>\
         <p><button>Make my account</button></p></form>"
    )
}

fn with_policy(status: StatusCode, page: Html<String>) -> Response {
    (status, [(header::CONTENT_SECURITY_POLICY, POLICY)], page).into_response()
}
