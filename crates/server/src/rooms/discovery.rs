//! What a room tells of itself (XEP-0045 §6.4 to §6.7).

use minidom::Element;
use stanza::{StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::catalogue::{answer_to, page};
use super::company::HATS;
use super::form::Form;
use super::room::{Room, Visitor};
use super::settings::MOST_HISTORY;
use super::standing::{Affiliation, Voice};
use crate::fates::MODERATE;
use crate::xml::{With, el};

/// A message keeps its id when it comes back (XEP-0045 §6.4).
const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// The room answers self-pings (XEP-0410 §4).
const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// The node that tells somebody their reserved nick (XEP-0045 §7.12).
const OWN_NICK: &str = "x-roomuser-item";
/// The node of the form for a voice (XEP-0045 §15.5).
const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";

/// What an answer to `disco#info` holds.
pub fn info(node: Option<&str>, name: &str, features: &[&str], form: Option<Element>) -> Element {
    let identity = el("identity", ns::DISCO_INFO)
        .with("category", "conference")
        .with("type", "text")
        .with("name", name)
        .build();
    let feature = |var: &&str| el("feature", ns::DISCO_INFO).with("var", *var).build();
    el("query", ns::DISCO_INFO)
        .with("node", node)
        .append(identity)
        .append_all(features.iter().map(feature))
        .append_all(form)
        .build()
}

impl Room {
    pub(super) fn info(&self, who: &Visitor, query: &Element) -> Result<Option<Element>, StanzaError> {
        match query.attr("node").filter(|node| !node.is_empty()) {
            None => {}
            Some(OWN_NICK) => return Ok(Some(self.own_nick(who))),
            Some(_) => return Err(StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node.")),
        }
        let settings = &self.durable.settings;
        let either = |one: bool, yes: &'static str, no: &'static str| if one { yes } else { no };
        let features = [
            ns::DISCO_INFO,
            ns::DISCO_ITEMS,
            ns::MUC,
            STABLE_ID,
            SELF_PING,
            ns::OID,
            ns::PING,
            ns::REGISTER,
            ns::VCARD,
            ns::RSM,
            ns::MAM,
            MODERATE,
            HATS,
            "urn:xmpp:mam:2#extended",
            "urn:xmpp:sid:0",
            "http://jabber.org/protocol/muc#request",
            either(settings.public, "muc_public", "muc_hidden"),
            either(settings.persistent, "muc_persistent", "muc_temporary"),
            either(settings.members_only, "muc_membersonly", "muc_open"),
            either(settings.voice() != Voice::Everyone, "muc_moderated", "muc_unmoderated"),
            either(settings.open_names, "muc_nonanonymous", "muc_semianonymous"),
            either(settings.password.is_some(), "muc_passwordprotected", "muc_unsecured"),
        ];
        Ok(Some(info(None, self.name(), &features, Some(self.room_info()))))
    }

    /// Its name, or its address' first part.
    pub(super) fn name(&self) -> &str {
        match self.durable.settings.name.as_str() {
            "" => self.jid.node().map(|node| node.as_str()).unwrap_or_default(),
            name => name,
        }
    }

    /// XEP-0045 §15.5.4.
    fn room_info(&self) -> Element {
        let settings = &self.durable.settings;
        let subject = self.subject().text("subject").unwrap_or_default();
        let bit = |bit: bool| [if bit { "1" } else { "0" }];
        let mut form = Form::new("result", ROOM_INFO)
            .field("text-single", "muc#roominfo_description", "What it is about", [&settings.description])
            .field("text-single", "muc#roominfo_subject", "What is talked about", [subject])
            .field(
                "boolean",
                "muc#roominfo_subjectmod",
                "The subject may be changed by participants",
                bit(settings.everyone_names_subject),
            )
            .field("text-single", "muc#roominfo_occupants", "Who is in", [self.occupants.len().to_string()])
            .field("text-single", "muc#maxhistoryfetch", "Messages at hand", [MOST_HISTORY.to_string()])
            .field(
                "boolean",
                "muc#roomconfig_changesubject",
                "Participants may change the subject",
                bit(settings.everyone_names_subject),
            )
            .field(
                "boolean",
                "{http://prosody.im/protocol/muc}roomconfig_allowmemberinvites",
                "Members may invite",
                bit(settings.everyone_invites),
            );
        if !settings.language.is_empty() {
            form = form.field("text-single", "muc#roominfo_lang", "The language", [&settings.language]);
        }
        if !settings.pubsub.is_empty() {
            form = form.field("text-single", "muc#roominfo_pubsub", "Its node", [&settings.pubsub]);
        }
        if !settings.contacts.is_empty() {
            form = form.field("jid-multi", "muc#roominfo_contactjid", "Whom to ask", &settings.contacts);
        }
        if let Some(avatar) = &self.durable.avatar {
            form = form.field("text-single", "muc#roominfo_avatarhash", "Its picture", [avatar]);
        }
        form.build()
    }

    /// XEP-0045 §6.5: those inside see who is in; others only where anybody may come in.
    pub(super) fn items(&self, who: &Visitor, query: &Element) -> Result<Option<Element>, StanzaError> {
        if query.attr("node").is_some_and(|node| !node.is_empty()) {
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, "There is no such node."));
        }
        let bare = who.jid.to_bare();
        let settings = &self.durable.settings;
        let affiliation = self.affiliation(&bare);
        let is_open = settings.public && !settings.members_only && settings.password.is_none();
        let may_see = self.occupants.of(&who.jid).is_some()
            || affiliation >= Affiliation::Member
            || is_open && affiliation != Affiliation::Outcast;
        let items = self.occupants.iter().filter(|one| may_see && self.is_shown(one.role));
        let items = items.map(|one| {
            let item = el("item", ns::DISCO_ITEMS).with("jid", one.address.as_str()).with("name", &*one.nick);
            (one.address.as_str().to_owned(), item.build())
        });
        page(answer_to(query), query, items.collect()).map(Some)
    }

    /// XEP-0045 §7.12.
    fn own_nick(&self, who: &Visitor) -> Element {
        let entry = self.durable.entries.get(&who.jid.to_bare());
        let nick = entry.and_then(|entry| entry.nick.as_deref());
        let identity = nick.map(|nick| {
            el("identity", ns::DISCO_INFO)
                .with("category", "conference")
                .with("type", "text")
                .with("name", nick)
                .build()
        });
        el("query", ns::DISCO_INFO).with("node", OWN_NICK).append_all(identity).build()
    }
}
