//! Finds the ends of stanzas by looking at brackets only.
//!
//! The generator shares its cores with the server under test, so it must not spend its time on XML. What it reads was
//! written by a server, hence well-formed: counting start and end tags is enough.

use std::ops::Range;

use memchr::{memchr, memchr3};

/// Follows one direction of one XML stream. Holds no bytes: the caller keeps the buffer and calls
/// [`Scanner::shift`] when it drops bytes from the front.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Where the next look begins.
    position: usize,
    /// Where the item that is open now began.
    start: usize,
    depth: usize,
}

impl Scanner {
    /// The next whole item at stream level: a stanza, a nonza, a stream header or a stream footer.
    pub(crate) fn next(&mut self, buffer: &[u8]) -> Option<Range<usize>> {
        loop {
            let rest = buffer.get(self.position..)?;
            let open = self.position + memchr(b'<', rest)?;
            let kind = *buffer.get(open + 1)?;
            if self.depth == 0 {
                self.start = open;
            }
            if kind == b'/' {
                let end = open + memchr(b'>', &buffer[open..])? + 1;
                self.position = end;
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return Some(self.start..end);
                }
                continue;
            }
            // Brackets in attribute values need not be escaped, so quotes are followed.
            let end = tag_end(buffer, open)?;
            self.position = end;
            if kind == b'?' {
                continue;
            }
            let closed = buffer[end - 2] == b'/';
            if self.depth == 0 && (closed || buffer[open..].starts_with(b"<stream:stream")) {
                return Some(open..end);
            }
            if !closed {
                self.depth += 1;
            }
        }
    }

    /// The bytes before `count` are gone from the buffer.
    pub(crate) fn shift(&mut self, count: usize) {
        self.position -= count;
        self.start = self.start.saturating_sub(count);
    }

    /// How many bytes from the front no later call will look at again.
    pub(crate) fn done(&self) -> usize {
        if self.depth == 0 { self.position } else { self.start }
    }
}

/// One past the `>` that ends the tag which opens at `open`.
fn tag_end(buffer: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr3(b'>', b'"', b'\'', &buffer[at..])?;
        match buffer[at] {
            b'>' => return Some(at + 1),
            quote => at += 2 + memchr(quote, &buffer[at + 1..])?,
        }
    }
}

/// The value of an attribute of the item's start tag, still escaped.
pub(crate) fn attribute<'a>(item: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let tag = &item[..tag_end(item, 0)?];
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(&tag[from..], name.as_bytes()) {
        let at = from + found;
        let after = at + name.len();
        from = after;
        let quote = tag.get(after + 1).copied();
        if tag[at - 1].is_ascii_whitespace()
            && tag.get(after) == Some(&b'=')
            && let Some(quote @ (b'\'' | b'"')) = quote
        {
            let value = &tag[after + 2..];
            return memchr(quote, value).map(|end| &value[..end]);
        }
    }
    None
}

/// What stands between the first `<name…>` and `</name>` in the item.
pub(crate) fn text<'a>(item: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let open = format!("<{name}");
    let at = memchr::memmem::find(item, open.as_bytes())?;
    let begin = tag_end(item, at)?;
    let end = memchr(b'<', &item[begin..])?;
    Some(&item[begin..begin + end])
}

/// Whether the item holds these bytes anywhere.
pub(crate) fn holds(item: &[u8], needle: &str) -> bool {
    memchr::memmem::find(item, needle.as_bytes()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "<?xml version='1.0'?><stream:stream to='a>b' id=\"it's\"><stream:features><a/><b x='/>'>t</b>\
        </stream:features> <message id='1' type=\"chat\"><body>hi</body></message>\n<iq id='>2'/></stream:stream>";

    fn items(chunk: usize) -> Vec<String> {
        let (mut scanner, mut buffer, mut found) = (Scanner::default(), Vec::new(), Vec::new());
        for part in STREAM.as_bytes().chunks(chunk) {
            buffer.extend_from_slice(part);
            while let Some(range) = scanner.next(&buffer) {
                found.push(String::from_utf8(buffer[range].to_vec()).unwrap());
            }
            let done = scanner.done();
            buffer.drain(..done);
            scanner.shift(done);
        }
        found
    }

    #[test]
    fn any_chunking_finds_the_same_items() {
        let whole = items(STREAM.len());
        assert_eq!(whole.len(), 5);
        assert!(whole[1].starts_with("<stream:features>") && whole[1].ends_with("</stream:features>"));
        assert_eq!(whole[3], "<iq id='>2'/>");
        for chunk in 1..40 {
            assert_eq!(items(chunk), whole, "in chunks of {chunk}");
        }
    }

    #[test]
    fn attributes_are_read_from_the_start_tag_only() {
        let item = b"<iq xml:id='no' id=\"a b\"><query id='other' node='n'/></iq>";
        assert_eq!(attribute(item, "id"), Some(&b"a b"[..]));
        assert_eq!(attribute(item, "node"), None);
    }
}
