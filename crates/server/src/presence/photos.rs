//! Presence announces an account's picture (XEP-0153, XEP-0398 §4).

use std::sync::Arc;

use stanza::{BareJid, Stanza};
use tokio::sync::mpsc;

use super::Presence;
use crate::pubsub::avatar;
use crate::session::Session;

impl Presence {
    /// Available presence with the account's picture, if its client does not say which that is.
    pub(super) async fn with_photo(&self, session: &Arc<Session>, presence: Stanza) -> Stanza {
        if avatar::announces(&presence) {
            return presence;
        }
        match self.pubsub.photos().of(&session.user.jid).await {
            Some(hash) => avatar::announcing(&presence, &hash),
            None => presence,
        }
    }

    /// Shows the presence of each account anew whose picture has changed.
    pub async fn show_photos(self, mut changes: mpsc::Receiver<BareJid>) {
        while let Some(owner) = changes.recv().await {
            let Some(user) = self.people.loaded(&owner) else { continue };
            let hash = self.pubsub.photos().of(&owner).await.unwrap_or_default();
            for session in user.sessions() {
                let (Some(presence), Some(priority)) = (session.presence(), session.priority()) else {
                    continue;
                };
                let shown = Arc::new(avatar::announcing(&presence, &hash));
                if *shown != *presence {
                    session.set_available(shown.clone(), priority);
                    self.broadcast(&session, &shown);
                }
            }
        }
    }
}
