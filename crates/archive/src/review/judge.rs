//! What rules say about an archived event.

use minidom::Element;
use policy::rules::{self, Compiled, Direction, Envelope, Facts, File, Room};

use super::company::Company;
use super::draw::Draw;
use super::item::{Cause, Found};
use crate::{Item, Ledger};

/// Places of evidence that one cause keeps.
const MOST: usize = 32;

/// What an event says. Evidence points into `text`, so how it is put together never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Subjects and bodies, one a line.
    pub text: String,
    /// It was said in a room.
    pub in_room: bool,
    files: Vec<File>,
}

impl Said {
    /// Reads a stanza. One that does not parse says nothing.
    pub fn read(stanza: &[u8]) -> Self {
        let root = std::str::from_utf8(stanza).ok().and_then(|xml| xml.parse::<Element>().ok());
        let Some(root) = root.filter(|root| root.name() == "message") else { return Self::default() };
        let texts = root.children().filter(|child| matches!(child.name(), "subject" | "body"));
        let text = texts.map(Element::text).collect::<Vec<_>>().join("\n");
        let urls = root.children().filter(|child| child.is("x", "jabber:x:oob")).filter_map(|oob| {
            let url = oob.get_child("url", "jabber:x:oob")?.text();
            let path = url.split(['?', '#']).next()?;
            Some(File { name: path.rsplit('/').next()?.to_owned(), ..File::default() })
        });
        let files = urls.collect();
        Self { text, in_room: root.attr("type") == Some("groupchat"), files }
    }
}

/// Why an event belongs into the queue; nothing if it does not. What samples take by the week is drawn later.
pub(super) fn causes(
    item: &Item,
    said: &Said,
    rules: (u64, &Compiled),
    company: &Company,
    draw: &Draw<'_>,
) -> Vec<Cause> {
    let (version, compiled) = rules;
    if item.ledger != Ledger::Messages || (said.text.is_empty() && said.files.is_empty()) {
        return Vec::new();
    }
    let (from, to) = (item.from.to_bare(), item.to.to_bare());
    let envelope = Envelope { from: &from, to: &to, text: &said.text, files: &said.files, encrypted: false };
    let direction = Direction::of(company.has(&from), company.has(&to));
    let facts = Facts {
        direction,
        network: (direction != Direction::Internal).then_some("xmpp"),
        sender_groups: company.groups(&from),
        recipient_groups: company.groups(&to),
        first_contact: false,
        moment: company.moment(item.time),
        room: said.in_room.then(Room::default),
    };
    let decision = rules::judge(&envelope, &facts, compiled);
    let mut causes: Vec<Cause> = Vec::new();
    for id in &decision.flags {
        let Some(rule) = compiled.rule(id) else { continue };
        let found = decision.evidence.iter().filter(|evidence| evidence.rule == *id).take(MOST);
        let found =
            found.map(|evidence| Found { what: evidence.what.clone(), range: evidence.range.clone() });
        causes.push(Cause {
            id: id.clone(),
            name: rule.name.clone(),
            version,
            sample: false,
            found: found.collect(),
            reviewers: rule.reviewers.clone(),
        });
    }
    for sample in compiled.samples().iter().filter(|sample| draw.takes(sample, item, company)) {
        causes.push(Cause::of_sample(sample, version));
    }
    causes
}
