//! Subscriptions between accounts (RFC 6121 §3): each step is stored on both sides, then told.

use std::sync::Arc;

use stanza::{BareJid, Jid, Stanza};
use vault::VaultError;

use super::{Change, Presence, plain, unavailable_from};
use crate::people::User;
use crate::roster::subscription;
use crate::router::presence_parcel;
use crate::session::Session;

impl Presence {
    /// A client asks for, grants, ends or refuses a subscription (RFC 6121 §3).
    pub(super) async fn change(
        &self,
        session: &Arc<Session>,
        contact: BareJid,
        change: Change,
        mut stanza: Stanza,
    ) -> Result<(), VaultError> {
        let user = &session.user;
        let to: Jid = contact.clone().into();
        if user.blocks(&to) && change == Change::Subscribe {
            self.router.bounce(&stanza, policy::Reason::SenderBlocks.error());
            return Ok(());
        }
        stanza.from = Some(user.jid.clone().into());
        stanza.to = Some(to);
        let sent = self.step(user, &contact, |state| {
            let sent = subscription::send(state, change);
            (sent, sent.state)
        });
        let sent = sent.await?;
        if sent.route {
            self.arrive(&contact, &user.jid, change, stanza).await?;
        }
        if sent.show {
            self.show_all(user, &contact);
            self.greet(user, &contact).await;
        }
        if sent.hide {
            self.hide_all(user, &contact);
        }
        Ok(())
    }

    /// A subscription stanza reaches a contact of this server; its answers go back the same way.
    pub(super) async fn arrive(
        &self,
        to: &BareJid,
        from: &BareJid,
        change: Change,
        stanza: Stanza,
    ) -> Result<(), VaultError> {
        if !self.router.serves(to.domain().as_str()) {
            self.depart(change, stanza);
            return Ok(());
        }
        let Some(user) = self.people.load(to).await? else {
            if change == Change::Subscribe {
                let reply = plain(Change::Unsubscribed, to, from);
                return Box::pin(self.arrive(from, to, Change::Unsubscribed, reply)).await;
            }
            return Ok(());
        };
        if user.blocks(&from.clone().into()) {
            return Ok(());
        }
        let expected = change == Change::Subscribe && self.brings_token(&user, &stanza).await?;
        let mut request = Vec::new();
        stanza.write(&mut request, Some(stanza::ns::CLIENT));
        let request = String::from_utf8(request).ok();
        let received = self
            .step_with(&user, from, |contact| {
                contact.state.approved |= expected;
                let received = subscription::receive(contact.state, change);
                contact.state = received.state;
                contact.request =
                    received.state.pending.then(|| contact.request.clone().or(request.clone())).flatten();
                received
            })
            .await?;
        if received.deliver {
            user.each_session(|session| {
                if session.priority().is_some() {
                    session.outbox.push(presence_parcel(&stanza, &to.clone().into(), "".into()));
                }
            });
        }
        if let Some(reply) = received.reply {
            Box::pin(self.arrive(from, to, reply, plain(reply, to, from))).await?;
        }
        if received.show {
            self.show_all(&user, from);
            self.greet(&user, from).await;
        }
        if received.hide {
            self.hide_all(&user, from);
        }
        if expected {
            self.answer_token(&user, from).await?;
        }
        Ok(())
    }

    pub(super) async fn step<T: Copy>(
        &self,
        user: &User,
        contact: &BareJid,
        change: impl Fn(subscription::State) -> (T, subscription::State),
    ) -> Result<T, VaultError> {
        self.step_with(user, contact, |contact| {
            let (result, state) = change(contact.state);
            contact.state = state;
            if !state.pending {
                contact.request = None;
            }
            // Whatever an account says to a contact puts the contact into its roster.
            contact.listed |= state.to || state.from || state.asked || state.approved;
            result
        })
        .await
    }

    /// Changes a contact and pushes it where the roster shows a difference.
    pub(super) async fn step_with<T>(
        &self,
        user: &User,
        contact: &BareJid,
        change: impl Fn(&mut crate::roster::Contact) -> T,
    ) -> Result<T, VaultError> {
        let was = user.roster(|roster| roster.contact(contact).map(|found| found.value.item(contact)));
        let (result, changed) = self
            .people
            .change_contact(user, contact, |contact| {
                let result = change(contact);
                contact.listed |= contact.state.to || contact.state.from;
                result
            })
            .await?;
        let now = user.roster(|roster| {
            roster.contact(contact).map(|found| (found.value.listed, found.value.item(contact)))
        });
        if changed && now.is_some_and(|(listed, now)| listed && was.as_ref() != Some(&now)) {
            user.push_contact(contact);
        }
        Ok(result)
    }

    /// The contact gets the last items of what the account publishes (XEP-0163 §4.2).
    pub(super) async fn greet(&self, user: &User, contact: &BareJid) {
        let Some(contact) = self.people.loaded(contact) else { return };
        for session in contact.sessions() {
            self.pubsub.greet_by(&session, vec![user.jid.clone()], None).await;
        }
    }

    /// The contact begins to see every available resource.
    pub(super) fn show_all(&self, user: &User, contact: &BareJid) {
        for session in user.sessions() {
            if let Some(presence) = session.presence() {
                self.show(&session, &presence, contact);
            }
        }
    }

    /// The contact ceases to see every available resource.
    pub(super) fn hide_all(&self, user: &User, contact: &BareJid) {
        for session in user.sessions() {
            if session.priority().is_some() {
                self.show(&session, &unavailable_from(session.jid.clone().into()), contact);
            }
        }
    }

    /// A contact leaves the roster: both subscriptions end (RFC 6121 §2.5.2).
    pub async fn part(
        &self,
        user: &Arc<User>,
        contact: &BareJid,
        before: subscription::State,
    ) -> Result<(), VaultError> {
        if before.from || before.pending {
            self.arrive(
                contact,
                &user.jid,
                Change::Unsubscribed,
                plain(Change::Unsubscribed, &user.jid, contact),
            )
            .await?;
        }
        if before.to || before.asked {
            self.arrive(
                contact,
                &user.jid,
                Change::Unsubscribe,
                plain(Change::Unsubscribe, &user.jid, contact),
            )
            .await?;
        }
        if before.from {
            self.hide_all(user, contact);
        }
        Ok(())
    }
}
