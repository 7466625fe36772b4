//! The desk: IQs that the server answers itself, for its domains and for accounts (RFC 6120 §8.2.3, RFC 6121 §8.5).
//!
//! One file an extension; each [`Handler`] holds just the handles that it uses and says what it serves where. The desk
//! is put together once, in [`crate::Server::start`]. Service discovery reads its features off the handlers.

pub mod adhoc;
pub mod admin;
pub mod blocking;
pub mod carbons;
pub mod disco;
pub mod establish;
pub mod external;
pub mod invite;
pub mod last;
pub mod ping;
pub mod private;

pub mod register;
pub mod roster;
pub mod time;
pub mod vcard;
pub mod vcard_forms;
pub mod version;
pub mod wake;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use minidom::Element;
use parking_lot::Mutex;
use stanza::{Jid, Stanza, StanzaCondition, StanzaError};

use crate::caps::Caps;
use crate::outbox::Parcel;
use crate::people::User;
use crate::post::{Post, disk_error};
use crate::pubsub::PubSub;
use crate::router::{Router, Target, outgoing};
use crate::session::Session;

/// Whose IQ it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Place {
    /// A domain of this server.
    Host,
    /// The account of the client that asks.
    Own,
    /// Another account.
    Other,
}

/// An IQ of type `get` or `set`.
pub struct Request<'a> {
    /// Whether it is a `set`.
    pub set: bool,
    /// The IQ itself.
    pub stanza: &'a Stanza,
    /// The one child.
    pub payload: Element,
    /// Who asks.
    pub session: &'a Arc<Session>,
    /// What is asked.
    pub place: Place,
    /// The account that is asked; that of the client for [`Place::Own`] and [`Place::Host`].
    pub user: &'a Arc<User>,
    /// The address as written, or the account's own.
    pub to: &'a Jid,
    /// What happens once the answer is on its way.
    pub after: &'a After,
}

/// What a handler wants to happen once its answer is in the outbox, in this order: a push that the answer announces,
/// or the end of the stream.
#[derive(Default)]
pub struct After {
    work: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
    later: AtomicBool,
}

impl After {
    /// Somebody else has taken it upon them to answer, or to refuse; what the handler returns is not sent.
    pub fn answer_later(&self) {
        self.later.store(true, Ordering::Relaxed);
    }

    /// Adds something. It must not wait.
    pub fn then(&self, work: impl FnOnce() + Send + 'static) {
        self.work.lock().push(Box::new(work));
    }

    fn run(self) {
        self.work.into_inner().into_iter().for_each(|work| work());
    }
}

/// An IQ of type `get` or `set` from outside this server's accounts.
pub struct Foreign<'a> {
    /// Whether it is a `set`.
    pub set: bool,
    /// The IQ itself.
    pub stanza: &'a Stanza,
    /// The one child.
    pub payload: Element,
    /// Who may answer instead.
    pub after: &'a After,
    /// Who asks.
    pub from: &'a Jid,
    /// The account that is asked; `None` for a domain of ours.
    pub user: Option<&'a Arc<User>>,
}

impl Foreign<'_> {
    /// Whether the account that is asked lets who asks see its presence (RFC 6121 §8.5).
    pub fn may_see(&self) -> bool {
        self.user.is_none_or(|user| user.roster(|roster| roster.state(&self.from.to_bare()).from))
    }
}

/// What is sent back: the payload of the result, if it has any.
pub type Answer = Result<Option<Element>, StanzaError>;

/// Serves some payloads.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Element name, namespace, and where it is served.
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])];

    /// Features for service discovery (XEP-0030); by default the namespaces served.
    fn features(&self, place: Place) -> Vec<&'static str> {
        self.serves().iter().filter(|(_, _, places)| places.contains(&place)).map(|(_, ns, _)| *ns).collect()
    }

    /// Answers.
    async fn handle(&self, request: Request<'_>) -> Answer;

    /// Answers somebody outside; by default there is nothing for them.
    async fn handle_foreign(&self, _: Foreign<'_>) -> Answer {
        Err(StanzaCondition::ServiceUnavailable.into())
    }
}

/// Handlers by element name and namespace, each with the places where it serves that.
type Served = HashMap<(&'static str, &'static str), Vec<(&'static [Place], Arc<dyn Handler>)>>;

/// See the module.
#[derive(Clone)]
pub struct Desk {
    handlers: Arc<Served>,
    router: Router,
    post: Post,
    caps: Caps,
    pubsub: PubSub,
}

impl Desk {
    /// A desk with these handlers.
    pub fn new(
        router: Router,
        post: Post,
        caps: Caps,
        pubsub: PubSub,
        handlers: Vec<Arc<dyn Handler>>,
    ) -> Self {
        let mut served = Served::new();
        for handler in handlers {
            for (name, ns, places) in handler.serves() {
                served.entry((*name, *ns)).or_default().push((*places, handler.clone()));
            }
        }
        Self { handlers: Arc::new(served), router, post, caps, pubsub }
    }

    /// Takes in an IQ from a client: answers it, or sends it on to a resource.
    pub async fn receive(&self, session: &Arc<Session>, mut stanza: Stanza) {
        stanza.from = Some(session.jid.clone().into());
        let request = match stanza.type_.as_deref() {
            Some("get" | "set") => stanza.children().len() == 1 && stanza.id.is_some(),
            Some("result" | "error") => return self.pass_on(session, stanza).await,
            _ => false,
        };
        if !request {
            // RFC 6120 §8.2.3: an id, a type of the four, and exactly one child.
            return self.router.bounce(&stanza, StanzaCondition::BadRequest.into());
        }
        let own: Jid = session.user.jid.clone().into();
        let to = stanza.to.clone().unwrap_or_else(|| own.clone());
        if to.is_full() && to.node().is_some() {
            return self.post.send(session, stanza).await;
        }
        let (place, user) = if to == own {
            (Place::Own, session.user.clone())
        } else {
            match self.router.resolve(&to).await {
                Ok(Target::Host) => (Place::Host, session.user.clone()),
                Ok(Target::User(user)) => (Place::Other, user),
                Ok(Target::Nobody) => {
                    return self.router.bounce(&stanza, StanzaCondition::ServiceUnavailable.into());
                }
                Ok(Target::Outside | Target::Service(_) | Target::Component(_)) => {
                    return self.post.send(session, stanza).await;
                }
                Err(error) => return self.router.bounce(&stanza, disk_error(&error)),
            }
        };
        if let Err(error) = self.serve(session, &stanza, place, &user, &to).await {
            self.router.bounce(&stanza, error);
        }
    }

    async fn serve(
        &self,
        session: &Arc<Session>,
        stanza: &Stanza,
        place: Place,
        user: &Arc<User>,
        to: &Jid,
    ) -> Result<(), StanzaError> {
        let unavailable = || StanzaError::from(StanzaCondition::ServiceUnavailable);
        if place == Place::Other && user.blocks(&session.jid.clone().into()) {
            return Err(unavailable());
        }
        if place == Place::Other && session.user.blocks(to) {
            return Err(policy::Reason::SenderBlocks.error());
        }
        let child = stanza.children().first().ok_or_else(unavailable)?;
        let served = self.handlers.get(&(child.name(), child.ns())).ok_or_else(unavailable)?;
        let handler = served.iter().find(|(places, _)| places.contains(&place)).map(|(_, handler)| handler);
        let handler = handler.ok_or_else(|| match place {
            Place::Other => StanzaError::from(StanzaCondition::Forbidden),
            _ => unavailable(),
        })?;
        let after = After::default();
        let request = Request {
            set: stanza.is_type("set"),
            stanza,
            payload: stanza.payload_element(child),
            session,
            place,
            user,
            to,
            after: &after,
        };
        let payload = handler.handle(request).await?;
        if after.later.load(Ordering::Relaxed) {
            return Ok(());
        }
        let reply = Stanza::result_of(stanza);
        let reply = reply.with_payload(payload.as_ref()).map_err(|_| StanzaCondition::InternalServerError)?;
        session.outbox.push(Parcel::stanza(outgoing(&reply, &session.jid.clone().into())));
        after.run();
        Ok(())
    }

    /// Takes in an IQ from outside: answers it, or sends it on.
    pub async fn admit(&self, stanza: Stanza) {
        let Some(to) = stanza.to.clone() else { return };
        let request = match stanza.type_.as_deref() {
            Some("get" | "set") => stanza.children().len() == 1 && stanza.id.is_some(),
            Some("result" | "error") => {
                if to.is_full() || !self.router.serves(to.domain().as_str()) {
                    return self.post.admit(stanza).await;
                }
                return self.router.answered(&stanza);
            }
            _ => false,
        };
        if !request {
            return self.router.bounce(&stanza, StanzaCondition::BadRequest.into());
        }
        if to.is_full() && to.node().is_some() {
            return self.post.admit(stanza).await;
        }
        let after = After::default();
        let answer = match self.router.resolve(&to).await {
            Ok(Target::Host) => self.answer_foreign(&stanza, None, &after).await,
            Ok(Target::User(user)) => self.answer_foreign(&stanza, Some(&user), &after).await,
            Ok(Target::Nobody) => Err(StanzaCondition::ServiceUnavailable.into()),
            Ok(Target::Outside | Target::Service(_) | Target::Component(_)) => {
                return self.post.admit(stanza).await;
            }
            Err(error) => Err(disk_error(&error)),
        };
        if after.later.load(Ordering::Relaxed) && answer.is_ok() {
            return;
        }
        let answer = answer.and_then(|payload| {
            let reply = Stanza::result_of(&stanza).with_payload(payload.as_ref());
            reply.map_err(|_| StanzaCondition::InternalServerError.into())
        });
        match answer {
            Ok(reply) => self.router.reply(&reply),
            Err(error) => self.router.bounce(&stanza, error),
        }
    }

    async fn answer_foreign(&self, stanza: &Stanza, user: Option<&Arc<User>>, after: &After) -> Answer {
        let unavailable = || StanzaError::from(StanzaCondition::ServiceUnavailable);
        let from = stanza.from.as_ref().ok_or_else(unavailable)?;
        if user.is_some_and(|user| user.blocks(from)) {
            return Err(unavailable());
        }
        let child = stanza.children().first().ok_or_else(unavailable)?;
        let served = self.handlers.get(&(child.name(), child.ns())).ok_or_else(unavailable)?;
        let place = if user.is_some() { Place::Other } else { Place::Host };
        let handler = served.iter().find(|(places, _)| places.contains(&place)).map(|(_, handler)| handler);
        let payload = stanza.payload_element(child);
        let foreign = Foreign { set: stanza.is_type("set"), stanza, payload, after, from, user };
        handler.ok_or_else(unavailable)?.handle_foreign(foreign).await
    }

    /// Results and errors go to the resource that asked; those for the server itself end here.
    async fn pass_on(&self, session: &Arc<Session>, stanza: Stanza) {
        let to = stanza.to.as_ref();
        if to.is_some_and(|to| to.is_full() || !self.router.serves(to.domain().as_str())) {
            return self.post.send(session, stanza).await;
        }
        // What a client says that it wants counts for whatever it sends next.
        for (session, before) in self.caps.answered(session, &stanza).await {
            self.pubsub.greet(&session, before).await;
        }
        self.router.answered(&stanza);
    }
}

/// A `bad-request` with words that say what to do.
pub fn bad_request(text: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest, text)
}
