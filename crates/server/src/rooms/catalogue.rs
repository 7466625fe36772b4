//! The rooms that can be found, by address.

use std::collections::BTreeMap;

use minidom::{Element, ElementBuilder};
use parking_lot::RwLock;
use stanza::{BareJid, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::settings::Settings;
use crate::xml::{With, el, text};

/// Only public rooms are in it (XEP-0045 §4.2).
#[derive(Default)]
pub struct Catalogue(RwLock<BTreeMap<BareJid, Listing>>);

/// What the list tells of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its name, or its address' first part.
    pub name: String,
    /// What it is about.
    pub description: String,
    /// The language that is spoken there; or empty.
    pub language: String,
    /// Whether it takes neither a password nor a membership to come in.
    pub open: bool,
    /// Whether everybody sees real addresses.
    pub open_names: bool,
    /// Nicks that are in it.
    pub occupants: usize,
}

/// Items in a page, when nobody asks for fewer.
const PAGE: usize = 500;

impl Catalogue {
    /// Notes how a room is now.
    pub fn set(&self, room: &BareJid, settings: &Settings, occupants: usize) {
        if !settings.public {
            return self.remove(room);
        }
        let local = room.node().map(|node| node.as_str()).unwrap_or_default();
        let name = if settings.name.is_empty() { local } else { &settings.name };
        let listing = Listing {
            name: name.to_owned(),
            description: settings.description.clone(),
            language: settings.language.clone(),
            open: settings.password.is_none() && !settings.members_only,
            open_names: settings.open_names,
            occupants,
        };
        if self.0.read().get(room) != Some(&listing) {
            self.0.write().insert(room.clone(), listing);
        }
    }

    /// Forgets a room.
    pub fn remove(&self, room: &BareJid) {
        self.0.write().remove(room);
    }

    /// A page of the list as `<query/>` asks for it (XEP-0045 §6.3, XEP-0059).
    ///
    /// # Errors
    /// As [`page`].
    pub fn items(&self, query: &Element) -> Result<Element, StanzaError> {
        let rooms = self.0.read();
        let item = |(room, listing): (&BareJid, &Listing)| {
            let name = format!("{} ({})", listing.name, listing.occupants);
            (
                room.as_str().to_owned(),
                el("item", ns::DISCO_ITEMS).with("jid", room.as_str()).with("name", name).build(),
            )
        };
        page(answer_to(query), query, rooms.iter().map(item).collect())
    }

    /// Calls `look` on every room, in the order of their addresses.
    pub fn each(&self, mut look: impl FnMut(&BareJid, &Listing)) {
        self.0.read().iter().for_each(|(room, listing)| look(room, listing));
    }
}

/// `<query/>` of `disco#items`, to be filled.
pub fn answer_to(query: &Element) -> ElementBuilder {
    el("query", ns::DISCO_ITEMS).with("node", query.attr("node"))
}

/// The part of a list that `<set/>` in a query asks for (XEP-0059), in `answer`. Without it, all that a page holds.
///
/// # Errors
/// `bad-request` for a number that is none; `item-not-found` for a place that the list does not have.
pub fn page(
    answer: ElementBuilder,
    query: &Element,
    items: Vec<(String, Element)>,
) -> Result<Element, StanzaError> {
    let set = query.get_child("set", ns::RSM);
    let word = |name| Some(set?.get_child(name, ns::RSM)?.text());
    let number = |name| match word(name).map(|word| word.trim().parse::<usize>()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(StanzaError::from(StanzaCondition::BadRequest)),
    };
    let place = |id: String| {
        let found = items.iter().position(|(known, _)| *known == id);
        found.ok_or_else(|| StanzaError::from(StanzaCondition::ItemNotFound))
    };
    let (total, most) = (items.len(), number("max")?.unwrap_or(PAGE).min(PAGE));
    let first = match (word("after"), word("before"), number("index")?) {
        (Some(after), _, _) if !after.is_empty() => place(after)? + 1,
        (_, Some(before), _) => {
            let end = if before.is_empty() { total } else { place(before)? };
            let start = end.saturating_sub(most);
            return Ok(part(answer, items, start, end - start, total));
        }
        (_, _, Some(index)) if index > total => return Err(StanzaCondition::ItemNotFound.into()),
        (_, _, index) => index.unwrap_or(0),
    };
    if set.is_none() && total <= most {
        return Ok(answer.append_all(items.into_iter().map(|(_, item)| item)).build());
    }
    Ok(part(answer, items, first, most, total))
}

fn part(
    answer: ElementBuilder,
    items: Vec<(String, Element)>,
    start: usize,
    count: usize,
    total: usize,
) -> Element {
    let (mut ids, mut chosen) = (Vec::new(), Vec::new());
    for (id, item) in items.into_iter().skip(start).take(count) {
        ids.push(id);
        chosen.push(item);
    }
    let mut set = el("set", ns::RSM);
    if let (Some(first), Some(last)) = (ids.first(), ids.last()) {
        let mut first = text("first", ns::RSM, first);
        if let Ok(name) = rxml::NcName::try_from("index") {
            first.set_attr(rxml::Namespace::NONE, name, start.to_string());
        }
        set = set.append(first).append(text("last", ns::RSM, last));
    }
    let set = set.append(text("count", ns::RSM, total.to_string())).build();
    answer.append_all(chosen).append(set).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(set: &str) -> Result<Vec<String>, StanzaCondition> {
        let items = ["a", "b", "c", "d"].map(|id| (id.to_owned(), el("item", "x").with("jid", id).build()));
        let query: Element = format!("<query xmlns='{}'>{set}</query>", ns::DISCO_ITEMS).parse().unwrap();
        let answer = page(answer_to(&query), &query, items.into()).map_err(|error| error.condition)?;
        Ok(answer.children().filter_map(|item| item.attr("jid")).map(str::to_owned).collect())
    }

    #[test]
    fn a_list_is_given_out_in_pages_from_either_end() {
        let set = |inner: &str| format!("<set xmlns='{}'>{inner}</set>", ns::RSM);
        assert_eq!(ask("").unwrap(), ["a", "b", "c", "d"]);
        assert_eq!(ask(&set("<max>2</max>")).unwrap(), ["a", "b"]);
        assert_eq!(ask(&set("<max>2</max><after>b</after>")).unwrap(), ["c", "d"]);
        assert_eq!(ask(&set("<max>2</max><before/>")).unwrap(), ["c", "d"]);
        assert_eq!(ask(&set("<max>2</max><before>c</before>")).unwrap(), ["a", "b"]);
        assert_eq!(ask(&set("<max>2</max><index>3</index>")).unwrap(), ["d"]);
        assert!(ask(&set("<max>0</max>")).unwrap().is_empty());
        assert_eq!(ask(&set("<after>x</after>")), Err(StanzaCondition::ItemNotFound));
        assert_eq!(ask(&set("<max>x</max>")), Err(StanzaCondition::BadRequest));
    }
}
