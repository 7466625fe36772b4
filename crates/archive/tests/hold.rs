//! Matters say why, holds say what, and neither is undone by accident.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use archive::{
    Barred, Brief, Conversation, Filter, Hold, HoldError, Matter, MatterError, Scope, Sequence, Step,
};
use common::{Trail, bare, draft};
use jid::{BareJid, Jid};
use vault::VaultError;

fn who(name: &str) -> Jid {
    bare(&format!("{name}@corp.example")).into()
}

fn brief(custodians: &[&str]) -> Brief {
    let custodians = custodians.iter().map(|name| bare(&format!("{name}@corp.example"))).collect();
    Brief {
        name: "The letter".into(),
        reason: "Somebody asked the court".into(),
        scope: Scope { custodians, ..Scope::default() },
        readers: vec![bare("auditor@corp.example")],
        approvals: 0,
    }
}

/// A question is a word that the stanza must contain; one with a bracket cannot be read.
fn contains(question: &str) -> Result<Filter, String> {
    if question.contains('(') {
        return Err("a bracket is not closed".into());
    }
    let word = question.to_owned();
    Ok(Box::new(move |item| String::from_utf8_lossy(&item.stanza).contains(&word)))
}

async fn place(trail: &Trail, matter: &Matter) -> Result<Hold, HoldError> {
    trail.archive.holds().place(matter, &who("auditor"), &contains, &|_, _| {}).await
}

async fn extend(trail: &Trail) {
    trail.archive.holds().extend(&contains, &|_, _| {}).await.unwrap();
}

async fn bound(trail: &Trail, hold: &Hold) -> Vec<u64> {
    trail.archive.holds().places(&hold.id).await.unwrap().iter().map(|place| place.0).collect()
}

async fn in_room(trail: &mut Trail, from: &str, body: &str) -> u64 {
    let room: BareJid = bare("garden@conference.corp.example");
    let mut said = draft(from, room.as_str(), body);
    said.owners = [room.clone()].into_iter().collect();
    said.conversation = Conversation::Room(room);
    trail.store(said).await.sequence.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matter_allows_nothing_before_enough_others_have_approved_what_it_covers_now() {
    let folder = tempfile::tempdir().unwrap();
    let trail = Trail::open(folder.path()).await;
    let matters = trail.archive.matters();
    let reader = bare("auditor@corp.example");
    for lacking in [
        Brief { reason: " ".into(), ..brief(&["romeo"]) },
        Brief { name: String::new(), ..brief(&["romeo"]) },
        brief(&[]),
    ] {
        assert!(matches!(matters.open(lacking, &who("auditor")).await, Err(MatterError::Incomplete(_))));
    }
    let two = Brief { approvals: 2, ..brief(&["romeo"]) };
    let opened = matters.open(two.clone(), &who("auditor")).await.unwrap();
    let id = opened.value.id.clone();
    assert_eq!(opened.value.may_read(&reader), Err(Barred::Unapproved { given: 0, needed: 2 }));

    let own = matters.decide(&id, opened.version, &who("auditor"), true, None).await;
    assert!(matches!(own, Err(MatterError::Own)));
    let one = matters.decide(&id, opened.version, &who("nurse"), true, None).await.unwrap();
    // The same person twice, from another device, is one approval.
    let phone: Jid = "nurse@corp.example/phone".parse().unwrap();
    let again = matters.decide(&id, one.version, &phone, true, None).await.unwrap();
    assert_eq!(again.value.may_read(&reader), Err(Barred::Unapproved { given: 1, needed: 2 }));
    // What was read is not what is approved.
    let stale = matters.decide(&id, one.version, &who("friar"), true, None).await;
    assert!(matches!(stale, Err(MatterError::Vault(VaultError::Conflict))));
    let both = matters.decide(&id, again.version, &who("friar"), true, Some("seen".into())).await.unwrap();
    assert_eq!(both.value.may_read(&reader), Ok(()));
    assert_eq!(both.value.may_read(&bare("nurse@corp.example")), Err(Barred::NotAReader));

    // Another name is the same matter; a wider scope is not.
    let renamed = Brief { name: "The letters".into(), ..two.clone() };
    let renamed = matters.change(&id, both.version, renamed, &who("friar")).await.unwrap();
    assert_eq!(renamed.value.in_force(), Ok(()));
    let wider = Brief { scope: brief(&["romeo", "juliet"]).scope, ..two };
    let wider = matters.change(&id, renamed.version, wider, &who("friar")).await.unwrap();
    assert_eq!(wider.value.in_force(), Err(Barred::Unapproved { given: 0, needed: 2 }));
    // Whoever changed it is an author now.
    assert!(matches!(
        matters.decide(&id, wider.version, &who("friar"), true, None).await,
        Err(MatterError::Own)
    ));
    let refused = matters.decide(&id, wider.version, &who("nurse"), false, None).await.unwrap();
    assert_eq!(refused.value.in_force(), Err(Barred::Refused));

    let closed = matters.close(&id, refused.version, &who("auditor"), true, None).await.unwrap();
    assert_eq!(closed.value.may_read(&reader), Err(Barred::Closed));
    let changed = matters.change(&id, closed.version, brief(&["romeo"]), &who("auditor")).await;
    assert!(matches!(changed, Err(MatterError::Closed)));
    trail.close().await;

    // All of it is still known after a restart, and what it was before.
    let trail = Trail::open(folder.path()).await;
    let kept = trail.archive.matters().get(&id).await.unwrap().value;
    let steps: Vec<Step> = kept.history.iter().map(|change| change.step).collect();
    use Step::{Approved, Changed, Closed, Opened, Refused};
    assert_eq!(steps, [Opened, Approved, Approved, Approved, Changed, Changed, Refused, Closed]);
    assert_eq!(kept.history[4].before.as_ref().unwrap().name, "The letter");
    assert_eq!(trail.archive.matters().all().await.unwrap().len(), 1);
    let nobody = trail.archive.matters().get("m-nobody").await;
    assert!(matches!(nobody, Err(MatterError::Unknown(_))));
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_binds_what_its_people_said_and_heard_and_what_they_say_later() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let said = trail.say("romeo@corp.example/a", "juliet@corp.example", "soft").await.sequence.0;
    let heard = trail.say("nurse@corp.example/a", "romeo@corp.example", "hark").await.sequence.0;
    trail.say("nurse@corp.example/a", "juliet@corp.example", "hush").await;
    let room = in_room(&mut trail, "romeo@corp.example/a", "here").await;
    in_room(&mut trail, "tybalt@corp.example/a", "what").await;

    let matter = trail.archive.matters().open(brief(&["romeo"]), &who("auditor")).await.unwrap().value;
    let hold = place(&trail, &matter).await.unwrap();
    assert_eq!(bound(&trail, &hold).await, [said, heard, room]);
    assert_eq!((hold.count, hold.through), (3, Sequence(5)));

    let later = trail.say("romeo@corp.example/a", "juliet@corp.example", "farewell").await.sequence.0;
    trail.say("nurse@corp.example/a", "juliet@corp.example", "alas").await;
    assert_eq!(bound(&trail, &hold).await, [said, heard, room]);
    extend(&trail).await;
    assert_eq!(bound(&trail, &hold).await, [said, heard, room, later]);
    // Placing it again is no second hold.
    assert_eq!(place(&trail, &matter).await.unwrap().id, hold.id);
    assert_eq!(trail.archive.holds().all().await.unwrap().len(), 1);

    let mut held = trail.archive.holds().held().await.unwrap();
    assert_eq!(held.matters(Sequence(said)).await.unwrap(), [&matter.id]);
    assert!(held.matters(Sequence(3)).await.unwrap().is_empty());

    let released = trail.archive.holds().release(&hold.id, &who("auditor"), None).await.unwrap();
    assert_eq!(released.released.as_ref().unwrap().by, who("auditor"));
    let mut held = trail.archive.holds().held().await.unwrap();
    assert!(held.matters(Sequence(said)).await.unwrap().is_empty());
    // What it bound is remembered, and grows no more.
    trail.say("romeo@corp.example/a", "juliet@corp.example", "thus").await;
    extend(&trail).await;
    assert_eq!(bound(&trail, &hold).await, [said, heard, room, later]);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_narrows_a_hold_and_one_that_cannot_be_read_is_refused_or_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    trail.say("romeo@corp.example/a", "juliet@corp.example", "soft").await;
    let dagger = trail.say("romeo@corp.example/a", "juliet@corp.example", "a dagger").await.sequence.0;
    let mut asked = brief(&["romeo"]);
    asked.scope.question = Some("dagger".into());
    let matter = trail.archive.matters().open(asked.clone(), &who("auditor")).await.unwrap().value;
    let hold = place(&trail, &matter).await.unwrap();
    assert_eq!(bound(&trail, &hold).await, [dagger]);

    let later = trail.say("romeo@corp.example/a", "juliet@corp.example", "no weapon").await.sequence.0;
    let unreadable = |_: &str| Err::<Filter, _>("another release could read it".to_owned());
    trail.archive.holds().extend(&unreadable, &|_, _| {}).await.unwrap();
    assert_eq!(bound(&trail, &hold).await, [dagger, later]);

    asked.scope.question = Some("(dagger".into());
    let matter = trail.archive.matters().open(asked, &who("auditor")).await.unwrap().value;
    assert!(matches!(place(&trail, &matter).await, Err(HoldError::Question(_))));
    assert_eq!(trail.archive.holds().all().await.unwrap().len(), 1);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_was_cut_off_on_the_way_is_completed_and_two_at_once_do_not_lose_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let count = 20_000;
    for at in 0..count {
        trail.submit(at, Some(draft("romeo@corp.example/a", "juliet@corp.example", "x"))).await;
    }
    for _ in 0..count {
        trail.outcomes.recv().await.unwrap();
    }
    let matter = trail.archive.matters().open(brief(&["romeo"]), &who("auditor")).await.unwrap().value;
    // Dropped in the middle, as by a crash: what was done by then is stored.
    let (reached, mut first) = tokio::sync::mpsc::unbounded_channel();
    let holds = trail.archive.holds();
    let task = tokio::spawn({
        let (holds, matter) = (holds.clone(), matter.clone());
        async move {
            let tell = move |through: Sequence, _: Sequence| _ = reached.send(through);
            holds.place(&matter, &who("auditor"), &contains, &tell).await
        }
    });
    let through = first.recv().await.unwrap();
    task.abort();
    let _ = task.await;
    assert!(through < Sequence(count));
    let hold = holds.all().await.unwrap().pop().unwrap();
    assert!(hold.count >= through.0);

    let (one, other) = tokio::join!(place(&trail, &matter), place(&trail, &matter));
    assert_eq!((one.unwrap().count, other.unwrap().count), (count, count));
    assert_eq!(bound(&trail, &hold).await, (1..=count).collect::<Vec<_>>());
    trail.close().await;
}
