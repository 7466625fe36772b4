//! The report as a page to print.

use std::fmt::Write;

use super::report::{Count, ReviewReport};

const STYLE: &str = "body{font:14px/1.5 sans-serif;margin:2em auto;max-width:60em;color:#111}\
    table{border-collapse:collapse;width:100%;margin:1em 0}th,td{border:1px solid #bbb;padding:.3em .6em;text-align:left;\
    vertical-align:top}th{background:#eee}td.n{text-align:right}@media print{body{margin:0}tr{break-inside:avoid}}";

/// A page without scripts and without anything to load.
pub(super) fn page(report: &ReviewReport) -> String {
    let mut out = String::with_capacity(4096);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Supervision report</title>\
         <style>{STYLE}</style></head><body>\n<h1>Supervision report</h1>\n<p>Messages from {} to {}.</p>\n",
        Text(&report.start),
        Text(&report.end),
    );
    head(&mut out, &["", "Filed", "Sampled", "Reviewed", "Open", "Violations", "Median time"]);
    row(&mut out, "All", &report.total);
    for rule in &report.rules {
        row(&mut out, &rule.id, &rule.count);
    }
    out.push_str("</table>\n<h2>Reviewers</h2>\n");
    head(&mut out, &["Reviewer", "Closed", "Escalated", "Actions", "Median time"]);
    for one in &report.reviewers {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Text(one.reviewer.as_str()),
            one.closed,
            one.escalated,
            one.actions,
            span(one.median_seconds),
        );
    }
    out.push_str("</table>\n<h2>Decisions</h2>\n");
    head(&mut out, &["When", "Item", "Reviewer", "Action", "Result", "Rules", "Comment"]);
    for line in &report.decisions {
        let rules = line.rules.join(", ");
        out.push_str("<tr>");
        for cell in
            [&*line.at, &line.item, line.reviewer.as_str(), line.action, &line.result, &rules, &line.comment]
        {
            let _ = write!(out, "<td>{}</td>", Text(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n</body></html>\n");
    out
}

fn head(out: &mut String, names: &[&str]) {
    out.push_str("<table><tr>");
    for name in names {
        let _ = write!(out, "<th>{}</th>", Text(name));
    }
    out.push_str("</tr>\n");
}

fn row(out: &mut String, name: &str, count: &Count) {
    let Count { filed, sampled, reviewed, open, violations, median_seconds } = count;
    let _ = write!(out, "<tr><td>{}</td>", Text(name));
    for number in [filed, sampled, reviewed, open, violations] {
        let _ = write!(out, "<td class=\"n\">{number}</td>");
    }
    let _ = writeln!(out, "<td class=\"n\">{}</td></tr>", span(*median_seconds));
}

fn span(seconds: Option<i64>) -> String {
    match seconds {
        None => "–".to_owned(),
        Some(seconds) if seconds < 3600 => format!("{} min", seconds.max(0) / 60),
        Some(seconds) if seconds < 172_800 => format!("{} h", seconds / 3600),
        Some(seconds) => format!("{} d", seconds / 86_400),
    }
}

/// Text between tags.
struct Text<'a>(&'a str);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}
