//! Ad-hoc commands (XEP-0050) with data forms (XEP-0004): what is common to all of them.
//!
//! A command runs at once or asks for one form first. Between the form and its answer there is a session; sessions are
//! few, short and bound to the resource that began them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jid::DomainRef;
use minidom::Element;
use parking_lot::Mutex;
use stanza::{ErrorType, FullJid, Jid, StanzaCondition, StanzaError};
use xmpp_parsers::ns;

use super::{Answer, Handler, Place, Request};
use crate::post::disk_error;
use crate::session::Session;
use crate::sessions::new_id;
use crate::users::{Roles, UserError, Users};
use crate::xml::{With, el, text};

/// The namespace, and the node under which commands are listed.
pub const COMMANDS: &str = "http://jabber.org/protocol/commands";

/// One command.
#[async_trait]
pub trait Command: Send + Sync {
    /// Names it on the wire.
    fn node(&self) -> &'static str;

    /// Names it to people.
    fn name(&self) -> &'static str;

    /// Who may run it, and so see it.
    fn permits(&self, roles: Roles) -> bool;

    /// What must be filled in first, if anything.
    fn form(&self) -> Option<Element>;

    /// Runs it.
    async fn run(&self, call: Call<'_>) -> Result<Done, StanzaError>;
}

/// A command that is run.
pub struct Call<'a> {
    /// By whom.
    pub by: &'a Session,
    /// On whose behalf: a domain of this server.
    pub domain: &'a DomainRef,
    /// What was filled in.
    pub fields: Fields,
}

/// What a command has done.
#[derive(Default)]
pub struct Done {
    /// Words for a person.
    pub notes: Vec<Note>,
    /// A form of type `result`, and what belongs to it.
    pub payload: Vec<Element>,
}

/// Words for a person.
pub struct Note {
    /// Whether something did not go as wished.
    pub fault: bool,
    /// The words.
    pub text: String,
}

impl Done {
    /// It went well.
    pub fn well(text: impl Into<String>) -> Self {
        Self { notes: vec![Note { fault: false, text: text.into() }], payload: Vec::new() }
    }

    /// It found something.
    pub fn found(payload: Vec<Element>) -> Self {
        Self { notes: Vec::new(), payload }
    }
}

/// A form that was filled in.
#[derive(Default)]
pub struct Fields(BTreeMap<String, Vec<String>>);

impl Fields {
    fn read(form: &Element) -> Self {
        let value = |value: &Element| value.is("value", ns::DATA_FORMS).then(|| value.text());
        let fields = form.children().filter(|child| child.is("field", ns::DATA_FORMS));
        Self(
            fields
                .filter_map(|field| {
                    Some((field.attr("var")?.to_owned(), field.children().filter_map(value).collect()))
                })
                .collect(),
        )
    }

    /// All values of a field, trimmed, without empty ones.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let values = self.0.get(name).into_iter().flatten();
        values.map(|value| value.trim()).filter(|value| !value.is_empty()).collect()
    }

    /// Lines of text, as they are.
    pub fn lines(&self, name: &str) -> String {
        self.0.get(name).map(|lines| lines.join("\n")).unwrap_or_default()
    }

    /// The first value of a field as it is, if it is not empty: passwords may end with a space.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.first().map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Commands that wait for their form at once; one more ends the oldest.
const MOST: usize = 256;
/// How long a form may be filled in.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A command that waits for its form.
struct Open {
    node: &'static str,
    by: FullJid,
    since: Instant,
}

/// All commands that wait for their forms, by session id.
#[derive(Default)]
struct Waiting(HashMap<Box<str>, Open>);

impl Waiting {
    fn begin(&mut self, node: &'static str, by: FullJid, now: Instant) -> Box<str> {
        self.0.retain(|_, open| now.duration_since(open.since) < PATIENCE);
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, open)| open.since).map(|(id, _)| id.clone());
            oldest.map(|id| self.0.remove(&id));
        }
        let id = new_id();
        self.0.insert(id.clone(), Open { node, by, since: now });
        id
    }

    /// Whether a session id is that of this command and this resource.
    fn check(&self, id: &str, node: &str, by: &FullJid, now: Instant) -> Result<(), StanzaError> {
        match self.0.get(id) {
            Some(open) if open.node != node || open.by != *by => Err(bad("bad-sessionid")),
            Some(open) if now.duration_since(open.since) < PATIENCE => Ok(()),
            _ => Err(StanzaError {
                type_: ErrorType::Cancel,
                application: Some(Element::bare("session-expired", COMMANDS)),
                ..StanzaError::new(StanzaCondition::NotAllowed, "This took too long; begin anew.")
            }),
        }
    }

    fn end(&mut self, id: &str) {
        self.0.remove(id);
    }
}

/// Serves `http://jabber.org/protocol/commands`, at the domain and at each account for its own owner.
pub struct AdHoc {
    commands: Vec<Arc<dyn Command>>,
    users: Users,
    waiting: Mutex<Waiting>,
}

/// What a client wants to happen with a command (XEP-0050 §3.3).
#[derive(PartialEq, Eq)]
enum Action {
    Execute,
    Submit,
    Cancel,
}

impl AdHoc {
    /// With these commands.
    pub fn new(users: Users, commands: Vec<Arc<dyn Command>>) -> Self {
        Self { commands, users, waiting: Mutex::default() }
    }

    /// The commands that an account may run, in order.
    pub async fn visible(&self, session: &Session) -> Result<Vec<&Arc<dyn Command>>, StanzaError> {
        let role = self.roles(session).await?;
        Ok(self.commands.iter().filter(|command| command.permits(role)).collect())
    }

    /// One command, if the account may run it.
    pub async fn command(&self, node: &str, session: &Session) -> Result<&Arc<dyn Command>, StanzaError> {
        let command = self.commands.iter().find(|command| command.node() == node);
        let command = command
            .ok_or_else(|| StanzaError::new(StanzaCondition::ItemNotFound, "There is no such command."))?;
        match command.permits(self.roles(session).await?) {
            true => Ok(command),
            false => Err(StanzaError::new(StanzaCondition::Forbidden, "This is for administrators.")),
        }
    }

    async fn roles(&self, session: &Session) -> Result<Roles, StanzaError> {
        match self.users.find(&session.user.jid).await {
            Ok(account) => Ok(account.map(|account| account.roles).unwrap_or_default()),
            Err(UserError::Vault(error)) => Err(disk_error(&error)),
            Err(_) => Err(StanzaCondition::InternalServerError.into()),
        }
    }

    async fn serve(&self, request: &Request<'_>) -> Answer {
        let payload = &request.payload;
        let node = payload.attr("node").unwrap_or_default();
        let command = self.command(node, request.session).await?;
        let id = payload.attr("sessionid");
        let form = payload.get_child("x", ns::DATA_FORMS);
        let action = match payload.attr("action") {
            None | Some("execute") if id.is_none() => Action::Execute,
            None | Some("execute" | "next" | "complete") => Action::Submit,
            Some("cancel") => Action::Cancel,
            Some("prev") => return Err(bad("bad-action")),
            Some(_) => return Err(bad("malformed-action")),
        };
        if let Some(id) = id {
            self.waiting.lock().check(id, command.node(), &request.session.jid, Instant::now())?;
        }
        let is_cancelled =
            action == Action::Cancel || form.is_some_and(|form| form.attr("type") == Some("cancel"));
        match (id, command.form()) {
            (Some(id), _) if is_cancelled => {
                self.waiting.lock().end(id);
                Ok(Some(answer(command.node(), id, "canceled").build()))
            }
            (None, _) if action != Action::Execute => Err(bad("bad-sessionid")),
            // A client that knows the form may send it at once.
            (None, Some(_)) if form.is_some() => {
                let done = self.run(command, request, form).await?;
                Ok(Some(completed(command.node(), &new_id(), done)))
            }
            (None, Some(form)) => {
                let by = request.session.jid.clone();
                let id = self.waiting.lock().begin(command.node(), by, Instant::now());
                let actions = el("actions", COMMANDS)
                    .with("execute", "complete")
                    .append(el("complete", COMMANDS).build());
                let asked = answer(command.node(), &id, "executing").append(actions.build()).append(form);
                Ok(Some(asked.build()))
            }
            (None, None) => {
                let done = self.run(command, request, None).await?;
                Ok(Some(completed(command.node(), &new_id(), done)))
            }
            (Some(id), _) => {
                let Some(form) = form else { return Err(bad("bad-payload")) };
                // After an error the form can be corrected and sent again.
                let done = self.run(command, request, Some(form)).await?;
                self.waiting.lock().end(id);
                Ok(Some(completed(command.node(), id, done)))
            }
        }
    }

    async fn run(
        &self,
        command: &Arc<dyn Command>,
        request: &Request<'_>,
        form: Option<&Element>,
    ) -> Result<Done, StanzaError> {
        let fields = form.map(Fields::read).unwrap_or_default();
        let domain = match request.place {
            Place::Host => request.to.domain(),
            _ => request.user.jid.domain(),
        };
        command.run(Call { by: request.session, domain, fields }).await
    }

    /// The list of commands, as `disco#items` of the node [`COMMANDS`] (XEP-0050 §2.2).
    pub async fn items(&self, at: &Jid, session: &Session) -> Result<Vec<Element>, StanzaError> {
        let item = |command: &Arc<dyn Command>| {
            el("item", ns::DISCO_ITEMS)
                .with("jid", at.as_str())
                .with("node", command.node())
                .with("name", command.name())
                .build()
        };
        Ok(self.visible(session).await?.into_iter().map(item).collect())
    }

    /// What `disco#info` says about a node of commands; `None` when it is none (XEP-0050 §2.3).
    pub async fn info(&self, node: &str, session: &Session) -> Result<Option<Vec<Element>>, StanzaError> {
        let identity = |type_: &str, name: &str| {
            el("identity", ns::DISCO_INFO)
                .with("category", "automation")
                .with("type", type_)
                .with("name", name)
                .build()
        };
        let feature = |var: &str| el("feature", ns::DISCO_INFO).with("var", var).build();
        if node == COMMANDS {
            return Ok(Some(vec![identity("command-list", "Commands"), feature(COMMANDS)]));
        }
        if self.commands.iter().all(|command| command.node() != node) {
            return Ok(None);
        }
        let command = self.command(node, session).await?;
        Ok(Some(vec![identity("command-node", command.name()), feature(COMMANDS), feature(ns::DATA_FORMS)]))
    }
}

#[async_trait]
impl Handler for AdHoc {
    fn serves(&self) -> &'static [(&'static str, &'static str, &'static [Place])] {
        &[("command", COMMANDS, &[Place::Host, Place::Own])]
    }

    async fn handle(&self, request: Request<'_>) -> Answer {
        if !request.set {
            return Err(bad("malformed-action"));
        }
        self.serve(&request).await
    }
}

fn answer(node: &str, id: &str, status: &str) -> minidom::ElementBuilder {
    el("command", COMMANDS).with("node", node).with("sessionid", id).with("status", status)
}

fn completed(node: &str, id: &str, done: Done) -> Element {
    let notes = done.notes.into_iter().map(|note| {
        let mut element = text("note", COMMANDS, note.text);
        let type_ = if note.fault { "error" } else { "info" };
        element.set_attr(rxml::Namespace::NONE, rxml::xml_ncname!("type").to_owned(), type_);
        element
    });
    answer(node, id, "completed").append_all(notes).append_all(done.payload).build()
}

/// A `bad-request` with a condition of XEP-0050 §4.4.
fn bad(condition: &str) -> StanzaError {
    StanzaError {
        application: Some(Element::bare(condition, COMMANDS)),
        ..StanzaError::from(StanzaCondition::BadRequest)
    }
}

/// A form to be filled in.
pub fn form(title: &str, instructions: &str, form_type: &str, fields: Vec<Element>) -> Element {
    el("x", ns::DATA_FORMS)
        .with("type", "form")
        .append(text("title", ns::DATA_FORMS, title))
        .append(text("instructions", ns::DATA_FORMS, instructions))
        .append(hidden_type(form_type))
        .append_all(fields)
        .build()
}

/// A form that says something.
pub fn result(form_type: &str, fields: Vec<Element>) -> Element {
    el("x", ns::DATA_FORMS).with("type", "result").append(hidden_type(form_type)).append_all(fields).build()
}

fn hidden_type(form_type: &str) -> Element {
    el("field", ns::DATA_FORMS)
        .with("type", "hidden")
        .with("var", "FORM_TYPE")
        .append(text("value", ns::DATA_FORMS, form_type))
        .build()
}

/// A field to be filled in.
pub fn field(type_: &str, var: &str, label: &str, required: bool) -> Element {
    el("field", ns::DATA_FORMS)
        .with("type", type_)
        .with("var", var)
        .with("label", label)
        .append_all(required.then(|| el("required", ns::DATA_FORMS).build()))
        .build()
}

/// A field with values.
pub fn values<T: Into<String>>(type_: &str, var: &str, values: impl IntoIterator<Item = T>) -> Element {
    el("field", ns::DATA_FORMS)
        .with("type", type_)
        .with("var", var)
        .append_all(values.into_iter().map(|value| text("value", ns::DATA_FORMS, value)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somebody() -> FullJid {
        FullJid::new("nurse@corp.example/console").unwrap()
    }

    #[test]
    fn a_form_can_be_sent_in_for_a_while_and_not_later() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        let id = waiting.begin("node", somebody(), begun);
        let at = |seconds| waiting.check(&id, "node", &somebody(), begun + Duration::from_secs(seconds));
        assert!(at(29 * 60).is_ok());
        assert_eq!(at(31 * 60).unwrap_err().condition, StanzaCondition::NotAllowed);
    }

    #[test]
    fn many_unfinished_commands_push_out_the_oldest_alone() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        let mut ids = Vec::new();
        for number in 0..=MOST as u64 {
            ids.push(waiting.begin("node", somebody(), begun + Duration::from_millis(number)));
        }
        assert_eq!(waiting.0.len(), MOST);
        assert!(waiting.check(&ids[0], "node", &somebody(), begun).is_err());
        assert!(waiting.check(&ids[1], "node", &somebody(), begun + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn forgotten_commands_make_room() {
        let (mut waiting, begun) = (Waiting::default(), Instant::now());
        waiting.begin("node", somebody(), begun);
        waiting.begin("node", somebody(), begun + PATIENCE);
        assert_eq!(waiting.0.len(), 1);
    }
}
