//! Data forms (XEP-0004), as far as rooms need them.

use std::collections::HashMap;

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use crate::xml::{With, el, text};

/// A form in the making.
pub struct Form {
    type_: &'static str,
    fields: Vec<Element>,
}

impl Form {
    /// `type_` is `form` or `result`.
    pub fn new(type_: &'static str, form_type: &str) -> Self {
        let mut form = Self::bare(type_);
        form.fields.push(field("FORM_TYPE", "hidden", None, [form_type]));
        form
    }

    /// Without a single field.
    pub fn bare(type_: &'static str) -> Self {
        Self { type_, fields: Vec::new() }
    }

    /// Words above the fields.
    pub fn titled(mut self, title: &str) -> Self {
        self.fields.insert(0, text("title", ns::DATA_FORMS, title));
        self
    }

    /// A field of that kind with its values.
    pub fn field<T: Into<String>>(
        mut self,
        type_: &str,
        var: &str,
        label: &str,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        self.fields.push(field(var, type_, Some(label), values));
        self
    }

    /// Yes or no.
    pub fn switch(self, var: &str, label: &str, value: bool) -> Self {
        self.field("boolean", var, label, [if value { "1" } else { "0" }])
    }

    /// Some of several; each option a value and its words.
    pub fn choice<T: Into<String>>(
        mut self,
        type_: &str,
        var: &str,
        label: &str,
        values: impl IntoIterator<Item = T>,
        options: &[(&str, &str)],
    ) -> Self {
        let mut field = field(var, type_, Some(label), values);
        for (value, words) in options {
            let option = el("option", ns::DATA_FORMS).with("label", *words);
            field.append_child(option.append(text("value", ns::DATA_FORMS, *value)).build());
        }
        self.fields.push(field);
        self
    }

    /// `<x/>`.
    pub fn build(self) -> Element {
        el("x", ns::DATA_FORMS).with("type", self.type_).append_all(self.fields).build()
    }
}

fn field<T: Into<String>>(
    var: &str,
    type_: &str,
    label: Option<&str>,
    values: impl IntoIterator<Item = T>,
) -> Element {
    el("field", ns::DATA_FORMS)
        .with("var", var)
        .with("type", type_)
        .with("label", label)
        .append_all(values.into_iter().map(|value| text("value", ns::DATA_FORMS, value)))
        .build()
}

/// A form that was filled in.
pub struct Filled(HashMap<String, Vec<String>>);

impl Filled {
    /// Reads `<x/>` with the fields of `form_type`.
    ///
    /// # Errors
    /// When the form is of another type.
    pub fn read(form: &Element, form_type: &str) -> Result<Self, StanzaError> {
        let value = |value: &Element| value.is("value", ns::DATA_FORMS).then(|| value.text());
        let fields = form.children().filter(|child| child.is("field", ns::DATA_FORMS));
        let fields = fields.filter_map(|field| {
            Some((field.attr("var")?.to_owned(), field.children().filter_map(value).collect()))
        });
        let filled = Self(fields.collect());
        match filled.one("FORM_TYPE") {
            Some(found) if found == form_type => Ok(filled),
            // An empty form says nothing, and so nothing wrong (XEP-0045 §10.1.2).
            None if filled.0.is_empty() => Ok(filled),
            _ => Err(StanzaError::new(StanzaCondition::BadRequest, "This is another form.")),
        }
    }

    /// All fields with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(var, values)| (var.as_str(), values.as_slice()))
    }

    /// All values of a field, if it is there; trimmed, without empty ones.
    pub fn all(&self, var: &str) -> Option<Vec<&str>> {
        let values = self.0.get(var)?.iter().map(|value| value.trim());
        Some(values.filter(|value| !value.is_empty()).collect())
    }

    /// The first value of a field, if it is there; perhaps empty.
    pub fn one(&self, var: &str) -> Option<&str> {
        Some(self.0.get(var)?.first().map(String::as_str).unwrap_or_default())
    }

    /// Yes or no.
    ///
    /// # Errors
    /// When it is neither.
    pub fn switch(&self, var: &str) -> Result<Option<bool>, StanzaError> {
        match self.one(var) {
            None => Ok(None),
            Some("1" | "true") => Ok(Some(true)),
            Some("0" | "false") => Ok(Some(false)),
            Some(_) => Err(wrong(var)),
        }
    }
}

/// A field has a value that it cannot have (XEP-0045 §10.1.3).
pub fn wrong(var: &str) -> StanzaError {
    StanzaError::new(StanzaCondition::NotAcceptable, format!("{var} has a value that it cannot have."))
}
