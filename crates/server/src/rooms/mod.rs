//! Conferences (XEP-0045).
//!
//! [`Rooms`] is the service: it finds the room that a stanza is for and hands it over. Each room that is in use is one
//! [task](task) with a bounded mailbox, around one [state machine](room) without I/O. What a room decides goes through
//! [`Post::circulate`](crate::post::Post::circulate) in the order of its decisions, so all occupants see one order and
//! nobody sees what is not archived.

mod admin;
mod asks;
mod card;
mod catalogue;
pub mod company;
mod discovery;
mod effect;
mod enter;
mod form;
mod iq;
mod lobby;
mod mediate;
mod occupants;
mod owner;
mod owner_form;
mod past;
mod questions;
pub mod record;
mod register;
mod retract;
mod room;
mod search;
mod settings;
mod speak;
mod standing;
pub mod stay;
mod task;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use stanza::{BareJid, DomainPart, Jid, StanzaError};
use tokio::sync::{Semaphore, mpsc};
use vault::{Vault, VaultError};

use self::catalogue::Catalogue;
use self::company::Company;
use self::settings::Settings;
use self::task::Task;
use crate::config::{self, RoomMakers};
use crate::history::History;
use crate::iq::vcard::VCardDesk;
use crate::post::Post;
use crate::service::{Circular, Incoming, Reader, Service};
use crate::users::{Role, Users};

/// See the module.
#[derive(Clone)]
pub struct Rooms(Arc<Office>);

/// What rooms are made with.
pub struct Means {
    /// Where everything leaves.
    pub post: Post,
    /// What was said.
    pub history: History,
    /// People's cards.
    pub cards: Arc<VCardDesk>,
    /// What is kept of rooms.
    pub vault: Vault,
    /// Who is an administrator.
    pub users: Users,
    /// What the operator decided.
    pub rules: config::Rooms,
    /// The rooms that the company has.
    pub company: Company,
}

/// What all rooms share.
struct Office {
    domain: DomainPart,
    means: Means,
    /// Questions to archives and records that are answered at once, and those that may wait for that.
    answering: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    catalogue: Catalogue,
    mailboxes: DashMap<BareJid, mpsc::Sender<Mail>>,
}

/// What a room's task gets.
enum Mail {
    /// A stanza for the room.
    Stanza(Box<Incoming>),
    /// An account is gone: so is its tie to the room. The sender is dropped when that is submitted.
    Forget(BareJid, mpsc::Sender<()>),
    /// The server stops: whoever cannot come back is sent out. The sender is dropped when that is done.
    Close(mpsc::Sender<()>),
    /// The server has stopped: those who can come back are written down. The sender is dropped when that is done.
    Keep(mpsc::Sender<()>),
    /// The server has started: these were in. The sender is dropped when they are again.
    Restore(Vec<stay::Returned>, mpsc::Sender<()>),
}

/// Stanzas that may wait for one room before their senders do.
const MAILBOX: usize = 256;
/// Questions whose answers are read from the disk: so many at once, and so many more in line.
const ANSWERING: usize = 8;
const WAITING: usize = 10_000;

impl Rooms {
    /// The service at `domain`, with the rooms that stay.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn open(domain: &DomainPart, means: Means) -> Result<Self, VaultError> {
        let catalogue = Catalogue::default();
        for (room, settings) in record::all(&means.vault, domain.as_str()).await? {
            catalogue.set(&room, &settings, 0);
        }
        let mailboxes = DashMap::new();
        Ok(Self(Arc::new(Office {
            domain: domain.clone(),
            means,
            answering: Arc::new(Semaphore::new(ANSWERING)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            catalogue,
            mailboxes,
        })))
    }

    /// Takes a removed account off the lists of every room, so that another of its name inherits nothing.
    ///
    /// # Errors
    /// When the vault cannot be read.
    pub async fn forget(&self, account: &BareJid) -> Result<(), VaultError> {
        let office = &self.0;
        let mut rooms: BTreeSet<BareJid> = office.mailboxes.iter().map(|one| one.key().clone()).collect();
        rooms.extend(record::ties(&office.means.vault, office.domain.as_str(), account).await?);
        let (done, mut all) = mpsc::channel(1);
        for room in rooms {
            office.hand_over(room, Mail::Forget(account.clone(), done.clone())).await;
        }
        drop(done);
        let _ = all.recv().await;
        Ok(())
    }

    /// Sends out of every room who cannot come back with their session, because the server stops (XEP-0045 §7.14, code
    /// 332).
    pub async fn close(&self) {
        self.tell_all(Mail::Close).await;
    }

    /// Gives mail to every room in use, and waits until all have done what it says.
    async fn tell_all(&self, mail: impl Fn(mpsc::Sender<()>) -> Mail) {
        let (done, mut all) = mpsc::channel(1);
        let mailboxes: Vec<_> = self.0.mailboxes.iter().map(|mailbox| mailbox.clone()).collect();
        for mailbox in mailboxes {
            let _ = mailbox.send(mail(done.clone())).await;
        }
        drop(done);
        let _ = all.recv().await;
    }
}

impl Office {
    /// Hands mail to its room, whose task begins if it is not there.
    async fn hand_over(self: &Arc<Self>, room: BareJid, mut mail: Mail) {
        loop {
            let mailbox = match self.mailboxes.entry(room.clone()) {
                Entry::Occupied(there) => there.get().clone(),
                Entry::Vacant(vacant) => {
                    let (mailbox, letters) = mpsc::channel(MAILBOX);
                    tokio::spawn(Task::new(Arc::clone(self), room.clone(), letters).run());
                    vacant.insert(mailbox).clone()
                }
            };
            match mailbox.send(mail).await {
                Ok(()) => return,
                // The task has just ended; the next one serves.
                Err(back) => mail = back.0,
            }
            self.mailboxes.remove_if(&room, |_, known| known.same_channel(&mailbox));
        }
    }

    /// Whether an account may make a room.
    async fn may_create(&self, account: &BareJid) -> bool {
        match self.means.rules.create {
            RoomMakers::Everyone => true,
            RoomMakers::Admins => {
                let account = self.means.users.find(account).await;
                account.ok().flatten().is_some_and(|account| account.roles.has(Role::Admin))
            }
        }
    }

    /// How a new room is until its owner says otherwise.
    fn new_settings(&self) -> Settings {
        let config::Rooms { members_only_by_default, persistent_by_default, .. } = self.means.rules;
        Settings {
            members_only: members_only_by_default,
            persistent: persistent_by_default,
            ..Settings::default()
        }
    }

    /// Sends one answer.
    async fn answer(&self, circular: Circular) {
        // Answers say nothing that the policy could object to.
        let _: Result<(), StanzaError> = self.means.post.circulate(circular, None).await;
    }
}

#[async_trait]
impl Service for Rooms {
    fn identity(&self) -> (&'static str, &'static str, &'static str) {
        ("conference", "text", "Rooms")
    }

    async fn receive(&self, incoming: Incoming) {
        match incoming.stanza.to.as_ref().map(Jid::to_bare) {
            Some(room) if room.node().is_some() => {
                self.0.hand_over(room, Mail::Stanza(Box::new(incoming))).await
            }
            _ => self.0.at_the_door(incoming).await,
        }
    }
}

/// Where the sender of a stanza reads.
fn reader(incoming: &Incoming) -> Option<Reader> {
    match &incoming.sender {
        Some(session) => Some(Reader::Session(session.clone())),
        None => incoming.stanza.from.clone().map(Reader::Outside),
    }
}
