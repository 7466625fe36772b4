//! Commands that make invitations (XEP-0401): everybody may invite contacts, administrators may invite new colleagues.

use std::sync::Arc;

use async_trait::async_trait;
use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::adhoc::{Call, Command, Done, result, values};
use super::bad_request;
use crate::clock;
use crate::invitations::{DAYS, Invitation, Invitations, NotIssued, Purpose};
use crate::post::disk_error;
use crate::users::{Role, Roles, Users};
use crate::xml::{With, el, text};

/// The namespace.
const INVITE: &str = "urn:xmpp:invite";

/// Both commands.
pub fn commands(invitations: Invitations) -> Vec<Arc<dyn Command>> {
    vec![
        Arc::new(Invite { to: Purpose::Contact, invitations: invitations.clone() }),
        Arc::new(Invite { to: Purpose::Account, invitations }),
    ]
}

struct Invite {
    to: Purpose,
    invitations: Invitations,
}

#[async_trait]
impl Command for Invite {
    fn node(&self) -> &'static str {
        match self.to {
            Purpose::Contact => "urn:xmpp:invite#invite",
            Purpose::Account => "urn:xmpp:invite#create-account",
        }
    }

    fn name(&self) -> &'static str {
        match self.to {
            Purpose::Contact => "Invite a contact",
            Purpose::Account => "Invite a new colleague",
        }
    }

    fn permits(&self, roles: Roles) -> bool {
        self.to == Purpose::Contact || roles.has(Role::Admin)
    }

    fn form(&self) -> Option<Element> {
        let field = |var: &str, type_: &str, label: &str| {
            el("field", ns::DATA_FORMS).with("var", var).with("type", type_).with("label", label)
        };
        let form_type = field("FORM_TYPE", "hidden", "").append(text("value", ns::DATA_FORMS, INVITE));
        let subscribe =
            field("roster-subscription", "boolean", "Put them into my roster, and me into theirs");
        (self.to == Purpose::Account).then(|| {
            el("x", ns::DATA_FORMS)
                .with("type", "form")
                .append(text("title", ns::DATA_FORMS, self.name()))
                .append(form_type)
                .append(field("username", "text-single", "User name; empty if they may choose"))
                .append(field("groups", "text-multi", "Groups, one a line"))
                .append(subscribe.append(text("value", ns::DATA_FORMS, "true")))
                .build()
        })
    }

    async fn run(&self, call: Call<'_>) -> Result<Done, StanzaError> {
        let mut invitation = Invitation::new(self.to, call.domain.as_str(), DAYS);
        let me = call.by.user.jid.to_string();
        if self.to == Purpose::Contact {
            invitation.by = Some(me);
        } else {
            if !matches!(call.fields.one("roster-subscription"), Some("false" | "0")) {
                invitation.by = Some(me);
            }
            if let Some(name) = call.fields.one("username") {
                let address =
                    Users::address(name, call.domain).map_err(|error| bad_request(&error.to_string()))?;
                if matches!(self.invitations.accounts.users.find(&address).await, Ok(Some(_))) {
                    return Err(StanzaError::new(StanzaCondition::Conflict, "Somebody has that name."));
                }
                invitation.name = address.node().map(|node| node.as_str().to_owned());
            }
            invitation.groups = call.fields.all("groups").into_iter().map(str::to_owned).collect();
        }
        let token =
            invitation.issue(&self.invitations.accounts.vault).await.map_err(|error| match error {
                NotIssued::TooMany => {
                    StanzaError::new(StanzaCondition::ResourceConstraint, error.to_string())
                }
                NotIssued::Vault(error) => disk_error(&error),
            })?;
        let expires = i64::try_from(invitation.expires.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let mut fields = vec![values("text-single", "uri", [invitation.uri(&token)])];
        fields.extend(
            self.invitations
                .page(&invitation.domain, &token)
                .map(|page| values("text-single", "landing-url", [page])),
        );
        fields.push(values("text-single", "expire", [clock::stamp(expires)]));
        Ok(Done::found(vec![result(INVITE, fields)]))
    }
}
