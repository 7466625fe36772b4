//! The Relativity Short Message Format 2.0: a mail message for each conversation and day, with `rsmf.zip` attached, in which
//! are `rsmf_manifest.json` and the files that were sent.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::eml;
use crate::export::ExportError;
use crate::export::attachment::{Attachment, Attachments};
use crate::export::day::{Binder, Day};
use crate::export::mail::{self, Base64Lines};
use crate::export::package::{Package, Packer};
use crate::export::record::{Kind, Record};

pub(super) struct Rsmf;

const VERSION: &str = "2.0.0";

#[async_trait]
impl Binder for Rsmf {
    fn name(&self, number: u64) -> String {
        format!("messages/{number:06}.rsmf")
    }

    async fn bind(
        &self,
        day: &Day,
        attachments: &dyn Attachments,
        package: &mut Package<'_>,
    ) -> Result<(), ExportError> {
        let mut letter = eml::letter(day);
        let time = |record: Option<&Record>| record.map(|record| record.time.clone()).unwrap_or_default();
        letter.headers.extend([
            ("X-RSMF-Version", VERSION.to_owned()),
            ("X-RSMF-Generator", "Chancery".to_owned()),
            ("X-RSMF-BeginDate", time(day.records.first())),
            ("X-RSMF-EndDate", time(day.records.last())),
            ("X-RSMF-EventCount", day.records.len().to_string()),
            ("X-RSMF-Application", "Chancery".to_owned()),
            ("X-RSMF-Participants", day.people().join(", ")),
            ("X-RSMF-AttachmentCount", day.attachments().len().to_string()),
            ("X-RSMF-EventCollectionID", day.conversation.clone()),
        ]);
        letter.text = format!("{} events; they are in rsmf.zip.\n", day.records.len());
        let (head, boundary) = letter.open();
        package.write(&head).await?;
        package.write(&mail::attachment(&boundary, "application/zip", "rsmf.zip")).await?;

        let mut lines = Base64Lines::default();
        let mut zip = Packer::new();
        let manifest = serde_json::to_vec_pretty(&manifest(day)).map_err(std::io::Error::other)?;
        zip.begin("rsmf_manifest.json", true)?;
        package.write(&lines.push(&zip.write(&manifest)?)).await?;
        for (record, file) in day.attachments() {
            zip.begin(&file_name(record, file), false)?;
            let mut content = attachments.open(file).await?.ok_or(ExportError::Changed)?;
            while let Some(piece) = content.next().await? {
                package.write(&lines.push(&zip.write(&piece)?)).await?;
            }
            package.attached(file.size);
        }
        package.write(&lines.push(&zip.finish()?)).await?;
        package.write(&lines.finish()).await?;
        package.write(&mail::close(&boundary)).await
    }
}

/// What a file is called in `rsmf.zip`. What it was called is its display name.
fn file_name(record: &Record, file: &Attachment) -> String {
    let at = record.attachments.iter().position(|other| std::ptr::eq(other, file)).unwrap_or_default();
    format!("{}-{at}.{}", record.sequence, file.extension())
}

fn manifest(day: &Day) -> Value {
    let people = day.people();
    let participants: Vec<Value> = people
        .iter()
        .map(|person| json!({ "id": person, "display": person, "account_id": person }))
        .collect();
    let events: Vec<Value> = day.records.iter().map(|record| event(record, day)).collect();
    json!({
        "version": VERSION,
        "participants": participants,
        "conversations": [{
            "id": day.conversation,
            "display": if day.room { day.conversation.clone() } else { people.join(", ") },
            "platform": "chancery",
            "type": if day.room { "channel" } else { "direct" },
            "participants": people,
        }],
        "events": events,
        "eventcollectionid": day.conversation,
    })
}

/// Each version is an event of its own. What was corrected, reacted to or taken back on the same day says so, too.
fn event(record: &Record, day: &Day) -> Value {
    let bare = |jid: &str| jid.split('/').next().unwrap_or_default().to_owned();
    let custom = |name: &str, value: String| json!({ "name": name, "value": value });
    let mut notes =
        vec![custom("Sequence", record.sequence.to_string()), custom("Sender", record.from.clone())];
    notes.extend(record.id.as_ref().filter(|id| !id.is_empty()).map(|id| custom("Message id", id.clone())));
    notes.extend(record.note().map(|note| custom("Change", note)));
    let mut event = json!({
        "id": record.sequence.to_string(),
        "type": match record.kind { Kind::Message | Kind::Correction => "message", _ => "unknown" },
        "body": record.body.clone().or_else(|| record.note()).unwrap_or_default(),
        "participant": bare(&record.from),
        "conversation": day.conversation,
        "timestamp": record.time,
    });
    let (mut edits, mut reactions, mut deleted) = (Vec::new(), Vec::new(), false);
    for later in day.records.iter().filter(|later| changes(later, record)) {
        match later.kind {
            Kind::Correction => edits.push(json!({
                "participant": bare(&later.from),
                "timestamp": later.time,
                "previous": record.body.clone().unwrap_or_default(),
                "new": later.body.clone().unwrap_or_default(),
            })),
            Kind::Reaction => {
                let said = later.changes.iter().flat_map(|changes| &changes.reactions);
                reactions.extend(said.map(|reaction| {
                    let value: String = reaction.chars().take(30).collect();
                    json!({ "value": value, "count": 1, "participants": [bare(&later.from)] })
                }));
            }
            Kind::Retraction => deleted = true,
            Kind::Message | Kind::Happening => {}
        }
    }
    if !edits.is_empty() {
        event["edits"] = edits.into();
    }
    if !reactions.is_empty() {
        event["reactions"] = reactions.into();
    }
    if deleted {
        event["deleted"] = true.into();
    }
    let files: Vec<Value> = record
        .attachments
        .iter()
        .filter(|file| !file.erased)
        .map(|file| json!({ "id": file_name(record, file), "display": file.name, "size": file.size }))
        .collect();
    if !files.is_empty() {
        event["attachments"] = files.into();
    }
    let erased = record.attachments.iter().filter(|file| file.erased);
    notes.extend(erased.map(|file| custom("Erased file", file.url.clone())));
    event["custom"] = notes.into();
    event
}

/// Whether an event changes another one of the same conversation.
fn changes(later: &Record, record: &Record) -> bool {
    let Some(changes) = &later.changes else { return false };
    let named = |id: &Option<String>| id.as_deref().is_some_and(|id| !id.is_empty() && id == changes.id);
    let same_sender = || later.from.split('/').next() == record.from.split('/').next();
    later.sequence > record.sequence
        && (named(&record.archive_id)
            || (named(&record.id) && (later.kind == Kind::Reaction || same_sender())))
}
