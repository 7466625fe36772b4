//! `chancery archive`: is every word still there, and who read what?

mod audit;
mod review;

use std::process::ExitCode;

use serde_json::Value;
use server::admin::{Client, Progress, Request, no_progress, parse_key, verify_store};
use server::config::{Config, Sources};
use vault::Store;

use crate::cli::Archive;
use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::link::ask;
use crate::output::{Output, text};

pub(crate) async fn run(command: Archive, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Archive::Verify { public_key } => {
            let bar = output.progress("verifying");
            let report = match public_key {
                None => {
                    let request = Request::ArchiveVerify { public_key: None };
                    ask(request, bar.progress(), Absent::Refuse, sources, output).await
                }
                Some(key) => verify_as_outsider(&key, bar.progress(), sources).await,
            };
            drop(bar);
            let report = report?;
            let intact = report["intact"] == Value::Bool(true);
            output.value(&report, |report| summary(report, intact));
            Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Archive::Key => {
            let key = ask(Request::ArchiveKey, no_progress(), Absent::Refuse, sources, output).await?;
            output.value(&key, |key| text(key, "public_key"));
            Ok(ExitCode::SUCCESS)
        }
        Archive::Audit { who, by, matter, limit } => {
            audit::run(&who, audit::Filter { by, matter, limit }, sources, output).await
        }
        Archive::Review { who, command } => review::run(&who, command, sources, output).await,
    }
}

/// With the public key alone: no master key is asked for, and none would help.
async fn verify_as_outsider(key: &str, progress: Progress, sources: &Sources) -> Result<Value, Failure> {
    let key = parse_key(key).map_err(|fault| Failure::Usage(fault.message))?;
    let config = Config::load(sources)?;
    if Client::connect(&config.admin_socket).await?.is_some() {
        return Err(Failure::refused(
            "a server is running on this data folder; verify a backup of it instead, with --data",
        ));
    }
    if folder::is_absent_or_empty(&config.data)? {
        return Err(Failure::refused(format!("there is no data in {}", config.data.display())));
    }
    let refused = |error: vault::StoreError| Failure::refused(format!("{}: {error}", config.data.display()));
    let store = vault::sqlite::open(&config.data, Default::default()).await.map_err(refused)?;
    let report = verify_store(&store, &key, progress).await;
    store.close().await;
    Ok(report?)
}

fn summary(report: &Value, intact: bool) -> String {
    let mut lines = Vec::new();
    if intact {
        lines.push(format!(
            "intact: {} events, {} checkpoints, {} events not signed yet",
            text(report, "events"),
            text(report, "checkpoints"),
            text(report, "unsigned")
        ));
    } else {
        lines.push("NOT INTACT".to_owned());
        let faults = report["faults"].as_array().into_iter().flatten().filter_map(Value::as_str);
        lines.extend(faults.map(|fault| format!("  {fault}")));
    }
    if let Some(hash) = report["head"]["hash"].as_str() {
        lines.push(format!("the chain ends at event {} with {hash}", text(&report["head"], "sequence")));
    }
    lines.join("\n")
}
