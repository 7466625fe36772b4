//! JSON lines.

use super::Sheet;
use crate::export::manifest::Header;
use crate::export::record::Record;

pub(super) struct Jsonl;

impl Sheet for Jsonl {
    fn name(&self) -> &'static str {
        "events.jsonl"
    }

    fn head(&self, _: &Header) -> String {
        String::new()
    }

    fn row(&mut self, record: &Record) -> String {
        let mut line = serde_json::to_string(record).unwrap_or_default();
        line.push('\n');
        line
    }

    fn foot(&self) -> String {
        String::new()
    }
}
