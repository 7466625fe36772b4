//! Searching a large archive, beside SQLite's plain full text on the same words.
//!
//! The archive is filled through its own crate, since signing in a million times measures something else. Words are drawn
//! as often as words are (Zipf's law with Mandelbrot's shift); people talk to a few colleagues and in rooms.

mod corpus;
mod plain;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::search::{Bare, Inquiry, Language, Question, Scope};
use archive::{Archive, Conversation, Draft, Entry, Options, Outcome as Stored, Query};
use clap::Args;
use jid::{BareJid, Jid};
use tokio::sync::Semaphore;
use vault::{MasterKey, Vault};

use self::corpus::{Corpus, Said};
use crate::fault::{Fault, Result};
use crate::report::Outcome;

/// How large the archive is and how often it is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct Plan {
    /// Messages in the archive
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) messages: usize,
    /// People who write them
    #[arg(long, default_value_t = 4000)]
    pub(crate) people: usize,
    /// Rooms in which a third of them is said
    #[arg(long, default_value_t = 200)]
    pub(crate) rooms: usize,
    /// Questions of each class
    #[arg(long, default_value_t = 300)]
    pub(crate) questions: usize,
    /// Where the data goes while it is measured [default: the folder for temporary files]
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// Leave out SQLite's full text
    #[arg(long)]
    pub(crate) alone: bool,
}

/// A kind of question, and the scope in which it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Rare,
    Common,
    Phrase,
    And,
    Person,
    Room,
    Prefix,
    From,
    Page,
}

impl Class {
    const ALL: [Self; 9] = [
        Self::Rare,
        Self::Common,
        Self::Phrase,
        Self::And,
        Self::Person,
        Self::Room,
        Self::Prefix,
        Self::From,
        Self::Page,
    ];

    /// The names of its three figures.
    fn names(self) -> [&'static str; 3] {
        match self {
            Self::Rare => ["rare word, median", "rare word, 99 %", "rare word, hits"],
            Self::Common => ["common word, median", "common word, 99 %", "common word, hits"],
            Self::Phrase => ["phrase, median", "phrase, 99 %", "phrase, hits"],
            Self::And => ["two words, median", "two words, 99 %", "two words, hits"],
            Self::Person => ["in one's own, median", "in one's own, 99 %", "in one's own, hits"],
            Self::Room => ["in a room, median", "in a room, 99 %", "in a room, hits"],
            Self::Prefix => ["prefix, median", "prefix, 99 %", "prefix, hits"],
            Self::From => ["word and sender, median", "word and sender, 99 %", "word and sender, hits"],
            Self::Page => ["first page, median", "first page, 99 %", "first page, messages"],
        }
    }
}

/// Hits on a page.
pub(super) const PAGE: usize = 50;
/// Messages under way while the archive is filled.
const WINDOW: usize = 1000;

/// A question to both.
pub(super) struct Asked {
    pub(super) words: String,
    /// In whose book.
    pub(super) book: Option<usize>,
    pub(super) room: Option<usize>,
    pub(super) from: Option<usize>,
}

pub(crate) async fn run(plan: &Plan) -> Result<Vec<Outcome>> {
    let folder = match &plan.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(|error| Fault::Usage(format!("a folder for the data: {error}")))?;
    let corpus = Corpus::new(plan.people, plan.rooms);
    let questions: Vec<(Class, Vec<Asked>)> =
        Class::ALL.iter().map(|class| (*class, questions(*class, &corpus, plan))).collect();
    let mut outcomes = vec![sealed(plan, &corpus, &questions, &folder.path().join("sealed")).await?];
    if !plan.alone {
        let path = folder.path().join("plain.db");
        outcomes.push(
            plain::run(plan, &corpus, &questions, &path)
                .map_err(|error| Fault::Usage(format!("SQLite's full text: {error}")))?,
        );
    }
    Ok(outcomes)
}

/// The same questions for everybody, drawn from what was said.
fn questions(class: Class, corpus: &Corpus, plan: &Plan) -> Vec<Asked> {
    let mut asked = Vec::with_capacity(plan.questions);
    let mut dice = corpus.dice(class as u64 + 77);
    while asked.len() < plan.questions {
        let said = corpus.said((dice.next() % plan.messages as u64) as usize);
        let words: Vec<&str> = said.words.iter().map(|word| corpus.word(*word)).collect();
        let by_rank = {
            let mut ranks = said.words.clone();
            ranks.sort_unstable();
            ranks.dedup();
            ranks
        };
        let (Some(first), Some(last)) = (by_rank.first(), by_rank.last()) else { continue };
        let (mut book, mut room, mut from) = (None, None, None);
        let text = match class {
            Class::Rare if *last > 5000 => corpus.word(*last).to_owned(),
            Class::Common if *first < 60 => corpus.word(*first).to_owned(),
            Class::Phrase if words.len() > 4 => format!("\"{}\"", words[1..4].join(" ")),
            Class::And if by_rank.len() > 4 => {
                format!("{} {}", corpus.word(by_rank[1]), corpus.word(by_rank[3]))
            }
            Class::Person if by_rank.len() > 1 => {
                book = Some(said.from);
                corpus.word(by_rank[by_rank.len() / 2]).to_owned()
            }
            Class::Room if said.room.is_some() => {
                room = said.room;
                corpus.word(by_rank[by_rank.len() / 2]).to_owned()
            }
            Class::Prefix if corpus.word(*last).len() > 5 => format!("{}*", &corpus.word(*last)[..4]),
            Class::From if by_rank.len() > 1 => {
                from = Some(said.from);
                corpus.word(by_rank[1]).to_owned()
            }
            Class::Page => {
                book = Some(said.from);
                String::new()
            }
            _ => continue,
        };
        asked.push(Asked { words: text, book, room, from });
    }
    asked
}

async fn sealed(
    plan: &Plan,
    corpus: &Corpus,
    questions: &[(Class, Vec<Asked>)],
    folder: &std::path::Path,
) -> Result<Outcome> {
    let fault = |error: &dyn std::fmt::Display| Fault::Usage(format!("the archive: {error}"));
    let master = MasterKey::generate().map_err(|error| fault(&error))?;
    let vault = Vault::open(folder, master).await.map_err(|error| fault(&error))?;
    let room = Arc::new(Semaphore::new(WINDOW));
    let back = Arc::clone(&room);
    let archive = Archive::start(vault.clone(), Options::default(), move |_: Stored<()>| back.add_permits(1))
        .await
        .map_err(|error| fault(&error))?;
    let mut outcome = Outcome::new("search", false, "chancery, sealed");
    let cast = Cast::new(plan);

    let began = Instant::now();
    for number in 0..plan.messages {
        let draft = cast.draft(&corpus.said(number), corpus, number);
        if let Ok(permit) = room.acquire().await {
            permit.forget();
        }
        archive.submit(Entry { item: (), event: Some(draft) }).await;
    }
    let _ = room.acquire_many(WINDOW as u32).await;
    outcome.add("messages", plan.messages as f64, "");
    outcome.add("stored", plan.messages as f64 / began.elapsed().as_secs_f64(), "messages/s");
    while archive.indexing().is_behind() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    outcome.add("stored and indexed", plan.messages as f64 / began.elapsed().as_secs_f64(), "messages/s");

    for (class, asked) in questions {
        let mut times = Vec::with_capacity(asked.len());
        let mut hits = 0;
        for one in asked {
            let began = Instant::now();
            hits += cast.ask(&archive, one).await.map_err(|error| fault(&error))?;
            times.push(began.elapsed());
        }
        add(&mut outcome, *class, times, hits);
    }
    archive.shutdown().await;
    vault.close().await;
    sizes(&mut outcome, &folder.join("vault.db")).map_err(|error| fault(&error))?;
    Ok(outcome)
}

/// Adds the figures of a class.
fn add(outcome: &mut Outcome, class: Class, mut times: Vec<Duration>, hits: usize) {
    times.sort_unstable();
    let at = |part: f64| {
        let place = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
        times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    let [median, slow, found] = class.names();
    outcome.add(median, at(0.5), "ms");
    outcome.add(slow, at(0.99), "ms");
    outcome.add(found, hits as f64 / times.len().max(1) as f64, "");
}

/// What the log and the index take.
fn sizes(outcome: &mut Outcome, path: &std::path::Path) -> rusqlite::Result<()> {
    let db = rusqlite::Connection::open(path)?;
    let sum = |question: &str| -> rusqlite::Result<f64> { db.query_row(question, [], |row| row.get(0)) };
    let log =
        sum("SELECT total(length(sealed) + length(tags) + length(key) + length(hash) + 16) FROM events")?;
    // The kinds that the index has for itself.
    let index = sum("SELECT total(length(sealed) + 48) FROM records WHERE kind BETWEEN 0x4110 AND 0x411f")?;
    outcome.add("log", log / 1e6, "MB");
    outcome.add("index", index / 1e6, "MB");
    outcome.add("index beside log", 100.0 * index / log.max(1.0), "%");
    Ok(())
}

/// Who takes part.
struct Cast {
    people: Vec<Jid>,
    rooms: Vec<BareJid>,
}

impl Cast {
    fn new(plan: &Plan) -> Self {
        let address = |text: String| Jid::new(&text).ok();
        let people = (0..plan.people).filter_map(|n| address(format!("person{n}@corp.example/desk")));
        let rooms = (0..plan.rooms).filter_map(|n| address(format!("room{n}@conference.corp.example")));
        Self { people: people.collect(), rooms: rooms.map(Jid::into_bare).collect() }
    }

    fn draft(&self, said: &Said, corpus: &Corpus, number: usize) -> Draft {
        let body = corpus.text(said);
        let from = &self.people[said.from];
        let id = format!("m{number:x}");
        let (shown, to, type_, conversation, owners) = match said.room {
            Some(room) => {
                let room = &self.rooms[room];
                let shown = format!("{room}/person{}", said.from);
                let owners = std::iter::once(room.clone()).collect();
                (shown, Jid::from(room.clone()), "groupchat", Conversation::Room(room.clone()), owners)
            }
            None => {
                let to = self.people[said.to].to_bare();
                let pair = Conversation::between(&from.to_bare(), &to);
                let owners = [to.clone(), from.to_bare()].into_iter().collect();
                (from.to_string(), Jid::from(to), "chat", pair, owners)
            }
        };
        let stanza = format!(
            "<message xmlns='jabber:client' from='{shown}' to='{to}' id='{id}' type='{type_}'><body>{body}</body></message>"
        );
        Draft {
            owners,
            conversation,
            from: from.clone(),
            to,
            through: None,
            stanza: stanza.into(),
            text: Some(body),
            id: Some(id.into()),
            about: None,
            writes: Vec::new(),
            spool: None,
            ledger: Default::default(),
        }
    }

    /// Asks the archive. Returns the number of hits on the first page.
    async fn ask(&self, archive: &Archive<()>, asked: &Asked) -> archive::Result<usize> {
        let owner = match (asked.book, asked.room) {
            (Some(person), _) => Some(self.people[person].to_bare()),
            (_, Some(room)) => Some(self.rooms[room].clone()),
            _ => None,
        };
        if let (Some(owner), true) = (&owner, asked.words.is_empty()) {
            let query = Query { limit: PAGE, backwards: true, ..Query::default() };
            return Ok(archive.history(owner, &query).await?.items.len());
        }
        let scope = match owner {
            Some(owner) => Scope::of([owner]),
            None => Scope::everybody(),
        };
        let text = match asked.from {
            Some(person) => format!("{} from:person{person}", asked.words),
            None => asked.words.clone(),
        };
        let question =
            Question::parse(&text, &Language::default()).map_err(|_| archive::ArchiveError::NotFound)?;
        let inquiry = Inquiry { limit: PAGE, ..Inquiry::new(&scope, &question, &Bare) };
        Ok(archive.find(&inquiry).await?.hits.len())
    }
}
