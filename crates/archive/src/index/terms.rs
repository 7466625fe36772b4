//! Tokens: keyed hashes of what a message can be found by.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jid::Jid;
use parking_lot::RwLock;
use rust_stemmers::Stemmer;
use vault::{Blind, Blinder, Sequence, Tags};

use super::Plan;
use super::names::Names;
use super::vocabulary::Vocabulary;
use crate::search::reading::{self, Change, Reading};
use crate::{Item, Ledger, body, text};

/// Words whose tokens are remembered, in each of two generations.
const GENERATION: usize = 32_768;

/// One event on its way into the index.
pub(crate) struct Indexed {
    pub(crate) sequence: Sequence,
    pub(crate) tags: Tags,
    /// `None` for one that does not open.
    pub(crate) item: Option<Item>,
    /// What search should find it by, where that is known without looking at the stanza.
    pub(crate) text: Option<String>,
    pub(crate) names: Names,
}

/// Makes tokens.
#[derive(Clone)]
pub(crate) struct Terms {
    blinder: Blinder,
    vocabulary: Arc<RwLock<Vocabulary>>,
}

impl Terms {
    pub(super) fn new(blinder: Blinder, vocabulary: Arc<RwLock<Vocabulary>>) -> Self {
        Self { blinder, vocabulary }
    }

    pub(super) fn vocabulary(&self) -> Arc<RwLock<Vocabulary>> {
        Arc::clone(&self.vocabulary)
    }

    /// Words that somebody may have meant; see [`Vocabulary::similar`].
    pub(crate) fn similar(&self, word: &str, most: usize) -> Vec<String> {
        self.vocabulary.read().similar(word, most)
    }

    pub(crate) fn blinder(&self) -> &Blinder {
        &self.blinder
    }

    /// A stem.
    pub(crate) fn word(&self, stem: &str) -> u64 {
        self.token("word", stem)
    }

    /// Who sent it: a bare address, what stands before its at sign, a nick, or `@` and a domain.
    pub(crate) fn sender(&self, name: &str) -> Plan {
        self.party("from", name)
    }

    /// Whom it went to.
    pub(crate) fn recipient(&self, name: &str) -> Plan {
        self.party("to", name)
    }

    pub(crate) fn thread(&self, thread: &str) -> u64 {
        self.token("thread", thread)
    }

    pub(crate) fn has(&self, what: &str) -> u64 {
        self.token("has", what)
    }

    pub(crate) fn is(&self, what: &str) -> u64 {
        self.token("is", what)
    }

    /// Words that begin so.
    pub(crate) fn beginning(&self, prefix: &str) -> Plan {
        match self.vocabulary.read().beginning(prefix) {
            Some(words) => {
                let stemmer = text::stemmer();
                let mut tokens: Vec<u64> =
                    words.iter().map(|word| self.word(&text::stem(&stemmer, word))).collect();
                tokens.sort_unstable();
                tokens.dedup();
                Plan::any(tokens.into_iter().map(Plan::Token))
            }
            None => Plan::Everything,
        }
    }

    fn party(&self, label: &str, name: &str) -> Plan {
        let name = name.split('/').next().unwrap_or_default();
        match name.strip_prefix('@') {
            Some(rest) => Plan::any([name, rest].map(|name| Plan::Token(self.token(label, name)))),
            None => Plan::Token(self.token(label, name)),
        }
    }

    fn token(&self, label: &str, what: &str) -> u64 {
        tag_token(&self.blinder.blind(label, &[what.as_bytes()]))
    }
}

/// The token of a tag, so that an archive's own events are found without looking at others'.
pub(crate) fn tag_token(tag: &Blind) -> u64 {
    tag.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Finds the tokens of events, and remembers those of common words and names.
pub(super) struct Tokenizer {
    terms: Terms,
    stemmer: Stemmer,
    young: HashMap<Box<str>, u64>,
    old: HashMap<Box<str>, u64>,
    scratch: String,
    room: u64,
    dm: u64,
}

/// What makes a stanza worth a closer look.
const MARKS: [&[u8]; 9] = [
    b"<subject",
    b"<thread",
    b"jabber:x:oob",
    b"urn:xmpp:sfs:0",
    b"urn:xmpp:sims:1",
    b"urn:chancery:files:0",
    b"urn:xmpp:reactions:0",
    b"urn:xmpp:message-correct:0",
    b"urn:xmpp:message-retract:",
];

impl Tokenizer {
    pub(super) fn new(terms: Terms) -> Self {
        let (room, dm) = (terms.is("room"), terms.is("dm"));
        Self {
            terms,
            stemmer: text::stemmer(),
            young: HashMap::new(),
            old: HashMap::new(),
            scratch: String::new(),
            room,
            dm,
        }
    }

    /// Forgets which words it has seen.
    pub(super) fn forget(&mut self) {
        (self.young, self.old) = (HashMap::new(), HashMap::new());
    }

    /// Appends the tokens of an event, and calls `with` for every word of its text.
    pub(super) fn tokens(&mut self, event: &Indexed, out: &mut Vec<u64>, mut with: impl FnMut(&str)) {
        out.extend(event.tags.iter().map(tag_token));
        event.names.tokens(self.terms.blinder(), out);
        let Some(item) = event.item.as_ref().filter(|item| item.ledger != Ledger::Audit) else { return };
        let (from, to) = body::shown(item);
        self.party("from", &item.from, &from, out);
        self.party("to", &item.to, &to, out);
        match &event.text {
            Some(text) if !is_marked(&item.stanza) => {
                out.push(if is_groupchat(&item.stanza) { self.room } else { self.dm });
                self.words(text, out, &mut with);
                if reading::has_link(text) {
                    out.push(self.terms.has("link"));
                }
            }
            _ => self.stanza(item, out, &mut with),
        }
    }

    fn stanza(&mut self, item: &Item, out: &mut Vec<u64>, with: &mut impl FnMut(&str)) {
        let reading = Reading::new(item);
        out.push(if reading.in_room { self.room } else { self.dm });
        self.words(&reading.text, out, with);
        let has = [
            ("link", reading.has_link()),
            ("file", !reading.files.is_empty()),
            ("image", reading.files.iter().any(|file| file.image)),
            ("reaction", reading.change == Some(Change::Reaction)),
            ("correction", reading.change == Some(Change::Correction)),
            ("retraction", reading.change == Some(Change::Retraction)),
        ];
        out.extend(has.iter().filter(|(_, has)| *has).map(|(what, _)| self.terms.has(what)));
        out.extend(reading.thread.as_ref().map(|thread| self.terms.thread(thread)));
        out.extend(reading.speaker.as_ref().map(|who| self.name("from", who.as_str())));
    }

    /// The names of somebody: as they are, and as a room shows them.
    fn party(&mut self, label: &'static str, real: &Jid, shown: &Jid, out: &mut Vec<u64>) {
        self.address(label, real, out);
        if shown != real {
            self.address(label, shown, out);
            if let Some(nick) = shown.resource() {
                let nick = nick.as_str().to_lowercase();
                out.push(self.name(label, &nick));
            }
        }
    }

    fn address(&mut self, label: &'static str, address: &Jid, out: &mut Vec<u64>) {
        let domain = address.domain().as_str();
        out.push(self.name(label, address.to_bare().as_str()));
        if let Some(node) = address.node() {
            out.push(self.name(label, node.as_str()));
        }
        let mut at = std::mem::take(&mut self.scratch);
        at.clear();
        at.push('@');
        at.push_str(domain);
        out.push(self.name(label, &at));
        self.scratch = at;
    }

    fn words(&mut self, text: &str, out: &mut Vec<u64>, with: &mut impl FnMut(&str)) {
        text::each_word(text, |word| {
            with(word.text);
            out.push(self.word(word.text));
        });
    }

    fn word(&mut self, word: &str) -> u64 {
        self.remembered(word, |this| this.terms.word(&text::stem(&this.stemmer, word)))
    }

    fn name(&mut self, label: &'static str, name: &str) -> u64 {
        // No word holds a space, so names and words share the memory.
        let key = format!("{label} {name}");
        self.remembered(&key, |this| this.terms.token(label, name))
    }

    fn remembered(&mut self, key: &str, make: impl FnOnce(&Self) -> u64) -> u64 {
        if let Some(token) = self.young.get(key) {
            return *token;
        }
        let token = match self.old.get(key) {
            Some(token) => *token,
            None => make(self),
        };
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.into(), token);
        token
    }
}

fn is_marked(stanza: &Bytes) -> bool {
    // Everything but plain messages, and few of those, has another payload than its body.
    MARKS.iter().any(|mark| memchr::memmem::find(stanza, mark).is_some())
}

fn is_groupchat(stanza: &Bytes) -> bool {
    let head = stanza.split(|byte| *byte == b'>').next().unwrap_or_default();
    memchr::memmem::find(head, b" type='groupchat'").is_some()
}
