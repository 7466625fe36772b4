//! The service at `upload.DOMAIN`: discovery and slots.

use std::sync::Arc;

use async_trait::async_trait;
use minidom::Element;
use stanza::{BareJid, Kind, Stanza, StanzaCondition, StanzaError};
use tokio::sync::{mpsc, watch};
use xmpp_parsers::ns;

use super::Files;
use super::request::{self, NS, Wish};
use crate::post::Post;
use crate::router::Router;
use crate::service::{Circular, Incoming, Reader, Service};
use crate::xml::{With, el};

/// Requests that may wait for the one before.
const MAILBOX: usize = 64;

/// See the module.
pub struct UploadService {
    mailbox: mpsc::Sender<Incoming>,
}

impl UploadService {
    /// Serves the people of `domain` until `stop` turns true. Requests are looked at one after the other, so that no two take
    /// the same room.
    pub fn start(
        domain: &str,
        address: BareJid,
        files: &Files,
        post: &Post,
        router: &Router,
        stop: &watch::Receiver<bool>,
    ) -> Arc<Self> {
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        let clerk = Clerk {
            domain: domain.to_owned(),
            address,
            files: files.clone(),
            post: post.clone(),
            router: router.clone(),
        };
        let mut stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = clerk.run(requests) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
        Arc::new(Self { mailbox })
    }
}

#[async_trait]
impl Service for UploadService {
    fn identity(&self) -> (&'static str, &'static str, &'static str) {
        IDENTITY
    }

    async fn receive(&self, incoming: Incoming) {
        // It ends with the server, and then nobody waits for an answer.
        let _ = self.mailbox.send(incoming).await;
    }
}

const IDENTITY: (&str, &str, &str) = ("store", "file", "Files");

struct Clerk {
    domain: String,
    address: BareJid,
    files: Files,
    post: Post,
    router: Router,
}

impl Clerk {
    async fn run(self, mut requests: mpsc::Receiver<Incoming>) {
        while let Some(Incoming { stanza, sender, errand }) = requests.recv().await {
            let is_ours = sender.is_some() || self.is_component(&stanza);
            let reply = match self.answer(&stanza, is_ours).await {
                Ok(None) => continue,
                Ok(Some(payload)) => Stanza::result_of(&stanza).with_payload([&payload]).ok(),
                Err(error) => error.reply_to(&stanza),
            };
            let (Some(reply), Some(from)) = (reply, stanza.from) else { continue };
            let reader = sender.map_or_else(|| Reader::Outside(from), Reader::Session);
            let circular = Circular { errand, ..Circular::new(reply, [reader]) };
            // The policy has nothing against answers.
            let _ = self.post.circulate(circular, None).await;
        }
    }

    /// Whether a stanza comes from a program that the company runs, or from somebody whom it speaks for.
    fn is_component(&self, stanza: &Stanza) -> bool {
        stanza.from.as_ref().is_some_and(|from| self.router.component(from.domain().as_str()).is_some())
    }

    /// `None` for what wants no answer.
    async fn answer(&self, stanza: &Stanza, is_ours: bool) -> Result<Option<Element>, StanzaError> {
        let unavailable = || StanzaError::from(StanzaCondition::ServiceUnavailable);
        match (stanza.kind, stanza.type_.as_deref()) {
            (Kind::Iq, Some("get" | "set")) => {}
            (Kind::Message, type_) if type_ != Some("error") => return Err(unavailable()),
            _ => return Ok(None),
        }
        if stanza.to.as_ref().is_none_or(|to| to.node().is_some() || to.resource().is_some()) {
            return Err(unavailable());
        }
        let [child] = stanza.children() else { return Err(StanzaCondition::BadRequest.into()) };
        let payload = stanza.payload_element(child);
        match (child.name(), child.ns(), stanza.is_type("get")) {
            ("query", ns::DISCO_INFO, true) => self.info(&payload).map(Some),
            ("query", ns::DISCO_ITEMS, true) => Ok(Some(el("query", ns::DISCO_ITEMS).build())),
            ("request", NS, true) => self.slot(stanza, &payload, is_ours).await.map(Some),
            _ => Err(unavailable()),
        }
    }

    fn info(&self, query: &Element) -> Result<Element, StanzaError> {
        if query.attr("node").is_some_and(|node| !node.is_empty()) {
            return Err(StanzaCondition::ItemNotFound.into());
        }
        let (category, type_, name) = IDENTITY;
        let identity = el("identity", ns::DISCO_INFO)
            .with("category", category)
            .with("type", type_)
            .with("name", name)
            .build();
        let mut features = request::features();
        features.push(ns::DISCO_INFO.to_owned());
        let features = features.into_iter().map(|var| el("feature", ns::DISCO_INFO).with("var", var).build());
        Ok(el("query", ns::DISCO_INFO)
            .append(identity)
            .append_all(features)
            .append(request::limits(self.files.max_bytes()))
            .build())
    }

    /// XEP-0363 §4, for the people and components of this server.
    async fn slot(&self, stanza: &Stanza, request: &Element, is_ours: bool) -> Result<Element, StanzaError> {
        let owner = stanza.from.as_ref().filter(|_| is_ours).map(|from| from.to_bare()).ok_or_else(|| {
            StanzaError::new(
                StanzaCondition::NotAllowed,
                "Only people and components of this server may upload files.",
            )
        })?;
        let wish = Wish::read(request, self.files.max_bytes())?;
        let given = self.files.reserve(owner, self.address.clone(), &self.domain, wish).await?;
        Ok(request::slot(&given.put, &given.get, &given.token))
    }
}
