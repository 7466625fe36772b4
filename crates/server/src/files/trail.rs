//! What the trail says of files: who uploaded, fetched and erased what. Auditors read it; it is in nobody's history.

use std::net::IpAddr;
use std::ops::Range;

use archive::{Conversation, Draft, Ledger};
use minidom::{Element, ElementBuilder};
use smallvec::smallvec;
use stanza::{Kind, Stanza};
use vault::BlobName;

use super::File;
use crate::post::stored;
use crate::xml::{With, el};

/// The namespace of these events.
pub const NS: &str = "urn:chancery:files:0";

/// The owner has uploaded a file.
pub fn upload(file: &File, name: BlobName, sha256: &str) -> Draft {
    let what = about("uploaded", file, name).with("sha-256", sha256).with("purpose", file.purpose.as_deref());
    draft(file, what.build(), true)
}

/// Somebody who knew the URL has fetched a file, or a part of it.
pub fn fetch(file: &File, name: BlobName, address: IpAddr, part: Option<&Range<u64>>) -> Draft {
    let part = part.map(|part| format!("{}-{}", part.start, part.end.saturating_sub(1)));
    let what = about("fetched", file, name).with("address", address.to_string()).with("bytes", part);
    draft(file, what.build(), false)
}

/// A file's content is about to be destroyed.
pub fn erasure(file: &File, name: BlobName) -> Draft {
    draft(file, about("erased", file, name).build(), false)
}

fn about(what: &str, file: &File, name: BlobName) -> ElementBuilder {
    el(what, NS)
        .with("file", format!("{name:?}"))
        .with("name", file.name.as_str())
        .with("size", file.size.to_string())
        .with("type", file.type_.as_deref())
}

fn draft(file: &File, what: Element, by_owner: bool) -> Draft {
    let (owner, service) = (file.owner.clone(), file.service.clone());
    let (from, to) =
        if by_owner { (owner.clone(), service.clone()) } else { (service.clone(), owner.clone()) };
    let stanza = Stanza::new(Kind::Message).sent_by(from.clone()).addressed(to.clone());
    // Its names are literals, so the payload can always be written.
    let stanza = stanza.clone().with_payload([&what]).unwrap_or(stanza);
    Draft {
        conversation: Conversation::between(&owner, &service),
        owners: smallvec![owner],
        from: from.into(),
        to: to.into(),
        stanza: stored(&stanza),
        text: Some(file.name.clone()),
        writes: Vec::new(),
        spool: None,
        through: None,
        ledger: Ledger::Happenings,
        id: None,
        about: None,
    }
}
