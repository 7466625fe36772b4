//! `bench`: puts load on XMPP servers and compares Chancery with others on the same machine in the same run.
//!
//! Every scenario is a command of its own, either against a server that this tool starts (`--server`) or against one that
//! is up already (`--address`). `compare` runs them all. Nothing leaves the loopback interface.

mod account;
mod client;
mod compare;
mod fault;
mod peer;
mod process;
mod relay;
mod report;
mod scan;
mod scenario;
mod scram;
mod talk;
mod tls;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use account::Account;
use client::Endpoint;
use fault::{Context, Fault, Result};
use peer::{Peer, Site, Target};
use process::Tree;
use report::Outcome;
use scenario::{history, hostile, idle, latency, logins, messages, rooms, search, verify};
use scram::KeyCache;

/// Puts load on XMPP servers and compares them
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    /// Print JSON instead of tables
    #[arg(long, global = true)]
    json: bool,
    /// Threads of the generator; one leaves the most to the server
    #[arg(long, global = true, default_value_t = 1)]
    threads: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// All servers and scenarios side by side; the default
    Compare(compare::Plan),
    /// Messages delivered a second, between pairs of users with a window of messages under way
    Messages(Run<messages::Plan>),
    /// Time that a message takes at a fixed rate
    Latency(Run<latency::Plan>),
    /// Sign-ins a second
    Logins(Run<logins::Plan>),
    /// Memory of a signed-in connection that does nothing
    Idle(Run<idle::Plan>),
    /// Messages read a second from archives
    History(Run<history::Plan>),
    /// Copies of a room's messages delivered a second, and how long it takes to get in
    Rooms(Run<rooms::Plan>),
    /// Searching a large archive, beside SQLite's plain full text
    Search(search::Plan),
    /// Verifying and exporting a large archive
    Verify(verify::Plan),
    /// Memory and service under thousands of connections that never authenticate
    HostileIdle(Run<hostile::Plan>),
    /// Print accounts as `chancery user import` takes them
    Accounts {
        /// How many
        #[arg(long, default_value_t = 200)]
        users: usize,
    },
    /// Be the bare relay that is the ceiling of the message rows
    Relay {
        /// Address to listen on
        #[arg(long, default_value = "127.0.0.1:5222")]
        listen: SocketAddr,
    },
}

/// A scenario and the server that it runs against.
#[derive(Args)]
struct Run<P: Args> {
    #[command(flatten)]
    plan: P,
    #[command(flatten)]
    against: Against,
}

#[derive(Args)]
struct Against {
    /// Start this server: relay, chancery, prosody, ejabberd; prosody and ejabberd with -sqlite or -off too
    #[arg(long, conflicts_with_all = ["address", "tls_address"])]
    server: Option<Peer>,
    /// Use the server that listens here without TLS; it has the accounts of `bench accounts`
    #[arg(long)]
    address: Option<SocketAddr>,
    /// Use the server that listens here with direct TLS
    #[arg(long)]
    tls_address: Option<SocketAddr>,
    #[command(flatten)]
    details: Details,
}

#[derive(Args)]
struct Details {
    /// Process id of the running server, to measure its costs
    #[arg(long)]
    pid: Option<u32>,
    /// Domain that the running server serves
    #[arg(long, default_value = peer::DOMAIN)]
    domain: String,
    /// Give the people of a Chancery that is started here their team of 25 as a roster
    #[arg(long)]
    teams: bool,
    /// Create the accounts in band on the running server first
    #[arg(long)]
    register: bool,
    /// The binary of Chancery [default: the one beside this program]
    #[arg(long)]
    chancery: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or_else(|| Command::Compare(compare::Plan::default()));
    let runtime = match cli.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    };
    let done = runtime.during("starting").and_then(|runtime| {
        runtime.block_on(async {
            // Falling out of here drops what was started, which ends the servers.
            tokio::select! {
                done = perform(command, cli.json) => done,
                interrupted = interruption() => interrupted,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::from(if matches!(fault, Fault::Usage(_)) { 2 } else { 1 })
        }
    }
}

async fn interruption() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).during("watching for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        end = tokio::signal::ctrl_c() => end.during("watching for signals")?,
    }
    Err(Fault::Usage("interrupted".to_owned()))
}

/// Prints what scenarios without a server found.
fn show(outcomes: &[Outcome], json: bool) -> Result<()> {
    if json {
        let text = serde_json::to_string_pretty(outcomes);
        println!("{}", text.map_err(|error| Fault::Usage(error.to_string()))?);
    } else {
        outcomes.iter().for_each(|outcome| print!("{}", outcome.table()));
    }
    Ok(())
}

async fn perform(command: Command, json: bool) -> Result<()> {
    let outcome = match command {
        Command::Compare(plan) => {
            print!("{}", compare::run(&plan, json).await?);
            return Ok(());
        }
        Command::Accounts { users } => {
            print!("{}", account::csv(&Account::first(users)));
            return Ok(());
        }
        Command::Relay { listen } => {
            let listener = TcpListener::bind(listen).await.during(format!("listening on {listen}"))?;
            return relay::serve(listener).await;
        }
        Command::Messages(Run { plan, against }) => {
            on(&against, plan.users, async |target| messages::run(target, &plan).await).await?
        }
        Command::Latency(Run { plan, against }) => {
            process::raise_open_files(plan.newcomers as u64 + 1024)?;
            on(&against, plan.users + plan.newcomers, async |target| latency::run(target, &plan).await)
                .await?
        }
        Command::Logins(Run { plan, against }) => {
            on(&against, plan.users, async |target| logins::run(target, &plan).await).await?
        }
        Command::Idle(Run { plan, against }) => {
            process::raise_open_files(plan.connections as u64 + 256)?;
            on(&against, plan.connections, async |target| idle::run(target, &plan).await).await?
        }
        Command::History(Run { plan, against }) => {
            on(&against, plan.users, async |target| history::run(target, &plan).await).await?
        }
        Command::Rooms(Run { plan, against }) => {
            process::raise_open_files(plan.accounts() as u64 + 256)?;
            on(&against, plan.accounts(), async |target| rooms::run(target, &plan).await).await?
        }
        Command::Search(plan) => return show(&search::run(&plan).await?, json),
        Command::Verify(plan) => return show(&verify::run(&plan).await?, json),
        Command::HostileIdle(Run { plan, against }) => {
            process::raise_open_files(plan.connections as u64 + 256)?;
            on(&against, 1, async |target| hostile::run(target, &plan).await).await?
        }
    };
    if json {
        println!(
            "{}",
            serde_json::to_string_pretty(&outcome).map_err(|error| Fault::Usage(error.to_string()))?
        );
    } else {
        print!("{}", outcome.table());
    }
    Ok(())
}

/// Runs a scenario against a server with this many accounts, which is started and stopped here where that was asked for.
async fn on(
    against: &Against,
    accounts: usize,
    scenario: impl AsyncFnOnce(&Target) -> Result<Outcome>,
) -> Result<Outcome> {
    let details = &against.details;
    if let Some(peer) = against.server {
        let chancery = peer::chancery_binary(details.chancery.as_deref())?;
        let mut site = Site::create(peer, &chancery, against.details.teams)?;
        let running = site.start(accounts).await?;
        let outcome = scenario(&running.target).await;
        running.stop().await?;
        return outcome;
    }

    if against.address.or(against.tls_address).is_none() {
        return Err(Fault::Usage(
            "which server? --server NAME starts one, --address finds one that is up".to_owned(),
        ));
    }
    let endpoint = |address, tls| Endpoint {
        address,
        tls,
        domain: Arc::from(details.domain.as_str()),
        keys: Arc::new(KeyCache::default()),
    };
    let tls = match against.tls_address {
        Some(address) => Some(endpoint(address, Some(tls::connector()?))),
        None => None,
    };
    let target = Target {
        name: "server".to_owned(),
        plain: against.address.map(|address| endpoint(address, None)),
        tls,
        tree: details.pid.map(Tree::new),
    };
    if details.register {
        let endpoint = target.plain.as_ref().or(target.tls.as_ref());
        let endpoint = endpoint.ok_or_else(|| Fault::Usage("--register needs an address".to_owned()))?;
        peer::register(endpoint, 0..accounts).await?;
    }
    scenario(&target).await
}
