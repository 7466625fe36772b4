//! What a scenario found, and how it is printed.

use std::fmt::Write;

use serde::Serialize;

/// One number of a scenario.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// What one scenario found out about one server.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: &'static str,
    pub(crate) tls: bool,
    pub(crate) server: String,
    pub(crate) figures: Vec<Figure>,
    /// What kept the server from doing more, as far as can be told from outside.
    pub(crate) limit: Option<String>,
}

impl Outcome {
    pub(crate) fn new(scenario: &'static str, tls: bool, server: &str) -> Outcome {
        Outcome { scenario, tls, server: server.to_owned(), figures: Vec::new(), limit: None }
    }

    pub(crate) fn add(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { name, value, unit });
    }

    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    /// The scenario's name for people.
    pub(crate) fn title(&self) -> String {
        format!("{}{}", self.scenario, if self.tls { " over TLS" } else { "" })
    }

    /// The figures as a table of two columns.
    pub(crate) fn table(&self) -> String {
        let rows = self.figures.iter().map(|figure| {
            vec![
                figure.name.to_owned(),
                format!("{} {}", number(figure.value), figure.unit).trim_end().to_owned(),
            ]
        });
        let mut rows: Vec<Vec<String>> = rows.collect();
        rows.extend(self.limit.iter().map(|limit| vec!["limited by".to_owned(), limit.clone()]));
        table(&[&self.title(), &self.server], &rows)
    }
}

/// A table that reads well in a terminal and is Markdown too. The first column is text, the others are numbers.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut out = String::new();
    let mut line = |cells: &[&str]| {
        for (column, width) in widths.iter().enumerate() {
            let cell = cells.get(column).copied().unwrap_or_default();
            let _ =
                if column == 0 { write!(out, "| {cell:<width$} ") } else { write!(out, "| {cell:>width$} ") };
        }
        out.push_str("|\n");
    };
    line(head);
    let rule: Vec<String> = widths
        .iter()
        .enumerate()
        .map(|(column, width)| {
            if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width.saturating_sub(1))) }
        })
        .collect();
    line(&rule.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

/// Three significant places below a hundred, whole numbers with thousands apart above.
pub(crate) fn number(value: f64) -> String {
    if value == 0.0 || value.abs() >= 100.0 {
        let digits = format!("{:.0}", value.abs());
        let mut text = String::from(if value < 0.0 { "-" } else { "" });
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        return text;
    }
    let places = if value.abs() >= 10.0 { 1 } else { 2 };
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_for_people() {
        for (value, text) in
            [(0.0, "0"), (1.234, "1.23"), (12.34, "12.3"), (999.6, "1,000"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(number(value), text);
        }
    }
}
