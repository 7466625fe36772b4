//! In-band registration (XEP-0077): making an account before sign-in, where the operator allows it; changing the
//! password and closing the account afterwards.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use jid::DomainPart;
use minidom::Element;
use stanza::{Stanza, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request, bad_request};
use crate::accounts::Accounts;
use crate::invitations::{Invitation, Invitations, PREAUTH, Purpose, Refusal};
use crate::post::disk_error;
use crate::users::{NewAccount, SignInLimit, UserError, Users};
use crate::xml::{el, text};

/// Registration before sign-in.
#[derive(Clone)]
pub struct Registration {
    /// Whether strangers may make accounts. Who brings an invitation always may.
    pub open: bool,
    /// The accounts.
    pub users: Users,
    /// Registrations per address and minute.
    pub limit: Arc<SignInLimit>,
    /// Who brings a token.
    pub invitations: Invitations,
}

impl Registration {
    /// Answers an IQ with `jabber:iq:register` on a stream that has not signed in.
    ///
    /// `token` is what the stream brought (XEP-0445); it is taken away when a new one comes or it is used up.
    pub async fn answer(
        &self,
        stanza: &Stanza,
        domain: &DomainPart,
        peer: IpAddr,
        token: &mut Option<String>,
    ) -> Option<Stanza> {
        let mut stanza = stanza.clone();
        stanza.to = None;
        let answer = match stanza.payload("preauth", PREAUTH) {
            Some(preauth) => self.take_token(&stanza, &preauth, domain, token).await.map(|()| None),
            None => self.serve(&stanza, domain, peer, token).await,
        };
        match answer {
            Ok(payload) => Stanza::result_of(&stanza).with_payload(payload.as_ref()).ok(),
            Err(error) => error.reply_to(&stanza),
        }
    }

    /// XEP-0445 §4.2.
    async fn take_token(
        &self,
        stanza: &Stanza,
        preauth: &Element,
        domain: &DomainPart,
        token: &mut Option<String>,
    ) -> Result<(), StanzaError> {
        *token = None;
        let brought = preauth.attr("token").filter(|_| stanza.is_type("set"));
        let brought = brought.ok_or(StanzaCondition::BadRequest)?;
        let found = self.invitations.find(brought).await.map_err(|error| disk_error(&error))?;
        let fits = |found: &Invitation| found.to == Purpose::Account && found.domain == domain.as_str();
        if !found.is_some_and(|found| fits(&found)) {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, Refusal::Gone.to_string()));
        }
        *token = Some(brought.to_owned());
        Ok(())
    }

    /// The name that an invitation reserves.
    async fn reserved(&self, token: Option<&str>) -> Result<Option<String>, StanzaError> {
        let Some(token) = token else { return Ok(None) };
        let found = self.invitations.find(token).await.map_err(|error| disk_error(&error))?;
        Ok(found.and_then(|found| found.name))
    }

    async fn serve(
        &self,
        stanza: &Stanza,
        domain: &DomainPart,
        peer: IpAddr,
        token: &mut Option<String>,
    ) -> Answer {
        let query = stanza.payload("query", ns::REGISTER).ok_or(StanzaCondition::BadRequest)?;
        match stanza.type_.as_deref() {
            _ if !self.open && token.is_none() => {
                let words = "Accounts here are made by invitation.";
                Err(StanzaError::new(StanzaCondition::NotAllowed, words))
            }
            Some("get") => Ok(Some(form(false, self.reserved(token.as_deref()).await?.as_deref()))),
            Some("set") => {
                let field = |name| {
                    query.get_child(name, ns::REGISTER).map(Element::text).filter(|text| !text.is_empty())
                };
                let (Some(username), Some(password)) = (field("username"), field("password")) else {
                    let words = "Registration needs a username and a password.";
                    return Err(StanzaError::new(StanzaCondition::NotAcceptable, words));
                };
                if let Some(brought) = token.as_deref() {
                    let redeemed = self.invitations.redeem(brought, &username, &password, peer).await;
                    redeemed.map_err(|refused| refusal_of_token(&refused))?;
                    *token = None;
                    return Ok(None);
                }
                if !self.limit.admit(peer, Instant::now()) {
                    let words = "Too many registrations from this address. Try again in a minute.";
                    return Err(StanzaError::new(StanzaCondition::ResourceConstraint, words));
                }
                let user = Users::address(&username, domain).map_err(|error| refusal(&error))?;
                self.users
                    .create(&user, NewAccount::new(&password))
                    .await
                    .map_err(|error| refusal(&error))?;
                Ok(None)
            }
            _ => Err(StanzaCondition::BadRequest.into()),
        }
    }
}

/// The fields, with the name that is known.
fn form(registered: bool, name: Option<&str>) -> Element {
    let mut query = el("query", ns::REGISTER);
    query = match registered {
        false => query.append(text("instructions", ns::REGISTER, "Choose a username and a password.")),
        true => query.append(el("registered", ns::REGISTER).build()),
    };
    query
        .append(text("username", ns::REGISTER, name.unwrap_or_default()))
        .append(el("password", ns::REGISTER).build())
        .build()
}

fn refusal(error: &UserError) -> StanzaError {
    let condition = match error {
        UserError::Exists => StanzaCondition::Conflict,
        UserError::Vault(_) | UserError::ShuttingDown => StanzaCondition::InternalServerError,
        _ => StanzaCondition::NotAcceptable,
    };
    StanzaError::new(condition, error.to_string())
}

fn refusal_of_token(refused: &Refusal) -> StanzaError {
    let condition = match refused {
        Refusal::Gone => StanzaCondition::ItemNotFound,
        Refusal::OtherName => StanzaCondition::NotAcceptable,
        Refusal::TooMany => StanzaCondition::ResourceConstraint,
        Refusal::User(error) => return refusal(error),
    };
    StanzaError::new(condition, refused.to_string())
}

/// Password change and cancellation after sign-in (XEP-0077 §3.2, §3.3).
pub struct RegisterDesk {
    /// The accounts.
    pub accounts: Accounts,
    /// Whether people may close their own accounts: only where they could make them.
    pub open: bool,
}

#[async_trait]
impl Handler for RegisterDesk {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", ns::REGISTER, &[Place::Host, Place::Own])]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        if place == Place::Host { vec![ns::REGISTER] } else { Vec::new() }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        let user = &request.session.user.jid;
        let name = user.node().map(|node| node.as_str()).unwrap_or_default();
        if !request.set {
            return Ok(Some(form(true, Some(name))));
        }
        if request.payload.has_child("remove", ns::REGISTER) {
            if !self.open {
                let words = "Accounts here are closed by an administrator.";
                return Err(StanzaError::new(StanzaCondition::NotAllowed, words));
            }
            if request.payload.children().count() > 1 {
                return Err(bad_request("An account is closed by <remove/> alone."));
            }
            // From here on nobody can sign in; the rest would end this very stream before it has the answer.
            self.accounts.users.set_disabled(user, true).await.map_err(|error| refusal(&error))?;
            let (accounts, user) = (self.accounts.clone(), user.clone());
            request.after.then(move || {
                tokio::spawn(async move {
                    if let Err(error) = accounts.remove(&user).await {
                        tracing::error!(%error, "an account could not be removed; it is disabled");
                    }
                });
            });
            return Ok(None);
        }
        let field = |name| request.payload.get_child(name, ns::REGISTER).map(Element::text);
        let is_own =
            |username: &str| Users::address(username, user.domain()).is_ok_and(|address| address == *user);
        match (field("username"), field("password")) {
            (Some(username), Some(password)) if is_own(&username) && !password.is_empty() => {
                self.accounts.users.set_password(user, &password).await.map_err(|error| refusal(&error))?;
                Ok(None)
            }
            (Some(username), Some(_)) if !is_own(&username) => Err(StanzaCondition::NotAllowed.into()),
            _ => Err(bad_request("A change of password needs your username and the new password.")),
        }
    }
}
