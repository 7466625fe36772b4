//! Reading TOML so that every fault has its line.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Something that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong and what to do, in a sentence.
    pub message: String,
}

/// All that is wrong with a document, in the order of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, Fault { line, message }) in self.0.iter().enumerate() {
            let end = if at > 0 { "\n" } else { "" };
            write!(f, "{end}line {line}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// Collects faults while a document is read.
pub(super) struct Reader<'a> {
    source: &'a str,
    faults: Vec<(usize, String)>,
}

/// A table, and which of its keys somebody has asked for.
pub(super) struct Table<'a, 'i> {
    table: &'a DeTable<'i>,
    pub(super) span: Range<usize>,
    /// What it is, for sentences.
    what: &'static str,
    known: BTreeSet<&'static str>,
}

/// A value and where it stands.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, at: usize, message: impl Into<String>) {
        self.faults.push((at, message.into()));
    }

    pub(super) fn finish(mut self) -> Result<(), Faults> {
        if self.faults.is_empty() {
            return Ok(());
        }
        self.faults.sort_by_key(|(at, _)| *at);
        self.faults.dedup();
        let line = |at: usize| 1 + self.source.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let fault = |(at, message): &(usize, String)| Fault { line: line(*at), message: message.clone() };
        Err(Faults(self.faults.iter().map(fault).collect()))
    }

    /// A table, or the fault that it is none.
    pub(super) fn table<'t, 'i>(
        &mut self,
        value: &'t Value<'i>,
        what: &'static str,
    ) -> Option<Table<'t, 'i>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(table, value.span(), what)),
            other => {
                let kind = other.type_str();
                self.fault(value.span().start, format!("{what} is a table of keys, not a {kind}."));
                None
            }
        }
    }

    pub(super) fn text(&mut self, value: &Value<'_>, key: &str) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                let kind = value.get_ref().type_str();
                self.fault(value.span().start, format!("`{key}` is a text in quotes, not a {kind}."));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, value: &Value<'_>, key: &str) -> Option<bool> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.fault(value.span().start, format!("`{key}` is true or false."));
        }
        flag
    }

    pub(super) fn number(&mut self, value: &Value<'_>, key: &str, most: u64) -> Option<u64> {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        let number = number.filter(|number| *number <= most);
        if number.is_none() {
            self.fault(value.span().start, format!("`{key}` is a whole number from 0 to {most}."));
        }
        number
    }

    /// One text or an array of them, each with its place.
    pub(super) fn texts(&mut self, value: &Value<'_>, key: &str) -> Vec<(usize, String)> {
        if let Some(text) = value.get_ref().as_str() {
            return vec![(value.span().start, text.to_owned())];
        }
        let Some(array) = value.get_ref().as_array() else {
            let kind = value.get_ref().type_str();
            let message = format!("`{key}` is a text in quotes or a list of them, not a {kind}.");
            self.fault(value.span().start, message);
            return Vec::new();
        };
        if array.is_empty() {
            self.fault(value.span().start, format!("`{key}` is empty; leave it out or name something."));
        }
        array.iter().filter_map(|one| Some((one.span().start, self.text(one, key)?))).collect()
    }
}

impl<'a, 'i> Table<'a, 'i> {
    pub(super) fn new(table: &'a DeTable<'i>, span: Range<usize>, what: &'static str) -> Self {
        Self { table, span, what, known: BTreeSet::new() }
    }

    /// Where it begins.
    pub(super) fn start(&self) -> usize {
        self.span.start
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Value<'i>> {
        self.known.insert(key);
        self.table.get(key)
    }

    /// As [`Table::get`], and a fault if it is not there.
    pub(super) fn need(&mut self, key: &'static str, reader: &mut Reader<'_>) -> Option<&'a Value<'i>> {
        let value = self.get(key);
        if value.is_none() {
            reader.fault(self.start(), format!("{} needs `{key}`.", self.what));
        }
        value
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value<'i>)> + use<'a, 'i> {
        self.table.iter().map(|(key, value)| (&**key.get_ref(), value))
    }

    /// Keys that nobody asked for are faults; most are misspelled.
    pub(super) fn close(self, reader: &mut Reader<'_>) {
        for key in self.table.keys() {
            let name = &**key.get_ref();
            if !self.known.contains(name) {
                let known: Vec<&str> = self.known.iter().copied().collect();
                let message = format!("{} has no key `{name}`; it knows {}.", self.what, known.join(", "));
                reader.fault(key.span().start, message);
            }
        }
    }
}
