//! Namespaces: what rxml's raw reader leaves to its caller.
//!
//! Duplicate attributes, undeclared prefixes and attributes that become duplicates once their prefixes are resolved
//! are found here (Namespaces in XML 1.0 §6.3), and so is whether a payload depends on declarations around it.

use rxml::{NcName, RawQName};
use smallvec::SmallVec;

use crate::frame_error::FrameError;
use crate::limits::Limits;
use crate::ns::{self, Symbol};

/// Bytes of a namespace name. A tree holds one copy for each element, and writing it anew may repeat it as often.
const MAX_NAMESPACE_BYTES: usize = 512;

const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// The namespace declarations in force, innermost last, and the element whose start tag is being read.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scope {
    declarations: Vec<Declaration>,
    /// For each open element, how many declarations were in force around it.
    open: Vec<u32>,
    element: Option<RawQName>,
    attributes: Vec<RawAttribute>,
}

#[derive(Debug, Clone)]
struct Declaration {
    /// `None` for the default namespace.
    prefix: Option<NcName>,
    uri: Symbol,
    /// Fingerprints of both. A peer may send many names that differ; comparing numbers keeps that cheap.
    prefix_print: u32,
    uri_print: u32,
}

impl Declaration {
    fn new(prefix: Option<NcName>, uri: Symbol) -> Declaration {
        let prefix_print = fingerprint(prefix.as_deref().map_or("", |prefix| prefix.as_str()));
        let uri_print = fingerprint(&uri);
        Declaration { prefix, uri, prefix_print, uri_print }
    }
}

#[derive(Debug, Clone)]
struct RawAttribute {
    prefix: Option<NcName>,
    name: NcName,
    value: String,
}

/// A start tag with all its names resolved.
#[derive(Debug)]
pub(crate) struct StartTag {
    pub(crate) name: NcName,
    pub(crate) ns: Symbol,
    /// Whether the tag itself had a prefix.
    pub(crate) prefixed: bool,
    /// Index of the outermost declaration that a prefix on this tag resolved to.
    pub(crate) reach: usize,
    /// Whether the tag declares one of the content namespaces, under whatever prefix.
    pub(crate) names_content: bool,
    /// Without the namespace declarations; empty unless they were asked for.
    pub(crate) attributes: Vec<Attribute>,
}

/// Whether the attributes of a start tag are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attributes {
    Resolve,
    /// They are checked and dropped.
    Check,
}

/// What namespace an attribute is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Xml,
    /// That of the declaration with this index.
    Declared(usize),
}

#[derive(Debug)]
pub(crate) struct Attribute {
    /// Empty without a prefix.
    pub(crate) ns: Symbol,
    pub(crate) name: NcName,
    pub(crate) value: String,
}

impl StartTag {
    /// Takes the value of the attribute without a namespace.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.take_ns("", name)
    }

    /// Takes the value of the attribute in a namespace.
    pub(crate) fn take_ns(&mut self, ns: &str, name: &str) -> Option<String> {
        let at = self.attributes.iter().position(|a| a.name == *name && a.ns == ns)?;
        Some(self.attributes.swap_remove(at).value)
    }
}

impl Scope {
    /// A scope in which `ns` is the default namespace.
    pub(crate) fn with_default(ns: Symbol) -> Scope {
        Scope { declarations: vec![Declaration::new(None, ns)], ..Scope::default() }
    }

    /// A scope for reading an element by itself that stands where this scope stands.
    pub(crate) fn surroundings(&self) -> Scope {
        Scope { declarations: self.declarations.clone(), ..Scope::default() }
    }

    /// Brings every declaration of `content` that is in force into `jabber:client`.
    pub(crate) fn unify(&mut self, content: &str) {
        for declaration in self.declarations.iter_mut().filter(|d| d.uri == content) {
            *declaration = Declaration::new(declaration.prefix.take(), Symbol::Borrowed(ns::CLIENT));
        }
    }

    /// Open elements.
    pub(crate) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Declarations in force.
    pub(crate) fn declarations(&self) -> usize {
        self.declarations.len()
    }

    /// Whether `uri` is the default namespace or has a prefix.
    pub(crate) fn declares(&self, uri: &str) -> bool {
        self.declarations.iter().any(|d| d.uri == uri)
    }

    /// The default namespace; empty for none.
    pub(crate) fn default_namespace(&self) -> &str {
        self.lookup(None).map_or("", |at| &self.declarations[at].uri)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Scope::default();
    }

    /// Frees spare capacity.
    pub(crate) fn release(&mut self) {
        self.declarations.shrink_to_fit();
        self.open.shrink_to_fit();
        self.attributes.shrink_to_fit();
    }

    /// A start tag begins.
    pub(crate) fn begin(&mut self, name: RawQName) {
        self.element = Some(name);
        self.attributes.clear();
    }

    /// An attribute of the start tag that has begun.
    pub(crate) fn attribute(
        &mut self,
        name: RawQName,
        value: String,
        limits: &Limits,
    ) -> Result<(), FrameError> {
        if self.attributes.len() >= limits.attributes {
            return Err(FrameError::Limit("attributes of an element"));
        }
        let (prefix, name) = name;
        self.attributes.push(RawAttribute { prefix, name, value });
        Ok(())
    }

    /// The start tag ends, and with it the element is open.
    pub(crate) fn open(&mut self, limits: &Limits, wanted: Attributes) -> Result<StartTag, FrameError> {
        let Some((prefix, name)) = self.element.take() else {
            return Err(FrameError::BadFormat("start tag without a name"));
        };
        self.open.push(self.declarations.len() as u32);
        let names_content = self.declare(limits)?;
        if prefix.as_ref().is_some_and(|prefix| *prefix == "xml" || *prefix == "xmlns") {
            return Err(FrameError::BadNamespacePrefix);
        }
        let mut reach = usize::MAX;
        let ns = match (self.lookup(prefix.as_ref()), &prefix) {
            (Some(at), _) => {
                if prefix.is_some() {
                    reach = at;
                }
                self.declarations[at].uri.clone()
            }
            (None, Some(_)) => return Err(not_well_formed("undeclared prefix")),
            (None, None) => Symbol::Borrowed(""),
        };
        let places = self.places()?;
        for place in &places {
            if let Place::Declared(at) = place {
                reach = reach.min(*at);
            }
        }
        let mut tag =
            StartTag { name, ns, prefixed: prefix.is_some(), reach, names_content, attributes: Vec::new() };
        if wanted == Attributes::Resolve {
            let raw = self.attributes.drain(..).zip(&places);
            tag.attributes = raw
                .map(|(RawAttribute { name, value, .. }, place)| {
                    let ns = match place {
                        Place::Nowhere => Symbol::Borrowed(""),
                        Place::Xml => Symbol::Borrowed(ns::XML),
                        Place::Declared(at) => self.declarations[*at].uri.clone(),
                    };
                    Attribute { ns, name, value }
                })
                .collect();
        }
        self.attributes.clear();
        Ok(tag)
    }

    /// Where each attribute belongs. No two may have the same name there.
    fn places(&self) -> Result<SmallVec<[Place; 8]>, FrameError> {
        let mut places = SmallVec::with_capacity(self.attributes.len());
        let mut prints: SmallVec<[u32; 16]> = SmallVec::with_capacity(self.attributes.len());
        for attribute in &self.attributes {
            let (place, uri_print) = match &attribute.prefix {
                None => (Place::Nowhere, 0),
                Some(xml) if *xml == "xml" => (Place::Xml, 1),
                Some(prefix) => match self.lookup(Some(prefix)) {
                    Some(at) => (Place::Declared(at), self.declarations[at].uri_print),
                    None => return Err(not_well_formed("undeclared prefix")),
                },
            };
            let print = fingerprint(&attribute.name) ^ uri_print;
            for (other, _) in prints.iter().enumerate().filter(|(_, earlier)| **earlier == print) {
                if self.attributes[other].name == attribute.name && self.same(places[other], place) {
                    return Err(not_well_formed("duplicate attribute"));
                }
            }
            places.push(place);
            prints.push(print);
        }
        Ok(places)
    }

    fn same(&self, left: Place, right: Place) -> bool {
        match (left, right) {
            (Place::Declared(left), Place::Declared(right)) => {
                self.declarations[left].uri == self.declarations[right].uri
            }
            _ => left == right,
        }
    }

    /// The innermost element ends.
    pub(crate) fn close(&mut self) {
        if let Some(declarations) = self.open.pop() {
            self.declarations.truncate(declarations as usize);
        }
    }

    /// Moves the declarations among the attributes into force. Returns whether one names a content namespace.
    fn declare(&mut self, limits: &Limits) -> Result<bool, FrameError> {
        let mut names_content = false;
        let mut xml = false;
        let around = self.declarations.len();
        let mut attributes = std::mem::take(&mut self.attributes);
        for RawAttribute { prefix, name, value } in
            attributes.extract_if(.., |attribute| is_declaration(attribute))
        {
            let prefix = prefix.map(|_xmlns| name);
            let duplicate = match prefix.as_ref().map(|prefix| prefix.as_str()) {
                // rxml has checked that it is bound to what it always stands for.
                Some("xml") => std::mem::replace(&mut xml, true),
                _ => self.lookup(prefix.as_ref()).is_some_and(|at| at >= around),
            };
            if duplicate {
                return Err(not_well_formed("duplicate attribute"));
            }
            if value == XMLNS || prefix.as_ref().is_some_and(|prefix| *prefix == "xmlns") {
                return Err(not_well_formed("the prefix xmlns cannot be declared"));
            }
            if value.len() > MAX_NAMESPACE_BYTES {
                return Err(FrameError::Limit("bytes of a namespace"));
            }
            if prefix.as_ref().is_none_or(|prefix| *prefix != "xml") {
                names_content |= ns::is_content(&value);
                self.declarations.push(Declaration::new(prefix, ns::symbol(&value)));
            }
        }
        self.attributes = attributes;
        if self.declarations.len() > limits.declarations {
            return Err(FrameError::Limit("namespace declarations"));
        }
        Ok(names_content)
    }

    /// The innermost declaration of a prefix, or of the default namespace.
    fn lookup(&self, prefix: Option<&NcName>) -> Option<usize> {
        let print = fingerprint(prefix.map_or("", |prefix| prefix.as_str()));
        self.declarations.iter().rposition(|d| d.prefix_print == print && d.prefix.as_ref() == prefix)
    }
}

fn is_declaration(attribute: &RawAttribute) -> bool {
    match &attribute.prefix {
        Some(prefix) => *prefix == "xmlns",
        None => attribute.name == *"xmlns",
    }
}

/// FNV-1a. Peers can make collisions, which costs them a comparison of the names themselves, no more.
fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn not_well_formed(why: &str) -> FrameError {
    FrameError::NotWellFormed(why.to_owned())
}
