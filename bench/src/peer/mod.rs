//! The servers that are measured: how each is configured, filled with accounts, started and stopped.

mod chancery;
mod ejabberd;
mod prosody;

use std::fmt;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::account::Account;
use crate::client::{Client, Endpoint};
use crate::fault::{Context, Fault, Result};
use crate::process::Tree;
use crate::scram::KeyCache;
use crate::tls;

/// Every server here serves this one domain.
pub(crate) const DOMAIN: &str = "localhost";

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(20);

/// Where a server that can do without keeps its message archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archive {
    Off,
    /// The store that the server uses unless told otherwise.
    Default,
    Sqlite,
}

/// A server under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Relay,
    Chancery,
    Prosody(Archive),
    Ejabberd(Archive),
}

impl Peer {
    pub(crate) const ALL: [Peer; 8] = [
        Peer::Relay,
        Peer::Chancery,
        Peer::Prosody(Archive::Default),
        Peer::Prosody(Archive::Sqlite),
        Peer::Prosody(Archive::Off),
        Peer::Ejabberd(Archive::Default),
        Peer::Ejabberd(Archive::Sqlite),
        Peer::Ejabberd(Archive::Off),
    ];

    /// The program that has to be there.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Peer::Relay | Peer::Chancery => None,
            Peer::Prosody(_) => Some("prosody"),
            Peer::Ejabberd(_) => Some("ejabberdctl"),
        }
    }

    /// What a reader needs to know about the archive in this row.
    pub(crate) fn archive(self) -> &'static str {
        match self {
            Peer::Relay => "none",
            Peer::Chancery => "sealed, chained, fsynced, indexed",
            Peer::Prosody(Archive::Default) => "files, no fsync",
            Peer::Ejabberd(Archive::Default) => "Mnesia, no fsync",
            Peer::Prosody(Archive::Sqlite) | Peer::Ejabberd(Archive::Sqlite) => "SQLite, fsync",
            Peer::Prosody(Archive::Off) | Peer::Ejabberd(Archive::Off) => "off",
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, archive) = match self {
            Peer::Relay => ("relay", Archive::Default),
            Peer::Chancery => ("chancery", Archive::Default),
            Peer::Prosody(archive) => ("prosody", *archive),
            Peer::Ejabberd(archive) => ("ejabberd", *archive),
        };
        let suffix = match archive {
            Archive::Default => "",
            Archive::Sqlite => "-sqlite",
            Archive::Off => "-off",
        };
        write!(out, "{name}{suffix}")
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Peer, String> {
        Peer::ALL.into_iter().find(|peer| peer.to_string() == name).ok_or_else(|| {
            let names: Vec<String> = Peer::ALL.iter().map(Peer::to_string).collect();
            format!("the servers are {}", names.join(", "))
        })
    }
}

/// What a scenario runs against.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) plain: Option<Endpoint>,
    pub(crate) tls: Option<Endpoint>,
    /// Absent when the server's process is not known; its costs are not reported then.
    pub(crate) tree: Option<Tree>,
}

impl Target {
    pub(crate) fn endpoint(&self, tls: bool) -> Result<&Endpoint> {
        let (endpoint, kind) = if tls { (&self.tls, "TLS") } else { (&self.plain, "plain TCP") };
        endpoint.as_ref().ok_or_else(|| Fault::Usage(format!("{} has no {kind} listener here", self.name)))
    }
}

/// A server's folder, configuration and accounts. Outlives its processes; the folder goes with it.
pub(crate) struct Site {
    pub(crate) peer: Peer,
    folder: TempDir,
    ports: Ports,
    chancery: PathBuf,
    keys: Arc<KeyCache>,
    accounts: usize,
}

/// Free loopback ports, as many as the greediest server has listeners.
struct Ports {
    plain: u16,
    tls: u16,
    http: u16,
    s2s: u16,
    component: u16,
}

impl Site {
    /// Lays out a new folder. `chancery` is the binary to use for Chancery; with `teams` its people have their team in
    /// their rosters.
    pub(crate) fn create(peer: Peer, chancery: &Path, teams: bool) -> Result<Site> {
        let folder =
            tempfile::Builder::new().prefix("chancery-bench-").tempdir().during("making a folder")?;
        let ports = Ports {
            plain: free_port()?,
            tls: free_port()?,
            http: free_port()?,
            s2s: free_port()?,
            component: free_port()?,
        };
        let site = Site {
            peer,
            folder,
            ports,
            chancery: chancery.to_owned(),
            keys: Arc::new(KeyCache::default()),
            accounts: 0,
        };
        site.write_certificate()?;
        match peer {
            Peer::Relay => {}
            Peer::Chancery => chancery::configure(&site, teams)?,
            Peer::Prosody(archive) => prosody::configure(&site, archive)?,
            Peer::Ejabberd(archive) => ejabberd::configure(&site, archive)?,
        }
        Ok(site)
    }

    /// Starts the server with at least this many accounts and waits until it answers.
    pub(crate) async fn start(&mut self, accounts: usize) -> Result<Running> {
        if self.peer == Peer::Chancery && accounts > self.accounts {
            chancery::import(self, accounts).await?;
            self.accounts = accounts;
        }
        let mut running = self.spawn().await?;
        if self.accounts < accounts && self.peer != Peer::Relay {
            let endpoint = running.target.endpoint(false)?.clone();
            register(&endpoint, self.accounts..accounts).await?;
            self.accounts = accounts;
            // What registering left on the heap is not part of any measurement.
            running.stop().await?;
            running = self.spawn().await?;
        }
        Ok(running)
    }

    async fn spawn(&self) -> Result<Running> {
        let mut command = match self.peer {
            Peer::Relay => {
                let me = std::env::current_exe().during("finding this program")?;
                let mut command = Command::new(me);
                command.arg("relay").arg("--listen").arg(loopback(self.ports.plain).to_string());
                command
            }
            Peer::Chancery => chancery::command(self),
            Peer::Prosody(_) => prosody::command(self),
            Peer::Ejabberd(_) => ejabberd::command(self),
        };
        let log = File::create(self.path("output.log")).during("making the log file")?;
        let errors = log.try_clone().during("making the log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors))
            .kill_on_drop(true)
            .spawn()
            .during(format!("starting {}", self.peer))?;
        let tree = child.id().map(Tree::new);

        let plain = Endpoint {
            address: loopback(self.ports.plain),
            tls: None,
            domain: Arc::from(DOMAIN),
            keys: Arc::clone(&self.keys),
        };
        let tls = match self.peer {
            Peer::Relay => None,
            _ => Some(Endpoint {
                address: loopback(self.ports.tls),
                tls: Some(tls::connector()?),
                ..plain.clone()
            }),
        };
        let target = Target { name: self.peer.to_string(), plain: Some(plain), tls, tree };
        let mut running = Running { child, target };
        self.until_ready(&mut running).await?;
        Ok(running)
    }

    /// Ready is when every listener greets a client with stream features.
    async fn until_ready(&self, running: &mut Running) -> Result<()> {
        let deadline = Instant::now() + START;
        let endpoints: Vec<Endpoint> =
            [&running.target.plain, &running.target.tls].into_iter().flatten().cloned().collect();
        for endpoint in endpoints {
            loop {
                if let Ok(Some(status)) = running.child.try_wait() {
                    return Err(self.trouble(format!("it ended with {status} instead of starting")));
                }
                let up = TcpStream::connect(endpoint.address).await.is_ok();
                if up && let Ok(mut client) = Client::connect(&endpoint).await {
                    match client.open(&endpoint).await {
                        Ok(_) => {
                            client.close().await?;
                            break;
                        }
                        Err(error) if Instant::now() > deadline => {
                            return Err(self.trouble(error.to_string()));
                        }
                        Err(_) => {}
                    }
                }
                if Instant::now() > deadline {
                    return Err(self.trouble("it did not listen in time".to_owned()));
                }
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.path(name), text).during(format!("writing {name}"))
    }

    /// All servers get the same kind of key (ECDSA P-256), so that the TLS rows compare servers and not ciphers.
    fn write_certificate(&self) -> Result<()> {
        let made = || -> Result<(String, String), rcgen::Error> {
            let key = rcgen::KeyPair::generate()?;
            let mut params = rcgen::CertificateParams::new(vec![DOMAIN.to_owned()])?;
            // ejabberd sets a timer for the last day and cannot count as far as the default.
            params.not_after = rcgen::date_time_ymd(2049, 12, 31);
            Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
        };
        let (certificate, key) = made().map_err(|error| self.trouble(error.to_string()))?;
        self.write("tls.crt", &certificate)?;
        self.write("tls.key", &key)?;
        self.write("tls.pem", &format!("{certificate}{key}"))
    }

    /// An error with the last of what the server printed.
    fn trouble(&self, what: String) -> Fault {
        let output = std::fs::read_to_string(self.path("output.log")).unwrap_or_default();
        let lines: Vec<&str> = output.lines().rev().take(15).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        Fault::Peer { server: self.peer.to_string(), trouble: format!("{what}\n{}", tail.join("\n")) }
    }
}

/// A server that is up. Dropping it kills the process.
pub(crate) struct Running {
    child: Child,
    pub(crate) target: Target,
}

impl Running {
    /// Asks the server to end, and ends it if it does not.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::TERM);
        }
        if timeout(STOP, self.child.wait()).await.is_err() {
            self.child.kill().await.during("killing the server")?;
        }
        Ok(())
    }
}

/// Registers the accounts with these numbers in band, a few at a time.
pub(crate) async fn register(endpoint: &Endpoint, numbers: std::ops::Range<usize>) -> Result<()> {
    const AT_ONCE: usize = 8;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..AT_ONCE {
        let (endpoint, numbers) = (endpoint.clone(), numbers.clone());
        tasks.spawn(async move {
            for number in numbers.skip(worker).step_by(AT_ONCE) {
                Client::register(&endpoint, &Account::numbered(number)).await?;
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| Fault::Io { what: "registering".to_owned(), source: error.into() })??;
    }
    Ok(())
}

/// The binary to measure as Chancery: the one that was named, else the one that was built beside this program.
pub(crate) fn chancery_binary(named: Option<&Path>) -> Result<PathBuf> {
    match named {
        Some(path) => Ok(path.to_owned()),
        None => Ok(std::env::current_exe().during("finding this program")?.with_file_name("chancery")),
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that nobody listens on, below the range that outgoing connections draw from: the scenarios open thousands.
fn free_port() -> Result<u16> {
    const FIRST: u16 = 15_000;
    const SPAN: u16 = 15_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = (std::process::id() % u32::from(SPAN)) as u16;
    for _ in 0..SPAN {
        let port = FIRST + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % SPAN;
        if TcpListener::bind(loopback(port)).is_ok() {
            return Ok(port);
        }
    }
    Err(Fault::Usage("no free loopback port".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_is_found_by_its_name() {
        for peer in Peer::ALL {
            assert_eq!(peer.to_string().parse(), Ok(peer));
        }
        assert!("postfix".parse::<Peer>().is_err());
    }
}
