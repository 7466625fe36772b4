//! Supervision: what rules and random samples pick out of the archive, and the queue in which people look at it.
//!
//! A follower walks over what has been archived, off the way of messages. What a rule flags or a sample draws becomes an
//! item of the queue, one for each event. Items and the follower's place are sealed records, written together, so that a
//! crash neither loses an item nor makes two of it. An item holds no words: it says where they stand in the event, and the
//! event is opened when somebody who may looks at it.
//!
//! Nobody reviews a conversation that they were in. Who may review at all, and the audit chain, are the caller's.

mod company;
mod draw;
mod dry;
mod follow;
mod html;
mod item;
mod judge;
mod party;
mod queue;
mod report;
mod rulebook;

use std::sync::Arc;

use parking_lot::RwLock;
use policy::rules::{Compiled, Faults};
use tokio::sync::Mutex;
use vault::{Sequence, Vault, VaultError};

pub use self::company::Company;
pub use self::dry::{DryRun, Tally};
pub use self::follow::Followed;
pub use self::item::{Action, Bar, Cause, Decision, Outcome, ReviewItem, Reviewer, State};
pub use self::judge::Said;
pub use self::queue::Wanted;
pub use self::report::{Period, ReviewReport};
pub use self::rulebook::Rulebook;
use crate::{ArchiveError, Item, body};

/// Why something could not be done in supervision.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// There is no such item, or not for this reviewer; which of the two is not said.
    #[error("there is no item {0} in your review queue")]
    Unknown(String),
    /// The reviewer may not do that.
    #[error(transparent)]
    Barred(#[from] Bar),
    /// The document of rules is not in order.
    #[error("{0}")]
    Rules(Faults),
    /// Supervision looks at what was said already, so it cannot stop anything.
    #[error(
        "the rule {0} does more than to flag; supervision looks at messages afterwards, so write then = \"flag\""
    )]
    OnlyFlags(String),
    /// Somebody else changed it first.
    #[error("somebody changed this meanwhile; read it again")]
    Conflict,
    /// The archive failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

impl From<VaultError> for ReviewError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Conflict => Self::Conflict,
            error => Self::Archive(error.into()),
        }
    }
}

impl From<vault::StoreError> for ReviewError {
    fn from(error: vault::StoreError) -> Self {
        Self::Archive(error.into())
    }
}

/// The rules in force.
pub(crate) struct InForce {
    pub(crate) version: u64,
    pub(crate) compiled: Compiled,
}

/// All of supervision. Cheap to clone; clones share the follower.
#[derive(Clone)]
pub struct Reviews {
    vault: Vault,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    rules: RwLock<Option<Arc<InForce>>>,
    /// One walk at a time.
    follower: Mutex<follow::Follower>,
}

impl Reviews {
    /// Supervision over a folder. One process has one; whoever makes a second has a second follower.
    pub fn new(vault: Vault) -> Self {
        Self { vault, shared: Arc::default() }
    }

    /// An event with what people read of it; `None` if it has been erased. Only for whoever was let in, and after that is
    /// on record.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn said(&self, sequence: Sequence) -> Result<Option<(Item, Said)>, ReviewError> {
        let events = self.vault.store().events(vec![sequence]).await?;
        let item = body::open_all(&self.vault, &events).await?.pop();
        Ok(item.map(|item| {
            let said = Said::read(&item.stanza);
            (item, said)
        }))
    }
}
