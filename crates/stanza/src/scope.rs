//! Namespaces: what rxml's raw reader leaves to its caller.
//!
//! Duplicate attributes, undeclared prefixes and attributes that become duplicates once their prefixes are resolved
//! are found here (Namespaces in XML 1.0 §6.3), and so is whether a payload depends on declarations around it.

use rxml::{NcName, RawQName};

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
    /// Without the namespace declarations.
    pub(crate) attributes: Vec<Attribute>,
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
        Scope { declarations: vec![Declaration { prefix: None, uri: ns }], ..Scope::default() }
    }

    /// A scope for reading an element by itself that stands where this scope stands.
    pub(crate) fn surroundings(&self) -> Scope {
        Scope { declarations: self.declarations.clone(), ..Scope::default() }
    }

    /// Brings every declaration of `content` that is in force into `jabber:client`.
    pub(crate) fn unify(&mut self, content: &str) {
        for declaration in self.declarations.iter_mut().filter(|d| d.uri == content) {
            declaration.uri = Symbol::Borrowed(ns::CLIENT);
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
        self.lookup(None).map_or("", |(_, uri)| uri)
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
        if self.attributes.iter().any(|a| a.name == name && a.prefix == prefix) {
            return Err(not_well_formed("duplicate attribute"));
        }
        self.attributes.push(RawAttribute { prefix, name, value });
        Ok(())
    }

    /// The start tag ends, and with it the element is open.
    pub(crate) fn open(&mut self, limits: &Limits) -> Result<StartTag, FrameError> {
        let Some((prefix, name)) = self.element.take() else {
            return Err(FrameError::BadFormat("start tag without a name"));
        };
        self.open.push(self.declarations.len() as u32);
        let names_content = self.declare(limits)?;
        if prefix.as_ref().is_some_and(|prefix| *prefix == "xml" || *prefix == "xmlns") {
            return Err(FrameError::BadNamespacePrefix);
        }
        let mut reach = usize::MAX;
        let uri = match (self.lookup(prefix.as_ref()), &prefix) {
            (Some((at, uri)), Some(_)) => {
                reach = at;
                uri.clone()
            }
            (Some((_, uri)), None) => uri.clone(),
            (None, Some(_)) => return Err(not_well_formed("undeclared prefix")),
            (None, None) => Symbol::Borrowed(""),
        };
        let mut attributes = Vec::with_capacity(self.attributes.len());
        let mut raw = std::mem::take(&mut self.attributes);
        for RawAttribute { prefix, name, value } in raw.drain(..) {
            let ns = match &prefix {
                None => Symbol::Borrowed(""),
                Some(xml) if *xml == "xml" => Symbol::Borrowed(ns::XML),
                Some(prefix) => match self.lookup(Some(prefix)) {
                    Some((at, uri)) => {
                        reach = reach.min(at);
                        uri.clone()
                    }
                    None => return Err(not_well_formed("undeclared prefix")),
                },
            };
            // Without prefixes, `attribute` has found the duplicates already.
            if prefix.is_some() && attributes.iter().any(|a: &Attribute| a.name == name && a.ns == ns) {
                return Err(not_well_formed("duplicate attribute"));
            }
            attributes.push(Attribute { ns, name, value });
        }
        self.attributes = raw;
        Ok(StartTag { name, ns: uri, prefixed: prefix.is_some(), reach, names_content, attributes })
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
        let declarations = &mut self.declarations;
        let mut refused = None;
        self.attributes.retain_mut(|attribute| {
            let prefix = match &attribute.prefix {
                None if attribute.name == *"xmlns" => None,
                Some(prefix) if *prefix == "xmlns" => Some(attribute.name.clone()),
                _ => return true,
            };
            if attribute.value == XMLNS || prefix.as_ref().is_some_and(|prefix| *prefix == "xmlns") {
                refused = Some(not_well_formed("the prefix xmlns cannot be declared"));
            }
            if prefix.as_ref().is_some_and(|prefix| *prefix == "xml") {
                // rxml has checked that it is bound to what it always stands for.
                return false;
            }
            if attribute.value.len() > MAX_NAMESPACE_BYTES {
                refused = Some(FrameError::Limit("bytes of a namespace"));
            }
            names_content |= ns::is_content(&attribute.value);
            declarations.push(Declaration { prefix, uri: ns::symbol(&attribute.value) });
            false
        });
        if declarations.len() > limits.declarations {
            refused = Some(FrameError::Limit("namespace declarations"));
        }
        refused.map_or(Ok(names_content), Err)
    }

    fn lookup(&self, prefix: Option<&NcName>) -> Option<(usize, &Symbol)> {
        let at = self.declarations.iter().rposition(|d| d.prefix.as_ref() == prefix)?;
        Some((at, &self.declarations[at].uri))
    }
}

fn not_well_formed(why: &str) -> FrameError {
    FrameError::NotWellFormed(why.to_owned())
}
