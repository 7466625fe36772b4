//! `chancery archive`: is every word still there, and who read what?

mod audit;
mod export;
mod keep;
mod review;
mod search;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use server::admin::{Ask, Client, Progress, Request, no_progress, parse_key, verify_store};
use server::config::{Config, Sources};
use server::office::SearchOrder;
use vault::Store;

use crate::cli::Archive;
use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::link::ask;
use crate::output::{Output, text};

pub(crate) async fn run(command: Archive, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Archive::Verify { export: Some(file), public_key, .. } => {
            let key = public_key.ok_or_else(|| Failure::Usage("--export needs --public-key HEX".into()))?;
            export::verify(&file, &key, output).await
        }
        Archive::Verify { public_key, anchors, export: None } => {
            let absolute = |path: PathBuf| std::path::absolute(path);
            let anchors =
                anchors.map(absolute).transpose().map_err(|error| Failure::refused(error.to_string()))?;
            let bar = output.progress("verifying");
            let report = match public_key {
                None => {
                    let request = Request::ArchiveVerify { public_key: None, anchors };
                    ask(request, bar.progress(), Absent::Refuse, sources, output).await
                }
                Some(key) => verify_as_outsider(&key, anchors.as_deref(), bar.progress(), sources).await,
            };
            drop(bar);
            let report = report?;
            let intact = report["intact"] == Value::Bool(true);
            output.value(&report, |report| summary(report, intact));
            Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Archive::Anchor => {
            let done = ask(Request::ArchiveAnchor, no_progress(), Absent::Refuse, sources, output).await?;
            let kept = done["kept"].as_array().into_iter().flatten();
            let failed = kept.clone().any(|kept| !kept["fault"].is_null());
            output.value(&done, |done| {
                let lines = kept.clone().map(|kept| match &kept["fault"] {
                    Value::Null => format!("kept at {}", text(kept, "to")),
                    fault => format!("NOT kept at {}: {fault}", text(kept, "to")),
                });
                let anchor = (!done["anchor"].is_null()).then(|| done["anchor"].to_string());
                lines.chain(anchor).collect::<Vec<_>>().join("\n")
            });
            Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Archive::Key => {
            let key = ask(Request::ArchiveKey, no_progress(), Absent::Refuse, sources, output).await?;
            output.value(&key, |key| text(key, "public_key"));
            Ok(ExitCode::SUCCESS)
        }
        Archive::Matter(command) => keep::matter(command, sources, output).await,
        Archive::Hold(command) => keep::hold(command, sources, output).await,
        Archive::Retain { command: Some(command), .. } => keep::policies(command, sources, output).await,
        Archive::Retain { command: None, who, dry_run, yes } => {
            keep::retain(&who, dry_run, yes, sources, output).await
        }
        Archive::Erase { person, reason, certificate, who, dry_run, yes } => {
            let order = keep::Order { person, reason, certificate, dry_run, yes };
            keep::erase(&who, order, sources, output).await
        }
        Archive::Erasures { who } => keep::erasures(&who, sources, output).await,
        Archive::Certificate { file, public_key } => keep::certificate(&file, &public_key, output),
        Archive::Search { who, question, matter, break_glass, best, oldest, context, limit, cursor } => {
            let order = match (best, oldest) {
                (true, _) => SearchOrder::Best,
                (_, true) => SearchOrder::Oldest,
                _ => SearchOrder::Newest,
            };
            let ask = Ask::Search { question, matter, break_glass, order, cursor, limit, context };
            search::run(&who, ask, sources, output).await
        }
        Archive::Audit { who, by, matter, limit } => {
            audit::run(&who, audit::Filter { by, matter, limit }, sources, output).await
        }
        Archive::Review { who, command } => review::run(&who, command, sources, output).await,
        Archive::Export { who, matter, form, title, to } => {
            export::make(&who, export::Wish { matter, form, title, to }, sources, output).await
        }
    }
}

/// With the public key alone: no master key is asked for, and none would help.
async fn verify_as_outsider(
    key: &str,
    anchors: Option<&Path>,
    progress: Progress,
    sources: &Sources,
) -> Result<Value, Failure> {
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
    let report = verify_store(&store, &key, anchors, progress).await;
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
