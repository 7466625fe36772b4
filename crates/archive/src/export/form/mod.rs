//! The forms in which events are written. Each is a pure function from records to text.

mod csv;
mod html;
mod jsonl;

use serde::{Deserialize, Serialize};

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
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Jsonl, Self::Csv, Self::Html];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Html => "html",
        }
    }

    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// Whether attached files are files of their own in the export, rather than inside of the messages.
    pub(crate) fn has_files(self) -> bool {
        self.sheet().is_some()
    }

    /// The writer of one sheet with all events; `None` if the form has a file for each conversation and day.
    pub(crate) fn sheet(self) -> Option<Box<dyn Sheet>> {
        match self {
            Self::Jsonl => Some(Box::new(jsonl::Jsonl)),
            Self::Csv => Some(Box::new(csv::Csv)),
            Self::Html => Some(Box::new(html::Html::default())),
        }
    }
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
