//! How fast the trail is on this machine: appending, then reading history in pages.
//!
//! ```text
//! cargo run --release -p archive --example append_rate -- [EVENTS] [USERS] [WINDOW] [FOLDER]
//! ```
//!
//! `WINDOW` messages are under way at any time, as from so many people who each wait for their own to be stored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    reason = "a measuring tool: whatever goes wrong ends the measurement"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::{Archive, Conversation, Draft, Entry, Options, Outcome, Query};
use jid::Jid;
use tokio::sync::{Semaphore, mpsc};
use vault::{MasterKey, Vault};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().and_then(|n| n.parse().ok()).unwrap_or(default);
    let (events, users, window) = (number(300_000), number(200), number(400));
    let folder = match std::env::args().nth(4) {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .expect("a folder for the data");

    let vault = Vault::open(folder.path(), MasterKey::generate().unwrap()).await.unwrap();
    let room = Arc::new(Semaphore::new(window));
    let back = Arc::clone(&room);
    let (times, mut taken) = mpsc::unbounded_channel();
    let archive =
        Archive::start(vault.clone(), Options::default(), move |outcome: Outcome<Option<Instant>>| {
            let Outcome::Archived(archived) = outcome else { panic!("{outcome:?}") };
            match archived.item() {
                Some(submitted) => _ = times.send(submitted.elapsed()),
                None => back.add_permits(1),
            }
        })
        .await
        .unwrap();

    let mut dice = Dice(42);
    let people: Vec<Jid> =
        (0..users).map(|n| Jid::new(&format!("user{n}@corp.example/desk")).unwrap()).collect();
    let drafts: Vec<Draft> = (0..20_000).map(|n| draft(&people, &mut dice, n)).collect();

    let began = vault::Micros::now();
    // Keys of conversations are made when they begin; that is not what is measured here.
    append(&archive, &room, window, drafts.iter().cycle().take(drafts.len().min(events))).await;
    let (wall, cpu) = (Instant::now(), cpu_time());
    append(&archive, &room, window, drafts.iter().cycle().take(events)).await;
    report("append", events, wall.elapsed(), cpu_time() - cpu);

    let mut ticks = tokio::time::interval(Duration::from_millis(2));
    for draft in drafts.iter().cycle().take(5_000) {
        ticks.tick().await;
        archive.submit(Entry { item: Some(Instant::now()), event: Some(draft.clone()) }).await;
    }
    let mut all = Vec::new();
    while all.len() < 5_000 {
        all.push(taken.recv().await.unwrap());
    }
    all.sort_unstable();
    println!("at 500/s: median {:.1?}, 99 of 100 within {:.1?}", all[2_500], all[4_950]);

    let pages = events.div_ceil(100).max(1_000);
    let (wall, cpu) = (Instant::now(), cpu_time());
    let mut read = 0;
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..2 {
        let (archive, people, mut dice) = (archive.clone(), people.clone(), Dice(reader));
        let (from, until) = (began, vault::Micros::now());
        readers.spawn(async move {
            let mut read = 0;
            for n in 0..pages / 2 {
                let owner = people[dice.below(people.len())].to_bare();
                let mut query = Query { backwards: n % 2 == 0, ..Query::default() };
                if n % 4 < 2 {
                    // A second page, from anywhere in the middle.
                    let start = vault::Micros(from.0 + dice.below((until.0 - from.0) as usize) as i64);
                    query.start = (n % 4 == 0).then_some(start);
                    query.end = (n % 4 == 1).then_some(start);
                }
                read += archive.history(&owner, &query).await.unwrap().items.len();
            }
            read
        });
    }
    while let Some(count) = readers.join_next().await {
        read += count.unwrap();
    }
    report("history", read, wall.elapsed(), cpu_time() - cpu);

    let size = vault.store().statistics().await.unwrap();
    println!("{:.0} bytes of storage an event", size.bytes as f64 / size.events as f64);
    archive.shutdown().await;
    vault.close().await;
}

async fn append(
    archive: &Archive<Option<Instant>>,
    room: &Semaphore,
    window: usize,
    drafts: impl Iterator<Item = &Draft>,
) {
    for draft in drafts {
        room.acquire().await.unwrap().forget();
        archive.submit(Entry { item: None, event: Some(draft.clone()) }).await;
    }
    // All are back when all room is.
    room.acquire_many(window as u32).await.unwrap().forget();
    room.add_permits(window);
}

fn draft(people: &[Jid], dice: &mut Dice, n: usize) -> Draft {
    const WORDS: [&str; 16] = [
        "the", "quarter", "figures", "look", "good", "but", "please", "check", "row", "seven", "before",
        "noon", "thanks", "meeting", "moved", "tomorrow",
    ];
    let from = people[dice.below(people.len())].clone();
    let to = people[dice.below(people.len())].clone();
    let mut text = String::new();
    while text.len() < 110 {
        text.push_str(WORDS[dice.below(WORDS.len())]);
        text.push(' ');
    }
    text.push_str(&format!("n{}", dice.below(5_000)));
    let stanza = format!(
        "<message xmlns='jabber:client' from='{from}' to='{to}' type='chat' id='message-{n:08}'>\
         <body>{text}</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    );
    Draft {
        owners: [from.to_bare(), to.to_bare()].into_iter().collect(),
        ledger: Default::default(),
        id: None,
        about: None,
        conversation: Conversation::between(&from.to_bare(), &to.to_bare()),
        from,
        to,
        stanza: stanza.into(),
        text: Some(text),
        writes: Vec::new(),
        spool: None,
        through: None,
    }
}

fn report(what: &str, count: usize, wall: Duration, cpu: Duration) {
    println!(
        "{what}: {:.0}/s, {:.1} µs of processor each ({count} in {:.2} s)",
        count as f64 / wall.as_secs_f64(),
        cpu.as_secs_f64() * 1e6 / count as f64,
        wall.as_secs_f64(),
    );
}

/// User and system time of the whole process so far (Linux; elsewhere zero).
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n
    }
}
