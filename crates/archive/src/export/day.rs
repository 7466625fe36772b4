//! What was said in one conversation on one day, for the forms that have a file for each.

use std::collections::HashMap;

use async_trait::async_trait;

use super::ExportError;
use super::attachment::{Attachment, Attachments};
use super::package::Package;
use super::record::Record;

/// A conversation's day, or a part of it.
pub(crate) struct Day {
    pub(crate) conversation: String,
    pub(crate) room: bool,
    /// As `2026-11-22`.
    pub(crate) day: String,
    /// From 1. A day with more than a few thousand messages has more than one.
    pub(crate) part: u64,
    /// In their order; at least one.
    pub(crate) records: Vec<Record>,
    bytes: usize,
}

/// Writes a day as a file.
#[async_trait]
pub(crate) trait Binder: Send + Sync {
    /// What the file with this number is called.
    fn name(&self, number: u64) -> String;

    /// Writes it into the file that has been begun.
    async fn bind(
        &self,
        day: &Day,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError>;
}

impl Day {
    /// The people in it: all who speak, and all whom they speak to.
    pub(crate) fn people(&self) -> Vec<String> {
        let bare = |jid: &String| jid.split('/').next().unwrap_or_default().to_owned();
        let mut people = Vec::new();
        for record in &self.records {
            for person in [bare(&record.from), bare(&record.to)] {
                let is_room = self.room && person == self.conversation;
                if !is_room && !people.contains(&person) {
                    people.push(person);
                }
            }
        }
        people
    }

    /// The files that were sent, and are there.
    pub(crate) fn attachments(&self) -> Vec<(&Record, &Attachment)> {
        let pairs =
            self.records.iter().flat_map(|record| record.attachments.iter().map(move |file| (record, file)));
        pairs.filter(|(_, file)| !file.erased).collect()
    }
}

/// Events of a part of a day at most.
const MOST: usize = 5_000;
/// Bytes of all days that are not written yet, at most.
const MOST_BYTES: usize = 16 << 20;

/// The days that are not written yet: those of one date.
pub(crate) struct Days {
    binder: Box<dyn Binder>,
    open: HashMap<String, Day>,
    /// The parts that have been written of this date's conversations.
    parts: HashMap<String, u64>,
    date: String,
    bytes: usize,
    number: u64,
}

impl Days {
    pub(crate) fn new(binder: Box<dyn Binder>) -> Self {
        let (open, parts) = (HashMap::new(), HashMap::new());
        Self { binder, open, parts, date: String::new(), bytes: 0, number: 0 }
    }

    pub(crate) async fn event(
        &mut self,
        record: Record,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        if record.day() != self.date {
            self.finish(attachments, package).await?;
            self.date = record.day().to_owned();
        }
        // The stanza is most of it, and what is read from it the rest.
        let bytes = 2 * record.stanza.len() + 256;
        let conversation = record.conversation.clone();
        let day = self.open.entry(conversation.clone()).or_insert_with(|| Day {
            conversation: conversation.clone(),
            room: record.room,
            day: record.day().to_owned(),
            part: self.parts.get(&conversation).map_or(1, |parts| parts + 1),
            records: Vec::new(),
            bytes: 0,
        });
        day.bytes += bytes;
        self.bytes += bytes;
        day.records.push(record);
        let full = (day.records.len() >= MOST).then_some(conversation);
        let largest = || self.open.values().max_by_key(|day| day.bytes).map(|day| day.conversation.clone());
        if let Some(full) = full.or_else(|| (self.bytes > MOST_BYTES).then(largest).flatten()) {
            self.write(&full, attachments, package).await?;
        }
        Ok(())
    }

    /// Writes all that is left.
    pub(crate) async fn finish(
        &mut self,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        let mut left: Vec<_> = self
            .open
            .values()
            .map(|day| (day.records.first().map(|first| first.sequence), day.conversation.clone()))
            .collect();
        left.sort_unstable();
        for (_, conversation) in left {
            self.write(&conversation, attachments, package).await?;
        }
        self.parts.clear();
        Ok(())
    }

    async fn write(
        &mut self,
        conversation: &str,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        let Some(day) = self.open.remove(conversation) else { return Ok(()) };
        self.bytes -= day.bytes;
        self.parts.insert(conversation.to_owned(), day.part);
        self.number += 1;
        package.begin(&self.binder.name(self.number), true).await?;
        self.binder.bind(&day, attachments, package).await?;
        package.end().await?;
        Ok(())
    }
}
