//! Subscriptions that somebody has agreed to beforehand: by a link (XEP-0379), or by inviting a newcomer.

use std::sync::Arc;

use stanza::{BareJid, Stanza};
use vault::VaultError;

use super::{Change, Presence, plain, subscription};
use crate::invitations::{self, PREAUTH};
use crate::people::User;

impl Presence {
    /// Two accounts here see each other from now on, as if each had asked and been granted.
    pub async fn befriend(&self, one: &Arc<User>, other: &Arc<User>) -> Result<(), VaultError> {
        for (user, contact) in [(one, other), (other, one)] {
            let both = subscription::State { to: true, from: true, ..Default::default() };
            self.step_with(user, &contact.jid, |contact| {
                contact.state = both;
                contact.request = None;
            })
            .await?;
        }
        self.show_all(one, &other.jid);
        self.show_all(other, &one.jid);
        Ok(())
    }

    /// An account's resources disappear for who saw them until now.
    pub fn conceal(&self, user: &User, contact: &BareJid) {
        self.hide_all(user, contact);
    }

    /// Whether a request comes with a token that the account gave out. It is used up.
    pub(super) async fn brings_token(&self, user: &User, stanza: &Stanza) -> Result<bool, VaultError> {
        let preauth = stanza.payload("preauth", PREAUTH);
        match preauth.as_ref().and_then(|preauth| preauth.attr("token")) {
            Some(token) => invitations::is_expected(&self.vault, token, &user.jid).await,
            None => Ok(false),
        }
    }

    /// Who gave the token out wants to see whoever brings it as well (XEP-0379 §5).
    pub(super) async fn answer_token(&self, user: &Arc<User>, from: &BareJid) -> Result<(), VaultError> {
        if self.router.serves(from.domain().as_str()) {
            // To bring a token of somebody is to agree.
            return match self.people.load(from).await? {
                Some(other) => self.befriend(user, &other).await,
                None => Ok(()),
            };
        }
        let asked = self.step(user, from, |state| {
            let sent = subscription::send(state, Change::Subscribe);
            (sent, sent.state)
        });
        if asked.await?.route {
            self.depart(Change::Subscribe, plain(Change::Subscribe, &user.jid, from));
        }
        Ok(())
    }
}
