//! The lock on the archive. It opens to those who hold a proof, and each proof is made in one place, after what it allows
//! is durable on the audit chain.

use archive::review::{ReviewError, ReviewItem, Reviewer, Reviews};
use archive::{Act, Archive, Deed, Holds, Matter, Matters, Policies};
use jid::Jid;
use serde_json::Value;
use tokio::sync::OnceCell;
use vault::{Vault, Versioned};

use super::access::Right;
use super::actor::Actor;
use super::refusal::Refusal;
use super::{Office, emergency};
use crate::post::Trail;

/// The archive behind its lock.
pub(super) struct Shelves {
    vault: Vault,
    /// Without a running server it is opened when somebody needs it.
    trail: OnceCell<Trail>,
    reviews: Reviews,
}

impl Shelves {
    pub(super) fn of(trail: Trail, vault: Vault) -> Self {
        let reviews = Reviews::new(vault.clone());
        Self { vault, trail: OnceCell::new_with(Some(trail)), reviews }
    }

    pub(super) fn closed(vault: Vault) -> Self {
        let reviews = Reviews::new(vault.clone());
        Self { vault, trail: OnceCell::new(), reviews }
    }

    /// For whoever is about to read other people's words.
    pub(super) async fn open(&self, _: &Warrant) -> Result<&Trail, Refusal> {
        self.trail().await
    }

    /// For work that shows nobody a word of others: holds, retention, erasure, verification, the audit chain.
    pub(super) async fn keep(&self, _: &Licence) -> Result<&Trail, Refusal> {
        self.trail().await
    }

    /// For somebody's own books, which need no record. The caller reads those of [`Actor::who`] and no others.
    pub(super) async fn own(&self, actor: &Actor) -> Result<&Trail, Refusal> {
        actor.must(Right::OwnWords)?;
        match actor.is_person() {
            true => self.trail().await,
            false => Err(Refusal::Operator(Right::OwnWords)),
        }
    }

    /// The matters, which hold nobody's words.
    pub(super) async fn matters(&self) -> Result<Matters, Refusal> {
        Ok(self.trail().await?.matters())
    }

    /// Supervision, for what shows nobody a word: rules, the queue, decisions, reports.
    pub(super) fn queue(&self, _: &Licence) -> &Reviews {
        &self.reviews
    }

    /// Supervision, for whoever is about to read the words of an item.
    pub(super) fn reviewed(&self, _: &Warrant) -> &Reviews {
        &self.reviews
    }

    /// An item as far as it is needed to tell who may read or decide it. It holds no words.
    pub(super) async fn peek(&self, id: &str, who: &Reviewer) -> Result<Versioned<ReviewItem>, ReviewError> {
        self.reviews.get(id, who).await
    }

    /// Supervision's follower, which shows nobody anything.
    pub(super) fn follower(&self) -> &Reviews {
        &self.reviews
    }

    /// The holds, which hold places and nobody's words.
    pub(super) async fn holds(&self) -> Result<Holds, Refusal> {
        Ok(self.trail().await?.holds())
    }

    /// How long things are kept.
    pub(super) async fn policies(&self) -> Result<Policies, Refusal> {
        Ok(self.trail().await?.policies())
    }

    /// What was erased, by count and reason.
    pub(super) async fn erasures(&self) -> Result<Vec<archive::erase::Job>, Refusal> {
        Ok(self.trail().await?.erasures().await?)
    }

    /// For completing what somebody had the right to begin.
    pub(super) async fn unfinished(&self) -> Result<&Trail, Refusal> {
        self.trail().await
    }

    pub(super) async fn record(&self, act: Act) -> Result<(), Refusal> {
        self.trail().await?.audit(act).await?;
        Ok(())
    }

    async fn trail(&self) -> Result<&Trail, Refusal> {
        let open = || Archive::start(self.vault.clone(), Default::default(), |_| {});
        self.trail.get_or_try_init(open).await.map_err(Refusal::from)
    }

    /// Signs what was added; only for an archive that no server runs.
    pub(super) async fn shut(&self) {
        if let Some(trail) = self.trail.get() {
            trail.shutdown().await;
        }
    }
}

/// Proof that a right is used and that its use is on record. Lets change what is kept, not read what others wrote.
pub struct Licence {
    by: Jid,
}

impl Licence {
    /// Who uses the right.
    pub fn by(&self) -> &Jid {
        &self.by
    }
}

/// Proof that somebody may read other people's words and that it is on record that they do.
pub struct Warrant {
    by: Jid,
    basis: Basis,
}

/// What allows reading.
pub enum Basis {
    /// A matter that the reader is a member of.
    Matter(Box<Matter>),
    /// An emergency, with the reason that was given.
    Emergency(String),
    /// The item of this id in the review queue.
    Review(String),
}

impl Warrant {
    /// Who reads.
    pub fn by(&self) -> &Jid {
        &self.by
    }

    /// What allowed it, when nothing more is read.
    pub(super) fn into_basis(self) -> Basis {
        self.basis
    }

    /// What allows it. What is read must lie within it.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

/// What somebody names to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plea {
    /// The matter of this id.
    Matter(String),
    /// An emergency, for this reason.
    Emergency(String),
}

impl Plea {
    /// As requests write it: either of the two, not both.
    ///
    /// # Errors
    /// When there is none, or both.
    pub fn read(matter: Option<String>, emergency: Option<String>) -> Result<Self, Refusal> {
        match (matter, emergency) {
            (Some(matter), None) => Ok(Self::Matter(matter)),
            (None, Some(reason)) => Ok(Self::Emergency(reason)),
            (None, None) => Err(Refusal::MatterWanted),
            (Some(_), Some(_)) => Err(Refusal::invalid("/break_glass", "a matter or an emergency, not both")),
        }
    }
}

/// What goes on record.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is done.
    pub deed: Deed,
    /// What else is to know; see [`Act::details`].
    pub details: Value,
}

impl Office {
    /// Puts on record what somebody does whose right was checked otherwise.
    pub(super) async fn note(&self, actor: &Actor, entry: Entry) -> Result<(), Refusal> {
        self.0.shelves.record(Act::new(actor.jid(), entry.deed, entry.details)).await
    }

    /// Uses a right over what is kept: checks it and puts its use on record, under a matter if it belongs to one.
    ///
    /// # Errors
    /// The right is missing, or its use cannot be put on record. Nothing must be done then.
    pub async fn licence(
        &self,
        actor: &Actor,
        right: Right,
        matter: Option<&str>,
        entry: Entry,
    ) -> Result<Licence, Refusal> {
        actor.must(right)?;
        let act = Act::new(actor.jid(), entry.deed, entry.details);
        let act = match matter {
            Some(matter) => act.under(matter),
            None => act,
        };
        self.0.shelves.record(act).await?;
        Ok(Licence { by: actor.jid() })
    }

    /// Lets a reviewer read what an item of the review queue is about. That it is for them was checked.
    ///
    /// # Errors
    /// As [`Office::licence`].
    pub(super) async fn review_warrant(
        &self,
        actor: &Actor,
        item: &str,
        details: Value,
    ) -> Result<Warrant, Refusal> {
        actor.must(Right::Review)?;
        self.0.shelves.record(Act::new(actor.jid(), Deed::Review, details)).await?;
        Ok(Warrant { by: actor.jid(), basis: Basis::Review(item.to_owned()) })
    }

    /// Lets somebody read other people's words: checks the right (usually [`Right::ReadWords`]), the matter and its
    /// approval, and puts what is about to be read on record.
    ///
    /// # Errors
    /// What is missing; or it cannot be put on record. Nothing must be shown then.
    pub async fn warrant(
        &self,
        actor: &Actor,
        right: Right,
        plea: &Plea,
        entry: Entry,
    ) -> Result<Warrant, Refusal> {
        let act = Act::new(actor.jid(), entry.deed, entry.details);
        let basis = match plea {
            Plea::Matter(id) => {
                actor.must(right)?;
                let matter = self.mandate(actor, id).await?;
                self.0.shelves.record(act.under(&matter.id)).await?;
                Basis::Matter(Box::new(matter))
            }
            Plea::Emergency(reason) => {
                let reason = emergency::admit(self, actor, right, reason)?;
                emergency::declare(self, actor, &reason, &act).await?;
                self.0.shelves.record(act).await?;
                Basis::Emergency(reason)
            }
        };
        Ok(Warrant { by: actor.jid(), basis })
    }
}
