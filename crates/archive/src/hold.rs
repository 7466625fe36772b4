//! Holds: what must not vanish, whatever a policy or a person wishes.
//!
//! A hold binds places in the log, which never change, and not a wish that is read anew each time. Nothing vanishes but by
//! retention and erasure, so it is enough that both bring every hold up to the end of the log before they decide
//! ([`Holds::extend`]). Releasing a hold deletes nothing; it only stops standing in the way.

use jid::Jid;
use serde::{Deserialize, Serialize};
use vault::{Expect, Micros, Record, Sequence, Vault, VaultError, Versioned, Write};

use crate::matter::{Matter, MatterError, Scope, fresh_id};
use crate::{Item, Places, Result, Walk};

/// Places that share a record.
const SHELF: u64 = 1 << 17;
/// The kind of shelves: parent is the hold, key the shelf's number, the value what [`Places::encode`] gives.
const SHELF_KIND: u16 = 0x4122;
/// Portions of a walk after which what was found is stored.
const STORED_AFTER: usize = 16;

/// Decides whether an event is meant.
pub type Filter = Box<dyn Fn(&Item) -> bool + Send + Sync>;

/// Reads questions in the language of search.
pub trait Questions: Send + Sync {
    /// A test for single events.
    ///
    /// # Errors
    /// A sentence about what cannot be read.
    fn read(&self, question: &str) -> Result<Filter, String>;
}

/// What must be kept for a matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Names it for ever.
    pub id: String,
    /// The matter that it is for.
    pub matter: String,
    /// The matter's scope when it was placed. Another scope is another hold.
    pub scope: Scope,
    /// Who placed it.
    pub placed_by: Jid,
    /// When.
    pub placed_at: Micros,
    /// How far the log has been looked through for it.
    pub through: Sequence,
    /// How many events it binds so far.
    pub count: u64,
    /// Who released it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Release>,
}

/// The end of a hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Who.
    pub by: Jid,
    /// When.
    pub at: Micros,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Record for Hold {
    const KIND: u16 = 0x4121;
}

/// Why a hold could not be placed or released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HoldError {
    /// There is none of that id.
    #[error("there is no hold {0}")]
    Unknown(String),
    /// The matter is closed.
    #[error("the matter is closed; open it again before anything is held for it")]
    Closed,
    /// The matter's question cannot be read.
    #[error("the question of the matter cannot be read: {0}")]
    Question(String),
    /// The matter refused.
    #[error(transparent)]
    Matter(#[from] MatterError),
    /// The archive could not be read.
    #[error(transparent)]
    Archive(#[from] crate::ArchiveError),
}

impl From<VaultError> for HoldError {
    fn from(error: VaultError) -> Self {
        Self::Archive(error.into())
    }
}

/// All holds. Who may do what with them, and the audit chain, are the caller's.
#[derive(Clone)]
pub struct Holds {
    vault: Vault,
}

impl Holds {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    /// Places a hold on all that a matter covers, up to the end of the log. It stands from the moment in which this
    /// begins; a crash on the way leaves it to be completed by the next [`Holds::extend`]. Placed again with the scope
    /// unchanged, it is only brought up to date. `progress` is told the last place looked at, and the end.
    ///
    /// A matter needs no approval for this: to keep is not to read.
    ///
    /// # Errors
    /// [`HoldError::Closed`], [`HoldError::Question`], or what the vault says.
    pub async fn place(
        &self,
        matter: &Matter,
        by: &Jid,
        questions: &dyn Questions,
        progress: &(dyn Fn(Sequence, Sequence) + Send + Sync),
    ) -> Result<Hold, HoldError> {
        if matter.closed {
            return Err(HoldError::Closed);
        }
        if let Some(question) = &matter.brief.scope.question {
            drop(questions.read(question).map_err(HoldError::Question)?);
        }
        let same = |hold: &Hold| hold.matter == matter.id && hold.scope == matter.brief.scope;
        let standing = self.standing().await?.into_iter().find(|hold| same(&hold.value));
        let hold = match standing {
            Some(hold) => hold.value,
            None => {
                let hold = Hold {
                    id: fresh_id("h")?,
                    matter: matter.id.clone(),
                    scope: matter.brief.scope.clone(),
                    placed_by: by.clone(),
                    placed_at: Micros::now(),
                    through: Sequence::ZERO,
                    count: 0,
                    released: None,
                };
                self.vault.apply(vec![Write::put("", &hold.id, &hold, Expect::Absent)?]).await?;
                hold
            }
        };
        Ok(self.bring_up(&hold.id, questions, progress).await?.unwrap_or(hold))
    }

    /// Brings all holds that stand up to the end of the log. Whoever decides what may vanish calls this first.
    ///
    /// A question that can no longer be read holds all of its scope: rather too much than too little.
    ///
    /// # Errors
    /// What the vault says. Then nothing may be decided.
    pub async fn extend(
        &self,
        questions: &dyn Questions,
        progress: &(dyn Fn(Sequence, Sequence) + Send + Sync),
    ) -> Result<Vec<Hold>, HoldError> {
        let mut holds = Vec::new();
        for hold in self.standing().await? {
            holds.extend(self.bring_up(&hold.value.id, questions, progress).await?);
        }
        Ok(holds)
    }

    /// Releases a hold. What it bound is free for retention and erasure, and is not deleted by this.
    ///
    /// # Errors
    /// [`HoldError::Unknown`], or what the vault says.
    pub async fn release(&self, id: &str, by: &Jid, note: Option<String>) -> Result<Hold, HoldError> {
        loop {
            let Versioned { value: mut hold, version } = self.get(id).await?;
            if hold.released.is_some() {
                return Ok(hold);
            }
            hold.released = Some(Release { by: by.clone(), at: Micros::now(), note: note.clone() });
            match self.vault.apply(vec![Write::put("", id, &hold, Expect::Version(version))?]).await {
                Ok(_) => return Ok(hold),
                // It was being extended.
                Err(VaultError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A hold.
    ///
    /// # Errors
    /// [`HoldError::Unknown`], or what the vault says.
    pub async fn get(&self, id: &str) -> Result<Versioned<Hold>, HoldError> {
        self.vault.get::<Hold>("", id).await?.ok_or_else(|| HoldError::Unknown(id.to_owned()))
    }

    /// All holds, also those that were released; the newest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn all(&self) -> Result<Vec<Hold>, HoldError> {
        let mut all: Vec<Hold> =
            self.vault.list::<Hold>("").await?.into_iter().map(|(_, hold)| hold.value).collect();
        all.sort_by_key(|hold| std::cmp::Reverse(hold.placed_at));
        Ok(all)
    }

    /// What a hold binds.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn places(&self, id: &str) -> Result<Places, HoldError> {
        let mut places = Places::default();
        for (_, bytes, _) in self.vault.list_bytes(SHELF_KIND, id).await? {
            places.extend(&decode(&bytes)?);
        }
        Ok(places)
    }

    /// What all holds that stand now bind, for questions about one place after the other.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn held(&self) -> Result<Held, HoldError> {
        let holds = self.standing().await?;
        let bound = holds.into_iter().map(|hold| Bound {
            hold: hold.value.id,
            matter: hold.value.matter,
            shelf: None,
            places: Places::default(),
        });
        Ok(Held { vault: self.vault.clone(), bound: bound.collect() })
    }

    async fn standing(&self) -> Result<Vec<Versioned<Hold>>, HoldError> {
        let all = self.vault.list::<Hold>("").await?.into_iter().map(|(_, hold)| hold);
        Ok(all.filter(|hold| hold.value.released.is_none()).collect())
    }

    /// Looks through what a hold has not seen. `None` if it was released meanwhile.
    async fn bring_up(
        &self,
        id: &str,
        questions: &dyn Questions,
        progress: &(dyn Fn(Sequence, Sequence) + Send + Sync),
    ) -> Result<Option<Hold>, HoldError> {
        'again: loop {
            let Versioned { value: mut hold, mut version } = self.get(id).await?;
            let end = self.vault.store().head().await.map_err(VaultError::from)?;
            let end = end.map_or(Sequence::ZERO, |head| head.sequence);
            if hold.released.is_some() {
                return Ok(None);
            }
            if hold.through >= end {
                return Ok(Some(hold));
            }
            let filter: Filter = match hold.scope.question.as_deref().map(|question| questions.read(question))
            {
                Some(Ok(filter)) => filter,
                None | Some(Err(_)) => Box::new(|_| true),
            };
            let selection =
                crate::Selection { after: Some(hold.through), through: Some(end), ..hold.scope.selection() };
            // Nobody's books would be everybody's.
            let mut walk = (!hold.scope.is_empty()).then(|| Walk::new(self.vault.clone(), selection));
            while hold.through < end {
                let mut found = Places::default();
                let mut through = end;
                for _ in 0..STORED_AFTER {
                    let portion = match &mut walk {
                        Some(walk) => walk.next().await?,
                        None => None,
                    };
                    let Some(portion) = portion else {
                        through = end;
                        break;
                    };
                    through = portion.through;
                    portion
                        .items
                        .iter()
                        .filter(|item| filter(item))
                        .for_each(|item| found.add(item.sequence));
                }
                let mut writes = self.shelve(&hold.id, &found).await?;
                hold.through = through;
                hold.count += found.count();
                writes.push(Write::put("", id, &hold, Expect::Version(version))?);
                version = match self.vault.apply(writes).await {
                    Ok(version) => version,
                    // Somebody else extended or released it.
                    Err(VaultError::Conflict) => continue 'again,
                    Err(error) => return Err(error.into()),
                };
                progress(through, end);
            }
        }
    }

    /// The changes that add places to a hold's shelves.
    async fn shelve(&self, hold: &str, found: &Places) -> Result<Vec<Write>, HoldError> {
        let mut writes = Vec::new();
        let Some((first, last)) = found.span() else { return Ok(writes) };
        for shelf in first.0 / SHELF..=last.0 / SHELF {
            let new = found.within(Sequence(shelf * SHELF)..=Sequence((shelf + 1) * SHELF - 1));
            if new.is_empty() {
                continue;
            }
            let (mut places, version) = load(&self.vault, hold, shelf).await?;
            places.extend(&new);
            let expect = version.map_or(Expect::Absent, Expect::Version);
            writes.push(Write::put_bytes(SHELF_KIND, hold, &key(shelf), places.encode(), expect));
        }
        Ok(writes)
    }
}

/// What holds bind, as they stood when it was made. Quickest in ascending order: it keeps one shelf of each in memory.
pub struct Held {
    vault: Vault,
    bound: Vec<Bound>,
}

struct Bound {
    hold: String,
    matter: String,
    shelf: Option<u64>,
    places: Places,
}

impl Held {
    /// The matters for which an event must be kept; empty if it may go.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn matters(&mut self, place: Sequence) -> Result<Vec<&str>, HoldError> {
        let wanted = place.0 / SHELF;
        for bound in &mut self.bound {
            if bound.shelf != Some(wanted) {
                bound.places = load(&self.vault, &bound.hold, wanted).await?.0;
                bound.shelf = Some(wanted);
            }
        }
        let holding = self.bound.iter().filter(|bound| bound.places.contains(place));
        let mut matters: Vec<&str> = holding.map(|bound| bound.matter.as_str()).collect();
        matters.sort_unstable();
        matters.dedup();
        Ok(matters)
    }

    /// The ids of the holds, sorted: another list means that somebody placed or released one.
    pub(crate) fn holds(&self) -> Vec<String> {
        let mut holds: Vec<String> = self.bound.iter().map(|bound| bound.hold.clone()).collect();
        holds.sort_unstable();
        holds
    }

    /// Those of these places that no hold binds.
    pub(crate) async fn free(&self, places: &Places) -> Result<Places, HoldError> {
        let holds = Holds::new(self.vault.clone());
        let mut free = places.clone();
        for bound in &self.bound {
            free = free.without(&holds.places(&bound.hold).await?);
        }
        Ok(free)
    }
}

async fn load(vault: &Vault, hold: &str, shelf: u64) -> Result<(Places, Option<vault::Version>), HoldError> {
    match vault.get_bytes(SHELF_KIND, hold, &key(shelf)).await? {
        Some((bytes, version)) => Ok((decode(&bytes)?, Some(version))),
        None => Ok((Places::default(), None)),
    }
}

fn decode(bytes: &[u8]) -> Result<Places, VaultError> {
    Places::decode(bytes).ok_or(VaultError::Corrupt { what: "the places that a hold binds" })
}

fn key(shelf: u64) -> String {
    format!("{shelf:014}")
}

/// Questions by a closure, for tests and for those who have only one.
impl<F> Questions for F
where
    F: Fn(&str) -> Result<Filter, String> + Send + Sync,
{
    fn read(&self, question: &str) -> Result<Filter, String> {
        self(question)
    }
}
