//! `chancery archive review`: supervision from a terminal.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use server::admin::{Ask, ReviewAsk, no_progress};
use server::config::Sources;
use server::office::{QueueQuery, ReviewDecision, Step, Trial};

use crate::cli::{Review, Who};
use crate::failure::Failure;
use crate::link::ask_office;
use crate::output::{Output, text};

pub(crate) async fn run(
    who: &Who,
    command: Review,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let ask = async |ask: ReviewAsk| ask_office(who, Ask::Review(ask), no_progress(), sources, output).await;
    match command {
        Review::List { state, rule, mine, month, limit } => {
            let state = state.map(|state| parse(&state, "a state is open, assigned, escalated or closed"));
            let query = QueueQuery { state: state.transpose()?, rule, mine, month, after: None, limit };
            let page = ask(ReviewAsk::List(query)).await?;
            let headings = ["id", "time", "from", "to", "state", "assigned", "why"];
            output.rows(&json!(page["items"]), &headings, |item| {
                let mut row: Vec<String> = headings[..6].iter().map(|field| text(item, field)).collect();
                row.push(causes(item).join(" "));
                row
            });
        }
        Review::Show { id } => {
            let item = ask(ReviewAsk::Show { id }).await?;
            output.value(&item, show);
        }
        Review::Rules { set: None } => {
            let rules = ask(ReviewAsk::Rules).await?;
            output.value(&rules, |rules| text(rules, "source"));
        }
        Review::Rules { set: Some(file) } => {
            let source = read(&file)?;
            let rules = ask(ReviewAsk::SetRules { source, version: None }).await?;
            output.value(&rules, |rules| {
                format!("version {} of the rules is in force", text(rules, "version"))
            });
        }
        Review::Try { rules, from, to, file } => {
            let source = rules.as_deref().map(read).transpose()?;
            let bar = output.progress("trying");
            let trial = Ask::Review(ReviewAsk::Try(Trial { source, from, to, file }));
            let found = ask_office(who, trial, bar.progress(), sources, output).await;
            drop(bar);
            output.value(&found?, tried);
        }
        Review::Report { from, to, format } => {
            let report = ask(ReviewAsk::Report { from, to, format: format.clone() }).await?;
            output.value(&report, |report| match format {
                Some(_) => text(report, "text"),
                None => summary(report),
            });
        }
        decision => {
            let (id, decision) = decide(decision)?;
            let item = ask(ReviewAsk::Decide { id, decision }).await?;
            output.value(&item, |item| {
                let assigned =
                    item["assigned"].as_str().map(|who| format!(", with {who}")).unwrap_or_default();
                format!("{} is {}{assigned}", text(item, "id"), text(item, "state"))
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn decide(command: Review) -> Result<(String, ReviewDecision), Failure> {
    let decision =
        |action, comment| ReviewDecision { version: None, action, to: None, outcome: None, comment };
    Ok(match command {
        Review::Assign { id, to } => (id, ReviewDecision { to, ..decision(Step::Assign, String::new()) }),
        Review::Comment { id, comment } => (id, decision(Step::Comment, comment)),
        Review::Escalate { id, to, comment } => {
            (id, ReviewDecision { to, ..decision(Step::Escalate, comment) })
        }
        Review::Close { id, outcome, comment } => {
            let outcome = parse(&outcome, "an outcome is fine, false-alarm or violation")?;
            (id, ReviewDecision { outcome: Some(outcome), ..decision(Step::Close, comment) })
        }
        Review::Reopen { id, comment } => (id, decision(Step::Reopen, comment)),
        _ => return Err(Failure::Usage("this is no decision".to_owned())),
    })
}

/// Reads one of a few words.
fn parse<T: serde::de::DeserializeOwned>(word: &str, known: &str) -> Result<T, Failure> {
    serde_json::from_value(json!(word)).map_err(|_| Failure::Usage(known.to_owned()))
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = match file.as_os_str() == "-" {
        true => {
            let mut source = String::new();
            std::io::stdin().read_to_string(&mut source).map(|_| source)
        }
        false => std::fs::read_to_string(file),
    };
    read.map_err(|error| Failure::refused(format!("{}: {error}", file.display())))
}

fn causes(item: &Value) -> Vec<String> {
    item["causes"].as_array().into_iter().flatten().map(|cause| text(cause, "id")).collect()
}

fn show(item: &Value) -> String {
    let mut lines = vec![
        format!("{}  {} → {}", text(item, "time"), text(item, "from"), text(item, "to")),
        format!("{}, because of {}", text(item, "state"), causes(item).join(", ")),
    ];
    let found = item["causes"].as_array().into_iter().flatten().flat_map(|cause| cause["found"].as_array());
    let said = item["text"].as_str();
    for place in found.flatten() {
        let range = place["start"].as_u64().zip(place["end"].as_u64());
        let part = range.and_then(|(start, end)| said?.get(start as usize..end as usize));
        lines.push(format!("  {}: {}", text(place, "what"), part.unwrap_or("?")));
    }
    lines.push(String::new());
    lines.push(said.unwrap_or("(what was said has been erased)").to_owned());
    for decision in item["decisions"].as_array().into_iter().flatten() {
        let parts =
            ["at", "reviewer", "action", "to", "outcome", "comment"].map(|field| text(decision, field));
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        lines.push(format!("- {}", parts.join("  ")));
    }
    lines.join("\n")
}

fn tried(run: &Value) -> String {
    let mut lines =
        vec![format!("{} of {} messages would be in the queue", text(run, "taken"), text(run, "messages"))];
    for rule in run["rules"].as_array().into_iter().flatten() {
        lines.push(format!("  {}: {}", text(rule, "id"), text(rule, "messages")));
    }
    if run["filed"] != json!(0) {
        lines.push(format!("{} were put there", text(run, "filed")));
    }
    lines.join("\n")
}

fn summary(report: &Value) -> String {
    let line = |name: &str, count: &Value| {
        let [filed, sampled, reviewed, open, violations] =
            ["filed", "sampled", "reviewed", "open", "violations"].map(|field| text(count, field));
        format!(
            "{name}: {filed} filed ({sampled} drawn), {reviewed} reviewed, {open} open, {violations} violations"
        )
    };
    let mut lines = vec![line("all", &report["total"])];
    for rule in report["rules"].as_array().into_iter().flatten() {
        lines.push(format!("  {}", line(&text(rule, "id"), rule)));
    }
    for one in report["reviewers"].as_array().into_iter().flatten() {
        let [who, closed, escalated] = ["reviewer", "closed", "escalated"].map(|field| text(one, field));
        lines.push(format!("{who}: {closed} closed, {escalated} escalated"));
    }
    lines.join("\n")
}
