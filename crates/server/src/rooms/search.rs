//! Looking for a room (XEP-0433). Only what is in the public list is found.

use std::cmp::Reverse;

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use unicode_normalization::UnicodeNormalization;
use xmpp_parsers::ns;

use super::catalogue::{Catalogue, Listing, page};
use super::form::{Filled, Form, wrong};
use crate::xml::{With, el, text};

/// The namespace.
pub const SEARCH: &str = "urn:xmpp:channel-search:0:search";
/// The type of the form.
const PARAMETERS: &str = "urn:xmpp:channel-search:0:search-params";
/// The orders.
const BY_OCCUPANTS: &str = "{urn:xmpp:channel-search:0:order}nusers";
const BY_ADDRESS: &str = "{urn:xmpp:channel-search:0:order}address";
/// The only kind of channel here.
const KIND: &str = "xep-0045";

/// Answers `<search/>`: with the form if it is empty, else with a page of what matches (XEP-0433 §4).
///
/// # Errors
/// `bad-request` for a form that cannot be understood; those of [`page`].
pub fn search(catalogue: &Catalogue, query: &Element) -> Result<Element, StanzaError> {
    let Some(form) = query.get_child("x", ns::DATA_FORMS) else {
        return Ok(el("search", SEARCH).append(empty_form()).build());
    };
    let wanted = Wanted::read(&Filled::read(form, PARAMETERS)?)?;
    let mut found = Vec::new();
    catalogue.each(|room, listing| {
        if wanted.matches(room.as_str(), listing) {
            found.push((listing.occupants, room.as_str().to_owned(), item(room.as_str(), listing)));
        }
    });
    if wanted.by_occupants {
        // What is equally well attended stays in the order of addresses.
        found.sort_by_key(|(occupants, _, _)| Reverse(*occupants));
    }
    let found = found.into_iter().map(|(_, room, item)| (room, item)).collect();
    page(el("result", SEARCH), query, found)
}

/// What somebody looks for.
struct Wanted {
    /// Words, all of which must be there.
    words: Vec<String>,
    names: bool,
    descriptions: bool,
    addresses: bool,
    least: usize,
    by_occupants: bool,
}

impl Wanted {
    fn read(form: &Filled) -> Result<Self, StanzaError> {
        let words = form.one("q").map(|words| words.split_whitespace().map(folded).collect::<Vec<_>>());
        let all = form.switch("all")?.unwrap_or(false);
        if words.as_ref().is_none_or(Vec::is_empty) && !all {
            let words = "Say what to look for in the field q, or set all.";
            return Err(StanzaError::new(StanzaCondition::BadRequest, words));
        }
        let is_ours = |types: Vec<&str>| types.is_empty() || types.contains(&KIND);
        let least = match form.one("min_users").filter(|least| !least.is_empty()) {
            // Nothing here is of another kind.
            _ if !form.all("types").is_none_or(is_ours) => usize::MAX,
            Some(least) => least.trim().parse().map_err(|_| wrong("min_users"))?,
            None => 0,
        };
        Ok(Self {
            words: words.filter(|_| !all).unwrap_or_default(),
            names: form.switch("sinname")?.unwrap_or(true),
            descriptions: form.switch("sindescription")?.unwrap_or(true),
            addresses: form.switch("sinaddress")?.unwrap_or(true),
            least,
            by_occupants: match form.one("key") {
                None | Some("" | BY_ADDRESS) => false,
                Some(BY_OCCUPANTS) => true,
                Some(_) => return Err(wrong("key")),
            },
        })
    }

    fn matches(&self, address: &str, listing: &Listing) -> bool {
        let places = [
            (self.names, listing.name.as_str()),
            (self.descriptions, listing.description.as_str()),
            (self.addresses, address.split('@').next().unwrap_or_default()),
        ];
        let places: Vec<String> =
            places.iter().filter(|(wanted, _)| *wanted).map(|(_, place)| folded(place)).collect();
        let is_there = |word: &String| places.iter().any(|place| place.contains(word));
        listing.occupants >= self.least && self.words.iter().all(is_there)
    }
}

/// As words are compared.
fn folded(words: &str) -> String {
    words.nfkc().flat_map(char::to_lowercase).collect()
}

fn item(address: &str, listing: &Listing) -> Element {
    let some = |name: &str, value: &str| (!value.is_empty()).then(|| text(name, SEARCH, value));
    let mode = if listing.open_names { "nonymous" } else { "semi" };
    el("item", SEARCH)
        .with("address", address)
        .append_all(some("name", &listing.name))
        .append_all(some("description", &listing.description))
        .append_all(some("language", &listing.language))
        .append(text("nusers", SEARCH, listing.occupants.to_string()))
        .append(text("service-type", SEARCH, KIND))
        .append(text("anonymity-mode", SEARCH, mode))
        .append_all(listing.open.then(|| el("is-open", SEARCH).build()))
        .build()
}

fn empty_form() -> Element {
    Form::new("form", PARAMETERS)
        .titled("Look for a room")
        .field("text-single", "q", "Words", [""])
        .switch("all", "All rooms", false)
        .switch("sinname", "Look into names", true)
        .switch("sindescription", "Look into descriptions", true)
        .switch("sinaddress", "Look into addresses", true)
        .field("text-single", "min_users", "People in it, at least", ["0"])
        .choice(
            "list-single",
            "key",
            "Order",
            [BY_ADDRESS],
            &[(BY_ADDRESS, "Address"), (BY_OCCUPANTS, "People in it")],
        )
        .build()
}
