//! Elements as trees: built from what was read, and written back.

use minidom::{Element, Node};
use rxml::Namespace;

use crate::escape::{escape_text, write_attribute};
use crate::frame_error::FrameError;
use crate::ns::{self, Symbol};
use crate::reader::{Reader, Sink};
use crate::scope::{Scope, StartTag};

/// Tokens are rarely longer.
const MODEST: usize = 4_096;

/// Reads one complete element that has been validated before.
pub(crate) fn read(bytes: &[u8], scope: &Scope) -> Result<Element, FrameError> {
    let whole = bytes.len() + 8;
    match read_with(bytes, scope.clone(), whole.min(MODEST)) {
        Err(FrameError::Limit(_)) if whole > MODEST => read_with(bytes, scope.clone(), whole),
        result => result,
    }
}

fn read_with(bytes: &[u8], scope: Scope, longest: usize) -> Result<Element, FrameError> {
    let mut tree = TreeBuilder::default();
    Reader { scope, longest, unify: None }.read(bytes, &mut tree)?;
    tree.root.ok_or(FrameError::BadFormat("no element"))
}

/// An element in the making.
#[derive(Default)]
struct TreeBuilder {
    open: Vec<Element>,
    root: Option<Element>,
}

impl Sink for TreeBuilder {
    fn open(&mut self, tag: StartTag) {
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

    fn text(&mut self, text: String) {
        if let Some(element) = self.open.last_mut() {
            element.append_text(text);
        }
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => {
                parent.append_child(element);
            }
            None => self.root = Some(element),
        }
    }
}

/// Appends `element` where `surrounding` is the default namespace.
///
/// Every element is written under the default namespace and prefixes are made only for attributes that need one, so
/// the output means the same wherever it is put. The names of elements must be names; those that were read are.
pub fn write_element(element: &Element, surrounding: &str, out: &mut Vec<u8>) {
    let name = element.name().as_bytes();
    out.push(b'<');
    out.extend_from_slice(name);
    let ns = element.ns();
    if ns != surrounding {
        write_attribute("xmlns", &ns, out);
    }
    write_attributes(element, out);
    if element.nodes().next().is_none() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for node in element.nodes() {
        write_node(node, &ns, out);
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(name);
    out.push(b'>');
}

/// Appends an element or a text.
pub(crate) fn write_node(node: &Node, surrounding: &str, out: &mut Vec<u8>) {
    match node {
        Node::Element(element) => write_element(element, surrounding, out),
        Node::Text(text) => escape_text(text, out),
    }
}

/// The attributes come in the order of their namespaces, so each namespace is declared once.
fn write_attributes(element: &Element, out: &mut Vec<u8>) {
    let mut declared = 0;
    let mut last = None;
    for ((ns, name), value) in element.attrs() {
        if ns.is_none() {
            write_attribute(name, value, out);
        } else if *ns == ns::XML {
            write_attribute(&format!("xml:{name}"), value, out);
        } else {
            if last != Some(ns) {
                declared += 1;
                write_attribute(&format!("xmlns:a{declared}"), ns, out);
                last = Some(ns);
            }
            write_attribute(&format!("a{declared}:{name}"), value, out);
        }
    }
}
