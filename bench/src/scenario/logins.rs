//! How many sign-ins a server takes: connect, (TLS,) SCRAM, bind, close, and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{MIB, Meter, cast, unless_failed};
use crate::account::Account;
use crate::client::Client;
use crate::fault::Result;
use crate::peer::Target;
use crate::report::Outcome;

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Accounts that take turns
    #[arg(long, default_value_t = 200)]
    pub(crate) users: usize,
    /// Sign-ins under way at once
    #[arg(long, default_value_t = 32)]
    pub(crate) concurrency: usize,
    /// Seconds to measure, after one second to warm up
    #[arg(long, default_value_t = 5)]
    pub(crate) seconds: u64,
    /// Use direct TLS, a full handshake for each sign-in
    #[arg(long)]
    pub(crate) tls: bool,
}

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let endpoint = target.endpoint(plan.tls)?;
    // Everyone signs in once first, so that the keys are derived and measuring does not pay for them.
    for client in cast(endpoint, plan.users, false).await? {
        client.close().await?;
    }

    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for worker in 0..plan.concurrency {
        let (endpoint, done, users) = (endpoint.clone(), Arc::clone(&done), plan.users);
        tasks.spawn(async move {
            let mut turn = worker * users / 32;
            loop {
                let client = Client::sign_in(&endpoint, &Account::numbered(turn % users)).await?;
                client.close().await?;
                done.fetch_add(1, Ordering::Relaxed);
                turn += 1;
            }
        });
    }

    unless_failed(&mut tasks, sleep(Duration::from_secs(1))).await?;
    if let Some(tree) = target.tree {
        tree.forget_peak();
    }
    let (meter, before) = (Meter::start(target), done.load(Ordering::Relaxed));
    unless_failed(&mut tasks, sleep(Duration::from_secs(plan.seconds))).await?;
    let (cost, count) = (meter.read(), done.load(Ordering::Relaxed) - before);

    let mut outcome = Outcome::new("logins", plan.tls, &target.name);
    outcome.add("logins", cost.per_second(count), "/s");
    cost.report(&mut outcome, count);
    if let Some(tree) = target.tree {
        outcome.add("peak memory", tree.peak() as f64 / MIB, "MiB");
    }
    Ok(outcome)
}
