//! Searching the company's directory (XEP-0055), at a domain of its own: `directory.DOMAIN`.
//!
//! People of this server find each other by name, address, mail address, telephone number, title and group. Nobody else
//! is answered.

use std::sync::Arc;

use async_trait::async_trait;
use minidom::Element;
use stanza::{BareJid, DomainPart, Kind, Stanza, StanzaCondition, StanzaError};
use vault::Vault;
use xmpp_parsers::ns;

use super::Profile;
use crate::page::Wanted;
use crate::post::disk_error;
use crate::router::Router;
use crate::service::{Incoming, Service};
use crate::session::Session;
use crate::users::{UserError, Users};
use crate::xml::{With, el, text};

/// The namespace.
const SEARCH: &str = "jabber:iq:search";

/// What a page holds at most (XEP-0059).
const MOST: usize = 100;

/// The fields of the form, and what they are called.
const FIELDS: [(&str, &str); 6] = [
    ("name", "Name"),
    ("user", "User name"),
    ("email", "Mail address"),
    ("phone", "Telephone"),
    ("title", "Title"),
    ("group", "Group"),
];

/// The directory of one domain.
pub struct Search {
    /// Whose people are found.
    pub of: DomainPart,
    /// Knows who has an account.
    pub users: Users,
    /// Knows the rest.
    pub vault: Vault,
    /// Takes the answers.
    pub router: Router,
}

#[async_trait]
impl Service for Search {
    fn identity(&self) -> (&'static str, &'static str, &'static str) {
        ("directory", "user", "Directory")
    }

    async fn receive(&self, incoming: Incoming) {
        let Incoming { stanza, sender, errand } = incoming;
        let answer = match (stanza.kind, stanza.type_.as_deref()) {
            (Kind::Iq, Some("get" | "set")) => self.answer(&stanza, sender.as_ref()).await,
            (Kind::Message, _) => Err(StanzaCondition::ServiceUnavailable.into()),
            _ => return,
        };
        match answer.map(|payload| Stanza::result_of(&stanza).with_payload(payload.as_ref())) {
            Ok(Ok(reply)) => self.router.reply(&reply),
            Ok(Err(_)) => self.router.bounce(&stanza, StanzaCondition::InternalServerError.into()),
            Err(error) => self.router.bounce(&stanza, error),
        }
        drop(errand);
    }
}

impl Search {
    async fn answer(
        &self,
        stanza: &Stanza,
        sender: Option<&Arc<Session>>,
    ) -> Result<Option<Element>, StanzaError> {
        let child = stanza.children().first().ok_or(StanzaCondition::BadRequest)?;
        let set = stanza.is_type("set");
        match (child.name(), child.ns()) {
            ("query", ns::DISCO_INFO) if !set => Ok(Some(self.info())),
            ("query", ns::DISCO_ITEMS) if !set => Ok(Some(Element::bare("query", ns::DISCO_ITEMS))),
            ("ping", ns::PING) if !set => Ok(None),
            ("query", SEARCH) if sender.is_none() => Err(StanzaCondition::Forbidden.into()),
            ("query", SEARCH) if set => self.search(&stanza.payload_element(child)).await.map(Some),
            ("query", SEARCH) => Ok(Some(form())),
            _ => Err(StanzaCondition::ServiceUnavailable.into()),
        }
    }

    fn info(&self) -> Element {
        let (category, type_, name) = self.identity();
        let identity = el("identity", ns::DISCO_INFO).with("category", category).with("type", type_);
        let feature = |var: &str| el("feature", ns::DISCO_INFO).with("var", var).build();
        el("query", ns::DISCO_INFO)
            .append(identity.with("name", name).build())
            .append_all([ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::RSM, SEARCH].map(feature))
            .build()
    }

    async fn search(&self, query: &Element) -> Result<Element, StanzaError> {
        let wanted = wanted(query);
        let page = query.get_child("set", ns::RSM).map(Wanted::read).transpose()?;
        if wanted.is_empty() {
            let words = "Say something about whom you look for.";
            return Err(StanzaError::new(StanzaCondition::NotAcceptable, words));
        }
        let accounts = self.users.list(&self.of).await.map_err(|error| match error {
            UserError::Vault(error) => disk_error(&error),
            _ => StanzaCondition::InternalServerError.into(),
        })?;
        let profiles = self.vault.list::<Profile>(self.of.as_str()).await;
        let profiles: std::collections::HashMap<String, Profile> = profiles
            .map_err(|error| disk_error(&error))?
            .into_iter()
            .map(|(jid, profile)| (jid, profile.value))
            .collect();
        let mut found = Vec::new();
        for account in accounts.into_iter().filter(|account| !account.disabled) {
            let Ok(jid) = Users::address(&account.localpart, &self.of) else { continue };
            let mut profile = profiles.get(jid.as_str()).cloned().unwrap_or_default();
            profile.name = profile.name.or_else(|| account.name.clone());
            if wanted.iter().all(|(field, word)| matches(&jid, &profile, field, word)) {
                found.push((jid, profile));
            }
        }
        found.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
        let ids: Vec<&str> = found.iter().map(|(jid, _)| jid.as_str()).collect();
        let cut = page.as_ref().unwrap_or(&Wanted::default()).cut(&ids, MOST);
        let cut = cut.ok_or_else(|| StanzaError::from(StanzaCondition::ItemNotFound))?;
        // Who did not ask for a page is told all the same when it is not all.
        let set = (page.is_some() || cut.places.len() < ids.len()).then(|| cut.element(&ids));
        Ok(results(found.get(cut.places.clone()).unwrap_or_default(), set))
    }
}

/// What the form was filled in with, in small letters: fields that we know, with words.
fn wanted(query: &Element) -> Vec<(String, String)> {
    let form = query.get_child("x", ns::DATA_FORMS);
    let fields = form.into_iter().flat_map(|form| form.children());
    fields
        .filter_map(|field| {
            let var = field.attr("var")?;
            let word = field.get_child("value", ns::DATA_FORMS)?.text().trim().to_lowercase();
            let known = FIELDS.iter().any(|(name, _)| *name == var);
            (known && !word.is_empty()).then(|| (var.to_owned(), word))
        })
        .collect()
}

/// Whether a field contains a word. A group is exact: it is a thing, not a text.
fn matches(jid: &BareJid, profile: &Profile, field: &str, word: &str) -> bool {
    let contains = |text: Option<&str>| text.is_some_and(|text| text.to_lowercase().contains(word));
    match field {
        "name" => contains(profile.name.as_deref()),
        "user" => contains(jid.node().map(|node| node.as_str())),
        "email" => contains(profile.email.as_deref()),
        "phone" => contains(profile.phone.as_deref()),
        "title" => contains(profile.title.as_deref()),
        _ => profile.groups.iter().any(|group| group.to_lowercase() == word),
    }
}

fn hidden_type() -> Element {
    el("field", ns::DATA_FORMS)
        .with("type", "hidden")
        .with("var", "FORM_TYPE")
        .append(text("value", ns::DATA_FORMS, SEARCH))
        .build()
}

/// The form to fill in.
fn form() -> Element {
    let words = "Fill in what you know; parts of words will do.";
    let field = |(var, label): (&str, &str)| {
        el("field", ns::DATA_FORMS).with("type", "text-single").with("var", var).with("label", label).build()
    };
    let form = el("x", ns::DATA_FORMS)
        .with("type", "form")
        .append(text("title", ns::DATA_FORMS, "Directory"))
        .append(text("instructions", ns::DATA_FORMS, words))
        .append(hidden_type())
        .append_all(FIELDS.map(field));
    el("query", SEARCH).append(text("instructions", SEARCH, words)).append(form.build()).build()
}

/// The form with what was found.
fn results(found: &[(BareJid, Profile)], set: Option<Element>) -> Element {
    let columns = [("jid", "Address", "jid-single")];
    let columns = columns.into_iter().chain(FIELDS.map(|(var, label)| (var, label, "text-single")));
    let reported = columns.map(|(var, label, type_)| {
        el("field", ns::DATA_FORMS).with("var", var).with("label", label).with("type", type_).build()
    });
    let item = |(jid, profile): &(BareJid, Profile)| {
        let field = |var: &str, value: Option<String>| {
            let value = text("value", ns::DATA_FORMS, value.unwrap_or_default());
            el("field", ns::DATA_FORMS).with("var", var).append(value).build()
        };
        el("item", ns::DATA_FORMS)
            .append_all([
                field("jid", Some(jid.to_string())),
                field("name", profile.name.clone()),
                field("user", jid.node().map(|node| node.to_string())),
                field("email", profile.email.clone()),
                field("phone", profile.phone.clone()),
                field("title", profile.title.clone()),
                field("group", (!profile.groups.is_empty()).then(|| profile.groups.join(", "))),
            ])
            .build()
    };
    let form = el("x", ns::DATA_FORMS)
        .with("type", "result")
        .append(hidden_type())
        .append(el("reported", ns::DATA_FORMS).append_all(reported).build())
        .append_all(found.iter().map(item));
    el("query", SEARCH).append(form.build()).append_all(set).build()
}
