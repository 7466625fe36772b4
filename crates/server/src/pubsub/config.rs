//! What can be set on a node (XEP-0060 §16.4.4), and the form that it is set with. Pure.

use minidom::Element;
use serde::{Deserialize, Serialize};
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::error::{error, unsupported};
use super::words::{Access, ItemReply, Notice, Publishers, SendLast};
use crate::xml::{With, el, text};

/// The most items of one node; `max` in a form means this.
pub const MOST_ITEMS: u32 = 1_000;
/// The longest that items can be set to live: a hundred years.
const MOST_SECONDS: u64 = 100 * 365 * 86_400;
/// The most bytes of a title, a description, or another text of a configuration.
const MOST_TEXT: usize = 1_024;
/// The most roster groups that are let in.
const MOST_GROUPS: usize = 100;

/// The `FORM_TYPE` of a configuration.
pub const NODE_CONFIG: &str = "http://jabber.org/protocol/pubsub#node_config";
/// The `FORM_TYPE` of `<publish-options/>`.
pub const PUBLISH_OPTIONS: &str = "http://jabber.org/protocol/pubsub#publish-options";

/// A node's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// A short name.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// The namespace of its payloads.
    pub payload: String,
    /// The language of its payloads.
    pub language: String,
    /// Who may read.
    pub access: Access,
    /// Whom [`Access::Roster`] lets in.
    pub groups: Vec<String>,
    /// Who may publish.
    pub publishers: Publishers,
    /// Whether items are kept.
    pub persist: bool,
    /// How many are kept.
    pub max_items: u32,
    /// For how many seconds; `None`: for good.
    pub expire: Option<u64>,
    /// When the last one is sent unasked.
    pub send_last: SendLast,
    /// Whether there are notifications at all.
    pub deliver: bool,
    /// Whether they carry the payload.
    pub payloads: bool,
    /// Whether a change of the configuration is told.
    pub notify_config: bool,
    /// Whether the end of the node is told.
    pub notify_delete: bool,
    /// Whether the end of an item is told.
    pub notify_retract: bool,
    /// The type of the messages.
    pub notice: Notice,
    /// Whom to answer.
    pub reply: Option<ItemReply>,
    /// Whether anybody may subscribe.
    pub subscribe: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            payload: String::new(),
            language: String::new(),
            access: Access::Presence,
            groups: Vec::new(),
            publishers: Publishers::Publishers,
            persist: true,
            max_items: 1,
            expire: None,
            send_last: SendLast::OnSubAndPresence,
            deliver: true,
            payloads: true,
            notify_config: false,
            notify_delete: true,
            notify_retract: true,
            notice: Notice::Headline,
            reply: None,
            subscribe: true,
        }
    }
}

/// How a field is shown.
enum Shape {
    Flag,
    Line,
    Choice(&'static [&'static str]),
    /// Any of the owner's roster groups.
    Groups,
}

/// What is offered as a language (XEP-0060 §16.4.4 wants a list); any other can be set as well.
const LANGUAGES: &[&str] = &[
    "ar", "bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hi", "hr", "hu", "it", "ja",
    "ko", "lt", "lv", "mt", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sv", "tr", "uk", "zh",
];

/// Every field, with the words for people.
const FIELDS: [(&str, Shape, &str); 19] = [
    ("pubsub#title", Shape::Line, "A short name"),
    ("pubsub#description", Shape::Line, "What it is about"),
    ("pubsub#type", Shape::Line, "The namespace of its payloads"),
    ("pubsub#language", Shape::Choice(LANGUAGES), "The language of its payloads"),
    ("pubsub#access_model", Shape::Choice(Access::WORDS), "Who may subscribe and read"),
    ("pubsub#roster_groups_allowed", Shape::Groups, "The roster groups that may read"),
    ("pubsub#publish_model", Shape::Choice(Publishers::WORDS), "Who may publish"),
    ("pubsub#persist_items", Shape::Flag, "Keep items"),
    ("pubsub#max_items", Shape::Line, "The most items to keep, or max"),
    ("pubsub#item_expire", Shape::Line, "The seconds until an item is removed, or max"),
    ("pubsub#send_last_published_item", Shape::Choice(SendLast::WORDS), "When to send the last item"),
    ("pubsub#deliver_notifications", Shape::Flag, "Notify subscribers"),
    ("pubsub#deliver_payloads", Shape::Flag, "Send payloads with notifications"),
    ("pubsub#notify_config", Shape::Flag, "Notify of changed configurations"),
    ("pubsub#notify_delete", Shape::Flag, "Notify of the node's deletion"),
    ("pubsub#notify_retract", Shape::Flag, "Notify of retracted items"),
    ("pubsub#notification_type", Shape::Choice(Notice::WORDS), "The type of notifications"),
    ("pubsub#itemreply", Shape::Choice(ItemReply::WORDS), "Whom to answer"),
    ("pubsub#subscribe", Shape::Flag, "Allow subscriptions"),
];

impl Config {
    /// What a node of this name is like unless its maker says otherwise. Whoever forgets to say that bookmarks and read
    /// markers are private does not publish them.
    pub fn personal(node: &str) -> Self {
        match node {
            "urn:xmpp:bookmarks:1" | "storage:bookmarks" | "urn:xmpp:mds:displayed:0" => {
                Self::private(if node == "storage:bookmarks" { 1 } else { MOST_ITEMS })
            }
            _ => Self::default(),
        }
    }

    /// For nobody but the owner (XEP-0223).
    pub fn private(max_items: u32) -> Self {
        Self { access: Access::Whitelist, send_last: SendLast::Never, max_items, ..Self::default() }
    }

    /// What a node of the service is like.
    pub fn public() -> Self {
        Self { access: Access::Open, max_items: 100, send_last: SendLast::OnSub, ..Self::default() }
    }

    /// A field's values as text; `None` for one that this server does not know.
    pub fn field(&self, var: &str) -> Option<Vec<String>> {
        let flag = |on: bool| vec![if on { "1" } else { "0" }.to_owned()];
        let word = |word: &str| vec![word.to_owned()];
        let line = |line: &String| if line.is_empty() { Vec::new() } else { vec![line.clone()] };
        Some(match var {
            "pubsub#title" => line(&self.title),
            "pubsub#description" => line(&self.description),
            "pubsub#type" => line(&self.payload),
            "pubsub#language" => line(&self.language),
            "pubsub#access_model" => word(self.access.name()),
            "pubsub#roster_groups_allowed" => self.groups.clone(),
            "pubsub#publish_model" => word(self.publishers.name()),
            "pubsub#persist_items" => flag(self.persist),
            "pubsub#max_items" if self.max_items >= MOST_ITEMS => word("max"),
            "pubsub#max_items" => word(&self.max_items.to_string()),
            "pubsub#item_expire" => match self.expire {
                Some(seconds) => word(&seconds.to_string()),
                None => word("max"),
            },
            "pubsub#send_last_published_item" => word(self.send_last.name()),
            "pubsub#deliver_notifications" => flag(self.deliver),
            "pubsub#deliver_payloads" => flag(self.payloads),
            "pubsub#notify_config" => flag(self.notify_config),
            "pubsub#notify_delete" => flag(self.notify_delete),
            "pubsub#notify_retract" => flag(self.notify_retract),
            "pubsub#notification_type" => word(self.notice.name()),
            "pubsub#itemreply" => self.reply.map(|reply| word(reply.name())).unwrap_or_default(),
            "pubsub#subscribe" => flag(self.subscribe),
            _ => return None,
        })
    }

    /// Sets a field. `Ok(false)` where this server does not know it.
    ///
    /// # Errors
    /// `not-acceptable` for a value that it cannot have.
    pub fn set(&mut self, var: &str, values: &[String]) -> Result<bool, StanzaError> {
        let first = values.first().map(|value| value.trim()).unwrap_or_default();
        match var {
            "pubsub#title" => self.title = line(first)?,
            "pubsub#description" => self.description = line(first)?,
            "pubsub#type" => self.payload = line(first)?,
            "pubsub#language" => self.language = line(first)?,
            "pubsub#access_model" => self.access = Access::of(first).ok_or_else(|| unfit(var))?,
            "pubsub#roster_groups_allowed" => {
                if values.len() > MOST_GROUPS {
                    return Err(unfit(var));
                }
                self.groups = values.iter().map(|group| line(group)).collect::<Result<_, _>>()?;
            }
            "pubsub#publish_model" => self.publishers = Publishers::of(first).ok_or_else(|| unfit(var))?,
            "pubsub#persist_items" => self.persist = flag(var, first)?,
            "pubsub#max_items" => {
                self.max_items = match first {
                    "max" => MOST_ITEMS,
                    number => match number.parse() {
                        Ok(number @ 0..=MOST_ITEMS) => number,
                        _ => return Err(unfit(var)),
                    },
                }
            }
            "pubsub#item_expire" => {
                self.expire = match first {
                    "max" | "" => None,
                    number => match number.parse() {
                        Ok(seconds @ 1..=MOST_SECONDS) => Some(seconds),
                        _ => return Err(unfit(var)),
                    },
                }
            }
            "pubsub#send_last_published_item" => {
                self.send_last = SendLast::of(first).ok_or_else(|| unfit(var))?;
            }
            "pubsub#deliver_notifications" => self.deliver = flag(var, first)?,
            "pubsub#deliver_payloads" => self.payloads = flag(var, first)?,
            "pubsub#notify_config" => self.notify_config = flag(var, first)?,
            "pubsub#notify_delete" => self.notify_delete = flag(var, first)?,
            "pubsub#notify_retract" => self.notify_retract = flag(var, first)?,
            "pubsub#notification_type" => self.notice = Notice::of(first).ok_or_else(|| unfit(var))?,
            "pubsub#itemreply" if first.is_empty() => self.reply = None,
            "pubsub#itemreply" => self.reply = Some(ItemReply::of(first).ok_or_else(|| unfit(var))?),
            "pubsub#subscribe" => self.subscribe = flag(var, first)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// This configuration with the fields of a submitted form. Fields that are not known here are passed over, as
    /// XEP-0004 §3.2 has it.
    ///
    /// # Errors
    /// As [`Config::set`]; `bad-request` for a form of another kind.
    pub fn with_form(&self, form: &Element) -> Result<Self, StanzaError> {
        let mut config = self.clone();
        for (var, values) in fields(form, NODE_CONFIG)? {
            config.set(&var, &values)?;
        }
        Ok(config)
    }

    /// This configuration under `<publish-options/>` that make a node (XEP-0060 §7.1.5).
    ///
    /// # Errors
    /// `precondition-not-met` where an option is not known or cannot be had.
    pub fn with_options(&self, options: &[(String, Vec<String>)]) -> Result<Self, StanzaError> {
        let mut config = self.clone();
        for (var, values) in options {
            if !config.set(var, values).unwrap_or(false) {
                return Err(precondition());
            }
        }
        Ok(config)
    }

    /// Checks `<publish-options/>` against the configuration of a node that is there.
    ///
    /// # Errors
    /// `precondition-not-met`.
    pub fn meets(&self, options: &[(String, Vec<String>)]) -> Result<(), StanzaError> {
        if self.with_options(options)? == *self { Ok(()) } else { Err(precondition()) }
    }

    /// The form that shows this configuration, to be filled in by somebody with these roster groups.
    pub fn form(&self, groups: &[String]) -> Element {
        self.data_form("form", groups)
    }

    /// The form that tells this configuration.
    pub fn told(&self) -> Element {
        self.data_form("result", &[])
    }

    fn data_form(&self, type_: &str, groups: &[String]) -> Element {
        let field = |(var, shape, label): &(&'static str, Shape, &'static str)| {
            let (kind, mut options) = match shape {
                Shape::Flag => ("boolean", Vec::new()),
                Shape::Line => ("text-single", Vec::new()),
                Shape::Choice(words) => ("list-single", words.to_vec()),
                Shape::Groups => ("list-multi", groups.iter().map(String::as_str).collect()),
            };
            let values = self.field(var).unwrap_or_default();
            match shape {
                _ if type_ != "form" => options.clear(),
                // What is set can be chosen again.
                Shape::Choice(_) | Shape::Groups => {
                    let unknown = values.iter().map(String::as_str).filter(|value| !options.contains(value));
                    let unknown: Vec<&str> = unknown.collect();
                    options.extend(unknown);
                }
                Shape::Flag | Shape::Line => {}
            }
            let option = |word: &&str| {
                el("option", ns::DATA_FORMS).append(text("value", ns::DATA_FORMS, *word)).build()
            };
            let options: Vec<Element> = options.iter().map(option).collect();
            el("field", ns::DATA_FORMS)
                .with("var", *var)
                .with("type", kind)
                .with("label", *label)
                .append_all(values.into_iter().map(|value| text("value", ns::DATA_FORMS, value)))
                .append_all(options)
                .build()
        };
        el("x", ns::DATA_FORMS)
            .with("type", type_)
            .append(form_type(NODE_CONFIG))
            .append_all(FIELDS.iter().map(field))
            .build()
    }
}

/// The fields of a submitted form but `FORM_TYPE`, which must be this one if it is there.
///
/// # Errors
/// `bad-request` when the form is of another kind.
pub fn fields(form: &Element, form_type: &str) -> Result<Vec<(String, Vec<String>)>, StanzaError> {
    let mut fields = Vec::new();
    for field in form.children().filter(|child| child.is("field", ns::DATA_FORMS)) {
        let Some(var) = field.attr("var") else { continue };
        let values = field.children().filter(|child| child.is("value", ns::DATA_FORMS));
        let values: Vec<String> = values.map(Element::text).collect();
        match var {
            "FORM_TYPE" if values.iter().any(|value| value != form_type) => {
                return Err(error(StanzaCondition::BadRequest, "invalid-options"));
            }
            "FORM_TYPE" => {}
            _ => fields.push((var.to_owned(), values)),
        }
    }
    Ok(fields)
}

/// The hidden field that names a form.
pub fn form_type(name: &str) -> Element {
    el("field", ns::DATA_FORMS)
        .with("var", "FORM_TYPE")
        .with("type", "hidden")
        .append(text("value", ns::DATA_FORMS, name))
        .build()
}

fn line(value: &str) -> Result<String, StanzaError> {
    match value.len() <= MOST_TEXT {
        true => Ok(value.to_owned()),
        false => Err(StanzaError::new(StanzaCondition::NotAcceptable, "A text of the form is too long.")),
    }
}

fn flag(var: &str, value: &str) -> Result<bool, StanzaError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(unfit(var)),
    }
}

fn unfit(var: &str) -> StanzaError {
    match var {
        "pubsub#access_model" => StanzaError {
            application: unsupported("access-model").application,
            ..StanzaCondition::NotAcceptable.into()
        },
        _ => StanzaError::new(StanzaCondition::NotAcceptable, format!("{var} cannot have this value.")),
    }
}

fn precondition() -> StanzaError {
    error(StanzaCondition::Conflict, "precondition-not-met")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Vec<(String, Vec<String>)> {
        pairs.iter().map(|(var, value)| ((*var).to_owned(), vec![(*value).to_owned()])).collect()
    }

    #[test]
    fn a_form_says_all_that_it_is_asked_for_and_takes_it_back() {
        let config = Config { title: "Moods".into(), max_items: MOST_ITEMS, ..Config::private(5) };
        assert_eq!(
            Config::default().with_form(&config.form(&[])).unwrap(),
            Config { max_items: MOST_ITEMS, ..config }
        );
    }

    #[test]
    fn languages_and_groups_are_choices_that_hold_what_was_chosen() {
        let config = Config { language: "gsw".into(), groups: vec!["Otters".into()], ..Config::default() };
        let form = config.form(&["Beavers".into()]);
        let offered = |var: &str| {
            let field = form.children().find(|field| field.attr("var") == Some(var)).unwrap();
            let options = field.children().filter(|child| child.name() == "option");
            let words = options.filter_map(|option| option.get_child("value", ns::DATA_FORMS));
            (field.attr("type").unwrap(), words.map(Element::text).collect::<Vec<_>>())
        };
        let (type_, words) = offered("pubsub#language");
        assert_eq!(type_, "list-single");
        assert!(words.contains(&"en".to_owned()) && words.contains(&"gsw".to_owned()), "{words:?}");
        let both = vec!["Beavers".to_owned(), "Otters".to_owned()];
        assert_eq!(offered("pubsub#roster_groups_allowed"), ("list-multi", both));
        assert_eq!(Config::default().with_form(&form).unwrap(), config);
    }

    #[test]
    fn options_are_met_by_what_means_the_same() {
        let config = Config::private(MOST_ITEMS);
        let wanted = options(&[
            ("pubsub#access_model", "whitelist"),
            ("pubsub#persist_items", "true"),
            ("pubsub#max_items", "max"),
        ]);
        config.meets(&wanted).unwrap();
        for wrong in [("pubsub#access_model", "open"), ("pubsub#max_items", "7"), ("pubsub#colour", "red")] {
            assert_eq!(config.meets(&options(&[wrong])).unwrap_err().condition, StanzaCondition::Conflict);
        }
    }

    #[test]
    fn values_that_nothing_has_are_not_acceptable() {
        for (var, value) in [
            ("pubsub#access_model", "secret"),
            ("pubsub#max_items", "1001"),
            ("pubsub#max_items", "-1"),
            ("pubsub#persist_items", "perhaps"),
            ("pubsub#publish_model", ""),
        ] {
            let error = Config::default().set(var, &[value.to_owned()]).unwrap_err();
            assert_eq!(error.condition, StanzaCondition::NotAcceptable, "{var}");
        }
    }
}
