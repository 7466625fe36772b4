//! `chancery file`: what people uploaded.

use std::process::ExitCode;

use server::admin::{Request, no_progress};
use server::config::Sources;

use super::user::confirm;
use crate::cli::File;
use crate::failure::Failure;
use crate::folder::Absent;
use crate::link::ask;
use crate::output::{Output, text};

pub(crate) async fn run(command: File, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let File::Erase { url, yes } = command;
    if !yes && !confirm("Destroy the content of this file for good?")? {
        return Err(Failure::refused("nothing was erased"));
    }
    let answer = ask(Request::FileErase { url }, no_progress(), Absent::Refuse, sources, output).await?;
    output.value(&answer, |answer| format!("{}: erased", text(answer, "erased")));
    Ok(ExitCode::SUCCESS)
}
