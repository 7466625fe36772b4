//! Translating between `vcard-temp` (XEP-0054) and vCard4 in XML (RFC 6351, XEP-0292 §9). Pure.
//!
//! What only one of the forms can say is left out of a translation.

use minidom::Element;

use crate::xml::{el, text};

/// The namespace of XEP-0054.
pub const TEMP: &str = "vcard-temp";
/// The namespace of RFC 6351.
pub const VCARD4: &str = "urn:ietf:params:xml:ns:vcard-4.0";

/// Properties with one plain value: `vcard-temp` name, vCard4 name, vCard4 value type.
const PLAIN: [(&str, &str, &str); 10] = [
    ("FN", "fn", "text"),
    ("NICKNAME", "nickname", "text"),
    ("URL", "url", "uri"),
    ("BDAY", "bday", "date"),
    ("TITLE", "title", "text"),
    ("ROLE", "role", "text"),
    ("DESC", "note", "text"),
    ("TZ", "tz", "text"),
    ("UID", "uid", "uri"),
    ("REV", "rev", "timestamp"),
];

/// Properties with parts: names, then the parts' names in both forms.
type Parts = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
const STRUCTURED: [Parts; 2] = [
    (
        "N",
        "n",
        &[
            ("FAMILY", "surname"),
            ("GIVEN", "given"),
            ("MIDDLE", "additional"),
            ("PREFIX", "prefix"),
            ("SUFFIX", "suffix"),
        ],
    ),
    (
        "ADR",
        "adr",
        &[
            ("POBOX", "pobox"),
            ("EXTADD", "ext"),
            ("STREET", "street"),
            ("LOCALITY", "locality"),
            ("REGION", "region"),
            ("PCODE", "code"),
            ("CTRY", "country"),
        ],
    ),
];

/// Marks of addresses, telephones and mail in both forms.
const TYPES: [(&str, &str); 9] = [
    ("HOME", "home"),
    ("WORK", "work"),
    ("CELL", "cell"),
    ("VOICE", "voice"),
    ("FAX", "fax"),
    ("PAGER", "pager"),
    ("TEXT", "text"),
    ("VIDEO", "video"),
    ("PREF", "pref"),
];

/// The vCard4 form of a `vcard-temp`.
pub fn vcard4_of(temp: &Element) -> Element {
    let properties = temp.children().filter(|child| child.has_ns(TEMP)).filter_map(property_of_temp);
    el("vcard", VCARD4).append_all(properties).build()
}

/// The `vcard-temp` form of a vCard4.
pub fn temp_of(vcard: &Element) -> Element {
    let properties = vcard.children().filter(|child| child.has_ns(VCARD4)).filter_map(property_of_vcard4);
    el("vCard", TEMP).append_all(properties).build()
}

fn property_of_temp(property: &Element) -> Option<Element> {
    let name = property.name();
    if let Some((_, to, type_)) = PLAIN.iter().find(|(from, ..)| *from == name) {
        return filled(property.text()).map(|value| valued(to, type_, value));
    }
    if let Some((_, to, parts)) = STRUCTURED.iter().find(|(from, ..)| *from == name) {
        let parts = parts.iter().filter_map(|(from, to)| Some(text(to, VCARD4, part(property, from)?)));
        return Some(el(to, VCARD4).append_all(parameters(property)).append_all(parts).build());
    }
    match name {
        "EMAIL" => {
            let address = part(property, "USERID").or_else(|| filled(property.text()))?;
            Some(with_types("email", property, text("text", VCARD4, address)))
        }
        "TEL" => {
            let number = part(property, "NUMBER").or_else(|| filled(property.text()))?;
            Some(with_types("tel", property, text("text", VCARD4, number)))
        }
        "JABBERID" => filled(property.text()).map(|jid| valued("impp", "uri", format!("xmpp:{jid}"))),
        "ORG" => {
            let units = property.children().filter(|child| matches!(child.name(), "ORGNAME" | "ORGUNIT"));
            let units = units.map(|unit| text("text", VCARD4, unit.text()));
            Some(el("org", VCARD4).append_all(units).build())
        }
        "CATEGORIES" => {
            let words = property.children().map(|word| text("text", VCARD4, word.text()));
            Some(el("categories", VCARD4).append_all(words).build())
        }
        "GEO" => {
            Some(valued("geo", "uri", format!("geo:{},{}", part(property, "LAT")?, part(property, "LON")?)))
        }
        "PHOTO" => {
            let uri = match part(property, "EXTVAL") {
                Some(uri) => uri,
                None => {
                    let data: String = part(property, "BINVAL")?.split_whitespace().collect();
                    format!("data:{};base64,{data}", part(property, "TYPE").unwrap_or("image/jpeg".into()))
                }
            };
            Some(valued("photo", "uri", uri))
        }
        _ => None,
    }
}

fn property_of_vcard4(property: &Element) -> Option<Element> {
    let name = property.name();
    if let Some((to, ..)) = PLAIN.iter().find(|(_, from, _)| *from == name) {
        return Some(text(to, TEMP, value(property)?));
    }
    if let Some((to, _, parts)) = STRUCTURED.iter().find(|(_, from, _)| *from == name) {
        let parts = parts.iter().filter_map(|(to, from)| Some(text(to, TEMP, part(property, from)?)));
        return Some(el(to, TEMP).append_all(marks(property)).append_all(parts).build());
    }
    match name {
        "email" => {
            let address = text("USERID", TEMP, value(property)?);
            Some(el("EMAIL", TEMP).append_all(marks(property)).append(address).build())
        }
        "tel" => {
            let number = value(property)?;
            let number = number.strip_prefix("tel:").unwrap_or(&number);
            let number = text("NUMBER", TEMP, number);
            Some(el("TEL", TEMP).append_all(marks(property)).append(number).build())
        }
        "impp" => Some(text("JABBERID", TEMP, value(property)?.strip_prefix("xmpp:")?)),
        "org" => {
            let units = property.children().filter(|child| child.name() == "text").enumerate();
            let units = units
                .map(|(place, unit)| text(if place == 0 { "ORGNAME" } else { "ORGUNIT" }, TEMP, unit.text()));
            Some(el("ORG", TEMP).append_all(units).build())
        }
        "categories" => {
            let words = property.children().filter(|child| child.name() == "text");
            let words = words.map(|word| text("KEYWORD", TEMP, word.text()));
            Some(el("CATEGORIES", TEMP).append_all(words).build())
        }
        "geo" => {
            let uri = value(property)?;
            let (latitude, longitude) = uri.strip_prefix("geo:")?.split_once(',')?;
            let longitude = longitude.split([',', ';']).next().unwrap_or_default();
            Some(
                el("GEO", TEMP)
                    .append(text("LAT", TEMP, latitude))
                    .append(text("LON", TEMP, longitude))
                    .build(),
            )
        }
        "photo" => {
            let uri = value(property)?;
            let photo = el("PHOTO", TEMP);
            let inline = uri.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
            Some(match inline {
                Some((type_, data)) => {
                    photo.append(text("TYPE", TEMP, type_)).append(text("BINVAL", TEMP, data)).build()
                }
                None => photo.append(text("EXTVAL", TEMP, uri)).build(),
            })
        }
        _ => None,
    }
}

/// A vCard4 property with one value.
fn valued(name: &str, type_: &str, value: String) -> Element {
    el(name, VCARD4).append(text(type_, VCARD4, value)).build()
}

fn with_types(name: &str, from: &Element, value: Element) -> Element {
    el(name, VCARD4).append_all(parameters(from)).append(value).build()
}

/// The `<parameters/>` for the marks of a `vcard-temp` property.
fn parameters(property: &Element) -> Option<Element> {
    let types: Vec<_> = TYPES
        .iter()
        .filter(|(mark, _)| property.has_child(mark, TEMP))
        .map(|(_, type_)| text("text", VCARD4, *type_))
        .collect();
    let type_ = || el("type", VCARD4).append_all(types.clone()).build();
    (!types.is_empty()).then(|| el("parameters", VCARD4).append(type_()).build())
}

/// The marks for the `<parameters/>` of a vCard4 property.
fn marks(property: &Element) -> Vec<Element> {
    let Some(parameters) = property.get_child("parameters", VCARD4) else { return Vec::new() };
    let types: Vec<String> = parameters
        .children()
        .filter(|parameter| parameter.name() == "type")
        .flat_map(|parameter| parameter.children().map(Element::text))
        .collect();
    let known = TYPES.iter().filter(|(_, type_)| types.iter().any(|given| given.eq_ignore_ascii_case(type_)));
    known.map(|(mark, _)| Element::bare(*mark, TEMP)).collect()
}

/// The first value of a vCard4 property.
fn value(property: &Element) -> Option<String> {
    property.children().find(|child| child.name() != "parameters").and_then(|child| filled(child.text()))
}

fn part(property: &Element, name: &str) -> Option<String> {
    property.children().find(|child| child.name() == name).and_then(|child| filled(child.text()))
}

fn filled(text: String) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "<vCard xmlns='vcard-temp'><FN>Ada King</FN><N><FAMILY>King</FAMILY><GIVEN>Ada</GIVEN></N>\
        <EMAIL><WORK/><USERID>ada@corp.example</USERID></EMAIL><TEL><CELL/><NUMBER>+44 1</NUMBER></TEL>\
        <ORG><ORGNAME>Engines</ORGNAME><ORGUNIT>Analysis</ORGUNIT></ORG><ADR><HOME/><CTRY>UK</CTRY></ADR>\
        <JABBERID>ada@corp.example</JABBERID><GEO><LAT>51.5</LAT><LON>-0.1</LON></GEO>\
        <PHOTO><TYPE>image/png</TYPE><BINVAL>AAAA</BINVAL></PHOTO></vCard>";

    #[test]
    fn what_both_forms_know_survives_the_way_there_and_back() {
        let temp: Element = CARD.parse().unwrap();
        let vcard = vcard4_of(&temp);
        assert_eq!(
            vcard.get_child("fn", VCARD4).unwrap().get_child("text", VCARD4).unwrap().text(),
            "Ada King"
        );
        assert_eq!(temp_of(&vcard), temp);
    }

    #[test]
    fn what_one_form_does_not_know_is_left_out() {
        let temp: Element = "<vCard xmlns='vcard-temp'><MAILER>x</MAILER><FN/></vCard>".parse().unwrap();
        assert_eq!(vcard4_of(&temp), Element::bare("vcard", VCARD4));
    }
}
