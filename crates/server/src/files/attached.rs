//! The files that archived messages link to, for exports.

use archive::Item;
use archive::export::{Attachment, Attachments, Content};
use async_trait::async_trait;
use bytes::Bytes;
use minidom::{Element, Node};
use vault::{BlobStream, Vault};

use super::{File, State, key};

/// Finds files by the links in messages. Needs the vault alone, so that it works without a running server.
pub struct Attached {
    vault: Vault,
}

/// Letters of a file's id.
const ID: usize = 32;
/// What stands before it in a link.
const BEFORE: &str = "/upload/";

impl Attached {
    /// On an open vault.
    pub fn new(vault: Vault) -> Self {
        Self { vault }
    }
}

#[async_trait]
impl Attachments for Attached {
    async fn of(&self, item: &Item) -> archive::Result<Vec<Attachment>> {
        let mut found = Vec::new();
        for (url, id) in links(&item.stanza) {
            let name = self.vault.blobs().name(&id);
            let Some(file) = self.vault.get::<File>("", &key(name)).await? else { continue };
            let file = file.value;
            let (sha256, erased) = match file.state {
                State::Slot { .. } => continue,
                State::Kept { sha256, .. } => (sha256, false),
                State::Erased { .. } => (String::new(), true),
            };
            found.push(Attachment {
                name: file.name,
                media_type: file.type_,
                size: file.size,
                sha256,
                url,
                erased,
                file: None,
                key: id,
            });
        }
        Ok(found)
    }

    async fn open(&self, attachment: &Attachment) -> archive::Result<Option<Box<dyn Content>>> {
        let blobs = self.vault.blobs();
        let reader = blobs.open(blobs.name(&attachment.key), attachment.size).await?;
        Ok(reader.map(|reader| -> Box<dyn Content> { Box::new(Pieces(reader.stream(0..attachment.size))) }))
    }
}

struct Pieces(BlobStream);

#[async_trait]
impl Content for Pieces {
    async fn next(&mut self) -> archive::Result<Option<Bytes>> {
        Ok(self.0.next().await?)
    }
}

/// Links to files of ours, with the files' ids; each file once.
fn links(stanza: &[u8]) -> Vec<(String, String)> {
    let Some(stanza) = std::str::from_utf8(stanza).ok().filter(|text| text.contains(BEFORE)) else {
        return Vec::new();
    };
    let mut found: Vec<(String, String)> = Vec::new();
    if let Ok(stanza) = stanza.parse::<Element>() {
        gather(&stanza, &mut found);
    }
    found
}

fn gather(element: &Element, found: &mut Vec<(String, String)>) {
    for (_, value) in element.attrs() {
        each_link(value, found);
    }
    for node in element.nodes() {
        match node {
            Node::Element(child) => gather(child, found),
            Node::Text(text) => each_link(text, found),
        }
    }
}

fn each_link(text: &str, found: &mut Vec<(String, String)>) {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '<' | '>' | '"' | '\'');
    for word in text.split(ends) {
        let Some((_, rest)) = word.split_once(BEFORE) else { continue };
        let id = rest.split('/').next().unwrap_or_default();
        let is_ours =
            id.len() == ID && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if is_ours && !found.iter().any(|(_, known)| known == id) {
            found.push((word.to_owned(), id.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_words_and_in_what_clients_put_beside_them_and_each_file_once() {
        let (one, other) = ("a".repeat(ID), "b".repeat(ID));
        let stanza = format!(
            "<message xmlns='jabber:client'><body>see https://corp.example/upload/{one}/a%20b.pdf, or not</body>\
             <x xmlns='jabber:x:oob'><url>https://corp.example/upload/{one}/a%20b.pdf</url></x>\
             <r xmlns='urn:x' target='https://corp.example/upload/{other}/c'/><y xmlns='urn:y'>/upload/short/c</y></message>"
        );
        let ids: Vec<String> = links(stanza.as_bytes()).into_iter().map(|(_, id)| id).collect();
        assert_eq!(ids, [one, other]);
        assert_eq!(links(b"<message>no"), []);
    }
}
