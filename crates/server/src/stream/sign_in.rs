//! Sign-in: the SASL profile of RFC 6120 §6 and that of XEP-0388, over one exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use stanza::{Item, StreamCondition};
use xmpp_parsers::ns;

use super::channel::End;
use super::features::{FAST, SASL2, SM};
use super::{Bound, Guest, MAX_FAILURES, Negotiation, features};
use crate::sasl::{Mechanism, SaslFailure, decode};
use crate::users::{Answer, Attempt, Fast, Request, SignedIn};
use crate::xml::{With, el, text};

/// How a profile wraps what a mechanism says.
#[derive(Clone, Copy)]
struct Profile {
    ns: &'static str,
}

const RFC: Profile = Profile { ns: ns::SASL };
const EXTENSIBLE: Profile = Profile { ns: SASL2 };

impl Profile {
    fn challenge(self, data: &[u8]) -> Element {
        text("challenge", self.ns, STANDARD.encode(data))
    }

    fn failure(self, failure: SaslFailure) -> Element {
        // The conditions are RFC 6120's in both profiles (XEP-0388 §2.6.2).
        el("failure", self.ns).append(el(failure.name(), ns::SASL).build()).build()
    }
}

impl Negotiation<'_> {
    /// `<auth/>` (RFC 6120 §6.4.2). After success the stream starts anew (§6.4.6).
    pub(super) async fn auth(&mut self, element: &Element) -> Result<(), End> {
        let mechanism = element.attr("mechanism").unwrap_or_default();
        let request = Request::new(mechanism, self.domain.clone(), self.channel.peer.ip());
        let Some(signed_in) = self.exchange(RFC, request, &element.text()).await? else { return Ok(()) };
        let success = match signed_in.data.is_empty() {
            true => el("success", ns::SASL).build(),
            false => text("success", ns::SASL, STANDARD.encode(&signed_in.data)),
        };
        self.admit(&signed_in).await?;
        // What came before <success/> could not know of it.
        if self.channel.framer.unread() > 0 && !self.channel.wire.is_websocket() {
            return Err(StreamCondition::PolicyViolation.into());
        }
        self.channel.framer.restart();
        self.channel.send(&success).await
    }

    /// `<authenticate/>` (XEP-0388 §2.3), with what it carries: resumption (XEP-0198), binding (XEP-0386) and tokens
    /// (XEP-0484). The stream goes on without a restart.
    pub(super) async fn authenticate(&mut self, element: &Element) -> Result<Option<Bound>, End> {
        let mut request = Request::new(
            element.attr("mechanism").unwrap_or_default(),
            self.domain.clone(),
            self.channel.peer.ip(),
        );
        request.client =
            element.get_child("user-agent", SASL2).and_then(|agent| agent.attr("id")).map(str::to_owned);
        request.fast = element.get_child("fast", FAST).map(|fast| Fast {
            count: fast.attr("count").and_then(|count| count.parse().ok()),
            invalidate: matches!(fast.attr("invalidate"), Some("true" | "1")),
        });
        request.token = element
            .get_child("request-token", FAST)
            .and_then(|token| token.attr("mechanism"))
            .map(str::to_owned);
        let initial = element.get_child("initial-response", SASL2).map(Element::text).unwrap_or_default();
        let Some(signed_in) = self.exchange(EXTENSIBLE, request, &initial).await? else { return Ok(None) };
        self.admit(&signed_in).await?;

        let mut success = el("success", SASL2);
        if !signed_in.data.is_empty() {
            success = success.append(text("additional-data", SASL2, STANDARD.encode(&signed_in.data)));
        }
        let mut bound = None;
        let mut extra = Vec::new();
        if let Some(resume) = element.get_child("resume", SM) {
            match self.try_resume(resume).await {
                Ok((session, lease)) => {
                    extra.push(super::resume::resumed(resume, &session));
                    bound = Some((session, lease));
                }
                Err(failed) => extra.push(failed),
            }
        }
        if bound.is_none()
            && let Some(bind) = element.get_child("bind", features::BIND2)
        {
            let (answer, session) = self.bind2(bind, element).await?;
            extra.push(answer);
            bound = Some(session);
        }
        let identity = match &bound {
            Some((session, _)) => session.jid.to_string(),
            None => signed_in.user.to_string(),
        };
        success = success.append(text("authorization-identifier", SASL2, identity)).append_all(extra);
        if let Some(token) = &signed_in.token {
            let token = el("token", FAST)
                .with("token", token.secret.reveal())
                .with("expiry", crate::clock::stamp(token.expires.saturating_mul(1_000_000)));
            success = success.append(token.build());
        }
        self.channel.send(&success.build()).await?;
        // XEP-0388 §2.6.1: features follow at once. A bound session has nothing left to negotiate.
        let mut offered = if bound.is_some() { Vec::new() } else { features::after() };
        offered.push(self.gate.capabilities.clone());
        let mut features = Vec::new();
        features::write(&offered, &mut features);
        self.channel.send_bytes(features).await?;
        Ok(bound)
    }

    /// Runs an exchange to its end; `None` when it failed and the client may try again.
    async fn exchange(
        &mut self,
        profile: Profile,
        request: Request,
        initial: &str,
    ) -> Result<Option<SignedIn>, End> {
        let sign_in = self.gate.sign_in.clone();
        if let Some(owner) = self.channel.owner.clone()
            && self.offer.select(&request.mechanism, false) == Ok(Mechanism::External)
        {
            let result = match decode(initial) {
                Ok(authzid) => sign_in.external(&request, &owner, &authzid.unwrap_or_default()).await,
                Err(failure) => Err(failure),
            };
            return match result {
                Ok(signed_in) => {
                    count("success");
                    Ok(Some(signed_in))
                }
                Err(failure) => self.refuse(profile, failure).await,
            };
        }
        let mut attempt: Attempt = match sign_in.begin(request, &self.offer) {
            Ok(attempt) => attempt,
            Err(failure) => return self.refuse(profile, failure).await,
        };
        let mut message = match decode(initial) {
            Ok(message) => message,
            Err(failure) => return self.refuse(profile, failure).await,
        };
        loop {
            match sign_in.step(&mut attempt, message.as_deref()).await {
                Answer::SignedIn(signed_in) => {
                    count("success");
                    return Ok(Some(signed_in));
                }
                Answer::Failure(failure) => return self.refuse(profile, failure).await,
                Answer::Challenge(challenge) => self.channel.send(&profile.challenge(&challenge)).await?,
            }
            message = match self.channel.item().await? {
                Item::Nonza(answer) if answer.is("response", profile.ns) => match decode(&answer.text()) {
                    // An answer without content is an answer all the same.
                    Ok(message) => Some(message.unwrap_or_default()),
                    Err(failure) => return self.refuse(profile, failure).await,
                },
                Item::Nonza(answer) if answer.is("abort", profile.ns) => {
                    return self.refuse(profile, SaslFailure::Aborted).await;
                }
                Item::Close => return Err(End::Closed),
                _ => return Err(StreamCondition::NotAuthorized.into()),
            };
        }
    }

    async fn refuse<T>(&mut self, profile: Profile, failure: SaslFailure) -> Result<Option<T>, End> {
        count("failure");
        self.channel.send(&profile.failure(failure)).await?;
        self.failures += 1;
        if self.failures >= MAX_FAILURES {
            return Err(StreamCondition::PolicyViolation.into());
        }
        Ok(None)
    }

    /// The account is known to exist and its owner is here.
    async fn admit(&mut self, signed_in: &SignedIn) -> Result<(), End> {
        let user = self.gate.people.load(&signed_in.user).await;
        let user = user.ok().flatten().ok_or(End::from(StreamCondition::InternalServerError))?;
        self.guest = Some(Guest { user });
        Ok(())
    }
}

fn count(result: &'static str) {
    metrics::counter!(crate::metrics::LOGINS, "result" => result).increment(1);
}
