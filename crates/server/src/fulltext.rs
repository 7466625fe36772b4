//! Searching histories by words (XEP-0431), in the language of `docs/search.md`.

use archive::Words;
use archive::search::{Company, Language, Question};
use stanza::{BareJid, Jid, StanzaError};

use crate::iq::bad_request;

/// The field of a query's form.
pub const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";

/// Reads a question to a history. `reveals`: the reader may know who is behind a nick that does not show it.
///
/// # Errors
/// What cannot be read, in a sentence.
pub fn read(text: &str, reader: &Jid, owner: &BareJid, reveals: bool) -> Result<Words, StanzaError> {
    let language = Language { me: Some(reader.to_bare()), ..Language::default() };
    let question = Question::parse(text, &language).map_err(|error| {
        let part = text.get(error.at.clone()).unwrap_or_default();
        bad_request(&format!("{} It is about: {part}", error.message))
    })?;
    // A room's service is a subdomain of the company's.
    let domain = owner.domain().as_str();
    let parent = domain.split_once('.').map(|(_, parent)| parent.to_owned());
    let of_room = owner.as_str() != reader.to_bare().as_str();
    let domains = std::iter::once(domain.to_owned()).chain(parent.filter(|_| of_room)).collect();
    Ok(Words { question, company: Company { domains, reveals } })
}
