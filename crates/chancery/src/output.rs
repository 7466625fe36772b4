//! What commands print: tables and colour for people at a terminal, plain lines for pipes, JSON when asked.

use std::io::{IsTerminal, Write};
use std::sync::Arc;

use comfy_table::{Attribute, Cell, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use server::admin::Progress;

use crate::failure::Failure;

/// Where a command's words go.
pub(crate) struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: std::io::stdout().is_terminal() }
    }

    /// Whether programs read.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Whether people read along, so that colours help.
    pub(crate) fn is_coloured(&self) -> bool {
        self.terminal && !self.json && std::env::var_os("NO_COLOR").is_none()
    }

    /// Prints a value: as JSON, or as `words` puts it.
    pub(crate) fn value(&self, value: &Value, words: impl FnOnce(&Value) -> String) {
        match (self.json, self.terminal) {
            (true, true) => line(&format!("{value:#}")),
            (true, false) => line(&value.to_string()),
            (false, _) => line(&words(value)),
        }
    }

    /// Prints rows: as JSON, as a table, or with tabs between the columns and no heading.
    pub(crate) fn rows(&self, value: &Value, headings: &[&str], row: impl Fn(&Value) -> Vec<String>) {
        let rows = value.as_array().map(Vec::as_slice).unwrap_or_default();
        match (self.json, self.terminal) {
            (true, true) => line(&format!("{value:#}")),
            (true, false) => line(&value.to_string()),
            (false, true) => {
                let mut table = Table::new();
                table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
                table.set_header(headings.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
                for value in rows {
                    table.add_row(row(value));
                }
                line(&table.to_string());
            }
            (false, false) => {
                for value in rows {
                    // A tab or a line break in a name must not look like another column or row.
                    let clean: Vec<String> =
                        row(value).iter().map(|cell| cell.replace(['\t', '\n', '\r'], " ")).collect();
                    line(&clean.join("\t"));
                }
            }
        }
    }

    /// Says something beside the result, to people only.
    pub(crate) fn note(&self, words: &str) {
        if !self.json {
            eprintln!("{words}");
        }
    }

    /// Says why it did not work.
    pub(crate) fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Refused(fault) if self.json => eprintln!("{}", json!({ "error": fault })),
            _ => eprintln!("chancery: {}", failure.message()),
        }
    }

    /// A bar that shows how far something is, where a person can see it.
    pub(crate) fn progress(&self, what: &'static str) -> Bar {
        if self.json || !std::io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}") {
            bar.set_style(style);
        }
        bar.set_message(what);
        Bar(bar)
    }
}

/// A progress bar that goes when it is done.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn progress(&self) -> Progress {
        let bar = self.0.clone();
        Arc::new(move |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A reader that hangs up early is not a fault.
fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Text of a field, empty if it has none.
pub(crate) fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
