//! The owner's form (XEP-0045 §10.2 and §15.5.3): settings to fields and back.

use std::collections::BTreeSet;

use minidom::Element;
use stanza::{BareJid, Jid, StanzaCondition, StanzaError};

use super::form::{Filled, Form, wrong};
use super::room::Durable;
use super::settings::{MOST_HISTORY, Private, Settings};
use super::standing::{Affiliation, Role};

/// A field of our own: XEP-0045 has moderated rooms, whose members all have a voice.
const ANNOUNCEMENTS: &str = "{urn:chancery:rooms:0}announcements";

/// `FORM_TYPE`.
pub const CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";

/// Characters of a name or a description.
const MOST_NAME: usize = 1_000;
const MOST_WORDS: usize = 10_000;

/// The form with what holds now.
pub fn form(durable: &Durable) -> Element {
    let settings = &durable.settings;
    let of = |wanted: Affiliation| {
        let entries = durable.entries.iter().filter(move |(_, entry)| entry.affiliation == wanted);
        entries.map(|(jid, _)| jid.to_string()).collect::<Vec<_>>()
    };
    let roles = [("moderator", "Moderators"), ("participant", "Participants"), ("visitor", "Visitors")];
    let names = |roles: &BTreeSet<Role>| roles.iter().map(|role| role.name()).collect::<Vec<_>>();
    let most = settings.most.map_or_else(|| "none".to_owned(), |most| most.to_string());
    let mut sizes: Vec<&str> = vec!["10", "20", "30", "50", "100", "500", "1000"];
    if most != "none" && !sizes.contains(&most.as_str()) {
        sizes.push(&most);
    }
    let sizes: Vec<(&str, &str)> =
        sizes.into_iter().map(|size| (size, size)).chain([("none", "As many as come")]).collect();
    Form::new("form", CONFIG)
        .titled("How this room is")
        .field("text-single", "muc#roomconfig_roomname", "Name", [&settings.name])
        .field("text-single", "muc#roomconfig_roomdesc", "What it is about", [&settings.description])
        .field("text-single", "muc#roomconfig_lang", "Language", [&settings.language])
        .switch("muc#roomconfig_persistentroom", "It stays when the last one leaves", settings.persistent)
        .switch("muc#roomconfig_publicroom", "It is in the list of rooms", settings.public)
        .switch("muc#roomconfig_passwordprotectedroom", "A password is needed", settings.password.is_some())
        .field("text-private", "muc#roomconfig_roomsecret", "The password", settings.password.as_ref())
        .switch("muc#roomconfig_membersonly", "Only members come in", settings.members_only)
        .switch("muc#roomconfig_moderatedroom", "Only who is given a voice speaks", settings.moderated)
        .switch(ANNOUNCEMENTS, "Only admins speak: a room for announcements", settings.announcements)
        .choice(
            "list-single",
            "muc#roomconfig_whois",
            "Who sees real addresses",
            [if settings.open_names { "anyone" } else { "moderators" }],
            &[("moderators", "Moderators"), ("anyone", "Everybody")],
        )
        .switch(
            "muc#roomconfig_changesubject",
            "Participants may change the subject",
            settings.everyone_names_subject,
        )
        .switch("muc#roomconfig_allowinvites", "Everybody inside may invite", settings.everyone_invites)
        .choice(
            "list-single",
            "muc#roomconfig_allowpm",
            "Who may send private messages",
            [settings.private_messages.name()],
            &[
                ("anyone", "Everybody"),
                ("participants", "Who has a voice"),
                ("moderators", "Moderators"),
                ("none", "Nobody"),
            ],
        )
        .choice("list-single", "muc#roomconfig_maxusers", "How many may be in at once", [&most], &sizes)
        .choice(
            "list-multi",
            "muc#roomconfig_presencebroadcast",
            "Whose presence others see",
            names(&settings.shown),
            &roles,
        )
        .choice(
            "list-multi",
            "muc#roomconfig_getmemberlist",
            "Who may read the list of members",
            names(&settings.lists_for),
            &roles,
        )
        .field("jid-multi", "muc#roomconfig_roomadmins", "Admins", of(Affiliation::Admin))
        .field("jid-multi", "muc#roomconfig_roomowners", "Owners", of(Affiliation::Owner))
        .switch("muc#roomconfig_enablelogging", "It is archived, as everything here is", true)
        .field(
            "text-single",
            "muc#maxhistoryfetch",
            "Messages that newcomers get",
            [settings.history.to_string()],
        )
        .field("text-single", "muc#roomconfig_pubsub", "A node that belongs to it", [&settings.pubsub])
        .switch("muc#roomconfig_allowvoicerequests", "Visitors may ask for a voice", settings.voice_requests)
        .field("jid-multi", "muc#roominfo_contactjid", "Whom to ask about it", &settings.contacts)
        .build()
}

/// What an owner has decided.
pub struct Decision {
    /// The settings, whole.
    pub settings: Settings,
    /// The admins, if they said.
    pub admins: Option<Vec<BareJid>>,
    /// The owners, if they said.
    pub owners: Option<Vec<BareJid>>,
}

/// Reads the form. What it leaves out stays as it is.
///
/// # Errors
/// `not-acceptable` with the field that has a value that it cannot have.
pub fn read(filled: &Filled, now: &Settings) -> Result<Decision, StanzaError> {
    let mut settings = now.clone();
    let words = |var, most: usize, into: &mut String| -> Result<(), StanzaError> {
        if let Some(words) = filled.one(var) {
            if words.chars().count() > most {
                return Err(wrong(var));
            }
            *into = words.trim().to_owned();
        }
        Ok(())
    };
    words("muc#roomconfig_roomname", MOST_NAME, &mut settings.name)?;
    words("muc#roomconfig_roomdesc", MOST_WORDS, &mut settings.description)?;
    words("muc#roomconfig_lang", 100, &mut settings.language)?;
    words("muc#roomconfig_pubsub", MOST_NAME, &mut settings.pubsub)?;
    let switch = |var, into: &mut bool| -> Result<(), StanzaError> {
        *into = filled.switch(var)?.unwrap_or(*into);
        Ok(())
    };
    switch("muc#roomconfig_persistentroom", &mut settings.persistent)?;
    switch("muc#roomconfig_publicroom", &mut settings.public)?;
    switch("muc#roomconfig_membersonly", &mut settings.members_only)?;
    switch("muc#roomconfig_moderatedroom", &mut settings.moderated)?;
    switch(ANNOUNCEMENTS, &mut settings.announcements)?;
    switch("muc#roomconfig_changesubject", &mut settings.everyone_names_subject)?;
    switch("muc#roomconfig_allowinvites", &mut settings.everyone_invites)?;
    switch("muc#roomconfig_allowvoicerequests", &mut settings.voice_requests)?;
    match filled.one("muc#roomconfig_whois") {
        None => {}
        Some("anyone") => settings.open_names = true,
        Some("moderators") => settings.open_names = false,
        Some(_) => return Err(wrong("muc#roomconfig_whois")),
    }
    if let Some(name) = filled.one("muc#roomconfig_allowpm") {
        settings.private_messages = Private::of(name).ok_or_else(|| wrong("muc#roomconfig_allowpm"))?;
    }
    match filled.one("muc#roomconfig_maxusers") {
        None => {}
        Some("none" | "" | "0") => settings.most = None,
        Some(number) => {
            let number = number.trim().parse().map_err(|_| wrong("muc#roomconfig_maxusers"))?;
            settings.most = Some(number);
        }
    }
    let history = filled.one("muc#maxhistoryfetch").or(filled.one("muc#roomconfig_historylength"));
    if let Some(number) = history.filter(|number| !number.is_empty()) {
        let number: u32 = number.trim().parse().map_err(|_| wrong("muc#maxhistoryfetch"))?;
        settings.history = number.min(MOST_HISTORY);
    }
    for (var, into) in [
        ("muc#roomconfig_presencebroadcast", &mut settings.shown),
        ("muc#roomconfig_getmemberlist", &mut settings.lists_for),
    ] {
        if let Some(names) = filled.all(var) {
            let roles = names.into_iter().map(|name| Role::of(name).filter(|role| *role != Role::None));
            *into = roles.collect::<Option<_>>().ok_or_else(|| wrong(var))?;
        }
    }
    secret(filled, &mut settings)?;
    if let Some(contacts) = addresses(filled, "muc#roominfo_contactjid")? {
        settings.contacts = contacts.iter().map(ToString::to_string).collect();
    }
    Ok(Decision {
        settings,
        admins: addresses(filled, "muc#roomconfig_roomadmins")?,
        owners: addresses(filled, "muc#roomconfig_roomowners")?,
    })
}

fn secret(filled: &Filled, settings: &mut Settings) -> Result<(), StanzaError> {
    let secret = filled.one("muc#roomconfig_roomsecret");
    match filled.switch("muc#roomconfig_passwordprotectedroom")? {
        Some(false) => settings.password = None,
        Some(true) => {
            let secret = secret.map(str::to_owned).or_else(|| settings.password.clone());
            let secret = secret.filter(|secret| !secret.is_empty());
            let words = "A room with a password needs one.";
            settings.password =
                Some(secret.ok_or_else(|| StanzaError::new(StanzaCondition::NotAcceptable, words))?);
        }
        None => {
            if let (Some(secret), true) = (secret, settings.password.is_some()) {
                settings.password = Some(secret.to_owned()).filter(|secret| !secret.is_empty());
            }
        }
    }
    Ok(())
}

fn addresses(filled: &Filled, var: &str) -> Result<Option<Vec<BareJid>>, StanzaError> {
    let Some(values) = filled.all(var) else { return Ok(None) };
    let jids = values.into_iter().map(|value| Jid::new(value).map(Jid::into_bare));
    jids.collect::<Result<_, _>>().map(Some).map_err(|_| wrong(var))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn durable(settings: Settings) -> Durable {
        Durable { created: 0, settings, subject: None, avatar: None, entries: Default::default() }
    }

    #[test]
    fn a_form_that_comes_back_as_it_was_changes_nothing() {
        for settings in [
            Settings::default(),
            Settings {
                name: "Plotting".into(),
                password: Some("owl".into()),
                most: Some(7),
                open_names: true,
                private_messages: Private::None,
                shown: BTreeSet::from([Role::Moderator]),
                history: 3,
                contacts: vec!["a@b".into()],
                ..Settings::default()
            },
        ] {
            let filled = Filled::read(&form(&durable(settings.clone())), CONFIG).unwrap();
            assert_eq!(read(&filled, &Settings::default()).unwrap().settings, settings);
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_by_its_field() {
        for (var, value) in [
            ("muc#roomconfig_whois", "nobody"),
            ("muc#roomconfig_maxusers", "many"),
            ("muc#roomconfig_membersonly", "perhaps"),
            ("muc#roomconfig_roomowners", "@"),
            ("muc#roomconfig_passwordprotectedroom", "1"),
            ("muc#roomconfig_presencebroadcast", "none"),
        ] {
            let form = Form::new("submit", CONFIG).field("text-single", var, "", [value]).build();
            let filled = Filled::read(&form, CONFIG).unwrap();
            let error = read(&filled, &Settings::default()).err().unwrap();
            assert_eq!(error.condition, StanzaCondition::NotAcceptable, "{var}");
        }
    }
}
