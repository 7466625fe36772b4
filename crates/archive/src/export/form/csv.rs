//! A table (RFC 4180), in UTF-8.

use super::Sheet;
use crate::export::manifest::Header;
use crate::export::record::Record;

pub(super) struct Csv;

const COLUMNS: [&str; 14] = [
    "sequence",
    "time",
    "kind",
    "conversation",
    "from",
    "to",
    "id",
    "archive_id",
    "thread",
    "changes",
    "reactions",
    "subject",
    "body",
    "attachments",
];

impl Sheet for Csv {
    fn name(&self) -> &'static str {
        "events.csv"
    }

    fn head(&self, _: &Header) -> String {
        row(COLUMNS.map(str::to_owned))
    }

    fn row(&mut self, record: &Record) -> String {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let changes = record.changes.as_ref();
        let attachments = record.attachments.iter().map(|file| {
            let place = file.file.as_deref().unwrap_or(if file.erased { "erased" } else { &file.url });
            format!("{} ({} bytes, SHA-256 {}, {place})", file.name, file.size, file.sha256)
        });
        row([
            record.sequence.to_string(),
            record.time.clone(),
            record.kind.name().to_owned(),
            record.conversation.clone(),
            record.from.clone(),
            record.to.clone(),
            or_empty(&record.id),
            or_empty(&record.archive_id),
            or_empty(&record.thread),
            changes.map(|changes| changes.id.clone()).unwrap_or_default(),
            changes.map(|changes| changes.reactions.join(" ")).unwrap_or_default(),
            or_empty(&record.subject),
            or_empty(&record.body),
            attachments.collect::<Vec<_>>().join("; "),
        ])
    }

    fn foot(&self) -> String {
        String::new()
    }
}

fn row(cells: [String; COLUMNS.len()]) -> String {
    let cells = cells.map(|cell| {
        // Spreadsheets run what begins like a formula. An apostrophe keeps it text; the proof has the exact words.
        let armed = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        format!("\"{}{}\"", if armed { "'" } else { "" }, cell.replace('"', "\"\""))
    });
    cells.join(",") + "\r\n"
}
