//! Streams of stanzas in every spelling that XML allows.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A stream header, elements at stream level, and nothing more.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) header: String,
    pub(crate) elements: Vec<String>,
}

impl Conversation {
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.header, self.elements.concat())
    }
}

/// Prefixes `p` and `q` are always declared somewhere, so nearly everything is well-formed.
pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    (uri(), uri(), vec(prop_oneof![6 => stanza(), 1 => nonza(), 1 => blank()], 1..4)).prop_map(
        |(p, q, elements)| {
            let header = format!(
                "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
             xmlns:p='{p}' xmlns:q='{q}'>"
            );
            Conversation { header, elements }
        },
    )
}

fn uri() -> impl Strategy<Value = &'static str> {
    select(vec!["u", "v", "w", "jabber:client", "jabber:server", "urn:xmpp:sid:0"])
}

fn blank() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,4}"
}

fn nonza() -> impl Strategy<Value = String> {
    vec(content(), 0..3)
        .prop_map(|nodes| format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</auth>", nodes.concat()))
}

fn stanza() -> impl Strategy<Value = String> {
    (
        select(vec!["message", "presence", "iq"]),
        option::of(select(vec![
            "a@b",
            "A@B/Res",
            "b",
            "\u{fc}@\u{fc}.example/x y",
            "no@@jid",
            "a&amp;b@c",
            "&#x61;@b",
        ])),
        option::of(select(vec!["1", "&lt;&apos;", "x y", ""])),
        vec(declaration(), 0..3),
        vec(content(), 0..5),
        blank(),
    )
        .prop_map(|(name, to, id, declarations, nodes, blank)| {
            let to = to.map(|to| format!(" to='{to}'")).unwrap_or_default();
            let id = id.map(|id| format!(" id=\"{id}\"")).unwrap_or_default();
            let (start, end) = (format!("{name}{to}{id}{}", unique(declarations)), name);
            wrap(&start, end, &blank, &nodes.concat())
        })
}

/// What stands inside an element.
fn content() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![text(), element(Just(Vec::new()))];
    leaf.prop_recursive(4, 24, 4, |inner| prop_oneof![1 => text(), 4 => element(vec(inner, 0..4))])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z >\"'\r\n\u{e9}\u{1F600}]{1,8}",
        select(vec!["&amp;", "&lt;", "&#65;", "&#x1F600;", "&#13;", "&#10;", "]]", "]", "\r\n\r"])
            .prop_map(String::from),
        select(vec!["<![CDATA[]]>", "<![CDATA[<a>&amp;]]>", "<![CDATA[]]]]>", "<![CDATA[\r]]>"])
            .prop_map(String::from),
    ]
}

fn element(inner: impl Strategy<Value = Vec<String>>) -> impl Strategy<Value = String> {
    let name =
        (prefix(), select(vec!["body", "a", "message", "x-\u{e9}"])).prop_map(|(p, n)| format!("{p}{n}"));
    (name, vec(prop_oneof![attribute(), declaration()], 0..4), blank(), inner).prop_map(
        |(name, attributes, blank, inner)| {
            wrap(&format!("{name}{}", unique(attributes)), &name, &blank, &inner.concat())
        },
    )
}

fn wrap(start: &str, end: &str, blank: &str, content: &str) -> String {
    if content.is_empty() && blank.len().is_multiple_of(2) {
        format!("<{start}{blank}/>")
    } else {
        format!("<{start}{blank}>{content}</{end}{blank}>")
    }
}

fn prefix() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just("p:"), 1 => Just("q:")]
}

fn attribute() -> impl Strategy<Value = (String, String)> {
    let name = (prop_oneof![3 => prefix(), 1 => Just("xml:")], select(vec!["b", "lang", "id"]));
    (name, select(vec!["", "1", "&quot;", "a\tb\r\nc", "&#10;", ">"]))
        .prop_map(|((prefix, name), value)| (format!("{prefix}{name}"), value.to_owned()))
}

fn declaration() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        uri().prop_map(|uri| ("xmlns:p".to_owned(), uri.to_owned())),
        uri().prop_map(|uri| ("xmlns:q".to_owned(), uri.to_owned())),
        Just(("xmlns:unused".to_owned(), "u".to_owned())),
    ]
}

fn unique(attributes: Vec<(String, String)>) -> String {
    let mut out = String::new();
    for (at, (name, value)) in attributes.iter().enumerate() {
        if attributes[..at].iter().all(|(earlier, _)| earlier != name) {
            let quote = if at % 2 == 0 { '\'' } else { '"' };
            out.push_str(&format!(
                "{}{name}{}={quote}{value}{quote}",
                " ".repeat(1 + at % 2),
                " ".repeat(at % 2)
            ));
        }
    }
    out
}
