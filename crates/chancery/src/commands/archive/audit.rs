//! `chancery archive audit`: who read other people's words.

use std::process::ExitCode;

use serde_json::{Value, json};
use server::admin::{Ask, no_progress};
use server::config::Sources;

use crate::cli::Who;
use crate::failure::Failure;
use crate::link::ask_office;
use crate::output::{Output, text};

/// Which entries.
pub(crate) struct Filter {
    pub(crate) by: Option<String>,
    pub(crate) matter: Option<String>,
    pub(crate) limit: usize,
}

/// Entries asked for at a time.
const PAGE: usize = 500;

/// Prints entries, newest first. One that does not follow from the one before it is a fault: exit code 1.
pub(crate) async fn run(
    who: &Who,
    filter: Filter,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let Filter { by, matter, limit } = filter;
    let ask = Ask::Audit { by, matter, deed: None, before: None, limit: limit.min(PAGE) };
    let page = ask_office(who, ask, no_progress(), sources, output).await?;
    let entries = json!(page["items"]);
    output.rows(&entries, &["number", "time", "by", "deed", "matter", "details"], |entry| {
        let details = match &entry["details"] {
            Value::Null => String::new(),
            details => details.to_string(),
        };
        let mut row = ["number", "time", "by", "deed", "matter"].map(|field| text(entry, field)).to_vec();
        row.push(details);
        row
    });
    let broken: Vec<String> =
        page["broken"].as_array().into_iter().flatten().map(|number| number.to_string()).collect();
    if broken.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    output.note(&format!(
        "NOT INTACT: entries {} do not follow from the ones before them; run `chancery archive verify`",
        broken.join(", ")
    ));
    Ok(ExitCode::FAILURE)
}
