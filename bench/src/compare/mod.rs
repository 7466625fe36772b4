//! The side-by-side comparison: every server, every scenario, one machine, one run.

mod machine;
mod summary;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::fault::{Context, Fault, Result};
use crate::peer::{self, Archive, Peer, Running, Site};
use crate::process;
use crate::report::Outcome;
use crate::scenario::{history, hostile, idle, latency, logins, messages, rooms};

/// What to compare, and how long.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Plan {
    /// Only these servers, separated by commas
    #[arg(long, value_delimiter = ',')]
    servers: Vec<Peer>,
    /// Only these scenarios, separated by commas: messages, latency, logins, idle, history, hostile-idle,
    /// rooms, rooms-large, room-history, rush
    #[arg(long, value_delimiter = ',')]
    scenarios: Vec<String>,
    /// Rounds of messages, latency and logins; the tables show medians
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Short and small: shows that everything works, not how fast it is
    #[arg(long)]
    quick: bool,
    /// Write RESULTS.md and results.json into this folder
    #[arg(long, value_name = "FOLDER", num_args = 0..=1, default_missing_value = "bench")]
    save: Option<PathBuf>,
    /// The binary of Chancery [default: the one beside this program]
    #[arg(long)]
    chancery: Option<PathBuf>,
}

/// One cell of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle { tls: bool },
    HostileIdle,
    Messages { tls: bool },
    Latency,
    Rush,
    Logins { tls: bool },
    History,
    Rooms,
    RoomsLarge,
    RoomHistory,
}

impl Step {
    /// In the order in which they run: memory first, on a fresh server.
    const ALL: [Step; 13] = [
        Step::Idle { tls: false },
        Step::Idle { tls: true },
        Step::HostileIdle,
        Step::Messages { tls: false },
        Step::Messages { tls: true },
        Step::Latency,
        Step::Logins { tls: false },
        Step::Logins { tls: true },
        Step::History,
        Step::Rooms,
        Step::RoomsLarge,
        Step::RoomHistory,
        Step::Rush,
    ];

    fn scenario(self) -> &'static str {
        match self {
            Step::Idle { .. } => "idle",
            Step::HostileIdle => "hostile-idle",
            Step::Messages { .. } => "messages",
            Step::Latency => "latency",
            Step::Rush => "rush",
            Step::Logins { .. } => "logins",
            Step::History => "history",
            Step::Rooms => "rooms",
            Step::RoomsLarge => "rooms-large",
            Step::RoomHistory => "room-history",
        }
    }

    /// Whether the row says something about this server that another row does not.
    fn suits(self, peer: Peer) -> bool {
        match peer {
            Peer::Relay => self == Step::Messages { tls: false },
            Peer::Prosody(_) | Peer::Ejabberd(_) if self == Step::Rush => false,
            Peer::Chancery | Peer::Prosody(Archive::Default) | Peer::Ejabberd(Archive::Default) => true,
            Peer::Prosody(Archive::Sqlite) | Peer::Ejabberd(Archive::Sqlite) => {
                matches!(self, Step::Messages { tls: false } | Step::Latency | Step::History)
            }
            Peer::Prosody(Archive::Off) | Peer::Ejabberd(Archive::Off) => {
                matches!(self, Step::Messages { .. } | Step::Latency | Step::Rooms)
            }
        }
    }

    /// Whether the row needs a server that has done nothing else.
    fn alone(self) -> bool {
        matches!(self, Step::Idle { .. } | Step::HostileIdle | Step::History | Step::RoomHistory | Step::Rush)
    }
}

/// Runs the comparison and returns what to print: tables, or JSON.
pub(crate) async fn run(plan: &Plan, json: bool) -> Result<String> {
    let chancery = &peer::chancery_binary(plan.chancery.as_deref())?;
    let peers = available(plan, chancery)?;
    process::raise_open_files(16_000)?;
    let size = Size::of(plan.quick);
    let wanted =
        |step: &Step| plan.scenarios.is_empty() || plan.scenarios.iter().any(|name| name == step.scenario());
    if let Some(name) =
        plan.scenarios.iter().find(|name| !Step::ALL.iter().any(|step| step.scenario() == *name))
    {
        return Err(Fault::Usage(format!("there is no scenario named {name}")));
    }

    let mut outcomes = Vec::new();
    let mut troubles = Vec::new();
    for &peer in &peers {
        let alone = Step::ALL.into_iter().filter(|step| step.alone() && step.suits(peer)).filter(wanted);
        let mut site = None;
        for step in alone {
            // Memory is looked at in a process that has done nothing else; the accounts may stay. History is read from
            // archives of the same size on every server, so it gets a site of its own.
            if matches!(step, Step::History | Step::RoomHistory | Step::Rush) || site.is_none() {
                site = Some(Site::create(peer, chancery, step == Step::Rush)?);
            }
            if let Some(site) = &mut site {
                let done = each(site, &[step], &size, &mut outcomes).await;
                note(done, peer, &mut troubles);
            }
        }
    }
    let mut sites = Vec::new();
    for &peer in &peers {
        let steps: Vec<Step> =
            Step::ALL.into_iter().filter(|step| !step.alone() && step.suits(peer)).filter(wanted).collect();
        if !steps.is_empty() {
            sites.push((Site::create(peer, chancery, false)?, steps));
        }
    }
    // Rounds go over all servers, so that a noisy minute does not hit one server alone.
    for _ in 0..plan.runs.max(1) {
        for (site, steps) in &mut sites {
            let done = each(site, steps, &size, &mut outcomes).await;
            note(done, site.peer, &mut troubles);
        }
    }

    let medians = summary::medians(&outcomes);
    let machine = machine::describe(&peers);
    let serialise =
        || serde_json::to_string_pretty(&serde_json::json!({ "machine": machine, "outcomes": medians }));
    let data = serialise().map_err(|error| Fault::Usage(error.to_string()))?;
    let mut text = summary::text(&machine, &medians, plan.runs.max(1));
    for trouble in &troubles {
        text.push_str(&format!("\nNot measured: {trouble}\n"));
    }
    if let Some(folder) = &plan.save {
        std::fs::write(folder.join("RESULTS.md"), &text).during("writing RESULTS.md")?;
        std::fs::write(folder.join("results.json"), format!("{data}\n")).during("writing results.json")?;
    }
    Ok(if json { data } else { text })
}

/// A server that fails a row is reported with the rest; the others go on.
fn note(done: Result<()>, peer: Peer, troubles: &mut Vec<String>) {
    if let Err(fault) = done {
        eprintln!("{peer}: {fault}");
        let text = fault.to_string();
        troubles.push(format!("{peer}: {}", text.lines().next().unwrap_or_default()));
    }
}

/// Starts the server, takes the steps, stops it.
async fn each(site: &mut Site, steps: &[Step], size: &Size, outcomes: &mut Vec<Outcome>) -> Result<()> {
    let accounts = steps.iter().map(|step| size.accounts(*step)).max().unwrap_or(0);
    let running = site.start(accounts).await?;
    let mut done = Ok(());
    for step in steps {
        match size.perform(*step, &running).await {
            Ok(outcome) => {
                let first = outcome.figures.first();
                let shown = first.map(|figure| {
                    format!("{} {} {}", figure.name, crate::report::number(figure.value), figure.unit)
                });
                eprintln!("{}: {}: {}", site.peer, outcome.title(), shown.unwrap_or_default());
                outcomes.push(outcome);
            }
            Err(fault) => {
                done = Err(fault);
                break;
            }
        }
    }
    running.stop().await?;
    done
}

/// The servers that were asked for and are there.
fn available(plan: &Plan, chancery: &Path) -> Result<Vec<Peer>> {
    let mut missing = BTreeSet::new();
    let mut peers = Vec::new();
    for peer in Peer::ALL {
        if !plan.servers.is_empty() && !plan.servers.contains(&peer) {
            continue;
        }
        let program = match peer {
            Peer::Chancery => (!chancery.exists()).then(|| chancery.display().to_string()),
            _ => peer.program().filter(|name| !on_path(name)).map(str::to_owned),
        };
        match program {
            None => peers.push(peer),
            Some(program) => {
                missing.insert(program);
            }
        }
    }
    for program in &missing {
        eprintln!("{program} is not there, so its rows are left out");
    }
    if peers.is_empty() { Err(Fault::Usage("there is no server to measure".to_owned())) } else { Ok(peers) }
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|folder| folder.join(program).exists())
}

/// How much of everything.
struct Size {
    users: usize,
    seconds: u64,
    idle: usize,
    strangers: usize,
    fill: u64,
}

impl Size {
    fn of(quick: bool) -> Size {
        if quick {
            Size { users: 40, seconds: 2, idle: 200, strangers: 500, fill: 1_000 }
        } else {
            Size { users: 200, seconds: 6, idle: 2_000, strangers: 10_000, fill: 20_000 }
        }
    }

    fn accounts(&self, step: Step) -> usize {
        match step {
            Step::Idle { .. } => self.idle,
            Step::HostileIdle => 1,
            Step::Rush => self.users + self.rush().newcomers,
            Step::RoomsLarge => self.crowd().accounts(),
            Step::Rooms => self.users.max(self.room().accounts()),
            _ => self.users,
        }
    }

    fn latency(&self) -> latency::Plan {
        latency::Plan { users: self.users, rate: 500, seconds: self.seconds, newcomers: 0, tls: false }
    }

    /// A company comes to work within a minute.
    fn rush(&self) -> latency::Plan {
        latency::Plan { newcomers: self.idle * 5, seconds: self.seconds * 10, ..self.latency() }
    }

    fn history(&self, room: bool) -> history::Plan {
        let Size { users, seconds, .. } = *self;
        history::Plan { users: users / 2, fill: self.fill, page: 100, seconds, room, tls: false }
    }

    fn room(&self) -> rooms::Plan {
        rooms::Plan {
            occupants: self.users / 2,
            talkers: 10,
            window: 50,
            seconds: self.seconds,
            count: None,
            tls: false,
        }
    }

    fn crowd(&self) -> rooms::Plan {
        rooms::Plan { occupants: self.users * 5, ..self.room() }
    }

    async fn perform(&self, step: Step, running: &Running) -> Result<Outcome> {
        let Size { users, seconds, .. } = *self;
        let target = &running.target;
        match step {
            Step::Rush => latency::run(target, &self.rush()).await,
            Step::Idle { tls } => idle::run(target, &idle::Plan { connections: self.idle, tls }).await,
            Step::HostileIdle => {
                hostile::run(target, &hostile::Plan { connections: self.strangers, seconds }).await
            }
            Step::Messages { tls } => {
                messages::run(target, &messages::Plan { users, window: 10, seconds, count: None, tls }).await
            }
            Step::Latency => latency::run(target, &self.latency()).await,
            Step::Logins { tls } => {
                logins::run(target, &logins::Plan { users, concurrency: 32, seconds, tls }).await
            }
            Step::History => history::run(target, &self.history(false)).await,
            Step::RoomHistory => history::run(target, &self.history(true)).await,
            Step::Rooms => rooms::run(target, &self.room()).await,
            Step::RoomsLarge => {
                let outcome = rooms::run(target, &self.crowd()).await?;
                Ok(Outcome { scenario: "rooms-large", ..outcome })
            }
        }
    }
}
