//! How long a message takes at a modest, fixed rate. The schedule does not wait for replies, so a stall is seen by every
//! message that falls into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};

use super::{Meter, cast, ended, percentiles, unless_failed};
use crate::account::Account;
use crate::client::{Client, Endpoint};
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::report::Outcome;
use crate::scan;
use crate::talk::{self, Kind, Talk};

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Users; they talk in pairs
    #[arg(long, default_value_t = 200)]
    pub(crate) users: usize,
    /// Messages a second, all users together
    #[arg(long, default_value_t = 500)]
    pub(crate) rate: u32,
    /// Seconds to measure, after one second to warm up
    #[arg(long, default_value_t = 8)]
    pub(crate) seconds: u64,
    /// Others who sign in meanwhile, evenly over the time, and stay
    #[arg(long, default_value_t = 0)]
    pub(crate) newcomers: usize,
    /// Use direct TLS
    #[arg(long)]
    pub(crate) tls: bool,
}

const WARM_UP: Duration = Duration::from_secs(1);
/// How long the last messages may take to arrive before they count as lost.
const DRAIN: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    arrived: AtomicU64,
    over: AtomicBool,
    samples: std::sync::Mutex<Vec<u32>>,
}

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let endpoint = target.endpoint(plan.tls)?;
    let users = plan.users.max(2) & !1;
    let clients = cast(endpoint, users, target.name != "relay").await?;
    let partners: Vec<String> =
        (0..users).map(|user| format!("{}@{}", Account::numbered(user ^ 1).name, endpoint.domain)).collect();
    let shared = Arc::new(Shared::default());
    let epoch = Instant::now();
    let gap = Duration::from_secs(1) / plan.rate.max(1);
    let mut tasks = JoinSet::new();
    for ((client, talk), number) in clients.into_iter().zip(Talk::among(Kind::Chat, &partners)?).zip(0u32..) {
        let user = User { client, talk, epoch, shared: Arc::clone(&shared) };
        // Each has its own place in the round, so that the sum is even.
        tasks.spawn(user.chat(epoch + gap * number, gap * users as u32));
    }

    unless_failed(&mut tasks, sleep(WARM_UP)).await?;
    let (meter, there) = (Meter::start(target), Arc::new(AtomicU64::new(0)));
    let every = Duration::from_secs(plan.seconds) / u32::try_from(plan.newcomers.max(1)).unwrap_or(u32::MAX);
    for number in 0..plan.newcomers {
        let (endpoint, there) = (endpoint.clone(), Arc::clone(&there));
        let when = meter.began + every * number as u32;
        tasks.spawn(come(endpoint, Account::numbered(users + number), when, there));
    }
    unless_failed(&mut tasks, sleep(Duration::from_secs(plan.seconds))).await?;
    let (cost, came) = (meter.read(), there.load(Ordering::Relaxed));
    shared.over.store(true, Ordering::Relaxed);
    let drained = async {
        let deadline = Instant::now() + DRAIN;
        let waiting = || shared.sent.load(Ordering::Relaxed) > shared.arrived.load(Ordering::Relaxed);
        while waiting() && Instant::now() < deadline {
            sleep(Duration::from_millis(5)).await;
        }
    };
    unless_failed(&mut tasks, drained).await?;
    let lost = shared.sent.load(Ordering::Relaxed).saturating_sub(shared.arrived.load(Ordering::Relaxed));
    tasks.abort_all();
    while let Some(user) = tasks.join_next().await {
        match user {
            Err(error) if error.is_cancelled() => {}
            other => other.map_err(ended)??,
        }
    }

    let mut samples =
        std::mem::take(&mut *shared.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let count = samples.len() as u64;
    // What never came was under way at least this long.
    samples.resize(samples.len() + lost as usize, DRAIN.as_micros() as u32);
    let [p50, p95, p99, worst] = percentiles(&mut samples, [0.5, 0.95, 0.99, 1.0]);
    let mut outcome = Outcome::new("latency", plan.tls, &target.name);
    for (name, micros) in [("p50", p50), ("p95", p95), ("p99", p99), ("max", worst)] {
        outcome.add(name, f64::from(micros) / 1e3, "ms");
    }
    outcome.add("rate", cost.per_second(count), "/s");
    cost.report(&mut outcome, count);
    if plan.newcomers > 0 {
        outcome.scenario = "rush";
        outcome.add("newcomers", came as f64, "");
    }
    outcome.add("lost", lost as f64, "");
    Ok(outcome)
}

/// Signs in at a moment, becomes available, and reads what comes until the task is dropped.
async fn come(endpoint: Endpoint, account: Account, when: Instant, there: Arc<AtomicU64>) -> Result<()> {
    sleep_until(when).await;
    let mut client = Client::sign_in(&endpoint, &account).await?;
    let hello = "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>";
    client.ask(hello, "roster").await?;
    there.fetch_add(1, Ordering::Relaxed);
    while client.read().await? > 0 {
        while client.parse().is_some() {}
    }
    Err(Fault::Closed("a newcomer"))
}

struct User {
    client: Client,
    talk: Talk,
    epoch: Instant,
    shared: Arc<Shared>,
}

impl User {
    async fn chat(mut self, first: Instant, every: Duration) -> Result<()> {
        let mut clock = interval_at(first, every);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut out = Vec::new();
        loop {
            tokio::select! {
                _ = clock.tick(), if !self.shared.over.load(Ordering::Relaxed) => {
                    out.clear();
                    self.talk.push(&mut out, self.epoch.elapsed().as_micros() as u64);
                    self.shared.sent.fetch_add(1, Ordering::Relaxed);
                    self.client.send(&out).await?;
                }
                read = self.client.read() => {
                    if read? == 0 {
                        return Err(Fault::Closed("a conversation"));
                    }
                    self.take();
                }
            }
        }
    }

    /// Notes how long each message that has arrived was under way.
    fn take(&mut self) {
        let now = self.epoch.elapsed();
        while let Some(range) = self.client.parse() {
            let item = self.client.bytes(range);
            if !item.starts_with(b"<message") || scan::attribute(item, "type") == Some(b"error") {
                continue;
            }
            let Some(sent) = scan::attribute(item, "id").and_then(talk::id).map(Duration::from_micros) else {
                continue;
            };
            self.shared.arrived.fetch_add(1, Ordering::Relaxed);
            if sent >= WARM_UP {
                let micros = u32::try_from(now.saturating_sub(sent).as_micros()).unwrap_or(u32::MAX);
                self.shared.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(micros);
            }
        }
    }
}
