//! What the commands do. Each file is one word of the command line.

pub(crate) mod archive;
pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod keys;
pub(crate) mod serve;
pub(crate) mod user;

use std::process::ExitCode;

use serde_json::json;
use server::admin::{Client, Request, no_progress};
use server::config::{Config, Sources};

use crate::failure::Failure;
use crate::output::{Output, text};

/// How the running server is. Nobody there is exit code 1.
pub(crate) async fn status(sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(sources)?;
    let Some(mut client) = Client::connect(&config.admin_socket).await? else {
        output.value(&json!({ "running": false }), |_| "no server is running on this data folder".into());
        return Ok(ExitCode::FAILURE);
    };
    let status = client.call(&Request::Status, &no_progress()).await?;
    output.value(&status, |status| {
        let fields = status.as_object().into_iter().flatten();
        fields.map(|(name, _)| format!("{name}: {}", text(status, name))).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}
