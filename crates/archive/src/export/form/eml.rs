//! Mail messages (RFC 5322), one for each conversation and day, with the files that were sent inside.

use std::fmt::Write;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::export::ExportError;
use crate::export::attachment::Attachments;
use crate::export::day::{Binder, Day};
use crate::export::mail::{self, Base64Lines, Letter};
use crate::export::package::Package;
use crate::export::record::Record;
use crate::hex::hex;

pub(super) struct Eml;

#[async_trait]
impl Binder for Eml {
    fn name(&self, number: u64) -> String {
        format!("messages/{number:06}.eml")
    }

    async fn bind(
        &self,
        day: &Day,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        let mut letter = letter(day);
        letter.text = day.records.iter().map(entry).collect();
        let (head, boundary) = letter.open();
        package.write(&head).await?;
        for (_, file) in day.attachments() {
            let kind = file.media_type.as_deref().unwrap_or_default();
            package.write(&mail::attachment(&boundary, kind, &file.name)).await?;
            let mut content = attachments.open(file).await?.ok_or(ExportError::Changed)?;
            let mut lines = Base64Lines::default();
            while let Some(piece) = content.next().await? {
                package.write(&lines.push(&piece)).await?;
            }
            package.write(&lines.finish()).await?;
            package.attached(file.size);
        }
        package.write(&mail::close(&boundary)).await
    }
}

/// The head of a day's message.
pub(super) fn letter(day: &Day) -> Letter {
    let people = day.people();
    let from = people.first().cloned().unwrap_or_else(|| day.conversation.clone());
    let to: Vec<String> = match day.room {
        true => vec![day.conversation.clone()],
        false => people.get(1..).unwrap_or_default().to_vec(),
    };
    let (first, last) = (day.records.first(), day.records.last());
    let place = |record: Option<&Record>| record.map_or(0, |record| record.sequence).to_string();
    let name = Sha256::digest(format!("{} {} {}", day.conversation, day.day, place(first)));
    let domain = day.conversation.rsplit('@').next().unwrap_or("invalid");
    let part = if day.part > 1 { format!(", part {}", day.part) } else { String::new() };
    let between = if day.room { day.conversation.clone() } else { people.join(" and ") };
    Letter {
        from: from.clone(),
        to: if to.is_empty() { vec![from] } else { to },
        subject: format!("Chat of {between} on {}{part}", day.day),
        message_id: format!("{}@{domain}", hex(&name[..16])),
        references: None,
        date: first.map_or(0, seconds),
        headers: vec![
            ("X-Chancery-Conversation", day.conversation.clone()),
            ("X-Chancery-People", people.join(", ")),
            ("X-Chancery-Events", day.records.len().to_string()),
            ("X-Chancery-First", place(first)),
            ("X-Chancery-Last", place(last)),
        ],
        text: String::new(),
    }
}

fn seconds(record: &Record) -> i64 {
    let form = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::parse(&record.time, form).map_or(0, time::OffsetDateTime::unix_timestamp)
}

/// An event as text. What was said is indented, so that no words can be taken for another event.
pub(crate) fn entry(record: &Record) -> String {
    let mut out = format!("#{} {} {}", record.sequence, record.time, one_line(&record.from));
    let _ = writeln!(out, " -> {}", one_line(&record.to));
    let mut line = |text: &str| {
        for line in text.split(['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}']) {
            let _ = writeln!(out, "    {line}");
        }
    };
    if let Some(id) = &record.id {
        line(&format!("(id {id})"));
    }
    if let Some(note) = record.note() {
        line(&format!("({note})"));
    }
    if let Some(subject) = &record.subject {
        line(&format!("(subject: {subject})"));
    }
    if let Some(body) = &record.body {
        line(body);
    }
    for file in &record.attachments {
        let state = if file.erased { ", erased" } else { "" };
        line(&format!("(file {}, {} bytes, SHA-256 {}{state})", file.name, file.size, file.sha256));
    }
    out.push('\n');
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
