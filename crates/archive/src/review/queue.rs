//! The queue: items that wait, and those that are decided, by month.

use jid::BareJid;
use vault::{Expect, Micros, Sequence, Vault, Version, Versioned, Write};

use super::item::{Action, Bar, ReviewItem, Reviewer, State};
use super::{ReviewError, Reviews, party};
use crate::id::Ids;

/// Under what items are listed until they are closed.
pub(super) const WAITING: &str = "waiting";

/// Which items somebody wants to see. All conditions hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// In this state; those that wait, if none is given. Closed ones are those of [`Wanted::month`].
    pub state: Option<State>,
    /// That a rule or sample of this id put there.
    pub cause: Option<String>,
    /// That somebody has.
    pub assigned: Option<BareJid>,
    /// For closed items: the month of the events, as microseconds of any moment in it.
    pub month: Option<Micros>,
    /// Only after this item, in the order of the answer: oldest first.
    pub after: Option<Sequence>,
    /// At most so many.
    pub limit: usize,
}

impl Reviews {
    /// Items that a reviewer may look at, oldest first, with the version for the next change of each.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn list(
        &self,
        reviewer: &Reviewer,
        wanted: &Wanted,
    ) -> Result<Vec<Versioned<ReviewItem>>, ReviewError> {
        let parent = match wanted.state {
            Some(State::Closed) => decided(wanted.month.unwrap_or_else(Micros::now)),
            _ => WAITING.to_owned(),
        };
        let mut items = Vec::new();
        for (_, found) in self.vault.list::<ReviewItem>(&parent).await? {
            let item = &found.value;
            let fits = wanted.after.is_none_or(|after| item.sequence > after)
                && wanted.state.is_none_or(|state| item.state == state)
                && wanted.cause.as_ref().is_none_or(|id| item.causes.iter().any(|cause| cause.id == *id))
                && wanted.assigned.as_ref().is_none_or(|who| item.assigned.as_ref() == Some(who))
                && item.is_for(reviewer).is_ok();
            if fits && !party::is_party(&self.vault, item, &reviewer.who).await? {
                items.push(found);
                if items.len() >= wanted.limit {
                    break;
                }
            }
        }
        Ok(items)
    }

    /// An item by its id.
    ///
    /// # Errors
    /// [`ReviewError::Unknown`] if there is none; [`Bar::Party`] or [`Bar::NotNamed`] if it is not for this reviewer.
    pub async fn get(&self, id: &str, reviewer: &Reviewer) -> Result<Versioned<ReviewItem>, ReviewError> {
        let unknown = || ReviewError::Unknown(id.to_owned());
        let ids = Ids::new(&self.vault.derive("stanza id"));
        let sequence = ids.place(id).ok_or_else(unknown)?;
        let event = self.vault.store().events(vec![sequence]).await?;
        let time = event.first().map(|event| event.time).ok_or_else(unknown)?;
        let found = find(&self.vault, sequence, time).await?.ok_or_else(unknown)?;
        if party::is_party(&self.vault, &found.value, &reviewer.who).await? {
            return Err(Bar::Party.into());
        }
        found.value.is_for(reviewer)?;
        Ok(found)
    }

    /// Does something with an item as it was at `version`.
    ///
    /// # Errors
    /// [`ReviewError::Conflict`] if somebody else was first; what bars the reviewer.
    pub async fn act(
        &self,
        id: &str,
        version: Version,
        reviewer: &Reviewer,
        action: Action,
        comment: String,
    ) -> Result<Versioned<ReviewItem>, ReviewError> {
        let found = self.get(id, reviewer).await?;
        if found.version != version {
            return Err(ReviewError::Conflict);
        }
        if let Action::Assign { to } | Action::Escalate { to: Some(to) } = &action
            && party::is_party(&self.vault, &found.value, to).await?
        {
            return Err(Bar::OtherParty(to.clone()).into());
        }
        let before = found.value;
        let mut item = before.clone();
        item.act(reviewer, action, comment, Micros::now())?;
        let version = self.vault.apply(moved(&before, &item, version)?).await?;
        Ok(Versioned { value: item, version })
    }
}

/// Where an item is listed.
fn shelf(item: &ReviewItem) -> String {
    match item.state {
        State::Closed => decided(item.time),
        _ => WAITING.to_owned(),
    }
}

/// Under what the decided items of a month are listed.
pub(super) fn decided(time: Micros) -> String {
    let (year, month) = month_of(time);
    format!("decided {year:04}-{month:02}")
}

/// Year and month in UTC.
pub(super) fn month_of(time: Micros) -> (i32, u8) {
    let date = time::OffsetDateTime::from_unix_timestamp(time.seconds());
    let date = date.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    (date.year(), date.month().into())
}

fn key(sequence: Sequence) -> String {
    format!("{:020}", sequence.0)
}

pub(super) async fn find(
    vault: &Vault,
    sequence: Sequence,
    time: Micros,
) -> Result<Option<Versioned<ReviewItem>>, ReviewError> {
    let key = key(sequence);
    // It may be closed or opened again between the two looks.
    for parent in [WAITING, &decided(time), WAITING] {
        if let Some(found) = vault.get::<ReviewItem>(parent, &key).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

pub(super) fn insert(item: &ReviewItem) -> Result<Write, ReviewError> {
    Ok(Write::put(&shelf(item), &key(item.sequence), item, Expect::Absent)?)
}

pub(super) fn rewrite(item: &ReviewItem, version: Version) -> Result<Write, ReviewError> {
    Ok(Write::put(&shelf(item), &key(item.sequence), item, Expect::Version(version))?)
}

fn moved(before: &ReviewItem, after: &ReviewItem, version: Version) -> Result<Vec<Write>, ReviewError> {
    let (from, to, key) = (shelf(before), shelf(after), key(after.sequence));
    if from == to {
        return Ok(vec![rewrite(after, version)?]);
    }
    let delete = Write::delete::<ReviewItem>(&from, &key, Expect::Version(version));
    Ok(vec![delete, Write::put(&to, &key, after, Expect::Absent)?])
}
