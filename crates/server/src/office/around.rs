//! What the archive asks the server for when it erases: groups, files, marks of retraction.

use std::collections::HashMap;

use archive::erase::{Around, FileUse};
use archive::search::Language;
use archive::{Item, Places, Questions};
use async_trait::async_trait;
use jid::BareJid;
use minidom::Element;
use vault::{BlobName, Expect, Vault, Write};

use super::Office;
use super::refusal::Refusal;
use crate::directory::Profile;
use crate::fates::Fate;
use crate::files;
use crate::post::Trail;

/// See [`Around`]. Made for one job: the groups are those of its beginning.
pub(super) struct Surroundings {
    vault: Vault,
    trail: Trail,
    groups: HashMap<BareJid, Vec<String>>,
    /// Where rooms are.
    conferences: Vec<String>,
    language: Language,
}

/// Records changed at a time.
const CHUNK: usize = 512;

impl Office {
    pub(super) async fn surroundings(&self, trail: &Trail) -> Result<Surroundings, Refusal> {
        let mut groups = HashMap::new();
        for domain in &self.0.domains {
            for account in self.0.users.list(domain).await? {
                let Ok(who) = BareJid::new(&format!("{}@{domain}", account.localpart)) else { continue };
                let profile = Profile::find(&self.0.vault, &who).await?;
                if !profile.groups.is_empty() {
                    groups.insert(who, profile.groups);
                }
            }
        }
        Ok(Surroundings {
            vault: self.0.vault.clone(),
            trail: trail.clone(),
            groups,
            conferences: self.0.domains.iter().map(|domain| format!("conference.{domain}")).collect(),
            language: Language { patterns: true, ..Language::default() },
        })
    }
}

#[async_trait]
impl Around for Surroundings {
    fn questions(&self) -> &dyn Questions {
        &self.language
    }

    fn groups(&self, who: &BareJid) -> Vec<String> {
        self.groups.get(who).cloned().unwrap_or_default()
    }

    fn conversation(&self, item: &Item) -> String {
        let mut pair = [item.from.to_bare(), item.to.to_bare()];
        let is_room = |who: &&BareJid| self.conferences.iter().any(|domain| domain == who.domain().as_str());
        if let Some(room) = pair.iter().find(is_room) {
            return room.to_string();
        }
        pair.sort();
        pair.map(|who| who.to_string()).join(" and ")
    }

    fn files(&self, item: &Item) -> Vec<FileUse> {
        let text = String::from_utf8_lossy(&item.stanza);
        let mut uses = Vec::new();
        if text.contains(files::NS)
            && let Ok(stanza) = text.parse::<Element>()
            && let Some(file) = stanza.get_child("uploaded", files::NS).and_then(|about| about.attr("file"))
        {
            uses.push(FileUse { file: file.to_owned(), upload: true });
        }
        for link in text.split("/upload/").skip(1) {
            let id: &str = link.split(['/', '<', '"', '\'', ' ']).next().unwrap_or_default();
            if !id.is_empty() && id.len() <= 64 {
                uses.push(FileUse { file: format!("{:?}", self.vault.blobs().name(id)), upload: false });
            }
        }
        uses
    }

    async fn erase_file(&self, file: &str) -> Result<(), String> {
        let Some(name) = BlobName::from_hex(file) else { return Ok(()) };
        match files::erase(&self.vault, &self.trail, name).await {
            Ok(()) | Err(files::EraseError::Unknown) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn forget(&self, erased: &Places, addresses: &[BareJid]) -> Result<(), String> {
        let failed = |error: vault::VaultError| error.to_string();
        for owner in addresses {
            let fates = self.vault.list::<Fate>(owner.as_str()).await.map_err(failed)?;
            let place = |key: &str| key.parse().map(archive::Sequence).ok();
            let gone = fates.iter().filter(|(key, _)| place(key).is_some_and(|place| erased.contains(place)));
            let gone: Vec<Write> =
                gone.map(|(key, _)| Write::delete::<Fate>(owner.as_str(), key, Expect::Any)).collect();
            for some in gone.chunks(CHUNK) {
                self.vault.apply(some.to_vec()).await.map_err(failed)?;
            }
        }
        Ok(())
    }
}
