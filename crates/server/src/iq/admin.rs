//! Service administration (XEP-0133): accounts, sessions, who is here, announcements.
//!
//! Left out: reading passwords, which nobody can here; the message of the day and lists of blocked servers, which
//! nothing else uses yet; stopping the server, which is the operating system's business.

mod forms;

use std::sync::Arc;

use archive::{Act, Deed};
use async_trait::async_trait;
use jid::DomainRef;
use minidom::Element;
use stanza::{BareJid, Jid, Kind, Stanza, StanzaCondition, StanzaError};
use vault::VaultError;
use xmpp_parsers::ns;

use super::adhoc::{Call, Command, Done, Fields, Note, result, values};
use super::bad_request;
use crate::accounts::Accounts;
use crate::clock;
use crate::people::LastSeen;
use crate::post::{Post, disk_error};
use crate::router::Router;
use crate::session::Session;
use crate::users::{Account, NewAccount, Role, Roles, UserError};
use crate::xml::{el, text};
use forms::{ADMIN, Task};

/// What the commands work on.
pub struct Admin {
    /// Accounts and sessions.
    pub accounts: Accounts,
    /// Announcements go this way, so that they are archived like everything else.
    pub post: Post,
    /// Knows the domains.
    pub router: Router,
}

/// One command of XEP-0133.
struct Order {
    task: Task,
    admin: Arc<Admin>,
}

/// All commands.
pub fn commands(admin: Admin) -> Vec<Arc<dyn Command>> {
    let admin = Arc::new(admin);
    let order = |task| Arc::new(Order { task, admin: admin.clone() }) as Arc<dyn Command>;
    Task::ALL.into_iter().map(order).collect()
}

#[async_trait]
impl Command for Order {
    fn node(&self) -> &'static str {
        self.task.node()
    }

    fn name(&self) -> &'static str {
        self.task.name()
    }

    fn permits(&self, roles: Roles) -> bool {
        roles.has(Role::Admin)
    }

    fn form(&self) -> Option<Element> {
        self.task.form()
    }

    async fn run(&self, call: Call<'_>) -> Result<Done, StanzaError> {
        let admin = &self.admin;
        match self.task {
            Task::AddUser => admin.add(&call).await,
            Task::DeleteUsers => admin.each(&call, Each::Delete).await,
            Task::DisableUsers => admin.each(&call, Each::Disable).await,
            Task::EnableUsers => admin.each(&call, Each::Enable).await,
            Task::EndSessions => admin.end_sessions(&call).await,
            Task::ChangePassword => admin.change_password(&call).await,
            Task::Roster => admin.roster(&call).await,
            Task::LastLogin => admin.last_login(&call).await,
            Task::Statistics => admin.statistics(&call).await,
            Task::Count(group) => {
                let found = admin.group(group, call.domain).await?;
                let count = values("text-single", &group.count_field(), [found.len().to_string()]);
                Ok(Done::found(vec![result(ADMIN, vec![count])]))
            }
            Task::List(group) => {
                let mut found = admin.group(group, call.domain).await?;
                found.truncate(
                    call.fields.one("max_items").and_then(|max| max.parse().ok()).unwrap_or(usize::MAX),
                );
                let list = values("jid-multi", &group.list_field(), found);
                Ok(Done::found(vec![result(ADMIN, vec![list])]))
            }
            Task::Announce => admin.announce(&call).await,
        }
    }
}

/// Whom a command counts or lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Everybody who has an account.
    Registered,
    /// Those who may not sign in.
    Disabled,
    /// Those with an available resource.
    Online,
    /// Online, and at one of their devices as far as those say.
    Active,
    /// Online, but at none of their devices.
    Idle,
}

impl Group {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Disabled => "disabled",
            Self::Online => "online",
            Self::Active => "active",
            Self::Idle => "idle",
        }
    }

    fn count_field(self) -> String {
        format!("{}usersnum", self.name())
    }

    fn list_field(self) -> String {
        format!("{}userjids", self.name())
    }
}

/// What is done to several accounts in turn.
#[derive(Clone, Copy)]
enum Each {
    Delete,
    Disable,
    Enable,
}

impl Admin {
    /// XEP-0133 §4.1.
    async fn add(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let jid = self.account(call)?;
        let password = new_password(&call.fields)?;
        let name: Vec<&str> =
            ["given_name", "surname"].into_iter().filter_map(|field| call.fields.one(field)).collect();
        let new =
            NewAccount { name: (!name.is_empty()).then(|| name.join(" ")), ..NewAccount::new(password) };
        self.accounts.users.create(&jid, new).await.map_err(|error| refusal(&error))?;
        Ok(Done::well(format!("{jid} can sign in now.")))
    }

    /// XEP-0133 §4.2 to §4.4.
    async fn each(&self, call: &Call<'_>, what: Each) -> Result<Done, StanzaError> {
        let jids = self.listed(&call.fields)?;
        let mut done = Done::default();
        for jid in jids {
            let jid = jid.into_bare();
            let accounts = &self.accounts;
            let result = match what {
                Each::Delete | Each::Disable if jid == call.by.user.jid => {
                    let text = "You cannot shut yourself out.".to_owned();
                    done.notes.push(Note { fault: true, text });
                    continue;
                }
                Each::Delete => accounts.remove(&jid).await.map(|()| "is removed"),
                Each::Disable => accounts.set_disabled(&jid, true).await.map(|_| "cannot sign in any more"),
                Each::Enable => accounts.set_disabled(&jid, false).await.map(|_| "can sign in again"),
            };
            done.notes.push(match result {
                Ok(words) => Note { fault: false, text: format!("{jid} {words}.") },
                Err(UserError::Vault(error)) => return Err(disk_error(&error)),
                Err(error) => Note { fault: true, text: format!("{jid}: {error}.") },
            });
        }
        Ok(done)
    }

    /// XEP-0133 §4.5: all sessions of an account, or that of one resource.
    async fn end_sessions(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let mut ended = 0;
        for jid in self.listed(&call.fields)? {
            let full = match jid.try_as_full() {
                Err(_) => {
                    ended += self.accounts.sign_out(&jid.into_bare()).await;
                    continue;
                }
                Ok(full) => full,
            };
            if let Some(session) = self.router.session(full) {
                self.accounts.end(&session).await;
                ended += 1;
            }
        }
        Ok(Done::well(format!("{ended} sessions ended.")))
    }

    /// XEP-0133 §4.7.
    async fn change_password(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let jid = self.account(call)?;
        let password = new_password(&call.fields)?;
        self.must_take_over(call, &jid).await?;
        self.accounts.users.set_password(&jid, password).await.map_err(|error| refusal(&error))?;
        // Whoever came in by the old password is out; the administrator goes on.
        if jid != call.by.user.jid {
            self.accounts.sign_out(&jid).await;
        }
        Ok(Done::well(format!("{jid} has a new password.")))
    }

    /// Refuses to set the password of who oversees others: whoever could would have their rights. What is done to somebody
    /// else is on the audit chain first.
    async fn must_take_over(&self, call: &Call<'_>, jid: &BareJid) -> Result<(), StanzaError> {
        let by = &call.by.user.jid;
        if jid == by {
            return Ok(());
        }
        let roles = |account: Option<Arc<Account>>| account.map(|account| account.roles).unwrap_or_default();
        let own = roles(self.accounts.users.find(by).await.map_err(|error| refusal(&error))?);
        let theirs = roles(self.accounts.users.find(jid).await.map_err(|error| refusal(&error))?);
        if !own.may_take_over(theirs) {
            let words = "This account oversees others, so only an officer may set its password.";
            return Err(StanzaError::new(StanzaCondition::Forbidden, words));
        }
        let details = serde_json::json!({ "of": jid.as_str(), "password": "set" });
        let act = Act::new(by.clone(), Deed::Account, details);
        match self.accounts.trail.audit(act).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::error!(%error, "an act could not be put on record");
                let words = "This cannot be put on record just now, so it was not done.";
                Err(StanzaError::new(StanzaCondition::InternalServerError, words))
            }
        }
    }

    /// XEP-0133 §4.8.
    async fn roster(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let user = self.user(call).await?;
        let items: Vec<_> = user.roster(|roster| roster.listed().map(|(jid, c)| c.item(jid)).collect());
        let jid = values("jid-multi", "accountjids", [user.jid.to_string()]);
        let query = el("query", ns::ROSTER).append_all(items).build();
        Ok(Done::found(vec![result(ADMIN, vec![jid]), query]))
    }

    /// XEP-0133 §4.9; the time at which the account was last seen, which is now for those who are here.
    async fn last_login(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let user = self.user(call).await?;
        let seen = match user.sessions().is_empty() {
            false => Some(clock::seconds()),
            true => {
                let seen = self.accounts.vault.get::<LastSeen>("", user.jid.as_str()).await;
                seen.map_err(|error| disk_error(&error))?.map(|seen| seen.value.at)
            }
        };
        let seen =
            seen.and_then(|at| i64::try_from(at).ok()).map(|at| clock::stamp(at.saturating_mul(1_000_000)));
        Ok(Done::found(vec![result(
            ADMIN,
            vec![
                values("jid-single", "accountjid", [user.jid.to_string()]),
                values("text-single", "lastlogin", [seen.unwrap_or_else(|| "never".to_owned())]),
            ],
        )]))
    }

    /// XEP-0133 §4.10, as far as it is known.
    async fn statistics(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let user = self.user(call).await?;
        let contacts = user.roster(|roster| roster.listed().count());
        let resources = user.sessions();
        let resources = resources.iter().map(|session| session.jid.resource().as_str().to_owned());
        Ok(Done::found(vec![result(
            ADMIN,
            vec![
                values("jid-single", "accountjid", [user.jid.to_string()]),
                values("text-single", "rostersize", [contacts.to_string()]),
                values("text-multi", "onlineresources", resources),
            ],
        )]))
    }

    /// XEP-0133 §4.23: to everybody on the domain who is online.
    async fn announce(&self, call: &Call<'_>) -> Result<Done, StanzaError> {
        let body = call.fields.lines("announcement");
        if body.trim().is_empty() {
            return Err(bad_request("The announcement is empty."));
        }
        let mut payload = vec![text("body", stanza::ns::CLIENT, body)];
        if let Some(subject) = call.fields.one("subject") {
            payload.insert(0, text("subject", stanza::ns::CLIENT, subject));
        }
        let host = Jid::from(BareJid::from_parts(None, call.domain));
        let message = Stanza::new(Kind::Message).typed("headline").sent_by(host);
        let message =
            message.with_payload(&payload).map_err(|_| StanzaError::from(StanzaCondition::BadRequest))?;
        let online = self.group(Group::Online, call.domain).await?;
        let count = online.len();
        for jid in online {
            let Ok(jid) = BareJid::new(&jid) else { continue };
            self.post.originate(message.clone().with_id(crate::sessions::new_id()).addressed(jid)).await;
        }
        Ok(Done::well(format!("Sent to {count} people.")))
    }

    /// The addresses of a group, sorted.
    async fn group(&self, group: Group, domain: &DomainRef) -> Result<Vec<String>, StanzaError> {
        let mut found: Vec<String> = match group {
            Group::Registered | Group::Disabled => {
                let accounts = self.accounts.users.list(domain).await.map_err(|error| refusal(&error))?;
                let wanted = |account: &&Account| group == Group::Registered || account.disabled;
                accounts
                    .iter()
                    .filter(wanted)
                    .map(|account| format!("{}@{domain}", account.localpart))
                    .collect()
            }
            Group::Online | Group::Active | Group::Idle => {
                let here =
                    self.accounts.people.everyone().into_iter().filter(|user| user.jid.domain() == domain);
                here.filter(|user| {
                    let mut sessions = user.sessions();
                    sessions.retain(|session| session.priority().is_some());
                    let active = sessions.iter().any(|session| is_active(session));
                    match group {
                        Group::Active => active,
                        Group::Idle => !sessions.is_empty() && !active,
                        _ => !sessions.is_empty(),
                    }
                })
                .map(|user| user.jid.to_string())
                .collect()
            }
        };
        found.sort_unstable();
        Ok(found)
    }

    /// The field `accountjid`, an account of this server.
    fn account(&self, call: &Call<'_>) -> Result<BareJid, StanzaError> {
        let jid = call.fields.one("accountjid").ok_or_else(|| bad_request("Say which account."))?;
        self.ours(jid.trim()).map(Jid::into_bare)
    }

    async fn user(&self, call: &Call<'_>) -> Result<Arc<crate::people::User>, StanzaError> {
        let jid = self.account(call)?;
        let user = self.accounts.people.load(&jid).await.map_err(|error| disk_error(&error))?;
        user.ok_or_else(|| refusal(&UserError::Unknown))
    }

    /// The field `accountjids`.
    fn listed(&self, fields: &Fields) -> Result<Vec<Jid>, StanzaError> {
        let jids = fields.all("accountjids");
        if jids.is_empty() {
            return Err(bad_request("Say which accounts."));
        }
        jids.into_iter().map(|jid| self.ours(jid)).collect()
    }

    /// An address with a local part on a domain of this server.
    fn ours(&self, jid: &str) -> Result<Jid, StanzaError> {
        let jid = Jid::new(jid).map_err(|_| StanzaError::from(StanzaCondition::JidMalformed))?;
        if jid.node().is_none() || !self.router.serves(jid.domain().as_str()) {
            let words = format!("{jid} is no account of this server.");
            return Err(StanzaError::new(StanzaCondition::ItemNotFound, words));
        }
        Ok(jid)
    }
}

/// Whether somebody seems to sit at a device: it is connected, not put away (XEP-0352), and its presence says neither
/// `away` nor `xa`.
fn is_active(session: &Session) -> bool {
    let away = session
        .presence()
        .and_then(|presence| presence.text("show"))
        .is_some_and(|show| matches!(show.trim(), "away" | "xa"));
    session.outbox.is_attached() && !session.outbox.is_inactive() && !away
}

fn new_password(fields: &Fields) -> Result<&str, StanzaError> {
    let password = fields.one("password").ok_or_else(|| bad_request("The password is empty."))?;
    if fields.one("password-verify").is_some_and(|again| again != password) {
        return Err(bad_request("The two passwords differ."));
    }
    Ok(password)
}

fn refusal(error: &UserError) -> StanzaError {
    match error {
        UserError::Exists => StanzaError::new(StanzaCondition::Conflict, error.to_string()),
        UserError::Unknown => StanzaError::new(StanzaCondition::ItemNotFound, error.to_string()),
        UserError::Vault(error) => disk_error(error),
        UserError::ShuttingDown => disk_error(&VaultError::Store(vault::StoreError::Closed)),
        _ => StanzaError::new(StanzaCondition::NotAcceptable, error.to_string()),
    }
}
