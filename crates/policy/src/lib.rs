//! Who may say what to whom: a pure function from what is known about a message to a verdict.
//!
//! No I/O, no clock, no state: whoever asks brings the [`Facts`], so a verdict can be tested, repeated over an old
//! archive, and explained.

pub mod detect;
pub mod lexicon;
pub mod links;
pub mod rules;
pub mod words;

use stanza::{Element, ErrorType, Stanza, StanzaCondition, StanzaError};

/// What the company has decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// What happens to content that the server, and so the archive, cannot read.
    pub encrypted: Encrypted,
}

/// End-to-end encrypted content.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Encrypted {
    /// It goes back to the sender.
    #[default]
    Refuse,
    /// It passes and is archived as it is.
    Allow,
}

/// What is known about one stanza besides itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The sender blocks the recipient (XEP-0191).
    pub sender_blocks: bool,
    /// The recipient blocks the sender (XEP-0191).
    pub recipient_blocks: bool,
}

/// What happens to a stanza.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It passes.
    Allow,
    /// It goes back.
    Block(Reason),
}

/// Why a stanza goes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The sender must unblock the recipient first.
    SenderBlocks,
    /// The recipient does not want to hear from the sender.
    RecipientBlocks,
    /// Nobody but the recipient could read it.
    Unreadable,
}

/// The namespaces of end-to-end encryption: OMEMO (XEP-0384, both generations), OpenPGP (XEP-0373, XEP-0027),
/// OTR's marker (XEP-0380 names methods that this list cannot know, so that element counts as well).
pub const UNREADABLE: [&str; 6] = [
    "eu.siacs.conversations.axolotl",
    "urn:xmpp:omemo:1",
    "urn:xmpp:omemo:2",
    "urn:xmpp:openpgp:0",
    "jabber:x:encrypted",
    "urn:xmpp:eme:0",
];

/// Judges a message, presence or IQ.
pub fn judge(stanza: &Stanza, facts: Facts, rules: Rules) -> Verdict {
    if facts.sender_blocks {
        return Verdict::Block(Reason::SenderBlocks);
    }
    if facts.recipient_blocks {
        return Verdict::Block(Reason::RecipientBlocks);
    }
    if rules.encrypted == Encrypted::Refuse && is_unreadable(stanza) {
        return Verdict::Block(Reason::Unreadable);
    }
    Verdict::Allow
}

/// Whether a message carries content that only its recipient can read.
pub fn is_unreadable(stanza: &Stanza) -> bool {
    stanza.kind == stanza::Kind::Message
        && stanza.children().iter().any(|child| UNREADABLE.contains(&child.ns()))
}

impl Reason {
    /// What the sender is told.
    pub fn error(self) -> StanzaError {
        match self {
            Self::SenderBlocks => StanzaError {
                type_: ErrorType::Cancel,
                application: Some(Element::bare("blocked", "urn:xmpp:blocking:errors")),
                ..StanzaError::new(
                    StanzaCondition::NotAcceptable,
                    "You have blocked this address. Unblock it to write to it.",
                )
            },
            // The same answer as for somebody who is not there: being blocked is nobody's business.
            Self::RecipientBlocks => StanzaCondition::ServiceUnavailable.into(),
            Self::Unreadable => StanzaError::new(
                StanzaCondition::PolicyViolation,
                "This company archives its messages, so end-to-end encryption is not accepted. Switch it off for this \
                 conversation; the connection and the archive are encrypted.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(payload: &str) -> Stanza {
        let xml = format!("<message xmlns='jabber:client' type='chat'>{payload}</message>");
        Stanza::parse(xml.as_bytes()).unwrap()
    }

    const OMEMO: &str = "<encrypted xmlns='eu.siacs.conversations.axolotl'/><body>Use OMEMO</body>";

    #[test]
    fn plain_words_pass() {
        assert_eq!(judge(&message("<body>hi</body>"), Facts::default(), Rules::default()), Verdict::Allow);
    }

    #[test]
    fn what_only_the_recipient_can_read_is_refused_unless_the_company_allows_it() {
        let refused = Verdict::Block(Reason::Unreadable);
        assert_eq!(judge(&message(OMEMO), Facts::default(), Rules::default()), refused);
        let rules = Rules { encrypted: Encrypted::Allow };
        assert_eq!(judge(&message(OMEMO), Facts::default(), rules), Verdict::Allow);
        for ns in UNREADABLE {
            let marked = message(&format!("<body>hi</body><x xmlns='{ns}'/>"));
            assert_eq!(judge(&marked, Facts::default(), Rules::default()), refused, "{ns}");
        }
    }

    #[test]
    fn a_block_stands_before_everything_and_tells_the_blocked_one_nothing() {
        let rules = Rules { encrypted: Encrypted::Allow };
        let blocked = Facts { recipient_blocks: true, ..Facts::default() };
        assert_eq!(judge(&message(OMEMO), blocked, rules), Verdict::Block(Reason::RecipientBlocks));
        let error = Reason::RecipientBlocks.error();
        assert_eq!((error.condition, error.text), (StanzaCondition::ServiceUnavailable, None));

        let own = Facts { sender_blocks: true, recipient_blocks: true };
        assert_eq!(judge(&message("<body>hi</body>"), own, rules), Verdict::Block(Reason::SenderBlocks));
        let error = Reason::SenderBlocks.error();
        assert!(error.application.is_some_and(|element| element.is("blocked", "urn:xmpp:blocking:errors")));
    }
}
