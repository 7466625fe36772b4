//! Uploads (XEP-0363): who may put what where, and what became of it.
//!
//! A file begins as a [`Slot`] that its owner asked for by IQ ([`service`]). The web side streams the content into the vault
//! ([`upload`]), and the file becomes visible in the very transaction that stores the event of its upload. Who fetches it is an event,
//! too, durable before the first byte goes out ([`fetch`]). Content is kept until somebody erases it: a file never expires.
//!
//! A file's *id* is the unguessable part of its URL. The store never sees it: records and blobs are found by a keyed hash.

mod attached;
mod check;
mod fetch;
mod record;
mod request;
mod reserve;
mod service;
mod sweep;
mod trail;
mod upload;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use archive::AppendError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hashlink::LruCache;
use parking_lot::Mutex;
use stanza::BareJid;
use tokio::sync::watch;
use vault::{BlobName, Blobs, Expect, Micros, Vault, VaultError, Versioned, Write};

pub use self::attached::Attached;
pub use self::check::{Check, check};
pub use self::fetch::Found;
pub use self::record::{File, Share, Slot, State};
pub use self::request::in_url;
use self::service::UploadService;
pub use self::trail::NS;
use self::upload::{Claims, Parked};
pub use self::upload::{Part, Refused, Upload};
use crate::config::{self, Config};
use crate::http::Origin;
use crate::post::{Post, Trail};
use crate::router::Router;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    vault: Vault,
    blobs: Blobs,
    post: Post,
    origin: Arc<Origin>,
    limits: config::Files,
    /// What is being written just now.
    claims: Claims,
    /// What was broken off and may go on.
    parked: Parked,
    /// Who has fetched what a short while ago, and when.
    fetched: Mutex<LruCache<(BlobName, IpAddr), Instant>>,
}

/// Why a file could not be erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// There is none, or it has been erased already.
    #[error("there is no such file")]
    Unknown,
    /// The event of the erasure could not be stored; the file is still there.
    #[error("the erasure could not be put on record: {0}")]
    Record(#[from] AppendError),
    /// It cannot be fetched any more, but its content could not be destroyed; the next start tries again.
    #[error("the content could not be destroyed: {0}")]
    Vault(#[from] VaultError),
}

/// Fetches that are remembered, to tell a player that reads on from a new fetch.
const REMEMBERED: usize = 10_000;

/// Opens the service at `upload.DOMAIN` of each domain, if there is a web side that files can go to, and clears away what a
/// crash left.
pub async fn open(
    config: &Config,
    vault: &Vault,
    post: &Post,
    router: &Router,
    stop: &watch::Receiver<bool>,
) -> Option<Files> {
    if config.http.public_url.is_none() && config.listen.http.is_empty() && config.listen.https.is_empty() {
        return None;
    }
    let files = Files::new(vault.clone(), post.clone(), Arc::new(Origin::new(config)), config.files);
    if let Err(error) = files.recover().await {
        tracing::warn!(%error, "what unfinished uploads left could not be cleared away");
    }
    for domain in &config.domains {
        let Some(address) = address(domain.as_str()) else { continue };
        let service = UploadService::start(domain.as_str(), address.clone(), &files, post, router, stop);
        router.open(address.as_str(), service);
    }
    tokio::spawn(sweep::sweep(files.clone(), stop.clone()));
    Some(files)
}

impl Files {
    /// On an open vault. `post` keeps the trail, `origin` says what links begin with.
    pub fn new(vault: Vault, post: Post, origin: Arc<Origin>, limits: config::Files) -> Self {
        let blobs = vault.blobs();
        let fetched = Mutex::new(LruCache::new(REMEMBERED));
        let (claims, parked) = (Claims::default(), Parked::default());
        Self(Arc::new(Inner { vault, blobs, post, origin, limits, claims, parked, fetched }))
    }

    /// What links begin with.
    pub fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The largest file, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.0.limits.max_bytes.get()
    }

    /// How long an upload may send nothing.
    pub fn idle(&self) -> Duration {
        self.0.limits.idle
    }

    /// The file that a link leads to, if it is one of ours by its form.
    pub fn at(&self, url: &str) -> Option<BlobName> {
        let (_, rest) = url.split_once("/upload/")?;
        let id = rest.split('/').next().filter(|id| !id.is_empty())?;
        Some(self.name(id))
    }

    /// The keyed hash of an id.
    pub fn name(&self, id: &str) -> BlobName {
        self.0.blobs.name(id)
    }

    /// A file's record, in whatever state it is.
    ///
    /// # Errors
    /// What the vault says.
    pub async fn file(&self, name: BlobName) -> Result<Option<Versioned<File>>, VaultError> {
        self.0.vault.get("", &key(name)).await
    }

    /// Destroys a file's key and content, after an event says so. Its record stays, without what it was called.
    ///
    /// # Errors
    /// See [`EraseError`].
    pub async fn erase(&self, name: BlobName) -> Result<(), EraseError> {
        erase(&self.0.vault, self.0.post.trail(), name).await
    }

    /// The token that goes with a slot's PUT. It follows from the id, so nobody has to keep it.
    fn token(&self, id: &str) -> String {
        format!("{:?}", self.0.vault.blind("upload token", &[id]))
    }

    /// Where a file is put and fetched; `None` without a web side.
    fn url(&self, domain: &str, id: &str, name: &str) -> Option<String> {
        let base = self.0.origin.url(domain)?;
        Some(format!("{base}/upload/{id}/{}", request::in_url(name)))
    }
}

/// Destroys a file's key and content, after an event says so, with or without a running server. Its record stays, without
/// what it was called.
///
/// # Errors
/// See [`EraseError`].
pub async fn erase(vault: &Vault, trail: &Trail, name: BlobName) -> Result<(), EraseError> {
    let found = vault.get::<File>("", &key(name)).await?.ok_or(EraseError::Unknown)?;
    if !matches!(found.value.state, State::Kept { .. }) {
        return Err(EraseError::Unknown);
    }
    let file = found.value;
    let owner = file.owner.clone();
    let event = self::trail::erasure(&file, name);
    let erased =
        File { name: String::new(), type_: None, state: State::Erased { at: Micros::now() }, ..file };
    let writes = vec![
        Write::put("", &key(name), &erased, Expect::Version(found.version))?,
        Write::delete::<Share>(owner.as_str(), &key(name), Expect::Any),
        // Until the content is gone, the next start finds it here.
        Write::put("", &key(name), &Slot { owner, expires: Micros(0) }, Expect::Any)?,
    ];
    trail.record(archive::Draft { writes, ..event }).await?;
    vault.blobs().erase(name).await?;
    vault.apply(vec![Write::delete::<Slot>("", &key(name), Expect::Any)]).await?;
    Ok(())
}

/// The key of a file's records.
fn key(name: BlobName) -> String {
    format!("{name:?}")
}

/// 192 random bits in 32 characters.
fn new_id() -> Result<String, VaultError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| VaultError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

/// The address of the service for a domain's people.
fn address(domain: &str) -> Option<BareJid> {
    BareJid::new(&format!("upload.{domain}")).ok()
}
