//! A signed-in client's connection: reads what it sends, writes what waits for it, until one of them ends.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use minidom::Element;
use stanza::{Framer, Framing, Item, Kind, Stanza, StanzaCondition, StreamCondition, StreamError};
use tokio::time::Instant;

use crate::iq::Desk;
use crate::outbox::{Closed, Lease, Parcel};
use crate::post::Post;
use crate::presence::Presence;
use crate::router::Router;
use crate::session::{Mark, Session};
use crate::sessions::Sessions;
use crate::stream::channel::{End, finish};
use crate::stream::features;
use crate::wire::Wire;
use crate::xml::{self, With, el};

/// What a connection needs of the house.
#[derive(Clone)]
pub struct Clerk {
    /// Messages.
    pub post: Post,
    /// Presence.
    pub presence: Presence,
    /// IQs.
    pub desk: Desk,
    /// Errors.
    pub router: Router,
    /// The end.
    pub sessions: Sessions,
    /// Stanzas a second; zero is no limit.
    pub stanzas_per_second: u32,
}

/// One connection of one session.
pub struct Connection {
    pub(crate) wire: Wire,
    pub(crate) framer: Framer,
    pub(crate) session: Arc<Session>,
    pub(crate) lease: Lease,
    /// The stream's language, the default for its stanzas (RFC 6120 §4.7.4).
    pub(crate) lang: Option<Box<str>>,
}

/// What a connection waits for.
enum Turn {
    Input,
    Lost,
    Closed(Option<Closed>),
}

/// A connection that was quiet for so long gives its buffers back.
const QUIET: Duration = Duration::from_millis(200);

/// Parcels that are taken from the outbox at a time.
const BATCH: usize = 64;

/// Serves a connection to its end.
pub async fn serve(mut connection: Box<Connection>, clerk: &Clerk) {
    let end = connection.run(clerk).await;
    Box::pin(connection.conclude(end, clerk)).await;
}

enum Finish {
    Client,
    Lost,
    Closed(Option<Closed>),
    Error(StreamError),
}

impl From<End> for Finish {
    fn from(end: End) -> Self {
        match end {
            End::Closed => Self::Client,
            End::Lost => Self::Lost,
            End::Error(error) => Self::Error(error),
        }
    }
}

impl Connection {
    async fn run(&mut self, clerk: &Clerk) -> Finish {
        let mut rate = Rate::new(clerk.stanzas_per_second);
        // Bytes that came with the last step of the negotiation.
        if let Err(end) = Box::pin(self.items(clerk, &mut rate)).await {
            return end;
        }
        // What handles a stanza is boxed while it runs: an idle connection does not pay for it.
        let mut quiet = pin!(tokio::time::sleep(QUIET));
        let mut busy = true;
        loop {
            let turn = poll_fn(|cx| {
                if busy && quiet.as_mut().poll(cx).is_ready() {
                    self.framer.release();
                    self.wire.release();
                    self.session.outbox.release();
                    busy = false;
                }
                self.poll_turn(cx)
            })
            .await;
            if !busy {
                busy = true;
                quiet.as_mut().reset(Instant::now() + QUIET);
            }
            match turn {
                Turn::Input => {
                    if let Err(end) = Box::pin(self.items(clerk, &mut rate)).await {
                        return end;
                    }
                }
                Turn::Lost => return Finish::Lost,
                Turn::Closed(closed) => return Finish::Closed(closed),
            }
        }
    }

    /// Writes as long as there is something to write and room for it, then reads.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            let mut more = false;
            let waiting = self.wire.unsent().len();
            let room = BATCH.saturating_sub(waiting);
            match self.session.outbox.poll_take(self.lease, room, self.wire.unsent(), cx.waker()) {
                Poll::Ready(Ok(())) => {
                    crate::metrics::sent(self.wire.unsent().len() - waiting);
                    more = true;
                }
                Poll::Ready(Err(closed)) => return Poll::Ready(Turn::Closed(closed)),
                Poll::Pending => {}
            }
            match self.wire.poll_flush(cx) {
                // There is room again for what had to wait, and nothing else would come back for it.
                Poll::Ready(Ok(())) if more || room == 0 => {}
                Poll::Ready(Ok(())) | Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(Turn::Lost),
            }
        }
        match self.wire.poll_read(cx, &mut self.framer) {
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Turn::Lost),
            Poll::Ready(Ok(_)) => Poll::Ready(Turn::Input),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Handles every complete item that has been read.
    async fn items(&mut self, clerk: &Clerk, rate: &mut Rate) -> Result<(), Finish> {
        while let Some(item) = self.framer.next().map_err(End::from)? {
            match item {
                Item::Stanza(stanza) => {
                    crate::metrics::received(stanza.kind);
                    rate.pace().await;
                    self.stanza(stanza, clerk).await?;
                }
                Item::Nonza(element) => self.nonza(&element, clerk)?,
                Item::Close => return Err(Finish::Client),
                Item::Open(_) => return Err(End::from(StreamCondition::BadFormat).into()),
            }
        }
        Ok(())
    }

    async fn stanza(&mut self, stanza: Stanza, clerk: &Clerk) -> Result<(), Finish> {
        if !self.session.is(Mark::Managed) {
            return self.deal_with(stanza, clerk).await;
        }
        if !self.session.begin(self.lease) {
            return Err(Finish::Closed(None));
        }
        let dealt = self.deal_with(stanza, clerk).await;
        self.session.pending.finish();
        dealt
    }

    async fn deal_with(&mut self, mut stanza: Stanza, clerk: &Clerk) -> Result<(), Finish> {
        let session = &self.session;
        // RFC 6120 §8.1.2.1: whoever a client says that it is, it is who signed in. Clients name their address in a room.
        stanza.from = None;
        if stanza.malformed.is_some() {
            stanza.from = Some(session.jid.clone().into());
            clerk.router.bounce(&stanza, StanzaCondition::JidMalformed.into());
            return Ok(());
        }
        if stanza.lang.is_none() && stanza.kind != Kind::Iq {
            stanza.lang.clone_from(&self.lang);
        }
        match stanza.kind {
            Kind::Message => clerk.post.send(session, stanza).await,
            Kind::Presence => Box::pin(clerk.presence.receive(session, stanza)).await,
            Kind::Iq => Box::pin(clerk.desk.receive(session, stanza)).await,
        }
        Ok(())
    }

    /// Stream management (XEP-0198) and client state (XEP-0352).
    fn nonza(&mut self, element: &Element, clerk: &Clerk) -> Result<(), Finish> {
        let session = &self.session;
        match (element.name(), element.ns().as_str()) {
            ("r", features::SM) => session.acknowledge_received(),
            ("a", features::SM) => {
                let handled = element
                    .attr("h")
                    .and_then(|h| h.parse().ok())
                    .ok_or(End::from(StreamCondition::BadFormat))?;
                if let Err(too_high) = session.outbox.acknowledge(handled) {
                    let words = format!(
                        "{} stanzas handled, but only {} were sent.",
                        too_high.handled, too_high.sent
                    );
                    return Err(Finish::Error(StreamError::new(StreamCondition::UndefinedCondition, words)));
                }
            }
            ("enable", features::SM) => {
                let answer = if session.is(Mark::Managed) {
                    failed(StanzaCondition::UnexpectedRequest)
                } else {
                    enabled(&clerk.sessions, session, element)
                };
                session.outbox.push(Parcel::nonza(xml::nonza(&answer)));
            }
            ("resume", features::SM) => {
                session.outbox.push(Parcel::nonza(xml::nonza(&failed(StanzaCondition::UnexpectedRequest))));
            }
            ("active", features::CSI) => session.outbox.set_inactive(false),
            ("inactive", features::CSI) => session.outbox.set_inactive(true),
            _ => return Err(End::from(StreamCondition::UnsupportedStanzaType).into()),
        }
        Ok(())
    }

    async fn conclude(mut self: Box<Self>, finish_as: Finish, clerk: &Clerk) {
        let framing = if self.wire.is_websocket() { Framing::WebSocket } else { Framing::Tcp };
        match finish_as {
            Finish::Lost => clerk.sessions.lose(&self.session, self.lease).await,
            Finish::Client | Finish::Closed(Some(Closed::Finished)) => {
                clerk.sessions.end(&self.session, Closed::Finished).await;
                finish(&mut self.wire, framing, None, Vec::new()).await;
            }
            // Another connection has taken the session over.
            Finish::Closed(None) => {
                finish(&mut self.wire, framing, Some(StreamCondition::Conflict.into()), Vec::new()).await;
            }
            Finish::Closed(Some(Closed::Error(condition))) => {
                if condition == StreamCondition::ResourceConstraint {
                    metrics::counter!(crate::metrics::OUTBOX_OVERFLOWS).increment(1);
                }
                clerk.sessions.end(&self.session, Closed::Error(condition)).await;
                finish(&mut self.wire, framing, Some(condition.into()), Vec::new()).await;
            }
            Finish::Error(error) => {
                clerk.sessions.end(&self.session, Closed::Error(error.condition)).await;
                finish(&mut self.wire, framing, Some(error), Vec::new()).await;
            }
        }
    }
}

/// Answers `<enable/>` (XEP-0198 §3).
pub fn enabled(sessions: &Sessions, session: &Arc<Session>, request: &Element) -> Element {
    let resume = matches!(request.attr("resume"), Some("true" | "1"));
    let id = sessions.manage(session, resume);
    el("enabled", features::SM)
        .with("resume", id.is_some().then_some("true"))
        .with("max", id.is_some().then(|| sessions.wait().as_secs().to_string()))
        .with("id", id.as_deref())
        .build()
}

/// `<failed/>` (XEP-0198 §3, §5).
pub fn failed(condition: StanzaCondition) -> Element {
    el("failed", features::SM).append(el(condition.name(), stanza::ns::STANZA_ERRORS).build()).build()
}

/// Holds a connection to a number of stanzas a second by not reading on.
struct Rate {
    each: Option<Duration>,
    next: Instant,
}

impl Rate {
    fn new(per_second: u32) -> Self {
        Self { each: Duration::from_secs(1).checked_div(per_second), next: Instant::now() }
    }

    /// Waits when more than a second's worth came at once.
    async fn pace(&mut self) {
        let Some(each) = self.each else { return };
        let now = Instant::now();
        self.next = self.next.max(now) + each;
        let ahead = self.next - now;
        if ahead > Duration::from_secs(1) {
            tokio::time::sleep(ahead - Duration::from_secs(1)).await;
        }
    }
}
