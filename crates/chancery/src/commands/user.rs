//! `chancery user`: people.

mod import;

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;
use server::admin::{Request, no_progress};
use server::config::Sources;
use server::directory::Profile;

use crate::cli::User;
use crate::failure::Failure;
use crate::folder::Absent;
use crate::link::ask;
use crate::output::{Output, text};
use crate::password::new_password;

pub(crate) async fn run(command: User, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let mut absent = Absent::Refuse;
    let (request, done) = match command {
        User::Import { file, dry_run } => return import::run(&file, dry_run, sources, output).await,
        User::List => return list(sources, output).await,
        User::Invite { name, display_name, groups, days } => {
            let request = Request::UserInvite { user: name, display_name, groups, days };
            return invite(request, sources, output).await;
        }
        User::Add { name, password, role, display_name, group, email, phone, title } => {
            absent = Absent::Make;
            let password = new_password(password.password_stdin)?.to_string();
            let profile = Profile { name: display_name, groups: group, email, phone, title };
            (Request::UserAdd { user: name, password, role, profile }, "made")
        }
        User::Passwd { name, password } => {
            let password = new_password(password.password_stdin)?.to_string();
            (Request::UserPassword { user: name, password }, "has a new password")
        }
        User::Role { name, role } => (Request::UserRole { user: name, role }, "has a new role"),
        User::TotpReset { name } => {
            (Request::UserFactorReset { user: name }, "signs in by password alone until they set up another")
        }
        User::Disable { name } => (Request::UserEnable { user: name, enabled: false }, "is kept out"),
        User::Enable { name } => (Request::UserEnable { user: name, enabled: true }, "may sign in"),
        User::Remove { name, yes } => {
            if !yes && !confirm(&format!("Remove {name}?"))? {
                return Err(Failure::refused("nothing was removed"));
            }
            (Request::UserRemove { user: name }, "")
        }
    };
    let answer = ask(request, no_progress(), absent, sources, output).await?;
    output.value(&answer, |answer| match answer.get("removed") {
        Some(_) => format!("{}: removed; what it wrote stays in the archive", text(answer, "removed")),
        None => format!("{}: {done}", text(answer, "address")),
    });
    Ok(ExitCode::SUCCESS)
}

async fn invite(request: Request, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let link = ask(request, no_progress(), Absent::Refuse, sources, output).await?;
    output.value(&link, |link| {
        let first = if link["page"].is_string() { text(link, "page") } else { text(link, "uri") };
        format!("{first}\nfor clients: {}\ngood once, until {}", text(link, "uri"), text(link, "expires"))
    });
    Ok(ExitCode::SUCCESS)
}

async fn list(sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let people = ask(Request::UserList, no_progress(), Absent::Refuse, sources, output).await?;
    output.rows(&people, &["address", "name", "role", "state", "groups", "made"], |person| {
        let state = if person["enabled"] == Value::Bool(true) { "enabled" } else { "disabled" };
        vec![
            text(person, "address"),
            text(person, "name"),
            text(person, "role"),
            state.into(),
            text(person, "groups"),
            text(person, "created"),
        ]
    });
    Ok(ExitCode::SUCCESS)
}

/// Asks a person at a terminal. A script has said what it wants by calling.
pub(super) fn confirm(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    let io = |error| Failure::refused(format!("cannot ask: {error}"));
    eprint!("{question} [y/N] ");
    std::io::stderr().flush().map_err(io)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(io)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
