//! Presence and subscriptions between accounts here and addresses elsewhere: the other half of RFC 6121 §3 and §4, which
//! the other side's server keeps.

use std::sync::Arc;

use stanza::{BareJid, Jid, Stanza, StanzaCondition};
use vault::VaultError;

use super::{Change, Presence, plain, unavailable_from};
use crate::post::{disk_error, unreachable_now};
use crate::session::Session;

impl Presence {
    /// Takes in presence from outside; its `from` is true and its `to` is set.
    pub async fn admit(&self, mut stanza: Stanza) {
        let (Some(from), Some(to)) = (stanza.from.clone(), stanza.to.clone()) else { return };
        if !self.router.serves(to.domain().as_str()) || to.node().is_none() {
            return self.post.admit(stanza).await;
        }
        let type_ = stanza.type_.clone();
        let change = type_.as_deref().and_then(Change::of);
        let done = match (type_.as_deref(), change) {
            (_, Some(change)) => {
                let (from, to) = (from.to_bare(), to.to_bare());
                stanza.from = Some(from.clone().into());
                stanza.to = Some(to.clone().into());
                self.arrive(&to, &from, change, stanza.clone()).await
            }
            (Some("probe"), None) => self.answer_probe(&from, &to.to_bare()).await,
            _ => {
                self.caps.learn_outside(&stanza);
                return self.post.admit(stanza).await;
            }
        };
        if let Err(error) = done {
            self.router.bounce(&stanza, disk_error(&error));
        }
    }

    /// RFC 6121 §4.3.2. Who may not see learns only that.
    async fn answer_probe(&self, from: &Jid, to: &BareJid) -> Result<(), VaultError> {
        let watcher = from.to_bare();
        let user = self.people.load(to).await?;
        let user = user.filter(|user| user.roster(|roster| roster.state(&watcher).from));
        let Some(user) = user.filter(|user| !user.blocks(from)) else {
            self.router.reply(&plain(Change::Unsubscribed, to, &watcher));
            return Ok(());
        };
        let mut seen = false;
        for presence in user.sessions().iter().filter_map(|session| session.presence()) {
            seen = true;
            self.router.reply(&Stanza::clone(&presence).addressed(from.clone()));
        }
        if !seen {
            self.router.reply(&unavailable_from(to.clone().into()).addressed(from.clone()));
        }
        Ok(())
    }

    /// Asks for the presence of a contact elsewhere (RFC 6121 §4.3.1).
    pub(super) fn probe_outside(&self, session: &Arc<Session>, contact: &BareJid) {
        let blocked = session.user.blocks(&contact.clone().into());
        let component = self.router.component(contact.domain().as_str());
        if let Some(component) = component.filter(|_| !blocked) {
            let probe = Stanza::new(stanza::Kind::Presence).typed("probe").sent_by(session.jid.clone());
            // Who is not there has no presence.
            let _ = component.offer(probe.addressed(contact.clone()));
        }
    }

    /// A subscription stanza leaves for a contact elsewhere.
    pub(super) fn depart(&self, change: Change, stanza: Stanza) {
        let domain = stanza.to.as_ref().map(|to| to.domain().as_str().to_owned()).unwrap_or_default();
        let (stanza, error) =
            match self.router.component(&domain).map(|component| component.offer(stanza.clone())) {
                Some(Ok(())) => return,
                Some(Err(stanza)) => (*stanza, unreachable_now()),
                None => (stanza, StanzaCondition::RemoteServerNotFound.into()),
            };
        // The end of a subscription needs nobody's consent.
        if change == Change::Subscribe {
            self.router.bounce(&stanza, error);
        }
    }
}
