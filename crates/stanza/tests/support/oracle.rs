//! Another XML reader's opinion of what a stanza means. The fuzz targets ask it too.

use stanza::{Element, Jid, Kind, Stanza, ns};

/// Panics unless `stanzas`, which were read from `stream` (a client's, not yet ended), mean what the other reader
/// makes of it: as they are, and sent on into streams where every prefix means something else.
pub(crate) fn judge(stream: &str, stanzas: &[Stanza]) {
    let expected = expected(stream);
    assert_eq!(stanzas.len(), expected.len());
    for (stanza, expected) in stanzas.iter().zip(&expected) {
        assert_eq!(&stanza.element(), expected);
        assert_eq!(&sent_on(stanza, ns::CLIENT), expected);
        assert_eq!(all_unified(&sent_on(stanza, ns::SERVER)), all_unified(expected));

        let children: Vec<_> = expected.children().collect();
        assert_eq!(stanza.children().len(), children.len());
        for (child, expected) in stanza.children().iter().zip(children) {
            assert!(expected.is(child.name(), child.ns()));
            assert_eq!(&stanza.payload_element(child), expected);
        }
        let body = expected.get_child("body", ns::CLIENT).map(Element::text);
        // The other reader leaves a carriage return alone that follows a `]` inside CDATA (XML 1.0 §2.11 does not).
        assert_eq!(
            stanza.text("body").map(|text| text.replace('\r', "\n")),
            body.map(|body| body.replace('\r', "\n"))
        );
    }
}

/// The stanzas in a stream, brought into the form that they have behind the framer.
fn expected(stream: &str) -> Vec<Element> {
    let stream: Element = format!("{stream}</stream:stream>").parse().unwrap();
    stream
        .children()
        .filter(|element| Kind::from_name(element.name()).is_some() && element.has_ns(ns::CLIENT))
        .map(|element| {
            let mut out = content_unified(element);
            out.attrs_mut().retain(|ns, name, value| match name.as_str() {
                "to" | "from" if ns.is_none() => match Jid::new(value) {
                    Ok(jid) => {
                        *value = jid.to_string();
                        true
                    }
                    Err(_) => false,
                },
                "id" | "type" => ns.is_none(),
                "lang" => *ns == ns::XML,
                _ => false,
            });
            out
        })
        .collect()
}

fn content_unified(element: &Element) -> Element {
    let mut out = Element::bare(element.name(), ns::CLIENT);
    *out.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        match node.as_element() {
            Some(child) if is_content(&child.ns()) => {
                out.append_child(content_unified(child));
            }
            _ => out.append_node(node.clone()),
        }
    }
    out
}

/// The same with content unified at every depth: on a server's stream, what a foreign element inherited cannot be told
/// from what it declared.
fn all_unified(element: &Element) -> Element {
    let ns = element.ns();
    let mut out = Element::bare(element.name(), if is_content(&ns) { ns::CLIENT.to_owned() } else { ns });
    *out.attrs_mut() = element.attrs().clone();
    for node in element.nodes() {
        match node.as_element() {
            Some(child) => {
                out.append_child(all_unified(child));
            }
            None => out.append_node(node.clone()),
        }
    }
    out
}

fn is_content(ns: &str) -> bool {
    matches!(ns, ns::CLIENT | ns::SERVER | ns::COMPONENT)
}

/// Sends the stanza on, into a stream where every prefix means something else.
fn sent_on(stanza: &Stanza, content: &str) -> Element {
    let mut out = format!(
        "<s:stream xmlns:s='{}' xmlns='{content}' xmlns:p='trap' xmlns:q='trap' xmlns:stream='trap'>",
        ns::STREAM
    )
    .into_bytes();
    stanza.write(&mut out, None);
    out.extend_from_slice(b"</s:stream>");
    let stream: Element = String::from_utf8(out).unwrap().parse().unwrap();
    stream.children().next().unwrap().clone()
}
