//! Whether a matter lets somebody read.

use archive::{Barred, Matter, MatterError};

use super::Office;
use super::actor::Actor;
use super::refusal::Refusal;

impl Office {
    /// The matter of this id, if the actor may read under it now.
    pub(super) async fn mandate(&self, actor: &Actor, id: &str) -> Result<Matter, Refusal> {
        let hidden = || Refusal::Matter(id.to_owned());
        let matter = self.0.shelves.matters().await?.get(id).await?.value;
        if !actor.is_person() {
            return Err(hidden());
        }
        match matter.may_read(actor.who()) {
            Ok(()) => {}
            // Whether there is such a matter is nobody's business who is not in it.
            Err(Barred::NotAReader) => return Err(hidden()),
            Err(_) if !matter.brief.readers.contains(actor.who()) => return Err(hidden()),
            Err(barred) => return Err(Refusal::Barred { matter: id.to_owned(), barred }),
        }
        if self.settings().second_approval {
            // Of a second person: not the author, which the archive sees to, and not the reader.
            let second =
                |approval: &&archive::Approval| approval.granted && approval.by.to_bare() != *actor.who();
            let given = matter.given.iter().filter(second).count() as u32;
            if given == 0 {
                let barred = Barred::Unapproved { given, needed: matter.brief.approvals.max(1) };
                return Err(Refusal::Barred { matter: id.to_owned(), barred });
            }
        }
        Ok(matter)
    }
}

impl From<MatterError> for Refusal {
    fn from(error: MatterError) -> Self {
        match error {
            MatterError::Unknown(id) => Self::Matter(id),
            MatterError::Own => Self::Oneself,
            MatterError::Incomplete(words) => Self::Invalid { field: None, message: words.to_owned() },
            MatterError::Vault(error) => error.into(),
            other => Self::Conflict(other.to_string()),
        }
    }
}
