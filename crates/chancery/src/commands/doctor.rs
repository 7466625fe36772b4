//! `chancery doctor`: looks for trouble before it finds people.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use server::admin::{Client, Finding, Request, State, no_progress};
use server::config::{Config, KeySource, Sources};

use crate::failure::Failure;
use crate::folder::{self, Absent};
use crate::link::Link;
use crate::output::{Output, text};

pub(crate) async fn run(quick: bool, sources: &Sources, output: &Output) -> Result<ExitCode, Failure> {
    let findings = if quick { vec![server(sources).await?.0] } else { examine(sources, output).await };
    let rows = json!(findings);
    output.rows(&rows, &["check", "state", "finding"], |finding| {
        vec![text(finding, "check"), text(finding, "state"), text(finding, "message")]
    });
    let broken = |finding: &Finding| finding.state == State::Fault || (quick && finding.state != State::Ok);
    Ok(if findings.iter().any(broken) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether one is running, and if so that it answers.
async fn server(sources: &Sources) -> Result<(Finding, bool), Failure> {
    const CHECK: &str = "server";
    let config = Config::load(sources)?;
    Ok(match Client::connect(&config.admin_socket).await? {
        None => (Finding::warning(CHECK, "is not running"), false),
        Some(mut client) => match client.call(&Request::Status, &no_progress()).await {
            Ok(_) => (Finding::ok(CHECK, "is running"), true),
            Err(fault) => (Finding::fault(CHECK, fault.message), true),
        },
    })
}

async fn examine(sources: &Sources, output: &Output) -> Vec<Finding> {
    let config = match Config::load(sources) {
        Ok(config) => config,
        Err(error) => return vec![Finding::fault("configuration", error.to_string())],
    };
    let mut findings = vec![match config.warnings.is_empty() {
        true => Finding::ok("configuration", "makes sense"),
        false => Finding::warning("configuration", config.warnings.join("; ")),
    }];
    let running = match server(sources).await {
        Ok((finding, running)) => {
            findings.push(finding);
            running
        }
        Err(failure) => {
            findings.push(Finding::fault("server", failure.message()));
            false
        }
    };
    findings.push(data(&config));
    findings.push(key(&config));
    if !running {
        findings.push(listeners(&config));
    }
    match folder::is_absent_or_empty(&config.data) {
        Ok(true) => {}
        Err(failure) => findings.push(Finding::fault("data folder", failure.message())),
        Ok(false) => match inside(config, output).await {
            Ok(more) => findings.extend(more),
            Err(failure) => findings.push(Finding::fault("opening the data", failure.message())),
        },
    }
    findings
}

/// What only whoever has the data open can see.
async fn inside(config: Config, output: &Output) -> Result<Vec<Finding>, Failure> {
    let mut link = Link::with_config(config, Absent::Refuse, output).await?;
    let answer = link.call(Request::Doctor, no_progress()).await;
    link.close().await;
    serde_json::from_value(answer?).map_err(|error| Failure::refused(error.to_string()))
}

fn data(config: &Config) -> Finding {
    const CHECK: &str = "data folder";
    let place = config.data.display();
    match mode(&config.data) {
        None => Finding::ok(CHECK, format!("{place} is not there yet; the first start makes it")),
        Some(mode) if mode & 0o077 != 0 => {
            Finding::warning(CHECK, format!("others can look into {place}: run chmod 700 on it"))
        }
        Some(_) => Finding::ok(CHECK, format!("{place} is private")),
    }
}

fn key(config: &Config) -> Finding {
    const CHECK: &str = "master key";
    match &config.key {
        KeySource::Command(_) => Finding::ok(CHECK, "comes from a command"),
        KeySource::Environment => Finding::ok(CHECK, "comes from the environment"),
        KeySource::File(file) => match mode(file) {
            None if folder::is_absent_or_empty(&config.data).unwrap_or(false) => {
                Finding::ok(CHECK, format!("{} is not there yet; the first start makes it", file.display()))
            }
            None => Finding::fault(
                CHECK,
                format!("{} is missing; write it anew with `chancery keys restore`", file.display()),
            ),
            Some(mode) if mode & 0o077 != 0 => {
                Finding::fault(CHECK, format!("others can read {}: run chmod 600 on it", file.display()))
            }
            Some(_) => Finding::ok(CHECK, format!("{} is private", file.display())),
        },
    }
}

/// Whether the addresses are free. Only while no server has them.
fn listeners(config: &Config) -> Finding {
    const CHECK: &str = "addresses";
    let taken: Vec<String> = config
        .listen
        .all()
        .filter_map(|(key, address)| {
            let error = TcpListener::bind(address).err()?;
            Some(format!("{key} cannot have {address}: {error}"))
        })
        .collect();
    match taken.is_empty() {
        true => Finding::ok(CHECK, "are free"),
        false => Finding::fault(CHECK, taken.join("; ")),
    }
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode())
}
