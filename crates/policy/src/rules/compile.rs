//! From a document to rules that can be asked.

use std::collections::BTreeSet;

use toml::de::DeTable;

use super::condition::{self, Condition};
use super::reader::{Faults, Reader, Table, Value};
use super::{Barrier, Change, Rule, Sample, Share, Verdict, Who};
use crate::detect::Kinds;
use crate::lexicon::{Entry, LexiconError, Lexicons, Patterns};

/// Rules, barriers and samples that a document may have, each.
const MOST: usize = 1000;

/// A document of rules, ready.
#[derive(Debug, Default)]
pub struct Compiled {
    pub(super) rules: Vec<Rule>,
    pub(super) barriers: Vec<Barrier>,
    pub(super) samples: Vec<Sample>,
    pub(super) lexicons: Lexicons,
    pub(super) patterns: Patterns,
    /// What any rule wants detected.
    pub(super) kinds: Kinds,
    /// Some rule asks about links.
    pub(super) links: bool,
}

impl Compiled {
    /// The rules, in their order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The barriers, in their order.
    pub fn barriers(&self) -> &[Barrier] {
        &self.barriers
    }

    /// The samples, in their order.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The rule of this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

/// What conditions may name.
#[derive(Default)]
pub(super) struct Names {
    pub(super) lists: Vec<String>,
    pub(super) patterns: Vec<String>,
    pub(super) domains: Vec<(String, Vec<String>)>,
}

/// Reads a document.
///
/// # Errors
/// Everything that is wrong with it, with the lines.
pub fn compile(source: &str) -> Result<Compiled, Faults> {
    let mut reader = Reader::new(source);
    let document = match DeTable::parse(source) {
        Ok(document) => document,
        Err(error) => {
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            let at = error.span().map_or(0, |span| span.start);
            reader.fault(at, format!("This is not TOML: {message}."));
            return Err(reader.finish().err().unwrap_or_default());
        }
    };
    let mut table = Table::new(document.get_ref(), 0..source.len(), "The document");
    let mut names = Names::default();
    let mut compiled = Compiled::default();
    if let Some(value) = table.get("lists") {
        compiled.lexicons = read_lists(value, &mut names, &mut reader);
    }
    if let Some(value) = table.get("patterns") {
        compiled.patterns = read_patterns(value, &mut names, &mut reader);
    }
    let mut ids = BTreeSet::new();
    for value in each(&mut table, "barrier", &mut reader) {
        compiled.barriers.extend(read_barrier(value, &mut ids, &mut reader));
    }
    for value in each(&mut table, "rule", &mut reader) {
        compiled.rules.extend(read_rule(value, &names, &mut ids, &mut reader));
    }
    for value in each(&mut table, "sample", &mut reader) {
        compiled.samples.extend(read_sample(value, &mut ids, &mut reader));
    }
    table.close(&mut reader);
    reader.finish()?;
    for rule in &compiled.rules {
        let mut kinds = compiled.kinds;
        let mut links = matches!(rule.then, Verdict::Rewrite(Change::WarnOfLinks(_)));
        rule.when.each_at_all(&mut |condition| match condition {
            Condition::Text(test) => kinds = kinds | test.kinds,
            Condition::Link(_) => links = true,
            _ => {}
        });
        compiled.kinds = kinds;
        compiled.links |= links;
    }
    Ok(compiled)
}

/// The tables of a list such as `[[rule]]`.
fn each<'a, 'i>(
    table: &mut Table<'a, 'i>,
    key: &'static str,
    reader: &mut Reader<'_>,
) -> impl Iterator<Item = &'a Value<'i>> + use<'a, 'i> {
    let value = table.get(key);
    let array = value.and_then(|value| value.get_ref().as_array());
    if let Some(value) = value {
        match array {
            None => reader.fault(value.span().start, format!("Write [[{key}]] before each {key}.")),
            Some(array) if array.len() > MOST => {
                reader.fault(value.span().start, format!("A document has at most {MOST} of [[{key}]]."));
            }
            Some(_) => {}
        }
    }
    array.into_iter().flat_map(|array| array.iter()).take(MOST)
}

fn read_lists(value: &Value<'_>, names: &mut Names, reader: &mut Reader<'_>) -> Lexicons {
    let Some(lists) = reader.table(value, "`lists`") else { return Lexicons::default() };
    let mut words = Vec::new();
    for (name, value) in lists.entries() {
        let Some(mut table) = reader.table(value, "A list") else { continue };
        if let Some(value) = table.get("words") {
            // One text of many lines is handy for long lists.
            let texts = reader.texts(value, "words");
            let lines = texts.iter().flat_map(|(_, text)| text.lines()).map(str::trim);
            let entries: Vec<Entry> = lines.filter(|line| !line.is_empty()).map(Entry::parse).collect();
            names.lists.push(name.to_owned());
            words.push((name.to_owned(), entries));
            if let Some(at) =
                words.last().and_then(|(_, entries)| entries.iter().position(|one| !one.has_word()))
            {
                reader.fault(
                    value.span().start,
                    format!("Entry {} of this list has no letter or digit in it.", at + 1),
                );
            }
        }
        if let Some(value) = table.get("domains") {
            let domains = reader.texts(value, "domains").into_iter().map(|(_, text)| text.to_lowercase());
            names.domains.push((name.to_owned(), domains.collect()));
        }
        table.close(reader);
    }
    match Lexicons::compile(&words) {
        Ok(lexicons) => lexicons,
        // That has been told at its list.
        Err(LexiconError::Empty { .. }) => Lexicons::default(),
        Err(error) => {
            reader.fault(value.span().start, format!("These lists cannot be used: {error}."));
            Lexicons::default()
        }
    }
}

fn read_patterns(value: &Value<'_>, names: &mut Names, reader: &mut Reader<'_>) -> Patterns {
    let Some(table) = reader.table(value, "`patterns`") else { return Patterns::default() };
    let mut patterns = Vec::new();
    for (name, value) in table.entries() {
        let Some(text) = reader.text(value, name) else { continue };
        names.patterns.push(name.to_owned());
        match Patterns::compile(&[(name.to_owned(), text.clone())]) {
            Ok(_) => patterns.push((name.to_owned(), text)),
            Err(error) => reader.fault(value.span().start, capital(&error.to_string())),
        }
    }
    match Patterns::compile(&patterns) {
        Ok(patterns) => patterns,
        Err(error) => {
            reader.fault(value.span().start, capital(&error.to_string()));
            Patterns::default()
        }
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).chain(['.']).collect())
}

/// An id that nothing else in the document has.
fn read_id(table: &mut Table<'_, '_>, ids: &mut BTreeSet<String>, reader: &mut Reader<'_>) -> Option<String> {
    let value = table.need("id", reader)?;
    let id = reader.text(value, "id")?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if id.is_empty() || id.len() > 64 || !id.chars().all(is_plain) {
        reader.fault(value.span().start, "`id` is 1 to 64 letters, digits, hyphens, dots and underscores.");
        return None;
    }
    if !ids.insert(id.clone()) {
        reader.fault(
            value.span().start,
            format!("The id `{id}` is taken; reports could not tell the two apart."),
        );
    }
    Some(id)
}

fn read_people(table: &mut Table<'_, '_>, key: &'static str, reader: &mut Reader<'_>) -> Vec<Who> {
    table.get(key).map(|value| condition::read_people(value, key, reader)).unwrap_or_default()
}

fn read_name(table: &mut Table<'_, '_>, reader: &mut Reader<'_>) -> String {
    table.get("name").and_then(|value| reader.text(value, "name")).unwrap_or_default()
}

fn read_rule(
    value: &Value<'_>,
    names: &Names,
    ids: &mut BTreeSet<String>,
    reader: &mut Reader<'_>,
) -> Option<Rule> {
    let mut table = reader.table(value, "A rule")?;
    let id = read_id(&mut table, ids, reader);
    let name = read_name(&mut table, reader);
    let when = match table.need("when", reader) {
        Some(value) => condition::read(value, names, 1, reader),
        None => None,
    };
    let then = table.need("then", reader).and_then(|value| read_verdict(value, reader));
    let reviewers = read_people(&mut table, "reviewers", reader);
    table.close(reader);
    Some(Rule { id: id?, name, when: when?, then: then?, reviewers })
}

fn read_verdict(value: &Value<'_>, reader: &mut Reader<'_>) -> Option<Verdict> {
    const CHOICE: &str = "`then` is \"allow\", \"hold\", \"flag\", { block = \"reason\" }, { mask = true }, \
                          { disclaimer = \"text\" } or { warn_of_links = \"text\" }.";
    match value.get_ref().as_str() {
        Some("allow") => return Some(Verdict::Allow),
        Some("hold") => return Some(Verdict::Hold),
        Some("flag") => return Some(Verdict::Flag),
        Some("block") => {
            reader.fault(value.span().start, "Say why: then = { block = \"reason for the sender\" }.");
            return None;
        }
        _ => {}
    }
    let Some(inner) = value.get_ref().as_table() else {
        reader.fault(value.span().start, CHOICE);
        return None;
    };
    let mut entries = inner.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        reader.fault(value.span().start, CHOICE);
        return None;
    };
    let mut text = |key| reader.text(value, key);
    match &**key.get_ref() {
        "block" => text("block").map(Verdict::Block),
        "disclaimer" => text("disclaimer").map(Change::Disclaimer).map(Verdict::Rewrite),
        "warn_of_links" => text("warn_of_links").map(Change::WarnOfLinks).map(Verdict::Rewrite),
        "mask" if value.get_ref().as_bool() == Some(true) => Some(Verdict::Rewrite(Change::Mask)),
        _ => {
            reader.fault(key.span().start, CHOICE);
            None
        }
    }
}

fn read_barrier(value: &Value<'_>, ids: &mut BTreeSet<String>, reader: &mut Reader<'_>) -> Option<Barrier> {
    let mut table = reader.table(value, "A barrier")?;
    let id = read_id(&mut table, ids, reader);
    let mut sides = Vec::new();
    if let Some(value) = table.need("between", reader) {
        match value.get_ref().as_array() {
            Some(array) if array.len() == 2 => {
                sides.extend(array.iter().map(|side| condition::read_people(side, "between", reader)));
            }
            _ => reader.fault(
                value.span().start,
                "`between` is a list of two sides, each one of people or groups or a list.",
            ),
        }
    }
    let except = read_people(&mut table, "except", reader);
    let reason = table.get("reason").and_then(|value| reader.text(value, "reason"));
    let reason = reason.unwrap_or_else(|| "The company does not allow these two groups to talk.".to_owned());
    table.close(reader);
    let (other, one) = (sides.pop()?, sides.pop()?);
    Some(Barrier { id: id?, one, other, except, reason })
}

fn read_sample(value: &Value<'_>, ids: &mut BTreeSet<String>, reader: &mut Reader<'_>) -> Option<Sample> {
    let mut table = reader.table(value, "A sample")?;
    let id = read_id(&mut table, ids, reader);
    let name = read_name(&mut table, reader);
    let from = table.need("from", reader).map(|value| condition::read_people(value, "from", reader));
    let percent = table.get("percent").and_then(|value| {
        let share =
            value.get_ref().as_float().and_then(|float| float.as_str().replace('_', "").parse::<f64>().ok());
        let share = share.or_else(|| value.get_ref().as_integer()?.as_str().parse().ok());
        let share = share.filter(|share| (0.0..=100.0).contains(share));
        if share.is_none() {
            reader.fault(value.span().start, "`percent` is a number from 0 to 100.");
        }
        Some(Share::Millionth((share? * 10_000.0).round() as u32))
    });
    let per_week = table.get("per_week").and_then(|value| reader.number(value, "per_week", 1000));
    let per_week = per_week.map(|count| Share::PerWeek(count as u32));
    let reviewers = read_people(&mut table, "reviewers", reader);
    if percent.is_some() == per_week.is_some() {
        reader.fault(table.start(), "A sample needs either `percent` or `per_week`.");
    }
    table.close(reader);
    Some(Sample { id: id?, name, from: from?, share: percent.or(per_week)?, reviewers })
}
