//! What is asked of supervision at the operator's door.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Progress;
use crate::office::{Actor, Office, QueueQuery, Refusal, ReviewDecision, Trial};

/// What is asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "review", rename_all = "kebab-case")]
pub enum ReviewAsk {
    /// The rules in force: `{version, source, by, at}`.
    Rules,
    /// Put rules in force: the same.
    SetRules {
        /// The document.
        source: String,
        /// The version that it replaces; absent: whichever there is.
        #[serde(default)]
        version: Option<u64>,
    },
    /// Try rules on the past: `{messages, taken, rules: [{id, messages, examples}], filed}`.
    Try(Trial),
    /// The queue: `{items, next}`.
    List(QueueQuery),
    /// One item with the words: `{id, version, time, from, to, state, causes, decisions, text, erased}`.
    Show {
        /// Which.
        id: String,
    },
    /// Decide: the item without the words.
    Decide {
        /// Which.
        id: String,
        /// What.
        decision: ReviewDecision,
    },
    /// The evidence: the report, or `{text}` in another format.
    Report {
        /// From this date on.
        #[serde(default)]
        from: Option<String>,
        /// Until this date.
        #[serde(default)]
        to: Option<String>,
        /// `json`, `csv` or `html`.
        #[serde(default)]
        format: Option<String>,
    },
}

/// Does what is asked.
pub(super) async fn carry_out(
    office: &Office,
    actor: &Actor,
    ask: ReviewAsk,
    progress: Progress,
) -> Result<Value, Refusal> {
    Ok(match ask {
        ReviewAsk::Rules => json!(office.review_rules(actor).await?),
        ReviewAsk::SetRules { source, version } => {
            let version = match version {
                Some(version) => version,
                None => office.review_rules(actor).await?.version,
            };
            json!(office.set_review_rules(actor, &source, version).await?)
        }
        ReviewAsk::Try(trial) => {
            json!(office.try_review_rules(actor, &trial, &|done, total| progress(done, total)).await?)
        }
        ReviewAsk::List(query) => json!(office.review_queue(actor, &query).await?),
        ReviewAsk::Show { id } => json!(office.review_item(actor, &id).await?),
        ReviewAsk::Decide { id, decision } => json!(office.decide_review(actor, &id, &decision).await?),
        ReviewAsk::Report { from, to, format } => {
            let report = office.review_report(actor, &from, &to).await?;
            match format.as_deref() {
                Some("csv") => json!({ "text": report.csv()? }),
                Some("html") => json!({ "text": report.html() }),
                _ => json!(report),
            }
        }
    })
}
