//! Reads a whole message history (XEP-0313), page by page, as a client would.

use std::collections::HashSet;

use tokio::time::timeout;

use crate::{
    client::{Client, attribute},
    harness::PATIENCE,
};

/// A message of the history.
pub(crate) struct Kept {
    /// What the server named it.
    pub(crate) stanza_id: String,
    /// What its sender named it.
    pub(crate) id: String,
    /// The whole result.
    pub(crate) xml: String,
}

/// An account's history in order, by pages of so many messages at most, and what else arrived meanwhile.
pub(crate) async fn read(client: &mut Client, page: usize) -> (Vec<Kept>, Vec<String>) {
    read_at(client, "", page).await
}

/// As [`read`], the history of a room.
pub(crate) async fn read_room(client: &mut Client, room: &str, page: usize) -> (Vec<Kept>, Vec<String>) {
    read_at(client, &format!(" to='{room}'"), page).await
}

async fn read_at(client: &mut Client, to: &str, page: usize) -> (Vec<Kept>, Vec<String>) {
    let mut kept: Vec<Kept> = Vec::new();
    let mut others = Vec::new();
    let mut seen = HashSet::new();
    let mut after = String::new();
    loop {
        client
            .send(&format!(
                "<iq type='set' id='page'{to}><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'>\
                 <max>{page}</max>{after}</set></query></iq>"
            ))
            .await;
        let before = kept.len();
        loop {
            let xml = timeout(PATIENCE, client.element()).await.expect("no page came").unwrap().unwrap();
            if let Some(at) = xml.find("<result ") {
                let stanza_id = attribute(&xml[at..], "id").unwrap();
                // After the envelope's own tag comes that of the message.
                let message = at + xml[at..].find("<message").unwrap();
                let tag = &xml[message..message + xml[message..].find('>').unwrap()];
                let id = attribute(tag, "id").unwrap_or_else(|| panic!("without an id: {tag}"));
                let new = seen.insert(stanza_id.clone()) & seen.insert(format!("id of the sender: {id}"));
                assert!(new, "twice in one history: {xml}");
                kept.push(Kept { stanza_id, id, xml });
            } else if xml.starts_with("<iq") && xml.contains("<fin") {
                if xml.contains("complete='true'") {
                    return (kept, others);
                }
                break;
            } else {
                assert!(!xml.contains("type='error'"), "{xml}");
                others.push(xml);
            }
        }
        assert!(kept.len() > before, "a page that is not the last has no messages");
        after = format!("<after>{}</after>", kept.last().unwrap().stanza_id);
    }
}
