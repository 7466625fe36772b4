//! Elements as trees: built from what was read, and written back.

use minidom::{Element, Node};
use rxml::{Namespace, Parse, RawEvent, RawParser, WithOptions};

use crate::escape::{escape_attribute, escape_text};
use crate::frame_error::FrameError;
use crate::limits::Limits;
use crate::ns::{self, Symbol};
use crate::scope::{Scope, StartTag};

/// An element in the making.
#[derive(Debug, Default)]
pub(crate) struct TreeBuilder {
    open: Vec<Element>,
}

impl TreeBuilder {
    pub(crate) fn open(&mut self, tag: StartTag) {
        let mut element = Element::bare(String::from(tag.name), tag.ns);
        for attribute in tag.attributes {
            let ns = match attribute.ns {
                Symbol::Borrowed(known) => Namespace::from_str(known),
                Symbol::Owned(ns) => Namespace::from(ns),
            };
            element.attrs_mut().insert(ns, attribute.name, attribute.value);
        }
        self.open.push(element);
    }

    pub(crate) fn text(&mut self, text: String) {
        if let Some(element) = self.open.last_mut() {
            element.append_text(text);
        }
    }

    /// Open elements.
    fn depth(&self) -> usize {
        self.open.len()
    }

    /// Closes the innermost element; returns the tree when it was the outermost.
    pub(crate) fn close(&mut self) -> Option<Element> {
        let element = self.open.pop()?;
        match self.open.last_mut() {
            Some(parent) => {
                parent.append_child(element);
                None
            }
            None => Some(element),
        }
    }
}

/// What becomes of elements in the content namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A stanza from a stream with this content namespace is brought into `jabber:client`: with it, what inherits its
    /// namespace, and what stands in any content namespace directly in the stanza or in such an element. What a
    /// foreign element declares for itself stays: a forwarded stanza keeps the namespace it was forwarded in.
    Unify(&'static str),
    /// All stay as they are.
    Keep,
}

/// Reads one complete element that has been validated before.
pub(crate) fn read(bytes: &[u8], scope: &Scope, content: Content) -> Result<Element, FrameError> {
    // rxml reserves the longest token that it allows whenever it meets a reference, so be modest at first.
    let whole = bytes.len() + 8;
    match read_with(bytes, scope.clone(), content, whole.min(4_096)) {
        Err(FrameError::Limit(_)) if whole > 4_096 => read_with(bytes, scope.clone(), content, whole),
        result => result,
    }
}

fn read_with(
    bytes: &[u8],
    mut scope: Scope,
    content: Content,
    longest: usize,
) -> Result<Element, FrameError> {
    let mut parser =
        RawParser::with_options(rxml::Options { max_token_length: longest, ..rxml::Options::default() });
    let mut tree = TreeBuilder::default();
    let mut rest = bytes;
    // How many elements are open, from the outermost on, that are all in the content namespace.
    let mut unified = 0;
    loop {
        match parser.parse(&mut rest, false) {
            Ok(Some(RawEvent::ElementHeadOpen(_, name))) => scope.begin(name),
            Ok(Some(RawEvent::Attribute(_, name, value))) => {
                scope.attribute(name, value, &Limits::TRUSTED)?
            }
            Ok(Some(RawEvent::ElementHeadClose(_))) => {
                let mut tag = scope.open(&Limits::TRUSTED)?;
                if let Content::Unify(ns) = content
                    && tree.depth() == unified
                    && ns::is_content(&tag.ns)
                {
                    if unified == 0 {
                        scope.unify(ns);
                    }
                    tag.ns = Symbol::Borrowed(ns::CLIENT);
                    unified += 1;
                }
                tree.open(tag);
            }
            Ok(Some(RawEvent::Text(_, text))) => tree.text(text),
            Ok(Some(RawEvent::ElementFoot(_))) => {
                scope.close();
                unified = unified.min(tree.depth() - 1);
                if let Some(root) = tree.close() {
                    return Ok(root);
                }
            }
            Ok(Some(RawEvent::XmlDeclaration(..))) => {}
            Ok(None) | Err(rxml::error::EndOrError::NeedMoreData) => {
                return Err(FrameError::NotWellFormed("the element does not end".to_owned()));
            }
            Err(rxml::error::EndOrError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Appends `element` where `surrounding` is the default namespace.
///
/// Every element is written under the default namespace and prefixes are made only for attributes that need one, so
/// the output means the same wherever it is put. The names of elements must be names; those that were read are.
pub fn write_element(element: &Element, surrounding: &str, out: &mut Vec<u8>) {
    write_bounded(element, surrounding, out, usize::MAX);
}

/// Appends an element or a text.
pub(crate) fn write_node(node: &Node, surrounding: &str, out: &mut Vec<u8>, most: usize) {
    match node {
        Node::Element(element) => write_bounded(element, surrounding, out, most),
        Node::Text(text) => escape_text(text, out),
    }
}

/// Gives up half-way once `out` holds more than `most` bytes: what it then holds is of no use.
pub(crate) fn write_bounded(element: &Element, surrounding: &str, out: &mut Vec<u8>, most: usize) {
    if out.len() > most {
        return;
    }
    let name = element.name().as_bytes();
    out.push(b'<');
    out.extend_from_slice(name);
    let ns = element.ns();
    if ns != surrounding {
        write_attribute(b"xmlns", &ns, out);
    }
    write_attributes(element, out);
    if element.nodes().next().is_none() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for node in element.nodes() {
        write_node(node, &ns, out, most);
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(name);
    out.push(b'>');
}

/// The attributes come in the order of their namespaces, so each namespace is declared once.
fn write_attributes(element: &Element, out: &mut Vec<u8>) {
    let mut declared = 0;
    let mut last = None;
    for ((ns, name), value) in element.attrs() {
        if ns.is_none() {
            write_attribute(name.as_bytes(), value, out);
        } else if *ns == ns::XML {
            write_attribute(format!("xml:{name}").as_bytes(), value, out);
        } else {
            if last != Some(ns) {
                declared += 1;
                write_attribute(format!("xmlns:a{declared}").as_bytes(), ns, out);
                last = Some(ns);
            }
            write_attribute(format!("a{declared}:{name}").as_bytes(), value, out);
        }
    }
}

fn write_attribute(name: &[u8], value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name);
    out.extend_from_slice(b"='");
    escape_attribute(value, out);
    out.push(b'\'');
}
