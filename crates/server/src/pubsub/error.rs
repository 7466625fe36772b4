//! Stanza errors with a condition of XEP-0060's own beside that of RFC 6120.

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use crate::xml::{With, el};

/// An error with a condition of `pubsub#errors`.
pub fn error(condition: StanzaCondition, specific: &str) -> StanzaError {
    StanzaError { application: Some(Element::bare(specific, ns::PUBSUB_ERRORS)), ..condition.into() }
}

/// What is not served; `feature` is a name of XEP-0060 §10 without its prefix.
pub fn unsupported(feature: &str) -> StanzaError {
    let element = el("unsupported", ns::PUBSUB_ERRORS).with("feature", feature).build();
    StanzaError { application: Some(element), ..StanzaCondition::FeatureNotImplemented.into() }
}

/// There is no such node, or no such item.
pub fn not_found() -> StanzaError {
    StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node or item.")
}

/// No node is named where one must be.
pub fn node_required() -> StanzaError {
    error(StanzaCondition::BadRequest, "nodeid-required")
}

/// A bound of this server is reached.
pub fn too_many(text: impl Into<String>) -> StanzaError {
    StanzaError::new(StanzaCondition::ResourceConstraint, text)
}
