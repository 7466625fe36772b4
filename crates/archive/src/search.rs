//! Finding messages by their words.

use jid::BareJid;
use vault::{Vault, Window};

use crate::index::{Index, words};
use crate::{Item, Ledger, Result, body, history};

/// Messages looked at in one go.
const CHUNK: usize = 256;

/// The newest messages of an archive that contain all words, newest first.
pub(crate) async fn search(
    vault: &Vault,
    index: &Index,
    owner: &BareJid,
    question: &str,
    limit: usize,
) -> Result<Vec<Item>> {
    let mut found = Found { stems: words::stems(question), items: Vec::new(), limit };
    if found.stems.is_empty() || limit == 0 {
        return Ok(found.items);
    }
    let mine = history::owner_tag(vault, owner, Ledger::Messages);
    let mut tokens: Vec<u64> =
        found.stems.iter().map(|stem| words::word_token(vault.blinder(), stem)).collect();
    tokens.push(words::tag_token(&mine));
    let proposal = index.propose(vault, &tokens).await?;

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
    for places in proposal.candidates.chunks(CHUNK) {
        let mut events = vault.store().events(places.to_vec()).await?;
        // Tokens are short, so two may be the same by chance.
        events.retain(|event| event.tags.contains(&mine));
        if found.take(body::open_all(vault, &events).await?) {
            break;
        }
    }
    Ok(found.items)
}

struct Found {
    stems: Vec<String>,
    items: Vec<Item>,
    limit: usize,
}

impl Found {
    /// Keeps what matches. True when there are enough.
    fn take(&mut self, items: Vec<Item>) -> bool {
        for item in items {
            if self.items.len() == self.limit {
                break;
            }
            let has = words::stems(&words::readable(&item.stanza));
            if self.stems.iter().all(|stem| has.contains(stem)) {
                self.items.push(item);
            }
        }
        self.items.len() == self.limit
    }
}
