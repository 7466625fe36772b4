//! Message history (XEP-0313 with XEP-0059) and offline messages (XEP-0160), both read from the archive.

use std::sync::Arc;

use archive::{ArchiveError, Item, Micros, Query, Sequence};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use minidom::Element;
use stanza::{
    BareJid, ErrorType, Head, Jid, Kind, Outgoing, Stanza, StanzaCondition, StanzaError, escape_attribute,
};
use xmpp_parsers::ns;

use crate::clock;
use crate::fates::Fates;
use crate::fulltext;
use crate::iq::{Answer, Handler, Place, Request, bad_request};
use crate::outbox::{Bounds, Class, Parcel};
use crate::post::{Trail, disk_error};
use crate::present::{self, PRESENT};
use crate::session::Session;
use crate::xml::{With, el, text};

/// The namespace.
const MAM: &str = "urn:xmpp:mam:2";
/// The features of version 1.0 of XEP-0313 that go beyond `urn:xmpp:mam:2`.
const EXTENDED: &str = "urn:xmpp:mam:2#extended";

/// Results in a page, when the client does not say, and at most.
const PAGE: usize = 100;
const MAX_PAGE: usize = 250;

/// Serves `urn:xmpp:mam:2`.
#[derive(Clone)]
pub struct History {
    /// What is read.
    pub trail: Trail,
    /// What people no longer see of it.
    pub fates: Fates,
}

/// An archive that somebody reads: their own, or a room's.
pub struct Book<'a> {
    /// Whose it is. The results come from this address.
    pub owner: &'a BareJid,
    /// It is a room's.
    pub room: Option<RoomBook>,
    /// Who reads.
    pub reader: &'a Jid,
    /// What may wait for the reader.
    pub bounds: Bounds,
}

/// What is particular about a room's archive.
#[derive(Clone, Copy, Debug)]
pub struct RoomBook {
    /// It holds nothing older than this: an earlier room of the name was another one.
    pub since: Micros,
    /// The reader may know who is behind a nick.
    pub open_names: bool,
}

/// What a question to an archive is answered with, in this order.
pub struct Reading {
    /// The messages.
    pub results: Vec<Outgoing>,
    /// What the answer to the question itself carries.
    pub end: Element,
}

#[async_trait]
impl Handler for History {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("query", MAM, &[Place::Own]), ("metadata", MAM, &[Place::Own]), ("prefs", MAM, &[Place::Own])]
    }

    fn features(&self, place: Place) -> Vec<&'static str> {
        match place {
            Place::Own => vec![MAM, EXTENDED, ns::RSM, PRESENT],
            // The account is where clients ought to look (XEP-0313 §7), but some, such as Profanity, ask the domain.
            Place::Host => vec![MAM],
            Place::Other => Vec::new(),
        }
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        // What this client has just sent is part of what it asks for.
        request.session.pending.settled().await;
        match request.payload.name() {
            "prefs" => preferences(&request),
            _ => {
                let (reader, outbox) = (request.session.jid.clone().into(), &request.session.outbox);
                let book =
                    Book { owner: &request.user.jid, room: None, reader: &reader, bounds: outbox.bounds() };
                let Reading { results, end } = self.answer(&book, request.set, &request.payload).await?;
                outbox.push_all(results.into_iter().map(Parcel::stanza));
                Ok(Some(end))
            }
        }
    }
}

impl History {
    /// Answers a question about an archive.
    ///
    /// # Errors
    /// What is wrong with the question, or what the archive says.
    pub async fn answer(
        &self,
        book: &Book<'_>,
        set: bool,
        payload: &Element,
    ) -> Result<Reading, StanzaError> {
        let end = match payload.name() {
            "query" if set => return self.query(book, payload).await,
            "query" => form(),
            "metadata" if !set => {
                let since = book.room.map(|room| room.since);
                let found = metadata(&self.trail, book.owner, since).await;
                found.unwrap_or_else(|| el("metadata", MAM).build())
            }
            _ => return Err(StanzaCondition::BadRequest.into()),
        };
        Ok(Reading { results: Vec::new(), end })
    }

    async fn query(&self, book: &Book<'_>, payload: &Element) -> Result<Reading, StanzaError> {
        let wanted = self.parse(payload)?;
        let mut query = wanted.query;
        if let Some(room) = book.room {
            room.narrow(book.owner, &mut query)?;
        }
        if let Some(text) = &wanted.text {
            let reveals = book.room.is_some_and(|room| room.open_names);
            query.words = Some(fulltext::read(text, book.reader, book.owner, reveals)?);
        }
        // Zero asks for the count alone (XEP-0059 §2.7).
        let only_count = query.limit == 0;
        query.limit = query.limit.max(1);
        let mut page = self.trail.history(book.owner, &query).await.map_err(archive_error)?;
        if only_count {
            page.complete &= page.items.is_empty();
            page.items.clear();
        }
        if query.backwards {
            page.items.sort_by_key(|item| item.sequence);
        }
        page.complete &= fit(&mut page.items, query.backwards, book.bounds);
        let mut set = el("set", ns::RSM);
        if let (Some(first), Some(last)) = (page.items.first(), page.items.last()) {
            set = set.append(text("first", ns::RSM, self.trail.id(first.sequence).as_str())).append(text(
                "last",
                ns::RSM,
                self.trail.id(last.sequence).as_str(),
            ));
        }
        if let Some(count) = page.count {
            set = set.append(text("count", ns::RSM, count.to_string()));
        }
        match query.words {
            // That it was found would say what was taken back.
            Some(_) => self.fates.omit(book.owner, &mut page.items).await,
            None => self.fates.veil(book.owner, &mut page.items).await,
        }
        .map_err(|error| disk_error(&error))?;
        if payload.has_child("present", PRESENT) {
            present::collate(&self.trail, book.owner, &mut page.items).await.map_err(archive_error)?;
        }
        if wanted.flip {
            page.items.reverse();
        }
        let results = self.results(book, payload.attr("queryid"), &page.items);
        let complete = page.complete.then_some("true");
        Ok(Reading { results, end: el("fin", MAM).with("complete", complete).append(set.build()).build() })
    }

    /// Writes the results: one buffer, one slice a message.
    fn results(&self, book: &Book<'_>, query_id: Option<&str>, items: &[Item]) -> Vec<Outgoing> {
        let mut head = Vec::with_capacity(256);
        Head { from: Some(book.owner.as_str()), to: Some(book.reader.as_str()), ..Head::new(Kind::Message) }
            .write(&mut head, None);
        head.extend_from_slice(b"<result xmlns='urn:xmpp:mam:2'");
        if let Some(id) = query_id {
            head.extend_from_slice(b" queryid='");
            escape_attribute(id, &mut head);
            head.push(b'\'');
        }
        head.extend_from_slice(b" id='");
        let length: usize = items.iter().map(|item| item.stanza.len() + head.len() + 256).sum();
        let mut buffer = BytesMut::with_capacity(length);
        let mut ends = Vec::with_capacity(items.len());
        for item in items {
            buffer.extend_from_slice(&head);
            buffer.extend_from_slice(self.trail.id(item.sequence).as_str().as_bytes());
            buffer.extend_from_slice(
                b"'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='",
            );
            buffer.extend_from_slice(clock::stamp(item.time.0).as_bytes());
            buffer.extend_from_slice(b"'/>");
            buffer.extend_from_slice(&item.stanza);
            buffer.extend_from_slice(b"</forwarded></result></message>");
            ends.push(buffer.len());
        }
        let buffer = buffer.freeze();
        let mut start = 0;
        let each = ends.into_iter().map(|end| {
            let head = buffer.slice(start..end);
            start = end;
            Outgoing { head, tail: Bytes::new() }
        });
        each.collect()
    }

    fn parse(&self, query: &Element) -> Result<Wanted, StanzaError> {
        if query.attr("node").is_some() {
            return Err(not_found());
        }
        let mut wanted = Wanted {
            query: Query { limit: PAGE, ..Query::default() },
            text: None,
            flip: query.has_child("flip-page", MAM),
        };
        let known = &mut wanted.query;
        if let Some(form) = query.get_child("x", ns::DATA_FORMS) {
            for field in form.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
                let values: Vec<String> = field
                    .children()
                    .filter(|child| child.is("value", ns::DATA_FORMS))
                    .map(Element::text)
                    .collect();
                match field.attr("var").unwrap_or_default() {
                    fulltext::FIELD => wanted.text = values.into_iter().find(|text| !text.trim().is_empty()),
                    name => self.field(known, name, &values)?,
                }
            }
        }
        let Some(set) = query.get_child("set", ns::RSM) else { return Ok(wanted) };
        if let Some(max) = set.get_child("max", ns::RSM) {
            let max: usize =
                max.text().trim().parse().map_err(|_| bad_request("The page size is not a number."))?;
            known.limit = max.min(MAX_PAGE);
            known.count = max == 0;
        }
        if let Some(after) = set.get_child("after", ns::RSM).map(Element::text).filter(|id| !id.is_empty()) {
            let after = self.sequence(&after)?;
            known.after = Some(known.after.map_or(after, |other| other.max(after)));
        }
        if let Some(before) = set.get_child("before", ns::RSM).map(Element::text) {
            known.backwards = true;
            if !before.is_empty() {
                let before = self.sequence(&before)?;
                known.before = Some(known.before.map_or(before, |other| other.min(before)));
            }
        }
        Ok(wanted)
    }

    /// A field of the form (XEP-0313 §4.1). One that is not known would give wrong results if it were left out.
    fn field(&self, query: &mut Query, name: &str, values: &[String]) -> Result<(), StanzaError> {
        let value = values.first().map(String::as_str).unwrap_or_default();
        let time = || {
            clock::parse(value).map(Micros).ok_or_else(|| bad_request("A time is written as XEP-0082 says."))
        };
        match name {
            "FORM_TYPE" => {}
            _ if value.is_empty() => {}
            "with" => {
                query.with =
                    Some(Jid::new(value).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?);
            }
            "start" => query.start = Some(time()?),
            "end" => query.end = Some(time()?),
            "before-id" => query.before = Some(self.sequence(value)?),
            "after-id" => query.after = Some(self.sequence(value)?),
            "ids" => {
                query.ids = Some(values.iter().map(|id| self.sequence(id)).collect::<Result<_, _>>()?);
            }
            other => {
                return Err(StanzaError::new(
                    StanzaCondition::FeatureNotImplemented,
                    format!("This archive cannot be filtered by {other}."),
                ));
            }
        }
        Ok(())
    }

    fn sequence(&self, id: &str) -> Result<Sequence, StanzaError> {
        self.trail.sequence(id).ok_or_else(not_found)
    }
}

impl RoomBook {
    /// Bounds a query by what this room is and by what its reader may know.
    fn narrow(self, room: &BareJid, query: &mut Query) -> Result<(), StanzaError> {
        query.start = query.start.max(Some(self.since));
        let Some(with) = query.with.take().filter(|with| with != room) else { return Ok(()) };
        if with.to_bare() == *room {
            query.with = Some(with);
        } else if !self.open_names {
            let words = "Who is behind a nick is not for you to know here; name the occupant instead.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        } else if with.is_full() {
            let words = "A room's archive is filtered by occupants and by accounts, not by their clients.";
            return Err(StanzaError::new(StanzaCondition::FeatureNotImplemented, words));
        } else {
            query.by = Some(with.into_bare());
        }
        Ok(())
    }
}

struct Wanted {
    query: Query,
    /// What the messages must say (XEP-0431).
    text: Option<String>,
    flip: bool,
}

fn archive_error(error: ArchiveError) -> StanzaError {
    match error {
        ArchiveError::NotFound => not_found(),
        ArchiveError::Vault(error) => disk_error(&error),
        error => StanzaError::new(StanzaCondition::InternalServerError, error.to_string()),
    }
}

fn not_found() -> StanzaError {
    StanzaError::new(StanzaCondition::ItemNotFound, "There is no such message in this archive.")
}

/// Shortens a page, at the end away from where reading began, so that it takes at most a quarter of what may wait for
/// a session: a page must not make its reader too slow. Returns whether nothing was cut off. One message always stays.
fn fit(items: &mut Vec<Item>, backwards: bool, bounds: Bounds) -> bool {
    let mut bytes = 0;
    let fits = |item: &Item| {
        bytes += item.stanza.len();
        bytes <= bounds.bytes / 4
    };
    let count = if backwards {
        items.iter().rev().map(fits).take_while(|fits| *fits).count()
    } else {
        items.iter().map(fits).take_while(|fits| *fits).count()
    };
    let keep = count.min(bounds.parcels / 4).max(1);
    let cut = items.len().saturating_sub(keep);
    if backwards {
        items.drain(..cut);
    } else {
        items.truncate(keep);
    }
    cut == 0
}

/// The form that a client may fill in (XEP-0313 §4.1.5).
fn form() -> Element {
    let field = |var: &str, type_: &str| el("field", ns::DATA_FORMS).with("type", type_).with("var", var);
    let form = el("x", ns::DATA_FORMS)
        .with("type", "form")
        .append(field("FORM_TYPE", "hidden").append(text("value", ns::DATA_FORMS, MAM)).build())
        .append(field("with", "jid-single").build())
        .append_all(
            ["start", "end", "before-id", "after-id", fulltext::FIELD]
                .map(|var| field(var, "text-single").build()),
        )
        .append(
            field("ids", "list-multi")
                .append(
                    el("validate", "http://jabber.org/protocol/xdata-validate")
                        .with("datatype", "xs:string")
                        .append(el("open", "http://jabber.org/protocol/xdata-validate").build())
                        .build(),
                )
                .build(),
        );
    el("query", MAM).append(form.build()).build()
}

/// The first and the last message of an archive, not older than `start` (XEP-0313 §5); `None` when it is empty or cannot
/// be read.
pub async fn metadata(trail: &Trail, owner: &BareJid, start: Option<Micros>) -> Option<Element> {
    let query = |backwards| Query { limit: 1, backwards, start, ..Query::default() };
    let first = trail.history(owner, &query(false)).await.ok()?.items.pop()?;
    let last = trail.history(owner, &query(true)).await.ok()?.items.pop()?;
    let end = |name: &str, item: &Item| {
        el(name, MAM)
            .with("id", trail.id(item.sequence).as_str())
            .with("timestamp", clock::stamp(item.time.0))
            .build()
    };
    Some(el("metadata", MAM).append(end("start", &first)).append(end("end", &last)).build())
}

/// Everything is archived, for everyone: the only preference that can be set is the one that is in force.
fn preferences(request: &Request<'_>) -> Answer {
    if request.set {
        let opts_out = request.payload.attr("default") != Some("always")
            || request.payload.get_child("never", MAM).is_some_and(|never| never.children().next().is_some());
        if opts_out {
            let mut error = StanzaError::new(
                StanzaCondition::NotAllowed,
                "This company archives every message; that cannot be switched off.",
            );
            error.type_ = ErrorType::Cancel;
            return Err(error);
        }
    }
    let prefs = el("prefs", MAM)
        .with("default", "always")
        .append_all(["always", "never"].map(|name| el(name, MAM).build()));
    Ok(Some(prefs.build()))
}

/// Offline messages (XEP-0160).
#[derive(Clone)]
pub struct Spooled {
    trail: Trail,
    domain: Arc<str>,
}

/// The bytes of some messages.
fn size(items: &[Item]) -> usize {
    items.iter().map(|item| item.stanza.len()).sum()
}

impl Spooled {
    /// `domain` stands in the delay notes (XEP-0203).
    pub fn new(trail: Trail, domain: &str) -> Self {
        Self { trail, domain: domain.into() }
    }

    /// Gives a resource what waited for its account.
    pub async fn flush(&self, session: &Arc<Session>) {
        let items = match self.trail.take_spool(&session.user.jid).await {
            Ok(items) => items,
            Err(error) => return tracing::error!(%error, "offline messages could not be read"),
        };
        let portion = session.outbox.portion();
        if items.len() <= portion.parcels && size(&items) <= portion.bytes {
            session.outbox.push_all(items.iter().filter_map(|item| self.parcel(session, item)));
            return;
        }
        let (spooled, session) = (self.clone(), session.clone());
        tokio::spawn(async move { spooled.trickle(&session, &items).await });
    }

    /// Queues as much as fits, waits until the client has taken it, and goes on.
    async fn trickle(&self, session: &Session, mut items: &[Item]) {
        let portion = session.outbox.portion();
        while !items.is_empty() {
            session.outbox.drained().await;
            let mut bytes = 0;
            let fits = items.iter().take(portion.parcels).take_while(|item| {
                bytes += item.stanza.len();
                bytes <= portion.bytes
            });
            let (now, later) = items.split_at(fits.count().max(1));
            if !session.outbox.push_all(now.iter().filter_map(|item| self.parcel(session, item))) {
                return self.keep(session, items).await;
            }
            items = later;
        }
    }

    async fn keep(&self, session: &Session, items: &[Item]) {
        let sequences = items.iter().map(|item| item.sequence).collect();
        if let Err(error) = self.trail.spool(&session.user.jid, sequences).await {
            tracing::error!(%error, "offline messages could not be put back; they are in the history");
        }
    }

    /// Puts undelivered messages into an account's spool.
    pub async fn put(&self, user: &stanza::BareJid, sequences: Vec<Sequence>) {
        if let Err(error) = self.trail.spool(user, sequences).await {
            tracing::error!(%error, "offline messages could not be kept; they are in the history");
        }
    }

    fn parcel(&self, session: &Session, item: &Item) -> Option<Parcel> {
        let stanza = Stanza::parse(&item.stanza).ok()?;
        let mut head = Vec::with_capacity(384);
        stanza.head().write(&mut head, None);
        crate::router::write_stanza_id(
            self.trail.id(item.sequence).as_str(),
            session.user.jid.as_str(),
            &mut head,
        );
        head.extend_from_slice(b"<delay xmlns='urn:xmpp:delay' from='");
        escape_attribute(&self.domain, &mut head);
        head.extend_from_slice(b"' stamp='");
        head.extend_from_slice(clock::stamp(item.time.0).as_bytes());
        head.extend_from_slice(b"'/>");
        let out = Outgoing { head: head.into(), tail: stanza.tail().clone() };
        Some(Parcel { out, class: Class::Urgent, sequence: Some(item.sequence), copies: None })
    }
}
