//! History as XEP-0313 asks for it, compared with a model that does everything the slow and simple way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::{ArchiveError, Conversation, Draft, Item, Micros, Query, Sequence};
use common::{Trail, bare, draft};
use jid::{BareJid, Jid};
use proptest::prelude::*;

const PEOPLE: [&str; 4] = ["romeo@a.example", "juliet@a.example", "nurse@a.example", "tybalt@b.example"];
const DEVICES: [&str; 2] = ["phone", "desk"];

fn places(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.sequence.0).collect()
}

/// A message of a small world; some are to a full address, some to oneself, some are seen by one side only.
fn message(from: usize, to: usize, devices: usize, n: usize) -> Draft {
    let sender = format!("{}/{}", PEOPLE[from], DEVICES[devices & 1]);
    let recipient = match devices & 2 {
        0 => PEOPLE[to].to_owned(),
        _ => format!("{}/{}", PEOPLE[to], DEVICES[devices >> 2 & 1]),
    };
    let mut draft = draft(&sender, &recipient, &format!("message {n}"));
    draft.owners.dedup();
    if devices & 8 != 0 {
        draft.owners.truncate(1);
    }
    draft
}

struct Told {
    owners: Vec<BareJid>,
    item: Item,
}

/// What a page should be, found by looking at every message.
fn model(told: &[Told], owner: &BareJid, query: &Query) -> Option<(Vec<u64>, bool, u64)> {
    let mine: Vec<&Item> = told.iter().filter(|t| t.owners.contains(owner)).map(|t| &t.item).collect();
    let named = query.after.iter().chain(&query.before).chain(query.ids.iter().flatten());
    for name in named {
        mine.iter().find(|item| item.sequence == *name)?;
    }
    let matching: Vec<&Item> = mine
        .into_iter()
        .filter(|item| query.start.is_none_or(|start| item.time >= start))
        .filter(|item| query.end.is_none_or(|end| item.time <= end))
        .filter(|item| query.ids.as_ref().is_none_or(|ids| ids.contains(&item.sequence)))
        .filter(|item| {
            query.with.as_ref().is_none_or(|with| {
                let same = |address: &Jid| {
                    if with.is_full() { address == with } else { address.to_bare() == with.to_bare() }
                };
                match (item.from.to_bare() == *owner, item.to.to_bare() == *owner) {
                    (true, true) => same(&item.from) || same(&item.to),
                    (true, false) => same(&item.to),
                    (false, _) => same(&item.from),
                }
            })
        })
        .collect();
    let count = matching.len() as u64;
    let mut paged: Vec<u64> = matching
        .into_iter()
        .filter(|item| query.after.is_none_or(|after| item.sequence > after))
        .filter(|item| query.before.is_none_or(|before| item.sequence < before))
        .map(|item| item.sequence.0)
        .collect();
    let complete = paged.len() <= query.limit;
    if query.backwards {
        paged.reverse();
    }
    paged.truncate(query.limit);
    paged.sort_unstable();
    Some((paged, complete, count))
}

#[derive(Debug, Clone)]
struct Question {
    owner: usize,
    with: Option<(usize, Option<usize>)>,
    start: Option<usize>,
    end: Option<usize>,
    after: Option<usize>,
    before: Option<usize>,
    ids: Option<Vec<usize>>,
    limit: usize,
    backwards: bool,
}

fn question() -> impl Strategy<Value = Question> {
    let place = || prop::option::weighted(0.3, 0..60usize);
    (
        0..4usize,
        prop::option::of((0..4usize, prop::option::of(0..2usize))),
        (place(), place(), place(), place()),
        prop::option::weighted(0.15, prop::collection::vec(0..60usize, 0..5)),
        1..30usize,
        any::<bool>(),
    )
        .prop_map(|(owner, with, (start, end, after, before), ids, limit, backwards)| Question {
            owner,
            with,
            start,
            end,
            after,
            before,
            ids,
            limit,
            backwards,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_page_is_the_one_that_a_naive_model_gives(
        messages in prop::collection::vec((0..4usize, 0..4usize, 0..16usize), 1..60),
        questions in prop::collection::vec(question(), 40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut trail = Trail::open(folder.path()).await;
            let mut told = Vec::new();
            for (n, (from, to, devices)) in messages.into_iter().enumerate() {
                let draft = message(from, to, devices, n);
                let owners = draft.owners.to_vec();
                let (from, to, stanza) = (draft.from.clone(), draft.to.clone(), draft.stanza.clone());
                let receipt = trail.store(draft).await;
                let ledger = archive::Ledger::Messages;
                let item = Item { sequence: receipt.sequence, time: receipt.time, ledger, from, to, stanza };
                told.push(Told { owners, item });
            }
            let place = |n: usize| Sequence(n as u64 + 1);
            let moment = |n: usize| told.get(n).map_or(Micros(i64::MAX), |told| told.item.time);
            for question in questions {
                let owner = bare(PEOPLE[question.owner]);
                let with = question.with.map(|(person, device)| match device {
                    Some(device) => Jid::new(&format!("{}/{}", PEOPLE[person], DEVICES[device])).unwrap(),
                    None => Jid::new(PEOPLE[person]).unwrap(),
                });
                let query = Query {
                    ledger: Default::default(),
                    with,
                    by: None,
                    words: None,
                    start: question.start.map(moment),
                    end: question.end.map(moment),
                    after: question.after.map(place),
                    before: question.before.map(place),
                    ids: question.ids.map(|ids| ids.into_iter().map(place).collect()),
                    limit: question.limit,
                    backwards: question.backwards,
                    count: true,
                };
                let expected = model(&told, &owner, &query);
                let page = trail.archive.history(&owner, &query).await;
                match (page, expected) {
                    (Err(ArchiveError::NotFound), None) => {}
                    (Ok(page), Some((items, complete, count))) => {
                        assert_eq!(places(&page.items), items, "{owner}: {query:?}");
                        assert_eq!((page.complete, page.count), (complete, Some(count)), "{owner}: {query:?}");
                        for item in &page.items {
                            assert_eq!(*item, told[item.sequence.0 as usize - 1].item);
                        }
                    }
                    (page, expected) => panic!("{owner}: {query:?}: {page:?} instead of {expected:?}"),
                }
            }
            trail.close().await;
        });
    }
}

#[tokio::test]
async fn paging_from_either_end_meets_every_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    for n in 0..95 {
        trail.submit(n, Some(draft("romeo@a.example/x", "juliet@a.example", "word"))).await;
    }
    for _ in 0..95 {
        trail.outcomes.recv().await.unwrap();
    }
    let juliet = bare("juliet@a.example");
    for backwards in [false, true] {
        let mut query = Query { limit: 10, backwards, ..Query::default() };
        let mut met = Vec::new();
        loop {
            let page = trail.archive.history(&juliet, &query).await.unwrap();
            let mut pages = places(&page.items);
            if backwards {
                query.before = page.items.first().map(|item| item.sequence);
                pages.append(&mut met);
                met = pages;
            } else {
                query.after = page.items.last().map(|item| item.sequence);
                met.append(&mut pages);
            }
            if page.complete {
                break;
            }
        }
        assert_eq!(met, (1..=95).collect::<Vec<_>>());
    }
    // Exactly as many as asked for is complete, too.
    let page = trail.archive.history(&juliet, &Query { limit: 95, ..Query::default() }).await.unwrap();
    assert!(page.complete);
    let nobody = trail.archive.history(&bare("nobody@a.example"), &Query::default()).await.unwrap();
    assert!(nobody.complete && nobody.items.is_empty());
    trail.close().await;
}

#[tokio::test]
async fn the_span_is_the_first_and_the_last_message() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let juliet = bare("juliet@a.example");
    assert!(trail.archive.span(&juliet).await.unwrap().is_none());
    trail.say("romeo@a.example/x", "nurse@a.example", "one").await;
    trail.say("romeo@a.example/x", "juliet@a.example", "two").await;
    let (first, last) = trail.archive.span(&juliet).await.unwrap().unwrap();
    assert_eq!((first.sequence, last.sequence), (Sequence(2), Sequence(2)));
    trail.say("juliet@a.example/y", "romeo@a.example", "three").await;
    let (first, last) = trail.archive.span(&juliet).await.unwrap().unwrap();
    assert_eq!((first.sequence, last.sequence), (Sequence(2), Sequence(3)));
    trail.close().await;
}

#[tokio::test]
async fn a_rooms_archive_is_its_own_and_can_be_narrowed_to_one_occupant() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let room = bare("hall@conference.a.example");
    for n in 0..20 {
        let who = if n % 4 == 0 { "thirdwitch" } else { "firstwitch" };
        let mut draft = draft(&format!("{room}/{who}"), room.as_str(), "thrice");
        draft.owners = std::iter::once(room.clone()).collect();
        draft.conversation = Conversation::Room(room.clone());
        trail.store(draft).await;
    }
    let query = Query {
        with: Some(Jid::new(&format!("{room}/thirdwitch")).unwrap()),
        count: true,
        limit: 3,
        ..Query::default()
    };
    let page = trail.archive.history(&room, &query).await.unwrap();
    assert_eq!((places(&page.items), page.complete, page.count), (vec![1, 5, 9], false, Some(5)));
    trail.close().await;
}
