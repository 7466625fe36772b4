//! Finding messages by the names that their senders gave them.

use jid::BareJid;
use vault::{Sequence, Vault, Window};

use crate::index::names::{self, Names};
use crate::index::terms::tag_token;
use crate::index::{Index, Places, Plan};
use crate::{Item, Ledger, Result, body, history};

/// Messages looked at in one go.
const CHUNK: usize = 256;

/// The newest message of an archive with this sender and id.
pub(crate) async fn named(
    vault: &Vault,
    index: &Index,
    owner: &BareJid,
    sender: &BareJid,
    id: &str,
) -> Result<Option<Item>> {
    let tokens = vec![names::own_token(vault.blinder(), sender, id)];
    let is_it = |item: &Item| Names::of(item).is(sender, id);
    Ok(find(vault, index, owner, tokens, 1, is_it).await?.pop())
}

/// The newest messages of an archive that change the one of this id, newest first.
pub(crate) async fn about(
    vault: &Vault,
    index: &Index,
    owner: &BareJid,
    id: &str,
    limit: usize,
) -> Result<Vec<Item>> {
    let tokens = vec![names::about_token(vault.blinder(), id)];
    find(vault, index, owner, tokens, limit, |item| Names::of(item).is_about(id)).await
}

/// The newest messages of an archive that bear all tokens and match, newest first.
async fn find(
    vault: &Vault,
    index: &Index,
    owner: &BareJid,
    mut tokens: Vec<u64>,
    limit: usize,
    matches: impl Fn(&Item) -> bool,
) -> Result<Vec<Item>> {
    let mut found = Found { matches, items: Vec::new(), limit };
    let mine = history::owner_tag(vault, owner, Ledger::Messages);
    tokens.push(tag_token(&mine));
    let proposal = index.propose(Plan::all(tokens.into_iter().map(Plan::Token)), Sequence::ZERO);

    // What the index has not reached yet is newer than all that it proposes.
    let mut window = Window { after: proposal.through, ..Window::last(CHUNK) };
    loop {
        let events = vault.store().tagged_events(mine, window).await?;
        window.before = events.last().map(|event| event.sequence);
        let exhausted = events.len() < CHUNK;
        if found.take(body::open_all(vault, &events).await?) {
            return Ok(found.items);
        }
        if exhausted {
            break;
        }
    }
    for stretch in proposal.stretches().into_iter().rev().filter(|stretch| stretch.base < proposal.through) {
        let Places::These(places) = proposal.places(&stretch).await? else { continue };
        let places: Vec<Sequence> =
            places.iter().rev().map(|at| Sequence(stretch.base.0 + u64::from(*at))).collect();
        for chunk in places.chunks(CHUNK) {
            let mut events = vault.store().events(chunk.to_vec()).await?;
            // Tokens are short, so two may be the same by chance.
            events.retain(|event| event.tags.contains(&mine));
            if found.take(body::open_all(vault, &events).await?) {
                return Ok(found.items);
            }
        }
    }
    Ok(found.items)
}

struct Found<M> {
    matches: M,
    items: Vec<Item>,
    limit: usize,
}

impl<M: Fn(&Item) -> bool> Found<M> {
    /// Keeps what matches. True when there are enough.
    fn take(&mut self, items: Vec<Item>) -> bool {
        for item in items {
            if self.items.len() == self.limit {
                break;
            }
            if (self.matches)(&item) {
                self.items.push(item);
            }
        }
        self.items.len() == self.limit
    }
}
