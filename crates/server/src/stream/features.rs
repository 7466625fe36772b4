//! What a stream offers at each stage (RFC 6120 §4.3.2).

use minidom::Element;
use xmpp_parsers::ns;

use crate::sasl::Offer;
use crate::xml::{With, el, text};

/// XEP-0440.
const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// XEP-0388.
pub const SASL2: &str = "urn:xmpp:sasl:2";
/// XEP-0386.
pub const BIND2: &str = "urn:xmpp:bind:0";
/// XEP-0484.
pub const FAST: &str = "urn:xmpp:fast:0";
/// XEP-0198.
pub const SM: &str = "urn:xmpp:sm:3";
/// XEP-0352.
pub const CSI: &str = "urn:xmpp:csi:0";
/// XEP-0077.
const REGISTER: &str = "http://jabber.org/features/iq-register";

/// What this stream may offer before sign-in.
pub struct Before<'a> {
    /// STARTTLS is possible.
    pub starttls: bool,
    /// Sign-in is possible on this channel.
    pub offer: Option<&'a Offer>,
    /// Accounts may be made in-band.
    pub registration: bool,
    /// Accounts may be made by who brings an invitation (XEP-0445).
    pub invitation: bool,
}

/// Writes `<stream:features/>`. The prefix is spelt out, because some clients look for it.
pub fn write(features: &[Element], out: &mut Vec<u8>) {
    out.extend_from_slice(b"<stream:features xmlns:stream='http://etherx.jabber.org/streams'>");
    for feature in features {
        // Writing to memory does not fail, and an element of ours has nothing that XML cannot say.
        let _ = feature.write_to(&mut *out);
    }
    out.extend_from_slice(b"</stream:features>");
}

/// Before sign-in.
pub fn before(state: &Before<'_>) -> Vec<Element> {
    let mut features = Vec::new();
    if state.starttls {
        let mut starttls = el("starttls", ns::TLS);
        if state.offer.is_none() {
            starttls = starttls.append(el("required", ns::TLS).build());
        }
        features.push(starttls.build());
    }
    if let Some(offer) = state.offer {
        let names = || offer.mechanisms().iter().map(|mechanism| mechanism.name());
        let mechanisms =
            el("mechanisms", ns::SASL).append_all(names().map(|name| text("mechanism", ns::SASL, name)));
        features.push(mechanisms.build());
        let sasl2 = el("authentication", SASL2)
            .append_all(names().map(|name| text("mechanism", SASL2, name)))
            .append(inline(offer));
        features.push(sasl2.build());
        if !offer.bindings().is_empty() {
            let bindings = offer.bindings().types();
            let list =
                el("sasl-channel-binding", CHANNEL_BINDING)
                    .append_all(bindings.map(|kind| {
                        el("channel-binding", CHANNEL_BINDING).with("type", kind.name()).build()
                    }));
            features.push(list.build());
        }
    }
    if state.registration {
        features.push(el("register", REGISTER).build());
    }
    if state.invitation {
        features.push(el("register", "urn:xmpp:invite").build());
    }
    features
}

/// What can be done in the same step as a SASL2 sign-in.
fn inline(offer: &Offer) -> Element {
    let bind = el("bind", BIND2).append(
        el("inline", BIND2)
            .append_all(
                [CSI, "urn:xmpp:carbons:2", SM].map(|var| el("feature", BIND2).with("var", var).build()),
            )
            .build(),
    );
    let mut inline = el("inline", SASL2).append(el("sm", SM).build()).append(bind.build());
    if !offer.fast().is_empty() {
        let names = offer.fast().iter().map(|mechanism| text("mechanism", FAST, mechanism.name()));
        inline = inline.append(el("fast", FAST).append_all(names).build());
    }
    inline.build()
}

/// After sign-in.
pub fn after() -> Vec<Element> {
    const SESSION: &str = "urn:ietf:params:xml:ns:xmpp-session";
    vec![
        el("bind", ns::BIND).append(el("required", ns::BIND).build()).build(),
        // RFC 6121 has no sessions any more; older clients ask whether they may go without.
        el("session", SESSION).append(el("optional", SESSION).build()).build(),
        el("sm", SM).build(),
        el("csi", CSI).build(),
        el("ver", "urn:xmpp:features:rosterver").build(),
        el("sub", "urn:xmpp:features:pre-approval").build(),
    ]
}
