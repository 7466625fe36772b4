//! Pages of a list (XEP-0059). Pure.

use minidom::Element;
use stanza::StanzaError;
use xmpp_parsers::ns;

use crate::iq::bad_request;
use crate::xml::{el, text};

/// What part of a list is wanted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    max: Option<usize>,
    after: Option<String>,
    before: Option<Option<String>>,
    index: Option<usize>,
}

/// A part of a list: what to return, and the `<set/>` that goes with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// Places in the list, in order.
    pub places: std::ops::Range<usize>,
    /// How long the list is.
    pub count: usize,
}

impl Wanted {
    /// Reads `<set/>`.
    ///
    /// # Errors
    /// `bad-request` for what is no number.
    pub fn read(set: &Element) -> Result<Self, StanzaError> {
        let value = |name: &str| set.get_child(name, ns::RSM).map(Element::text);
        let number = |name: &str| match value(name) {
            None => Ok(None),
            Some(number) => number
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| bad_request("Result sets are limited by whole numbers.")),
        };
        let before = value("before").map(|id| Some(id).filter(|id| !id.is_empty()));
        let after = value("after").filter(|id| !id.is_empty());
        Ok(Self { max: number("max")?, after, before, index: number("index")? })
    }

    /// Cuts the page out of a list of `ids`; at most `most`. `None` when the place that it names is not there
    /// (XEP-0059 §2.2: `item-not-found`).
    pub fn cut(&self, ids: &[&str], most: usize) -> Option<Page> {
        let max = self.max.unwrap_or(most).min(most);
        let find = |id: &str| ids.iter().position(|other| *other == id);
        let count = ids.len();
        let places = match (&self.after, &self.before, self.index) {
            (Some(id), ..) => {
                let start = find(id)? + 1;
                start..start.saturating_add(max).min(count)
            }
            (None, Some(before), _) => {
                let end = match before {
                    Some(id) => find(id)?,
                    None => count,
                };
                end.saturating_sub(max)..end
            }
            (None, None, Some(index)) if index > count => return None,
            (None, None, index) => {
                let start = index.unwrap_or(0);
                start..start.saturating_add(max).min(count)
            }
        };
        Some(Page { places, count })
    }
}

impl Page {
    /// The `<set/>` of the answer.
    pub fn element(&self, ids: &[&str]) -> Element {
        let mut set = el("set", ns::RSM);
        let page = ids.get(self.places.clone()).unwrap_or_default();
        if let (Some(first), Some(last)) = (page.first(), page.last()) {
            let mut first = text("first", ns::RSM, *first);
            first.set_attr(
                rxml::Namespace::NONE,
                rxml::xml_ncname!("index").to_owned(),
                self.places.start.to_string(),
            );
            set = set.append(first).append(text("last", ns::RSM, *last));
        }
        set.append(text("count", ns::RSM, self.count.to_string())).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn cut(set: &str) -> Option<Vec<&'static str>> {
        let set: Element =
            format!("<set xmlns='http://jabber.org/protocol/rsm'>{set}</set>").parse().unwrap();
        let page = Wanted::read(&set).unwrap().cut(&IDS, 4)?;
        Some(IDS[page.places].to_vec())
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        assert_eq!(cut("<max>2</max>").unwrap(), ["a", "b"]);
        assert_eq!(cut("<max>2</max><after>b</after>").unwrap(), ["c", "d"]);
        assert_eq!(cut("<max>2</max><after>e</after>").unwrap(), [""; 0]);
        assert_eq!(cut("<max>2</max><before/>").unwrap(), ["d", "e"]);
        assert_eq!(cut("<max>2</max><before>d</before>").unwrap(), ["b", "c"]);
        assert_eq!(cut("<max>0</max>").unwrap(), [""; 0]);
        assert_eq!(cut("<max>9</max>").unwrap(), ["a", "b", "c", "d"], "no more than there may be");
        assert_eq!(cut("<max>2</max><index>3</index>").unwrap(), ["d", "e"]);
        assert_eq!(cut("<after>z</after>"), None);
    }
}
