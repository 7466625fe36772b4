//! What the numbers were measured on.

use std::fs;
use std::process::Command;

use serde::Serialize;

use crate::peer::Peer;

/// The machine and the servers' versions.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) servers: Vec<String>,
}

pub(crate) fn describe(peers: &[Peer]) -> Machine {
    let field = |path: &str, name: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.split_once(':').map(|(_, value)| value.trim().to_owned()))
            .unwrap_or_default()
    };
    let memory = field("/proc/meminfo", "MemTotal");
    let kib: f64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0.0);
    let mut servers: Vec<String> = Vec::new();
    for package in ["prosody", "ejabberd"] {
        if peers.iter().any(|peer| peer.to_string().starts_with(package)) {
            servers.extend(version(package).map(|version| format!("{package} {version}")));
        }
    }
    Machine {
        processor: field("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_gib: kib / 1024.0 / 1024.0,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        servers,
    }
}

/// The version of a Debian package, when it is one.
fn version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
