//! A folder with a configuration, and the server in it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Ports that the system chooses, so that tests can run side by side.
const LISTEN: &str = "[listen]\nxmpp = [\"127.0.0.1:0\"]\nxmpp_tls = [\"127.0.0.1:0\"]\ns2s = []\n\
                      http = [\"127.0.0.1:0\"]\ncomponent = []\n";

pub(crate) struct House {
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// How a command ended and what it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// What it printed, after it went well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.ok();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }

    /// What it complained about, after it was refused.
    #[track_caller]
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }
}

impl House {
    pub(crate) fn new() -> Self {
        let house = Self { folder: TempDir::new().unwrap(), environment: Vec::new() };
        house.configure("");
        house
    }

    pub(crate) fn environment(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// Writes the configuration; `more` begins with a section of its own.
    pub(crate) fn configure(&self, more: &str) {
        std::fs::write(self.path("chancery.toml"), format!("{LISTEN}{more}")).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CHANCERY_")) {
            command.env_remove(name);
        }
        command.env_remove("JOURNAL_STREAM").envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command without input.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// Runs a command that reads `input`.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads nothing may have ended already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Makes an account, and the data folder with it.
    #[track_caller]
    pub(crate) fn user(&self, name: &str) {
        self.run_with(&["user", "add", name, "--password-stdin"], "correct horse\n").ok();
    }

    /// Starts the server and waits until it is ready.
    #[track_caller]
    pub(crate) fn serve(&self) -> Serving<'_> {
        let mut command = self.command(&["serve"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut banner = String::new();
        while !banner.contains("chancery: ready") {
            if lines.read_line(&mut banner).unwrap() == 0 {
                let mut log = String::new();
                child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
                panic!("the server ended before it was ready: {banner}{log}");
            }
        }
        Serving { house: self, child, banner }
    }

    /// Every byte below the data folder.
    pub(crate) fn bytes_at_rest(&self) -> Vec<u8> {
        let (mut bytes, mut folders) = (Vec::new(), vec![self.data()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    bytes.extend(std::fs::read(path).unwrap());
                }
            }
        }
        bytes
    }
}

/// A running server. Dropped, it is killed.
pub(crate) struct Serving<'a> {
    house: &'a House,
    child: Child,
    /// What it printed until it was ready.
    pub(crate) banner: String,
}

impl Serving<'_> {
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// Ends it by a signal; gives back how it ended and what it logged.
    pub(crate) fn end(mut self, signal: &str) -> (ExitStatus, String) {
        self.signal(signal);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }

    /// The next line of the log that contains `words`.
    pub(crate) fn wait_for_log(&mut self, words: &str) -> String {
        // Byte by byte, so that nothing is read ahead and lost.
        let stderr = self.child.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            assert_eq!(stderr.read(&mut byte).unwrap(), 1, "the log ended without {words:?}");
            if byte[0] != b'\n' {
                line.push(byte[0]);
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
            if text.contains(words) {
                return text;
            }
        }
    }

    pub(crate) fn status(&self) -> Value {
        self.house.run(&["status", "--json"]).json()
    }

    /// The answer to a web request, head and body.
    pub(crate) fn get(&self, path: &str) -> String {
        let address = self.status()["http"][0].as_str().unwrap().to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}
