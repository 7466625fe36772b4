//! The forms in which events are written. Each is a pure function from records to text.

mod csv;
mod eml;
mod html;
mod jsonl;
mod rsmf;

use serde::{Deserialize, Serialize};

pub(crate) use self::eml::entry;
use super::day::Binder;
use super::manifest::Header;
use super::record::Record;

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// A table (RFC 4180).
    Csv,
    /// A transcript to print.
    Html,
    /// Mail messages (RFC 5322), one for each conversation and day.
    Eml,
    /// The Relativity Short Message Format 2.0, a file for each conversation and day.
    Rsmf,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Jsonl, Self::Csv, Self::Html, Self::Eml, Self::Rsmf];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Html => "html",
            Self::Eml => "eml",
            Self::Rsmf => "rsmf",
        }
    }

    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// Whether attached files are files of their own in the export, rather than inside of the messages.
    pub(crate) fn has_files(self) -> bool {
        matches!(self.style(), Style::Sheet(_))
    }

    /// How its files are written.
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Jsonl => Style::Sheet(Box::new(jsonl::Jsonl)),
            Self::Csv => Style::Sheet(Box::new(csv::Csv)),
            Self::Html => Style::Sheet(Box::new(html::Html::default())),
            Self::Eml => Style::Days(Box::new(eml::Eml)),
            Self::Rsmf => Style::Days(Box::new(rsmf::Rsmf)),
        }
    }
}

/// How a form's files are written.
pub(crate) enum Style {
    /// One sheet with all events.
    Sheet(Box<dyn Sheet>),
    /// A file for each conversation and day.
    Days(Box<dyn Binder>),
}

/// One file with all events, in their order. The same records give the same bytes, today and when somebody verifies.
pub(crate) trait Sheet: Send {
    /// What the file is called.
    fn name(&self) -> &'static str;

    /// What comes first.
    fn head(&self, header: &Header) -> String;

    /// One event.
    fn row(&mut self, record: &Record) -> String;

    /// What comes last.
    fn foot(&self) -> String;
}
