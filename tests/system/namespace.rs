//! A place of its own for the server: its own mounts, and if wanted its own network.
//!
//! A holder process keeps the namespaces; what runs in them is started through `nsenter`. Nothing has a name outside of
//! them, so tests cannot meet, and the kernel takes everything away when the last process in them ends.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Stdio,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// Namespaces that live as long as this value and the processes started in them.
pub(crate) struct Namespace {
    holder: Child,
    network: bool,
}

impl Namespace {
    /// New mounts, and with `network` a new loopback on which every port is free.
    /// `preparation` is a shell script that runs inside as root, `$1` is `folder`.
    pub(crate) async fn new(network: bool, folder: &Path, preparation: &str) -> Self {
        let mut command = Command::new("unshare");
        command.arg("--mount");
        let loopback = if network {
            command.arg("--net");
            "ip link set lo up\n"
        } else {
            ""
        };
        // `read` ends when this process closes the pipe, so the holder cannot outlive the test.
        let script = format!(
            "set -e\nPATH=$PATH:/usr/sbin:/sbin\n{loopback}{preparation}\necho ready\nread wait || true\n"
        );
        let mut holder = command
            .args(["sh", "-c", &script, "namespace"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("unshare is missing: run tests/install.sh");
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap();
        assert_eq!(line.as_deref(), Some("ready"), "could not make namespaces: these tests need root");
        Self { holder, network }
    }

    /// A command that will run inside, in `folder`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg("--target").arg(self.holder.id().expect("the holder runs").to_string()).arg("--mount");
        if self.network {
            command.arg("--net");
        }
        let mut working = OsString::from("--wdns=");
        working.push(folder);
        command.arg(working).arg("--").arg(program);
        command
    }

    /// Runs a shell script inside, which must succeed.
    pub(crate) async fn run(&self, script: &str, arguments: &[&Path]) {
        let script = format!("set -e\nPATH=$PATH:/usr/sbin:/sbin\n{script}");
        let output = self
            .command("sh", Path::new("/"))
            .args(["-c", &script, "namespace"])
            .args(arguments)
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
