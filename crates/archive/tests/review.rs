//! What rules and samples pick out is looked at by those who may, once, and nothing is lost on the way.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::review::{
    Action, Bar, Company, Outcome, Period, ReviewError, ReviewItem, Reviewer, Reviews, State, Wanted,
};
use archive::{Conversation, Draft, Ledger, Micros, Selection};
use common::{Trail, bare, draft};
use jid::Jid;
use vault::Versioned;

const RULES: &str = r#"
[lists.rumours]
words = ["front running"]

[[rule]]
id = "cards"
when = { detect = "card", from = "group:Sales" }
then = "flag"
reviewers = "group:Compliance"

[[rule]]
id = "rumours"
when = { list = "rumours" }
then = "flag"
"#;

const CARD: &str = "it is 4111 1111 1111 1111";

fn company() -> Company {
    let people = [("romeo", "Sales"), ("juliet", "Sales"), ("friar", "Compliance"), ("nurse", "Compliance")];
    let groups = people.map(|(name, group)| (bare(&format!("{name}@corp.example")), vec![group.to_owned()]));
    let domains = ["corp.example", "conference.corp.example"].map(str::to_owned).into_iter().collect();
    Company { domains, groups: groups.into_iter().collect(), offset: 0 }
}

fn reviewer(name: &str) -> Reviewer {
    let who = bare(&format!("{name}@corp.example"));
    Reviewer { groups: company().groups(&who).to_vec(), who, senior: name == "prince" }
}

fn officer() -> Jid {
    Jid::new("prince@corp.example").unwrap()
}

async fn supervised(trail: &Trail, rules: &str) -> Reviews {
    let reviews = Reviews::new(trail.vault.clone());
    reviews.begin().await.unwrap();
    reviews.set_rules(rules, 0, &officer()).await.unwrap();
    reviews
}

async fn follow(reviews: &Reviews) -> u64 {
    reviews.follow(&company(), u64::MAX, Micros::now()).await.unwrap().filed
}

async fn listed(reviews: &Reviews, name: &str) -> Vec<Versioned<ReviewItem>> {
    reviews.list(&reviewer(name), &Wanted { limit: 100, ..Wanted::default() }).await.unwrap()
}

fn in_room(from: &str, body: &str) -> Draft {
    let room = "hall@conference.corp.example";
    let mut said = draft(from, room, body);
    said.stanza = format!(
        "<message xmlns='jabber:client' from='{room}/x' type='groupchat' id='x'><body>{body}</body></message>"
    )
    .into();
    said.owners = [bare(room)].into_iter().collect();
    said.conversation = Conversation::Room(bare(room));
    said
}

fn comes(who: &str, type_: &str) -> Draft {
    let mut coming = in_room(who, "");
    coming.stanza =
        format!("<presence xmlns='jabber:client' from='hall@conference.corp.example/x' {type_}/>").into();
    coming.ledger = Ledger::Happenings;
    coming
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_number_lands_in_the_queue_of_the_named_and_of_nobody_who_took_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    trail.say("romeo@corp.example/a", "nurse@corp.example", CARD).await;
    trail.say("friar@corp.example/a", "juliet@corp.example", CARD).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", "hello").await;
    assert_eq!(follow(&reviews).await, 1);
    assert_eq!(follow(&reviews).await, 0);

    let items = listed(&reviews, "friar").await;
    let item = &items[0].value;
    assert_eq!((items.len(), item.causes[0].id.as_str(), item.causes[0].version), (1, "cards", 1));
    let (event, said) = reviews.said(item.sequence).await.unwrap().unwrap();
    assert_eq!(&said.text[item.causes[0].found[0].range.clone()], "4111 1111 1111 1111");
    assert_eq!(event.from.to_string(), "romeo@corp.example/a");

    // The nurse is named, too, but it was said to her; others are not named.
    for name in ["nurse", "romeo", "juliet"] {
        assert!(listed(&reviews, name).await.is_empty(), "{name}");
    }
    let own = reviews.get(&item.id, &reviewer("nurse")).await;
    assert!(matches!(own, Err(ReviewError::Barred(Bar::Party))), "{own:?}");
    let other = reviews.get(&item.id, &reviewer("paris")).await;
    assert!(matches!(other, Err(ReviewError::Barred(Bar::NotNamed))), "{other:?}");
    assert_eq!(listed(&reviews, "prince").await.len(), 1);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_in_a_room_does_not_review_what_was_said_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    trail.store(comes("friar@corp.example/a", "")).await;
    trail.store(comes("friar@corp.example/b", "")).await;
    trail.store(comes("friar@corp.example/a", "type='unavailable'")).await;
    trail.store(in_room("romeo@corp.example/a", CARD)).await;
    trail.store(comes("friar@corp.example/b", "type='unavailable'")).await;
    trail.store(in_room("romeo@corp.example/a", CARD)).await;
    trail.store(comes("friar@corp.example/b", "")).await;
    follow(&reviews).await;
    // In with one of two devices at first, gone at the second.
    assert_eq!(listed(&reviews, "nurse").await.len(), 2);
    let seen = listed(&reviews, "friar").await;
    assert_eq!(seen.iter().map(|item| item.value.sequence.0).collect::<Vec<_>>(), [6]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_made_once_and_never_for_somebody_who_took_part() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    trail.say("romeo@corp.example/a", "nurse@corp.example", CARD).await;
    follow(&reviews).await;
    let Versioned { value: item, version } = listed(&reviews, "friar").await.remove(0);
    let act = async |version, name: &str, action, words: &str| {
        reviews.act(&item.id, version, &reviewer(name), action, words.to_owned()).await
    };
    let to_nurse = Action::Assign { to: bare("nurse@corp.example") };
    let refused = act(version, "prince", to_nurse, "").await;
    assert!(matches!(refused, Err(ReviewError::Barred(Bar::OtherParty(_)))), "{refused:?}");
    let taken = act(version, "friar", Action::Assign { to: bare("friar@corp.example") }, "").await.unwrap();
    let close = Action::Close { outcome: Outcome::Violation };
    let late = act(version, "prince", close.clone(), "mine").await;
    assert!(matches!(late, Err(ReviewError::Conflict)), "{late:?}");
    act(taken.version, "friar", close, "a real card").await.unwrap();

    assert!(listed(&reviews, "friar").await.is_empty());
    let wanted = Wanted { state: Some(State::Closed), limit: 10, ..Wanted::default() };
    let closed = reviews.list(&reviewer("friar"), &wanted).await.unwrap();
    assert_eq!(closed.len(), 1);
    let again = act(closed[0].version, "friar", Action::Reopen, "a test card").await.unwrap();
    assert_eq!(again.value.state, State::Open);
    assert_eq!(listed(&reviews, "friar").await.len(), 1);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_died_loses_nothing_and_files_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    for number in 0..700 {
        let body = if number % 100 == 0 { CARD.to_owned() } else { format!("message {number}") };
        trail.say("romeo@corp.example/a", "juliet@corp.example", &body).await;
    }
    // Some way, and then the process is gone: what it held in memory counts for nothing.
    reviews.follow(&company(), 1, Micros::now()).await.unwrap();
    drop(reviews);
    let reviews = Reviews::new(trail.vault.clone());
    follow(&reviews).await;
    let reviews = Reviews::new(trail.vault.clone());
    assert_eq!(follow(&reviews).await, 0);
    assert_eq!(listed(&reviews, "friar").await.len(), 7);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_before_anybody_supervised_is_only_found_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", CARD).await;
    let reviews = supervised(&trail, RULES).await;
    assert_eq!(follow(&reviews).await, 0);
    let all = Selection::default();
    let dry = reviews.try_rules(None, all.clone(), &company(), false, &|_, _| {}).await.unwrap();
    assert_eq!((dry.messages, dry.taken, dry.filed), (1, 1, 0));
    let counts: Vec<_> = dry.rules.iter().map(|tally| (tally.id.as_str(), tally.messages)).collect();
    assert_eq!(counts, [("cards", 1), ("rumours", 0)]);
    assert!(listed(&reviews, "friar").await.is_empty());

    let wet = reviews.try_rules(None, all.clone(), &company(), true, &|_, _| {}).await.unwrap();
    assert_eq!(wet.filed, 1);
    let wet = reviews.try_rules(None, all, &company(), true, &|_, _| {}).await.unwrap();
    assert_eq!(wet.filed, 0);
    assert_eq!(listed(&reviews, "friar").await[0].value.id, dry.rules[0].examples[0]);
    trail.close().await;
}

const SAMPLES: &str = r#"
[[sample]]
id = "share"
from = "group:Sales"
percent = 20

[[sample]]
id = "week"
from = "romeo@corp.example"
per_week = 5
"#;

#[tokio::test(flavor = "multi_thread")]
async fn samples_draw_what_nobody_can_tell_and_a_second_draw_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, SAMPLES).await;
    for number in 0..300 {
        let from = if number % 2 == 0 { "romeo@corp.example/a" } else { "friar@corp.example/a" };
        trail.say(from, "paris@corp.example", &format!("message {number}")).await;
    }
    let first = reviews.try_rules(None, Selection::default(), &company(), false, &|_, _| {}).await.unwrap();
    let second = reviews.try_rules(None, Selection::default(), &company(), false, &|_, _| {}).await.unwrap();
    assert_eq!(first, second);
    // Of 150 messages a fifth is 30; far from that is a fault in the draw.
    assert!((10..=55).contains(&first.rules[0].messages), "{first:?}");
    assert_eq!(first.rules[1].messages, 5);

    // The follower draws the same; those by the week come when it is over.
    follow(&reviews).await;
    let drawn = async |id: &str| {
        let wanted = Wanted { cause: Some(id.to_owned()), limit: 1000, ..Wanted::default() };
        let items = reviews.list(&reviewer("prince"), &wanted).await.unwrap();
        items.into_iter().map(|item| item.value.id).collect::<Vec<_>>()
    };
    assert_eq!(drawn("share").await.len() as u64, first.rules[0].messages);
    assert!(drawn("week").await.is_empty());
    let next_week = Micros(Micros::now().0 + 8 * 86_400_000_000);
    reviews.follow(&company(), u64::MAX, next_week).await.unwrap();
    let mut expected = first.rules[1].examples.clone();
    let mut week = drawn("week").await;
    expected.sort();
    week.sort();
    assert_eq!(week, expected);
    trail.close().await;

    // Another folder has another secret.
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, SAMPLES).await;
    for number in 0..300 {
        trail.say("romeo@corp.example/a", "paris@corp.example", &format!("message {number}")).await;
    }
    let other = reviews.try_rules(None, Selection::default(), &company(), false, &|_, _| {}).await.unwrap();
    assert_ne!(other.rules[0].messages, 0);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_have_versions_and_faults_have_lines() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    let faulty = reviews.set_rules("[[rule]]\nid = 'x'\n", 1, &officer()).await;
    assert!(matches!(&faulty, Err(ReviewError::Rules(faults)) if faults.0[0].line == 1), "{faulty:?}");
    let blocks = "[[rule]]\nid = 'x'\nwhen = {}\nthen = { block = 'no' }";
    let blocks = reviews.set_rules(blocks, 1, &officer()).await;
    assert!(matches!(blocks, Err(ReviewError::OnlyFlags(_))), "{blocks:?}");
    let stale = reviews.set_rules("", 0, &officer()).await;
    assert!(matches!(stale, Err(ReviewError::Conflict)), "{stale:?}");
    assert_eq!(reviews.set_rules("", 1, &officer()).await.unwrap().version, 2);
    trail.say("romeo@corp.example/a", "juliet@corp.example", CARD).await;
    assert_eq!(follow(&reviews).await, 0);
    let versions: Vec<_> = reviews.rulebooks().await.unwrap().iter().map(|book| book.version).collect();
    assert_eq!(versions, [2, 1]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_counts_and_holds_no_words_of_the_event() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    trail.say("romeo@corp.example/a", "nurse@corp.example", CARD).await;
    trail.say("romeo@corp.example/a", "nurse@corp.example", "no front running").await;
    follow(&reviews).await;
    let Versioned { value: item, version } = listed(&reviews, "friar").await.remove(0);
    let close = Action::Close { outcome: Outcome::Violation };
    let words = "=1+1, \"<b>really</b>\"".to_owned();
    reviews.act(&item.id, version, &reviewer("friar"), close, words).await.unwrap();

    let report = reviews.report(Period { start: Micros(0), end: Micros::now() }).await.unwrap();
    let total = report.total;
    assert_eq!((total.filed, total.reviewed, total.open, total.violations), (2, 1, 1, 1));
    assert_eq!(
        report.rules.iter().map(|rule| (rule.id.as_str(), rule.count.open)).collect::<Vec<_>>(),
        [("cards", 0), ("rumours", 1)]
    );
    assert_eq!((report.reviewers[0].closed, report.decisions.len()), (1, 1));
    let (csv, html, json) = (report.csv().unwrap(), report.html(), serde_json::to_string(&report).unwrap());
    assert!(csv.contains("\"'=1+1, \"\"<b>really</b>\"\"\""), "{csv}");
    assert!(html.contains("&lt;b&gt;really") && !html.contains("<b>"), "{html}");
    for text in [csv, html, json] {
        assert!(!text.contains("4111") && !text.contains("front"), "{text}");
    }
    let none = reviews.report(Period { start: Micros(0), end: Micros(1) }).await.unwrap();
    assert_eq!(none.total.filed, 0);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_meanwhile_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let reviews = supervised(&trail, RULES).await;
    let receipt = trail.say("romeo@corp.example/a", "juliet@corp.example", CARD).await;
    follow(&reviews).await;
    let event = trail.vault.store().events(vec![receipt.sequence]).await.unwrap().remove(0);
    trail.vault.destroy_keys(&[event.key]).await.unwrap();
    assert!(reviews.said(receipt.sequence).await.unwrap().is_none());
    assert_eq!(listed(&reviews, "friar").await.len(), 1);
    trail.close().await;
}
