//! One room and everybody in it: how many copies of its messages a server hands out, and how long it takes to get in.
//!
//! Some of the occupants keep a window of messages under way between them: who sees their own message come back says
//! the next thing. Every copy that arrives anywhere counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{DRAIN, LONGEST, MIB, Meter, cast, percentiles, unless_failed, until};
use crate::client::Client;
use crate::fault::{Fault, Result};
use crate::peer::Target;
use crate::report::Outcome;
use crate::scan;
use crate::talk::{Kind, Talk};

/// The load.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Plan {
    /// People in the room
    #[arg(long, default_value_t = 100)]
    pub(crate) occupants: usize,
    /// How many of them talk
    #[arg(long, default_value_t = 10)]
    pub(crate) talkers: usize,
    /// Messages under way, of all talkers together
    #[arg(long, default_value_t = 50)]
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

/// Newcomers whose way into the full room is timed.
const NEWCOMERS: usize = 10;
/// People who are on their way into the room at once.
const ENTERING: usize = 8;
const WARM_UP: Duration = Duration::from_secs(1);

impl Plan {
    /// Accounts that it takes.
    pub(crate) fn accounts(&self) -> usize {
        self.occupants + NEWCOMERS
    }
}

#[derive(Default)]
struct Tally {
    sent: AtomicU64,
    copies: AtomicU64,
    refused: AtomicU64,
    over: AtomicBool,
}

impl Tally {
    fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    fn under_way(&self, occupants: usize) -> u64 {
        let said = self.sent.load(Ordering::Relaxed) - self.refused.load(Ordering::Relaxed);
        (said * occupants as u64).saturating_sub(self.copies())
    }
}

pub(crate) async fn run(target: &Target, plan: &Plan) -> Result<Outcome> {
    let mut company = Company::gather(target, plan).await?;
    let mut joins = Vec::new();
    for number in 0..NEWCOMERS {
        joins.push(company.newcomer(target, number).await?);
    }

    let occupants = plan.occupants;
    company.talk(plan).await?;
    let tally = company.tally.clone();
    if plan.count.is_none() {
        unless_failed(&mut company.people, sleep(WARM_UP)).await?;
    }
    if let Some(tree) = target.tree {
        tree.forget_peak();
    }
    let (meter, before) = (Meter::start(target), tally.copies());
    match plan.count {
        Some(count) => {
            let wanted = count * occupants as u64;
            until(&mut company.people, LONGEST, || tally.copies() >= wanted).await?;
        }
        None => {
            let end = meter.began + Duration::from_secs(plan.seconds);
            unless_failed(&mut company.people, sleep_until(end)).await?;
        }
    }
    let (cost, copies) = (meter.read(), tally.copies() - before);
    let peak = target.tree.map(|tree| tree.peak());
    tally.over.store(true, Ordering::Relaxed);
    until(&mut company.people, DRAIN, || tally.under_way(occupants) == 0).await?;

    let mut outcome = Outcome::new("rooms", plan.tls, &target.name);
    outcome.add("deliveries", cost.per_second(copies), "/s");
    cost.report(&mut outcome, copies);
    let [p50, worst] = percentiles(&mut joins, [0.5, 1.0]);
    outcome.add("join p50", f64::from(p50) / 1e3, "ms");
    outcome.add("join max", f64::from(worst) / 1e3, "ms");
    outcome.add("occupants", occupants as f64, "");
    if let Some(peak) = peak {
        outcome.add("peak memory", peak as f64 / MIB, "MiB");
    }
    outcome.add("refused", tally.refused.load(Ordering::Relaxed) as f64, "");
    outcome.add("lost", tally.under_way(occupants) as f64, "");
    Ok(outcome)
}

/// Talks in a new room that outlives its occupants until so many messages are in its archive, and returns its address.
pub(crate) async fn fill(target: &Target, users: usize, count: u64, tls: bool) -> Result<String> {
    let plan =
        Plan { occupants: users.min(10), talkers: 10, window: 50, seconds: 0, count: Some(count), tls };
    let mut company = Company::gather(target, &plan).await?;
    company.talk(&plan).await?;
    let wanted = count * plan.occupants as u64;
    let tally = company.tally.clone();
    until(&mut company.people, LONGEST, || tally.copies() >= wanted).await?;
    Ok(company.room)
}

/// Everybody who is in the room, each a task that reads what comes.
struct Company {
    room: String,
    people: JoinSet<Result<()>>,
    /// Makes each of them talk.
    turns: Vec<mpsc::Sender<usize>>,
    tally: Arc<Tally>,
    reserves: Vec<Client>,
}

impl Company {
    /// Opens a room and fills it.
    async fn gather(target: &Target, plan: &Plan) -> Result<Company> {
        let endpoint = target.endpoint(plan.tls)?;
        let mut clients = cast(endpoint, plan.accounts(), true).await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let room = format!("room{}@conference.{}", now.as_micros(), endpoint.domain);
        let reserves = clients.split_off(plan.occupants);

        let tally = Arc::new(Tally::default());
        let mut company = Company { people: JoinSet::new(), turns: Vec::new(), tally, reserves, room };
        let rooms = vec![company.room.clone(); plan.occupants];
        let gate = Arc::new(Semaphore::new(ENTERING));
        let (entered, mut all) = mpsc::channel::<()>(1);
        for (number, (mut client, talk)) in
            clients.into_iter().zip(Talk::among(Kind::Groupchat, &rooms)?).enumerate()
        {
            let (turn, turns) = mpsc::channel(1);
            company.turns.push(turn);
            let nick = format!("p{number}");
            if number == 0 {
                enter(&mut client, &company.room, &nick).await?;
                open(&mut client, &company.room).await?;
            }
            let occupant = Occupant {
                me: format!("{}/{nick}", company.room).into_bytes(),
                client,
                talk,
                tally: company.tally.clone(),
                turns,
                next: (number as u64) << 40,
            };
            let (gate, entered, room) = (gate.clone(), entered.clone(), company.room.clone());
            company.people.spawn(async move {
                let mut occupant = occupant;
                if number > 0 {
                    let pass = gate.acquire().await;
                    enter(&mut occupant.client, &room, &nick).await?;
                    drop(pass);
                }
                drop(entered);
                occupant.stay().await
            });
        }
        drop(entered);
        unless_failed(&mut company.people, all.recv()).await?;
        Ok(company)
    }

    /// Somebody comes in and leaves; returns the microseconds until they had seen everybody and the subject.
    async fn newcomer(&mut self, target: &Target, number: usize) -> Result<u32> {
        let Some(mut client) = self.reserves.pop() else {
            return Err(Fault::Usage(format!("{} has no account left", target.name)));
        };
        let nick = format!("n{number}");
        let began = Instant::now();
        unless_failed(&mut self.people, enter(&mut client, &self.room, &nick)).await??;
        let took = began.elapsed().as_micros();
        let leave = format!("<presence type='unavailable' to='{}/{nick}'/>", self.room);
        client.send(leave.as_bytes()).await?;
        client.close().await?;
        Ok(u32::try_from(took).unwrap_or(u32::MAX))
    }

    /// Lets the talkers begin.
    async fn talk(&mut self, plan: &Plan) -> Result<()> {
        let talkers = plan.talkers.clamp(1, self.turns.len());
        for (number, turn) in self.turns.iter().take(talkers).enumerate() {
            // The first ones take what does not divide evenly.
            let balls = plan.window / talkers + usize::from(number < plan.window % talkers);
            let _ = turn.send(balls).await;
        }
        Ok(())
    }
}

/// Enters and waits for the subject, which comes last (XEP-0045 §7.2.15).
async fn enter(client: &mut Client, room: &str, nick: &str) -> Result<()> {
    let presence = format!(
        "<presence to='{room}/{nick}'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>"
    );
    client.send(presence.as_bytes()).await?;
    loop {
        let item = client.item("entering a room").await?;
        let from_room = scan::attribute(&item, "from").is_some_and(|from| from.starts_with(room.as_bytes()));
        if !from_room {
            continue;
        }
        if scan::attribute(&item, "type") == Some(b"error") {
            let answer = String::from_utf8_lossy(&item).into_owned();
            return Err(Fault::Refused { step: "entering a room", answer });
        }
        let subject = item.starts_with(b"<message") && scan::holds(&item, "<subject");
        // A room that has just been made has no subject to tell of on every server.
        let made = item.starts_with(b"<presence") && scan::holds(&item, "201");
        if subject || made {
            return Ok(());
        }
    }
}

/// Makes a new room ready, and lasting.
async fn open(client: &mut Client, room: &str) -> Result<()> {
    let form = format!(
        "<iq type='set' id='open' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
         <x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
         <value>http://jabber.org/protocol/muc#roomconfig</value></field>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
    );
    let answer = client.ask(&form, "open").await?;
    match scan::attribute(&answer, "type") {
        Some(b"result") => Ok(()),
        _ => Err(Fault::Refused {
            step: "making a room",
            answer: String::from_utf8_lossy(&answer).into_owned(),
        }),
    }
}

struct Occupant {
    me: Vec<u8>,
    client: Client,
    talk: Talk,
    tally: Arc<Tally>,
    turns: mpsc::Receiver<usize>,
    next: u64,
}

impl Occupant {
    /// Reads, and talks when its turn comes, until the connection ends or the task is dropped.
    async fn stay(mut self) -> Result<()> {
        let mut out = Vec::new();
        loop {
            let mut due = 0;
            tokio::select! {
                read = self.client.read() => if read? == 0 {
                    return Err(Fault::Closed("a conference"));
                },
                Some(balls) = self.turns.recv() => due = balls,
            }
            let (mut copies, mut refused) = (0, 0);
            while let Some(range) = self.client.parse() {
                let item = self.client.bytes(range);
                if item.starts_with(b"<message") {
                    match scan::attribute(item, "type") {
                        Some(b"groupchat") => {
                            copies += 1;
                            due += usize::from(scan::attribute(item, "from") == Some(&self.me[..]));
                        }
                        Some(b"error") => refused += 1,
                        _ => {}
                    }
                } else if item.starts_with(b"<stream:error") {
                    let answer = String::from_utf8_lossy(item).into_owned();
                    return Err(Fault::Refused { step: "the conference", answer });
                }
            }
            self.tally.copies.fetch_add(copies, Ordering::Relaxed);
            self.tally.refused.fetch_add(refused, Ordering::Relaxed);
            due += refused as usize;
            if due > 0 && !self.tally.over.load(Ordering::Relaxed) {
                out.clear();
                for _ in 0..due {
                    self.talk.push(&mut out, self.next);
                    self.next += 1;
                }
                self.tally.sent.fetch_add(due as u64, Ordering::Relaxed);
                self.client.send(&out).await?;
            }
        }
    }
}
