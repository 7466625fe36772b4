//! What is asked of the service and what it answers (XEP-0363 §4 to §6). Pure.

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};

use crate::iq::adhoc;
use crate::xml::{With, el, text};

/// The extension's namespace.
pub const NS: &str = "urn:xmpp:http:upload:0";
/// What a file is for (XEP-0363 §5). All of these are kept for as long as the company says.
pub const PURPOSES: [&str; 3] = ["message", "profile", "permanent"];
const PURPOSE: &str = "urn:xmpp:http:upload:purpose:0";

/// Bytes of the longest name; more fits into no file system.
const LONGEST_NAME: usize = 255;
const LONGEST_TYPE: usize = 255;

/// A wish for a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What the file is called.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Its media type.
    pub type_: Option<String>,
    /// One of [`PURPOSES`], or what else the client said.
    pub purpose: Option<String>,
}

impl Wish {
    /// Reads `<request/>`.
    ///
    /// # Errors
    /// `bad-request` with what to do about it; `not-acceptable` for what is larger than `most`.
    pub fn read(request: &Element, most: u64) -> Result<Self, StanzaError> {
        let name = request.attr("filename").unwrap_or_default();
        if !is_file_name(name) {
            return Err(bad("A file name has 1 to 255 bytes and no slash, backslash or control character."));
        }
        let size = request.attr("size").and_then(|size| size.trim().parse().ok()).filter(|size| *size > 0);
        let size: u64 = size.ok_or_else(|| bad("The size is a number of bytes, at least 1."))?;
        let type_ = request.attr("content-type").map(str::trim).filter(|type_| !type_.is_empty());
        if !type_.is_none_or(is_media_type) {
            return Err(bad("The content type is no media type, such as image/jpeg."));
        }
        if size > most {
            return Err(too_large(most));
        }
        let purpose = request.children().find(|child| child.has_ns(PURPOSE));
        Ok(Self {
            name: name.to_owned(),
            size,
            type_: type_.map(str::to_owned),
            purpose: purpose.map(|purpose| purpose.name().chars().take(32).collect()),
        })
    }
}

/// Whether a name is one that every system can keep and no system takes for a path.
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name != "."
        && name != ".."
        && !name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\' | '\u{2028}' | '\u{2029}'))
}

/// Whether this is a media type (RFC 9110 §8.3.1) that can be written into a header.
pub fn is_media_type(type_: &str) -> bool {
    let essence = type_.split(';').next().unwrap_or_default().trim_end();
    let token = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    type_.len() <= LONGEST_TYPE
        && type_.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
        && essence.split_once('/').is_some_and(|(one, other)| token(one) && token(other))
}

/// A file name as one segment of a URL's path (RFC 3986 §2.1).
pub fn in_url(name: &str) -> String {
    let mut url = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url
}

/// `<slot/>`.
pub fn slot(put: &str, get: &str, token: &str) -> Element {
    let header = text("header", NS, format!("Bearer {token}"));
    let mut header = header;
    header.set_attr(rxml::Namespace::NONE, rxml::xml_ncname!("name").to_owned(), "Authorization");
    el("slot", NS)
        .append(el("put", NS).with("url", put).append(header))
        .append(el("get", NS).with("url", get))
        .build()
}

/// What discovery says of the service.
pub fn features() -> Vec<String> {
    let purposes = PURPOSES.iter().map(|purpose| format!("{PURPOSE}#{purpose}"));
    std::iter::once(NS.to_owned()).chain(purposes).collect()
}

/// The largest file, for discovery.
pub fn limits(max_bytes: u64) -> Element {
    adhoc::result(NS, vec![adhoc::values("text-single", "max-file-size", [max_bytes.to_string()])])
}

/// The error for what is larger than `most` bytes.
fn too_large(most: u64) -> StanzaError {
    let application = el("file-too-large", NS).append(text("max-file-size", NS, most.to_string())).build();
    StanzaError {
        application: Some(application),
        ..StanzaError::new(
            StanzaCondition::NotAcceptable,
            format!("Files of up to {most} bytes are taken here."),
        )
    }
}

/// The error for who has no room left. `retry` is when there will be some, if time alone helps.
pub fn no_room(words: &str, retry: Option<String>) -> StanzaError {
    let application = retry.map(|stamp| el("retry", NS).with("stamp", stamp).build());
    StanzaError { application, ..StanzaError::new(StanzaCondition::ResourceConstraint, words) }
}

fn bad(words: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::BadRequest, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(attributes: &str) -> Result<Wish, StanzaError> {
        let request: Element = format!("<request xmlns='{NS}' {attributes}/>").parse().unwrap();
        Wish::read(&request, 1_000)
    }

    #[test]
    fn a_wish_is_read_with_and_without_a_type() {
        let wish = read("filename='très cool.jpg' size='23' content-type='image/jpeg'").unwrap();
        assert_eq!(
            (wish.name.as_str(), wish.size, wish.type_.as_deref()),
            ("très cool.jpg", 23, Some("image/jpeg"))
        );
        assert_eq!(read("filename='a' size='1000'").unwrap().type_, None);
        assert_eq!(read("filename='a' size='1' content-type=''").unwrap().type_, None);
        let request: Element =
            format!("<request xmlns='{NS}' filename='a' size='1'><profile xmlns='{PURPOSE}'/></request>")
                .parse()
                .unwrap();
        assert_eq!(Wish::read(&request, 1).unwrap().purpose.as_deref(), Some("profile"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let long = "x".repeat(256);
        for name in ["", ".", "..", "a/b", "..\\a", "a\u{7f}", "a&#10;b", "a\u{2028}b", &long] {
            let error = read(&format!("filename='{name}' size='1'")).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::BadRequest, "{name:?}");
        }
        for size in ["", "0", "-1", "1.5", "x", "99999999999999999999"] {
            let error = read(&format!("filename='a' size='{size}'")).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::BadRequest, "{size:?}");
        }
        for type_ in ["image", "image/", "/png", "a b/c", "text/plain; x=\u{e9}", "a/b&#13;&#10;X: y"] {
            let error = read(&format!("filename='a' size='1' content-type='{type_}'")).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::BadRequest, "{type_:?}");
        }
        let error = read("filename='a' size='1001'").unwrap_err();
        assert_eq!(error.condition, StanzaCondition::NotAcceptable);
        let told = error.application.unwrap();
        assert!(told.is("file-too-large", NS));
        assert_eq!(told.get_child("max-file-size", NS).unwrap().text(), "1000");
    }

    #[test]
    fn a_name_is_one_segment_of_a_url() {
        assert_eq!(in_url("très cool?.jpg"), "tr%C3%A8s%20cool%3F.jpg");
        assert_eq!(in_url("a+b&c#d%e"), "a%2Bb%26c%23d%25e");
    }
}
