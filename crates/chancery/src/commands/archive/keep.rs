//! `chancery archive matter`, `hold`, `retain`, `erase`: what must stay, and what must go.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;
use server::admin::{Ask, Keep, Progress, check_certificate, no_progress, parse_key};
use server::config::Sources;
use server::office::{MatterBrief, PolicyRule};

use crate::cli::{Brief, Hold, Matter, Retain, Step, Who};
use crate::commands::user::confirm;
use crate::failure::Failure;
use crate::link::ask_office;
use crate::output::{Output, text};

async fn ask(
    who: &Who,
    keep: Keep,
    progress: Progress,
    sources: &Sources,
    output: &Output,
) -> Result<Value, Failure> {
    ask_office(who, Ask::Keep(keep), progress, sources, output).await
}

pub(crate) async fn matter(command: Matter, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let decide = |step: Step, granted| {
        let Step { id, note, who } = step;
        (who, Keep::DecideMatter { id, granted, note })
    };
    let close = |step: Step, closed| {
        let Step { id, note, who } = step;
        (who, Keep::CloseMatter { id, closed, note })
    };
    let (who, keep) = match command {
        Matter::List { who } => {
            let all = ask(&who, Keep::Matters, no_progress(), sources, output).await?;
            output.rows(&all, &["id", "state", "name", "opened by", "at"], |matter| {
                ["id", "state", "name", "opened_by", "opened_at"].map(|field| text(matter, field)).to_vec()
            });
            return Ok(ExitCode::SUCCESS);
        }
        Matter::Open { brief, who } => (who, Keep::OpenMatter { brief: read_brief(brief) }),
        Matter::Change { id, brief, who } => {
            (who, Keep::ChangeMatter { id, version: None, brief: read_brief(brief) })
        }
        Matter::Show { id, who } => (who, Keep::Matter { id }),
        Matter::Approve(step) => decide(step, true),
        Matter::Refuse(step) => decide(step, false),
        Matter::Close(step) => close(step, true),
        Matter::Reopen(step) => close(step, false),
    };
    let matter = ask(&who, keep, no_progress(), sources, output).await?;
    output.value(&matter, |matter| {
        let list = |field: &str| {
            let names = matter[field].as_array().into_iter().flatten().filter_map(Value::as_str);
            names.collect::<Vec<_>>().join(", ")
        };
        let mut lines = vec![
            format!("{}: {} ({})", text(matter, "id"), text(matter, "name"), text(matter, "state")),
            format!("reason: {}", text(matter, "reason")),
        ];
        for field in ["custodians", "rooms", "readers"] {
            lines.push(format!("{field}: {}", list(field)));
        }
        for field in ["question", "start", "end"] {
            let value = text(matter, field);
            if !value.is_empty() {
                lines.push(format!("{field}: {value}"));
            }
        }
        for change in matter["history"].as_array().into_iter().flatten() {
            let note = text(change, "note");
            let note = if note.is_empty() { note } else { format!(": {note}") };
            lines.push(format!(
                "{} {} {}{note}",
                text(change, "at"),
                text(change, "by"),
                text(change, "step")
            ));
        }
        lines.join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

fn read_brief(brief: Brief) -> MatterBrief {
    let Brief { name, reason, custodian, room, question, start, end, reader, approvals } = brief;
    MatterBrief {
        name,
        reason,
        custodians: custodian,
        rooms: room,
        question,
        start,
        end,
        readers: reader,
        approvals,
    }
}

pub(crate) async fn hold(command: Hold, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    match command {
        Hold::List { who } => {
            let all = ask(&who, Keep::Holds, no_progress(), sources, output).await?;
            output.rows(&all, &["id", "matter", "events", "placed by", "at", "released"], |hold| {
                ["id", "matter", "events", "placed_by", "placed_at", "released_at"]
                    .map(|field| text(hold, field))
                    .to_vec()
            });
        }
        Hold::Place { matter, who } => {
            let bar = output.progress("holding");
            let hold = ask(&who, Keep::PlaceHold { matter }, bar.progress(), sources, output).await;
            drop(bar);
            output.value(&hold?, |hold| {
                format!(
                    "{}: holds {} events, and what is still to be said",
                    text(hold, "id"),
                    text(hold, "events")
                )
            });
        }
        Hold::Release(Step { id, note, who }) => {
            let hold = ask(&who, Keep::ReleaseHold { id, note }, no_progress(), sources, output).await?;
            output
                .value(&hold, |hold| format!("{}: released. Nothing was deleted by that", text(hold, "id")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn policies(
    command: Retain,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (who, keep) = match command {
        Retain::List { who } => (who, Keep::Policies),
        Retain::Set { subject, min, max, reason, who } => {
            let rule = PolicyRule { subject, minimum: min, maximum: max, reason };
            (who, Keep::SetPolicy { rule })
        }
    };
    let all = ask(&who, keep, no_progress(), sources, output).await?;
    output.rows(&all, &["subject", "minimum", "maximum", "reason", "by"], |policy| {
        ["subject", "minimum", "maximum", "reason", "by"].map(|field| text(policy, field)).to_vec()
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn retain(
    who: &Who,
    dry_run: bool,
    yes: bool,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    if !dry_run && !yes && !confirm("Erase for good what the policies do not let stay?")? {
        return Err(Failure::refused("nothing was erased; --dry-run shows what would be"));
    }
    let bar = output.progress(if dry_run { "looking" } else { "erasing" });
    let answer = ask(who, Keep::Retain { dry_run }, bar.progress(), sources, output).await;
    drop(bar);
    show(&answer?, dry_run, output);
    Ok(ExitCode::SUCCESS)
}

/// Whose words are to go.
pub(crate) struct Order {
    pub(crate) person: String,
    pub(crate) reason: String,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) yes: bool,
}

pub(crate) async fn erase(
    who: &Who,
    order: Order,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Order { person, reason, certificate, dry_run, yes } = order;
    if !dry_run && !yes && !confirm(&format!("Erase for good all that {person} said?"))? {
        return Err(Failure::refused("nothing was erased; --dry-run shows what would be"));
    }
    let bar = output.progress(if dry_run { "looking" } else { "erasing" });
    let keep = Keep::Erase { person, reason, dry_run };
    let answer = ask(who, keep, bar.progress(), sources, output).await;
    drop(bar);
    let answer = answer?;
    if let Some(file) = certificate.filter(|_| !dry_run) {
        let text = format!("{:#}\n", answer["certificate"]);
        std::fs::write(&file, text).map_err(Failure::from_io(&file.display().to_string()))?;
    }
    show(&answer, dry_run, output);
    Ok(ExitCode::SUCCESS)
}

/// What goes and what stays.
fn show(answer: &Value, dry_run: bool, output: &Output) {
    output.value(answer, |answer| {
        let mut lines = Vec::new();
        for line in answer["lines"].as_array().into_iter().flatten() {
            let policy = text(line, "policy");
            let why = if policy.is_empty() { policy } else { format!(" by {policy}") };
            lines.push(format!(
                "  {}: {} events{why}, from {} to {}",
                text(line, "conversation"),
                text(line, "events"),
                text(line, "oldest"),
                text(line, "newest")
            ));
        }
        for kept in answer["kept"].as_array().into_iter().flatten() {
            let why = match text(kept, "hold") {
                matter if !matter.is_empty() => format!("held for matter {matter}"),
                _ => format!("must be kept by the policy about {}", text(kept, "minimum")),
            };
            lines.push(format!("  {} events stay: {why}", text(kept, "events")));
        }
        let (events, files) = (text(answer, "events"), text(answer, "files"));
        lines.push(match dry_run {
            true => format!("{events} events and {files} files would go"),
            false => format!("{}: {events} events and {files} files are erased", text(answer, "id")),
        });
        lines.join("\n")
    });
}

pub(crate) async fn erasures(who: &Who, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let all = ask(who, Keep::Erasures, no_progress(), sources, output).await?;
    output.rows(&all, &["id", "asked", "subject", "events", "files", "stage", "reason"], |erasure| {
        ["id", "asked", "subject", "events", "files", "stage", "reason"]
            .map(|field| text(erasure, field))
            .to_vec()
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn certificate(file: &Path, public_key: &str, output: &Output) -> Result<ExitCode, Failure> {
    let key = parse_key(public_key).map_err(|fault| Failure::Usage(fault.message))?;
    let json = std::fs::read(file).map_err(Failure::from_io(&file.display().to_string()))?;
    let certificate = check_certificate(&json, &key).map_err(|error| Failure::refused(error.to_string()))?;
    output.value(&certificate, |certificate| {
        let erased = &certificate["erased"];
        format!(
            "genuine: {} events and {} files were erased, {} keys destroyed",
            text(erased, "events"),
            text(erased, "files"),
            text(erased, "keys")
        )
    });
    Ok(ExitCode::SUCCESS)
}
