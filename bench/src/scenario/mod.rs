//! What is done to a server, one file for each way of loading it.

pub(crate) mod history;
pub(crate) mod hostile;
pub(crate) mod idle;
pub(crate) mod latency;
pub(crate) mod logins;
pub(crate) mod messages;
pub(crate) mod rooms;
pub(crate) mod search;
pub(crate) mod verify;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::client::{Client, Endpoint};
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::process::{self, Machine, Tree};
use crate::report::Outcome;

/// How many sign-ins are under way at once while a scenario gets ready.
const SIGN_INS: usize = 16;

/// Signs in the accounts with the numbers below `count`, in order. With `available`, each sends presence.
async fn cast(endpoint: &Endpoint, count: usize, available: bool) -> Result<Vec<Client>> {
    let mut tasks = JoinSet::new();
    for worker in 0..SIGN_INS.min(count) {
        let endpoint = endpoint.clone();
        tasks.spawn(async move {
            let mut clients = Vec::new();
            for number in (worker..count).step_by(SIGN_INS) {
                let mut client = Client::sign_in(&endpoint, &Account::numbered(number)).await?;
                if available {
                    client.send(b"<presence/>").await?;
                }
                clients.push((number, client));
            }
            Ok::<_, Fault>(clients)
        });
    }
    let mut clients = Vec::with_capacity(count);
    while let Some(some) = tasks.join_next().await {
        clients.extend(some.map_err(ended)??);
    }
    clients.sort_by_key(|(number, _)| *number);
    let mut clients: Vec<Client> = clients.into_iter().map(|(_, client)| client).collect();
    if available {
        // The server has taken a client's presence by the time it answers that client's next stanza.
        for client in &mut clients {
            let ping = "<iq type='get' id='ready'><ping xmlns='urn:xmpp:ping'/></iq>";
            client.ask(ping, "ready").await?;
        }
    }
    Ok(clients)
}

/// A task of the generator panicked or was cut off.
fn ended(error: tokio::task::JoinError) -> Fault {
    Fault::Io { what: "running a user".to_owned(), source: error.into() }
}

/// Waits for `wait`, unless one of the users fails first.
async fn unless_failed<T>(users: &mut JoinSet<Result<()>>, wait: impl Future<Output = T>) -> Result<T> {
    tokio::pin!(wait);
    loop {
        tokio::select! {
            value = &mut wait => return Ok(value),
            Some(user) = users.join_next() => user.map_err(ended)??,
        }
    }
}

/// Looks again and again whether it is done, for `longest` at most, unless one of the users fails first.
async fn until(users: &mut JoinSet<Result<()>>, longest: Duration, done: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + longest;
    unless_failed(users, async {
        while !done() && Instant::now() < deadline {
            sleep(Duration::from_millis(4)).await;
        }
    })
    .await
}

/// How long the last messages may take to arrive before they count as lost.
const DRAIN: Duration = Duration::from_secs(10);
/// No run by count takes longer than this.
const LONGEST: Duration = Duration::from_secs(300);

/// What a stretch of time cost the server and this generator.
struct Meter {
    tree: Option<Tree>,
    began: Instant,
    server: Duration,
    threads: Threads,
    own: Duration,
    machine: Machine,
}

type Threads = HashMap<(u32, u32), (String, Duration)>;

/// The reading of a [`Meter`].
struct Cost {
    elapsed: Duration,
    /// Absent when the server's process is not known.
    server: Option<Duration>,
    /// The server's thread that worked most.
    busiest: Option<(String, Duration)>,
    own: Duration,
    machine: Machine,
}

impl Meter {
    fn start(target: &Target) -> Meter {
        Meter {
            tree: target.tree,
            began: Instant::now(),
            server: target.tree.map_or(Duration::ZERO, |tree| tree.cpu()),
            threads: target.tree.map(|tree| tree.threads()).unwrap_or_default(),
            own: process::own_cpu(),
            machine: Machine::now(),
        }
    }

    fn read(&self) -> Cost {
        let elapsed = self.began.elapsed();
        let busiest = self.tree.and_then(|tree| {
            let spent = tree.threads().into_iter().map(|(id, (name, time))| {
                let before = self.threads.get(&id).map_or(Duration::ZERO, |(_, before)| *before);
                (name, time.saturating_sub(before))
            });
            spent.max_by_key(|(_, time)| *time)
        });
        Cost {
            elapsed,
            server: self.tree.map(|tree| tree.cpu().saturating_sub(self.server)),
            busiest,
            own: process::own_cpu().saturating_sub(self.own),
            machine: Machine::now().since(self.machine),
        }
    }
}

impl Cost {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.elapsed.as_secs_f64()
    }

    /// Adds the processor time for each thousand of `count`, who was busy meanwhile, and what held the server back.
    fn report(&self, outcome: &mut Outcome, count: u64) {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count.max(1) as f64;
        let cores = |time: Duration| time.as_secs_f64() / self.elapsed.as_secs_f64();
        let server = self.server.unwrap_or_default();
        if self.server.is_some() {
            outcome.add("server CPU per 1,000", each(server), "ms");
            outcome.add("server cores busy", cores(server), "");
        }
        outcome.add("generator CPU per 1,000", each(self.own), "ms");
        let others = self.machine.busy.saturating_sub(server + self.own);
        outcome.add("other processes", cores(others), "cores");
        outcome.add("waiting for the disk", cores(self.machine.disk), "cores");
        outcome.add("taken by the host", cores(self.machine.stolen), "cores");

        let spare = cores(self.machine.idle + self.machine.disk);
        outcome.limit = match &self.busiest {
            _ if spare < 0.15 && cores(others) > 0.25 => Some("the machine, which had other work".to_owned()),
            _ if spare < 0.15 => Some("the processors".to_owned()),
            Some((name, time)) if cores(*time) > 0.85 => Some(format!("one thread ({name})")),
            Some(_) if cores(self.machine.disk) > 0.2 => Some("the disk".to_owned()),
            Some((name, time)) => {
                Some(format!("waiting; the busiest thread is {name} with {:.0} %", 100.0 * cores(*time)))
            }
            None => None,
        };
    }
}

/// The values below which these shares of the samples lie. Sorts the samples.
fn percentiles<const N: usize>(samples: &mut [u32], shares: [f64; N]) -> [u32; N] {
    samples.sort_unstable();
    shares.map(|share| {
        let index = (share * samples.len() as f64).ceil() as usize;
        samples.get(index.clamp(1, samples.len().max(1)) - 1).copied().unwrap_or(0)
    })
}

/// Waits until the server's memory stands still, a minute at most, and returns it in bytes.
async fn settled(tree: Tree) -> u64 {
    const LOOK: Duration = Duration::from_secs(1);
    let mut last = tree.pss();
    let mut calm = 0;
    for _ in 0..60 {
        sleep(LOOK).await;
        let now = tree.pss();
        calm = if now.abs_diff(last) * 500 <= last { calm + 1 } else { 0 };
        last = now;
        if calm == 3 {
            break;
        }
    }
    last
}

const MIB: f64 = 1024.0 * 1024.0;
const KIB: f64 = 1024.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_samples() {
        let mut samples: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(percentiles(&mut samples, [0.5, 0.95, 0.99, 1.0]), [100, 190, 198, 200]);
        assert_eq!(percentiles(&mut [7], [0.5, 1.0]), [7, 7]);
        assert_eq!(percentiles(&mut [], [0.5]), [0]);
    }
}
