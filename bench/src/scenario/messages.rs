//! How many messages a server delivers: pairs of users who keep a window of messages between them.
//!
//! Every message that arrives is answered with the next one, as in a game of tennis with `window` balls. So both
//! directions are loaded, nobody waits for a clock, and a slow server slows the senders down instead of filling queues.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::{DRAIN, LONGEST, MIB, Meter, cast, unless_failed, until};
use crate::account::Account;
use crate::client::Client;
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::report::Outcome;
use crate::scan;
use crate::talk::{Kind, Talk};

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Users; they talk in pairs
    #[arg(long, default_value_t = 200)]
    pub(crate) users: usize,
    /// Messages under way in each pair
    #[arg(long, default_value_t = 10)]
    pub(crate) window: usize,
    /// Seconds to measure, after one second to warm up
    #[arg(long, default_value_t = 8)]
    pub(crate) seconds: u64,
    /// Stop after this many messages instead
    #[arg(long)]
    pub(crate) count: Option<u64>,
    /// Use direct TLS
    #[arg(long)]
    pub(crate) tls: bool,
}

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    delivered: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    fn under_way(&self) -> u64 {
        let back = self.delivered() + self.refused.load(Ordering::Relaxed);
        self.sent.load(Ordering::Relaxed).saturating_sub(back)
    }
}

const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let endpoint = target.endpoint(plan.tls)?;
    let users = plan.users.max(2) & !1;
    let clients = cast(endpoint, users, target.name != "relay").await?;
    let partners: Vec<String> =
        (0..users).map(|user| format!("{}@{}", Account::numbered(user ^ 1).name, endpoint.domain)).collect();
    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    for (number, (client, talk)) in clients.into_iter().zip(Talk::among(Kind::Chat, &partners)?).enumerate() {
        // The first of a pair serves the odd one.
        let balls = (plan.window + 1 - number % 2) / 2;
        let user = User { client, talk, tally: Arc::clone(&tally), balls, next: (number as u64) << 40 };
        tasks.spawn(user.play());
    }

    if plan.count.is_none() {
        unless_failed(&mut tasks, sleep(WARM_UP)).await?;
        // A slow server may still be busy with the first round.
        until(&mut tasks, DRAIN, || tally.delivered() >= users as u64).await?;
    }
    if let Some(tree) = target.tree {
        tree.forget_peak();
    }
    let (meter, before) = (Meter::start(target), tally.delivered());
    let mut slowest = u64::MAX;
    match plan.count {
        Some(count) => until(&mut tasks, LONGEST, || tally.delivered() >= count).await?,
        None => {
            let mut last = before;
            for second in 1..=plan.seconds {
                unless_failed(&mut tasks, sleep_until(meter.began + Duration::from_secs(second))).await?;
                let now = tally.delivered();
                slowest = slowest.min(now - last);
                last = now;
            }
        }
    }
    let (cost, delivered) = (meter.read(), tally.delivered() - before);
    let peak = target.tree.map(|tree| tree.peak());

    tally.over.store(true, Ordering::Relaxed);
    until(&mut tasks, DRAIN, || tally.under_way() == 0).await?;

    let mut outcome = Outcome::new("messages", plan.tls, &target.name);
    outcome.add("messages", cost.per_second(delivered), "/s");
    if slowest != u64::MAX {
        outcome.add("slowest second", slowest as f64, "/s");
    }
    cost.report(&mut outcome, delivered);
    if let Some(peak) = peak {
        outcome.add("peak memory", peak as f64 / MIB, "MiB");
    }
    outcome.add("refused", tally.refused.load(Ordering::Relaxed) as f64, "");
    outcome.add("lost", tally.under_way() as f64, "");
    Ok(outcome)
}

struct User {
    client: Client,
    talk: Talk,
    tally: Arc<Tally>,
    balls: usize,
    next: u64,
}

impl User {
    /// Plays until the connection ends or the task is dropped.
    async fn play(mut self) -> Result<()> {
        let mut out = Vec::new();
        let mut due = self.balls;
        loop {
            if due > 0 && !self.tally.over.load(Ordering::Relaxed) {
                out.clear();
                for _ in 0..due {
                    self.talk.push(&mut out, self.next);
                    self.next += 1;
                }
                self.tally.sent.fetch_add(due as u64, Ordering::Relaxed);
                self.client.send(&out).await?;
            }
            if self.client.read().await? == 0 {
                return Err(Fault::Closed("a conversation"));
            }
            due = 0;
            let mut refused = 0;
            while let Some(range) = self.client.parse() {
                let item = self.client.bytes(range);
                if item.starts_with(b"<message") {
                    match scan::attribute(item, "type") {
                        Some(b"error") => refused += 1,
                        _ => due += 1,
                    }
                } else if item.starts_with(b"<stream:error") {
                    let answer = String::from_utf8_lossy(item).into_owned();
                    return Err(Fault::Refused { step: "the conversation", answer });
                }
            }
            self.tally.delivered.fetch_add(due as u64, Ordering::Relaxed);
            if refused > 0 {
                // The ball came back without reaching the partner; it is served again.
                self.tally.refused.fetch_add(refused as u64, Ordering::Relaxed);
                due += refused;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::client::Endpoint;
    use crate::relay;

    #[tokio::test]
    async fn every_message_through_the_relay_is_counted_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = Endpoint {
            address: listener.local_addr().unwrap(),
            tls: None,
            domain: Arc::from("localhost"),
            keys: Arc::default(),
        };
        let target = Target { name: "relay".to_owned(), plain: Some(endpoint), tls: None, tree: None };
        let plan = Plan { users: 6, window: 3, seconds: 0, count: Some(500), tls: false };
        let outcome = tokio::select! {
            outcome = run(&target, &plan) => outcome.unwrap(),
            end = relay::serve(listener) => panic!("the relay ended: {end:?}"),
        };
        assert!(outcome.figure("messages").is_some_and(|rate| rate > 0.0));
        assert_eq!((outcome.figure("lost"), outcome.figure("refused")), (Some(0.0), Some(0.0)));
    }
}
