//! `chancery archive export` and `chancery archive verify --export`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use archive::export::{Form, verify_export};
use serde_json::{Value, json};
use server::admin::{Ask, parse_key};
use server::config::Sources;

use crate::cli::Who;
use crate::failure::Failure;
use crate::link::ask_office;
use crate::output::{Output, text};

/// What to export, and where to.
pub(crate) struct Wish {
    pub(crate) matter: String,
    pub(crate) form: String,
    pub(crate) title: Option<String>,
    pub(crate) to: PathBuf,
}

/// Has an export made.
pub(crate) async fn make(
    who: &Who,
    wish: Wish,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Wish { matter, form, title, to } = wish;
    let forms = || Form::ALL.map(Form::name).join(", ");
    let form =
        Form::named(&form).ok_or_else(|| Failure::Usage(format!("the format is one of {}", forms())))?;
    let to = std::path::absolute(&to).map_err(|error| Failure::refused(error.to_string()))?;
    let bar = output.progress("exporting");
    let answer =
        ask_office(who, Ask::Export { matter, form, title, to: to.clone() }, bar.progress(), sources, output)
            .await;
    drop(bar);
    output.value(&answer?, |done| {
        let left_out = done["left_out"].as_object().into_iter().flatten();
        let left_out: String = left_out.map(|(why, count)| format!(", {count} {why}")).collect();
        format!(
            "{}: {} events, {} files{left_out}\nverify it with: chancery archive verify --export {} --public-key {}",
            to.display(),
            text(done, "events"),
            text(done, "attachments"),
            to.display(),
            text(done, "public_key")
        )
    });
    Ok(ExitCode::SUCCESS)
}

/// Verifies an export with the public key alone: no data folder is looked for.
pub(crate) async fn verify(path: &Path, key: &str, output: &Output) -> Result<ExitCode, Failure> {
    let key = parse_key(key).map_err(|fault| Failure::Usage(fault.message))?;
    let bar = output.progress("verifying");
    let (progress, path) = (bar.progress(), path.to_owned());
    let check = move || verify_export(&path, &key, |done, total| progress(done, total));
    let report = tokio::task::spawn_blocking(check).await;
    drop(bar);
    let report = report.map_err(|error| Failure::refused(error.to_string()))?;
    let report = report.map_err(|error| Failure::refused(error.to_string()))?;
    let intact = report.is_whole();
    let shown = json!({
        "intact": intact,
        "events": report.manifest.as_ref().map(|manifest| manifest.counts.events),
        "proven": report.proven,
        "unplaced": report.unplaced,
        "files": report.files,
        "rewritten": report.rewritten,
        "checkpoint": report.checkpoint,
        "left_out": report.manifest.as_ref().map(|manifest| &manifest.counts.left_out),
        "title": report.manifest.as_ref().map(|manifest| &manifest.header.title),
        "made": report.manifest.as_ref().map(|manifest| &manifest.header.made),
        "faults": report.faults,
    });
    output.value(&shown, |shown| summary(shown, intact));
    Ok(if intact { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(shown: &Value, intact: bool) -> String {
    if !intact {
        let faults = shown["faults"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let lines = std::iter::once("NOT INTACT".to_owned()).chain(faults.map(|fault| format!("  {fault}")));
        return lines.collect::<Vec<_>>().join("\n");
    }
    let mut lines = vec![format!(
        "intact: {}, made {}: {} events, all as the archive holds them",
        text(shown, "title"),
        text(shown, "made"),
        text(shown, "events")
    )];
    if shown["unplaced"] != 0 {
        lines.push(format!("{} of them are placed by the signature alone", text(shown, "unplaced")));
    }
    if let Some(left_out) = shown["left_out"].as_object().filter(|left_out| !left_out.is_empty()) {
        let left_out = left_out.iter().map(|(why, count)| format!("{count} {why}"));
        lines.push(format!("left out: {}", left_out.collect::<Vec<_>>().join(", ")));
    }
    if let Some(hash) = shown["checkpoint"]["hash"].as_str() {
        lines.push(format!(
            "the signed chain stood at event {} with {hash}",
            text(&shown["checkpoint"], "sequence")
        ));
    }
    lines.join("\n")
}
