//! `chancery serve`: runs the server, from the first run to the last signal.

mod first_run;
mod log;

use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt};
use parking_lot::RwLock;
use serde_json::{Value, json};
use server::Server;
use server::admin::{AdminSocket, Fault, Operations, Running};
use server::config::{Config, Sources};
use server::files::EraseError;
use server::metrics::Exporter;
use server::tls::{Certificate, Description, Tls};
use time::format_description::well_known::Rfc3339;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{error, info, warn};
use vault::Vault;

use self::log::Log;
use crate::failure::Failure;
use crate::folder::{self, Absent};

pub(crate) use first_run::about_phrase;

/// How long commands of the admin socket may go on once the server stops.
const COMMANDS: Duration = Duration::from_secs(5);

pub(crate) async fn serve(sources: Sources) -> Result<ExitCode, Failure> {
    let config = Config::load(&sources)?;
    let log = Log::start(&config.log)?;
    for warning in &config.warnings {
        warn!("{warning}");
    }
    raise_file_limit();
    // Before anything is bound, so that a signal that comes early is not lost.
    let mut signals = Signals::listen()?;

    let opened = folder::open(&config, Absent::Make).await?;
    if let Some(phrase) = &opened.new_phrase {
        first_run::tell(&config, &about_phrase(&config, phrase))?;
    }
    let vault = opened.vault;
    let ended = run(config, sources, log, vault.clone(), &mut signals).await;
    vault.close().await;
    ended.map(|()| {
        info!("stopped");
        ExitCode::SUCCESS
    })
}

async fn run(
    config: Config,
    sources: Sources,
    log: Log,
    vault: Vault,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let refused = |error: &dyn std::fmt::Display| Failure::refused(error.to_string());
    let pem = Certificate::choose(&config, &vault).await.map_err(|error| refused(&error))?;
    let tls = Tls::new(&pem).map_err(|error| refused(&error))?;
    let server = Server::start(&config, vault.clone(), tls.clone(), Exporter::install())
        .await
        .map_err(|error| refused(&error))?;
    let server = Arc::new(server);
    // After the addresses are had: a start that fails must not have shown a password in vain.
    first_run::make_admin(&config, server.users()).await?;

    let socket = AdminSocket::bind(&config.admin_socket).map_err(|error| refused(&error))?;
    greet(&config, server.addresses(), &tls.current().description);
    let house = Arc::new(House {
        server: server.clone(),
        sources,
        log,
        vault: vault.clone(),
        config: Arc::new(RwLock::new(Arc::new(config))),
        since: Instant::now(),
    });
    let operations =
        Operations::new(house.config.clone(), vault, server.office().clone(), Some(house.clone()));
    let (stop, stopping) = watch::channel(false);
    let admin = tokio::spawn(socket.serve(Arc::new(operations), stopping));

    line("chancery: ready");
    info!(version = env!("CARGO_PKG_VERSION"), "ready");
    loop {
        match signals.next().await {
            Signal::Reload => {
                // The journal has said why; the server goes on as it was.
                let _ = house.reload_now().await;
            }
            Signal::Stop(name) => {
                info!(signal = name, "stopping");
                break;
            }
        }
    }
    let _ = stop.send(true);
    tokio::select! {
        () = stop_all(server, house, admin) => {}
        name = signals.next_stop() => warn!(signal = name, "stopping at once"),
    }
    Ok(())
}

/// Ends commands, then sessions, then the archive.
async fn stop_all(server: Arc<Server>, house: Arc<House>, mut admin: JoinHandle<()>) {
    if timeout(COMMANDS, &mut admin).await.is_err() {
        admin.abort();
        // Its handles on the server are gone once it has ended.
        let _ = admin.await;
    }
    drop(house);
    match Arc::into_inner(server) {
        Some(server) => server.shutdown().await,
        None => error!("the server is still in use and cannot stop in order"),
    }
}

/// Every connection takes a file, and shells hand out 1,024 where the system allows far more.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "cannot raise the limit of open files");
    }
}

/// A running server with what a reload needs.
struct House {
    server: Arc<Server>,
    sources: Sources,
    log: Log,
    vault: Vault,
    config: Arc<RwLock<Arc<Config>>>,
    since: Instant,
}

impl House {
    /// Reads configuration and certificate again. What is wrong changes nothing.
    async fn reload_now(&self) -> Result<Vec<String>, Fault> {
        match self.try_reload().await {
            Ok(restart) => {
                info!("configuration and certificate are read again");
                if !restart.is_empty() {
                    warn!(keys = restart.join(", "), "these changes need a restart");
                }
                Ok(restart)
            }
            Err(fault) => {
                error!(reason = %fault, "the reload changed nothing");
                Err(fault)
            }
        }
    }

    async fn try_reload(&self) -> Result<Vec<String>, Fault> {
        let new = Config::load(&self.sources).map_err(Fault::failed)?;
        let old = self.config.read().clone();
        let merged = old.with_reloaded(&new);
        let pem = Certificate::choose(&merged, &self.vault).await.map_err(Fault::failed)?;
        self.server.tls().replace(&pem).map_err(Fault::failed)?;
        self.log.set_level(&merged.log.level)?;
        self.server.reconfigure(&merged);
        *self.config.write() = Arc::new(merged);
        Ok(old.needs_restart(&new).into_iter().map(str::to_owned).collect())
    }
}

impl Running for House {
    fn status(&self) -> Value {
        let addresses = self.server.addresses();
        let texts = |addresses: &[SocketAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        let certificate = &self.server.tls().current().description;
        json!({
            "certificate": {
                "sha256": certificate.fingerprint,
                "names": certificate.names,
                "not_after": certificate.not_after.format(&Rfc3339).ok(),
                "self_signed": certificate.self_signed,
            },
            "uptime_seconds": self.since.elapsed().as_secs(),
            "xmpp": texts(&addresses.xmpp),
            "xmpp_tls": texts(&addresses.xmpp_tls),
            "http": texts(&addresses.http),
            "https": texts(&addresses.https),
        })
    }

    fn reload(&self) -> BoxFuture<'_, Result<Vec<String>, Fault>> {
        self.reload_now().boxed()
    }

    fn erase<'a>(&'a self, url: &'a str) -> BoxFuture<'a, Result<(), EraseError>> {
        async move {
            let files = self.server.files().ok_or(EraseError::Unknown)?;
            files.erase(files.at(url).ok_or(EraseError::Unknown)?).await
        }
        .boxed()
    }
}

/// What the system may ask of the server.
enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop(&'static str),
}

struct Signals {
    hangup: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::from_io("cannot listen for signals"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("SIGINT"),
        }
    }

    /// The next signal to stop, past any reload.
    async fn next_stop(&mut self) -> &'static str {
        loop {
            if let Signal::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}

/// Where the server is, for whoever started it.
fn greet(config: &Config, addresses: &server::Addresses, certificate: &Description) {
    let mut words = vec![format!("Chancery {} for {}", env!("CARGO_PKG_VERSION"), config.domain())];
    let mut list = |what: &str, addresses: &[SocketAddr], prefix: &str| {
        for address in addresses {
            words.push(format!("  {what:<22}{prefix}{address}"));
        }
    };
    list("clients (STARTTLS)", &addresses.xmpp, "");
    list("clients (TLS)", &addresses.xmpp_tls, "");
    list("web", &addresses.http, "http://");
    list("web (TLS)", &addresses.https, "https://");
    if certificate.self_signed {
        words.push(format!("  {:<22}self-signed, SHA-256 {}", "certificate", certificate.fingerprint));
    }
    if config.development.insecure_login {
        words.push("  development.insecure_login is on: passwords may travel without TLS".into());
    }
    line(&words.join("\n"));
}

fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}
