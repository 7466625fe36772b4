//! The hashes by which presence names capabilities: the verification string of XEP-0115 §5 and the hash input of
//! XEP-0390 §4. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minidom::Element;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};
use stanza::Stanza;
use xmpp_parsers::ns;

/// A hash that a client names in its presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Tells it from all others.
    key: String,
    /// What to ask the client for.
    node: String,
    form: Form,
    algorithm: String,
    hash: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// XEP-0115.
    First,
    /// XEP-0390.
    Second,
}

/// Longer names than this are none.
const MOST: usize = 512;

impl Claim {
    /// What a presence stanza says, the newer form first.
    pub fn of(presence: &Stanza) -> Option<Self> {
        let second = presence.payload("c", ns::ECAPS2).and_then(|c| Self::second(&c));
        let claim = second.or_else(|| presence.payload("c", ns::CAPS).and_then(|c| Self::first(&c)))?;
        (claim.key.len() <= MOST && claim.node.len() <= 2 * MOST).then_some(claim)
    }

    fn first(c: &Element) -> Option<Self> {
        let (algorithm, node, hash) = (c.attr("hash")?, c.attr("node")?, c.attr("ver")?);
        Some(Self {
            key: format!("115 {algorithm} {hash}"),
            node: format!("{node}#{hash}"),
            form: Form::First,
            algorithm: algorithm.to_owned(),
            hash: hash.to_owned(),
        })
    }

    fn second(c: &Element) -> Option<Self> {
        let hashes = c.children().filter(|child| child.is("hash", ns::HASHES));
        let known =
            hashes.filter_map(|hash| Some((hash.attr("algo")?.to_owned(), hash.text().trim().to_owned())));
        let (algorithm, hash) = known.into_iter().find(|(algorithm, _)| digest(algorithm, b"").is_some())?;
        Some(Self {
            key: format!("390 {algorithm} {hash}"),
            node: format!("urn:xmpp:caps#{algorithm}.{hash}"),
            form: Form::Second,
            algorithm,
            hash,
        })
    }

    /// Tells it from all others.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The node that the client is asked for.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whether the answer of a client has this hash.
    pub fn is_true_of(&self, query: &Element) -> bool {
        let input = match self.form {
            Form::First => first_input(query),
            Form::Second => second_input(query),
        };
        let hash = input.and_then(|input| digest(&self.algorithm, &input));
        hash.is_some_and(|hash| STANDARD.encode(hash) == self.hash)
    }
}

fn digest(algorithm: &str, input: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        "sha-1" => Some(Sha1::digest(input).to_vec()),
        "sha-256" => Some(Sha256::digest(input).to_vec()),
        "sha-512" => Some(Sha512::digest(input).to_vec()),
        _ => None,
    }
}

fn identities(query: &Element) -> impl Iterator<Item = [String; 4]> {
    query.children().filter(|child| child.is("identity", ns::DISCO_INFO)).map(|identity| {
        let part = |name| identity.attr(name).unwrap_or_default().to_owned();
        let lang = identity.attr_ns(stanza::ns::XML, "lang").unwrap_or_default().to_owned();
        [part("category"), part("type"), lang, part("name")]
    })
}

fn features(query: &Element) -> Vec<String> {
    let features = query.children().filter(|child| child.is("feature", ns::DISCO_INFO));
    features.filter_map(|feature| feature.attr("var")).map(str::to_owned).collect()
}

/// Each form: its fields by name, each with its values.
fn forms(query: &Element) -> Vec<Vec<(String, Vec<String>)>> {
    let field = |field: &Element| {
        let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS)).map(Element::text);
        Some((field.attr("var")?.to_owned(), values.collect()))
    };
    let fields = |form: &Element| {
        form.children().filter(|child| child.is("field", ns::DATA_FORMS)).filter_map(field).collect()
    };
    query.children().filter(|child| child.is("x", ns::DATA_FORMS)).map(fields).collect()
}

/// XEP-0115 §5.1. `None` for what §5.4 calls ill-formed: something that is there twice.
fn first_input(query: &Element) -> Option<Vec<u8>> {
    let mut input = String::new();
    let mut put = |part: &str| {
        input.push_str(part);
        input.push('<');
    };
    let identities = sorted_once(identities(query).map(|parts| parts.join("/")).collect())?;
    identities.iter().for_each(|identity| put(identity));
    sorted_once(features(query))?.iter().for_each(|feature| put(feature));
    let mut named = Vec::new();
    for mut fields in forms(query) {
        let place = fields.iter().position(|(var, _)| var == "FORM_TYPE");
        // A form without a type does not count.
        let Some(place) = place else { continue };
        let type_ = fields.remove(place).1.into_iter().next()?;
        named.push((type_, fields));
    }
    named.sort_unstable();
    if named.windows(2).any(|pair| matches!(pair, [one, other] if one.0 == other.0)) {
        return None;
    }
    for (type_, mut fields) in named {
        put(&type_);
        fields.sort_unstable();
        for (var, mut values) in fields {
            put(&var);
            values.sort_unstable();
            values.iter().for_each(|value| put(value));
        }
    }
    Some(input.into_bytes())
}

fn sorted_once(mut parts: Vec<String>) -> Option<Vec<String>> {
    parts.sort_unstable();
    let twice = parts.windows(2).any(|pair| matches!(pair, [one, other] if one == other));
    (!twice).then_some(parts)
}

/// XEP-0390 §4.1.
fn second_input(query: &Element) -> Option<Vec<u8>> {
    let ended = |mut parts: Vec<Vec<u8>>, end: u8| {
        parts.sort_unstable();
        let mut all = parts.concat();
        all.push(end);
        all
    };
    let part = |text: &str| [text.as_bytes(), &[0x1f]].concat();
    let features = features(query).iter().map(|feature| part(feature)).collect();
    let identity = |parts: [String; 4]| {
        let mut all: Vec<u8> = parts.iter().flat_map(|text| part(text)).collect();
        all.push(0x1e);
        all
    };
    let identities = identities(query).map(identity).collect();
    let field = |(var, values): &(String, Vec<String>)| {
        let values = ended(values.iter().map(|value| part(value)).collect(), 0x1e);
        [part(var), values].concat()
    };
    let forms = forms(query).iter().map(|fields| ended(fields.iter().map(field).collect(), 0x1d)).collect();
    Some([ended(features, 0x1c), ended(identities, 0x1c), ended(forms, 0x1c)].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIMPLE: &str = "<query xmlns='http://jabber.org/protocol/disco#info' node='n'>\
        <identity category='client' name='Exodus 0.9.1' type='pc'/>\
        <feature var='http://jabber.org/protocol/caps'/><feature var='http://jabber.org/protocol/muc'/>\
        <feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>\
        </query>";

    fn presence(c: &str) -> Stanza {
        Stanza::parse(format!("<presence xmlns='jabber:client'>{c}</presence>").as_bytes()).unwrap()
    }

    #[test]
    fn the_hash_is_that_of_the_standards_example() {
        let claim = |ver: &str| {
            let c = format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{ver}'/>");
            Claim::of(&presence(&c)).unwrap()
        };
        let query: Element = SIMPLE.parse().unwrap();
        assert!(claim("QgayPKawpkPSDYmwT/WM94uAlu0=").is_true_of(&query));
        assert!(!claim("QgayPKawpkPSDYmwT/WM94uAlu1=").is_true_of(&query));
        let twice: Element = SIMPLE.replace("disco#items", "muc").parse().unwrap();
        assert!(first_input(&twice).is_none());
    }

    #[test]
    fn the_newer_hash_is_preferred_and_that_of_the_standards_example() {
        let query: Element = "<query xmlns='http://jabber.org/protocol/disco#info'>\
            <identity category='client' name='BombusMod' type='mobile'/>\
            <feature var='http://jabber.org/protocol/si'/>\
            <feature var='http://jabber.org/protocol/bytestreams'/>\
            <feature var='http://jabber.org/protocol/chatstates'/>\
            <feature var='http://jabber.org/protocol/disco#info'/>\
            <feature var='http://jabber.org/protocol/disco#items'/>\
            <feature var='urn:xmpp:ping'/><feature var='jabber:iq:time'/>\
            <feature var='jabber:iq:privacy'/><feature var='jabber:iq:version'/>\
            <feature var='http://jabber.org/protocol/rosterx'/><feature var='urn:xmpp:time'/>\
            <feature var='jabber:x:oob'/><feature var='http://jabber.org/protocol/ibb'/>\
            <feature var='http://jabber.org/protocol/si/profile/file-transfer'/>\
            <feature var='urn:xmpp:receipts'/><feature var='jabber:iq:roster'/><feature var='jabber:iq:last'/></query>"
            .parse()
            .unwrap();
        let claim = Claim::of(&presence(
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='x'/><c xmlns='urn:xmpp:caps'>\
             <hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=</hash></c>",
        ))
        .unwrap();
        assert_eq!(claim.node(), "urn:xmpp:caps#sha-256.kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=");
        assert!(claim.is_true_of(&query));
    }
}
