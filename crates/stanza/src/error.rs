//! Stanza errors (RFC 6120 §8.3).

use std::fmt;

use minidom::Element;
use rxml::{Namespace, NcName};

use crate::condition::conditions;
use crate::ns;
use crate::stanza::{Kind, Stanza};

conditions! {
    /// What went wrong with a stanza (RFC 6120 §8.3.3).
    StanzaCondition {
        /// Not what a protocol expects.
        BadRequest => "bad-request",
        /// Something is there already.
        Conflict => "conflict",
        /// Not implemented here.
        FeatureNotImplemented => "feature-not-implemented",
        /// Not allowed for this sender.
        Forbidden => "forbidden",
        /// The address is gone for good; where to is in [`StanzaError::uri`].
        Gone => "gone",
        /// Our own fault.
        InternalServerError => "internal-server-error",
        /// The thing asked for does not exist.
        ItemNotFound => "item-not-found",
        /// No valid address.
        JidMalformed => "jid-malformed",
        /// Understood, but not acceptable.
        NotAcceptable => "not-acceptable",
        /// Allowed for nobody.
        NotAllowed => "not-allowed",
        /// Credentials are needed first.
        NotAuthorized => "not-authorized",
        /// A local rule forbids it.
        PolicyViolation => "policy-violation",
        /// The recipient is not reachable now.
        RecipientUnavailable => "recipient-unavailable",
        /// The recipient is elsewhere for now; where is in [`StanzaError::uri`].
        Redirect => "redirect",
        /// Registration is needed first.
        RegistrationRequired => "registration-required",
        /// The recipient's server does not exist.
        RemoteServerNotFound => "remote-server-not-found",
        /// The recipient's server does not answer.
        RemoteServerTimeout => "remote-server-timeout",
        /// Too busy.
        ResourceConstraint => "resource-constraint",
        /// This service is not offered.
        ServiceUnavailable => "service-unavailable",
        /// A subscription is needed first.
        SubscriptionRequired => "subscription-required",
        /// None of the others; an application's own condition says more.
        UndefinedCondition => "undefined-condition",
        /// Understood, but it came at the wrong time.
        UnexpectedRequest => "unexpected-request",
    }
}

impl StanzaCondition {
    /// The error type that the standard pairs with this condition; the first where it allows several.
    pub fn default_type(self) -> ErrorType {
        use StanzaCondition::*;
        match self {
            BadRequest | JidMalformed | NotAcceptable | PolicyViolation | Redirect => ErrorType::Modify,
            Forbidden | NotAuthorized | RegistrationRequired | SubscriptionRequired => ErrorType::Auth,
            RecipientUnavailable | RemoteServerTimeout | ResourceConstraint | UnexpectedRequest => {
                ErrorType::Wait
            }
            Conflict
            | FeatureNotImplemented
            | Gone
            | InternalServerError
            | ItemNotFound
            | NotAllowed
            | RemoteServerNotFound
            | ServiceUnavailable
            | UndefinedCondition => ErrorType::Cancel,
        }
    }
}

conditions! {
    /// What the sender may do about it (RFC 6120 §8.3.2).
    ErrorType {
        /// Give credentials, then try again.
        Auth => "auth",
        /// Do not try again.
        Cancel => "cancel",
        /// Go on: it was a warning.
        Continue => "continue",
        /// Change something, then try again.
        Modify => "modify",
        /// Wait, then try again.
        Wait => "wait",
    }
}

/// A stanza error.
#[derive(Debug, Clone, PartialEq)]
pub struct StanzaError {
    /// What the sender may do about it.
    pub type_: ErrorType,
    /// What went wrong.
    pub condition: StanzaCondition,
    /// Words for a person, in English.
    pub text: Option<String>,
    /// A new address, for [`StanzaCondition::Gone`] and [`StanzaCondition::Redirect`].
    pub uri: Option<String>,
    /// An application's own condition.
    pub application: Option<Element>,
}

impl StanzaError {
    /// An error with the condition's own type and words that explain it.
    pub fn new(condition: StanzaCondition, text: impl Into<String>) -> StanzaError {
        StanzaError { text: Some(text.into()), ..StanzaError::from(condition) }
    }

    /// The `<error/>` element, in `jabber:client`.
    pub fn element(&self) -> Element {
        let mut condition = Element::bare(self.condition.name(), ns::STANZA_ERRORS);
        if let Some(uri) = &self.uri {
            condition.append_text(uri.as_str());
        }
        let mut error = Element::bare("error", ns::CLIENT);
        set_attribute(&mut error, Namespace::NONE, "type", self.type_.name());
        error.append_child(condition);
        if let Some(words) = &self.text {
            let mut text = Element::bare("text", ns::STANZA_ERRORS);
            set_attribute(&mut text, Namespace::XML, "lang", "en");
            text.append_text(words.as_str());
            error.append_child(text);
        }
        if let Some(application) = &self.application {
            error.append_child(application.clone());
        }
        error
    }

    /// The answer to `stanza`: to its sender, from its recipient, with its id. The original payload is left out.
    ///
    /// `None` where an answer is forbidden: to an error, and to the result of an IQ (RFC 6120 §8.3.1, §8.2.3).
    pub fn reply_to(&self, stanza: &Stanza) -> Option<Stanza> {
        if stanza.is_type("error") || (stanza.kind == Kind::Iq && stanza.is_type("result")) {
            return None;
        }
        let reply = Stanza {
            to: stanza.from.clone(),
            from: stanza.to.clone(),
            id: stanza.id.clone(),
            type_: Some("error".into()),
            ..Stanza::new(stanza.kind)
        };
        reply.with_payload([&self.element()]).ok()
    }

    /// Reads the error out of a stanza of type `error`. What cannot be made out becomes `undefined-condition`.
    pub fn read(stanza: &Stanza) -> Option<StanzaError> {
        let element = stanza.payload("error", ns::CLIENT)?;
        let mut error = StanzaError::from(StanzaCondition::UndefinedCondition);
        for child in element.children() {
            if !child.has_ns(ns::STANZA_ERRORS) {
                error.application = Some(child.clone());
            } else if child.name() == "text" {
                error.text = Some(child.text());
            } else if let Some(condition) = StanzaCondition::from_name(child.name()) {
                error.condition = condition;
                error.uri = Some(child.text()).filter(|uri| !uri.is_empty());
            }
        }
        error.type_ =
            element.attr("type").and_then(ErrorType::from_name).unwrap_or(error.condition.default_type());
        Some(error)
    }
}

impl From<StanzaCondition> for StanzaError {
    fn from(condition: StanzaCondition) -> StanzaError {
        StanzaError { type_: condition.default_type(), condition, text: None, uri: None, application: None }
    }
}

impl fmt::Display for StanzaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{}: {text}", self.condition),
            None => write!(f, "{}", self.condition),
        }
    }
}

impl std::error::Error for StanzaError {}

fn set_attribute(element: &mut Element, ns: Namespace<'static>, name: &str, value: &str) {
    // Every caller names an attribute that XML allows.
    if let Ok(name) = NcName::try_from(name) {
        element.set_attr(ns, name, value);
    }
}
