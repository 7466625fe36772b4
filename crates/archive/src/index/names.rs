//! The ids by which messages are found again: their own, and those of the messages that they change.

use jid::BareJid;
use minidom::Element;
use vault::Blinder;

use super::terms::tag_token;
use crate::{Draft, Item};

/// What one message is called and what it refers to.
#[derive(Default)]
pub(crate) struct Names {
    /// The bare sender and the id that they gave it.
    own: Option<(BareJid, Box<str>)>,
    /// The id that it says something about.
    about: Option<Box<str>>,
}

/// Elements that change the message that their `id` names: correction (XEP-0308), reactions (XEP-0444), retraction
/// (XEP-0424).
pub const CHANGES: [(&str, &str); 3] = [
    ("replace", "urn:xmpp:message-correct:0"),
    ("reactions", "urn:xmpp:reactions:0"),
    ("retract", "urn:xmpp:message-retract:1"),
];

impl Names {
    pub(crate) fn of_draft(draft: &mut Draft) -> Self {
        let own = draft.id.take().map(|id| (draft.from.to_bare(), id));
        Self { own, about: draft.about.take() }
    }

    pub(crate) fn of(item: &Item) -> Self {
        let stanza = std::str::from_utf8(&item.stanza).ok().and_then(|xml| xml.parse::<Element>().ok());
        let Some(stanza) = stanza else { return Self::default() };
        let about = CHANGES.iter().find_map(|(name, ns)| stanza.get_child(*name, *ns)?.attr("id"));
        let own = stanza.attr("id").map(|id| (item.from.to_bare(), id.into()));
        Self { own, about: about.map(Into::into) }
    }

    pub(crate) fn is(&self, sender: &BareJid, id: &str) -> bool {
        self.own.as_ref().is_some_and(|(by, own)| by == sender && **own == *id)
    }

    pub(crate) fn is_about(&self, id: &str) -> bool {
        self.about.as_deref() == Some(id)
    }

    /// Appends the tokens.
    pub(crate) fn tokens(&self, blinder: &Blinder, out: &mut Vec<u64>) {
        out.extend(self.own.as_ref().map(|(sender, id)| own_token(blinder, sender, id)));
        out.extend(self.about.as_ref().map(|id| about_token(blinder, id)));
    }
}

/// The token of a message of this sender and id.
pub(crate) fn own_token(blinder: &Blinder, sender: &BareJid, id: &str) -> u64 {
    tag_token(&blinder.blind("name", &[sender.as_str().as_bytes(), id.as_bytes()]))
}

/// The token of what changes the message of this id.
pub(crate) fn about_token(blinder: &Blinder, id: &str) -> u64 {
    tag_token(&blinder.blind("about", &[id.as_bytes()]))
}
