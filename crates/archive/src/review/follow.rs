//! The follower: from what is archived into the queue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vault::{Expect, Micros, Record, Sequence, VaultError, Version, Write};

use super::draw::{Draw, Weeks};
use super::item::{Cause, ReviewItem};
use super::judge::{self, Said};
use super::{Company, InForce, ReviewError, Reviews, queue};
use crate::id::Ids;
use crate::{Item, Selection, Walk};

/// Events after which the place is stored even if nothing was found, so that a crash does not cost much.
const STRIDE: u64 = 4096;

/// How far the follower has come, and what samples by the week have drawn up to there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    through: Sequence,
    #[serde(default)]
    weeks: Weeks,
}

impl Record for Progress {
    const KIND: u16 = 0x4141;
}

/// What the follower knows between two walks.
#[derive(Default)]
pub(super) struct Follower {
    progress: Option<(Progress, Option<Version>)>,
    stored: Sequence,
}

/// What one call of [`Reviews::follow`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// How far the follower has come.
    pub through: Sequence,
    /// Items that were filed or got another cause.
    pub filed: u64,
    /// Nothing is left to look at.
    pub at_end: bool,
}

impl Reviews {
    /// Remembers where the log stands if no follower has ever run, so that supervision begins with what comes from now on.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn begin(&self) -> Result<(), ReviewError> {
        let mut follower = self.shared.follower.lock().await;
        self.load(&mut follower).await?;
        if let Some((progress, None)) = &follower.progress {
            let progress = progress.clone();
            self.store(&mut follower, progress, Vec::new()).await?;
        }
        Ok(())
    }

    /// Looks at what was archived since the last call, at most `most` events and a few more. Calls wait for one another.
    ///
    /// # Errors
    /// What the vault says; the next call goes on from where this one was.
    pub async fn follow(&self, company: &Company, most: u64, now: Micros) -> Result<Followed, ReviewError> {
        let rules = self.in_force().await?;
        let mut follower = self.shared.follower.lock().await;
        let result = self.walk(&mut follower, &rules, company, most, now).await;
        if result.is_err() {
            // What is stored decides.
            follower.progress = None;
        }
        result
    }

    async fn walk(
        &self,
        follower: &mut Follower,
        rules: &InForce,
        company: &Company,
        most: u64,
        now: Micros,
    ) -> Result<Followed, ReviewError> {
        let mut progress = self.load(follower).await?;
        let mut followed = Followed::default();
        let idle = rules.compiled.rules().is_empty() && rules.compiled.samples().is_empty();
        if idle {
            // Nobody asks, so nothing need be opened.
            progress.through = self.head().await?;
            followed.at_end = true;
        }
        let draw = Draw::new(&self.vault);
        let begin = progress.through;
        let mut walk = Walk::new(
            self.vault.clone(),
            Selection { after: Some(progress.through), ..Selection::default() },
        );
        while !followed.at_end {
            if progress.through.0 - begin.0 >= most {
                break;
            }
            let Some(portion) = walk.next().await? else {
                followed.at_end = true;
                break;
            };
            let mut wanted: BTreeMap<Sequence, Vec<Cause>> = BTreeMap::new();
            for item in &portion.items {
                let said = Said::read(&item.stanza);
                let causes = judge::causes(item, &said, (rules.version, &rules.compiled), company, &draw);
                if !causes.is_empty() {
                    wanted.entry(item.sequence).or_default().extend(causes);
                }
                if !said.text.is_empty() {
                    let drawn = draw.see(rules.compiled.samples(), item, company, &mut progress.weeks);
                    add_drawn(drawn, rules, &mut wanted);
                }
            }
            progress.through = portion.through;
            followed.filed += self.file(follower, &progress, wanted, now).await?;
        }
        let drawn = match followed.at_end {
            true => Draw::settle(now, &mut progress.weeks),
            false => Vec::new(),
        };
        let mut wanted = BTreeMap::new();
        add_drawn(drawn, rules, &mut wanted);
        followed.filed += self.file(follower, &progress, wanted, now).await?;
        followed.through = progress.through;
        Ok(followed)
    }

    /// Files items and remembers the place, all or none.
    async fn file(
        &self,
        follower: &mut Follower,
        progress: &Progress,
        wanted: BTreeMap<Sequence, Vec<Cause>>,
        now: Micros,
    ) -> Result<u64, ReviewError> {
        let mut writes = Vec::new();
        for (sequence, causes) in wanted {
            writes.extend(self.filing(sequence, causes, now).await?);
        }
        let filed = writes.len() as u64;
        if filed == 0 && progress.through.0 - follower.stored.0 < STRIDE {
            let version = follower.progress.as_ref().and_then(|(_, version)| *version);
            follower.progress = Some((progress.clone(), version));
            return Ok(0);
        }
        self.store(follower, progress.clone(), writes).await?;
        Ok(filed)
    }

    /// The write that puts an event into the queue, or adds causes to its item there; `None` if that changes nothing.
    pub(super) async fn filing(
        &self,
        sequence: Sequence,
        causes: Vec<Cause>,
        now: Micros,
    ) -> Result<Option<Write>, ReviewError> {
        let event = self.vault.store().events(vec![sequence]).await?;
        let Some(event) = event.first() else { return Ok(None) };
        if let Some(found) = queue::find(&self.vault, sequence, event.time).await? {
            let mut item = found.value;
            let fresh: Vec<Cause> =
                causes.into_iter().filter(|cause| item.causes.iter().all(|has| has.id != cause.id)).collect();
            if fresh.is_empty() {
                return Ok(None);
            }
            item.causes.extend(fresh);
            return Ok(Some(queue::rewrite(&item, found.version)?));
        }
        let Some((event, said)) = self.said(sequence).await? else { return Ok(None) };
        let item = self.fresh(&event, said.in_room, causes, now);
        Ok(Some(queue::insert(&item)?))
    }

    fn fresh(&self, event: &Item, in_room: bool, causes: Vec<Cause>, now: Micros) -> ReviewItem {
        let ids = Ids::new(&self.vault.derive("stanza id"));
        ReviewItem {
            id: ids.name(event.sequence).into(),
            sequence: event.sequence,
            time: event.time,
            from: event.from.clone(),
            to: event.to.clone(),
            in_room,
            causes,
            filed: now,
            state: super::State::Open,
            assigned: None,
            decisions: Vec::new(),
        }
    }

    async fn load(&self, follower: &mut Follower) -> Result<Progress, ReviewError> {
        if let Some((progress, _)) = &follower.progress {
            return Ok(progress.clone());
        }
        let found = self.vault.get::<Progress>("", "follower").await?;
        let (progress, version) = match found {
            Some(found) => (found.value, Some(found.version)),
            None => (Progress { through: self.head().await?, ..Progress::default() }, None),
        };
        follower.stored = progress.through;
        follower.progress = Some((progress.clone(), version));
        Ok(progress)
    }

    async fn store(
        &self,
        follower: &mut Follower,
        progress: Progress,
        mut writes: Vec<Write>,
    ) -> Result<(), VaultError> {
        let version = follower.progress.as_ref().and_then(|(_, version)| *version);
        let expect = version.map_or(Expect::Absent, Expect::Version);
        writes.push(Write::put("", "follower", &progress, expect)?);
        let version = self.vault.apply(writes).await?;
        follower.stored = progress.through;
        follower.progress = Some((progress, Some(version)));
        Ok(())
    }

    pub(super) async fn head(&self) -> Result<Sequence, ReviewError> {
        Ok(self.vault.store().head().await?.map_or(Sequence::ZERO, |head| head.sequence))
    }
}

/// What samples by the week have drawn becomes causes, unless the sample is gone meanwhile.
fn add_drawn(drawn: Vec<(String, Sequence)>, rules: &InForce, wanted: &mut BTreeMap<Sequence, Vec<Cause>>) {
    for (id, sequence) in drawn {
        if let Some(sample) = rules.compiled.samples().iter().find(|sample| sample.id == id) {
            wanted.entry(sequence).or_default().push(Cause::of_sample(sample, rules.version));
        }
    }
}
