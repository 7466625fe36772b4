//! The subscription state machine (RFC 6121 §3 and appendix A), as a pure function.

use serde::{Deserialize, Serialize};

/// How one account and one contact stand to each other, seen from the account.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct State {
    /// The account gets the contact's presence.
    pub to: bool,
    /// The contact gets the account's presence.
    pub from: bool,
    /// The account has asked and waits (`ask='subscribe'`).
    pub asked: bool,
    /// The contact has asked and waits.
    pub pending: bool,
    /// The account approves a request that has not come yet (RFC 6121 §3.4).
    pub approved: bool,
}

impl State {
    /// The roster item's `subscription` attribute.
    pub fn name(self) -> &'static str {
        match (self.to, self.from) {
            (false, false) => "none",
            (true, false) => "to",
            (false, true) => "from",
            (true, true) => "both",
        }
    }
}

/// The four presence types that change subscriptions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A request.
    Subscribe,
    /// A grant.
    Subscribed,
    /// The end of one's own subscription.
    Unsubscribe,
    /// A refusal or the end of the other's subscription.
    Unsubscribed,
}

impl Kind {
    /// The presence `type`, if it is one of the four.
    pub fn of(type_: &str) -> Option<Self> {
        match type_ {
            "subscribe" => Some(Self::Subscribe),
            "subscribed" => Some(Self::Subscribed),
            "unsubscribe" => Some(Self::Unsubscribe),
            "unsubscribed" => Some(Self::Unsubscribed),
            _ => None,
        }
    }

    /// The presence `type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Subscribed => "subscribed",
            Self::Unsubscribe => "unsubscribe",
            Self::Unsubscribed => "unsubscribed",
        }
    }
}

/// What an outgoing subscription stanza leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sent {
    /// The new state.
    pub state: State,
    /// Whether the contact gets the stanza.
    pub route: bool,
    /// The contact starts to see the account: send current presence.
    pub show: bool,
    /// The contact ceases to see the account: send unavailable presence.
    pub hide: bool,
}

/// The account sends `kind` to the contact (RFC 6121 appendix A.2).
pub fn send(state: State, kind: Kind) -> Sent {
    let mut new = state;
    let (mut route, mut show, mut hide) = (true, false, false);
    match kind {
        Kind::Subscribe => new.asked |= !state.to,
        Kind::Unsubscribe => (new.to, new.asked) = (false, false),
        Kind::Subscribed => {
            route = state.pending;
            show = state.pending && !state.from;
            if state.pending {
                (new.from, new.pending) = (true, false);
            } else if !state.from {
                new.approved = true;
            }
        }
        Kind::Unsubscribed => {
            route = state.pending || state.from;
            hide = state.from;
            (new.from, new.pending, new.approved) = (false, false, false);
        }
    }
    Sent { state: new, route, show, hide }
}

/// What an incoming subscription stanza leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// The new state.
    pub state: State,
    /// Whether the account's resources get the stanza.
    pub deliver: bool,
    /// What the server answers in the account's name.
    pub reply: Option<Kind>,
    /// The contact starts to see the account.
    pub show: bool,
    /// The contact ceases to see the account.
    pub hide: bool,
}

/// The contact's `kind` reaches the account (RFC 6121 appendix A.3).
pub fn receive(state: State, kind: Kind) -> Received {
    let mut new = state;
    let mut done = Received { state, deliver: false, reply: None, show: false, hide: false };
    match kind {
        Kind::Subscribe if state.from => done.reply = Some(Kind::Subscribed),
        Kind::Subscribe if state.approved => {
            new.from = true;
            new.approved = false;
            done.reply = Some(Kind::Subscribed);
            done.show = true;
        }
        Kind::Subscribe => {
            done.deliver = !state.pending;
            new.pending = true;
        }
        Kind::Subscribed => {
            done.deliver = state.asked;
            if state.asked {
                (new.to, new.asked) = (true, false);
            }
        }
        Kind::Unsubscribe => {
            done.deliver = state.pending || state.from;
            done.hide = state.from;
            done.reply = state.from.then_some(Kind::Unsubscribed);
            (new.from, new.pending) = (false, false);
        }
        Kind::Unsubscribed => {
            done.deliver = state.to || state.asked;
            (new.to, new.asked) = (false, false);
        }
    }
    done.state = new;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(word: &str) -> State {
        State {
            to: word.contains('t') || word.contains('b'),
            from: word.contains('f') || word.contains('b'),
            asked: word.contains('a'),
            pending: word.contains('p'),
            approved: word.contains('y'),
        }
    }

    /// Rows of RFC 6121 appendix A.2: state, stanza, routed, new state.
    #[test]
    fn outgoing_stanzas_follow_the_table() {
        use Kind::*;
        for (before, kind, route, after) in [
            ("", Subscribe, true, "a"),
            ("a", Subscribe, true, "a"),
            ("p", Subscribe, true, "ap"),
            ("t", Subscribe, true, "t"),
            ("f", Subscribe, true, "fa"),
            ("b", Subscribe, true, "b"),
            ("a", Unsubscribe, true, ""),
            ("tp", Unsubscribe, true, "p"),
            ("b", Unsubscribe, true, "f"),
            ("fa", Unsubscribe, true, "f"),
            ("", Subscribed, false, "y"),
            ("p", Subscribed, true, "f"),
            ("ap", Subscribed, true, "fa"),
            ("tp", Subscribed, true, "b"),
            ("t", Subscribed, false, "ty"),
            ("f", Subscribed, false, "f"),
            ("b", Subscribed, false, "b"),
            ("", Unsubscribed, false, ""),
            ("y", Unsubscribed, false, ""),
            ("p", Unsubscribed, true, ""),
            ("f", Unsubscribed, true, ""),
            ("b", Unsubscribed, true, "t"),
            ("fa", Unsubscribed, true, "a"),
        ] {
            let sent = send(state(before), kind);
            assert_eq!((sent.route, sent.state), (route, state(after)), "{before:?} {kind:?}");
        }
    }

    /// Rows of RFC 6121 appendix A.3: state, stanza, delivered, reply, new state.
    #[test]
    fn incoming_stanzas_follow_the_table() {
        use Kind::*;
        for (before, kind, deliver, reply, after) in [
            ("", Subscribe, true, None, "p"),
            ("p", Subscribe, false, None, "p"),
            ("a", Subscribe, true, None, "ap"),
            ("t", Subscribe, true, None, "tp"),
            ("f", Subscribe, false, Some(Subscribed), "f"),
            ("y", Subscribe, false, Some(Subscribed), "f"),
            ("ty", Subscribe, false, Some(Subscribed), "b"),
            ("", Unsubscribe, false, None, ""),
            ("p", Unsubscribe, true, None, ""),
            ("f", Unsubscribe, true, Some(Unsubscribed), ""),
            ("b", Unsubscribe, true, Some(Unsubscribed), "t"),
            ("", Subscribed, false, None, ""),
            ("a", Subscribed, true, None, "t"),
            ("fa", Subscribed, true, None, "b"),
            ("ap", Subscribed, true, None, "tp"),
            ("t", Subscribed, false, None, "t"),
            ("", Unsubscribed, false, None, ""),
            ("a", Unsubscribed, true, None, ""),
            ("t", Unsubscribed, true, None, ""),
            ("b", Unsubscribed, true, None, "f"),
        ] {
            let got = receive(state(before), kind);
            assert_eq!(
                (got.deliver, got.reply, got.state),
                (deliver, reply, state(after)),
                "{before:?} {kind:?}"
            );
        }
    }
}
