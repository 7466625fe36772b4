//! Text made safe for XML. What XML cannot carry at all becomes U+FFFD, so that nothing the server says can break a
//! stream, whatever text it was given.

/// Appends `text` as the value of a quoted attribute.
///
/// Tab, line feed and carriage return become character references, since readers turn them into spaces otherwise
/// (XML 1.0 §3.3.3).
pub fn escape_attribute(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\'' => Some(b"&apos;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#9;"),
        b'\n' => Some(b"&#10;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Appends `text` as character data.
///
/// A carriage return becomes a reference, since readers turn it into a line feed otherwise (XML 1.0 §2.11); `>` is
/// always escaped, so that `]]>` cannot arise.
pub fn escape_text(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#13;"),
        _ => None,
    });
}

/// Appends ` name='value'`.
pub(crate) fn write_attribute(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(value, out);
    out.push(b'\'');
}

const REPLACEMENT: &[u8] = "\u{FFFD}".as_bytes();

fn escape(text: &str, out: &mut Vec<u8>, reference: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        // U+FFFE and U+FFFF are the only characters beyond ASCII that XML 1.0 excludes: EF BF BE and EF BF BF.
        let (instead, width) = match byte {
            0..0x20 if !matches!(byte, b'\t' | b'\n' | b'\r') => (REPLACEMENT, 1),
            0xEF if matches!(bytes[at..], [_, 0xBF, 0xBE | 0xBF, ..]) => (REPLACEMENT, 3),
            _ => match reference(byte) {
                Some(reference) => (reference, 1),
                None => continue,
            },
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(instead);
        copied = at + width;
    }
    out.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(text: &str) -> String {
        let mut out = Vec::new();
        escape_attribute(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn text(text: &str) -> String {
        let mut out = Vec::new();
        escape_text(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn attribute_values_survive_quotes_and_line_breaks() {
        assert_eq!(attribute("a'b\"c<d>&\t\n\r"), "a&apos;b&quot;c&lt;d&gt;&amp;&#9;&#10;&#13;");
    }

    #[test]
    fn text_keeps_line_feeds_and_hides_markup() {
        assert_eq!(text("a\n]]>b\r<&"), "a\n]]&gt;b&#13;&lt;&amp;");
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_replaced() {
        assert_eq!(
            text("a\0b\u{1f}c\u{FFFE}\u{FFFF}\u{FFFD}ü\u{EFFF}"),
            "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}\u{FFFD}ü\u{EFFF}"
        );
    }
}
