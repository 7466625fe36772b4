//! A company small enough for a test.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;

use archive::search::{Bare, Inquiry, Language, Question, Scope};
use archive::{Archive, Conversation, Draft, Entry, Options, Outcome, Receipt};
use jid::{BareJid, Jid};
use tokio::sync::mpsc;
use vault::{MasterKey, Vault};

pub fn master() -> MasterKey {
    MasterKey::from_bytes([7; 32])
}

pub fn bare(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

pub fn draft(from: &str, to: &str, body: &str) -> Draft {
    let (from, to) = (Jid::new(from).unwrap(), Jid::new(to).unwrap());
    let stanza = format!(
        "<message xmlns='jabber:client' from='{from}' to='{to}' type='chat' id='x'><body>{body}</body></message>"
    );
    Draft {
        owners: [from.to_bare(), to.to_bare()].into_iter().collect(),
        ledger: Default::default(),
        id: Some("x".into()),
        about: None,
        conversation: Conversation::between(&from.to_bare(), &to.to_bare()),
        from,
        to,
        stanza: stanza.into(),
        text: Some(body.to_owned()),
        writes: Vec::new(),
        spool: None,
        through: None,
    }
}

/// An archive whose sink is a channel.
pub struct Trail {
    pub vault: Vault,
    pub archive: Archive<u64>,
    pub outcomes: mpsc::UnboundedReceiver<Outcome<u64>>,
}

impl Trail {
    pub async fn open(data: &Path) -> Self {
        Self::with(Vault::open(data, master()).await.unwrap(), Options::default()).await
    }

    pub async fn with(vault: Vault, options: Options) -> Self {
        let (sink, outcomes) = mpsc::unbounded_channel();
        let archive = Archive::start(vault.clone(), options, move |outcome| {
            let _ = sink.send(outcome);
        })
        .await
        .unwrap();
        Self { vault, archive, outcomes }
    }

    pub async fn submit(&self, item: u64, event: Option<Draft>) {
        self.archive.submit(Entry { item, event }).await;
    }

    /// Stores one message and waits until it is.
    pub async fn say(&mut self, from: &str, to: &str, body: &str) -> Receipt {
        self.store(draft(from, to, body)).await
    }

    pub async fn store(&mut self, draft: Draft) -> Receipt {
        self.submit(0, Some(draft)).await;
        match self.outcomes.recv().await.unwrap() {
            Outcome::Archived(archived) => archived.receipt(),
            other => panic!("not archived: {other:?}"),
        }
    }

    /// Places of the newest messages in somebody's book that answer a question.
    pub async fn found(&self, owner: &BareJid, question: &str, limit: usize) -> Vec<u64> {
        let scope = Scope::of([owner.clone()]);
        let question =
            Question::parse(question, &Language { patterns: true, ..Language::default() }).unwrap();
        let inquiry = Inquiry { limit, ..Inquiry::new(&scope, &question, &Bare) };
        let findings = self.archive.find(&inquiry).await.unwrap();
        findings.hits.iter().map(|hit| hit.item.sequence.0).collect()
    }

    pub async fn close(self) {
        self.archive.shutdown().await;
        self.vault.close().await;
    }
}
