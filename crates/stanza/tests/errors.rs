//! Answers to stanzas that cannot be served.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test may")]

mod support;

use stanza::{Element, ErrorType, StanzaCondition, StanzaError, ns};
use support::{stanza, tail};

#[test]
fn an_error_goes_back_where_the_stanza_came_from() {
    let iq = stanza("<iq type='get' id='7' from='a@b/c' to='d@e'><query xmlns='u'/></iq>");
    let reply = StanzaError::new(StanzaCondition::ItemNotFound, "no <such> thing").reply_to(&iq).unwrap();
    assert_eq!(reply.to, iq.from);
    assert_eq!(reply.from, iq.to);
    assert_eq!(reply.id.as_deref(), Some("7"));
    assert!(reply.is_type("error"));
    assert_eq!(
        tail(&reply),
        "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no &lt;such&gt; thing</text></error></iq>"
    );
}

#[test]
fn errors_and_results_are_never_answered_with_an_error() {
    let error = StanzaError::from(StanzaCondition::BadRequest);
    for unanswered in ["<iq type='error' id='1'/>", "<iq type='result' id='1'/>", "<message type='error'/>"] {
        assert_eq!(error.reply_to(&stanza(unanswered)), None, "{unanswered}");
    }
    for answered in ["<iq type='get' id='1'/>", "<iq type='bogus' id='1'/>", "<message/>", "<presence/>"] {
        assert!(error.reply_to(&stanza(answered)).is_some(), "{answered}");
    }
}

#[test]
fn every_condition_survives_the_way_there_and_back() {
    assert_eq!(StanzaCondition::ALL.len(), 22);
    let message = stanza("<message from='a@b'/>");
    for condition in StanzaCondition::ALL {
        for type_ in ErrorType::ALL {
            let error = StanzaError { type_: *type_, ..StanzaError::new(*condition, "why") };
            assert_eq!(StanzaError::read(&error.reply_to(&message).unwrap()), Some(error));
        }
    }
}

#[test]
fn a_new_address_and_an_application_condition_are_carried() {
    let error = StanzaError {
        uri: Some("xmpp:romeo@elsewhere.example".into()),
        application: Some(Element::bare("too-many-parameters", "urn:example:errors")),
        ..StanzaError::from(StanzaCondition::Gone)
    };
    let reply = error.reply_to(&stanza("<presence from='a@b'/>")).unwrap();
    assert_eq!(StanzaError::read(&reply), Some(error));
}

#[test]
fn an_error_that_says_nothing_is_an_undefined_condition() {
    let error = StanzaError::read(&stanza("<message type='error'><error/></message>")).unwrap();
    assert_eq!((error.condition, error.type_), (StanzaCondition::UndefinedCondition, ErrorType::Cancel));
    assert_eq!(StanzaError::read(&stanza("<message type='error'/>")), None);
    assert!(stanza("<message><error/></message>").has("error", ns::CLIENT));
}
