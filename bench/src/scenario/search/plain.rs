//! SQLite's full text (FTS5) on the same messages, as they are: the yardstick.

use std::path::Path;
use std::time::Instant;

use rusqlite::{Connection, params};

use super::corpus::Corpus;
use super::{Asked, Class, PAGE, Plan, add};
use crate::report::Outcome;

pub(super) fn run(
    plan: &Plan,
    corpus: &Corpus,
    questions: &[(Class, Vec<Asked>)],
    path: &Path,
) -> rusqlite::Result<Outcome> {
    let mut db = Connection::open(path)?;
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -65536;
         CREATE TABLE said(id INTEGER PRIMARY KEY, sender INTEGER, recipient INTEGER, room INTEGER, body TEXT);
         CREATE VIRTUAL TABLE words USING fts5(body, content='said', content_rowid='id', tokenize='porter unicode61');",
    )?;
    let mut outcome = Outcome::new("search", false, "SQLite FTS5, plain");
    let began = Instant::now();
    let numbers: Vec<usize> = (0..plan.messages).collect();
    for batch in numbers.chunks(1000) {
        let tx = db.transaction()?;
        for number in batch {
            let said = corpus.said(*number);
            let body = corpus.text(&said);
            let id = *number as i64 + 1;
            tx.prepare_cached("INSERT INTO said VALUES(?1, ?2, ?3, ?4, ?5)")?.execute(params![
                id,
                said.from as i64,
                said.room.is_none().then_some(said.to as i64),
                said.room.map(|room| room as i64),
                body
            ])?;
            tx.prepare_cached("INSERT INTO words(rowid, body) VALUES(?1, ?2)")?.execute(params![id, body])?;
        }
        tx.commit()?;
    }
    outcome.add("messages", plan.messages as f64, "");
    outcome.add("stored", plan.messages as f64 / began.elapsed().as_secs_f64(), "messages/s");
    db.execute_batch("CREATE INDEX by_sender ON said(sender); CREATE INDEX by_recipient ON said(recipient); CREATE INDEX by_room ON said(room);")?;
    outcome.add("stored and indexed", plan.messages as f64 / began.elapsed().as_secs_f64(), "messages/s");
    for (class, asked) in questions {
        let mut times = Vec::with_capacity(asked.len());
        let mut hits = 0;
        for one in asked {
            let began = Instant::now();
            hits += ask(&db, one)?;
            times.push(began.elapsed());
        }
        add(&mut outcome, *class, times, hits);
    }
    Ok(outcome)
}

fn ask(db: &Connection, asked: &Asked) -> rusqlite::Result<usize> {
    let (book, room, from) = (
        asked.book.map(|one| one as i64),
        asked.room.map(|one| one as i64),
        asked.from.map(|one| one as i64),
    );
    if asked.words.is_empty() {
        let mut statement = db.prepare_cached(
            "SELECT id, body FROM said WHERE id IN (
                 SELECT id FROM (SELECT id FROM said WHERE sender = ?1 AND room IS NULL ORDER BY id DESC LIMIT ?2)
                 UNION SELECT id FROM (SELECT id FROM said WHERE recipient = ?1 ORDER BY id DESC LIMIT ?2))
             ORDER BY id DESC LIMIT ?2",
        )?;
        return count(statement.query(params![book, PAGE])?);
    }
    let words =
        "SELECT said.id, said.body FROM words JOIN said ON said.id = words.rowid WHERE words MATCH ?1";
    match (book, room, from) {
        (Some(person), ..) => {
            let question = format!(
                "{words} AND (said.sender = ?2 AND said.room IS NULL OR said.recipient = ?2) ORDER BY words.rowid DESC LIMIT ?3"
            );
            count(db.prepare_cached(&question)?.query(params![asked.words, person, PAGE])?)
        }
        (_, Some(room), _) => {
            let question = format!("{words} AND said.room = ?2 ORDER BY words.rowid DESC LIMIT ?3");
            count(db.prepare_cached(&question)?.query(params![asked.words, room, PAGE])?)
        }
        (.., Some(person)) => {
            let question = format!("{words} AND said.sender = ?2 ORDER BY words.rowid DESC LIMIT ?3");
            count(db.prepare_cached(&question)?.query(params![asked.words, person, PAGE])?)
        }
        _ => {
            let question = format!("{words} ORDER BY words.rowid DESC LIMIT ?2");
            count(db.prepare_cached(&question)?.query(params![asked.words, PAGE])?)
        }
    }
}

fn count(mut rows: rusqlite::Rows<'_>) -> rusqlite::Result<usize> {
    let mut found = 0;
    while let Some(row) = rows.next()? {
        let _: String = row.get(1)?;
        found += 1;
    }
    Ok(found)
}
