//! The commands of XEP-0133 by name, and the forms that they ask for.

use minidom::Element;
use xmpp_parsers::ns;

use super::Group;
use crate::iq::adhoc::{field, form};
use crate::xml::{With, el, text};

/// The `FORM_TYPE`, and before a `#` the start of every node.
pub const ADMIN: &str = "http://jabber.org/protocol/admin";

macro_rules! node {
    ($name:literal) => {
        concat!("http://jabber.org/protocol/admin#", $name)
    };
}

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    AddUser,
    DeleteUsers,
    DisableUsers,
    EnableUsers,
    EndSessions,
    ChangePassword,
    Roster,
    LastLogin,
    Statistics,
    Count(Group),
    List(Group),
    Announce,
}

impl Task {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 20] = [
        Self::AddUser,
        Self::DeleteUsers,
        Self::DisableUsers,
        Self::EnableUsers,
        Self::EndSessions,
        Self::ChangePassword,
        Self::Roster,
        Self::LastLogin,
        Self::Statistics,
        Self::Count(Group::Registered),
        Self::Count(Group::Disabled),
        Self::Count(Group::Online),
        Self::Count(Group::Active),
        Self::Count(Group::Idle),
        Self::List(Group::Registered),
        Self::List(Group::Disabled),
        Self::List(Group::Online),
        Self::List(Group::Active),
        Self::List(Group::Idle),
        Self::Announce,
    ];

    pub fn node(self) -> &'static str {
        match self {
            Self::AddUser => node!("add-user"),
            Self::DeleteUsers => node!("delete-user"),
            Self::DisableUsers => node!("disable-user"),
            Self::EnableUsers => node!("reenable-user"),
            Self::EndSessions => node!("end-user-session"),
            Self::ChangePassword => node!("change-user-password"),
            Self::Roster => node!("get-user-roster"),
            Self::LastLogin => node!("get-user-lastlogin"),
            Self::Statistics => node!("user-stats"),
            Self::Count(Group::Registered) => node!("get-registered-users-num"),
            Self::Count(Group::Disabled) => node!("get-disabled-users-num"),
            Self::Count(Group::Online) => node!("get-online-users-num"),
            Self::Count(Group::Active) => node!("get-active-users-num"),
            Self::Count(Group::Idle) => node!("get-idle-users-num"),
            Self::List(Group::Registered) => node!("get-registered-users-list"),
            Self::List(Group::Disabled) => node!("get-disabled-users-list"),
            Self::List(Group::Online) => node!("get-online-users-list"),
            Self::List(Group::Active) => node!("get-active-users"),
            Self::List(Group::Idle) => node!("get-idle-users"),
            Self::Announce => node!("announce"),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::AddUser => "Add an account",
            Self::DeleteUsers => "Remove accounts",
            Self::DisableUsers => "Disable accounts",
            Self::EnableUsers => "Enable accounts",
            Self::EndSessions => "End sessions",
            Self::ChangePassword => "Change a password",
            Self::Roster => "Show a contact list",
            Self::LastLogin => "When was somebody here?",
            Self::Statistics => "Numbers of an account",
            Self::Count(Group::Registered) => "How many accounts are there?",
            Self::Count(Group::Disabled) => "How many accounts are disabled?",
            Self::Count(Group::Online) => "How many people are online?",
            Self::Count(Group::Active) => "How many people are active?",
            Self::Count(Group::Idle) => "How many people are idle?",
            Self::List(Group::Registered) => "List accounts",
            Self::List(Group::Disabled) => "List disabled accounts",
            Self::List(Group::Online) => "List people online",
            Self::List(Group::Active) => "List active people",
            Self::List(Group::Idle) => "List idle people",
            Self::Announce => "Announce something to everybody online",
        }
    }

    /// What must be filled in; `None` where there is nothing to ask.
    pub fn form(self) -> Option<Element> {
        let account = || field("jid-single", "accountjid", "The account", true);
        let accounts = || field("jid-multi", "accountjids", "The accounts", true);
        let password = |label| field("text-private", "password", label, true);
        let again = || field("text-private", "password-verify", "The password again", true);
        let fields = match self {
            Self::AddUser => vec![
                account(),
                password("A password"),
                again(),
                field("text-single", "given_name", "Given name", false),
                field("text-single", "surname", "Family name", false),
            ],
            Self::DeleteUsers | Self::DisableUsers | Self::EnableUsers | Self::EndSessions => {
                vec![accounts()]
            }
            Self::ChangePassword => vec![account(), password("The new password")],
            Self::Roster | Self::LastLogin | Self::Statistics => vec![account()],
            Self::Count(_) => return None,
            Self::List(_) => vec![most()],
            Self::Announce => vec![
                field("text-single", "subject", "Subject", false),
                field("text-multi", "announcement", "The announcement", true),
            ],
        };
        Some(form(self.name(), "Fill this in.", ADMIN, fields))
    }
}

/// How many to list.
fn most() -> Element {
    let option = |value: &str| {
        el("option", ns::DATA_FORMS).with("label", value).append(text("value", ns::DATA_FORMS, value)).build()
    };
    el("field", ns::DATA_FORMS)
        .with("type", "list-single")
        .with("var", "max_items")
        .with("label", "How many to show at most")
        .append(text("value", ns::DATA_FORMS, "none"))
        .append_all(["25", "50", "100", "200", "none"].map(option))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_node_and_a_name_of_its_own() {
        let mut nodes: Vec<_> = Task::ALL.iter().map(|task| task.node()).collect();
        let mut names: Vec<_> = Task::ALL.iter().map(|task| task.name()).collect();
        for all in [&mut nodes, &mut names] {
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), Task::ALL.len());
        }
        assert!(nodes.iter().all(|node| node.starts_with(ADMIN)));
    }
}
