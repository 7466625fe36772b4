//! Matters: the reason for which somebody may read, hold or export other people's words, and how far that goes.
//!
//! A matter is a sealed record with the whole history of its changes. Nobody reads anything because of it before as many
//! people as it asks for have approved what it covers *now*: whoever widens it starts over, and nobody approves their own.

use jid::{BareJid, Jid};
use serde::{Deserialize, Serialize};
use vault::{Expect, Micros, Record, Vault, VaultError, Version, Versioned, Write};

use crate::Selection;

/// Whose words, about what, from when to when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// People in whose books it looks, and all that they said elsewhere: in rooms.
    pub custodians: Vec<BareJid>,
    /// Rooms in whose books it looks.
    pub rooms: Vec<BareJid>,
    /// What the words must match, in the language of search. `None`: everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Not older than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Micros>,
    /// Not younger than this. `None`: also what is still to be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<Micros>,
}

impl Scope {
    /// Whether it is about nobody. Such a matter covers nothing, never everything.
    pub fn is_empty(&self) -> bool {
        self.custodians.is_empty() && self.rooms.is_empty()
    }

    /// The events to look at, with what happened around the words. The question is still to be asked of each.
    pub fn selection(&self) -> Selection {
        Selection {
            owners: self.custodians.iter().chain(&self.rooms).cloned().collect(),
            speakers: self.custodians.clone(),
            start: self.start,
            end: self.end,
            happenings: true,
            ..Selection::default()
        }
    }
}

/// What a matter is about and who may do what for it: the part that people write and change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Brief {
    /// What people call it.
    pub name: String,
    /// Why other people's words must be read. Never empty.
    pub reason: String,
    /// How far it goes.
    pub scope: Scope,
    /// Who may read within the scope.
    pub readers: Vec<BareJid>,
    /// How many people other than its author must approve before anybody may.
    pub approvals: u32,
}

/// What somebody said about a brief.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: Jid,
    /// When.
    pub at: Micros,
    /// Whether they approved.
    pub granted: bool,
    /// What they noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One step in a matter's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Who took it.
    pub by: Jid,
    /// When.
    pub at: Micros,
    /// What it was.
    pub step: Step,
    /// What they noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// How the brief was before, if the step changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Brief>,
}

/// Kinds of [`Change`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Step {
    /// It was opened.
    Opened,
    /// Its brief was changed.
    Changed,
    /// Somebody approved.
    Approved,
    /// Somebody refused.
    Refused,
    /// It was closed. Its holds stay until they are released.
    Closed,
    /// It was opened again.
    Reopened,
}

/// A matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    /// Names it for ever.
    pub id: String,
    /// What it is about.
    #[serde(flatten)]
    pub brief: Brief,
    /// Who opened it.
    pub opened_by: Jid,
    /// When.
    pub opened_at: Micros,
    /// What was said about the brief as it is now.
    pub given: Vec<Approval>,
    /// Whether it is closed.
    pub closed: bool,
    /// All that was done to it, oldest first.
    pub history: Vec<Change>,
}

impl Record for Matter {
    const KIND: u16 = 0x4120;
}

/// Why somebody may not read for a matter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// It is closed.
    #[error("the matter is closed")]
    Closed,
    /// Too few have approved it.
    #[error(
        "the matter has {given} of {needed} approvals: somebody other than its author must approve it first"
    )]
    Unapproved {
        /// How many have.
        given: u32,
        /// How many must.
        needed: u32,
    },
    /// Somebody refused it.
    #[error("the matter was refused; change it, and ask for approval again")]
    Refused,
    /// They are not among its readers.
    #[error("you are not among the readers of this matter; whoever leads it can add you")]
    NotAReader,
}

/// Why something could not be done to a matter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatterError {
    /// There is none of that id.
    #[error("there is no matter {0}")]
    Unknown(String),
    /// The brief lacks something; says what.
    #[error("{0}")]
    Incomplete(&'static str),
    /// Nobody approves what they wrote.
    #[error("nobody can approve a matter that they opened or changed; ask somebody else")]
    Own,
    /// It is closed.
    #[error("the matter is closed; open it again first")]
    Closed,
    /// The vault refused; with [`VaultError::Conflict`], somebody else changed it first.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Matter {
    /// How many have approved the brief as it is.
    pub fn granted(&self) -> u32 {
        self.given.iter().filter(|approval| approval.granted).count() as u32
    }

    /// Whether it allows anything now.
    ///
    /// # Errors
    /// What is in the way.
    pub fn in_force(&self) -> Result<(), Barred> {
        if self.closed {
            return Err(Barred::Closed);
        }
        if self.given.iter().any(|approval| !approval.granted) {
            return Err(Barred::Refused);
        }
        match self.granted() {
            given if given < self.brief.approvals => {
                Err(Barred::Unapproved { given, needed: self.brief.approvals })
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody may read for it now.
    ///
    /// # Errors
    /// What is in the way.
    pub fn may_read(&self, who: &BareJid) -> Result<(), Barred> {
        self.in_force()?;
        self.brief.readers.contains(who).then_some(()).ok_or(Barred::NotAReader)
    }

    /// Whether somebody wrote any part of the brief.
    fn is_author(&self, who: &Jid) -> bool {
        let wrote = |change: &&Change| matches!(change.step, Step::Opened | Step::Changed | Step::Reopened);
        self.history.iter().filter(wrote).any(|change| change.by.to_bare() == who.to_bare())
    }

    fn note(&mut self, by: &Jid, step: Step, note: Option<String>, before: Option<Brief>) {
        self.history.push(Change { by: by.clone(), at: Micros::now(), step, note, before });
    }
}

impl Brief {
    fn check(&self) -> Result<(), MatterError> {
        let lacks = |text: &str| text.trim().is_empty();
        if lacks(&self.name) {
            return Err(MatterError::Incomplete("a matter needs a name"));
        }
        if lacks(&self.reason) {
            return Err(MatterError::Incomplete(
                "a matter needs a reason: why must other people's words be read?",
            ));
        }
        if self.scope.is_empty() {
            return Err(MatterError::Incomplete(
                "a matter needs at least one person or room that it is about",
            ));
        }
        if let (Some(start), Some(end)) = (self.scope.start, self.scope.end)
            && start > end
        {
            return Err(MatterError::Incomplete("the matter ends before it begins"));
        }
        Ok(())
    }
}

/// All matters. Who may do what with them, and the audit chain, are the caller's.
#[derive(Clone)]
pub struct Matters {
    vault: Vault,
}

impl Matters {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }

    /// Opens a matter.
    ///
    /// # Errors
    /// [`MatterError::Incomplete`], or what the vault says.
    pub async fn open(&self, brief: Brief, by: &Jid) -> Result<Versioned<Matter>, MatterError> {
        brief.check()?;
        let mut matter = Matter {
            id: fresh_id("m")?,
            brief,
            opened_by: by.clone(),
            opened_at: Micros::now(),
            given: Vec::new(),
            closed: false,
            history: Vec::new(),
        };
        matter.note(by, Step::Opened, None, None);
        self.put(matter, Expect::Absent).await
    }

    /// A matter with the version for the next change of it.
    ///
    /// # Errors
    /// [`MatterError::Unknown`], or what the vault says.
    pub async fn get(&self, id: &str) -> Result<Versioned<Matter>, MatterError> {
        self.vault.get::<Matter>("", id).await?.ok_or_else(|| MatterError::Unknown(id.to_owned()))
    }

    /// All of them, the newest first.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn all(&self) -> Result<Vec<Versioned<Matter>>, MatterError> {
        let mut all: Vec<_> =
            self.vault.list::<Matter>("").await?.into_iter().map(|(_, matter)| matter).collect();
        all.sort_by_key(|matter| std::cmp::Reverse(matter.value.opened_at));
        Ok(all)
    }

    /// Changes the brief. What was approved before was another brief, so approvals are asked for anew unless nothing but
    /// the name changed.
    ///
    /// # Errors
    /// [`VaultError::Conflict`] if somebody changed it since `version` was read; [`MatterError::Closed`];
    /// [`MatterError::Incomplete`].
    pub async fn change(
        &self,
        id: &str,
        version: Version,
        brief: Brief,
        by: &Jid,
    ) -> Result<Versioned<Matter>, MatterError> {
        brief.check()?;
        let Versioned { value: mut matter, version } = self.at(id, version).await?;
        if matter.closed {
            return Err(MatterError::Closed);
        }
        let renamed = Brief { name: brief.name.clone(), ..matter.brief.clone() };
        if renamed != brief {
            matter.given.clear();
        }
        let before = std::mem::replace(&mut matter.brief, brief);
        matter.note(by, Step::Changed, None, Some(before));
        self.put(matter, Expect::Version(version)).await
    }

    /// Approves or refuses the brief as it was at `version`. Who says something twice has changed their mind.
    ///
    /// # Errors
    /// [`MatterError::Own`], [`MatterError::Closed`], [`VaultError::Conflict`].
    pub async fn decide(
        &self,
        id: &str,
        version: Version,
        by: &Jid,
        granted: bool,
        note: Option<String>,
    ) -> Result<Versioned<Matter>, MatterError> {
        let Versioned { value: mut matter, version } = self.at(id, version).await?;
        if matter.closed {
            return Err(MatterError::Closed);
        }
        if matter.is_author(by) {
            return Err(MatterError::Own);
        }
        matter.given.retain(|approval| approval.by.to_bare() != by.to_bare());
        matter.given.push(Approval { by: by.clone(), at: Micros::now(), granted, note: note.clone() });
        matter.note(by, if granted { Step::Approved } else { Step::Refused }, note, None);
        self.put(matter, Expect::Version(version)).await
    }

    /// Closes a matter, or opens a closed one again, which then needs its approvals anew. Holds are not touched: they
    /// end when they are released.
    ///
    /// # Errors
    /// [`VaultError::Conflict`].
    pub async fn close(
        &self,
        id: &str,
        version: Version,
        by: &Jid,
        closed: bool,
        note: Option<String>,
    ) -> Result<Versioned<Matter>, MatterError> {
        let Versioned { value: mut matter, version } = self.at(id, version).await?;
        if matter.closed == closed {
            return Ok(Versioned { value: matter, version });
        }
        matter.closed = closed;
        if !closed {
            matter.given.clear();
        }
        matter.note(by, if closed { Step::Closed } else { Step::Reopened }, note, None);
        self.put(matter, Expect::Version(version)).await
    }

    async fn at(&self, id: &str, version: Version) -> Result<Versioned<Matter>, MatterError> {
        let found = self.get(id).await?;
        if found.version != version {
            return Err(VaultError::Conflict.into());
        }
        Ok(found)
    }

    async fn put(&self, matter: Matter, expect: Expect) -> Result<Versioned<Matter>, MatterError> {
        let write = Write::put("", &matter.id, &matter, expect)?;
        let version = self.vault.apply(vec![write]).await?;
        Ok(Versioned { value: matter, version })
    }
}

/// A name that nobody has had: a letter and twelve random characters, easy to read out.
pub(crate) fn fresh_id(kind: &str) -> Result<String, VaultError> {
    const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut random = [0; 12];
    getrandom::fill(&mut random)?;
    let letters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    Ok(format!("{kind}-{}", letters.collect::<String>()))
}
