//! Erasure: what goes, what stays and why, and that nothing is left of what went.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use archive::erase::{Around, EraseError, FileUse, Job, Order, Stage, Target, check_certificate};
use archive::{
    Brief, Conversation, Filter, Hold, Item, Micros, Places, Policy, Query, Questions, Scope, Sequence,
    Subject, Why, verify, verify_sealed,
};
use async_trait::async_trait;
use common::{Trail, bare, draft, master};
use jid::{BareJid, Jid};
use parking_lot::Mutex;
use vault::Vault;

const DAY: i64 = 86_400_000_000;

/// The rest of the company: everything with "file:NAME" in it is about that file, and "upload:NAME" is its upload.
#[derive(Default)]
struct Company {
    /// How many days from now it is.
    days: i64,
    files: Mutex<BTreeSet<String>>,
    forgotten: Mutex<Places>,
}

#[async_trait]
impl Around for Company {
    fn now(&self) -> Micros {
        Micros(Micros::now().0 + self.days * DAY)
    }

    fn questions(&self) -> &dyn Questions {
        &everything
    }

    fn groups(&self, _: &BareJid) -> Vec<String> {
        Vec::new()
    }

    fn conversation(&self, item: &Item) -> String {
        let mut pair = [item.from.to_bare().to_string(), item.to.to_bare().to_string()];
        pair.sort();
        pair.join(" and ")
    }

    fn files(&self, item: &Item) -> Vec<FileUse> {
        let stanza = String::from_utf8_lossy(&item.stanza).replace(['<', '>'], " ");
        let words = stanza.split_whitespace().filter_map(|word| word.split_once(':'));
        let named = |(what, file): (&str, &str)| match what {
            "upload" | "file" => Some(FileUse { file: file.into(), upload: what == "upload" }),
            _ => None,
        };
        words.filter_map(named).collect()
    }

    async fn erase_file(&self, file: &str) -> Result<(), String> {
        self.files.lock().insert(file.into());
        Ok(())
    }

    async fn forget(&self, erased: &Places, _: &[BareJid]) -> Result<(), String> {
        self.forgotten.lock().extend(erased);
        Ok(())
    }
}

fn everything(_: &str) -> Result<Filter, String> {
    Ok(Box::new(|_| true))
}

fn who(name: &str) -> Jid {
    bare(&format!("{name}@a.example")).into()
}

fn forget_romeo() -> Order {
    Order {
        target: Target::Said(bare("romeo@a.example")),
        reason: "Request 17 of last Monday".into(),
        by: who("officer"),
    }
}

fn over() -> Order {
    Order { target: Target::Over, reason: "The policies".into(), by: who("officer") }
}

async fn say(trail: &mut Trail, from: &str, to: &str, body: &str) -> u64 {
    trail.say(&format!("{from}@a.example/x"), &format!("{to}@a.example"), body).await.sequence.0
}

async fn in_room(trail: &mut Trail, from: &str, body: &str) -> u64 {
    let room = bare("garden@rooms.a.example");
    let mut said = draft(&format!("{from}@a.example/x"), room.as_str(), body);
    said.owners = [room.clone()].into_iter().collect();
    said.conversation = Conversation::Room(room);
    trail.store(said).await.sequence.0
}

async fn hold(trail: &Trail, custodian: &str) -> Hold {
    let brief = Brief {
        name: "A case".into(),
        reason: "A court asked".into(),
        scope: Scope { custodians: vec![bare(&format!("{custodian}@a.example"))], ..Scope::default() },
        ..Brief::default()
    };
    let matter = trail.archive.matters().open(brief, &who("auditor")).await.unwrap().value;
    trail.archive.holds().place(&matter, &who("auditor"), &everything, &|_, _| {}).await.unwrap()
}

async fn policy(trail: &Trail, subject: &str, minimum: Option<u32>, maximum: Option<u32>) {
    let policies = trail.archive.policies();
    let version = policies.all().await.unwrap().version;
    let subject: Subject = subject.parse().unwrap();
    let policy =
        Policy { subject, minimum, maximum, reason: String::new(), by: who("officer"), at: Micros::now() };
    policies.set(policy, version).await.unwrap();
}

async fn erase(trail: &Trail, order: Order) -> Job {
    trail.archive.erase(order, &Company::default(), &|_, _| {}).await.unwrap()
}

/// The places of what somebody can still read.
async fn read(trail: &Trail, owner: &str) -> Vec<u64> {
    let query = Query { limit: 1000, ..Query::default() };
    let page = trail.archive.history(&bare(owner), &query).await.unwrap();
    page.items.iter().map(|item| item.sequence.0).collect()
}

async fn assert_whole(trail: &Trail) {
    let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
    let report = verify(&**trail.vault.store(), &trail.archive.public_key(), None, |_| {}).await.unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
}

/// Pieces of the ciphertexts of all events.
async fn ciphertexts(trail: &Trail) -> Vec<Vec<u8>> {
    let events = trail.vault.store().scan(Sequence::ZERO, 1000).await.unwrap();
    events.iter().map(|event| event.sealed[24..56].to_vec()).collect()
}

fn bytes_of(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn holds(files: &[u8], piece: &[u8]) -> bool {
    memchr::memmem::find(files, piece).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_forgotten_everywhere_and_nobody_else_is() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let mut trail = Trail::open(&data).await;
    let mut undelivered = draft("romeo@a.example/x", "nurse@a.example", "undelivered");
    undelivered.spool = Some(bare("nurse@a.example"));
    let mine = [
        say(&mut trail, "romeo", "juliet", "soft").await,
        in_room(&mut trail, "romeo", "here upload:letter").await,
        trail.store(undelivered).await.sequence.0,
    ];
    let others = [
        say(&mut trail, "juliet", "romeo", "hark file:letter").await,
        in_room(&mut trail, "juliet", "there").await,
    ];
    let before = ciphertexts(&trail).await;
    let copy = root.path().join("copy");
    trail.vault.backup(&copy, None, &[]).await.unwrap();

    let company = Company::default();
    let plan = trail.archive.plan_erasure(&forget_romeo(), &company, &|_, _| {}).await.unwrap();
    assert_eq!(plan.goes.iter().map(|place| place.0).collect::<Vec<_>>(), mine);
    assert_eq!((plan.lines.len(), plan.kept.len(), &plan.files[..]), (3, 0, &["letter".to_owned()][..]));
    assert_eq!(read(&trail, "juliet@a.example").await, [mine[0], others[0]], "a plan changes nothing");

    let job = trail.archive.erase(forget_romeo(), &company, &|_, _| {}).await.unwrap();
    assert_eq!((job.stage, job.events, job.keys), (Stage::Certified, 3, 3));
    assert_eq!(*company.files.lock(), BTreeSet::from(["letter".to_owned()]));
    assert_eq!(company.forgotten.lock().count(), 3);
    assert_eq!(read(&trail, "juliet@a.example").await, [others[0]]);
    assert_eq!(read(&trail, "garden@rooms.a.example").await, [others[1]]);
    assert_eq!(trail.archive.take_spool(&bare("nurse@a.example")).await.unwrap(), []);
    assert_whole(&trail).await;
    let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
    assert_eq!((report.dropped, report.erased), (3, 0));

    // The same person may go on talking.
    let again = say(&mut trail, "romeo", "juliet", "I am back").await;
    assert_eq!(read(&trail, "juliet@a.example").await, [others[0], again]);
    let files = bytes_of(&data);
    for (at, piece) in (1..).zip(&before) {
        assert_eq!(holds(&files, piece), others.contains(&at), "event {at}");
    }

    // The certificate stands on its own.
    let text = job.certificate.unwrap().to_string();
    let certificate = check_certificate(text.as_bytes(), &trail.archive.public_key()).unwrap();
    assert_eq!(certificate["erased"]["events"], 3);
    assert_eq!(certificate["erased"]["ranges"], serde_json::json!([[mine[0], mine[2]]]));
    assert_eq!(certificate["erased"]["files"], 1);
    assert_eq!(certificate["key_copies"][0]["reached"], true);
    assert_eq!(certificate["request"], "Request 17 of last Monday");
    let forged = text.replace("17", "18");
    assert!(check_certificate(forged.as_bytes(), &trail.archive.public_key()).is_err());
    trail.close().await;

    // A backup from before still has the bytes, and nobody can read them.
    let again = root.path().join("again");
    vault::restore(&copy, None, &again).await.unwrap();
    assert!(holds(&bytes_of(&again), &before[0]));
    let trail = Trail::open(&again).await;
    assert_eq!(read(&trail, "juliet@a.example").await, [others[0]]);
    assert_eq!(read(&trail, "garden@rooms.a.example").await, [others[1]]);
    assert_whole(&trail).await;
    let report = verify_sealed(&trail.vault, None, |_| {}).await.unwrap();
    assert_eq!((report.dropped, report.erased), (0, 3));
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_readable_until_it_is_released_and_erased_again() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let mut trail = Trail::open(&data).await;
    let to_juliet = say(&mut trail, "romeo", "juliet", "soft upload:one").await;
    // The same key, and not held: it was said after the hold's end.
    let held = hold(&trail, "juliet").await;
    let to_nurse = say(&mut trail, "romeo", "nurse", "hush upload:two file:one").await;
    let late = say(&mut trail, "romeo", "juliet", "said after the hold was placed").await;
    trail.vault.backup(&root.path().join("copy"), None, &[]).await.unwrap();

    let company = Company::default();
    let job = trail.archive.erase(forget_romeo(), &company, &|_, _| {}).await.unwrap();
    assert_eq!(job.events, 1);
    assert_eq!((job.kept[0].events, &job.kept[0].why), (2, &Why::Hold(held.matter.clone())));
    let certificate = job.certificate.unwrap();
    assert_eq!(certificate["kept"][0]["why"]["hold"], held.matter);
    assert_eq!(*company.files.lock(), BTreeSet::from(["two".to_owned()]), "a held event is about the other");
    assert_eq!(read(&trail, "romeo@a.example").await, [to_juliet, late]);
    assert_eq!(read(&trail, "nurse@a.example").await, Vec::<u64>::new());
    assert_whole(&trail).await;

    trail.archive.holds().release(&held.id, &who("auditor"), None).await.unwrap();
    assert_eq!(read(&trail, "romeo@a.example").await, [to_juliet, late], "releasing deletes nothing");
    let job = trail.archive.erase(forget_romeo(), &company, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.kept.len()), (2, 0));
    assert_eq!(read(&trail, "romeo@a.example").await, Vec::<u64>::new());
    assert_whole(&trail).await;
    // And once more: nothing is left, and the certificate says so.
    let job = trail.archive.erase(forget_romeo(), &company, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.stage), (0, Stage::Certified));
    trail.close().await;

    vault::restore(&root.path().join("copy"), None, &root.path().join("again")).await.unwrap();
    let trail = Trail::open(&root.path().join("again")).await;
    for owner in ["romeo@a.example", "juliet@a.example", "nurse@a.example"] {
        assert_eq!(read(&trail, owner).await, Vec::<u64>::new(), "{owner} {to_nurse}");
    }
    assert_whole(&trail).await;
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_what_one_key_sealed_is_erased_from_backups_too() {
    let root = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(&root.path().join("data")).await;
    // One conversation, one sender, one month: one key. The matter ends between the two.
    let held = say(&mut trail, "romeo", "juliet", "held").await;
    let end = trail.vault.store().head().await.unwrap().unwrap().time;
    let free = loop {
        let receipt = trail.say("romeo@a.example/x", "juliet@a.example", "free").await;
        if receipt.time > end {
            break receipt.sequence.0;
        }
    };
    let brief = Brief {
        name: "A case".into(),
        reason: "A court asked".into(),
        scope: Scope { custodians: vec![bare("juliet@a.example")], end: Some(end), ..Scope::default() },
        ..Brief::default()
    };
    let matter = trail.archive.matters().open(brief, &who("auditor")).await.unwrap().value;
    let placed =
        trail.archive.holds().place(&matter, &who("auditor"), &everything, &|_, _| {}).await.unwrap();
    trail.vault.backup(&root.path().join("copy"), None, &[]).await.unwrap();
    let job = erase(&trail, forget_romeo()).await;
    assert_eq!(job.keys, 1, "the key goes although something that it sealed stays");
    let stays = read(&trail, "juliet@a.example").await;
    assert!(stays.contains(&held) && !stays.contains(&free));
    let next = say(&mut trail, "romeo", "juliet", "after it").await;
    assert!(read(&trail, "juliet@a.example").await.contains(&next));
    assert_whole(&trail).await;

    vault::restore(&root.path().join("copy"), None, &root.path().join("again")).await.unwrap();
    let restored = Trail::open(&root.path().join("again")).await;
    assert_eq!(read(&restored, "juliet@a.example").await, stays);
    assert_whole(&restored).await;
    restored.close().await;

    // Once it is released, that goes everywhere, too.
    trail.archive.holds().release(&placed.id, &who("auditor"), None).await.unwrap();
    erase(&trail, forget_romeo()).await;
    assert_eq!(read(&trail, "juliet@a.example").await, Vec::<u64>::new());
    assert_whole(&trail).await;
    trail.close().await;
    vault::restore(&root.path().join("copy"), None, &root.path().join("once more")).await.unwrap();
    let restored = Trail::open(&root.path().join("once more")).await;
    assert_eq!(read(&restored, "juliet@a.example").await, Vec::<u64>::new());
    restored.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duty_to_keep_goes_before_the_wish_to_be_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let kept = say(&mut trail, "romeo", "trader", "buy").await;
    say(&mut trail, "romeo", "juliet", "soft").await;
    policy(&trail, "person:trader@a.example", Some(10), None).await;
    let job = erase(&trail, forget_romeo()).await;
    assert_eq!((job.events, job.kept[0].events), (1, 1));
    assert_eq!(job.kept[0].why, Why::Minimum("person:trader@a.example".parse().unwrap()));
    assert_eq!(read(&trail, "romeo@a.example").await, [kept]);
    let later = Company { days: 10, ..Company::default() };
    assert_eq!(trail.archive.erase(forget_romeo(), &later, &|_, _| {}).await.unwrap().events, 1);
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_takes_what_is_over_and_a_dry_run_says_what_that_would_be() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let one = say(&mut trail, "romeo", "juliet", "soft upload:one").await;
    let two = say(&mut trail, "nurse", "juliet", "hush upload:two file:one").await;
    let room = in_room(&mut trail, "romeo", "here file:two").await;
    policy(&trail, "everything", None, Some(30)).await;
    policy(&trail, "room:garden@rooms.a.example", None, Some(60)).await;
    let at = |days| Company { days, ..Company::default() };
    let none = trail.archive.plan_erasure(&over(), &at(29), &|_, _| {}).await.unwrap();
    assert!(none.goes.is_empty() && none.lines.is_empty());

    let held = hold(&trail, "nurse").await;
    let plan = trail.archive.plan_erasure(&over(), &at(30), &|_, _| {}).await.unwrap();
    assert_eq!((plan.lines.len(), plan.lines[0].events), (1, 1));
    assert_eq!(plan.lines[0].conversation, "juliet@a.example and romeo@a.example");
    assert_eq!(plan.lines[0].policy, Some(Subject::Everything));
    assert_eq!((&plan.kept[0].why, plan.kept[0].events), (&Why::Hold(held.matter.clone()), 1));
    // A file stays as long as anything that stays is about it.
    assert_eq!((plan.files.len(), plan.files_kept), (0, 1));

    let (month, two_months) = (at(30), at(60));
    let job = trail.archive.erase(over(), &month, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.files.len()), (1, 0));
    assert_eq!(read(&trail, "juliet@a.example").await, [two], "{one} is over");
    assert_whole(&trail).await;

    trail.archive.holds().release(&held.id, &who("auditor"), None).await.unwrap();
    let job = trail.archive.erase(over(), &two_months, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.files), (2, vec!["one".to_owned(), "two".to_owned()]));
    assert_eq!(read(&trail, "garden@rooms.a.example").await, Vec::<u64>::new(), "{room} is over, too");
    assert_whole(&trail).await;
    // All that a key sealed is gone, so the key is.
    let keys: Vec<_> =
        trail.vault.store().scan(Sequence::ZERO, 3).await.unwrap().iter().map(|event| event.key).collect();
    assert!(trail.vault.existing_keys(&keys).await.unwrap().iter().all(Option::is_none));
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policys_key_stays_as_long_as_anything_that_it_sealed_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail = Trail::open(folder.path()).await;
    let first = say(&mut trail, "romeo", "juliet", "soft").await;
    let second = say(&mut trail, "romeo", "juliet", "softer").await;
    policy(&trail, "everything", None, Some(1)).await;
    let scope = Scope { question: Some("softer".into()), ..Scope::default() };
    let scope = Scope { custodians: vec![bare("juliet@a.example")], ..scope };
    let brief = Brief { name: "A case".into(), reason: "A court asked".into(), scope, ..Brief::default() };
    let matter = trail.archive.matters().open(brief, &who("auditor")).await.unwrap().value;
    let softer = |_: &str| -> Result<Filter, String> {
        Ok(Box::new(|item| String::from_utf8_lossy(&item.stanza).contains("softer")))
    };
    let held = trail.archive.holds().place(&matter, &who("auditor"), &softer, &|_, _| {}).await.unwrap();

    let later = Company { days: 1, ..Company::default() };
    let job = trail.archive.erase(over(), &later, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.keys), (1, 0), "{first}");
    assert_eq!(read(&trail, "juliet@a.example").await, [second]);
    trail.archive.holds().release(&held.id, &who("auditor"), None).await.unwrap();
    let job = trail.archive.erase(over(), &later, &|_, _| {}).await.unwrap();
    assert_eq!((job.events, job.keys), (1, 1));
    assert_whole(&trail).await;
    trail.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_is_cut_off_at_any_step_is_completed_by_the_next_start() {
    let mut cut = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let mut trail = Trail::open(folder.path()).await;
        let mine = say(&mut trail, "romeo", "juliet", "soft upload:one").await;
        let held = hold(&trail, "nurse").await;
        let to_nurse = say(&mut trail, "romeo", "nurse", "held").await;
        let other = say(&mut trail, "juliet", "romeo", "hark").await;
        let before = ciphertexts(&trail).await;
        // The task is gone at its next wait after so many calls to the world around it, as if the process had been killed.
        let calls = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(tokio::sync::Notify::new());
        let counted = {
            let (calls, stop) = (Arc::clone(&calls), Arc::clone(&stop));
            move |_, _| {
                if calls.fetch_add(1, Ordering::Relaxed) == cut {
                    stop.notify_one();
                }
            }
        };
        let company = Company::default();
        let finished = {
            let work = trail.archive.erase(forget_romeo(), &company, &counted);
            tokio::select! {
                biased;
                () = stop.notified() => false,
                done = work => { done.unwrap(); true }
            }
        };
        trail.close().await;

        let mut trail = Trail::open(folder.path()).await;
        // People go on talking before and after.
        let next = say(&mut trail, "romeo", "juliet", "I am back").await;
        let company = Company::default();
        let resumed = trail.archive.resume_erasures(&company, &|_, _| {}).await.unwrap();
        assert!(!finished || resumed.is_empty());
        let jobs = trail.archive.erasures().await.unwrap();
        if jobs.is_empty() {
            // Nothing had been decided yet.
            assert!(read(&trail, "juliet@a.example").await.contains(&mine));
        } else {
            assert!(jobs.iter().all(|job| job.stage == Stage::Certified && job.certificate.is_some()));
            assert_eq!(read(&trail, "juliet@a.example").await, [other, next], "cut after {cut}");
            let files = bytes_of(folder.path());
            assert!(!holds(&files, &before[mine as usize - 1]), "cut after {cut}");
        }
        assert!(read(&trail, "nurse@a.example").await.contains(&to_nurse), "{held:?}");
        assert_whole(&trail).await;
        trail.close().await;
        if finished {
            break;
        }
        cut += 1;
    }
    assert!(cut > 3, "only {cut} steps were cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_erasure_is_under_way_and_people_talk_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let mut trail =
        Trail::with(Vault::open(folder.path(), master()).await.unwrap(), Default::default()).await;
    for at in 0..3_000 {
        trail.submit(at, Some(draft("romeo@a.example/x", "juliet@a.example", "x"))).await;
    }
    for _ in 0..3_000 {
        trail.outcomes.recv().await.unwrap();
    }
    let archive = trail.archive.clone();
    let (began, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let work = tokio::spawn(async move {
        let told = move |_, _| _ = began.send(());
        let job = archive.erase(forget_romeo(), &Company::default(), &told).await.unwrap();
        job.events
    });
    begun.recv().await.unwrap();
    // What he says while it is under way is said after the request, and with a key that may be on its way out.
    let mut said = Vec::new();
    while !work.is_finished() {
        said.push(say(&mut trail, "romeo", "juliet", "meanwhile").await);
        let second = trail.archive.erase(forget_romeo(), &Company::default(), &|_, _| {}).await;
        if work.is_finished() {
            break;
        }
        assert!(matches!(second, Err(EraseError::Busy)), "{second:?}");
    }
    let erased = work.await.unwrap();
    let left = read(&trail, "juliet@a.example").await;
    assert!(erased >= 3_000 && left.iter().all(|place| *place > erased), "{erased} {left:?}");
    assert_whole(&trail).await;
    trail.close().await;
}
