//! Occupants who outlive a restart: whose session can be resumed (XEP-0198 §5) finds itself in its rooms again.
//!
//! An orderly stop writes down who is still in, sealed, in rooms that stay; the next start takes it up once the sessions
//! are there. All others hear that the room is shutting down (XEP-0045 §7.14, code 332), and clients come back by
//! themselves.

use std::sync::Arc;

use archive::Ledger;
use serde::{Deserialize, Serialize};
use stanza::{FullJid, Jid, Kind, Stanza};
use tokio::sync::mpsc;
use vault::{Expect, Record, Vault, VaultError, Write};

use super::effect::{Failure, Out, event};
use super::occupants::{Note, Occupant, Seat, status};
use super::room::{Room, Visitor};
use super::standing::{Affiliation, Role};
use super::task::Task;
use super::{Mail, Rooms};
use crate::router::Router;
use crate::service::{Reader, Sheet};
use crate::session::Session;
use crate::xml::el;

/// Who was in a room when the server stopped. Parent: the service's domain; key: the room's address.
#[derive(Serialize, Deserialize)]
pub struct Inside {
    seats: Vec<Kept>,
}

impl Record for Inside {
    const KIND: u16 = crate::kinds::ROOM_INSIDE;
}

/// One resource that was in.
#[derive(Clone, Serialize, Deserialize)]
pub struct Kept {
    jid: String,
    nick: String,
    role: Role,
    /// What its presence said of its own.
    said: String,
}

/// One resource that was in, with its session if that is there again.
pub type Returned = (Kept, Option<Arc<Session>>);

/// The server stops.
const SHUTDOWN: u16 = 332;

impl Rooms {
    /// Writes down who is still in. Nothing may be said any more.
    pub async fn keep(&self) {
        self.tell_all(Mail::Keep).await;
    }

    /// Lets those in again who were in when the server stopped, once their sessions are there.
    ///
    /// # Errors
    /// When the vault cannot be read or written.
    pub async fn restore(&self, router: &Router) -> Result<(), VaultError> {
        let office = &self.0;
        let (vault, domain) = (&office.means.vault, office.domain.as_str());
        let kept = vault.list::<Inside>(domain).await?;
        if kept.is_empty() {
            return Ok(());
        }
        let gone = kept.iter().map(|(room, _)| Write::delete::<Inside>(domain, room, Expect::Any));
        vault.apply(gone.collect()).await?;
        let (done, mut all) = mpsc::channel(1);
        for (room, inside) in kept {
            let Ok(room) = stanza::BareJid::new(&room) else { continue };
            let find = |kept: &Kept| router.session(&FullJid::new(&kept.jid).ok()?);
            let seats = inside.value.seats.into_iter().map(|kept| (find(&kept), kept));
            let seats = seats.map(|(session, kept)| (kept, session)).collect();
            office.hand_over(room, Mail::Restore(seats, done.clone())).await;
        }
        drop(done);
        let _ = all.recv().await;
        Ok(())
    }
}

/// Writes down who is in a room.
pub(super) async fn store(vault: &Vault, room: &Room) -> Result<(), VaultError> {
    let seats = room.kept();
    if seats.is_empty() {
        return Ok(());
    }
    let write = Write::put(room.jid.domain().as_str(), room.jid.as_str(), &Inside { seats }, Expect::Any)?;
    vault.apply(vec![write]).await.map(drop)
}

impl Task {
    pub(super) async fn restore(&mut self, returned: Vec<Returned>) {
        for (kept, session) in &returned {
            let (Ok(jid), Some(session)) = (FullJid::new(&kept.jid), session) else { continue };
            let who = Visitor { jid, reader: Reader::Session(Arc::clone(session)) };
            if let Err(error) = self.look_up(&who, true).await {
                tracing::warn!(condition = %error.condition, "what an occupant is could not be looked up");
            }
        }
        if let Err(error) = self.recall().await {
            tracing::warn!(condition = %error.condition, "what was said in a room could not be read");
        }
        let mut out = Out::default();
        if let Some(room) = &mut self.room {
            room.let_in_again(returned, &mut out);
        }
        self.finish(out, None).await;
    }
}

impl Room {
    /// Those who can come back with their sessions.
    fn kept(&self) -> Vec<Kept> {
        let keep = |one: &Occupant, seat: &Seat| {
            let mut said = Vec::new();
            one.said.write(&mut said, Some(stanza::ns::CLIENT));
            let said = String::from_utf8(said).ok()?;
            let (jid, nick) = (seat.jid.to_string(), one.nick.to_string());
            self.may_return(seat).then_some(Kept { jid, nick, role: one.role, said })
        };
        self.occupants
            .iter()
            .flat_map(|one| one.seats.iter().filter_map(move |seat| keep(one, seat)))
            .collect()
    }

    fn may_return(&self, seat: &Seat) -> bool {
        self.is_stored()
            && match &seat.reader {
                Reader::Session(session) => session.resumption().is_some(),
                Reader::Outside(_) => false,
            }
    }

    /// The server stops: who cannot come back with their session goes, and knows by the code that they may come in anew
    /// (XEP-0045 §7.14).
    pub fn close(&mut self, out: &mut Out) {
        let mut leaving = Vec::new();
        for one in self.occupants.iter() {
            let seats: Vec<Seat> = one.seats.iter().filter(|seat| !self.may_return(seat)).cloned().collect();
            if !seats.is_empty() {
                let to_others = seats.len() == one.seats.len() && self.is_shown(one.role);
                let (role, affiliation) = (Role::None, Affiliation::None);
                leaving.push((Occupant { role, affiliation, seats, ..one.clone() }, to_others));
            }
        }
        if leaving.is_empty() {
            return;
        }
        leaving.iter().flat_map(|(one, _)| &one.seats).for_each(|seat| self.occupants.stand(&seat.jid));
        let said = Stanza::new(Kind::Presence).typed("unavailable");
        let note = Note { codes: vec![SHUTDOWN], ..Note::default() };
        let told = |(one, to_others): &(Occupant, bool)| self.announce(one, &said, &note, *to_others, None);
        let sheets: Vec<Sheet> = leaving.iter().flat_map(told).collect();
        let x = el("x", super::iq::USER).append(status(SHUTDOWN)).build();
        let record = Stanza::new(Kind::Message).sent_by(self.jid.clone());
        let Ok(record) = record.with_payload([&x]) else { return };
        let tell =
            sheets.iter().map(|sheet| Sheet::new(sheet.stanza.clone(), sheet.readers.clone())).collect();
        let event = event(&self.jid, self.jid.clone(), &record, Ledger::Happenings, Vec::new());
        out.happen(sheets, event, Failure { tell, ..Failure::default() });
        self.end_if_empty();
    }

    /// Each is in as before, which is an event. The others hear of those who did not come back.
    fn let_in_again(&mut self, returned: Vec<Returned>, out: &mut Out) {
        let mut lost = Vec::new();
        for (kept, session) in returned {
            let Some(one) = self.occupant_of(&kept, session.as_ref()) else { continue };
            let Some(session) = session else {
                lost.push(one);
                continue;
            };
            let seat = one.seats.first().cloned();
            let Some((address, seat)) = seat.map(|seat| (one.address.clone(), seat)) else { continue };
            session.set_directed(&address, true);
            let (nick, jid) = (one.nick.clone(), seat.jid.clone());
            match self.occupants.named(&nick).is_some() {
                true => self.occupants.sit(&nick, seat),
                false => self.occupants.put(one),
            }
            let Some(one) = self.occupants.named(&nick) else { continue };
            let event = event(&self.jid, jid.clone(), &one.shown[1], Ledger::Happenings, Vec::new());
            out.happen(Vec::new(), event, Failure { joined: Some(jid), ..Failure::default() });
        }
        let said = Stanza::new(Kind::Presence).typed("unavailable");
        for one in lost.into_iter().filter(|one| self.occupants.named(&one.nick).is_none()) {
            let gone = Occupant { role: Role::None, seats: Vec::new(), ..one };
            out.send(self.announce(&gone, &said, &Note::default(), true, None));
        }
    }

    fn occupant_of(&self, kept: &Kept, session: Option<&Arc<Session>>) -> Option<Occupant> {
        let jid = FullJid::new(&kept.jid).ok()?;
        let said = Stanza::parse(kept.said.as_bytes()).ok()?;
        let bare = jid.to_bare();
        let affiliation = self.affiliation(&bare);
        if affiliation == Affiliation::Outcast {
            return None;
        }
        let reader = match session {
            Some(session) => Reader::Session(Arc::clone(session)),
            None => Reader::Outside(Jid::from(jid.clone())),
        };
        Some(Occupant {
            address: self.at(&kept.nick).ok()?,
            nick: kept.nick.as_str().into(),
            affiliation,
            role: kept.role,
            seats: vec![Seat { jid, reader }],
            id: self.occupant_id(&bare),
            hats: self.hats.get(&bare).cloned(),
            bare,
            shown: [said.clone(), said.clone()],
            said,
        })
    }
}
