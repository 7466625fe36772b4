//! What a question sees of a message.

use std::borrow::Cow;
use std::cell::OnceCell;

use jid::{BareJid, Jid};
use minidom::Element;

use crate::{Item, body, text};

/// A message taken apart, once, for all that is asked about it.
pub(crate) struct Reading<'a> {
    pub(crate) item: &'a Item,
    /// The addresses that the stanza shows.
    pub(crate) shown: (Cow<'a, Jid>, Cow<'a, Jid>),
    /// Who spoke in a room, where its people may know.
    pub(crate) speaker: Option<BareJid>,
    /// What people read: the subject and the body, a line each.
    pub(crate) text: String,
    pub(crate) in_room: bool,
    pub(crate) thread: Option<String>,
    pub(crate) change: Option<Change>,
    pub(crate) files: Vec<File>,
    words: OnceCell<Vec<Owned>>,
}

/// What a message does to an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Correction,
    Reaction,
    Retraction,
}

/// A file that a message links or describes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) image: bool,
}

/// A word of the text.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(super) text: String,
    pub(super) stem: String,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) at: u32,
    pub(super) span: u32,
    pub(super) gram: bool,
}

impl Owned {
    /// The words of a text, by place.
    pub(super) fn all(text: &str) -> Vec<Self> {
        let stemmer = text::stemmer();
        let mut words = Vec::new();
        text::each_word(text, |word| {
            words.push(Self {
                text: word.text.to_owned(),
                stem: text::stem(&stemmer, word.text).into_owned(),
                start: word.start,
                end: word.end,
                at: word.at,
                span: word.span,
                gram: word.gram,
            });
        });
        words.sort_by_key(|word| (word.at, word.span));
        words
    }
}

const OOB: &str = "jabber:x:oob";
const SFS: &str = "urn:xmpp:sfs:0";
const METADATA: &str = "urn:xmpp:file:metadata:0";
const SIMS: &str = "urn:xmpp:sims:1";
const JINGLE_FILE: &str = "urn:xmpp:jingle:apps:file-transfer:5";
const MUC_USER: &str = "http://jabber.org/protocol/muc#user";

impl<'a> Reading<'a> {
    pub(crate) fn new(item: &'a Item) -> Self {
        let mut reading = Self {
            item,
            shown: body::shown(item),
            speaker: None,
            text: String::new(),
            in_room: false,
            thread: None,
            change: None,
            files: Vec::new(),
            words: OnceCell::new(),
        };
        let stanza = std::str::from_utf8(&item.stanza).ok().and_then(|xml| xml.parse::<Element>().ok());
        let Some(stanza) = stanza else { return reading };
        reading.in_room = stanza.attr("type") == Some("groupchat");
        for child in stanza.children() {
            reading.child(child);
        }
        reading
    }

    fn child(&mut self, child: &Element) {
        match (child.name(), child.ns().as_str()) {
            ("subject" | "body", "jabber:client") => {
                if !self.text.is_empty() {
                    self.text.push('\n');
                }
                self.text.push_str(&child.text());
            }
            ("thread", "jabber:client") => self.thread = Some(child.text()),
            ("replace", _) => self.change = Some(Change::Correction),
            ("reactions", _) => self.change = Some(Change::Reaction),
            ("retract" | "retracted", _) => self.change = Some(Change::Retraction),
            ("x", MUC_USER) => {
                let jid = child.get_child("item", MUC_USER).and_then(|item| item.attr("jid"));
                self.speaker = jid.and_then(|jid| Jid::new(jid).ok()).map(Jid::into_bare);
            }
            ("x", OOB) => {
                if let Some(url) = child.get_child("url", OOB) {
                    self.files.push(File::of_url(&url.text()));
                }
            }
            ("file-sharing", SFS) => {
                self.files.extend(child.get_child("file", METADATA).map(File::of_metadata));
            }
            ("reference", _) => {
                let sharing = child.get_child("media-sharing", SIMS);
                self.files.extend(
                    sharing.and_then(|sharing| sharing.get_child("file", JINGLE_FILE)).map(File::of_metadata),
                );
            }
            // The archive's own words for uploads and fetches.
            ("uploaded" | "fetched" | "erased", "urn:chancery:files:0") => {
                let name = child.attr("name").unwrap_or_default().to_owned();
                let image = child.attr("type").is_some_and(|type_| type_.starts_with("image/"));
                self.text.push_str(&name);
                self.files.push(File { name, image });
            }
            _ => {}
        }
    }

    /// Its words.
    pub(super) fn words(&self) -> &[Owned] {
        self.words.get_or_init(|| Owned::all(&self.text))
    }

    pub(crate) fn has_link(&self) -> bool {
        has_link(&self.text)
    }
}

/// Whether there is something to click on in a text.
pub(crate) fn has_link(text: &str) -> bool {
    ["http://", "https://", "xmpp:", "www.", "mailto:", "geo:"].iter().any(|scheme| {
        text.match_indices(scheme).any(|(at, _)| {
            text[at + scheme.len()..].starts_with(|letter: char| letter.is_alphanumeric())
                && !text[..at].ends_with(|letter: char| letter.is_alphanumeric())
        })
    })
}

impl File {
    /// A link to a file: the last part of its path, with what was escaped written out.
    fn of_url(url: &str) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let name = unescape(path.rsplit('/').next().unwrap_or_default());
        let image = is_image_name(&name);
        Self { name, image }
    }

    fn of_metadata(file: &Element) -> Self {
        let child = |name: &str| file.children().find(|child| child.name() == name).map(Element::text);
        let name = child("name").unwrap_or_default();
        let image = match child("media-type") {
            Some(type_) => type_.starts_with("image/"),
            None => is_image_name(&name),
        };
        Self { name, image }
    }
}

fn is_image_name(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_lowercase()).unwrap_or_default();
    matches!(
        ending.as_str(),
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "avif" | "svg" | "bmp" | "heic" | "tif" | "tiff" | "jxl"
    )
}

/// Percent signs and two digits as the bytes that they stand for.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%')
            .then(|| {
                std::str::from_utf8(after.get(..2)?).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
            })
            .flatten();
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_the_end_of_its_url() {
        let file = File::of_url("https://a.example/x/Quarterly%20r%C3%A9sum%C3%A9.PNG?sig=1#p");
        assert_eq!(file, File { name: "Quarterly résumé.PNG".into(), image: true });
        assert_eq!(File::of_url("%zz%"), File { name: "%zz%".into(), image: false });
    }

    #[test]
    fn a_link_is_something_to_click_on() {
        for text in ["see https://a.example/x", "(www.a.example)", "xmpp:a@b"] {
            assert!(has_link(text), "{text}");
        }
        for text in ["http", "http://", "wwww.x", "a.example"] {
            assert!(!has_link(text), "{text}");
        }
    }
}
