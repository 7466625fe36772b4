//! A transcript to print: one document with its style inside, no scripts, nothing that is fetched.

use std::fmt::Write;

use super::Sheet;
use crate::export::manifest::Header;
use crate::export::record::Record;

#[derive(Default)]
pub(super) struct Html {
    day: String,
}

const STYLE: &str = "\
@page{size:A4;margin:18mm 15mm;@bottom-right{content:counter(page) \" / \" counter(pages)}}\
body{font:10pt/1.4 system-ui,sans-serif;color:#111;max-width:62rem;margin:1rem auto;padding:0 1rem}\
h1{font-size:16pt}h2{font-size:12pt;border-bottom:1px solid #888;break-after:avoid;margin-top:1.6em}\
table{border-collapse:collapse}th{text-align:left;padding-right:1em;vertical-align:top;font-weight:600}\
article{border-left:3px solid #ccc;padding:.1rem .6rem;margin:.5rem 0;break-inside:avoid}\
article.change{border-color:#c60}article.happening{color:#555}\
header{font-size:8.5pt;color:#444}header b{font-size:10pt;color:#111}\
p{margin:.2rem 0;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate}\
bdi,td{overflow-wrap:anywhere}.note{font-style:italic}ul{margin:.2rem 0;font-size:8.5pt}code{font-size:8pt}";

impl Sheet for Html {
    fn name(&self) -> &'static str {
        "transcript.html"
    }

    fn head(&self, header: &Header) -> String {
        let title = escape(&header.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n<table>\n"
        );
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(out, "<tr><th>{name}</th><td>{}</td></tr>", escape(value));
        };
        line("Made", &header.made);
        line("By", &header.by);
        if let Some(matter) = &header.matter {
            line("Matter", &matter["title"].as_str().map_or_else(|| matter.to_string(), str::to_owned));
        }
        let owners: Vec<&str> = header.selection.owners.iter().map(|owner| owner.as_str()).collect();
        line("Of", &if owners.is_empty() { "everybody".to_owned() } else { owners.join(", ") });
        if let Some(question) = &header.question {
            line("Question", question);
        }
        out.push_str("</table>\n<p>All times are in UTC. Numbers are places in the archive's one order of events.</p>\n");
        out
    }

    fn row(&mut self, record: &Record) -> String {
        let mut out = String::new();
        if self.day != record.day() {
            self.day = record.day().to_owned();
            let _ = writeln!(out, "<h2>{}</h2>", escape(&self.day));
        }
        let class = match record.kind.name() {
            "message" => "message",
            "happening" => "happening",
            _ => "change",
        };
        let time = record.time.get(11..).unwrap_or_default();
        let _ = write!(
            out,
            "<article class=\"{class}\" id=\"e{0}\"><header>#{0} {1} <b><bdi>{2}</bdi></b> → <bdi>{3}</bdi>",
            record.sequence,
            escape(time),
            escape(&record.from),
            escape(&record.to)
        );
        if let Some(id) = &record.id {
            let _ = write!(out, " · id <bdi>{}</bdi>", escape(id));
        }
        out.push_str("</header>");
        let mut paragraph = |class: &str, text: &str| {
            let _ = write!(out, "<p dir=\"auto\"{class}>{}</p>", escape(text));
        };
        if let Some(note) = record.note() {
            paragraph(" class=\"note\"", &note);
        }
        if let Some(subject) = &record.subject {
            paragraph(" class=\"note\"", &format!("Subject: {subject}"));
        }
        if let Some(body) = &record.body {
            paragraph("", body);
        }
        if !record.attachments.is_empty() {
            out.push_str("<ul>");
            for file in &record.attachments {
                let place = file.file.as_deref().unwrap_or(if file.erased { "erased" } else { &file.url });
                let _ = write!(
                    out,
                    "<li><bdi>{}</bdi>, {} bytes, SHA-256 <code>{}</code>, <bdi>{}</bdi></li>",
                    escape(&file.name),
                    file.size,
                    escape(&file.sha256),
                    escape(place)
                );
            }
            out.push_str("</ul>");
        }
        out.push_str("</article>\n");
        out
    }

    fn foot(&self) -> String {
        "</body></html>\n".to_owned()
    }
}

/// Text that stays text, in an element and in an attribute.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Letters that change how what follows is shown are named instead.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(out, "[U+{:04X}]", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}
