//! What is asked of the office at the operator's door, by whom, and the way there.
//!
//! Whoever holds the machine is not an auditor by that: what needs a person's right takes that person's password or token.

use std::path::{Path, PathBuf};

use archive::Deed;
use archive::export::{Destination, Form};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::review::{self, ReviewAsk};
use super::{Keep, Progress, keep};
use crate::office::{Actor, AuditQuery, Credentials, ExportView, ExportWish, Office, Parcel, Refusal};
use crate::office::{Plea, SearchOrder, SearchQuery};

/// Who asks.
///
/// No `Debug`: it holds secrets.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(tag = "caller", rename_all = "kebab-case")]
pub enum Caller {
    /// Nobody but the account of the system.
    #[default]
    Console,
    /// A person, with their password.
    Person {
        /// `name` (in the main domain) or `name@domain`.
        user: String,
        /// Their password.
        password: String,
        /// Their second factor.
        #[serde(default)]
        code: Option<String>,
    },
    /// A token for programs.
    Token {
        /// The token.
        token: String,
    },
}

/// What is asked. A subject adds its requests here and carries them out in [`carry_out`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Ask {
    /// Read the audit chain: `{items: [{number, time, by, deed, matter, details, follows}], next, broken}`.
    Audit {
        /// Only those of this person.
        #[serde(default)]
        by: Option<String>,
        /// Only those under this matter.
        #[serde(default)]
        matter: Option<String>,
        /// Only of this kind.
        #[serde(default)]
        deed: Option<Deed>,
        /// Only from before the entry of this number.
        #[serde(default)]
        before: Option<u64>,
        /// At most so many.
        limit: usize,
    },
    /// Something of supervision.
    Review(ReviewAsk),
    /// Export what a matter covers: `{matter, events, attachments, left_out, list_sha256, public_key}`.
    Export {
        /// The matter.
        matter: String,
        /// How events are written.
        form: Form,
        /// What it is called.
        #[serde(default)]
        title: Option<String>,
        /// The file to be made, an absolute path.
        to: PathBuf,
    },
    /// About matters, holds, retention and erasure.
    Keep(Keep),
    /// Search: what [`SearchPage`](crate::office::SearchPage) holds.
    Search {
        /// The question.
        question: String,
        /// Under this matter.
        #[serde(default)]
        matter: Option<String>,
        /// Without a matter, for this reason.
        #[serde(default)]
        break_glass: Option<String>,
        /// What comes first.
        #[serde(default)]
        order: SearchOrder,
        /// Where the page before ended.
        #[serde(default)]
        cursor: Option<String>,
        /// At most so many hits.
        limit: usize,
        /// So many messages before and after each.
        #[serde(default)]
        context: usize,
    },
}

impl Ask {
    /// The request's name, which is fit for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Audit { .. } => "audit",
            Self::Review(_) => "review",
            Self::Export { .. } => "export",
            Self::Keep(keep) => keep.name(),
            Self::Search { .. } => "search",
        }
    }
}

/// Who asks, as far as they can prove it. `account` is the operating system's word for who sits at the console.
pub(super) async fn authenticate(office: &Office, caller: Caller, account: &str) -> Result<Actor, Refusal> {
    match caller {
        Caller::Console => Ok(office.operator(account)),
        Caller::Person { user, password, code } => {
            let (password, code) = (Zeroizing::new(password), code.map(Zeroizing::new));
            office.for_one_command(&Credentials { user, password, code }).await
        }
        Caller::Token { token } => office.redeem_token(&Zeroizing::new(token)).await,
    }
}

/// Does what is asked.
pub(super) async fn carry_out(
    office: &Office,
    actor: &Actor,
    ask: Ask,
    progress: Progress,
) -> Result<Value, Refusal> {
    match ask {
        Ask::Audit { by, matter, deed, before, limit } => {
            let query = AuditQuery { by, matter, deed, before, limit };
            Ok(json!(office.audit(actor, &query).await?))
        }
        Ask::Review(ask) => review::carry_out(office, actor, ask, progress).await,
        Ask::Export { matter, form, title, to } => {
            let parcel = office.export(actor, ExportWish { matter, form, title }).await?;
            Ok(json!(write(parcel, &to, progress).await?))
        }
        Ask::Keep(keep) => keep::carry_out(office, actor, keep, progress).await,
        Ask::Search { question, matter, break_glass, order, cursor, limit, context } => {
            let plea = match (matter, break_glass) {
                (None, None) => None,
                (matter, emergency) => Some(Plea::read(matter, emergency)?),
            };
            let query = SearchQuery { question, plea, order, cursor, limit, lines: context };
            Ok(json!(office.search(actor, &query).await?))
        }
    }
}

/// Writes an export into a new file that nobody else reads. One that fails leaves no file.
async fn write(parcel: Parcel, to: &Path, progress: Progress) -> Result<ExportView, Refusal> {
    let refused = |error: std::io::Error| Refusal::Conflict(format!("{}: {error}", to.display()));
    if !to.is_absolute() {
        return Err(Refusal::invalid("/to", "the path of the file must be absolute"));
    }
    let mut options = tokio::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(to).await.map_err(refused)?;
    let written = async {
        let view = parcel.write(Destination::Zip(&mut file), progress).await?;
        file.sync_all().await.map_err(refused)?;
        Ok(view)
    };
    let written = written.await;
    if written.is_err() {
        let _ = tokio::fs::remove_file(to).await;
    }
    written
}
