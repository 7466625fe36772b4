//! Ten thousand strangers who connect and say nothing, or nothing useful: the server's memory has to stay flat and people
//! must still get in.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{KIB, MIB, ended};
use crate::account::Account;
use crate::client::{self, Client, Endpoint};
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::process;
use crate::report::Outcome;

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Connections that never authenticate
    #[arg(long, default_value_t = 10_000)]
    pub(crate) connections: usize,
    /// Seconds to hold them
    #[arg(long, default_value_t = 8)]
    pub(crate) seconds: u64,
}

/// What a stranger sends: a third nothing, a third half a header, a third a header.
fn greeting(number: usize, domain: &str) -> String {
    let header = client::header(domain);
    match number % 3 {
        0 => String::new(),
        1 => header[..header.len() / 2].to_owned(),
        _ => header,
    }
}

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let Some(tree) = target.tree else {
        return Err(Fault::Usage("memory needs --pid".to_owned()));
    };
    process::raise_open_files(plan.connections as u64 + 256)?;
    let endpoint = target.endpoint(false)?;
    Client::sign_in(endpoint, &Account::numbered(0)).await?.close().await?;
    let before = tree.pss();

    let began = Instant::now();
    let strangers = crowd(endpoint, plan.connections).await?;
    let opened = began.elapsed();
    sleep(Duration::from_secs(1)).await;
    let full = tree.pss();
    let cpu = tree.cpu();
    sleep(Duration::from_secs(plan.seconds)).await;
    let (held, busy) =
        (tree.pss(), tree.cpu().saturating_sub(cpu).as_secs_f64() / plan.seconds.max(1) as f64);
    let began = Instant::now();
    Client::sign_in(endpoint, &Account::numbered(0)).await?.close().await?;
    let login = began.elapsed();
    let count = strangers.len();
    drop(strangers);
    sleep(Duration::from_secs(3)).await;
    let after = tree.pss();

    let mut outcome = Outcome::new("hostile-idle", false, &target.name);
    outcome.add("connections", count as f64, "");
    outcome.add("memory per stranger", full.saturating_sub(before) as f64 / KIB / count.max(1) as f64, "KiB");
    outcome.add("memory before", before as f64 / MIB, "MiB");
    outcome.add("memory with all", full as f64 / MIB, "MiB");
    outcome.add("growth while held", (held as f64 - full as f64) / MIB, "MiB");
    outcome.add("memory after they left", after as f64 / MIB, "MiB");
    outcome.add("server cores busy", busy, "");
    outcome.add("opened in", opened.as_secs_f64() * 1e3, "ms");
    outcome.add("login meanwhile", login.as_secs_f64() * 1e3, "ms");
    Ok(outcome)
}

/// Opens the connections; those that the server turns away are not counted.
async fn crowd(endpoint: &Endpoint, count: usize) -> Result<Vec<Client>> {
    const AT_ONCE: usize = 64;
    let mut tasks = JoinSet::new();
    for worker in 0..AT_ONCE {
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let mut clients = Vec::new();
            for number in (worker..count).step_by(AT_ONCE) {
                let Ok(mut client) = Client::connect(&endpoint).await else { continue };
                if client.send(greeting(number, &endpoint.domain).as_bytes()).await.is_ok() {
                    clients.push(client);
                }
            }
            clients
        });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(some) = tasks.join_next().await {
        clients.extend(some.map_err(ended)?);
    }
    Ok(clients)
}
