//! The door for what comes from outside this server's accounts: components now, other servers later.
//!
//! Whoever holds the connection has checked that `from` is the peer's to use and that `to` is set. From here on it is the
//! same way as for everybody: stamped, judged, archived, delivered.

use stanza::Stanza;

use crate::iq::Desk;
use crate::post::Post;
use crate::presence::Presence;

/// See the module.
#[derive(Clone)]
pub struct Border {
    /// Messages.
    pub post: Post,
    /// Presence.
    pub presence: Presence,
    /// IQs.
    pub desk: Desk,
}

impl Border {
    /// Takes in a message.
    pub async fn message(&self, stanza: Stanza) {
        self.post.admit(stanza).await;
    }

    /// Takes in presence.
    pub async fn presence(&self, stanza: Stanza) {
        self.presence.admit(stanza).await;
    }

    /// Takes in an IQ: answers it, or sends it on.
    pub async fn iq(&self, stanza: Stanza) {
        self.desk.admit(stanza).await;
    }
}
