//! From a fresh socket to a signed-in, bound session (RFC 6120 §4 to §7).
//!
//! [`negotiate`] runs once for each connection, in a future that is boxed and gone when the session begins.

mod bind;
pub mod channel;
pub mod features;
mod resume;
mod sign_in;

use std::sync::Arc;
use std::time::Duration;

use jid::DomainPart;
use minidom::Element;
use stanza::{Item, StreamCondition, StreamError, StreamHeader};
use xmpp_parsers::ns;

use crate::connection::{Clerk, Connection};
use crate::people::{People, User};
use crate::post::Trail;
use crate::sasl::{Channel as Security, Offer};
use crate::sessions::new_id;
use crate::tls::Tls;
use crate::users::SignIn;
use crate::xml::el;
use channel::{Channel, End};

/// What a negotiation needs of the house.
#[derive(Clone)]
pub struct Gate {
    /// The domains served here; the first is the default.
    pub domains: Arc<[DomainPart]>,
    /// The certificate.
    pub tls: Tls,
    /// Who may come in.
    pub sign_in: SignIn,
    /// Who is known.
    pub people: People,
    /// What serves the session then.
    pub clerk: Clerk,
    /// Makes accounts for strangers, where that is allowed, and for who is invited (XEP-0077, XEP-0445).
    pub registration: crate::iq::register::Registration,
    /// The limits once signed in.
    pub limits: stanza::Limits,
    /// How long a connection may take until a session is bound.
    pub preauth: Duration,
    /// The archive.
    pub trail: Trail,
    /// What the server can do, as a hash (XEP-0115 §6.3).
    pub capabilities: Element,
}

/// Someone who has proved who they are.
struct Guest {
    user: Arc<User>,
}

/// The state of one negotiation.
struct Negotiation<'a> {
    channel: &'a mut Channel,
    gate: &'a Gate,
    domain: DomainPart,
    lang: Option<Box<str>>,
    offer: Arc<Offer>,
    guest: Option<Guest>,
    /// The invitation that the client has brought.
    token: Option<String>,
    /// Failed sign-ins on this stream (RFC 6120 §6.4.5 asks for a bound between 2 and 5).
    failures: u8,
}

/// Clients whose slixmpp knows no channel binding of TLS 1.3 fail with all four kinds of SCRAM before they try PLAIN.
const MAX_FAILURES: u8 = 5;

/// Negotiates until a session is bound or resumed; on any error the stream has been ended.
pub async fn negotiate(mut channel: Box<Channel>, gate: &Gate) -> Option<Box<Connection>> {
    let domain = gate.domains.first()?.clone();
    let offer = Offer::new(channel.security, channel.bindings.clone());
    let offer = Arc::new(if channel.owner.is_some() { offer.vouched() } else { offer });
    let mut negotiation = Negotiation {
        channel: &mut channel,
        gate,
        domain,
        lang: None,
        offer,
        guest: None,
        token: None,
        failures: 0,
    };
    let run = tokio::time::timeout(gate.preauth, negotiation.run());
    let words = "Sign-in took too long.";
    let late = |_| Err(StreamError::new(StreamCondition::ConnectionTimeout, words).into());
    match run.await.unwrap_or_else(late) {
        Ok((session, lease)) => {
            let lang = negotiation.lang.take();
            let Channel { wire, mut framer, .. } = *channel;
            framer.set_limits(gate.limits);
            Some(Box::new(Connection { wire, framer, session, lease, lang }))
        }
        Err(end) => {
            channel.end(end).await;
            None
        }
    }
}

type Bound = (Arc<crate::session::Session>, crate::outbox::Lease);

impl Negotiation<'_> {
    async fn run(&mut self) -> Result<Bound, End> {
        loop {
            let bound = match self.channel.item().await? {
                // Each step in a box of its own, so that who says nothing does not pay for all that might be said.
                Item::Open(header) => {
                    Box::pin(self.open(header)).await?;
                    None
                }
                Item::Close => return Err(End::Closed),
                Item::Nonza(element) => Box::pin(self.nonza(&element)).await?,
                Item::Stanza(stanza) => Box::pin(self.stanza(stanza)).await?,
            };
            if let Some(bound) = bound {
                return Ok(bound);
            }
        }
    }

    /// RFC 6120 §4.7 and §4.9.3: checks the client's header and answers with ours.
    async fn open(&mut self, header: StreamHeader) -> Result<(), End> {
        let asked =
            header.to.as_deref().and_then(|to| DomainPart::new(to).ok().map(|part| part.into_owned()));
        let known = match (&header.to, asked) {
            (None, _) => None,
            (Some(_), Some(domain)) if self.gate.domains.contains(&domain) => Some(domain),
            (Some(_), _) => {
                self.channel.open(None, &new_id(), None).await?;
                return Err(StreamCondition::HostUnknown.into());
            }
        };
        if let Some(domain) = known {
            if self.guest.is_some() && domain != self.domain {
                return Err(StreamCondition::InvalidFrom.into());
            }
            self.domain = domain;
        }
        self.lang = header.lang.map(Box::from);
        let supported = header.version.as_deref().is_some_and(|version| {
            version
                .split_once('.')
                .is_some_and(|(major, _)| major.parse::<u32>().is_ok_and(|major| major >= 1))
        });
        let mut features = if self.guest.is_some() { features::after() } else { self.features() };
        features.push(self.gate.capabilities.clone());
        let domain = self.domain.clone();
        if !supported {
            self.channel.open(Some(domain.as_str()), &new_id(), None).await?;
            return Err(StreamError::new(
                StreamCondition::UnsupportedVersion,
                "This server speaks XMPP 1.0.",
            )
            .into());
        }
        self.channel.open(Some(domain.as_str()), &new_id(), Some(&features)).await
    }

    fn features(&self) -> Vec<Element> {
        let can_sign_in = !self.offer.mechanisms().is_empty();
        features::before(&features::Before {
            starttls: self.can_start_tls(),
            offer: can_sign_in.then_some(&*self.offer),
            registration: can_sign_in && self.gate.registration.open,
            invitation: can_sign_in,
        })
    }

    fn can_start_tls(&self) -> bool {
        self.channel.security != Security::Encrypted && !self.channel.wire.is_websocket()
    }

    async fn nonza(&mut self, element: &Element) -> Result<Option<Bound>, End> {
        let signed_in = self.guest.is_some();
        match (element.name(), element.ns().as_str()) {
            ("starttls", ns::TLS) if !signed_in && self.can_start_tls() => {
                let identity = self.gate.tls.current();
                self.channel.start_tls(&identity).await?;
                self.offer = Arc::new(Offer::new(self.channel.security, self.channel.bindings.clone()));
                Ok(None)
            }
            ("starttls", ns::TLS) => {
                self.channel.send(&el("failure", ns::TLS).build()).await?;
                Err(End::Closed)
            }
            ("auth", ns::SASL) if !signed_in => {
                self.auth(element).await?;
                Ok(None)
            }
            ("authenticate", features::SASL2) if !signed_in => self.authenticate(element).await,
            ("resume", features::SM) => self.resume(element).await,
            ("enable", features::SM) => {
                let failed = crate::connection::failed(stanza::StanzaCondition::UnexpectedRequest);
                self.channel.send(&failed).await?;
                Ok(None)
            }
            ("r" | "a", features::SM) | ("active" | "inactive", features::CSI) if signed_in => Ok(None),
            _ if !signed_in => Err(StreamCondition::NotAuthorized.into()),
            _ => Err(StreamCondition::UnsupportedStanzaType.into()),
        }
    }
}
