//! Text out of validated XML, without building a tree.

/// The text directly in the element that `bytes` hold: references and CDATA resolved, line ends normalised (XML 1.0
/// §2.11), what is inside child elements left out.
///
/// Only for bytes that the framer has validated; anything else gives some text, never a panic.
pub(crate) fn of_element(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len());
    let mut depth = 0usize;
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        match byte {
            b'<' if rest.starts_with(CDATA) => {
                let content = &rest[CDATA.len()..];
                let end = find(content, b"]]>").unwrap_or(content.len());
                if depth == 1 {
                    push_lines(&content[..end], &mut out);
                }
                rest = content.get(end + 3..).unwrap_or_default();
            }
            b'<' => {
                let end = tag_end(rest);
                let tag = &rest[..end];
                if tag.starts_with(b"</") {
                    depth = depth.saturating_sub(1);
                } else if !tag.ends_with(b"/>") {
                    depth += 1;
                }
                rest = &rest[end..];
            }
            _ => {
                let end = rest.iter().position(|byte| *byte == b'<').unwrap_or(rest.len());
                if depth == 1 {
                    push_text(&rest[..end], &mut out);
                }
                rest = &rest[end..];
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

const CDATA: &[u8] = b"<![CDATA[";

/// The length of the tag at the start of `bytes`; a `>` inside quotes does not end it.
fn tag_end(bytes: &[u8]) -> usize {
    let mut quote = None;
    for (at, &byte) in bytes.iter().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            None if byte == b'>' => return at + 1,
            None => {}
        }
    }
    bytes.len()
}

fn push_text(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = text.iter().position(|byte| *byte == b'&') {
        push_lines(&text[..at], out);
        let reference = &text[at + 1..];
        let end = reference.iter().position(|byte| *byte == b';').unwrap_or(reference.len());
        if let Some(character) = resolve(&reference[..end]) {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        text = reference.get(end + 1..).unwrap_or_default();
    }
    push_lines(text, out);
}

fn resolve(reference: &[u8]) -> Option<char> {
    match reference {
        b"amp" => Some('&'),
        b"lt" => Some('<'),
        b"gt" => Some('>'),
        b"apos" => Some('\''),
        b"quot" => Some('"'),
        _ => {
            let reference = std::str::from_utf8(reference).ok()?.strip_prefix('#')?;
            let code = match reference.strip_prefix('x') {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => reference.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// Copies, with CR LF and CR as LF.
fn push_lines(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = bytes.iter().position(|byte| *byte == b'\r') {
        out.extend_from_slice(&bytes[..at]);
        out.push(b'\n');
        bytes = &bytes[at + 1..];
        bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
    }
    out.extend_from_slice(bytes);
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::of_element;

    #[test]
    fn references_sections_and_line_ends_are_resolved() {
        let body = "<body a='>'>1 &lt; 2 &amp;amp; &#x1F600;&#10;\r\n<![CDATA[<b>&amp;\r]]>!</body>";
        assert_eq!(of_element(body.as_bytes()), "1 < 2 &amp; \u{1F600}\n\n<b>&amp;\n!");
    }

    #[test]
    fn text_inside_child_elements_is_left_out() {
        assert_eq!(of_element(b"<body>a<b>c<d/></b>e<f x='/>'/>g</body>"), "aeg");
    }

    #[test]
    fn an_empty_element_has_no_text() {
        assert_eq!(of_element(b"<body/>"), "");
    }
}
