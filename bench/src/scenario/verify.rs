//! How fast a large archive is verified and exported, and in how much memory.
//!
//! The archive is filled through its own crate, since signing in a million times measures something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use archive::export::{Choice, Destination, Form, NoAttachments, Order, verify_export};
use archive::{Archive, Conversation, Draft, Entry, Options, Selection};
use clap::Args;
use jid::{BareJid, Jid};
use tokio::sync::Semaphore;
use vault::{MasterKey, Vault};

use super::MIB;
use crate::fault::{Fault, Result};
use crate::report::Outcome;

/// How large the archive is.
#[derive(Args, Clone, Debug)]
pub(crate) struct Plan {
    /// Messages in the archive
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) messages: usize,
    /// People who write them
    #[arg(long, default_value_t = 1000)]
    pub(crate) people: usize,
    /// Where the data goes while it is measured [default: the folder for temporary files]
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Verify only
    #[arg(long)]
    pub(crate) no_export: bool,
}

/// Messages under way while the archive is filled.
const WINDOW: usize = 1000;

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let folder = match &plan.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(|error| Fault::Usage(format!("a folder for the data: {error}")))?;
    let failed = |error: String| Fault::Usage(error);
    let vault = Vault::open(&folder.path().join("data"), MasterKey::from_bytes([7; 32])).await;
    let vault = vault.map_err(|error| failed(error.to_string()))?;
    let window = Arc::new(Semaphore::new(WINDOW));
    let back = Arc::clone(&window);
    let archive = Archive::<()>::start(vault.clone(), Options::default(), move |_| back.add_permits(1)).await;
    let archive = archive.map_err(|error| failed(error.to_string()))?;
    let mut outcome = Outcome::new("verify", false, "chancery");

    let began = Instant::now();
    for number in 0..plan.messages {
        if let Ok(permit) = window.acquire().await {
            permit.forget();
        }
        archive.submit(Entry { item: (), event: draft(number, plan.people) }).await;
    }
    if let Ok(permits) = window.acquire_many(WINDOW as u32).await {
        permits.forget();
    }
    let _ = archive.checkpoint().await;
    outcome.add("stored", plan.messages as f64 / began.elapsed().as_secs_f64(), "/s");

    let key = archive.public_key();
    for name in ["verified", "verified again"] {
        let began = Instant::now();
        let report = archive::verify(&**vault.store(), &key, None, |_| {}).await;
        let report = report.map_err(|error| failed(error.to_string()))?;
        if !report.is_whole() {
            return Err(failed(format!("the archive is not whole: {:?}", report.faults.first())));
        }
        outcome.add(name, report.events as f64 / began.elapsed().as_secs_f64(), "/s");
    }
    outcome.add("memory before exports", resident(), "MiB");
    let forms: &[Form] = if plan.no_export { &[] } else { &Form::ALL };
    let mut outcomes = vec![outcome];
    for form in forms {
        outcomes.push(export(&archive, *form, folder.path(), &key).await.map_err(failed)?);
    }
    archive.shutdown().await;
    vault.close().await;
    Ok(outcomes)
}

async fn export(archive: &Archive<()>, form: Form, folder: &Path, key: &[u8; 32]) -> Result<Outcome, String> {
    let mut outcome = Outcome::new("export", false, form.name());
    let path = folder.join("export.zip");
    let in_words = |error: std::io::Error| error.to_string();
    let mut file = tokio::fs::File::create(&path).await.map_err(in_words)?;
    let order = Order {
        title: "bench".into(),
        form,
        selection: Selection { happenings: true, ..Selection::default() },
        question: None,
        by: "bench".into(),
        matter: None,
        choose: &|_| Choice::Take,
        attachments: &NoAttachments,
        progress: &|_, _| {},
    };
    let began = Instant::now();
    let manifest = archive.export(order, Destination::Zip(&mut file)).await;
    let manifest = manifest.map_err(|error| error.to_string())?;
    let events = manifest.counts.events as f64;
    file.sync_all().await.map_err(in_words)?;
    outcome.add("exported", events / began.elapsed().as_secs_f64(), "/s");
    outcome.add("memory", resident(), "MiB");
    outcome.add("size", file.metadata().await.map_err(in_words)?.len() as f64 / MIB, "MiB");
    let began = Instant::now();
    let report = verify_export(&path, key, |_, _| {}).map_err(|error| error.to_string())?;
    if !report.is_whole() {
        return Err(format!("the export is not whole: {:?}", report.faults.first()));
    }
    outcome.add("verified", events / began.elapsed().as_secs_f64(), "/s");
    Ok(outcome)
}

/// What this process has in memory now.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok());
    kib.unwrap_or_default() / 1024.0
}

/// About as long as what people say.
fn draft(number: usize, people: usize) -> Option<Draft> {
    let (one, other) = (number % people, (number * 7 + 1) % people);
    let person = |number: usize| BareJid::new(&format!("person{number}@bench.example")).ok();
    let (from, to) = (person(one)?, person(other)?);
    let words = "the quick brown fox jumps over the lazy dog ".repeat(1 + number % 4);
    let stanza = format!(
        "<message xmlns='jabber:client' from='{from}/a' to='{to}' type='chat' id='m{number}'><body>{words}{number}</body></message>"
    );
    Some(Draft {
        owners: [from.clone(), to.clone()].into_iter().collect(),
        conversation: Conversation::between(&from, &to),
        from: Jid::new(&format!("{from}/a")).ok()?,
        to: to.into(),
        stanza: stanza.into(),
        text: None,
        id: None,
        about: None,
        writes: Vec::new(),
        spool: None,
        ledger: Default::default(),
        through: None,
    })
}
