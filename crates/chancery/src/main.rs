//! `chancery`: the command line of the server.
//!
//! Commands speak to the running server where there is one, and else open the data folder themselves ([`link`]).
//! Exit codes: 0 it is done and all is well, 1 it was refused or a fault was found, 2 the command makes no sense.

mod cli;
mod commands;
mod failure;
mod folder;
mod link;
mod output;
mod password;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Arguments, Command};
use crate::output::Output;

/// Sessions come and go in great numbers and different sizes; this allocator gives their memory back, so that an idle
/// connection costs what it holds (a third less than with the system's).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("chancery: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments, &output)) {
        Ok(code) => code,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

async fn run(arguments: Arguments, output: &Output) -> Result<ExitCode, failure::Failure> {
    let sources = server::config::Sources::from_process(arguments.config, arguments.data);
    match arguments.command {
        Command::Serve => commands::serve::serve(sources).await,
        Command::Status => commands::status(&sources, output).await,
        Command::Reload => commands::reload(&sources, output).await,
        Command::User(command) => commands::user::run(command, &sources, output).await,
        Command::File(command) => commands::file::run(command, &sources, output).await,
        Command::Archive(command) => commands::archive::run(command, &sources, output).await,
        Command::Keys(command) => commands::keys::run(command, &sources, output).await,
        Command::Backup { folder, keys } => {
            commands::backup::backup(&folder, keys.as_deref(), &sources, output).await
        }
        Command::Restore { folder, keys } => {
            commands::backup::restore(&folder, keys.as_deref(), &sources, output).await
        }
        Command::Doctor { quick } => commands::doctor::run(quick, &sources, output).await,
    }
}
