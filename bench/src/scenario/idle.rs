//! What a signed-in connection costs while nothing happens.

use std::time::Duration;

use tokio::time::sleep;

use super::{KIB, MIB, cast, settled};
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::process;
use crate::report::Outcome;

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Connections, each of its own account
    #[arg(long, default_value_t = 2000)]
    pub(crate) connections: usize,
    /// Use direct TLS
    #[arg(long)]
    pub(crate) tls: bool,
}

/// Enough sign-ins that the server's code and caches are in memory before the first look.
const WARM_UP: usize = 32;

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let Some(tree) = target.tree else {
        return Err(Fault::Usage("memory needs --pid".to_owned()));
    };
    process::raise_open_files(plan.connections as u64 + 256)?;
    let endpoint = target.endpoint(plan.tls)?;
    for client in cast(endpoint, WARM_UP.min(plan.connections), true).await? {
        client.close().await?;
    }
    let before = settled(tree).await;

    let mut clients = cast(endpoint, plan.connections, true).await?;
    clients.iter_mut().for_each(crate::client::Client::release);
    let after = settled(tree).await;
    let cpu = tree.cpu();
    let watch = Duration::from_secs(3);
    sleep(watch).await;
    let busy = tree.cpu().saturating_sub(cpu).as_secs_f64() / watch.as_secs_f64();

    let mut outcome = Outcome::new("idle", plan.tls, &target.name);
    let each = after.saturating_sub(before) as f64 / plan.connections.max(1) as f64;
    outcome.add("memory per connection", each / KIB, "KiB");
    outcome.add("memory before", before as f64 / MIB, "MiB");
    outcome.add("memory with all", after as f64 / MIB, "MiB");
    outcome.add("connections", plan.connections as f64, "");
    outcome.add("server cores busy", busy, "");
    Ok(outcome)
}
