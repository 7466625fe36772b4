//! A payload written anew, because as it was sent it would mean something else under another start tag.

use rxml::NcName;
use smallvec::SmallVec;

use crate::escape::{escape_text, write_attribute};
use crate::frame_error::FrameError;
use crate::ns::{self, Symbol};
use crate::reader::Sink;
use crate::scope::{Attribute, StartTag};
use crate::stanza::Child;

/// Writes what is inside a stanza so that it depends on nothing around it.
///
/// Behind the framer a stanza is in `jabber:client`: with it, what inherits its namespace, and what stands in any
/// content namespace directly in the stanza or in such an element. What a foreign element declares for itself stays: a
/// forwarded stanza keeps the namespace that it was forwarded in.
///
/// Every element is under the default namespace; prefixes are made only for attributes that need one. Written anew
/// once more, the output stays the same.
pub(crate) struct Rewriter {
    pub(crate) payload: Vec<u8>,
    pub(crate) children: SmallVec<[Child; 4]>,
    /// The stanza first, then the open elements of its payload.
    open: Vec<Open>,
    /// How many of them, from the stanza on, are all in the content namespace.
    unified: usize,
    /// The innermost start tag has no `>` yet, since it may turn out to be empty.
    unfinished: bool,
    /// Bytes that the payload may take.
    most: usize,
}

struct Open {
    name: NcName,
    ns: Symbol,
}

impl Rewriter {
    pub(crate) fn new(most: usize) -> Rewriter {
        Rewriter {
            payload: Vec::new(),
            children: SmallVec::new(),
            open: Vec::new(),
            unified: 0,
            unfinished: false,
            most,
        }
    }

    fn finish_tag(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            self.payload.push(b'>');
        }
    }
}

impl Sink for Rewriter {
    fn open(&mut self, tag: StartTag) {
        self.finish_tag();
        let mut ns = tag.ns;
        if self.open.len() == self.unified && ns::is_content(&ns) {
            self.unified += 1;
            ns = Symbol::Borrowed(ns::CLIENT);
        }
        if let Some(parent) = self.open.last() {
            let out = &mut self.payload;
            if self.open.len() == 1 {
                let start = out.len() as u32;
                self.children.push(Child { name: ns::symbol(&tag.name), ns: ns.clone(), start, end: start });
            }
            out.push(b'<');
            out.extend_from_slice(tag.name.as_bytes());
            if ns != parent.ns {
                write_attribute("xmlns", &ns, out);
            }
            write_attributes(&tag.attributes, out);
            self.unfinished = true;
        }
        self.open.push(Open { name: tag.name, ns });
    }

    fn text(&mut self, text: String) {
        self.finish_tag();
        escape_text(&text, &mut self.payload);
    }

    fn close(&mut self) {
        let Some(Open { name, .. }) = self.open.pop() else { return };
        self.unified = self.unified.min(self.open.len());
        if self.open.is_empty() {
            return;
        }
        if std::mem::take(&mut self.unfinished) {
            self.payload.extend_from_slice(b"/>");
        } else {
            self.payload.extend_from_slice(b"</");
            self.payload.extend_from_slice(name.as_bytes());
            self.payload.push(b'>');
        }
        if self.open.len() == 1
            && let Some(child) = self.children.last_mut()
        {
            child.end = self.payload.len() as u32;
        }
    }

    fn check(&self) -> Result<(), FrameError> {
        if self.payload.len() > self.most { Err(FrameError::Limit("bytes of a stanza")) } else { Ok(()) }
    }
}

fn write_attributes(attributes: &[Attribute], out: &mut Vec<u8>) {
    let mut declared: SmallVec<[&str; 4]> = SmallVec::new();
    for Attribute { ns, name, value } in attributes {
        match &**ns {
            "" => write_attribute(name, value, out),
            ns::XML => write_attribute(&format!("xml:{name}"), value, out),
            ns => {
                let number = declared.iter().position(|earlier| *earlier == ns).unwrap_or_else(|| {
                    write_attribute(&format!("xmlns:a{}", declared.len()), ns, out);
                    declared.push(ns);
                    declared.len() - 1
                });
                write_attribute(&format!("a{number}:{name}"), value, out);
            }
        }
    }
}
