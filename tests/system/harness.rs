//! Starts and stops the real server.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::watch,
    time::timeout,
};

use crate::namespace::Namespace;

/// How long anything that ought to happen may take before the test says that it did not.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The domain of every test server.
pub(crate) const DOMAIN: &str = "corp.example";

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) xmpp: u16,
    pub(crate) xmpp_tls: u16,
    pub(crate) http: u16,
    s2s: u16,
    component: u16,
}

impl Ports {
    /// Ports that nobody else in this test run gets. They lie below the range that the kernel hands to outgoing
    /// connections, so a port that is free now stays free until the server binds it again after a restart.
    fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = 10_000 + (std::process::id() % 180) as u16 * 100;
        let one = || loop {
            let port = 10_000 + (first - 10_000 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return port;
            }
        };
        Self { xmpp: one(), xmpp_tls: one(), http: one(), s2s: one(), component: one() }
    }

    const STANDARD: Self = Self { xmpp: 5222, xmpp_tls: 5223, http: 5280, s2s: 5269, component: 5347 };
}

/// What a test wants of its server.
#[derive(Default)]
pub(crate) struct Wish {
    insecure: bool,
    toml: String,
    standard_ports: bool,
    preparation: Option<String>,
    environment: Vec<(String, String)>,
}

impl Wish {
    /// Lets clients sign in without TLS, and as often as they like, so that a test can speak plain bytes.
    pub(crate) fn plain() -> Self {
        Self { insecure: true, ..Self::default() }
    }

    /// More lines of TOML, after all else, so they must begin with a table of their own.
    pub(crate) fn toml(mut self, lines: &str) -> Self {
        self.toml.push_str(lines);
        self
    }

    /// The standard ports in a network of its own, where the domain resolves to loopback and nothing else resolves.
    pub(crate) fn standard_ports(mut self) -> Self {
        self.standard_ports = true;
        self
    }

    /// A shell script that prepares the server's folder (`$1`) in a mount namespace of its own.
    pub(crate) fn mounted(mut self, script: &str) -> Self {
        self.preparation = Some(script.to_owned());
        self
    }

    /// A variable in the server's environment.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The folder, the configuration and the namespaces: everything but the start.
    pub(crate) async fn prepare(self) -> Server {
        let folder = TempDir::with_prefix("chancery-test-").unwrap();
        let ports = if self.standard_ports { Ports::STANDARD } else { Ports::free() };
        let mut toml = format!(
            "domain = \"{DOMAIN}\"\n[listen]\nxmpp = [\"127.0.0.1:{}\"]\nxmpp_tls = [\"127.0.0.1:{}\"]\ns2s = [\"127.0.0.1:{}\"]\n\
             http = [\"127.0.0.1:{}\"]\ncomponent = [\"127.0.0.1:{}\"]\n",
            ports.xmpp, ports.xmpp_tls, ports.s2s, ports.http, ports.component
        );
        if self.insecure {
            toml.push_str("[development]\ninsecure_login = true\n");
        }
        if !self.toml.contains("[limits]") {
            toml.push_str("[limits]\nlogins_per_minute = 0\n");
        }
        toml.push_str(&self.toml);
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        std::fs::write(folder.path().join("chancery.toml"), toml).unwrap();

        let namespace = if self.standard_ports {
            std::fs::write(folder.path().join("hosts"), format!("127.0.0.1 localhost {DOMAIN}\n")).unwrap();
            // Nothing listens there, so every question is refused at once instead of timing out.
            std::fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.1\n").unwrap();
            let script =
                "mount --bind \"$1/hosts\" /etc/hosts\nmount --bind \"$1/resolv.conf\" /etc/resolv.conf\n";
            let script = format!("{script}{}", self.preparation.unwrap_or_default());
            Some(Namespace::new(true, folder.path(), &script).await)
        } else if let Some(script) = self.preparation {
            Some(Namespace::new(false, folder.path(), &script).await)
        } else {
            None
        };
        Server { folder, ports, namespace, environment: self.environment, process: None, log: Log::default() }
    }
}

/// The lines that the server wrote, of all its runs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn line(&self, line: &str) {
        let mut log = self.0.lock().unwrap();
        let _ = writeln!(log, "{line}");
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

/// A server with its folder. Dropped, it is killed and its folder removed.
pub(crate) struct Server {
    folder: TempDir,
    ports: Ports,
    namespace: Option<Namespace>,
    environment: Vec<(String, String)>,
    process: Option<Child>,
    log: Log,
}

impl Server {
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// The folder of everything: configuration, `disk/`, and what a test puts there.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What holds the data folder and the key beside it.
    pub(crate) fn disk(&self) -> PathBuf {
        self.folder().join("disk")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        self.namespace.as_ref().expect("this server has no namespace")
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// The process, to look at. To end it there are [`Self::stop`] and [`Self::kill`].
    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().and_then(Child::id).expect("the server is not running")
    }

    /// Any program, in the server's namespace if it has one.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_in(program, self.folder())
    }

    /// Any program, in `folder`, in the server's namespace if it has one.
    pub(crate) fn command_in(&self, program: impl AsRef<OsStr>, folder: &Path) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => namespace.command(program, folder),
            None => Command::new(program),
        };
        command.stdin(Stdio::null()).current_dir(folder).kill_on_drop(true);
        command
    }

    /// Starts the server and waits until it says that it is ready.
    pub(crate) async fn start(&mut self) {
        self.spawn();
        self.ready().await;
    }

    /// Starts the server and kills it after a while, ready or not.
    pub(crate) async fn start_and_kill(&mut self, after: Duration) {
        self.spawn();
        tokio::time::sleep(after).await;
        self.kill().await;
    }

    fn spawn(&mut self) {
        assert!(self.process.is_none(), "the server runs already");
        let mut command = self.chancery(&["serve"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.process = Some(command.spawn().unwrap());
    }

    async fn ready(&mut self) {
        let process = self.process.as_mut().unwrap();
        let (announce, mut announced) = watch::channel(false);
        let announce = Arc::new(announce);
        tokio::spawn(follow(process.stdout.take().unwrap(), self.log.clone(), Arc::clone(&announce)));
        tokio::spawn(follow(process.stderr.take().unwrap(), self.log.clone(), announce));
        // The watch ends when both streams have: then the server has ended too.
        let ready = timeout(PATIENCE, announced.wait_for(|ready| *ready)).await;
        assert!(matches!(ready, Ok(Ok(_))), "the server did not become ready");
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().expect("the server is not running");
        let pid = process.id().expect("the server ended by itself").to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let status = timeout(PATIENCE, process.wait()).await.expect("the server ignored SIGTERM").unwrap();
        assert!(status.success(), "after SIGTERM the server ended with {status}");
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(&mut self) {
        let mut process = self.process.take().expect("the server is not running");
        assert!(process.try_wait().unwrap().is_none(), "the server had ended before it was killed");
        process.kill().await.unwrap();
    }

    /// Fails when the server has ended.
    pub(crate) fn assert_running(&mut self) {
        let process = self.process.as_mut().expect("the server is not running");
        let status = process.try_wait().unwrap();
        assert!(status.is_none(), "the server ended: {}", status.unwrap());
    }

    /// `chancery ARGUMENTS` on this server's configuration and folder.
    pub(crate) fn chancery(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(binary());
        command
            .args(arguments)
            .arg("--config")
            .arg(self.folder().join("chancery.toml"))
            .arg("--data")
            .arg(self.data());
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Makes an account.
    pub(crate) async fn user(&self, name: &str, password: &str) {
        let output = run(&mut self.chancery(&["user", "add", name, "--password-stdin"]), password).await;
        assert!(output.status.success(), "user add {name}: {}", output.text);
    }

    /// The answer of `chancery archive verify --json`, which must be that all is well.
    pub(crate) async fn verify(&self) -> Value {
        let output = run(&mut self.chancery(&["archive", "verify", "--json"]), "").await;
        assert!(output.status.success(), "archive verify: {}", output.text);
        serde_json::from_str(&output.stdout)
            .unwrap_or_else(|error| panic!("archive verify: {error}: {}", output.text))
    }

    /// The server's certificate, as a client would pin it on first use.
    pub(crate) async fn certificate(&self) -> PathBuf {
        let file = self.folder().join("certificate.pem");
        let script =
            "openssl s_client -connect 127.0.0.1:$1 -servername $2 </dev/null | openssl x509 -out $3";
        let mut command = self.command("sh");
        command.args(["-c", script, "certificate", &self.ports.xmpp_tls.to_string(), DOMAIN]).arg(&file);
        let output = run(&mut command, "").await;
        assert!(output.status.success(), "no certificate: {}", output.text);
        file
    }

    /// Makes the server's certificate the only one that programs in its namespace trust, whatever they look at.
    pub(crate) async fn be_trusted(&self) {
        let certificate = self.certificate().await;
        self.namespace().run("mount --bind $1 /etc/ssl/certs/ca-certificates.crt", &[&certificate]).await;
    }

    /// Runs a Python client of `tests/peers` to its end and returns what it printed.
    pub(crate) async fn python(&self, script: &str, arguments: &[&str]) -> String {
        let output = run(self.python_command(script).await.args(arguments), "").await;
        assert!(output.status.success(), "{script} {arguments:?}: {}\n{}", output.status, output.text);
        output.stdout
    }

    /// A Python client of `tests/peers`, to be started by the caller. It finds the server by its environment.
    pub(crate) async fn python_command(&self, script: &str) -> Command {
        let mut command = self.command(peers().join("venv/bin/python"));
        command.arg(scripts().join(script));
        self.describe(&mut command).await;
        command
    }

    /// Tells a client where the server is and whom it may trust.
    pub(crate) async fn describe(&self, command: &mut Command) {
        command
            .env("DOMAIN", DOMAIN)
            .env("XMPP_PORT", self.ports.xmpp.to_string())
            .env("XMPP_TLS_PORT", self.ports.xmpp_tls.to_string())
            .env("HTTP_PORT", self.ports.http.to_string())
            .env("COMPONENT_PORT", self.ports.component.to_string())
            .env("NODE_PEERS", peers().join("node"))
            .env("SSL_CERT_FILE", self.certificate().await)
            .env("PYTHONDONTWRITEBYTECODE", "1");
    }

    /// How many files and sockets the server has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Resident memory of the server, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail = log.char_indices().rev().nth(20_000).map_or(0, |(at, _)| at);
            eprintln!("---- the server's log ----\n{}\n---- end of the server's log ----", &log[tail..]);
        }
    }
}

async fn follow(stream: impl AsyncRead + Unpin, log: Log, announce: Arc<watch::Sender<bool>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        log.line(&line);
        if is_ready(&line) {
            announce.send_replace(true);
        }
    }
}

/// Whether this line says that every listener is open.
fn is_ready(line: &str) -> bool {
    line == "chancery: ready"
}

/// What a program that ended has said.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    /// Both streams, for the message of a failed test.
    pub(crate) text: String,
}

/// Runs a program to its end, within four times [`PATIENCE`].
pub(crate) async fn run(command: &mut Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    tokio::spawn(async move {
        // A program that does not read its input is free not to.
        let _ = stdin.write_all(input.as_bytes()).await;
    });
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let end = timeout(PATIENCE * 4, async {
        tokio::join!(out.read_to_end(&mut stdout), err.read_to_end(&mut stderr), child.wait()).2
    });
    let end = end.await;
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let text = format!("{stdout}{}", String::from_utf8_lossy(&stderr));
    let status = end.unwrap_or_else(|_| panic!("the program did not end, but said\n{text}")).unwrap();
    Said { status, stdout, text }
}

/// The top of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The scripts that drive other people's clients.
pub(crate) fn scripts() -> PathBuf {
    root().join("tests/peers")
}

/// What `tests/install.sh` installed.
pub(crate) fn peers() -> PathBuf {
    let folder = root().join(".peers");
    assert!(folder.join("venv/bin/python").exists(), "the clients are not installed: run tests/install.sh");
    folder
}

/// The server's binary, which lies beside the folder of this test's own.
fn binary() -> PathBuf {
    let path = std::env::var_os("TEST_BINARY").map(PathBuf::from).unwrap_or_else(|| {
        let own = std::env::current_exe().unwrap();
        own.parent().and_then(Path::parent).unwrap().join("chancery")
    });
    assert!(path.exists(), "{} is missing: run `cargo build -p chancery` or `make test`", path.display());
    path
}
