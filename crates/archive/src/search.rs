//! Finding messages by their words.

use jid::BareJid;
use minidom::Element;
use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;
use vault::Vault;

use crate::history::{self, Query};
use crate::{Item, Result};

/// Messages looked at in one go.
const CHUNK: usize = 256;

/// The newest messages of an archive that contain all words, newest first.
pub(crate) async fn search(vault: &Vault, owner: &BareJid, words: &str, limit: usize) -> Result<Vec<Item>> {
    let wanted = normalised(words);
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut query = Query { limit: CHUNK, backwards: true, ..Query::default() };
    loop {
        let page = history::history(vault, owner, &query).await?;
        query.before = page.items.first().map(|item| item.sequence);
        for item in page.items.into_iter().rev() {
            let has = normalised(&text(&item.stanza));
            if wanted.iter().all(|word| has.contains(word)) {
                found.push(item);
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        if page.complete {
            return Ok(found);
        }
    }
}

fn normalised(text: &str) -> Vec<String> {
    text.unicode_words().map(|word| word.nfkc().flat_map(char::to_lowercase).collect()).collect()
}

/// What people read in a stanza: subject and body.
fn text(stanza: &[u8]) -> String {
    let Some(root) = std::str::from_utf8(stanza).ok().and_then(|xml| xml.parse::<Element>().ok()) else {
        return String::new();
    };
    let readable = root.children().filter(|child| matches!(child.name(), "subject" | "body"));
    readable.map(Element::text).collect::<Vec<_>>().join("\n")
}
