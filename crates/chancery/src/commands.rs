//! What the commands do. Each file is one word of the command line.

pub(crate) mod archive;
pub(crate) mod backup;
pub(crate) mod doctor;
pub(crate) mod file;
pub(crate) mod keys;
pub(crate) mod serve;
pub(crate) mod user;

use std::process::ExitCode;

use serde_json::{Value, json};
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
        let line = |name: &String| match name.as_str() {
            "certificate" => format!("{name}: until {}", text(&status[name], "not_after")),
            _ => format!("{name}: {}", text(status, name)),
        };
        fields.map(|(name, _)| line(name)).collect::<Vec<_>>().join("\n")
    });
    Ok(ExitCode::SUCCESS)
}

/// What a SIGHUP does, with an answer.
pub(crate) async fn reload(sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let config = Config::load(sources)?;
    let Some(mut client) = Client::connect(&config.admin_socket).await? else {
        return Err(Failure::refused("no server is running on this data folder"));
    };
    let answer = client.call(&Request::Reload, &no_progress()).await?;
    output.value(&answer, |answer| match answer["restart_needed"].as_array().map(Vec::as_slice) {
        None | Some([]) => "read again".to_owned(),
        Some(keys) => {
            let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
            format!("read again; these changes need a restart: {}", keys.join(", "))
        }
    });
    Ok(ExitCode::SUCCESS)
}
