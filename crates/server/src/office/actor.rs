//! Who asks.

use jid::{BareJid, Jid};

use super::access::{Right, Rights};
use super::refusal::Refusal;
use crate::users::{Role, Roles};

/// Somebody who proved who they are. Only authentication makes one.
#[derive(Clone, Debug)]
pub struct Actor {
    who: BareJid,
    roles: Roles,
    /// Roles that sleep until the person signs in with a second factor.
    asleep: Roles,
    door: Door,
}

/// How somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    /// Signed in with a password; the name of the session.
    Session(String),
    /// With a token for programs.
    Token {
        /// Its name.
        id: String,
        /// What it may be used for at most.
        scopes: Rights,
    },
    /// With a password at the machine's own console, for one command.
    Command,
    /// At the machine's own console, as nobody but the account of the system.
    Console {
        /// The name of the system's account.
        account: String,
    },
}

impl Actor {
    pub(super) fn person(who: BareJid, roles: Roles, asleep: Roles, door: Door) -> Self {
        Self { who, roles, asleep, door }
    }

    /// Whoever sits at the machine runs the server, and is nobody otherwise. Reading the operating system's word for who
    /// that is is the caller's business.
    pub(super) fn operator(domain: BareJid, account: &str) -> Self {
        let roles = [Role::Admin, Role::KeyCustodian].into_iter().collect();
        let account: String = account.chars().filter(|c| !c.is_control()).take(64).collect();
        Self { who: domain, roles, asleep: Roles::USER, door: Door::Console { account } }
    }

    /// Whose account it is; the server's domain for an operator at the console.
    pub fn who(&self) -> &BareJid {
        &self.who
    }

    /// The roles that they have now.
    pub fn roles(&self) -> Roles {
        self.roles
    }

    /// The roles that a second factor would wake.
    pub fn asleep(&self) -> Roles {
        self.asleep
    }

    /// How they came in.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Whether this is a person with an account here, not the console.
    pub fn is_person(&self) -> bool {
        !matches!(self.door, Door::Console { .. })
    }

    /// How the audit chain names them.
    pub fn jid(&self) -> Jid {
        match &self.door {
            Door::Console { account } => {
                let full = jid::ResourcePart::new(account).map(|name| self.who.with_resource(&name));
                full.map_or_else(|_| self.who.clone().into(), Into::into)
            }
            _ => self.who.clone().into(),
        }
    }

    /// All that they may do.
    pub fn rights(&self) -> Rights {
        let rights = self.roles.rights();
        match &self.door {
            Door::Token { scopes, .. } => rights.and(*scopes),
            _ => rights,
        }
    }

    /// Whether they have a right.
    pub fn may(&self, right: Right) -> bool {
        self.rights().has(right)
    }

    /// Refuses unless they have a right.
    ///
    /// # Errors
    /// What they lack: the role, the scope or the second factor.
    pub fn must(&self, right: Right) -> Result<(), Refusal> {
        if self.may(right) {
            return Ok(());
        }
        if !self.roles.may(right) && self.asleep.may(right) {
            return Err(Refusal::SecondFactorWanted);
        }
        match (&self.door, self.roles.may(right)) {
            (Door::Token { .. }, true) => Err(Refusal::Scope(right)),
            (Door::Console { .. }, _) => Err(Refusal::Operator(right)),
            _ => Err(Refusal::Right(right)),
        }
    }

    /// Refuses a token: what is asked for needs the person.
    ///
    /// # Errors
    /// [`Refusal::InPerson`].
    pub fn must_be_present(&self) -> Result<(), Refusal> {
        match self.door {
            Door::Session(_) | Door::Command => Ok(()),
            Door::Token { .. } | Door::Console { .. } => Err(Refusal::InPerson),
        }
    }
}
