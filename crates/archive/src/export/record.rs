//! An event in a form that people and other programs read.

use minidom::Element;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;
use vault::Micros;

use super::Attachment;
use crate::{CHANGES, Item, Ledger};

/// What an export says of one event. Every version is an event of its own: what was corrected, what it was corrected to, and
/// that it was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its place in the one order of all events.
    pub sequence: u64,
    /// When it was accepted, in UTC (RFC 3339).
    pub time: String,
    /// What kind of event it is.
    pub kind: Kind,
    /// The room, or the two people in the order of their addresses.
    pub conversation: String,
    /// Whether that is a room.
    pub room: bool,
    /// The true sender.
    pub from: String,
    /// The recipient: a person, or the room.
    pub to: String,
    /// The id that the sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The id that the archive gave it (XEP-0359).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_id: Option<String>,
    /// The thread that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// What it does to an earlier message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Files that it links to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The stanza as it is stored.
    pub stanza: String,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Somebody said something.
    Message,
    /// Somebody changed what they had said (XEP-0308).
    Correction,
    /// Somebody reacted (XEP-0444).
    Reaction,
    /// Something was taken back (XEP-0424, XEP-0425).
    Retraction,
    /// Something happened: a coming or going, a change, an upload, a fetch.
    Happening,
}

impl Kind {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Correction => "correction",
            Self::Reaction => "reaction",
            Self::Retraction => "retraction",
            Self::Happening => "happening",
        }
    }
}

/// What an event does to an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The id of the message that it changes.
    pub id: String,
    /// All reactions of its sender from now on; empty takes them away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<String>,
}

impl Record {
    /// Reads an event.
    pub fn of(item: &Item, archive_id: Option<String>, attachments: Vec<Attachment>) -> Self {
        let stanza = String::from_utf8_lossy(&item.stanza).into_owned();
        let element = stanza.parse::<Element>().ok();
        let client = |name: &str| {
            let child = element.as_ref()?.children().find(|child| child.name() == name)?;
            Some(child.text())
        };
        let attribute = |name: &str| Some(element.as_ref()?.attr(name)?.to_owned());
        let changed = element.as_ref().and_then(|stanza| {
            let (name, child) =
                CHANGES.iter().find_map(|(name, ns)| Some((*name, stanza.get_child(*name, *ns)?)))?;
            let reactions = child.children().filter(|child| child.name() == "reaction").map(Element::text);
            let changes = Changes {
                id: child.attr("id")?.to_owned(),
                reactions: if name == "reactions" { reactions.collect() } else { Vec::new() },
            };
            Some((name, changes))
        });
        let kind = match (item.ledger, changed.as_ref().map(|(name, _)| *name)) {
            (Ledger::Happenings | Ledger::Audit, _) => Kind::Happening,
            (_, Some("replace")) => Kind::Correction,
            (_, Some("reactions")) => Kind::Reaction,
            (_, Some("retract")) => Kind::Retraction,
            _ => Kind::Message,
        };
        let (from, to) = (item.from.to_bare(), item.to.to_bare());
        // What a room says bears its name; the true sender is beside it.
        let speaks = attribute("from").and_then(|from| jid::Jid::new(&from).ok()).map(|from| from.to_bare());
        let room = attribute("type").as_deref() == Some("groupchat")
            || (from != to && speaks.is_some_and(|speaks| speaks == to));
        let conversation = match (room, from.as_str() <= to.as_str()) {
            (true, _) => to.to_string(),
            (false, true) => format!("{from} {to}"),
            (false, false) => format!("{to} {from}"),
        };
        Self {
            sequence: item.sequence.0,
            time: stamp(item.time),
            kind,
            conversation,
            room,
            from: item.from.to_string(),
            to: item.to.to_string(),
            id: attribute("id"),
            archive_id,
            thread: client("thread"),
            changes: changed.map(|(_, changes)| changes),
            subject: client("subject"),
            body: client("body"),
            attachments,
            stanza,
        }
    }

    /// The day that it was said on, in UTC.
    pub fn day(&self) -> &str {
        self.time.get(..10).unwrap_or_default()
    }

    /// What a reader is told beside the words: that it changes something, and what.
    pub fn note(&self) -> Option<String> {
        let id = self.changes.as_ref().map(|changes| changes.id.as_str()).unwrap_or_default();
        Some(match self.kind {
            Kind::Message => return None,
            Kind::Correction => format!("corrects message {id}"),
            Kind::Reaction => {
                let reactions = self.changes.as_ref().map(|changes| changes.reactions.join(" "));
                match reactions.filter(|reactions| !reactions.is_empty()) {
                    Some(reactions) => format!("reacts to message {id}: {reactions}"),
                    None => format!("takes reactions back from message {id}"),
                }
            }
            Kind::Retraction => format!("takes back message {id}"),
            Kind::Happening => format!("happening: {}", self.happening()),
        })
    }

    /// Names of what is inside a stanza without words.
    fn happening(&self) -> String {
        let Ok(stanza) = self.stanza.parse::<Element>() else { return String::new() };
        let attributes = |child: &Element| {
            let known = ["type", "name", "size", "jid", "nick", "role", "affiliation", "number", "address"];
            let said = known.iter().filter_map(|name| Some(format!("{name}={}", child.attr(*name)?)));
            std::iter::once(child.name().to_owned()).chain(said).collect::<Vec<_>>().join(" ")
        };
        let inside = |child: &Element| {
            let own = std::iter::once(attributes(child));
            own.chain(child.children().map(attributes)).collect::<Vec<_>>().join(", ")
        };
        let kind = stanza.attr("type").map(|kind| format!("{} {kind}", stanza.name()));
        let children = stanza.children().map(inside);
        kind.into_iter().chain(children).collect::<Vec<_>>().join("; ")
    }
}

/// A moment as RFC 3339 writes it, in UTC and to the microsecond.
pub fn stamp(time: Micros) -> String {
    let form = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time.0) * 1000);
    moment.unwrap_or(OffsetDateTime::UNIX_EPOCH).format(form).unwrap_or_default()
}
