//! The numbers of record kinds in the vault, in one place so that no two meet. A number is never used again.

/// [`crate::roster::Contact`].
pub const CONTACT: u16 = 10;
/// [`crate::people::Blocked`] (XEP-0191).
pub const BLOCKED: u16 = 11;
/// [`crate::people::LastSeen`] (XEP-0012).
pub const LAST_SEEN: u16 = 12;
/// Private XML (XEP-0049).
pub const PRIVATE_XML: u16 = 13;
/// [`crate::suspend::Suspended`].
pub const SUSPENDED: u16 = 15;
/// vCards (XEP-0054).
pub const VCARD: u16 = 14;
/// [`crate::fates::Fate`] (XEP-0424).
pub const FATE: u16 = 16;
/// [`crate::push::Registration`] (XEP-0357).
pub const PUSH: u16 = 70;
/// [`crate::invitations::Invitation`].
pub const INVITATION: u16 = 71;
/// [`crate::directory::Profile`].
pub const PROFILE: u16 = 30;
/// [`crate::files::File`] (XEP-0363).
pub const FILE: u16 = 60;
/// [`crate::files::Share`].
pub const FILE_SHARE: u16 = 61;
/// [`crate::files::Slot`].
pub const FILE_SLOT: u16 = 62;
/// [`crate::tls::Certificate`].
pub const CERTIFICATE: u16 = 31;
/// [`crate::rooms::record::RoomRecord`].
pub const ROOM: u16 = 40;
/// [`crate::rooms::record::Standing`].
pub const ROOM_STANDING: u16 = 41;
/// [`crate::rooms::record::RoomCard`].
pub const ROOM_CARD: u16 = 42;
/// A company room among somebody's bookmarks, see [`crate::rooms::company`].
pub const ROOM_OFFERED: u16 = 43;
/// [`crate::rooms::stay::Inside`].
pub const ROOM_INSIDE: u16 = 44;
/// [`crate::pubsub::node::Node`].
pub const NODE: u16 = 50;
/// [`crate::pubsub::store::Item`].
pub const NODE_ITEM: u16 = 51;
/// [`crate::pubsub::store::Latest`].
pub const NODE_LATEST: u16 = 52;
/// [`crate::pubsub::avatar::Photo`].
pub const PHOTO: u16 = 53;
/// [`crate::caps::Capabilities`].
pub const CAPABILITIES: u16 = 54;
/// [`crate::pubsub::store::Listed`].
pub const NODE_LISTED: u16 = 55;
/// [`crate::office::Session`].
pub const WEB_SESSION: u16 = 80;
/// [`crate::office::Emergency`].
pub const EMERGENCY: u16 = 81;
/// [`crate::office::Token`].
pub const TOKEN: u16 = 82;
/// [`crate::office::Factor`].
pub const SECOND_FACTOR: u16 = 83;
