//! How fast people read what was said: message archives (XEP-0313) in pages of a hundred.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{MIB, Meter, cast, messages, percentiles, rooms, unless_failed};
use crate::client::Client;
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::report::Outcome;
use crate::scan;

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// Users who read their own archives at once
    #[arg(long, default_value_t = 200)]
    pub(crate) users: usize,
    /// Messages to exchange first, so that there is something to read; 0 reads what is there
    #[arg(long, default_value_t = 20_000)]
    pub(crate) fill: u64,
    /// Messages on a page
    #[arg(long, default_value_t = 100)]
    pub(crate) page: usize,
    /// Seconds to measure
    #[arg(long, default_value_t = 6)]
    pub(crate) seconds: u64,
    /// Read a room's archive, everybody the same, instead of their own
    #[arg(long)]
    pub(crate) room: bool,
    /// Use direct TLS
    #[arg(long)]
    pub(crate) tls: bool,
}

#[derive(Default)]
struct Shared {
    read: AtomicU64,
    pages: AtomicU64,
    times: std::sync::Mutex<Vec<u32>>,
}

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let room = match plan.room {
        true => Some(rooms::fill(target, plan.users, plan.fill, plan.tls).await?),
        false => None,
    };
    if plan.fill > 0 && room.is_none() {
        let talk = messages::Plan {
            users: plan.users,
            window: 10,
            seconds: 0,
            count: Some(plan.fill),
            tls: plan.tls,
        };
        messages::run(target, &talk).await?;
    }
    let clients = cast(target.endpoint(plan.tls)?, plan.users, false).await?;
    let shared = Arc::new(Shared::default());
    if let Some(tree) = target.tree {
        tree.forget_peak();
    }
    let meter = Meter::start(target);
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(
            Reader { client, shared: Arc::clone(&shared), page: plan.page, room: room.clone() }.read(),
        );
    }
    unless_failed(&mut tasks, sleep(Duration::from_secs(plan.seconds))).await?;
    let cost = meter.read();
    let count = shared.read.load(Ordering::Relaxed);

    let mut outcome =
        Outcome::new(if plan.room { "room-history" } else { "history" }, plan.tls, &target.name);
    outcome.add("messages read", cost.per_second(count), "/s");
    outcome.add("pages", cost.per_second(shared.pages.load(Ordering::Relaxed)), "/s");
    cost.report(&mut outcome, count);
    let mut times =
        std::mem::take(&mut *shared.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let [p50, p99] = percentiles(&mut times, [0.5, 0.99]);
    outcome.add("page p50", f64::from(p50) / 1e3, "ms");
    outcome.add("page p99", f64::from(p99) / 1e3, "ms");
    if let Some(tree) = target.tree {
        outcome.add("peak memory", tree.peak() as f64 / MIB, "MiB");
    }
    Ok(outcome)
}

struct Reader {
    client: Client,
    shared: Arc<Shared>,
    page: usize,
    room: Option<String>,
}

impl Reader {
    /// Reads the archive from its beginning, page by page, again and again.
    async fn read(mut self) -> Result<()> {
        let to = self.room.as_ref().map_or(String::new(), |room| format!(" to='{room}'"));
        let mut after = String::new();
        let mut empty = 0;
        loop {
            let began = Instant::now();
            let query = format!(
                "<iq type='set' id='page'{to}><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
                 <max>{}</max>{after}</set></query></iq>",
                self.page
            );
            self.client.send(query.as_bytes()).await?;
            let (count, last, complete) = self.page().await?;
            let micros = u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.shared.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(micros);
            self.shared.pages.fetch_add(1, Ordering::Relaxed);
            empty = if count == 0 { empty + 1 } else { 0 };
            if empty > 1 {
                return Err(Fault::Refused { step: "history", answer: "an empty archive".to_owned() });
            }
            after = match last {
                Some(last) if !complete => format!("<after>{last}</after>"),
                _ => String::new(),
            };
        }
    }

    /// Takes one page: how many messages, the id to go on from, and whether it was the last page.
    async fn page(&mut self) -> Result<(usize, Option<String>, bool)> {
        let mut count = 0;
        loop {
            while let Some(range) = self.client.parse() {
                let item = self.client.bytes(range);
                if item.starts_with(b"<message") {
                    count += 1;
                    self.shared.read.fetch_add(1, Ordering::Relaxed);
                } else if item.starts_with(b"<iq") && scan::attribute(item, "id") == Some(b"page") {
                    if scan::attribute(item, "type") != Some(b"result") {
                        let answer = String::from_utf8_lossy(item).into_owned();
                        return Err(Fault::Refused { step: "history", answer });
                    }
                    let last = scan::text(item, "last").map(|id| String::from_utf8_lossy(id).into_owned());
                    let complete =
                        scan::holds(item, "complete='true'") || scan::holds(item, "complete=\"true\"");
                    return Ok((count, last, complete));
                }
            }
            if self.client.read().await? == 0 {
                return Err(Fault::Closed("history"));
            }
        }
    }
}
