//! Conditions, and how they are written.

use jid::BareJid;

use super::compile::Names;
use super::reader::{Reader, Table, Value};
use super::{Direction, Envelope, Facts, File, Times, Who};
use crate::detect::Kinds;

/// When a rule applies.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All hold. Of none: always.
    All(Vec<Condition>),
    /// At least one holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// One of these ways.
    Direction(Vec<Direction>),
    /// One of these networks.
    Network(Vec<String>),
    /// The sender is one of them.
    From(Vec<Who>),
    /// The recipient is one of them.
    To(Vec<Who>),
    /// Whether the two have not exchanged a word before.
    FirstContact(bool),
    /// Something about the text.
    Text(TextTest),
    /// A file is so.
    File(FileTest),
    /// A link is so.
    Link(LinkTest),
    /// It is such an hour.
    Time(Times),
    /// It is said in a room, or in such a room.
    Room(RoomTest),
    /// Whether part of it can be read by nobody but its recipient.
    Encrypted(bool),
}

/// What is looked for in a text, and how often it must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextTest {
    /// Lists of words, by their places in the document.
    pub lists: Vec<usize>,
    /// Patterns, by their places.
    pub patterns: Vec<usize>,
    /// What detectors find.
    pub kinds: Kinds,
    /// How often, all together.
    pub at_least: u32,
}

/// What a file must be. All that is given must hold of the same file; of nothing: any file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTest {
    /// Types such as `image/png` or `image/*`.
    pub types: Vec<String>,
    /// Names such as `*.exe`.
    pub names: Vec<String>,
    /// SHA-256 in hexadecimal.
    pub hashes: Vec<String>,
    /// More bytes than this.
    pub larger_than: Option<u64>,
}

/// Where a link must lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTest {
    /// Anywhere.
    Any,
    /// To one of these domains, or below.
    To(Vec<String>),
    /// To a domain that is none of these, nor below.
    ElsewhereThan(Vec<String>),
}

/// What a room must be. All that is given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomTest {
    /// There is none.
    pub none: bool,
    /// Everybody may find and enter it.
    pub public: Option<bool>,
    /// Only members may enter.
    pub members_only: Option<bool>,
    /// Somebody from outside is in it.
    pub outsiders: Option<bool>,
}

impl Condition {
    /// Whether it holds; `text` and `link` answer for the text.
    pub(super) fn holds(&self, envelope: &Envelope<'_>, facts: &Facts<'_>, text: &impl Answers) -> bool {
        let one_of = |some: &[Who], who: &BareJid, groups| some.iter().any(|one| one.includes(who, groups));
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(envelope, facts, text)),
            Self::Any(any) => any.iter().any(|one| one.holds(envelope, facts, text)),
            Self::Not(not) => !not.holds(envelope, facts, text),
            Self::Direction(ways) => ways.contains(&facts.direction),
            Self::Network(networks) => {
                facts.network.is_some_and(|network| networks.iter().any(|one| one == network))
            }
            Self::From(some) => one_of(some, envelope.from, facts.sender_groups),
            Self::To(some) => one_of(some, envelope.to, facts.recipient_groups),
            Self::FirstContact(is) => facts.first_contact == *is,
            Self::Text(test) => text.text(test),
            Self::File(test) => envelope.files.iter().any(|file| test.holds(file)),
            Self::Link(test) => text.link(test),
            Self::Time(times) => times.include(facts.moment),
            Self::Room(test) => test.holds(facts),
            Self::Encrypted(is) => envelope.encrypted == *is,
        }
    }

    /// Visits the conditions that have to hold for this one, without those under a `not`.
    pub(super) fn each<'a>(&'a self, with: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.each(with)),
            Self::Not(_) => {}
            other => with(other),
        }
    }

    /// Visits all of them.
    pub(super) fn each_at_all<'a>(&'a self, with: &mut impl FnMut(&'a Condition)) {
        match self {
            Self::All(inner) | Self::Any(inner) => inner.iter().for_each(|one| one.each_at_all(with)),
            Self::Not(inner) => inner.each_at_all(with),
            other => with(other),
        }
    }
}

/// What is known about the text of a message.
pub(super) trait Answers {
    fn text(&self, test: &TextTest) -> bool;
    fn link(&self, test: &LinkTest) -> bool;
}

impl FileTest {
    fn holds(&self, file: &File) -> bool {
        let is_type = |wanted: &String| match wanted.strip_suffix("/*") {
            Some(family) => {
                let found = file.media_type.split_once('/').map(|(found, _)| found);
                found.is_some_and(|found| found.eq_ignore_ascii_case(family))
            }
            None => file.media_type.eq_ignore_ascii_case(wanted),
        };
        let name = file.name.to_lowercase();
        let hash =
            |wanted: &String| file.sha256.as_ref().is_some_and(|hash| hash.eq_ignore_ascii_case(wanted));
        (self.types.is_empty() || self.types.iter().any(is_type))
            && (self.names.is_empty() || self.names.iter().any(|wanted| is_like(&name, wanted)))
            && (self.hashes.is_empty() || self.hashes.iter().any(hash))
            && self.larger_than.is_none_or(|size| file.size > size)
    }
}

/// Whether a name is like a pattern, in which `*` stands for anything. Both in lower case.
fn is_like(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

impl RoomTest {
    fn holds(&self, facts: &Facts<'_>) -> bool {
        let Some(room) = facts.room else { return self.none };
        let fits = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        !self.none
            && fits(self.public, room.public)
            && fits(self.members_only, room.members_only)
            && fits(self.outsiders, room.outsiders)
    }
}

/// How deep conditions may stand in one another.
const DEEPEST: usize = 16;

/// Reads what stands after `when`.
pub(super) fn read(
    value: &Value<'_>,
    names: &Names,
    depth: usize,
    reader: &mut Reader<'_>,
) -> Option<Condition> {
    if depth > DEEPEST {
        reader.fault(value.span().start, format!("Conditions go at most {DEEPEST} deep."));
        return None;
    }
    let mut table = reader.table(value, "A condition")?;
    let mut all = Vec::new();
    for (key, join) in [("all", Condition::All as fn(Vec<Condition>) -> Condition), ("any", Condition::Any)] {
        if let Some(value) = table.get(key) {
            let Some(array) = value.get_ref().as_array() else {
                reader.fault(value.span().start, format!("`{key}` is a list of conditions."));
                continue;
            };
            all.push(join(array.iter().filter_map(|one| read(one, names, depth + 1, reader)).collect()));
        }
    }
    if let Some(value) = table.get("not") {
        all.extend(read(value, names, depth + 1, reader).map(|inner| Condition::Not(Box::new(inner))));
    }
    read_route(&mut table, &mut all, reader);
    read_text(&mut table, names, &mut all, reader);
    if let Some(value) = table.get("file") {
        all.extend(read_file(value, reader).map(Condition::File));
    }
    for (key, to) in [("link", true), ("link_elsewhere", false)] {
        if let Some(value) = table.get(key) {
            all.extend(read_link(value, key, to, names, reader).map(Condition::Link));
        }
    }
    if let Some(value) = table.get("time") {
        all.extend(read_times(value, reader).map(Condition::Time));
    }
    if let Some(value) = table.get("room") {
        all.extend(read_room(value, reader).map(Condition::Room));
    }
    table.close(reader);
    Some(match all.len() {
        1 => all.pop()?,
        _ => Condition::All(all),
    })
}

fn read_route(table: &mut Table<'_, '_>, all: &mut Vec<Condition>, reader: &mut Reader<'_>) {
    if let Some(value) = table.get("direction") {
        let mut ways = Vec::new();
        for (at, text) in reader.texts(value, "direction") {
            match text.as_str() {
                "in" => ways.push(Direction::In),
                "out" => ways.push(Direction::Out),
                "internal" => ways.push(Direction::Internal),
                _ => reader.fault(at, "`direction` is in, out or internal."),
            }
        }
        all.push(Condition::Direction(ways));
    }
    if let Some(value) = table.get("network") {
        let networks = reader.texts(value, "network").into_iter().map(|(_, text)| text);
        all.push(Condition::Network(networks.collect()));
    }
    for (key, of) in [("from", Condition::From as fn(Vec<Who>) -> Condition), ("to", Condition::To)] {
        if let Some(value) = table.get(key) {
            all.push(of(read_people(value, key, reader)));
        }
    }
    for (key, of) in [
        ("first_contact", Condition::FirstContact as fn(bool) -> Condition),
        ("encrypted", Condition::Encrypted),
    ] {
        if let Some(value) = table.get(key) {
            all.extend(reader.flag(value, key).map(of));
        }
    }
}

/// Reads some people.
pub(super) fn read_people(value: &Value<'_>, key: &str, reader: &mut Reader<'_>) -> Vec<Who> {
    let mut some = Vec::new();
    for (at, text) in reader.texts(value, key) {
        match Who::parse(&text) {
            Ok(who) => some.push(who),
            Err(message) => reader.fault(at, message),
        }
    }
    some
}

fn read_text(table: &mut Table<'_, '_>, names: &Names, all: &mut Vec<Condition>, reader: &mut Reader<'_>) {
    let at_least = table.get("at_least");
    let count = at_least.and_then(|value| reader.number(value, "at_least", 1000)).unwrap_or(1).max(1) as u32;
    let empty =
        TextTest { lists: Vec::new(), patterns: Vec::new(), kinds: Kinds::default(), at_least: count };
    let before = all.len();
    if let Some(value) = table.get("list") {
        let lists = named(value, "list", &names.lists, reader);
        all.push(Condition::Text(TextTest { lists, ..empty.clone() }));
    }
    if let Some(value) = table.get("pattern") {
        let patterns = named(value, "pattern", &names.patterns, reader);
        all.push(Condition::Text(TextTest { patterns, ..empty.clone() }));
    }
    if let Some(value) = table.get("detect") {
        let mut kinds = Kinds::default();
        for (at, text) in reader.texts(value, "detect") {
            match Kinds::named(&text) {
                Some(named) => kinds = kinds | named,
                None => {
                    let known: Vec<_> =
                        crate::detect::Kind::ALL.into_iter().map(|kind| kind.name()).collect();
                    let known = known.join(", ");
                    reader.fault(
                        at,
                        format!(
                            "There is no detector `{text}`; there are any, national-id, secret, {known}."
                        ),
                    );
                }
            }
        }
        all.push(Condition::Text(TextTest { kinds, ..empty }));
    }
    if let Some(value) = at_least
        && all.len() == before
    {
        reader
            .fault(value.span().start, "`at_least` counts what list, pattern or detect find; none is here.");
    }
}

/// Places of named things in the document.
fn named(value: &Value<'_>, key: &str, known: &[String], reader: &mut Reader<'_>) -> Vec<usize> {
    let mut places = Vec::new();
    for (at, text) in reader.texts(value, key) {
        match known.iter().position(|name| *name == text) {
            Some(place) => places.push(place),
            None => reader.fault(at, format!("There is no {key} `{text}` in this document.")),
        }
    }
    places
}

fn read_file(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<FileTest> {
    if value.get_ref().as_bool() == Some(true) {
        return Some(FileTest::default());
    }
    let mut table = reader.table(value, "`file`")?;
    let mut lower = |table: &mut Table<'_, '_>, key: &'static str| -> Vec<String> {
        let texts = table.get(key).map(|value| reader.texts(value, key)).unwrap_or_default();
        texts.into_iter().map(|(_, text)| text.to_lowercase()).collect()
    };
    let test = FileTest {
        types: lower(&mut table, "type"),
        names: lower(&mut table, "name"),
        hashes: lower(&mut table, "sha256"),
        larger_than: None,
    };
    let larger_than =
        table.get("larger_than").and_then(|value| reader.number(value, "larger_than", u64::MAX >> 1));
    table.close(reader);
    Some(FileTest { larger_than, ..test })
}

fn read_link(
    value: &Value<'_>,
    key: &str,
    to: bool,
    names: &Names,
    reader: &mut Reader<'_>,
) -> Option<LinkTest> {
    if to && value.get_ref().as_bool() == Some(true) {
        return Some(LinkTest::Any);
    }
    let mut domains = Vec::new();
    for (at, text) in reader.texts(value, key) {
        if let Some(name) = text.strip_prefix("list:") {
            match names.domains.iter().find(|(list, _)| list == name) {
                Some((_, list)) => domains.extend(list.iter().cloned()),
                None => reader.fault(at, format!("There is no list `{name}` with domains in this document.")),
            }
        } else if text.contains('.') && !text.contains(['/', ' ', '@', '*']) {
            domains.push(text.to_lowercase());
        } else {
            reader.fault(at, format!("`{text}` is no domain; write example.com or list:name."));
        }
    }
    Some(if to { LinkTest::To(domains) } else { LinkTest::ElsewhereThan(domains) })
}

fn read_times(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<Times> {
    let mut table = reader.table(value, "`time`")?;
    let mut times = Times { days: 0x7f, from: 0, to: 1440 };
    if let Some(value) = table.get("days") {
        times.days = 0;
        for (at, text) in reader.texts(value, "days") {
            match Times::days(&text) {
                Some(days) => times.days |= days,
                None => reader
                    .fault(at, "`days` are mon, tue, wed, thu, fri, sat, sun, or a span such as mon-fri."),
            }
        }
    }
    for (key, place) in [("from", &mut times.from), ("to", &mut times.to)] {
        if let Some(value) = table.get(key)
            && let Some(text) = reader.text(value, key)
        {
            match Times::minute(&text) {
                Some(minute) => *place = minute,
                None => reader.fault(value.span().start, format!("`{key}` is an hour such as \"09:00\".")),
            }
        }
    }
    table.close(reader);
    Some(times)
}

fn read_room(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<RoomTest> {
    if let Some(is) = value.get_ref().as_bool() {
        return Some(RoomTest { none: !is, ..RoomTest::default() });
    }
    let mut table = reader.table(value, "`room`")?;
    let mut flag = |key| table.get(key).and_then(|value| reader.flag(value, key));
    let (public, members_only, outsiders) = (flag("public"), flag("members_only"), flag("outsiders"));
    table.close(reader);
    Some(RoomTest { none: false, public, members_only, outsiders })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_with_stars() {
        for (pattern, name, is) in [
            ("*.exe", "setup.exe", true),
            ("*.exe", "setup.exe.txt", false),
            ("report*2024*.pdf", "report-q3-2024-final.pdf", true),
            ("report.pdf", "report.pdf", true),
            ("report.pdf", "my-report.pdf", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(is_like(name, pattern), is, "{pattern} {name}");
        }
    }
}
