//! `chancery backup` and `chancery restore`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use server::admin::{Client, Request, no_progress};
use server::config::{Config, Sources};

use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::link::ask;
use crate::output::{Output, text};

pub(crate) async fn backup(
    to: &Path,
    keys: Option<&Path>,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    // The server has another working directory.
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(Failure::from_io(&path.display().to_string()));
    let (to, keys) = (absolute(to)?, keys.map(absolute).transpose()?);
    let answer = ask(Request::Backup { to, keys }, no_progress(), Absent::Refuse, sources, output).await?;
    output.value(&answer, |answer| {
        format!(
            "{}: {} bytes. The keys that open it are in {}, for all backups there: keep that file where you keep them, but \
             copy it nowhere that an erasure should not reach. Keep the master key or its recovery phrase elsewhere: without \
             it the backup cannot be read.",
            text(answer, "to"),
            text(answer, "bytes"),
            text(answer, "keys")
        )
    });
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn restore(
    from: &Path,
    keys: Option<&Path>,
    sources: &Sources,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let config = Config::load(sources)?;
    if Client::connect(&config.admin_socket).await?.is_some() {
        return Err(Failure::refused("a server is running on this data folder; stop it first"));
    }
    if !folder::is_absent_or_empty(&config.data)? {
        return Err(Failure::refused(format!(
            "{} is not empty; move it away first, or name another folder with --data",
            config.data.display()
        )));
    }
    vault::restore(from, keys, &config.data).await.map_err(|error| Failure::refused(error.to_string()))?;
    let opened = match folder::master_key(&config.key).await? {
        None => false,
        Some(_) => {
            folder::open(&config, Absent::Refuse).await?.vault.close().await;
            true
        }
    };
    output.value(&json!({ "data": config.data, "opened": opened }), |_| match opened {
        true => format!("{}: restored, and the master key opens it", config.data.display()),
        false => format!(
            "{}: restored. Now put its master key in place, for instance with `chancery keys restore`",
            config.data.display()
        ),
    });
    Ok(ExitCode::SUCCESS)
}
