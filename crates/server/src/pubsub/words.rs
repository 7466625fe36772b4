//! The words of XEP-0060 that nodes and people are described with.

use serde::{Deserialize, Serialize};

/// Enumerations whose variants have names in the standard.
macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident => $word:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[allow(clippy::enum_variant_names, reason = "the standard calls a model after whom it lets in")]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// All the words.
            #[allow(dead_code, reason = "not every enumeration is offered in a form")]
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// The standard's word.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The variant of that word.
            pub fn of(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}
words! {
    /// Who may read and subscribe (XEP-0060 §4.5).
    Access {
        /// Everybody.
        Open => "open",
        /// Who sees the owner's presence.
        Presence => "presence",
        /// Who is in certain groups of the owner's roster.
        Roster => "roster",
        /// Whose subscription an owner has approved.
        Authorize => "authorize",
        /// Members, publishers and owners.
        Whitelist => "whitelist",
    }
    /// Who may publish.
    Publishers {
        /// Publishers and owners.
        Publishers => "publishers",
        /// Subscribers as well.
        Subscribers => "subscribers",
        /// Everybody who is not banned.
        Open => "open",
    }
    /// When the last item is sent without being asked for.
    SendLast {
        /// Never.
        Never => "never",
        /// When somebody subscribes.
        OnSub => "on_sub",
        /// And when a subscriber becomes available.
        OnSubAndPresence => "on_sub_and_presence",
    }
    /// The type of notifications.
    Notice {
        /// `normal`.
        Normal => "normal",
        /// `headline`.
        Headline => "headline",
        /// `chat`.
        Chat => "chat",
    }
    /// Whom a subscriber should answer.
    ItemReply {
        /// The node's owner.
        Owner => "owner",
        /// The item's publisher.
        Publisher => "publisher",
    }
}

words! {
    /// What somebody is to a node (XEP-0060 §4.1).
    Affiliation {
        /// May do everything.
        Owner => "owner",
        /// May publish and read.
        Publisher => "publisher",
        /// May publish only.
        PublishOnly => "publish-only",
        /// May read where there is a list.
        Member => "member",
        /// Nothing in particular.
        None => "none",
        /// May do nothing.
        Outcast => "outcast",
    }
    /// How far a subscription has come (XEP-0060 §4.2).
    State {
        /// It gets notifications.
        Subscribed => "subscribed",
        /// An owner must approve it.
        Pending => "pending",
    }
}
